r"""Sums, products and powers of two curves: substitution where one is linear in z, else resultants.

All is polynomials over the integers in w, z, x and the symbols, x standing for g in sums and for
n = z g in products; w is eliminated. python-flint does it where it is installed, sympy
otherwise, with the same result.
"""

from functools import reduce
from typing import Any

from freefim.free.exact.arithmetic import Flint, Symbolic, Table, has_flint
from freefim.free.exact.curve import Curve, by_moments, from_moments

__all__ = ["free_product", "free_sum", "multiplicative_power"]


def free_sum(left: Curve, right: Curve) -> list[Curve]:
    """Irreducible curves, one of which is that of A + B: z = z_A + z_B - 1/g at equal g."""
    if len(left.table) == 2:
        left, right = right, left
    ring = _ring(left)
    w, z, g = ring.variables
    first, second = ring.rows(left.table), ring.rows(right.table)
    if len(second) == 2:  # z_A = z + 1/g - z_B with z_B = -second[0]/second[1]
        top = z * g * second[1] + second[1] + g * second[0]
        return [_made(ring, ring.content_free(_homogeneous(first, top, g * second[1])), left)]
    moved = _homogeneous(second, z * g + 1 - w * g, g)
    found = ring.factors(ring.eliminated(_homogeneous(first, w, w**0), moved))
    return [_made(ring, p, left) for p in found]


def free_product(left: Curve, right: Curve) -> list[Curve]:
    """Irreducible curves, one of which is that of A B: z = z_A z_B (1 - 1/n) at equal n."""
    first, second = by_moments(left.table), by_moments(right.table)
    if len(first) == 2:
        first, second = second, first
    ring = _ring(left)
    w, z, n = ring.variables
    first, second = ring.rows(first), ring.rows(second)
    if len(second) == 2:  # z_A = z n/((n - 1) z_B) with z_B = -second[0]/second[1]
        top = _homogeneous(first, -z * n * second[1], (n - 1) * second[0])
        return [_made(ring, ring.content_free(top), left, moments=True)]
    moved = _homogeneous(second, z * n, w * (n - 1))
    found = ring.factors(ring.eliminated(_homogeneous(first, w, w**0), moved))
    return [_made(ring, p, left, moments=True) for p in found]


def multiplicative_power(curve: Curve, top: int, bottom: int) -> list[Curve]:
    """Curves of the power t = top/bottom: z^bottom n^(top-bottom) = w^top (n-1)^(top-bottom)."""
    ring = _ring(curve)
    w, z, n = ring.variables
    rows = ring.rows(by_moments(curve.table))
    lower, upper = z**bottom * n ** (top - bottom), (n - 1) ** (top - bottom)
    if len(rows) == 2:  # w = -rows[0]/rows[1]
        power = lower * rows[1] ** top - upper * (-rows[0]) ** top
    else:
        power = ring.eliminated(_homogeneous(rows, w, w**0), lower - upper * w**top)
    return [_made(ring, p, curve, moments=True) for p in ring.factors(power)]


def _homogeneous(rows: list[Any], top: Any, bottom: Any) -> Any:
    """Σ rows[i] top^i bottom^(last - i), by Horner's rule."""
    total, weight = rows[-1], bottom
    for row in reversed(rows[:-1]):
        total = total * top + row * weight
        weight = weight * bottom
    return total


def _made(ring: "_Ring", polynomial: Any, like: Curve, moments: bool = False) -> Curve:
    table = ring.table(polynomial, like.arithmetic)
    if moments:
        table = from_moments(table)
    return Curve(like.arithmetic.primitive(table), like.arithmetic)


def _ring(curve: Curve) -> "_Ring":
    kind = curve.arithmetic
    fast = isinstance(kind, Flint) or (isinstance(kind, Symbolic) and has_flint())
    return (_FlintRing if fast else _SympyRing)(kind)


