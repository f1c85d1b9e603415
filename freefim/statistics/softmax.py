r"""The Fisher information of a softmax output: cross-entropy instead of squares.

:math:`F = \frac1N\sum_n J_n^TQ_nJ_n` with :math:`Q_n = \mathrm{diag}(g_n)-g_ng_n^T`. By the
master formula its nonzero spectrum is that of the blocks :math:`\frac{d-o}N Q_n` plus the
rank-C matrix :math:`\frac oN RR^T` with :math:`R=(Q_1^{1/2},\dots,Q_N^{1/2})`. Since
:math:`Q_n1=0`, there are C - 1 outliers, not C.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Array
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.master import GaussianStatistics, Problem, learning_rate

__all__ = ["SoftmaxFisher", "SoftmaxFormulas", "SoftmaxHead", "checked_probabilities"]

Rows = tuple[tuple[float, ...], ...]
_SUM_TOLERANCE = 1e-9
_BISECTIONS = 100


def checked_probabilities(value: Any, shape: tuple[int, int]) -> Rows:
    """Rows of class probabilities of the given shape, each divided by its sum."""
    try:
        g = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"probabilities must be a matrix of numbers, got {value!r}") from None
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


class SoftmaxFormulas:
    """What follows from the gradients of `regression` and the class probabilities."""

    regression: GaussianStatistics
    probabilities: Rows

    @cached_property
    def _g(self) -> Array:
        return np.array(self.probabilities)

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """Eigenvalues (N, C) and eigenvectors (N, C, C) of the Q_n."""
        values, vectors = np.linalg.eigh(_heads(self._g))
        return np.maximum(values, 0.0), vectors

    @cached_property
    def mean_head(self) -> Array:
        r""":math:`\bar Q = \frac1N\sum_nQ_n`, shape (outputs, outputs)."""
        mean: Array = np.diag(self._g.mean(axis=0)) - self._g.T @ self._g / len(self._g)
        return mean

    @cached_property
    def beta1(self) -> float:
        r"""Mean of :math:`\mathrm{tr}\,Q_n = 1-\sum_kg_k^2`, over samples."""
        return float((self._g * (1.0 - self._g)).sum(axis=1).mean())

    @cached_property
    def beta2(self) -> float:
        r"""Mean of :math:`\mathrm{tr}\,Q_nQ_m` over pairs of different samples; 0 for one."""
        n = len(self._g)
        if n == 1:
            return 0.0
        return float((n * np.square(self.mean_head).sum() - self.beta3) / (n - 1))

    @cached_property
    def beta3(self) -> float:
        r"""Mean of :math:`\mathrm{tr}\,Q_n^2` over samples."""
        return float(np.square(self._factors[0]).sum(axis=1).mean())

    @property
    def dimension(self) -> int:
        """Number of rows of the matrix, as of `regression`."""
        return self.regression.dimension

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return self.beta1 * self.regression.diagonal

    @property
    def mean(self) -> float:
        """Mean of all `dimension` eigenvalues."""
        return self.trace / self.dimension

    @property
    def _square(self) -> float:
        n, d, o = len(self._g), self.regression.diagonal, self.regression.off_diagonal
        return ((n - 1) * self.beta2 * o * o + self.beta3 * d * d) / n

    @property
    def second_moment(self) -> float:
        """Mean square of all `dimension` eigenvalues."""
        return self._square / self.dimension

    @property
    def max_eigenvalue_bounds(self) -> tuple[float, float]:
        r"""Bounds :math:`\mathrm{tr}F^2/\mathrm{tr}F \le \lambda_{max} \le \sqrt{\mathrm{tr}F^2}`.

        The upper one is also at most :math:`\max_n\lambda_{max}(Q_n) \le \frac12` of the largest
        eigenvalue of the regression.
        """
        n, d, o = len(self._g), self.regression.diagonal, self.regression.off_diagonal
        if self.trace == 0.0:
            return 0.0, 0.0
        whole = float(self._factors[0].max()) * ((n - 1) * o + d) / n
        return self._square / self.trace, min(math.sqrt(self._square), whole)

    @property
    def outlier_bounds(self) -> tuple[tuple[float, float], ...]:
        r"""Bounds of the C - 1 largest eigenvalues, in descending order.

        :math:`o\,\lambda_i(\bar Q) \le \lambda_i \le o\,\lambda_i(\bar Q)
        + \frac{d-o}N\max_n\lambda_{max}(Q_n)`.
        """
        o = self.regression.off_diagonal
        means = np.linalg.eigvalsh(self.mean_head)[:0:-1]
        lift = self._bulk_scale * float(self._factors[0].max())
        return tuple((low, low + lift) for low in (o * np.maximum(means, 0.0)).tolist())

    @cached_property
    def outliers(self) -> tuple[float, ...]:
        r"""The C - 1 largest eigenvalues by the master formula, in descending order.

        Notes
        -----
        The number of eigenvalues above z is that of the blocks, :math:`\frac{d-o}NQ_n`, plus the
        number of eigenvalues above 1 of the C×C matrix
        :math:`\frac oN\sum_nQ_n(z-\frac{d-o}NQ_n)^{-1}` (Sylvester's law of inertia): bisection.

        Raises
        ------
        ConvergenceError
            If the outliers of `regression` do not stand out of its bulk.
        """
        if not self.regression.separated:
            raise ConvergenceError(
                "the inner product of gradients of two samples, "
                f"{self.regression.off_diagonal:.3g} beside the squared norm "
                f"{self.regression.diagonal:.3g}, is too small for outliers of "
                f"samples={self.regression.samples} at width={self.regression.width}"
            )
        return tuple(
            self._eigenvalue(rank, low, high)
            for rank, (low, high) in enumerate(self.outlier_bounds, start=1)
        )

    @property
    def max_eigenvalue(self) -> float:
        """Largest eigenvalue, the first of `outliers`; ConvergenceError as there."""
        return self.outliers[0]

    @property
    def bulk_eigenvalue(self) -> float:
        r"""Largest eigenvalue of the blocks, :math:`\frac{d-o}N\max_n\lambda_{max}(Q_n)`."""
        return self._bulk_scale * float(self._factors[0].max())

    def max_learning_rate(self, momentum: float = 0.0) -> float:
        """2 (1 + momentum)/max_eigenvalue, as for a Gaussian output; inf if that is 0."""
        return learning_rate(self.max_eigenvalue, momentum)

    @property
    def _bulk_scale(self) -> float:
        return (self.regression.diagonal - self.regression.off_diagonal) / len(self._g)

    def _eigenvalue(self, rank: int, low: float, high: float) -> float:
        low, high = low * (1.0 - 1e-12), high * (1.0 + 1e-12)
        for _ in range(_BISECTIONS):
            middle = 0.5 * (low + high)
            if not low < middle < high:
                break
            if self._count_above(middle) >= rank:
                low = middle
            else:
                high = middle
        return 0.5 * (low + high)

    def _count_above(self, z: float) -> int:
        values, vectors = self._factors
        blocks = self._bulk_scale * values
        # a block that meets z exactly is moved off it by its rounding
        gaps = z - blocks
        gaps = np.where(gaps == 0.0, np.finfo(float).eps * z, gaps)
        share = self.regression.off_diagonal / len(self._g)
        weights = share * values / gaps
        kernel = np.einsum("nij,nj,nkj->ik", vectors, weights, vectors, optimize=True)
        return int((gaps < 0.0).sum()) + int((np.linalg.eigvalsh(kernel) > 1.0).sum())


def _heads(g: Array) -> Array:
    heads: Array = g[:, :, None] * np.eye(g.shape[1]) - g[:, :, None] * g[:, None, :]
    return heads


@dataclass(frozen=True)
class SoftmaxHead(SoftmaxFormulas):
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


@dataclass(frozen=True)
class SoftmaxFisher(Problem, SoftmaxFormulas):
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
        seed: Any = self.seed
        if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
            raise SpecError(f"seed must be an integer >= 0, got {seed!r}")
        object.__setattr__(self, "seed", int(seed))
        rows: Any = self.probabilities
        if rows is None or len(rows) == 0:
            rows = self._sampled()
        shape = (self.samples, self.outputs)
        object.__setattr__(self, "probabilities", checked_probabilities(rows, shape))

    @cached_property
    def regression(self) -> GaussianStatistics:  # type: ignore[override]
        """The same network with a Gaussian output."""
        return FisherStatistics(
            self.net, self.width, self.samples, self.outputs, self.input_correlation
        )

    def _sampled(self) -> Array:
        from scipy.special import softmax

        same = self.pair.preactivation_variances[-1]
        cross = self.pair.preactivation_covariances[-1]
        if cross < 0.0:
            raise SpecError(
                "probabilities must be given where the outputs of two samples are negatively "
                f"correlated, as here with covariance {cross:.6g}"
            )
        rng = np.random.default_rng(np.random.SeedSequence(self.seed))
        common = rng.standard_normal(self.outputs)
        own = rng.standard_normal((self.samples, self.outputs))
        logits = math.sqrt(cross) * common + math.sqrt(max(same - cross, 0.0)) * own
        return np.asarray(softmax(logits, axis=1))
