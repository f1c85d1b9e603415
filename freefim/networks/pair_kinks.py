r"""Pair moments of activations with kinks, by Plackett's identity in the angle θ = acos c.

If φ'' is a sum of jumps :math:`J_i` of φ' at :math:`\sqrt q\,x_i` then, with
:math:`s(\theta)=\frac1{2\pi}\sum_{ij} J_iJ_j e^{-(x_i^2+x_j^2-2x_ix_j\cos\theta)/2\sin^2\theta}`,

.. math:: E\varphi'\varphi' = E\varphi'^2 - \int_0^\theta s, \qquad
   \text{gap} = q\Bigl[E\varphi'^2\,(1-c) - \int_0^\theta(\cos t-\cos\theta)\,s(t)\,dt\Bigr],

and from c = 0, with the means of φ and φ',
:math:`E\varphi\varphi = (E\varphi)^2 + q[(E\varphi')^2c + \int_\theta^{\pi/2}(\cos\theta-\cos t)
s(t)\,dt]`. All integrands are positive: nothing cancels at either end. Gauss-Legendre panels.

References
----------
.. [1] Plackett, *A reduction formula for normal multivariate integrals*, Biometrika 41 (1954).
"""

from __future__ import annotations

import math

import numpy as np

from freefim.networks.activation_base import Array
from freefim.networks.pair_moments import PairMoments

__all__ = ["elu_moments", "hard_tanh_moments", "homogeneous_moments", "shifted_relu_moments"]

_NODES, _WEIGHTS = np.polynomial.legendre.leggauss(32)
_HALF_PI = 0.5 * math.pi
_SQRT_HALF = math.sqrt(0.5)
_INV_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)
# exp(-x²/2) is below 1e-18 from 9.1 on
_REACH = 9.1
_STEEP = 6.5
_TINY = 1e-100
# 1/w² - 3/w⁴ + 15/w⁶ - …: this many terms from this w on err by less than 1e-17
_FAR, _FAR_TERMS = 16.0, 14
_PANELS = 3
_PLACES = np.concatenate([2 * panel + 1 + _NODES for panel in range(_PANELS)])
_STEEP_WEIGHTS = np.tile(_WEIGHTS, _PANELS)


def _angle(c: Array, d: Array) -> Array:
    return 2.0 * np.arctan2(np.sqrt(d), np.sqrt(1.0 + c))


def _drop(angle: Array, other: Array) -> Array:
    """Return cos(angle) - cos(other) without cancellation."""
    drop: Array = 2.0 * np.sin(0.5 * (other + angle)) * np.sin(0.5 * (other - angle))
    return drop


def _haversine(angle: Array) -> Array:
    """Return sin²(angle/2); cosines are 1 - 2 of it, and their differences lose nothing."""
    square: Array = np.square(np.sin(0.5 * angle))
    return square


def _same_kink(x: Array, low: Array, high: Array, end: Array) -> tuple[Array, Array]:
    """∫ e and ∫ |cos t - cos end| e over [low, high] in [0, π/2], e = exp(-x²/(1 + cos t)) / 2π."""
    with np.errstate(divide="ignore"):
        high = np.minimum(high, np.maximum(low, 2.0 * np.arctan(_REACH / np.abs(x))))
    half = 0.5 * (high - low)
    p = _haversine((0.5 * (high + low))[:, None] + half[:, None] * _NODES)
    e = np.exp((-0.5 * np.square(x))[:, None] / (1.0 - p))
    weighted = np.abs(p - _haversine(end)[:, None]) * e
    scale = half / (2.0 * math.pi)
    return scale * (e @ _WEIGHTS), 2.0 * scale * (weighted @ _WEIGHTS)


def _below_steep(x: Array) -> Array:
    """Return the angle t below which exp(-x²/(1 - cos t)) is less than 1e-18."""
    angle: Array = 2.0 * np.arcsin(np.minimum(np.abs(x) * _SQRT_HALF / _STEEP, 1.0))
    return angle


