"""What sampled networks do where it is easy to be misled: one test for each trap of measurement."""

import math
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.montecarlo.gradients import GradientEnsemble, sample_gradients
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of, pair_order_parameters
from freefim.statistics.fisher import FisherStatistics


def net(phi, weight, bias, depth=3, **fields):
    """A network with the given variances σ_w², σ_b²."""
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


def sample(network, width, samples, outputs, replicas=4, seed=0, **fields):
    return sample_gradients(
        GradientEnsemble(network, width, samples, outputs, **fields), replicas, seed
    )


def test_replicas_are_the_same_bits_on_every_executor():
    ensemble = GradientEnsemble(net("relu", 2, 0.1), 30, 8, 2, heads=("batch-norm",))
    here = sample_gradients(ensemble, 3, seed=5)
    for kind in (ThreadPoolExecutor, ProcessPoolExecutor):
        with kind(2) as executor:
            there = sample_gradients(ensemble, 3, seed=5, executor=executor)
        assert np.array_equal(here.eigenvalues, there.eigenvalues)
        assert np.array_equal(here[2].measured.logits, there[2].measured.logits)
    assert np.array_equal(sample_gradients(ensemble, 1, seed=5)[0].eigenvalues, here[0].eigenvalues)


@pytest.mark.parametrize(
    ("phi", "weight", "bias"), [("relu", 2, 0.1), ("tanh", 3, 0.64), ("linear", 1, 0.1)]
)
def test_outliers_their_number_and_their_span(phi, weight, bias):
    """C eigenvalues at λ_max, spanned by the mean gradients, over a bulk."""
    size = (400, 60, 3)
    st = FisherStatistics(net(phi, weight, bias), *size)
    drawn = sample(st.net, *size, replicas=8)
    for name in ("mean", "second_moment"):
        mean, error = drawn.estimate(name)
        # to leading order in the width: corrections of the relative order 1/M are a per cent here
        assert mean == pytest.approx(getattr(st, name), abs=3 * error + 0.02 * mean)
    tops, errors = drawn.estimate("top_eigenvalues")
    assert tops.mean() == pytest.approx(st.max_eigenvalue, abs=3 * errors.max() + 0.02 * tops[0])
    # a space without relation to them would overlap by 1/60
    assert drawn.estimate("overlap")[0] > 0.99
    for replica in drawn:
        assert replica.top_eigenvalues[-1] > 2 * replica.next_eigenvalue
        assert replica.bulk_eigenvalues.size == 3 * 59
        assert replica.bulk_median == pytest.approx(st.bulk_eigenvalue, rel=0.2)


def test_the_mean_is_over_every_parameter():
    """P ~ α M² misses the last layer and the biases, seven per cent here."""
    drawn = sample(net("tanh", 3, 0.64, 4), 60, 10, 4, replicas=2)
    parameters = 3 * 60 * 61 + 4 * 61
    assert drawn[0].mean * parameters == pytest.approx(drawn[0].eigenvalues.sum(), rel=1e-13)
    assert parameters > 1.03 * 3 * 60**2


def test_a_common_part_of_the_inputs_makes_outliers_without_any_bias():
    """With q̂_st = 0 taken for granted, λ_max would be twelve times too small."""
    network, size = net("tanh", 3, 0), (400, 60, 1)
    drawn = sample(network, *size, replicas=8, input_correlation=0.3)
    mean, error = drawn.estimate("max_eigenvalue")
    right = FisherStatistics(network, *size, input_correlation=0.3).max_eigenvalue
    assert mean == pytest.approx(right, abs=3 * error + 0.02 * right)
    assert mean > 5 * FisherStatistics(network, *size).max_eigenvalue


def test_given_data_count_with_their_own_correlation():
    rng = np.random.default_rng(1)
    data = 0.8 + rng.standard_normal((40, 300))
    network, size = net("tanh", 3, 0.64), (300, 40, 1)
    assert 0.2 < correlation_of(data) < 0.6
    mean, error = sample(network, *size, 8, input_correlation=data).estimate("max_eigenvalue")
    want = FisherStatistics(network, *size, input_correlation=data).max_eigenvalue
    assert mean == pytest.approx(want, abs=3 * error + 0.02 * want)


def test_order_parameters_average_over_networks_to_their_limits():
    network = net("relu", 2, 0.1, 4)
    pair = pair_order_parameters(network)
    drawn = sample(network, 400, 40, 4, replicas=16)
    for name in (
        "second_moments", "cross_moments", "backward_moments", "backward_cross_moments",
    ):  # fmt: skip
        mean, error = drawn.estimate(name)
        assert mean == pytest.approx(getattr(pair, name), abs=(4 * error + 0.01).max()), name


def test_backpropagation_through_other_weights_gives_the_same_order_parameters():
    """The gradient-independence assumption, within the scatter of the networks."""
    network = net("relu", 2, 0.1, 4)
    both = [
        sample(network, 300, 30, 4, 16, independent_backward=flag).estimate(
            "backward_cross_moments"
        )
        for flag in (False, True)
    ]
    (first, error), (second, other) = both
    assert np.all(np.abs(first - second) <= 4 * np.hypot(error, other) + 1e-12)


def test_without_a_mean_gradient_there_is_no_outlier():
    """Where κ₂ = 0 the formula of the outliers is low by a factor, and no eigenspace is known."""
    size = (300, 240, 1)
    st = FisherStatistics(net("tanh", 3, 0), *size)
    drawn = sample(st.net, *size, replicas=4)
    mean, error = drawn.estimate("max_eigenvalue")
    formula = st.diagonal / st.samples
    assert mean > 3 * formula
    assert mean == pytest.approx(st.max_eigenvalue, abs=3 * error + 0.03 * mean)
    assert drawn.estimate("overlap")[0] < 0.1
    assert drawn[0].eigenvalues[-2] > 0.9 * drawn[0].eigenvalues[-1]


