r"""Pieces of a law in closed form: atoms, bands as Chebyshev or Legendre series, a Cauchy law.

Every piece knows its density, distribution function and Cauchy transform without quadrature, and
hands itself to the engine of trees as a code and an array of numbers.
"""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any, ClassVar

import numpy as np
from numpy.typing import NDArray

from freefim.free.laws.rules import double_exponential, gauss, legendre_transform
from freefim.free.solution import Array, Pairs

__all__ = [
    "AtomsPiece",
    "BandPiece",
    "CauchyPiece",
    "LayeredPiece",
    "PanelsPiece",
    "Piece",
    "SeriesPiece",
]

Nodes = NDArray[np.complex128]

ATOMS, SERIES, PANELS, CAUCHY = range(4)


@dataclass(frozen=True)
class AtomsPiece:
    """Finitely many atoms (location, mass), ascending: data [n, locations…, masses…]."""

    code: ClassVar[int] = ATOMS
    atoms: Pairs

    @property
    def layers(self) -> tuple["AtomsPiece"]:
        """The piece itself."""
        return (self,)

    @property
    def data(self) -> Array:
        """Return the numbers for the engine."""
        locations, masses = zip(*self.atoms, strict=True)
        return np.array([len(self.atoms), *locations, *masses], dtype=float)

    def cauchy(self, z: Nodes) -> Nodes:
        """Return the sum of mass/(z - location); infinite at an atom."""
        total = np.zeros(z.shape, dtype=complex)
        for location, mass in self.atoms:
            gap = z - location
            there = gap == 0.0
            total = np.where(there, complex(np.inf), total + mass / np.where(there, 1.0, gap))
        return total


@dataclass(frozen=True)
class BandPiece:
    """A band (left, right) of an absolutely continuous part."""

    left: float
    right: float

    @property
    def layers(self) -> tuple[Any, ...]:
        """What the engine is handed: the piece itself."""
        return (self,)

    @property
    def _half(self) -> float:
        return 0.5 * (self.right - self.left)


@dataclass(frozen=True)
class _ExpandedPiece(BandPiece):
    """A band as a series, whose values may miss 0 by rounding."""

    @property
    @abstractmethod
    def mass(self) -> float:
        """Mass of the band."""

    @abstractmethod
    def values(self, x: Array) -> Array:
        """Sum of the series at x inside the band, ends included."""

    @abstractmethod
    def integral(self, x: Array) -> Array:
        """Integral of the series from the left end to x inside."""

    def pdf(self, x: Array) -> Array:
        """Density at x inside the band, ends included."""
        return np.maximum(self.values(x), 0.0)

    def mass_below(self, x: Array) -> Array:
        """Mass of the band to the left of x, x inside."""
        return np.asarray(np.clip(self.integral(x), 0.0, self.mass))


