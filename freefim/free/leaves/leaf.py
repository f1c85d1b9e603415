# ruff: noqa: D102  (what `Leaf` describes is not described again)
r"""Leaves: the laws on :math:`[0, \infty)` that a chain multiplies by, through their transforms.

A leaf :math:`\nu` enters a chain through :math:`m_\nu(w) = \int x/(w - x)\,\nu(dx)`. Laws with
finitely many values are exact as they stand; the law of a smooth g(h), h ~ N(0, variance), enters
through its exact transform, never through quadrature atoms on the real line.
"""

from abc import ABC, abstractmethod
from dataclasses import dataclass, fields
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any, ClassVar, cast

import numpy as np
from numpy.typing import NDArray

if TYPE_CHECKING:
    from freefim.free.leaves.paths import Flat, Piece

__all__ = [
    "VISIBLE",
    "Atomic",
    "Contour",
    "CosineSquared",
    "GaussianBump",
    "KernelData",
    "Leaf",
    "SechFourth",
    "TwoPoint",
    "sech_fourth",
]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
KernelData = tuple[int, _Reals, _Nodes, _Nodes]

#: A normal variable leaves ±VISIBLE standard deviations with probability 1e-16.
VISIBLE = 8.3


class Leaf(ABC):
    """A law on [0, ∞) with compact support."""

    ATOMS: ClassVar[int] = 0
    TANH: ClassVar[int] = 1
    ERF: ClassVar[int] = 2
    SINE: ClassVar[int] = 3
    CONTOUR: ClassVar[int] = 4

    @property
    @abstractmethod
    def minimum(self) -> float:
        """Infimum of the support."""

    @property
    @abstractmethod
    def maximum(self) -> float:
        """Supremum of the support."""

    @property
    @abstractmethod
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """Point masses (location, mass), ascending."""

    @property
    def lumps(self) -> tuple[tuple[float, float], ...]:
        """Masses of tails within rounding of their limits (limit, mass), ascending; no atoms."""
        return ()

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        """Open intervals between minimum and maximum that carry no mass, ascending."""
        return ()

    @abstractmethod
    def moments(self, order: int) -> NDArray[np.float64]:
        """Moments E x, …, E x^order, shape (order,)."""

    @abstractmethod
    def bottom_quantile(self, mass: float = 1e-13) -> float:
        """Quantile of `mass` of the part on (0, ∞): the scale on which w near 0 is told apart."""

    @abstractmethod
    def kernel_data(self) -> KernelData:
        r"""Return what a compiled kernel needs to evaluate the transform.

        Returns
        -------
        code : int
            ``ATOMS``, ``TANH``, ``ERF``, ``SINE`` or ``CONTOUR``.
        reals : ndarray of float64
            ``ATOMS``, ``CONTOUR``: empty. ``TANH``, ``ERF``: (variance, amplitude).
            ``SINE``: (variance, frequency, amplitude). See the classes for what they mean.
        nodes, weights : ndarray of complex128
            ``ATOMS`` (real) and ``CONTOUR``: :math:`m = \sum c_k g_k/(w - g_k)`,
            :math:`1 + m = w \sum c_k/(w - g_k)`, the weights summing to 1; otherwise empty.
        """


def _two_sided(mass: float) -> float:
    """Return x with P(|h| > x) = mass, h ~ N(0, 1)."""
    from scipy.special import ndtri

    return -float(ndtri(mass / 2))


def _no_nodes() -> _Nodes:
    return np.empty(0, dtype=np.complex128)


def _atom_data(locations: NDArray[np.float64], weights: NDArray[np.float64]) -> KernelData:
    return Leaf.ATOMS, np.empty(0), locations.astype(np.complex128), weights.astype(np.complex128)


def sech_fourth(h: Any) -> Any:
    """sech⁴ at real h >= 0, without overflow."""
    return 16 * np.exp(-4 * h) / (1 + np.exp(-2 * h)) ** 4


def _bottom_atom(atoms: tuple[tuple[float, float], ...], mass: float) -> float:
    """Quantile of `mass` of the atoms at positive locations."""
    total = 0.0
    for location, weight in atoms:
        total += weight if location > 0 else 0.0
        if total >= mass:
            return location
    return atoms[-1][0]


