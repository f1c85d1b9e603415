"""Densities, transforms, edges and moments of laws to any number of digits."""

from collections.abc import Callable
from numbers import Integral
from typing import Any

import numpy as np

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.precise.numbers import check_digits, lifted
from freefim.free.precise.solver import Solver

__all__ = ["cauchy", "edges", "moment", "pdf"]


def cauchy(law: Law, z: Any, digits: int) -> Any:
    r"""Cauchy transform :math:`G(z) = \int \rho(dx)/(z - x)` to many digits.

    Parameters
    ----------
    law : Law
        A tree over atoms, named, uniform and Cauchy laws, or a chain of two-point gates.
    z : number or array_like of numbers
        Complex points off the bands and atoms; floats stand for the binary fractions they are.
    digits : int
        From 15 to 10,000.

    Returns
    -------
    mpmath.mpc, or ndarray of them of the shape of `z`
        Im G < 0 in the upper half plane.

    Raises
    ------
    SpecError
        If `digits` or a point is no such number, or a leaf is known in double precision only.
    ConvergenceError
        If a point lies on a band or an atom, or is not proven to lie on the physical sheet.

    Notes
    -----
    Newton on the joins of the tree, with the precision doubled as digits are gained, from a point
    found by continuation from infinity in floats. The engine of trees has no part in it.

    Examples
    --------
    >>> from mpmath import mp
    >>> from freefim.free.laws.named import Semicircle
    >>> with mp.workdps(50):  # the continued fraction of the semicircle: G = 1/(z - G)
    ...     g = cauchy(Semicircle(1), 3, 50)
    ...     bool(abs(g * (3 - g) - 1) < mp.mpf(10) ** -49)
    True
    """
    return _each(law, z, digits, lambda solver, point: solver.cauchy(point))


def pdf(law: Law, x: Any, digits: int) -> Any:
    """Density of the absolutely continuous part to many digits.

    Parameters
    ----------
    law : Law
        As for `cauchy`.
    x : number or array_like of numbers
        Real points; floats stand for the binary fractions they are.
    digits : int
        From 15 to 10,000.

    Returns
    -------
    mpmath.mpf, or ndarray of them of the shape of `x`
        0 outside the bands, ``inf`` at a hard edge; at an atom the density of the rest.

    Raises
    ------
    SpecError
        As for `cauchy`, and if a point is not real.
    ConvergenceError
        If a point is closer to an edge than the precision tells apart, without being one.

    Notes
    -----
    Inside a band the result is proven up to its last residual: at real x there is one solution
    with all subordination functions in the open upper half plane [1]_, and that is tested.

    References
    ----------
    .. [1] Belinschi & Bercovici, *J. Anal. Math.* 101 (2007) 357.

    Examples
    --------
    >>> from mpmath import mp
    >>> from freefim.free.laws.named import Semicircle
    >>> with mp.workdps(50):
    ...     bool(abs(pdf(Semicircle(1), 1, 50) - mp.sqrt(3) / (2 * mp.pi)) < mp.mpf(10) ** -49)
    True
    """
    return _each(law, x, digits, lambda solver, point: solver.density(point))


def edges(law: Law, digits: int) -> tuple[Any, ...]:
    """Ends of the bands to many digits.

    Parameters
    ----------
    law : Law
        As for `cauchy`.
    digits : int
        From 15 to 10,000.

    Returns
    -------
    tuple of mpmath.mpf
        Ascending, one for each of ``law.edges``, which say where to look.

    Raises
    ------
    SpecError
        As for `cauchy`.
    ConvergenceError
        If a place where dx/dw vanishes is not found near an edge: it is a hard edge other than 0.

    Examples
    --------
    >>> from mpmath import mp
    >>> from freefim.free.laws.named import Semicircle
    >>> with mp.workdps(30):
    ...     [bool(abs(abs(end) - 2) < mp.mpf(10) ** -29) for end in edges(Semicircle(1), 30)]
    [True, True]
    """
    solver = Solver(law, check_digits(digits))
    bands = law.bands
    scale = max((abs(end) for band in bands for end in band), default=1.0)
    return tuple(
        solver.edge(end, inwards, scale)
        for left, right in bands
        for end, inwards in ((left, 1), (right, -1))
    )


def moment(law: Law, k: int, digits: int) -> Any:
    r"""Moment E x^k to many digits: :math:`\oint z^k G(z)\,dz/(2\pi i)` around the support.

    Parameters
    ----------
    law : Law
        As for `cauchy`, with bounded support. Rational laws have their exact moment rounded.
    k : int
        At least 0.
    digits : int
        From 15 to 10,000.

    Returns
    -------
    mpmath.mpf

    Raises
    ------
    SpecError
        As for `cauchy`; if `k` is no such number or the law has no moments.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> moment(MarchenkoPastur(Fraction(1, 2)), 3, 30) == 2.75
    True
    """
    from freefim.free.trees.moments import tree_moments

    count = check_digits(digits)
    if isinstance(k, bool) or not isinstance(k, Integral) or k < 0:
        raise SpecError(f"k must be an integer >= 0, got {k!r}")
    k = int(k)
    exact = tree_moments(law, k)[-1] if k else 1
    if not isinstance(exact, float):
        from mpmath import mp

        with mp.workdps(count):
            return lifted(exact)
    return Solver(law, count).moment(k)


def _each(law: Law, points: Any, digits: int, function: Callable[[Solver, Any], Any]) -> Any:
    """Apply a function of one point; scalars in, scalars out."""
    solver = Solver(law, check_digits(digits))
    if not isinstance(points, list | tuple | np.ndarray):
        return function(solver, points)
    held = np.array(points, dtype=object)
    results = np.empty(held.shape, dtype=object)
    for index in np.ndindex(held.shape):
        results[index] = function(solver, held[index])
    return results
