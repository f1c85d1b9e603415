"""Learning rates: one theorem for each question, one factor for each way of averaging."""

import math

import numpy as np
import pytest

from freefim.advice import HEADS, LOSSES, learning_rate, online_rate
from freefim.errors import ConvergenceError, SpecError
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm
from freefim.statistics.softmax import SoftmaxFisher

NET = Network(3, "tanh", weights="gaussian", weight_std=3**0.5, bias_std=0.8)


def test_one_sample_with_as_many_outputs_as_units_is_the_edge_of_the_law():
    top = ConditionalFIM(NET).law().support[1]
    unbiased = NET.replace(bias_std=0)
    edge = ConditionalFIM(unbiased).law().support[1]
    assert learning_rate(unbiased, 200).max_eigenvalue == pytest.approx(200 * edge)
    assert learning_rate(NET, loss="mean").max_eigenvalue == pytest.approx(top)
    # a width brings in the biases, of the order of 1/M
    assert learning_rate(NET, 10**7, loss="mean").max_eigenvalue == pytest.approx(top, rel=1e-6)
    ntk = NET.replace(parametrization="ntk")
    top = ConditionalFIM(ntk).law().support[1]
    assert learning_rate(ntk).max_eigenvalue == pytest.approx(top)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_one_sample_with_few_outputs_is_a_batch_of_one(parametrization):
    net = NET.replace(parametrization=parametrization, bias_std=0)
    online = learning_rate(net, 300, outputs=2)
    assert online.value == pytest.approx(FisherStatistics(net, 300, 1, 2).max_learning_rate())
    assert "mean of the law" in online.theorem


@pytest.mark.parametrize(
    ("head", "statistics"),
    [
        (None, FisherStatistics),
        ("softmax", SoftmaxFisher),
        ("layer-norm", OutputLayerNorm),
    ],
)
def test_a_batch_is_its_statistics(head, statistics):
    found = learning_rate(NET, 300, samples=40, outputs=4, head=head, momentum=0.5)
    assert found.value == found.upper == statistics(NET, 300, 40, 4).max_learning_rate(0.5)


def test_biases_count_where_there_are_any():
    """Of one layer J Jᵀ = (|x|² + 1) · identity."""
    single = Network(1, (), bias_std=0.3, input_second_moment=0.01)
    assert learning_rate(single, 50).max_eigenvalue == pytest.approx(50 * 0.01 + 1)
    assert learning_rate(single, 50, outputs=2).max_eigenvalue == pytest.approx(50 * 0.01 + 1)
    unbiased = single.replace(bias_std=0)
    found = learning_rate(unbiased, 50)
    assert found.max_eigenvalue == pytest.approx(50 * 0.01)
    assert any("without biases" in line for line in found.assumptions)


@pytest.mark.parametrize("head", [None, "softmax", "layer-norm"])
def test_batches_where_biases_outweigh_weights_are_refused(head):
    """Not under batch normalisation: it takes away what samples share, so those by biases."""
    fading = Network(6, "tanh", weights="gaussian", weight_std=3**-0.5, bias_std=0.05)
    options = {"samples": 20, "outputs": 3, "head": head, "input_correlation": 0.3}
    with pytest.raises(ConvergenceError, match=r"gradients by biases are .* of the rest"):
        learning_rate(fading, 60, **options)
    found = learning_rate(fading, 60_000, **options)
    assert any("biases below" in line for line in found.assumptions)


def test_outliers_of_several_outputs_are_told_to_split():
    options = {"samples": 20, "input_correlation": 0.3}
    several = learning_rate(NET, 300, outputs=4, **options).assumptions
    single = learning_rate(NET, 300, outputs=1, **options).assumptions
    assert any("split" in line for line in several)
    assert not any("split" in line for line in single)


def test_batch_norm_is_its_bounds_or_its_edge():
    found = learning_rate(NET, 300, samples=300, outputs=4, head="batch-norm")
    statistics = OutputBatchNorm(NET, 300, 300, 4)
    assert (found.value, found.upper) == statistics.max_learning_rate_bounds()
    assert any("bounds" in line for line in found.assumptions)
    odd = NET.replace(bias_std=0)
    found = learning_rate(odd, 300, samples=300, outputs=4, head="batch-norm")
    edge = OutputBatchNorm(odd, 300, 300, 4).max_eigenvalue
    assert found.value == found.upper == pytest.approx(2 / edge)
    assert not any("bounds" in line for line in found.assumptions)
    assert learning_rate(odd, 300, samples=2, outputs=4, head="batch-norm").value == math.inf


