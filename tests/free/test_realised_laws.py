"""Laws of single sampled networks: solved at every width, whatever their gates."""

import numpy as np
import pytest

import freefim as ff
from freefim.free.chains.chain import Chain, Gaussian, Product
from freefim.free.chains.moments import chain_moments
from freefim.free.joint.realised import RealisedSolution
from freefim.free.joint.solve import solve_joint
from freefim.free.leaves.leaf import Atomic

ACTIVATIONS = [
    "tanh", "erf", "sine", "gelu", "silu", "elu", "softplus", "relu", "hard_tanh",
    ff.LeakyReLU(0.1),
]  # fmt: skip


def moments(solution, order):
    x, weights = solution.nodes()
    return [
        float(weights @ x**k) + sum(mass * at**k for at, mass in solution.atoms)
        for k in range(order + 1)
    ]


def distance(law, eigenvalues):
    """Kolmogorov's distance between eigenvalues that rounding tells apart, and half of 1/n."""
    values = np.sort(eigenvalues)
    apart = np.flatnonzero(np.diff(values) > 1e-9 * values[-1])
    middles = 0.5 * (values[apart] + values[apart + 1])
    steps = (apart + 1) / values.size
    return np.abs(law.cdf(middles) - steps).max(initial=0.0) + 0.5 / values.size


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("activation", ACTIVATIONS, ids=str)
@pytest.mark.parametrize(
    ("width", "depth"), [(8, 3), (8, 5), (32, 5), (64, 3), (64, 5), (65, 3), (128, 5)]
)
def test_conditional_laws_of_sampled_networks(activation, weights, width, depth):
    """Rigid eigenvalues lie a few 1/width from their law, whose moments are those of the chain."""
    fim = ff.ConditionalFIM(ff.Network(depth, activation, weights=weights))
    (replica,) = fim.sample(width=width, replicas=1, seed=0)
    law = fim.law(given=replica)
    exact = not isinstance(law.solution, RealisedSolution)
    want = [1.0, *map(float, chain_moments(law.chain, 4))]
    np.testing.assert_allclose(moments(law.solution, 4), want, rtol=1e-9 if exact else 1e-4)
    assert distance(law, np.ravel(replica.eigenvalues)) < 5 / width


@pytest.mark.parametrize("low", [1e-5, 1e-8, 1e-11, 1e-14])
def test_a_value_far_below_all_others_keeps_its_mass(low):
    """One of n values far below the rest leaves a lowest band of mass 1/n; E log x is a sum."""
    count = 16
    values, weights = np.linspace(0.3, 1.0, count), np.full(count, 1 / count)
    gates = [Atomic(places, weights) for places in (values, np.append(low, values[1:]))]
    moves = (Product(gates[0]), Gaussian(1.0, 1.0), Product(gates[1]))
    solution, want = solve_joint(Chain(1.0, moves)), chain_moments(Chain(1.0, moves), 3)
    assert not isinstance(solution, RealisedSolution)
    np.testing.assert_allclose(moments(solution, 3)[1:], want, rtol=1e-10)
    assert abs(solution.band_masses[0] - 1 / count) < 1e-10
    x, mass = solution.nodes()
    # ∫ log x over the free Poisson law of a square matrix is -1.
    logs = sum(np.log(gate.locations).mean() for gate in gates) - 1
    assert abs(float(mass @ np.log(x)) - logs) < 1e-8 * abs(logs)


def test_a_law_whose_bands_are_not_resolved_is_read_above_the_axis():
    """A tiny gate below a hard edge that ten Gaussian matrices make steep."""
    jacobian = ff.Jacobian(ff.Network(10, "sine", weights="gaussian"))
    (replica,) = jacobian.sample(width=64, replicas=1, seed=2)
    law = jacobian.law(given=replica)
    np.testing.assert_allclose(moments(law.solution, 2)[1:], law.moments(2), rtol=1e-4)
    assert distance(law, np.ravel(replica.eigenvalues)) < 5 / 64
