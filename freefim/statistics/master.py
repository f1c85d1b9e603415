r"""The master formula: a Gram matrix of gradients with two values.

At leading order in the width the gradients of the outputs f_k at the samples n obey
:math:`\langle\nabla f_k(n),\nabla f_{k'}(m)\rangle = \delta_{kk'}[o + (d-o)\,\delta_{nm}]`. Every
statistic of a Gaussian output is a function of `diagonal` d, `off_diagonal` o, the number of
samples N, of outputs C and of the dimension P of the matrix.
"""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Array
from freefim.networks.checks import finite_number, positive
from freefim.statistics.pair_kernel import gram_matrix
from freefim.statistics.problem import Problem

if TYPE_CHECKING:
    from freefim.free.law import Law
    from freefim.statistics.softmax import SoftmaxHead
    from freefim.statistics.spiked_bulk import SpikedBulk

__all__ = ["FAINT", "GaussianStatistics", "learning_rate"]

# Correlation of the features of two samples up to which a bulk is that without their mean.
FAINT = 0.1
# Outliers this far beyond the edge, which costs seconds, are where the formula has them.
_FAR = 20.0


class GaussianStatistics(Problem, ABC):
    """Statistics of a matrix (1/N) Σ_k Σ_n ∇f_k(n) ∇f_k(n)ᵀ of a Gaussian output."""

    @property
    @abstractmethod
    def diagonal(self) -> float:
        """Squared norm d of the gradient of one output at one sample."""

    @property
    @abstractmethod
    def off_diagonal(self) -> float:
        """Inner product o of the gradients of one output at two samples."""

    @property
    @abstractmethod
    def dimension(self) -> int:
        """Number of rows of the matrix, zeros of the spectrum included."""

    @property
    def _divisor(self) -> float:
        """Divisor of the Gram matrix: the number of samples, or 1 for a kernel."""
        return float(self.samples)

    @property
    def rank(self) -> int:
        """Largest possible number of nonzero eigenvalues, min(C N, P)."""
        return min(self.outputs * self.samples, self.dimension)

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues."""
        return self.outputs * self.samples * self.diagonal / self._divisor

    @property
    def mean(self) -> float:
        """Mean of the `dimension` eigenvalues."""
        return self.trace / self.dimension

    @property
    def second_moment(self) -> float:
        """Mean square of the `dimension` eigenvalues; for data, over all pairs if they differ."""
        n = self.samples
        square = (n - 1) * self.off_diagonal**2 + self.diagonal**2
        if self._gram is not None:
            square = float(np.square(self._gram).sum()) / n
        return self.outputs * n * square / self._divisor**2 / self.dimension

    @property
    def bulk_eigenvalue(self) -> float:
        r"""The C (N - 1) eigenvalues below the top for N fixed, M → ∞: (d - o)/N.

        For N of the order of M they spread around it, on both sides; for data with pairs told
        apart it is their mean.
        """
        if self._gram is not None:
            rest = self.samples * (self.diagonal / self._divisor) - self._outlier
            return rest / (self.samples - 1)
        return (self.diagonal - self.off_diagonal) / self._divisor

    @property
    def bulk_multiplicity(self) -> int:
        """Number of eigenvalues but for C: those of the bulk if C outliers are `separated`."""
        return max(self.rank - self.outputs, 0)

    @cached_property
    def separated(self) -> bool:
        r"""Whether C eigenvalues stand out of the bulk.

        Where the bulk is known the secular equation of its perturbation decides (see
        `freefim.statistics.spiked_bulk`). Elsewhere :math:`o\sqrt{NM} > d`: the off-diagonal
        entries of the Gram matrix fluctuate by a relative :math:`1/\sqrt M`, and as a noise matrix
        they hide a smaller constant part.
        """
        if self.samples == 1:
            return True
        if self._gram is not None:
            excess = self._outlier * self._divisor - self.diagonal
            return excess * math.sqrt(self.width / self.samples) > self.diagonal
        if self._known is None:
            return self.off_diagonal * math.sqrt(self.samples * self.width) > self.diagonal
        return self._largest[1] > 0.0

    @cached_property
    def formula_holds(self) -> bool:
        """Whether ((N - 1) o + d)/N is an outlier, where the bulk is known: above its edge."""
        known = self._known
        if known is None or self.samples == 1 or self._is_far:
            return self.separated
        return self._outlier > self._scale * known.edge

    @cached_property
    def _gram(self) -> Array | None:
        """Products of the gradients at all pairs of samples, if the data tell them apart."""
        return gram_matrix(self, self._inputs) if self._spread > 1.0 else None

    @cached_property
    def _top(self) -> tuple[float, float]:
        """Largest eigenvalue of `_gram`, and the share of the mean gradient in its vector."""
        gram = gram_matrix(self, self._inputs) if self._gram is None else self._gram
        values, vectors = np.linalg.eigh(gram)
        share = values[-1] * vectors[:, -1].sum() ** 2
        return float(values[-1]), min(float(share / gram.sum()), 1.0)

    @property
    def _outlier(self) -> float:
        if self._gram is not None:
            return self._top[0] / self._divisor
        return ((self.samples - 1) * self.off_diagonal + self.diagonal) / self._divisor

    @property
    def _scale(self) -> float:
        return self.samples / self._divisor

    @cached_property
    def _known(self) -> SpikedBulk | None:
        return None if self._gram is not None else self._spiked_bulk()

    @property
    def _is_far(self) -> bool:
        """Whether the bulk does not matter to the outlier, nor the gradients of the biases."""
        known = self._known
        if known is None:
            return False
        return self._outlier > _FAR * self._scale * max(known.edge_bound, known.direct)

    @cached_property
    def _largest(self) -> tuple[float, float]:
        """Largest eigenvalue, and the share of the mean gradient in its eigenvector."""
        known, place = self._known, self._outlier
        if self.samples == 1 or self._is_far:
            return place, 1.0
        if known is None:
            if self.separated:
                return place, 1.0 if self._gram is None else self._top[1]
            raise ConvergenceError(
                f"the inner product of gradients of two samples, {self.off_diagonal:.3g} beside "
                f"the squared norm {self.diagonal:.3g}, is too small for an outlier of "
                f"samples={self.samples} at width={self.width} whatever the bulk, {self._unknown}"
            )
        found = known.outlier
        if found is None:
            return self._scale * known.edge, 0.0
        value, weight = (self._scale * found[0], found[1])
        # |<mean gradient, eigenvector>|² = λ u² over |mean gradient|²
        return value, min(weight * value / (place + self._scale * known.direct), 1.0)

    @property
    def _unknown(self) -> str:
        return (
            "which is known only for Gaussian weights and features of two samples correlated by "
            f"at most {FAINT} in every layer (without correlation: an odd activation and no bias)"
        )

    @property
    def multiplicity(self) -> int:
        """Number of eigenvalues at `max_eigenvalue`: C, or 0 for the edge of a continuous bulk.

        The C eigenvectors span the means of the gradients over the samples.
        """
        return self.outputs if self.separated or self.samples == 1 else 0

    @property
    def top_overlap(self) -> float:
        r"""Share of the span of the mean gradients in the space of the C top eigenvectors.

        For data with pairs told apart, of the mean gradient in its own top eigenvector. In the
        limit: 1 for outliers far out, whose eigenvectors are the means
        :math:`\frac1N\sum_n\nabla f_k(n)`, less where the bulk is near, and 0 where they drown
        in it.
        """
        return self._largest[1] if self.separated else 0.0

    @cached_property
    def max_eigenvalue(self) -> float:
        r"""Largest eigenvalue: of C outliers where they are `separated`, else the bulk's edge.

        Far from the bulk, and where that is not known, an outlier is at ((N - 1) o + d)/N, up to
        a relative error of the order of the bulk over it. Near a known bulk it is the root of
        the secular equation (see `freefim.statistics.spiked_bulk`), in which the gradients of the
        biases count too.

        Raises
        ------
        ConvergenceError
            If the bulk, which decides, is not known or not solved.
        """
        return self._largest[0]

    def bulk(self) -> Law:
        """Limit law of the dual of one output for N of the order of M, but for an outlier.

        Its N eigenvalues are `bulk_eigenvalue` spread by the fluctuations of the kernel.

        Returns
        -------
        Law
            With density and edges.

        Raises
        ------
        ConvergenceError
            Where the law is open: it is known for Gaussian weights, an odd activation, no bias
            and uncorrelated inputs, and up to the order of the correlation where the features of
            two samples are correlated by at most 0.1 in every layer.
        """
        if self._known is not None:
            return self._scale * self._known.law if self._scale != 1.0 else self._known.law
        raise ConvergenceError(f"nothing is known of this bulk, {self._unknown}")

    def _spiked_bulk(self) -> SpikedBulk | None:
        """Bulk with what the samples share, None where it is not known."""
        return None

    def count_above(self, threshold: float) -> float:
        r"""Bound on the number of eigenvalues >= `threshold`: min(trace / threshold, rank).

        Parameters
        ----------
        threshold : float
            k > 0.

        Returns
        -------
        float
            Markov's bound, and the rank.

        Raises
        ------
        SpecError
            If `threshold` is not > 0.
        """
        return min(self.trace / float(positive("threshold", threshold)), float(self.rank))

    def flatness(self, threshold: float) -> float:
        """Share of all directions with an eigenvalue < `threshold`, at least, by `count_above`.

        Parameters
        ----------
        threshold : float
            > 0.

        Returns
        -------
        float
            Within [0, 1].

        Raises
        ------
        SpecError
            If `threshold` is not > 0.
        """
        return 1.0 - self.count_above(threshold) / self.dimension

    def max_learning_rate(self, momentum: float = 0.0) -> float:
        r"""Largest stable step of gradient descent at a minimum: 2 (1 + momentum)/max_eigenvalue.

        For the loss :math:`\frac1{2N}\sum_n|f-y|^2`. It is local: from afar a larger step may
        first blow the loss up and then land in a flatter region.

        Parameters
        ----------
        momentum : float
            In [0, 1).

        Returns
        -------
        float
            The critical learning rate.

        Raises
        ------
        SpecError
            If `momentum` is outside [0, 1).
        ConvergenceError
            As `max_eigenvalue`.
        """
        return learning_rate(self.max_eigenvalue, momentum)

    def softmax(self, probabilities: Sequence[Sequence[float]]) -> SoftmaxHead:
        """Statistics of the same gradients under a softmax output and cross-entropy.

        Parameters
        ----------
        probabilities : array_like, shape (samples, outputs)
            Class probabilities of every sample.

        Returns
        -------
        SoftmaxHead
            The statistics.

        Raises
        ------
        SpecError
            If the rows are no probabilities, or not `samples` rows of `outputs`.
        """
        from freefim.statistics.softmax import SoftmaxHead, checked_probabilities

        rows = checked_probabilities(probabilities, (self.samples, self.outputs))
        return SoftmaxHead(self, rows)


def learning_rate(max_eigenvalue: float, momentum: float) -> float:
    """2 (1 + momentum) / max_eigenvalue; SpecError unless 0 <= momentum < 1."""
    mu = float(finite_number("momentum", momentum))
    if not 0.0 <= mu < 1.0:
        raise SpecError(f"momentum must be within [0, 1), got {momentum!r}")
    if max_eigenvalue <= 0.0:
        return math.inf
    return 2.0 * (1.0 + mu) / max_eigenvalue
