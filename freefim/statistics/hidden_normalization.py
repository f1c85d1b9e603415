r"""Normalisation of the hidden layers: the outliers stay, of the order of the width.

The last layer sees positive features again, whatever was normalised before its activation.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Activation, Array
from freefim.networks.checks import finite_number, one_of
from freefim.networks.custom import CustomActivation
from freefim.networks.network import Network
from freefim.networks.pair_moments import PairMoments, pair_moments
from freefim.networks.pairs import PairOrderParameters
from freefim.statistics.fisher import FisherStatistics, layer_weights, spiked_bulk
from freefim.statistics.master import GaussianStatistics, learning_rate
from freefim.statistics.normalization import regression
from freefim.statistics.problem import Problem

if TYPE_CHECKING:
    from freefim.statistics.spiked_bulk import SpikedBulk

__all__ = ["HiddenBatchNorm", "HiddenLayerNorm"]

# E φ counts as 0 if its square is below this share of E φ²: the rounding of a quadrature.
_NO_MEAN = 1e-12
# E φ(u+β)² below this share of E φ(u)²: shifted off the inputs, no quadrature has digits of it.
_NOTHING = 1e-15
# Samples from which a point of the sphere is taken as Gaussian; nodes of the averages below.
_FEW, _NODES = 20, 200


def _require_gaussian(problem: Problem) -> None:
    if problem.net.depth < 2:
        raise SpecError("depth must be >= 2 for hidden layers to be normalised, got 1")
    if any(kind != "gaussian" for kind in problem.net.ensembles):
        raise SpecError(
            "weights must be 'gaussian' for the statistics of normalised hidden layers, "
            f"got {problem.net.weights!r}"
        )


@dataclass(frozen=True)
class HiddenBatchNorm(Problem):
    r"""Batch normalisation of the hidden layers: what the last layer alone makes of λ_max.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; depth and `samples` >= 2, Gaussian weights.
    kind : {"batch-norm", "mean-subtraction"}
        With or without division by the deviation over the samples.
    shift : float
        :math:`\beta`, added after the normalisation.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    The preactivations of two samples have the correlation -1/(N-1) after centring, and the
    largest eigenvalue is at least that of the block of the last layer,
    :math:`M_{L-1}[\frac{N-1}N\hat q_{st}^{L-1}+\frac1N\hat q_t^{L-1}]`, C-fold: of the order of
    M unless :math:`E\varphi(z+\beta)=0`. What the other layers add is of the order of M/N.
    Preactivations divided by their deviation are uniform on a sphere, the vectors of zero mean
    and unit mean square, Gaussian up to 1/N: below 20 samples the moments are those of the
    sphere, exactly ±1 for two.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *The Normalization Method for Alleviating Pathological
       Sharpness in Wide Neural Networks*, NeurIPS 2019, section 4.

    Examples
    --------
    An odd activation has no mean, so its features have no outlier:

    >>> from freefim.networks.network import Network
    >>> net = Network(3, "tanh", weights="gaussian")
    >>> size = dict(width=100, samples=20, outputs=1)
    >>> [HiddenBatchNorm(net, **size, shift=beta).multiplicity for beta in (0.0, 0.5)]
    [0, 1]
    """

    kind: str = "batch-norm"
    shift: float = 0.0

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("kind", self.kind, ("batch-norm", "mean-subtraction"))
        object.__setattr__(self, "shift", float(finite_number("shift", self.shift)))
        _require_gaussian(self)
        if self.samples < 2:
            raise SpecError(
                "samples must be >= 2 for normalisation over them, got 1: it has no variance"
            )
        if self.input_correlation == 1.0:
            raise SpecError(
                "input_correlation must be below 1 for normalisation over the samples, got "
                f"{self.input_correlation!r}: all samples alike"
            )

    @cached_property
    def _layers(self) -> tuple[tuple[float, float, float], ...]:
        """Variance before φ, E φ² and E φφ after it, of every hidden layer."""
        self._require_alike()
        moment = float(self.net.input_second_moment)
        cross = self.input_correlation * moment
        found = []
        apart = -1.0 / (self.samples - 1)
        for phi, std in zip(self.net.activations, self.net.weight_stds, strict=False):
            variance = 1.0
            if self.kind == "mean-subtraction":
                variance = float(std) ** 2 * (moment - cross) * (1.0 - 1.0 / self.samples)
                if not variance > 0.0:
                    raise ConvergenceError(
                        f"the features of a layer before one to be centred vanish with "
                        f"shift={self.shift!r}: nothing is left to be told apart"
                    )
            if self.kind == "batch-norm" and self.samples < _FEW:
                moment, cross = _sphere_products(phi, self.shift, self.samples)
            else:
                moment, cross = _products(phi, self.shift, variance, apart)
            found.append((variance, moment, cross))
        return tuple(found)

    @property
    def second_moments(self) -> tuple[float, ...]:
        r""":math:`\hat q_t^l` of the hidden layers, l = 1..L-1."""
        return tuple(moment for _, moment, _ in self._layers)

    @property
    def cross_moments(self) -> tuple[float, ...]:
        r""":math:`\hat q_{st}^l` of the hidden layers, l = 1..L-1."""
        return tuple(cross for _, _, cross in self._layers)

    @property
    def separated(self) -> bool:
        r"""Whether outliers of the order of M survive: :math:`E\varphi(z+\beta)\ne0`."""
        variance, moment, _ = self._layers[-1]
        mean_square = _products(self.net.activations[-1], self.shift, variance, 0.0)[1]
        return mean_square > _NO_MEAN * moment

    @property
    def multiplicity(self) -> int:
        """Number of outliers, C or 0."""
        return self.outputs if self.separated else 0

    @property
    def max_eigenvalue_bound(self) -> float:
        """Largest eigenvalue of the block of the last layer, which λ_max is at least."""
        n, (_, moment, cross) = self.samples, self._layers[-1]
        return self.widths[-2] * max(((n - 1) * cross + moment) / n, 0.0)

    def max_learning_rate_bound(self, momentum: float = 0.0) -> float:
        """2 (1 + momentum)/`max_eigenvalue_bound`: above it descent is unstable.

        Parameters
        ----------
        momentum : float
            In [0, 1).

        Returns
        -------
        float
            The bound.

        Raises
        ------
        SpecError
            If `momentum` is outside [0, 1).
        """
        return learning_rate(self.max_eigenvalue_bound, momentum)

    @property
    def learning_rate_gain_bound(self) -> float:
        """The same over the critical learning rate without normalisation.

        ConvergenceError as `FisherStatistics.max_eigenvalue`.
        """
        return self.max_learning_rate_bound() / regression(self).max_learning_rate()

    @property
    def witness(self) -> dict[str, Any]:
        """Normalises and shifts the hidden layers."""
        return super().witness | {"hidden_norm": self.kind, "shift": self.shift}


@dataclass(frozen=True)
class HiddenLayerNorm(GaussianStatistics):
    r"""Layer normalisation of the hidden layers: the master formula with other parameters.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; depth >= 2, Gaussian weights.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    Every preactivation has variance 1 and two samples keep their correlation; backwards
    :math:`\sigma_w^2` is divided by the variance that was normalised away.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *The Normalization Method for Alleviating Pathological
       Sharpness in Wide Neural Networks*, NeurIPS 2019, section 4.

    Examples
    --------
    A critical ReLU network has variance 2 in every layer, and loses a factor of it backwards:

    >>> from freefim.networks.network import Network
    >>> net = Network(2, "relu", weights="gaussian", weight_std=2**0.5)
    >>> st = HiddenLayerNorm(net, width=100, samples=10, outputs=2)
    >>> round(st.diagonal, 12) == 100 * (0.5 + 0.5)
    True
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        _require_gaussian(self)

    @cached_property
    def _raw_variances(self) -> tuple[float, ...]:
        """Variances that are normalised away, those of the hidden layers; 1 for the last layer."""
        net, moment, raw = self.net, float(self.net.input_second_moment), []
        for phi, weight, bias in zip(net.activations, net.weight_stds, net.bias_stds, strict=False):
            raw.append(float(weight) ** 2 * moment + float(bias) ** 2)
            moment = float(phi.second_moment(1.0))
        return (*raw, 1.0)

    @cached_property
    def equivalent(self) -> Network:
        """The network without normalisation that has the same outputs at infinite width."""
        net, scales = self.net, [math.sqrt(raw) for raw in self._raw_variances]
        return net.replace(
            weight_std=[float(x) / scale for x, scale in zip(net.weight_stds, scales, strict=True)],
            bias_std=[float(x) / scale for x, scale in zip(net.bias_stds, scales, strict=True)],
        )

    @cached_property
    def _plain(self) -> FisherStatistics:
        return FisherStatistics(
            self.equivalent, self.width, self.samples, self.outputs, self._inputs
        )

    @cached_property
    def pair(self) -> PairOrderParameters:
        """Order parameters of a pair of inputs of `equivalent`."""
        return self._plain.pair

    @cached_property
    def _gains(self) -> tuple[float, ...]:
        """Squared gradient by a weight of the layer over that by a weight of `equivalent`."""
        if self.net.parametrization == "ntk":
            return (1.0,) * self.net.depth
        return tuple(1.0 / raw for raw in self._raw_variances)

    def _sum(self, forward: tuple[float, ...], backward: tuple[float, ...]) -> float:
        net, weights = self.equivalent, layer_weights(self._plain)
        extra = [0.0] * net.depth
        if net.parametrization == "ntk":
            extra = [float(std) ** 2 for std in net.bias_stds]
        rows = zip(self._gains, weights, extra, forward, backward, strict=True)
        return math.fsum(gain * back * (w * forth + b) for gain, w, b, forth, back in rows)

    @property
    def diagonal(self) -> float:
        """Squared norm of the gradient of one output at one sample."""
        return self._sum(self.pair.second_moments, self.pair.backward_moments)

    @property
    def off_diagonal(self) -> float:
        """Inner product of the gradients of one output at two samples."""
        return self._sum(self.pair.cross_moments, self.pair.backward_cross_moments)

    def _spiked_bulk(self) -> SpikedBulk | None:
        return spiked_bulk(self._plain, scales=self._gains)

    @property
    def dimension(self) -> int:
        """Number of parameters P."""
        return regression(self).dimension

    @property
    def learning_rate_gain(self) -> float:
        """Critical learning rate over that without normalisation; ConvergenceError as theirs."""
        return self.max_learning_rate() / regression(self).max_learning_rate()

    @property
    def witness(self) -> dict[str, Any]:
        """Normalises the hidden layers."""
        return super().witness | {"hidden_norm": "layer-norm"}


