"""A tree as equations in balls: one unknown a leaf, one equation a join, and the target.

Points are those of `freefim.free.moves`, on balls, or on power series of balls where derivatives of
higher order are wanted.
"""

import cmath
from collections.abc import Callable
from dataclasses import dataclass, field
from fractions import Fraction
from typing import Any

import numpy as np
from flint import acb, acb_mat, acb_series, ctx

from freefim.errors import ConvergenceError
from freefim.free import moves as table
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.precise.program import Arithmetic, Program, Step
from freefim.free.proofs.balls import ball
from freefim.free.proofs.smooth_leaves import GateLaw
from freefim.free.proofs.tree_exact import is_positive
from freefim.free.proofs.tree_models import Model
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

__all__ = ["JOINS", "Node", "System", "atoms_of", "compile_exact"]

# The moves take any kind of number, and so have no types.
moves: Any = table
Ball = Any

JOINS = ("sum", "product")
# Moves that take the real line to itself.
_REAL = ("affine", "padding", "inverse", "singular_values", "square")


@dataclass(frozen=True)
class Node:
    """One step: a leaf with its law, or a move or join of earlier steps with its numbers."""

    kind: str
    inputs: tuple[int, ...] = ()
    numbers: tuple[Fraction, ...] = ()
    leaf: Law | None = None


@dataclass
class System:
    """The steps of a tree in postorder, and their numbers as balls of the working precision."""

    nodes: list[Node] = field(default_factory=list)
    _numbers: list[Any] = field(default_factory=list)

    @property
    def leaves(self) -> list[int]:
        """Places of the leaves."""
        return [k for k, node in enumerate(self.nodes) if node.leaf is not None]

    def add(self, kind: str, *numbers: Fraction) -> int:
        """Append a move of the last step."""
        return self._append(Node(kind, (len(self.nodes) - 1,), numbers))

    def join(self, kind: str, left: int, right: int) -> int:
        """Append a join."""
        return self._append(Node(kind, (left, right)))

    def add_leaf(self, law: Law) -> int:
        """Append a leaf."""
        return self._append(Node("leaf", leaf=law))

    def peeled(self) -> tuple["System", list[Node]]:
        """The steps up to the last convolution or leaf, and the later ones, the last first."""
        count = len(self.nodes)
        while self.nodes[count - 1].kind in _REAL:
            count -= 1
        return System(self.nodes[:count], self._numbers[:count]), self.nodes[: count - 1 : -1]

    def _append(self, node: Node) -> int:
        self.nodes.append(node)
        self._numbers.append(
            tuple(acb(ball(x)) for x in node.numbers) if node.leaf is None else _lifted(node.leaf)
        )
        return len(self.nodes) - 1

    def run(
        self, unknowns: list[Ball], roots: dict[int, complex], along: int | None = None
    ) -> tuple[list[Any], list[Any]]:
        """Points (z, dz, g, dg) of every step, and rows (error, derivative) of the joins.

        Derivatives are matrices of one row. `roots` says which square root is taken at a place.
        Unknowns that are series or models give such, with the derivatives along one of them.

        Raises
        ------
        ZeroDivisionError, ValueError
            Where a formula has no value.
        """
        points: list[Any] = []
        rows: list[Any] = []
        count, size = 0, len(unknowns)
        plain = isinstance(unknowns[0], acb)
        for place, node in enumerate(self.nodes):
            numbers = self._numbers[place]
            if node.leaf is not None:
                w = unknowns[count]
                g, slope = _transform(node.leaf, numbers, w)
                unit = (acb_mat(1, size, _unit(count, size)) if plain
                        else acb(int(count == along)))  # fmt: skip
                points.append((w, unit, g, slope * unit))
                count += 1
            elif node.kind in JOINS:
                (z, dz, g, dg), (v, dv, h, dh) = (points[k] for k in node.inputs)
                if node.kind == "sum":
                    rows.append((g - h, dg - dh))
                    points.append(moves.total(z, dz, v, dv, g, dg))
                else:
                    rows.append((z * g - v * h, dz * g + z * dg - dv * h - v * dh))
                    points.append(moves.product(z, dz, v, dv, g, dg))
            else:
                points.append(_moved(node, numbers, points[node.inputs[0]], roots.get(place)))
        return points, rows

    def rough(self) -> Program:
        """The same steps in floats."""
        steps = [
            Step(node.kind, node.inputs, _rough_numbers(node),
                 None if node.leaf is None else _rough_leaf(node.leaf), (False, False))
            for node in self.nodes
        ]  # fmt: skip
        return Program(Arithmetic(complex, cmath.sqrt, cmath.log, _power, complex), steps)


