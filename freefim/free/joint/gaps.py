"""Gaps inside the support: a real solution in a gap, carried to both ends of the gap.

In a gap the unknowns are real analytic functions of y. They end like square roots at an edge,
where the solution is lost; at an atom they stay finite, and beyond it lies a gap, or a band.
"""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.edges import Edge
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend, is_real

__all__ = ["FAINTEST", "GapFoundError", "GapPiece", "gap_around", "look_for_gap"]

_Nodes = NDArray[np.complex128]
_AFFINE = 4

#: Steps in log y: longest, where a walk gives up; the distance to an edge where it has arrived.
_LONGEST_STEP, _LEAST_STEP, _ARRIVED = 0.05, 1e-15, 1e-13
_MOST_STEPS = 2000
#: Part of the distance to an edge that one step goes, and how well a step must be foreseen.
_PART, _FORESEEN = 0.75, 0.25
#: Largest blur of a real solution next to an edge; growth of the speed of its unknowns there.
_BLURRED, _GROWTH = 1e-5, 300.0
#: Im n below which no density is seen, relative.
FAINTEST = 1e-10


@dataclass(frozen=True)
class GapPiece:
    """An interval of y without mass around `inside`; its ends are edges (soft or hard) or atoms."""

    inside: float
    low: Edge
    high: Edge

    @property
    def left(self) -> float:
        """The place where the gap begins."""
        return self.low.y

    @property
    def right(self) -> float:
        """The place where the gap ends."""
        return self.high.y


class _Walk:
    """A real solution, moved along log y as long as it exists."""

    def __init__(self, program: Program, log_y: float, n: float, w: _Nodes, dw: _Nodes):
        self.program, self.log_y, self.n, self.w, self.dw = program, log_y, n, w, dw
        self.clear, self.clearest, self.seen = log_y, log_y, FAINTEST
        ops, pars = program.arrays[:2]
        shifts = pars[(ops == _AFFINE) & (pars[:, 1] != 0), 1]
        self.scale = np.concatenate([[leaf.maximum for leaf in program.leaves], shifts])
        self.speed = self._speed(w, dw)

    def _speed(self, w: _Nodes, dw: _Nodes) -> float:
        """Largest speed of the unknowns on the projective line: they may pass infinity."""
        return float((np.abs(dw) * self.scale / (self.scale**2 + np.abs(w) ** 2)).max())

    def step(self, move: float, distance: float) -> bool:
        """Move by `move` in log y, a square root `distance` ahead; whether that was foreseen."""
        from freefim.free.joint.kernels import solve_each

        root = np.sqrt(1 - abs(move) / distance)
        way = move * 2 / (1 + root)
        guess = self.w + way * self.dw
        far = np.abs(self.w) > self.scale
        guess[far] = self.w[far] / (1 - way * self.dw[far] / self.w[far])
        w, dw = guess[None, :].copy(), np.empty((1, guess.size), dtype=complex)
        to = self.log_y + move
        y = np.array([complex(np.exp(to))])
        status, n = solve_each(*self.program.arrays, self.program.eps, y, w, dw)
        speed = self._speed(w[0], dw[0])
        # Rounding of the leaves shows more the faster the unknowns move.
        blur = min(self.program.blur * max(speed, 1.0), _BLURRED)
        if status[0] != 0 or not is_real(n[0], blur):
            return False
        # G falls with y, except over a band or an atom.
        fall = self.n - n[0].real / np.exp(move)
        if not fall * move > 0:
            return False
        if not abs(speed * root / self.speed - 1) < _FORESEEN:
            return False
        self.log_y, self.w, self.dw, self.speed = to, w[0].real + 0j, dw[0], speed
        self.n = float(n[0].real)
        if n[0].imag > -self.seen * abs(n[0]):
            self.clear = to
        if n[0].imag > -FAINTEST * abs(n[0]):
            self.clearest = to
        return True

    def end(self, direction: float, barrier: float) -> Edge:
        """The end of the gap; the walk stays on its side of log y = `barrier`."""
        first, step, distance, rest = max(self.speed, 1.0), 1e-4, np.inf, 0.0
        for _ in range(_MOST_STEPS):
            before = self.speed
            move = min(step, _PART * distance, _PART * abs(barrier - self.log_y))
            if self.step(direction * move, distance):
                # The inverse square of the speed falls linearly to 0 at a square root.
                fall = (self.speed / before) ** 2 - 1
                distance = rest = move / fall if fall > 0 else np.inf
                step = min(2 * move, _LONGEST_STEP)
            else:
                step, distance = 0.5 * move, np.inf
            if distance < _ARRIVED or step < _LEAST_STEP:
                break
        # At an atom n has a pole.
        growth = self.speed / first
        soft = bool(growth > max(_GROWTH, abs(self.n)))
        if not soft and abs(self.n) < _GROWTH:
            # Tails of leaves make an edge fade out: the band begins where density is first seen.
            unsure = max(step, abs(self.log_y - self.clearest), 1e-16)
            return Edge(float(np.exp(self.clear)), soft=False, residual=unsure, fades=True)
        rest = rest if soft and rest < np.inf else 0.0
        end = float(np.exp(self.log_y + direction * rest))
        return Edge(end, soft=soft, residual=max(step, 1e-4 * rest))


def gap_around(
    program: Program, y: float, known: Sequence[float] = (), seen: float = FAINTEST
) -> GapPiece | None:
    """The gap that holds y, None if y lies in a band.

    The walk through the gap steps over very narrow bands; places `known` to lie in some stop it.
    Where an edge fades out, the gap ends with Im n below `seen`, relative.
    """
    try:
        n, w, dw = descend(program, complex(y))
    except ConvergenceError:
        return None
    if not is_real(n, program.blur) or n.imag < -FAINTEST * abs(n):
        return None
    real: _Nodes = np.array(w.real, dtype=complex)
    below = np.log(max((place for place in known if place < y), default=0.0) or 1e-320)
    above = np.log(min((place for place in known if place > y), default=1e300))
    ends = []
    for side, barrier in ((-1.0, below), (1.0, above)):
        walk = _Walk(program, float(np.log(y)), n.real, real, dw)
        walk.seen = seen
        ends.append(walk.end(side, float(barrier)))
    return GapPiece(y, *ends)


class GapFoundError(Exception):
    """A gap lies where a band was supposed."""

    def __init__(self, piece: GapPiece):
        super().__init__()
        self.piece = piece


def look_for_gap(program: Program, y: float) -> None:
    """Raise `GapFoundError` if y lies in a gap."""
    piece = gap_around(program, y)
    if piece is not None and piece.right - piece.left > 1e-12 * y:
        raise GapFoundError(piece)
