"""Every statistic, predicted and measured on the networks that it samples itself."""

import math
from concurrent.futures import ThreadPoolExecutor

import numpy as np
import pytest
from scipy.special import softmax

from freefim.errors import SpecError
from freefim.montecarlo.gradients import GradientEnsemble, sample_gradients
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.hidden_normalization import HiddenBatchNorm, HiddenLayerNorm
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm
from freefim.statistics.softmax import SoftmaxFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

TANH = Network(3, "tanh", weights="gaussian", weight_std=3**0.5, bias_std=0.8)
NTK = TANH.replace(parametrization="ntk")
WIDTH, SAMPLES, OUTPUTS = 300, 30, 3
SIZE = (WIDTH, SAMPLES, OUTPUTS)


def agree(measured, predicted):
    """Within three standard errors and the next order in the width, a few times 1/M."""
    measured = np.asarray(measured)
    error = measured.std(axis=0, ddof=1) / math.sqrt(len(measured))
    mean = measured.mean(axis=0)
    return np.all(np.abs(mean - predicted) <= 3 * error + 5 / WIDTH * np.abs(mean))


GAUSSIAN = [
    FisherStatistics(TANH, *SIZE),
    FisherStatistics(NTK, *SIZE),
    FisherStatistics(TANH, *SIZE, input_correlation=0.3),
    LayerFisher(TANH, *SIZE, layer=2),
    LayerFisher(TANH, *SIZE, layer=3),
    FeatureMetric(TANH, *SIZE),
    FeatureMetric(TANH, *SIZE, space="input"),
    NeuralTangentKernelStatistics(NTK, *SIZE),
    NeuralTangentKernelStatistics(TANH, *SIZE),
    HiddenLayerNorm(TANH, *SIZE),
]


@pytest.mark.parametrize("st", GAUSSIAN, ids=lambda st: f"{type(st).__name__}-{st.witness}")
def test_statistics_of_a_gaussian_output(st):
    drawn = st.sample(replicas=8, seed=1)
    assert agree([r.mean for r in drawn], st.mean)
    assert agree([r.second_moment for r in drawn], st.second_moment)
    # the C values of the outlier are split by finite width; their mean is not
    assert agree([r.top_eigenvalues.mean() for r in drawn], st.max_eigenvalue)
    assert drawn.source.dimension == st.dimension


@pytest.mark.parametrize(
    ("st", "given"),
    [
        (SoftmaxFisher(TANH, *SIZE), lambda u: dict(probabilities=softmax(u, axis=1))),
        (OutputLayerNorm(TANH, WIDTH, SAMPLES, 6), lambda u: dict(logits=u)),
        (OutputBatchNorm(TANH, WIDTH, 6, OUTPUTS), lambda u: dict(deviations=u.std(axis=0))),
        (OutputBatchNorm(TANH, WIDTH, 6, OUTPUTS, kind="mean-subtraction"), lambda u: {}),
    ],
    ids=lambda thing: type(thing).__name__,
)
def test_statistics_of_a_head_given_its_outputs(st, given):
    """What a head does depends on the realised outputs, which do not average out."""
    ratios = []
    for replica in st.sample(replicas=8, seed=2):
        fields = dict(net=TANH, width=WIDTH, samples=st.samples, outputs=st.outputs)
        if isinstance(st, OutputBatchNorm):
            fields["kind"] = st.kind
        own = type(st)(**fields, **given(replica.measured.logits))
        row = [replica.mean / own.mean, replica.second_moment / own.second_moment]
        if not isinstance(st, OutputBatchNorm):
            outliers = replica.eigenvalues[: -st.outputs : -1]
            row.append(outliers.sum() / sum(own.outliers))
        ratios.append(row)
    assert agree(ratios, 1.0)


def test_hidden_batch_norm():
    relu = Network(3, "relu", weights="gaussian", weight_std=2**0.5)
    st = HiddenBatchNorm(relu, *SIZE, kind="batch-norm")
    tops = [r.top_eigenvalues.mean() for r in st.sample(replicas=8)]
    bulk = [r.bulk_median for r in st.sample(replicas=8)]
    # of the other layers comes no more than their bulk
    assert st.max_eigenvalue_bound < np.mean(tops) < st.max_eigenvalue_bound + 2 * np.mean(bulk)


