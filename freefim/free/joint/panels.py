r"""Panels: a density on a band as exponentials of Chebyshev series, piece by piece.

On a band the variable y = x - shift > 0 is mapped to t by log y = a - t² (a band that starts at
y = 0) or log y = a + (b - a) sin²(t/2); t = 0 is the right end. Each panel holds the series of
the logarithm of ρ dy/dt with its powers of t at the ends taken off, so that values keep their
relative accuracy over all decades of the density.
"""

from dataclasses import dataclass
from functools import cache

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "NODES",
    "Band",
    "chebyshev_nodes",
    "end_nodes",
    "from_end_nodes",
    "refinement",
    "tail",
]

_Reals = NDArray[np.float64]

NODES = 16
_BESIDE = 1e-9


@cache
def _matrices() -> tuple[_Reals, _Reals, _Reals]:
    """Nodes on [-1, 1] ascending, values → coefficients, Fejér weights."""
    k = np.arange(NODES)
    angle = np.pi * (NODES - k - 0.5) / NODES
    transform = 2 / NODES * np.cos(np.outer(k, angle))
    transform[0] /= 2
    even = np.where(k % 2 == 0, 2 / (1 - np.where(k == 1, 0, k).astype(float) ** 2), 0)
    return np.cos(angle), transform, even @ transform


def chebyshev_nodes(left: float, right: float) -> _Reals:
    """Chebyshev nodes of the first kind on (left, right), ascending."""
    return 0.5 * (left + right) + 0.5 * (right - left) * _matrices()[0]


def end_nodes(left: float, right: float, *, at_left: bool) -> _Reals:
    """Nodes on (left, right) for a function even about one end: Chebyshev nodes in its square.

    Rounding of y spoils values within 1e-3 of an edge; these nodes keep away from it.
    """
    root = np.sqrt((1 + _matrices()[0]) / 2)
    return left + (right - left) * root if at_left else right - (right - left) * root[::-1]


@cache
def from_end_nodes(*, at_left: bool) -> _Reals:
    """Values at `end_nodes` → values at `chebyshev_nodes`, shape (NODES, NODES)."""
    nodes, transform, _ = _matrices()
    square = 2 * ((1 + nodes) / 2) ** 2 - 1
    matrix = np.cos(np.outer(np.arccos(square), np.arange(NODES))) @ transform
    return np.asarray(matrix if at_left else matrix[::-1, ::-1])


@cache
def refinement() -> _Reals:
    """Values on a panel → values at the nodes of its two halves, shape (2·NODES, NODES)."""
    nodes, transform, _ = _matrices()
    inner = np.concatenate([(nodes - 1) / 2, (nodes + 1) / 2])
    return np.cos(np.outer(np.arccos(inner), np.arange(NODES))) @ transform


def tail(values: _Reals) -> float:
    """Largest of the last three Chebyshev coefficients of values at the nodes of a panel."""
    return float(np.abs(_matrices()[1][-3:] @ values).max())


def _clenshaw(coefficients: _Reals, s: _Reals) -> _Reals:
    """Series with one row of coefficients per point of s."""
    b1 = np.zeros_like(s)
    b2 = np.zeros_like(s)
    for k in range(coefficients.shape[1] - 1, 0, -1):
        b1, b2 = coefficients[:, k] + 2 * s * b1 - b2, b1
    return coefficients[:, 0] + s * b1 - b2


def _log_ratio(y: _Reals, log_end: float) -> _Reals:
    """log(y/end), exact both near the end and decades away from it."""
    end = np.exp(log_end)
    # at y = 0 the logarithm of the smallest number stands for -inf
    far = np.log(np.maximum(y, np.finfo(float).tiny)) - log_end
    near = (y - end) / end
    return np.where(np.abs(near) < 0.5, np.log1p(np.clip(near, -0.5, 0.5)), far)


