"""What is known of a law before it is solved: where it lives, whether it is symmetric.

Exact for given laws, an enclosure for trees. Where that leaves a question open the law is solved.
"""

from math import inf, log
from sys import float_info
from typing import Any

import numpy as np

from freefim.errors import SpecError
from freefim.free.chains import chain as moves
from freefim.free.chains.chain import Chain
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.density import Computed, Density
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.numbers import is_number, is_symbolic, real
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

__all__ = [
    "check_factors",
    "check_inverse",
    "check_nonnegative",
    "check_product",
    "check_symmetric",
    "enclosure",
    "has_symbols",
    "is_nonnegative",
    "is_symmetric",
    "parameters",
    "parts",
]

_FIELDS = ("location", "locations", "masses", "eigenvalues", "left", "right", "scale", "shift",
           "ratio", "spread", "centre", "exponent", "rate", "jump", "degree", "order", "first",
           "second")  # fmt: skip


def parts(law: Law) -> tuple[Law, ...]:
    """Return the laws that a law is made of; a named law is made of its construction."""
    from freefim.free.laws.named import FreePoisson, Semicircle

    match law:
        case FreeSum(left, right) | FreeProduct(left, right):
            return left, right
        case (
            Affine(inner, _, _) | Compressed(inner, _) | Padded(inner, _) | FreePower(inner, _)
            | MultiplicativePower(inner, _) | Inverse(inner) | SingularValues(inner)
            | Square(inner) | Rectangular(inner, _, _)
        ):  # fmt: skip
            return (inner,)
        case Semicircle() | FreePoisson():
            return ()
        case NamedLaw():
            return (law.construction,)
    return ()


def parameters(law: Law) -> list[Any]:
    """Return the numbers that a law holds itself, without those of its parts."""
    if isinstance(law, ChainLaw):
        holders = [getattr(move, "leaf", move) for move in law.chain.moves]
        inner = [value for holder in holders for value in vars(holder).values()]
        return [law.chain.start, *(value for value in inner if is_number(value))]
    values: list[Any] = []
    for name in _FIELDS:
        held = vars(law).get(name)
        if isinstance(held, tuple):
            values += held
        elif held is not None and not isinstance(held, Law):
            values.append(held)
    return values


def has_symbols(law: Law) -> bool:
    """Whether an expression with symbols stands anywhere in the law."""
    return any(map(is_symbolic, parameters(law))) or any(map(has_symbols, parts(law)))


def enclosure(law: Law) -> tuple[float, float]:
    """Return an interval that holds the support: the hull itself for given laws.

    Raises
    ------
    SpecError
        If a number of the law is an expression with symbols.
    """
    from freefim.free.laws.named import Arcsine, FreePoisson, MarchenkoPastur, Semicircle

    match law:
        case PointMass(location):
            return real(location), real(location)
        case Atomic(locations, _):
            return min(map(real, locations)), max(map(real, locations))
        case Empirical(eigenvalues):
            return float(eigenvalues[0]), float(eigenvalues[-1])
        case Uniform(left, right) | Arcsine(left, right):
            return real(left), real(right)
        case Cauchy():
            return -inf, inf
        case Semicircle(variance, mean):
            reach = 2.0 * real(variance) ** 0.5
            return real(mean) - reach, real(mean) + reach
        case FreePoisson(rate, jump):
            root = real(rate) ** 0.5
            low = real(jump) * (1.0 - root) ** 2 if root > 1.0 else 0.0
            return _ordered(low, real(jump) * (1.0 + root) ** 2)
        case MarchenkoPastur(ratio):
            root = real(ratio) ** 0.5
            return ((1.0 - root) ** 2 if root < 1.0 else 0.0), (1.0 + root) ** 2
        case NamedLaw():
            return enclosure(law.construction)
        case FreeSum(left, right):
            (a, b), (c, d) = enclosure(left), enclosure(right)
            return a + c, b + d
        case FreeProduct(left, right):
            return _product(enclosure(left), enclosure(right))
        case Affine(inner, scale, shift):
            low, high = enclosure(inner)
            return _ordered(real(scale) * low + real(shift), real(scale) * high + real(shift))
        case Compressed(inner, _):
            return enclosure(inner)
        case Padded(inner, ratio):
            low, high = enclosure(inner)
            return (min(low, 0.0), max(high, 0.0)) if ratio != 1 else (low, high)
        case FreePower(inner, exponent):
            low, high = enclosure(inner)
            return real(exponent) * low, real(exponent) * high
        case MultiplicativePower(inner, exponent):
            low, high = enclosure(inner)
            t = real(exponent)
            return max(low, 0.0) ** t, high**t if t * log(max(high, 1.0)) < log(_MOST) else inf
        case Inverse(inner):
            low, high = enclosure(inner)
            if low > 0.0 or high < 0.0:
                return 1.0 / high, 1.0 / low
            return (0.0, inf) if is_nonnegative(inner) else (-inf, 0.0)
        case SingularValues(inner):
            reach = enclosure(inner)[1] ** 0.5
            return -reach, reach
        case Square(inner):
            return 0.0, enclosure(inner)[1] ** 2
        case Rectangular(inner, ratio, variance):
            low, high = enclosure(inner)
            norm = real(variance) * (1.0 + real(ratio) ** 0.5) ** 2
            return min(low, 0.0) * norm, max(high, 0.0) * norm
        case ChainLaw():
            return _chain(law.chain)
    return law.support


