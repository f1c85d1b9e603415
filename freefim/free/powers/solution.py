"""The solved law of a curve that is one formula: density, distribution, transforms."""

from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.powers.curve import PowerCurve
from freefim.free.powers.solve import Curve, Structure, structure_of
from freefim.free.solution import Array, Pairs

__all__ = ["PowerSolution", "solve_power"]

_Nodes = NDArray[np.complex128]
_MASS_TOLERANCE = 1e-10
_POLE = 1e-14
# Beside a place of this size, in units of the law's, 0 is as good.
_BELOW = 1e-25
# Rows of a band's path that one panel of quadrature takes in.
_ROWS = 6
# Logarithm of the share of a hard edge's mass that is left out, and the length of panels there.
_REST, _TAIL = 40.0, 3.0
# Below, places are told by their logarithms.
_LEAST = -700.0


def solve_power(curve: PowerCurve) -> "PowerSolution | None":
    """Solve the law of a curve; None where several bands are possible and do not balance.

    Raises
    ------
    ConvergenceError
        If its numbers leave the range of floats.

    Examples
    --------
    The product of two square Gaussian matrices:

    >>> from freefim.free.chains.chain import Chain, Gaussian
    >>> from freefim.free.powers.curve import chain_curve
    >>> law = solve_power(chain_curve(Chain(1, (Gaussian(1, 1),) * 2)))
    >>> bool(abs(law.bands[0][1] - 27 / 4) < 1e-14)
    True
    """
    structure = structure_of(curve)
    if structure is None:
        return None
    solution = PowerSolution(structure)
    return solution if structure.simple or solution.balances() else None