@dataclass(frozen=True, eq=False)
class Band:
    """The density of y on one band.

    Attributes
    ----------
    kind : int
        1: log y = a - t²; 2: log y = a + (b - a) sin²(t/2).
    a, b : float
        log y at the ends (b is the visible end for kind 1).
    powers : (int, int)
        Powers of the distance in t that ρ dy/dt has at the right and at the left end.
    cuts : ndarray, shape (n + 1,)
        Ends of the panels in t, ascending.
    logs : ndarray, shape (n, NODES)
        log ρ dy/dt at the nodes, powers taken off.
    """

    kind: int
    a: float
    b: float
    powers: tuple[int, int]
    cuts: _Reals
    logs: _Reals

    @property
    def low(self) -> float:
        """The y at the left end."""
        return 0.0 if self.kind == 1 else float(np.exp(self.b))

    def log_y(self, t: _Reals) -> _Reals:
        """The map."""
        if self.kind == 1:
            return np.asarray(self.a - t * t)
        return np.asarray(self.a + (self.b - self.a) * np.sin(t / 2) ** 2)

    def dlog_y(self, t: _Reals) -> _Reals:
        """Absolute value of d log y/dt."""
        if self.kind == 1:
            return np.asarray(2 * t)
        return np.asarray((self.a - self.b) * 0.5 * np.sin(t))

    def log_powers(self, t: _Reals) -> _Reals:
        """Logarithm of the powers at the ends."""
        right, left = self.powers
        if self.kind == 1:
            return np.asarray(right * np.log(t))
        return np.asarray(right * np.log(np.sin(t / 2)) + left * np.log(np.cos(t / 2)))

    def panel_mass(self, left: float, right: float, logs: _Reals) -> float:
        """Mass of one panel."""
        t = chebyshev_nodes(left, right)
        profile = np.exp(logs + self.log_powers(t))
        return float(0.5 * (right - left) * (_matrices()[2] @ profile))

    @property
    def _nodes(self) -> _Reals:
        half = np.diff(self.cuts)[:, None] / 2
        return np.asarray(self.cuts[:-1, None] + half * (1 + _matrices()[0]))

    @property
    def _profile(self) -> _Reals:
        """ρ dy/dt at the nodes, shape (n, NODES)."""
        return np.asarray(np.exp(self.logs + self.log_powers(self._nodes)))

    def quadrature(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Points y ascending and weights: Σ weight·f(y) is the integral of f ρ over the band.

        Each panel is cut in `splits` pieces, for functions less smooth than the density.
        """
        nodes, transform, fejer = _matrices()
        local = ((2 * np.arange(splits) + 1)[:, None] + nodes).ravel() / splits - 1
        half = np.diff(self.cuts)[:, None] / 2
        t = self.cuts[:-1, None] + half * (1 + local)
        series = transform.T @ np.cos(np.outer(np.arange(NODES), np.arccos(local)))
        profile = np.exp(self.logs @ series + self.log_powers(t))
        weights = half / splits * np.tile(fejer, splits) * profile
        return np.exp(self.log_y(t)).ravel()[::-1], weights.ravel()[::-1]

    def _place(self, y: _Reals) -> tuple[_Reals, _Reals, NDArray[np.int64]]:
        """t, the place in [-1, 1] on its panel, and the index of the panel."""
        down = np.maximum(-_log_ratio(y, self.a), 0)
        if self.kind == 1:
            t = np.sqrt(down)
        else:
            up = _log_ratio(y, self.b)
            t = 2 * np.arctan2(np.sqrt(down), np.sqrt(np.maximum(up, 0)))
        k = np.clip(np.searchsorted(self.cuts, t, side="right") - 1, 0, self.cuts.size - 2)
        s = 2 * (t - self.cuts[k]) / (self.cuts[k + 1] - self.cuts[k]) - 1
        return t, np.clip(s, -1, 1), k

    def pdf(self, y: _Reals) -> _Reals:
        """Density at points y of the band; inf at a hard end, 0 below the visible end."""
        t, s, k = self._place(y)
        coefficients = (self.logs @ _matrices()[1].T)[k]
        # beside the ends, where the quotient of powers has its limit to rounding
        inner = np.clip(t, _BESIDE, min(self.cuts[-1], np.pi - _BESIDE if self.kind == 2 else 1e3))
        extra = self.log_powers(inner) - np.log(self.dlog_y(inner))
        value = np.exp(_clenshaw(coefficients, s) + extra) / np.where(y > 0, y, 1.0)
        ends = np.where(t == 0, self.powers[0], self.powers[1])
        at_end = (t == 0) | ((self.kind == 2) & (t >= np.pi))
        value = np.where(at_end & (ends != 1), np.where(ends == 2, 0.0, np.inf), value)
        return np.where((t > self.cuts[-1]) | (t < self.cuts[0]), 0.0, value)

    def mass_above(self, y: _Reals) -> _Reals:
        """Mass of the band to the right of points y of the band."""
        _, s, k = self._place(y)
        half = np.diff(self.cuts) / 2
        c = self._profile @ _matrices()[1].T * half[:, None]
        padded = np.concatenate([c, np.zeros((c.shape[0], 2))], axis=1)
        order = np.arange(1, NODES + 1)
        primitive = np.zeros((c.shape[0], NODES + 1))
        before = padded[:, :-2].copy()
        before[:, 0] *= 2
        primitive[:, 1:] = (before - padded[:, 2:]) / (2 * order)
        primitive[:, 0] = -(primitive[:, 1:] * (-1.0) ** order).sum(axis=1)
        totals = np.concatenate([[0.0], np.cumsum(primitive.sum(axis=1))])
        return np.asarray(totals[k] + _clenshaw(primitive[k], s))