@dataclass(frozen=True)
class TwoPoint(Leaf):
    """Mass `mass` at `high` and `complement` = 1 - `mass` at `low` < `high`.

    The complement is a field of its own because 1 - mass may be far below rounding.
    """

    low: float | Fraction
    high: float | Fraction
    mass: float | Fraction
    complement: float | Fraction

    @property
    def minimum(self) -> float:
        return float(self.low if self.complement > 0 else self.high)

    @property
    def maximum(self) -> float:
        return float(self.high if self.mass > 0 else self.low)

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        pairs = ((self.low, self.complement), (self.high, self.mass))
        return tuple((float(value), float(mass)) for value, mass in pairs if mass > 0)

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        return ((float(self.low), float(self.high)),) if self.minimum < self.maximum else ()

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)
        low, high = float(self.low), float(self.high)
        return np.asarray(float(self.complement) * low**k + float(self.mass) * high**k)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        return _bottom_atom(self.atoms, mass)

    def kernel_data(self) -> KernelData:
        return _atom_data(np.array([self.low, self.high]), np.array([self.complement, self.mass]))


class _Arrays(Leaf):
    """A leaf whose fields hold arrays: compared by their values, bit for bit."""

    def _key(self) -> tuple[Any, ...]:
        values = (getattr(self, item.name) for item in fields(cast("Any", self)))
        return tuple(v.tobytes() if isinstance(v, np.ndarray) else v for v in values)

    def __eq__(self, other: object) -> bool:
        return type(other) is type(self) and self._key() == other._key()

    def __hash__(self) -> int:
        return hash(self._key())


@dataclass(frozen=True, eq=False)
class Atomic(_Arrays):
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

    @property
    def gaps(self) -> tuple[tuple[float, float], ...]:
        ends = self.locations.tolist()
        return tuple(pairwise(ends))

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)[:, None]
        return np.asarray((self.weights * self.locations**k).sum(axis=1), dtype=float)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        return _bottom_atom(self.atoms, mass)

    def kernel_data(self) -> KernelData:
        return _atom_data(self.locations, self.weights)


class _Smooth(Leaf):
    """A connected law on [0, amplitude] without atoms, with an inverse square root at the top."""

    amplitude: float

    @property
    def minimum(self) -> float:
        return 0.0

    @property
    def maximum(self) -> float:
        return self.amplitude

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        return ()


@dataclass(frozen=True)
class SechFourth(_Smooth):
    r"""Law of amplitude · sech⁴(h), h ~ N(0, variance): the gate of tanh (amplitude 1)."""

    variance: float
    amplitude: float = 1.0

    def moments(self, order: int) -> NDArray[np.float64]:
        # sech^{4k} has the width 1/√(4k); the trapezoid rule is exact to rounding below both.
        step = 0.25 * min(np.sqrt(self.variance), 1 / np.sqrt(order))
        h = step * np.arange(0, 9 * np.sqrt(self.variance) / step + 1)
        p = np.exp(-(h**2) / (2 * self.variance))
        p[0] /= 2
        g = self.amplitude * sech_fourth(h)
        k = np.arange(1, order + 1)[:, None]
        return np.asarray((p * g**k).sum(axis=1) / p.sum(), dtype=float)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        h = np.sqrt(self.variance) * _two_sided(mass)
        return float(self.amplitude * sech_fourth(h))

    def kernel_data(self) -> KernelData:
        reals = np.array([self.variance, self.amplitude])
        return Leaf.TANH, reals, _no_nodes(), _no_nodes()


@dataclass(frozen=True)
class GaussianBump(_Smooth):
    r"""Law of amplitude · exp(-2u²), u ~ N(0, variance).

    The gate of erf(b h), h ~ N(0, q), has variance b²q and amplitude 4b²/π.

    Examples
    --------
    >>> GaussianBump(variance=0.75, amplitude=1.0).moments(2).round(12).tolist()
    [0.5, 0.377964473009]
    """

    variance: float
    amplitude: float

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)
        return np.asarray(self.amplitude**k / np.sqrt(1 + 4 * k * self.variance), dtype=float)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        return float(self.amplitude * np.exp(-2 * self.variance * _two_sided(mass) ** 2))

    def kernel_data(self) -> KernelData:
        reals = np.array([self.variance, self.amplitude])
        return Leaf.ERF, reals, _no_nodes(), _no_nodes()


