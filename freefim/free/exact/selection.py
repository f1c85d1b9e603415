r"""Which of several irreducible polynomials a law satisfies, by its exact moments.

At infinity :math:`G = \sum_k M_k z^{-k-1}`. The polynomial of the law vanishes there to every
order; another one to an order below the number of intersections of the two curves. Orders are
added until one polynomial is left.
"""

from fractions import Fraction
from random import Random
from typing import Any

from freefim.errors import SpecError
from freefim.free.exact.arithmetic import Plain
from freefim.free.exact.curve import Curve
from freefim.free.exact.specialisation import specialised, symbols
from freefim.free.law import Law
from freefim.free.trees.moments import tree_moments

__all__ = ["satisfied", "vanishes"]

_TRIALS = 64


def satisfied(found: list[Curve], law: Law) -> Curve | None:
    """Return the one curve of those found that is the law's, or None if that stays open.

    Symbols are replaced by numbers, at which the polynomial of the law vanishes as well; others
    do, too, only where the numbers are unlucky, and then other numbers are taken.
    """
    held = symbols(law)
    random = Random(0)
    alive = found
    for _ in range(_TRIALS if held else 1):
        values = {s: Fraction(random.randint(1, 40), random.randint(20, 40)) for s in held}
        try:
            alive = _alive(alive, specialised(law, values) if held else law, values)
        except (SpecError, ZeroDivisionError):  # numbers out of range
            continue
        if len(alive) == 1:
            return alive[0]
    return None


def vanishes(table: list[list[Any]], moments: tuple[Any, ...]) -> bool:
    """Whether Σ table[i][j] z^i G^j is 0 to the order that the moments determine."""
    size = len(moments) + 1
    series = [Fraction(1), *moments]
    total = [Fraction(0)] * size
    for column in reversed(list(zip(*table, strict=True))):  # Horner in G, z^{-1} = u
        product = [Fraction(0)] * size
        for i, c in enumerate(total[: size - 1]):
            if c:
                for j in range(size - 1 - i):
                    product[i + j + 1] += c * series[j]
        for power, c in enumerate(reversed(column[-size:])):
            product[power] += c
        total = product
    return not any(total)


def _alive(found: list[Curve], law: Law, values: dict[Any, Any]) -> list[Curve]:
    tables = [_numbers(curve, values) for curve in found]
    bound = 2 * max(len(t) for t in tables) * max(len(t[0]) for t in tables) + 4
    order, alive = 4, list(zip(found, tables, strict=True))
    scalar = Plain().scalar
    while len(alive) > 1 and order <= 2 * bound:
        moments = tuple(Fraction(*scalar(m)) for m in tree_moments(law, order))
        alive = [(curve, table) for curve, table in alive if vanishes(table, moments)]
        order *= 2
    return [curve for curve, _ in alive]


def _numbers(curve: Curve, values: dict[Any, Any]) -> list[list[Any]]:
    points = [values[s] for s in curve.arithmetic.symbols]

    def number(c: Any) -> Fraction:
        total = Fraction(0)
        for exponents, factor in curve.arithmetic.plain(c).items():
            term = Fraction(factor)
            for x, e in zip(points, exponents, strict=True):
                term *= x**e
            total += term
        return total

    return [[number(c) if c else Fraction(0) for c in row] for row in curve.table]
