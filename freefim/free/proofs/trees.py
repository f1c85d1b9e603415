"""The prover of trees: sums, products and other moves of laws given by rationals."""

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property, wraps
from typing import Any

from flint import acb, arb

from freefim.errors import ConvergenceError
from freefim.free.law import Law
from freefim.free.laws.given import Cauchy, Uniform
from freefim.free.proofs.balls import ball, enclosure, precision
from freefim.free.proofs.enclosure import Enclosure
from freefim.free.proofs.smooth_leaves import GateLaw
from freefim.free.proofs.tree_edges import prove_edges
from freefim.free.proofs.tree_exact import exact_law, is_positive, unmoved
from freefim.free.proofs.tree_mass import mass_above
from freefim.free.proofs.tree_points import BITS, Points
from freefim.free.proofs.tree_system import Node, atoms_of, compile_exact
from freefim.free.proofs.tree_tail import as_ball, pulled, pushed
from freefim.free.trees.atoms import tree_atoms

__all__ = ["TreeProver", "tree_prover"]

_BESIDE = tuple(Fraction(1, 2**k) for k in range(6, 61, 9))  # of an atom: where its gap may be


def _in_balls(method: Callable[..., Any]) -> Callable[..., Any]:
    """Run at the precision of proofs."""

    @wraps(method)
    def run(*arguments: Any) -> Any:
        with precision(BITS):
            return method(*arguments)

    return run


class TreeProver:
    """Proofs about the law of a tree.

    Around the unknowns found by Newton's method, Krawczyk's test gives boxes with exactly one root
    (`tree_points`), and the signs of the boxes prove the physical sheet (`tree_sheet`).
    """

    @_in_balls
    def __init__(self, law: Law) -> None:
        self.law = exact_law(law)
        self.system, self.tail = compile_exact(self.law).peeled()
        self.points = Points(self.system)

    @property
    def _leaf(self) -> Node | None:
        """The law itself, if nothing moves it off the line."""
        return self.system.nodes[0] if len(self.system.nodes) == 1 else None

    @_in_balls
    def pdf(self, x: Fraction) -> Enclosure:
        """Density of the absolutely continuous part at a rational."""
        place = pulled(self.tail, x)
        if place.x is None:
            return Enclosure(Fraction(0), Fraction(0))
        if self._leaf is not None:
            return enclosure(place.factor * _leaf_density(self._leaf, as_ball(place.x)))
        if self._beside_atom(place.x) is not None:
            return Enclosure(Fraction(0), Fraction(0))
        point = self.points.at(as_ball(place.x))
        if point.real:
            return Enclosure(Fraction(0), Fraction(0))
        return enclosure(place.factor * abs(point.points[-1][2].imag) / arb.pi())

    @_in_balls
    def cdf(self, x: Fraction) -> Enclosure:
        """Mass of (-∞, x]."""
        place = pulled(self.tail, x)
        if place.x is None:
            return Enclosure(place.start, place.start)
        above = self._mass_above(place.x, place.closed)
        if isinstance(above, Fraction):
            value = place.start + place.share * (1 - above)
            return Enclosure(value, value)
        found = enclosure(ball(place.start) + ball(place.share) * (1 - above))
        return Enclosure(max(found.lower, Fraction(0)), min(found.upper, Fraction(1)))

    def _mass_above(self, x: Any, closed: bool) -> Fraction | Any:
        """Mass of (x, ∞) before the moves, of [x, ∞) if (-∞, x] is not closed."""
        if self._leaf is not None:
            return _leaf_mass_above(self._leaf, x, closed)
        beside = self._beside_atom(x)
        if beside is not None:
            return beside[1] if closed else beside[0]
        at = as_ball(x)
        return mass_above(self.system, self.points.at(at), at)

    def _beside_atom(self, x: Any) -> tuple[Fraction, Fraction] | None:
        """Mass of [x, ∞) and of (x, ∞) at an atom; None at other points.

        Raises
        ------
        ConvergenceError
            If the atom is not proved to lie in a gap.
        """
        mass = self._atoms.get(x) if isinstance(x, Fraction) else None
        if mass is None:
            return None
        for share in _BESIDE:
            step = share * (abs(x) or 1)
            try:
                left, right = (self.points.at(ball(x + s)) for s in (-step, step))
            except ConvergenceError:
                continue
            if left.real and right.real:
                above = (mass_above(self.system, left, ball(x - step)),
                         mass_above(self.system, right, ball(x + step)))  # fmt: skip
                if above[0] - above[1] == mass:  # nothing else lies between
                    return above
        raise ConvergenceError(f"the atom at {float(x)!r} is not proved to lie in a gap")

    @cached_property
    def _atoms(self) -> dict[Fraction, Fraction]:
        """Atoms before the moves, those at rational places."""
        found = tree_atoms(unmoved(self.law))
        return {Fraction(at): Fraction(mass) for at, mass in found if not isinstance(at, float)}

    @_in_balls
    def edges(self) -> tuple[Enclosure, ...]:
        """Ends of the bands, ascending: all of them.

        Each interval holds one edge; one around a hard edge holds one at least.
        """
        if any(isinstance(node.leaf, GateLaw) for node in self.system.nodes):
            raise ConvergenceError("edges of laws with smooth gates are not proved")
        if any(isinstance(node.leaf, Cauchy) for node in self.system.nodes[1:]) or (
            self._leaf is None and isinstance(self.system.nodes[0].leaf, Cauchy)
        ):
            raise ConvergenceError("edges of a law whose support is not bounded are not proved")
        leaf = self._leaf
        if leaf is not None:
            ends = [ball(leaf.leaf.left), ball(leaf.leaf.right)] if isinstance(
                leaf.leaf, Uniform) else []  # fmt: skip
            return tuple(map(enclosure, pushed(self.tail, ends)))
        inner = unmoved(self.law)
        found = prove_edges(self.points, inner.bands, _rational(inner), positive=is_positive(inner))
        return tuple(map(enclosure, pushed(self.tail, found)))

    def atoms(self) -> tuple[tuple[Enclosure, Enclosure], ...]:
        """Point masses (location, mass), by the exact rules.

        Raises
        ------
        ConvergenceError
            If the place of one is not rational.
        """
        return tuple(
            (Enclosure(location, location), Enclosure(mass, mass))
            for location, mass in _rational(self.law)
        )

    def support(self) -> tuple[Enclosure, Enclosure]:
        """Smallest and largest point of the support, atoms included.

        Raises
        ------
        ConvergenceError
            As for `edges` and `atoms`, or if the support is not bounded.
        """
        ends = [*self.edges(), *(place for place, _ in self.atoms())]
        if not ends:
            raise ConvergenceError("the support of a Cauchy law is the whole line")
        return (min(ends, key=lambda end: end.lower), max(ends, key=lambda end: end.upper))