@dataclass(frozen=True)
class SeriesPiece(_ExpandedPiece):
    r"""A band whose ends are square-root edges, as a series in the Chebyshev family of its ends.

    With u in [-1, 1] along the band, the density is :math:`\sum_k c_k B_k(u)`:

    ====  ==========  ==========  =================================================
    kind  left end    right end   B_k
    ====  ==========  ==========  =================================================
    0     soft        soft        :math:`\sqrt{1-u^2}\,U_k`
    1     hard        hard        :math:`T_k/\sqrt{1-u^2}`
    2     soft        hard        :math:`\sqrt{(1+u)/(1-u)}\,V_k`
    3     hard        soft        :math:`\sqrt{(1-u)/(1+u)}\,W_k`
    ====  ==========  ==========  =================================================

    With :math:`J = u - \sqrt{u-1}\sqrt{u+1}` outside the band, the transform of :math:`B_k` is
    :math:`\pi J^{k+1}` times 1, 2/(1 - J²), 2/(1 - J), 2/(1 + J).
    """

    code: ClassVar[int] = SERIES
    kind: int
    coefficients: tuple[float, ...]

    @property
    def data(self) -> Array:
        """Return the numbers for the engine: [1, left, right, kind, n, coefficients…]."""
        head = [1, self.left, self.right, self.kind, len(self.coefficients)]
        return np.array([*head, *self.coefficients], dtype=float)

    @property
    def mass(self) -> float:
        """Mass of the band."""
        return self._half * float(np.pi * self._cosines[0])

    @cached_property
    def _cosines(self) -> Array:
        """Coefficients d with density · √(1 - u²) = Σ d_k T_k(u)."""
        c = np.array(self.coefficients)
        match self.kind:
            case 0:
                d = 0.5 * (np.append(c, [0.0, 0.0]) - np.concatenate([[0.0, 0.0], c]))
            case 1:
                d = c
            case 2:
                d = np.append(c, 0.0) + np.append(0.0, c)
            case _:
                d = np.append(c, 0.0) - np.append(0.0, c)
        return np.asarray(d, dtype=float)

    def _weighted(self, angle: Array) -> Array:
        """Density times sin(angle), u = -cos(angle): analytic and even in the angle."""
        d = self._cosines * (-1.0) ** np.arange(self._cosines.size)
        return np.asarray(np.polynomial.chebyshev.chebval(np.cos(angle), d))

    def values(self, x: Array) -> Array:
        """Sum of the series at x inside the band, ends included."""
        from_left, from_right = (x - self.left) / self._half, (self.right - x) / self._half
        u = np.where(from_left < from_right, from_left - 1.0, 1.0 - from_right)
        # U_k, T_k, V_k, W_k share a recurrence and differ in the first step
        first = (2.0 * u, u, 2.0 * u - 1.0, 2.0 * u + 1.0)[self.kind]
        above = later = np.zeros_like(u)
        for c in self.coefficients[:0:-1]:
            above, later = c + 2.0 * u * above - later, above
        value = self.coefficients[0] + first * above - later
        with np.errstate(divide="ignore", invalid="ignore"):
            weight = (
                np.sqrt(from_left * from_right),
                1.0 / np.sqrt(from_left * from_right),
                np.sqrt(from_left / from_right),
                np.sqrt(from_right / from_left),
            )[self.kind]
        return np.asarray(np.where(np.isinf(weight), np.inf, weight * value))

    def integral(self, x: Array) -> Array:
        """Integral of the series from the left end to x inside."""
        angle = 2.0 * np.arcsin(np.sqrt(np.clip((x - self.left) / (2.0 * self._half), 0.0, 1.0)))
        d = self._cosines
        k = np.arange(1, d.size)
        sines = np.sin(np.multiply.outer(angle, k)) @ (d[1:] * (-1.0) ** k / k)
        return np.asarray(self._half * (d[0] * angle + sines))

    def cauchy(self, z: Nodes) -> Nodes:
        """Transform of the band."""
        below, above = (z - self.left) / self._half, (z - self.right) / self._half
        left_root, right_root = np.sqrt(below), np.sqrt(above)
        spread = 2.0 / (left_root + right_root)
        j = 0.5 * spread * spread
        total = np.zeros_like(j)
        for c in self.coefficients[::-1]:
            total = c + j * total
        if self.kind == 0:
            return np.asarray(np.pi * j * total)
        hard_left = (below == 0.0) & (self.kind != 2)
        hard_right = (above == 0.0) & (self.kind != 3)
        around = {1: spread * left_root * right_root, 2: right_root, 3: left_root}
        poles = spread * around[self.kind]
        poles = np.where(hard_left | hard_right, 1.0, poles)
        values = 2.0 * np.pi * j * total / poles
        values[hard_left], values[hard_right] = -np.inf, np.inf
        return np.asarray(values)

    def nodes(self, splits: int) -> tuple[Array, Array]:
        """Quadrature of the density, clustered at both ends."""
        share, rest, weight = double_exponential(splits)
        angle = np.pi * np.where(share < 0.5, share, rest)  # from the nearer end
        step = 2.0 * self._half * np.sin(0.5 * angle) ** 2
        x = np.where(share < 0.5, self.left + step, self.right - step)
        return _within(x, self), self._half * np.pi * weight * self._weighted(np.pi * share)


