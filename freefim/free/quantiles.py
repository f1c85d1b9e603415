"""Quantiles of a solved law."""

from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError

if TYPE_CHECKING:
    from freefim.free.law import Solution

__all__ = ["icdf"]

Array = NDArray[np.float64]


def icdf(solution: "Solution", p: Array) -> Array:
    """Smallest x with cdf(x) >= p, shape (n,); NaN outside [0, 1]."""
    pieces = sorted(
        [(left, right, mass) for (left, right), mass in
         zip(solution.bands, solution.band_masses, strict=True)]
        + [(location, location, mass) for location, mass in solution.atoms]
    )  # fmt: skip
    lefts, rights, masses = (np.array(column) for column in zip(*pieces, strict=True))
    below = np.cumsum(masses)
    total = below[-1]
    valid = (p >= 0.0) & (p <= 1.0)
    # p = 1 and p beyond the rounded total belong to the last piece
    index = np.minimum(np.searchsorted(below, np.where(valid, p, 0.0)), len(pieces) - 1)
    x = np.where(valid, lefts[index], np.nan)
    x[valid & (p >= total)] = rights[-1]
    inside = valid & (rights[index] > lefts[index]) & (p < total) & (p > 0.0)
    if np.any(inside):
        x[inside] = _in_bands(solution, p[inside], lefts[index[inside]], rights[index[inside]])
    return x


def _in_bands(solution: "Solution", p: Array, left: Array, right: Array) -> Array:
    """Root of cdf = p in θ, x = left + (right - left) sin²(θ/2): smooth at every edge."""
    from scipy.optimize.elementwise import find_root  # noqa: PLC0415

    def place(theta: Array, left: Array, right: Array) -> Array:
        return np.clip(left + (right - left) * np.sin(0.5 * theta) ** 2, left, right)

    def excess(theta: Array, p: Array, left: Array, right: Array) -> Array:
        x = place(theta, left, right)
        values = solution.cdf(x) - p
        # the ends belong to the neighbours: an atom may sit on one, a rounding may flip a sign
        values = np.where(theta <= 0.0, -1.0, values)
        return np.where(theta >= np.pi, 1.0, values)

    result = find_root(excess, (np.zeros_like(p), np.full_like(p, np.pi)), args=(p, left, right))
    if not np.all(result.success):
        worst = p[~result.success][0]
        raise ConvergenceError(f"the quantile of p = {float(worst)!r} did not converge")
    return place(result.x, left, right)
