"""Chains of free operations: their description, exact facts, and law."""
