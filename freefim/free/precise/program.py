"""Trees as lists of steps over any kind of complex number: leaves, moves, joins.

A step works on points (z, dz, g, dg), the derivatives being arrays over the unknowns, one unknown
a leaf. All arithmetic is that of `freefim.free.moves`.
"""

from collections.abc import Callable
from dataclasses import dataclass, field, replace
from fractions import Fraction
from typing import Any

import numpy as np

from freefim.errors import SpecError
from freefim.free import moves as table
from freefim.free.chains import chain as links
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.knowledge import is_nonnegative
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
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

__all__ = ["Arithmetic", "Program", "Step", "compile_law"]

# The moves take any kind of number, and so have no types.
moves: Any = table

Number = Any
Transform = Callable[[Number], tuple[Number, Number]]


@dataclass(frozen=True)
class Arithmetic:
    """A field of complex numbers: how parameters enter it, its roots and logarithms."""

    lift: Callable[[Any], Number]
    sqrt: Callable[[Number], Number]
    log: Callable[[Number], Number]
    power: Callable[[Number, Number], Number]
    dtype: Any


@dataclass(frozen=True)
class Step:
    """One step: what it is, its operands as places in the list, its numbers.

    `kind` is "leaf", the name of a move, or "sum" and "product" for joins.
    """

    kind: str
    inputs: tuple[int, ...] = ()
    numbers: tuple[Number, ...] = ()
    transform: Transform | None = None
    signed: tuple[bool, ...] = ()  # of the operands of a product: whether they charge (-∞, 0)


@dataclass
class Program:
    """A tree in postorder."""

    arithmetic: Arithmetic
    steps: list[Step] = field(default_factory=list)

    @property
    def leaves(self) -> list[int]:
        """Places of the leaves: one unknown each."""
        return [k for k, step in enumerate(self.steps) if step.kind == "leaf"]

    def add(self, kind: str, *numbers: Any) -> int:
        """Append a move on the last step; return its place."""
        return self._append(
            Step(kind, (len(self.steps) - 1,), tuple(map(self.arithmetic.lift, numbers)))
        )

    def join(self, kind: str, *inputs: int, signed: tuple[bool, ...] = ()) -> int:
        """Append a join of two steps."""
        return self._append(Step(kind, inputs, signed=signed))

    def add_leaf(self, transform: Transform) -> int:
        """Append a leaf with its G and G'."""
        return self._append(Step("leaf", transform=transform))

    def subtree(self, place: int) -> "Program":
        """The steps that end at a place, as a program of their own."""
        first = place
        while self.steps[first].inputs:
            first = self.steps[first].inputs[0]
        steps = [replace(step, inputs=tuple(k - first for k in step.inputs))
                 for step in self.steps[first : place + 1]]  # fmt: skip
        return Program(self.arithmetic, steps)

    def _append(self, step: Step) -> int:
        self.steps.append(step)
        return len(self.steps) - 1

    def run(self, unknowns: Any, roots: dict[int, Number]) -> tuple[list[Any], list[Any]]:
        """Points of every step, and the rows (error, derivative) of the joins.

        `roots` remembers the square roots that were taken, by place: the nearer one is taken next.
        """
        points: list[Any] = []
        rows: list[Any] = []
        size = len(self.leaves)
        count = 0
        for place, step in enumerate(self.steps):
            if step.transform is not None:
                w = unknowns[count]
                g, slope = step.transform(w)
                unit = np.zeros(size, dtype=self.arithmetic.dtype)
                unit[count] = 1
                points.append((w, unit, g, slope * unit))
                count += 1
            elif len(step.inputs) == 1:
                point = points[step.inputs[0]]
                points.append(self._moved(step, place, point, roots))
            else:
                (z, dz, g, dg), (v, dv, h, dh) = (points[k] for k in step.inputs)
                if step.kind == "sum":
                    rows.append((g - h, dg - dh))
                    points.append(moves.total(z, dz, v, dv, g, dg))
                else:
                    rows.append((z * g - v * h, dz * g + z * dg - dv * h - v * dh))
                    points.append(moves.product(z, dz, v, dv, g, dg))
        return points, rows

    def _moved(self, step: Step, place: int, point: Any, roots: dict[int, Number]) -> Any:
        if step.kind == "singular_values":
            root = self.arithmetic.sqrt(point[0])
            if place in roots and abs(root - roots[place]) > abs(root + roots[place]):
                root = -root
            roots[place] = root
            return moves.singular_values(*point, root)
        if step.kind == "multiplicative_power":
            z, _, g, _ = point
            (exponent,) = step.numbers
            # m/g = z - 1/g lies in the other half plane: the principal power is the right one
            factor = self.arithmetic.power(z - 1 / g, exponent - 1)
            return moves.multiplicative_power(*point, factor, exponent)
        if step.kind == "marchenko_pastur":
            z, _, g, _ = point
            (ratio,) = step.numbers
            return moves.marchenko_pastur(*point, ratio, 1 + ratio * (z * g - 1), 1)
        if step.kind == "free_power":
            (exponent,) = step.numbers
            return moves.affine(*moves.corner(*point, 1 / exponent), exponent, 0)
        return getattr(moves, step.kind)(*point, *step.numbers)


def compile_law(law: Law, arithmetic: Arithmetic) -> Program:
    """Return the program of a law.

    Raises
    ------
    SpecError
        If a leaf is known in double precision only, or a number of the law has symbols.
    """
    program = Program(arithmetic)
    _emit(program, law)
    return program


