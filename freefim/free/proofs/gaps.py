r"""The real line: gaps of a chain of projections, each proved, and proved to be all.

A real t belongs to a gap iff dz/dt > 0 after every convolution H. Between the poles of the H,
H' is concave in the z before it: a cell between two poles holds at most one gap.
"""

from dataclasses import dataclass, replace
from itertools import pairwise
from typing import Any

from flint import arb, arb_series, ctx

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball
from freefim.free.proofs.curve import Curve, is_convolution
from freefim.free.proofs.exact_atoms import exact_structure

__all__ = ["Cell", "Cut", "Edge", "cuts_of", "find_cells", "gap_around"]

_ROUNDS = 400


@dataclass(frozen=True)
class Probe:
    """A pass along the real line.

    Attributes
    ----------
    sign : int
        1: every H' > 0. -1: some H' < 0. 0: not decided.
    step : int
        Index of the first step with H' < 0, else -1.
    z, phi, slope, speed : arb
        On failure, at that step: the place before it, H', dH'/dz and dz/dt. Else z, dz/dt, d²z/dt²
        at the end of the walk, and 1.
    """

    sign: int
    step: int = -1
    z: Any = None
    phi: Any = None
    slope: Any = None
    speed: Any = None


@dataclass(frozen=True)
class Cut:
    """The zero of z after `depth` steps (-1: t = 0), between two points; may be a pole of some H.

    It is `idle`, no pole inside a gap, if H' < 0 there for the gate that would make the pole.
    """

    depth: int
    lower: Any
    upper: Any
    idle: bool = False


@dataclass(frozen=True)
class Edge:
    """The one end of a gap between a point of the gap and one that is not."""

    inside: Any
    outside: Any

    @property
    def hull(self) -> Any:
        """The ball between the two."""
        return self.inside.union(self.outside)


@dataclass(frozen=True)
class Cell:
    """What is proved between two cuts: the ends of the one gap, or that there is none.

    Attributes
    ----------
    left, right : Edge or None
        Ends of the gap; None at infinity, and where there is no gap.
    witnesses : tuple of arb
        Points that exclude a gap: of all points to their left, right, and in between.
    """

    left: Edge | None
    right: Edge | None
    witnesses: tuple[Any, ...] = ()


def probe(curve: Curve, t: Any, depth: int | None = None) -> Probe:
    """Signs of H' along the walk of a real point or ball."""
    slope, bend = arb(1), arb(0)
    try:
        for k, step in enumerate(curve.walk(arb_series([t, 1], 3), depth)):
            z, dz, ddz = step.out[0], step.out[1], 2 * step.out[2]
            if is_convolution(step.kind) and not dz > 0:
                if not dz < 0:
                    return Probe(0)
                turn = (ddz * slope - dz * bend) / slope**3
                return Probe(-1, k, step.z[0], dz / slope, turn, slope)
            slope, bend = dz, ddz
    except (ValueError, ZeroDivisionError):  # a divisor holds 0
        return Probe(0)
    return Probe(1, -1, z, dz, ddz, arb(1))


def cuts_of(curve: Curve) -> list[Cut]:
    """Poles of the H inside gaps, ascending, each between two points."""
    exact = exact_structure(curve.program)
    if exact.unproved is not None:
        raise ConvergenceError(
            "the list of bands is not proved complete where a convolution follows a padding: "
            f"step {exact.unproved + 1} of {len(curve.program.steps)}"
        )
    cuts: list[Cut] = []
    for depth in sorted(exact.cuts):  # each left of those before
        if depth < 0:
            cuts.append(Cut(depth, arb(0), arb(0)))
        else:
            cuts.append(_zero(curve, depth, min((cut.lower for cut in cuts), default=arb(0))))
    cuts.sort(key=lambda cut: cut.lower)
    for left, right in pairwise(cuts):
        if not left.upper < right.lower:
            raise ConvergenceError(f"two poles are not told apart at t = {float(left.upper)!r}")
    return cuts


