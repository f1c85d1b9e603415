"""Where every search starts: the unknowns of a tree at a point far from its support."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.trees.program import (
    AFFINE,
    CORNER,
    GAUSSIAN,
    INVERSE,
    LEAF,
    MARCHENKO,
    PADDING,
    POISSON,
    POWER,
    PROJECTION,
    SEMICIRCLE,
    SINGULAR,
    SQUARE,
    SUM,
    Program,
)

__all__ = ["Machine", "far_point"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]


class Machine:
    """A program ready to run: its arrays, the walls of its leaves, its scale."""

    def __init__(self, program: Program):
        self.program = program
        ops, par, data = program.arrays()
        free = _free_leaves(program)
        par[:, 2] = _planes(program)
        k = program.unknowns
        mean, spread = program.means[-1], max(program.variances[-1], 0.0) ** 0.5
        self.scale = abs(mean) + 4.0 * spread
        if not 0.0 < self.scale < np.inf:
            raise ConvergenceError(f"the law has mean {mean!r} and standard deviation {spread!r}")
        self.speck = 1e-30 * self.scale
        flags = np.array([_in_logs(program), *free, self.scale], dtype=float)
        self.prog: Any = (ops, par, data, flags)
        self.walls = np.array([wall for walls in program.walls for wall in walls])
        counts = np.cumsum([0, *map(len, program.walls)])
        self.frame = np.zeros((k, 4))
        for j, walls in enumerate(program.walls):
            self.frame[j, :3] = counts[j], counts[j + 1], 0.5 * (walls[0] + walls[-1])
        probe = 1e6 * self.scale
        size = np.abs(far_point(program, probe)) * self.scale / probe
        spans = np.array([0.5 * (walls[-1] - walls[0]) for walls in program.walls])
        self.frame[:, 3] = np.maximum(spans, np.where(np.isfinite(size), size, spans))
        self.k = k

    def buffers(self) -> tuple[_Nodes, ...]:
        """Scratch of the kernels: work, steps, slope, trial."""
        k = self.k
        return (
            np.empty((3 * k + 2, 9), dtype=complex),
            *(np.empty(k, dtype=complex) for _ in range(3)),
        )


def far_point(program: Program, z: complex) -> _Nodes:
    """Unknowns at a far z to leading orders, from means and variances."""
    at: list[complex] = [z]
    found: list[complex] = []
    for i in range(len(program.ops) - 1, -1, -1):
        op, (a, b, _, _) = program.ops[i], program.par[i]
        z = at.pop()
        if op == LEAF:
            found.append(z)
            continue
        mean, variance = program.means[i - 1], program.variances[i - 1]
        if op == AFFINE:
            z = (z - b) / a
        elif op == CORNER:
            z = (z - (1.0 - a) * mean) / a
        elif op == GAUSSIAN:
            z = (z / b - mean) / a
        elif op == SEMICIRCLE:
            z = z - a / z
        elif op == POISSON:
            z = z - a * b
        elif op == PROJECTION:
            z = (z / b - (1.0 - a) * mean) / a
        elif op == MARCHENKO:
            z = z - a * b * mean
        elif op == POWER:
            z = z / mean ** (a - 1.0)
        elif op == SINGULAR:
            z = z * z
        elif op == SQUARE:
            z = z**0.5
        elif op == INVERSE:
            raise ConvergenceError("the inverse inside a tree has no far point")
        elif op != PADDING:
            j = program.left[i]
            (m, v), (n, u) = (program.means[j], program.variances[j]), (mean, variance)
            if op == SUM:
                at += [z - n, z - m]
            else:
                at += [(z - u / n * m) / n, (z - v / m * n) / m]
            continue
        at.append(z)
    return np.array(found[::-1], dtype=complex)


def _planes(program: Program) -> _Reals:
    """Half plane of the points after every operation where the tree tells, else 0."""
    planes = np.zeros(len(program.ops))
    side = 1.0
    for i in range(len(program.ops) - 1, -1, -1):
        planes[i] = side
        if program.ops[i] == AFFINE:
            side *= np.sign(program.par[i][0])
        elif program.ops[i] != PADDING:
            break
    return planes


def _in_logs(program: Program) -> bool:
    """Whether z is a high power, which Newton meets in its logarithm."""
    for op, (a, b, _, _) in zip(program.ops[::-1], program.par[::-1], strict=True):
        if op == AFFINE and b == 0.0:
            continue
        return (op == MARCHENKO and b > 2.0) or (op == POWER and a > 2.0)
    return False


def _free_leaves(program: Program) -> list[bool]:
    """Leaves whose half plane changes along the law: below square roots and signed products."""
    free: list[bool] = []
    stack: list[bool] = [False]
    for i in range(len(program.ops) - 1, -1, -1):
        op, state = program.ops[i], stack.pop()
        if op == LEAF:
            free.append(state)
        elif op > SQUARE:
            signed = op != SUM and program.par[i][0] > 0.0
            stack += [state, state or signed]
        else:
            stack.append(state or op == SINGULAR)
    return free[::-1]
