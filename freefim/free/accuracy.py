"""How exact a computed law is, as measured while it was computed."""

from dataclasses import dataclass

__all__ = ["Accuracy"]


@dataclass(frozen=True)
class Accuracy:
    """What was measured of a law's exactness.

    Attributes
    ----------
    mass_defect : float
        Largest difference between a mass by quadrature of the density and its exact value.
    edge_residual : float
        Largest relative uncertainty of an edge.
    tail : float
        Size of the last coefficients of the expansion, relative to the largest.
    method : str
        How the law was computed.
    remarks : tuple of str
        What a reader must know: gaps closed to rounding, cusps, unresolved structure.
    """

    mass_defect: float
    edge_residual: float
    tail: float
    method: str
    remarks: tuple[str, ...] = ()
