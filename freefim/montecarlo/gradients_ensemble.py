r"""Random networks at N inputs, and the Gram matrices of their gradients.

For N samples and C outputs the Fisher information
:math:`F=\frac1N\sum_nJ_n^TR_n^TR_nJ_n` of P parameters has the nonzero eigenvalues of its dual,
which is C N × C N: the Gram matrix of all gradients, with the head applied on both sides.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.montecarlo.empirical import read_only
from freefim.montecarlo.gradients_backprop import (
    Layer,
    Parameters,
    Recipe,
    backward,
    cross_means,
    draw_parameters,
    forward,
    gram,
    row_sums,
    unit_rows,
)
from freefim.montecarlo.gradients_heads import HEADS, HIDDEN_NORMS, apply_head
from freefim.montecarlo.gradients_replica import Measured
from freefim.montecarlo.streams import replica_stream
from freefim.montecarlo.threads import ONE_BLAS_THREAD
from freefim.networks.checks import count, finite_number, one_of
from freefim.networks.network import Network

__all__ = ["GradientEnsemble"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class GradientEnsemble:
    """Random networks at N inputs, and what is differentiated by what.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As of the statistics; data are scaled to rows of the norm that `net` gives its inputs.
    variables : str or int
        By what the outputs are differentiated: ``"parameters"`` (all weights and biases),
        ``"weights"`` (without the biases), the weights of one layer l = 1..L, ``"features"`` (all
        layers h⁰..h^{L-1}), ``"input"`` (h⁰).
    heads : tuple of str
        What is put on the outputs, the first one first: ``"mean-subtraction"`` and
        ``"batch-norm"`` over the samples, ``"layer-norm"`` over the outputs, ``"softmax"``.
    hidden_norm : str, optional
        ``"mean-subtraction"``, ``"batch-norm"`` or ``"layer-norm"`` of the hidden layers.
    shift : float
        What is added to the preactivations of the hidden layers, after `hidden_norm`.
    kernel : bool
        The kernel, the Gram matrix itself, instead of the dual, which is divided by N.
    independent_backward : bool
        Backpropagate through weights drawn anew, as mean-field theory assumes one may.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.
    """

    net: Network
    width: int
    samples: int
    outputs: int
    input_correlation: float | ArrayLike = 0.0
    variables: str | int = "parameters"
    heads: tuple[str, ...] = ()
    hidden_norm: str | None = None
    shift: float = 0.0
    kernel: bool = False
    independent_backward: bool = False

    def __post_init__(self) -> None:
        settle = object.__setattr__
        for name in ("width", "samples", "outputs"):
            settle(self, name, count(name, getattr(self, name)))
        net = self.net
        if not isinstance(net, Network):
            raise SpecError(f"net must be a Network, got {net!r}")
        if net.final_activation is not None:
            raise SpecError(
                f"final_activation must be None, a linear output, got {net.final_activation!r}"
            )
        if net.width_ratios is not None and len(net.width_ratios) != net.depth:
            raise SpecError(
                f"width_ratios must have the {net.depth} entries M_0..M_(L-1) for statistics, "
                f"got {net.width_ratios!r}"
            )
        if min(self.widths) < 1:
            raise SpecError(f"width must give every layer at least one unit, got {self.width!r}")
        heads = (self.heads,) if isinstance(self.heads, str) else self.heads
        settle(self, "heads", tuple(one_of("heads", head, HEADS) for head in heads))
        if "softmax" in self.heads[:-1]:
            raise SpecError(f"heads must have no head after the softmax, got {self.heads!r}")
        if self.hidden_norm is not None:
            one_of("hidden_norm", self.hidden_norm, HIDDEN_NORMS)
        settle(self, "shift", float(finite_number("shift", self.shift)))
        self._check_variables()
        settle(self, "input_correlation", self._checked_inputs())
        self._check_variation()

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Widths M_0..M_{L-1} and C."""
        hidden = (round(float(ratio) * self.width) for ratio in self.net.hidden_ratios)
        return (*hidden, self.outputs)

    @property
    def recipe(self) -> Recipe:
        """The network alone."""
        return Recipe(self.net, self.widths, self.hidden_norm, self.shift)

    @property
    def parameter_scales(self) -> tuple[tuple[float, float], ...]:
        r"""Squared length of a step of :math:`(\omega,\beta)` in (W, b), layer by layer."""
        if self.net.parametrization == "standard":
            return ((1.0, 1.0),) * self.net.depth
        columns = zip(self.net.weight_stds, self.net.bias_stds, self.widths, strict=False)
        return tuple((float(w) ** 2 / width, float(b) ** 2) for w, b, width in columns)

    @property
    def dimension(self) -> int:
        """Number of rows of the matrix whose eigenvalues are averaged, all zeros included."""
        if self.kernel:
            return self.outputs * self.samples
        if self.variables == "parameters":
            return sum(rows * (columns + 1) for columns, rows in pairwise(self.widths))
        if self.variables == "weights":
            return sum(rows * columns for columns, rows in pairwise(self.widths))
        if isinstance(self.variables, str):
            return self.widths[0] if self.variables == "input" else sum(self.widths[:-1])
        return self.widths[self.variables] * self.widths[self.variables - 1]

    @property
    def rank(self) -> int:
        """Largest possible number of nonzero eigenvalues."""
        lost = {"mean-subtraction": (1, 0), "batch-norm": (2, 0), "layer-norm": (0, 2)}
        ranks = [self.dimension]
        for head in ("", *self.heads):
            samples, outputs = lost.get(head, (0, 1 if head == "softmax" else 0))
            ranks.append(max(self.samples - samples, 0) * max(self.outputs - outputs, 0))
        return min(ranks)

    def draw_inputs(self, rng: Generator) -> Array:
        """Samples (N, M_0): the data, or Gaussian ones of the given correlation."""
        moment = float(self.net.input_second_moment)
        if isinstance(self.input_correlation, np.ndarray):
            data = self.input_correlation
            data = data / np.abs(data).max(axis=1, keepdims=True)
            scaled: Array = data * np.sqrt(
                moment * data.shape[1] / np.square(data).sum(axis=1, keepdims=True)
            )
            return scaled
        correlation = float(np.asarray(self.input_correlation))
        noise = rng.standard_normal((self.samples, self.widths[0]))
        own = np.sqrt(1.0 - correlation)
        # the mean of N independent inputs has the variance 1/N: this share of it brings every
        # pair to the correlation, the least possible one, -1/(N-1), included
        common = np.sqrt(max(own**2 + self.samples * correlation, 0.0)) - own
        inputs: Array = np.sqrt(moment) * (own * noise + common * noise.mean(axis=0))
        return inputs

    def initial(self, seed: int = 0, index: int = 0) -> tuple[Array, Parameters]:
        """Inputs (N, M_0) and parameters of replica `index` of `seed`, as `draw` draws them."""
        rng = replica_stream(seed, index)
        return self.draw_inputs(rng), draw_parameters(self.recipe, rng)

    def eigenvalues(self, inputs: Array, parameters: Parameters) -> Array:
        """Ascending eigenvalues (C N,) of the dual of a given, for instance trained, network."""
        with ONE_BLAS_THREAD:
            layers = forward(self.recipe, parameters, inputs)
            dual, _ = self.dual(parameters, layers, parameters.weights)
            return np.asarray(np.linalg.eigvalsh(dual), dtype=np.float64)

    def draw(self, rng: Generator) -> tuple[Array, tuple[Measured]]:
        """Draw the inputs, then the network, and build the dual, shape (C N, C N).

        Its rows stand by outputs first: (k, n) at k N + n.
        """
        recipe = self.recipe
        x = self.draw_inputs(rng)
        parameters = draw_parameters(recipe, rng)
        layers = forward(recipe, parameters, x)
        weights = parameters.weights
        if self.independent_backward:
            weights = draw_parameters(recipe, rng).weights
        return self.dual(parameters, layers, weights)

    def dual(
        self, parameters: Parameters, layers: Sequence[Layer], weights: Sequence[Array]
    ) -> tuple[Array, tuple[Measured]]:
        """The dual of a given network, backpropagated through `weights`."""
        rows = self.outputs * self.samples
        total = np.zeros((rows, rows))
        along_all, along_weights = np.zeros((2, self.outputs, self.samples))
        independent, back = 0.0, []
        start = unit_rows(self.recipe, self.samples)
        deltas = backward(self.recipe, weights, layers, start)
        for place, (delta, by_inputs) in zip(range(len(layers) - 1, -1, -1), deltas, strict=True):
            layer, bias = layers[place], parameters.biases[place]
            products = layer.inputs @ layer.inputs.T
            std = float(self.net.weight_stds[place])
            along_all += row_sums(delta, layer.preactivations)
            along_weights += row_sums(delta, layer.preactivations - bias)
            spread = std**2 / self.widths[place] / self.samples
            independent += spread * _squares(delta, products)
            back.append(cross_means(delta.reshape(self.outputs, self.samples, -1)))
            self._add(total, place, delta, by_inputs, products)
        logits = layers[-1].preactivations
        overlap = None if self.heads else _overlap(total, self.outputs, self.samples)
        forth = [
            tuple(value / layer.inputs.shape[1] for value in cross_means(layer.inputs[None]))
            for layer in layers
        ]
        measured = Measured(
            logits,
            tuple(same for same, _ in forth),
            tuple(cross for _, cross in forth),
            tuple(same for same, _ in back[::-1]),
            tuple(cross for _, cross in back[::-1]),
            float(np.square(along_all).sum()) / self.samples,
            float(np.square(along_weights).sum()) / self.samples,
            independent,
            overlap,
        )
        dual = self._headed(total, logits)
        return dual / (1 if self.kernel else self.samples), (measured,)

    def _add(
        self, total: Array, place: int, delta: Array, by_inputs: Array, products: Array
    ) -> None:
        """Add the share of one layer to the Gram matrix."""
        if self.variables in ("features", "input"):
            if self.variables == "features" or place == 0:
                total += gram(by_inputs, np.ones((self.samples, self.samples)))
            return
        if self.variables not in ("parameters", "weights", place + 1):
            return
        scale, constant = self.parameter_scales[place]
        inner = scale * products
        if self.variables == "parameters":
            inner = inner + constant
        total += gram(delta, inner)

    def _headed(self, total: Array, logits: Array) -> Array:
        """Apply the heads on both sides."""
        values, shape = logits.T, (self.outputs, self.samples, -1)
        for head in self.heads:
            outputs = values
            for _ in range(2):
                outputs, applied = apply_head(head, values, total.reshape(shape))
                total = applied.reshape(total.shape).T
            values = outputs
        return 0.5 * (total + total.T) if self.heads else total

    def _check_variables(self) -> None:
        value: Any = self.variables
        if isinstance(value, str):
            one_of("variables", value, ("parameters", "weights", "features", "input"))
            if value == "features" and self.recipe.coupled:
                raise SpecError(
                    "variables must be 'parameters' where the hidden layers are normalised over "
                    "the samples, since no feature belongs to one sample there, got 'features'"
                )
        elif count("variables", value) > self.net.depth:
            raise SpecError(f"variables must be a layer 1..{self.net.depth}, got {value!r}")

    def _checked_inputs(self) -> float | Array:
        value = self.input_correlation
        if not isinstance(value, Sequence | np.ndarray) or isinstance(value, str):
            correlation = float(finite_number("input_correlation", value))
            least = -1.0 / max(self.samples - 1, 1)
            if not least - 1e-12 <= correlation <= 1.0:
                raise SpecError(
                    f"input_correlation must be within [{least:.6g}, 1] for "
                    f"samples={self.samples}, got {value!r}"
                )
            return correlation
        try:
            data = np.array(value, dtype=float)
        except (TypeError, ValueError):
            raise SpecError(f"data must be a matrix of numbers, got {value!r}") from None
        shape = (self.samples, self.widths[0])
        if data.shape != shape:
            raise SpecError(
                f"data must have the shape (samples, M_0) = {shape}, got shape {data.shape}"
            )
        if not np.all(np.isfinite(data)) or not np.all(np.any(data != 0.0, axis=1)):
            raise SpecError("data must be finite, and have no zero row to be scaled")
        return read_only(data)

    def _check_variation(self) -> None:
        """Refuse to divide by a deviation that is 0 for certain."""
        hidden = self.hidden_norm if self.net.depth > 1 else None
        value = np.asarray(self.input_correlation)
        constant = bool(np.all(value == value[0])) if value.ndim else bool(value == 1.0)
        # mean subtraction of the outputs alone is 0 then, which is right
        divided = self.recipe.coupled or "batch-norm" in self.heads
        divided |= {"mean-subtraction", "layer-norm"} <= set(self.heads)
        if divided and (constant or self.samples < 2):
            raise SpecError(
                "data must vary over at least two samples to be normalised over them, got "
                f"samples={self.samples}" + (" that are all alike" if constant else "")
            )
        if "layer-norm" in self.heads and self.outputs < 2:
            raise SpecError("outputs must be >= 2 for layer-norm, got 1")
        if hidden == "layer-norm" and min(self.widths[1:-1]) < 2:
            raise SpecError(f"width must give layer-norm two units or more, got {self.width!r}")


def _squares(delta: Array, products: Array) -> float:
    """Sum of the squared gradients of weights, products (N, N) those of their inputs."""
    if delta.ndim == 3:
        return float((np.square(delta).sum(axis=-1) * np.diag(products)).sum())
    return float(((products @ delta) * delta).sum())


def _overlap(total: Array, outputs: int, samples: int) -> float:
    """Share of the span of the mean gradients in the top eigenspace, from the Gram matrix."""
    from scipy.linalg import eigh

    rows = outputs * samples
    values, vectors = eigh(total, subset_by_index=(rows - outputs, rows - 1))
    means = vectors.reshape(outputs, samples, outputs).sum(axis=1) * np.sqrt(np.maximum(values, 0))
    own = total.reshape(outputs, samples, outputs, samples).sum(axis=(1, 3))
    # |P_mean V|²/C with P_mean the projector on the span of the mean gradients
    share = np.trace(means.T @ np.linalg.pinv(own, rcond=1e-10, hermitian=True) @ means) / outputs
    return float(np.clip(share, 0.0, 1.0))
