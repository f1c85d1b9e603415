"""Polynomials of laws, with python-flint and with Python's integers and sympy alone.

    pytest validation/benchmarks/test_exact_speed.py

The degrees of a conditional FIM double with every layer: at depth 10 the polynomial has 88,000
coefficients of a thousand bits (σ_w² = 2) or more, and its size is what limits. Figures, not
tests: nothing here fails on time.
"""

from fractions import Fraction

import pytest
import sympy

import freefim as ff
from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.exact import arithmetic, rings
from freefim.free.exact.edges import algebraic_edges
from freefim.free.exact.polynomial import discriminant, polynomial
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.named import Arcsine, FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.nodes import FreeProduct, FreeSum, MultiplicativePower

HALF = Fraction(1, 2)
PROJECTION = Atomic((0, 2), (HALF, HALF))


def critical_relu(depth: int, weights: str) -> ChainLaw:
    """Conditional FIM of ReLU at σ_w² = 2, q̂ = 1, in rationals."""
    gate = Product(TwoPoint(0, 1, HALF, HALF))
    layer = [Gaussian(1, 2), Affine(1, 1)] if weights == "gaussian" else [Affine(2, 1)]
    return ChainLaw(Chain(1, (gate, *layer) * (depth - 1)))


def jacobian_factors(depth: int) -> ff.Law:
    law = PointMass(1)
    for _ in range(depth):
        law = FreeProduct(FreeProduct(law, PROJECTION), MarchenkoPastur(1))
    return law


def atoms(count: int, step: int, first: int) -> Atomic:
    total = count * (count + 1)
    locations = tuple(first + step * i * i for i in range(count))
    return Atomic(locations, tuple(Fraction(2 * i, total) for i in range(1, count + 1)))


LAWS = {
    "relu 10, orthogonal": critical_relu(10, "orthogonal"),
    "relu 10, gaussian": critical_relu(10, "gaussian"),
    "relu 10, unit weights": ff.ConditionalFIM(ff.Network(10, "relu")).law(),
    "jacobian 10, power": MultiplicativePower(FreeProduct(PROJECTION, MarchenkoPastur(1)), 10),
    "jacobian 10, factors": jacobian_factors(10),
    "four atoms plus four": FreeSum(atoms(4, 1, 1), atoms(4, 2, 2)),
    "tree of five leaves": FreeProduct(
        FreeSum(FreeProduct(atoms(2, 1, 1), MarchenkoPastur(HALF)), Semicircle(1)),
        FreeSum(Arcsine(0, 3), FreePoisson(2, 1)),
    ),
}


@pytest.mark.parametrize("name", LAWS)
@pytest.mark.parametrize("backend", ["flint", "sympy"])
def test_polynomial(benchmark, monkeypatch, name, backend):
    if backend == "sympy":
        for module in (arithmetic, rings):
            monkeypatch.setattr(module, "has_flint", lambda: False)
    else:
        pytest.importorskip("flint")
    found = benchmark.pedantic(polynomial, (LAWS[name],), rounds=3, warmup_rounds=0)
    benchmark.extra_info["degrees in z, G"] = found.degree_list()


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_polynomial_with_symbols(benchmark, depth):
    shifts = sympy.symbols(f"q:{depth}", positive=True)
    masses = sympy.symbols(f"alpha:{depth - 1}", positive=True)
    values = sympy.symbols(f"gamma:{depth - 1}", positive=True)
    variance = sympy.Symbol("variance", positive=True)
    moves = []
    for shift, mass, value in zip(shifts[1:], masses, values, strict=True):
        moves += [Product(TwoPoint(0, value, mass, 1 - mass)), Affine(variance, shift)]
    benchmark(polynomial, ChainLaw(Chain(shifts[0], tuple(moves))))


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_discriminant(benchmark, depth):
    benchmark(discriminant, critical_relu(depth, "orthogonal"))


@pytest.mark.parametrize("depth", [3, 4, 5])
def test_algebraic_edges(benchmark, depth):
    law = critical_relu(depth, "orthogonal")
    assert law.edges  # solved before the clock starts
    benchmark(algebraic_edges, law)
