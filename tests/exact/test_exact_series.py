"""R- and S-series: their algebra in rationals, and their place on the polynomial."""

from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains.chain import Affine as Shift
from freefim.free.chains.chain import Chain, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.exact.polynomial import polynomial
from freefim.free.exact.series import r_series, s_series
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, FussCatalan, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import SechFourth
from freefim.free.trees.nodes import Affine, Compressed, FreePower, FreeProduct, FreeSum

F = Fraction
rationals = st.fractions(F(1, 4), F(3), max_denominator=6)
shares = st.fractions(F(1, 5), F(4, 5), max_denominator=7)
laws = st.one_of(
    st.tuples(rationals, rationals, shares)
    .filter(lambda n: n[0] != n[1])
    .map(lambda n: Atomic(n[:2], (n[2], 1 - n[2]))),
    rationals.map(MarchenkoPastur),
    st.tuples(rationals, rationals).map(lambda n: FreePoisson(*n)),
    st.tuples(rationals, shares).map(lambda n: Compressed(MarchenkoPastur(n[0]), n[1])),
)


@settings(max_examples=30, deadline=None)
@given(laws, laws, rationals)
def test_r_adds_and_s_multiplies(a, b, t):
    assert r_series(FreeSum(a, b), 8) == tuple(
        x + y for x, y in zip(r_series(a, 8), r_series(b, 8), strict=True)
    )
    assert r_series(FreePower(a, 1 + t), 8) == tuple((1 + t) * x for x in r_series(a, 8))
    first, second = s_series(a, 7), s_series(b, 7)
    product = [sum(first[j] * second[k - j] for j in range(k + 1)) for k in range(7)]
    assert s_series(FreeProduct(a, b), 7) == tuple(product)


@settings(max_examples=20, deadline=None)
@given(laws)
def test_the_series_lie_on_the_polynomial(law):
    x = sympy.Symbol("x")
    n = 9
    p = polynomial(law).as_expr()
    z, g = polynomial(law).gens
    r = sum(sympy.Rational(*c.as_integer_ratio()) * x**k for k, c in enumerate(r_series(law, n)))
    on_r = sympy.Poly(sympy.numer(sympy.together(p.subs({z: 1 / x + r, g: x}))), x)
    assert min(k for (k,) in on_r.monoms()) >= n - 1
    s = sum(sympy.Rational(*c.as_integer_ratio()) * x**k for k, c in enumerate(s_series(law, n)))
    on_s = sympy.Poly(sympy.numer(sympy.together(p.subs({z: (1 + x) / (x * s), g: x * s}))), x)
    assert min(k for (k,) in on_s.monoms()) >= n - 1


def test_known_series():
    a, b = sympy.symbols("a b", positive=True)
    assert r_series(Semicircle(a, b), 4) == (b, a, 0, 0)
    assert r_series(FreePoisson(a, b), 3) == (a * b, a * b**2, a * b**3)
    assert s_series(FussCatalan(3), 4) == (1, -3, 6, -10)  # (1 + m)^-3
    assert r_series(Affine(Semicircle(a), b, 1), 3) == (1, a * b**2, 0)


@pytest.mark.parametrize(
    ("law", "what"),
    [
        (MarchenkoPastur(0.5), "0.5"),
        (FreePoisson(sympy.Symbol("a", positive=True), 0.5), "0.5"),
        (MarchenkoPastur(sympy.sqrt(2)), "sqrt"),
        (Empirical([0.25, 1.5]), "0.25"),
        (Uniform(0, 1), "Uniform"),
        (Semicircle(1, sympy.Symbol("z")), "z or G"),
        (FussCatalan(2.5), "exponent"),
        (ChainLaw(Chain(1, (Product(SechFourth(1.0)), Shift(1, 1)))), "two-point"),
    ],
    ids=repr,
)
def test_what_is_not_exact_is_refused_with_the_reason(law, what):
    with pytest.raises(SpecError, match=what.replace(".", r"\.")):
        polynomial(law)


def test_series_refuse_floats_and_what_has_no_series():
    with pytest.raises(SpecError, match=r"0\.5"):
        r_series(MarchenkoPastur(0.5), 3)
    with pytest.raises(SpecError, match="mean other than 0"):
        s_series(Semicircle(1), 3)
    with pytest.raises(SpecError, match="moments"):
        r_series(Cauchy(1), 3)
    with pytest.raises(SpecError, match="order"):
        s_series(PointMass(1), 0)


def test_a_law_without_moments_is_left_open_where_several_polynomials_remain():
    with pytest.raises(ConvergenceError, match="polynomials"):
        polynomial(FreeSum(Cauchy(1), Cauchy(2)))
