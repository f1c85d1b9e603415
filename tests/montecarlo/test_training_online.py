"""Online training: its step, its threshold, and the network it ends with."""

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.montecarlo.gradients import GradientEnsemble
from freefim.montecarlo.gradients_backprop import Parameters
from freefim.montecarlo.gradients_descent import descend
from freefim.montecarlo.networks import sample_networks
from freefim.montecarlo.training import (
    initial_parameters,
    replica_of,
    stability_boundary,
    train_online,
)
from freefim.networks.activations import HardTanh
from freefim.networks.network import Network

NET = Network(4, HardTanh(2.0), bias_std=0.1, width_ratios=[0.5, 1, 1, 1, 1])
WIDTH = 24


@pytest.fixture
def problem():
    rng = np.random.default_rng(1)
    inputs = rng.standard_normal((3, WIDTH // 2))
    return initial_parameters(NET, WIDTH, seed=2), inputs, rng.standard_normal((3, WIDTH))


def test_repeating_one_sample_is_full_batch_descent(problem):
    parameters, inputs, targets = problem
    ensemble = GradientEnsemble(NET.replace(width_ratios=[0.5, 1, 1, 1]), WIDTH, 1, WIDTH)
    whole = descend(ensemble, parameters, inputs[:1], targets[:1], 1e-3, 6)
    online = train_online(NET, WIDTH, parameters, inputs[:1], targets[:1], 1e-3, [0] * 7)
    assert online.residuals**2 / 2 == pytest.approx(whole.losses, rel=1e-12)


def test_every_step_descends_on_its_sample_and_leaves_the_start_alone(problem):
    parameters, inputs, targets = problem
    kept = [matrix.copy() for matrix in parameters.weights]
    rate, order = 1e-3, [2, 0, 1, 1]
    whole = train_online(NET, WIDTH, parameters, inputs, targets, rate, order)
    stepwise = parameters
    for sample in order:
        stepwise = train_online(NET, WIDTH, stepwise, inputs, targets, rate, [sample]).parameters
    for one, other in zip(whole.parameters.weights, stepwise.weights, strict=True):
        np.testing.assert_array_equal(one, other)
    for one, other in zip(kept, parameters.weights, strict=True):
        np.testing.assert_array_equal(one, other)


def test_biases_stay_where_there_are_none():
    net = NET.replace(bias_std=0.0)
    inputs = np.ones((1, WIDTH // 2))
    start = initial_parameters(net, WIDTH)
    end = train_online(net, WIDTH, start, inputs, np.ones((1, WIDTH)), 1e-3, [0, 0]).parameters
    assert not any(bias.any() for bias in end.biases)


def test_the_boundary_on_a_repeated_sample_is_that_of_the_dual(problem):
    parameters, inputs, _ = problem
    own = replica_of(NET, WIDTH, parameters, inputs[0])
    critical = 2 / (WIDTH * own.eigenvalues[-1])
    # off by 1e-6 in every direction: J does not change while it grows
    off = 1e-6 * np.random.default_rng(3).standard_normal(WIDTH)
    targets = (_outputs(parameters, inputs[0]) + off)[None]

    def grows(rate):
        run = train_online(NET, WIDTH, parameters, inputs[:1], targets, rate, [0] * 300)
        return run.growth > 1.0

    found = stability_boundary(grows, 0.5 * critical, 2 * critical, 1e-3)
    assert found == pytest.approx(critical, rel=1e-2)


def _outputs(parameters, x):
    for layer, (weights, bias) in enumerate(zip(*parameters, strict=True)):
        x = weights @ x + bias
        x = x if layer == NET.depth - 1 else NET.activations[layer].function(x)
    return x


def test_the_exponent_of_a_geometric_residual_is_its_logarithm():
    net = Network(1, "linear")
    start = Parameters((np.zeros((2, 2)),), (np.zeros(2),))
    x, y = np.ones((1, 2)), np.array([[3.0, 4.0]])
    for rate, factor in ((0.25, 0.5), (1.25, 1.5)):
        run = train_online(net, 2, start, x, y, rate, [0] * 20)
        assert run.lyapunov_exponent == pytest.approx(np.log(factor), rel=1e-9)


def test_a_given_network_is_the_replica_that_was_drawn(problem):
    parameters, inputs, _ = problem
    drawn = sample_networks(NET, WIDTH, 1, seed=2, input=inputs[0])[0]
    taken = replica_of(NET, WIDTH, parameters, inputs[0])
    np.testing.assert_array_equal(drawn.eigenvalues, taken.eigenvalues)
    np.testing.assert_array_equal(drawn.shifts, taken.shifts)
    for one, other in zip(drawn.gates, taken.gates, strict=True):
        np.testing.assert_array_equal(one, other)


def test_what_diverges_stops_and_says_so(problem):
    parameters, inputs, targets = problem
    run = train_online(NET, WIDTH, parameters, inputs, targets, 1e6, [0] * 50)
    assert run.residuals.size < 50 and run.growth > 1e10


def test_what_does_not_fit_is_refused(problem):
    parameters, inputs, targets = problem
    with pytest.raises(SpecError, match="targets"):
        train_online(NET, WIDTH, parameters, inputs, targets[:2], 0.1, [0])
    with pytest.raises(SpecError, match="inputs"):
        train_online(NET, WIDTH, parameters, inputs[:, 1:], targets, 0.1, [0])
    with pytest.raises(SpecError, match="weights"):
        replica_of(NET, WIDTH + 2, parameters, inputs[0])
    with pytest.raises(SpecError, match="standard"):
        ntk = NET.replace(parametrization="ntk")
        train_online(ntk, WIDTH, parameters, inputs, targets, 0.1, [0])
    with pytest.raises(ConvergenceError, match="boundary"):
        stability_boundary(lambda rate: True, 1.0, 2.0)