def test_a_head_of_other_gradients_is_sampled_with_them():
    metric = FeatureMetric(TANH, *SIZE)
    head = metric.softmax(np.full((SAMPLES, OUTPUTS), 1 / OUTPUTS))
    ratios = []
    for replica in head.sample(replicas=8):
        own = metric.softmax(softmax(replica.measured.logits, axis=1))
        assert replica.source.dimension == own.dimension
        outliers = replica.eigenvalues[:-OUTPUTS:-1]
        ratios.append([replica.mean / own.mean, outliers.sum() / sum(own.outliers)])
    assert agree(ratios, 1.0)


def test_the_witness_sees_the_data_themselves():
    """Two groups of alike inputs: the mean correlation is not all there is to their spectrum."""
    rng = np.random.default_rng(0)
    groups = rng.standard_normal((2, WIDTH)).repeat(SAMPLES // 2, axis=0)
    st = FisherStatistics(TANH, *SIZE, input_correlation=groups)
    assert st.input_correlation == correlation_of(groups)
    centred = OutputBatchNorm(TANH, *SIZE, groups, kind="mean-subtraction")
    for kind in (st, LayerFisher(TANH, *SIZE, groups, layer=1), centred):
        eigenvalues = kind.sample(replicas=1)[0].eigenvalues[::-1]
        rank = (1 if kind is centred else 2) * OUTPUTS
        assert eigenvalues[rank - 1] > 1e8 * abs(eigenvalues[rank])
    alike = FisherStatistics(TANH, *SIZE, input_correlation=st.input_correlation)
    assert alike == st
    assert alike.sample(replicas=1)[0].eigenvalues[-2 * OUTPUTS - 1] > 0.1 * alike.bulk_eigenvalue


def test_data_that_do_not_fit_the_network_are_refused():
    with pytest.raises(SpecError, match=r"\(samples, M_0\) = \(30, 300\), got shape \(30, 30\)"):
        FisherStatistics(TANH, *SIZE, input_correlation=np.eye(SAMPLES))


def test_samples_are_the_same_bits_on_an_executor():
    st = SoftmaxFisher(TANH, 40, 8, 3)
    with ThreadPoolExecutor(2) as executor:
        there = st.sample(replicas=3, seed=4, executor=executor)
    assert np.array_equal(there.eigenvalues, st.sample(replicas=3, seed=4).eigenvalues)


@pytest.mark.parametrize("heads", [(), ("batch-norm",), ("softmax",)])
def test_a_replica_can_be_drawn_alone_and_measured_again(heads):
    ensemble = GradientEnsemble(TANH, 20, 6, 3, input_correlation=0.2, heads=heads)
    drawn = sample_gradients(ensemble, replicas=3, seed=7)
    for index, replica in enumerate(drawn):
        inputs, parameters = ensemble.initial(seed=7, index=index)
        assert np.array_equal(ensemble.eigenvalues(inputs, parameters), replica.eigenvalues)


def test_the_top_eigenspace_is_that_of_the_mean_gradients():
    centred = TANH.replace(bias_std=0.0)
    for net in (TANH, centred):
        st = FisherStatistics(net, *SIZE)
        overlap = st.sample(replicas=4).estimate("overlap")[0]
        # of relative order 1/M beside the outliers; a random space has 1/N
        assert overlap == pytest.approx(st.top_overlap, abs=0.01 if st.separated else 0.15)


def test_flatness_is_a_bound_from_below():
    st = FisherStatistics(TANH, *SIZE)
    replica = st.sample(replicas=1)[0]
    for threshold in (0.01, st.bulk_eigenvalue, 2 * st.bulk_eigenvalue, 2 * st.max_eigenvalue):
        assert st.flatness(threshold) <= replica.flatness(threshold)
        within = np.count_nonzero(replica.eigenvalues < threshold)
        within += st.dimension - replica.eigenvalues.size
        assert replica.flatness(threshold) == pytest.approx(within / st.dimension, rel=1e-12)
    assert st.flatness(1e-9) == pytest.approx(1 - st.rank / st.dimension, rel=1e-12)