def _steep_nodes(low: Array, high: Array) -> tuple[Array, Array]:
    """Return p = sin²(t/2) at nodes on [low, high], low > 0 or low = high, and their weights.

    For functions of the scale t near every t: the panels are even in log p.
    """
    bottom, top = (np.maximum(_haversine(end), _TINY) for end in (low, high))
    half = 0.25 * np.log(top / bottom) / _PANELS
    p = top[:, None] * np.exp((-2.0 * half)[:, None] * _PLACES)
    return p, (2.0 * half)[:, None] * np.sqrt(p / (1.0 - p)) * _STEEP_WEIGHTS


def _opposite_kinks(x: Array, low: Array, high: Array, end: Array) -> tuple[Array, Array]:
    """The same with e = exp(-x²/(1 - cos t)) / 2π, x not 0."""
    p, width = _steep_nodes(np.clip(_below_steep(x), low, high), high)
    e = np.exp((-0.5 * np.square(x))[:, None] / p) * width
    weighted = np.abs(p - _haversine(end)[:, None]) * e
    return e.sum(axis=1) / (2.0 * math.pi), weighted.sum(axis=1) / math.pi


def _both_kinks(x: Array, low: Array, high: Array, end: Array) -> tuple[Array, Array]:
    """The same with the difference of the two exponentials, which is positive."""
    middle = np.clip(_below_steep(x), low, high)
    alone, alone_weighted = _same_kink(x, low, middle, end)
    p, width = _steep_nodes(middle, high)
    exponent = (0.5 * np.square(x))[:, None] / (1.0 - p)
    e = -np.exp(-exponent) * np.expm1(-exponent * (1.0 - 2.0 * p) / p) * width
    weighted = np.abs(p - _haversine(end)[:, None]) * e
    scale = 1.0 / (2.0 * math.pi)
    return alone + scale * e.sum(axis=1), alone_weighted + 2.0 * scale * weighted.sum(axis=1)


def homogeneous_moments(left: float, q: Array, c: Array, d: Array, second: Array) -> PairMoments:
    r"""Slope 1 on the right of 0 and `left` on its left: the even part is (1 - left)/2 · \|h\|."""
    odd, even = 0.25 * (1.0 + left) ** 2, 0.25 * (1.0 - left) ** 2
    # |u||v| does not see the sign of c
    near = np.where(c < 0.0, 1.0 + c, d)
    angle = _angle(1.0 - near, near)
    zero = np.zeros_like(q)
    lost = _same_kink(zero, zero, angle, angle)[1]
    kept, kept_weighted = _same_kink(zero, angle, np.full_like(q, _HALF_PI), angle)
    # the only kink of |h| has the jump 2
    product = q * (odd * c + even * (2.0 / math.pi + 4.0 * kept_weighted))
    gap = q * (odd * d + even * (near - 4.0 * lost))
    return PairMoments(product, gap, odd + even * 4.0 * np.sign(c) * kept)


