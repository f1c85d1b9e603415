"""Polynomials over the integers in w, z, x and the symbols of a law: python-flint's or sympy's."""

from abc import ABC, abstractmethod
from collections.abc import Iterable
from functools import reduce
from typing import Any

from freefim.free.exact.arithmetic import Arithmetic, Flint, Symbolic, Table, has_flint

__all__ = ["Ring", "ring"]

Terms = dict[tuple[int, ...], Any]


class Ring(ABC):
    """Polynomials in w, z, x and the symbols; w is what is eliminated."""

    def __init__(self, arithmetic: Arithmetic) -> None:
        self.arithmetic = arithmetic
        names = ("w", "z", "x", *(f"s{k}" for k in range(len(arithmetic.symbols))))
        self.w, self.z, self.x = self._make(names)[:3]

    def rows(self, table: Table) -> list[Any]:
        """Every row as a polynomial in x."""
        plain = self.arithmetic.plain
        return [
            self.from_terms(
                {(0, 0, j, *e): v for j, c in enumerate(row) if c for e, v in plain(c).items()}
            )
            for row in table
        ]

    def table(self, polynomial: Any) -> Table:
        """Coefficients of z^i x^j."""
        parts: dict[tuple[int, int], Terms] = {}
        for (_, i, j, *e), c in self.terms(polynomial):
            parts.setdefault((i, j), {})[tuple(e)] = c
        height, width = (max(key[k] for key in parts) + 1 for k in (0, 1))
        made = self.arithmetic.made
        return [
            [made(parts[i, j]) if (i, j) in parts else 0 for j in range(width)]
            for i in range(height)
        ]

    def content_free(self, polynomial: Any) -> Any:
        """Without the factors that do not hold z."""
        parts: dict[int, Terms] = {}
        for (w, i, *e), c in self.terms(polynomial):
            parts.setdefault(i, {})[(w, 0, *e)] = c
        rows = sorted(map(self.from_terms, parts.values()), key=len)
        common = reduce(lambda p, q: p if p == 1 else p.gcd(q), rows)
        return polynomial if common == 1 else self.divided(polynomial, common)

    @abstractmethod
    def _make(self, names: tuple[str, ...]) -> Any:
        """Generators."""

    @abstractmethod
    def from_terms(self, terms: Terms) -> Any:
        """Polynomial from exponents and coefficients."""

    @abstractmethod
    def terms(self, polynomial: Any) -> Iterable[tuple[tuple[int, ...], Any]]:
        """Exponents and coefficients."""

    @abstractmethod
    def divided(self, polynomial: Any, divisor: Any) -> Any:
        """Quotient without remainder."""

    @abstractmethod
    def factors(self, polynomial: Any) -> tuple[Any, list[tuple[Any, int]]]:
        """Constant and irreducible factors with their powers."""

    @abstractmethod
    def resultant(self, first: Any, second: Any) -> Any:
        """Resultant in w."""

    @abstractmethod
    def discriminant(self, polynomial: Any) -> Any:
        """Discriminant in w."""


class _FlintRing(Ring):
    def _make(self, names: tuple[str, ...]) -> Any:
        from flint import fmpz_mpoly_ctx

        self._context = fmpz_mpoly_ctx.get(names, "lex")
        return self._context.gens()

    def from_terms(self, terms: Terms) -> Any:
        return self._context.from_dict(terms)

    def terms(self, polynomial: Any) -> Iterable[tuple[tuple[int, ...], Any]]:
        return polynomial.to_dict().items()  # type: ignore[no-any-return]

    def divided(self, polynomial: Any, divisor: Any) -> Any:
        return polynomial / divisor

    def factors(self, polynomial: Any) -> tuple[Any, list[tuple[Any, int]]]:
        return polynomial.factor()  # type: ignore[no-any-return]

    def resultant(self, first: Any, second: Any) -> Any:
        return first.resultant(second, "w")

    def discriminant(self, polynomial: Any) -> Any:
        return polynomial.discriminant("w")


class _SympyRing(Ring):
    def _make(self, names: tuple[str, ...]) -> Any:
        from sympy import ZZ
        from sympy.polys.rings import PolyRing

        self._ring = PolyRing(names, ZZ)
        return self._ring.gens

    def from_terms(self, terms: Terms) -> Any:
        convert = self._ring.domain.convert
        return self._ring.from_dict({e: convert(c) for e, c in terms.items()})

    def terms(self, polynomial: Any) -> Iterable[tuple[tuple[int, ...], Any]]:
        return polynomial.terms()  # type: ignore[no-any-return]

    def divided(self, polynomial: Any, divisor: Any) -> Any:
        return polynomial.exquo(divisor)

    def factors(self, polynomial: Any) -> tuple[Any, list[tuple[Any, int]]]:
        return polynomial.factor_list()  # type: ignore[no-any-return]

    def resultant(self, first: Any, second: Any) -> Any:
        return self._without_first(self._ring.dmp_resultant(first, second))

    def discriminant(self, polynomial: Any) -> Any:
        return self._without_first(self._ring.dmp_discriminant(polynomial))

    def _without_first(self, found: Any) -> Any:
        """Put what sympy returns in one variable less back into the ring."""
        return self.from_terms({(0, *e): c for e, c in found.terms()})


def ring(arithmetic: Arithmetic) -> Ring:
    """Return the ring for coefficients of this kind; plain integers go with sympy."""
    fast = isinstance(arithmetic, Flint) or (isinstance(arithmetic, Symbolic) and has_flint())
    return (_FlintRing if fast else _SympyRing)(arithmetic)
