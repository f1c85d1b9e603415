"""Exact leaves: the laws of gates by their transforms."""
