"""Outer edges of the law of a chain, before any density: scans of the real line beyond the leaves.

Beyond the support every w is real and outside its leaf. The first place where dz/dw_0 > 0 fails
is the edge, a square root; a scan that reaches the end of the leaf first has found a tail, an
atom or a hard edge.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.free.joint.program import Program

__all__ = ["SHARP", "Edge", "outer_edge"]

#: Largest relative uncertainty of an end that does not fade.
SHARP = 1e-8
# Strides of the scan, in the logarithm of the distance to the leaf.
_STRIDE, _LEAST_STRIDE = 0.5, 1e-3


@dataclass(frozen=True)
class Edge:
    """An end of a band: place y, whether a square root sits there, relative uncertainty.

    At an end that `fades` density goes on below what 64-bit numbers show.
    """

    y: float
    soft: bool
    residual: float
    fades: bool = False


def outer_edge(program: Program, *, right: bool) -> Edge:
    """Scan w_0 toward its leaf from far right, or far left; the end where z stops increasing."""
    from freefim.free.joint.kernels import real_point

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
    stride = _STRIDE
    while v > closest:
        trial = logs.copy()
        good, next_y, next_slope = point(v - stride, trial)
        # A slope that changes much may hide a narrow band.
        if not (good and 0.6 * slope < next_slope < 1.6 * slope) and stride > _LEAST_STRIDE:
            stride *= 0.5
            continue
        if not good:
            break
        v, logs, y, slope = v - stride, trial, next_y, next_slope
        stride = min(2 * stride, _STRIDE)
    else:
        step = np.exp(v)
        end = y - slope * step if right else y + slope * step
        residual = float(abs(slope * step / y))
        return Edge(float(end), soft=False, residual=residual, fades=residual > SHARP)
    low, high = v - stride, v
    while high - low > 1e-9:
        middle = 0.5 * (low + high)
        trial = logs.copy()
        good, next_y, next_slope = point(middle, trial)
        if good:
            high, logs, y, slope = middle, trial, next_y, next_slope
        else:
            low = middle
    step = np.exp(high) * (high - low)
    soft = bool(slope < 1e-3 * first_slope)
    return Edge(float(y), soft=soft, residual=float(abs(slope * step / y)))