def test_a_softmax_has_one_outlier_less_than_classes():
    """The C-th eigenvalue is next to the following one, not to those before it."""
    drawn = sample(net("tanh", 3, 0.64), 400, 100, 3, replicas=16, heads=("softmax",))
    ratios = np.log(drawn.eigenvalues[:, -4:] / drawn.eigenvalues[:, -5:-1]).mean(axis=0)
    assert ratios[2] > math.log(2.0) > 4 * max(ratios[0], ratios[1])
    assert np.all(np.abs(drawn.eigenvalues[:, :100]) < 1e-10 * drawn.eigenvalues[:, -1:])


def test_centred_logits_leave_no_outlier_of_a_softmax():
    plain = sample(net("relu", 2, 0.1), 300, 60, 4, heads=("softmax",))
    centred = sample(net("relu", 2, 0.1), 300, 60, 4, heads=("mean-subtraction", "softmax"))
    assert centred.estimate("max_eigenvalue")[0] < 0.3 * plain.estimate("max_eigenvalue")[0]


@pytest.mark.parametrize(("phi", "weight"), [("relu", 2), ("linear", 1)])
def test_homogeneous_networks_have_l_squared_times_the_output(phi, weight):
    """θ·∇f = L f exactly (Euler); the formula for independent θ is L times smaller."""
    drawn = sample(net(phi, weight, 0), 200, 20, 2, replicas=64)
    for replica in drawn:
        measured = replica.measured
        square = float(np.square(measured.logits).sum(axis=1).mean())
        assert measured.fisher_rao_norm == pytest.approx(9 * square, rel=1e-12)
        assert measured.fisher_rao_norm_weights == measured.fisher_rao_norm
    st = FisherStatistics(net(phi, weight, 0), 200, 20, 2)
    for name in ("fisher_rao_norm", "fisher_rao_norm_independent"):
        mean, error = drawn.estimate(name)
        assert mean == pytest.approx(getattr(st, name), abs=3 * error)
    assert st.fisher_rao_norm == pytest.approx(3 * st.fisher_rao_norm_independent, rel=1e-12)


def test_the_norm_of_a_network_with_biases_follows_the_recursion():
    drawn = sample(net("tanh", 3, 0.64), 200, 20, 2, replicas=64)
    st = FisherStatistics(net("tanh", 3, 0.64), 200, 20, 2)
    mean, error = drawn.estimate("fisher_rao_norm")
    assert mean == pytest.approx(st.fisher_rao_norm, abs=3 * error)


def test_only_samples_in_proportion_to_the_width_keep_the_centred_bulk_bounded():
    """With N fixed mean subtraction leaves an eigenvalue that grows with the width."""
    network, head = net("relu", 2, 0.1), ("mean-subtraction",)
    fixed = [
        sample(network, m, 10, 2, 16, heads=head).estimate("max_eigenvalue")[0] for m in (200, 800)
    ]
    joint = [
        sample(network, m, m, 2, 4, heads=head).estimate("max_eigenvalue")[0] for m in (100, 200)
    ]
    assert fixed[1] / fixed[0] > 2.5
    assert 0.8 < joint[1] / joint[0] < 1.25


def test_layer_norm_over_two_outputs_is_zero_and_over_three_has_heavy_tails():
    network = net("tanh", 3, 0.64)
    nothing = sample(network, 50, 10, 2, heads=("layer-norm",))
    assert not nothing.eigenvalues.any()
    plain = sample(network, 200, 60, 3, 16).estimate("max_eigenvalue")[0]
    three = sample(network, 200, 60, 3, 16, heads=("layer-norm",))
    values = three.eigenvalues[:, -1]
    assert values.max() > 5 * plain
    assert values.max() > 4 * np.median(values)


def test_a_sample_names_the_numbers_it_does_not_have():
    with pytest.raises(SpecError, match="name must be a number of the replicas, got 'lambda'"):
        sample(net("relu", 2, 0), 5, 2, 1, 1).estimate("lambda")


def test_one_replica_has_no_standard_error():
    mean, error = sample(net("relu", 2, 0), 5, 2, 1, 1).estimate("max_eigenvalue")
    assert math.isfinite(mean)
    assert error == math.inf


def test_one_sample_has_one_eigenvalue_for_each_output():
    drawn = sample(net("relu", 2, 0.1), 300, 1, 2, 8)
    st = FisherStatistics(net("relu", 2, 0.1), 300, 1, 2)
    mean, error = drawn.estimate("top_eigenvalues")
    assert mean.mean() == pytest.approx(st.max_eigenvalue, abs=3 * error.max())
    assert drawn[0].next_eigenvalue == drawn[0].bulk_median == 0.0


def test_one_network_is_no_check_of_the_largest_eigenvalue():
    """It scatters by several times 1/√M, more for ReLU than for tanh."""
    scatter = {}
    for phi, weight, bias in (("relu", 2, 0.1), ("tanh", 3, 0.64)):
        for width in (64, 256):
            drawn = sample(net(phi, weight, bias), width, 30, 2, replicas=120)
            tops = np.array([replica.max_eigenvalue for replica in drawn])
            scatter[phi, width] = tops.std(ddof=1) / tops.mean()
    # a deviation over 120 networks is known to 7 per cent, a ratio of two to 10
    for phi in ("relu", "tanh"):
        assert scatter[phi, 64] / scatter[phi, 256] == pytest.approx(2.0, rel=0.3)
        # the norm of the last weights alone gives √(2/M), more than a tolerance of some per cent
        assert scatter[phi, 256] > 0.5 * math.sqrt(2 / 256)
    assert scatter["relu", 256] > scatter["tanh", 256]
