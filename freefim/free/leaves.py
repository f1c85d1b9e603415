r"""Leaves: the laws on :math:`[0, \infty)` that a chain multiplies by, through their transforms.

A leaf :math:`\nu` enters a chain through :math:`m_\nu(w) = \int x/(w - x)\,\nu(dx)`. Laws with finitely
many values are exact as they stand; the law of a smooth g(h), h ~ N(0, variance), enters through
its exact transform, never through quadrature atoms on the real line.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Atomic", "Leaf", "TwoPoint"]


class Leaf(ABC):
    """A law on [0, ∞) with compact support."""

    @property
    @abstractmethod
    def minimum(self) -> float:
        """Infimum of the support."""

    @property
    @abstractmethod
    def maximum(self) -> float:
        """Supremum of the support, up to the mass that 64-bit numbers can see."""

    @property
    @abstractmethod
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Point masses (location, mass), ascending."""

    @abstractmethod
    def moments(self, order: int) -> NDArray[np.float64]:
        """Moments E x, …, E x^order, shape (order,)."""


@dataclass(frozen=True)
class TwoPoint(Leaf):
    """Mass `mass` at `high` and `complement` = 1 - `mass` at `low` < `high`.

    The complement is a field of its own because 1 - mass may be far below rounding.
    """

    low: float
    high: float
    mass: float
    complement: float

    @property
    def minimum(self) -> float:
        return self.low if self.complement > 0 else self.high

    @property
    def maximum(self) -> float:
        return self.high if self.mass > 0 else self.low

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        pairs = ((self.low, self.complement), (self.high, self.mass))
        return tuple(pair for pair in pairs if pair[1] > 0)

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)
        return np.asarray(self.complement * self.low**k + self.mass * self.high**k, dtype=float)


@dataclass(frozen=True, eq=False)
class Atomic(Leaf):
    """Finitely many atoms: locations (n,) ascending, weights (n,) positive with sum 1."""

    locations: NDArray[np.float64]
    weights: NDArray[np.float64]

    @property
    def minimum(self) -> float:
        return float(self.locations[0])

    @property
    def maximum(self) -> float:
        return float(self.locations[-1])

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        return tuple(zip(self.locations.tolist(), self.weights.tolist(), strict=True))

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)[:, None]
        return np.asarray((self.weights * self.locations**k).sum(axis=1), dtype=float)
