"""The dual of one network: draw it or take it as it is, push an input through, carry the matrix."""

import math
from collections.abc import Collection, Iterable
from typing import TYPE_CHECKING, Any, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.montecarlo.weights import draw_layers

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = ["Realised", "dual_matrix", "dual_of"]

Array = NDArray[np.float64]


class Realised(NamedTuple):
    """The order parameters and gates of one sampled network."""

    second_moments: Array
    preactivation_variances: Array
    shifts: Array
    gates: tuple[Array, ...]


def dual_matrix(
    network: "Network",
    width: int,
    given: Array | None,
    layers: Collection[int],
    rng: Generator,
) -> tuple[Array, Realised]:
    r"""Draw a network from `rng` and build its dual at one input, exactly at this width.

    Parameters
    ----------
    network : Network
        The description.
    width : int
        Reference width M.
    given : ndarray, shape (M_0,), or None
        The input x; None draws its direction at random with :math:`|x|^2 = M_0 \hat q_0`.
    layers : collection of int
        The layers 1..L by whose parameters the output is differentiated; 0 stands for the input
        itself, whose share is :math:`J_x J_x^T` without any divisor.
    rng : numpy.random.Generator
        Stream of the replica. Order of the draws: the input (if none is given), then for each
        layer its weights row by row (Haar: the Gaussian matrix whose QR is taken, along its
        longer side first) and its biases (if ``bias_std > 0``).

    Returns
    -------
    dual : ndarray, shape (M_L, M_L)
        Standard parametrisation: :math:`J J^T / M`; NTK: :math:`J J^T`. J is the Jacobian of
        the output by the parameters of `layers`: weights, and biases where ``bias_std > 0``.
    realised : Realised
        Order parameters, shifts and gates.

    Raises
    ------
    ConvergenceError
        If the signal leaves the range of floating-point numbers.

    """
    widths = network.widths(width)
    x = given
    if x is None:
        x = _random_input(rng, widths[0], float(network.input_second_moment))
    return dual_of(network, width, x, layers, draw_layers(network, widths, rng))


def dual_of(
    network: "Network",
    width: int,
    x: Array,
    layers: Collection[int],
    parameters: Iterable[tuple[Array, Array]],
) -> tuple[Array, Realised]:
    r"""Build the dual of a network of given weights at one input, exactly at this width.

    Parameters
    ----------
    network : Network
        The description, of which ensembles are of no effect here.
    width : int
        Reference width M.
    x : ndarray, shape (M_0,)
        The input.
    layers : collection of int
        As of `dual_matrix`.
    parameters : iterable of (ndarray, ndarray), shapes (M_l, M_{l-1}) and (M_l,)
        Weights and biases of every layer.

    Returns
    -------
    dual, realised
        As of `dual_matrix`.

    Raises
    ------
    ConvergenceError
        If the signal leaves the range of floating-point numbers.

    Notes
    -----
    With :math:`D_l = \mathrm{diag}\,\varphi'(h^l)` and, at any width,

    .. math:: H_1 = s_1 I, \qquad H_{l+1} = s_{l+1} I + W_{l+1} D_l H_l D_l W_{l+1}^T,

    without the shift of a layer that does not count.

    Standard: :math:`s_l = (|x^{l-1}|^2 + 1)/M`, the 1 only if layer l has biases. NTK, with
    :math:`W = \sigma_w \omega/\sqrt{M_{l-1}}` and :math:`b = \sigma_b \beta`:
    :math:`s_l = \sigma_w^2 |x^{l-1}|^2 / M_{l-1} + \sigma_b^2`. A final activation maps
    :math:`H_L` to :math:`D_L H_L D_L`.
    """
    from freefim.montecarlo import replica_kernels as kernels

    last = network.depth - 1
    second_moments, variances, shifts, gates = [_mean_square(x)], [], [], []
    derivative = np.ones(x.size)
    dual: Any = np.eye(x.size) if 0 in layers else None
    for layer, (weights, bias) in enumerate(parameters):
        weight_std, bias_std = float(network.weight_stds[layer]), float(network.bias_stds[layer])
        preactivation = weights @ x + bias
        if network.parametrization == "ntk":
            shift = weight_std**2 * _mean_square(x) + bias_std**2
        else:
            shift = float(x @ x + (bias_std > 0)) / width
        own = shift if layer + 1 in layers else 0.0
        if dual is not None:
            dual = kernels.backpropagate(weights, derivative, dual, own)
        elif layer + 1 in layers:
            dual = own * np.eye(bias.size)
        activation = network.final_activation if layer == last else network.activations[layer]
        if activation is None:
            x = preactivation
        else:
            x = np.array(activation.function(preactivation))
            derivative = np.array(activation.derivative(preactivation))
            gates.append(np.sort(derivative**2))
            if layer == last:
                dual = derivative[:, None] * dual * derivative
        shifts.append(shift)
        variances.append(_mean_square(preactivation))
        second_moments.append(_mean_square(x))
    if not np.isfinite(second_moments).all():
        raise ConvergenceError(
            f"its signal is not finite after {network.depth} layers, the second moments of which "
            f"are {', '.join(format(value, '.3g') for value in second_moments)}"
        )
    return dual, Realised(
        np.array(second_moments), np.array(variances), np.array(shifts), tuple(gates)
    )


def _mean_square(x: Array) -> float:
    return float(x @ x) / x.size


def _random_input(rng: Generator, size: int, second_moment: float) -> Array:
    direction = rng.standard_normal(size)
    return direction * math.sqrt(second_moment / _mean_square(direction))
