"""Quantiles and means of functions of a solved law."""

from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import ConvergenceError, SpecError

if TYPE_CHECKING:
    from freefim.free.solution import Solution

__all__ = ["expect", "icdf"]

Array = NDArray[np.float64]


_SETTLED, _ACCEPTED = 1e-13, 1e-9
# Where a mean does not exist on a band without end, a smooth measure of size grows by more.
_GROWTH = 1e-5
_MOST_SPLITS = 512
# Logarithm of the largest place looked at on a band without end.
_MAGNITUDES = 80.0
# Enough to cross all floats in growing strides and to halve what is left.
_MOST_STEPS = 200


def expect(solution: "Solution", function: Callable[[Array], ArrayLike]) -> float:
    """∫ f dμ over atoms and bands; the panels of the bands are split until it settles."""
    locations = np.array([location for location, _ in solution.atoms])
    masses = np.array([mass for _, mass in solution.atoms])
    atoms = float(np.sum(_values(function, locations) * masses))
    if not solution.bands:
        return atoms
    unbounded = bool(np.any(np.isinf(solution.bands)))
    splits, last, change, size = 1, np.nan, np.inf, 0.0
    scale, smooth, growth = 0.0, np.inf, np.inf if unbounded else 0.0
    while splits <= _MOST_SPLITS:
        x, weights = solution.nodes(splits)
        x, weights = x[weights != 0.0], weights[weights != 0.0]
        values = _values(function, x)
        total = atoms + float(np.sum(values * weights))
        size = abs(atoms) + float(np.sum(np.abs(values * weights)))
        change = abs(total - last)
        if unbounded:
            # where there is a mean, that of the absolute value settles too, here without its kinks
            scale = scale or size
            smooth, before = float(np.sum(np.hypot(values, scale) * weights)), smooth
            growth = abs(smooth - before)
        if change <= _SETTLED * size and growth <= _GROWTH * size:
            return total
        last = total
        splits *= 2
    if change <= _ACCEPTED * size and growth <= _GROWTH * size:
        return last
    raise ConvergenceError(
        f"the mean of the function did not settle: {last!r}, still moving by {change:.1e}; "
        + (
            "a law without bounds may give it none"
            if unbounded
            else "the mass of an interval is a difference of cdf"
        )
    )


def _values(function: Callable[[Array], ArrayLike], x: Array) -> Array:
    values = np.broadcast_to(np.asarray(function(x), dtype=float), x.shape)
    wrong = ~np.isfinite(values)
    if np.any(wrong):
        raise SpecError(
            f"function must be finite on the support, got {float(values[wrong][0])!r} "
            f"at x = {float(x[wrong][0])!r}"
        )
    return values


def icdf(solution: "Solution", p: Array) -> Array:
    """Smallest x with cdf(x) >= p, shape (n,); NaN outside [0, 1]."""
    lefts, rights, reached = _pieces(solution)
    valid = (p >= 0.0) & (p <= 1.0)
    # p = 1 and p beyond the rounded total belong to the last piece
    index = np.minimum(np.searchsorted(reached, np.where(valid, p, 0.0)), len(reached) - 1)
    x = np.where(valid, lefts[index], np.nan)
    last = valid & ((p >= reached[-1]) | (p == 1.0))
    x[last] = rights[-1]
    inside = valid & (rights[index] > lefts[index]) & ~last & (p > 0.0)
    if np.any(inside):
        x[inside] = _in_bands(solution, p[inside], lefts[index[inside]], rights[index[inside]])
    return x


def _pieces(solution: "Solution") -> tuple[Array, Array, Array]:
    """Atoms, and bands cut at the atoms: left ends, right ends, cdf reached there; ascending."""
    places = [location for location, _ in solution.atoms]
    pieces = [(place, place) for place in places]
    for left, right in solution.bands:
        cuts = [left, *(place for place in places if left < place <= right)]
        # a part below an atom ends at the last float before it
        pieces += [(low, np.nextafter(high, -np.inf)) for low, high in pairwise(cuts)]
        if cuts[-1] < right:
            pieces.append((cuts[-1], right))
    lefts, rights = np.array(sorted(pieces)).T
    return lefts, rights, np.maximum.accumulate(solution.cdf(rights))


def _in_bands(solution: "Solution", p: Array, left: Array, right: Array) -> Array:
    """Root of cdf = p in θ, x = left + (right - left) sin²(θ/2): smooth at every edge."""
    from scipy.optimize.elementwise import find_root

    def place(theta: Array, left: Array, right: Array) -> Array:
        unbounded = np.isinf(left) | np.isinf(right)
        low, high = np.where(unbounded, 0.0, left), np.where(unbounded, 0.0, right)
        finite = low + (high - low) * np.sin(0.5 * theta) ** 2
        inner = np.where(unbounded, _on_a_line(theta, left, right), finite)
        return np.asarray(np.clip(inner, left, right))

    def excess(theta: Array, p: Array, left: Array, right: Array) -> Array:
        x = place(theta, left, right)
        values = solution.cdf(x) - p
        # the ends belong to the neighbours: an atom may sit on one, a rounding may flip a sign
        values = np.where(theta <= 0.0, -1.0, values)
        return np.where(theta >= np.pi, 1.0, values)

    result = find_root(excess, (np.zeros_like(p), np.full_like(p, np.pi)), args=(p, left, right))
    if not np.all(result.success):
        worst = p[~result.success][0]
        raise ConvergenceError(f"the quantile of p = {float(worst)!r} did not converge")
    return _least(solution, p, place(result.x, left, right), left, right)


def _least(solution: "Solution", p: Array, x: Array, left: Array, right: Array) -> Array:
    """Smallest floats in [left, right] with cdf >= p, sought from x in growing strides."""
    low, high = _rank(left) - 1, _rank(right)
    middle = np.clip(_rank(x), low + 1, high)
    for k in range(_MOST_STEPS):
        (moving,) = np.nonzero(high > low + 1)
        if not moving.size:
            break
        reached = solution.cdf(_ranked(middle[moving])) >= p[moving]
        high[moving[reached]] = middle[moving[reached]]
        low[moving[~reached]] = middle[moving[~reached]]
        # beyond half the range of a float every stride leaves the bracket
        stride = np.int64(1) << np.int64(min(k, 61))
        start, stop = low[moving], high[moving]
        outside = stop // 2 - start // 2 <= stride // 2
        trial = np.where(reached, stop - stride, start + stride)
        middle[moving] = np.where(outside, start // 2 + stop // 2 + (start & stop & 1), trial)
    return _ranked(high)


def _rank(x: Array) -> NDArray[np.int64]:
    """Place of each float in the order of all floats; 0.0 has place 0."""
    bits = (np.asarray(x, dtype=float) + 0.0).view(np.int64)
    return np.where(bits < 0, np.iinfo(np.int64).min - bits, bits)


def _ranked(rank: NDArray[np.int64]) -> Array:
    """The float at each place."""
    return np.where(rank < 0, np.iinfo(np.int64).min - rank, rank).view(float)


def _on_a_line(theta: Array, left: Array, right: Array) -> Array:
    """Bands without end: θ in [0, π] runs through every order of magnitude."""
    t = _MAGNITUDES * (2.0 * theta / np.pi - 1.0)
    ray = np.where(np.isinf(left), right - np.exp(-t), left + np.exp(t))
    return np.where(np.isinf(left) & np.isinf(right), np.sinh(t), ray)
