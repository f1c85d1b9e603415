"""Critical initialisation: where gradients neither grow nor fade in the mean."""

from __future__ import annotations

import math
from dataclasses import dataclass

from freefim.errors import SpecError
from freefim.networks.activations import Activation
from freefim.networks.activations import activation as to_activation
from freefim.networks.checks import positive

__all__ = ["CriticalPoint", "critical_initialization"]

# σ_b² is a difference of two numbers of size q*: below this share of q* it is rounding.
_ROUNDING = 1e-14


@dataclass(frozen=True)
class CriticalPoint:
    """Standard deviations of weights and biases at which χ₁ = 1 at the fixed point.

    Parameters
    ----------
    weight_std, bias_std : float
        σ_w and σ_b, as `Network` takes them.
    """

    weight_std: float
    bias_std: float


def critical_initialization(
    activation: str | Activation, fixed_point: float = 1.0
) -> CriticalPoint:
    r"""Solve χ₁ = 1 at a given fixed point of the preactivation variance.

    Parameters
    ----------
    activation : str or Activation
        φ of all layers.
    fixed_point : float
        :math:`q^*`, > 0: the variance that every layer shall keep.

    Returns
    -------
    CriticalPoint
        :math:`\sigma_w^2 = 1/E\varphi'(h)^2` and
        :math:`\sigma_b^2 = q^* - \sigma_w^2\, E\varphi(h)^2` with :math:`h \sim N(0, q^*)`.

    Raises
    ------
    SpecError
        If no such point exists: :math:`E\varphi'^2 = 0`, or :math:`\sigma_b^2` would be
        negative.

    Notes
    -----
    Started with :math:`\hat q_0 = (q^* - \sigma_b^2)/\sigma_w^2` a network stays there in every
    layer. :math:`\sigma_b^2` has an absolute accuracy of :math:`10^{-14} q^*`.

    References
    ----------
    .. [1] Pennington, Schoenholz & Ganguli, *Resurrecting the sigmoid in deep learning through
       dynamical isometry*, NeurIPS 2017, section 2.

    Examples
    --------
    >>> critical_initialization("relu")
    CriticalPoint(weight_std=1.4142135623730951, bias_std=0.0)
    """
    phi = to_activation(activation)
    q = float(positive("fixed_point", fixed_point))
    slope = float(phi.slope_second_moment(q))
    if not slope > 0.0:
        raise SpecError(
            f"activation must have a slope at fixed_point={q!r} to be critical there, got "
            f"{phi!r} with E φ'² = {slope!r}"
        )
    gain = 1.0 / slope
    bias = q - gain * float(phi.second_moment(q))
    if abs(bias) <= _ROUNDING * q:
        bias = 0.0
    if bias < 0.0:
        raise SpecError(
            f"fixed_point must be a variance at which {phi!r} has a critical initialization, "
            f"got {q!r}, where bias_std² would be {bias:.6g} < 0"
        )
    return CriticalPoint(weight_std=math.sqrt(gain), bias_std=math.sqrt(bias))
