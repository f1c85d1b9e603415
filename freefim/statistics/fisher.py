"""The Fisher information matrix of a Gaussian output, whole and by layers."""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import SpecError
from freefim.networks.checks import count
from freefim.networks.pair_moments import pair_moments
from freefim.statistics.fisher_rao import fisher_rao_norm, independent_fisher_rao_norm
from freefim.statistics.master import FAINT, GaussianStatistics
from freefim.statistics.problem import Problem
from freefim.statistics.spiked_bulk import SpikedBulk

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freefim.free.law import Law

__all__ = ["FisherStatistics", "LayerFisher", "centred_bulk", "layer_weights", "spiked_bulk"]


def layer_weights(problem: Problem) -> list[float]:
    r"""Squared gradient of the weights of layer l over :math:`\tilde q^l\hat q^{l-1}`, l = 1..L.

    :math:`M_{l-1}` in the standard parametrisation, :math:`\sigma_w^2` in the NTK one.
    """
    if problem.net.parametrization == "ntk":
        return [float(std) ** 2 for std in problem.net.weight_stds]
    return [float(width) for width in problem.widths[:-1]]


def _bias_weights(problem: Problem) -> list[float]:
    """The same of the biases over q̃; of lower order in the standard parametrisation."""
    if problem.net.parametrization == "ntk":
        return [float(std) ** 2 for std in problem.net.bias_stds]
    return [0.0] * problem.net.depth


def _products(problem: Problem, cross: bool) -> list[float]:
    """Inner products of the gradients of every layer, over its weights and biases."""
    pair = problem.pair
    forward = pair.cross_moments if cross else pair.second_moments
    backward = pair.backward_cross_moments if cross else pair.backward_moments
    columns = zip(layer_weights(problem), _bias_weights(problem), backward, forward, strict=True)
    return [back * (w * moment + b) for w, b, back, moment in columns]


def spiked_bulk(
    problem: Problem, layers: range | None = None, scales: Sequence[float] | None = None
) -> SpikedBulk | None:
    r"""Bulk of the dual of one output for N of the order of M, and what its samples share.

    Parameters
    ----------
    problem : Problem
        Network, width and samples.
    layers : range, optional
        The layers (from 1) whose weights count; all weights and biases if None.
    scales : sequence of float, optional
        Factor of the squared gradient by the parameters of each layer, 1 if None.

    Returns
    -------
    SpikedBulk or None
        None unless the weights are Gaussian and :math:`|\hat q_{st}|\le0.1\,\hat q_t` at the
        inputs of all these layers. It is exact where :math:`\hat q_{st}=0` (an odd activation
        without bias, uncorrelated inputs; always so for the first layer), and errs by the order of
        the correlation elsewhere.
    """
    net, pair, n = problem.net, problem.pair, problem.samples
    every = layers is None
    layers = range(1, net.depth + 1) if layers is None else layers
    levels = max(layers)
    if not all(kind == "gaussian" for kind in net.ensembles[:levels]) or any(
        abs(cross) > FAINT * same
        for cross, same in zip(pair.cross_moments[:levels], pair.second_moments, strict=False)
    ):
        return None
    weights, biases = layer_weights(problem), _bias_weights(problem)
    # of lower order beside the weights, but not beside nothing
    direct = [1.0] * net.depth if net.parametrization == "standard" else biases
    if scales is not None:
        weights, biases, direct = (
            [scale * x for scale, x in zip(scales, row, strict=True)]
            for row in (weights, biases, direct)
        )
    y, shift, spike = [0.0] * levels, 0.0, 0.0
    for layer in layers:
        place, back = layer - 1, pair.backward_moments[layer - 1]
        cross = pair.backward_cross_moments[place]
        y[place] = weights[place] / n * cross
        shift += weights[place] / n * (back - cross) * pair.second_moments[place]
        if every:
            shift += biases[place] / n * (back - cross)
            spike += direct[place] * cross
    own = [a - b for a, b in zip(pair.second_moments, pair.cross_moments, strict=True)]
    gains = _gains(problem, levels)
    if not (own[0] > 0.0 and y[-1] > 0.0 and all(gain > 0.0 for gain in gains)):
        return None
    rests = [max(own[l] - gain * own[l - 1], 0.0) for l, gain in enumerate(gains, 1)]
    shared = [
        pair.cross_moments[l] - gain * pair.cross_moments[l - 1] for l, gain in enumerate(gains, 1)
    ]
    # K_0 is taken with mean 1: its second moment goes into y_0 and b_1
    y[0] *= own[0]
    gains = [gain * (own[0] if i == 0 else 1.0) for i, gain in enumerate(gains)]
    ratios = [n / width for width in problem.widths[:levels]]
    inner = [n * x for x in (pair.cross_moments[0] / own[0], *shared)]
    levels_of = (tuple(y), tuple(ratios), tuple(rests), tuple(gains))
    return SpikedBulk(shift, *levels_of, spike, tuple(inner))


def centred_bulk(problem: Problem) -> Law | None:
    r"""Law of the dual of one output for N of the order of M, where it is exact.

    None unless the weights are Gaussian, and :math:`\hat q_{st} = 0` in every layer.
    """
    known = None if any(problem.pair.cross_moments) else spiked_bulk(problem)
    return None if known is None else known.law


def _gains(problem: Problem, levels: int) -> list[float]:
    r"""Return the b_l of the hidden layers 1..levels-1: the linear part of φ, of mean square.

    It differs from unit to unit by what the samples share there.
    """
    pair, gains = problem.pair, []
    for layer in range(1, levels):
        variance = pair.preactivation_variances[layer - 1]
        correlation = pair.preactivation_covariances[layer - 1] / variance
        found = pair_moments(problem.net.activations[layer - 1], variance, correlation)
        gains.append(float(problem.net.weight_stds[layer - 1]) ** 2 * float(found.slope))
    return gains


