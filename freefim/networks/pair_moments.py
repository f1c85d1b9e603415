r"""Moments of an activation over a pair of inputs: E φ(u)φ(v) and E φ'(u)φ'(v).

The pair (u, v) is Gaussian with one variance q and correlation c. Every rule answers with the
product E φ(u)φ(v), the gap ½ E (φ(u) - φ(v))² and the slope product E φ'(u)φ'(v). The gap is the
quantity that survives when c tends to 1, where the product has lost it to rounding; so rules
take the distance d = 1 - c beside c. One rule for each activation: closed forms here, kinks in
`pair_kinks`, quadrature for the rest in `pair_quadrature`.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import singledispatch

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation, Array
from freefim.networks.activations import activation as to_activation
from freefim.networks.piecewise import Abs, HardTanh, LeakyReLU, Linear, ReLU, ShiftedReLU
from freefim.networks.smooth import ELU, GELU, Erf, Sine

__all__ = ["PairMoments", "pair_moments", "pair_rule", "same_moments"]

_TWO_OVER_PI = 2.0 / math.pi
# Above this variance erf is a sign and GELU a rectifier to the last digit, whose moments scale
# with q; squares of q would overflow.
_WIDE = 1e100
_ELU_WIDE = 1e18


@dataclass(frozen=True, eq=False)
class PairMoments:
    r"""Moments over pairs (u, v) of variance q and correlation c.

    Parameters
    ----------
    product : ndarray
        :math:`E\varphi(u)\varphi(v)`.
    gap : ndarray
        :math:`\tfrac12 E(\varphi(u)-\varphi(v))^2 = E\varphi(u)^2 - E\varphi(u)\varphi(v)`,
        accurate relative to itself for the closed forms with kinks.
    slope : ndarray
        :math:`E\varphi'(u)\varphi'(v)`.
    error : float
        Largest estimated error of a quadrature, relative to :math:`E\varphi(u)^2` and
        :math:`E\varphi'(u)^2`; 0 for closed forms, which err by rounding only.
    """

    product: Array
    gap: Array
    slope: Array
    error: float = 0.0


def pair_moments(
    activation: str | Activation, variance: ArrayLike, correlation: ArrayLike
) -> PairMoments:
    r"""Moments of an activation over a Gaussian pair.

    Parameters
    ----------
    activation : str or Activation
        The activation φ.
    variance, correlation : array_like
        q > 0 and c in [-1, 1] of the pair (u, v); they broadcast.

    Returns
    -------
    PairMoments
        Product, gap and slope product, arrays of the common shape.

    Raises
    ------
    SpecError
        If a variance is not a finite number > 0 or a correlation is outside [-1, 1].
    ConvergenceError
        If a quadrature does not reach a relative accuracy of 1e-9.

    References
    ----------
    .. [1] Cho & Saul, *Kernel Methods for Deep Learning*, NeurIPS 2009 (ReLU); Williams,
       *Computing with Infinite Networks*, NeurIPS 1996 (erf); Tsuchida et al., *Avoiding Kernel
       Fixed Points*, AAAI 2021 (GELU).

    Examples
    --------
    Two equal inputs have the moments of one, and a linear layer keeps the covariance:

    >>> from freefim.networks.activations import Erf
    >>> bool(pair_moments(Erf(), 2.0, 1.0).product == Erf().second_moment(2.0))
    True
    >>> float(pair_moments("linear", 2.0, 0.25).product)
    0.5
    """
    phi = to_activation(activation)
    q, c = (np.asarray(value, dtype=np.float64) for value in (variance, correlation))
    if not np.all((q > 0.0) & np.isfinite(q)):
        raise SpecError(f"variance must be a finite number > 0, got {variance!r}")
    if not np.all(np.abs(c) <= 1.0):
        raise SpecError(f"correlation must be within [-1, 1], got {correlation!r}")
    q, c = np.broadcast_arrays(q, c)
    flat, c = q.ravel(), c.ravel()
    found = pair_rule(phi, flat, c, 1.0 - c, *same_moments(phi, flat))
    product, gap, slope = (x.reshape(q.shape) for x in (found.product, found.gap, found.slope))
    return PairMoments(product, gap, slope, found.error)


def same_moments(phi: Activation, q: Array) -> tuple[Array, Array]:
    """E φ(u)² and E φ'(u)² for every variance in `q`."""
    values = q.tolist()
    second = [float(phi.second_moment(v)) for v in values]
    slope = [float(phi.slope_second_moment(v)) for v in values]
    return np.array(second), np.array(slope)


