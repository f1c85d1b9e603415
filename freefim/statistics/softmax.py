r"""The Fisher information of a softmax output: cross-entropy instead of squares.

The head has the blocks :math:`Q_n = \mathrm{diag}(g_n)-g_ng_n^T` with class probabilities
:math:`g_n`; its trace is :math:`1-\sum_kg_k^2`.
"""

from __future__ import annotations

from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import SpecError
from freefim.networks.activation_base import Array
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.heads import BlockHead, sampled_outputs
from freefim.statistics.master import GaussianStatistics
from freefim.statistics.problem import Problem
from freefim.statistics.sampling import sample_problem

if TYPE_CHECKING:
    from freefim.montecarlo.gradients import GradientSample

__all__ = ["SoftmaxFisher", "SoftmaxHead", "checked_probabilities"]

Rows = tuple[tuple[float, ...], ...]
_SUM_TOLERANCE = 1e-9


def checked_probabilities(value: Any, shape: tuple[int, int]) -> Rows:
    """Rows of class probabilities of the given shape, each divided by its sum."""
    try:
        g = np.asarray(value, dtype=np.float64) if np.isrealobj(value) else None
    except (TypeError, ValueError):
        g = None
    if g is None:
        raise SpecError(f"probabilities must be a matrix of numbers, got {value!r}")
    if g.shape != shape:
        raise SpecError(
            f"probabilities must have the shape (samples, outputs) = {shape}, got shape {g.shape}"
        )
    if shape[1] < 2:
        raise SpecError("outputs must be >= 2 for a softmax output, got 1")
    if not np.all(np.isfinite(g)) or not np.all(g >= 0.0):
        raise SpecError("probabilities must be finite numbers >= 0, got a negative one or a NaN")
    sums = g.sum(axis=1)
    worst = int(np.argmax(np.abs(sums - 1.0)))
    if abs(sums[worst] - 1.0) > _SUM_TOLERANCE:
        raise SpecError(
            f"probabilities must sum to 1 in every row, got {float(sums[worst])!r} in row {worst}"
        )
    return tuple(tuple(row) for row in (g / sums[:, None]).tolist())


def _softmax_blocks(probabilities: Rows) -> Array:
    g = np.array(probabilities)
    blocks: Array = -g[:, :, None] * g[:, None, :]
    # 1 - g is exact near 1, where g - g² would lose digits
    np.einsum("nkk->nk", blocks)[...] = g * (1.0 - g)
    return blocks


@dataclass(frozen=True)
class SoftmaxHead(BlockHead):
    r"""Statistics of the gradients of `regression` under a softmax output.

    Made by the method `softmax` of the statistics of a Gaussian output.

    Parameters
    ----------
    regression : GaussianStatistics
        The statistics of the same gradients for a Gaussian output.
    probabilities : tuple of tuples, shape (samples, outputs)
        Class probabilities :math:`g_n`. They do not average out for a finite number of classes:
        realised ones give the values of that network.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and
       Its Variants in Deep Neural Networks*, Neural Computation 33 (2021), theorem 3.3.
    """

    regression: GaussianStatistics
    probabilities: Rows

    @cached_property
    def blocks(self) -> Array:
        r""":math:`Q_n`, shape (samples, outputs, outputs)."""
        return _softmax_blocks(self.probabilities)

    def sample(
        self, replicas: int, seed: int = 0, executor: Executor | None = None
    ) -> GradientSample:
        """Measure the same on sampled networks, as `Problem.sample`.

        They have class probabilities of their own.
        """
        return sample_problem(self.regression, replicas, seed, executor, heads=("softmax",))


@dataclass(frozen=True)
class SoftmaxFisher(Problem, BlockHead):
    r"""Statistics of the Fisher information matrix of a softmax output.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; `outputs` >= 2 classes.
    probabilities : array_like, shape (samples, outputs), optional
        Class probabilities; none given, they are sampled from the mean-field law of the outputs.
    seed : int
        Of that sample.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    Sampled outputs are :math:`\sqrt{q_{st}}\,a_k+\sqrt{q_t-q_{st}}\,z_{nk}`. All samples share
    :math:`a_k`, so the values scatter over seeds at any number of samples.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and
       Its Variants in Deep Neural Networks*, Neural Computation 33 (2021), theorem 3.3.

    Examples
    --------
    Certain predictions carry no information:

    >>> from freefim.networks.network import Network
    >>> net = Network(3, "relu", weights="gaussian", weight_std=2**0.5)
    >>> sure = [[1.0, 0.0, 0.0]] * 4
    >>> st = SoftmaxFisher(net, width=100, samples=4, outputs=3, probabilities=sure)
    >>> st.trace, st.max_eigenvalue
    (0.0, 0.0)
    """

    probabilities: Rows = ()
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        rows: Any = self.probabilities
        if rows is None or (hasattr(rows, "__len__") and len(rows) == 0):
            from scipy.special import softmax

            rows = softmax(sampled_outputs(self, "probabilities", self.seed), axis=1)
        shape = (self.samples, self.outputs)
        object.__setattr__(self, "probabilities", checked_probabilities(rows, shape))

    @cached_property
    def regression(self) -> GaussianStatistics:  # type: ignore[override]
        """The same network with a Gaussian output."""
        return FisherStatistics(self.net, self.width, self.samples, self.outputs, self._inputs)

    @cached_property
    def blocks(self) -> Array:
        r""":math:`Q_n`, shape (samples, outputs, outputs)."""
        return _softmax_blocks(self.probabilities)

    @property
    def witness(self) -> dict[str, Any]:
        """Puts a softmax on the outputs."""
        return super().witness | {"heads": ("softmax",)}