def test_batch_norm_of_more_samples_than_units_is_told_only_where_its_edge_is_known():
    """λ_max >= tr F/P stays as samples come, and the bounds of the theorem fall."""
    for samples in (41, 2500, 10**8):
        with pytest.raises(ConvergenceError, match=rf"samples={samples} at width=40 .* not known"):
            learning_rate(NET, 40, samples=samples, outputs=1, head="batch-norm")
    odd = NET.replace(bias_std=0)
    for samples in (41, 2500):
        found = learning_rate(odd, 40, samples=samples, outputs=1, head="batch-norm")
        statistics = OutputBatchNorm(odd, 40, samples, 1)
        assert found.max_eigenvalue >= statistics.trace / statistics.dimension


def test_bounds_of_batch_norm_say_so():
    found = learning_rate(NET, 60, samples=60, outputs=1, head="batch-norm")
    tops = [replica.max_eigenvalue for replica in OutputBatchNorm(NET, 60, 60, 1).sample(8, 0)]
    assert np.median(tops) < found.max_eigenvalue
    assert np.median(tops) > 2 / found.upper


def test_heads_without_a_gradient_allow_every_step():
    for head, samples in (("layer-norm", 1), ("layer-norm", 9), ("batch-norm", 2)):
        found = learning_rate(NET, 30, samples=samples, outputs=2, head=head)
        assert (found.value, found.max_eigenvalue) == (math.inf, 0.0)


@pytest.mark.parametrize("options", [{"outputs": 5}, {"samples": 10, "outputs": 5}])
def test_averages_multiply_by_what_they_divide_by(options):
    def value(**more):
        return learning_rate(NET, 200, **options, **more).value

    assert value(loss="mean") == pytest.approx(5 * value())
    assert value(loss="mse") == pytest.approx(5 / 2 * value())
    assert value(batch="sum") == pytest.approx(value() / options.get("samples", 1))
    assert value(momentum=0.9) == pytest.approx(1.9 * value())


def test_the_heavy_ball_turns_unstable_there():
    """On a quadratic of curvature λ, that of `online_rate`."""
    for mu in (0.0, 0.5, 0.9):
        rate = online_rate(7.0, 1, "sum", mu, ()).value
        for share, grows in ((0.99, False), (1.01, True)):
            x, v = 1.0, 0.0
            for _ in range(2000):
                v = mu * v - share * rate * 7.0 * x
                x += v
            assert (abs(x) > 1) == grows


def test_the_network_tells_its_outputs():
    ratios = (0.5, 1, 1, 0.02)
    whole = NET.replace(width_ratios=ratios)
    found = learning_rate(whole, 300, samples=20)
    open_end = NET.replace(width_ratios=ratios[:-1])
    assert found == learning_rate(open_end, 300, samples=20, outputs=6)


def test_data_stand_for_their_correlation():
    data = np.random.default_rng(0).standard_normal((20, 300)) + 0.5
    found = learning_rate(NET, 300, samples=20, outputs=2, input_correlation=data)
    assert found.value == FisherStatistics(NET, 300, 20, 2, data).max_learning_rate()
    assert any("as in the data" in line for line in found.assumptions)


def test_every_answer_says_its_theorem_its_loss_and_its_assumptions():
    for head in (None, *HEADS):
        for loss in LOSSES if head is None else ["sum"]:
            found = learning_rate(NET, 300, samples=20, outputs=4, head=head, loss=loss)
            lines = str(found).splitlines()
            assert f"{found.value:.6g}" in lines[0]
            assert "20 samples" in lines[1]
            assert "Karakida" in lines[2]
            assert len(lines) == 3 + len(found.assumptions)
            assert float(found) == found.value


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        ({"width": 9, "loss": "max"}, "loss must be"),
        ({"width": 9, "batch": "max"}, "batch must be"),
        ({"width": 9, "head": "soft-max"}, "did you mean 'softmax'"),
        ({"width": 9, "momentum": 1.0}, r"momentum must be in \[0, 1\)"),
        ({"width": 9, "samples": 0}, "samples must be"),
        ({"width": 9, "samples": 5}, "outputs must be given"),
        ({"samples": 5, "outputs": 2}, "width must be given"),
        ({}, "width must be given"),
        ({"width": 9, "outputs": 3, "head": "softmax", "loss": "mean"}, "loss must be left out"),
        ({"width": 9, "outputs": 3, "head": "batch-norm"}, "samples must be >= 2"),
    ],
)
def test_what_means_nothing_is_refused(arguments, words):
    with pytest.raises(SpecError, match=words):
        learning_rate(NET, **arguments)
    with pytest.raises(SpecError, match="net must be a Network"):
        learning_rate("net.toml", 9)


def test_what_is_not_known_is_not_told():
    hidden = Network(3, "tanh", weights="orthogonal")
    with pytest.raises(ConvergenceError, match="too small for an outlier"):
        learning_rate(hidden, 100, samples=50, outputs=2)
