"""A solved tree: density, distribution function and transforms from panels of its unknowns."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.trees.start import Machine
from freefim.free.trees.structure import UNRESOLVED, Band

__all__ = ["TreeSolution"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
_MASS_TOLERANCE = 1e-10
_POLE = 1e-14
_POLE_ROOM = 1e-4
# Where the polynomial across an atom takes its values, in units of that room.
_AROUND = np.array([-4.0, -3.0, -2.0, -1.0, 1.0, 2.0, 3.0, 4.0])
# Nearer to an edge than this share of its band, the unknowns have no digits to tell x by.
_BESIDE = 1e-13
# Rounding of a density of 0, relative to |G|, and of the mass below a point.
_FLAT = 1e-12
_STRAY = 1e-9


@dataclass(frozen=True, eq=False)
class TreeSolution:
    """The law of a tree, ready to be evaluated.

    Attributes
    ----------
    atoms : tuple of (location, mass)
    bands : tuple of (left, right)
    band_masses : tuple of float
    """

    atoms: tuple[tuple[float, float], ...]
    _bands: list[Band]
    _machine: Machine
    _remarks: tuple[str, ...] = ()

    @cached_property
    def bands(self) -> tuple[tuple[float, float], ...]:
        """Intervals of the absolutely continuous part, ascending."""
        return tuple((band.left, band.right) for band in self._bands)

    @cached_property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band, in closed form."""
        return tuple(band.mass for band in self._bands)

    @cached_property
    def _tables(self) -> tuple[Any, ...]:
        """Kinds, ends, first panels, cuts and coefficients of all bands."""
        bands = self._bands
        return (
            np.array([band.kind for band in bands]),
            np.array(self.bands),
            np.cumsum([0, *(len(band.cuts) for band in bands)]),
            np.concatenate([band.cuts for band in bands]),
            np.concatenate([band.coefficients for band in bands]),
        )

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        if self._bands:
            band, inside = self._locate(x)
            g = self._evaluate(x[inside], band[inside], 0)
            values[inside] = np.maximum(-g.imag / np.pi, 0.0)
            self._refuse(x[inside], g.imag <= _FLAT * np.abs(g), "density is not positive")
            values[np.isin(x, self._hard_ends(x))] = np.inf
        return values

    def _refuse(self, x: _Reals, held: NDArray[np.bool_], problem: str) -> None:
        if not held.all():
            raise ConvergenceError(
                f"the law left its sheet: at x = {float(x[~held][0])!r} its {problem}"
            )

    def _hard_ends(self, x: _Reals) -> _Reals:
        """Ends of bands among the points at which the density is infinite."""
        ends = self._tables[1].ravel()
        band = np.repeat(np.arange(len(self._bands)), 2)
        edge, anchor = self._nearest_edge(ends, band)
        # the far end of panels in log x is soft
        near = (edge == ends) & np.isin(ends, x)
        edge, anchor, band = edge[near], anchor[near], band[near]
        at_anchor = self._solved(anchor, band, 0).imag
        farther = self._solved(edge + 4.0 * (anchor - edge), band, 0).imag
        return np.asarray(edge[np.abs(farther) < np.abs(at_anchor)])

    def cdf(self, x: _Reals) -> _Reals:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        for piece in self._bands:
            values += np.where(x >= piece.right, piece.mass, 0.0)
        if self._bands:
            band, inside = self._locate(x)
            above = self._evaluate(x[inside], band[inside], 1).real
            masses = np.array(self.band_masses)[band[inside]]
            tops = np.array([b.above for b in self._bands])[band[inside]]
            part = masses + tops - above
            held = (part >= -_STRAY) & (part <= masses + _STRAY)
            self._refuse(x[inside], held, "mass below is not between those at the band's ends")
            values[inside] += np.clip(part, 0.0, masses)
        for location, mass in self.atoms:
            values += np.where(x >= location, mass, 0.0)
        return np.asarray(np.minimum(values, 1.0))

    def cauchy(self, z: _Nodes) -> _Nodes:
        """Cauchy transform off the bands, any shape."""
        z = np.asarray(z, dtype=complex)
        flat = np.atleast_1d(z).ravel()
        values = np.empty(flat.shape, dtype=complex)
        far = np.ones(flat.shape, dtype=bool)
        for location, mass in self.atoms:
            # so near that its pole is all that floats can show
            near = np.abs(flat - location) < _POLE * self._machine.scale
            with np.errstate(divide="ignore", invalid="ignore"):
                values[near] = mass / (flat[near] - location)
            values[flat == location] = np.inf
            far &= ~near
        low = far & (np.abs(flat) < _BESIDE * self._room)
        values[low] = self._around_zero(flat[low])
        far &= ~low
        upper = np.where(flat.imag < 0.0, flat.conj(), flat)
        found, _ = self._machine.points(upper[far])
        found = np.where(flat[far].imag < 0.0, found.conj(), found)
        values[far] = np.where(flat[far].imag == 0.0, found.real, found)
        return values.reshape(z.shape)

    @cached_property
    def _room(self) -> float:
        """Distance from 0 to the support."""
        if any(left <= 0.0 <= right for left, right in self.bands):
            return 0.0
        ends = [end for band in self.bands for end in band]
        return min(abs(x) for x in [*ends, *(place for place, _ in self.atoms)])

    def _around_zero(self, z: _Nodes) -> _Nodes:
        """G in the gap around 0 by Cauchy's formula: unknowns that vanish with z keep no digits."""
        if not z.size:
            return z
        circle = 0.5 * self._room * np.exp(1j * np.pi * (np.arange(64) + 0.5) / 64)
        found, _ = self._machine.points(circle)
        share = found * circle / (circle - z[:, None])
        other = found.conj() * circle.conj() / (circle.conj() - z[:, None])
        return np.asarray((share + other).mean(axis=1) / 2.0)

    def subordination(self, z: _Nodes) -> _Nodes:
        """Subordination functions: the point of every leaf that belongs to z.

        Parameters
        ----------
        z : array_like of complex

        Returns
        -------
        ndarray, of the shape of `z` and one axis more, over the leaves that are unknowns

        Raises
        ------
        ConvergenceError
            If a point does not converge on the physical sheet.
        """
        z = np.asarray(z, dtype=complex)
        flat = np.atleast_1d(z).ravel()
        _, ws = self._machine.points(np.where(flat.imag < 0.0, flat.conj(), flat))
        ws = np.where(flat.imag[:, None] < 0.0, ws.conj(), ws)
        return ws.reshape(*z.shape, self._machine.k)

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""
        if not self._bands:
            return np.empty(0), np.empty(0)
        x, weights, _ = self._quadrature if splits == 1 else self._integrate(splits)
        return x, weights

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the law's exactness."""
        if not self._bands:
            return Accuracy(abs(1.0 - sum(m for _, m in self.atoms)), 0.0, 0.0, "exact atoms")
        ends = self._tables[3][:, 2]
        return Accuracy(
            mass_defect=self._quadrature[2],
            edge_residual=4e-16 * self._machine.k,
            tail=float(ends[ends < UNRESOLVED].max(initial=0.0)) ** 2,
            method="tree of moves, panels of the unknowns",
            remarks=self._remarks,
        )

    def check(self) -> None:
        """Integrate the density over every band.

        Raises
        ------
        ConvergenceError
            If that misses the exact mass of a band by more than 1e-10.
        """
        if self._bands:
            _ = self._quadrature

    @cached_property
    def _quadrature(self) -> tuple[_Reals, _Reals, float]:
        for splits in (1, 2, 4, 8):
            found = self._integrate(splits)
            if found[2] <= 1e-11:
                break
        if not found[2] <= _MASS_TOLERANCE:
            raise ConvergenceError(
                f"the density of a band integrates to its exact mass only within {found[2]:.2g}"
            )
        return found

    def _integrate(self, splits: int) -> tuple[_Reals, _Reals, float]:
        """Nodes, weights, and the largest defect of the mass of a band."""
        kinds, ends, first, cuts, _ = self._tables
        node, weight = _gauss(splits)
        middle = 0.5 * (cuts[:, :1] + cuts[:, 1:2])
        half = 0.5 * (cuts[:, 1:2] - cuts[:, :1])
        t = middle + half * node
        band = np.repeat(np.arange(len(kinds)), np.diff(first))[:, None]
        a, b, kind = ends[band, 0], ends[band, 1], kinds[band]
        angle = np.where(
            t < 0.5 * np.pi,
            a + (b - a) * np.sin(0.5 * t) ** 2,
            b - (b - a) * np.cos(0.5 * t) ** 2,
        )
        log = np.where(kind == 1, b, a) * np.exp(-t * t)
        x = np.where(kind == 0, angle, log)
        slope = np.where(kind == 0, 0.5 * (b - a) * np.sin(t), 2.0 * t * np.abs(log))
        x = np.clip(x, np.nextafter(a, b), np.nextafter(b, a))
        flat = x.ravel()
        density = -self._evaluate(flat, np.broadcast_to(band, x.shape).ravel(), 0).imag / np.pi
        weights = half * weight * slope * density.reshape(x.shape)
        masses = np.bincount(np.broadcast_to(band, x.shape).ravel(), weights.ravel())
        rest = np.array([piece.rest for piece in self._bands])
        defect = float(np.abs(masses + rest - np.array(self.band_masses)).max())
        # what floats cannot hold apart from 0 counts as at 0
        return np.append(flat, 0.0 * rest), np.append(weights.ravel(), rest), defect

    def _locate(self, x: _Reals) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        ends = self._tables[1]
        band = np.maximum(np.searchsorted(ends[:, 0], x, side="right") - 1, 0)
        return band, (x > ends[band, 0]) & (x < ends[band, 1])

    def _evaluate(self, x: _Reals, band: NDArray[np.int64], want: int) -> _Nodes:
        """G (want 0) or the mass above without atoms (want 1) at points inside bands."""
        left, right = self._tables[1][band].T
        inside = [
            (location, mass, (left < location) & (location < right))
            for location, mass in self.atoms
        ]
        step = _POLE_ROOM * self._machine.scale
        out, plain = np.empty(x.size, dtype=complex), np.ones(x.size, dtype=bool)
        for location, mass, own in inside:
            near = own & (np.abs(x - location) < step)
            if near.any():
                out[near] = self._across(location, mass, x[near], int(band[near][0]), want)
                plain &= ~near
        out[plain] = self._smooth(x[plain], band[plain], want)
        if want == 1:
            for location, mass, own in inside:
                counted = own & (np.abs(x - location) >= step) & (x < location)
                out[counted] -= mass
        return out

    def _across(self, location: float, mass: float, x: _Reals, band: int, want: int) -> _Nodes:
        """As `_evaluate`, by a polynomial where the pole of an atom drowns the rest."""
        at = location + _POLE_ROOM * self._machine.scale * _AROUND
        around = self._smooth(at, np.full(at.size, band), want)
        known = around.imag if want == 0 else around.real - np.where(at < location, mass, 0.0)
        through = np.polynomial.Polynomial.fit(at, known, at.size - 1)
        return np.asarray(through(x) * (1j if want == 0 else 1.0))

    def _smooth(self, x: _Reals, band: NDArray[np.int64], want: int) -> _Nodes:
        """As `_evaluate`, with what atoms inside the band add."""
        edge, anchor = self._nearest_edge(x, band)
        beside = np.abs(x - edge) < np.abs(anchor - edge)
        out = np.empty(x.size, dtype=complex)
        out[~beside] = self._solved(x[~beside], band[~beside], want)
        if not beside.any():
            return out
        x, band, edge, anchor = x[beside], band[beside], edge[beside], anchor[beside]
        # towards an edge the density is a power of the distance
        g = self._solved(anchor, band, 0)
        farther = self._solved(edge + 4.0 * (anchor - edge), band, 0)
        power = 0.5 * np.log2(farther.imag / g.imag)
        angle = self._tables[0][band] == 0
        power = np.where(angle, np.copysign(0.5, power), power)
        distance = np.abs(x - edge)
        g *= (distance / np.abs(anchor - edge)) ** power
        if want == 0:
            out[beside] = g
            return out
        mass = -g.imag / np.pi * distance / (1.0 + power)
        above = np.array([piece.above for piece in self._bands])[band]
        whole = above + np.array(self.band_masses)[band]
        out[beside] = np.where(anchor > edge, whole - mass, above + mass)
        return out

    def _nearest_edge(self, x: _Reals, band: NDArray[np.int64]) -> tuple[_Reals, _Reals]:
        """The edge beside each point, and the last point before it that is solved for."""
        kinds, ends, first, cuts, _ = self._tables
        a, b = ends[band].T
        left = x - a < b - x
        edge = np.where(left, a, b)
        angle = edge + np.where(left, _BESIDE, -_BESIDE) * (b - a)
        kind = kinds[band]
        # panels in log x start at the other end and stop before 0
        last = np.exp(-(cuts[first[band + 1] - 1, 1] ** 2)) * np.where(kind == 1, b, a)
        return np.where(kind == 0, edge, 0.0), np.where(kind == 0, angle, last)

    def _solved(self, x: _Reals, band: NDArray[np.int64], want: int) -> _Nodes:
        from freefim.free.trees.band_kernels import evaluate

        machine, out = self._machine, np.empty(x.size, dtype=complex)
        kinds, ends, first, cuts, coefficients = self._tables
        try:
            failed = evaluate(
                machine.prog, kinds, ends, first, cuts, coefficients, machine.start,
                machine.begin, machine.speck, band, x, want, out,
            )  # fmt: skip
        except ZeroDivisionError as problem:
            raise ConvergenceError(
                f"numbers of the law leave the range of floats: {problem}"
            ) from None
        if failed:
            worst = float(x[np.isnan(out.real)][0])
            raise ConvergenceError(
                f"the law did not converge at {failed} of {x.size} points, first at x = {worst!r}"
            )
        return out


@lru_cache(maxsize=8)
def _gauss(splits: int) -> tuple[_Reals, _Reals]:
    """Gauss nodes and weights on [-1, 1] cut in pieces."""
    node, weight = np.polynomial.legendre.leggauss(24)
    starts = (2 * np.arange(splits) + 1)[:, None]
    return ((starts + node) / splits).ravel() - 1.0, np.tile(weight / splits, splits)