def _unit(place: int, size: int) -> list[int]:
    return [int(k == place) for k in range(size)]


def _moved(node: Node, numbers: Any, point: Any, root: complex | None) -> Any:
    z, _, g, _ = point
    match node.kind:
        case "singular_values":
            return moves.singular_values(*point, _root(z, root))
        case "multiplicative_power":
            (exponent,) = numbers
            rest = z - 1 / g
            factor = rest if node.numbers[0] == 2 else rest ** (exponent - 1)
            return moves.multiplicative_power(*point, factor, exponent)
        case "marchenko_pastur":
            (ratio,) = numbers
            return moves.marchenko_pastur(*point, ratio, 1 + ratio * (z * g - 1), 1)
        case "inverse":
            return moves.inverse(*point)
    return getattr(moves, node.kind)(*point, *numbers)


def _head(z: Ball) -> Ball:
    """A ball that holds the number, or the first term of a series."""
    if isinstance(z, Model):
        return z.ball
    return z[0] if isinstance(z, acb_series) else z


def _root(z: Ball, near: complex | None) -> Ball:
    """Square root on a branch that is analytic around z: both are points of the same law."""
    if near is None:
        raise ValueError("no square root was chosen")
    root = z.sqrt() if _head(z).real.mid() > 0 else (-z).sqrt() * acb(0, 1)
    middle = complex(_head(root))
    return -root if abs(middle - near) > abs(middle + near) else root


def _lifted(law: Law) -> Any:
    match law:
        case GateLaw():
            return ()
        case Uniform(left, right):
            return acb(ball(left)), acb(ball(right))
        case Cauchy(scale, location):
            return acb(ball(location)), acb(0, ball(scale))
    return [(acb(ball(at)), acb(ball(mass))) for at, mass in atoms_of(law)]


def atoms_of(law: Law | None) -> list[tuple[Fraction, Fraction]]:
    """Atoms (location, mass) of an exact leaf without a density."""
    match law:
        case PointMass(location):
            return [(Fraction(location), Fraction(1))]
        case Empirical():
            return [(Fraction(at), mass) for at, mass in law.weighted]
        case Atomic(locations, masses):
            return list(zip(map(Fraction, locations), map(Fraction, masses), strict=True))
    raise AssertionError(law)


def _transform(law: Law, numbers: Any, w: Ball) -> tuple[Ball, Ball]:
    """G and G' of a leaf."""
    if isinstance(w, Model):
        return w.through(lambda jet: _transform(law, numbers, jet))  # type: ignore[return-value]
    match law:
        case GateLaw():
            if isinstance(w, acb_series):
                raise ValueError("the transform of a smooth gate has no series")
            return law.transform(w)
        case Uniform():
            a, b = numbers
            # off the interval the ratio avoids the cut of the logarithm
            return ((w - a) / (w - b)).log() / (b - a), -1 / ((w - a) * (w - b))
        case Cauchy():
            at, reach = numbers
            height = _head(w).imag
            if not (height > 0 or height < 0):
                raise ValueError("the transform of a Cauchy law jumps at the line")
            g = 1 / (w - at + (reach if height > 0 else -reach))
            return g, -g * g
    if isinstance(w, acb_series):
        return _rational_series(numbers, w)
    g, slope = 0, 0
    for at, mass in numbers:
        inverse = 1 / (w - at)
        share = mass * inverse
        g, slope = g + share, slope - share * inverse
    return g, slope


def _rational_series(atoms: Any, w: Ball) -> tuple[Ball, Ball]:
    """The same as power series, from the sums of the powers of 1/(w - a)."""
    inverses = [1 / (w[0] - at) for at, _ in atoms]
    shares = [mass for _, mass in atoms]
    sums = []
    for k in range(ctx.cap + 1):
        shares = [share * inverse for share, inverse in zip(shares, inverses, strict=True)]
        sums.append(sum(shares) * (-1) ** k)
    slopes = [k * term for k, term in enumerate(sums)][1:]
    inner = [w[k] for k in range(1, ctx.cap)]
    if all(term.is_zero() for term in inner):  # which python-flint does not insert
        return acb_series(sums[:1], prec=ctx.cap), acb_series(slopes[:1], prec=ctx.cap)
    jet = acb_series([acb(0), *inner], prec=ctx.cap)
    return acb_series(sums[:-1], prec=ctx.cap)(jet), acb_series(slopes, prec=ctx.cap)(jet)


