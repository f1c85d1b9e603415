"""Outer edges of the law of a chain, before any density: scans of the real line beyond the leaves.

Beyond the support every w is real and outside its leaf. The first place where dz/dw_0 > 0 fails
is the edge, a square root; a scan that reaches the end of the leaf first has found a tail, an
atom or a hard edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.free.joint_program import Program

__all__ = ["Edge", "outer_edge"]


@dataclass(frozen=True)
class Edge:
    """An end of the support: place y, whether a square root sits there, relative uncertainty."""

    y: float
    soft: bool
    residual: float


def outer_edge(program: Program, *, right: bool) -> Edge:
    """Scan w_0 toward its leaf from far right, or far left; the end where z stops increasing."""
    from freefim.free.joint_kernels import real_point

    leaves = program.leaves
    highs = np.array([leaf.maximum for leaf in leaves])
    lows = np.array([leaf.minimum for leaf in leaves])
    ends = highs if right else lows
    far = 40.0 * (len(leaves) + 1) ** 2
    logs = np.log(far * highs)
    w = np.empty(len(leaves))

    def point(v: float, warm: NDArray[np.float64]) -> tuple[bool, float, float]:
        w0 = ends[0] + np.exp(v) if right else ends[0] - np.exp(v)
        status, y, slope, _ = real_point(*program.arrays, highs, lows, w0, warm, w)
        return status == 0, y, slope

    v = float(logs[0])
    for _ in range(60):
        trial = logs.copy()
        good, y, first_slope = point(v, trial)
        if good:
            break
        v += 1.0
    logs, slope = trial, first_slope
    closest = np.log(max(program.eps[0], 1e-300)) if ends[0] == 0.0 else np.log(ends[0]) - 26.0
    while v > closest:
        trial = logs.copy()
        good, next_y, next_slope = point(v - 0.5, trial)
        if not good:
            break
        v, logs, y, slope = v - 0.5, trial, next_y, next_slope
    else:
        step = np.exp(v)
        end = y - slope * step if right else y + slope * step
        return Edge(end, soft=False, residual=abs(slope * step / y))
    low, high = v - 0.5, v
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        trial = logs.copy()
        good, next_y, next_slope = point(middle, trial)
        if good:
            high, logs, y, slope = middle, trial, next_y, next_slope
        else:
            low = middle
    step = np.exp(high) * (high - low)
    return Edge(y, soft=slope < 1e-3 * first_slope, residual=abs(slope * step / y))
