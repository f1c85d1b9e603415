"""Sampled spectra with their provenance: frozen values that travel to tables and verdicts."""

from collections.abc import Iterator
from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.networks.order_parameters import OrderParameters

if TYPE_CHECKING:
    from freefim.networks.network import Network
    from freefim.tables import Table

__all__ = ["EmpiricalSpectrum", "Replica"]

Array = NDArray[np.float64]


def _read_only(array: Array) -> Array:
    view = array.view()
    view.flags.writeable = False
    return view


@dataclass(frozen=True, eq=False, repr=False)
class Replica:
    r"""One sampled network: its eigenvalues and everything the conditional law needs.

    Attributes
    ----------
    network : Network
        The description it was drawn from.
    width : int
        Reference width M.
    seed, index : int
        The network is drawn from ``SeedSequence(seed, spawn_key=(index,))``.
    eigenvalues : ndarray, shape (M_L,)
        Eigenvalues of its dual, ascending: of J Jᵀ/M (standard) or of J Jᵀ (NTK).
    second_moments : ndarray, shape (L+1,)
        Realised :math:`|x^l|^2/M_l`, l = 0..L; the last is that of the output.
    preactivation_variances : ndarray, shape (L,)
        Realised :math:`|h^l|^2/M_l`, l = 1..L.
    shifts : ndarray, shape (L,)
        The multiple of the identity that each layer adds to the dual, biases included.
    gates : tuple of ndarray, shapes (M_l,)
        Realised :math:`\varphi'(h^l_i)^2`, ascending, of each hidden layer, then of the output
        if it has a final activation.
    """

    network: "Network"
    width: int
    seed: int
    index: int
    eigenvalues: Array
    second_moments: Array
    preactivation_variances: Array
    shifts: Array
    gates: tuple[Array, ...]

    def __post_init__(self) -> None:
        for name in ("eigenvalues", "second_moments", "preactivation_variances", "shifts"):
            object.__setattr__(self, name, _read_only(getattr(self, name)))
        object.__setattr__(self, "gates", tuple(map(_read_only, self.gates)))

    @property
    def order_parameters(self) -> OrderParameters:
        """The realised order parameters, in the shape of ``network.order_parameters()``."""
        following = self.network.weight_stds[1:]
        slopes = [float(gate.mean()) for gate in self.gates[: len(following)]]
        return OrderParameters(
            tuple(self.second_moments.tolist()),
            tuple(self.preactivation_variances.tolist()),
            tuple(float(std) ** 2 * slope for std, slope in zip(following, slopes, strict=True)),
        )

    def __repr__(self) -> str:
        return (
            f"<Replica {self.index} of seed {self.seed}: {self.eigenvalues.size} eigenvalues in "
            f"[{self.eigenvalues[0]:.6g}, {self.eigenvalues[-1]:.6g}]>"
        )


@dataclass(frozen=True, eq=False, repr=False)
class EmpiricalSpectrum:
    """Eigenvalues of sampled networks; ``sample[i]`` is one of them.

    Attributes
    ----------
    replicas : tuple of Replica
        The sampled networks, all of one description, width and seed.
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
    def network(self) -> "Network":
        """The description the replicas were drawn from."""
        return self.replicas[0].network

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
        """Eigenvalues, shape (replicas, M_L), each row ascending."""
        return np.stack([replica.eigenvalues for replica in self.replicas])

    @property
    def order_parameters(self) -> tuple[OrderParameters, ...]:
        """The realised order parameters of each replica."""
        return tuple(replica.order_parameters for replica in self)

    def moments(self, order: int) -> tuple[Array, Array]:
        """Estimate the moments 1..order of the spectral law.

        Parameters
        ----------
        order : int
            Highest moment, at least 1.

        Returns
        -------
        mean, standard_error : ndarray, shape (order,)
            Mean over replicas of (1/M_L) Σ λ_i^k, and its standard error from the spread over
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
            "network": repr(self.network),
            "width": self.width,
            "seed": self.seed,
            "replicas": count,
        }
        return Table(columns, metadata)
