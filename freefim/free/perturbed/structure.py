"""Atoms, bands and edges of products of 1 + X."""

from itertools import pairwise

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.perturbed.line import Line
from freefim.free.perturbed.system import Point, System
from freefim.free.solution import Pairs

__all__ = ["MARGINAL", "find_bands", "mass_at_one"]

#: Mass that is 0 up to rounding.
MARGINAL = 1e-12

_DECADES, _COARSE = 15, 4  # below the bound, and points of each
_PER_DECADE, _ACROSS = 24, 120
_LEAST = 1e-280
_MANY = 0.4
_NEAREST = 28  # halves of decades towards 1

_TRIES = 10
_SHARES = np.linspace(0.0, 1.0, 17)
_POLISHINGS, _CLOSE, _NUDGE = 30, 1e-7, 1e-6
_BESIDE = (1e-3, 1e-2, 1e-1)


def mass_at_one(system: System) -> float:
    """Mass at 1 of what no block turns: at most 0 if there is no atom."""
    still = np.array([2.0 * dict(leaf.atoms).get(0.0, 0.0) - 1.0 for leaf in system.leaves])
    return float(1.0 - (system.counts * (1.0 - still)).sum())


def find_bands(line: Line, fine: int = 1) -> Pairs:
    """Intervals of the continuous part, by a scan that every point of is certain.

    Parameters
    ----------
    line : Line
    fine : int
        Factor of the number of points.

    Raises
    ------
    ConvergenceError
        If an edge is not found.
    """
    bound = line.system.bound
    decades = _DECADES * fine
    far = bound * 10.0 ** -np.linspace(0.0, decades, decades * _COARSE)
    _, band, gap = line.look(far)
    found = [(far, band, gap)]
    if band[-1]:
        # the density is a power of x near 0, at worst x^(-N/(N + 1))
        factors = float(line.system.counts.sum())
        line.march(max(far[-1] * 10.0 ** (-_DECADES * factors), _LEAST))
    if not band.any():
        low, high = 1.0, 1.0
    else:
        low, high = far[band].min(), far[band].max()
    low, high = max(low / 10.0, 1e-6 * high), min(10.0 * high, bound)
    # what half of closed gates nearly leaves at 1
    close = max(dict(leaf.atoms).get(0.0, 0.0) for leaf in line.system.leaves) > _MANY
    near = 10.0 ** -np.linspace(0.0, 0.5 * _NEAREST, 2 * _NEAREST if close else 2)
    points = [
        np.geomspace(low, high, 2 + int(_PER_DECADE * fine * np.log10(high / low))),
        np.linspace(low, high, _ACROSS * fine),
        1.0 - near[near < 1.0],
        1.0 + near,
    ]
    x = np.unique(np.concatenate(points))
    x = x[x <= bound]
    found.append((x, *line.look(x)[1:]))
    x, band, gap = (np.concatenate(parts) for parts in zip(*found, strict=True))
    known = np.flatnonzero(band | gap)
    known = known[np.argsort(x[known])]
    x, band = x[known], band[known]
    if band.size == 0:
        raise ConvergenceError("no point of the real line could be told to be in a band or a gap")
    edges = [0.0] if band[0] else []
    marginal = abs(mass_at_one(line.system)) <= MARGINAL
    for (before, was), (after, is_) in pairwise(zip(x.tolist(), band.tolist(), strict=True)):
        if marginal and was and is_ and before < 1.0 < after:
            edges += [1.0, 1.0]
        elif was != is_:
            if marginal and before < 1.0 < after:
                edges.append(1.0)
            else:
                edges.append(_edge(line, *((after, before) if was else (before, after))))
    if len(edges) % 2:
        raise ConvergenceError(f"the ends of bands do not pair: {edges!r}")
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def _edge(line: Line, gap: float, within: float) -> float:
    """The edge between a point of a gap and one of a band."""
    for attempt in range(_TRIES):
        x = gap + _SHARES * (within - gap)
        point, in_band, in_gap = line.look(x)
        inside = np.flatnonzero(in_band)
        outside = np.flatnonzero(in_gap[: inside[0]] if inside.size else [])
        if outside.size == 0:
            break
        gap, within = float(x[outside[-1]]), float(x[inside[0]])
        edge = _polished(line.system, point.at(outside[-1:]))
        if min(gap, within) < edge < max(gap, within):
            # the points next to it lie where they belong, or, once it is narrowed down, are too
            # close to tell: masses and moments judge it
            beside = edge + np.outer(np.array([gap, within]) - edge, _BESIDE).ravel()
            _, bands, gaps = line.look(beside)
            half = len(_BESIDE)
            wrong = bands[:half].any() or gaps[half:].any()
            if not wrong and (attempt > 0 or (gaps[:half].any() and bands[half:].any())):
                return edge
    raise ConvergenceError(f"the edge between {gap!r} and {within!r} was not found")


def _polished(system: System, point: Point) -> float:
    """Place at which d log z/dP vanishes, by Newton along the curve of solved blocks."""
    point = point.real
    best, smallest = float("nan"), _CLOSE
    nothing = np.zeros(1, complex)
    with np.errstate(all="ignore"):
        for _ in range(_POLISHINGS):
            state = system.state(point, nothing)
            unit = _NUDGE / float(point.change(state.along)[0])
            up, down, mended = (
                float(system.state(point.moved(way, by), nothing).stretch.real[0])
                for way, by in ((state.along, unit), (state.along, -unit), (state.repair, 1.0))
            )
            length = -2.0 * unit * mended / (up - down) if up != down else float("nan")
            step = state.repair.moved(state.along, length)
            change = float(point.change(step)[0])
            if not np.isfinite(change):
                break
            if change < smallest:
                best, smallest = float(np.exp(state.log_z.real[0])), change
            elif smallest < _CLOSE:
                break
            point = point.moved(step, min(1.0, 0.3 / change) if change > 0.0 else 1.0)
            point = point.real
    return best
