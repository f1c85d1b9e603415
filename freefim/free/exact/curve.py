r"""A law as an irreducible polynomial in (z, g), and the moves on it without elimination.

Beside z and g = G(z) stands n = z g = 1 + m. Every move with a simple law is a birational map
of the plane (z, g): a linear substitution in one of z, g, n while another of them stays, between
changes of coordinates that are monomial. Such a map keeps a polynomial irreducible up to powers
of the coordinates, so that nothing is factored and nothing eliminated.
"""

from dataclasses import dataclass, replace
from typing import Any

from freefim.free.exact.arithmetic import Arithmetic, Table

__all__ = ["Curve", "point_mass"]


@dataclass(frozen=True)
class Curve:
    """The polynomial Σ table[i][j] z^i g^j of a law, irreducible and primitive.

    The law is that of top/bottom·A, (top, bottom) = `scale`, A with the polynomial in the table:
    scaling is put off, because shifts by whole numbers keep coefficients small.
    """

    table: Table
    arithmetic: Arithmetic
    scale: tuple[Any, Any] = (1, 1)

    def settled(self) -> "Curve":
        """Return the same law with its scale in the table: z = z'/scale, g = scale g'."""
        top, bottom = self.scale
        if top == bottom:
            return self
        last, width = len(self.table) - 1, len(self.table[0])
        degree = last + width - 1
        weights = [top**k * bottom ** (degree - k) for k in range(degree + 1)]
        table = [
            [c * weights[last - i + j] if c else 0 for j, c in enumerate(row)]
            for i, row in enumerate(self.table)
        ]
        return Curve(self.arithmetic.primitive(table), self.arithmetic)

    def scaled(self, scale: Any) -> "Curve":
        """scale·A."""
        (p, q), (top, bottom) = self._scalar(scale), self.scale
        return replace(self, scale=self.arithmetic.quotient(p * top, q * bottom))

    def affine(self, scale: Any, shift: Any) -> "Curve":
        """scale·A + shift = (scale/b)(b A + a), a/b = shift/scale: z = (z' - a)/b, g = b g'."""
        law = self.scaled(scale)
        (p, q), (top, bottom) = self._scalar(shift), law.scale
        if not p:
            return law
        a, b = self.arithmetic.quotient(p * bottom, q * top)
        rows = self.arithmetic.linear(_transposed(self.table), 1, -a, b)
        table = self.arithmetic.primitive(_transposed(_weighted(rows, b, 1)))
        return Curve(table, self.arithmetic, self.arithmetic.quotient(top, bottom * b))

    def corner(self, ratio: Any) -> "Curve":
        """Free corner: n = ratio n' + 1 - ratio, g = ratio g'."""
        p, q = self._scalar(ratio)
        rows = _transposed(_trimmed(_sheared(self.table, -1)))  # z^i g^j = n^i g^(j-i), by g
        rows = _weighted(self.arithmetic.linear(rows, p, q - p, q), p, q)
        return self._made(_trimmed(_sheared(_transposed(rows), 1)))

    def power(self, exponent: Any) -> "Curve":
        """Free power: g stays, n = 1 + (n' - 1)/exponent."""
        p, q = self._scalar(exponent)
        rows = _transposed(_trimmed(_sheared(self.table, -1)))
        rows = self.arithmetic.linear(rows, q, p - q, p)
        return self._made(_trimmed(_sheared(_transposed(rows), 1)))

    def padding(self, ratio: Any) -> "Curve":
        """`ratio` of the law and zeros: z stays, n = 1 + (n' - 1)/ratio."""
        p, q = self._scalar(ratio)
        return self._from_moments(self.arithmetic.linear(self._by_moments(), q, p - q, p))

    def gaussian(self, ratio: Any, variance: Any) -> "Curve":
        """X A Xᵀ: n = 1 + ratio (n' - 1), z = z'/(variance ratio n')."""
        p, q = self._scalar(ratio)
        rows = self.arithmetic.linear(self._by_moments(), p, q - p, q)
        return self._from_moments(_trimmed(_sheared(_weighted(rows, q, p), -1))).scaled(variance)

    def projection(self, mass: Any, value: Any) -> "Curve":
        """Free product with (1-mass) δ_0 + mass δ_value: z = z' n/(value (n - 1 + mass))."""
        p, q = self._scalar(mass)
        rows = self.arithmetic.linear(self._by_moments(), 1, q - p, q)  # in q (n - 1 + mass)
        rows = _trimmed(_sheared(_weighted(rows, q, 1), -1))
        rows = self.arithmetic.primitive(self.arithmetic.linear(rows, q, p - q, 1))
        return self._from_moments(_trimmed(_sheared(rows, 1))).scaled(value)

    def inverse(self) -> "Curve":
        """A^{-1}: z = 1/z', n = 1 - n'."""
        rows = self.arithmetic.linear(self._by_moments()[::-1], -1, 1, 1)
        return replace(self._from_moments(rows), scale=self.scale[::-1])

    def square(self) -> "Curve":
        """A² for A of a symmetric law, settled: z = √z', n stays."""
        return self._from_moments(self._by_moments()[::2])

    def root(self) -> "Curve":
        """Symmetrised root, settled: z = z'², n stays; a factor would be odd or a square."""
        rows = self._by_moments()
        spread = [[0] * len(rows[0]) for _ in range(2 * len(rows) - 1)]
        spread[::2] = rows
        return self._from_moments(spread)

    def _scalar(self, value: Any) -> tuple[Any, Any]:
        return self.arithmetic.scalar(value)

    def _made(self, table: Table) -> "Curve":
        return Curve(self.arithmetic.primitive(table), self.arithmetic, self.scale)

    def _by_moments(self) -> Table:
        return by_moments(self.table)

    def _from_moments(self, rows: Table) -> "Curve":
        return self._made(from_moments(rows))


def point_mass(location: Any, arithmetic: Arithmetic) -> Curve:
    """(z - location) g - 1."""
    p, q = arithmetic.scalar(location)
    return Curve(arithmetic.primitive([[-q, -p], [0 * q, q]]), arithmetic)


def by_moments(table: Table) -> Table:
    """Rows by z in n = z g of a table by z in g."""
    return _transposed(_trimmed(_sheared(_transposed(table), -1)))


def from_moments(rows: Table) -> Table:
    """Rows by z in g of a table by z in n = z g."""
    return _transposed(_trimmed(_sheared(_transposed(rows), 1)))


def _transposed(rows: Table) -> Table:
    return [list(column) for column in zip(*rows, strict=True)]


def _weighted(rows: Table, p: Any, q: Any) -> Table:
    """Row i times p^i q^(last - i)."""
    last = len(rows) - 1
    weights = [p**i * q ** (last - i) for i in range(last + 1)]
    return [row if w == 1 else [c * w for c in row] for row, w in zip(rows, weights, strict=True)]


def _sheared(rows: Table, step: int) -> Table:
    """Row i times x^(step i), and all by the power of x that makes that a polynomial."""
    last = len(rows) - 1
    if step > 0:
        return [[0] * i + row + [0] * (last - i) for i, row in enumerate(rows)]
    return [[0] * (last - i) + row + [0] * i for i, row in enumerate(rows)]


def _trimmed(rows: Table) -> Table:
    """Without the factors z^i x^j, and without zeros at the end."""
    full = [i for i, row in enumerate(rows) if any(row)]
    rows = rows[full[0] : full[-1] + 1]
    first = min(next(j for j, c in enumerate(row) if c) for row in rows if any(row))
    last = max(next(j for j in range(len(row), 0, -1) if row[j - 1]) for row in rows if any(row))
    return [row[first:last] for row in rows]
