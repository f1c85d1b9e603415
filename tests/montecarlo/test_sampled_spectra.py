"""What a sampled spectrum must satisfy at any width, and how it reports itself."""

import dataclasses

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.montecarlo import sample_networks
from freefim.networks.activations import HardTanh
from freefim.networks.network import Network


def test_the_input_has_exactly_the_second_moment_described():
    net = Network(2, "tanh", input_second_moment=3.7, width_ratios=[0.5, 1, 1])
    for replica in sample_networks(net, 40, 3):
        assert replica.second_moments[0] == pytest.approx(3.7, rel=1e-14)


def test_a_given_input_is_the_input_of_every_replica():
    x = np.arange(1.0, 9.0)
    sample = sample_networks(Network(2, "tanh"), 8, 3, input=x)
    for replica in sample:
        assert replica.second_moments[0] == x @ x / 8


@pytest.mark.parametrize("fan", [(1, 0.5), (0.5, 1)])
def test_orthogonal_layers_spread_the_norm_over_the_units(fan):
    """|W x|² = σ²|x|² for an embedding; a projection keeps the share M_1/M_0 on average."""
    net = Network(1, "linear", weight_std=1.3, width_ratios=fan)
    sample = sample_networks(net, 60, 20)
    variances = [replica.preactivation_variances[0] for replica in sample]
    if fan[0] < fan[1]:
        np.testing.assert_allclose(variances, 1.3**2 * 0.5, rtol=1e-13)
    else:
        # |W x|²/|x|² is σ² Beta(30/2, 30/2): relative variance 1/(60/2 + 1) of the mean 1/2.
        error = 1.3**2 * np.sqrt(1 / 31 / len(sample))
        assert abs(np.mean(variances) - 1.3**2) < 5 * error


def test_top_atom_of_orthogonal_hard_tanh_has_one_eigenvalue_for_each_unit_never_dead():
    """Each dead unit costs the top eigenspace one dimension: multiplicity M - #dead."""
    net = Network(5, HardTanh(cutoff=1.5), weight_std=1.1)
    width = 120
    for replica in sample_networks(net, width, 4):
        dead = sum(int(np.sum(gate == 0)) for gate in replica.gates)
        assert 0 < dead < width
        top = 0.0
        for shift in replica.shifts:
            top = shift + 1.1**2 * top
        at_top = np.abs(replica.eigenvalues - top) < 1e-11 * top
        assert at_top.sum() == width - dead
        assert replica.eigenvalues[-1] <= top * (1 + 1e-13)


def test_bottom_eigenvalue_is_the_last_shift_once_for_each_dead_unit_of_the_last_layer():
    net = Network(3, "relu", weight_std=2**0.5)
    for replica in sample_networks(net, 80, 3):
        bottom = replica.shifts[-1]
        dead = int(np.sum(replica.gates[-1] == 0))
        assert (
            np.abs(replica.eigenvalues - bottom) < 1e-12 * replica.eigenvalues[-1]
        ).sum() == dead


def test_linear_orthogonal_net_is_isometric_layer_by_layer():
    net = Network(4, "linear", weight_std=0.9)
    for replica in sample_networks(net, 30, 2):
        want = sum(0.9 ** (2 * l) for l in range(4)) * 0.9**0
        shifts = [0.9 ** (2 * l) for l in range(4)]
        np.testing.assert_allclose(replica.shifts, shifts, rtol=1e-13)
        want = sum(shift * 0.9 ** (2 * (3 - l)) for l, shift in enumerate(shifts))
        np.testing.assert_allclose(replica.eigenvalues, want, rtol=1e-12)


@pytest.mark.parametrize("bias_std", [0.0, 0.6])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_shifts_are_those_of_the_realised_second_moments(bias_std, parametrization):
    net = Network(
        3,
        "erf",
        weight_std=1.4,
        bias_std=bias_std,
        width_ratios=[0.5, 1, 1.5, 1],
        parametrization=parametrization,
    )
    width, ratios = 40, np.array([0.5, 1, 1.5])
    for replica in sample_networks(net, width, 2):
        moments = replica.second_moments[:-1]
        if parametrization == "ntk":
            want = 1.4**2 * moments + bias_std**2
        else:
            want = moments * ratios + (1 / width if bias_std else 0.0)
        np.testing.assert_allclose(replica.shifts, want, rtol=1e-13)


