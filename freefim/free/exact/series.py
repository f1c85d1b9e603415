"""R- and S-transforms of laws as power series with exact coefficients."""

from fractions import Fraction
from typing import Any

from freefim.errors import SpecError
from freefim.free.exact.chains import unrolled
from freefim.free.exact.specialisation import symbols
from freefim.free.law import Law
from freefim.free.trees.moments import tree_cumulants, tree_moments
from freefim.free.trees.series import reverted

__all__ = ["r_series", "s_series"]


def r_series(law: Law, order: int) -> tuple[Any, ...]:
    r"""Coefficients of R(g) = z(g) - 1/g: the free cumulants.

    Parameters
    ----------
    law : Law
        A law with moments; its numbers are int, Fraction, rationals of sympy or expressions.
    order : int
        How many coefficients, at least 1.

    Returns
    -------
    tuple of int, Fraction or sympy.Expr, length `order`
        Those of 1, g, …, g^(order - 1).

    Raises
    ------
    SpecError
        If a number of the law is a float, the law has no moments, or the order is below 1.

    References
    ----------
    .. [1] Mingo & Speicher, *Free Probability and Random Matrices*, 2017, ch. 2.

    Examples
    --------
    >>> from freefim.free.laws.named import FreePoisson
    >>> r_series(FreePoisson(2, 3), 4)  # rate·jump/(1 - jump g)
    (6, 18, 54, 162)
    """
    return _exact(law, tree_cumulants(unrolled(law), order))


def s_series(law: Law, order: int) -> tuple[Any, ...]:
    r"""Coefficients of S(m) = (1 + m)/(m z(m)).

    Parameters
    ----------
    law : Law
        As for `r_series`, of mean other than 0.
    order : int
        How many coefficients, at least 1.

    Returns
    -------
    tuple of int, Fraction or sympy.Expr, length `order`
        Those of 1, m, …, m^(order - 1).

    Raises
    ------
    SpecError
        As for `r_series`, or if the mean is 0.

    References
    ----------
    .. [1] Mingo & Speicher, *Free Probability and Random Matrices*, 2017, ch. 4.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> s_series(MarchenkoPastur(2), 4)  # 1/(1 + ratio m)
    (1, -2, 4, -8)
    """
    moments = _exact(law, tree_moments(unrolled(law), order))
    if moments[0] == 0:
        raise SpecError(f"an S-transform needs a mean other than 0, got {law!r}")
    lift, lower = _field(symbols(law), moments)
    mean, *higher = map(lift, moments)
    # m/M_1² as a series in χ/M_1, χ = 1/z(m), and its inverse: no fractions of symbols
    chi = reverted([lift(0), lift(1), *(m * mean**k for k, m in enumerate(higher))])
    # S = (1 + m) χ(m)/m
    return tuple(lower((chi[k + 1] + mean**2 * chi[k]) / mean ** (2 * k + 1)) for k in range(order))


def _exact(law: Law, values: tuple[Any, ...]) -> tuple[Any, ...]:
    if any(isinstance(value, float) for value in values):
        raise SpecError(
            "exact series need int, Fraction, rationals of sympy or expressions as the numbers of "
            f"a law, got {law!r}"
        )
    return values


def _field(held: tuple[Any, ...], values: tuple[Any, ...]) -> tuple[Any, Any]:
    """Return how numbers enter the field in which series are computed, and how they leave it."""
    if all(isinstance(value, int | Fraction) for value in values):
        return Fraction, lambda x: x.numerator if x.denominator == 1 else x
    from sympy import QQ, sympify

    domain = QQ.frac_field(*held) if held else QQ
    return lambda x: domain.from_sympy(sympify(x)), domain.to_sympy