def _zero(curve: Curve, depth: int, hi: Any) -> Cut:
    """The zero of z after `depth` steps, in the lowest gap there, below `hi`."""
    reach = curve.scale
    lo = hi - reach
    for _ in range(_ROUNDS):
        seen = probe(curve, lo, depth)
        if seen.sign == 1 and seen.z < 0:
            break
        hi, reach = lo, 2 * reach
        lo = (lo - reach).mid()
    t = ((lo + hi) / 2).mid()
    for _ in range(_ROUNDS):
        seen = probe(curve, t, depth)
        lo, hi = (t, hi) if seen.sign == 1 and seen.z < 0 else (lo, t)
        step = seen.z / seen.phi if seen.sign == 1 else arb(1)
        if abs(step).mid() <= _rounding() * _size(curve, t):
            break
        newton = (t - step).mid()
        t = newton if seen.sign == 1 and lo < newton <= hi else ((lo + hi) / 2).mid()
    for share in (3, 2, 1.5):
        width = _size(curve, t) * arb(2) ** int(-ctx.prec / share)
        lower, upper = (t - width).mid(), (t + width).mid()
        cut = Cut(depth, lower, upper)
        if proved_cut(curve, cut):
            return replace(cut, idle=_is_idle(curve, lower.union(upper), depth))
    raise ConvergenceError(f"the zero of z after {depth} steps is not proved near t = {float(t)!r}")


def _is_idle(curve: Curve, hull: Any, depth: int) -> bool:
    """Whether the gate at a proved cut, where the walk has no pole, has H' < 0."""
    kind, numbers = curve.program.steps[depth]
    *_, end = curve.walk(arb_series([hull, 1], 2), depth)
    return kind == "gate" and bool(end.z[1] < ball(numbers[0]) * end.f[1])


def proved_cut(curve: Curve, cut: Cut) -> bool:
    """Whether z rises through 0 between the ends of a cut, inside a gap of the law there."""
    ends = [probe(curve, end, cut.depth) for end in (cut.lower, cut.upper)]
    between = probe(curve, cut.lower.union(cut.upper), cut.depth)
    signs = {end.sign for end in [*ends, between]}
    return signs == {1} and bool(ends[0].z < 0) and bool(ends[1].z > 0)


def gap_around(curve: Curve, x: Any, start: Any) -> tuple[Any, Any] | None:
    """Points t of one gap whose z enclose x, from a real number near; None if none are proved."""
    t = start
    for _ in range(_ROUNDS):
        seen = probe(curve, t)
        if seen.sign != 1:
            return None
        step = ((seen.z - x) / seen.phi).mid()
        t = (t - step).mid()
        if abs(step) <= _rounding() * _size(curve, t):
            break
    width = _size(curve, t) * arb(2) ** int(-ctx.prec / 2)
    lower, upper = (t - width).mid(), (t + width).mid()
    ends = probe(curve, lower), probe(curve, upper)
    if not ends[0].sign == ends[1].sign == probe(curve, lower.union(upper)).sign == 1:
        return None
    return (lower, upper) if ends[0].z < x < ends[1].z else None


def find_cells(curve: Curve, cuts: list[Cut]) -> list[Cell]:
    """What is proved of every cell, ascending: n cuts that are not idle make n + 1 cells.

    Raises
    ------
    ConvergenceError
        If a cell is not decided: a gap that closes there, or to within the precision.
    """
    cuts = [cut for cut in cuts if not cut.idle]
    if not cuts:
        return [Cell(None, None)]
    low = _outside(curve, cuts[0].lower, -curve.scale)
    high = _outside(curve, cuts[-1].upper, curve.scale)
    return [
        Cell(None, _edge(curve, low, cuts[0].lower)),
        *(_cell(curve, left.upper, right.lower) for left, right in pairwise(cuts)),
        Cell(_edge(curve, high, cuts[-1].upper), None),
    ]


