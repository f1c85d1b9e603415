"""Softmax outputs: the dense matrix of the master formula, traps, refusals."""

import math

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from scipy.special import softmax

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.network import Network
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.softmax import SoftmaxFisher

TANH = Network(3, "tanh", weights="gaussian", weight_std=3**0.5, bias_std=0.8)


def dense(fisher):
    """Eigenvalues of R [(o 11ᵀ + (d - o) I) ⊗ I] Rᵀ / N, descending."""
    g = np.array(fisher.probabilities)
    n, c = g.shape
    roots = np.zeros((n * c, n * c))
    for i, row in enumerate(g):
        values, vectors = np.linalg.eigh(np.diag(row) - np.outer(row, row))
        block = (vectors * np.sqrt(np.maximum(values, 0.0))) @ vectors.T
        roots[i * c : (i + 1) * c, i * c : (i + 1) * c] = block
    d, o = fisher.regression.diagonal, fisher.regression.off_diagonal
    gram = np.kron(o + (d - o) * np.eye(n), np.eye(c)) / n
    return np.linalg.eigvalsh(roots @ gram @ roots.T)[::-1]


@settings(max_examples=15)
@given(
    n=st.integers(1, 12),
    c=st.integers(2, 5),
    spread=st.floats(0.0, 4.0),
    seed=st.integers(0, 99),
)
def test_all_numbers_are_those_of_the_dense_matrix(n, c, spread, seed):
    rng = np.random.default_rng(seed)
    logits = spread * (rng.standard_normal(c) + rng.standard_normal((n, c)))
    g = softmax(logits, axis=1)
    fisher = SoftmaxFisher(TANH, width=200, samples=n, outputs=c, probabilities=g)
    values = dense(fisher)
    assert fisher.trace == pytest.approx(values.sum(), rel=1e-9)
    square = fisher.second_moment * fisher.dimension
    assert square == pytest.approx(np.square(values).sum(), rel=1e-9)
    low, high = fisher.max_eigenvalue_bounds
    assert low * (1 - 1e-9) <= values[0] <= high * (1 + 1e-9)
    for (low, high), value in zip(fisher.outlier_bounds, values[: c - 1], strict=True):
        assert low * (1 - 1e-9) <= value <= high * (1 + 1e-9)
    if fisher.regression.separated:
        assert fisher.outliers == pytest.approx(values[: c - 1], rel=1e-8, abs=1e-9 * values[0])


def test_the_constants_are_their_sums():
    g = softmax(np.random.default_rng(3).standard_normal((6, 4)), axis=1)
    fisher = SoftmaxFisher(TANH, width=100, samples=6, outputs=4, probabilities=g)
    squares, cubes = np.square(g).sum(axis=1), (g**3).sum(axis=1)
    pairs = [
        a @ b - (a * a) @ b - a @ (b * b) + (a @ b) ** 2
        for i, a in enumerate(g)
        for j, b in enumerate(g)
        if i != j
    ]
    assert fisher.beta1 == pytest.approx(1 - squares.mean(), rel=1e-13)
    assert fisher.beta2 == pytest.approx(np.mean(pairs), rel=1e-12)
    assert fisher.beta3 == pytest.approx(np.mean(squares - 2 * cubes + squares**2), rel=1e-12)


def test_there_is_one_outlier_less_than_classes():
    """Q_n 1 = 0 for every sample: the C-th eigenvalue sits in the bulk."""
    fisher = SoftmaxFisher(TANH, width=1000, samples=100, outputs=3, seed=1)
    assert len(fisher.outliers) == 2
    values = dense(fisher)
    assert values[2] <= fisher.bulk_eigenvalue * (1 + 1e-12)
    assert fisher.outliers[0] > 3 * fisher.bulk_eigenvalue


