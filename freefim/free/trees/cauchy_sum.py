"""Free sums with a Cauchy law: the density of the rest, seen from above the line."""

from dataclasses import dataclass
from functools import cached_property, reduce

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.law import Law
from freefim.free.laws.given import Cauchy, PointMass
from freefim.free.laws.pieces import CauchyPiece
from freefim.free.solution import Pairs, Solution
from freefim.free.trees.nodes import Affine, Compressed, FreePower, FreeSum

__all__ = ["CauchySum", "split_cauchy"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
_MOST_SPLITS = 64


def split_cauchy(law: Law) -> tuple[Law, list[tuple[float, float]]]:
    """Return a law without its Cauchy terms, and their (location, scale).

    Corners, powers and affine maps distribute over sums, and keep, multiply and move the constant
    R-transform of a Cauchy law.
    """
    match law:
        case FreeSum(left, right):
            (first, drifts), (second, others) = split_cauchy(left), split_cauchy(right)
            kept = [part for part in (first, second) if part != PointMass(0)]
            return (reduce(FreeSum, kept) if kept else PointMass(0)), drifts + others
        case Cauchy(scale, location):
            return PointMass(0), [(float(location), float(scale))]
        case Compressed(inner, ratio):
            rest, drifts = split_cauchy(inner)
            return (Compressed(rest, ratio), drifts) if drifts else (law, [])
        case FreePower(inner, exponent):
            rest, drifts = split_cauchy(inner)
            t = float(exponent)
            moved = [(t * at, t * scale) for at, scale in drifts]
            return (FreePower(rest, exponent), moved) if drifts else (law, [])
        case Affine(inner, factor, shift):
            rest, drifts = split_cauchy(inner)
            s = float(factor)
            moved = [(s * at, abs(s) * scale) for at, scale in drifts]
            return (Affine(rest, factor, shift), moved) if drifts else (law, [])
    return law, []


@dataclass(frozen=True, eq=False)
class CauchySum:
    r"""A + C, C a Cauchy law: :math:`G(z) = G_A(z - location + i\,scale)` on the upper half plane.

    Free and classical convolution with a Cauchy law agree, which gives the distribution function.
    """

    inner: Solution
    location: float
    scale: float

    atoms: Pairs = ()
    bands: Pairs = ((-np.inf, np.inf),)
    band_masses: tuple[float, ...] = (1.0,)

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the other terms."""
        return self.inner.accuracy

    def pdf(self, x: _Reals) -> _Reals:
        """Density, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        known = np.isfinite(x)
        values[known] = -self.cauchy(x[known].astype(complex)).imag / np.pi
        return values

    def cdf(self, x: _Reals) -> _Reals:
        """Distribution function, shape (n,)."""
        nodes, weights = self._points
        x = np.asarray(x, dtype=float)
        values = np.empty(x.shape)
        for i, place in enumerate(x.ravel()):
            away = place - self.location - nodes
            values.flat[i] = weights @ np.arctan2(self.scale, -away) / np.pi
        return values

    @cached_property
    def _points(self) -> tuple[_Reals, _Reals]:
        """Quadrature of the other terms, atoms included, fine against the scale."""
        splits = 1
        while True:
            nodes, weights = self.inner.nodes(splits)
            heavy = np.sort(nodes[weights > 0.0])
            if np.diff(heavy).max(initial=0.0) < 0.5 * self.scale:
                break
            if splits >= _MOST_SPLITS:
                raise ConvergenceError(
                    f"the scale {self.scale!r} of the Cauchy term is too small beside the others"
                )
            splits *= 2
        places = [location for location, _ in self.inner.atoms]
        masses = [mass for _, mass in self.inner.atoms]
        return np.append(nodes, places), np.append(weights, masses)

    def cauchy(self, z: _Nodes) -> _Nodes:
        """Cauchy transform; on the line its limit from above."""
        z = np.asarray(z, dtype=complex)
        upper = np.where(z.imag < 0.0, z.conj(), z)
        values = self.inner.cauchy(
            np.asarray(upper - self.location + 1j * self.scale, dtype=complex)
        )
        return np.where(z.imag < 0.0, values.conj(), values)

    def subordination(self, z: _Nodes) -> _Nodes:
        """Where the other terms are evaluated: their own leaves, or the one law that they are."""
        z = np.asarray(z, dtype=complex)
        side = np.where(z.imag < 0.0, -1j, 1j)
        moved = np.asarray(z - self.location + side * self.scale, dtype=complex)
        inner = getattr(self.inner, "subordination", None)
        return moved[..., None] if inner is None else np.asarray(inner(moved))

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Quadrature x, weights, clustered at infinity."""
        wide = self.scale + float(np.abs(self._points[0]).max())
        piece = CauchyPiece(-np.inf, np.inf, self.location, wide)
        x, weights = piece.nodes(splits)
        return x, weights * self.pdf(x) / piece.pdf(x)
