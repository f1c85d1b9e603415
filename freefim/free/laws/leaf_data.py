"""Laws as numbers: what the engine of trees is handed for a leaf."""

from freefim.free.law import Law
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.solution import Array

__all__ = ["leaf_arrays"]


def leaf_arrays(law: Law) -> tuple[tuple[int, Array], ...]:
    """Return the pieces of a leaf, whose transforms add.

    Parameters
    ----------
    law : Law
        A law in closed form; any other law is expanded once it is solved.

    Returns
    -------
    tuple of (code, data)
        0 ATOMS: [n, locations…, masses…]; 1 SERIES: [n_bands, then per band left, right, kind, n,
        coefficients…]; 2 PANELS: [n_panels, then per panel left, right, n, coefficients…];
        3 CAUCHY: [location, scale]. The series are those of `freefim.free.laws.pieces`.

    Raises
    ------
    SpecError
        If a number of the law is an expression with symbols.
    ConvergenceError
        If a law does not resolve into series.

    Examples
    --------
    >>> from freefim.free.laws.given import PointMass
    >>> [(code, data.tolist()) for code, data in leaf_arrays(PointMass(2))]
    [(0, [1.0, 2.0, 1.0])]
    """
    solution = law.solution
    if not isinstance(solution, LeafSolution):
        from freefim.free.laws.density import Computed

        solution = Computed(law).solution
    return tuple((layer.code, layer.data) for piece in solution.pieces for layer in piece.layers)
