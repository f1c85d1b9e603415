r"""Arithmetic of tables: rows of polynomials in one variable, by whole numbers or symbols.

A table holds a polynomial in two variables as equally long rows of coefficients, ascending.
The three kinds do the same: plain integers, those of python-flint, and polynomials in the
symbols of a law.
"""

from abc import ABC, abstractmethod
from collections.abc import Sequence
from fractions import Fraction
from functools import cached_property, reduce
from itertools import accumulate
from math import gcd
from numbers import Rational
from typing import Any

from freefim.errors import SpecError

__all__ = ["Arithmetic", "Flint", "Plain", "Symbolic", "Table", "arithmetic", "has_flint"]

Table = list[list[Any]]


class Arithmetic(ABC):
    """What a table's coefficients can do."""

    symbols: tuple[Any, ...] = ()

    @abstractmethod
    def scalar(self, value: Any) -> tuple[Any, Any]:
        """Numerator and denominator of a number of a law."""

    @abstractmethod
    def quotient(self, top: Any, bottom: Any) -> tuple[Any, Any]:
        """top/bottom in lowest terms."""

    @abstractmethod
    def linear(self, rows: Table, a: Any, b: Any, d: Any) -> Table:
        """Every row p(x) of degree at most n, n + 1 its length, as d^n p((a x + b)/d)."""

    @abstractmethod
    def primitive(self, rows: Table) -> Table:
        """Without the common scalar factor, the last coefficient that is not 0 positive."""

    @abstractmethod
    def plain(self, coefficient: Any) -> dict[tuple[int, ...], int]:
        """Coefficient as a polynomial in the symbols: exponents to integers."""

    @abstractmethod
    def made(self, terms: dict[tuple[int, ...], int]) -> Any:
        """Coefficient from `plain`."""


