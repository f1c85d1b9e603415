"""The mean-field recursion of the second moments along the layers."""

from __future__ import annotations

import sys
from collections.abc import Callable
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

from freefim.errors import ConvergenceError

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = ["OrderParameters", "order_parameters"]


@dataclass(frozen=True)
class OrderParameters:
    r"""Mean-field order parameters of a network of depth L.

    Parameters
    ----------
    second_moments : tuple of float, L+1 entries
        :math:`\hat q_0..\hat q_L` with :math:`\hat q_l = |x^l|^2/M_l`; the last is that of the
        output (of h^L without a final activation).
    preactivation_variances : tuple of float, L entries
        :math:`q_1..q_L`.
    chi1 : tuple of float, L-1 entries
        :math:`\chi_1 = \sigma_w^2\, E \varphi'(h^l)^2` of every hidden layer l, with the σ_w
        of the matrix W_{l+1} that multiplies it in the Jacobian.
    """

    second_moments: tuple[float, ...]
    preactivation_variances: tuple[float, ...]
    chi1: tuple[float, ...]


def order_parameters(net: Network, number: Callable[[Any], Any] = float) -> OrderParameters:
    r"""Run :math:`q_l = \sigma_w^2 \hat q_{l-1} + \sigma_b^2`, :math:`\hat q_l = E\varphi(h)^2`.

    Parameters
    ----------
    net : Network
        The network.
    number : callable, optional
        The field: `float`, or `Fraction` for a rational network of linear, absolute-value and
        (leaky) ReLU layers, whose order parameters are then exact.

    Returns
    -------
    OrderParameters
        The limits at infinite width.

    Raises
    ------
    ConvergenceError
        If a variance overflows or vanishes; the message names the layer.

    Notes
    -----
    A matrix with orthonormal columns (orthogonal, fan_out > fan_in) spreads the norm over more
    units: :math:`q_l = \sigma_w^2 \hat q_{l-1} M_{l-1}/M_l + \sigma_b^2`.

    References
    ----------
    .. [1] Schoenholz, Gilmer, Ganguli & Sohl-Dickstein, *Deep Information Propagation*,
       ICLR 2017, eqs. (3)-(5).
    """
    moment = _alive("second moment of the input", number(net.input_second_moment))
    moments, variances, chi1 = [moment], [], []
    stds = [number(std) for std in net.weight_stds]
    square = net.width_ratios is None
    last = net.depth - 1
    for layer, phi in enumerate((*net.activations, net.final_activation)):
        gain = stds[layer] * stds[layer]
        if not square and net.ensembles[layer] == "orthogonal":
            gain *= min(number(1), number(net.ratios[layer]) / number(net.ratios[layer + 1]))
        bias = number(net.bias_stds[layer])
        variance = gain * moment + bias * bias
        _alive("preactivation variance", variance, layer + 1)
        moment = variance if phi is None else phi.second_moment(variance)
        _alive("second moment", moment, layer + 1)
        variances.append(variance)
        moments.append(moment)
        if layer < last and phi is not None:
            following = stds[layer + 1]
            chi1.append(following * following * phi.slope_second_moment(variance))
    return OrderParameters(tuple(moments), tuple(variances), tuple(chi1))


def _shown(value: Any) -> str:
    try:
        return repr(float(value))
    except OverflowError:
        return "inf"


def _alive(what: str, value: Any, layer: int = 0) -> Any:
    """Refuse a value that left the normal floating-point numbers."""
    if sys.float_info.min <= value <= sys.float_info.max:
        return value
    raise ConvergenceError(
        f"the {what} of layer {layer} is {_shown(value)}, outside the range of floating-point "
        "numbers: the network explodes or dies out"
    )