def is_nonnegative(law: Law) -> bool:
    """Whether the law lives on [0, ∞); symbols are taken to make it so."""
    if has_symbols(law):
        return True
    low, high = enclosure(law)
    if low >= 0.0:
        return True
    if high <= 0.0 or _is_hull(law) or is_symmetric(law):
        return False
    return law.support[0] >= 0.0


def _is_hull(law: Law) -> bool:
    """Whether `enclosure` is the support's own hull."""
    from freefim.free.laws.named import Arcsine, FreePoisson, MarchenkoPastur, Semicircle

    known = (PointMass, Atomic, Empirical, Uniform, Cauchy, Semicircle, Arcsine, FreePoisson,
             MarchenkoPastur)  # fmt: skip
    return _is_hull(law.law) if isinstance(law, Affine) else isinstance(law, known)


def is_symmetric(law: Law) -> bool | None:
    """Whether A and -A have the same law; None if the tree does not tell."""
    from freefim.free.laws.named import Arcsine, FreePoisson, KestenMcKay, Semicircle

    match law:
        case PointMass(location) | Cauchy(_, location):
            return _is_zero(location)
        case Atomic(locations, masses):
            pairs = dict(zip(locations, masses, strict=True))
            return all(-x in pairs and _is_zero(pairs[-x] - p) for x, p in pairs.items())
        case Empirical(values):
            return all(a == -b for a, b in zip(values, values[::-1], strict=True))
        case Uniform(left, right) | Arcsine(left, right):
            return _is_zero(left + right)
        case Semicircle(_, mean):
            return _is_zero(mean)
        case FreePoisson():
            return False
        case KestenMcKay() | SingularValues():
            return True
        case NamedLaw():
            return is_symmetric(law.construction)
        case FreeSum(left, right):
            return True if is_symmetric(left) and is_symmetric(right) else None
        case FreeProduct(left, right):
            return True if is_symmetric(left) or is_symmetric(right) else None
        case Affine(inner, _, shift):
            return is_symmetric(inner) if _is_zero(shift) else None
        case (
            Compressed(inner, _) | Padded(inner, _) | FreePower(inner, _)
            | Rectangular(inner, _, _)
        ):  # fmt: skip
            return is_symmetric(inner)
        case Density() | Computed():
            return _looks_symmetric(law)
    return None


