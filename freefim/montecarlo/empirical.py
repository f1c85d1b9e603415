"""Sampled spectra with their provenance: frozen values that travel to tables and verdicts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

if TYPE_CHECKING:
    from freefim.tables import Table

__all__ = ["EmpiricalSpectrum", "Replica", "read_only"]

Array = NDArray[np.float64]


def read_only(array: Array) -> Array:
    """A view of an array that cannot be written to."""
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False, repr=False)
class Replica:
    """One sampled matrix: its eigenvalues and where they came from.

    Attributes
    ----------
    source : object
        The description it was drawn from: a network, or the model of a spectrum.
    width : int
        Reference width M.
    seed, index : int
        It is drawn from ``SeedSequence(seed, spawn_key=(index,))``.
    eigenvalues : ndarray, shape (n,)
        Ascending.
    """

    source: Any
    width: int
    seed: int
    index: int
    eigenvalues: Array

    def __post_init__(self) -> None:
        object.__setattr__(self, "eigenvalues", read_only(self.eigenvalues))

    def __repr__(self) -> str:
        return (
            f"<{type(self).__name__} {self.index} of seed {self.seed}: {self.eigenvalues.size} "
            f"eigenvalues in [{self.eigenvalues[0]:.6g}, {self.eigenvalues[-1]:.6g}]>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class EmpiricalSpectrum:
    """Eigenvalues of sampled matrices; ``sample[i]`` is one of them.

    Attributes
    ----------
    replicas : tuple of Replica
        All of one description, width and seed.
    """

    replicas: tuple[Replica, ...]

    def __len__(self) -> int:
        return len(self.replicas)

    def __getitem__(self, index: int) -> Replica:
        return self.replicas[index]

    def __iter__(self) -> Iterator[Replica]:
        return iter(self.replicas)

    def __repr__(self) -> str:
        values = self.eigenvalues
        return (
            f"<EmpiricalSpectrum: {len(self)} replicas at width {self.width}, seed {self.seed}, "
            f"eigenvalues in [{values.min():.6g}, {values.max():.6g}]>"
        )

    @property
    def source(self) -> Any:
        """The description the replicas were drawn from."""
        return self.replicas[0].source

    @property
    def width(self) -> int:
        """Reference width M."""
        return self.replicas[0].width

    @property
    def seed(self) -> int:
        """Seed of the whole sample."""
        return self.replicas[0].seed

    @property
    def eigenvalues(self) -> Array:
        """Eigenvalues, shape (replicas, n), each row ascending."""
        return np.stack([replica.eigenvalues for replica in self.replicas])

    def moments(self, order: int) -> tuple[Array, Array]:
        """Estimate the moments 1..order of the spectral law.

        Parameters
        ----------
        order : int
            Highest moment, at least 1.

        Returns
        -------
        mean, standard_error : ndarray, shape (order,)
            Mean over replicas of (1/n) Σ λ_i^k, and its standard error from the spread over
            replicas: infinite if there is one replica, which has no spread.
        """
        powers = np.arange(1, order + 1)
        traces = np.mean(self.eigenvalues[:, None, :] ** powers[:, None], axis=2)
        if len(self) == 1:
            return traces[0], np.full(order, np.inf)
        return traces.mean(axis=0), traces.std(axis=0, ddof=1) / np.sqrt(len(self))

    def cdf(self, x: ArrayLike) -> Array:
        """Fraction of the eigenvalues of all replicas that are at most x, same shape as x."""
        points = np.asarray(x, dtype=float)
        pooled = np.sort(self.eigenvalues, axis=None)
        fraction = np.searchsorted(pooled, points, side="right") / pooled.size
        return np.asarray(np.where(np.isnan(points), np.nan, fraction))

    def table(self) -> "Table":
        """Return the eigenvalues as a table with columns replica, index, eigenvalue."""
        from freefim.tables import Table

        count, size = self.eigenvalues.shape
        columns: dict[str, Any] = {
            "replica": np.repeat(np.arange(count), size),
            "index": np.tile(np.arange(size), count),
            "eigenvalue": self.eigenvalues.ravel(),
        }
        metadata = {
            "source": repr(self.source),
            "width": self.width,
            "seed": self.seed,
            "replicas": count,
        }
        return Table(columns, metadata)
