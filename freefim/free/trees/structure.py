"""Gaps and bands of a tree, by its solution on the real line: structure before density.

The outer edges come from following the real curve inwards from both infinities. Between them one
band is presumed; its panels resolve or show a gap, which splits it. A gap is believed only where
every operation of the tree sees its argument in a gap.
"""

from dataclasses import dataclass, replace
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.trees.start import Machine, far_point

__all__ = ["UNRESOLVED", "Band", "Edge", "Searcher", "chebyshev_grid"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

BAND, GAP = 1, 2
_WALL = 2
_ROOM = 400
_NEAR = 1e-7
_LIKE_ROOT = 1e-2
_GROWN = 1e-3
_NODES = 16
#: Panels that end at a power instead of resolving it, by the size of their last coefficients.
UNRESOLVED = 1e-4


@dataclass(frozen=True, eq=False)
class Edge:
    """An end of a gap: its place, the unknowns there, how they leave it, the mass above."""

    x: float
    w: _Nodes
    slope: _Nodes
    curvature: float
    above: float
    singular: bool = False

    def rise(self, half: float) -> _Nodes:
        """Derivative of the unknowns by the angle of a band of that half width."""
        if not self.curvature:
            return np.zeros_like(self.slope)
        return np.asarray(np.abs(self.slope.real) * (half / abs(self.curvature)) ** 0.5 + 0j)


@dataclass(frozen=True, eq=False)
class Band:
    """A resolved band: kind of its parameter, ends, exact mass, panels of the unknowns."""

    kind: int
    left: float
    right: float
    above: float
    mass: float
    rest: float
    cuts: _Reals
    coefficients: _Nodes


class Searcher:
    """Finds the bands of one law."""

    def __init__(
        self, machine: Machine, atoms: tuple[tuple[float, float], ...], *, positive: bool = False
    ):
        self.machine, self.atoms, self.positive = machine, atoms, positive
        self._places = np.array(atoms, dtype=float).reshape(-1, 2)
        self.remarks: list[str] = []

    def bands(self) -> list[Band]:
        """All bands, ascending."""
        right, left = self._outer(1), self._outer(-1)
        ends = [left]
        for location, mass in self.atoms:
            if ends[-1].x < location < right.x and not self._embedded(location):
                below, above = self._beside(location, mass)
                ends += [self._end(below, -1), self._end(above, 1)]
        ends.append(right)
        queue = [
            piece
            for a, b in zip(ends[::2], ends[1::2], strict=True)
            if a.x < b.x
            for piece in self._cut_at_zero(a, b)
        ]
        done: list[Band] = []
        while queue:
            if len(queue) + len(done) > _ROOM:
                raise ConvergenceError(f"more than {_ROOM} bands were found")
            left, right = queue.pop()
            found = self._trace(left, right)
            if isinstance(found, Band):
                done.append(found)
                continue
            queue += found
        return sorted(done, key=lambda band: band.left)

    def place(self, w: _Nodes) -> float:
        """The z of a point of a gap."""
        from freefim.free.trees.kernels import sweep

        return float(sweep(self.machine.prog, w, self.machine.work)[0].real)

    def _cut_at_zero(self, left: Edge, right: Edge) -> list[tuple[Edge, Edge]]:
        """A band across 0 in two where its density is infinite there."""
        if not left.x < 0.0 < right.x:
            return [(left, right)]
        growth = self._growth()
        if growth < 0.05:
            return [(left, right)]
        # a density that is large but finite at 0 grows for a while, and then no more
        if not self._atoms_at(0.0, 0.0) and self._growth(1e-18) < _GROWN:
            return [(left, right)]
        from freefim.free.trees.kernels import trace

        # as near to 0 as rounding lets the sheet be told
        found = [self.machine.point(10.0**-power * 1j * self.machine.scale)
                 for power in range(20, 110, 10)]  # fmt: skip
        if not found[0][0]:
            raise ConvergenceError("the law did not converge near its singular point 0")
        w = next(w for status, w in found[::-1] if status)
        above = float(trace(self.machine.prog, w, self.machine.work)[0].imag) / np.pi
        root = abs(growth - 0.5) < _LIKE_ROOT
        # straight above an atom half of it is to the right
        half = 0.5 * self._atoms_at(0.0, 0.0)
        zero = Edge(0.0, w, 0.0 * w, 0.0, above - half, singular=not root)
        return [(left, zero), (replace(zero, above=above + half), right)]

    def mass_above(self, w: _Nodes) -> float:
        """Mass to the right of a point of a gap."""
        from freefim.free.trees.band_kernels import mass_above

        return float(mass_above(self.machine.prog, w, self.machine.work))

    def _outer(self, side: int) -> Edge:
        """The outer edge, from infinity inwards."""
        from freefim.free.trees.kernels import settle

        machine = self.machine
        for power in range(2, 14):
            x = complex(side * machine.scale * 10.0**power, machine.speck)
            w = far_point(machine.program, x)
            status, _, _, _, low = settle(machine.prog, x, 1.0, w, machine.work, machine.steps)
            if status == 1 and low > 0.0:
                return self._end(w, -side)
        raise ConvergenceError(f"no real solution was found at {'-+'[side > 0]}infinity")

    def _end(self, w: _Nodes, direction: int) -> Edge:
        """Follow a gap from one of its points to its end, past atoms."""
        from freefim.free.trees.band_kernels import fold

        machine = self.machine
        for _ in range(len(self.atoms) + 1):
            begun, out = self.mass_above(w), np.zeros(5)
            w, first = w.copy(), self.place(w)
            status = fold(
                machine.prog, machine.frame, machine.walls, self._places, machine.speck,
                float(direction), w,
                machine.work, machine.steps, machine.slope, machine.trial, out,
            )  # fmt: skip
            x, safe = float(out[0]), float(out[3])
            above = float(out[2]) - direction * self._between(safe, x)
            if status == 0:
                raise ConvergenceError(f"a gap was lost near {x!r}")
            near = [a for a in self.atoms if abs(a[0] - x) <= _NEAR * machine.scale]
            if status != _WALL or not near:
                mass, passed = abs(begun - float(out[2])), self._between(first, safe)
                if abs(mass - passed) > 1e-9:
                    raise ConvergenceError(
                        f"the mass {mass!r} lies between a gap at {first!r} and its edge "
                        f"at {x!r}, where the atoms have {passed!r}"
                    )
                break
            try:
                w = self._beside(*near[0])[direction > 0]
            except ConvergenceError:
                # no gap around the atom: it stands on the edge
                break
        else:
            raise ConvergenceError(f"no end of a gap was found near {x!r}")
        last = float(out[4]) if status == _WALL else x
        if self.positive and direction > 0 and last < 0.0 and abs(x) < _NEAR * machine.scale:
            # beside a logarithm the curve ends at 0 too slowly for floats
            x = 0.0
            above = float(out[2]) - direction * self._between(safe, x)
        singular = abs(x) <= 1e-28 * machine.scale and not self._like_root()
        return Edge(x, w, machine.slope.copy(), float(out[1]), above, singular)

    def _growth(self, height: float = 1e-8) -> float:
        """Power of 1/z with which G, without its atom, grows at 0, as seen from a height."""
        at = np.array([1j, 1e-2j]) * (height * self.machine.scale)
        atom = sum(mass for location, mass in self.atoms if location == 0.0)
        one, two = np.abs(self.machine.points(at)[0] - atom / at)
        return float(np.log(two / one) / np.log(100.0))

    def _like_root(self) -> bool:
        """Whether a band that starts at 0 has the density x^(-1/2) there."""
        return abs(self._growth() - 0.5) < _LIKE_ROOT

    def _between(self, x: float, y: float) -> float:
        """Mass of the atoms between two points."""
        return sum(mass for at, mass in self.atoms if min(x, y) < at < max(x, y))

    def _atoms_at(self, a: float, b: float) -> float:
        """Mass of the atoms on [a, b], to rounding."""
        blur = 1e-14 * self.machine.scale
        return sum(mass for at, mass in self.atoms if a - blur <= at <= b + blur)

    def _embedded(self, location: float) -> bool:
        """Whether an atom stands inside a band."""
        shift = 1e-6 * self.machine.scale
        return all(self.machine.point(location + side * shift)[0] == BAND for side in (-1, 1))

    def _beside(self, location: float, mass: float) -> tuple[_Nodes, _Nodes]:
        """Points of the gap around an atom, left and right of it."""
        size = max(self.machine.scale, abs(location))
        for power in range(3, 15):
            shift = size * 10.0**-power
            one, below = self.machine.point(location - shift)
            two, above = self.machine.point(location + shift)
            if one == GAP == two:
                jump = self.mass_above(below) - self.mass_above(above)
                if abs(jump - mass) < 1e-9:
                    return below, above
        raise ConvergenceError(f"no gap was found around the atom of mass {mass!r} at {location!r}")

    def _trace(self, left: Edge, right: Edge) -> Band | list[tuple[Edge, Edge]]:
        """Panels of a presumed band, or its pieces if a gap shows up."""
        from freefim.free.trees.band_kernels import trace_band

        machine, a, b = self.machine, left.x, right.x
        kind = 1 if left.singular else 2 if right.singular else 0
        half = 0.5 * (b - a)
        ends = np.array([left.w, right.w, left.rise(half), right.rise(half)])
        cuts = np.empty((_ROOM, 3))
        coefficients = np.empty((_ROOM, machine.k, _NODES), dtype=complex)
        spot = np.zeros(machine.k + 1, dtype=complex)
        top = right.above + self._atoms_at(b, b)
        mass = left.above - right.above - self._atoms_at(a, b)
        spot[0] = top + (mass if kind == 1 else 0.0)
        status, count = trace_band(
            machine.prog, kind, a, b, ends, machine.start, machine.begin, machine.speck,
            chebyshev_grid(), cuts, coefficients, spot,
        )  # fmt: skip
        x = float(spot[0].real)
        if status == 0:
            band = Band(kind, a, b, top, mass, abs(spot[0].imag),
                        cuts[:count].copy(), coefficients[:count].copy())  # fmt: skip
            self._remark(band)
            return band
        if status == 1:
            below, above = self._end(spot[1:], -1), self._end(spot[1:], 1)
            if not a <= below.x <= above.x <= b:
                raise ConvergenceError(
                    f"a gap ({below.x!r}, {above.x!r}) was found inside the band ({a!r}, {b!r})"
                )
            return [(left, below), (above, right)]
        if status == 3:
            raise ConvergenceError(f"the band ({a!r}, {b!r}) needs more than {_ROOM} panels")
        raise ConvergenceError(f"the band ({a!r}, {b!r}) did not converge at x = {x!r}")

    def _remark(self, band: Band) -> None:
        """Say where a band narrows to nothing: no panel, however narrow, resolves that."""
        rough = band.cuts[band.cuts[:, 2] > UNRESOLVED]
        if band.kind == 0 and rough.size:
            low, high, _ = rough[np.argmin(rough[:, 1] - rough[:, 0])]
            x = band.left + (band.right - band.left) * np.sin(0.25 * (low + high)) ** 2
            blur = (band.right - band.left) * (high - low)
            self.remarks.append(
                f"near x = {x:.6g} (to {blur:.0e}) the density has a cusp, or a gap too narrow for "
                "floats: digits are lost beside it"
            )


@lru_cache(maxsize=1)
def chebyshev_grid() -> _Reals:
    """Rows: Chebyshev nodes ascending in (-1, 1), then the transform to coefficients."""
    angle = np.pi * (np.arange(_NODES) + 0.5) / _NODES
    node = -np.cos(angle)
    transform = 2.0 / _NODES * np.cos(np.arange(_NODES)[:, None] * np.arccos(node))
    transform[0] *= 0.5
    return np.ascontiguousarray(np.vstack([node, transform]))
