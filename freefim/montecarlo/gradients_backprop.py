r"""Backpropagation over N samples and C outputs, through normalisation layers too.

One row of the gradients belongs to one output at one sample, (k, n) with k first. As long as no
layer normalises over the samples, :math:`f_k(n)` depends on the sample n alone and the derivatives
by the preactivations of a layer have the shape (C, N, M); else on all, and (C, N, N, M).
"""

from collections.abc import Iterator, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING, NamedTuple

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.montecarlo.gradients_heads import Standardized, derivative, standardize
from freefim.montecarlo.weights import draw_layers

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = [
    "Layer",
    "Parameters",
    "Recipe",
    "backward",
    "cross_means",
    "draw_parameters",
    "forward",
    "gram",
    "row_sums",
    "unit_rows",
]

Array = NDArray[np.float64]


@dataclass(frozen=True)
class Recipe:
    """A network whose last layer has its own number of units, and its hidden normalisation.

    Attributes
    ----------
    net : Network
        The description, with a linear output.
    widths : tuple of int
        M_0..M_{L-1} and the number of outputs.
    hidden_norm : str or None
        What the preactivations of the hidden layers go through before φ.
    shift : float
        What is added to them after it.
    """

    net: "Network"
    widths: tuple[int, ...]
    hidden_norm: str | None = None
    shift: float = 0.0

    @property
    def coupled(self) -> bool:
        """Whether an output depends on all samples."""
        return self.hidden_norm in ("mean-subtraction", "batch-norm") and self.net.depth > 1

    @property
    def axis(self) -> int:
        """Axis of (N, M) preactivations over which the hidden layers are normalised."""
        return -1 if self.hidden_norm == "layer-norm" else -2


class Parameters(NamedTuple):
    """Weights, shapes (M_l, M_{l-1}), and biases, shapes (M_l,), of the layers."""

    weights: tuple[Array, ...]
    biases: tuple[Array, ...]


class Layer(NamedTuple):
    """A forward pass through one layer.

    `inputs` h^{l-1} (N, M_{l-1}), `preactivations` u^l (N, M_l), the `normal` they become, and
    `slopes` φ' there (N, M_l); the last layer has no `normal` and slopes 1.
    """

    inputs: Array
    preactivations: Array
    normal: Standardized | None
    slopes: Array


def draw_parameters(recipe: Recipe, rng: Generator) -> Parameters:
    """Draw weights, then biases (0 without a draw if ``bias_std = 0``), layer by layer."""
    weights, biases = zip(*draw_layers(recipe.net, recipe.widths, rng), strict=True)
    return Parameters(weights, biases)


def forward(recipe: Recipe, parameters: Parameters, x: Array) -> list[Layer]:
    """Push samples x (N, M_0) through the network; the outputs are the last preactivations."""
    layers = []
    for index, (weights, bias) in enumerate(zip(*parameters, strict=True)):
        u = x @ weights.T + bias
        if index == recipe.net.depth - 1:
            layers.append(Layer(x, u, None, np.ones_like(u)))
            break
        normal = None
        if recipe.hidden_norm is not None:
            normal = standardize(recipe.hidden_norm, u, recipe.axis)
        activation = recipe.net.activations[index]
        entering = (u if normal is None else normal.values) + recipe.shift
        layers.append(Layer(x, u, normal, np.array(activation.derivative(entering))))
        x = np.array(activation.function(entering))
    return layers


def backward(
    recipe: Recipe, weights: Sequence[Array], layers: Sequence[Layer], start: Array
) -> Iterator[tuple[Array, Array]]:
    """Derivatives by u^l and by h^{l-1}, from the last layer to the first.

    `start` are derivatives by the outputs, shape (..., N, C); the answers have its leading axes.
    """
    delta = start
    for index in range(len(layers) - 1, -1, -1):
        by_inputs = delta @ weights[index]
        yield delta, by_inputs
        if index == 0:
            return
        below = layers[index - 1]
        delta = by_inputs * below.slopes
        if below.normal is not None:
            delta = derivative(below.normal, delta, recipe.axis)


def unit_rows(recipe: Recipe, samples: int) -> Array:
    """Derivatives of the outputs by themselves, the start of `backward`."""
    outputs = recipe.widths[-1]
    rows = np.repeat(np.eye(outputs)[:, None, :], samples, axis=1)
    if not recipe.coupled:
        return rows
    return rows[:, :, None, :] * np.eye(samples)[:, :, None]


def gram(delta: Array, inner: Array) -> Array:
    r"""Gram matrix (C N, C N) of gradients :math:`\sum_m\delta(m)\otimes h(m)`.

    Parameters
    ----------
    delta : ndarray, shape (C, N, M) or (C, N, N, M)
        Derivatives by the preactivations.
    inner : ndarray, shape (N, N)
        Inner products of what they multiply.
    """
    outputs, samples = delta.shape[:2]
    rows = outputs * samples
    if delta.ndim == 3:
        flat = delta.reshape(rows, -1)
        bare = (flat @ flat.T).reshape(outputs, samples, outputs, samples)
        return (bare * inner[:, None, :]).reshape(rows, rows)
    return (inner @ delta).reshape(rows, -1) @ delta.reshape(rows, -1).T


def row_sums(delta: Array, values: Array) -> Array:
    """Sum over samples and units of delta times values (N, M): shape (C, N)."""
    product = delta * values
    sums: Array = product.sum(axis=-1) if delta.ndim == 3 else product.sum(axis=(-1, -2))
    return sums


def cross_means(rows: Array) -> tuple[float, float]:
    """Mean squared norm of rows (C, N, K), and mean inner product of two of one output."""
    outputs, samples = rows.shape[:2]
    squares = float(np.square(rows).sum()) / outputs
    if samples == 1:
        return squares, 0.0
    total = float(np.square(rows.sum(axis=1)).sum()) / outputs
    return squares / samples, (total - squares) / (samples * (samples - 1))
