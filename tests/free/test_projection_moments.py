"""Moments of the nodes and atoms of a chain against exact rational power series."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest
from hypothesis import example, given, settings
from hypothesis import strategies as st

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.projection.solve import solve_projection

COMPARED, ORDER = 6, 9


def multiply(a, b):
    return [sum(a[i] * b[k - i] for i in range(k + 1)) for k in range(ORDER + 1)]


def divide(a, b):
    quotient = []
    for k in range(ORDER + 1):
        quotient.append((a[k] - sum(quotient[i] * b[k - i] for i in range(k))) / b[0])
    return quotient


def revert(a):
    """Inverse under composition of a series a_1 x + a_2 x² + …"""
    inverse = [Fraction(0), 1 / a[1]] + [Fraction(0)] * (ORDER - 1)
    for k in range(2, ORDER + 1):
        power, total = [Fraction(1)] + [Fraction(0)] * ORDER, Fraction(0)
        for j in range(1, ORDER + 1):
            power = multiply(power, inverse)
            total += a[j] * power[k]
        inverse[k] = -total / a[1]
    return inverse


def exact_moments(chain):
    """Moments of the chain by series in u = 1/z: m(u) = Σ M_k u^k, its inverse, G(u) = u (1 + m).

    A corner loses the last term of the series, which nothing below it depends on.
    """
    one = [Fraction(1)] + [Fraction(0)] * ORDER
    start = Fraction(chain.start)
    moments = [start**k for k in range(ORDER + 1)]
    for move in chain.moves:
        series = [Fraction(0), *moments[1:]]
        match move:
            case Affine(a, q):
                a, q = Fraction(a), Fraction(q)
                moments = [
                    sum(comb(k, j) * a**j * moments[j] * q ** (k - j) for j in range(k + 1))
                    for k in range(ORDER + 1)
                ]
            case Padding(a):
                moments = [one[0], *(Fraction(a) * moment for moment in moments[1:])]
            case Product(TwoPoint(_, high, mass, _)):
                # z' = high z (mass + m)/(1 + m)
                below = [Fraction(high) * c for c in (Fraction(mass), 1, *one[2:])]
                inverse = divide(multiply(revert(series), [*one[:1], *one]), below)
                moments = [one[0], *revert(inverse)[1:]]
            case Gaussian(ratio, variance):
                # z' = variance z (ratio + m), m' = m / ratio
                ratio, below = Fraction(ratio), [Fraction(variance) * c for c in (ratio, 1)]
                inverse = divide(revert(series), [*below, *one[2:]])
                inverse = [c * ratio**k for k, c in enumerate(inverse)]
                moments = [one[0], *revert(inverse)[1:]]
            case Corner(ratio):
                # z' = z - (1 - ratio)/G, G' = G / ratio
                ratio = Fraction(ratio)
                u_of_g = revert([Fraction(0), *moments[:ORDER]])
                z_times_g = divide(one, [*u_of_g[1:], Fraction(0)])
                z_times_g[0] -= 1 - ratio
                scaled = [c * ratio ** (k - 1) for k, c in enumerate(z_times_g)]
                u_of_g = [Fraction(0), *divide(one, scaled)[:ORDER]]
                moments = [*revert(u_of_g)[1:], Fraction(0)]
    return moments


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1.0 - complement, complement))


@st.composite
def chains(draw):
    """Chains whose parameters are sixteenths: floating point holds them exactly."""

    def number(low, high):
        return draw(st.integers(int(16 * low), int(16 * high))) / 16

    moves, corners = [], 0
    for _ in range(draw(st.integers(1, 6))):
        moves.append(gate(number(0.0625, 0.875), number(0.5, 2)))
        kind = draw(st.sampled_from(["none", "gaussian", "corner", "padding"]))
        if kind == "gaussian":
            moves.append(Gaussian(number(0.25, 3), number(0.5, 2)))
        elif kind == "padding":
            moves.append(Padding(number(0.25, 0.9375)))
        elif kind == "corner" and corners < ORDER - COMPARED:
            corners += 1
            moves.append(Corner(number(0.25, 0.9375)))
        moves.append(Affine(number(0.5, 2), number(0.0625, 2)))
    return Chain(number(0.25, 2), tuple(moves))


def found_moments(solution):
    x, weights = solution.nodes()
    return [
        np.sum(weights * x**k) + sum(mass * location**k for location, mass in solution.atoms)
        for k in range(1, COMPARED + 1)
    ]


# one panel resolves this density, but not its product with the sixth power
MARGINAL = Chain(0.25, (gate(0.0625, 0.5), Gaussian(0.9375, 0.5), Affine(0.5, 0.0625)))


@settings(max_examples=40, deadline=None)
@example(MARGINAL)
@given(chains())
def test_moments_of_nodes_and_atoms_are_the_exact_rational_ones(chain):
    want = [float(moment) for moment in exact_moments(chain)[1 : COMPARED + 1]]
    np.testing.assert_allclose(found_moments(solve_projection(chain)), want, rtol=1e-10)


@pytest.mark.parametrize("gaussian", [False, True])
def test_moments_of_a_deep_chain_are_the_exact_rational_ones(gaussian):
    middle = (Gaussian(1.0, 1.0),) if gaussian else ()
    chain = Chain(1.0, (gate(0.0625), *middle, Affine(1.0, 0.5)) * 60)
    want = [float(moment) for moment in exact_moments(chain)[1 : COMPARED + 1]]
    np.testing.assert_allclose(found_moments(solve_projection(chain)), want, rtol=1e-11)
