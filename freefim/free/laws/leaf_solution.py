"""The solution of a given law: its pieces put together."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.free.accuracy import Accuracy
from freefim.free.laws.pieces import AtomsPiece, Piece
from freefim.free.solution import Array, Pairs

__all__ = ["CLOSED", "LeafSolution"]

CLOSED = Accuracy(mass_defect=0.0, edge_residual=0.0, tail=0.0, method="closed form")


@dataclass(frozen=True, eq=False)
class LeafSolution:
    """A law in closed form.

    Attributes
    ----------
    pieces : tuple of Piece
        Atoms, and bands in ascending order.
    accuracy : Accuracy
    """

    pieces: tuple[Piece, ...]
    accuracy: Accuracy = CLOSED

    @cached_property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        return tuple(a for piece in self.pieces if isinstance(piece, AtomsPiece)
                     for a in piece.atoms)  # fmt: skip

    @cached_property
    def _bands(self) -> tuple[Any, ...]:
        return tuple(piece for piece in self.pieces if not isinstance(piece, AtomsPiece))

    @property
    def bands(self) -> Pairs:
        """Intervals of the absolutely continuous part, ascending."""
        return tuple((band.left, band.right) for band in self._bands)

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""
        return tuple(band.mass for band in self._bands)

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        for band in self._bands:
            inside = (x >= band.left) & (x <= band.right)
            values[inside] = band.pdf(x[inside])
        return values

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        for location, mass in self.atoms:
            values += np.where(x >= location, mass, 0.0)
        for band in self._bands:
            inside = (x > band.left) & (x < band.right)
            values[x >= band.right] += band.mass
            values[inside] += band.mass_below(x[inside])
        return np.asarray(np.minimum(values, 1.0))

    def cauchy(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Cauchy transform off the bands, their ends included, any shape."""
        z = np.asarray(z, dtype=complex)
        flat = np.atleast_1d(z).ravel()
        total = np.zeros(flat.shape, dtype=complex)
        for piece in self.pieces:
            total += piece.cauchy(flat)
        return total.reshape(z.shape)

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, shape (n,) each."""
        parts = [band.nodes(splits) for band in self._bands]
        if not parts:
            return np.empty(0), np.empty(0)
        x, weights = zip(*parts, strict=True)
        return np.concatenate(x), np.concatenate(weights)
