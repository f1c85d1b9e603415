"""The gate of an activation that is known on the real axis only.

Between kinks φ' is replaced by its best rational function (AAA), which continues it into the
complex plane far enough for a contour; the contour measures whether that was far enough.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from functools import lru_cache
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.leaves.paths import REACH, End, Flat, Piece, Tail
from freefim.networks.custom import CustomActivation

__all__ = ["custom_parts"]

_Array = NDArray[Any]
_Slope = Callable[[_Array], _Array]
_Parts = list[Piece | Flat]

_SAMPLES, _CHECKS, _MAX_TERMS = 400, 1201, 60
#: Accuracy asked of the rational function on the real axis, relative to the largest |φ'|.
_REAL_ACCURACY = 1e-11
#: φ' this close to its last value, relative to the largest |φ'|, counts as constant.
_FLAT = 1e-9
#: ... on that share of the visible range; on a shorter one the derivative is merely slow.
_FLAT_LENGTH = 0.05
#: Spread of φ' that is rounding.
_CONSTANT = 1e-14


@lru_cache(maxsize=64)
def custom_parts(activation: CustomActivation, q: float) -> tuple[Piece | Flat, ...]:
    """Monotone pieces and flat parts of the gate on the visible range of h ~ N(0, q).

    Raises
    ------
    ConvergenceError
        If φ' is not analytic between the declared kinks, as far as 64-bit numbers can tell.
    """
    reach = REACH * math.sqrt(q)
    kinks = [kink for kink in activation.kinks if abs(kink) < reach]
    ends = [-reach, *kinks, reach]
    parts: _Parts = []
    for left, right in pairwise(ends):
        parts += _segment(activation, left, right, reach)
    return tuple(parts)


def _samples(left: float, right: float) -> _Array:
    x = np.cos(np.pi * (np.arange(_SAMPLES, 0, -1) - 0.5) / _SAMPLES)
    return np.asarray((left + right) / 2 + (right - left) / 2 * x)


def _segment(activation: CustomActivation, left: float, right: float, reach: float) -> _Parts:
    """Parts between two kinks, or a kink and the end ±`reach` of the visible range."""
    x = _samples(left, right)
    slopes = activation.derivative(x)
    size = float(np.abs(slopes).max())
    outer = [-math.inf if left == -reach else left, math.inf if right == reach else right]
    if np.ptp(slopes) <= _CONSTANT * size:
        return [Flat(outer[0], outer[1], float(slopes[0] ** 2))]
    head: _Parts = []
    tail: _Parts = []
    if math.isinf(outer[0]):
        last = _last_flat(x, slopes, size)
        if last - left > _FLAT_LENGTH * (right - left):
            left = outer[0] = last
            head = [Flat(-math.inf, left, _level(slopes[0], size))]
    if math.isinf(outer[1]):
        last = _last_flat(x[::-1], slopes[::-1], size)
        if right - last > _FLAT_LENGTH * (right - left):
            right = outer[1] = last
            tail = [Flat(right, math.inf, _level(slopes[-1], size))]
    return [
        *head,
        *_pieces(_rational(activation, left, right, size), left, right, outer, size),
        *tail,
    ]


def _last_flat(x: _Array, slopes: _Array, size: float) -> float:
    """Last place up to which φ' is constant: a kink beyond it stays where it is seen."""
    count = int(np.argmax(np.abs(slopes - slopes[0]) > _FLAT * size))
    return float(x[max(count - 1, 0)])


def _level(slope: float, size: float) -> float:
    """Value of g where φ' is constant."""
    return float(slope) ** 2 if abs(slope) > _FLAT * size else 0.0


def _pieces(
    slope: _Slope, left: float, right: float, outer: list[float], size: float
) -> list[Piece]:
    """Monotone pieces; the infinite ones of the `outer` ends are tails."""
    turns = _turns(slope, left, right, size)
    places = [left, *(turn.place for turn in turns), right]
    rates = [_rate(slope, a, b) for a, b in pairwise(places)]
    first, last = (
        Tail(rate) if math.isinf(end) else _end(slope, end, size)
        for end, rate in zip(outer, (rates[0], rates[-1]), strict=True)
    )
    ends: list[End | Tail] = [first, *turns, last]
    return [Piece(slope, a, b, rate) for (a, b), rate in zip(pairwise(ends), rates, strict=True)]


def _rational(activation: CustomActivation, left: float, right: float, size: float) -> _Slope:
    from scipy.interpolate import AAA

    x = _samples(left, right)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")  # its own verdict is replaced by the check below
        fit = AAA(x, activation.derivative(x), rtol=1e-13, max_terms=_MAX_TERMS)
    test = np.linspace(x[0], x[-1], _CHECKS)
    off = np.abs(fit(test) - activation.derivative(test)).max() / size
    if not off <= _REAL_ACCURACY:
        raise ConvergenceError(
            f"the derivative of {activation!r} is not analytic between {left:.4g} and "
            f"{right:.4g}: rational approximation of degree {len(fit.support_points) - 1} errs "
            f"by {off:.1e}; is a kink missing from kinks={activation.kinks}?"
        )
    return lambda h: np.asarray(fit(h))


def _derivative(slope: _Slope, x: _Array, radius: float) -> _Array:
    """φ'' by Cauchy's formula on small circles."""
    turn = np.exp(2j * np.pi * np.arange(8) / 8)
    return np.asarray((slope(x[:, None] + radius * turn) / turn).mean(axis=1).real / radius)


def _turns(slope: _Slope, left: float, right: float, size: float) -> list[End]:
    """Zeros of φ' and φ'' inside an interval."""
    grid = np.linspace(left, right, _CHECKS)[1:-1]
    radius = 1e-3 * (right - left)

    def second(x: _Array) -> _Array:
        return _derivative(slope, x, radius)

    zeros = [End(place, "zero") for place in _roots(slope, grid, _FLAT * size)]
    turns = [End(place, "turn") for place in _roots(second, grid, _FLAT * size / radius)]
    return sorted(zeros + turns, key=lambda end: end.place)


def _roots(function: _Slope, grid: _Array, noise: float) -> list[float]:
    """Sign changes along a grid, of values above the noise."""
    from scipy.optimize import brentq

    values = function(grid)
    seen = np.abs(values) > noise
    points = zip(grid[seen], values[seen], strict=True)
    return [
        float(brentq(lambda h: float(function(np.array([h]))[0]), low, high, xtol=1e-15))
        for (low, before), (high, after) in pairwise(points)
        if before * after < 0
    ]


def _end(slope: _Slope, place: float, size: float) -> End:
    vanishes = abs(slope(np.array([place]))[0]) < _FLAT * size
    return End(place, "zero" if vanishes else "kink")


def _rate(slope: _Slope, left: float, right: float) -> float:
    """How fast log|g'| changes in the middle half of a piece, at its fastest."""
    length = right - left
    h = np.linspace(left + length / 4, right - length / 4, 12)
    change = np.abs(slope(h) * _derivative(slope, h, 1e-3 * length))
    steps = np.abs(np.diff(np.log(np.maximum(change, 1e-300))))
    return float(np.clip(steps.max() / (h[1] - h[0]), 3 / length, 20.0))
