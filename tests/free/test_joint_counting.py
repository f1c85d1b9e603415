"""Masses counted on a path above the axis agree with those found on the axis."""

import numpy as np
import pytest

from freefim.free.chains.chain import numeric
from freefim.free.joint.counting import mass_above
from freefim.free.joint.program import compile_chain
from freefim.free.joint.solve import solve_joint
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
