"""Moments of trees by power series, in exact numbers, independent of any solver."""

from collections.abc import Callable
from dataclasses import dataclass
from fractions import Fraction
from itertools import accumulate
from math import comb, fsum
from numbers import Integral
from typing import Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.chains.moments import chain_moments
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, Semicircle
from freefim.free.laws.numbers import Number, is_exact, is_symbolic, plain, real
from freefim.free.trees.knowledge import enclosure, has_symbols, parameters, parts
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
from freefim.free.trees.series import (
    Series,
    compose,
    cumulants_from_moments,
    moments_from_cumulants,
    multiply,
    power,
    reciprocal,
    reverted,
    substituted,
)

__all__ = ["tree_cumulants", "tree_moments"]

# Beyond this many values a mean of floats is summed in floats.
_MANY = 500


def tree_moments(law: Law, order: int) -> tuple[Any, ...]:
    """Moments M_1, …, M_order of a law.

    Parameters
    ----------
    law : Law
    order : int
        At least 1.

    Returns
    -------
    tuple, length `order`
        Integers and Fractions if every number of the law is one; sympy expressions if one is;
        otherwise floats, rounded once where all leaves are atoms or named laws.

    Raises
    ------
    SpecError
        If the order is below 1, or the law has no moments.
    ConvergenceError
        If a leaf has its moments by quadrature and that does not settle.

    Examples
    --------
    Two free square Gaussian matrices:

    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> law = MarchenkoPastur(1) @ MarchenkoPastur(1)
    >>> tree_moments(law, 4)
    (1, 3, 12, 55)
    """
    field = _field(law)
    return tuple(map(field.lower, _moments(law, _checked(order), field)))


def tree_cumulants(law: Law, order: int) -> tuple[Any, ...]:
    """Free cumulants κ_1, …, κ_order of a law; numbers and errors as for `tree_moments`."""
    field = _field(law)
    return tuple(map(field.lower, cumulants_from_moments(_moments(law, _checked(order), field))))


@dataclass(frozen=True)
class _Field:
    """Numbers in which series are computed."""

    lift: Callable[[Number], Any]
    lower: Callable[[Any], Any]
    exact: bool


def _checked(order: Any) -> int:
    if isinstance(order, bool) or not isinstance(order, Integral) or order < 1:
        raise SpecError(f"order must be an integer >= 1, got {order!r}")
    return int(order)


def _field(law: Law) -> _Field:
    numbers = _numbers(law)
    if all(map(is_exact, numbers)):
        return _Field(Fraction, plain, True)
    if any(map(is_symbolic, numbers)) or not any(isinstance(x, float) for x in numbers):
        return _expressions(numbers)
    return _Field(lambda x: Fraction(x if is_exact(x) else real(x)), _rounded, False)


def _expressions(numbers: list[Number]) -> _Field:
    """Return the smallest field that holds expressions: algebraic numbers, rational functions."""
    from sympy import construct_domain, sympify

    domain, _ = construct_domain([sympify(x) for x in numbers], field=True, extension=True)
    return _Field(lambda x: domain.from_sympy(sympify(x)), domain.to_sympy, True)


def _numbers(law: Law) -> list[Number]:
    """Return every number of a tree; a float for a leaf whose moments are floats."""
    match law:
        case PointMass() | Atomic() | Empirical() | Uniform() | Cauchy():
            return parameters(law)
        case ChainLaw():
            return parameters(law) if has_symbols(law) else list(chain_moments(law.chain, 1))
        case Inverse():
            return [*_numbers(law.law), *parameters(law), 0.5]
        case Semicircle() | FreePoisson() | NamedLaw():
            pass
        case _ if not parts(law):
            return [0.5]
    return parameters(law) + [x for part in parts(law) for x in _numbers(part)]


def _rounded(value: Fraction) -> float:
    try:
        return float(value)
    except OverflowError:
        raise ConvergenceError("a moment leaves the range of floating-point numbers") from None


