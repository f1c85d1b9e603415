"""The face of every law: the vocabulary of distributions, and the transforms.

A law stands on a *solution*: its atoms and bands, and functions for density, distribution,
Cauchy transform and quadrature. What can be said about any law in terms of those is said here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any, Protocol

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.free import distances, quantiles, transforms
from freefim.free.accuracy import Accuracy

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.tables import Table

__all__ = ["Law", "Solution"]

Array = NDArray[np.float64]
Pairs = tuple[tuple[float, float], ...]


class Solution(Protocol):
    """What a solver hands over: a law's structure exactly, its functions to machine precision."""

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""

    @property
    def bands(self) -> Pairs:
        """Intervals (left, right) of the absolutely continuous part, ascending."""

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the law's exactness."""

    def pdf(self, x: Array) -> Array:
        """Density of the absolutely continuous part, shape (n,)."""

    def cdf(self, x: Array) -> Array:
        """Distribution function of the whole law, right-continuous, shape (n,)."""

    def cauchy(self, z: NDArray[np.complex128]) -> NDArray[np.complex128]:
        """Cauchy transform off the bands, any shape."""

    def nodes(self, splits: int = 1) -> tuple[Array, Array]:
        """Quadrature x, weights of the a.c. part, each panel cut in `splits` pieces."""


