"""Laws of chains with realised gates: hundreds of atoms a layer, solved point by point.

The law of one sampled network has a gate with one atom a unit. Its law has a tiny gap wherever a
gate value stands alone; resolving each is not wanted. Density and distribution function are taken
at a height of `HEIGHT` relative above the axis, the latter in closed form through the
log-potential; the outer edges and the atoms are exact.
"""

from dataclasses import dataclass, field
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.joint.program import Program
from freefim.free.joint.start import cauchy_transform, descend

__all__ = ["HEIGHT", "RealisedSolution", "checked"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

#: Height above the axis at which the law is read, relative to y = x - shift.
HEIGHT = 1e-6
_TABLE = 1024


@dataclass(frozen=True, eq=False)
class RealisedSolution:
    """The law of a chain of real atoms, evaluated where asked.

    Attributes
    ----------
    atoms : tuple of (location, mass)
    bands : tuple of (left, right)
        The hull of the continuous part, as one band.
    band_masses : tuple of float
    accuracy : Accuracy
    """

    atoms: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float], ...]
    band_masses: tuple[float, ...]
    accuracy: Accuracy
    _program: Program = field(repr=False)

    def _solve(self, x: _Reals) -> tuple[_Nodes, _Nodes]:
        """N = y·G and the unknowns just above every x, any order."""
        from freefim.free.joint.kernels import follow

        program = self._program
        y = (x - program.shift) * (1 + 1j * HEIGHT)
        n = np.empty(x.size, dtype=complex)
        ws = np.empty((x.size, program.eps.size), dtype=complex)
        if x.size == 0:
            return n, ws
        order = np.argsort(-x)
        before = y[order[0]]
        _, w, dw = descend(program, complex(before))
        for i in order:
            path = np.log(before), np.log(y[i]), 0
            reached, out, rows, _ = follow(
                *program.arrays, program.eps, *path, 0.0, np.ones(1), w, dw
            )
            if reached:
                n[i], ws[i] = out[0], rows[0]
            else:
                n[i], w, dw = descend(program, complex(y[i]))
                ws[i] = w
            before = y[i]
        return n, ws

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the continuous part, smoothed over the height."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        ((left, right),) = self.bands
        inside = (x > left) & (x < right)
        if inside.any():
            n, _ = self._solve(x[inside])
            y = (x[inside] - self._program.shift) * (1 + 1j * HEIGHT)
            density = -(n / y).imag
            for location, mass in self._program.atoms:
                density += (mass / (y - location)).imag
            out[inside] = np.maximum(density / np.pi, 0.0)
        return out

    def cdf(self, x: _Reals) -> _Reals:
        """Mass at or to the left of x."""
        from freefim.free.joint.kernels import mass_above

        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        ((left, right),) = self.bands
        out[x >= right] = self.band_masses[0]
        inside = (x > left) & (x < right)
        if inside.any():
            _, ws = self._solve(x[inside])
            ops, pars, tab, _, nodes, weights = self._program.arrays
            above = mass_above(ops, pars, tab, nodes, weights, ws)
            y = (x[inside] - self._program.shift) * (1 + 1j * HEIGHT)
            for location, mass in self._program.atoms:
                above -= mass * np.angle(y - location) / np.pi
            out[inside] = np.clip(self.band_masses[0] - above, 0.0, self.band_masses[0])
        for location, mass in self.atoms:
            out += np.where(x >= location, mass, 0.0)
        return np.clip(out, 0.0, 1.0)

    def cauchy(self, z: _Nodes) -> _Nodes:
        """G(z) off the real axis, or at real z outside the hull."""
        return cauchy_transform(self._program, z)

    @cached_property
    def _steps(self) -> tuple[_Reals, _Reals, _Reals]:
        """Points that crowd at both ends, dx/dθ there, and the band's mass below them."""
        ((left, right),) = self.bands
        shift = self._program.shift
        angle = np.pi * np.arange(1, _TABLE) / _TABLE
        inner = shift + (left - shift) + (right - left) * (0.5 - 0.5 * np.cos(angle))
        smooth = RealisedSolution(
            (), self.bands, self.band_masses, self.accuracy, self._program
        ).cdf(inner)
        return inner, 0.5 * (right - left) * np.sin(angle), smooth

    @cached_property
    def _table(self) -> tuple[_Reals, _Reals]:
        """Midpoints and masses of cells that crowd at both ends."""
        ((left, right),) = self.bands
        inner, _, smooth = self._steps
        steps = np.concatenate([[left], inner, [right]])
        mass = np.diff(np.concatenate([[0.0], smooth, [self.band_masses[0]]]))
        return 0.5 * (steps[1:] + steps[:-1]), np.maximum(mass, 0.0)

    @property
    def mean(self) -> float:
        """First moment, by the trapezoid rule in θ for what is missing below the right end."""
        ((_, right),) = self.bands
        _, slope, smooth = self._steps
        bands = self.band_masses[0] * right - float(slope @ smooth) * np.pi / _TABLE
        return bands + sum(mass * at for at, mass in self.atoms)

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Midpoints of a table of the distribution function, and its steps, whatever `splits`."""
        return self._table


def checked(solution: RealisedSolution) -> RealisedSolution:
    """The solution itself, if its distribution function has the mean of the chain."""
    mean = solution.mean
    want = solution._program.mean + solution._program.shift
    if not abs(mean / want - 1) < 1e-4:
        raise ConvergenceError(f"the mean of the realised law is {mean!r} instead of {want!r}")
    return solution
