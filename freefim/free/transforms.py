"""The Cauchy transform on the closed plane; R and S by its inversion outside the support."""

from collections.abc import Callable
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError, SpecError

if TYPE_CHECKING:
    from freefim.free.law import Law

__all__ = ["cauchy", "r_transform", "s_transform"]

Array = NDArray[np.float64]
# Below this share of the domain's scale z ~ 1/g loses digits, and the series takes over.
_SERIES = 1e-4
# Distances from an end, of the band, at which a density that vanishes there has fallen by half.
_ENDS = np.array([1e-10, 1e-5])


def cauchy(law: "Law", z: NDArray[np.complex128]) -> Any:
    """G at z, any shape; on the real line its values at ends and atoms, NaN inside bands."""
    # the real line is one line, whatever the sign of a zero
    flat = np.where(z.ravel().imag == 0.0, z.ravel().real, z.ravel())
    values = np.where(np.isnan(flat), complex(np.nan, np.nan), 0j)
    real = flat.imag == 0.0
    cut = real & np.any([(a < flat.real) & (flat.real < b) for a, b in law.bands], axis=0)
    values[cut] = complex(np.nan, np.nan)
    left, right = (real & _at_open_ends(law, side, flat.real) for side in (0, 1))
    values[left], values[right] = -np.inf, np.inf
    solved = np.isfinite(flat) & ~(cut | left | right)
    values[solved] = law.solution.cauchy(flat[solved])
    return values.reshape(z.shape)[()]


def _at_open_ends(law: "Law", side: int, x: Array) -> NDArray[np.bool_]:
    """Where x is the left (0) or right (1) end of a band, and the density does not vanish."""
    found = np.zeros(x.shape, dtype=bool)
    atoms = {location for location, _ in law.atoms}
    for band in law.bands:
        at = x == band[side]
        if np.any(at) and np.isfinite(band).all() and band[side] not in atoms:
            near, far = law.solution.pdf(band[side] + _ENDS * (band[1 - side] - band[side]))
            if near > 0.5 * far:
                found |= at
    return found


def r_transform(law: "Law", g: Array) -> Array:
    """R(g) = z - 1/g at real g, shape (n,); NaN outside the domain."""
    low, high = law.support
    size = max(high - low, abs(low), abs(high))
    mean, variance = float(law.mean()), float(law.variance())
    third = law.expect(lambda x: (x - mean) ** 3)
    g = np.where(np.isfinite(g), g, np.nan)
    small = np.abs(g) * size < _SERIES
    # κ_4 is of the order of size⁴: what is left out is below 1e-12 of the size
    values = np.where(small, mean + variance * g + third * g**2, np.nan)
    for side, sign in ((high, 1.0), (low, -1.0)):
        chosen = ~small & (sign * g > 0.0)
        if np.any(chosen):
            z = _outside(lambda z: _real(law, z), g[chosen], side, sign * size)
            values[chosen] = z - 1.0 / g[chosen]
    return values


def s_transform(law: "Law", m: Array) -> Array:
    """S(m) = (1 + m)/(m z) at real m, shape (n,); NaN outside the domain."""
    low, high = law.support
    if low < 0.0 or high == 0.0:
        raise SpecError(f"the S-transform needs a law on [0, ∞) other than the point mass at 0, "
                        f"its support is ({low!r}, {high!r})")  # fmt: skip
    mean, variance = float(law.mean()), float(law.variance())
    second, third = law.moment(2), law.moment(3)
    # χ(m) = m/M_1 - M_2/M_1³ m² + (2 M_2² - M_1 M_3)/M_1⁵ m³, S = (1 + m) χ/m
    square = (2.0 * float(second) ** 2 - mean * float(third)) / mean**5
    m = np.where(np.isfinite(m), m, np.nan)
    small = np.abs(m) < _SERIES * min(1.0, mean**2 / (mean**2 + variance))
    series = (1.0 + m) * (1.0 / mean - float(second) / mean**3 * m + square * m**2)
    values = np.where(small, series, np.nan)
    zero = sum(mass for location, mass in law.atoms if location == 0.0)
    right = ~small & (m > 0.0)
    left = ~small & (m < 0.0) & (m > zero - 1.0)
    size = max(high - low, high)
    if np.any(right):
        z = _outside(lambda z: z * _real(law, z) - 1.0, m[right], high, size)
        values[right] = (1.0 + m[right]) / (m[right] * z)
    if np.any(left):
        z = _outside(lambda z: z * _real(law, z) - 1.0, m[left], 0.0, -size)
        values[left] = (1.0 + m[left]) / (m[left] * z)
    return values


def _real(law: "Law", z: Array) -> Array:
    return np.asarray(law.solution.cauchy(z.astype(complex)).real, dtype=float)


def _outside(function: Callable[[Array], Array], goal: Array, end: float, reach: float) -> Array:
    """Find z beyond `end` with function(z) = goal; NaN where the goal is not reached there.

    The function is monotone beyond the end and tends to 0 at infinity; z = end + reach e^s.
    """
    from scipy.optimize.elementwise import find_root

    near, far = -70.0, 30.0

    def excess(s: Array, goal: Array) -> Array:
        values = function((end + reach * np.exp(s)).ravel()).reshape(np.shape(s))
        # at rounding from the end the transform is infinite (an atom) or has its last value
        return np.where(np.isfinite(values), values - goal, np.sign(goal))

    tightest = max(near, float(np.log(4e-16 * max(abs(end), 1e-300) / abs(reach))))
    starts = np.full(goal.shape, tightest)
    reached = np.abs(excess(starts, goal) + goal) >= np.abs(goal)
    z = np.full(goal.shape, np.nan)
    if np.any(reached):
        result = find_root(
            excess, (starts[reached], np.full(int(reached.sum()), far)), args=(goal[reached],)
        )
        if not np.all(result.success):
            worst = float(goal[reached][~result.success][0])
            raise ConvergenceError(f"the inverse transform did not converge at {worst!r}")
        z[reached] = end + reach * np.exp(result.x)
    return z
