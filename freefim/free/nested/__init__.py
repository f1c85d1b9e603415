"""Sums of nested sample covariances: each has the one before as its population covariance."""