def _rational(law: Law) -> list[tuple[Fraction, Fraction]]:
    """Atoms of an exact law by the exact rules.

    Raises
    ------
    ConvergenceError
        If the place of one is not rational.
    """
    found = tree_atoms(law)
    for location, _ in found:
        if isinstance(location, float):
            raise ConvergenceError(f"the place of the atom at {location!r} is not rational")
    return [(Fraction(location), Fraction(mass)) for location, mass in found]


def tree_prover(law: Law) -> TreeProver:
    """Prover of a law made of given laws.

    Raises
    ------
    SpecError
        If a number of the law is not rational.
    ConvergenceError
        If a leaf is known in double precision only, or the tree is of a kind without a proof.
    """
    return TreeProver(law)


def _leaf_density(node: Node, x: Any) -> Any:
    match node.leaf:
        case Uniform(left, right):
            a, b = ball(left), ball(right)
            if x < a or x > b:
                return arb(0)
            if x > a and x < b:
                return 1 / (b - a)
            raise ConvergenceError("nothing is proved at an end of a uniform law")
        case Cauchy(scale, location):
            s, away = ball(scale), x - ball(location)
            return s / (arb.pi() * (away * away + s * s))
        case GateLaw() as gate:
            return gate.density(x)
    return arb(0)  # atoms alone


def _leaf_mass_above(node: Node, at: Any, closed: bool) -> Any:
    x = as_ball(at)
    match node.leaf:
        case Uniform(left, right):
            share = (ball(right) - x) / (ball(right) - ball(left))
            return share.min(arb(1)).max(arb(0))
        case Cauchy(scale, location):
            return (acb(x) - acb(ball(location), -ball(scale))).log().imag / arb.pi()
        case GateLaw() as gate:
            return gate.mass_above(x)
    mass = Fraction(0)
    for location, share in atoms_of(node.leaf):
        same = location == at if isinstance(at, Fraction) else ball(location) == x
        if (not closed) if same else ball(location) > x:
            mass += share
        elif not same and not ball(location) < x:
            raise ConvergenceError("the point may be an atom")
    return mass
