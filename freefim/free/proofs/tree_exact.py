"""Trees of exact rationals: the laws that proofs are about, and what is certain of them."""

from dataclasses import fields
from fractions import Fraction
from typing import Any

from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains import chain as links
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.density import Computed
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import Atomic as AtomicLeaf
from freefim.free.leaves.leaf import Leaf, TwoPoint
from freefim.free.proofs.enclosure import exact
from freefim.free.proofs.smooth_leaves import GateLaw, gate_law
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

__all__ = ["exact_law", "is_positive", "unmoved"]

_LARGEST_POWER = Fraction(2)

_CLOSED = (
    PointMass, Atomic, Empirical, Uniform, Cauchy, Semicircle, FreePoisson, NamedLaw, Affine,
    Compressed, FreePower, FreeProduct, FreeSum, Inverse, MultiplicativePower, Padded, Rectangular,
    SingularValues, Square,
)  # fmt: skip


def exact_law(law: Law) -> Law:
    """The law with every number the rational that it stands for.

    Masses given as floats stand for their shares of their sum, which rounding takes off 1. Powers
    of exponent above 2 become powers of powers, a chain the tree that makes it.

    Raises
    ------
    SpecError
        If a number is not rational.
    ConvergenceError
        If a leaf is known in double precision only.
    """
    if isinstance(law, ChainLaw):
        return _of_chain(law.chain)
    if isinstance(law, Computed) or not isinstance(law, _CLOSED):
        raise ConvergenceError(
            f"a law that is known in double precision only has no proofs: {law!r}"
        )
    values = {f.name: _exact(f.name, getattr(law, f.name)) for f in fields(law)}  # type: ignore[arg-type]
    if isinstance(law, Atomic):
        total = sum(values["masses"])
        values["masses"] = tuple(mass / total for mass in values["masses"])
    return _normal(_node(type(law), **values))


def _of_chain(chain: links.Chain) -> Law:
    """The tree of a chain, gates in closed form included."""
    chain = links.from_last_zero(chain)
    law: Law = PointMass(exact("start", chain.start))
    for move in chain.moves:
        match move:
            case links.Product(leaf):
                law = _product(law, _gate(leaf))
            case links.Gaussian(ratio, variance):
                law = _node(Rectangular, law=law, ratio=exact("ratio", ratio),
                            spread=exact("variance", variance))  # fmt: skip
            case links.Corner(ratio):
                law = _normal(_node(Compressed, law=law, ratio=exact("ratio", ratio)))
            case links.Padding(ratio):
                law = _node(Padded, law=law, ratio=exact("ratio", ratio))
            case links.Affine(scale, shift):
                law = _node(Affine, law=law, scale=exact("scale", scale),
                            shift=exact("shift", shift))  # fmt: skip
    return law


def _gate(leaf: Leaf) -> Law:
    if not isinstance(leaf, TwoPoint | AtomicLeaf):
        return gate_law(leaf)
    if isinstance(leaf, TwoPoint):
        atoms = [(leaf.low, leaf.complement), (leaf.high, leaf.mass)]
    else:
        atoms = list(leaf.atoms)
    held = [(exact("location", x), exact("mass", p)) for x, p in atoms if p > 0]
    if len(held) == 1:
        return PointMass(held[0][0])
    total = sum(p for _, p in held)
    return _node(Atomic, locations=tuple(x for x, _ in held),
                 masses=tuple(p / total for _, p in held))  # fmt: skip


def _node(kind: type[Law], **values: Any) -> Law:
    """A law whose numbers have passed their checks."""
    made = object.__new__(kind)
    for name, value in values.items():
        object.__setattr__(made, name, value)
    return made


def _normal(law: Law) -> Law:
    """The law in terms of moves that have proofs, scaling and shift last."""
    match law:
        case MarchenkoPastur():
            return law
        case NamedLaw():
            return exact_law(law.construction)
        case FreePower(inner, exponent):
            return Affine(_normal(Compressed(inner, 1 / exponent)), exponent, Fraction(0))
        case Compressed(inner, ratio) if ratio == 1:
            return inner
        case MultiplicativePower(inner, exponent):
            while exponent > _LARGEST_POWER:
                inner, exponent = MultiplicativePower(inner, _LARGEST_POWER), exponent / 2
            return inner if exponent == 1 else MultiplicativePower(inner, exponent)
        case FreeSum(left, right):
            return _sum(left, right)
        case FreeProduct(left, right):
            return _product(left, right)
    return law


def _sum(left: Law, right: Law) -> Law:
    for law, other in ((left, right), (right, left)):
        match other:
            case PointMass(location):
                return Affine(law, Fraction(1), location)
            case Semicircle(variance, mean) if mean != 0:
                return Affine(FreeSum(law, Semicircle(variance, Fraction(0))), Fraction(1), mean)
            case MarchenkoPastur(ratio):
                return FreeSum(law, FreePoisson(1 / ratio, ratio))
    if left == right:  # as a power it is regular at its centre
        return _normal(FreePower(left, Fraction(2)))
    return FreeSum(left, right)


def _product(left: Law, right: Law) -> Law:
    for law, other in ((left, right), (right, left)):
        match other:
            case PointMass(location):
                return Affine(law, location, Fraction(0)) if location != 0 else other
            case FreePoisson(rate, jump):
                product = _node(FreeProduct, left=law, right=MarchenkoPastur(1 / rate))
                return Affine(product, rate * jump, Fraction(0))
            case Atomic((low, 0), masses) if low < 0:
                mirrored = _node(Atomic, locations=(Fraction(0), -low), masses=masses[::-1])
                return Affine(_product(law, mirrored), Fraction(-1), Fraction(0))
    return _node(FreeProduct, left=left, right=right)


def _exact(name: str, value: Any) -> Any:
    if isinstance(value, Law):
        return exact_law(value)
    if isinstance(value, tuple):
        return tuple(_exact(name, each) for each in value)
    try:
        return exact(name, value)
    except SpecError:
        raise SpecError(f"a proof needs rational numbers, got {name}={value!r}") from None


def unmoved(law: Law) -> Law:
    """An exact law before the moves that keep the line real."""
    while isinstance(law, Affine | Padded | Inverse | SingularValues | Square):
        law = law.law
    return law


def is_positive(law: Law) -> bool:
    """Whether the tree of an exact law shows that the law lives on [0, ∞)."""
    match law:
        case PointMass(location):
            return bool(location >= 0)
        case Atomic(locations, _):
            return all(location >= 0 for location in locations)
        case Empirical(eigenvalues):
            return all(value >= 0 for value in eigenvalues)
        case Uniform(left, _):
            return bool(left >= 0)
        case Semicircle(variance, mean):
            return bool(mean >= 0 and mean * mean >= 4 * variance)
        case MarchenkoPastur() | Square() | GateLaw():
            return True
        case FreePoisson(_, jump):
            return bool(jump > 0)
        case NamedLaw():
            return is_positive(law.construction)
        case FreeSum(left, right) | FreeProduct(left, right):
            return is_positive(left) and is_positive(right)
        case Affine(inner, scale, shift):
            return bool(scale > 0 and shift >= 0) and is_positive(inner)
        case Cauchy() | SingularValues():
            return False
        case (
            Compressed(inner, _) | FreePower(inner, _) | Inverse(inner) | Padded(inner, _)
            | MultiplicativePower(inner, _) | Rectangular(inner, _, _)
        ):  # fmt: skip
            return is_positive(inner)
    return False
