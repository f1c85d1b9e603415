"""Masses counted on a path above the axis agree with those found on the axis."""

import numpy as np
import pytest

from freefim.free.chains.chain import Chain, Product, numeric
from freefim.free.joint.counting import hidden_band, mass_above
from freefim.free.joint.program import compile_chain
from freefim.free.joint.solve import solve_joint
from freefim.free.leaves.leaf import Atomic
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM


def chain_of(depth, activation, **options):
    return numeric(ConditionalFIM(Network(depth, activation, **options)).law().chain)


@pytest.mark.parametrize("share", [0.05, 1e-3, 1e-6])
@pytest.mark.parametrize(
    ("activation", "weights", "depth"),
    [("tanh", "orthogonal", 5), ("gelu", "gaussian", 4), ("sine", "gaussian", 3)],
)
def test_mass_above_a_point_is_one_minus_the_distribution_function(
    activation, weights, depth, share
):
    chain = chain_of(depth, activation, weights=weights, weight_std=1.2, bias_std=0.2)
    solution, program = solve_joint(chain), compile_chain(chain)
    y = share * (solution.bands[-1][1] - program.shift)
    below = solution.cdf(np.array([program.shift + y]))[0]
    assert abs(mass_above(program, y) - (1 - below)) < 2e-11


def test_a_cluster_at_the_bottom_is_counted_not_assumed():
    chain = chain_of(10, "elu", weights="gaussian", weight_std=2.0, bias_std=0.5)
    solution = solve_joint(chain)
    assert solution.accuracy.remarks
    assert solution.accuracy.mass_defect < 1e-10


def test_a_band_between_two_points_is_met_however_narrow():
    leaf = Atomic(np.array([1.0, 2.0, 4.0]), np.array([0.5 - 1e-6, 1e-6, 0.5]))
    other = Atomic(np.array([1.0, 1.0001]), np.array([0.5, 0.5]))
    program = compile_chain(Chain(1.0, (Product(leaf), Product(other))))
    place = hidden_band(program, 1.001, 3.999)
    assert place is not None
    assert abs(place - 2.0001) < 2e-4
    assert hidden_band(program, 2.001, 3.999) is None
