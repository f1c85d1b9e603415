"""The free calculus: laws as curves, and the moves along them. It knows nothing about networks."""