class Law(ABC):
    """A probability law on the real line: atoms and bands.

    The distribution function is right-continuous, `icdf` its generalised inverse, `pdf` the
    density of the absolutely continuous part: ``inf`` at a hard edge, 0 outside the bands. NaN
    gives NaN; arrays broadcast as in NumPy.
    """

    @property
    @abstractmethod
    def solution(self) -> Solution:
        """The solved law; computed once."""

    @property
    def atoms(self) -> Pairs:
        """Point masses (location, mass), ascending."""
        return self.solution.atoms

    @property
    def bands(self) -> Pairs:
        """Disjoint intervals (left, right) of the absolutely continuous part, ascending."""
        return self.solution.bands

    @property
    def band_masses(self) -> tuple[float, ...]:
        """Mass of each band."""
        return self.solution.band_masses

    @property
    def edges(self) -> tuple[float, ...]:
        """Ends of the bands, ascending."""
        return tuple(end for band in self.bands for end in band)

    @property
    def support(self) -> tuple[float, float]:
        """Smallest and largest point of the support, atoms included."""
        points = [*self.edges, *(location for location, _ in self.atoms)]
        return min(points), max(points)

    @property
    def accuracy(self) -> Accuracy:
        """What was measured of the law's exactness."""
        return self.solution.accuracy

    def pdf(self, x: ArrayLike) -> Any:
        """Density of the absolutely continuous part at `x`, any shape."""
        return _mapped(self.solution.pdf, x)

    def cdf(self, x: ArrayLike) -> Any:
        """Mass of (-∞, x], any shape; right-continuous."""
        top = self.support[1]
        return _mapped(lambda x: np.where(x >= top, 1.0, self.solution.cdf(x)), x)

    def ccdf(self, x: ArrayLike) -> Any:
        """Mass of (x, ∞), any shape."""
        return 1.0 - self.cdf(x)

    def icdf(self, p: ArrayLike) -> Any:
        """Smallest x with cdf(x) >= p; NaN for p outside [0, 1]."""
        return _mapped(lambda values: quantiles.icdf(self.solution, values), p)

    def median(self) -> float:
        """Smallest x with cdf(x) >= 1/2."""
        return float(self.icdf(0.5))

    def interval(self, confidence: float = 0.95) -> tuple[float, float]:
        """Central interval that holds at least `confidence` of the mass.

        Raises
        ------
        SpecError
            If `confidence` is not in [0, 1].
        """
        if not (isinstance(confidence, Real) and 0.0 <= confidence <= 1.0):
            raise SpecError(f"confidence must be in [0, 1], got {confidence!r}")
        low, high = self.icdf([0.5 * (1.0 - confidence), 0.5 * (1.0 + confidence)])
        return float(low), float(high)

    def sample(
        self, size: int | tuple[int, ...] = (), rng: np.random.Generator | int | None = None
    ) -> Any:
        """Independent draws from the law, of shape `size`."""
        return self.icdf(np.random.default_rng(rng).random(size))

    def expect(self, function: Callable[[Array], ArrayLike]) -> float:
        """Mean of a function of the spectrum: a linear spectral statistic.

        Parameters
        ----------
        function : callable
            Vectorised, and piecewise smooth on the support.

        Raises
        ------
        SpecError
            If the function is not finite on the support.
        ConvergenceError
            If the integral does not settle to 1e-9 of the mean of its absolute value.
        """
        return quantiles.expect(self.solution, function)

    def moment(self, k: int) -> Any:
        """Moment E x^k, k >= 0."""
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 0:
            raise SpecError(f"k must be an integer >= 0, got {k!r}")
        return self.expect(lambda x: x ** int(k))

    def mean(self) -> Any:
        """First moment."""
        return self.moment(1)

    def variance(self) -> Any:
        """Second central moment."""
        return self.moment(2) - self.moment(1) ** 2

    def cauchy(self, z: ArrayLike) -> Any:
        r"""Cauchy transform :math:`G(z) = \int \rho(dx)/(z - x)`, any shape.

        Off the real axis everywhere; on it outside the bands (``inf`` at an atom). NaN inside a
        band, where the two sides differ.
        """
        points = np.asarray(z, dtype=complex)
        flat = points.ravel()
        # the real line is one line, whatever the sign of a zero
        flat = np.where(flat.imag == 0.0, flat.real, flat)
        values = np.where(np.isnan(flat), complex(np.nan, np.nan), 0j)
        real = flat.imag == 0.0
        cut = real & np.any([(a < flat.real) & (flat.real < b) for a, b in self.bands], axis=0)
        values[cut] = complex(np.nan, np.nan)
        solved = np.isfinite(flat) & ~cut
        values[solved] = self.solution.cauchy(flat[solved])
        return values.reshape(points.shape)[()]

    def r_transform(self, g: ArrayLike) -> Any:
        """R(g) = z(g) - 1/g, z the inverse of G on the real line outside the support.

        Real g between G at the left end of the support and G at its right end; R(0) is the
        mean. NaN outside that domain.
        """
        return _mapped(lambda values: transforms.r_transform(self, values), g)

    def s_transform(self, m: ArrayLike) -> Any:
        """S(m) = (1 + m)/(m z(m)), z the inverse of m = z G - 1 outside a support in [0, ∞).

        Real m from -1 + (mass at 0) to m at the right end of the support, both excluded;
        S(0) = 1/mean. NaN outside that domain.

        Raises
        ------
        SpecError
            If the law charges (-∞, 0), or is the point mass at 0.
        """
        return _mapped(lambda values: transforms.s_transform(self, values), m)

    def distance(self, other: "Law | ArrayLike", kind: str = "wasserstein") -> float:
        """Distance to another law, or to the empirical law of eigenvalues.

        Parameters
        ----------
        other : Law or array_like
            Eigenvalues of any shape are pooled.
        kind : {"wasserstein", "ks"}
            The Wasserstein-1 distance, in units of the spectrum, or Kolmogorov–Smirnov's. For
            "ks" eigenvalues are taken to be known to 1e-9 of the support, so that rounding does
            not move them off an atom.
        """
        if isinstance(other, Law):
            return distances.between_laws(self.solution, other.solution, kind)
        return distances.to_eigenvalues(self.solution, np.asarray(other, dtype=float), kind)

    def table(self, points: int = 1001) -> "Table":
        """Density and distribution on a grid over the bands: columns x, pdf, cdf.

        The grid is denser towards every edge and holds the edges; atoms, bands, moments and
        accuracy stand in the metadata.

        Parameters
        ----------
        points : int
            About how many rows; each band has at least 16.
        """
        from freefim.tables import Table

        if isinstance(points, bool) or not isinstance(points, int) or points < 2:
            raise SpecError(f"points must be an integer >= 2, got {points!r}")
        x = self.grid(points)
        return Table({"x": x, "pdf": self.pdf(x), "cdf": self.cdf(x)}, self.describe())

    def grid(self, points: int) -> Array:
        """About `points` abscissae over the bands, clustered at every edge, edges included."""
        if not self.bands:
            return np.array([location for location, _ in self.atoms])
        each = max(16, points // len(self.bands))
        share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, each)) ** 2
        pieces = [left + (right - left) * share for left, right in self.bands]
        for piece, (_, right) in zip(pieces, self.bands, strict=True):
            piece[-1] = right
        return np.unique(np.concatenate(pieces))

    def describe(self) -> dict[str, Any]:
        """The law in numbers, ready for a table's metadata."""
        accuracy = self.accuracy
        return {
            "law": repr(self),
            "atoms": [list(atom) for atom in self.atoms],
            "bands": [list(band) for band in self.bands],
            "band_masses": list(self.band_masses),
            "support": list(self.support),
            "mean": float(self.mean()),
            "variance": float(self.variance()),
            "mass_defect": accuracy.mass_defect,
            "edge_residual": accuracy.edge_residual,
            "tail": accuracy.tail,
            "method": accuracy.method,
            "remarks": list(accuracy.remarks),
        }

    def plot(
        self,
        eigenvalues: ArrayLike | None = None,
        *,
        ax: "Axes | None" = None,
        title: str | None = None,
        log: bool = False,
    ) -> "Axes":
        """Draw the density and the atoms, over a histogram of eigenvalues if given."""
        from freefim.plots import plot_density

        panels = []
        for left, right in self.bands:
            share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, 401)) ** 2
            x = np.unique(np.clip(left + (right - left) * share, left, right))
            panels.append((x, self.pdf(x)))
        return plot_density(panels, self.atoms, eigenvalues, ax=ax, title=title, log=log)

    def __str__(self) -> str:
        low, high = self.support
        atoms = ", ".join(f"{mass:.6g} at {location:.10g}" for location, mass in self.atoms[:6])
        more = f" and {len(self.atoms) - 6} more" if len(self.atoms) > 6 else ""
        bands = f"{len(self.bands)} band{'' if len(self.bands) == 1 else 's'}"
        return (
            f"law on [{low:.10g}, {high:.10g}]: {bands}, atoms: {atoms or 'none'}{more}; "
            f"mean {float(self.mean()):.10g}, variance {float(self.variance()):.6g}; "
            f"mass defect {self.accuracy.mass_defect:.1e} ({self.accuracy.method})"
        )


def _mapped(function: Callable[[Array], Array], x: ArrayLike) -> Any:
    """Apply a function of flat arrays to any shape; scalars in, scalars out."""
    try:
        values = np.asarray(x, dtype=float)
    except (TypeError, ValueError):
        raise SpecError(f"the argument must be a number or an array of numbers, got {x!r}") from None
    return function(values.ravel()).reshape(values.shape)[()]