@dataclass(frozen=True, eq=False)
class PowerSolution:
    """A law on [0, ∞) with one curve: at most two atoms, mostly one band."""

    _structure: Structure

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        return self._structure.atoms

    @property
    def bands(self) -> Pairs:
        """Intervals of the absolutely continuous part, ascending."""
        return tuple((band.left, band.right) for band in self._structure.bands)

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band, in closed form."""
        return tuple(band.mass for band in self._structure.bands)

    @property
    def _curve(self) -> Curve:
        assert self._structure.curve is not None
        return self._structure.curve

    @cached_property
    def _paths(self) -> list[Array]:
        """Points along every band, from its upper edge down."""
        from freefim.free.powers.kernels import walk

        paths = []
        for band in self._structure.bands:
            rows, found = walk(self._curve, band.top, band.low)
            if not found:
                raise ConvergenceError(
                    f"the band ({band.left!r}, {band.right!r}) was lost on the way down"
                )
            paths.append(np.asarray(rows))
        return paths

    def balances(self) -> bool:
        """Whether the density integrates to the exact masses of the bands, all > 0."""
        masses = np.array(self.band_masses)
        try:
            return bool(np.all(masses > 0.0) and self._defect <= _MASS_TOLERANCE)
        except ConvergenceError:
            return False

    @cached_property
    def _defect(self) -> float:
        """Largest defect of the mass of a band."""
        found = [
            abs(float(self._panels(i, 1)[1].sum()) - band.mass)
            for i, band in enumerate(self._structure.bands)
        ]
        return max(found, default=0.0)

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        for i, band in enumerate(self._structure.bands):
            inside = (x > band.left) & (x < band.right)
            at = x[inside]
            values[inside] = self._evaluate(i, at, np.log(at), 0) / at
            if not band.low.size:
                values[x == 0.0] = np.inf
            if not band.gap:
                values[x == band.right] = np.inf
        return values

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        for i, band in enumerate(self._structure.bands):
            inside = (x > band.left) & (x < band.right)
            above = self._evaluate(i, x[inside], np.log(x[inside]), 1)
            values[inside] += np.clip(band.mass + band.above - above, 0.0, band.mass)
            values[x >= band.right] += band.mass
        for location, mass in self.atoms:
            values += np.where(x >= location, mass, 0.0)
        return np.asarray(np.minimum(values, 1.0))

    def _evaluate(self, i: int, x: Array, logs: Array, want: int) -> Array:
        """Density times x (want 0), or the mass above (1), in band i."""
        from freefim.free.powers.kernels import evaluate

        band = self._structure.bands[i]
        values, failed = evaluate(
            self._curve, band.top, band.low, self._paths[i], x, logs, band.gap, want
        )
        if failed:
            worst = float(x[np.isnan(values)][0])
            raise ConvergenceError(
                f"the law did not converge at {failed} of {x.size} points, first at x = {worst!r}"
            )
        return np.asarray(values)

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""
        parts = [self._panels(i, splits) for i in range(len(self._structure.bands))]
        x, weights = zip(*parts, strict=True) if parts else ([np.empty(0)], [np.empty(0)])
        return np.concatenate(x), np.concatenate(weights)

    def _panels(self, i: int, splits: int) -> tuple[Array, Array]:
        band, logs = self._structure.bands[i], self._paths[i][:, 0]
        high = band.top[2]
        middle = logs[len(logs) // 2] if band.low.size else logs[-1]
        node, weight = _gauss(splits)
        # towards a soft edge in the root of the distance from it
        # beside an edge at which the density would be infinite but for a little, m has a pole
        pole = (
            abs(band.gap / self._curve[4][1]) * abs(band.top[5]) ** 0.5
            if self._curve[4][1]
            else 0.0
        )
        log, share = _rooted(high - logs[logs >= middle], high - middle, pole, node, weight)
        places, shares = [high - log], [share]
        if band.low.size:
            low = band.low[2]
            log, share = _rooted(logs[logs < middle][::-1] - low, middle - low, 0.0, node, weight)
            places.append(low + log)
            shares.append(share)
        else:
            length = _TAIL * float(self._curve[2][0])
            ends = middle - length * np.arange(1.0, _REST / _TAIL + 1.0)
            places.append((ends[:, None] + 0.5 * length * (node + 1.0)).ravel())
            shares.append(np.tile(0.5 * length * weight, ends.size))
        log = np.concatenate(places)
        with np.errstate(under="ignore"):
            x = np.exp(log)
        inside = np.nextafter(band.left, band.right), np.nextafter(band.right, band.left)
        x = np.clip(x, *inside)
        values = self._evaluate(i, np.where(log < _LEAST, 0.0, x), log, 0)
        return x, np.concatenate(shares) * values

    @property
    def accuracy(self) -> Accuracy:
        """What was measured; the first look at it integrates the density."""
        if not self.bands:
            return Accuracy(abs(1.0 - sum(m for _, m in self.atoms)), 0.0, 0.0, "exact atoms")
        if not self._defect <= _MASS_TOLERANCE:
            raise ConvergenceError(
                f"the density integrates to its exact mass only within {self._defect:.2g}"
            )
        return Accuracy(self._defect, 4e-16, 1e-14, "one formula for the curve")

    def cauchy(self, z: _Nodes) -> _Nodes:
        """Cauchy transform off the bands, any shape."""
        return self._transforms(z)[0]

    def subordination(self, z: _Nodes) -> _Nodes:
        """The point of a unit mass that belongs to z: the law's mass besides 0 is made of it."""
        m = self._transforms(z)[1] / self._structure.share
        return np.asarray(1.0 + 1.0 / m)[..., None]

    def _transforms(self, z: _Nodes) -> tuple[_Nodes, _Nodes]:
        """G and m off the bands, any shape."""
        z = np.asarray(z, dtype=complex)
        flat = np.atleast_1d(z).ravel()
        size = max([0.0, *(x for x, _ in self.atoms), *(right for _, right in self.bands)])
        upper = np.where(flat.imag < 0.0, flat.conj(), flat)
        # at 0 the limit from below
        upper = np.where(upper == 0.0, -_BELOW * size, upper)
        # so near that the pole of an atom is all that floats can show
        near = [np.abs(flat - location) < _POLE * size for location, _ in self.atoms]
        values, moments = self._found(np.where(np.any(near, axis=0), -size, upper))
        for (location, mass), there in zip(self.atoms, near, strict=True):
            with np.errstate(divide="ignore", invalid="ignore"):
                values[there] = mass / (upper[there] - location)
            moments[there] = upper[there] * values[there] - 1.0
            values[flat == location] = np.inf
        below = flat.imag < 0.0
        values[below], moments[below] = values[below].conj(), moments[below].conj()
        return values.reshape(z.shape), moments.reshape(z.shape)

    def _found(self, z: _Nodes) -> tuple[_Nodes, _Nodes]:
        """G and m in the closed upper half plane, NaN inside bands."""
        from freefim.free.powers.kernels import from_band, from_gap

        if not self.bands:
            values = sum((p / (z - at) for at, p in self.atoms), np.zeros(z.shape, complex))
            return values, z * values - 1.0
        found = np.full((2, z.size), np.nan, dtype=complex)
        size, real = np.abs(z), z.imag == 0.0
        negative = real & (z.real < 0.0)
        found[:, negative] = from_gap(self._curve, 0, _LEAST, -_LEAST, z[negative])
        wanted = negative.copy()
        for gap in self._structure.gaps:
            at = (size >= gap.left) & (size <= gap.right) & ~negative
            found[:, at] = from_gap(self._curve, gap.region, gap.low, gap.high, z[at])
            wanted |= at
        for path, band in zip(self._paths, self._structure.bands, strict=True):
            at = (size > band.left) & (size < band.right) & ~real
            found[:, at] = from_band(self._curve, band.top, band.low, path, z[at])
            wanted |= at
        lost = wanted & np.isnan(found[0])
        if np.any(lost):
            worst = complex(z[lost][0])
            raise ConvergenceError(f"the Cauchy transform did not converge at z = {worst!r}")
        return found[0], found[1]


def _rooted(
    ends: Array, end: float, pole: float, node: Array, weight: Array
) -> tuple[Array, Array]:
    """Nodes on [0, end] by panels of their roots, cut at every few of `ends`, and weights.

    The first panel is graded towards a pole at a small distance in the root.
    """
    cuts = np.sqrt(ends[_ROWS // 2 :: _ROWS])
    cuts = cuts[cuts < end**0.5]
    first = cuts[0] if cuts.size else end**0.5
    steps = int(np.log(first / pole) / np.log(3.0)) + 1 if 0.0 < pole < first else 0
    graded = first * 3.0 ** -np.arange(steps, 0.0, -1.0)
    ends = np.array([0.0, *graded, *cuts, end**0.5])
    half = 0.5 * np.diff(ends)[:, None]
    place = (ends[:-1, None] + half * (node + 1.0)).ravel()
    return place * place, 2.0 * place * (half * weight).ravel()


@lru_cache(maxsize=16)
def _gauss(splits: int) -> tuple[Array, Array]:
    """Gauss nodes and weights on [-1, 1] cut in pieces."""
    node, weight = np.polynomial.legendre.leggauss(16)
    starts = (2 * np.arange(splits) + 1)[:, None]
    return ((starts + node) / splits).ravel() - 1.0, np.tile(weight / splits, splits)