def _looks_symmetric(law: Law) -> bool:
    low, high = law.support
    x = np.linspace(0.0, high, 65)
    sides = law.cdf(x) + law.cdf(-x)
    for location, mass in law.atoms:
        sides -= np.where(x == -location, mass, 0.0)
    return bool(abs(low + high) <= _SAME * high and np.all(np.abs(sides - 1.0) <= _SAME))


def check_nonnegative(operation: str, law: Law) -> None:
    """Refuse a law that charges (-∞, 0)."""
    if not is_nonnegative(law):
        raise SpecError(f"{operation} needs a law on [0, ∞), got {law!r}")


def check_symmetric(law: Law) -> None:
    """Refuse to square a law that is not symmetric."""
    if not is_symmetric(law):
        raise SpecError(
            f"the square of a law is computed where the law is symmetric about 0, got {law!r}; "
            "the moments of a square are the even moments of the law"
        )


def check_inverse(law: Law) -> None:
    """Refuse to invert a law with mass at 0 or on both sides of it."""
    from freefim.free.trees.atoms import tree_atoms

    if has_symbols(law):
        return
    low, high = enclosure(law)
    if low > 0.0 or high < 0.0:
        return
    if any(location == 0 for location, _ in tree_atoms(law)):
        raise SpecError(f"the inverse needs a law without mass at 0, got {law!r}")
    if low < 0.0 < high:
        low, high = enclosure(law) if _is_hull(law) else law.support
        if low < 0.0 < high:
            raise SpecError(
                f"the inverse needs a law on one side of 0, got {law!r} with the support "
                f"({low!r}, {high!r})"
            )


def check_factors(left: Law, right: Law) -> None:
    """Refuse factors on the whole line, and two that both charge (-∞, 0)."""
    if has_symbols(left) or has_symbols(right):
        return
    for law in (left, right):
        if enclosure(law) == (-inf, inf):
            raise SpecError(
                f"a free product with a law on the whole line is not computed, got {law!r}: "
                "it has no moments, hence no S-transform"
            )
    if enclosure(right)[0] < 0.0 and not (is_nonnegative(left) or is_nonnegative(right)):
        raise SpecError(
            f"a free product needs one factor on [0, ∞), got {left!r} and {right!r}: A^½ B A^½ "
            "has no meaning otherwise"
        )


def check_product(left: Law, right: Law) -> None:
    """Refuse factors whose product is not the law of A^½ B A^½ or is not computed."""
    check_factors(left, right)
    if has_symbols(left) or has_symbols(right):
        return
    for law in (left, right):
        if enclosure(law)[0] < 0.0 and _has_mean_zero(law):
            raise SpecError(
                f"a factor of mean 0 has no S-transform, got {law!r}; `free_product` computes "
                "the product if that factor is symmetric"
            )


def _has_mean_zero(law: Law) -> bool:
    if is_symmetric(law):
        return True
    from freefim.free.trees.moments import tree_moments

    mean, second = tree_moments(law, 2)
    return bool(abs(mean) <= _ROUNDING * abs(float(second)) ** 0.5)


_ROUNDING = 1e-14
_MOST = float_info.max
_SAME = 1e-12  # of a computed law


def _chain(chain: Chain) -> tuple[float, float]:
    low = high = float(chain.start)
    for move in chain.moves:
        match move:
            case moves.Product(leaf):
                low, high = low * leaf.minimum, high * leaf.maximum
            case moves.Gaussian(ratio, variance):
                low, high = 0.0, high * float(variance) * (1.0 + float(ratio) ** 0.5) ** 2
            case moves.Affine(scale, shift):
                low, high = float(scale) * low + float(shift), float(scale) * high + float(shift)
            case moves.Padding():
                low = 0.0
    return low, high


def _is_zero(value: Any) -> bool:
    return bool(value == 0)


def _ordered(a: float, b: float) -> tuple[float, float]:
    return min(a, b), max(a, b)


def _product(first: tuple[float, float], second: tuple[float, float]) -> tuple[float, float]:
    ends = [0.0 if a == 0.0 or b == 0.0 else a * b for a in first for b in second]
    return min(ends), max(ends)
