"""Networks of torch: described, predicted as they are, and measured.

``Sequential`` modules of linear layers and activations, in the standard parametrisation.

What `torch.nn.init` makes has the `weight_std` σ_w; normal and uniform entries act alike:

=====================================  =========================================
``orthogonal_(w, gain)``               gain
``xavier_normal_(w, gain)``            gain · √(2 fan_in / (fan_in + fan_out))
``kaiming_normal_(w)``                 √2
``normal_(w, std=s)``                  s · √fan_in
as ``Linear`` starts                   1/√3, biases of deviation 1/√(3 fan_in)
=====================================  =========================================
"""

import copy
from collections.abc import Mapping
from typing import Any

import numpy as np

from freefim.errors import ConvergenceError
from freefim.interop.comparison import Comparison
from freefim.interop.realised import RealisedNetwork
from freefim.interop.recorded import RecordedSpectrum
from freefim.networks.activation_base import Activation
from freefim.networks.network import Network
from freefim.networks.torch_modules import ModuleLayers, input_vector, read_module, torch

__all__ = ["compare", "empirical_fim", "network", "realised"]

Declared = Mapping[type[Any], Activation] | None


def network(module: Any, input: Any = None, **declared: Any) -> Network:
    """Describe a module as a random network; the same as `Network.from_torch`.

    Parameters
    ----------
    module : torch.nn.Module
        A Linear, or a Sequential, nested or not, of Linear layers, activations, Identity, Flatten,
        and Dropout in evaluation mode.
    input : array_like or tensor, optional
        One input, for `input_second_moment`; without it 1.
    **declared
        `activations`, and `weights`, `weight_std`, `bias_std` as of `Network`: what is not
        declared is measured.

    Returns
    -------
    Network

    Raises
    ------
    SpecError
        At the first submodule that cannot be read, or if weights are no random ensemble.
    MissingExtraError
        If torch is not installed.
    """
    return Network.from_torch(module, input, **declared)


def realised(module: Any, input: Any, activations: Declared = None) -> RealisedNetwork:
    r"""Take a network as it is at one input: order parameters, gates, weights.

    Parameters
    ----------
    module : torch.nn.Module
        As of `network`, trained or not; its forward pass is run in double precision on a copy.
    input : array_like or tensor
        One input of M_0 numbers.
    activations : mapping of module type to Activation, optional
        What other elementwise modules are.

    Returns
    -------
    RealisedNetwork
        ``.law()`` is the conditional law of the dual, :math:`J J^T/M` by all weights and biases.

    Raises
    ------
    SpecError
        At the first submodule that cannot be read, or if the input does not fit.
    ConvergenceError
        If the signal leaves the range of floating-point numbers.
    MissingExtraError
        If torch is not installed.
    """
    layers, x = _prepared(module, input, activations)
    signals, preactivations, slopes = [x], [], []
    for layer in layers.layers:
        preactivations.append(layer.linear(signals[-1]).detach())
        after, slope = _through(layer.nonlinearity, preactivations[-1])
        signals.append(after)
        slopes.append(np.sort(_numpy(slope) ** 2))
    if layers.layers[-1].nonlinearity is None:
        slopes.pop()
    moments = np.array([float(v @ v) / v.numel() for v in signals])
    if not np.isfinite(moments).all():
        lost = int(np.argmin(np.isfinite(moments)))
        raise ConvergenceError(f"the signal of the network is not finite behind layer {lost}")
    sizes = np.array(layers.widths)
    biases = np.array([layer.linear.bias is not None for layer in layers.layers])
    return RealisedNetwork(
        widths=layers.widths,
        width=layers.width,
        second_moments=moments,
        preactivation_variances=np.array([float(h @ h) / h.numel() for h in preactivations]),
        shifts=((moments * sizes)[:-1] + biases) / layers.width,
        gates=tuple(slopes),
        weights=tuple(layer.weights for layer in layers.layers),
    )


def empirical_fim(module: Any, input: Any, activations: Declared = None) -> RecordedSpectrum:
    r"""Compute the eigenvalues of the dual of the conditional Fisher information, exactly.

    Parameters
    ----------
    module, input, activations
        As of `realised`.

    Returns
    -------
    RecordedSpectrum
        The M_L eigenvalues of :math:`J J^T/M`, J the Jacobian of the output by all weights and
        biases, M the width of the widest hidden layer.

    Raises
    ------
    SpecError, ConvergenceError, MissingExtraError
        As of `realised`.

    Notes
    -----
    :math:`\delta_l = \partial f/\partial h^l` comes from `torch.func.jacrev` in double precision;
    the gradient by the weights of a linear layer is :math:`\delta_l \otimes x^{l-1}`, hence
    :math:`J J^T = \sum_l (|x^{l-1}|^2 + 1)\,\delta_l \delta_l^T`, the 1 for biases. No free
    probability enters, and no formula of an activation.
    """
    layers, x = _prepared(module, input, activations)
    tch = torch()

    def output(*pushes: Any) -> Any:
        signal = x
        for layer, push in zip(layers.layers, pushes, strict=True):
            signal = layer.linear(signal) + push
            if layer.nonlinearity is not None:
                signal = layer.nonlinearity(signal)
        return signal

    norms, signal = [], x
    for layer in layers.layers:
        norms.append(float(signal @ signal) + (layer.linear.bias is not None))
        signal, _ = _through(layer.nonlinearity, layer.linear(signal).detach())
    pushes = tuple(tch.zeros(size, dtype=tch.float64) for size in layers.widths[1:])
    jacobians = tch.func.jacrev(output, argnums=tuple(range(layers.depth)))(*pushes)
    dual = sum(norm * (j @ j.T) for norm, j in zip(norms, jacobians, strict=True))
    matrix = _numpy(dual) / layers.width
    if not np.isfinite(matrix).all():
        raise ConvergenceError("the Jacobian of the network is not finite at this input")
    eigenvalues = np.linalg.eigvalsh(matrix)
    return RecordedSpectrum(np.maximum(eigenvalues, 0.0), matrix="J J^T / M")


def compare(module: Any, input: Any, activations: Declared = None) -> Comparison:
    """Compare the conditional law of a network with its exact spectrum.

    Parameters
    ----------
    module, input, activations
        As of `realised`.

    Returns
    -------
    Comparison
        ``print`` shows it.

    Raises
    ------
    SpecError, MissingExtraError
        As of `realised`.
    ConvergenceError
        If the law cannot be computed.
    """
    found = realised(module, input, activations)
    return Comparison.of(found, empirical_fim(module, input, activations))


def _prepared(module: Any, input: Any, activations: Declared) -> tuple[ModuleLayers, Any]:
    """Layers of a copy in double precision, and the input as a tensor."""
    read = read_module(module, activations)
    x = input_vector(input, read.widths[0])
    twin = copy.deepcopy(module).to(device="cpu", dtype=torch().float64)
    return read_module(twin, activations), torch().from_numpy(x)


def _through(nonlinearity: Any, h: Any) -> tuple[Any, Any]:
    """φ(h) and φ'(h) of an elementwise module; h and 1 of none."""
    if nonlinearity is None:
        return h, torch().ones_like(h)
    with torch().enable_grad():
        place = h.clone().requires_grad_()
        value = nonlinearity(place.clone())  # it may act in place
        (slope,) = torch().autograd.grad(value.sum(), place)
    return value.detach(), slope


def _numpy(tensor: Any) -> np.ndarray[Any, Any]:
    return np.asarray(tensor.detach().numpy())