@dataclass(frozen=True)
class FisherStatistics(GaussianStatistics):
    r"""Statistics of the Fisher information matrix of all weights and biases.

    :math:`F = \frac1N\sum_n\sum_k \nabla f_k(n)\nabla f_k(n)^T` of a linear output f with C
    components, P×P; it is the Hessian of :math:`\frac1{2N}\sum_n|f-y|^2` at zero error.

    Parameters
    ----------
    net : Network
        Depth L, linear output; `width_ratios` None or the L entries M_0..M_{L-1}.
    width : int
        Reference width M.
    samples, outputs : int
        Number N of samples and C of outputs.
    input_correlation : float or array_like, shape (samples, features)
        Correlation :math:`\hat q_{st}^0/\hat q_t^0` of two inputs, or data to take it from. Data
        with a common mean are correlated: 0 is right for independent centred inputs only.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    Leading order in M. `mean` and `second_moment` are over all P eigenvalues, P counted exactly;
    contributions of the biases to the trace, of relative order 1/M, are left out in the
    standard parametrisation.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
       Networks: Mean Field Approach*, AISTATS 2019, theorems 1-4.

    Examples
    --------
    All samples alike: the C outliers carry the whole trace.

    >>> from freefim.networks.network import Network
    >>> net = Network(3, "relu", weights="gaussian", weight_std=2**0.5)
    >>> st = FisherStatistics(net, width=100, samples=10, outputs=2, input_correlation=1.0)
    >>> st.kappa1 == st.kappa2, round(st.multiplicity * st.max_eigenvalue / st.trace, 12)
    (True, 1.0)
    """

    @property
    def kappa1(self) -> float:
        r""":math:`\kappa_1`; SpecError for depth 1."""
        return self.pair.kappa1

    @property
    def kappa2(self) -> float:
        r""":math:`\kappa_2`; SpecError for depth 1."""
        return self.pair.kappa2

    @cached_property
    def diagonal(self) -> float:
        r""":math:`\alpha\kappa_1M`, in whole widths."""
        return float(np.sum(_products(self, cross=False)))

    @cached_property
    def off_diagonal(self) -> float:
        r""":math:`\alpha\kappa_2M`, in whole widths."""
        return float(np.sum(_products(self, cross=True)))

    @property
    def dimension(self) -> int:
        """Number of parameters P: all weights and biases."""
        sizes = self.widths
        return sum(rows * (columns + 1) for columns, rows in pairwise(sizes))

    @property
    def fisher_rao_norm(self) -> float:
        r"""Mean of :math:`\theta^TF\theta` over networks; L² C q_L if φ is homogeneous, no bias.

        See `freefim.statistics.fisher_rao.fisher_rao_norm`.
        """
        return self.outputs * fisher_rao_norm(self.net)

    @property
    def fisher_rao_norm_independent(self) -> float:
        r"""The same over the weights for :math:`\theta` independent of F: the papers' formula.

        No bound of `fisher_rao_norm`, which is L times larger for homogeneous networks.
        """
        return self.outputs * independent_fisher_rao_norm(self.net, self.pair)

    def _spiked_bulk(self) -> SpikedBulk | None:
        return spiked_bulk(self)


@dataclass(frozen=True)
class LayerFisher(GaussianStatistics):
    r"""Statistics of the diagonal block of the Fisher information of the weights of one layer.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`.
    layer : int
        l in 1..L; the block has :math:`M_lM_{l-1}` rows, with :math:`M_L = C`.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    The first layer has no outliers for uncorrelated inputs: its largest eigenvalue is the edge of
    a Marchenko-Pastur bulk. The last block is C copies of :math:`E hh^T`.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and
       Its Variants in Deep Neural Networks*, Neural Computation 33 (2021), section 3.

    Examples
    --------
    The traces of the blocks add up to that of the whole:

    >>> from freefim.networks.network import Network
    >>> size = dict(width=100, samples=20, outputs=3)
    >>> net = Network(3, "erf", weights="gaussian")
    >>> blocks = sum(LayerFisher(net, **size, layer=l).trace for l in (1, 2, 3))
    >>> abs(blocks / FisherStatistics(net, **size).trace - 1) < 1e-14
    True
    """

    layer: int = 1

    def __post_init__(self) -> None:
        super().__post_init__()
        layer = count("layer", self.layer)
        if layer > self.net.depth:
            raise SpecError(f"layer must be within 1..depth={self.net.depth}, got {self.layer!r}")
        object.__setattr__(self, "layer", layer)

    @property
    def diagonal(self) -> float:
        r""":math:`M_{l-1}\tilde q_t^l\hat q_t^{l-1}`."""
        place, pair = self.layer - 1, self.pair
        weight = layer_weights(self)[place]
        return weight * pair.backward_moments[place] * pair.second_moments[place]

    @property
    def off_diagonal(self) -> float:
        r""":math:`M_{l-1}\tilde q_{st}^l\hat q_{st}^{l-1}`."""
        place, pair = self.layer - 1, self.pair
        weight = layer_weights(self)[place]
        return weight * pair.backward_cross_moments[place] * pair.cross_moments[place]

    @property
    def dimension(self) -> int:
        """Number of weights of the layer."""
        return self.widths[self.layer] * self.widths[self.layer - 1]

    @property
    def witness(self) -> dict[str, Any]:
        """Differentiates by the weights of the layer."""
        return super().witness | {"variables": self.layer}

    def _spiked_bulk(self) -> SpikedBulk | None:
        return spiked_bulk(self, range(self.layer, self.layer + 1))
