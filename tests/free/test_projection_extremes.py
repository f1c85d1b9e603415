"""Chains at the ends of the range: bands of many teeth, atoms next to death, the finest combs."""

import numpy as np
import pytest

from freefim.free.chains.chain import Affine, Chain, Product
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.projection.solve import solve_projection


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1.0 - complement, complement))


def mean(solution):
    x, weights = solution.nodes()
    return x @ weights + sum(location * mass for location, mass in solution.atoms)


@pytest.mark.parametrize(
    ("depth", "excess"),
    [(300, 0.07), pytest.param(1000, 0.24, marks=pytest.mark.slow)],
)
def test_a_band_in_which_hundreds_of_gaps_have_closed_integrates_to_its_exact_mass(depth, excess):
    """Every closed gap leaves a tooth in the density, and every tooth needs its panels."""
    b = excess / depth
    solution = solve_projection(Chain(1.0, (gate(b), Affine(1.0 / (1.0 - b), 1.0)) * (depth - 1)))
    masses = np.array(solution.band_masses) / b
    assert np.max(masses) > depth / 2
    assert solution.accuracy.mass_defect < 1e-10
    # the gates keep the mean, each shift adds 1
    assert mean(solution) == pytest.approx(depth, rel=1e-10)


@pytest.mark.parametrize("gain", [0.7, 2.1])
@pytest.mark.parametrize("excess", [3e-9, 7e-10, 1e-10, 1e-11, 1e-13])
@pytest.mark.parametrize("sign", [1.0, -1.0])
def test_an_atom_of_hardly_any_mass_next_to_a_band_is_not_counted_twice(gain, excess, sign):
    """An atom of mass p above 0 takes p/2 from the inverse square root of its neighbour."""
    moves = (gate(0.37), Affine(gain, 0.5)) * 5 + (gate(0.37 - sign * excess), Affine(gain, 0.5))
    solution = solve_projection(Chain(1.0, moves))
    assert solution.accuracy.mass_defect < 5e-12
    (places,) = np.where([mass < 1e-8 for _, mass in solution.atoms])
    if sign > 0.0:
        (atom,) = places
        assert solution.atoms[atom][1] == pytest.approx(excess, abs=4e-16)
    else:
        assert places.size == 0


@pytest.mark.slow
@pytest.mark.parametrize("complement", [1e-12, 1e-9, 1e-6])
def test_the_finest_comb_keeps_its_bands_apart(complement):
    """A thousand layers, gates of hardly any complement: one band for every gate but the last."""
    depth = 1000
    solution = solve_projection(Chain(1.0, (gate(complement), Affine(1.0, 1.0)) * (depth - 1)))
    assert len(solution.bands) == depth - 2
    assert solution.accuracy.mass_defect < 1e-2 * complement
    middle = solution.cdf(np.mean(solution.bands, axis=1))
    assert np.all(np.diff(middle) > 0.0)


def test_gates_over_twenty_orders_of_magnitude_resolve_the_bands_of_the_smallest():
    """Where b F/z is far below rounding, it must not be seen as 1 - v/z."""
    complements = np.geomspace(1e-22, 1e-3, 160)
    moves = [move for b in complements for move in (gate(b), Affine(1.0, 1.0))]
    solution = solve_projection(Chain(1.0, tuple(moves)))
    assert solution.accuracy.mass_defect < 1e-12
    x = np.mean(solution.bands, axis=1)
    assert np.all(solution.pdf(x) > 0.0)
