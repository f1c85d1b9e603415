"""Moves of equal rank one after the other: an atom on the end of a band, or a steep hard edge."""

import warnings

import numpy as np
import pytest

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.chains.moments import chain_moments
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.projection.program import meets_equal_ranks


def gate(complement):
    return Product(TwoPoint(0.0, 1.0, 1.0 - complement, complement))


def assert_moments(law):
    solution = law.solution
    x, weights = solution.nodes()
    at, masses = np.array(solution.atoms).reshape(-1, 2).T
    found = [weights.sum() + masses.sum()]
    found += [float(weights @ x**k + masses @ at**k) for k in range(1, 5)]
    want = [1.0, *map(float, chain_moments(law.chain, 4))]
    np.testing.assert_allclose(found, want, rtol=1e-9, atol=1e-12)


@pytest.mark.parametrize("count", [2, 3])
@pytest.mark.parametrize("complement", [0.05, 0.5, 0.7])
@pytest.mark.parametrize("first", [0.0, 0.4])
def test_equal_gates_before_a_shift(count, complement, first):
    """The atom at the shift keeps the mass of one gate, and a band begins there."""
    row = (gate(complement), Affine(0.7, 0.0)) * count
    law = ChainLaw(Chain(1.0, (gate(0.01), Affine(1.0, first), *row, Affine(1.0, 0.3))))
    assert meets_equal_ranks(law.chain)
    (place, mass), left = law.atoms[0], law.bands[0][0]
    assert abs(place - 0.3) < 1e-15
    assert abs(mass - complement) < 1e-14
    assert abs(left - 0.3) < 1e-12
    assert_moments(law)


@pytest.mark.parametrize(
    ("moves", "meets"),
    [
        ((gate(0.5), Affine(1.0, 0.5), gate(0.5)), False),
        ((gate(0.5), gate(0.4)), False),
        ((gate(0.5), Affine(2.0, 0.0), gate(0.5)), True),
        ((gate(0.5), Gaussian(0.5, 1.0)), False),
        ((gate(0.5), Gaussian(0.5, 1.0), Corner(0.5), Padding(0.5)), False),
        ((Gaussian(1.0, 1.0), Padding(0.5)), True),
        ((Padding(0.5), gate(0.5)), True),
        ((Gaussian(1.0, 1.0), Gaussian(1.0, 1.0)), True),
    ],
)
def test_rows_of_equal_ranks(moves, meets):
    """One square matrix makes an ordinary hard edge; two, or one and an atom, do not."""
    assert meets_equal_ranks(Chain(1.0, moves)) is meets


def random_chain(rng):
    complements = rng.choice([0.05, 0.2, 0.5, 0.7], 2)
    moves = []
    for _ in range(rng.integers(2, 7)):
        c, scale = float(rng.choice(complements)), float(rng.choice([0.7, 1.0, 2.0]))
        ratio = float(rng.choice([0.5, 1.0, 2.0, 1.0 - c]))
        choice = [gate(c), gate(c), gate(c), Affine(scale, 0.0), Affine(scale, 0.3)]
        choice += [Corner(1.0 - c), Padding(1.0 - c), Gaussian(ratio, 1.0)]
        moves.append(choice[rng.integers(len(choice))])
    return Chain(1.0, (*moves, Affine(1.0, 0.5)))


def test_random_chains_have_their_exact_moments_or_are_refused():
    """Of chains made to repeat their ranks at most one in twenty is refused; none warns."""
    rng, refused = np.random.default_rng(7), 0
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        for _ in range(300):
            law = ChainLaw(random_chain(rng))
            try:
                law.solution.nodes()
            except ConvergenceError:
                refused += 1
                continue
            assert_moments(law)
    assert refused <= 15