def test_first_layer_has_the_mean_field_order_parameters_at_any_width():
    """h^1 is exactly N(0, q_1 I) for Gaussian weights, so the estimates have no bias.

    Standard errors over M·replicas units: q_1 √2 for q; at most 1/2 for φ² and φ'² in [0, 1].
    """
    net = Network(2, "tanh", weights="gaussian", weight_std=(1.5, 1.2), bias_std=0.3)
    width, replicas = 100, 50
    limit = net.order_parameters()
    realised = sample_networks(net, width, replicas).order_parameters
    unit = 5 / np.sqrt(width * replicas)
    variance = np.mean([parameters.preactivation_variances[0] for parameters in realised])
    moment = np.mean([parameters.second_moments[1] for parameters in realised])
    chi1 = np.mean([parameters.chi1[0] for parameters in realised])
    first = limit.preactivation_variances[0]
    assert abs(variance - first) < unit * first * np.sqrt(2)
    assert abs(moment - limit.second_moments[1]) < unit / 2
    assert abs(chi1 - limit.chi1[0]) < unit / 2 * 1.2**2


def test_shapes_order_and_immutability():
    net = Network(4, "relu", width_ratios=[2, 1, 0.5, 1, 1.5], final_activation="tanh")
    sample = sample_networks(net, 10, 3, seed=2)
    assert sample.eigenvalues.shape == (3, 15)
    assert (np.diff(sample.eigenvalues, axis=1) >= 0).all()
    assert len(sample) == len(list(sample)) == 3
    replica = sample[1]
    assert (replica.index, replica.seed, replica.width, replica.network) == (1, 2, 10, net)
    assert [gate.size for gate in replica.gates] == [10, 5, 10, 15]
    assert replica.second_moments.shape == (5,)
    assert replica.preactivation_variances.shape == replica.shifts.shape == (4,)
    with pytest.raises(dataclasses.FrozenInstanceError):
        replica.width = 3
    with pytest.raises(ValueError, match="read-only"):
        replica.eigenvalues[0] = 0.0


def test_moments_are_means_over_replicas_with_their_standard_error():
    sample = sample_networks(Network(3, "tanh", weights="gaussian"), 20, 4)
    mean, error = sample.moments(3)
    for k in (1, 2, 3):
        per_replica = [float(np.mean(replica.eigenvalues**k)) for replica in sample]
        assert mean[k - 1] == pytest.approx(np.mean(per_replica), rel=1e-14)
        assert error[k - 1] == pytest.approx(np.std(per_replica, ddof=1) / 2, rel=1e-12)
    assert np.isinf(sample_networks(Network(2, "tanh"), 5, 1).moments(2)[1]).all()


def test_cdf_is_right_continuous_and_reaches_one():
    sample = sample_networks(Network(3, "tanh"), 10, 2)
    values = np.sort(sample.eigenvalues, axis=None)
    np.testing.assert_array_equal(sample.cdf(values), np.arange(1, 21) / 20)
    np.testing.assert_array_equal(
        sample.cdf([values[0] - 1, values[-1] + 1, np.nan]), [0, 1, np.nan]
    )


def test_table_holds_every_eigenvalue_with_its_replica():
    sample = sample_networks(Network(3, "tanh"), 6, 2, seed=9)
    table = sample.table()
    for replica in sample:
        rows = table.columns["replica"] == replica.index
        np.testing.assert_array_equal(table.columns["eigenvalue"][rows], replica.eigenvalues)
    assert table.metadata["seed"] == 9


NET = Network(2, "tanh", width_ratios=[0.5, 1, 1])


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        ({"width": 0}, "width must be an integer >= 1, got 0"),
        ({"width": 8.0}, "width must be an integer >= 1, got 8.0"),
        ({"replicas": 0}, "replicas must be an integer >= 1, got 0"),
        ({"replicas": True}, "replicas must be an integer >= 1, got True"),
        ({"seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"seed": None}, "seed must be an integer >= 0, got None"),
        ({"input": np.ones(8)}, r"input must be a vector of 4 numbers.*\(8,\)"),
        ({"input": np.ones((2, 2))}, r"input must be a vector of 4 numbers.*\(2, 2\)"),
        ({"input": "digit"}, "input must be a vector of 4 numbers, got 'digit'"),
        ({"input": [1, 2, np.nan, 4]}, "input must be finite, got nan at position 2"),
        ({"input": np.zeros(4)}, "input must not be the zero vector"),
        ({"executor": 4}, "executor must be a concurrent.futures.Executor, got 4"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, message):
    with pytest.raises(SpecError, match=message):
        sample_networks(**{"network": NET, "width": 8, "replicas": 1, **arguments})


@pytest.mark.parametrize("weight_std", [1e200, 1e100])
def test_a_network_that_explodes_is_an_error_and_not_a_nan(weight_std):
    net = Network(4, "linear", weight_std=weight_std)
    with pytest.raises(ConvergenceError, match="replica 0 left the range"):
        sample_networks(net, 5, 1)
