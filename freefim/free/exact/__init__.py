"""Exact algebra of laws: polynomials, discriminants, edges and series in exact numbers."""
