"""A law for readers: tables, pictures, one line of text."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import ConvergenceError, SpecError
from freefim.free.solution import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.free.law import Law
    from freefim.tables import Table

__all__ = ["describe", "grid", "plot", "summary", "table"]

# Share of a band that reaches to infinity left out at either end of a grid.
_FAR = 5e-3
# Share of a band at 0 that a logarithmic picture leaves out; size of an eigenvalue that is 0.
_LAST, _ZERO = 5e-3, 1e-12


def table(law: "Law", points: int) -> "Table":
    """Density and distribution on a grid, with the law in numbers as metadata."""
    from freefim.tables import Table

    if isinstance(points, bool) or not isinstance(points, int) or points < 2:
        raise SpecError(f"points must be an integer >= 2, got {points!r}")
    x = grid(law, points)
    return Table({"x": x, "pdf": law.pdf(x), "cdf": law.cdf(x)}, describe(law))


def grid(law: "Law", points: int) -> Array:
    """About `points` abscissae over the bands, clustered at every edge, edges included."""
    if not law.bands:
        return np.array([location for location, _ in law.atoms])
    each = max(16, points // len(law.bands))
    return np.unique(np.concatenate([_along(law, band, each) for band in range(len(law.bands))]))


def _along(law: "Law", band: int, count: int) -> Array:
    """Abscissae over a band, clustered at its ends; at quantiles where an end is infinite."""
    left, right = law.bands[band]
    share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, count)) ** 2
    if np.isfinite(right - left):
        x = left + (right - left) * share
        x[-1] = right
        return np.clip(x, left, right)
    kept = share[(share > _FAR) & (share < 1.0 - _FAR)]
    x = np.asarray(law.icdf(law.cdf(left) + law.band_masses[band] * kept))
    return np.concatenate([x, [end for end in (left, right) if np.isfinite(end)]])


def _towards_zero(law: "Law", band: int, eigenvalues: ArrayLike | None) -> Array:
    """Abscissae of a band at 0, equally spaced in ln λ down to its last mass and eigenvalues."""
    right = law.bands[band][1]
    at_zero = float(law.cdf(0.0))
    lowest = float(law.icdf(at_zero + _LAST * law.band_masses[band]))
    if eigenvalues is not None:
        sample = np.asarray(eigenvalues, dtype=float).ravel()
        sample = sample[sample > _ZERO * right]
        lowest = min(lowest, float(sample.min(initial=lowest)))
    if not 0.0 < lowest < right:
        return np.empty(0)
    return np.geomspace(lowest, right, 201)


def describe(law: "Law") -> dict[str, Any]:
    """The law in numbers, ready for a table's metadata."""
    accuracy = law.accuracy
    return {
        "law": repr(law),
        "atoms": [list(atom) for atom in law.atoms],
        "bands": [list(band) for band in law.bands],
        "band_masses": list(law.band_masses),
        "support": list(law.support),
        "mean": _number(law.mean),
        "variance": _number(law.variance),
        "mass_defect": accuracy.mass_defect,
        "edge_residual": accuracy.edge_residual,
        "tail": accuracy.tail,
        "method": accuracy.method,
        "remarks": list(accuracy.remarks),
    }


def _number(moment: Callable[[], Any]) -> float | None:
    """Return a moment, or None where the law has none or none was found."""
    try:
        return float(moment())
    except (SpecError, ConvergenceError):
        return None


def plot(
    law: "Law",
    eigenvalues: ArrayLike | None = None,
    *,
    ax: "Axes | None" = None,
    title: str | None = None,
    log: bool = False,
) -> "Axes":
    """Draw the density and the atoms, over a histogram of eigenvalues if given."""
    from freefim.plots import plot_density

    panels = []
    for band in range(len(law.bands)):
        x = _along(law, band, 401)
        if log and law.bands[band][0] == 0.0:
            x = np.concatenate([x, _towards_zero(law, band, eigenvalues)])
        x = np.unique(x)
        panels.append((x, law.pdf(x)))
    return plot_density(panels, law.atoms, eigenvalues, ax=ax, title=title, log=log)


def summary(law: "Law") -> str:
    """Support, bands, atoms, mean, variance and accuracy in one line; the repr with symbols."""
    from freefim.free.trees.knowledge import has_symbols

    if has_symbols(law):
        return repr(law)
    low, high = law.support
    atoms = ", ".join(f"{mass:.6g} at {location:.10g}" for location, mass in law.atoms[:6])
    more = f" and {len(law.atoms) - 6} more" if len(law.atoms) > 6 else ""
    bands = f"{len(law.bands)} band{'' if len(law.bands) == 1 else 's'}"
    mean, variance = _number(law.mean), _number(law.variance)
    moments = "no mean" if mean is None else f"mean {mean:.10g}"
    moments += "" if variance is None else f", variance {variance:.6g}"
    return (
        f"law on [{low:.10g}, {high:.10g}]: {bands}, atoms: {atoms or 'none'}{more}; "
        f"{moments}; "
        f"mass defect {law.accuracy.mass_defect:.1e} ({law.accuracy.method})"
    )
