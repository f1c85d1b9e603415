"""Points of the real line and of the plane: solved from far above, or from solved neighbours."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from freefim.free.perturbed.system import Array, Flags, Nodes, Point, Roots, System

__all__ = ["Line"]

_SOFTEST, _SHORTEST = 0.2, 0.93  # ratios of heights from one step down to the next
_STAGES = 600
_OFTEN = 5
_STRIDE, _APART = 10.0**-0.25, 4  # downwards; points between which a power is measured
_FAR = 1e4  # height of the first points over the mean: farther up P - 1 has lost its digits
_LOW = 0.2  # height, relative to a point, from which the line is tried
_GROUND = 1e-16  # height, relative to a point, below which nothing is tried


@dataclass(frozen=True, eq=False)
class Line:
    """Solved points of a system, kept as starts for their neighbours.

    Attributes
    ----------
    system : System
    """

    system: System
    _known: list[tuple[Array, Point, Point]] = field(default_factory=list)
    _ground: float = 0.0

    def points(self, z: Nodes) -> Nodes:
        """P = z G(z) above the real line, shape (n,); NaN where it was not found."""
        point, found, _ = self._descend(z.real, z.imag)
        return np.where(found, point.p, np.nan)

    def look(self, x: Array) -> tuple[Point, Flags, Flags]:
        """Unknowns at points x > 0, and whether they lie in a band or in a gap."""
        point, band, gap = self._descend(x, np.zeros_like(x))
        self._keep(x, point, band)
        return point, band, gap

    def density(self, x: Array) -> tuple[Array, Flags]:
        """Density at points x > 0, and whether it was found."""
        p = np.full(x.size, np.nan, complex)
        known = np.zeros(x.size, bool)
        if self._known:
            roots = self._from_neighbours(x)
            p[roots.band], known = roots.point.p[roots.band], roots.band
        below = x < self._ground
        if not (known | below).all():
            rest = np.flatnonzero(~(known | below))
            point, band, gap = self.look(x[rest])
            p[rest[band]], p[rest[gap]] = point.p[band], 0.0
            known[rest[band | gap]] = True
        values = np.where(known, -p.imag / (np.pi * x), np.nan)
        if below.any():
            at, point, _ = self._known[0]
            two = -point.p.imag[[0, _APART]] / (np.pi * at[[0, _APART]])
            power = np.log(two[1] / two[0]) / np.log(at[_APART] / at[0])
            values[below] = two[0] * (x[below] / at[0]) ** power
        return values, known | below

    def march(self, low: float) -> None:
        """Go on from the lowest solved point of a band down to `low`: a power law from there on."""
        x, lowest = self._known[0][0][0], low
        while x > low:
            x = x * _STRIDE
            roots = self._from_neighbours(np.array([x]))
            if not roots.band[0]:
                break
            lowest = x
            self._keep(np.array([x]), roots.point, roots.band)
        object.__setattr__(self, "_ground", lowest)

    def _keep(self, x: Array, point: Point, band: Flags) -> None:
        if not band.any():
            return
        x, point = x[band], point.at(band)
        slope = self.system.newton(point, np.log(x) + 0j).slope
        if self._known:
            old, before, rises = self._known.pop()
            x = np.concatenate([old, x])
            point, slope = _joined(before, point), _joined(rises, slope)
        x, first = np.unique(x, return_index=True)
        self._known.append((x, point.at(first), slope.at(first)))

    def _from_neighbours(self, x: Array) -> Roots:
        known, point, slope = self._known[0]
        right = np.clip(np.searchsorted(known, x), 1, known.size - 1) if known.size > 1 else 0
        left = right - 1 if known.size > 1 else 0
        near = np.where(np.abs(x - known[left]) < np.abs(x - known[right]), left, right)
        log_x = np.log(x) + 0j
        start = point.at(near).moved(slope.at(near), log_x - np.log(known[near]))
        return self.system.newton(start, log_x)

    def _descend(self, x: Array, ground: Array) -> tuple[Point, Flags, Flags]:
        """Come down from far above every x to the height `ground`."""
        system = self.system
        height = np.maximum(min(2.0 * system.bound, _FAR * system.mean), 2.0 * ground)
        log_z = np.log(x + 1j * height)
        roots = system.newton(system.far(log_z), log_z)
        at, slope = roots.point, roots.slope
        ratio = np.full(x.size, _SOFTEST)
        band, gap = np.zeros((2, x.size), bool)
        out = at.copy()
        going = np.flatnonzero(roots.above)
        size = np.abs(x) + ground
        for stage in range(_STAGES):
            # a gap may be reached from afar
            low = (height <= _LOW * size + ground) | (stage % _OFTEN == 0)
            self._land(x, ground, log_z, at, slope, going[low[going]], out, band, gap)
            lost = (height - ground < _GROUND * size) | (ratio > _SHORTEST)
            going = going[~(band | gap | lost)[going]]
            if going.size == 0:
                break
            aim = ground[going] + (height[going] - ground[going]) * ratio[going]
            new_log = np.log(x[going] + 1j * aim)
            start = at.at(going).moved(slope.at(going), new_log - log_z[going])
            roots = system.newton(start, new_log)
            good = roots.above
            there = going[good]
            at.put(there, roots.point.at(good))
            slope.put(there, roots.slope.at(good))
            height[there], log_z[there] = aim[good], new_log[good]
            ratio[there] = np.maximum(ratio[there] ** 1.5, _SOFTEST)
            ratio[going[~good]] = np.sqrt(ratio[going[~good]])
        return out, band, gap

    def _land(
        self,
        x: Array,
        ground: Array,
        log_z: Nodes,
        at: Point,
        slope: Point,
        low: NDArray[np.int64],
        out: Point,
        band: Flags,
        gap: Flags,
    ) -> None:
        """Take low points down to the ground: above the line, in a band of it, or in a gap."""
        if low.size == 0:
            return
        aim = np.where(ground[low] > 0.0, np.log(x[low] + 1j * ground[low]), np.log(x[low]))
        start = at.at(low).moved(slope.at(low), aim - log_z[low])
        roots = self.system.newton(start, aim)
        good = np.where(ground[low] > 0.0, roots.above, roots.band)
        out.put(low[good], roots.point.at(good))
        band[low[good]] = True
        level = np.flatnonzero(~good & (ground[low] == 0.0))
        if level.size == 0:
            return
        roots = self.system.newton(start.at(level).real, aim[level])
        good = roots.gap
        there = low[level[good]]
        out.put(there, roots.point.at(good))
        gap[there] = True


def _joined(one: Point, other: Point) -> Point:
    pairs = zip(one.parts, other.parts, strict=True)
    return Point(*(np.concatenate(pair, axis=-1) for pair in pairs))
