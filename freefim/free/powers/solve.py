"""Structure of laws whose curve is one formula: atoms, edges, one band, all in closed form."""

from dataclasses import dataclass
from math import exp, inf, log

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.powers.curve import PowerCurve
from freefim.free.solution import Pairs

__all__ = ["Band", "Structure", "structure_of"]

Array = NDArray[np.float64]
Curve = tuple[Array, Array, Array, Array, Array]

_SAME = 1e-13
_ROUNDING = 4e-16


@dataclass(frozen=True, eq=False)
class Band:
    """A band, as rows of `kernels.describe_edge`; a hard edge at 0 has none.

    Attributes
    ----------
    left, right : float
    mass, above : float
        Of the band, and of all above it.
    top, low : ndarray
    gap : float
        1 - p t at the upper edge; 0 where the density is infinite there.
    bounds : ndarray, shape (2,)
        Of s above and below the band, as in `kernels.in_gap`.
    """

    left: float
    right: float
    mass: float
    above: float
    top: Array
    low: Array
    gap: float
    bounds: Array


@dataclass(frozen=True, eq=False)
class Structure:
    """Atoms, and the band with its curve if there is one.

    `share` is the mass besides 0.
    """

    atoms: Pairs
    share: float
    curve: Curve | None = None
    band: Band | None = None


def structure_of(curve: PowerCurve) -> Structure | None:
    """Atoms and band of the law of a curve.

    Returns
    -------
    Structure or None
        None if exponents of both signs leave room for several bands.

    Raises
    ------
    ConvergenceError
        If its numbers leave the range of floats.
    """
    terms = curve.terms()
    if not terms or terms[0][1] < 1.0 - _SAME:
        return None
    excess, exponents = np.array(terms).T
    c = 1.0 + excess
    surplus = float(exponents.sum()) - 1.0
    surplus = 0.0 if abs(surplus) <= _SAME * len(terms) else surplus
    # a divisor, or a curve that is finite at m = ∞, is told from its smallest c
    reduced = len(terms) > 1 and (exponents[-1] < 0.0 or not surplus)
    q = c[-1] if reduced else 0.0
    b = excess[:-1] - excess[-1] if reduced else c
    e = exponents[:-1] if reduced else exponents
    if np.any(e < 0.0) or surplus < 0.0:
        return None
    floor = _ROUNDING * float(np.abs(exponents).sum() + 1.0)
    atoms = [(0.0, float(excess[0] / c[0]))] if excess[0] > floor * c[0] else []
    share = 1.0 / c[0]
    top_mass, hard = 0.0, False
    if not surplus:
        lost = float(e @ (b / (q + b))) if reduced else 0.0
        top_mass = float((1.0 - lost) / q if reduced else share)
        hard = abs(top_mass) <= floor
        if top_mass > floor:
            atoms.append((_top(curve, c, exponents), top_mass))
        else:
            top_mass = 0.0
        if float(e.sum()) <= 1.0 + _SAME:
            return Structure(tuple(atoms), float(share))
    beyond = -excess[-1] if reduced else 1.0
    par = np.array([
        log(curve.factor.value) + log(b[0]), q / b[0], surplus, 1.0 / b[0],
        float(exponents @ (1.0 / c)), excess[0] / b[0], beyond / b[0],
    ])  # fmt: skip
    arrays = (b / b[0], (b[0] - b) / b[0], e, e / c[: b.size], par)
    band = _band(arrays, share - top_mass, top_mass, hard=hard)
    return Structure(tuple(atoms), float(share), arrays, band)


def _top(curve: PowerCurve, c: Array, exponents: Array) -> float:
    """Where the atom besides 0 is."""
    place = curve.top.value
    if not 0.0 < place < inf:
        place = exp(log(curve.factor.value) + float(exponents @ np.log(c)))
    return place


def _band(curve: Curve, mass: float, above: float, *, hard: bool) -> Band:
    from freefim.free.powers import kernels

    top_log, low_log = kernels.find_edges(curve)
    t = exp(top_log)
    if hard:
        t = 1.0 / curve[4][1]
    top = kernels.describe_edge(curve, t, 1.0 + t)
    low, left = np.empty(0), 0.0
    if not np.isnan(low_log):
        u = exp(low_log)
        low = kernels.describe_edge(curve, -1.0 - u, -u)
        left = exp(low[2])
    if not top[2] < 709.0:
        raise ConvergenceError("numbers of the law leave the range of floats")
    gap = 0.0 if hard else 1.0 - curve[4][1] * t
    return Band(
        left, exp(top[2]), float(mass), float(above), top, low, gap, np.array([top_log, low_log])
    )
