r"""The free calculus as an algebra of laws: operations that make nodes, and what they simplify.

Point masses are numbers: a free sum with one is a shift, a free product with one a scaling. Given
laws absorb shifts and scalings; free copies of one law make its powers. Every other operation makes
a node of `freefim.free.trees.nodes`.
"""

from typing import Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import Arcsine, FreePoisson, Semicircle
from freefim.free.laws.numbers import Number, number, plain, quotient
from freefim.free.trees import nodes
from freefim.free.trees.knowledge import check_factors, enclosure, has_symbols, is_symmetric

__all__ = [
    "affine",
    "compress",
    "free_power",
    "free_product",
    "free_sum",
    "inverse",
    "multiplicative_power",
    "pad",
    "rectangular",
    "singular_values",
    "square",
]


def free_sum(first: Law, second: Law, /) -> Law:
    r"""Free additive convolution: the law of A + B, A and B free.

    Parameters
    ----------
    first, second : Law
        The laws of A and B; ``first + second`` is the same.

    Returns
    -------
    Law
        :math:`R(g) = R_A(g) + R_B(g)`: free cumulants add.

    Raises
    ------
    SpecError
        If an argument is no law.

    References
    ----------
    .. [1] Mingo & Speicher, *Free Probability and Random Matrices*, 2017, ch. 2 and 3.

    Examples
    --------
    >>> free_sum(Semicircle(1), Semicircle(2, mean=3))
    Semicircle(variance=3, mean=3)
    """
    first, second = _checked(first), _checked(second)
    match first, second:
        case PointMass(a), other:
            return affine(other, 1, a)
        case other, PointMass(a):
            return affine(other, 1, a)
        case Semicircle(v, a), Semicircle(w, b):
            return Semicircle(v + w, a + b)
        case Cauchy(s, a), Cauchy(t, b):
            return Cauchy(s + t, a + b)
        case FreePoisson(r, a), FreePoisson(s, b) if a == b:
            return FreePoisson(r + s, a)
    (a, s), (b, t) = _free_base(first), _free_base(second)
    return free_power(a, s + t) if a == b else nodes.FreeSum(first, second)


def free_product(first: Law, second: Law, /) -> Law:
    r"""Free multiplicative convolution: the law of :math:`A^{1/2} B A^{1/2}`, A and B free.

    Parameters
    ----------
    first, second : Law
        One of them on :math:`[0, \infty)`; ``first @ second`` is the same.

    Returns
    -------
    Law
        :math:`S(m) = S_A(m)\,S_B(m)`; the mean is the product of the means.

    Raises
    ------
    SpecError
        If both laws charge :math:`(-\infty, 0)`, if one lives on the whole line, or if a signed
        one has mean 0 without being symmetric: it has no S-transform.

    Notes
    -----
    A symmetric factor has mean 0. With B symmetric the product is symmetric, and its square is the
    law of :math:`\mu \boxtimes \mu \boxtimes \nu^2`, μ the law of A and ν² that of B² [1]_.

    References
    ----------
    .. [1] Arizmendi & Pérez-Abreu, *Proc. Amer. Math. Soc.* 137 (2009) 3057.
    .. [2] Mingo & Speicher, *Free Probability and Random Matrices*, 2017, ch. 4.

    Examples
    --------
    Squared singular values of a product of two square Gaussian matrices:

    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> free_product(MarchenkoPastur(1), MarchenkoPastur(1)).moments(4)
    (1, 3, 12, 55)
    """
    first, second = _checked(first), _checked(second)
    match first, second:
        case PointMass(a), other:
            return affine(other, a, 0)
        case other, PointMass(a):
            return affine(other, a, 0)
    check_factors(first, second)
    for law, other in ((first, second), (second, first)):
        if is_symmetric(law):
            squared = free_product(multiplicative_power(other, 2), square(law))
            return singular_values(squared)
        if not has_symbols(law) and enclosure(law)[1] <= 0.0:
            turned = affine(law, -1, 0)
            pair = (turned, other) if law is first else (other, turned)
            return affine(free_product(*pair), -1, 0)
    (a, s), (b, t) = _multiplicative_base(first), _multiplicative_base(second)
    return multiplicative_power(a, s + t) if a == b else nodes.FreeProduct(first, second)


def affine(law: Law, scale: Number, shift: Number) -> Law:
    """Return the law of scale·A + shift; scale 0 gives the point mass at `shift`."""
    law = _checked(law)
    s, q = plain(number("scale", scale)), plain(number("shift", shift))
    if s == 0:
        return PointMass(q)
    if s == 1 and q == 0:
        return law
    match law:
        case PointMass(a):
            return PointMass(s * a + q)
        case Atomic(locations, masses):
            return Atomic(tuple(s * x + q for x in locations), masses)
        case Empirical(values):
            return Empirical(tuple(s * x + q for x in values))
        case Semicircle(variance, mean):
            return Semicircle(s * s * variance, s * mean + q)
        case Uniform(left, right) if not has_symbols(law) and _has_sign(s):
            ends = s * left + q, s * right + q
            return Uniform(*(ends if s > 0 else ends[::-1]))
        case Cauchy(width, location) if _has_sign(s):
            return Cauchy(abs(s) * width, s * location + q)
        case FreePoisson(rate, jump) if q == 0:
            return FreePoisson(rate, s * jump)
        case nodes.Affine(inner, scale_before, shift_before):
            return affine(inner, s * scale_before, s * shift_before + q)
    return nodes.Affine(law, s, q)


