"""One point of a tree: Newton on the joins and the target, and the proof of the sheet."""

from dataclasses import dataclass
from typing import Any

import numpy as np

from freefim.free.precise.program import Program

__all__ = ["State", "newton", "on_sheet", "tangent"]

Number = Any

_AXIS = 1e-8  # distance from the imaginary axis at which points below a root are real
# Moves that take the real line to itself.
_REAL = {"affine", "inverse", "singular_values", "square", "padding"}


@dataclass(frozen=True)
class State:
    """The unknowns of a point, the square roots taken, and the points of every step."""

    unknowns: Any
    roots: dict[int, Number]
    points: tuple[Any, ...] = ()
    jacobian: Any = None

    @property
    def transform(self) -> Number:
        """G at the root of the tree."""
        return self.points[-1][2]


def newton(
    program: Program, target: Number, start: State, tolerance: Number, rounds: int
) -> State | None:
    """Solve for the point of the tree at `target`; None if the steps do not fall to `tolerance`.

    The steps are relative to the unknowns. Points of the state returned belong to the last
    unknowns that were evaluated.
    """
    unknowns, roots = start.unknowns, dict(start.roots)
    for _ in range(rounds):
        try:
            points, rows = program.run(unknowns, roots)
            errors = [row[0] for row in rows] + [points[-1][0] - target]
            jacobian = [row[1] for row in rows] + [points[-1][1]]
            step = _solved(jacobian, errors)
        except (ZeroDivisionError, OverflowError):
            return None
        size = max(
            abs(s) / abs(u) if u != 0 else abs(s) for s, u in zip(step, unknowns, strict=True)
        )
        if not size < 1e6:
            return None
        if size <= tolerance:
            return State(unknowns - step, roots, tuple(points), jacobian)
        unknowns = unknowns - step
    return None


def tangent(state: State) -> Any:
    """Derivatives of the unknowns along the target."""
    size = len(state.unknowns)
    return _solved(state.jacobian, [0] * (size - 1) + [1])


def on_sheet(program: Program, state: State, target: Number, *, real: bool) -> bool:
    """Whether a point lies on the physical sheet; at real targets this is a proof.

    Every step must lie strictly in the half plane that belongs to it; at a real target steps
    that real moves connect with the root are real themselves. Subordination functions are unique
    there (Denjoy and Wolff; Belinschi and Bercovici 2007). A real point (`real`) lies in a gap iff
    the places of all steps move along with the target; so do, sideways, the steps below a square
    root on the imaginary axis, which are real up to rounding.
    """
    moved = tangent(state) if real else None
    level: set[int] = set()
    sides: dict[int, Any] = {}
    exempt = {len(program.steps) - 1} if target.imag == 0 else set()
    sides[len(program.steps) - 1] = 1
    for place in range(len(program.steps) - 1, -1, -1):
        step, (z, dz, _, _) = program.steps[place], state.points[place]
        # places that a square root takes off the real line stay where they are
        height = (dz @ moved).real if real and z.imag == 0 else z.imag
        across = z.real
        if step.kind == "singular_values" and not real and abs(across) <= _AXIS * abs(z):
            moved = tangent(state) if moved is None else moved
            across = (dz @ moved).real
            level.add(step.inputs[0])
        if place in level:
            height = (dz @ moved).imag
            level.update(step.inputs)
        side = sides[place] or (1 if height > 0 else -1)
        if place not in exempt and not side * height > 0:
            return False
        if step.kind == "multiplicative_power" and not real:
            inner = state.points[step.inputs[0]]
            if place in level:
                turns = z.real < 0 and not (inner[0] - 1 / inner[2]).real > 0
            else:
                turns = not _turns_less_than_half(inner, step.numbers[0], place in exempt)
            if turns:
                return False
        for k, below in enumerate(step.inputs):
            sides[below] = _side_below(step, k, side, across)
            if place in exempt and step.kind in _REAL:
                exempt.add(below)
    return True


def _side_below(step: Any, operand: int, side: int, across: Number) -> int:
    """Half plane of an operand; 0 where it is not known beforehand."""
    match step.kind:
        case "affine":
            return side if step.numbers[0].real > 0 else -side
        case "inverse":
            return -side
        case "singular_values":
            return side if across > 0 else -side if across < 0 else 0
        case "product" if step.signed[1 - operand]:
            return 0
    return side


def _turns_less_than_half(inner: Any, exponent: Number, flat: bool) -> bool:
    """Whether the argument of the power stays in [0, π] without turning around."""
    z, _, g, _ = inner
    rest = z - 1 / g
    turn = np.angle(complex(z)) + (float(exponent.real) - 1) * np.angle(complex(rest))
    slack = 1e-6 if flat else 0.0
    return bool(-slack < (turn if z.imag > 0 else -turn) < np.pi + slack)


def _solved(rows: list[Any], right: list[Any]) -> Any:
    """Gaussian elimination with row pivots, in any field."""
    size = len(right)
    table = np.array([[*row, value] for row, value in zip(rows, right, strict=True)],
                     dtype=np.result_type(*rows))  # fmt: skip
    for k in range(size):
        pivot = k + int(np.argmax(np.array([abs(v) for v in table[k:, k]], dtype=float)))
        if table[pivot, k] == 0:
            raise ZeroDivisionError
        table[[k, pivot]] = table[[pivot, k]]
        table[k] = table[k] / table[k, k]
        for other in range(size):
            if other != k:
                table[other] = table[other] - table[other, k] * table[k]
    return table[:, -1]
