r"""Pair moments of any activation: a Hermite series in the correlation, else nested panels.

With :math:`\varphi(\sqrt q\,x)=\sum_n a_n \mathrm{He}_n(x)/\sqrt{n!}` Mehler's formula gives
:math:`E\varphi\varphi=\sum_n a_n^2c^n` and :math:`q\,E\varphi'\varphi'=\sum_n n\,a_n^2c^{n-1}`.
The coefficients come from the trapezoid rule on one grid for all variances. What is left of
:math:`E\varphi^2` and :math:`q\,E\varphi'^2` after N terms (Parseval) bounds the tail, and the
same sum on every other node bounds the error of the grid. Where the series is too long the
activations of the library have a limiting function (`pair_limits`); for the others, and with
kinks, the pair (u, v) is integrated over panels, v given u.
"""

from __future__ import annotations

import math
from functools import lru_cache

import numpy as np

from freefim.errors import ConvergenceError
from freefim.networks.activation_base import Activation, Array
from freefim.networks.pair_limits import has_limit, limit_moments
from freefim.networks.pair_moments import PairMoments

__all__ = ["quadrature_moments"]

# Terms and step of three grids on [0, 12]: beyond, a normalised Hermite function times the
# Gaussian is below 1e-15. The error of one grid is below the square of that of half as many nodes.
_GRIDS = ((96, 0.1), (384, 0.05), (1200, 0.025))
_END = 12.0
_AIMED, _PROMISED = 1e-12, 1e-9
_BATCH = 256

# Panels within 9 standard deviations: orders that are compared, widest panel, refinements, nodes
# held at once.
_ORDERS = (10, 16)
_REACH, _PLAIN = 9.0, 1.5
_HALVINGS = 3
_CHUNK = 1 << 18


@lru_cache(maxsize=8)
def _hermite_weights(terms: int, step: float) -> tuple[Array, Array]:
    """Nodes x >= 0, and the weights that turn values at them into coefficients; (terms, nodes).

    A row n takes the even part of the function for even n, the odd part for odd n.
    """
    x: Array = np.arange(round(_END / step) + 1, dtype=np.float64) * step
    root = math.pi**-0.25 * 2.0**-0.25
    bell = root * np.exp(-0.25 * x * x)
    rows = np.empty((terms, x.size))
    rows[0] = bell
    rows[1] = x * bell
    for n in range(1, terms - 1):
        rows[n + 1] = (x * rows[n] - math.sqrt(n) * rows[n - 1]) / math.sqrt(n + 1)
    weights: Array = 2.0 * step * bell
    weights[0] *= 0.5
    return x, rows * weights


def _coefficients(phi: Activation, q: Array, terms: int, step: float) -> tuple[Array, Array]:
    """Coefficients a_n of every variance, on the whole grid and on every other node of it."""
    x, weights = _hermite_weights(terms, step)
    h = np.sqrt(q)[:, None] * x
    right, left = phi.function(h), phi.function(-h)
    fine, coarse = np.empty((q.size, terms)), np.empty((q.size, terms))
    for parity, part in enumerate((0.5 * (right + left), 0.5 * (right - left))):
        rows = weights[parity::2]
        fine[:, parity::2] = part @ rows.T
        coarse[:, parity::2] = 2.0 * (part[:, ::2] @ rows[:, ::2].T)
    return fine, coarse


def _series(
    phi: Activation,
    q: Array,
    c: Array,
    d: Array,
    second: Array,
    square: Array,
    grid: tuple[int, float],
) -> tuple[Array, Array, Array, Array]:
    """Product, gap, slope product and the estimated relative error of each pair."""
    terms, step = grid
    fine, coarse = _coefficients(phi, q, terms, step)
    order = np.arange(1, terms)
    powers = np.empty((q.size, terms))
    powers[:, 0] = 1.0
    powers[:, 1:] = c[:, None]
    np.multiply.accumulate(powers, axis=1, out=powers)
    mass, other = np.square(fine), np.square(coarse)
    product = (mass * powers).sum(axis=1)
    # 1 - c^n = d (1 + c + ... + c^(n-1)); what is left of E φ² counts as one term of order N
    lost = np.cumsum(powers, axis=1)
    gap = d * (mass[:, 1:] * lost[:, :-1]).sum(axis=1)
    gap += d * (second - mass.sum(axis=1)) * lost[:, -1]
    slopes = mass[:, 1:] * order / q[:, None]
    slope = (slopes * powers[:, :-1]).sum(axis=1)
    last = np.abs(powers[:, -1])
    tail = np.abs(second - mass.sum(axis=1)) / second * last
    tail += np.abs(square - slopes.sum(axis=1)) / square * last
    drift = np.abs(((other - mass) * powers).sum(axis=1)) / second
    moved = (other - mass)[:, 1:] * order * powers[:, :-1]
    drift += np.abs(moved.sum(axis=1)) / (q * square)
    return product, gap, slope, tail + drift