class _Ring:
    """Polynomials in w, z, x and the symbols."""

    def __init__(self, arithmetic: Any) -> None:
        self.arithmetic = arithmetic
        names = ["w", "z", "x", *(f"s{k}" for k in range(len(arithmetic.symbols)))]
        self.generators = self._make(names)
        self.variables = self.generators[:3]

    def rows(self, table: Table) -> list[Any]:
        """Every row as a polynomial in x."""
        plain = self.arithmetic.plain
        return [
            self._from_terms(
                {(0, 0, j, *e): v for j, c in enumerate(row) if c for e, v in plain(c).items()}
            )
            for row in table
        ]

    def table(self, polynomial: Any, arithmetic: Any) -> Table:
        """Coefficients of z^i x^j."""
        parts: dict[tuple[int, int], dict[tuple[int, ...], int]] = {}
        for (_, i, j, *e), c in self._terms(polynomial):
            parts.setdefault((i, j), {})[tuple(e)] = c
        height, width = (max(key[k] for key in parts) + 1 for k in (0, 1))
        return [
            [arithmetic.made(parts[i, j]) if (i, j) in parts else 0 for j in range(width)]
            for i in range(height)
        ]

    def content_free(self, polynomial: Any) -> Any:
        """Without the factors that do not hold z."""
        parts: dict[int, dict[tuple[int, ...], Any]] = {}
        for (w, i, *e), c in self._terms(polynomial):
            parts.setdefault(i, {})[(w, 0, *e)] = c
        rows = sorted(map(self._from_terms, parts.values()), key=len)
        common = reduce(lambda p, q: p if p == 1 else p.gcd(q), rows)
        return polynomial if common == 1 else self._divided(polynomial, common)

    def factors(self, polynomial: Any) -> list[Any]:
        """Irreducible factors that hold z and x."""
        factored = self._factored(self.content_free(polynomial))
        return [p for p in factored if all(self._degree(p, k) for k in (1, 2))]

    def _make(self, names: list[str]) -> Any:
        raise NotImplementedError

    def eliminated(self, first: Any, second: Any) -> Any:
        """Resultant in w."""
        raise NotImplementedError

    def _from_terms(self, terms: dict[tuple[int, ...], Any]) -> Any:
        raise NotImplementedError

    def _terms(self, polynomial: Any) -> Any:
        raise NotImplementedError

    def _divided(self, polynomial: Any, divisor: Any) -> Any:
        raise NotImplementedError

    def _factored(self, polynomial: Any) -> list[Any]:
        raise NotImplementedError

    def _degree(self, polynomial: Any, variable: int) -> int:
        return max(e[variable] for e, _ in self._terms(polynomial))


class _FlintRing(_Ring):
    def _make(self, names: list[str]) -> Any:
        from flint import fmpz_mpoly_ctx

        self.context = fmpz_mpoly_ctx.get(tuple(names), "lex")
        return self.context.gens()

    def eliminated(self, first: Any, second: Any) -> Any:
        return first.resultant(second, "w")

    def _from_terms(self, terms: dict[tuple[int, ...], Any]) -> Any:
        return self.context.from_dict(terms)

    def _terms(self, polynomial: Any) -> Any:
        return polynomial.to_dict().items()

    def _divided(self, polynomial: Any, divisor: Any) -> Any:
        return polynomial / divisor

    def _factored(self, polynomial: Any) -> list[Any]:
        return [p for p, _ in polynomial.factor()[1]]


class _SympyRing(_Ring):
    def _make(self, names: list[str]) -> Any:
        from sympy import ZZ
        from sympy.polys.rings import ring

        self.ring, *generators = ring(names, ZZ)
        return generators

    def eliminated(self, first: Any, second: Any) -> Any:
        """Resultant in the first variable, put back into the ring."""
        found = self.ring.dmp_resultant(first, second)
        return self._from_terms({(0, *e): c for e, c in found.terms()})

    def _from_terms(self, terms: dict[tuple[int, ...], Any]) -> Any:
        convert = self.ring.domain.convert
        return self.ring.from_dict({e: convert(c) for e, c in terms.items()})

    def _terms(self, polynomial: Any) -> Any:
        return polynomial.terms()

    def _divided(self, polynomial: Any, divisor: Any) -> Any:
        return polynomial.exquo(divisor)

    def _factored(self, polynomial: Any) -> list[Any]:
        return [p for p, _ in polynomial.factor_list()[1]]
