r"""Coupled pairs, solved by one integral over the line of all (a², b²) with an eigenvalue λ.

λ is an eigenvalue of :math:`\mathrm{diag}(\alpha,\beta) + \zeta(a,b)^T(a,b)` iff
:math:`a^2/(\lambda-\alpha) + b^2/(\lambda-\beta) = 1/\zeta`: a line in the square
:math:`[0,4]^2`. On it the integrand has algebraic ends, and further branch points that come near
them only where the line meets a corner; double-exponential nodes forgive both.
"""

import math
from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.solution import Array, Pairs

__all__ = ["PairSolution", "solve_pair"]

Nodes = NDArray[np.complex128]
_Function = Callable[[Array, Array, float, float], Array]

_INNER, _OUTER, _REACH = 0.025, 0.04, 4.4
_BALANCE = 1e-10
_FEWEST = 256  # floats that a band must hold
_CHUNK = 1 << 12


def solve_pair(first: float, second: float, coupling: float) -> "PairSolution":
    """Solve a coupled pair.

    Raises
    ------
    ConvergenceError
        If the density of a band does not integrate to ½ within 1e-10, or floats beside α or β are
        not dense enough for a band.
    """
    place = max(abs(first), abs(second))
    if 4.0 * coupling < _FEWEST * math.ulp(place):
        raise ConvergenceError(
            f"a band at {place!r} of the width 4 coupling = {4.0 * coupling:.3g} is narrower than "
            f"{_FEWEST} floats there"
        )
    solution = PairSolution(min(first, second), abs(first - second), coupling)
    if not solution.accuracy.mass_defect <= _BALANCE:
        raise ConvergenceError(
            f"the density of a band misses its mass ½ by {solution.accuracy.mass_defect:.2g}"
        )
    return solution


