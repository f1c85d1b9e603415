"""A law for readers: tables, pictures, one line of text."""

from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.free.solution import Array

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.free.law import Law
    from freefim.tables import Table

__all__ = ["describe", "grid", "plot", "summary", "table"]


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
    share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, each)) ** 2
    pieces = [left + (right - left) * share for left, right in law.bands]
    for piece, (_, right) in zip(pieces, law.bands, strict=True):
        piece[-1] = right
    return np.unique(np.concatenate(pieces))


def describe(law: "Law") -> dict[str, Any]:
    """The law in numbers, ready for a table's metadata."""
    accuracy = law.accuracy
    return {
        "law": repr(law),
        "atoms": [list(atom) for atom in law.atoms],
        "bands": [list(band) for band in law.bands],
        "band_masses": list(law.band_masses),
        "support": list(law.support),
        "mean": float(law.mean()),
        "variance": float(law.variance()),
        "mass_defect": accuracy.mass_defect,
        "edge_residual": accuracy.edge_residual,
        "tail": accuracy.tail,
        "method": accuracy.method,
        "remarks": list(accuracy.remarks),
    }


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
    for left, right in law.bands:
        share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, 401)) ** 2
        x = np.unique(np.clip(left + (right - left) * share, left, right))
        panels.append((x, law.pdf(x)))
    return plot_density(panels, law.atoms, eigenvalues, ax=ax, title=title, log=log)


def summary(law: "Law") -> str:
    """Support, bands, atoms, mean, variance and accuracy in one line."""
    low, high = law.support
    atoms = ", ".join(f"{mass:.6g} at {location:.10g}" for location, mass in law.atoms[:6])
    more = f" and {len(law.atoms) - 6} more" if len(law.atoms) > 6 else ""
    bands = f"{len(law.bands)} band{'' if len(law.bands) == 1 else 's'}"
    return (
        f"law on [{low:.10g}, {high:.10g}]: {bands}, atoms: {atoms or 'none'}{more}; "
        f"mean {float(law.mean()):.10g}, variance {float(law.variance()):.6g}; "
        f"mass defect {law.accuracy.mass_defect:.1e} ({law.accuracy.method})"
    )
