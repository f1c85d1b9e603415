"""Chains of projections, Gaussian matrices and corners: every band by a certain search."""
