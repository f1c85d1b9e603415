"""The face of every law: the vocabulary of distributions, and the transforms.

A law stands on a *solution*: its atoms and bands, and functions for density, distribution,
Cauchy transform and quadrature. What can be said about any law in terms of those is said here.
"""

from abc import ABC, abstractmethod
from collections.abc import Callable
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.free import distances, presentation, quantiles, transforms
from freefim.free.accuracy import Accuracy
from freefim.free.calculus import Calculus
from freefim.free.laws.numbers import complexes, reals
from freefim.free.solution import Array, Pairs, Solution

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.tables import Table

__all__ = ["Law"]


class Law(Calculus, ABC):
    """A probability law on the real line: atoms and bands.

    The distribution function is right-continuous, `icdf` its generalised inverse, `pdf` the
    density of the absolutely continuous part: ``inf`` at a hard edge, 0 outside the bands. NaN
    gives NaN; arrays broadcast as in NumPy.

    Laws form an algebra: ``a + b`` and ``a @ b`` are the free sum and product, ``2 * a + 1``
    scales and shifts.

    The ``repr`` evaluates back with the names of `freefim` and ``Fraction``: rationals of sympy are
    kept as Fractions, other expressions need the names of sympy.

    Examples
    --------
    >>> from fractions import Fraction
    >>> from freefim import FreeSum, MarchenkoPastur, Uniform
    >>> law = Uniform(0, 1) + MarchenkoPastur(Fraction(1, 2))
    >>> eval(repr(law)) == law
    True
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

    def pdf(self, x: ArrayLike, digits: int | None = None) -> Any:
        """Density of the absolutely continuous part.

        Parameters
        ----------
        x : array_like
            Points, any shape.
        digits : int, optional
            Digits of an mpmath result; without it, floats.

        Returns
        -------
        float or ndarray, of the shape of `x`
            0 outside the bands, ``inf`` at a hard edge, NaN at NaN.

        Raises
        ------
        SpecError
            If `x` holds anything but numbers.
        ConvergenceError
            If a point does not converge on the physical sheet.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(0.25, 1),)))  # Marchenko–Pastur, ratio 1/4
        >>> bool(abs(law.pdf(1.0) - ((2.25 - 1) * (1 - 0.25)) ** 0.5 / (0.5 * np.pi)) < 1e-14)
        True
        """
        if digits is not None:
            from freefim.free import precise

            return precise.pdf(self, x, digits)
        return _mapped(self.solution.pdf, x)

    def cdf(self, x: ArrayLike) -> Any:
        """Mass of (-∞, x]: right-continuous.

        Parameters
        ----------
        x : array_like
            Points, any shape.

        Returns
        -------
        float or ndarray, of the shape of `x`
            In [0, 1]; NaN at NaN.

        Raises
        ------
        SpecError
            If `x` holds anything but numbers.
        """
        top = self.support[1]
        return _mapped(lambda x: np.where(x >= top, 1.0, self.solution.cdf(x)), x)

    def ccdf(self, x: ArrayLike) -> Any:
        """Mass of (x, ∞), any shape."""
        return 1.0 - self.cdf(x)

    def icdf(self, p: ArrayLike) -> Any:
        """Quantile: the smallest x with cdf(x) >= p.

        Parameters
        ----------
        p : array_like
            Probabilities, any shape.

        Returns
        -------
        float or ndarray, of the shape of `p`
            NaN for p outside [0, 1].

        Raises
        ------
        ConvergenceError
            If a quantile does not converge.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(0.25, 1),)))  # Marchenko–Pastur, ratio 1/4
        >>> bool(abs(law.cdf(law.icdf(0.3)) - 0.3) < 1e-12)
        True
        """
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
        """Independent draws from the law.

        Parameters
        ----------
        size : int or tuple of int
            Shape of the result.
        rng : numpy.random.Generator or int, optional
            Source of randomness, or its seed.

        Returns
        -------
        float or ndarray, of shape `size`
            Eigenvalues of one matrix repel; these draws do not.
        """
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

    def moment(self, k: int, digits: int | None = None) -> Any:
        """Moment E x^k, k >= 0; exact where the numbers of the law are, or to `digits` digits."""
        if isinstance(k, bool) or not isinstance(k, Integral) or k < 0:
            raise SpecError(f"k must be an integer >= 0, got {k!r}")
        if digits is not None:
            from freefim.free import precise

            return precise.moment(self, int(k), digits)
        return self.moments(int(k))[-1] if k else 1

    def mean(self) -> Any:
        """First moment."""
        return self.moment(1)

    def variance(self) -> Any:
        """Second central moment."""
        return self.free_cumulant(2)

    def cauchy(self, z: ArrayLike, digits: int | None = None) -> Any:
        r"""Cauchy transform :math:`G(z) = \int \rho(dx)/(z - x)`, any shape.

        Parameters
        ----------
        z : array_like
            Complex points, any shape.
        digits : int, optional
            Digits of an mpmath result; without it, complex floats.

        Returns
        -------
        complex or ndarray, of the shape of `z`
            Im G < 0 in the upper half plane. On the real line ``inf`` at an atom, ``-inf`` and
            ``inf`` at a left and a right end of a band where the density does not vanish, and NaN
            inside a band, where the limits from the two sides differ; 0 at infinity.

        Raises
        ------
        SpecError
            If `z` holds anything but numbers.
        ConvergenceError
            If a point does not converge on the physical sheet.

        Notes
        -----
        The density is -Im G(x + i0)/π.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(0.25, 1),)))  # Marchenko–Pastur, ratio 1/4
        >>> z = 1 + 1j
        >>> g = law.cauchy(z)
        >>> bool(abs(z - 1 / g - 1 / (1 - 0.25 * g)) < 1e-12)  # R(g) = 1/(1 - g/4)
        True
        """
        if digits is not None:
            from freefim.free import precise

            return precise.cauchy(self, z, digits)
        return transforms.cauchy(self, complexes(z))

    def r_transform(self, g: ArrayLike) -> Any:
        """R(g) = z(g) - 1/g, z the inverse of G on the real line outside the support.

        Parameters
        ----------
        g : array_like
            Real numbers, any shape.

        Returns
        -------
        float or ndarray, of the shape of `g`
            For g between G at the left end of the support and G at its right end; R(0) is the
            mean. NaN outside that domain.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(0.25, 1),)))  # Marchenko–Pastur, ratio 1/4
        >>> bool(abs(law.r_transform(0.5) - 1 / (1 - 0.125)) < 1e-12)
        True
        """
        return _mapped(lambda values: transforms.r_transform(self, values), g)

    def s_transform(self, m: ArrayLike) -> Any:
        """S(m) = (1 + m)/(m z(m)), z the inverse of m = z G - 1 outside a support in [0, ∞).

        Parameters
        ----------
        m : array_like
            Real numbers, any shape.

        Returns
        -------
        float or ndarray, of the shape of `m`
            For m from -1 + (mass at 0) to m at the right end of the support, both excluded;
            S(0) = 1/mean. NaN outside that domain.

        Raises
        ------
        SpecError
            If the law charges (-∞, 0), or is the point mass at 0.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(0.25, 1),)))  # Marchenko–Pastur, ratio 1/4
        >>> bool(abs(law.s_transform(-0.5) - 1 / (1 - 0.125)) < 1e-12)
        True
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
        return presentation.table(self, points)

    def grid(self, points: int) -> Array:
        """About `points` abscissae over the bands, clustered at every edge, edges included."""
        return presentation.grid(self, points)

    def describe(self) -> dict[str, Any]:
        """The law in numbers, ready for a table's metadata."""
        return presentation.describe(self)

    def plot(
        self,
        eigenvalues: ArrayLike | None = None,
        *,
        ax: "Axes | None" = None,
        title: str | None = None,
        log: bool = False,
    ) -> "Axes":
        """Draw the density and the atoms, over a histogram of eigenvalues if given."""
        return presentation.plot(self, eigenvalues, ax=ax, title=title, log=log)

    def __str__(self) -> str:
        return presentation.summary(self)


def _mapped(function: Callable[[Array], Array], x: ArrayLike) -> Any:
    """Apply a function of flat arrays to any shape; scalars in, scalars out."""
    values = reals(x)
    return function(values.ravel()).reshape(values.shape)[()]
