"""Spectra measured by other tools: eigenvalues, or nodes and weights, beside a law.

What curvature tools of torch give, all without importing them: eigenvalues (``eigsh`` of an
operator of curvlinops); nodes and weights of Lanczos quadratures, a row for each random vector
(``density()`` of PyHessian; ``evals, evecs[0] ** 2`` of ``fast_lanczos`` of curvlinops); a smoothed
density on a grid (``lanczos_approximate_spectrum`` of curvlinops, spectral densities of
hessian-eigenthings).
"""

from __future__ import annotations

from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.free.laws.given import Atomic

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.free.law import Law

__all__ = ["RecordedSpectrum"]

Array = NDArray[np.float64]

# Equal-weight stand-ins of a weighted spectrum: off by half of 1/_QUANTILES in distribution.
_QUANTILES = 4096


@dataclass(frozen=True, eq=False, repr=False)
class RecordedSpectrum:
    """A measured spectrum: eigenvalues, or quadrature nodes with weights.

    It is an array of eigenvalues wherever one is taken: ``law.plot(recorded)``,
    ``law.distance(recorded, "ks")``. With weights it stands for its 4096 mid-quantiles there,
    exact to 1/8192 in distribution; `law` and `distance` are exact.

    Parameters
    ----------
    nodes : array_like
        Eigenvalues, or nodes of a quadrature; any shape, pooled: several runs of a stochastic
        Lanczos method count alike.
    weights : array_like, optional
        Of the shape of `nodes`, >= 0; divided by their sum. None for eigenvalues.
    matrix : str, optional
        What it is the spectrum of, normalisation included.

    Raises
    ------
    SpecError
        If there are no nodes, one is not finite, or the weights do not fit.

    Examples
    --------
    >>> from freefim.free.laws.given import Atomic
    >>> spectrum = RecordedSpectrum([[0.5, 2.0], [0.0, 1.0]], weights=[[1, 1], [0, 2]])
    >>> spectrum.moments(2)
    (1.125, 1.5625)
    >>> spectrum.distance(Atomic([0.5, 1, 2], [0.25, 0.5, 0.25]))
    0.0
    """

    nodes: Array
    weights: Array | None = None
    matrix: str = ""

    def __init__(
        self, nodes: ArrayLike, weights: ArrayLike | None = None, matrix: str = ""
    ) -> None:
        x = _finite("nodes", nodes)
        order = np.argsort(x, axis=None)
        object.__setattr__(self, "nodes", _frozen(x.ravel()[order]))
        object.__setattr__(self, "matrix", matrix)
        if weights is None:
            object.__setattr__(self, "weights", None)
            return
        w = _finite("weights", weights)
        if w.shape != x.shape or (w < 0).any() or not w.any():
            raise SpecError(
                f"weights must be numbers >= 0, not all 0, of the shape {x.shape} of the nodes, "
                f"got {weights!r}"
            )
        object.__setattr__(self, "weights", _frozen(w.ravel()[order] / w.sum()))

    @classmethod
    def from_density(
        cls, grid: ArrayLike, density: ArrayLike, matrix: str = ""
    ) -> RecordedSpectrum:
        """Take a density on a grid, as smoothed spectral densities come.

        Parameters
        ----------
        grid : array_like, shape (n,)
            Increasing, n >= 2.
        density : array_like, shape (n,)
            >= 0; the weights are those of the trapezoid rule.
        matrix : str, optional
            What it is the spectrum of.

        Raises
        ------
        SpecError
            If grid or density is not as said above.
        """
        x, y = _finite("grid", grid), _finite("density", density)
        if x.ndim != 1 or x.size < 2 or x.shape != y.shape or (np.diff(x) <= 0).any():
            raise SpecError(
                "grid must be increasing and of one shape (n,), n >= 2, with the density, got "
                f"shapes {x.shape} and {y.shape}"
            )
        steps = np.diff(x)
        widths = 0.5 * (np.append(steps, 0.0) + np.insert(steps, 0, 0.0))
        return cls(x, widths * y, matrix)

    def __repr__(self) -> str:
        kind = "eigenvalues" if self.weights is None else "weighted nodes"
        of = f" of {self.matrix}" if self.matrix else ""
        return (
            f"<RecordedSpectrum: {self.nodes.size} {kind}{of} "
            f"in [{self.nodes[0]:.6g}, {self.nodes[-1]:.6g}]>"
        )

    def __len__(self) -> int:
        return len(self.eigenvalues)

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> NDArray[Any]:
        return np.array(self.eigenvalues, dtype=dtype)

    def __mul__(self, factor: float) -> RecordedSpectrum:
        """Scale the matrix."""
        return RecordedSpectrum(self.nodes * factor, self.weights, self.matrix)

    __rmul__ = __mul__

    @cached_property
    def eigenvalues(self) -> Array:
        """The eigenvalues, ascending; of weighted nodes, 4096 mid-quantiles."""
        if self.weights is None:
            return self.nodes
        middles = (np.arange(_QUANTILES) + 0.5) / _QUANTILES
        places = np.searchsorted(np.cumsum(self.weights), middles)
        return _frozen(self.nodes[np.minimum(places, self.nodes.size - 1)])

    @cached_property
    def law(self) -> Atomic:
        """The spectrum as a law of atoms."""
        masses = self.weights
        if masses is None:
            masses = np.full(self.nodes.size, 1.0 / self.nodes.size)
        held = masses > 0
        return Atomic(tuple(self.nodes[held].tolist()), tuple(masses[held].tolist()))

    def moments(self, order: int) -> tuple[float, ...]:
        """Moments 1..order."""
        return tuple(
            float(np.average(self.nodes**k, weights=self.weights)) for k in range(1, order + 1)
        )

    def top(self, count: int, size: int) -> RecordedSpectrum:
        """Return the part of the largest eigenvalues: a dual without the trivial zeros.

        Parameters
        ----------
        count, size : int
            The `count` largest of the `size` eigenvalues of the matrix; the share count/size of
            the whole weight is kept.

        Raises
        ------
        SpecError
            If not 1 <= count <= size.
        """
        if not 1 <= count <= size:
            raise SpecError(f"count must be within 1..size={size}, got {count!r}")
        weights = self.weights
        if weights is None:
            weights = np.full(self.nodes.size, 1.0 / self.nodes.size)
        share = count / size
        above = np.cumsum(weights[::-1])[::-1]
        kept = np.clip(share - (above - weights), 0.0, weights)
        held = kept > 1e-12 * share
        if self.weights is None and np.ptp(kept[held]) <= 1e-9 * share:
            return RecordedSpectrum(self.nodes[held], None, self.matrix)
        return RecordedSpectrum(self.nodes[held], kept[held], self.matrix)

    def distance(self, law: Law, kind: str = "wasserstein") -> float:
        """Distance to a law, "wasserstein" or "ks", weights exact; see `Law.distance`."""
        if self.weights is None:
            return law.distance(self.nodes, kind)
        return law.distance(self.law, kind)

    def plot(self, law: Law, **options: Any) -> Axes:
        """Draw the spectrum under a law; options as of `Law.plot`."""
        return law.plot(self.eigenvalues, **options)


def _finite(name: str, values: ArrayLike) -> Array:
    try:
        array = np.asarray(values)
        if np.iscomplexobj(array) and not array.imag.any():
            array = array.real
        array = array.astype(np.float64, casting="same_kind")
    except (TypeError, ValueError, RuntimeError):
        raise SpecError(f"{name} must be an array of real numbers, got {values!r}") from None
    if array.size == 0 or not np.isfinite(array).all():
        raise SpecError(f"{name} must hold finite numbers, at least one, got {values!r}")
    return array


def _frozen(array: Array) -> Array:
    array.flags.writeable = False
    return array
