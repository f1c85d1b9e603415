r"""The neural tangent kernel over n ~ M samples: the Gram matrix of the gradients of one output."""

from collections.abc import Callable, Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.nested.law import Level, nested_covariances
from freefim.spectra.linear_width import LinearWidth

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum

__all__ = ["NeuralTangentKernel"]


@dataclass(frozen=True)
class NeuralTangentKernel(LinearWidth):
    r"""Spectrum of :math:`\Theta = J J^T`, J the derivative of one output, at n samples.

    Parameters
    ----------
    network : Network
        Gaussian weights, no bias, a linear output; `parametrization` tells what is differentiated.
        The width of the last layer does not count: outputs have independent kernels of one law.
    samples_ratio : number
        Samples n over the reference width M, > 0.
    data : Law, optional
        Law of :math:`K_0 = X_0^T X_0/M_0` of nearly orthogonal inputs; its mean takes the place of
        ``network.input_second_moment``. By default independent Gaussian inputs,
        :math:`K_0 = \hat q_0\,\mathrm{MP}(n/M_0)`.

    Notes
    -----
    The law is that of :math:`J J^T` in the NTK parametrisation and of :math:`J J^T/M` in the
    standard one. Activations are centred, :math:`x^l = \varphi(h^l) - E\varphi(h^l)`. Then
    :math:`\Theta \simeq r + \sum_{l=0}^{L-1} y_l K_l`, where
    :math:`y_l = s_l\tilde q^{l+1}_{st}`,
    :math:`r = \sum_l s_l(\tilde q^{l+1}_t - \tilde q^{l+1}_{st})\hat q_l`,
    :math:`s_l = \sigma_{w,l+1}^2` (NTK) or :math:`M_l/M` (standard), and backwards from
    :math:`\tilde q^L = 1` the :math:`\tilde q_t` take up :math:`\sigma_w^2 E\varphi'^2`, the
    :math:`\tilde q_{st}` :math:`\sigma_w^2(E\varphi')^2` a layer.

    Raises
    ------
    SpecError
        If weights are not Gaussian, there is a bias or a final activation, or an argument is out
        of range.

    References
    ----------
    .. [1] Z. Fan, Z. Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for
       linear-width neural networks*, NeurIPS 2020, theorem 3.7.
    .. [2] B. Adlam, J. Pennington, *The Neural Tangent Kernel in High Dimensions*, ICML 2020
       (one hidden layer).

    Examples
    --------
    >>> from freefim.networks.network import Network
    >>> net = Network(1, "linear", weights="gaussian", parametrization="ntk")
    >>> NeuralTangentKernel(net, 0.5).law()  # no hidden layer: the Gram matrix of the inputs
    MarchenkoPastur(ratio=0.5)
    """

    #: The products of gradients vary from sample to sample by that.
    decay: ClassVar[float | None] = 0.5

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network.final_activation is not None:
            raise SpecError(
                f"network must have a linear output, got final_activation="
                f"{self.network.final_activation!r}"
            )

    @property
    def matrix(self) -> str:
        """The Gram matrix of gradients, by samples."""
        standard = self.network.parametrization == "standard"
        return f"J J^T{' / M' if standard else ''} of one output, over samples"

    def law(self) -> Law:
        """Limiting law of the kernel."""
        same, cross = [1.0], [1.0]
        stds = self.network.weight_stds
        for std, layer in zip(stds[:0:-1], reversed(list(self._hidden())), strict=True):
            same.insert(0, float(std) ** 2 * layer.slope_second_moment * same[0])
            cross.insert(0, float(std) ** 2 * layer.slope**2 * cross[0])
        moments = [self._input_moment, *(layer.second_moment for layer in self._hidden())]
        return self._law(same, cross, moments)

    def conditional_law(self, replica: Any) -> Law:
        """Law of one sampled network: with its realised products of back-propagated gradients."""
        return self._law(replica.same, replica.cross, replica.second_moments)

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of kernels of sampled networks and inputs; see `Spectrum.sample`."""
        from freefim.montecarlo.empirical import EmpiricalSpectrum
        from freefim.montecarlo.kernel_matrices import TangentReplica, neural_tangent_kernel
        from freefim.montecarlo.sampler import draw_replicas, require_integer

        require_integer("width", width, 1)
        samples, widths = self._sizes(int(width))
        layers = [(layer.activation, layer.weight_std, layer.mean) for layer in self._hidden()]
        draw = partial(
            neural_tangent_kernel,
            samples,
            widths,
            layers,
            float(self.network.weight_stds[-1]),
            self._scales(),
            self._input_moment,
            self._spectrum_of_inputs(samples),
        )
        drawn = draw_replicas(
            self,
            draw,
            width,
            replicas,
            seed,
            executor=executor,
            progress=progress,
            replica=TangentReplica,
        )
        return EmpiricalSpectrum(drawn)

    def _scales(self) -> list[float]:
        """The s_l of layers 0..L-1."""
        net = self.network
        if net.parametrization == "ntk":
            return [float(std) ** 2 for std in net.weight_stds]
        return [float(ratio) for ratio in net.hidden_ratios]

    def _law(self, same: Sequence[float], cross: Sequence[float], moments: Sequence[float]) -> Law:
        scales = self._scales()
        weights = [s * q for s, q in zip(scales, cross, strict=True)]
        shift = sum(
            s * (t - st) * q for s, t, st, q in zip(scales, same, cross, moments, strict=True)
        )
        levels = [
            Level(self._ratio(l), layer.rest, layer.gain)
            for l, layer in enumerate(self._hidden(), start=1)
        ]
        # below an activation of mean slope 0 nothing is felt
        first = max((l for l, level in enumerate(levels, start=1) if level.gain == 0), default=0)
        if first:
            size = levels[first - 1].rest
            population: Law = MarchenkoPastur(self._ratio(first))
        else:
            size = float(self.network.input_second_moment) if self.data is None else 1.0
            population = MarchenkoPastur(self._ratio(0)) if self.data is None else self.data
        weights, levels = weights[first:], levels[first:]
        weights[0] *= size
        if levels:
            levels[0] = Level(levels[0].ratio, levels[0].rest, levels[0].gain * size)
        return nested_covariances(population, tuple(levels), tuple(weights), shift)
