"""Trees of exact rationals: the laws that proofs are about, and what is certain of them."""

from dataclasses import fields
from fractions import Fraction
from typing import Any

from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.density import Computed
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.proofs.enclosure import exact
from freefim.free.trees.inlining import tree_of_chain
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
        return exact_law(tree_of_chain(law.chain))
    if isinstance(law, Computed) or not isinstance(law, _CLOSED):
        raise ConvergenceError(
            f"a law that is known in double precision only has no proofs: {law!r}"
        )
    made: Any = object.__new__(type(law))  # its numbers have passed their checks
    for field in fields(law):
        object.__setattr__(made, field.name, _exact(field.name, getattr(law, field.name)))
    if isinstance(made, Atomic):
        total = sum(made.masses)
        object.__setattr__(made, "masses", tuple(mass / total for mass in made.masses))
    return _normal(made)


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
    return FreeSum(left, right)


def _product(left: Law, right: Law) -> Law:
    for law, other in ((left, right), (right, left)):
        match other:
            case PointMass(location):
                return Affine(law, location, Fraction(0)) if location != 0 else other
            case FreePoisson(rate, jump):
                product = FreeProduct(law, MarchenkoPastur(1 / rate))
                return Affine(product, rate * jump, Fraction(0))
    return FreeProduct(left, right)


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
        case MarchenkoPastur() | Square():
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
