"""Pictures of a spectrum: arrays in, axes and files out.

Density lines per band, atoms as stems on their own axis, sampled eigenvalues as a histogram
under the density. matplotlib is imported inside the calls, and pyplot only by its user: a new
figure is a plain `Figure`, so that drawing never touches the state of an interactive session.
"""

import os
from collections.abc import Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import MissingExtraError, SpecError
from freefim.tables import write_whole

if TYPE_CHECKING:
    from matplotlib.axes import Axes
    from matplotlib.figure import Figure

__all__ = ["PICTURE_SUFFIXES", "plot_density", "save_figure"]

PICTURE_SUFFIXES = (".png", ".pdf", ".svg")

Floats = NDArray[np.float64]

_DENSITY, _ATOMS, _SAMPLE = "#1f4e8c", "#b3261e", "#8f99a3"
# The axis ends a little above the height below which this share of the continuous mass lies,
# so that a pole at a hard edge runs off the top instead of flattening everything else.
_SHOWN_MASS, _HEADROOM = 0.9, 1.35
# At most so many masses are written, none below this share of the largest, so far apart.
_LABELLED, _SMALL, _APART = 10, 0.02, 0.06
_FEW_DECADES = 3e3
_FEW, _BINS = 12, 100
_AT_ATOM = 1e-9


def plot_density(
    panels: Sequence[tuple[ArrayLike, ArrayLike]],
    atoms: Sequence[tuple[float, float]] = (),
    eigenvalues: ArrayLike | None = None,
    *,
    ax: "Axes | None" = None,
    title: str | None = None,
    xlabel: str = "eigenvalue λ",
    log: bool = False,
) -> "Axes":
    """Draw a spectral law, and the eigenvalues sampled from it.

    Parameters
    ----------
    panels : sequence of (x, pdf)
        One pair of increasing abscissae and densities, each of shape (n,), per band; ``inf`` is
        allowed at a hard edge. The densities are those of the law with its atoms, so that their
        integrals and the atoms' masses sum to 1.
    atoms : sequence of (location, mass), optional
        The point masses, drawn as stems on a second axis.
    eigenvalues : array_like, optional
        A sample of any shape. Eigenvalues outside every band that lie nearer to an atom than
        to a band are counted at that atom (an open circle at the share found there); the others
        make the histogram, whose area is their share of the sample.
    ax : matplotlib.axes.Axes, optional
        Where to draw; a new figure if not given.
    title, xlabel : str, optional
        Text of the picture.
    log : bool, optional
        Logarithmic abscissa; the ordinate is then the density of ln λ, so that areas remain
        masses. An atom at 0, which has no place on that axis, is named in the legend.

    Returns
    -------
    matplotlib.axes.Axes
        The axes of the density; ``axes.figure`` is the figure.

    Raises
    ------
    SpecError
        If there is nothing to draw, a panel is malformed, or `log` meets a negative spectrum.
    MissingExtraError
        If matplotlib is not installed.

    Examples
    --------
    >>> x = np.linspace(-2, 2, 101)
    >>> axes = plot_density([(x, np.sqrt(4 - x**2) / (2 * np.pi))], title="Semicircle")
    >>> axes.get_xlabel()
    'eigenvalue λ'
    """
    curves = [_panel(x, pdf) for x, pdf in panels]
    points = np.array(sorted(atoms), dtype=float).reshape(-1, 2)
    sample = np.sort(np.asarray([] if eigenvalues is None else eigenvalues, dtype=float), axis=None)
    _check(curves, points, sample, log)
    home = _home(curves, points, sample)
    if log:
        curves = [(x[x > 0], (x * np.where(x > 0, y, 0))[x > 0]) for x, y in curves]

    axes = _new_axes() if ax is None else ax
    ylabel = "density of ln λ" if log else "density ρ(λ)"
    if log:
        axes.set_xscale("log")
    if sample.size:
        _draw_sample(axes, sample, home, curves, log)
    if curves:
        top = _ceiling(curves, log)
        _draw_density(axes, curves, top)
        axes.set_ylim(0, top)
    axes.set(xlabel=xlabel, ylabel=ylabel, title=title)
    handles, _ = axes.get_legend_handles_labels()
    if points.size:
        shares = np.bincount(home[home >= len(curves)] - len(curves), minlength=len(points))
        stems = _draw_atoms(axes, points, shares / sample.size if sample.size else None, log)
        handles += stems.get_legend_handles_labels()[0]
    if log:
        _plain_ticks(axes)
    axes.legend(
        handles=handles, loc="upper center", bbox_to_anchor=(0.5, -0.16), ncols=4, frameon=False
    )
    return axes


