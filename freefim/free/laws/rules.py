"""Quadrature rules of bands, and the transform of Legendre series."""

from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from freefim.free.solution import Array

__all__ = ["double_exponential", "gauss", "legendre_transform"]

Nodes = NDArray[np.complex128]

# Error growth allowed upwards, and the nodes that are exact where it is exceeded: with 32
# coefficients the ellipse is 1.16 and the rule's error 1.16^(-2·160+32).
_FORWARD = 1e4
_AWAY = 160


@lru_cache(maxsize=16)
def double_exponential(splits: int) -> tuple[Array, Array, Array]:
    """Nodes s on (0, 1), 1 - s, and weights, that forgive any algebraic or logarithmic end."""
    step = 0.05 / splits
    t = step * np.arange(-round(4.3 / step), round(4.3 / step) + 1)
    share, rest = (
        1.0 / (1.0 + np.exp(-np.pi * np.sinh(t))),
        1.0 / (1.0 + np.exp(np.pi * np.sinh(t))),
    )
    return share, rest, step * np.pi * np.cosh(t) * share * rest


@lru_cache(maxsize=4)
def _legendre_rule(count: int) -> tuple[Array, Array]:
    node, weight = np.polynomial.legendre.leggauss(count)
    return node, weight


@lru_cache(maxsize=16)
def gauss(splits: int) -> tuple[Array, Array, Array]:
    """Nodes s on (0, 1), 1 - s, and weights of Gauss on each of `splits` equal pieces."""
    node, weight = _legendre_rule(24)
    share = ((np.arange(splits)[:, None] + 0.5 * (1.0 + node)) / splits).ravel()
    return share, 1.0 - share, np.tile(0.5 * weight / splits, splits)


def legendre_transform(from_left: Nodes, from_right: Nodes, c: Array) -> Nodes:
    """Σ c_k 2 Q_k(u) with from_left = u + 1 and from_right = u - 1."""
    u = 0.5 * (from_left + from_right)
    size = np.abs(u + np.sqrt(from_left) * np.sqrt(from_right))
    near = np.log(size) * 2 * c.size < np.log(_FORWARD)
    total = np.empty(u.shape, dtype=complex)
    # upwards while the growing solution P_k stays small
    v = u[near]
    with np.errstate(divide="ignore", invalid="ignore"):
        now, last = np.log(from_left[near] / from_right[near]), np.zeros_like(v)
        later = 2.0 + 0.0 * v
        values = c[0] * now
        for k in range(1, c.size):
            # Q_1 = u Q_0 - 1, then (k) Q_k = (2k-1) u Q_{k-1} - (k-1) Q_{k-2}
            step = v * now - later if k == 1 else ((2 * k - 1) * v * now - (k - 1) * last) / k
            now, last = step, now
            values = values + c[k] * now
    total[near] = values
    # away from the panel a Gauss rule is exact to rounding
    node, weight = _legendre_rule(_AWAY)
    height = weight * np.polynomial.legendre.legval(node, c)
    total[~near] = np.sum(height / (u[~near][:, None] - node), axis=-1)
    return total
