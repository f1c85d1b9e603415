"""From far away, where every law looks like a point mass, down to a target: in floats.

Starts for Newton in more digits, and independent of the engine of trees.
"""

from typing import Any

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.precise.newton import State, newton, on_sheet, tangent
from freefim.free.precise.program import Program

__all__ = ["descend"]

_TOLERANCE = 1e-7
_ROUNDS = 8
# Shares of the height that a step keeps: the longest step, and the shortest before giving up.
_LONGEST, _SHORTEST = 0.1, 0.995
_LAST = 1e-6  # height, relative to that of the target, from which one step is left


def descend(program: Program, target: Any, height: float) -> State:
    """Point of the tree at `target` + i·`height`, Im target >= 0, by continuation.

    Raises
    ------
    ConvergenceError
        If the steps become too short.
    """
    at, state = _far(program, target)
    keep = 0.3
    while at > height:
        below = max(keep * at, height)
        if below < _LAST * target.imag:
            below = height
        guess = State(state.unknowns + tangent(state) * (1j * (below - at)), state.roots)
        found = newton(program, target + 1j * below, guess, _TOLERANCE, _ROUNDS)
        if found is not None and on_sheet(program, found, target + 1j * below, real=False):
            at, state, keep = below, found, max(keep * keep, _LONGEST)
        elif keep > _SHORTEST:
            raise ConvergenceError(
                f"the path from above to {complex(target)!r} stops at height {float(at)!r}"
            )
        else:
            keep = keep**0.5
    return state


def _far(program: Program, target: Any) -> tuple[float, State]:
    """A point far above the support."""
    height = 1e3 * (1.0 + abs(complex(target)))
    for _ in range(6):
        z = target + 1j * height
        roots: dict[int, Any] = {}
        unknowns = np.array(_begin(program, len(program.steps) - 1, z, roots))
        state = newton(program, z, State(unknowns, roots), _TOLERANCE, 20)
        if state is not None and on_sheet(program, state, z, real=False):
            return height, state
        height *= 30.0
    raise ConvergenceError(f"no point far above {complex(target)!r}")


def _begin(program: Program, place: int, z: Any, roots: dict[int, Any]) -> list[Any]:
    """Unknowns of the leaves below a step whose point is far out."""
    step = program.steps[place]
    if step.transform is not None:
        return [z]
    numbers, below = step.numbers, step.inputs[0]
    match step.kind:
        case "sum":
            return [w for k in step.inputs for w in _begin(program, k, z, roots)]
        case "product":
            left, right = (_mean(program, k) for k in step.inputs)
            return _begin(program, below, z / right, roots) + _begin(
                program, step.inputs[1], z / left, roots
            )
        case "affine":
            z = (z - numbers[1]) / numbers[0]
        case "corner":
            z = z / numbers[0]
        case "free_power":  # z' = t z - (t - 1)/G
            pass
        case "gaussian" | "projection":
            z = z / (numbers[0] * numbers[1])
        case "multiplicative_power":
            z = z / _mean(program, below) ** (numbers[0] - 1)
        case "singular_values":
            roots[place] = z
            z = z * z
        case "square":
            z = np.sqrt(complex(z))
        case "inverse":
            return _at_infinity_of_inverse(program, place, 1 / z, roots)
    return _begin(program, below, z, roots)


def _at_infinity_of_inverse(
    program: Program, place: int, z: Any, roots: dict[int, Any]
) -> list[Any]:
    """Below an inverse the point is near 0, a gap of the law."""
    inner = program.subtree(place - 1)
    flip = z.imag < 0
    state = descend(inner, complex(z.real, 0.0), abs(z.imag))
    first = place - len(inner.steps)
    for k, root in state.roots.items():
        roots[first + k] = np.conj(root) if flip else root
    return [np.conj(w) if flip else w for w in state.unknowns]


def _mean(program: Program, place: int) -> float:
    """Mean of the law of a step, to a few digits."""
    inner = program.subtree(place)
    z = 1e7j
    roots: dict[int, Any] = {}
    points, _ = inner.run(np.array(_begin(inner, len(inner.steps) - 1, z, roots)), roots)
    z, _, g, _ = points[-1]
    return float((z * (z * g - 1)).real)
