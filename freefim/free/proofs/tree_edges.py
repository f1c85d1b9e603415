"""All edges of a tree: every one proved, the bands between them open, the gaps empty.

- A square-root edge is a fold (`tree_fold`). Any other is held between a proved point of a gap, or
  0 where the law lives on [0, ∞), and a proved point of a band.
- A band has no gap inside: boxes prove complex points over all of it.
- A gap has no band inside: the mass to the right, a rational number in gaps, is the same at both
  ends but for the atoms between them.
"""

from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball, exact_value
from freefim.free.proofs.tree_cover import Stretch
from freefim.free.proofs.tree_fold import fold_near, prove_fold
from freefim.free.proofs.tree_mass import mass_above
from freefim.free.proofs.tree_points import Centre, Point, Points, tangent

__all__ = ["Edge", "prove_edges"]

_MOST = 20_000  # boxes for all bands
_SHARE = 0.4  # largest half width of a box over the distance of its middle from the edges
_LEAST = Fraction(1, 2**70)  # of the width of a band: narrower boxes are given up
_HALVINGS = 40
_BESIDE = 1e-8  # of the width of a band: where the unknowns look like those of the edge
_BRACKETS = (2.0**-46, 2.0**-43, 2.0**-40)  # of the scale, around edges that are no folds


@dataclass(frozen=True)
class Edge:
    """An edge.

    Attributes
    ----------
    x : ball
        It holds the edge.
    inside : Fraction
        A point of the band; there is no other edge between.
    start : Centre
        The unknowns there.
    above : Fraction
        Mass to the right of a point of the gap; there is no other edge between.
    outside : Fraction
        That point.
    """

    x: Any
    inside: Fraction
    start: Centre
    above: Fraction
    outside: Fraction


def prove_edges(
    points: Points,
    bands: Sequence[tuple[float, float]],
    atoms: list[tuple[Fraction, Fraction]],
    *,
    positive: bool,
) -> list[Any]:
    """Edges in balls, ascending; it is proved that there are no others.

    Parameters
    ----------
    points : Points
    bands : list of (left, right)
        Where to look.
    atoms : list of (location, mass)
        All atoms.
    positive : bool
        Whether the law is known to live on [0, ∞).

    Raises
    ------
    ConvergenceError
        If an edge, a band or a gap is not proved.
    """
    prover = _Edges(points, atoms, positive)
    edges = []
    for left, right in bands:
        first, last = (prover.edge(end, sign, right - left)
                       for end, sign in ((left, 1), (right, -1)))  # fmt: skip
        prover.cover(first, last)
        edges += [first, last]
    prover.balance(edges)
    return [edge.x for edge in edges]


