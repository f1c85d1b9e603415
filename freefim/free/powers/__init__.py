"""Laws on [0, ∞) whose curve is one product of powers: chains and products without shifts."""
