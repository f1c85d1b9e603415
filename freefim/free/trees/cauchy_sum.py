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
from freefim.free.trees.nodes import FreeSum

__all__ = ["CauchySum", "split_cauchy"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
_MOST_SPLITS = 64


def split_cauchy(law: Law) -> tuple[Law, list[tuple[float, float]]]:
    """Return a sum without its Cauchy terms, and their (location, scale)."""
    drifts: list[tuple[float, float]] = []
    rest: list[Law] = []

    def visit(part: Law) -> None:
        match part:
            case FreeSum(left, right):
                visit(left)
                visit(right)
            case Cauchy(scale, location):
                drifts.append((float(location), float(scale)))
            case _:
                rest.append(part)

    visit(law)
    return (reduce(FreeSum, rest) if rest else PointMass(0)), drifts


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
            if nodes.size == 0 or np.diff(np.sort(nodes)).max(initial=0.0) < 0.5 * self.scale:
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

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Quadrature x, weights, clustered at infinity."""
        wide = self.scale + float(np.abs(self._points[0]).max())
        piece = CauchyPiece(-np.inf, np.inf, self.location, wide)
        x, weights = piece.nodes(splits)
        return x, weights * self.pdf(x) / piece.pdf(x)
