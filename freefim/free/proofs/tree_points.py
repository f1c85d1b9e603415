"""One point of a tree with its proof: a box that holds one root, and the sheet of it."""

from dataclasses import dataclass
from typing import Any

from flint import acb, acb_mat

from freefim.errors import ConvergenceError
from freefim.free.precise.descent import descend
from freefim.free.proofs.balls import box
from freefim.free.proofs.tree_sheet import Heights, sides
from freefim.free.proofs.tree_system import System

__all__ = [
    "BITS",
    "Centre",
    "Point",
    "Points",
    "box_of_root",
    "inverse_derivative",
    "one_of",
    "polished",
    "tangent",
]

BITS = 128
_HEIGHTS = (1e-4, 1e-7, 1e-10)  # above the real line, of the scale of the point: where to start
_ROUNDS = 40
_INFLATIONS = 4
_STILL = 2.0 ** (24 - BITS)
_LEVEL = 2.0**-60  # below it the imaginary parts of a root are rounding


@dataclass(frozen=True)
class Centre:
    """Where a proof starts: the unknowns, and the square roots taken; nothing rests on it."""

    unknowns: list[Any]
    roots: dict[int, complex]


@dataclass(frozen=True)
class Point:
    """A proved point of the physical sheet at a real target.

    Attributes
    ----------
    centre : Centre
    box : list of ball
        Boxes of the unknowns, in which the root is the only one.
    points : list of (z, dz, g, dg)
        Of every step at the root, in balls.
    sides : list of int
        Half plane of every step when the target is approached from above.
    real : bool
        Whether the target lies in a gap.
    """

    centre: Centre
    box: list[Any]
    points: list[Any]
    sides: list[int]
    real: bool


class Points:
    """Proofs of points of one system; neighbours start from one another."""

    def __init__(self, system: System) -> None:
        self.system = system
        self._rough = system.rough()
        self._last: Centre | None = None

    def at(self, target: Any) -> Point:
        """Prove the point over a real ball.

        Raises
        ------
        ConvergenceError
            If no start near the target leads to a proof.
        """
        middle = float(target.mid())
        if self._last is not None:
            found = self.near(target, self._last)
            if found is not None:
                return found
        unit = 1.0 + abs(middle)
        for height in _HEIGHTS:
            try:
                state = descend(self._rough, complex(middle), height * unit)
            except (ConvergenceError, ZeroDivisionError, OverflowError):
                continue
            start = Centre([acb(complex(u)) for u in state.unknowns],
                           {k: complex(r) for k, r in state.roots.items()})  # fmt: skip
            found = self.near(target, start)
            if found is not None:
                return found
        raise ConvergenceError(
            f"nothing is proved at x = {middle!r}: it is an edge, a cusp or an atom to this "
            "precision, or the root found is not on the physical sheet"
        )

    def near(self, target: Any, start: Centre) -> Point | None:
        """Polish a start and prove it; None if it leads to no proof."""
        centre = polished(self.system, acb(target.mid()), start)
        if centre is None:
            return None
        level = max(abs(complex(u).imag) / (abs(complex(u)) or 1.0) for u in centre.unknowns)
        if level < _LEVEL:
            flat = polished(self.system, acb(target.mid()), _on_line(centre))
            if flat is not None:
                found = self.prove(target, _on_line(flat), real=True)
                if found is not None:
                    return found
        found = self.prove(target, centre, real=False)
        return found or self.prove(target, _mirrored(centre), real=False)

    def prove(self, target: Any, centre: Centre, *, real: bool) -> Point | None:
        """Prove that there is a root beside a centre and that it is physical; None if not."""
        found = box_of_root(self.system, acb(target), centre)
        if found is None:
            return None
        held, inner, points, rows = found
        heights = Heights(points)
        if real:
            # a unique root in a box with the symmetry of conjugation is real
            size = len(held)
            try:
                speeds = _matrix(rows, points).solve(acb_mat(size, 1, [0] * (size - 1) + [1]))
            except ZeroDivisionError:
                return None
            heights = Heights(points, speeds)
        half = sides(self.system, heights)
        if half is None:
            return None
        self._last = centre
        tight, _ = self.system.run(inner, centre.roots)
        return Point(centre, held, tight, half, real)


