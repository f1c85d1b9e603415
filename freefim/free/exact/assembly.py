"""From a law to its curve: one move a node."""

from collections.abc import Sequence
from numbers import Rational
from typing import Any

from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.exact import elimination
from freefim.free.exact.arithmetic import Arithmetic, Plain, arithmetic
from freefim.free.exact.chains import unrolled
from freefim.free.exact.curve import Curve, point_mass
from freefim.free.exact.selection import satisfied
from freefim.free.exact.specialisation import symbols
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass
from freefim.free.laws.named import FreePoisson, Semicircle
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

__all__ = ["curve"]


def curve(law: Law, kind: Arithmetic | None = None) -> Curve:
    """Return the irreducible polynomial of a law as a table.

    Raises
    ------
    SpecError
        If the law has no algebraic transform or a number that is not exact.
    """
    return _assembled(law, kind or arithmetic(symbols(law))).settled()


def _assembled(law: Law, kind: Arithmetic) -> Curve:
    """Return the curve of a law with its scale put off."""
    match law:
        case PointMass(location):
            return point_mass(location, kind)
        case Atomic(locations, masses):
            return _atomic(locations, masses, kind)
        case Empirical():
            values, weights = zip(*law.weighted, strict=True)
            return _atomic(values, weights, kind)
        case Semicircle(variance, mean):
            return _semicircle(variance, mean, kind)
        case FreePoisson(rate, jump):
            return _free_poisson(rate, jump, kind)
        case Cauchy(scale, location):
            return _cauchy(scale, location, kind)
        case NamedLaw():
            return _assembled(law.construction, kind)
        case ChainLaw():
            return _assembled(unrolled(law), kind)
        case FreeSum(left, right) if left == right:
            return _assembled(FreePower(left, 2), kind)
        case FreeSum(left, right):
            return _one(elimination.free_sum(curve(left, kind), curve(right, kind)), law)
        case FreeProduct(left, right) if left == right:
            return curve(MultiplicativePower(left, 2), kind)
        case FreeProduct(left, right):
            return _product(left, right, law, kind)
        case Affine(inner, scale, shift):
            return _assembled(inner, kind).affine(scale, shift)
        case Compressed(inner, ratio):
            return _assembled(inner, kind).corner(ratio)
        case Padded(inner, ratio):
            return _assembled(inner, kind).padding(ratio)
        case Rectangular(inner, ratio, variance):
            return _assembled(inner, kind).gaussian(ratio, variance)
        case FreePower(inner, exponent):
            return _assembled(inner, kind).power(exponent)
        case MultiplicativePower(inner, exponent):
            return _multiplicative_power(curve(inner, kind), exponent, law)
        case Inverse(inner):
            return _assembled(inner, kind).inverse()
        case SingularValues(inner):
            return curve(inner, kind).root()
        case Square(inner):
            return curve(inner, kind).square()
    raise SpecError(
        "exact algebra needs laws made of atoms, semicircles and free Poisson laws, whose "
        f"transforms are algebraic, got {law!r}"
    )


def _atomic(locations: Sequence[Any], masses: Sequence[Any], kind: Arithmetic) -> Curve:
    """G Π(z - a) - Σ p Π_{others}(z - a), every factor over its denominators."""
    whole: list[Any] = [1]
    parts: list[list[Any]] = []
    common: Any = 1
    for location, mass in zip(locations, masses, strict=True):
        (a, b), (p, q) = kind.scalar(location), kind.scalar(mass)
        parts = [_times_linear(part, b, -a, q) for part in parts]
        parts.append([c * p * b for c in whole])
        whole = _times_linear(whole, b, -a, q)
        common = common * q
    size = len(whole)
    total = [0 - sum(part[k] for part in parts if k < len(part)) for k in range(size)]
    return Curve(kind.primitive([[total[k], whole[k]] for k in range(size)]), kind)


def _times_linear(polynomial: list[Any], top: Any, bottom: Any, weight: Any) -> list[Any]:
    """Weight·(top z + bottom) times a polynomial in z."""
    pairs = zip([0, *polynomial], [*polynomial, 0], strict=True)
    return [weight * (top * low + bottom * c) for low, c in pairs]


def _semicircle(variance: Any, mean: Any, kind: Arithmetic) -> Curve:
    """Variance g² + (mean - z) g + 1."""
    (p, q), (a, b) = kind.scalar(variance), kind.scalar(mean)
    return Curve(kind.primitive([[q * b, q * a, p * b], [0, -q * b, 0]]), kind)


def _free_poisson(rate: Any, jump: Any, kind: Arithmetic) -> Curve:
    """rate·jump g + (1 - z g)(1 - jump g)."""
    (p, q), (a, b) = kind.scalar(rate), kind.scalar(jump)
    return Curve(kind.primitive([[q * b, a * (p - q), 0], [0, -q * b, q * a]]), kind)


def _cauchy(scale: Any, location: Any, kind: Arithmetic) -> Curve:
    """(1 - (z - location) g)² + scale² g²."""
    (p, q), (a, b) = kind.scalar(scale), kind.scalar(location)
    square = q * q * b * b
    constant = [square, 2 * q * q * a * b, q * q * a * a + p * p * b * b]
    rows = [constant, [0, -2 * square, -2 * q * q * a * b], [0, 0, square]]
    return Curve(kind.primitive(rows), kind)


def _product(left: Law, right: Law, law: Law, kind: Arithmetic) -> Curve:
    for first, second in ((left, right), (right, left)):
        match second:
            case PointMass(location):
                return _scaled(_assembled(first, kind), location)
            case Atomic((low, high), (_, mass)) if _is_zero(low):
                return _assembled(first, kind).projection(mass, high)
            case Atomic((high, low), (mass, _)) if _is_zero(low):
                return _assembled(first, kind).projection(mass, high)
    return _one(elimination.free_product(curve(left, kind), curve(right, kind)), law)


def _scaled(law: Curve, scale: Any) -> Curve:
    if _is_zero(scale):
        return point_mass(0, law.arithmetic)
    return law.scaled(scale)


def _multiplicative_power(inner: Curve, exponent: Any, law: Law) -> Curve:
    if not isinstance(exponent, Rational):  # sympy's rationals are
        raise SpecError(f"exponent must be an int or a Fraction for a polynomial, got {exponent!r}")
    top, bottom = Plain().scalar(exponent)
    return _one(elimination.multiplicative_power(inner, top, bottom), law)


def _one(found: list[Curve], law: Law) -> Curve:
    """Return the curve that the law itself satisfies."""
    if len(found) == 1:
        return found[0]
    chosen = satisfied(found, law)
    if chosen is None:
        raise ConvergenceError(
            f"{len(found)} polynomials contain the law, and its moments do not tell which one is "
            f"its own: {law!r}"
        )
    return chosen


def _is_zero(value: Any) -> bool:
    return bool(value == 0)
