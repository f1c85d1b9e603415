r"""The Fisher information matrix of a network with one hidden layer, over all Gaussian inputs."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property, partial
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Empirical, PointMass
from freefim.free.pairs.law import CoupledPair
from freefim.networks.activations import Activation, activation
from freefim.spectra.linear_width import HiddenLayer, hidden_layer
from freefim.spectra.spectrum import Spectrum

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum

__all__ = ["SingleHiddenLayerFisher"]


@dataclass(frozen=True)
class SingleHiddenLayerFisher(Spectrum):
    r"""Spectrum of :math:`F = E_x J^T J` of :math:`f = W_2\,(\varphi(W_1 x) - E\varphi)`.

    All three widths are n = width, :math:`x \sim N(0, I)`, the entries of both matrices
    :math:`N(0, 1/n)`; J is the derivative by all :math:`2n^2` of them.

    Parameters
    ----------
    activation : str or Activation
        φ; preactivations have variance 1.

    Notes
    -----
    With :math:`\eta = \mathrm{Var}\,\varphi`, :math:`\zeta = (E\varphi')^2`,
    :math:`\eta' = E\varphi'^2` over N(0, 1) the law is that of the eigenvalues of

    .. math:: \begin{pmatrix}\zeta a^2 + \eta' - \zeta & \zeta ab\\
       \zeta ab & \zeta b^2 + \eta - \zeta\end{pmatrix},

    :math:`a^2, b^2` independent of law MP(1). A linear network has half of its eigenvalues at 0.
    Without centring φ there are n more eigenvalues, `outlier` says where.

    Raises
    ------
    SpecError
        If the activation means nothing or is constant.

    References
    ----------
    .. [1] J. Pennington, P. Worah, *The Spectrum of the Fisher Information Matrix of a
       Single-Hidden-Layer Neural Network*, NeurIPS 2018.

    Examples
    --------
    >>> law = SingleHiddenLayerFisher("linear").law()
    >>> law.atoms, law.support
    (((0.0, 0.5),), (0.0, 8.0))
    """

    activation: Activation
    #: Rows of the weights are orthogonal only up to that.
    decay: ClassVar[float | None] = 0.5

    def __post_init__(self) -> None:
        object.__setattr__(self, "activation", activation(self.activation))
        _ = self._layer

    @property
    def matrix(self) -> str:
        """The Fisher information matrix."""
        return "E_x J^T J by all weights, one hidden layer, centred activations"

    @cached_property
    def _layer(self) -> HiddenLayer:
        return hidden_layer(self.activation, 1.0, 1.0)

    @property
    def _levels(self) -> tuple[float, float, float]:
        """η' - ζ, η - ζ and ζ."""
        layer = self._layer
        first = layer.slope_second_moment - layer.gain
        first = first if first > _ROUNDING * layer.slope_second_moment else 0.0
        return first, layer.rest, layer.gain

    def law(self) -> Law:
        """Limiting law of the eigenvalues, those of the weights of both layers."""
        first, second, coupling = self._levels
        if coupling > 0.0:
            return CoupledPair(first, second, coupling)
        if first == second:
            return PointMass(first)
        return Atomic(tuple(sorted((first, second))), (0.5, 0.5))

    def outlier(self, width: int) -> float:
        r"""Place of the n eigenvalues that an activation has without centring.

        Parameters
        ----------
        width : int
            The width n, at least 1.

        Returns
        -------
        float
            :math:`n (E\varphi)^2`, the leading order; 0 if φ is centred by itself.

        Raises
        ------
        SpecError
            If `width` is no integer >= 1.
        """
        if isinstance(width, bool) or not isinstance(width, int | np.integer) or width < 1:
            raise SpecError(f"width must be an integer >= 1, got {width!r}")
        return float(width) * self._layer.mean**2

    def conditional_law(self, replica: Any) -> Law:
        """Law of one sampled network: that of all pairs of its squared singular values."""
        first, second, coupling = self._levels
        a, b = np.meshgrid(replica.outer, replica.inner, indexing="ij")
        middle = 0.5 * (first + second + coupling * (a + b))
        half = 0.5 * (first - second + coupling * (a - b))
        root = np.hypot(half, coupling * np.sqrt(a * b))
        return Empirical(tuple(np.concatenate([middle - root, middle + root], axis=None)))

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of sampled Fisher matrices, 2·width² each; see `Spectrum.sample`."""
        from freefim.montecarlo.empirical import EmpiricalSpectrum
        from freefim.montecarlo.fisher_matrices import FisherReplica, single_hidden_layer_fisher
        from freefim.montecarlo.sampler import draw_replicas, require_integer

        require_integer("width", width, 2)
        draw = partial(single_hidden_layer_fisher, int(width), self.activation, self._layer.mean)
        drawn = draw_replicas(
            self,
            draw,
            width,
            replicas,
            seed,
            executor=executor,
            progress=progress,
            replica=FisherReplica,
        )
        return EmpiricalSpectrum(drawn)


_ROUNDING = 1e-13
