"""Kernels of sampled networks over many samples: activations, exact gradients, Fisher matrices."""

from collections.abc import Sequence
from dataclasses import dataclass
from itertools import pairwise
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.montecarlo.empirical import Replica

if TYPE_CHECKING:
    from freefim.networks.activations import Activation

__all__ = ["TangentReplica", "conjugate_kernel", "neural_tangent_kernel"]

Array = NDArray[np.float64]
Layers = Sequence[tuple["Activation", float, float]]


@dataclass(frozen=True, eq=False, repr=False)
class TangentReplica(Replica):
    r"""One sampled network over many samples.

    Attributes
    ----------
    same, cross : tuple of float, L entries
        Realised :math:`\delta^l(s)\cdot\delta^l(t)`, :math:`\delta^l = \partial f/\partial h^l`,
        averaged over samples s = t and over pairs s ≠ t.
    second_moments : tuple of float, L entries
        Realised mean squares of x^0..x^{L-1}.
    """

    same: tuple[float, ...]
    cross: tuple[float, ...]
    second_moments: tuple[float, ...]


def conjugate_kernel(
    samples: int,
    widths: Sequence[int],
    layers: Layers,
    second_moment: float,
    spectrum: Array | None,
    rng: Generator,
) -> tuple[Array, tuple[()]]:
    """XᵀX/M_l, X the centred activations of the last layer.

    Parameters
    ----------
    samples : int
        Number n of inputs.
    widths : sequence of int
        M_0, M_1, … up to the last layer at least.
    layers : sequence of (activation, weight_std, mean)
        The hidden layers; `mean` is subtracted from the activations.
    second_moment : float
        Of the Gaussian inputs.
    spectrum : ndarray, shape (n,), or None
        Eigenvalues of X_0ᵀX_0/M_0, if inputs are to have them.
    rng : numpy.random.Generator
        Order of the draws: the inputs, the weights layer by layer.

    Returns
    -------
    matrix : ndarray, shape (n, n)
    realised : ()
    """
    x = _inputs(widths[0], samples, second_moment, spectrum, rng)
    for (activation, weight_std, mean), (fan_in, fan_out) in zip(
        layers, pairwise(widths), strict=False
    ):
        weights = rng.standard_normal((fan_out, fan_in)) * (weight_std / np.sqrt(fan_in))
        x = activation.function(weights @ x) - mean
    return x.T @ x / x.shape[0], ()


def neural_tangent_kernel(
    samples: int,
    widths: Sequence[int],
    layers: Layers,
    last_std: float,
    scales: Sequence[float],
    second_moment: float,
    spectrum: Array | None,
    rng: Generator,
) -> tuple[Array, tuple[tuple[float, ...], ...]]:
    r"""Σ_l s_l (X_lᵀX_l/M_l) ∘ (Δ_{l+1}ᵀΔ_{l+1}): the Gram matrix of all gradients of one output.

    Parameters
    ----------
    samples, widths, layers, second_moment, spectrum, rng
        As for `conjugate_kernel`; the weights of the output are drawn last.
    last_std : float
        σ_w of the output layer.
    scales : sequence of float
        The s_l.

    Returns
    -------
    matrix : ndarray, shape (n, n)
    realised : (same, cross, second_moments)
        As in `TangentReplica`.
    """
    xs = [_inputs(widths[0], samples, second_moment, spectrum, rng)]
    slopes, matrices = [], []
    for (activation, weight_std, mean), (fan_in, fan_out) in zip(
        layers, pairwise(widths), strict=True
    ):
        weights = rng.standard_normal((fan_out, fan_in)) * (weight_std / np.sqrt(fan_in))
        h = weights @ xs[-1]
        matrices.append(weights)
        slopes.append(activation.derivative(h))
        xs.append(activation.function(h) - mean)
    last = rng.standard_normal((1, widths[-1])) * (last_std / np.sqrt(widths[-1]))
    matrices.append(last)
    kernel = np.zeros((samples, samples))
    delta = np.ones((1, samples))
    same: list[float] = []
    cross: list[float] = []
    for level in range(len(layers), -1, -1):
        x = xs[level]
        gram = delta.T @ delta
        kernel += scales[level] / x.shape[0] * (x.T @ x) * gram
        trace = float(np.trace(gram))
        same.insert(0, trace / samples)
        cross.insert(0, (float(gram.sum()) - trace) / max(samples * (samples - 1), 1))
        if level:
            delta = slopes[level - 1] * (matrices[level].T @ delta)
    moments = tuple(float(np.mean(x * x)) for x in xs)
    return kernel, (tuple(same), tuple(cross), moments)


def _inputs(
    width: int, samples: int, second_moment: float, spectrum: Array | None, rng: Generator
) -> Array:
    """Inputs as columns: Gaussian, or of a given spectrum of XᵀX/M_0 in random directions."""
    if spectrum is None:
        return rng.standard_normal((width, samples)) * float(np.sqrt(second_moment))
    from freefim.montecarlo import replica_kernels as kernels

    rank = min(width, samples)
    largest = np.sort(spectrum)[::-1][:rank]
    left = kernels.haar_weights(rng, width, rank, 1.0)
    right = kernels.haar_weights(rng, rank, samples, 1.0)
    columns: Array = (left * np.sqrt(width * largest)) @ right
    return columns
