"""Laws that are given and not made: point masses, the uniform law, Cauchy's, any density."""
