r"""Power series of laws, by Lagrange's formula, over any field.

With u = 1/z a law is the series :math:`\psi(u) = m(1/u) = \sum_{k \ge 1} M_k u^k`. Free
operations replace u by a series in u, :math:`u = u'\,r(u)`, and keep or rescale ψ; free cumulants
are the coefficients of :math:`C(g) = 1 + g R(g)`, where :math:`u = g/C(g)`.
"""

from typing import Any

__all__ = [
    "compose",
    "cumulants_from_moments",
    "moments_from_cumulants",
    "multiply",
    "power",
    "reciprocal",
    "reverted",
    "substituted",
]

# Coefficients from order 0 on, numbers of one field.
Series = list[Any]


def multiply(a: Series, b: Series) -> Series:
    """Return the product to the order of `a`."""
    n = len(a)
    product: Series = [0 * a[0]] * n
    for i, x in enumerate(a):
        if x != 0:
            for j, y in enumerate(b[: n - i]):
                product[i + j] += x * y
    return product


def reciprocal(a: Series) -> Series:
    """Return 1/a, a_0 not 0."""
    result = [1 / a[0]]
    for k in range(1, len(a)):
        rest = sum((a[j] * result[k - j] for j in range(2, k + 1)), a[1] * result[k - 1])
        result.append(-rest * result[0])
    return result


def power(a: Series, exponent: Any) -> Series:
    """Return a^exponent, a_0 = 1, the exponent any number of the field."""
    result: Series = [a[0]]
    for k in range(1, len(a)):
        # a (a^t)' = t a' a^t
        total = sum(((exponent * j - (k - j)) * a[j] * result[k - j] for j in range(1, k + 1)),
                    0 * a[0])  # fmt: skip
        result.append(total / k)
    return result


def compose(outer: Series, inner: Series) -> Series:
    """Return outer(inner(u)), inner_0 = 0."""
    result: Series = [outer[-1]] + [0 * outer[-1]] * (len(outer) - 1)
    for c in outer[-2::-1]:
        result = multiply(result, inner)
        result[0] += c
    return result


def substituted(psi: Series, r: Series) -> Series:
    """Return ψ as a series in u', u = u' r(u), without its constant (which stays)."""
    n = len(psi) - 1
    slope = [k * psi[k] for k in range(1, n + 1)]
    result: Series = [psi[0]]
    product = slope
    for k in range(1, n + 1):
        product = multiply(product, r[:n])
        result.append(product[k - 1] / k)
    return result


def reverted(a: Series) -> Series:
    """Return the inverse of a series without constant term."""
    n = len(a)
    return substituted([0 * a[1], a[1] / a[1]] + [0 * a[1]] * (n - 2), reciprocal(a[1:]))


def cumulants_from_moments(moments: Series) -> Series:
    """Return κ_1, …, κ_n from M_1, …, M_n: C(g) = 1 + ψ(u), u = g/(1 + ψ(u))."""
    full = [0 * moments[0] + 1, *moments]
    return substituted(full, reciprocal(full))[1:]


def moments_from_cumulants(cumulants: Series) -> Series:
    """Return M_1, …, M_n from κ_1, …, κ_n: 1 + ψ(u) = C(g), g = u C(g)."""
    full = [0 * cumulants[0] + 1, *cumulants]
    return substituted(full, full)[1:]
