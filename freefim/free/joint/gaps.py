"""Gaps inside the support: a real solution in a gap, carried to both ends of the gap.

In a gap every w is real, in a gap of its own leaf, and dz/dw_0 > 0 at every level. The gap ends
where this fails: at an edge, or at an isolated atom, where the transforms have a pole.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend

__all__ = ["GapFoundError", "GapPiece", "gap_around", "look_for_gap"]

_Reals = NDArray[np.float64]

#: Steps are short, or a narrow band would be stepped over.
_LONGEST_STEP, _SHORT_STEP, _MOST_STEPS = 0.03, 1e-4, 4000


@dataclass(frozen=True)
class GapPiece:
    """An interval of y without mass; each end an edge (soft or hard) or an atom."""

    left: float
    right: float
    soft: tuple[bool, bool]
    residual: float


def _branches(program: Program, w: _Reals) -> tuple[_Reals, _Reals] | None:
    """The gap of its own leaf in which every w lies, as `real_point` wants it."""
    lows, highs = np.empty(w.size), np.empty(w.size)
    for k, leaf in enumerate(program.leaves):
        # Below its visible bottom a law that fades out is as good as absent.
        bottom = leaf.minimum or (0.0 if leaf.atoms else leaf.bottom_quantile())
        lows[k], highs[k] = leaf.maximum, bottom
        if w[k] > leaf.maximum or w[k] < bottom:
            continue
        inside = [gap for gap in leaf.gaps if gap[0] < w[k] < gap[1]]
        if not inside:
            return None
        lows[k], highs[k] = inside[0]
    return lows, highs


def gap_around(program: Program, w: _Reals) -> GapPiece | None:
    """The gap that holds the real solution w (K,), or None if there is none."""
    from freefim.free.joint.kernels import real_point

    branches = _branches(program, w)
    if branches is None:
        return None
    lows, highs = branches
    ends = np.where(lows < highs, lows, np.where(w > lows, lows, highs))
    logs = np.log(np.abs(w - ends) + 1e-300)
    work = np.empty_like(w)

    def point(w0: float, warm: _Reals) -> tuple[bool, float, float]:
        status, y, slope, _ = real_point(*program.arrays, lows, highs, w0, warm, work)
        return status == 0, y, slope

    good, _, first = point(float(w[0]), logs)
    if not good:
        return None
    sides = []
    for direction in (-1.0, 1.0):
        # Distances from the nearest end of the leaf's own gap are walked in logarithms.
        at, warm = float(w[0]), logs.copy()
        barrier = _barrier(lows[0], highs[0], at, direction)
        to, y, slope, moved = at, 0.0, first, 0.0
        step = 1e-3
        for _ in range(_MOST_STEPS):
            to = _move(at, barrier, direction, step)
            trial = warm.copy()
            good, next_y, next_slope = point(to, trial)
            # A slope that changes much may hide a narrow band.
            steady = step < _SHORT_STEP or 0.6 * slope < next_slope < 1.6 * slope
            if good and steady:
                at, warm, y, slope = to, trial, next_y, next_slope
                step = min(2 * step, _LONGEST_STEP)
            else:
                step *= 0.5
            moved = abs(to - at) / (abs(at) + 1e-300)
            if step < 1e-14 or (not good and moved < 1e-15):
                break
        if y == 0.0:
            _, y, slope = point(at, warm.copy())
        sides.append((y, slope < 1e-3 * first, abs(slope * (to - at))))
    (left, soft_left, r1), (right, soft_right, r2) = sides
    return GapPiece(left, right, (soft_left, soft_right), max(r1, r2) / right)


def _barrier(low: float, high: float, w: float, direction: float) -> float:
    """The end of the leaf's gap on the way, or an infinity."""
    if low < high:
        return low if direction < 0 else high
    if w > low:
        return low if direction < 0 else np.inf
    return -np.inf if direction < 0 else high


def _move(w: float, barrier: float, direction: float, step: float) -> float:
    """A point a fraction `step` of the way to the barrier, or of |w| further out."""
    if np.isfinite(barrier):
        return w + step * (barrier - w)
    return w + direction * step * max(abs(w), 1e-300)


class GapFoundError(Exception):
    """A gap lies where a band was supposed."""

    def __init__(self, piece: GapPiece):
        super().__init__()
        self.piece = piece


def look_for_gap(program: Program, y: float) -> None:
    """Raise `GapFoundError` if y lies in a gap."""
    try:
        n, w, _ = descend(program, complex(y))
    except ConvergenceError:
        return
    if abs(n.imag) < 1e-9 * abs(n):
        piece = gap_around(program, w.real.copy())
        if piece is not None and piece.right - piece.left > 1e-12 * y:
            raise GapFoundError(piece)