def pair_rule(
    phi: Activation, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    """Moments at variances q > 0, correlations c and distances d = 1 - c; arrays of one axis.

    `second` and `square` are the `same_moments` at q.
    """
    found = _rule(phi, q, c, d, second, square)
    equal = d == 0.0
    return PairMoments(
        np.where(equal, second, found.product),
        np.where(equal, 0.0, np.maximum(found.gap, 0.0)),
        np.where(equal, square, found.slope),
        found.error,
    )


@singledispatch
def _rule(
    phi: Activation, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    from freefim.networks.pair_quadrature import quadrature_moments

    return quadrature_moments(phi, q, c, d, second, square)


@_rule.register(Linear)
def _linear(phi: Linear, q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    return PairMoments(q * c, q * d, np.ones_like(q))


@_rule.register(Abs)
@_rule.register(ReLU)
@_rule.register(LeakyReLU)
def _homogeneous(
    phi: Abs | ReLU | LeakyReLU, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    from freefim.networks.pair_kinks import homogeneous_moments

    return homogeneous_moments(float(phi._left_slope()), q, c, d, second)


@_rule.register(HardTanh)
def _hard_tanh(
    phi: HardTanh, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    from freefim.networks.pair_kinks import hard_tanh_moments

    return hard_tanh_moments(phi.cutoff, phi.slope, q, c, d, second, square)


@_rule.register(ShiftedReLU)
def _shifted_relu(
    phi: ShiftedReLU, q: Array, c: Array, d: Array, second: Array, square: Array
) -> PairMoments:
    from freefim.networks.pair_kinks import shifted_relu_moments

    return shifted_relu_moments(phi.shift, q, c, d, second, square)


@_rule.register(ELU)
def _elu(phi: ELU, q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    from freefim.networks.pair_kinks import elu_moments, homogeneous_moments

    if not np.any(q > _ELU_WIDE):
        return elu_moments(q, c, d, second, square)
    # beyond, what ELU differs in from a rectifier keeps its shape: it scales with sqrt(q)
    base = np.minimum(q, _ELU_WIDE)
    share, root = q / base, np.sqrt(q / base)
    found = elu_moments(base, c, d, *same_moments(phi, base))
    limit = homogeneous_moments(0.0, base, c, d, 0.5 * base)
    return PairMoments(
        share * limit.product + root * (found.product - limit.product),
        share * limit.gap + root * (found.gap - limit.gap),
        limit.slope + (found.slope - limit.slope) / root,
    )


@_rule.register(Erf)
def _erf(phi: Erf, q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    # With Q = 2 scale² q the product is (2/π) asin(Q c / (1 + Q)). The gap is the difference of
    # two such angles, from their sine and cosine: no digit is lost as c tends to 1.
    width = 2.0 * phi.scale * phi.scale * q
    double = np.minimum(width, _WIDE)
    root = np.sqrt((1.0 + double * d) * (1.0 + double * (1.0 + c)))
    end = np.sqrt(1.0 + 2.0 * double)
    product = _TWO_OVER_PI * np.arctan2(double * c, root)
    near = (1.0 + double) ** 2 * d * (1.0 + c) / (root + np.abs(c) * end)
    sine = double * np.where(c >= 0.0, near, root - c * end)
    gap = _TWO_OVER_PI * np.arctan2(sine, end * root + double * double * c)
    return PairMoments(product, gap, 2.0 * _TWO_OVER_PI * phi.scale**2 / root * (double / width))


@_rule.register(Sine)
def _sine(phi: Sine, q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    # sin u sin v and cos u cos v through cos(u - v) and cos(u + v)
    rate = phi.frequency * phi.frequency * q
    close, apart = np.exp(-rate * d), np.exp(-rate * (1.0 + c))
    product = np.sign(c) * 0.5 * np.maximum(close, apart) * -np.expm1(-2.0 * rate * np.abs(c))
    gap = -0.5 * np.expm1(-rate * d) * (1.0 + apart)
    return PairMoments(product, gap, 0.5 * phi.frequency**2 * (close + apart))


@_rule.register(GELU)
def _gelu(phi: GELU, q: Array, c: Array, d: Array, second: Array, square: Array) -> PairMoments:
    share = np.maximum(q / _WIDE, 1.0)
    product, slope = _gelu_products(q / share, c, d)
    at_one, _ = _gelu_products(q / share, np.ones_like(c), np.zeros_like(d))
    return PairMoments(share * product, share * (at_one - product), slope)


def _gelu_products(q: Array, c: Array, d: Array) -> tuple[Array, Array]:
    """E φ(u)φ(v) and E φ'(u)φ'(v) by Stein's lemma, with n = Φ'."""
    root = np.sqrt((1.0 + q * d) * (1.0 + q * (1.0 + c)))  # of det(1 + Σ)
    angle = 0.25 + np.arctan2(q * c, root) / (2.0 * math.pi)  # E Φ(u)Φ(v)
    bell = 1.0 / (2.0 * math.pi * root)  # E n(u)n(v)
    product = q * (c * angle + bell * q / (1.0 + q) * (1.0 + c * c + q * d * (1.0 + c)))
    return product, angle + bell * q * c * (2.0 / (1.0 + q) + 1.0 / (root * root))