def test_uniform_predictions_make_equal_outliers():
    """Q = (1 - 11ᵀ/C)/C for all: C - 1 copies of the regression's outlier over C."""
    g = np.full((50, 4), 0.25)
    fisher = SoftmaxFisher(TANH, width=1000, samples=50, outputs=4, probabilities=g)
    want = fisher.regression.max_eigenvalue / 4
    assert fisher.outliers == pytest.approx([want] * 3, rel=1e-10)
    assert fisher.max_learning_rate(0.5) == pytest.approx(3 / want, rel=1e-10)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "means", "scatter"),
    [
        ("tanh", 3, 0.64, (0.7075, 0.0837, 0.1289, 0.193), (0.050, 0.005, 0.006, 0.029)),
        ("relu", 2, 0.1, (0.709, 0.0864, 0.129, 0.199), (0.054, 0.006, 0.0065, 0.030)),
    ],
)
def test_sampled_constants_scatter_over_seeds(phi, weight, bias, means, scatter):
    """The part of the outputs that all samples share does not average out."""
    net = Network(
        3, phi, weights="gaussian", weight_std=math.sqrt(weight), bias_std=math.sqrt(bias)
    )
    seeds = 40
    rows = []
    for seed in range(seeds):
        fisher = SoftmaxFisher(net, width=1000, samples=100, outputs=10, seed=seed)
        top = np.linalg.eigvalsh(fisher.mean_head)[-1]
        rows.append((fisher.beta1, fisher.beta2, fisher.beta3, top))
    mean, std = np.mean(rows, axis=0), np.std(rows, axis=0)
    # both means are estimates, the reference from an unknown number of seeds, taken as ten
    errors = np.array(scatter) * math.sqrt(1 / seeds + 1 / 10)
    assert np.all(np.abs(mean - means) <= 4 * errors)
    assert np.all(std > 0.5 * np.array(scatter))


def test_saturated_outputs_carry_nothing():
    loud = TANH.replace(weight_std=3**0.5)
    traces = []
    for scale in (1.0, 10.0, 1000.0):
        logits = scale * np.random.default_rng(0).standard_normal((20, 3))
        fisher = SoftmaxFisher(loud, 100, 20, 3, probabilities=softmax(logits, axis=1))
        traces.append(fisher.trace)
    assert traces[0] > traces[1] > traces[2] < 1e-9 * traces[0]


def test_features_have_a_softmax_version():
    st = FeatureMetric(TANH, width=500, samples=40, outputs=5)
    g = softmax(np.random.default_rng(2).standard_normal((40, 5)), axis=1)
    head = st.softmax(g)
    assert head.dimension == 1500
    assert head.outliers == pytest.approx(dense(head)[:4], rel=1e-9)
    fisher = FisherStatistics(TANH, width=500, samples=40, outputs=5).softmax(g)
    same = SoftmaxFisher(TANH, width=500, samples=40, outputs=5, probabilities=g)
    assert fisher.outliers == same.outliers and fisher.second_moment == same.second_moment


def test_many_samples_are_no_obstacle():
    fisher = SoftmaxFisher(TANH, width=1000, samples=2000, outputs=4, seed=5)
    for value, (low, high) in zip(fisher.outliers, fisher.outlier_bounds, strict=True):
        assert low <= value <= high


def test_a_centred_network_is_refused():
    net = TANH.replace(bias_std=0.0)
    with pytest.raises(ConvergenceError, match="too small for outliers of samples=100"):
        _ = SoftmaxFisher(net, width=1000, samples=100, outputs=3).max_eigenvalue


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(probabilities=[[0.5, 0.6]] * 3), "must sum to 1 in every row, got 1.1 in row 0"),
        (dict(probabilities=[[1.5, -0.5]] * 3), "must be finite numbers >= 0"),
        (dict(probabilities=[[0.5, 0.5]] * 2), r"the shape \(samples, outputs\) = \(3, 2\)"),
        (dict(probabilities="half"), "probabilities must be"),
        (dict(outputs=1), "outputs must be >= 2 for a softmax output, got 1"),
        (dict(samples=0), "samples must be an integer >= 1, got 0"),
        (dict(seed=-1), "seed must be an integer >= 0, got -1"),
    ],
)
def test_bad_input_gets_one_sentence(change, message):
    good = dict(net=TANH, width=100, samples=3, outputs=2)
    with pytest.raises(SpecError, match=message) as caught:
        SoftmaxFisher(**(good | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("bias", [0.0, 0.8])
def test_one_sample_has_the_eigenvalues_of_its_block(bias):
    """F = Jᵀ Q J of one sample, with J Jᵀ = d: no bulk, no outlier, nothing to be refused."""
    g = np.array([0.2, 0.3, 0.5])
    net = TANH.replace(bias_std=bias)
    fisher = SoftmaxFisher(net, width=10, samples=1, outputs=3, probabilities=[g])
    values = np.linalg.eigvalsh(np.diag(g) - np.outer(g, g))[:0:-1]
    assert fisher.outliers == pytest.approx(fisher.regression.diagonal * values, rel=1e-12)
    assert fisher.max_eigenvalue == fisher.outliers[0]


def test_certain_predictions_of_a_centred_network_carry_nothing():
    net = TANH.replace(bias_std=0.0)
    sure = SoftmaxFisher(net, 100, samples=4, outputs=3, probabilities=[[1.0, 0.0, 0.0]] * 4)
    assert sure.max_eigenvalue == 0.0 and sure.outliers == (0.0, 0.0)
    assert sure.max_learning_rate() == math.inf
