r"""Moments of a chain by power series, in exact rationals where the chain is rational.

A law is held as the inverse :math:`\chi(m) = 1/z(m)` of its moment function
:math:`m(z) = \sum_k M_k z^{-k}`. Free products multiply such series, corners and Gaussian
matrices rescale their variable, and a shift goes through the moments themselves. Nothing of
this knows about bands or densities: it is the independent check of both.
"""

from collections.abc import Sequence
from fractions import Fraction
from math import comb
from typing import Any

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import Leaf, TwoPoint

__all__ = ["chain_moments", "free_cumulants", "is_rational"]

# Any field: int and Fraction exactly, float or mpmath numbers to their precision.
Series = list[Any]


def chain_moments(chain: Chain, order: int) -> tuple[Any, ...]:
    """Moments M_1, …, M_order of the law of a chain.

    Parameters
    ----------
    chain : Chain
    order : int
        At least 1.

    Returns
    -------
    tuple of Fraction or float, length `order`
        Exact rationals if every number of the chain is an int or a Fraction.

    Raises
    ------
    SpecError
        If the order is below 1.

    Examples
    --------
    Two square Gaussian matrices, Fuss–Catalan moments:

    >>> [int(m) for m in chain_moments(Chain(1, (Gaussian(1, 1), Gaussian(1, 1))), 4)]
    [1, 3, 12, 55]
    """
    if isinstance(order, bool) or not isinstance(order, int) or order < 1:
        raise SpecError(f"order must be an integer >= 1, got {order!r}")
    exact = is_rational(chain)
    start = _number(chain.start, exact)
    moments = [start ** (k + 1) for k in range(order)]
    for move in chain.moves:
        moments = _moved(moments, move, exact)
    return tuple(moments)


def is_rational(chain: Chain) -> bool:
    """Whether every number of the chain is an int or a Fraction."""
    return all(isinstance(value, int | Fraction) for value in _numbers(chain))


def free_cumulants(moments: Sequence[Any]) -> tuple[Any, ...]:
    r"""Free cumulants κ_1, …, κ_n of a law from its moments: R(g) = Σ κ_k g^{k-1}.

    Examples
    --------
    >>> free_cumulants([0, 1, 0, 2, 0, 5])  # the semicircle
    (0, 1, 0, 0, 0, 0)
    """
    n = len(moments)
    one = moments[0] ** 0
    # M(u) = 1 + Σ κ_k (u M(u))^k: peel the cumulants off order by order
    full = [one, *moments]
    powers: list[Series] = []
    power = [one] + [one * 0] * n
    for _ in range(n):
        power = _multiply(power, full, n)
        powers.append(power)
    cumulants: Series = []
    for k in range(1, n + 1):
        rest = sum((c * powers[j][k - j - 1] for j, c in enumerate(cumulants)), one * 0)
        cumulants.append(moments[k - 1] - rest)
    return tuple(cumulants)


def _numbers(chain: Chain) -> list[Any]:
    values: list[Any] = [chain.start]
    for move in chain.moves:
        match move:
            case Product(TwoPoint(low, high, mass, complement)):
                values += [low, high, mass, complement]
            case Product():
                values.append(0.5)
            case Gaussian(a, b) | Affine(a, b):
                values += [a, b]
            case Corner(a) | Padding(a):
                values.append(a)
    return values


def _number(value: Any, exact: bool) -> Any:
    return Fraction(value) if exact else float(value)


def _moved(moments: Series, move: Move, exact: bool) -> Series:
    match move:
        case Affine(scale, shift):
            return _affine(moments, _number(scale, exact), _number(shift, exact))
        case Padding(ratio):
            return [_number(ratio, exact) * m for m in moments]
        case Product(leaf):
            return _product(moments, _leaf_moments(leaf, len(moments), exact))
        case Gaussian(ratio, variance):
            c, s = _number(ratio, exact), _number(variance, exact)
            return _gaussian(moments, c, s)
        case Corner(ratio):
            a = _number(ratio, exact)
            cumulants = free_cumulants(moments)
            return _from_cumulants([k * a**i for i, k in enumerate(cumulants)])


