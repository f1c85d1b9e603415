r"""Output heads that act on every sample by itself, through one C×C block for each.

:math:`F = \frac1N\sum_n J_n^TQ_nJ_n` with :math:`Q_n1=0`: by the master formula its nonzero
spectrum is that of the blocks :math:`\frac{d-o}N Q_n` plus the rank-C matrix
:math:`\frac oN RR^T` with :math:`R=(Q_1^{1/2},\dots,Q_N^{1/2})`. So there are C - 1 outliers, not
C.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Array
from freefim.statistics.master import GaussianStatistics, learning_rate
from freefim.statistics.problem import Problem

__all__ = ["BlockHead", "checked_logits", "sampled_outputs"]

_BISECTIONS = 100
_WIDEST = 1e140  # of logits: their squares are floats, and one over them


def sampled_outputs(problem: Problem, given: str, seed: Any) -> Array:
    r"""Outputs :math:`\sqrt{q_{st}}\,a_k+\sqrt{q_t-q_{st}}\,z_{nk}` of the mean-field law.

    Parameters
    ----------
    problem : Problem
        Network, samples and outputs.
    given : str
        What must be given where the law has no such form.
    seed : int
        At least 0.

    Returns
    -------
    ndarray, shape (samples, outputs)
        Outputs; all samples share :math:`a_k`.

    Raises
    ------
    SpecError
        If `seed` is no seed, or two outputs are negatively correlated.
    """
    if not isinstance(seed, int | np.integer) or isinstance(seed, bool) or seed < 0:
        raise SpecError(f"seed must be an integer >= 0, got {seed!r}")
    same = problem.pair.preactivation_variances[-1]
    cross = problem.pair.preactivation_covariances[-1]
    if cross < 0.0:
        raise SpecError(
            f"{given} must be given where the outputs of two samples are negatively "
            f"correlated, as here with covariance {cross:.6g}"
        )
    rng = np.random.default_rng(np.random.SeedSequence(int(seed)))
    common = rng.standard_normal(problem.outputs)
    own = rng.standard_normal((problem.samples, problem.outputs))
    logits: Array = math.sqrt(cross) * common + math.sqrt(max(same - cross, 0.0)) * own
    return logits


def checked_logits(
    value: Sequence[Sequence[float]], shape: tuple[int, int]
) -> tuple[tuple[float, ...], ...]:
    """Outputs of the given shape that vary over the outputs of every sample; SpecError else."""
    try:
        u = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"logits must be a matrix of numbers, got {value!r}") from None
    if u.shape != shape or not np.all(np.isfinite(u)):
        raise SpecError(
            f"logits must be finite, of shape (samples, outputs) = {shape}, got shape {u.shape}"
        )
    spread = np.ptp(u, axis=1)
    if np.any((spread > 0.0) & ~((spread > 1.0 / _WIDEST) & (spread < _WIDEST))):
        raise SpecError(
            f"logits must vary by {1.0 / _WIDEST:g} to {_WIDEST:g} over the outputs of a sample, "
            f"got {float(spread.min()):.3g} to {float(spread.max()):.3g}"
        )
    constant = spread == 0.0
    if np.any(constant):
        raise SpecError(
            "logits must vary over the outputs of every sample for layer normalisation, "
            f"got equal ones in row {int(np.argmax(constant))}"
        )
    return tuple(tuple(row) for row in u.tolist())


class BlockHead(ABC):
    """What follows from the gradients of `regression` and the blocks of the head."""

    regression: GaussianStatistics

    @property
    @abstractmethod
    def blocks(self) -> Array:
        """The :math:`Q_n`, shape (samples, outputs, outputs); :math:`Q_n1=0` for all of them."""

    @cached_property
    def _factors(self) -> tuple[Array, Array]:
        """Eigenvalues (N, C) and eigenvectors (N, C, C) of the Q_n."""
        values, vectors = np.linalg.eigh(self.blocks)
        return np.maximum(values, 0.0), vectors

    @cached_property
    def mean_head(self) -> Array:
        r""":math:`\bar Q = \frac1N\sum_nQ_n`, shape (outputs, outputs)."""
        mean: Array = self.blocks.mean(axis=0)
        return mean

    @cached_property
    def beta1(self) -> float:
        r"""Mean of :math:`\mathrm{tr}\,Q_n` over samples."""
        return float(np.trace(self.mean_head))

    @cached_property
    def beta2(self) -> float:
        r"""Mean of :math:`\mathrm{tr}\,Q_nQ_m` over pairs of different samples; 0 for one."""
        n = len(self.blocks)
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
        self.regression._require_alike()
        n, d, o = len(self.blocks), self.regression.diagonal, self.regression.off_diagonal
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
        n, d, o = len(self.blocks), self.regression.diagonal, self.regression.off_diagonal
        if self.trace == 0.0:
            return 0.0, 0.0
        whole = float(self._factors[0].max()) * ((n - 1) * o + d) / n
        return self._square / self.trace, min(math.sqrt(self._square), whole)

    @cached_property
    def outlier_bounds(self) -> tuple[tuple[float, float], ...]:
        r"""Bounds of the C - 1 largest eigenvalues, in descending order.

        :math:`o\,\lambda_i(\bar Q) \le \lambda_i \le o\,\lambda_i(\bar Q)
        + \frac{d-o}N\max_n\lambda_{max}(Q_n)`.
        """
        self.regression._require_alike()
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
            If the outliers of `regression` are not where the formula has them, above its bulk.
        """
        return tuple(self._outlier(rank) for rank in range(1, len(self.outlier_bounds) + 1))

    @cached_property
    def max_eigenvalue(self) -> float:
        """Largest eigenvalue, the first of `outliers`; ConvergenceError as there."""
        return self._outlier(1)

    @property
    def bulk_eigenvalue(self) -> float:
        r"""Largest eigenvalue of the blocks, :math:`\frac{d-o}N\max_n\lambda_{max}(Q_n)`."""
        return self._bulk_scale * float(self._factors[0].max())

    def max_learning_rate(self, momentum: float = 0.0) -> float:
        """2 (1 + momentum)/max_eigenvalue, as for a Gaussian output; inf if that is 0."""
        return learning_rate(self.max_eigenvalue, momentum)

    @property
    def _bulk_scale(self) -> float:
        return (self.regression.diagonal - self.regression.off_diagonal) / len(self.blocks)

    def _outlier(self, rank: int) -> float:
        """Eigenvalue of a rank from 1, by bisection of the number of those above."""
        values = self._factors[0]
        self.regression._require_alike()
        if len(values) == 1 or not values.any():
            return self.regression.diagonal * float(values[0, -rank])
        if not self.regression.formula_holds:
            raise ConvergenceError(
                "the inner product of gradients of two samples, "
                f"{self.regression.off_diagonal:.3g} beside the squared norm "
                f"{self.regression.diagonal:.3g}, is too small for outliers of "
                f"samples={self.regression.samples} at width={self.regression.width}"
            )
        low, high = self.outlier_bounds[rank - 1]
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
        share = self.regression.off_diagonal / len(self.blocks)
        weights = share * values / gaps
        rows = vectors.swapaxes(0, 1).reshape(vectors.shape[1], -1)
        kernel = (rows * weights.ravel()) @ rows.T
        return int((gaps < 0.0).sum()) + int((np.linalg.eigvalsh(kernel) > 1.0).sum())
