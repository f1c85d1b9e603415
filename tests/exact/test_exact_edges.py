"""Edges as algebraic numbers: known ones, critical values, and no spurious ones."""

from fractions import Fraction

import pytest
import sympy

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.exact.edges import algebraic_edges
from freefim.free.exact.polynomial import discriminant
from freefim.free.laws.given import Atomic, Cauchy
from freefim.free.laws.named import KestenMcKay, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.nodes import FreeProduct, FreeSum, Inverse

HALF = Fraction(1, 2)
sqrt = sympy.sqrt
z = sympy.Symbol("z")


def relu(depth, gaussian=False, mass=HALF):
    gate = Product(TwoPoint(0, 1, mass, 1 - mass))
    weights = [Gaussian(1, 2), Affine(1, 1)] if gaussian else [Affine(2, 1)]
    return ChainLaw(Chain(1, tuple([gate, *weights] * (depth - 1))))


def critical_values(function, variable):
    """Real values of a rational function where its derivative is 0, to 40 digits, ascending."""
    roots = sympy.Poly(sympy.numer(sympy.cancel(sympy.diff(function, variable))), variable)
    values = [function.subs(variable, r).evalf(40) for r in roots.nroots(n=60, maxsteps=500)
              if r.is_real]  # fmt: skip
    return sorted(values)


def agree(found, wanted):
    return len(found) == len(wanted) and all(
        abs(a.evalf(35) - b) <= sympy.Float(10) ** -28 * abs(b)
        for a, b in zip(found, wanted, strict=True)
    )


def test_edges_in_closed_form():
    one_layer = ChainLaw(Chain(1, (Gaussian(2, 1),)))
    assert algebraic_edges(one_layer) == (3 - 2 * sqrt(2), 3 + 2 * sqrt(2))
    two_layers = ChainLaw(Chain(1, (Gaussian(1, 1), Gaussian(1, 1))))
    assert algebraic_edges(two_layers) == (0, sympy.Rational(27, 4))
    assert algebraic_edges(relu(3)) == (3, 7)


def test_edges_of_trees_in_closed_form():
    assert algebraic_edges(KestenMcKay(3)) == (-2 * sqrt(2), 2 * sqrt(2))
    assert algebraic_edges(Semicircle(Fraction(3, 4), 1)) == (1 - sqrt(3), 1 + sqrt(3))


def test_inverses_have_inverse_edges():
    law = MarchenkoPastur(HALF)
    want = [sympy.radsimp(1 / end) for end in reversed(algebraic_edges(law))]
    assert list(algebraic_edges(Inverse(law))) == want


def test_laws_without_finite_edges_have_none():
    coin = Atomic((1, 3), (HALF, HALF))
    assert algebraic_edges(coin) == ()
    assert algebraic_edges(FreeSum(Cauchy(1), coin)) == ()


def test_spurious_roots_are_no_edges():
    """Of the real roots of the discriminant of MP(1/2) ⊠ MP(1/4), two are edges."""
    law = FreeProduct(MarchenkoPastur(HALF), MarchenkoPastur(Fraction(1, 4)))
    edges = algebraic_edges(law)
    m = sympy.Symbol("m")
    curve = (1 + m) * (1 + m / 2) * (1 + m / 4) / m
    assert len(set(sympy.Poly(discriminant(law), z).real_roots())) > len(edges) == 2
    assert agree(edges, [v for v in critical_values(curve, m) if v > 0])


def test_two_bands_of_a_covariance_matrix():
    """Silverstein & Choi: edges are critical values of x(v) = -1/v + c ∫ t/(1 + t v) dH(t)."""
    law = FreeProduct(MarchenkoPastur(Fraction(1, 5)), Atomic((1, 7), (HALF, HALF)))
    v = sympy.Symbol("v")
    x = -1 / v + sum(t / (1 + t * v) for t in (1, 7)) / 10
    assert agree(algebraic_edges(law), critical_values(x, v))


@pytest.mark.parametrize(
    "law",
    [
        relu(4),
        relu(5),
        relu(3, gaussian=True),
        relu(4, gaussian=True),
        relu(4, mass=Fraction(9, 10)),
    ],
    ids=["4", "5", "gaussian 3", "gaussian 4", "comb"],
)
def test_edges_of_networks_are_critical_values_of_their_curve(law):
    omega, curve, _ = law.derivation().sympy()
    values = critical_values(curve, omega)
    edges = algebraic_edges(law)
    assert len(edges) == len(law.edges)
    assert all(end.is_real for end in edges)
    for end in edges:
        near = min(values, key=lambda v, end=end: abs(v - end.evalf(40)))
        # the bottom edge may be an end of the curve itself, ω = ±∞ there
        assert end == law.chain.moves[-1].shift + 2 or agree([end], [near])


def test_laws_without_numbers_or_algebra_are_refused():
    with pytest.raises(SpecError, match="symbols"):
        algebraic_edges(MarchenkoPastur(sympy.Symbol("c", positive=True)))
    with pytest.raises(SpecError, match=r"0\.5"):
        algebraic_edges(MarchenkoPastur(0.5))
