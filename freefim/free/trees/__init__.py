"""Trees of free operations: laws made of laws, and their solution."""