@dataclass(frozen=True)
class PanelsPiece(_ExpandedPiece):
    """A band with ends of any other kind, as Legendre series on panels.

    `panels` are (left, right, coefficients), adjoining and ascending; the transform of P_k is
    2 Q_k(u), u the place as seen from the panel.
    """

    code: ClassVar[int] = PANELS
    panels: tuple[tuple[float, float, tuple[float, ...]], ...]

    @property
    def data(self) -> Array:
        """Return the numbers for the engine: [n, per panel left, right, n_coefficients, …]."""
        rows: list[float] = [len(self.panels)]
        for left, right, coefficients in self.panels:
            rows += [left, right, len(coefficients), *coefficients]
        return np.array(rows, dtype=float)

    @cached_property
    def _masses(self) -> Array:
        return np.array([(right - left) * c[0] for left, right, c in self.panels])

    @property
    def mass(self) -> float:
        """Mass of the band."""
        return float(self._masses.sum())

    def _each(self, x: Array) -> Any:
        starts = np.array([left for left, _, _ in self.panels])
        index = np.clip(np.searchsorted(starts, x, side="right") - 1, 0, len(starts) - 1)
        for i in np.unique(index):
            left, right, c = self.panels[i]
            chosen = index == i
            u = 2.0 * (x[chosen] - left) / (right - left) - 1.0
            yield i, chosen, u, np.array(c), 0.5 * (right - left)

    def values(self, x: Array) -> Array:
        """Sum of the series at x inside the band, ends included."""
        values = np.zeros_like(x)
        for _, chosen, u, c, _ in self._each(x):
            values[chosen] = np.polynomial.legendre.legval(u, c)
        return values

    def integral(self, x: Array) -> Array:
        """Integral of the series from the left end to x inside."""
        before = np.concatenate([[0.0], np.cumsum(self._masses)])
        values = np.zeros_like(x)
        for i, chosen, u, c, half in self._each(x):
            integral = np.polynomial.legendre.legint(c, lbnd=-1.0)
            values[chosen] = before[i] + half * np.polynomial.legendre.legval(u, integral)
        return values

    def cauchy(self, z: Nodes) -> Nodes:
        """Transform of the band; infinite at an end where the density does not vanish."""
        total = np.zeros(z.shape, dtype=complex)
        for left, right, c in self.panels:
            half = 0.5 * (right - left)
            from_left, from_right = (z - left) / half, (z - right) / half
            at_end = ((z == self.left) & (left == self.left)) | (
                (z == self.right) & (right == self.right)
            )
            away = ~at_end
            total[away] += legendre_transform(from_left[away], from_right[away], np.array(c))
        total[z == self.left] += self._end_panel(0, -1.0)
        total[z == self.right] += self._end_panel(-1, 1.0)
        return total

    def _end_panel(self, place: int, side: float) -> float:
        """Transform of the first or last panel at the end of the band."""
        left, right, coefficients = self.panels[place]
        c = np.array(coefficients)
        outer, inner = np.polynomial.legendre.legval(np.array([side, -side]), c)
        largest = max(abs(x) for _, _, others in self.panels for x in others)
        # panels narrow towards a power, which a polynomial does not follow to its zero
        narrow = right - left < _NARROW * (self.right - self.left)
        if outer > _VANISHING * largest and not (narrow and outer < 0.9 * inner):
            return side * np.inf
        # 2 Q_k(u) = P_k(u) log((u + 1)/(u - 1)) - 2 H_k + o(1) as u falls to 1
        k = np.arange(c.size)
        harmonic = np.concatenate([[0.0], np.cumsum(1.0 / k[1:])])
        return float(-2.0 * side * np.sum(c * side**k * harmonic))

    def nodes(self, splits: int) -> tuple[Array, Array]:
        """Quadrature of the density, clustered at the ends of the band."""
        parts = []
        for i, (left, right, c) in enumerate(self.panels):
            at_end = i in (0, len(self.panels) - 1)
            share, rest, weight = double_exponential(splits) if at_end else gauss(splits)
            width = right - left
            x = np.where(share < 0.5, left + width * share, right - width * rest)
            u = np.where(share < 0.5, 2.0 * share - 1.0, 1.0 - 2.0 * rest)
            parts.append((x, width * weight * np.polynomial.legendre.legval(u, np.array(c))))
        x, weights = (np.concatenate(part) for part in zip(*parts, strict=True))
        return _within(x, self), weights


