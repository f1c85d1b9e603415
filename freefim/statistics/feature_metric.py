"""The metric that the outputs induce on the features: gradients with respect to h, not θ."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

import numpy as np

from freefim.networks.checks import one_of
from freefim.statistics.master import GaussianStatistics

__all__ = ["FeatureMetric"]


@dataclass(frozen=True)
class FeatureMetric(GaussianStatistics):
    r"""Statistics of :math:`A = \frac1N\sum_n\sum_k\nabla_hf_k(n)\nabla_hf_k(n)^T`.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`.
    space : {"features", "input"}
        h = (h⁰, ..., h^{L-1}), or its block of the input h⁰ alone.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    With :math:`\tilde\kappa = \sum_l\sigma_w^2\tilde q^l/\tilde\alpha` and
    :math:`\tilde\alpha = \sum_{l<L}\alpha_l` the largest eigenvalue
    :math:`\tilde\alpha[\frac{N-1}N\tilde\kappa_2+\frac1N\tilde\kappa_1]` does not depend on the
    width. There are outliers without bias too, as long as :math:`E\varphi'` is not 0.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and
       Its Variants in Deep Neural Networks*, Neural Computation 33 (2021), theorem 5.1.

    Examples
    --------
    A linear network has one gradient for all samples, the product of its matrices:

    >>> from freefim.networks.network import Network
    >>> net = Network(3, "linear", weights="gaussian", weight_std=0.5)
    >>> FeatureMetric(net, width=10, samples=7, outputs=2, space="input").max_eigenvalue == 0.5**6
    True
    """

    space: str = "features"

    def __post_init__(self) -> None:
        super().__post_init__()
        one_of("space", self.space, ("features", "input"))

    @property
    def diagonal(self) -> float:
        r""":math:`\sum_l\sigma_w^2\tilde q_t^l`, or its first term."""
        return self._sum(self.pair.backward_moments)

    @property
    def off_diagonal(self) -> float:
        r""":math:`\sum_l\sigma_w^2\tilde q_{st}^l`, or its first term."""
        return self._sum(self.pair.backward_cross_moments)

    @property
    def dimension(self) -> int:
        """Number of input units, and of hidden ones for the whole."""
        return self.widths[0] if self.space == "input" else sum(self.widths[:-1])

    @property
    def witness(self) -> dict[str, Any]:
        """Differentiates by the features."""
        return super().witness | {"variables": self.space}

    def _sum(self, backward: tuple[float, ...]) -> float:
        net, pair = self.net, self.pair
        # orthonormal columns spread the signal: the gain is what the forward pass has
        terms = [
            (q - float(bias) ** 2) / moment * back
            for q, bias, moment, back in zip(
                pair.preactivation_variances,
                net.bias_stds,
                pair.second_moments,
                backward,
                strict=True,
            )
        ]
        return terms[0] if self.space == "input" else float(np.sum(terms))
