"""The solved law of a chain of projections: density, distribution, Cauchy transform."""

import math
from dataclasses import dataclass
from functools import cached_property, lru_cache

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy

__all__ = ["MASS_TOLERANCE", "ProjectionSolution", "lobatto_grid", "panel_limit"]

Array = NDArray[np.float64]

#: Largest difference of a band's mass by quadrature from its closed form.
MASS_TOLERANCE = 1e-10
_QUADRATURE_TAIL = 1e-11


@dataclass(frozen=True, eq=False)
class ProjectionSolution:
    """The solved law: structure exactly, density by panels of t(θ) and one evaluation a point.

    Attributes
    ----------
    atoms, bands : tuples of (location, mass) and (left, right)
    band_masses : tuple of float
        In closed form: integer combinations of the masses of the gates.
    """

    atoms: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float], ...]
    band_masses: tuple[float, ...]
    _remarks: tuple[str, ...]
    _curve: tuple[NDArray[np.int64], Array, float]
    _edges: Array
    _x_edges: Array
    _info: Array
    _widths: Array
    _hard: NDArray[np.bool_]
    _panels: Array

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part."""
        x = np.asarray(x, dtype=float)
        band, inside = self._locate(x)
        values = np.where(np.isnan(x), np.nan, 0.0)
        values[inside] = self._evaluate(x[inside], band[inside], want_mass=False)
        for i, side in np.argwhere(self._hard):
            values[x == self._x_edges[i, side]] = np.inf
        return values

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous."""
        x = np.asarray(x, dtype=float)
        band, inside = self._locate(x)
        left_ends = self._x_edges[:, 0]
        below = np.concatenate([[0.0], np.cumsum(self.band_masses)])
        values = below[np.searchsorted(left_ends, x)]
        # from the top down, so that what is left of a band's own left end is exact there
        above = self._evaluate(x[inside], band[inside], want_mass=True)
        top = np.array([self._mass_above(b) for b in range(len(self.bands))])
        masses = np.asarray(self.band_masses)
        part = masses[band[inside]] - (above - top[band[inside]])
        values[inside] = below[band[inside]] + np.clip(part, 0.0, masses[band[inside]])
        for location, mass in self.atoms:
            values = values + np.where(x >= location, mass, 0.0)
        values[np.isnan(x)] = np.nan
        return np.asarray(np.minimum(values, 1.0))

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature of the a.c. part: x and weights with Σ weight f(x) = ∫ f ρ.

        Each panel of the density is cut in `splits` pieces with nodes of their own, for functions
        less smooth than the density.

        Raises
        ------
        ConvergenceError
            If a band's density does not integrate to its exact mass within 1e-10 and within 1e-6 of
            the mass of all bands.
        """
        panels, densities, _ = self._quadrature
        node, weight = _clenshaw_curtis()
        band = panels[:, 0].astype(int)[:, None]
        # the pieces' nodes as seen from their panel, in [-1, 1]
        local = ((2 * np.arange(splits) + 1)[:, None] + node).ravel() / splits - 1.0
        middle = 0.5 * (panels[:, 1] + panels[:, 2])[:, None]
        half = 0.5 * (panels[:, 2] - panels[:, 1])[:, None]
        theta = middle + half * local
        width = self._widths[band]
        x = np.where(
            theta < 0.5 * math.pi,
            self._x_edges[band, 0] + width * np.sin(0.5 * theta) ** 2,
            self._x_edges[band, 1] - width * np.cos(0.5 * theta) ** 2,
        )
        values = densities
        if splits > 1:
            chebyshev = np.cos(np.arange(node.size)[:, None] * np.arccos(local))
            values = densities @ lobatto_grid()[2:].T @ chebyshev
        weights = half / splits * np.tile(weight, splits) * values
        return x.ravel(), weights.ravel()

    @property
    def accuracy(self) -> Accuracy:
        """What was measured; the first look at it integrates the density over every band."""
        return Accuracy(
            mass_defect=self._quadrature[2] if self.bands else 0.0,
            edge_residual=4e-16 * max(len(self._curve[0]), 1),
            tail=1e-14,
            method="closed composition, panels of the curve" if self.bands else "exact atoms",
            remarks=self._remarks,
        )

    @cached_property
    def _quadrature(self) -> tuple[Array, Array, float]:
        """Panels that resolve the density, its values there, the largest defect of a mass."""
        from freefim.free.projection.kernels import solve_bands

        if not self.bands:
            return np.empty((0, 3)), np.empty((0, 17)), 0.0
        ops, par, start = self._curve
        total = sum(self.band_masses)
        rows, count, failures = solve_bands(
            ops, par, start, self._edges, self._info, self._widths, lobatto_grid(),
            _QUADRATURE_TAIL * total, panel_limit(len(ops)),
        )  # fmt: skip
        panels, densities = rows[:count, :3], rows[:count, -lobatto_grid().shape[1] :]
        by_panel = 0.5 * (panels[:, 2] - panels[:, 1]) * (densities @ _clenshaw_curtis()[1])
        band = panels[:, 0].astype(int)
        found = np.bincount(band, weights=by_panel, minlength=len(self.bands))
        defects = np.abs(found - np.asarray(self.band_masses))
        worst = int(np.argmax(defects))
        # where hardly any mass is in bands, it counts relative to that; the masses are rounded too
        allowed = max(min(MASS_TOLERANCE, 1e-6 * total), 1e-14)
        if failures or not defects[worst] <= allowed:
            raise ConvergenceError(
                f"the density of the band {self.bands[worst]} integrates to {found[worst]!r}, its "
                f"exact mass is {self.band_masses[worst]!r} ({failures} nodes did not converge)"
            )
        return panels, densities, float(defects[worst])

    def cauchy(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Cauchy transform at z outside the support; Im G < 0 on the upper half plane."""
        z = np.asarray(z, dtype=complex)
        values = np.empty(z.shape, dtype=complex)
        flat, out = z.ravel(), values.ravel()
        upper = np.where(flat.imag < 0.0, flat.conj(), flat)
        real = upper.imag == 0.0
        if np.any(~real):
            out[~real] = self._cauchy_upper(upper[~real])
        if np.any(real):
            out[real] = self._cauchy_real(upper[real].real)
        out[flat.imag < 0.0] = out[flat.imag < 0.0].conj()
        out[np.isnan(flat)] = complex(np.nan, np.nan)
        return out.reshape(z.shape)

    def _locate(self, x: Array) -> tuple[NDArray[np.int64], NDArray[np.bool_]]:
        band = np.searchsorted(self._x_edges[:, 0], x, side="right") - 1
        band = np.maximum(band, 0)
        if not self.bands:
            return band, np.zeros(x.shape, dtype=bool)
        inside = (x > self._x_edges[band, 0]) & (x < self._x_edges[band, 1])
        return band, inside

    def _mass_above(self, band: int) -> float:
        right = self.bands[band][1]
        atoms = sum(mass for location, mass in self.atoms if location >= right)
        return float(sum(self.band_masses[band + 1 :]) + atoms)

    def _evaluate(self, x: Array, band: NDArray[np.int64], *, want_mass: bool) -> Array:
        if x.size == 0:
            return np.empty(0)
        from freefim.free.projection.kernels import evaluate

        order = np.argsort(x, kind="stable") if np.any(np.diff(x) < 0.0) else slice(None)
        ops, par, start = self._curve
        values = np.empty(x.size)
        values[order], failed = evaluate(
            ops, par, start, self._edges, self._info, self._x_edges, self._widths, self._panels,
            lobatto_grid(), band[order], x[order], int(want_mass),
        )  # fmt: skip
        if failed:
            worst = x[np.isnan(values)] if np.any(np.isnan(values)) else x
            raise ConvergenceError(
                f"the density did not converge at {failed} of {x.size} points, first at "
                f"x = {float(worst[0])!r}"
            )
        return values

    def _cauchy_upper(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Continuation down a straight line from far above, with the sheet test at every step."""
        from freefim.free.projection.kernels import curve

        ops, par, start = self._curve
        z = z.real + 1j * np.maximum(z.imag, 1e-14 * np.abs(z))
        reach = 1e3 * (start + np.max(np.abs(self._edges), initial=0.0))
        t = np.full(z.shape, 1j * reach)
        far = curve(ops, par, start, t)[0] - z
        left = np.ones(z.shape)
        ratio = np.full(z.shape, 0.25)
        for _ in range(400):
            aim = left * ratio
            aim = np.where(aim * np.abs(far) < 0.5 * z.imag, 0.0, aim)
            trial, good = self._newton(t, z + aim * far)
            t = np.where(good, trial, t)
            left = np.where(good, aim, left)
            ratio = np.where(good, np.maximum(0.05, ratio * ratio), np.sqrt(ratio))
            if not np.any(left):
                return np.asarray(1.0 / curve(ops, par, start, t)[1])
        worst = complex(z[left > 0.0][0])
        raise ConvergenceError(f"the Cauchy transform did not converge at z = {worst!r}")

    def _newton(
        self, t: NDArray[np.complex128], target: NDArray[np.complex128]
    ) -> tuple[NDArray[np.complex128], NDArray[np.bool_]]:
        from freefim.free.projection.kernels import curve

        ops, par, start = self._curve
        rounding = 1e-14 * (len(ops) + 4)
        good = np.zeros(t.shape, dtype=bool)
        last = np.full(t.shape, np.inf)
        for _ in range(12):
            z, _, slope, low = curve(ops, par, start, t)
            step = (target - z) / slope
            size = np.abs(step)
            small = size <= np.maximum(1e-10 * t.imag, 1e-14 * np.abs(t))
            # small steps that no longer shrink are rounding, of t or of z
            blurred = (size <= 1e-9 * np.abs(t)) | (size * np.abs(slope) <= rounding * np.abs(z))
            small |= blurred & (size >= 0.5 * last)
            good = small & (low > -rounding)
            t, last = t + step, size
            if np.all(good):
                break
        return t, good

    def _cauchy_real(self, x: Array) -> NDArray[np.complex128]:
        """G on the gaps, nan inside the bands and infinite at the atoms."""
        from freefim.free.projection.gap_kernels import gap_values

        values = np.full(x.shape, np.nan)
        _, inside = self._locate(x)
        inverse = gap_values(*self._curve, self._edges, self._x_edges, x[~inside])
        if not np.all(np.isfinite(inverse)):
            worst = x[~inside][~np.isfinite(inverse)]
            raise ConvergenceError(f"the Cauchy transform was not found at {float(worst[0])!r}")
        with np.errstate(divide="ignore"):
            values[~inside] = 1.0 / inverse
        values[np.isin(x, [location for location, _ in self.atoms])] = np.inf
        return values.astype(complex)


def panel_limit(operations: int) -> int:
    """Most panels of one band: where gaps have closed, every operation may leave a tooth."""
    return 400 + 16 * operations


@lru_cache(maxsize=1)
def lobatto_grid() -> Array:
    """Rows: Lobatto nodes in [-1, 1], barycentric weights, then the Chebyshev transform."""
    n = 16
    node = -np.cos(np.pi * np.arange(n + 1) / n)
    bary = (-1.0) ** np.arange(n + 1)
    bary[[0, -1]] *= 0.5
    k = np.arange(n + 1)[:, None]
    transform = 2.0 / n * np.cos(k * np.arccos(node)[None, :])
    transform[:, [0, -1]] *= 0.5
    transform[[0, -1]] *= 0.5
    return np.ascontiguousarray(np.vstack([node, bary, transform]))


@lru_cache(maxsize=1)
def _clenshaw_curtis() -> tuple[Array, Array]:
    """Clenshaw–Curtis nodes and weights on [-1, 1], by the transform of `lobatto_grid`."""
    grid = lobatto_grid()
    k = np.arange(grid.shape[1])
    integrals = np.where(k % 2 == 0, 2.0 / (1.0 - k.astype(float) ** 2 + (k == 1)), 0.0)
    return grid[0], integrals @ grid[2:]
