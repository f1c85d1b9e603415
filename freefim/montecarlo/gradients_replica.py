"""What is measured on one sampled network, and on several."""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica, read_only

__all__ = ["GradientReplica", "GradientSample", "Measured"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Measured:
    r"""What one sampled network had beside its eigenvalues.

    Attributes
    ----------
    logits : ndarray, shape (N, C)
        What the last layer computes, before any head.
    second_moments, cross_moments : tuple of float, L entries
        :math:`\hat q_t^l` and :math:`\hat q_{st}^l`, l = 0..L-1: means over samples and pairs.
    backward_moments, backward_cross_moments : tuple of float, L entries
        :math:`\tilde q_t^l` and :math:`\tilde q_{st}^l`, l = 1..L: sums over units, means over
        outputs and samples.
    fisher_rao_norm, fisher_rao_norm_weights : float
        :math:`\theta^TF\theta` of the logits over all parameters, and over the weights alone.
    fisher_rao_norm_independent : float
        The same over the weights, in the mean over weights drawn anew at this F.
    overlap : float or None
        Share of the span of the mean gradients :math:`E\nabla f_k` in the space of the C top
        eigenvectors, within [0, 1]; None if there is a head.
    """

    logits: Array
    second_moments: tuple[float, ...]
    cross_moments: tuple[float, ...]
    backward_moments: tuple[float, ...]
    backward_cross_moments: tuple[float, ...]
    fisher_rao_norm: float
    fisher_rao_norm_weights: float
    fisher_rao_norm_independent: float
    overlap: float | None

    def __post_init__(self) -> None:
        object.__setattr__(self, "logits", read_only(self.logits))


@dataclass(frozen=True, eq=False, repr=False)
class GradientReplica(Replica):
    """One sampled network: the statistics of its Fisher information.

    Attributes
    ----------
    measured : Measured
        What it had beside its eigenvalues.
    """

    measured: Measured

    @property
    def mean(self) -> float:
        """Mean of the eigenvalues of the whole matrix, its zeros included."""
        return float(self.eigenvalues.sum()) / int(self.source.dimension)

    @property
    def second_moment(self) -> float:
        """Mean square of the eigenvalues of the whole matrix, its zeros included."""
        return float(np.square(self.eigenvalues).sum()) / int(self.source.dimension)

    @property
    def max_eigenvalue(self) -> float:
        """Largest eigenvalue."""
        return float(self.eigenvalues[-1])

    @property
    def top_eigenvalues(self) -> Array:
        """The C largest eigenvalues, descending."""
        return self.eigenvalues[: -self.source.outputs - 1 : -1]

    @property
    def bulk_eigenvalues(self) -> Array:
        """What follows them up to the rank that the head leaves, descending; may be empty."""
        return self.eigenvalues[::-1][self.source.outputs : self.source.rank]

    @property
    def next_eigenvalue(self) -> float:
        """The largest of `bulk_eigenvalues`, 0 if there is none."""
        return float(self.bulk_eigenvalues[0]) if self.bulk_eigenvalues.size else 0.0

    @property
    def bulk_median(self) -> float:
        """Median of `bulk_eigenvalues`, 0 if there is none."""
        return float(np.median(self.bulk_eigenvalues)) if self.bulk_eigenvalues.size else 0.0

    def count_above(self, threshold: float) -> int:
        """Number of eigenvalues >= `threshold`."""
        return int(np.count_nonzero(self.eigenvalues >= threshold))

    def flatness(self, threshold: float) -> float:
        """Share of all directions, the null space included, with an eigenvalue < `threshold`."""
        return 1.0 - self.count_above(threshold) / int(self.source.dimension)


@dataclass(frozen=True, eq=False, repr=False)
class GradientSample(EmpiricalSpectrum):
    """Statistics of sampled networks; ``sample[i]`` is one of them."""

    replicas: tuple[GradientReplica, ...]

    def estimate(self, name: str) -> tuple[Array, Array]:
        """Mean over replicas of one of their numbers, and its standard error.

        Parameters
        ----------
        name : str
            An attribute of `GradientReplica` or of its `Measured`.

        Returns
        -------
        mean, standard_error : ndarray
            Of the shape of the attribute; the error is infinite for one replica.

        Raises
        ------
        SpecError
            If there is no such number.
        """
        if not all(hasattr(r, name) or hasattr(r.measured, name) for r in self.replicas):
            raise SpecError(f"name must be a number of the replicas, got {name!r}")
        rows = np.array(
            [getattr(r if hasattr(r, name) else r.measured, name) for r in self.replicas],
            dtype=float,
        )
        mean: Array = rows.mean(axis=0)
        if len(rows) == 1:
            return mean, np.full_like(mean, np.inf)
        error: Array = rows.std(axis=0, ddof=1) / np.sqrt(len(rows))
        return mean, error