def quadrature_moments(
    phi: Activation, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    """Pair moments at variances q, correlations c, distances d = 1 - c; arrays of one axis.

    Raises
    ------
    ConvergenceError
        If an estimated error stays above 1e-9.
    """
    found = np.empty((4, q.size))
    found[3] = math.inf
    todo = np.flatnonzero(d != 0.0)
    found[:, d == 0.0] = np.stack([second, 0.0 * q, square, 0.0 * q])[:, d == 0.0]
    wide = todo[has_limit(phi, q[todo], c[todo])]
    if wide.size:
        found[:, wide] = limit_moments(phi, q[wide], c[wide], d[wide], second[wide], square[wide])
        todo = todo[~(found[3, todo] <= _AIMED)]
    for grid in () if phi.kinks else _GRIDS:
        for start in range(0, todo.size, _BATCH):
            at = todo[start : start + _BATCH]
            found[:, at] = _series(phi, q[at], c[at], d[at], second[at], square[at], grid)
        todo = todo[~(found[3, todo] <= _AIMED)]
    for i in todo:
        if not found[3, i] <= _PROMISED:
            found[:, i] = _nested(phi, float(q[i]), float(c[i]), float(d[i]), second[i], square[i])
    return PairMoments(found[0], found[1], found[2], float(found[3].max(initial=0.0)))


def _breaks(centres: Array, finest: float) -> Array:
    """Ends of panels on [-9, 9]: even ones, and ladders that double away from the centres.

    `centres` is of shape (rows, centres); the panels of a row may be empty.
    """
    rungs = max(0, math.ceil(math.log2(2 * _REACH / finest)))
    ladder = finest * 2.0 ** np.arange(rungs)
    steps = np.concatenate([-ladder, [0.0], ladder])
    plain = np.arange(-_REACH, _REACH + _PLAIN, _PLAIN)
    rows = centres.shape[0]
    ladders = (centres[:, :, None] + steps).reshape(rows, -1)
    ends = np.concatenate([np.broadcast_to(plain, (rows, plain.size)), ladders], axis=1)
    return np.sort(np.clip(ends, -_REACH, _REACH), axis=1)


def _panel_nodes(ends: Array, order: int) -> tuple[Array, Array]:
    """Nodes and Gaussian weights on the panels of every row."""
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(ends, axis=1)
    x = (0.5 * (ends[:, 1:] + ends[:, :-1]))[..., None] + half[..., None] * nodes
    mass = half[..., None] * weights * np.exp(-0.5 * x * x) / math.sqrt(2.0 * math.pi)
    rows = ends.shape[0]
    return x.reshape(rows, -1), mass.reshape(rows, -1)


def _halved(ends: Array, times: int) -> Array:
    for _ in range(times):
        ends = np.sort(np.concatenate([ends, 0.5 * (ends[:, 1:] + ends[:, :-1])], axis=1), axis=1)
    return ends


def _nested(
    phi: Activation, q: float, c: float, d: float, second: float, square: float
) -> tuple[float, float, float, float]:
    """Product, gap, slope product and estimated relative error by panels for u, then v."""
    std, spread = math.sqrt(q), math.sqrt(d * (1.0 + c))
    centres = np.array([0.0, *phi.kinks]) / std
    # E φ(v) given u has the kinks of φ rounded off over the width `spread`
    smeared = centres / c if abs(c) > 1.0 / _REACH else centres
    outer = np.concatenate(
        [_breaks(centres[None], 0.5 / std), _breaks(smeared[None], max(spread, 1e-12))], axis=1
    )
    outer = np.sort(outer, axis=1)
    size = np.array([second, second, square])
    error, finest = math.inf, min(0.5 / (std * max(spread, 1e-300)), 2 * _REACH)
    values = np.zeros(3)
    for halvings in range(_HALVINGS):
        last = values
        for order in _ORDERS:
            last = values
            x, mass = _panel_nodes(_halved(outer, halvings), order)
            values = _given_u(phi, x[0], mass[0], (std, c, spread, finest), (halvings, order))
        error = float((np.abs(values - last) / size).max())
        if error <= _PROMISED:
            break
    if not error <= _PROMISED:
        raise ConvergenceError(
            f"the pair moments of {phi!r} at variance {q:.6g} and correlation {c:.6g} change by "
            f"{error:.1e} of their size under the last refinement"
        )
    product, gap, slope = values.tolist()
    return product, gap, slope, error


def _given_u(
    phi: Activation,
    x: Array,
    mass: Array,
    scales: tuple[float, float, float, float],
    rule: tuple[int, int],
) -> Array:
    """Sum over u = std x of the averages over v = std (c x + spread y)."""
    std, c, spread, finest = scales
    halvings, order = rule
    keep = mass > 1e-22
    x, mass = x[keep], mass[keep]
    kinks = np.array([0.0, *phi.kinks]) / std
    total = np.zeros(3)
    rows = max(1, _CHUNK // (order * 2**halvings * 64))
    for start in range(0, x.size, rows):
        u, share = x[start : start + rows, None], mass[start : start + rows]
        if spread > 0.0:
            y, inner = _panel_nodes(
                _halved(_breaks((kinks - c * u) / spread, finest), halvings), order
            )
        else:
            y, inner = np.zeros((u.size, 1)), np.ones((u.size, 1))
        v, u = std * (c * u + spread * y), std * u
        first, other = phi.function(u), phi.function(v)
        slopes = phi.derivative(u) * phi.derivative(v)
        pairs = np.stack([first * other, 0.5 * np.square(first - other), slopes])
        total += (pairs * inner).sum(axis=2) @ share
    return total