@dataclass(frozen=True)
class CosineSquared(_Smooth):
    r"""Law of amplitude · cos²(frequency · h), h ~ N(0, variance): the gate of sin."""

    variance: float
    frequency: float
    amplitude: float

    def moments(self, order: int) -> NDArray[np.float64]:
        from scipy.special import comb

        # cos^{2k} u = 4^{-k} Σ_j C(2k, k+j) cos(2ju), E cos(2ju) = exp(-2j² Var u)
        k = np.arange(1, order + 1)[:, None]
        j = np.arange(-order, order + 1)
        terms = comb(2 * k, k + j) * np.exp(-2 * (j * self.frequency) ** 2 * self.variance)
        return np.asarray((self.amplitude / 4.0) ** k[:, 0] * terms.sum(axis=1), dtype=float)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        spread = self.frequency * np.sqrt(self.variance)
        reach = spread * _two_sided(mass)
        zeros = np.pi * (np.arange(0.5, 2 + reach / np.pi))
        at_zeros = 2 * np.exp(-((zeros / spread) ** 2) / 2).sum() / (spread * np.sqrt(2 * np.pi))
        # Either the tail ends before the first zero of the cosine, or it is flat around zeros.
        distance = max(np.pi / 2 - reach, 0.0) or mass / (2 * at_zeros)
        return float(self.amplitude * np.sin(min(distance, np.pi / 2)) ** 2)

    def kernel_data(self) -> KernelData:
        reals = np.array([self.variance, self.frequency, self.amplitude])
        return Leaf.SINE, reals, _no_nodes(), _no_nodes()


@dataclass(frozen=True, eq=False)
class Contour(_Arrays):
    r"""A law through nodes on a path below the real axis, plus real atoms.

    With :math:`\nu` the law of g(h), the path of h is bent so that g(h) has a negative imaginary
    part: :math:`m(w) = \sum_k c_k g_k/(w - g_k)` then holds for w in the upper half-plane, on the
    real axis and slightly below it. `freefim.free.leaves.contour` builds such nodes.

    Parameters
    ----------
    nodes, weights : ndarray of complex128, shape (n,)
        g_k and c_k; the weights sum to 1.
    values, masses : ndarray of float64, shape (m,)
        A quadrature rule on the real axis, for the moments.
    bounds : (float, float)
        Infimum and supremum; where a tail is known on its visible part only, those of that part.
    parts : tuple of Piece or Flat
        The intervals of h on which g is monotone or constant.
    variance : float
        Variance of h.
    atoms : tuple of (float, float)
        Point masses, ascending; they are among the nodes.
    lumps : tuple of (float, float)
        Masses of tails within rounding of their limits, ascending; among the nodes too.
    gaps : tuple of (float, float)
        Intervals between the bounds without mass.
    """

    nodes: _Nodes
    weights: _Nodes
    values: _Reals
    masses: _Reals
    bounds: tuple[float, float]
    parts: "tuple[Piece | Flat, ...]"
    variance: float
    atoms: tuple[tuple[float, float], ...] = ()
    lumps: tuple[tuple[float, float], ...] = ()
    gaps: tuple[tuple[float, float], ...] = ()

    @property
    def minimum(self) -> float:
        return self.bounds[0]

    @property
    def maximum(self) -> float:
        return self.bounds[1]

    def moments(self, order: int) -> NDArray[np.float64]:
        k = np.arange(1, order + 1)[:, None]
        return np.asarray((self.masses * self.values**k).sum(axis=1), dtype=float)

    def bottom_quantile(self, mass: float = 1e-13) -> float:
        order = np.argsort(self.values)
        order = order[self.values[order] > 0]
        reached = np.cumsum(self.masses[order]) >= mass
        return float(self.values[order][np.argmax(reached)])

    def kernel_data(self) -> KernelData:
        return Leaf.CONTOUR, np.empty(0), self.nodes, self.weights
