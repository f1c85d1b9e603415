r"""A model of the Hessian of a loss: a positive part and a Wigner part, free of each other.

:math:`H = H_0 + H_1`, :math:`H_0 = J J^T/m` with J Gaussian of n parameters × m samples and
:math:`H_1` a Wigner matrix whose variance is twice the energy (the loss).
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from math import sqrt
from typing import TYPE_CHECKING, Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.named import MarchenkoPastur, Semicircle
from freefim.free.trees.algebra import free_sum
from freefim.networks.checks import Number, finite_number
from freefim.spectra.spectrum import Spectrum

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum

__all__ = ["HessianModel"]


@dataclass(frozen=True)
class HessianModel(Spectrum):
    r"""Spectrum of MP(ratio) ⊞ semicircle(2·energy).

    Parameters
    ----------
    ratio : number
        Parameters over samples n/m, > 0.
    energy : number
        Loss ε >= 0; the Wigner part has the variance 2ε.

    Raises
    ------
    SpecError
        If an argument is out of range.

    References
    ----------
    .. [1] J. Pennington, Y. Bahri, *Geometry of Neural Network Loss Surfaces via Random Matrix
       Theory*, ICML 2017.

    Examples
    --------
    Below the critical energy there are no negative directions:

    >>> model = HessianModel(0.5, 0.0)
    >>> HessianModel(0.5, 0.9 * model.critical_energy).law().support[0] > 0
    True
    >>> HessianModel(0.5, 1.1 * model.critical_energy).index() > 0
    True
    """

    ratio: Number
    energy: Number

    def __post_init__(self) -> None:
        for name, least in (("ratio", 0), ("energy", 0)):
            value = finite_number(name, getattr(self, name))
            if value < least or (name == "ratio" and value == 0):
                allowed = "> 0" if name == "ratio" else ">= 0"
                raise SpecError(f"{name} must be a finite number {allowed}, got {value!r}")

    @property
    def matrix(self) -> str:
        """The model Hessian."""
        return "J J^T / m + Wigner"

    def law(self) -> Law:
        """Limiting law of the eigenvalues of the model Hessian."""
        positive = MarchenkoPastur(self.ratio)
        return free_sum(positive, Semicircle(2 * self.energy)) if self.energy else positive

    @property
    def critical_energy(self) -> float:
        r"""Energy above which negative eigenvalues appear; 0 for a ratio of at least 1.

        :math:`\varepsilon_c = (3 - s)^3 (1 + s)/128`, :math:`s = \sqrt{1 + 8\varphi}`: that is
        :math:`[1 - 20\varphi - 8\varphi^2 + (1 + 8\varphi)^{3/2}]/16` without its cancellation.
        """
        phi: float = float(self.ratio)
        if phi >= 1.0:
            return 0.0
        s = sqrt(1.0 + 8.0 * phi)
        return (8.0 * (1.0 - phi) / (3.0 + s)) ** 3 * (1.0 + s) / 128.0

    def index(self) -> float:
        """Fraction of the eigenvalues that are negative."""
        law: Any = self.law()
        if law.support[0] >= 0.0:
            return 0.0
        return float(law.cdf(0.0) - dict(law.atoms).get(0.0, 0.0))

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of sampled Hessians with `width` parameters; see `Spectrum.sample`."""
        from freefim.montecarlo.empirical import EmpiricalSpectrum
        from freefim.montecarlo.models import hessian_matrix
        from freefim.montecarlo.sampler import draw_replicas, require_integer

        require_integer("width", width, 1)
        samples = max(1, round(width / float(self.ratio)))
        draw = partial(hessian_matrix, int(width), samples, 2.0 * float(self.energy))
        drawn = draw_replicas(
            self, draw, width, replicas, seed, executor=executor, progress=progress
        )
        return EmpiricalSpectrum(drawn)
