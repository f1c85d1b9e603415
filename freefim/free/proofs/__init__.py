"""Proofs: rigorous enclosures of densities, masses, edges and atoms, by ball arithmetic."""
