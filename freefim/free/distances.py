"""Distances between laws, and between a law and eigenvalues."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError

if TYPE_CHECKING:
    from freefim.free.solution import Solution

__all__ = ["at_atoms", "between_laws", "to_eigenvalues"]

Array = NDArray[np.float64]
_KINDS = ("wasserstein", "ks")
# Eigenvalues this close to an atom, relative to the support, are the atom, up to rounding.
_ALIGNMENT = 1e-9


def between_laws(first: "Solution", second: "Solution", kind: str) -> float:
    """Distance between two solved laws."""
    _check_kind(kind)
    _check_bounded(first)
    _check_bounded(second)
    points = np.unique(np.concatenate([_grid(first), _grid(second)]))
    if kind == "wasserstein":
        return _area(lambda x: np.abs(first.cdf(x) - second.cdf(x)), points)
    right = np.abs(first.cdf(points) - second.cdf(points))
    left = np.abs(_left_limit(first, points) - _left_limit(second, points))
    return float(max(right.max(), left.max()))


def to_eigenvalues(law: "Solution", eigenvalues: Array, kind: str) -> float:
    """Distance of a solved law to the empirical law of eigenvalues, pooled."""
    _check_kind(kind)
    _check_bounded(law)
    sample = np.sort(eigenvalues, axis=None)
    if sample.size == 0 or not np.all(np.isfinite(sample)):
        raise SpecError(f"eigenvalues must be finite and at least one, got {eigenvalues!r}")
    if kind == "wasserstein":
        points = np.unique(np.concatenate([_grid(law), sample]))
        return _area(
            lambda x: np.abs(law.cdf(x) - np.searchsorted(sample, x, side="right") / sample.size),
            points,
        )
    # what the sample has too much of up to here, and too much of from here on; an eigenvalue is
    # known to the rounding of the whole spectrum, so that the law may be read that far away
    rank = np.arange(sample.size)
    blur = _ALIGNMENT * _scale(law)
    return float(
        max(
            ((rank + 1) / sample.size - law.cdf(sample + blur)).max(),
            (law.cdf(np.nextafter(sample - blur, -np.inf)) - rank / sample.size).max(),
            0.0,
        )
    )


def at_atoms(law: "Solution", eigenvalues: Array) -> Array:
    """Eigenvalues with those that equal an atom up to rounding set to it."""
    if not law.atoms:
        return eigenvalues
    locations = np.array([location for location, _ in law.atoms])
    nearest = np.clip(np.searchsorted(locations, eigenvalues), 1, max(len(locations) - 1, 1))
    low, high = locations[nearest - 1], locations[np.minimum(nearest, len(locations) - 1)]
    closest = np.where(np.abs(eigenvalues - low) <= np.abs(eigenvalues - high), low, high)
    return np.where(np.abs(eigenvalues - closest) <= _ALIGNMENT * _scale(law), closest, eigenvalues)


def _scale(law: "Solution") -> float:
    """Largest absolute value of the support."""
    ends = [abs(end) for band in law.bands for end in band]
    return max([*ends, *(abs(location) for location, _ in law.atoms)])


def _check_kind(kind: str) -> None:
    if kind not in _KINDS:
        raise SpecError(f"kind must be one of {', '.join(map(repr, _KINDS))}, got {kind!r}")


def _check_bounded(law: "Solution") -> None:
    if not np.all(np.isfinite(law.bands)):
        raise SpecError(f"a distance needs laws of bounded support, got one on {law.bands!r}")


def _grid(law: "Solution") -> Array:
    """Points that resolve the distribution function: atoms, edges, 400 inside every band."""
    share = np.sin(0.5 * np.pi * np.linspace(0.0, 1.0, 401)) ** 2
    pieces = [left + (right - left) * share for left, right in law.bands]
    return np.concatenate([*pieces, [location for location, _ in law.atoms]])


def _left_limit(law: "Solution", x: Array) -> Array:
    values = law.cdf(x)
    for location, mass in law.atoms:
        values = values - np.where(x == location, mass, 0.0)
    return values


def _area(height: Callable[[Array], Array], points: Array) -> float:
    """Integral over consecutive points, by three-point Gauss quadrature on each interval."""
    node, weight = np.polynomial.legendre.leggauss(3)
    middle, half = 0.5 * (points[1:] + points[:-1]), 0.5 * np.diff(points)
    x = middle[:, None] + half[:, None] * node
    return float(np.sum(half[:, None] * weight * height(x.ravel()).reshape(x.shape)))
