r"""Networks in the linear-width regime: as many samples as units, up to a factor.

The Gram matrix :math:`K_l = X_l^T X_l/M_l` of n = samples_ratio·M nearly orthogonal inputs is a
sample covariance of population covariance :math:`c_l + b_l K_{l-1}`, with
:math:`b_l = \sigma_w^2 (E\varphi'(h))^2` and :math:`c_l = \hat q_l - b_l \hat q_{l-1}`. Activations
are centred, :math:`x = \varphi(h) - E\varphi(h)`, so that
:math:`\hat q_l = \mathrm{Var}\,\varphi(h)`, :math:`h \sim N(0, \sigma_w^2\hat q_{l-1})`; odd ones
are so by themselves.

References
----------
.. [1] Z. Fan, Z. Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for
   linear-width neural networks*, NeurIPS 2020.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import Any

import numpy as np

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.laws.numbers import quotient
from freefim.free.solution import Array
from freefim.free.trees.algebra import affine
from freefim.free.trees.atoms import tree_atoms
from freefim.free.trees.knowledge import enclosure
from freefim.networks.activations import Activation
from freefim.networks.checks import Number, positive
from freefim.networks.gaussian import panel_mean
from freefim.networks.network import Network
from freefim.spectra.spectrum import Spectrum

__all__ = ["HiddenLayer", "LinearWidth", "hidden_layer"]

# What rounding leaves of a difference or of a mean that is 0.
_ROUNDING = 1e-13


@dataclass(frozen=True)
class HiddenLayer:
    """A centred hidden layer in the limit of infinite width.

    Attributes
    ----------
    activation : Activation
    weight_std : float
        σ_w of the matrix before it.
    mean : float
        E φ(h), which is subtracted.
    second_moment : float
        Variance of φ(h).
    slope, slope_second_moment : float
        E φ'(h) and E φ'(h)².
    rest, gain : float
        c_l and b_l.
    """

    activation: Activation
    weight_std: float
    mean: float
    second_moment: float
    slope: float
    slope_second_moment: float
    rest: float
    gain: float


def hidden_layer(activation: Activation, weight_std: float, moment: float) -> HiddenLayer:
    """Moments of a layer behind one of the given second moment."""
    q = weight_std**2 * moment
    kinks = activation.kinks
    square, steep = activation.second_moment(q), activation.slope_second_moment(q)
    mean = panel_mean(activation.function, q, kinks, "E φ(h)")
    slope = panel_mean(activation.derivative, q, kinks, "E φ'(h)")
    mean = 0.0 if mean**2 <= _ROUNDING**2 * square else mean
    slope = 0.0 if slope**2 <= _ROUNDING**2 * steep else slope
    variance = square - mean**2
    if not variance > _ROUNDING * square:
        raise SpecError(f"a centred activation must vary, got {activation!r} at variance {q!r}")
    rest = variance - q * slope**2
    return HiddenLayer(
        activation, weight_std, mean, variance, slope, steep,
        rest if rest > _ROUNDING * variance else 0.0, weight_std**2 * slope**2,
    )  # fmt: skip


@dataclass(frozen=True)
class LinearWidth(Spectrum):
    """A spectrum over n = samples_ratio·M inputs of one network."""

    network: Network
    samples_ratio: Number
    data: Law | None = None

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise SpecError(f"network must be a Network, got {self.network!r}")
        positive("samples_ratio", self.samples_ratio)
        net, used = self.network, self._matrices
        if any(kind != "gaussian" for kind in net.ensembles[:used]):
            raise SpecError(
                f"weights must be 'gaussian': the law of a kernel over n ~ M samples is not known "
                f"for others, got {net.weights!r}"
            )
        if any(net.bias_stds[:used]):
            raise SpecError(
                f"bias_std must be 0: a bias correlates all samples and the kernel gets outliers "
                f"of the order of M, got {net.bias_std!r}"
            )
        if self.data is not None:
            self._check_data(self.data)

    @property
    def _matrices(self) -> int:
        """Weight matrices that count."""
        return self.network.depth

    def _check_data(self, data: Any) -> None:
        if not isinstance(data, Law):
            raise SpecError(f"data must be a Law or None, got {data!r}")
        low, high = enclosure(data)
        if not (low >= 0.0 and np.isfinite(high) and float(data.mean()) > 0.0):
            raise SpecError(f"data must be a law on a bounded interval of [0, ∞), got {data!r}")
        empty = float(dict(tree_atoms(data)).get(0, 0.0))
        least = 1.0 - float(self.network.hidden_ratios[0]) / float(self.samples_ratio)
        if empty < least - 1e-9:
            raise SpecError(
                f"data must have the mass {least:.6g} at 0 that a Gram matrix of more samples than "
                f"inputs has, got {data!r} with {empty:.6g}"
            )

    def _hidden(self) -> Iterator[HiddenLayer]:
        """Hidden layers in their order."""
        moment = self._input_moment
        for activation, std in zip(
            self.network.activations, self.network.weight_stds, strict=False
        ):
            layer = hidden_layer(activation, float(std), moment)
            moment = layer.second_moment
            yield layer

    @property
    def _input_moment(self) -> float:
        """Second moment of the inputs: that of the network, or the mean of the data."""
        return float(self.network.input_second_moment if self.data is None else self.data.mean())

    def _ratio(self, layer: int) -> Number:
        """n/M_l."""
        ratio: Number = quotient(self.samples_ratio, self.network.hidden_ratios[layer])
        return ratio

    def _gram(self) -> Law:
        """Law of K_0."""
        if self.data is not None:
            return self.data
        return affine(MarchenkoPastur(self._ratio(0)), self.network.input_second_moment, 0)

    def _sizes(self, width: int) -> tuple[int, tuple[int, ...]]:
        """Samples, and M_0..M_{L-1}, at a reference width."""
        samples = round(float(self.samples_ratio) * width)
        widths = tuple(round(float(ratio) * width) for ratio in self.network.hidden_ratios)
        if min(samples, *widths) < 1:
            raise SpecError(
                f"width must give every layer a unit and one sample at least, got {width!r} with "
                f"samples_ratio={self.samples_ratio!r} and width_ratios="
                f"{self.network.width_ratios!r}"
            )
        return samples, widths

    def _spectrum_of_inputs(self, samples: int) -> Array | None:
        """Eigenvalues of K_0 at the quantiles of the data; None where inputs are Gaussian."""
        if self.data is None:
            return None
        return np.asarray(self.data.icdf((np.arange(samples) + 0.5) / samples), dtype=float)
