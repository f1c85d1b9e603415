"""Partners whose transform is a formula: the moves that add them, or multiply by them."""

from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.trees.nodes import (
    Affine,
    FreeProduct,
    FreeSum,
    MultiplicativePower,
    SingularValues,
)
from freefim.free.trees.program import AFFINE, MARCHENKO, POISSON, PROJECTION, SEMICIRCLE

__all__ = [
    "Moves",
    "additive_moves",
    "factors_of",
    "multiplicative_moves",
    "squared_terms",
    "terms_of",
]


def terms_of(law: Law) -> dict[Law, float]:
    """The terms of nested sums, equal ones counted."""
    terms: dict[Law, float] = {}
    for side in (law.left, law.right) if isinstance(law, FreeSum) else (law,):
        for term, count in terms_of(side).items() if isinstance(side, FreeSum) else ((side, 1.0),):
            terms[term] = terms.get(term, 0.0) + count
    return terms


def factors_of(law: Law) -> dict[Law, float]:
    """The factors of nested products and powers, equal ones counted."""
    from freefim.free.laws.named import FussCatalan

    factors: dict[Law, float] = {}

    def visit(part: Law, count: float) -> None:
        match part:
            case FreeProduct(left, right):
                visit(left, count)
                visit(right, count)
            case MultiplicativePower(inner, exponent):
                visit(inner, count * float(exponent))
            case FussCatalan():
                visit(part.construction, count)
            case _:
                factors[part] = factors.get(part, 0.0) + count

    visit(law, 1.0)
    return factors


def squared_terms(law: FreeSum) -> list[Law]:
    """The squares of the terms of a sum, if all are symmetric and known by their squares."""
    squares: list[Law] = []
    for term, count in terms_of(law).items():
        square = _square(term)
        if square is None or count != 1.0:
            return []
        squares.append(square)
    # on the gap at 0 only the unknowns of the one that makes it increase
    return sorted(squares, key=lambda square: -square.support[0])


def _square(law: Law) -> Law | None:
    match law:
        case SingularValues(inner):
            return inner
        case Atomic(locations, masses):
            held = dict(zip(locations, masses, strict=True))
            if any(held.get(-x) != p for x, p in held.items()):
                return None
            found = [(x * x, 2 * p if x else p) for x, p in held.items() if x >= 0]
            if len(found) == 1:
                return PointMass(found[0][0])
            return Atomic(*map(tuple, zip(*sorted(found), strict=True)))
    return None


Moves = list[tuple[int, float, float]]


def additive_moves(law: Law) -> Moves | None:
    """Moves that add a law whose R-transform is a formula; None for any other law."""
    from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle

    match law:
        case PointMass(location):
            return [(AFFINE, 1.0, float(location))]
        case Semicircle(variance, mean):
            moves = [(SEMICIRCLE, float(variance), 0.0)]
            return [*moves, (AFFINE, 1.0, float(mean))] if mean else moves
        case FreePoisson(rate, jump):
            return [(POISSON, float(rate), float(jump))]
        case MarchenkoPastur(ratio):
            return [(POISSON, 1.0 / float(ratio), float(ratio))]
        case Affine(inner, scale, shift):
            s, moves = float(scale), []
            for op, a, b in additive_moves(inner) or ():
                if op == AFFINE:
                    moves.append((op, a, s * b))
                else:
                    moves.append((op, s * s * a, b) if op == SEMICIRCLE else (op, a, s * b))
            return [*moves, (AFFINE, 1.0, float(shift))] if moves else None
    return None


def multiplicative_moves(law: Law, exponent: float) -> Moves | None:
    """Moves that multiply by a power of a law whose S-transform is a formula, or None."""
    from freefim.free.laws.named import FreePoisson, MarchenkoPastur

    match law:
        case PointMass(location):
            return [(AFFINE, float(location) ** exponent, 0.0)]
        case MarchenkoPastur(ratio):
            return [(MARCHENKO, float(ratio), exponent)]
        case FreePoisson(rate, jump) if float(jump) > 0.0 or exponent == 1.0:
            scale = (float(rate) * float(jump)) ** exponent
            return [(MARCHENKO, 1.0 / float(rate), exponent), (AFFINE, scale, 0.0)]
        case Atomic(locations, masses) if len(locations) == 2 and exponent == int(exponent) < 9:
            values = [(float(x), float(p)) for x, p in zip(locations, masses, strict=True) if x]
            if len(values) == 1:
                value, mass = values[0]
                flip = [(AFFINE, -1.0, 0.0)] if value < 0.0 else []
                return ([(PROJECTION, mass, abs(value)), *flip]) * int(exponent)
        case Affine(inner, scale, shift) if shift == 0 and (float(scale) > 0 or exponent == 1.0):
            moves = multiplicative_moves(inner, exponent)
            return [*moves, (AFFINE, float(scale) ** exponent, 0.0)] if moves else None
    return None