def _emit(program: Program, law: Law) -> int:
    match law:
        case PointMass() | Atomic() | Empirical() | Uniform() | Cauchy():
            return program.add_leaf(_transform(law, program.arithmetic))
        case Semicircle(variance, mean):
            _emit(program, PointMass(mean))
            return program.add("semicircle", variance)
        case FreePoisson(rate, jump):
            _emit(program, PointMass(0))
            return program.add("free_poisson", rate, jump)
        case NamedLaw():
            return _emit(program, law.construction)
        case FreeSum(left, right):
            return _sum(program, left, right)
        case FreeProduct(left, right):
            return _product(program, left, right)
        case ChainLaw():
            return _chain(program, law.chain)
    if isinstance(law, _UNARY):
        _emit(program, law.law)
        return _unary(program, law)
    raise SpecError(
        f"digits need laws given by numbers, and this one is known in double precision: {law!r}"
    )


_UNARY = (
    Affine, Compressed, Padded, FreePower, MultiplicativePower, Inverse, SingularValues, Square,
    Rectangular,
)  # fmt: skip


def _unary(program: Program, law: Law) -> int:
    match law:
        case Affine(_, scale, shift):
            return program.add("affine", scale, shift)
        case Compressed(_, ratio):
            return program.add("corner", ratio)
        case Padded(_, ratio):
            return program.add("padding", ratio)
        case FreePower(_, exponent):
            return program.add("free_power", exponent)
        case MultiplicativePower(_, exponent):
            return program.add("multiplicative_power", exponent)
        case Inverse():
            return program.add("inverse")
        case SingularValues():
            return program.add("singular_values")
        case Square():
            return program.add("square")
        case Rectangular(_, ratio, variance):
            return program.add("gaussian", ratio, variance)
    raise AssertionError(law)


def _sum(program: Program, left: Law, right: Law) -> int:
    """Partners with a simple R-transform are moves and need no unknown."""
    for law, other in ((left, right), (right, left)):
        match other:
            case Semicircle(variance, mean):
                _emit(program, law)
                program.add("semicircle", variance)
                return program.add("affine", 1, mean)
            case FreePoisson(rate, jump):
                _emit(program, law)
                return program.add("free_poisson", rate, jump)
    return program.join("sum", _emit(program, left), _emit(program, right))


def _product(program: Program, left: Law, right: Law) -> int:
    """Partners with a simple S-transform are moves and need no unknown."""
    for law, other in ((left, right), (right, left)):
        match other:
            case Atomic((low, high), (_, mass)) if low == 0:
                _emit(program, law)
                return program.add("projection", mass, high)
            case Atomic((low, high), (mass, _)) if high == 0:
                _emit(program, law)
                return program.add("projection", mass, low)
            case MarchenkoPastur(ratio):
                _emit(program, law)
                return program.add("marchenko_pastur", ratio)
    signed = not is_nonnegative(left), not is_nonnegative(right)
    return program.join("product", _emit(program, left), _emit(program, right), signed=signed)


def _chain(program: Program, chain: links.Chain) -> int:
    place = _emit(program, PointMass(chain.start))
    for move in chain.moves:
        match move:
            case links.Product(TwoPoint(0, high, _, complement)):
                # of a rounded mass and complement it is the complement that makes the chain
                rest = Fraction(complement) if isinstance(complement, float) else complement
                place = program.add("projection", 1 - rest, high)
            case links.Product(TwoPoint(low, high, mass, complement)):
                gate = _emit(program, Atomic((low, high), (complement, mass)))
                place = program.join("product", place, gate, signed=(False, False))
            case links.Product(leaf):
                raise SpecError(f"digits need two-point gates, got the gate {leaf!r}")
            case links.Gaussian(ratio, variance):
                place = program.add("gaussian", ratio, variance)
            case links.Corner(ratio):
                place = program.add("corner", ratio)
            case links.Padding(ratio):
                place = program.add("padding", ratio)
            case links.Affine(scale, shift):
                place = program.add("affine", scale, shift)
    return place


def _transform(law: Law, field: Arithmetic) -> Transform:
    """G and G' of a given law at a complex number."""
    match law:
        case Uniform(left, right):
            a, b = field.lift(left), field.lift(right)
            return lambda w: (
                (field.log(w - a) - field.log(w - b)) / (b - a),
                -1 / ((w - a) * (w - b)),
            )
        case Cauchy(scale, location):
            s, at = field.lift(scale), field.lift(location)

            def shifted(w: Number) -> tuple[Number, Number]:
                g = 1 / (w - at + (s * 1j if w.imag >= 0 else s * -1j))
                return g, -g * g

            return shifted
        case PointMass(location):
            atoms: list[tuple[Number, Number]] = [(location, 1)]
        case Empirical():
            atoms = list(law.weighted)
        case Atomic(locations, masses):
            atoms = list(zip(locations, masses, strict=True))
        case _:
            raise AssertionError(law)
    places = np.array([field.lift(place) for place, _ in atoms], dtype=field.dtype)
    weights = np.array([field.lift(mass) for _, mass in atoms], dtype=field.dtype)

    def rational(w: Number) -> tuple[Number, Number]:
        inverse = 1 / (w - places)
        g = weights * inverse
        return g.sum(), -(g * inverse).sum()

    return rational
