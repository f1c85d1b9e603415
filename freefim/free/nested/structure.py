"""Atoms, gaps and edges of sums of nested covariances."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.nested.system import System
from freefim.free.solution import Pairs
from freefim.free.trees.atoms import tree_atoms

if TYPE_CHECKING:
    from freefim.free.nested.law import NestedCovariances

__all__ = ["find_bands", "nested_atoms", "top_edge"]

Array = NDArray[np.float64]

_PER_DECADE, _ACROSS = 16, 240
_NEAREST = 1e-13  # to the shift, relative to the scale, that the line is looked at
_DIPS, _PARTS, _SHALLOW = 10, 4, 0.9  # rounds, pieces, and depth of dips looked into for gaps
_NARROWER = 6  # bisections before an edge is tried again
_TRIES = 7
_POLISHINGS = 30
_CLOSE = 1e-7  # relative size of a last step of Newton
_BESIDE = 1e-8  # relative distance to an edge at which gap and band are told apart
_NUDGE = 1e-11  # imaginary part that carries a derivative
_NO_MASS = 1e-13


def nested_atoms(law: "NestedCovariances") -> Pairs:
    """Atoms (location, mass) by rank: what the levels leave of the atoms of the population."""
    inner = {float(at): float(mass) for at, mass in tree_atoms(law.population)}
    rooms = [1.0 / float(level.ratio) for level in law.levels]
    tied = [float(level.rest) == 0.0 for level in law.levels]
    used = [float(weight) > 0.0 for weight in law.weights]
    masses = {0.0: 1.0 - _rank([1.0 - inner.get(0.0, 0.0), *rooms], [False, *tied], used)}
    if used[0]:
        above = _rank(rooms, [False, *tied[1:]], used[1:])
        masses |= {at: mass - above for at, mass in inner.items() if at != 0.0}
    shift, scale = float(law.shift), float(law.weights[0])
    return tuple(
        (shift + scale * at, mass) for at, mass in sorted(masses.items()) if mass > _NO_MASS
    )


def _rank(rooms: list[float], tied: list[bool], used: list[bool]) -> float:
    """Rank of a sum of matrices of given ranks; tied ones lie in the range of the one before."""
    total, room, counted = 0.0, 0.0, False
    for own, is_tied, is_used in zip(rooms, tied, used, strict=True):
        room, counted = (min(room, own), counted) if is_tied else (own, False)
        if is_used and not counted:
            total, counted = total + room, True
    return total


def find_bands(system: System, bound: float, fine: int = 1) -> Pairs:
    """Intervals of the continuous part, by a scan that every point of is certain.

    Parameters
    ----------
    system : System
    bound : float
        Above the whole spectrum, from the shift.
    fine : int
        Factor of the number of points.

    Raises
    ------
    ConvergenceError
        If an edge is not found.
    """
    y, band = _scan(system, bound, fine)
    if not band.any():
        return ()
    edges = [system.shift] if band[0] else []
    edges += [_end(system, y, band, int(i)) for i in np.flatnonzero(band[1:] != band[:-1])]
    if len(edges) % 2:
        raise ConvergenceError(f"the ends of bands do not pair: {edges!r}")
    return tuple(zip(edges[::2], edges[1::2], strict=True))


def top_edge(system: System, bound: float) -> float:
    """Right end of the continuous part, whatever lies below it; arguments as of `find_bands`.

    Raises
    ------
    ConvergenceError
        If it is not found.
    """
    y, band = _scan(system, bound, 1)
    inside = np.flatnonzero(band[:-1] & ~band[1:])
    if inside.size == 0:
        raise ConvergenceError(f"no band ends between {system.shift!r} and {bound!r} above it")
    return _end(system, y, band, int(inside[-1]))


def _scan(system: System, bound: float, fine: int) -> tuple[Array, NDArray[np.bool_]]:
    """Points, as distances from the shift, and which of them lie in a band."""
    low = _NEAREST * system.scale
    decades = np.log10(bound / low)
    far = low * (bound / low) ** np.linspace(0.0, 1.0, int(_PER_DECADE * fine * decades))
    inside = far[system.line(system.shift + far).band]
    if inside.size == 0:
        return far, np.zeros(far.size, bool)
    y = np.unique(np.concatenate([far, np.linspace(inside[0], inside[-1], _ACROSS * fine)]))
    y, density = _certain(system, y)
    for _ in range(_DIPS):
        dips = np.flatnonzero((density[1:-1] > 0.0) & _dips(density)) + 1
        if dips.size == 0:
            break
        before = np.unique(np.concatenate([dips - 1, dips]))
        parts = np.arange(1, _PARTS) / _PARTS
        more = y[before, None] + (y[before + 1] - y[before])[:, None] * parts
        extra, values = _certain(system, more.ravel())
        order = np.argsort(np.concatenate([y, extra]))
        y = np.concatenate([y, extra])[order]
        density = np.concatenate([density, values])[order]
    return y, density > 0.0


def _end(system: System, y: Array, band: NDArray[np.bool_], i: int) -> float:
    """The edge between the points i and i + 1 of a scan."""
    gap, within = (y[i + 1], y[i]) if band[i] else (y[i], y[i + 1])
    return _edge(system, float(gap), float(within))


def _certain(system: System, y: Array) -> tuple[Array, Array]:
    """Points, from the shift, that are known to be in a band or a gap, and the density there."""
    found = system.line(system.shift + y)
    known = found.band | found.gap
    return y[known], np.where(found.band, -found.cauchy.imag / np.pi, 0.0)[known]


def _dips(density: Array) -> NDArray[np.bool_]:
    """Whether a gap may hide beside a point: lower than one neighbour by far, than none higher."""
    left, middle, right = density[:-2], density[1:-1], density[2:]
    low = (middle <= left) & (middle <= right)
    return np.asarray(low & (middle < _SHALLOW * np.maximum(left, right)))


def _edge(system: System, gap: float, within: float) -> float:
    """The edge between a point of a gap and one of a band, as distances from the shift."""
    for _ in range(_TRIES):
        found = system.line(np.array([system.shift + gap]))
        if found.gap[0]:
            edge = _polished(system, found.s[:, 0].real, system.shift + gap) - system.shift
            if min(gap, within) < edge < max(gap, within):
                # the points next to it must lie where they belong
                step = _BESIDE * edge * np.sign(within - gap)
                beside = system.line(system.shift + np.array([edge - step, edge + step]))
                if beside.gap[0] and beside.band[1]:
                    return edge + system.shift
        for _ in range(_NARROWER):
            middle = np.sqrt(gap * within)
            there = system.line(np.array([system.shift + middle]))
            if there.band[0]:
                within = middle
            elif there.gap[0]:
                gap = middle
            else:
                break
    raise ConvergenceError(
        f"the edge between {float(system.shift + gap)!r} and {float(system.shift + within)!r} was "
        "not found"
    )


def _polished(system: System, s: Array, x: float) -> float:
    """Root of the equations at which their Jacobian is singular, by Newton from a point nearby.

    Derivatives of the determinant are carried by imaginary parts too small to be felt.
    """
    k = s.size
    point = np.append(s, x)
    best, smallest = float("nan"), _CLOSE
    with np.errstate(all="ignore"):
        for _ in range(_POLISHINGS):
            size = np.append(np.abs(point[:k]), abs(point[k] - system.shift))
            moved = point[:, None] + 1j * _NUDGE * np.diag(size)
            at = system.state(moved[:k], moved[k])
            determinants = np.linalg.det(np.moveaxis(at.jacobian[:, :k], -1, 0))
            matrix = np.vstack([at.jacobian[:, :, 0].real * size, determinants.imag / _NUDGE])
            right = np.append(at.residual[:, 0].real, determinants[0].real)
            rows = np.abs(matrix).max(axis=1)
            if not (np.isfinite(right).all() and np.isfinite(rows).all() and rows.all()):
                break
            try:
                step = np.linalg.solve(matrix / rows[:, None], right / rows)
            except np.linalg.LinAlgError:
                break
            change = float(np.abs(step).max())
            point = point - size * np.clip(step, -0.5, 0.5)
            if change < smallest:
                best, smallest = float(point[k]), change
            elif smallest < _CLOSE:
                break
    return best
