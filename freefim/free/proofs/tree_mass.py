r"""The mass to the right of a proved point: Im Φ/π in closed form, a rational number in gaps.

All logarithms are principal: in C+ no argument meets the cut (arg of a place in (0, π), of G and,
for laws on [0, ∞), of m in (-π, 0)), and at infinity Φ ~ log z. On the line the imaginary part of
a logarithm is 0 or a half turn, hence the mass is a sum of numbers of the law.
"""

from fractions import Fraction
from typing import Any

from flint import acb, arb

from freefim.errors import ConvergenceError
from freefim.free import moves as table
from freefim.free.laws.given import Cauchy, Uniform
from freefim.free.proofs.balls import ball
from freefim.free.proofs.smooth_leaves import GateLaw
from freefim.free.proofs.tree_points import Point
from freefim.free.proofs.tree_system import Node, System, atoms_of

__all__ = ["mass_above"]

moves: Any = table


class _Band:
    """Complex potentials in balls."""

    def number(self, value: Fraction) -> Any:
        return acb(ball(value))

    def log(self, value: Any, _side: int) -> Any:
        return value.log()

    def half_turn(self, side: int) -> Any:
        return acb(0, side * arb.pi())

    def term(self, value: Any) -> Any:
        return value

    def uniform(self, w: Any, left: Fraction, right: Fraction, _side: int) -> Any:
        a, b = ball(left), ball(right)
        return ((w - a) * (w - a).log() - (w - b) * (w - b).log()) / (b - a)

    def gate(self, law: GateLaw, w: Any, _side: int) -> Any:
        return law.potential(w)


class _Gap:
    """Imaginary parts alone, in half turns, as rationals."""

    def number(self, value: Fraction) -> Any:
        return value

    def log(self, value: Any, side: int) -> Any:
        if value.real > 0:
            return Fraction(0)
        if value.real < 0:
            return Fraction(side)
        raise ConvergenceError("the sign of a number in a gap is not proved")

    def half_turn(self, side: int) -> Any:
        return Fraction(side)

    def term(self, _value: Any) -> Any:
        return 0

    def uniform(self, w: Any, left: Fraction, _right: Fraction, side: int) -> Any:
        return self.log(w - ball(left), side)

    def gate(self, _law: GateLaw, w: Any, side: int) -> Any:
        return self.log(w, side)


def mass_above(system: System, point: Point, x: Any) -> Fraction | Any:
    """Mass in (x, ∞) at a proved point over x: a Fraction in a gap, a ball in a band.

    Raises
    ------
    ConvergenceError
        If a square root or the inverse of a law that may be negative stands inside the tree.
    """
    field: Any = _Gap() if point.real else _Band()
    held: list[Any] = []
    for place, node in enumerate(system.nodes):
        if node.leaf is not None:
            held.append(_leaf(field, node, point.points[place][0], point.sides[place]))
            continue
        out = acb(x) if place == len(system.nodes) - 1 else point.points[place][0]
        z, _, g, _ = point.points[node.inputs[0]]
        side, within = point.sides[place], point.sides[node.inputs[0]]
        numbers = tuple(map(field.number, node.numbers))
        phi = held[node.inputs[0]]
        m = z * g - 1
        match node.kind:
            case "sum":
                phi = phi + held[node.inputs[1]] + field.log(g, -within)
            case "product":
                phi = phi + held[node.inputs[1]] + field.log(m, -within)
            case "affine":
                if node.numbers[0] < 0:
                    phi = phi + field.half_turn(side)
            case "corner":
                phi = moves.corner_potential(phi, field.log(g, -within), *numbers)
            case "padding":
                phi = moves.padding_potential(phi, field.log(z, within), *numbers)
            case "gaussian":
                phi = moves.gaussian_potential(phi, field.log(z, within), field.term(m), numbers[0])
            case "semicircle":
                phi = moves.semicircle_potential(phi, field.term(g), *numbers)
            case "free_poisson":
                turn = within if node.numbers[1] > 0 else -within
                slack = field.log(1 - acb(ball(node.numbers[1])) * g, turn)
                phi = moves.free_poisson_potential(phi, field.term(g), slack, *numbers)
            case "projection":
                phi = phi + (1 - numbers[0]) * (field.log(g, -within) + field.log(out, within))
            case "marchenko_pastur":
                level = field.log(out, side) - field.log(z, within)
                phi = moves.marchenko_pastur_potential(phi, field.term(m), level, numbers[0], 1)
            case "multiplicative_power":
                phi = numbers[0] * phi + (numbers[0] - 1) * field.log(m, -within)
            case "inverse" if node.numbers:
                phi = phi - field.log(z, within) + field.half_turn(side)
            case _:
                raise ConvergenceError(
                    "masses are not proved where a square root, a square, or the inverse of a law "
                    "that may be negative stands inside a tree"
                )
        held.append(phi)
    return Fraction(held[-1]) if point.real else held[-1].imag / arb.pi()


def _leaf(field: Any, node: Node, w: Any, side: int) -> Any:
    match node.leaf:
        case GateLaw():
            return field.gate(node.leaf, w, side)
        case Uniform(left, right):
            return field.uniform(w, left, right, side)
        case Cauchy(scale, location):
            return (w - acb(ball(location), -side * ball(scale))).log()
    return sum(
        field.number(mass) * field.log(w - ball(at), side) for at, mass in atoms_of(node.leaf)
    )
