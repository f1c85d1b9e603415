"""Structure of laws whose curve is one formula: atoms, edges and masses, before any density."""

from dataclasses import dataclass
from itertools import accumulate
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.powers.curve import PowerCurve
from freefim.free.solution import Pairs

__all__ = ["Band", "Curve", "Gap", "Structure", "structure_of"]

Array = NDArray[np.float64]
Curve = tuple[Array, Array, Array, Array, Array]

_SAME = 1e-13
_ROUNDING = 4e-16
_LARGEST = 709.0


@dataclass(frozen=True, eq=False)
class Band:
    """A band; its ends are rows of `kernels.describe_edge`, a hard edge at 0 has none.

    Attributes
    ----------
    left, right : float
    mass, above : float
        Of the band, and of all above it.
    top, low : ndarray
    gap : float
        1 - p t at the upper edge; 0 where the density is infinite there.
    """

    left: float
    right: float
    mass: float
    above: float
    top: Array
    low: Array
    gap: float


@dataclass(frozen=True)
class Gap:
    """A gap of [0, ∞), with the region and the bounds of s of `kernels.in_gap`."""

    left: float
    right: float
    region: int
    low: float
    high: float


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms, bands ascending, the gaps around them, and the curve if there are bands.

    Attributes
    ----------
    share : float
        The mass besides 0.
    simple : bool
        Whether it is a theorem that there is one band.
    """

    atoms: Pairs
    share: float
    simple: bool = True
    curve: Curve | None = None
    bands: tuple[Band, ...] = ()
    gaps: tuple[Gap, ...] = ()


def structure_of(curve: PowerCurve) -> Structure | None:
    r"""Atoms and bands of the law of a curve.

    With the smallest c as q where it is a divisor, y = m/(1 + q m) turns its factor into a power
    of 1 - q y. If no other factor is a divisor, arg z falls along every ray from the zero of the
    curve in the lower half plane, so that z > 0 on one line there: the law has one band.

    Returns
    -------
    Structure or None
        None for exponents that no chain has.

    Raises
    ------
    ConvergenceError
        If its numbers leave the range of floats.
    """
    terms = curve.terms()
    if not terms or min(accumulate(e for _, _, e in terms)) < 1.0 - _SAME * len(terms):
        return None
    level, excess, exponents = np.array(terms).T
    c = level * (1.0 + excess)
    # c - 1
    beyond = np.where(level == 1.0, excess, c - 1.0)
    surplus = float(exponents.sum()) - 1.0
    surplus = 0.0 if abs(surplus) <= _SAME * len(terms) else surplus
    # a divisor, or a curve that is finite at m = ∞, is told from its smallest c
    reduced = len(terms) > 1 and (exponents[-1] < 0.0 or not surplus)
    q = c[-1] if reduced else 0.0
    above = np.where(level == level[-1], level * (excess - excess[-1]), c - c[-1])
    b = above[:-1] if reduced else c
    e = exponents[:-1] if reduced else exponents
    if reduced and exponents[-1] > 0.0:
        return None
    share = float(1.0 / c[0])
    floor = _ROUNDING * float(np.abs(exponents).sum() + 1.0)
    atoms = [(0.0, float(beyond[0] / c[0]))] if beyond[0] > floor * c[0] else []
    mass, hard = 0.0, False
    if not surplus:
        lost = float(e @ (b / (q + b)))
        mass = float((1.0 - lost) / q) if reduced else share
        hard = abs(mass) <= floor
        mass = mass if mass > floor else 0.0
        if mass:
            atoms.append((_top(curve, c, exponents), mass))
        if float(e.sum()) <= 1.0 + _SAME:
            return Structure(tuple(atoms), share)
    scale = curve.factor.value * b[0]
    par = np.array([
        log(scale), q / b[0], surplus, 1.0 / b[0],
        float(exponents @ (1.0 / c)), beyond[0] / b[0], (-beyond[-1] if reduced else 1.0) / b[0],
        scale,
    ])  # fmt: skip
    arrays = (b / b[0], (b[0] - b) / b[0], e, e / c[: b.size], par)
    simple = bool(np.all(e > 0.0))
    bands, gaps = _bands(arrays, mass, share, hard=hard, simple=simple)
    return Structure(tuple(atoms), share, simple, arrays, bands, gaps)


def _top(curve: PowerCurve, c: Array, exponents: Array) -> float:
    """Where the atom besides 0 is."""
    place = curve.top.value
    if not 0.0 < place < inf:
        place = exp(log(curve.factor.value) + float(exponents @ np.log(c)))
    return place


def _bands(
    curve: Curve, above: float, share: float, *, hard: bool, simple: bool
) -> tuple[tuple[Band, ...], tuple[Gap, ...]]:
    """Bands, ascending, and gaps; `above` is the mass of the atom above them."""
    from freefim.free.powers import kernels

    top_log, low_log = kernels.find_edges(curve)
    t = 1.0 / curve[4][1] if hard else exp(top_log)
    top = kernels.describe_edge(curve, t, 1.0 + t)
    slack = 0.0 if hard else 1.0 - curve[4][1] * t
    if not top[4] < inf:
        raise ConvergenceError("numbers of the law leave the range of floats")
    bands = []
    right = float(top[4])
    gaps = [Gap(right, inf, 1, -_LARGEST, top_log)]
    inner = [] if simple else kernels.inner_gaps(curve)[::-1]
    for lower, upper, mass in inner:
        low = kernels.describe_edge(curve, -1.0 - exp(upper), -exp(upper))
        left = float(low[4])
        bands.append(Band(left, right, float(mass - above), above, top, low, slack))
        top, above = kernels.describe_edge(curve, -1.0 - exp(lower), -exp(lower)), float(mass)
        right, slack = float(top[4]), 1.0 - curve[4][1] * top[0]
        gaps.append(Gap(right, left, 2, lower, upper))
    low, left = np.empty(0), 0.0
    if not np.isnan(low_log):
        u = exp(low_log)
        low = kernels.describe_edge(curve, -1.0 - u, -u)
        left = float(low[4])
        gaps.append(Gap(0.0, left, 2, -_LARGEST, low_log))
    bands.append(Band(left, right, float(share - above), above, top, low, slack))
    return tuple(bands[::-1]), tuple(gaps[::-1])
