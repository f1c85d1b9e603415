"""Chains with any leaves: one Newton system for all unknowns."""
