"""Products of 1 + X, X with singular vectors in free directions."""
