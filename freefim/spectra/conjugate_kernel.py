r"""The conjugate kernel: the Gram matrix of the last hidden layer over n ~ M samples."""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.trees.algebra import affine, free_product
from freefim.spectra.linear_width import LinearWidth

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum

__all__ = ["ConjugateKernel"]


@dataclass(frozen=True)
class ConjugateKernel(LinearWidth):
    r"""Spectrum of :math:`K = X^T X/M_l`, X the M_l × n activations of the last hidden layer.

    Parameters
    ----------
    network : Network
        Gaussian weights without bias before the last hidden layer; what comes behind it does not
        count.
    samples_ratio : number
        Samples n over the reference width M, > 0.
    data : Law, optional
        Law of :math:`K_0 = X_0^T X_0/M_0` of nearly orthogonal inputs; its mean takes the place of
        ``network.input_second_moment``. By default independent Gaussian inputs,
        :math:`K_0 = \hat q_0\,\mathrm{MP}(n/M_0)`.

    Notes
    -----
    Activations are centred: :math:`x^l = \varphi(h^l) - E\varphi(h^l)`; an odd φ is so by itself.
    Then :math:`\mathrm{law}(K_l) = \mathrm{MP}(n/M_l) \boxtimes (c_l + b_l\,\mathrm{law}(K_{l-1}))`
    with :math:`b_l = \sigma_w^2(E\varphi')^2`, :math:`c_l = \hat q_l - b_l\hat q_{l-1}`. Without
    centring there is one eigenvalue more of the order of M.

    Raises
    ------
    SpecError
        If there is no hidden layer, weights are not Gaussian, there is a bias, or an argument is
        out of range.

    References
    ----------
    .. [1] Z. Fan, Z. Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for
       linear-width neural networks*, NeurIPS 2020, theorem 3.4.
    .. [2] J. Pennington, P. Worah, *Nonlinear random matrix theory for deep learning*,
       NeurIPS 2017, theorem 1 (one hidden layer).

    Examples
    --------
    An activation of zero mean slope forgets its input: a Marchenko–Pastur law.

    >>> from freefim.networks.network import Network
    >>> net = Network(2, "abs", weights="gaussian")
    >>> law = ConjugateKernel(net, 0.5).law()
    >>> bool(abs(law.variance() / law.mean() ** 2 - 0.5) < 1e-12)
    True
    """

    def __post_init__(self) -> None:
        super().__post_init__()
        if self.network.depth < 2:
            raise SpecError(f"network must have a hidden layer, got depth={self.network.depth}")

    @property
    def _matrices(self) -> int:
        return self.network.depth - 1

    @property
    def matrix(self) -> str:
        """The Gram matrix of the last hidden layer."""
        return "X^T X / M_l, X the centred activations of the last hidden layer"

    def law(self) -> Law:
        """Limiting law of the kernel."""
        law = self._gram()
        for level, layer in enumerate(self._hidden(), start=1):
            law = free_product(
                MarchenkoPastur(self._ratio(level)), affine(law, layer.gain, layer.rest)
            )
        return law

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
        from freefim.montecarlo.kernel_matrices import conjugate_kernel
        from freefim.montecarlo.sampler import draw_replicas, require_integer

        require_integer("width", width, 1)
        samples, widths = self._sizes(int(width))
        layers = [(layer.activation, layer.weight_std, layer.mean) for layer in self._hidden()]
        inputs = self._spectrum_of_inputs(samples)
        draw = partial(conjugate_kernel, samples, widths, layers, self._input_moment, inputs)
        drawn = draw_replicas(
            self, draw, width, replicas, seed, executor=executor, progress=progress
        )
        return EmpiricalSpectrum(drawn)