def _leaf_moments(leaf: Leaf, order: int, exact: bool) -> Series:
    if exact and isinstance(leaf, TwoPoint):
        low, high = Fraction(leaf.low), Fraction(leaf.high)
        mass, rest = Fraction(leaf.mass), Fraction(leaf.complement)
        return [mass * high**k + rest * low**k for k in range(1, order + 1)]
    return [float(m) for m in leaf.moments(order)]


def _affine(moments: Series, scale: Any, shift: Any) -> Series:
    scaled = [moments[0] ** 0] + [m * scale ** (k + 1) for k, m in enumerate(moments)]
    return [
        sum((comb(k, j) * scaled[j] * shift ** (k - j) for j in range(k + 1)), scale * 0)
        for k in range(1, len(scaled))
    ]


def _product(first: Series, second: Series) -> Series:
    """Moments of the free product: χ(m) = χ_1(m) χ_2(m) (1 + m)/m."""
    n = len(first)
    if not (first[0] and second[0]):  # laws on [0, ∞): a mean of 0 is the point mass at 0
        return [first[0] * second[0]] * n
    left, right = _inverse_series(first), _inverse_series(second)
    # both series start at order 1: drop one power of m from each, one comes back at the end
    product = _multiply(left[1:], right[1:], n - 1)
    one = first[0] ** 0
    product = _multiply(product, [one, one] + [one * 0] * n, n - 1)
    return _moments_from_inverse([one * 0, *product])


def _gaussian(moments: Series, ratio: Any, variance: Any) -> Series:
    """X A Xᵀ: χ'(m') = χ(ratio m') / (variance ratio (1 + m'))."""
    n = len(moments)
    if not moments[0]:
        return [moments[0] * variance] * n
    series = _inverse_series(moments)
    scaled = [c * ratio ** (k - 1) / variance for k, c in enumerate(series)]
    alternating = [(-1) ** k * moments[0] ** 0 for k in range(n + 1)]
    return _moments_from_inverse(_multiply(scaled, alternating, n))


def _multiply(a: Series, b: Series, order: int) -> Series:
    return [
        sum((a[j] * b[k - j] for j in range(k + 1) if j < len(a) and k - j < len(b)), a[0] * 0)
        for k in range(order + 1)
    ]


def _inverse_series(moments: Series) -> Series:
    """Coefficients c_0 = 0, c_1, … of the inverse χ(m) of m = Σ M_k u^k."""
    return _reverted([moments[0] * 0, *moments])


def _moments_from_inverse(series: Series) -> Series:
    return _reverted(series)[1:]


def _reverted(series: Series) -> Series:
    """Inverse of a power series without constant term, by Lagrange's formula."""
    n = len(series) - 1
    # (u / f(u))^k, whose coefficient of u^{k-1} is k times the k-th of the inverse
    ratio = _reciprocal(series[1:], n - 1)
    power = ratio
    result = [series[1] * 0, ratio[0]]
    for k in range(2, n + 1):
        power = _multiply(power, ratio, n - 1)
        result.append(power[k - 1] / k)
    return result


def _reciprocal(series: Series, order: int) -> Series:
    result = [1 / series[0]]
    for k in range(1, order + 1):
        result.append(
            -sum((series[j] * result[k - j] for j in range(1, k + 1)), series[0] * 0) / series[0]
        )
    return result


def _from_cumulants(cumulants: Series) -> Series:
    """Moments from free cumulants: the inverse of `free_cumulants`, order by order."""
    n = len(cumulants)
    one = cumulants[0] ** 0
    moments: Series = []
    for k in range(1, n + 1):
        full = [one, *moments] + [one * 0] * (n - len(moments))
        power = [one] + [one * 0] * n
        total = one * 0
        for j in range(1, k + 1):
            power = _multiply(power, full, n)
            total += cumulants[j - 1] * power[k - j]
        moments.append(total)
    return moments
