r"""Gaussian averages E f(h), h ~ N(0, q), by quadrature.

Two rules: the trapezoid rule for even functions that are analytic in a strip (it converges
geometrically), and Gauss-Legendre panels that double until they stand still for functions of
which only the kinks are known.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from functools import lru_cache

import numpy as np

from freefim.errors import ConvergenceError
from freefim.networks.activation_base import Array

__all__ = ["panel_mean", "strip_mean"]

# |h| > 9 sqrt(q) holds less than 1e-15 of q^2, the fastest growth averaged here.
_TAIL = 9.0
_SQRT_TWO_PI = math.sqrt(2.0 * math.pi)
# The trapezoid rule of step s errs by exp(-2 pi strip / s), times (2 pi strip / s)^7 / 7! if the
# nearest pole is of order 8 (sech^8): below 1e-17 at this step.
_STEPS_PER_STRIP = 9.0
_STEPS_PER_STD = 3.0

_PANEL_ORDER = 16
_FINEST_PANEL = 0.25
_MAX_NODES = 1 << 18
_AIMED, _PROMISED = 1e-13, 1e-9


@lru_cache(maxsize=64)
def _half_grid(step: float, reach: float) -> tuple[Array, Array]:
    """Nodes 0, step, ... up to `reach` and the weights of the even trapezoid rule."""
    nodes: Array = np.arange(math.ceil(reach / step) + 1, dtype=np.float64) * step
    weights: Array = np.full_like(nodes, 2.0 * step / _SQRT_TWO_PI)
    weights[0] *= 0.5
    return nodes, weights


@lru_cache(maxsize=1)
def _standard_grid() -> tuple[Array, Array]:
    """Nodes and weights for an even function of x ~ N(0, 1)."""
    nodes, weights = _half_grid(1.0 / _STEPS_PER_STD, _TAIL)
    weights = weights * np.exp(-0.5 * nodes * nodes)
    return nodes, weights


def strip_mean(f: Callable[[Array], Array], q: float, *, strip: float, reach: float) -> float:
    r"""Average of an even function that is analytic around the real axis.

    Parameters
    ----------
    f : callable
        Even, vectorised, analytic for ``|Im h| < strip``. Beyond `reach` it is negligible
        against its average, or grows at most quadratically and ``9 sqrt(q) < reach``.
    q : float
        Variance of h, >= 0.
    strip, reach : float
        See `f`.

    Returns
    -------
    float
        E f(h), to a few units of rounding.

    Notes
    -----
    Trapezoid rule of step ``min(sqrt(q) / 3, strip / 9)``; its error is
    :math:`e^{-2\pi\,\mathrm{strip}/\mathrm{step}}`, or :math:`e^{-18\pi^2}` where the Gaussian
    is the narrower of the two. At most about a hundred nodes whatever `q` is.

    References
    ----------
    .. [1] Trefethen & Weideman, *The exponentially convergent trapezoidal rule*,
       SIAM Review 56 (2014), section 5.

    Examples
    --------
    >>> round(strip_mean(np.square, 0.25, strip=1.0, reach=10.0), 14)
    0.25
    """
    std = math.sqrt(q)
    step = strip / _STEPS_PER_STRIP
    if std <= step * _STEPS_PER_STD:
        nodes, weights = _standard_grid()
        return float(weights @ f(std * nodes))
    nodes, weights = _half_grid(step, reach)
    return float(weights @ (f(nodes) * np.exp((-0.5 / q) * (nodes * nodes)))) / std


@lru_cache(maxsize=1)
def _legendre() -> tuple[Array, Array]:
    nodes, weights = np.polynomial.legendre.leggauss(_PANEL_ORDER)
    return nodes, weights


def _first_breaks(std: float, kinks: Sequence[float]) -> Array:
    """Kinks, and panels that halve towards 0, where an activation has its structure."""
    reach = _TAIL * std
    halvings = max(3, math.ceil(math.log2(max(reach / _FINEST_PANEL, 1.0))))
    ladder = reach * 0.5 ** np.arange(min(halvings, 64))
    inner = [kink for kink in kinks if -reach < kink < reach]
    return np.unique(np.concatenate([-ladder, [0.0], ladder, inner]))


def panel_mean(f: Callable[[Array], Array], q: float, kinks: Sequence[float], what: str) -> float:
    """Average of a function that is smooth between the given kinks.

    Parameters
    ----------
    f : callable
        Vectorised; not evaluated at the kinks themselves.
    q : float
        Variance of h, > 0.
    kinks : sequence of float
        Where f is not smooth.
    what : str
        What is averaged, for the message of the error.

    Returns
    -------
    float
        E f(h); two successive refinements agree to 1e-13 of E |f| where that can be had, and to
        1e-9 always.

    Raises
    ------
    ConvergenceError
        If they do not agree to 1e-9, as with a kink that was not declared.

    Examples
    --------
    >>> round(panel_mean(np.abs, 1.0, (0.0,), "E |h|") ** 2 * math.pi, 12)
    2.0
    """
    std = math.sqrt(q)
    nodes, weights = _legendre()
    breaks = _first_breaks(std, kinks)
    last, gap = math.nan, math.inf
    while (breaks.size - 1) * _PANEL_ORDER <= _MAX_NODES:
        half = 0.5 * np.diff(breaks)
        h = (0.5 * (breaks[1:] + breaks[:-1]))[:, None] + half[:, None] * nodes
        mass = half[:, None] * weights * np.exp(-0.5 * np.square(h / std)) / (_SQRT_TWO_PI * std)
        terms = mass * f(h)
        mean, size = float(terms.sum()), float(np.abs(terms).sum())
        gap = abs(mean - last) / size if size > 0.0 else 0.0
        if gap <= _AIMED or size == 0.0:
            return mean
        last = mean
        breaks = np.sort(np.concatenate([breaks, 0.5 * (breaks[1:] + breaks[:-1])]))
    if gap <= _PROMISED:
        return last
    raise ConvergenceError(
        f"{what} at variance {q:.6g} changes by {gap:.1e} of its size under the last refinement "
        f"and stands at {last:.10g}: is a kink missing from kinks={tuple(kinks)}?"
    )