@dataclass(frozen=True, eq=False)
class PairSolution:
    """A coupled pair: λ = low + u = (low + gap) + v, u and v = u - gap kept without cancellation.

    Attributes
    ----------
    low, gap : float
        min(α, β) and |α - β|.
    coupling : float
    """

    low: float
    gap: float
    coupling: float

    @cached_property
    def _cuts(self) -> tuple[tuple[float, ...], ...]:
        """Places where a corner of the square is met: u in the lower band, v in the upper one."""
        four = 4.0 * self.coupling
        half = 0.5 * self.gap
        far = half + math.hypot(half, four)
        upper = sorted({0.0, max(0.0, four - self.gap), four, four + four * (four / far)})
        if self.gap == 0.0:
            return (tuple(upper),)
        corner = self.gap * (four / (four + far))
        return (0.0, *sorted({corner, min(self.gap, four)})), tuple(upper)

    @property
    def _high(self) -> float:
        return self.low + self.gap

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        return ((self.low, 0.5),) if self.gap == 0.0 else ()

    @property
    def bands(self) -> Pairs:
        """Intervals (left, right) of the absolutely continuous part, ascending."""
        *lower, upper = self._cuts
        top = (self._high, self._high + upper[-1])
        return (*((self.low, self.low + cuts[-1]) for cuts in lower), top)

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""
        return (0.5,) * len(self._cuts)

    @cached_property
    def accuracy(self) -> Accuracy:
        """What was measured of the law's exactness."""
        masses = [float(weights.sum()) for _, weights in self._quadratures(1)]
        defect = max(abs(mass - 0.5) for mass in masses)
        return Accuracy(defect, 4e-16, 0.0, "one integral over two independent variables")

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        u = x - self.low
        v = x - self._high
        return np.where(np.isnan(x), np.nan, self._each(_density, u, v, 0.0, 0.0))

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        u = x - self.low
        v = x - self._high
        values = self._each(_mass_below, u, v, 0.0, 1.0)
        return np.where(np.isnan(x), np.nan, values)

    def _each(self, function: _Function, u: Array, v: Array, below: float, above: float) -> Array:
        """½ function of either eigenvalue, `below` and `above` beyond its band."""
        total = np.zeros_like(u)
        four = 4.0 * self.coupling
        if self.gap > 0.0:
            end = min(self.gap, four)
            inside = (u > 0.0) & (v < 0.0) & (u < end)
            total += np.where(inside | (u <= 0.0), below, above)
            total[inside] += function(u[inside] / four, -v[inside] / four, -1.0, four) - below
            if function is _density:
                total[(u == 0.0) | ((v == 0.0) & (four >= self.gap))] = np.inf
        else:
            total += np.where(u < 0.0, below, above)
        inside = (v > 0.0) & (v < self._cuts[-1][-1])
        total += np.where(inside | (v <= 0.0), below, above)
        total[inside] += function(u[inside] / four, v[inside] / four, 1.0, four) - below
        if function is _density and self.gap > 0.0:
            total[v == 0.0] = np.inf
        return 0.5 * total

    def cauchy(self, z: Nodes) -> Nodes:
        """Cauchy transform off the bands, any shape.

        The mean over a² is closed; that over b² is cut where its integrand is nearly singular.
        """
        z = np.asarray(z, dtype=complex)
        u, zeta = z.ravel() - self.low, self.coupling
        v = u - self.gap
        with np.errstate(all="ignore"):
            ends = np.stack([v / zeta, v * (1.0 / zeta - 4.0 / u)]).real
            ends = np.sort(np.clip(np.nan_to_num(ends), 0.0, 4.0), axis=0)
            total = np.zeros_like(u)
            share, rest, weight = _rule(_INNER)
            for left, right in pairwise([np.zeros(u.size), *ends, np.full(u.size, 4.0)]):
                width = (right - left)[:, None]
                b = left[:, None] + width * share
                density = np.sqrt(((4.0 - right)[:, None] + width * rest) / b) / (2.0 * np.pi)
                w = u[:, None] * (1.0 / zeta - b / v[:, None])
                # of MP(1): G = 2/(w + √w √(w-4))
                value = 2.0 / (w + np.sqrt(w) * np.sqrt(w - 4.0))
                inner = 1.0 + (v[:, None] / zeta + b * (u / v - 1.0)[:, None]) * value
                total += np.where(
                    right > left, (density * inner * weight).sum(axis=1) * width[:, 0] / v, 0.0
                )
        result = 0.5 * total
        result[np.isin(z.ravel(), [at for at, _ in self.atoms])] = np.inf
        return np.asarray(result.reshape(z.shape))

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""
        x, weights = zip(*self._quadratures(splits), strict=True)
        return np.concatenate(x), np.concatenate(weights)

    def _quadratures(self, splits: int) -> list[tuple[Array, Array]]:
        """Nodes and weights on each band."""
        share, rest, weight = _rule(_OUTER / splits)
        four, found = 4.0 * self.coupling, []
        for cuts, (first, last) in zip(self._cuts, self.bands, strict=True):
            sign = 1.0 if cuts is self._cuts[-1] else -1.0
            xs, weights = [], []
            for left, right in pairwise(cuts):
                width = right - left
                place = np.where(share < 0.5, left + width * share, right - width * rest)
                if sign > 0.0:
                    u, v, x = self.gap + place, place, self._high + place
                else:
                    v = width * rest if right == self.gap else self.gap - place
                    u, x = place, self.low + place
                density = 0.5 * _density(u / four, v / four, sign, four)
                xs.append(np.clip(x, first, last))
                weights.append(np.where(density > 0.0, density, 0.0) * width * weight)
            found.append((np.concatenate(xs), np.concatenate(weights)))
        return found