def compress(law: Law, ratio: Number) -> Law:
    """Return the law of a free corner of relative size `ratio`, unnormalised: R(ratio·g)."""
    law = _checked(law)
    node = nodes.Compressed(law, ratio)
    match law:
        case _ if node.ratio == 1:
            return law
        case PointMass() | Cauchy():
            return law
        case Semicircle(variance, mean):
            return Semicircle(variance * node.ratio, mean)
        case FreePoisson(rate, jump):
            return FreePoisson(quotient(rate, node.ratio), jump * node.ratio)
        case nodes.Compressed(inner, before):
            return nodes.Compressed(inner, node.ratio * before)
    return node


def pad(law: Law, ratio: Number) -> Law:
    """Return ratio·(the law) + (1 - ratio)·(the point mass at 0)."""
    law = _checked(law)
    node = nodes.Padded(law, ratio)
    match law:
        case _ if node.ratio == 1:
            return law
        case PointMass(a):
            return Atomic((0, a), (1 - node.ratio, node.ratio)) if a != 0 else law
        case Atomic(locations, masses):
            rest = tuple(node.ratio * p for p in masses)
            return Atomic((0, *locations), (1 - node.ratio, *rest))
        case nodes.Padded(inner, before):
            return nodes.Padded(inner, node.ratio * before)
    return node


def free_power(law: Law, exponent: Number) -> Law:
    """Return the free additive power, R = exponent·R_A, exponent >= 1."""
    law = _checked(law)
    node = nodes.FreePower(law, exponent)
    t = node.exponent
    match law:
        case _ if t == 1:
            return law
        case PointMass(a):
            return PointMass(t * a)
        case Semicircle(variance, mean):
            return Semicircle(t * variance, t * mean)
        case FreePoisson(rate, jump):
            return FreePoisson(t * rate, jump)
        case Cauchy(scale, location):
            return Cauchy(t * scale, t * location)
        case nodes.FreePower(inner, before):
            return nodes.FreePower(inner, t * before)
    return node


def multiplicative_power(law: Law, exponent: Number) -> Law:
    """Return the free multiplicative power, S = S_A^exponent, exponent >= 1, A >= 0."""
    law = _checked(law)
    node = nodes.MultiplicativePower(law, exponent)
    t = node.exponent
    match law:
        case _ if t == 1:
            return law
        case PointMass(a):
            return PointMass(a**t)
        case nodes.MultiplicativePower(inner, before):
            return nodes.MultiplicativePower(inner, t * before)
    return node


def inverse(law: Law) -> Law:
    """Return the law of A^{-1}; the law without mass at 0, on one side of 0."""
    law = _checked(law)
    node = nodes.Inverse(law)
    match law:
        case PointMass(a):
            return PointMass(quotient(1, a))
        case Atomic(locations, masses):
            return Atomic(tuple(quotient(1, x) for x in locations), masses)
        case Empirical(values):
            return Empirical(tuple(quotient(1, x) for x in values))
        case nodes.Inverse(inner):
            return inner
    return node


def singular_values(law: Law) -> Law:
    """Return the symmetrised singular values: ±√A with equal weights, A >= 0."""
    law = _checked(law)
    node = nodes.SingularValues(law)
    match law:
        case PointMass(a) if a == 0:
            return law
        case nodes.Square(inner):
            return inner
    return node


def square(law: Law) -> Law:
    """Return the law of A²; finitely many atoms, or a symmetric law."""
    law = _checked(law)
    match law:
        case PointMass(a):
            return PointMass(a * a)
        case Atomic(locations, masses):
            return Atomic(tuple(x * x for x in locations), masses)
        case Empirical(values):
            return Empirical(tuple(x * x for x in values))
        case nodes.SingularValues(inner):
            return inner
        case Semicircle(variance, mean) if mean == 0:
            return FreePoisson(1, variance)
        case Arcsine(left, right) if left + right == 0:
            return Arcsine(0, right * right)
        case nodes.Affine(inner, scale, shift) if shift == 0:
            return affine(square(inner), scale * scale, 0)
    return nodes.Square(law)


def rectangular(law: Law, ratio: Number, variance: Number = 1) -> Law:
    """Return the law of X A Xᵀ, X Gaussian n_out × n_in of variance/n_in, ratio = n_out/n_in."""
    law = _checked(law)
    node = nodes.Rectangular(law, ratio, variance)
    match law:
        case PointMass(a) if a == 0:
            return law
    return node


def _checked(law: Any) -> Law:
    """Return a law; one of a single value as the point mass that it is."""
    match law:
        case Atomic((only,), _):
            return PointMass(only)
        case Empirical(values) if values[0] == values[-1]:
            return PointMass(values[0])
        case Law():
            return law
    raise SpecError(f"a free operation needs laws, got {law!r}")


def _free_base(law: Law) -> tuple[Law, Number]:
    return (law.law, law.exponent) if isinstance(law, nodes.FreePower) else (law, 1)


def _multiplicative_base(law: Law) -> tuple[Law, Number]:
    return (law.law, law.exponent) if isinstance(law, nodes.MultiplicativePower) else (law, 1)


def _has_sign(value: Number) -> bool:
    try:
        return bool(value > 0) or bool(value < 0)
    except TypeError:
        return False
