r"""Square-root edges: simple folds of the curve of a tree, proved with a neighbourhood.

The joins tie the unknowns to one of them, w, and x = x(w) is the target. Over a box
:math:`|w - w_0| \le \rho` the enclosure X₂ of x''/2 avoids 0. With :math:`x_1 = x'(w_0)`,
:math:`m = \min|X_2|`, every z with :math:`|z - x_0| < \delta = \rho^2 m - |x_1|\rho` has two
roots in the box and none on its rim (Rouché): on one side of the one real critical value both are
real, on the other neither. If the proved points of the law at two such z, one on each side, have
their unknowns in the box, the physical sheet stays there in between: the interval holds one edge.
"""

from dataclasses import dataclass
from typing import Any

from flint import acb, acb_mat, acb_series, arb, ctx

from freefim.free.proofs.balls import box
from freefim.free.proofs.tree_points import Centre, one_of
from freefim.free.proofs.tree_system import System

__all__ = ["Fold", "fold_near", "prove_fold"]

_ROUNDS = 30
_STILL = 2.0**-110


@dataclass(frozen=True)
class Fold:
    """A simple fold.

    Attributes
    ----------
    x : ball
        The real critical value.
    reach : ball
        δ: within it the fold is the whole curve in the box.
    box : list of ball
        Boxes of the unknowns.
    opens : int
        1 if the roots are real right of the fold, -1 left of it.
    """

    x: Any
    reach: Any
    box: list[Any]
    opens: int


def fold_near(system: System, start: Centre, lead: int) -> tuple[Centre, Any] | None:
    """Newton's method for x'(w) = 0, w the unknown `lead`: where it ends, and x''/2 there."""
    unknowns = [acb(u.real) for u in start.unknowns]
    for _ in range(_ROUNDS):
        try:
            jet = _jet(system, unknowns, start.roots, lead)
        except (ZeroDivisionError, ValueError):
            return None
        slope, bend, direction, errors = jet
        step = -slope / (2 * bend)
        moved = [u + (error + v * step) for u, v, error in
                 zip(unknowns, direction, errors, strict=True)]  # fmt: skip
        if not all(u.is_finite() for u in moved):
            return None
        size = max(abs(complex(m - u)) / (abs(complex(u)) or 1.0)
                   for m, u in zip(moved, unknowns, strict=True))  # fmt: skip
        unknowns = [acb(u.real.mid()) for u in moved]
        if size < _STILL:
            return Centre(unknowns, start.roots), bend
    return None


def prove_fold(system: System, centre: Centre, lead: int, reach: Any) -> Fold | None:
    """Prove the fold at a centre over a box of half width `reach`; None if it is not proved."""
    try:
        curve = _curve(system, centre, lead, arb(0))
        held = _curve(system, centre, lead, reach)
        if curve is None or held is None:
            return None
        slope, _, _, _ = _jet(system, curve, centre.roots, lead)
        _, bend, _, _ = _jet(system, held, centre.roots, lead)
        x = system.run(curve, centre.roots)[0][-1][0].real
    except (ZeroDivisionError, ValueError):
        return None
    least, steep = bend.abs_lower(), slope.abs_upper()
    if not least > 0 or bend.real.contains(0):
        return None
    foot = (steep / (2 * least)).upper()
    if not foot < reach:
        return None
    x = x + arb(0, (steep * foot + bend.abs_upper() * foot * foot).upper())
    room = (reach * reach * least - steep * reach).lower()
    return Fold(x, room, held, 1 if bend.real > 0 else -1) if room > 0 else None


def _tied(rows: list[Any], lead: int, size: int) -> Any:
    """The derivatives of the joins, and a last line that holds the leading unknown."""
    lines = [[row[1][0, k] for k in range(size)] for row in rows]
    return acb_mat([*lines, [int(k == lead) for k in range(size)]])


def _jet(
    system: System, unknowns: list[Any], roots: dict[int, complex], lead: int
) -> tuple[Any, Any, list[Any], list[Any]]:
    """x', x''/2 and the direction of the unknowns along w, and their errors on the joins."""
    size = len(unknowns)
    _, rows = system.run(unknowns, roots)
    tied = _tied(rows, lead, size)
    off = tied.solve(acb_mat(size, 1, [*(-row[0] for row in rows), 0]))
    along = tied.solve(acb_mat(size, 1, [0] * (size - 1) + [1]))
    direction = [along[k, 0] for k in range(size)]
    _, rows = _series(system, unknowns, roots, direction, [acb(0)] * size)
    turn = tied.solve(acb_mat(size, 1, [*(-row[0][2] for row in rows), 0]))
    x, _ = _series(system, unknowns, roots, direction, [turn[k, 0] for k in range(size)])
    return x[1], x[2], direction, [off[k, 0] for k in range(size)]


def _series(
    system: System,
    unknowns: list[Any],
    roots: dict[int, complex],
    first: list[Any],
    second: list[Any],
) -> tuple[Any, list[Any]]:
    """The target and the joins as power series."""
    held = ctx.cap
    ctx.cap = 3
    try:
        jets = [acb_series(list(terms), prec=3)
                for terms in zip(unknowns, first, second, strict=True)]  # fmt: skip
        points, rows = system.run(jets, roots)
    finally:
        ctx.cap = held
    return points[-1][0], rows


def _curve(system: System, centre: Centre, lead: int, reach: Any) -> list[Any] | None:
    """Boxes of the unknowns that hold the tied curve for all w in a box: Krawczyk's test."""
    c, size = centre.unknowns, len(centre.unknowns)
    across = box(acb(0), reach.upper())
    if size == 1:
        return [c[0] + across]
    _, rows = system.run(c, centre.roots)
    tied = _tied(rows, lead, size)
    inverse = tied.inv().mid()
    start = inverse * acb_mat(size, 1, [*(row[0] for row in rows), 0])
    along = inverse * acb_mat(size, 1, [0] * (size - 1) + [1])
    radius = [2 * (along[k, 0].abs_upper() * reach + start[k, 0].abs_upper())
              + c[k].abs_upper() * _STILL for k in range(size)]  # fmt: skip
    for _ in range(4):
        around = [box(acb(0), r.upper()) for r in radius]
        held = [u + r for u, r in zip(c, around, strict=True)]
        _, rows = system.run(held, centre.roots)
        # the line of the leading unknown says that it may be anywhere in its box
        spread = acb_mat(size, 1, [0] * (size - 1) + [across])
        slack = one_of(size) - inverse * _tied(rows, lead, size)
        image = inverse * spread - start + slack * acb_mat(size, 1, around)
        if all(around[k].contains_interior(image[k, 0]) for k in range(size)):
            return [c[k] + (across if k == lead else image[k, 0]) for k in range(size)]
        radius = [2 * image[k, 0].abs_upper() for k in range(size)]
        if not all(r.is_finite() for r in radius):
            return None
    return None
