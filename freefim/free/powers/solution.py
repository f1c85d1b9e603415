"""The solved law of a curve that is one formula: density, distribution, transforms."""

from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import pi

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.powers.curve import PowerCurve
from freefim.free.powers.solve import Band, Curve, Structure, structure_of
from freefim.free.solution import Array, Pairs

__all__ = ["PowerSolution", "solve_power"]

_Nodes = NDArray[np.complex128]
_MASS_TOLERANCE = 1e-10
_POLE = 1e-14
# Rows of a band's path that one panel of quadrature takes in.
_ROWS = 6
# Logarithm of the share of a hard edge's mass that is left out, and the length of panels there.
_REST, _TAIL = 40.0, 3.0
_LEAST = np.finfo(float).tiny


def solve_power(curve: PowerCurve) -> "PowerSolution | None":
    """Solve the law of a curve; None if exponents of both signs leave room for several bands.

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
    return structure and PowerSolution(structure)


@dataclass(frozen=True, eq=False)
class PowerSolution:
    """A law on [0, ∞) with one curve: at most two atoms and a band."""

    _structure: Structure

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        return self._structure.atoms

    @property
    def _band(self) -> Band | None:
        return self._structure.band

    @property
    def bands(self) -> Pairs:
        """The absolutely continuous part."""
        band = self._band
        return () if band is None else ((band.left, band.right),)

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of the band, in closed form."""
        return () if self._band is None else (self._band.mass,)

    @cached_property
    def _path(self) -> Array:
        """Points along the band, from its upper edge down."""
        from freefim.free.powers.kernels import walk

        curve, band = self._solved
        rows, found = walk(curve, band.top, band.low)
        if not found:
            raise ConvergenceError(f"the band {self.bands[0]} was lost on the way to its lower end")
        return np.asarray(rows)

    @property
    def _solved(self) -> tuple[Curve, Band]:
        curve, band = self._structure.curve, self._structure.band
        assert curve is not None
        assert band is not None
        return curve, band

    def _evaluate(self, x: Array, logs: Array, want: int) -> Array:
        from freefim.free.powers.kernels import evaluate

        curve, band = self._solved
        values, failed = evaluate(
            curve, band.top, band.low, self._path, x, logs, band.gap, want
        )
        if failed:
            worst = float(x[np.isnan(values)][0])
            raise ConvergenceError(
                f"the law did not converge at {failed} of {x.size} points, first at x = {worst!r}"
            )
        return np.asarray(values)

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        band = self._band
        if band is not None:
            inside = (x > band.left) & (x < band.right)
            at = x[inside]
            values[inside] = self._evaluate(at, np.log(at), 0) / at
            if not band.low.size:
                values[x == 0.0] = np.inf
            if not band.gap:
                values[x == band.right] = np.inf
        return values

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""
        x = np.asarray(x, dtype=float)
        values = np.where(np.isnan(x), np.nan, 0.0)
        band = self._band
        if band is not None:
            inside = (x > band.left) & (x < band.right)
            above = self._evaluate(x[inside], np.log(x[inside]), 1)
            values[inside] = np.clip(band.mass + band.above - above, 0.0, band.mass)
            values[x >= band.right] = band.mass
        for location, mass in self.atoms:
            values += np.where(x >= location, mass, 0.0)
        return np.asarray(np.minimum(values, 1.0))

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""
        if self._band is None:
            return np.empty(0), np.empty(0)
        band, logs = self._band, self._path[:, 0]
        high = band.top[2]
        middle = logs[len(logs) // 2] if band.low.size else logs[-1]
        node, weight = _gauss(splits)
        # towards a soft edge in the root of the distance from it
        upper = [0.0, *np.sqrt(high - logs[logs >= middle][_ROWS // 2 :: _ROWS])]
        log, slope = _rooted(upper, np.sqrt(high - middle), node, weight)
        places, shares = [high - log], [slope]
        if band.low.size:
            low = band.low[2]
            lower = [0.0, *np.sqrt(logs[logs < middle][::-1][_ROWS // 2 :: _ROWS] - low)]
            log, slope = _rooted(lower, np.sqrt(middle - low), node, weight)
            places.append(low + log)
            shares.append(slope)
        else:
            depth = float(self._solved[0][2][0])
            starts = middle - depth * np.arange(_TAIL, _REST + _TAIL, _TAIL)
            places.append((starts[:, None] + 0.5 * depth * _TAIL * (node + 1.0)).ravel())
            shares.append(np.tile(0.5 * depth * _TAIL * weight, starts.size))
        log = np.concatenate(places)
        with np.errstate(under="ignore"):
            x = np.exp(log)
        x = np.clip(x, np.nextafter(band.left, band.right), np.nextafter(band.right, band.left))
        return x, np.concatenate(shares) * self._evaluate(np.where(log < -700.0, 0.0, x), log, 0)

    @property
    def accuracy(self) -> Accuracy:
        """What was measured; the first look at it integrates the density."""
        if self._band is None:
            return Accuracy(abs(1.0 - sum(m for _, m in self.atoms)), 0.0, 0.0, "exact atoms")
        defect = abs(float(self.nodes()[1].sum()) - self._band.mass)
        if not defect <= _MASS_TOLERANCE:
            raise ConvergenceError(
                f"the density of the band integrates to its exact mass only within {defect:.2g}"
            )
        return Accuracy(defect, 4e-16, 1e-14, "one formula for the curve")

    def cauchy(self, z: _Nodes) -> _Nodes:
        """Cauchy transform off the band, any shape."""
        return self._transforms(z)[0]

    def subordination(self, z: _Nodes) -> _Nodes:
        """The point of a unit mass that belongs to z: the law's mass besides 0 is made of it."""
        m = self._transforms(z)[1] / self._structure.share
        return np.asarray(1.0 + 1.0 / m)[..., None]

    def _transforms(self, z: _Nodes) -> tuple[_Nodes, _Nodes]:
        """G and m off the band, any shape."""
        z = np.asarray(z, dtype=complex)
        flat = np.atleast_1d(z).ravel()
        size = max((x for x, _ in self.atoms), default=0.0)
        size = max([size, *(right for _, right in self.bands)])
        upper = np.where(flat.imag < 0.0, flat.conj(), flat)
        # at 0 the limit from below
        upper = np.where(upper == 0.0, -_LEAST**0.5 * size, upper)
        if self._band is None:
            values = sum((mass / (upper - at) for at, mass in self.atoms), np.zeros(flat.shape))
            moments = upper * values - 1.0
        else:
            values, moments = self._found(upper)
        for location, mass in self.atoms:
            # so near that its pole is all that floats can show
            near = np.abs(flat - location) < _POLE * size
            with np.errstate(divide="ignore", invalid="ignore"):
                values[near] = mass / (flat[near] - location)
            values[flat == location] = np.inf
        below = flat.imag < 0.0
        values[below], moments[below] = values[below].conj(), moments[below].conj()
        return values.reshape(z.shape), moments.reshape(z.shape)

    def _found(self, z: _Nodes) -> tuple[_Nodes, _Nodes]:
        from freefim.free.powers.kernels import cauchy

        curve, band = self._solved
        values, moments = cauchy(curve, band.top, band.low, self._path, band.bounds, z)
        if np.any(np.isnan(values)):
            worst = complex(z[np.isnan(values)][0])
            raise ConvergenceError(f"the Cauchy transform did not converge at z = {worst!r}")
        return np.asarray(values), np.asarray(moments)


def _rooted(cuts: list[float], end: float, node: Array, weight: Array) -> tuple[Array, Array]:
    """Squares of nodes on panels of [0, end], and the weights of those squares."""
    ends = np.array([*(cut for cut in cuts if cut < end), end])
    half = 0.5 * np.diff(ends)[:, None]
    place = (ends[:-1, None] + half * (node + 1.0)).ravel()
    return place * place, 2.0 * place * (half * weight).ravel()


@lru_cache(maxsize=16)
def _gauss(splits: int) -> tuple[Array, Array]:
    """Gauss nodes and weights on [-1, 1] cut in pieces."""
    node, weight = np.polynomial.legendre.leggauss(16)
    starts = (2 * np.arange(splits) + 1)[:, None]
    return ((starts + node) / splits).ravel() - 1.0, np.tile(weight / splits, splits)
