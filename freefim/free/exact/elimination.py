r"""Sums, products and powers of curves: substitution where one is linear in z, else resultants."""

from typing import Any

from freefim.free.exact.curve import Curve, by_moments, from_moments
from freefim.free.exact.rings import Ring, ring

__all__ = ["discriminant", "free_product", "free_sum", "multiplicative_power"]


def free_sum(left: Curve, right: Curve) -> list[Curve]:
    """Irreducible curves, one of which is that of A + B: z = z_A + z_B - 1/g at equal g."""
    if len(left.table) == 2:
        left, right = right, left
    field = ring(left.arithmetic)
    w, z, g = field.w, field.z, field.x
    first, second = field.rows(left.table), field.rows(right.table)
    if len(second) == 2:  # z_A = z + 1/g - z_B with z_B = -second[0]/second[1]
        top = (z * g + 1) * second[1] + g * second[0]
        return [_made(field, field.content_free(_homogeneous(first, top, g * second[1])))]
    moved = _homogeneous(second, z * g + 1 - w * g, g)
    return _factors(field, field.resultant(_homogeneous(first, w, w**0), moved))


def free_product(left: Curve, right: Curve) -> list[Curve]:
    """Irreducible curves, one of which is that of A B: z = z_A z_B (1 - 1/n) at equal n."""
    left_rows, right_rows = by_moments(left.table), by_moments(right.table)
    for curve, rows in ((left, left_rows), (right, right_rows)):
        if len(rows) == 1:  # n = 1: the zero law
            return [curve]
    if len(left_rows) == 2:
        left_rows, right_rows = right_rows, left_rows
    field = ring(left.arithmetic)
    w, z, n = field.w, field.z, field.x
    first, second = field.rows(left_rows), field.rows(right_rows)
    if len(second) == 2:  # z_A = z n/((n - 1) z_B) with z_B = -second[0]/second[1]
        moved = _homogeneous(first, -z * n * second[1], (n - 1) * second[0])
        return [_made(field, field.content_free(moved), moments=True)]
    moved = _homogeneous(second, z * n, w * (n - 1))
    found = field.resultant(_homogeneous(first, w, w**0), moved)
    return _factors(field, found, moments=True)


def multiplicative_power(curve: Curve, top: int, bottom: int) -> list[Curve]:
    """Curves of the power t = top/bottom: z^bottom n^(top-bottom) = w^top (n-1)^(top-bottom)."""
    field = ring(curve.arithmetic)
    w, z, n = field.w, field.z, field.x
    rows = field.rows(by_moments(curve.table))
    if len(rows) == 1:  # n = 1: the zero law
        return [curve]
    lower, upper = z**bottom * n ** (top - bottom), (n - 1) ** (top - bottom)
    if len(rows) == 2:  # w = -rows[0]/rows[1]
        found = lower * rows[1] ** top - upper * (-rows[0]) ** top
    else:
        found = field.resultant(_homogeneous(rows, w, w**0), lower - upper * w**top)
    return _factors(field, found, moments=True)


def discriminant(curve: Curve) -> tuple[Any, list[tuple[list[Any], int]]]:
    """Discriminant in g: its constant; its irreducible factors by powers of z, and their powers."""
    field = ring(curve.arithmetic)
    columns = [[row[j] for row in curve.table] for j in range(len(curve.table[0]))]
    in_z = [_homogeneous(field.rows([[c] for c in column]), field.z, field.z**0)
            for column in columns]  # fmt: skip
    constant, found = field.factors(field.discriminant(_homogeneous(in_z, field.w, field.w**0)))
    constant = field.w**0 * constant
    factors = []
    for p, power in found:
        column = [row[0] for row in field.table(p)]
        if len(column) > 1:
            factors.append((column, power))
        else:
            constant = constant * p**power
    return field.table(constant)[0][0], factors


def _homogeneous(rows: list[Any], top: Any, bottom: Any) -> Any:
    """Σ rows[i] top^i bottom^(last - i), by Horner's rule."""
    total, weight = rows[-1], bottom
    for row in reversed(rows[:-1]):
        total = total * top + row * weight
        weight = weight * bottom
    return total


def _factors(field: Ring, polynomial: Any, moments: bool = False) -> list[Curve]:
    """Curves of the irreducible factors that hold z and x."""
    _, found = field.factors(field.content_free(polynomial))
    tables = [field.table(p) for p, _ in found]
    return [_curve(field, t, moments) for t in tables if len(t) > 1 and len(t[0]) > 1]


def _made(field: Ring, polynomial: Any, moments: bool = False) -> Curve:
    return _curve(field, field.table(polynomial), moments)


def _curve(field: Ring, table: Any, moments: bool) -> Curve:
    kind = field.arithmetic
    return Curve(kind.primitive(from_moments(table) if moments else table), kind)
