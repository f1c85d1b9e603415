"""Edges as algebraic numbers: roots of the discriminant, told apart by exact root counts."""

from typing import Any

from freefim.errors import ConvergenceError, SpecError
from freefim.free.exact import elimination
from freefim.free.exact.assembly import curve
from freefim.free.exact.polynomial import in_z
from freefim.free.law import Law

__all__ = ["algebraic_edges"]

# Around a computed edge, relative to the largest: wide enough for the error of any engine.
_RADII = (1e-8, 1e-10, 1e-12)


def algebraic_edges(law: Law) -> tuple[Any, ...]:
    """Ends of the bands of a law as exact algebraic numbers.

    Parameters
    ----------
    law : Law
        As for `polynomial`, without symbols.

    Returns
    -------
    tuple of sympy.Expr
        Ascending, in the order of ``law.edges`` (infinite ends left out): rationals, quadratic
        surds, or ``CRootOf``; ``evalf(digits)`` gives any number of digits.

    Raises
    ------
    SpecError
        If the law is not algebraic or has symbols.
    ConvergenceError
        If not exactly one real root of the discriminant lies within rounding of a computed edge.

    Notes
    -----
    Every edge is a root of the discriminant, but not every real root is an edge: the roots of
    each irreducible factor in a small interval around each computed edge are counted exactly
    (Sturm), and there must be one.

    Examples
    --------
    >>> from freefim.free.chains.chain import Chain, Gaussian
    >>> from freefim.free.chains.chain_law import ChainLaw
    >>> algebraic_edges(ChainLaw(Chain(1, (Gaussian(2, 1),))))
    (3 - 2*sqrt(2), 2*sqrt(2) + 3)
    """
    from math import isfinite

    of_law = curve(law)
    if of_law.arithmetic.symbols:
        raise SpecError(
            f"edges need numbers in the law, got the symbols {of_law.arithmetic.symbols!r}"
        )
    _, factors = elimination.discriminant(of_law)
    polynomials = [in_z(coefficients, of_law.arithmetic) for coefficients, _ in factors]
    ends = [float(end) for end in law.edges if isfinite(end)]
    scale = max(map(abs, ends), default=1.0)
    return tuple(_root_near(polynomials, end, scale) for end in ends)


def _root_near(polynomials: list[Any], end: float, scale: float) -> Any:
    from sympy import Rational

    center = Rational(end)
    counts: list[int] = []
    for radius in _RADII:
        reach = Rational(radius * scale)
        counts = [p.count_roots(center - reach, center + reach) for p in polynomials]
        if sum(counts) == 1:
            return _root(polynomials[counts.index(1)], center - reach, center + reach)
    raise ConvergenceError(
        f"{sum(counts)} roots of the discriminant lie within {_RADII[-1] * scale!r} of the "
        f"computed edge {end!r}"
    )


def _root(polynomial: Any, low: Any, high: Any) -> Any:
    """Return the one root in [low, high]."""
    from sympy import CRootOf, roots

    if polynomial.degree() <= 2:
        return next(r for r in roots(polynomial) if low <= r <= high)
    return CRootOf(polynomial, polynomial.count_roots(None, low))