class Plain(Arithmetic):
    """Python's integers."""

    def scalar(self, value: Any) -> tuple[Any, Any]:
        """Numerator and denominator of an int, a Fraction or a rational of sympy."""
        if hasattr(value, "is_Rational") and value.is_Rational:
            return int(value.p), int(value.q)
        if isinstance(value, Rational):
            return int(value.numerator), int(value.denominator)
        raise SpecError(
            "exact algebra needs int, Fraction, rationals of sympy or symbols as the numbers "
            f"of a law, got {value!r}"
        )

    def quotient(self, top: Any, bottom: Any) -> tuple[Any, Any]:
        """Reduce, the denominator positive."""
        return Fraction(top, bottom).as_integer_ratio()

    def linear(self, rows: Table, a: Any, b: Any, d: Any) -> Table:
        """Scale to a shift by one, shift all rows at once, scale back."""
        powers = list(accumulate([1] + [d] * (len(rows[0]) - 1), lambda x, y: x * y))[::-1]
        if d != 1:
            rows = [[c * w for c, w in zip(row, powers, strict=True)] for row in rows]
        if b:
            steps = [b**j for j in range(len(rows[0]))]
            rows = _shifted_by_one([_times(row, steps) for row in rows])
            rows = [[c // w for c, w in zip(row, steps, strict=True)] for row in rows]
        return [_times(row, [a**j for j in range(len(row))]) for row in rows] if a != 1 else rows

    def primitive(self, rows: Table) -> Table:
        """Divide by the greatest common divisor of all integers."""
        common = 0
        for row in rows:
            common = gcd(common, *row)
        common *= _sign(rows)
        return rows if common == 1 else [[c // common for c in row] for row in rows]

    def plain(self, coefficient: Any) -> dict[tuple[int, ...], int]:
        """Return the integer."""
        return {(): int(coefficient)}

    def made(self, terms: dict[tuple[int, ...], int]) -> Any:
        """Return the integer."""
        return int(terms[()])


class Flint(Plain):
    """The integers and polynomials of python-flint."""

    def linear(self, rows: Table, a: Any, b: Any, d: Any) -> Table:
        """Compose every row."""
        from flint import fmpz_poly

        if not b:
            return super().linear(rows, a, b, d)
        size = len(rows[0])
        inner = fmpz_poly([b, a])
        powers = [d**j for j in range(size - 1, -1, -1)]
        if d != 1:
            rows = [_times(row, powers) for row in rows]
        made = [fmpz_poly(row)(inner).coeffs() for row in rows]
        return [row + [0] * (size - len(row)) for row in made]

    def primitive(self, rows: Table) -> Table:
        """Divide by the content of all rows."""
        from flint import fmpz, fmpz_poly

        polynomials = [fmpz_poly(row) for row in rows]
        common = fmpz(0)
        for p in polynomials:
            common = common.gcd(p.content())
            if common == 1:
                break
        common *= _sign(rows)
        if common == 1:
            return rows
        size = len(rows[0])
        divided = [(p // common).coeffs() for p in polynomials]
        return [row + [0] * (size - len(row)) for row in divided]


class Symbolic(Arithmetic):
    """Polynomials with integer coefficients in the symbols of a law."""

    def __init__(self, symbols: Sequence[Any]) -> None:
        self.symbols = tuple(symbols)

    @cached_property
    def domain(self) -> Any:
        """Return the domain of sympy."""
        from sympy import ZZ

        return ZZ[self.symbols]

    def scalar(self, value: Any) -> tuple[Any, Any]:
        """Numerator and denominator of a rational expression in the symbols."""
        from sympy import Float, sympify
        from sympy.polys.polyerrors import CoercionFailed

        try:
            expression = sympify(value)
            if expression.has(Float):
                raise CoercionFailed
            fraction = self.domain.get_field().from_sympy(expression)
        except (CoercionFailed, ValueError):
            raise SpecError(
                "exact algebra needs int, Fraction and rational expressions as the numbers of a "
                f"law, got {value!r}"
            ) from None
        return fraction.numer, fraction.denom

    def quotient(self, top: Any, bottom: Any) -> tuple[Any, Any]:
        """Reduce by the greatest common divisor, which may hold symbols."""
        top, bottom = self.domain.convert(top), self.domain.convert(bottom)
        common = top.gcd(bottom)
        return top.exquo(common), bottom.exquo(common)

    def linear(self, rows: Table, a: Any, b: Any, d: Any) -> Table:
        """Scale, shift by synthetic division, scale."""
        size = len(rows[0])
        down = [d ** (size - 1 - j) for j in range(size)]
        up = [a**j for j in range(size)]
        out = []
        for row in rows:
            shifted = _times(row, down)
            for start in range(size - 1) if b else ():
                for j in range(size - 2, start - 1, -1):
                    shifted[j] = shifted[j] + b * shifted[j + 1]
            out.append(_times(shifted, up))
        return out

    def primitive(self, rows: Table) -> Table:
        """Divide by the greatest common divisor, which may hold symbols."""
        parts = sorted((c for row in rows for c in row if c), key=len)
        one = self.domain.one
        common = reduce(lambda x, y: x if x == one else x.gcd(y), parts)
        if _leading(rows).LC * common.LC < 0:
            common = -common
        return [[c.exquo(common) if c else c for c in row] for row in rows]

    def plain(self, coefficient: Any) -> dict[tuple[int, ...], int]:
        """Exponents of the symbols to integers."""
        return {tuple(e): int(c) for e, c in self.domain.convert(coefficient).terms()}

    def made(self, terms: dict[tuple[int, ...], int]) -> Any:
        """Element of the domain."""
        return self.domain.ring.from_dict(
            {e: self.domain.domain.convert(c) for e, c in terms.items()}
        )


def arithmetic(symbols: Sequence[Any]) -> Arithmetic:
    """Return the fastest kind there is for laws with these symbols."""
    if symbols:
        return Symbolic(symbols)
    return Flint() if has_flint() else Plain()


def has_flint() -> bool:
    """Whether python-flint is installed."""
    try:
        import flint  # noqa: F401
    except ImportError:
        return False
    return True


def _times(row: list[Any], factors: list[Any]) -> list[Any]:
    return [c * f for c, f in zip(row, factors, strict=True)]


def _leading(rows: Table) -> Any:
    return next(c for row in reversed(rows) for c in reversed(row) if c)


def _sign(rows: Table) -> int:
    return -1 if _leading(rows) < 0 else 1


def _shifted_by_one(rows: Table) -> Table:
    """p(x + 1) for every row; all rows ride on one long integer a column (Kronecker)."""
    size = len(rows[0])
    if size == 1:
        return rows
    bits = max(c.bit_length() for row in rows for c in row) + size + 2
    width = bits // 8 + 1  # bytes of a slot, room for the growth by 2^size and a sign
    half = 1 << (8 * width - 1)
    offset = int.from_bytes(half.to_bytes(width, "little") * len(rows), "little")
    columns = []
    for column in zip(*rows, strict=True):
        packed = b"".join((c + half).to_bytes(width, "little") for c in column)
        columns.append(int.from_bytes(packed, "little") - offset)
    columns.reverse()
    shifted = []
    while columns:
        columns = list(accumulate(columns))
        slots = (columns.pop() + offset).to_bytes(width * len(rows), "little")
        shifted.append(
            [
                int.from_bytes(slots[k : k + width], "little") - half
                for k in range(0, len(slots), width)
            ]
        )
    return [list(row) for row in zip(*shifted, strict=True)]