class _Edges:
    def __init__(
        self, points: Points, atoms: list[tuple[Fraction, Fraction]], positive: bool
    ) -> None:
        self.points, self.system = points, points.system
        self.atoms, self.positive = atoms, positive
        self._boxes = 0

    def edge(self, end: float, inwards: int, width: float) -> Edge:
        """Prove one edge near a float."""
        return self._fold(end, inwards, width) or self._bracket(end, inwards, width)

    def _fold(self, end: float, inwards: int, width: float) -> Edge | None:
        try:
            beside = self.points.at(arb(end + inwards * _BESIDE * width))
        except ConvergenceError:
            return None
        along = tangent(self.system, beside.centre)
        if along is None or beside.real:
            return None
        sizes = [abs(complex(v)) for v in along]
        lead = sizes.index(max(sizes))
        found = fold_near(self.system, beside.centre, lead)
        if found is None:
            return None
        centre, bend = found
        reach = (ball(Fraction(width)) / 5 / abs(bend)).sqrt().mid()
        for _ in range(_HALVINGS):
            fold = prove_fold(self.system, centre, lead, reach)
            if fold is not None and fold.opens == -inwards and abs(fold.x - end) < 1e-6 * width:
                edge = self._beside(fold, inwards)
                if edge is not None:
                    return edge
            reach = (reach / 2).mid()
        return None

    def _beside(self, fold: Any, inwards: int) -> Edge | None:
        """Proved points on both sides of a fold, from its own neighbourhood."""
        middle = exact_value(fold.x.mid())
        step = inwards * exact_value(arb(float(fold.reach) / 2))
        if not abs(ball(step)) + fold.x.rad() < fold.reach:
            return None
        try:
            inside, outside = (self.points.at(ball(middle + s)) for s in (step, -step))
        except ConvergenceError:
            return None
        if inside.real or not outside.real:
            return None
        for point in (inside, outside):
            held = zip(fold.box, point.box, strict=True)
            if not all(large.contains(small) for large, small in held):
                return None
        return self._made(fold.x, (inside, middle + step), (outside, middle - step))

    def _made(
        self, x: Any, inside: tuple[Point, Fraction], outside: tuple[Point, Fraction]
    ) -> Edge:
        above = mass_above(self.system, outside[0], ball(outside[1]))
        return Edge(x, inside[1], inside[0].centre, above, outside[1])

    def _bracket(self, end: float, inwards: int, width: float) -> Edge:
        scale = max(abs(end), width)
        bottom = self.positive and inwards > 0 and abs(end) < _BRACKETS[0] * width
        for share in _BRACKETS:
            step = Fraction(share * scale) * inwards
            near = Fraction(0) if bottom else Fraction(end)
            try:
                inside = self.points.at(ball(near + step))
                if inside.real:
                    continue
                if bottom:
                    below = 1 - sum(mass for at, mass in self.atoms if at < 0)
                    return Edge(_between(near, near + step), near + step, inside.centre,
                                Fraction(below), near)  # fmt: skip
                outside = self.points.at(ball(near - step))
                if outside.real:
                    x = _between(near - step, near + step)
                    return self._made(x, (inside, near + step), (outside, near - step))
            except ConvergenceError:
                continue
        raise ConvergenceError(f"no edge is proved near {end!r}")

    def cover(self, first: Edge, last: Edge) -> None:
        """Prove that all points between two edges lie in a band."""
        x, stop = first.inside, last.inside
        left, right = exact_value(first.x.mid()), exact_value(last.x.mid())
        least = (right - left) * _LEAST
        share, start = _SHARE, first.start
        while x < stop:
            self._boxes += 1
            if self._boxes > _MOST:
                raise ConvergenceError(
                    f"{_MOST} boxes do not cover the bands: two of them may be about to meet"
                )
            near = min(float(x - left) / (1 - share), float(right - x) / (1 + share))
            reach = _dyadic(share * near)
            if reach < least:
                raise ConvergenceError(f"no band is proved at x = {float(x)!r}: a gap may close")
            stretch = Stretch.near(self.system, ball(x + reach), start)
            if stretch is not None and stretch.is_open(ball(reach).upper()):
                x, start = x + 2 * reach, stretch.at(ball(reach))
                share = min(_SHARE, 1.25 * share)
            else:
                share = 0.6 * share

    def balance(self, edges: list[Edge]) -> None:
        """Prove that the gaps hold nothing but the atoms."""
        places = [None, *(edge.outside for edge in edges), None]
        masses = [Fraction(1), *(edge.above for edge in edges), Fraction(0)]
        for k in range(0, len(places), 2):
            low, high = places[k], places[k + 1]
            held = sum(
                (mass for at, mass in self.atoms
                 if (low is None or at > low) and (high is None or at < high)), Fraction(0)
            )  # fmt: skip
            if masses[k] - masses[k + 1] != held:
                raise ConvergenceError(
                    f"the gap from {low and float(low)!r} to {high and float(high)!r} holds mass "
                    f"{float(masses[k] - masses[k + 1])!r}, its atoms {float(held)!r}"
                )


def _between(a: Fraction, b: Fraction) -> Any:
    middle, half = ball((a + b) / 2), ball(abs(b - a) / 2)
    return middle + arb(0, half.upper())


def _dyadic(step: Fraction | float) -> Fraction:
    """A float not above a step."""
    return Fraction(float(step)) * Fraction(1023, 1024)
