"""Laws that are images of a solved law: affine maps, padding, inverse, square root and square.

No convolution takes place, so that the solution of the inner law tells everything.
"""

from dataclasses import dataclass
from functools import cached_property
from itertools import groupby

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.free.accuracy import Accuracy
from freefim.free.law import Law
from freefim.free.solution import Pairs, Solution
from freefim.free.trees.nodes import Affine, Inverse, Padded, SingularValues, Square

__all__ = ["ImageSolution", "is_image"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
_TINY = 1e-12
_Image = Affine | Inverse | Padded | SingularValues | Square


def is_image(law: Law) -> bool:
    """Whether the law maps the points of another law, without a convolution."""
    return isinstance(law, _Image)


@dataclass(frozen=True, eq=False)
class ImageSolution:
    """The image of a solved law under the node that stands above it."""

    node: _Image
    inner: Solution

    @cached_property
    def _affine(self) -> tuple[float, float]:
        assert isinstance(self.node, Affine)
        return float(self.node.scale), float(self.node.shift)

    @cached_property
    def _ratio(self) -> float:
        assert isinstance(self.node, Padded)
        return float(self.node.ratio)

    def _to(self, x: _Reals) -> _Reals:
        """Where a point of the inner law goes; of two signs the positive one."""
        with np.errstate(divide="ignore", invalid="ignore"):
            match self.node:
                case Affine():
                    scale, shift = self._affine
                    return scale * x + shift
                case Inverse():
                    return np.asarray(1.0 / x)
                case SingularValues():
                    return np.sqrt(np.maximum(x, 0.0))
                case Square():
                    return x * x
        return x

    @cached_property
    def _falling(self) -> bool:
        """Whether the map turns the order around."""
        return isinstance(self.node, Inverse) or (
            isinstance(self.node, Affine) and self._affine[0] < 0.0
        )

    @cached_property
    def _marks(self) -> tuple[_Reals, _Reals]:
        """Atoms and ends of bands: where they go, ascending, and where they come from."""
        marks = [*(at for at, _ in self.inner.atoms), *(end for b in self.inner.bands for end in b)]
        if isinstance(self.node, Square):
            marks = [abs(mark) for mark in marks]
        origins = np.unique(np.array(marks) + 0.0)
        images = self._to(origins)
        kept = np.isfinite(images)
        turn = -1 if self._falling else 1
        return images[kept][::turn], origins[kept][::turn]

    def _inverted(self, x: _Reals) -> _Reals:
        """Where a point comes from, up to rounding."""
        with np.errstate(divide="ignore", invalid="ignore"):
            match self.node:
                case Affine():
                    scale, shift = self._affine
                    return (x - shift) / scale
                case Inverse():
                    return 1.0 / x
                case SingularValues():
                    return x * x
                case Square():
                    return np.sqrt(np.where(x >= 0.0, x, np.nan))
        return x

    def _origin(self, x: _Reals) -> _Reals:
        """Where a point comes from: on the same side of every atom and edge as its image."""
        at = self._inverted(x)
        if self._padded:
            return at
        images, origins = self._marks
        far = np.inf if self._falling else -np.inf
        ends = np.concatenate([[far], origins, [-far]])
        size = np.abs(x) if isinstance(self.node, SingularValues) else x
        first, last = np.searchsorted(images, size), np.searchsorted(images, size, side="right")
        before, after = ends[first], ends[last + 1]
        low, high = np.minimum(before, after), np.maximum(before, after)
        at = np.clip(at, np.nextafter(low, np.inf), np.nextafter(high, -np.inf))
        return np.where(first < last, ends[last], at)

    def _back(self, x: _Reals) -> tuple[_Reals, _Reals]:
        """Where a point comes from, and the density it carries per inner density."""
        at = self._origin(x)
        with np.errstate(divide="ignore", invalid="ignore"):
            match self.node:
                case Affine():
                    return at, np.full(x.shape, 1.0 / abs(self._affine[0]))
                case Inverse():
                    return at, 1.0 / (x * x)
                case SingularValues():
                    return at, np.abs(x)
                case Square():
                    return at, 1.0 / at
        return at, np.full(x.shape, self._ratio)

    @cached_property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        moved = [(float(self._to(np.array(at))), mass) for at, mass in self.inner.atoms]
        if isinstance(self.node, SingularValues):
            moved = [(s * at, 0.5 * mass) for at, mass in moved for s in (-1.0, 1.0)]
        elif isinstance(self.node, Padded):
            moved = [(at, self._ratio * mass) for at, mass in moved]
            moved += [(0.0, 1.0 - self._ratio)] * (self._ratio < 1.0)
        groups = groupby(sorted((at + 0.0, mass) for at, mass in moved), lambda atom: atom[0])
        return tuple((at, sum(mass for _, mass in same)) for at, same in groups)

    @cached_property
    def _pieces(self) -> list[tuple[float, float, float]]:
        """Bands with their masses, ascending."""
        pieces = []
        for (a, b), mass in zip(self.inner.bands, self.inner.band_masses, strict=True):
            if isinstance(self.node, Inverse):
                low, high = (1.0 / b if b else -np.inf), (1.0 / a if a else np.inf)
            elif isinstance(self.node, Square) and a < 0.0 < b:
                low, high = 0.0, b * b
            else:
                low, high = sorted(map(float, self._to(np.array([a, b]))))
            if isinstance(self.node, SingularValues):
                pieces += [(-high, 0.0 - low, 0.5 * mass), (low, high, 0.5 * mass)]
            else:
                pieces.append((low, high, mass * (self._ratio if self._padded else 1.0)))
        joined: list[tuple[float, float, float]] = []
        for low, high, mass in sorted(pieces):
            if isinstance(self.node, Square) and joined and low < joined[-1][1]:
                # both signs meet, equal up to rounding
                joined[-1] = (joined[-1][0], max(high, joined[-1][1]), joined[-1][2] + mass)
            elif isinstance(self.node, SingularValues) and joined and low == joined[-1][1] == 0.0:
                joined[-1] = (joined[-1][0], high, joined[-1][2] + mass)
            else:
                joined.append((low, high, mass))
        return joined

    @property
    def _padded(self) -> bool:
        return isinstance(self.node, Padded)

    @property
    def bands(self) -> Pairs:
        """Intervals of the absolutely continuous part, ascending."""
        return tuple((low, high) for low, high, _ in self._pieces)

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""
        return tuple(mass for _, _, mass in self._pieces)

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the inner law."""
        return self.inner.accuracy

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        if isinstance(self.node, SingularValues):
            # at 0 the limit, |x| ρ(x²) being 0·inf
            top = max((b for _, b in self.bands), default=1.0)
            x = np.where(np.abs(x) < _TINY * top, _TINY * top, x)
        at, share = self._back(x)
        values = np.where(np.isnan(x), np.nan, 0.0)
        known = np.isfinite(at) & np.isfinite(share)
        values[known] = self.inner.pdf(at[known]) * share[known]
        return values

    def cdf(self, x: _Reals) -> _Reals:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        at = self._origin(x)
        match self.node:
            case Affine() if self._affine[0] > 0.0:
                return self.inner.cdf(at)
            case Affine():
                return 1.0 - self._before(at)
            case Padded():
                return self._ratio * self.inner.cdf(x) + (1.0 - self._ratio) * (x >= 0.0)
            case SingularValues():
                above = 0.5 + 0.5 * self.inner.cdf(at)
                return np.where(x < 0.0, 0.5 - 0.5 * self._before(at), above)
            case Square():
                known = np.nan_to_num(at)
                inside = self.inner.cdf(known) - self._before(-known)
                return np.where(np.isnan(x), np.nan, np.where(x < 0.0, 0.0, inside))
        side = 1.0 if self.inner.cdf(np.zeros(1))[0] < 0.5 else -1.0
        outer = np.where(np.isnan(x), np.nan, 0.0 if side > 0.0 else 1.0)
        held = side * x > 0.0
        outer[held] = 1.0 - self._before(at[held])
        return outer

    def _before(self, x: _Reals) -> _Reals:
        """Mass of the inner law on (-∞, x)."""
        values = self.inner.cdf(x)
        for location, mass in self.inner.atoms:
            values = values - np.where(x == location, mass, 0.0)
        return values

    def cauchy(self, z: _Nodes) -> _Nodes:
        """Cauchy transform off the bands, any shape."""
        z = np.asarray(z, dtype=complex)
        match self.node:
            case Affine():
                scale, shift = self._affine
                return np.asarray(self.inner.cauchy((z - shift) / scale) / scale)
            case Inverse():
                return 1.0 / z - self.inner.cauchy(1.0 / z) / (z * z)
            case SingularValues():
                return z * self.inner.cauchy(z * z)
            case Square():
                root = np.sqrt(z)
                return self.inner.cauchy(root) / root
        return self._ratio * self.inner.cauchy(z) + (1.0 - self._ratio) / z

    def subordination(self, z: _Nodes) -> _Nodes:
        """Subordination functions of the inner law, at the point that belongs to z."""
        z = np.asarray(z, dtype=complex)
        match self.node:
            case Affine():
                z = (z - self._affine[1]) / self._affine[0]
            case Inverse():
                z = 1.0 / z
            case SingularValues():
                z = z * z
            case Square():
                z = np.sqrt(z)
        inner = getattr(self.inner, "subordination", None)
        if inner is None:
            raise SpecError(f"the law {self.node!r} is no convolution")
        return np.asarray(inner(z))

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Quadrature x, weights of the a.c. part."""
        x, weights = self.inner.nodes(splits)
        x = self._to(x)
        if isinstance(self.node, SingularValues):
            return np.concatenate([-x, x]), 0.5 * np.tile(weights, 2)
        return x, weights * (self._ratio if self._padded else 1.0)
