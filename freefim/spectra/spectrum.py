"""What every spectrum offers: its law, its witness, and the verdict of one on the other."""

from abc import ABC, abstractmethod
from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from typing import TYPE_CHECKING, Any, ClassVar

from freefim.free.law import Law

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum
    from freefim.validation.report import ValidationReport

__all__ = ["Spectrum"]


class Spectrum(ABC):
    """A limiting law and the random matrices that it describes, from one description.

    Attributes
    ----------
    decay : float or None
        The p, if matrices of width M are those of the law only up to terms of order M^-p, p < 1.
    """

    decay: ClassVar[float | None] = None

    @property
    @abstractmethod
    def matrix(self) -> str:
        """The matrix in a few words, its normalisation included."""

    @abstractmethod
    def law(self) -> Law:
        """Limiting law of the eigenvalues as the width grows."""

    @abstractmethod
    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of sampled matrices.

        Parameters
        ----------
        width : int
            Reference width M, at least 1.
        replicas : int, optional
            Number of matrices, at least 1.
        seed : int, optional
            Replica i draws from ``SeedSequence(seed, spawn_key=(i,))``.
        executor : concurrent.futures.Executor, optional
            Where the replicas run; the result is bitwise the same.
        progress : callable, optional
            Called as ``progress(done, total)`` after each replica.
        """

    def conditional_law(self, replica: Any) -> Law:
        """Law of one sampled matrix: the limit law, unless a spectrum knows better."""
        return self.law()

    def validate(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ValidationReport":
        """Compare the law with sampled matrices: moments, distances, atoms, edges, a verdict.

        Parameters
        ----------
        width : int
            Reference width M, at least 2.
        replicas : int, optional
            Matrices sampled at width M, and four times as many at M/2; at least 2.
        seed : int, optional
            Seed of the sample.
        executor, progress : optional
            As for `sample`; progress counts replicas sampled and laws compared.

        Returns
        -------
        ValidationReport
            ``print`` shows it; `passed` is the verdict, `reasons` say why not.

        Raises
        ------
        SpecError
            If `width`, `replicas` or `seed` is out of range.
        ConvergenceError
            If a law or a replica cannot be computed.

        Examples
        --------
        >>> from freefim.networks.network import Network
        >>> from freefim.spectra.conditional_fim import ConditionalFIM
        >>> net = Network(3, "relu", weight_std=2**0.5)
        >>> ConditionalFIM(net).validate(width=64, replicas=4).verdict
        'PASS'
        """
        from freefim.validation import validate

        return validate(
            self.law(),
            self.conditional_law,
            partial(self.sample, executor=executor),
            width,
            replicas,
            seed,
            progress,
            self.decay,
        )
