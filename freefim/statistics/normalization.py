r"""Normalised outputs: over the samples (batch) or over the outputs of one sample (layer).

Batch normalisation projects the constant vector of every output away, which carries the
outliers: what remains is of the order of ρ = M/N. Layer normalisation acts on each sample by
itself, like a softmax, and leaves outliers of the order of M.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Array
from freefim.networks.checks import one_of, positive
from freefim.networks.pair_moments import pair_moments
from freefim.statistics.centred_bulk import nested_bulk, upper_edge
from freefim.statistics.fisher import FisherStatistics, centred_bulk, layer_weights
from freefim.statistics.heads import BlockHead, checked_logits, sampled_outputs
from freefim.statistics.master import learning_rate
from freefim.statistics.problem import Problem

if TYPE_CHECKING:
    from freefim.free.law import Law

__all__ = ["OutputBatchNorm", "OutputLayerNorm", "regression"]


def regression(problem: Problem) -> FisherStatistics:
    """Statistics of the same network without normalisation."""
    return FisherStatistics(
        problem.net, problem.width, problem.samples, problem.outputs, problem._inputs
    )


@dataclass(frozen=True)
class OutputBatchNorm(Problem):
    r"""Statistics of the Fisher information with batch normalisation of the outputs.

    :math:`\bar f_k=(u_k-\mu_k)/\sigma_k` with mean and deviation over the N samples, gradient
    through both; or :math:`u_k-\mu_k` alone.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; inputs must not all be alike.
    kind : {"batch-norm", "mean-subtraction"}
        With or without division by the deviation.
    deviations : sequence of C numbers, optional
        :math:`\sigma_k>0`, over the gains :math:`\gamma_k` if there are any. They fluctuate with
        the norm of the last weights; none given, :math:`\sigma^2=q_t^L-q_{st}^L`, of which the
        variance over the samples is :math:`\chi_{N-1}^2/N` times.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    With :math:`\rho=M/N` each output has N - 1 eigenvalues (N - 2 with the deviation)
    :math:`\rho\alpha(\kappa_1-\kappa_2)/\sigma_k^2` for N fixed, which are of the order of M;
    normalisation tames the largest one only if N grows with M. Then the eigenvalues spread, and
    the edge is known exactly where `bulk` is.

    With no deviations given `mean` and `second_moment` are means over their distribution,
    :math:`E\sigma_k^{-2}=\frac N{N-3}\sigma^{-2}` and
    :math:`E\sigma_k^{-4}=\frac{N^2}{(N-3)(N-5)}\sigma^{-4}`: infinite for 3 samples, and up to
    5, where they are refused. Eigenvalues and bounds are those of a network with the
    `deviations`; the bounds too are refused up to 5 samples, where no value is typical.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *The Normalization Method for Alleviating Pathological
       Sharpness in Wide Neural Networks*, NeurIPS 2019, theorems 3.1-3.4.

    Examples
    --------
    Two samples are centred to ±1 and tell nothing about the parameters:

    >>> from freefim.networks.network import Network
    >>> net = Network(3, "relu", weights="gaussian", weight_std=2**0.5)
    >>> OutputBatchNorm(net, width=100, samples=2, outputs=3).max_eigenvalue_bounds
    (0.0, 0.0)
    """

    kind: str = "batch-norm"
    deviations: tuple[float, ...] = ()

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, ("batch-norm", "mean-subtraction"))
        given: Any = self.deviations
        if given is not None and not isinstance(given, Sequence | np.ndarray):
            raise SpecError(f"deviations must be a sequence of numbers, got {given!r}")
        if self.kind == "mean-subtraction":
            # its own ones, so that a repr evaluates back
            if given is not None and any(x != 1.0 for x in given):
                raise SpecError(f"deviations must be left out for mean subtraction, got {given!r}")
            given = (1.0,) * self.outputs
        elif given is None or len(given) == 0:
            given = (self._mean_field_deviation(),) * self.outputs
        if len(given) != self.outputs:
            raise SpecError(
                f"deviations must be one number for each of outputs={self.outputs}, got {given!r}"
            )
        values = tuple(float(positive(f"deviations[{k}]", x)) for k, x in enumerate(given))
        object.__setattr__(self, "deviations", values)

    def _mean_field_deviation(self) -> float:
        if self.samples < 2:
            raise SpecError(
                "samples must be >= 2 for batch-norm, got 1: one sample has no variance"
            )
        pair = self.pair
        square = pair.preactivation_variances[-1] - pair.preactivation_covariances[-1]
        if not square > 0.0:
            raise SpecError(
                "input_correlation must leave the outputs a variance over the samples for "
                f"batch-norm, got {self.input_correlation!r}: all samples alike"
            )
        return math.sqrt(square)

    @property
    def ratio(self) -> float:
        r""":math:`\rho=M/N`; the largest eigenvalue is of its order."""
        return self.width / self.samples

    @property
    def dimension(self) -> int:
        """Number of parameters P."""
        return regression(self).dimension

    @property
    def multiplicity(self) -> int:
        """Number of nonzero eigenvalues of each output, N - 1 or N - 2."""
        return max(self.samples - (1 if self.kind == "mean-subtraction" else 2), 0)

    @cached_property
    def bulk_eigenvalues(self) -> tuple[float, ...]:
        """The eigenvalue of each output for N fixed, M → ∞; its multiplicity is `multiplicity`."""
        plain = regression(self)
        gap = max(plain.diagonal - plain.off_diagonal, 0.0) / self.samples
        return tuple(gap / x**2 for x in self.deviations)

    @cached_property
    def _sampled(self) -> bool:
        """Whether the deviations are those of the order parameters, about which networks have."""
        return self.kind == "batch-norm" and set(self.deviations) == {self._mean_field_deviation()}

    def _inverse_moment(self, order: int) -> float:
        r"""Mean of :math:`(N/\chi_{N-1}^2)^{order}`, 1 if the deviations were given."""
        n = self.samples
        if not self._sampled or self.multiplicity == 0:
            return 1.0
        if n <= 2 * order + 1:
            raise ConvergenceError(
                f"the mean of σ^-{2 * order} over the deviations of samples={n} is infinite, it "
                f"needs {2 * order + 2}: give the deviations of a network"
            )
        return math.prod(n / (n - 1 - 2 * k) for k in range(1, order + 1))

    @property
    def trace(self) -> float:
        """Sum of the eigenvalues; ConvergenceError if its mean is infinite, for 3 samples."""
        return self._inverse_moment(1) * self._trace

    @property
    def _trace(self) -> float:
        return self.multiplicity * math.fsum(self.bulk_eigenvalues)

    @property
    def mean(self) -> float:
        """Mean of all `dimension` eigenvalues; ConvergenceError as `trace`."""
        return self.trace / self.dimension

    @property
    def _square(self) -> float:
        self._require_alike()
        return self.multiplicity * math.fsum(x * x for x in self.bulk_eigenvalues)

    @property
    def second_moment(self) -> float:
        """Mean square of all `dimension` eigenvalues.

        For N of the order of M only a lower bound: fluctuations of the kernel add to it.
        ConvergenceError if its mean over the deviations is infinite, for 3 to 5 samples.
        """
        return self._inverse_moment(2) * self._square / self.dimension

    @property
    def max_eigenvalue_bounds(self) -> tuple[float, float]:
        r""":math:`\mathrm{tr}F^2/\mathrm{tr}F\le\lambda_{max}\le\sqrt{\mathrm{tr}F^2}`.

        For N of the order of M up to the constants :math:`c_1, c_2\ge0` of the theorem; the upper
        bound, of the order of :math:`\sqrt M`, is not tight then. ConvergenceError for 3 to 5
        samples without their deviations.
        """
        if self._trace == 0.0:
            return 0.0, 0.0
        self._inverse_moment(2)  # no value is typical where it is infinite
        return self._square / self._trace, math.sqrt(self._square)

    def bulk(self, output: int = 0) -> Law:
        r"""Limit law of the dual of one output, N - 1 or N - 2 eigenvalues for N of the order of M.

        Parameters
        ----------
        output : int
            The output k, from 0, whose :math:`\sigma_k` counts.

        Returns
        -------
        Law
            Of the nonzero eigenvalues.

        Raises
        ------
        SpecError
            If `output` is no index of `deviations`.
        ConvergenceError
            Where the law is open: it is known for Gaussian weights, uncorrelated inputs, and an
            odd activation without bias, or any activation of a single hidden layer without bias.
        """
        is_index = isinstance(output, int | np.integer) and not isinstance(output, bool)
        if not (is_index and 0 <= output < self.outputs):
            raise SpecError(f"output must be within 0..{self.outputs - 1}, got {output!r}")
        self._require_alike()
        known = self._bulk
        if known is None:
            raise ConvergenceError(
                "the normalised spectrum is known only for Gaussian weights, uncorrelated inputs, "
                "and an odd activation or a single hidden layer without bias; here its largest "
                "eigenvalue is bounded by {:.6g} and {:.6g}".format(*self.max_eigenvalue_bounds)
            )
        scaled: Law = known * (1.0 / self.deviations[output] ** 2)
        return scaled

    @cached_property
    def _bulk(self) -> Law | None:
        r"""Law for :math:`\sigma_k=1`, None where it is open."""
        net = self.net
        known = centred_bulk(self)
        if known is not None or net.depth != 2:
            return known
        if net.ensembles[0] != "gaussian" or net.bias_stds[0] != 0 or self.pair.cross_moments[0]:
            return None
        pair, n = self.pair, self.samples
        at = pair_moments(net.activations[0], pair.preactivation_variances[0], 0.0)
        moment, weights = pair.second_moments[0], layer_weights(self)
        gain = float(net.weight_stds[0]) ** 2 * float(at.slope) * moment
        if not gain > 0.0:
            return None
        cross = pair.backward_cross_moments[0]
        shift = weights[0] / n * (pair.backward_moments[0] - cross) * moment
        ratios = (n / self.widths[0], n / self.widths[1])
        rest = max(pair.second_moments[1] - float(at.product) - gain, 0.0)
        y = (weights[0] / n * cross * moment, weights[1] / n)
        return nested_bulk(shift, y, ratios, (rest,), (gain,))

    @cached_property
    def max_eigenvalue(self) -> float:
        """Upper edge of the spectrum, for N of the order of M.

        Raises
        ------
        ConvergenceError
            As `bulk`: only `max_eigenvalue_bounds` are known there.
        """
        if self.multiplicity == 0:
            return 0.0
        return upper_edge(self.bulk(self.deviations.index(min(self.deviations))))

    def max_learning_rate_bounds(self, momentum: float = 0.0) -> tuple[float, float]:
        """2 (1 + momentum)/λ_max for the bounds of λ_max, the smaller one first.

        Parameters
        ----------
        momentum : float
            In [0, 1).

        Returns
        -------
        tuple of float
            Surely stable, and surely unstable above; both inf if nothing depends on θ.

        Raises
        ------
        SpecError
            If `momentum` is outside [0, 1).
        """
        low, high = self.max_eigenvalue_bounds
        return learning_rate(high, momentum), learning_rate(low, momentum)

    @property
    def learning_rate_gain_bounds(self) -> tuple[float, float]:
        """Critical learning rate over that without normalisation: bounds, the smaller one first.

        ConvergenceError as `FisherStatistics.max_eigenvalue`.
        """
        low, high = self.max_learning_rate_bounds()
        plain = regression(self).max_learning_rate()
        return low / plain, high / plain

    @property
    def witness(self) -> dict[str, Any]:
        """Normalises the outputs."""
        return super().witness | {"heads": (self.kind,)}


@dataclass(frozen=True)
class OutputLayerNorm(Problem, BlockHead):
    r"""Statistics of the Fisher information with layer normalisation of the C outputs.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; `outputs` >= 2.
    logits : array_like, shape (samples, outputs), optional
        The outputs before normalisation; none given, they are sampled from their mean-field law.
    seed : int
        Of that sample.

    Raises
    ------
    SpecError
        If an argument is out of range, or the outputs of a sample do not vary.

    Notes
    -----
    The formulas of a softmax hold with
    :math:`Q_n=\sigma_n^{-2}(I-\frac1C11^T-\frac1C\hat u_n\hat u_n^T)`, so that there are C - 1
    outliers of the order of M. For C = 2 everything is 0, the outputs being ±1. For C = 3 the
    mean of :math:`\sigma^{-2}` diverges, for C <= 5 that of :math:`\sigma^{-4}`: sampled values
    have heavy tails there, and may exceed those without normalisation.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *The Normalization Method for Alleviating Pathological
       Sharpness in Wide Neural Networks*, NeurIPS 2019, section 4.

    Examples
    --------
    >>> from freefim.networks.network import Network
    >>> net = Network(3, "relu", weights="gaussian", weight_std=2**0.5)
    >>> OutputLayerNorm(net, width=100, samples=10, outputs=2).max_eigenvalue
    0.0
    """

    logits: tuple[tuple[float, ...], ...] = ()
    seed: int = 0

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.outputs < 2:
            raise SpecError("outputs must be >= 2 for layer normalisation, got 1")
        rows: Any = self.logits
        if rows is None or (hasattr(rows, "__len__") and len(rows) == 0):
            rows = sampled_outputs(self, "logits", self.seed)
        object.__setattr__(self, "logits", checked_logits(rows, (self.samples, self.outputs)))

    @cached_property
    def regression(self) -> FisherStatistics:  # type: ignore[override]
        """The same network without normalisation."""
        return regression(self)

    @cached_property
    def blocks(self) -> Array:
        r""":math:`Q_n`, shape (samples, outputs, outputs); of trace :math:`(C-2)/\sigma_n^2`."""
        c, u = self.outputs, np.array(self.logits)
        if c == 2:
            return np.zeros((self.samples, 2, 2))
        centred = u - u.mean(axis=1, keepdims=True)
        square = np.square(centred).mean(axis=1)[:, None, None]
        outer = centred[:, :, None] * centred[:, None, :] / square
        blocks: Array = (np.eye(c) - 1.0 / c - outer / c) / square
        return blocks

    @property
    def learning_rate_gain(self) -> float:
        """Critical learning rate over that without normalisation; below 1 it is a loss."""
        top = self.max_eigenvalue
        return self.regression.max_eigenvalue / top if top > 0.0 else math.inf

    @property
    def witness(self) -> dict[str, Any]:
        """Normalises the outputs of every sample."""
        return super().witness | {"heads": ("layer-norm",)}
