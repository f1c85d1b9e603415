"""What a solver of laws hands over to the face of laws."""

from typing import Protocol

import numpy as np
from numpy.typing import NDArray

from freefim.free.accuracy import Accuracy

__all__ = ["Array", "Pairs", "Solution"]

Array = NDArray[np.float64]
Pairs = tuple[tuple[float, float], ...]


class Solution(Protocol):
    """What a solver hands over: a law's structure exactly, its functions to machine precision."""

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""

    @property
    def bands(self) -> Pairs:
        """Intervals (left, right) of the absolutely continuous part, ascending."""

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the law's exactness."""

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""

    def cauchy(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Cauchy transform off the bands, any shape."""

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""