def save_figure(figure: "Figure | Axes", path: str | os.PathLike[str]) -> None:
    """Write a figure, or the figure of some axes, whole or not at all.

    Parameters
    ----------
    figure : matplotlib.figure.Figure or matplotlib.axes.Axes
        What to write.
    path : path-like
        The file; its suffix names the format: .png, .pdf or .svg.

    Raises
    ------
    SpecError
        If the suffix is another one, or the file cannot be written.
    """
    suffix = Path(path).suffix.lower()
    if suffix not in PICTURE_SUFFIXES:
        raise SpecError(
            f"path must end in one of {', '.join(PICTURE_SUFFIXES)}, got {os.fspath(path)!r}"
        )
    whole: Any = getattr(figure, "figure", figure)
    write_whole(path, lambda stream: whole.savefig(stream, format=suffix[1:], dpi=160))


def _panel(x: ArrayLike, pdf: ArrayLike) -> tuple[Floats, Floats]:
    abscissae, heights = np.asarray(x, dtype=float), np.asarray(pdf, dtype=float)
    if (
        abscissae.ndim != 1
        or abscissae.shape != heights.shape
        or abscissae.size < 2
        or not np.isfinite(abscissae).all()
        or (np.diff(abscissae) < 0).any()
        or not (heights >= 0).all()
    ):
        raise SpecError(
            "a panel must be a pair (x, pdf) of arrays of one shape (n,), n >= 2, with x finite "
            f"and increasing and pdf >= 0, got x={x!r}, pdf={pdf!r}"
        )
    return abscissae, heights


def _check(curves: list[tuple[Floats, Floats]], points: Floats, sample: Floats, log: bool) -> None:
    if not (curves or points.size):
        raise SpecError("panels or atoms must hold something to draw, got neither")
    if not (np.isfinite(points).all() and np.isfinite(sample).all()):
        raise SpecError("atoms and eigenvalues must be finite, got a NaN or an infinity")
    lowest = min([float(x[0]) for x, _ in curves] + points[:, 0].tolist())
    if log and lowest < 0:
        raise SpecError(f"log=True needs a spectrum without negative part, got one from {lowest!r}")


def _new_axes() -> "Axes":
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ImportError as error:
        raise MissingExtraError("matplotlib", "plot", "a picture") from error
    figure = Figure(figsize=(9, 5), layout="constrained")
    FigureCanvasAgg(figure)
    axes: Axes = figure.add_subplot()
    axes.spines[["top", "right"]].set_visible(False)
    return axes


def _home(curves: list[tuple[Floats, Floats]], points: Floats, sample: Floats) -> NDArray[np.intp]:
    """Give each eigenvalue the index of its band, or of its atom counted after the bands."""
    edges = np.array([(x[0], x[-1]) for x, _ in curves]).reshape(-1, 2)
    to_band = np.maximum(edges[:, :1] - sample, sample - edges[:, 1:])
    to_atom = np.abs(points[:, :1] - sample)
    # Inside a band an eigenvalue is the band's own, unless it sits on an embedded atom.
    scale = np.abs(np.concatenate([edges.ravel(), points[:, 0]])).max()
    on_atom = to_atom <= _AT_ATOM * scale
    # At finite width an atom moves as a whole: eigenvalues that repeat belong to one.
    close = np.diff(sample) <= _AT_ATOM * scale
    repeats = np.append(close, False) | np.insert(close, 0, False)
    if points.size:
        to_band = np.where(repeats, np.inf, to_band)
    distance = np.vstack([np.maximum(to_band, 0), np.where(on_atom, -1, to_atom)])
    nearest: NDArray[np.intp] = np.argmin(distance, axis=0)
    return nearest


def _draw_sample(
    axes: "Axes",
    sample: Floats,
    home: NDArray[np.intp],
    curves: list[tuple[Floats, Floats]],
    log: bool,
) -> None:
    """Draw one histogram per band, of area the share of the sample that is at home there."""
    bars = []
    for band, (x, _) in enumerate(curves):
        inside = sample[(home == band) & ((sample > 0) | (not log))]
        if inside.size:
            ends = x[[0, -1]]
            edges = np.exp(_bins(np.log(inside), np.log(ends))) if log else _bins(inside, ends)
            counts, _ = np.histogram(inside, edges)
            steps = np.diff(np.log(edges) if log else edges)
            bars.append((edges[:-1], counts / (sample.size * steps), np.diff(edges)))
    if bars:
        left, height, width = (np.concatenate(part) for part in zip(*bars, strict=True))
        axes.bar(left, height, width, align="edge", color=_SAMPLE, alpha=0.55, label="sampled")


