"""Polynomials of laws that the literature knows in closed form, to a factor."""

from fractions import Fraction

import pytest
import sympy
from sympy.abc import G, z

from freefim.free.exact.polynomial import discriminant, polynomial
from freefim.free.laws.given import Atomic, Cauchy, PointMass
from freefim.free.laws.named import (
    Arcsine,
    CompoundFreePoisson,
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
    Wachter,
)
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

HALF = Fraction(1, 2)
a, b, c, d, s, t = sympy.symbols("a b c d s t", positive=True)
COIN = Atomic((0, 1), (HALF, HALF))


def same(law, expression):
    """Whether the polynomial is the expression up to a number."""
    found = polynomial(law)
    want = sympy.Poly(sympy.numer(sympy.cancel(expression)), z, G)
    ratio = sympy.cancel(found.as_expr() / want.as_expr())
    return not ratio.has(z, G)


CLOSED = [
    (PointMass(a), (z - a) * G - 1),
    (Atomic((a, b), (c, 1 - c)), G - c / (z - a) - (1 - c) / (z - b)),
    (Semicircle(s, a), s * G**2 - (z - a) * G + 1),
    (MarchenkoPastur(c), c * z * G**2 + (1 - c - z) * G + 1),
    (FreePoisson(a, b), 1 / G + a * b / (1 - b * G) - z),
    (Cauchy(s, a), (z - a - 1 / G) ** 2 + s**2),
    (Arcsine(-2, 2), (z**2 - 4) * G**2 - 1),
    (Arcsine(a, b), (z - a) * (z - b) * G**2 - 1),
    # McKay: G = (d √(z² - 4(d - 1)) - (d - 2) z)/(2(z² - d²))
    (KestenMcKay(d), (z**2 - d**2) * G**2 + (d - 2) * z * G - (d - 1)),
    (COIN, z * (z - 1) * G - z + HALF),
    # the compound free Poisson law: R(g) = rate Σ p x/(1 - x g)
    (
        CompoundFreePoisson(a, Atomic((1, 3), (HALF, HALF))),
        1 / G + a / 2 * (1 / (1 - G) + 3 / (1 - 3 * G)) - z,
    ),
    # R = Σ: semicircle and Marchenko–Pastur
    (FreeSum(MarchenkoPastur(c), Semicircle(s)), 1 / G + 1 / (1 - c * G) + s * G - z),
    # S = Π 1/(1 + c m): two Marchenko–Pastur laws
    (
        FreeProduct(MarchenkoPastur(a), MarchenkoPastur(b)),
        (z * G - 1) - G * (1 + a * (z * G - 1)) * (1 + b * (z * G - 1)),
    ),
    # XᵀX and X Xᵀ
    (Rectangular(PointMass(1), c), c * z * G**2 + (1 - c - z) * G + 1),
    (Padded(COIN, a), z * (z - 1) * G - z + a / 2 + (1 - a)),
    (FreePower(FreePoisson(a, b), t), 1 / G + t * a * b / (1 - b * G) - z),
    (Compressed(FreePoisson(a, b), t), 1 / G + a * b / (1 - b * t * G) - z),
    # 1/A: G' = (1 - G(1/z')/z')/z'
    (
        Inverse(MarchenkoPastur(c)),
        (c * z * G**2 + (1 - c - z) * G + 1).subs({z: 1 / z, G: z - z**2 * G}, simultaneous=True)
        / z,
    ),
    (SingularValues(MarchenkoPastur(1)), G**2 - z * G + 1),
    (Square(Semicircle(1)), z * G**2 - z * G + 1),
    (MultiplicativePower(PointMass(4), Fraction(3, 2)), (z - 8) * G - 1),
]


@pytest.mark.parametrize(("law", "expression"), CLOSED, ids=[repr(law) for law, _ in CLOSED])
def test_closed_forms(law, expression):
    assert same(law, expression)


@pytest.mark.parametrize("order", range(1, 8))
def test_products_of_square_gaussian_matrices_are_fuss_catalan(order):
    assert polynomial(FussCatalan(order)).as_expr() == G ** (order + 1) * z**order - z * G + 1


def test_the_jacobi_law_is_the_closed_form():
    p, q = Fraction(1, 2), Fraction(1, 3)  # rows/cols of both Gaussian matrices
    want = z * (1 - z) * G**2 - ((1 / p + 1 / q - 2) * z - (1 / p - 1)) * G + (1 / p + 1 / q - 1)
    found = polynomial(Wachter(p, q)).as_expr()
    assert not sympy.cancel(found / sympy.nsimplify(want)).has(z, G)


def test_the_zero_law_swallows_factors():
    zero = Affine(PointMass(1), 1, -1)
    assert polynomial(FreeProduct(COIN, PointMass(0))).as_expr() == z * G - 1
    assert polynomial(FreeProduct(COIN, zero)).as_expr() == z * G - 1
    assert polynomial(FreeProduct(FreeProduct(COIN, COIN), zero)).as_expr() == z * G - 1
    assert polynomial(MultiplicativePower(zero, 3)).as_expr() == z * G - 1
    assert polynomial(Rectangular(Compressed(Padded(zero, HALF), HALF), 2)).as_expr() == z * G - 1


def test_a_free_sum_of_fair_coins_is_the_arcsine_law():
    assert polynomial(FreeSum(COIN, COIN)) == polynomial(Arcsine(0, 2))


def test_the_polynomial_is_primitive_with_a_positive_first_coefficient():
    for law in (FussCatalan(3), KestenMcKay(3), FreeSum(MarchenkoPastur(HALF), COIN)):
        found = polynomial(law)
        assert found.gens == (z, G)
        assert found.LC() > 0
        assert found.content() == 1


def test_discriminants_hold_the_edges():
    assert discriminant(Semicircle(s, a)) == sympy.expand((z - a) ** 2 - 4 * s)
    assert sympy.factor(discriminant(MarchenkoPastur(c)) - (z - 1 - c) ** 2 + 4 * c) == 0
    assert sympy.rem(discriminant(FussCatalan(2)), 4 * z - 27, z) == 0


def test_discriminants_are_those_of_sympy():
    for law in (
        FussCatalan(3),
        FreeSum(COIN, MarchenkoPastur(2)),
        FreeProduct(COIN, Wachter(1, 1)),
    ):
        want = sympy.discriminant(polynomial(law).as_expr(), G)
        assert sympy.expand(discriminant(law) - want) == 0