def polished(system: System, target: Any, start: Centre) -> Centre | None:
    """Newton's method on the midpoints."""
    unknowns = start.unknowns
    for _ in range(_ROUNDS):
        try:
            points, rows = system.run(unknowns, start.roots)
            step = _matrix(rows, points).solve(_errors(rows, points, target))
        except (ZeroDivisionError, ValueError):
            return None
        moved = [(u - step[k, 0]).mid() for k, u in enumerate(unknowns)]
        size = max(abs(complex(step[k, 0])) / (abs(complex(u)) or 1.0) for k, u in enumerate(moved))
        unknowns = moved
        if not size < 1e6:  # NaN too
            return None
        if size < 2.0 ** (-BITS / 2 - 8):
            return Centre(unknowns, start.roots)
    return None


def inverse_derivative(system: System, centre: Centre) -> Any:
    """Matrix near the inverse derivative of all equations at a centre.

    Raises
    ------
    ZeroDivisionError, ValueError
        Where there is none.
    """
    points, rows = system.run(centre.unknowns, centre.roots)
    return _matrix(rows, points).inv().mid()


def tangent(system: System, centre: Centre) -> list[Any] | None:
    """Derivatives of the unknowns along the target, near a centre."""
    size = len(centre.unknowns)
    try:
        points, rows = system.run(centre.unknowns, centre.roots)
        along = _matrix(rows, points).solve(acb_mat(size, 1, [0] * (size - 1) + [1]))
    except (ZeroDivisionError, ValueError):
        return None
    return [along[k, 0] for k in range(size)]


def box_of_root(
    system: System, target: Any, centre: Centre
) -> tuple[list[Any], list[Any], list[Any], list[Any]] | None:
    r"""Boxes around a centre that hold one root for every target of a ball: Krawczyk's test.

    With Y near the inverse derivative at the centre c, :math:`c - Y F(c) + (1 - Y F'(X))(X - c)`
    inside the interior of X proves that X holds one root, and that it is simple [1]_.

    Returns
    -------
    (X, the image of X, points and rows over X), or None

    References
    ----------
    .. [1] Krawczyk, *Computing* 4 (1969) 187; Rump, *Acta Numerica* 19 (2010) 287, section 13.
    """
    c, size = centre.unknowns, len(centre.unknowns)
    try:
        points, rows = system.run(c, centre.roots)
        inverse = _matrix(rows, points).inv().mid()
        step = inverse * _errors(rows, points, target)
        radius = [2 * step[k, 0].abs_upper() + c[k].abs_upper() * _STILL for k in range(size)]
        for _ in range(_INFLATIONS):
            held = [box(u, r.upper()) for u, r in zip(c, radius, strict=True)]
            points, rows = system.run(held, centre.roots)
            slack = one_of(size) - inverse * _matrix(rows, points)
            around = acb_mat(size, 1, [box(acb(0), r.upper()) for r in radius])
            image = slack * around - step
            if all(around[k, 0].contains_interior(image[k, 0]) for k in range(size)):
                inner = [c[k] + image[k, 0] for k in range(size)]
                return held, inner, points, rows
            radius = [2 * image[k, 0].abs_upper() for k in range(size)]
            if not all(r.is_finite() for r in radius):
                return None
    except (ZeroDivisionError, ValueError):
        return None
    return None


def one_of(size: int) -> Any:
    """The unit matrix."""
    return acb_mat([[int(j == k) for k in range(size)] for j in range(size)])


def _matrix(rows: list[Any], points: list[Any]) -> Any:
    """Derivatives of the joins and of the target along the unknowns."""
    lines = [row[1] for row in rows] + [points[-1][1]]
    return acb_mat([[line[0, k] for k in range(line.ncols())] for line in lines])


def _errors(rows: list[Any], points: list[Any], target: Any) -> Any:
    values = [row[0] for row in rows] + [points[-1][0] - target]
    return acb_mat(len(values), 1, values)


def _on_line(centre: Centre) -> Centre:
    return Centre([acb(u.real) for u in centre.unknowns], centre.roots)


def _mirrored(centre: Centre) -> Centre:
    return Centre([u.conjugate() for u in centre.unknowns],
                  {k: r.conjugate() for k, r in centre.roots.items()})  # fmt: skip
