"""A solved chain: its density, distribution function and quadrature from panels."""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from freefim.free.accuracy import Accuracy
from freefim.free.joint.panels import Band
from freefim.free.joint.program import Program
from freefim.free.joint.start import cauchy_transform

__all__ = ["JointSolution"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]


@dataclass(frozen=True, eq=False)
class JointSolution:
    """The law of a chain, ready to be evaluated.

    Attributes
    ----------
    atoms : tuple of (location, mass)
    bands : tuple of (left, right)
    band_masses : tuple of float
    accuracy : Accuracy
    """

    atoms: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float], ...]
    band_masses: tuple[float, ...]
    accuracy: Accuracy
    _program: Program = field(repr=False)
    _pieces: tuple[tuple[tuple[float, float], float, Band], ...] = field(repr=False)
    _cluster: float = field(default=0.0, repr=False)

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the absolutely continuous part: 0 outside the bands, inf at a hard edge."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        for (left, right), _, band in self._pieces:
            inside = (x >= left) & (x <= right)
            if inside.any():
                out[inside] = band.pdf(x[inside] - self._program.shift)
        return out

    def cdf(self, x: _Reals) -> _Reals:
        """Mass at or to the left of x."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        for location, mass in self.atoms:
            out += np.where(x >= location, mass, 0.0)
        for (left, right), mass, band in self._pieces:
            out += np.where(x >= right, mass, 0.0)
            inside = (x >= left) & (x < right)
            if inside.any():
                out[inside] += mass - band.mass_above(x[inside] - self._program.shift)
        return np.clip(out, 0.0, 1.0)

    def cauchy(self, z: _Nodes) -> _Nodes:
        """G(z) off the real axis, or at real z outside the support."""
        return cauchy_transform(self._program, z)

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Points x and weights with Σ weight·f(x) the integral of f over the continuous part.

        Each panel is cut in `splits` pieces, for functions less smooth than the density.
        """
        parts = [band.quadrature(splits) for _, _, band in self._pieces]
        if self._cluster > 0:
            parts.insert(0, (np.zeros(1), np.array([self._cluster])))
        if not parts:
            return np.empty(0), np.empty(0)
        return (
            np.concatenate([y for y, _ in parts]) + self._program.shift,
            np.concatenate([weight for _, weight in parts]),
        )