def _bins(values: Floats, ends: Floats) -> Floats:
    """Bin edges over the band and its values; widths by the rule of Freedman and Diaconis."""
    low, high = min(values[0], ends[0]), max(values[-1], ends[1])
    quarter, three_quarters = np.quantile(values, [0.25, 0.75])
    width = 2 * (three_quarters - quarter) / np.cbrt(values.size)
    # A handful of values has no quartiles to speak of: one bar over their band.
    few = values.size < _FEW or not width > 0
    return np.linspace(low, high, 2 if few else 1 + min(int(np.ceil((high - low) / width)), _BINS))


def _draw_density(axes: "Axes", curves: list[tuple[Floats, Floats]], top: float) -> None:
    gap = np.array([np.nan])
    x = np.concatenate([part for x, _ in curves for part in (x, gap)])
    # A pole is a line that leaves the picture; renderers overflow on the true height.
    y = np.concatenate([part for _, y in curves for part in (np.minimum(y, 100 * top), gap)])
    label = "density" if len(curves) == 1 else f"density ({len(curves)} bands)"
    axes.plot(x, y, color=_DENSITY, linewidth=1.4, label=label)
    axes.fill_between(x, y, color=_DENSITY, alpha=0.18, linewidth=0)


def _ceiling(curves: list[tuple[Floats, Floats]], log: bool) -> float:
    """Give the height at which the axis of the density ends."""
    # The lower end of each step stands for it, so that a pole counts with a finite height.
    heights = np.concatenate([np.minimum(y[:-1], y[1:]) for _, y in curves])
    steps = np.concatenate([np.diff(np.log(x) if log else x) for x, _ in curves])
    order = np.argsort(heights)
    mass = np.cumsum((heights * steps)[order])
    enough = heights[order][np.searchsorted(mass, _SHOWN_MASS * mass[-1])]
    highest = max(float(y.max()) for _, y in curves)
    return float(min(_HEADROOM * enough, 1.08 * highest)) or 1.0


def _draw_atoms(axes: "Axes", points: Floats, shares: Floats | None, log: bool) -> "Axes":
    """Draw the atoms on an axis of their own, which is given back."""
    stems: Axes = axes.twinx()
    shown = (points[:, 0] > 0) | (not log)
    size = 5 if len(points) <= _LABELLED else 3
    dots: dict[str, Any] = {"linestyle": "none", "marker": "o", "color": _ATOMS}
    for location, mass in points[~shown]:
        name = f"atom of mass {mass:.3g} at {location:.3g}"
        stems.plot([], [], **dots, markersize=size, label=name)
    x, mass = points[shown].T
    if x.size:
        stems.vlines(x, 0, mass, color=_ATOMS, linewidth=1.6)
        name = "atom" if x.size == 1 else f"atoms ({x.size})"
        stems.plot(x, mass, **dots, markersize=size, label=name)
        if shares is not None:
            rings = {**dots, "markerfacecolor": "none", "markersize": size + 4}
            stems.plot(x, shares[shown], **rings, label="sampled share")
    tallest = max(points[:, 1].max(), shares.max() if shares is not None else 0)
    stems.set_ylim(0, min(1.2 * tallest, 1.08))
    stems.set_ylabel("atom mass", color=_ATOMS)
    stems.tick_params(axis="y", colors=_ATOMS)
    stems.spines["top"].set_visible(False)
    stems.spines["right"].set(visible=True, color=_ATOMS)
    _label_atoms(stems, x, mass, log)
    return stems


def _label_atoms(stems: "Axes", x: Floats, mass: Floats, log: bool) -> None:
    """Write the masses of the largest atoms, as far as they do not run into each other."""
    low, high = np.log(stems.get_xlim()) if log else stems.get_xlim()
    place = ((np.log(x) if log else x) - low) / (high - low)
    labelled: list[float] = []
    for i in np.argsort(-mass, kind="stable")[:_LABELLED]:
        if mass[i] > _SMALL * mass.max() and all(abs(place[i] - p) > _APART for p in labelled):
            labelled.append(place[i])
            stems.annotate(
                f"{mass[i]:.3g}",
                (x[i], mass[i]),
                xytext=(0, 7),
                textcoords="offset points",
                ha="center",
                color=_ATOMS,
            )


def _plain_ticks(axes: "Axes") -> None:
    """Write 0.2, 0.5, 1 under a logarithmic axis of few decades, where 2×10⁻¹ would crowd."""
    from matplotlib.ticker import LogLocator, NullFormatter, StrMethodFormatter

    low, high = axes.get_xlim()
    if high / low < _FEW_DECADES:
        axes.xaxis.set_major_locator(LogLocator(subs=(1.0, 2.0, 5.0)))
        axes.xaxis.set_major_formatter(StrMethodFormatter("{x:g}"))
        axes.xaxis.set_minor_formatter(NullFormatter())