def _moments(law: Law, n: int, field: _Field) -> Series:
    lift = field.lift
    match law:
        case PointMass(location):
            return [lift(location) ** k for k in range(1, n + 1)]
        case Atomic(locations, masses):
            pairs = [(lift(x), lift(p)) for x, p in zip(locations, masses, strict=True)]
            return [sum(p * x**k for x, p in pairs) for k in range(1, n + 1)]
        case Empirical(values):
            return _means(values, n, field)
        case Uniform(left, right):
            a, b = lift(left), lift(right)
            # Σ a^j b^(k-j) by Horner: no field of expressions has 0^0
            totals = accumulate((b**k for k in range(1, n + 1)), lambda s, p: p + a * s,
                                initial=lift(1))  # fmt: skip
            return [total / lift(k + 1) for k, total in enumerate(totals) if k > 0]
        case Cauchy():
            raise SpecError(f"a Cauchy law has no moments, got {law!r}")
        case Semicircle(variance, mean):
            cumulants = [lift(mean), lift(variance), *[lift(0)] * n][:n]
            return moments_from_cumulants(cumulants)
        case FreePoisson(rate, jump):
            return moments_from_cumulants([lift(rate) * lift(jump) ** k for k in range(1, n + 1)])
        case NamedLaw():
            return _moments(law.construction, n, field)
        case FreeSum(left, right):
            pair = [cumulants_from_moments(_moments(part, n, field)) for part in (left, right)]
            return moments_from_cumulants([a + b for a, b in zip(*pair, strict=True)])
        case FreeProduct(left, right):
            return _product(_moments(left, n, field), _moments(right, n, field), field)
        case Affine(inner, scale, shift):
            return _affine(_moments(inner, n, field), lift(scale), lift(shift))
        case Compressed(inner, ratio):
            cumulants = cumulants_from_moments(_moments(inner, n, field))
            return moments_from_cumulants([c * lift(ratio) ** k for k, c in enumerate(cumulants)])
        case Padded(inner, ratio):
            return [lift(ratio) * m for m in _moments(inner, n, field)]
        case FreePower(inner, exponent):
            cumulants = cumulants_from_moments(_moments(inner, n, field))
            return moments_from_cumulants([lift(exponent) * c for c in cumulants])
        case MultiplicativePower(inner, exponent):
            return _power(_moments(inner, n, field), exponent, field)
        case Inverse(inner):
            return _inverse(inner, n, field)
        case SingularValues(inner):
            half = _moments(inner, max(n // 2, 1), field)
            return [lift(0) if k % 2 else half[k // 2 - 1] for k in range(1, n + 1)]
        case Square(inner):
            return _moments(inner, 2 * n, field)[1::2]
        case Rectangular(inner, ratio, variance):
            psi = [lift(0), *_moments(inner, n, field)]
            level = [lift(variance) * m for m in [lift(ratio), *psi[1:]]]
            return [m / lift(ratio) for m in substituted(psi, level)[1:]]
        case ChainLaw() if has_symbols(law):
            from freefim.free.exact.chains import unrolled

            return _moments(unrolled(law), n, field)
        case ChainLaw(chain):
            return [lift(m) for m in chain_moments(chain, n)]
    return [lift(_mean_of_power(law, k)) for k in range(1, n + 1)]


def _means(values: tuple[Number, ...], n: int, field: _Field) -> Series:
    size = len(values)
    if size > _MANY and not field.exact:
        floats = [float(x) for x in values]
        return [Fraction(fsum(x**k for x in floats)) / size for k in range(1, n + 1)]
    lifted = [field.lift(x) for x in values]
    return [sum(x**k for x in lifted) / field.lift(size) for k in range(1, n + 1)]


def _product(first: Series, second: Series, field: _Field) -> Series:
    """Return the product: u' = u S_B(ψ_A(u)) needs S of one factor only, of mean other than 0."""
    if second[0] == 0:
        first, second = second, first
    if second[0] == 0:
        return [field.lift(0)] * len(first)
    # 1/S_B = m/((1 + m) χ_B(m)); ψ_A has no constant term
    zero, one = field.lift(0), field.lift(1)
    n = len(first)
    chi = reverted([zero, *second])[1:]
    inverse_s = reciprocal(multiply(chi, [one, one]))
    psi = [zero, *first]
    return substituted(psi, compose(inverse_s, psi[:n]))[1:]


def _power(moments: Series, exponent: Number, field: _Field) -> Series:
    """Return the power: u' = u S^(t - 1)(ψ(u)) at mean 1, then the mean to the power t."""
    one, mean = field.lift(1), moments[0]
    if mean == 0:
        return moments
    psi = [m / mean**k for k, m in enumerate(moments, start=1)]
    inverse_s = multiply(psi, reciprocal([one, *psi[:-1]]))
    powered = power(inverse_s, field.lift(exponent) - one)
    scale = _mean_power(mean, exponent, field)
    scaled = substituted([field.lift(0), *psi], powered)[1:]
    return [m * scale**k for k, m in enumerate(scaled, start=1)]


def _mean_power(mean: Any, exponent: Number, field: _Field) -> Any:
    if mean == field.lift(1):
        return mean
    if exponent == int(exponent) if is_exact(exponent) or isinstance(exponent, float) else False:
        return mean ** int(exponent)
    if field.exact and not isinstance(mean, Fraction):
        raise SpecError(
            "the exponent of a multiplicative power must be an integer where the law has symbols "
            f"and a mean other than 1, got {exponent!r}"
        )
    return Fraction(float(mean) ** real(exponent))


def _affine(moments: Series, scale: Any, shift: Any) -> Series:
    scaled = [0 * moments[0] + 1, *(m * scale**k for k, m in enumerate(moments, start=1))]
    return [
        sum((comb(k, j) * scaled[j] * shift ** (k - j) for j in range(k)), scaled[k])
        for k in range(1, len(scaled))
    ]


def _inverse(inner: Law, n: int, field: _Field) -> Series:
    match inner:
        case PointMass() | Atomic() | Empirical():
            from freefim.free.trees.algebra import inverse

            return _moments(inverse(inner), n, field)
    low, high = enclosure(inner)
    if low <= 0.0 <= high:
        low, high = inner.support
        if low <= 0.0 <= high:
            if np.isinf(inner.cauchy(0.0)):  # E 1/x = -G(0)
                raise SpecError(
                    "the mean of an inverse is infinite where the density of the law does not "
                    f"vanish at 0, got {inner!r}"
                )
            raise SpecError(
                f"moments of an inverse are computed where the law keeps away from 0, got {inner!r}"
            )
    return [field.lift(_mean_of_power(inner, -k)) for k in range(1, n + 1)]


def _mean_of_power(law: Law, exponent: int) -> float:
    return law.expect(lambda x: x ** float(exponent))
