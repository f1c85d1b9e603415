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
from concurrent.futures import Executor
from dataclasses import dataclass, replace
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.checks import count, finite_number, positive
from freefim.networks.network import Network
from freefim.networks.pairs import PairOrderParameters, correlation_of, pair_order_parameters
from freefim.statistics.centred_bulk import upper_edge

if TYPE_CHECKING:
    from freefim.free.law import Law
    from freefim.montecarlo.gradients import GradientSample
    from freefim.statistics.softmax import SoftmaxHead

__all__ = ["GaussianStatistics", "Problem", "learning_rate"]

_MOST = 2**63


@dataclass(frozen=True)
class Problem:
    """A network at a finite width on a number of samples.

    Parameters
    ----------
    net : Network
        Depth L, linear output; `width_ratios` None or the L entries M_0..M_{L-1}.
    width : int
        Reference width M, >= 1.
    samples, outputs : int
        Number N of samples and C of outputs, >= 1.
    input_correlation : float or array_like, shape (samples, features)
        Correlation of two inputs, at least -1/(N-1), or data whose mean correlation is taken;
        sampled networks see the data themselves.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.
    """

    net: Network
    width: int
    samples: int
    outputs: int
    input_correlation: float = 0.0
    _inputs: ClassVar[Any]

    def __post_init__(self) -> None:
        net, settle = self.net, object.__setattr__
        if not isinstance(net, Network):
            raise SpecError(f"net must be a Network, got {net!r}")
        for name in ("width", "samples", "outputs"):
            settle(self, name, count(name, getattr(self, name)))
            if getattr(self, name) >= _MOST:
                raise SpecError(f"{name} must be below 2**63, got {getattr(self, name)!r}")
        if net.width_ratios is not None and len(net.width_ratios) != net.depth:
            raise SpecError(
                f"width_ratios must have the {net.depth} entries M_0..M_(L-1) for statistics, "
                f"whose last layer has the width outputs={self.outputs}, got {net.width_ratios!r}"
            )
        if min(self.widths) < 1:
            raise SpecError(
                f"width must give every layer at least one unit, got width={self.width} "
                f"with width_ratios={net.width_ratios!r}"
            )
        given = self.input_correlation
        # no field: two problems with data of one correlation have the same statistics
        settle(self, "_inputs", np.array(given, dtype=np.float64) if np.ndim(given) else given)
        settle(self, "input_correlation", _input_correlation(given))
        least = -1.0 / (self.samples - 1) if self.samples > 1 else -1.0
        if self.input_correlation < least * (1.0 + 1e-12):
            raise SpecError(
                f"input_correlation must be at least -1/(samples - 1) = {least:.6g} for "
                f"samples={self.samples}, got {self.input_correlation!r}"
            )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Widths M_0..M_{L-1} and C."""
        hidden = (round(ratio * self.width) for ratio in self.net.hidden_ratios)
        return (*hidden, self.outputs)

    @cached_property
    def pair(self) -> PairOrderParameters:
        """Order parameters of a pair of inputs."""
        return pair_order_parameters(self.net, self.input_correlation)

    @property
    def witness(self) -> dict[str, Any]:
        """Fields of the `GradientEnsemble` that measures this, but for network and sizes."""
        return {"input_correlation": self._inputs}

    def sample(
        self, replicas: int, seed: int = 0, executor: Executor | None = None
    ) -> GradientSample:
        """Measure the same statistics on sampled networks.

        Parameters
        ----------
        replicas : int
            Number of networks, at least 1.
        seed : int
            At least 0; replica i draws from ``SeedSequence(seed, spawn_key=(i,))``.
        executor : concurrent.futures.Executor, optional
            Where the replicas run; the result is bitwise the same.

        Returns
        -------
        GradientSample
            The networks, each with its spectrum and its order parameters.

        Raises
        ------
        SpecError, ConvergenceError
            As `freefim.montecarlo.gradients.sample_gradients`; data must have as many rows as
            there are samples, and as many columns as the first layer has inputs.
        """
        from freefim.statistics.sampling import sample_problem

        return sample_problem(self, replicas, seed, executor)


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
        """Mean square of the `dimension` eigenvalues."""
        n = self.samples
        square = (n - 1) * self.off_diagonal**2 + self.diagonal**2
        return self.outputs * n * square / self._divisor**2 / self.dimension

    @property
    def bulk_eigenvalue(self) -> float:
        r"""The C (N - 1) eigenvalues below the top for N fixed, M → ∞: (d - o)/N.

        For N of the order of M they spread around it, on both sides.
        """
        return (self.diagonal - self.off_diagonal) / self._divisor

    @property
    def bulk_multiplicity(self) -> int:
        """Number of eigenvalues of the bulk, C (N - 1) if the dimension allows."""
        return max(self.rank - self.outputs, 0)

    @cached_property
    def separated(self) -> bool:
        r"""Whether C eigenvalues stand out of the bulk, where ((N - 1) o + d)/N puts them.

        Two conditions. The off-diagonal entries of the Gram matrix fluctuate by a relative
        :math:`1/\sqrt M`, and as a noise matrix they hide a constant part unless
        :math:`o\sqrt{NM} > d`: for a linear network this is the exact threshold
        :math:`c_{st}N > \sqrt{N/M}` of a spiked covariance (Baik, Ben Arous & Péché). And the
        place must be beyond the bulk: where it is known for uncorrelated inputs, above its edge.
        Between the two thresholds there are outliers, but the formula is below them.
        """
        if not self.off_diagonal * math.sqrt(self.samples * self.width) > self.diagonal:
            return False
        edge = self._centred_edge
        return edge is None or self._outlier > edge

    @property
    def _outlier(self) -> float:
        return ((self.samples - 1) * self.off_diagonal + self.diagonal) / self._divisor

    @property
    def _centred_edge(self) -> float | None:
        """Edge of the bulk that uncorrelated inputs would have, None where it is not known."""
        if self.input_correlation == 0.0:
            return None
        centred = replace(self, input_correlation=0.0)
        law = centred._bulk() if centred.off_diagonal == 0.0 else None
        return None if law is None else upper_edge(law)

    @property
    def multiplicity(self) -> int:
        """Number of eigenvalues at `max_eigenvalue`: C, or 0 for the edge of a continuous bulk.

        The C eigenvectors span the means of the gradients over the samples.
        """
        return self.outputs if self.separated or self.samples == 1 else 0

    @property
    def top_overlap(self) -> float:
        r"""Share of the span of the mean gradients in the space of the C top eigenvectors.

        In the limit: 1 where the outliers are `separated`, whose eigenvectors are the means
        :math:`\frac1N\sum_n\nabla f_k(n)`, and 0 where they drown in the bulk.
        """
        return 1.0 if self.separated or self.samples == 1 else 0.0

    @cached_property
    def max_eigenvalue(self) -> float:
        r"""Largest eigenvalue: ((N - 1) o + d)/N where it is `separated`, else the bulk's edge.

        Raises
        ------
        ConvergenceError
            If no outlier stands out of the bulk and the edge of the bulk is not known.
        """
        if self.separated or self.samples == 1:
            return self._outlier
        return upper_edge(self.bulk())

    def bulk(self) -> Law:
        """Limit law of the dual of one output for N of the order of M, where there is no outlier.

        Its N eigenvalues are `bulk_eigenvalue` spread by the fluctuations of the kernel.

        Returns
        -------
        Law
            With density and edges.

        Raises
        ------
        ConvergenceError
            Where the law is open: it is known for Gaussian weights, an odd activation, no bias
            and uncorrelated inputs.
        """
        law = self._bulk() if self.off_diagonal == 0.0 else None
        if law is not None:
            return law
        size = "large enough" if self.separated else "too small"
        raise ConvergenceError(
            f"the inner product of gradients of two samples, {self.off_diagonal:.3g} beside the "
            f"squared norm {self.diagonal:.3g}, is {size} for an outlier of "
            f"samples={self.samples} at width={self.width}, and the bulk is known only for "
            "Gaussian weights, an odd activation, no bias and uncorrelated inputs"
        )

    def _bulk(self) -> Law | None:
        """Law of the bulk where o is 0, None where it is not known."""
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


def _input_correlation(value: Any) -> float:
    if np.ndim(value) > 0:
        return correlation_of(value)
    correlation = float(finite_number("input_correlation", value))
    if not -1.0 <= correlation <= 1.0:
        raise SpecError(f"input_correlation must be within [-1, 1], got {value!r}")
    return correlation