def _sphere_products(phi: Activation, shift: float, samples: int) -> tuple[float, float]:
    r"""The same for two coordinates of a uniform point of :math:`|z|^2=N, \sum z=0`.

    The first is :math:`\sqrt{N-1}\,t` with t of the density :math:`(1-t^2)^{(N-4)/2}`, and the
    second has the direction cosine -1/(N-1) to it.
    """
    first, weight = _directions(samples - 1)
    second, share = _directions(samples - 2)
    size, cosine = math.sqrt(samples - 1.0), -1.0 / (samples - 1)
    z = size * first
    other = size * (
        cosine * first[:, None]
        + np.sqrt((1.0 - cosine**2) * (1.0 - np.square(first)))[:, None] * second
    )
    one, two = phi.function(z + shift), phi.function(other + shift)
    return float(weight @ np.square(one)), float((weight * one) @ (two @ share))


def _directions(dimension: int) -> tuple[Array, Array]:
    """One coordinate of a uniform unit vector: nodes, and weights that add up to 1."""
    from scipy.special import roots_jacobi

    if dimension < 2:
        nodes = np.array([-1.0, 1.0]) if dimension else np.zeros(1)
        return nodes, np.full(nodes.size, 1.0 / nodes.size)
    exponent = 0.5 * (dimension - 3)
    nodes, weights = roots_jacobi(_NODES, exponent, exponent)
    return nodes, weights / weights.sum()


def _products(
    phi: Activation, shift: float, variance: float, correlation: float
) -> tuple[float, float]:
    """E φ(u+β)² and E φ(u+β)φ(v+β), the second 0 where both are nothing beside E φ(u)²."""
    size = float(phi.second_moment(variance))
    if shift != 0.0:
        phi = _shifted(phi, shift)
    square = float(phi.second_moment(variance))
    if square <= _NOTHING * size:
        return square, 0.0
    found: PairMoments = pair_moments(phi, variance, correlation)
    return square, float(found.product)


def _shifted(phi: Activation, shift: float) -> Activation:
    return CustomActivation(
        lambda h: phi.function(h + shift),
        lambda h: phi.derivative(h + shift),
        kinks=tuple(kink - shift for kink in phi.kinks),
    )