def _outside(curve: Curve, cut: Any, reach: Any) -> Any:
    """Find a point of the gap that reaches to infinity."""
    for _ in range(_ROUNDS):
        t = (cut + reach).mid()
        if probe(curve, t).sign == 1:
            return t
        reach = 2 * reach
    raise ConvergenceError("the outer gap is not found")


def _cell(curve: Curve, left: Any, right: Any) -> Cell:
    """Search between two cuts: the tangents of the concave H' lie above it, and decide."""
    lo, hi = left, right
    low = high = Probe(0)
    t = _middle(lo, hi)
    for _ in range(_ROUNDS):
        seen = probe(curve, t)
        if seen.sign == 1:
            return Cell(_edge(curve, t, lo), _edge(curve, t, hi))
        if seen.sign == 0 or not (seen.slope > 0 or seen.slope < 0):
            break
        if seen.slope > 0:
            lo, low = t, seen
        else:
            hi, high = t, seen
        t = _middle(lo, hi)
        if low.step == high.step:
            if excludes(low, high):
                return Cell(None, None, (lo, hi))
            share = float(((_meeting(low, high) - low.z) / (high.z - low.z)).mid())
            t = (lo + min(max(share, 0.1), 0.9) * (hi - lo)).mid()
    raise ConvergenceError(
        f"a gap between t = {float(left)!r} and {float(right)!r} is neither proved nor excluded: "
        "it closes there, in a cusp, or to within the precision"
    )


def excludes(low: Probe, high: Probe) -> bool:
    """Whether tangents of the same H' at two points meet below 0: no gap left, between or right."""
    if not (low.step == high.step >= 0 and low.slope > 0 and high.slope < 0):
        return False
    return bool(low.phi + low.slope * (_meeting(low, high) - low.z) < 0)


def _meeting(low: Probe, high: Probe) -> Any:
    fall = high.phi - low.phi + low.slope * low.z - high.slope * high.z
    return fall / (low.slope - high.slope)


def _edge(curve: Curve, inside: Any, outside: Any) -> Edge:
    """Enclose the end of a gap between a point of it and a point beyond."""
    good, bad = inside, outside
    t = _middle(good, bad)
    step = abs(bad - good)
    last = curve.program.last
    for _ in range(_ROUNDS):
        seen = probe(curve, t)
        if seen.sign == 0:
            break
        good, bad = (t, bad) if seen.sign == 1 else (good, t)
        aim = None
        if seen.step in (-1, last):
            aim = _inside(t - seen.phi / (seen.slope * seen.speed), good, bad)
        if aim is None or abs(aim - t) > step / 2:
            aim = _middle(good, bad)
        step, t = abs(aim - t), aim
        if step <= _rounding() * _size(curve, t):
            break
    towards = 1 if inside > outside else -1
    for share in (3, 2, 1.5, 4, 6):
        width = _size(curve, t) * arb(2) ** int(-ctx.prec / share) * towards
        edge = Edge((t + width).mid(), (t - width).mid())
        if probe(curve, edge.inside).sign == 1 and probe(curve, edge.outside).sign == -1:
            return edge
    raise ConvergenceError(f"the end of a gap is not proved near t = {float(t)!r}: a cusp")


def _middle(a: Any, b: Any) -> Any:
    """A point between, geometric where the ends differ by more than an order of magnitude.

    Not the very middle: round numbers may be poles, where nothing is decided.
    """
    if a * b > 0 and (abs(a) > 10 * abs(b) or abs(b) > 10 * abs(a)):
        root = (a * b).sqrt().mid()
        return root if a > 0 else -root
    return (a + (b - a) * 0.51).mid()


def _inside(t: Any, a: Any, b: Any) -> Any | None:
    """The middle of a ball, if it lies between two points."""
    t = t.mid()
    return t if min(a, b) < t < max(a, b) else None


def _size(curve: Curve, t: Any) -> Any:
    """What errors of t are measured by: t itself, but not where it is 0."""
    return abs(t) + curve.scale * arb(2) ** int(-ctx.prec / 4)


def _rounding() -> Any:
    """Relative size of steps that are as small as they get."""
    return arb(2) ** (24 - ctx.prec)