def hard_tanh_moments(
    cutoff: float, slope: float, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    """Kinks at ± cutoff with the jumps ∓ slope; an odd function."""
    from scipy.special import erf

    x = cutoff / np.sqrt(q)
    near = np.where(c < 0.0, 1.0 + c, d)
    angle = _angle(1.0 - near, near)
    zero, right = np.zeros_like(q), np.full_like(q, _HALF_PI)
    lost = _both_kinks(x, zero, angle, angle)[1]
    kept, kept_weighted = _both_kinks(x, angle, right, angle)
    start, area = np.square(erf(x * _SQRT_HALF)), slope * slope
    product = area * q * (start * (1.0 - near) + 2.0 * kept_weighted)
    gap = q * (square * near - 2.0 * area * lost)
    negative = c < 0.0
    return PairMoments(
        np.where(negative, -product, product),
        np.where(negative, second + product, gap),
        area * (start + 2.0 * kept),
    )


def shifted_relu_moments(
    shift: float, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    """One kink at -shift with the jump 1."""
    from scipy.special import ndtr

    if shift == 0.0:
        return homogeneous_moments(0.0, q, c, d, second)
    x = shift / np.sqrt(q)
    # E max(h, -shift) = E max(h + shift, 0) - shift
    mean = np.sqrt(q) * _INV_SQRT_TWO_PI * np.exp(-0.5 * x * x) - shift * ndtr(-x)
    zero, right = np.zeros_like(q), np.full_like(q, _HALF_PI)
    angle = _angle(c, d)
    acute = np.minimum(angle, _HALF_PI)
    lost = _same_kink(x, zero, acute, acute)[1]
    kept, kept_weighted = _same_kink(x, acute, right, acute)
    # beyond π/2 the angle π - t turns the one kink into two opposite ones
    back = np.minimum(math.pi - angle, _HALF_PI)
    past, past_weighted = _opposite_kinks(x, back, right, back)
    start = np.square(ndtr(x))
    product = mean * mean + q * (start * c + kept_weighted + past_weighted)
    gap = np.where(c < 0.0, second - product, q * (square * d - lost))
    return PairMoments(product, gap, start + kept - past)


def elu_moments(q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    r"""ELU: φ'' is exp(h) left of 0, hence :math:`s(\theta)=q\sin\theta\,E\varphi''\varphi''`."""
    from scipy.special import erfcx

    angle = _angle(c, d)
    # the means of φ and φ'; the two terms of the first cancel to q/4 for small q
    tail = erfcx(np.sqrt(0.5 * q))
    mean = np.sqrt(q) * _INV_SQRT_TWO_PI + 0.5 * (tail - 1.0)
    start = np.square(0.5 + 0.5 * tail)
    # from c = 1 where c >= 0, from c = 0 where c < 0; near 0 and π the scale is 1/sqrt(q)
    obtuse = c < 0.0
    low = np.where(obtuse, math.pi - angle, 0.0)
    high = np.where(obtuse, _HALF_PI, angle)
    t, width = _stretched(low, high, q)
    t = np.where(obtuse[:, None], math.pi - t, t)
    density = q[:, None] * np.sin(t) * _wedge(q, t) * width
    moved = density.sum(axis=1)
    bent = (np.abs(_drop(t, angle[:, None])) * density).sum(axis=1)
    product = mean * mean + q * (start * c + bent)
    gap = np.where(obtuse, second - product, q * (square * d - bent))
    return PairMoments(
        np.where(obtuse, product, second - gap), gap, np.where(obtuse, start, square) - moved
    )


def _stretched(low: Array, high: Array, q: Array) -> tuple[Array, Array]:
    """Nodes and weights on [low, high] for a function of the scale 1/sqrt(q) near 0, 1 beyond."""
    scale = 1.0 / np.sqrt(1.0 + q)
    bottom, top = np.arcsinh(low / scale), np.arcsinh(high / scale)
    half = 0.5 * (top - bottom)
    y = (0.5 * (top + bottom))[..., None] + half[..., None] * _NODES
    return scale[..., None] * np.sinh(y), (half * scale)[..., None] * np.cosh(y) * _WEIGHTS


def _wedge(q: Array, t: Array) -> Array:
    """E exp(u + v) 1(u < 0, v < 0) at the angles `t`, in polar coordinates about -(u + v).

    The radius integrates to 1 - w sqrt(π/2) erfcx(w / sqrt 2) with w = 2 sqrt(q) cos(t/2) sin χ
    for directions χ in [t/2, π/2], twice.
    """
    from scipy.special import erfcx

    steepness = 2.0 * np.sqrt(q)[:, None] * np.cos(0.5 * t)
    chi, width = _stretched(0.5 * t, np.full_like(t, _HALF_PI), np.square(steepness))
    w = steepness[..., None] * np.sin(chi)
    # far out the difference is rounding, its asymptotic series is exact
    far, close = np.maximum(w, _FAR), np.minimum(w, _FAR)
    inverse, series = 1.0 / np.square(far), np.zeros_like(w)
    for n in range(_FAR_TERMS, 0, -1):
        series = inverse * (2 * n - 1) * (1.0 - series)
    radial = 1.0 - math.sqrt(_HALF_PI) * close * erfcx(_SQRT_HALF * close)
    radial = np.where(w > _FAR, series, radial)
    wedge: Array = (radial * width).sum(axis=-1) / math.pi
    return wedge
