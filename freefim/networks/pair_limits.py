r"""Pair moments at large variances: the limiting function, and a remainder near the origin.

At large q tanh is a sign, SiLU and softplus are rectifiers, up to a remainder :math:`\rho` that
decays exponentially: :math:`E\varphi\varphi = E\varphi_\infty\varphi_\infty +
2E\varphi_\infty(u)\rho(v) + E\rho\rho`, where the mean of :math:`\varphi_\infty(u)` given v is
elementary. The remainders live on fixed panels in h, so the cost does not grow with q. Near
inputs are taken as u, v = m ± r with independent m and r: what :math:`\varphi` and
:math:`\varphi_\infty` differ in is confined to small m.
"""

from __future__ import annotations

import math

import numpy as np
from numpy.typing import NDArray

from freefim.networks.activation_base import Activation, Array
from freefim.networks.pair_kinks import homogeneous_moments
from freefim.networks.pair_moments import PairMoments
from freefim.networks.smooth import SiLU, Softplus, Tanh

__all__ = ["has_limit", "limit_moments"]

# Panels of h > 0; beyond, h² exp(-h) is below 1e-17.
_ENDS = np.array([0.0, 0.5, 1.0, 2.0, 4.0, 8.0, 16.0, 30.0, 48.0])
_ORDERS = (10, 16)
# From here on the panels resolve the Gaussian of u; above the spread, that of v given u too.
_LEAST_VARIANCE, _LEAST_SPREAD = 60.0, 4.0
# Panels of m, with 9 standard deviations of r to spare, and of r over its standard deviation.
_MIDDLES = np.array([-75.0, -32.0, -16.0, -8.0, -4.0, -2.0, -1.0])
_MIDDLES = np.concatenate([_MIDDLES, [0.0], -_MIDDLES[::-1]])
_OFFSETS = np.array([0.0, 1.5, 3.0, 5.0, 9.0])
# exp(-2 s √k) is below 1e-19 from this k on
_TERMS = 32
_BATCH = 128


def has_limit(phi: Activation, q: Array, c: Array) -> NDArray[np.bool_]:
    """Whether `limit_moments` takes the pairs: not nearly opposite inputs."""
    wide = (q >= _LEAST_VARIANCE) & (q * (1.0 + c) >= _LEAST_SPREAD**2)
    return np.asarray(wide & isinstance(phi, Tanh | SiLU | Softplus))


def limit_moments(
    phi: Activation, q: Array, c: Array, d: Array, second: Array, square: Array
) -> tuple[Array, Array, Array, Array]:
    """Product, gap, slope product and the estimated relative error of each pair."""
    found = np.empty((len(_ORDERS), 2, q.size))
    far = q * d * (1.0 + c) >= _LEAST_SPREAD**2
    for values, order in zip(found, _ORDERS, strict=True):
        values[:, far] = _moments(phi, q[far], c[far], d[far], second[far], order)
        values[:, ~far] = _near_moments(phi, q[~far], c[~far], d[~far], order)
    coarse, fine = found
    error = np.abs(fine[0] - coarse[0]) / second + np.abs(fine[1] - coarse[1]) / square
    rest = second - fine[0]
    return np.where(far, fine[0], rest), np.where(far, rest, fine[0]), fine[1], error


def _panels(ends: Array, order: int) -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(order)
    half = 0.5 * np.diff(ends)[:, None]
    places = 0.5 * (ends[1:] + ends[:-1])[:, None] + half * nodes
    return places.ravel(), (half * weights).ravel()


def _near_moments(phi: Activation, q: Array, c: Array, d: Array, order: int) -> tuple[Array, Array]:
    """Gap and slope product where v given u is no wider than the remainder."""
    middle, width = _panels(_MIDDLES, order)
    offset, share = _panels(_OFFSETS, order)
    share = share * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * offset * offset)
    # the limit: (u - v)²/2 = 2 r² and slope 1 for a rectifier at m > 0, nothing for a sign
    side = 0.0 if isinstance(phi, Tanh) else 1.0
    gap, slope = 0.5 * side * q * d, np.full_like(q, 0.5 * side)
    limit = side * (middle > 0.0)[:, None]
    for i in range(q.size):
        spread = 0.5 * q[i] * (1.0 + c[i])
        r = math.sqrt(0.5 * q[i] * d[i]) * offset
        u, v = middle[:, None] + r, middle[:, None] - r
        density = width * np.exp((-0.5 / spread) * middle * middle)
        density /= math.sqrt(2.0 * math.pi * spread)
        apart = 0.5 * np.square(phi.function(u) - phi.function(v)) - 2.0 * r * r * limit
        slopes = phi.derivative(u) * phi.derivative(v) - limit
        gap[i] += density @ (apart @ share)
        slope[i] += density @ (slopes @ share)
    return gap, slope


def _moments(
    phi: Activation, q: Array, c: Array, d: Array, second: Array, order: int
) -> tuple[Array, Array]:
    from scipy.special import erf

    v, mass = _panels(_ENDS, order)
    std, spread = np.sqrt(q), np.sqrt(q * d * (1.0 + c))
    density = np.exp(-0.5 * np.square(v / std[:, None])) / (std[:, None] * math.sqrt(2 * math.pi))
    shift = c[:, None] * v / spread[:, None]
    turn = erf(math.sqrt(0.5) * shift)  # mean of the sign of u given v
    if isinstance(phi, Tanh):
        rest, slope = phi.function(v) - 1.0, phi.derivative(v)
        product = 2.0 / math.pi * np.arctan2(c, np.sqrt(d * (1.0 + c)))
        product += 4.0 * (density * turn) @ (rest * mass)
        return (
            product + _double(rest * mass, v, c, std, spread, -1.0),
            _double(slope * mass, v, c, std, spread, 1.0),
        )
    rest, slope = phi.function(-v), -phi.derivative(-v)
    limit: PairMoments = homogeneous_moments(0.0, q, c, d, second)
    # the mean of max(u, 0) at v and -v together
    mean = c[:, None] * v * turn
    mean += spread[:, None] * math.sqrt(2.0 / math.pi) * np.exp(-0.5 * shift * shift)
    product = limit.product + 2.0 * (density * mean) @ (rest * mass)
    slopes = limit.slope + 2.0 * (density * turn) @ (slope * mass)
    return (
        product + _double(rest * mass, v, c, std, spread, 1.0),
        slopes + _double(slope * mass, v, c, std, spread, -1.0),
    )


def _double(f: Array, v: Array, c: Array, std: Array, spread: Array, parity: float) -> Array:
    r"""E f(u)f(v) for an even (parity 1) or odd (parity -1) function given for h > 0.

    The density of the pair separates term by term, :math:`e^{cvw/s^2}=\sum_k(cvw/s^2)^k/k!` with
    s the spread of v given u: a sum of squares over the k of the parity. As f decays like
    exp(-h), a term is below :math:`e^{-2s\sqrt k}`.
    """
    total = np.zeros_like(c)
    for start in range(0, c.size, _BATCH):
        at = slice(start, start + _BATCH)
        place = v / spread[at, None]
        part = f * np.exp(-0.5 * np.square(place))
        share = np.ones_like(c[at])
        if parity < 0.0:
            part, share = part * place, c[at]
        place, square, first = np.square(place), np.square(c[at]), 0 if parity > 0.0 else 1
        for k in range(first, _TERMS, 2):
            total[at] += share * np.square(part.sum(axis=1))
            part = part * place
            share = share * square / ((k + 1) * (k + 2))
    return np.asarray(2.0 / math.pi * total / (std * spread))
