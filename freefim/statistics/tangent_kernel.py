"""The neural tangent kernel on a sample: the Gram matrix of the gradients itself."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

from freefim.statistics.fisher import FisherStatistics

__all__ = ["NeuralTangentKernelStatistics"]


@dataclass(frozen=True)
class NeuralTangentKernelStatistics(FisherStatistics):
    r"""Statistics of the CN×CN kernel :math:`\Theta = N F^*` of inner products of gradients.

    Parameters
    ----------
    net, width, samples, outputs, input_correlation
        As in `FisherStatistics`; `net.parametrization` decides what is differentiated. In the
        NTK one the values do not depend on the width.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.

    Notes
    -----
    With :math:`A_1 = \sum_l\tilde q_t^l(\sigma_w^2\hat q_t^{l-1}+\sigma_b^2)` and
    :math:`A_2` likewise of two samples (NTK; :math:`\alpha\kappa_{1,2}M` in the standard
    parametrisation) the mean is :math:`A_1`, the second moment :math:`(N-1)A_2^2+A_1^2`, the
    largest eigenvalue :math:`(N-1)A_2+A_1`, C-fold, and the others are :math:`A_1-A_2`.
    `max_learning_rate` is that of the loss :math:`\frac12\sum_n|f-y|^2`, a sum over samples.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and
       Its Variants in Deep Neural Networks*, Neural Computation 33 (2021), section 5.

    Examples
    --------
    >>> from freefim.networks.network import Network
    >>> net = Network(3, "relu", weights="gaussian", weight_std=2**0.5, parametrization="ntk")
    >>> kernel = NeuralTangentKernelStatistics(net, width=100, samples=50, outputs=2)
    >>> round(kernel.mean, 12), kernel.dimension
    (6.0, 100)
    """

    @property
    def dimension(self) -> int:
        """Rows of the kernel, C N."""
        return self.outputs * self.samples

    @property
    def witness(self) -> dict[str, Any]:
        """Takes the Gram matrix as it is."""
        return super().witness | {"kernel": True}

    @property
    def _divisor(self) -> float:
        return 1.0
