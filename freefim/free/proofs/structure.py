"""Bands of a chain of projections: proved, proved to be all, with their exact masses."""

from dataclasses import dataclass
from fractions import Fraction
from itertools import pairwise
from typing import Any

from flint import acb, arb, arb_series

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball, enclosure, precision
from freefim.free.proofs.curve import Curve, Program, mass_above
from freefim.free.proofs.enclosure import Enclosure
from freefim.free.proofs.exact_atoms import exact_structure
from freefim.free.proofs.gaps import Cell, Cut, Edge, cuts_of, find_cells, gap_around
from freefim.free.proofs.roots import descend

__all__ = ["Band", "Structure", "mass_beside", "solve_structure"]

_Atoms = tuple[tuple[Fraction, Fraction], ...]
_BITS = (192, 384, 768, 1536)
_LOW = 1e-9  # height over the real line from which a point is looked for in a gap


@dataclass(frozen=True)
class Band:
    """One band: its ends, its mass, and where its points lie.

    Attributes
    ----------
    left, right : Enclosure
    mass : Fraction
    gaps : tuple of Edge
        The ends of the gaps on its two sides, on the real line of t.
    """

    left: Enclosure
    right: Enclosure
    mass: Fraction
    gaps: tuple[Edge, Edge]

    def guess(self, curve: Curve, x: Fraction) -> Any:
        """Where the root over x may be: an arch over the band."""
        left, right = (edge.hull.mid() for edge in self.gaps)
        a, b = ball(self.left.lower), ball(self.right.upper)
        half = (b - a) / 2
        heights = [_arch(curve, edge, half) for edge in (left, right)]
        cosine = ((a + b) / 2 - ball(x)) / half
        sine = (1 - cosine**2).nonnegative_part().sqrt()
        height = sine * (sum(heights) + (heights[0] - heights[1]) * cosine) / 2
        return acb((left + right) / 2 - (right - left) / 2 * cosine, height).mid()


@dataclass(frozen=True)
class Structure:
    """The atoms and bands of a law.

    Attributes
    ----------
    bits : int
        Precision of the proof.
    atoms : tuple of (location, mass)
    cuts, cells
        The proof: what stands between poles.
    bands : tuple of Band
    """

    bits: int
    atoms: _Atoms
    cuts: tuple[Cut, ...]
    cells: tuple[Cell, ...]
    bands: tuple[Band, ...]


def solve_structure(program: Program) -> Structure:
    """Prove the bands with as many bits as it takes.

    Raises
    ------
    ConvergenceError
        If the most bits do not suffice: at a cusp.
    """
    for bits in _BITS:
        try:
            with precision(bits):
                return _solved(Curve(program), bits)
        except ConvergenceError as problem:
            last = problem
    raise last


def _solved(curve: Curve, bits: int) -> Structure:
    exact = exact_structure(curve.program)
    atoms = exact.atoms
    cuts = cuts_of(curve)
    cells = find_cells(curve, cuts)
    rights = [cell.right for cell in cells if cell.right is not None]
    lefts = [cell.left for cell in cells if cell.left is not None]
    sides = list(zip(rights, lefts, strict=True))
    bands = tuple(
        _band(curve, edges, None if place else exact.floor, atoms)
        for place, edges in enumerate(sides)
    )
    ends = [end for band in bands for end in (band.left, band.right)]
    for left, right in pairwise(ends):
        if not left.upper < right.lower:
            raise ConvergenceError(f"two edges are not told apart at x = {left.midpoint!r}")
    total = sum((band.mass for band in bands), sum(mass for _, mass in atoms))
    if total != 1:
        raise ConvergenceError(f"atoms and bands hold {float(total)!r} instead of 1")
    return Structure(bits, atoms, tuple(cuts), tuple(cells), bands)


def _band(curve: Curve, edges: tuple[Edge, Edge], start: Fraction | None, atoms: _Atoms) -> Band:
    mass = real_mass_above(curve, edges[0].inside) - real_mass_above(curve, edges[1].inside)
    right = edge_place(curve, edges[1])
    if start is None:
        return Band(edge_place(curve, edges[0]), right, mass, edges)
    # an atom may stand where the lowest band starts
    return Band(Enclosure(start, start), right, mass - dict(atoms).get(start, 0), edges)


def mass_beside(program: Program, x: Fraction) -> Fraction | None:
    """Mass of (-∞, x] if x is proved to lie in a gap, whatever the other bands are; else None."""
    with precision(_BITS[0]):
        curve = Curve(program)
        for t in descend(curve, x):
            if t.imag > _LOW * abs(t):
                continue
            found = gap_around(curve, ball(x), t.real)
            if found is None:
                return None
            top, atoms = curve.end(found[1]).out, exact_structure(program).atoms
            if any(at > x and not top < ball(at) for at, _ in atoms):
                return None
            return 1 - real_mass_above(curve, found[1])
    return None


def edge_place(curve: Curve, edge: Edge) -> Enclosure:
    """Enclose z over the hull of an edge, where it is stationary."""
    hull = edge.hull
    middle = hull.mid()
    try:
        slope = curve.end(arb_series([hull, 1], 2)).out[1]
        return enclosure(curve.end(middle).out + slope * (hull - middle))
    except (ValueError, ZeroDivisionError) as problem:
        raise ConvergenceError(f"z is singular at the edge t = {float(middle)!r}") from problem


def real_mass_above(curve: Curve, t: Any) -> Fraction:
    """Mass right of z(t), t inside a gap: a combination of the masses that gates take out."""
    numbers = [numbers for _, numbers in curve.program.steps]
    return Fraction(mass_above(curve.walk(t), numbers, _turn, lambda m: Fraction(0)))


def _turn(value: Any) -> Fraction:
    """Argument over π of a real number, reached from above."""
    if value > 0 or value < 0:
        return Fraction(int(value < 0))
    raise ConvergenceError("the sign of a number on the real line is not decided")


def _arch(curve: Curve, t: Any, half: Any) -> Any:
    try:
        bend = 2 * curve.end(arb_series([t, 1], 3)).out[2]
        return (half / abs(bend)).sqrt()
    except (ValueError, ZeroDivisionError):
        return arb(0)