@dataclass(frozen=True)
class LayeredPiece(_ExpandedPiece):
    """A band as a sum: a few terms for every hard end, and panels of what these leave over."""

    heads: tuple[SeriesPiece, ...]
    panels: PanelsPiece

    @property
    def layers(self) -> tuple[Any, ...]:
        """What the engine is handed, whose transforms add."""
        return (*self.heads, self.panels)

    @property
    def mass(self) -> float:
        """Mass of the band."""
        return float(sum(layer.mass for layer in self.layers))

    def values(self, x: Array) -> Array:
        """Sum of the series at x inside the band, ends included."""
        return np.asarray(sum(layer.values(x) for layer in self.layers))

    def integral(self, x: Array) -> Array:
        """Integral of the series from the left end to x inside."""
        return np.asarray(sum(layer.integral(x) for layer in self.layers))

    def cauchy(self, z: Nodes) -> Nodes:
        """Transform of the band."""
        total = np.sum([head.cauchy(z) for head in self.heads], axis=0)
        finite = np.isfinite(total)
        total[finite] += self.panels.cauchy(z[finite])
        return np.asarray(total)

    def nodes(self, splits: int) -> tuple[Array, Array]:
        """Quadrature of the density, of every layer by itself."""
        x, weights = zip(*(layer.nodes(splits) for layer in self.layers), strict=True)
        return np.concatenate(x), np.concatenate(weights)


@dataclass(frozen=True)
class CauchyPiece(BandPiece):
    """The Cauchy law on the whole line: data [location, scale]."""

    code: ClassVar[int] = CAUCHY
    location: float
    scale: float
    mass: ClassVar[float] = 1.0

    @property
    def data(self) -> Array:
        """Return the numbers for the engine."""
        return np.array([self.location, self.scale])

    def pdf(self, x: Array) -> Array:
        """Density."""
        return np.asarray(1.0 / (np.pi * self.scale * (1.0 + self._reduced(x) ** 2)))

    def mass_below(self, x: Array) -> Array:
        """Mass to the left of x."""
        # arctan2 keeps the digits of the far tail, which 1/2 + arctan/π loses
        return np.asarray(np.arctan2(1.0, -self._reduced(x)) / np.pi)

    def cauchy(self, z: Nodes) -> Nodes:
        """Transform; on the real line itself the limit from above."""
        side = np.where(z.imag < 0.0, -1j, 1j)
        return np.asarray(1.0 / (z - self.location + side * self.scale))

    def nodes(self, splits: int) -> tuple[Array, Array]:
        """Quadrature of the density, clustered at infinity."""
        share, rest, weight = double_exponential(splits)
        distance = self.scale / np.tan(np.pi * np.where(share < 0.5, share, rest))
        return self.location + np.where(share < 0.5, -distance, distance), weight

    def _reduced(self, x: Array) -> Array:
        return (x - self.location) / self.scale


Piece = AtomsPiece | SeriesPiece | PanelsPiece | LayeredPiece | CauchyPiece


def _within(x: Array, band: BandPiece) -> Array:
    """Nodes that rounding put on an end of the band, moved just inside."""
    inner = np.nextafter(band.left, band.right), np.nextafter(band.right, band.left)
    return np.asarray(np.clip(x, *inner))


# A density at an end that is 0 up to rounding, of the largest, and a panel that ends at a power.
_VANISHING = 1e-12
_NARROW = 1e-6
