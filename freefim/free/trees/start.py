"""Where every search starts: the unknowns of a tree at a point far from its support."""

from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.trees.program import (
    AFFINE,
    CIRCULAR,
    CORNER,
    GAUSSIAN,
    INVERSE,
    LEAF,
    MARCHENKO,
    PADDING,
    POISSON,
    POWER,
    PRODUCT,
    PROJECTION,
    SEMICIRCLE,
    SUM,
    Program,
)

__all__ = ["Machine", "far_point"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]


_HIGH = 2.0
# Operations that keep the digits of a small z.
_RELATIVE = {LEAF, PADDING, GAUSSIAN, MARCHENKO, POWER, PRODUCT}


class Machine:
    """A program ready to run: its arrays, the walls of its leaves, its scale, an anchor.

    The anchor is a point above the middle of the law with its solution, from where every other
    point can be reached.
    """

    def __init__(self, program: Program):
        self.program = program
        _fill_inverses(program)
        ops, par, data = program.arrays()
        par[:, 2] = _planes(program)
        for i in np.flatnonzero(ops == PRODUCT).tolist():
            par[i, 1] = set(program.operand(i).ops) <= _RELATIVE
        k = self.k = program.unknowns
        mean, spread = program.means[-1], max(program.variances[-1], 0.0) ** 0.5
        self.scale = abs(mean) + 4.0 * spread
        if not 0.0 < self.scale < np.inf:
            raise ConvergenceError(f"the law has mean {mean!r} and standard deviation {spread!r}")
        self.speck = 1e-30 * self.scale
        high = _in_logs(program)
        rounding = 0.0 if set(program.ops) <= _RELATIVE else 2e-15 * self.scale
        flags = np.array([high, *_free_leaves(program), self.scale, rounding])
        self.prog: Any = (ops, par, data, flags)
        self.walls = np.array([wall for walls in program.walls for wall in walls])
        self.frame = self._frame()
        self.work = np.empty((3 * k + 2, 9), dtype=complex)
        self.steps, self.slope, self.trial = (np.empty(k, dtype=complex) for _ in range(3))
        self.start, self.begin = self._anchor()

    def _frame(self) -> _Reals:
        """Per leaf: first wall, final wall, center, radius."""
        every = self.program.walls
        counts = np.cumsum([0, *map(len, every)])
        center = np.array([0.5 * (walls[0] + walls[-1]) for walls in every])
        spans = np.array([0.5 * (walls[-1] - walls[0]) for walls in every])
        far = 1e6 * self.scale
        size = np.abs(far_point(self.program, far) - center) * self.scale / far
        return np.column_stack([counts[:-1], counts[1:], center, np.maximum(spans, size)])

    def _anchor(self) -> tuple[complex, _Nodes]:
        from freefim.free.trees.kernels import newton

        for power in range(2, 14):
            self.start = 1j * self.scale * 10.0**power
            self.begin = far_point(self.program, self.start)
            status, _, _ = newton(self.prog, self.start, self.begin, self.work, self.steps)
            if status == 1:
                break
        else:
            raise ConvergenceError("no solution was found far from the law")
        goal = complex(self.program.means[-1], self.scale)
        return goal, self.points(np.array([goal]))[1][0]

    def points(self, z: _Nodes) -> tuple[_Nodes, _Nodes]:
        """G (n,) and the unknowns (n, k) at points of the closed upper half plane.

        Raises
        ------
        ConvergenceError
            If a point does not converge on the physical sheet.
        """
        from freefim.free.trees.band_kernels import solve_points

        z = np.ascontiguousarray(z, dtype=complex)
        out, ws = np.empty(z.size, dtype=complex), np.empty((z.size, self.k), dtype=complex)
        if solve_points(self.prog, self.start, self.begin, z, self.speck, out, ws):
            worst = complex(z[np.isnan(out.real)][0])
            raise ConvergenceError(f"the law did not converge at z = {worst!r}")
        return out, ws

    def point(self, z: complex) -> tuple[int, _Nodes]:
        """Status (0 lost, 1 off the line or in a band, 2 in a gap) and unknowns at one point."""
        from freefim.free.trees.kernels import approach

        w = np.empty(self.k, dtype=complex)
        status, _ = approach(
            self.prog, self.start, self.begin, complex(z), self.speck, w, self.work, self.steps,
            self.slope, self.trial,
        )  # fmt: skip
        return status, w


def _fill_inverses(program: Program) -> None:
    """What lies at the far end of an inverse: the law below it, at 0."""
    from freefim.free.trees.kernels import GAP, sweep, tangents

    for i, op in enumerate(program.ops):
        if op != INVERSE or i in program.zeros:
            continue
        below = Machine(program.operand(i - 1))
        status, w = below.point(0.0)
        if status != GAP:
            raise ConvergenceError(
                "the inverse inside a sum or product is computed where 0 is in a gap of the law"
            )
        _, g, _, dz, dg, _, _, _ = sweep(below.prog, w, below.work)
        tangents(below.prog, dz, below.work, below.slope)
        mean = -float(g.real)
        variance = -float((dg / dz).real) - mean * mean
        program.set_inverse(
            i, mean, variance, (w.real.astype(complex), below.slope.real.astype(complex))
        )


def far_point(program: Program, z: complex) -> _Nodes:
    """Unknowns at a far z to leading orders, from means and variances."""
    at: list[complex] = [z]
    found: list[complex] = []
    i = len(program.ops)
    while i > 0:
        i -= 1
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
        elif op == INVERSE:
            at_zero, slopes = program.zeros[i]
            below = at_zero + slopes / z
            found += below[::-1].tolist()
            i -= len(program.operand(i - 1).ops)
            continue
        elif op != PADDING:
            j = program.left[i]
            (m, v), (n, u) = (program.means[j], program.variances[j]), (mean, variance)
            if op == SUM:
                at += [z - n, z - m]
            elif op == CIRCULAR:
                at += [z - 2.0 * n, z - 2.0 * m]
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


def _in_logs(program: Program) -> float:
    """Degree of z where it is a high power, which Newton meets in its logarithm, else 0."""
    degree = 0.0
    for op, (a, b, _, _) in zip(program.ops[::-1], program.par[::-1], strict=True):
        if op == MARCHENKO:
            degree += b
        elif op == POWER:
            degree += a
        elif op != PADDING and (op != AFFINE or b != 0.0):
            break
    return degree if degree > _HIGH else 0.0


def _free_leaves(program: Program) -> list[bool]:
    """Leaves whose half plane changes along the law.

    They are partners of a signed factor, and squares of the terms of a sum.
    """
    free: list[bool] = []
    stack: list[bool] = [False]
    for i in range(len(program.ops) - 1, -1, -1):
        op, state = program.ops[i], stack.pop()
        if op == LEAF:
            free.append(state)
        elif op >= SUM:
            signed = op != SUM and program.par[i][0] > 0.0
            circular = op == CIRCULAR
            stack += [state or circular, state or circular or signed]
        else:
            stack.append(state)
    return free[::-1]
