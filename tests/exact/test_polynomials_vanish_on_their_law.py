"""Polynomials against what they do not know: exact moments, the moves, numeric transforms."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.free import moves
from freefim.free.chains.chain import Affine as Shift
from freefim.free.chains.chain import Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.chains.moments import chain_moments
from freefim.free.exact.assembly import curve
from freefim.free.exact.polynomial import polynomial
from freefim.free.exact.selection import vanishes
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.named import Arcsine, FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.moments import tree_moments
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

F = Fraction
HALF = F(1, 2)
COIN = Atomic((1, 3), (HALF, HALF))
LEAKY = TwoPoint(F(1, 4), 1, F(1, 3), F(2, 3))
DEAD = TwoPoint(0, F(3, 2), F(2, 3), F(1, 3))


def orders(table):
    """So many moments that no other irreducible curve of these degrees meets the law as closely."""
    return 2 * (len(table) - 1) * (len(table[0]) - 1) + 2


def is_the_polynomial_of(law, moments):
    table = curve(law).table
    want = tuple(map(F, moments(min(orders(table), 40))))
    table = [[F(int(c)) for c in row] for row in table]
    return vanishes(table, want)


TREES = [
    FreeSum(COIN, Atomic((0, 2), (F(1, 3), F(2, 3)))),
    FreeProduct(COIN, Atomic((1, 5), (HALF, HALF))),
    FreeSum(Arcsine(), Arcsine(0, 3)),
    FreeSum(FreeProduct(MarchenkoPastur(HALF), COIN), Semicircle(2)),
    FreeProduct(FreeSum(MarchenkoPastur(2), FreePoisson(HALF, 3)), MarchenkoPastur(F(1, 3))),
    MultiplicativePower(COIN, 2),
    MultiplicativePower(MarchenkoPastur(F(2, 3)), F(5, 2)),
    FreePower(FreeProduct(MarchenkoPastur(1), COIN), F(7, 3)),
    Compressed(FreeSum(COIN, Semicircle(1)), F(2, 5)),
    Padded(FreePower(COIN, 3), F(3, 4)),
    SingularValues(FreeProduct(MarchenkoPastur(1), COIN)),
    Square(FreeSum(Semicircle(1), Arcsine(-3, 3))),
    Rectangular(FreeSum(COIN, COIN), F(3, 2), F(2, 3)),
    FreeSum(Affine(SingularValues(MarchenkoPastur(2)), -2, 1), COIN),
]


@pytest.mark.parametrize("law", TREES, ids=repr)
def test_trees_against_their_moments(law):
    assert is_the_polynomial_of(law, lambda n: tree_moments(law, n))


CHAINS = [
    Chain(2, (Product(DEAD), Corner(F(3, 5)), Shift(2, 1), Product(DEAD), Padding(F(1, 3)))),
    Chain(1, (Product(DEAD), Gaussian(F(3, 2), 2), Shift(1, HALF), Product(DEAD), Shift(3, 1))),
    Chain(1, (Gaussian(2, 1), Gaussian(F(1, 3), 3), Corner(HALF), Shift(HALF, 3))),
    Chain(1, (Product(LEAKY), Shift(1, 1), Product(LEAKY), Shift(2, F(1, 3)))),
    Chain(F(1, 3), (Gaussian(1, 2), Product(LEAKY), Padding(F(2, 3)), Shift(1, 2))),
]


@pytest.mark.parametrize("chain", CHAINS, ids=repr)
def test_chains_against_their_moments(chain):
    assert is_the_polynomial_of(ChainLaw(chain), lambda n: chain_moments(chain, n))


NUMERIC = [
    *map(ChainLaw, CHAINS),
    FreeSum(MarchenkoPastur(HALF), Semicircle(1)),
    FreeProduct(MarchenkoPastur(F(1, 5)), Atomic((1, 7), (HALF, HALF))),
    FreeSum(COIN, Atomic((0, 2), (F(1, 3), F(2, 3)))),
    FreeProduct(FreeSum(COIN, MarchenkoPastur(2)), FreeSum(Arcsine(0, 3), FreePoisson(2, 1))),
]


@pytest.mark.parametrize("law", NUMERIC, ids=repr)
def test_laws_against_their_numeric_transform(law):
    points = np.array([0.3 + 0.5j, 1.0 + 0.1j, 2.0 + 1j, 5.0 - 0.3j, -1.0 + 0.2j])
    values = law.cauchy(points)
    terms = [float(c) * points**i * values**j for (i, j), c in polynomial(law).terms()]
    assert np.all(abs(sum(terms)) <= 1e-12 * sum(map(abs, terms)))


rationals = st.fractions(F(1, 4), F(3), max_denominator=6)
shares = st.fractions(F(1, 5), F(4, 5), max_denominator=7)


def _at(law, point):
    """One move of `moves.py` on an exact point (z, dz, g, dg) of a law, and the law it makes."""
    return st.one_of(
        st.tuples(rationals, rationals).map(
            lambda n: (Affine(law, *n), moves.affine(*point, *n))),
        shares.map(lambda a: (Compressed(law, a), moves.corner(*point, a))),
        shares.map(lambda a: (Padded(law, a), moves.padding(*point, a))),
        st.tuples(rationals, rationals).map(
            lambda n: (Rectangular(law, *n), moves.gaussian(*point, *n))),
        st.tuples(shares, rationals).map(
            lambda n: (FreeProduct(law, Atomic((0, n[1]), (1 - n[0], n[0]))),
                       moves.projection(*point, *n))),
        rationals.map(lambda s: (FreeSum(law, Semicircle(s)), moves.semicircle(*point, s))),
        st.tuples(rationals, rationals).map(
            lambda n: (FreeSum(law, FreePoisson(*n)), moves.free_poisson(*point, *n))),
        shares.map(lambda a: (FreePower(law, 1 / a),
                              moves.affine(*moves.corner(*point, a), 1 / a, 0))),
    )  # fmt: skip


@settings(max_examples=60, deadline=None)
@given(st.data())
def test_the_moves_lead_along_the_curve(data):
    """A point of the curve, carried by the moves in rationals, stays on the polynomial."""
    start = data.draw(rationals)
    omega = data.draw(st.fractions(F(5), F(9), max_denominator=50))
    law, point = PointMass(start), (omega, F(1), 1 / (omega - start), -1 / (omega - start) ** 2)
    for _ in range(data.draw(st.integers(1, 4))):
        law, point = data.draw(_at(law, point))
    found = polynomial(law)
    z, _, g, _ = (sympy.Rational(x.numerator, x.denominator) for x in point)
    assert found.eval((z, g)) == 0


def test_powers_roots_and_inverses_lead_along_the_curve():
    law = FreeSum(MarchenkoPastur(HALF), PointMass(2))
    omega = F(17, 2)
    point = moves.gaussian(omega, F(1), 1 / (omega - 1), -1 / (omega - 1) ** 2, HALF, 1)
    point = moves.affine(*point, 1, 2)
    z, _, g, _ = point
    cube = moves.multiplicative_power(*point, ((z * g - 1) / g) ** 2, 3)
    shifted = moves.affine(*moves.inverse(*point), -1, F(1, 3))
    for node, (x, _, y, _) in [
        (law, point),
        (MultiplicativePower(law, 3), cube),
        (Inverse(law), moves.inverse(*point)),
        (Affine(Inverse(law), -1, F(1, 3)), shifted),
    ]:
        assert polynomial(node).eval((sympy.Rational(*x.as_integer_ratio()),
                                      sympy.Rational(*y.as_integer_ratio()))) == 0  # fmt: skip


def test_inverses_of_atoms_are_atoms_and_inverses_undo_each_other():
    assert polynomial(Inverse(COIN)) == polynomial(Atomic((F(1, 3), 1), (HALF, HALF)))
    law = FreeSum(FreeSum(MarchenkoPastur(HALF), COIN), PointMass(1))
    assert polynomial(Inverse(Inverse(law))) == polynomial(law)


leaves = st.one_of(
    st.tuples(rationals, rationals, shares)
    .filter(lambda n: n[0] != n[1])
    .map(lambda n: Atomic(n[:2], (n[2], 1 - n[2]))),
    rationals.map(MarchenkoPastur),
    st.tuples(rationals, rationals).map(lambda n: FreePoisson(*n)),
)


def _grown(inner):
    return st.one_of(
        st.tuples(inner, leaves).map(lambda pair: FreeSum(*pair)),
        st.tuples(inner, leaves).map(lambda pair: FreeProduct(*pair)),
        st.tuples(inner, shares).map(lambda pair: Compressed(*pair)),
        st.tuples(inner, shares).map(lambda pair: Padded(*pair)),
        st.tuples(inner, rationals).map(lambda pair: Rectangular(*pair)),
        st.tuples(inner, st.integers(2, 3)).map(lambda pair: FreePower(*pair)),
    )


@settings(max_examples=40, deadline=None)
@given(st.recursive(leaves, _grown, max_leaves=3))
def test_random_trees_are_irreducible_and_hold_their_moments(law):
    found = polynomial(law)
    assert [power for _, power in found.factor_list()[1]] == [1]
    assert is_the_polynomial_of(law, lambda n: tree_moments(law, min(n, 16)))


@settings(max_examples=25, deadline=None)
@given(leaves, leaves, leaves)
def test_sums_and_products_commute_and_associate(a, b, c):
    assert polynomial(FreeSum(a, b)) == polynomial(FreeSum(b, a))
    assert polynomial(FreeProduct(a, b)) == polynomial(FreeProduct(b, a))
    c = MarchenkoPastur(c.ratio) if isinstance(c, MarchenkoPastur) else PointMass(2)
    left, right = FreeProduct(FreeProduct(a, b), c), FreeProduct(a, FreeProduct(b, c))
    assert polynomial(left) == polynomial(right)