def _line(u: Array, v: Array, sign: float) -> tuple[Array, ...]:
    """The line x/u + sign·y/v = 1 in the unit square, x = a²/4, y = b²/4.

    Returns x, 1 - x, y, 1 - y, x/u, y/v and weights, shape (n, m).
    """
    share, rest, weight = _rule(_INNER)
    u, v = u[:, None], v[:, None]
    if sign > 0.0:
        # x = u (1 - τ), y = v τ
        start = np.maximum(0.0, 1.0 - 1.0 / u)
        stop = np.maximum(0.0, 1.0 - 1.0 / v)  # 1 - τ at the end
        width = np.maximum(np.minimum(1.0, 1.0 / u) - stop, 0.0)
        tau, other = start + width * share, stop + width * rest
        x, y = u * other, v * tau
        from_x = np.maximum(1.0 - u, 0.0) + u * width * share
        from_y = np.maximum(1.0 - v, 0.0) + v * width * rest
    else:
        # x = u (1 + σ), y = v σ
        width = np.minimum(1.0 / v, 1.0 / u - 1.0)
        tau = width * share
        other = 1.0 + tau
        x, y = u * other, v * tau
        from_x = np.maximum(1.0 - u * (1.0 + width), 0.0) + u * width * rest
        from_y = np.maximum(1.0 - v * width, 0.0) + v * width * rest
    return x, from_x, y, from_y, other, tau, width * weight


def _density(u: Array, v: Array, sign: float, four: float) -> Array:
    """Density of λ at u, v over 4ζ = `four`."""
    return _in_chunks(_density_chunk, u, v, sign) / four


def _density_chunk(u: Array, v: Array, sign: float) -> Array:
    with np.errstate(all="ignore"):
        x, from_x, y, from_y, other, tau, weight = _line(u, v, sign)
        profile = np.sqrt(from_x / x) * np.sqrt(from_y / y)
        slope = v[:, None] * other + u[:, None] * tau
        return np.asarray((profile * slope * weight).sum(axis=1) * (4.0 / np.pi**2))


def _mass_below(u: Array, v: Array, sign: float, four: float) -> Array:
    """Distribution function of λ at u, v over 4ζ."""
    return np.clip(_in_chunks(_mass_chunk, u, v, sign), 0.0, 1.0)


def _mass_chunk(u: Array, v: Array, sign: float) -> Array:
    with np.errstate(all="ignore"):
        x, from_x, y, from_y, _, _, weight = _line(u, v, sign)
        mass = np.sqrt(from_y / y) * v[:, None] * (2.0 / np.pi) * _below(x, from_x)
        inner = (mass * weight).sum(axis=1)
        if sign > 0.0:
            start = v * np.maximum(0.0, 1.0 - 1.0 / u)
            return np.asarray(inner + _below(start, 1.0 - start))
        stop = np.minimum(1.0, v * (1.0 / u - 1.0))
        return np.asarray(inner + 1.0 - _below(stop, 1.0 - stop))


def _below(x: Array, rest: Array) -> Array:
    """Mass of MP(1)/4 below x, rest = 1 - x."""
    x, rest = np.maximum(x, 0.0), np.maximum(rest, 0.0)
    angle = np.arctan2(np.sqrt(x), np.sqrt(rest))
    return np.asarray((2.0 / np.pi) * (angle + np.sqrt(x * rest)))


def _in_chunks(
    function: Callable[[Array, Array, float], Array], u: Array, v: Array, sign: float
) -> Array:
    """Apply a function of many points that needs room for each."""
    parts = [function(u[i : i + _CHUNK], v[i : i + _CHUNK], sign) for i in range(0, u.size, _CHUNK)]
    return np.concatenate(parts) if parts else np.empty(0)


@lru_cache(maxsize=16)
def _rule(step: float) -> tuple[Array, Array, Array]:
    """Double-exponential nodes s on (0, 1), 1 - s, and weights."""
    count = round(_REACH / step)
    t = step * np.arange(-count, count + 1)
    far = np.exp(-np.pi * np.abs(np.sinh(t)))
    small, large = far / (1.0 + far), 1.0 / (1.0 + far)
    share, rest = np.where(t < 0.0, small, large), np.where(t < 0.0, large, small)
    return share, rest, step * np.pi * np.cosh(t) * share * rest