def _rough_numbers(node: Node) -> tuple[complex, ...]:
    return () if node.kind == "inverse" else tuple(map(complex, node.numbers))


def _rough_leaf(law: Law) -> Callable[[complex], tuple[complex, complex]]:
    match law:
        case GateLaw():
            return law.rough
        case Uniform(left, right):
            a, b = float(left), float(right)
            return lambda w: (cmath.log((w - a) / (w - b)) / (b - a), -1 / ((w - a) * (w - b)))
        case Cauchy(scale, location):
            at, reach = float(location), 1j * float(scale)

            def shifted(w: complex) -> tuple[complex, complex]:
                g = 1 / (w - at + (reach if w.imag >= 0 else -reach))
                return g, -g * g

            return shifted
    places, masses = (np.array([float(x) for x in held])
                      for held in zip(*atoms_of(law), strict=True))  # fmt: skip

    def rational(w: complex) -> tuple[complex, complex]:
        inverse = 1 / (w - places)
        return complex(masses @ inverse), complex(-(masses * inverse) @ inverse)

    return rational


def _power(base: complex, exponent: complex) -> complex:
    return complex(base**exponent)


def compile_exact(law: Law) -> System:
    """The equations of an exact law.

    Raises
    ------
    ConvergenceError
        If a factor of a product or the base of a power is not seen to live on [0, ∞).
    """
    system = System()
    _emit(system, law)
    return system


def _emit(system: System, law: Law) -> int:
    match law:
        case PointMass() | Atomic() | Empirical() | Uniform() | Cauchy() | GateLaw():
            return system.add_leaf(law)
        case Semicircle(variance, mean):
            system.add_leaf(PointMass(mean))
            return system.add("semicircle", variance)
        case FreePoisson(rate, jump):
            system.add_leaf(PointMass(0))
            return system.add("free_poisson", rate, jump)
        case NamedLaw():
            return _emit(system, law.construction)
        case FreeSum(left, right):
            return _sum(system, left, right)
        case FreeProduct(left, right):
            return _product(system, left, right)
    _emit(system, law.law)  # type: ignore[attr-defined]
    match law:
        case Affine(_, scale, shift):
            return system.add("affine", scale, shift)
        case Compressed(_, ratio):
            return system.add("corner", ratio)
        case Padded(_, ratio):
            return system.add("padding", ratio)
        case MultiplicativePower(inner, exponent):
            _check_positive("a multiplicative power", inner)
            return system.add("multiplicative_power", exponent)
        case Inverse(inner):
            # a number that no formula needs says that the law lives on [0, ∞)
            return system.add("inverse", *([Fraction(1)] if is_positive(inner) else []))
        case SingularValues(inner):
            _check_positive("a square root", inner)
            return system.add("singular_values")
        case Square():
            return system.add("square")
        case Rectangular(_, ratio, variance):
            return system.add("gaussian", ratio, variance)
    raise AssertionError(law)


def _sum(system: System, left: Law, right: Law) -> int:
    """Partners with a simple R-transform are moves and need no unknown."""
    for law, other in ((left, right), (right, left)):
        match other:
            case Semicircle(variance):
                _emit(system, law)
                return system.add("semicircle", variance)
            case FreePoisson(rate, jump):
                _emit(system, law)
                return system.add("free_poisson", rate, jump)
    return system.join("sum", _emit(system, left), _emit(system, right))


def _product(system: System, left: Law, right: Law) -> int:
    """Partners with a simple S-transform are moves and need no unknown."""
    for law, other in ((left, right), (right, left)):
        match other:
            case Atomic((low, high), (rest, mass)) if 0 in (low, high):
                _emit(system, law)
                return system.add("projection", *((mass, high) if low == 0 else (rest, low)))
            case MarchenkoPastur(ratio):
                _emit(system, law)
                return system.add("marchenko_pastur", ratio)
    _check_positive("a free product", left)
    _check_positive("a free product", right)
    return system.join("product", _emit(system, left), _emit(system, right))


def _check_positive(operation: str, law: Law) -> None:
    if not is_positive(law):
        raise ConvergenceError(
            f"{operation} is proved where the tree shows that the law lives on [0, ∞), got {law!r}"
        )
