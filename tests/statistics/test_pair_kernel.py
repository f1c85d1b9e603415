"""Data whose pairs are not alike: every pair by its own correlation."""

import math

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.networks.network import Network
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.hidden_normalization import HiddenBatchNorm
from freefim.statistics.normalization import OutputBatchNorm
from freefim.statistics.pair_kernel import correlation_spread, gram_matrix
from freefim.statistics.softmax import SoftmaxFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

WIDTH, SAMPLES = 300, 60


def gaussian(phi, weight, bias, **fields):
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(3, phi, weights="gaussian", **stds, **fields)


def signs():
    """One direction, both signs: every correlation is ±1."""
    sign = np.where(np.arange(SAMPLES) < 0.55 * SAMPLES, 1.0, -1.0)
    return sign[:, None] * np.random.default_rng(1).standard_normal(WIDTH)


def clusters():
    rng = np.random.default_rng(2)
    x = rng.standard_normal((6, WIDTH)).repeat(SAMPLES // 6, axis=0)
    x += 0.3 * rng.standard_normal(x.shape)
    return x - x.mean(axis=0)


NETS = [gaussian("tanh", 3, 0), gaussian("tanh", 3, 0.64), gaussian("relu", 2, 0.1)]


@pytest.mark.parametrize("data", [signs, clusters])
@pytest.mark.parametrize("net", NETS, ids=["odd", "tanh", "relu"])
def test_groups_of_inputs_are_told_apart(net, data):
    st = FisherStatistics(net, WIDTH, SAMPLES, 1, data())
    sample = st.sample(12, seed=3)
    for name in ("max_eigenvalue", "second_moment"):
        mean, error = sample.estimate(name)
        assert abs(getattr(st, name) - mean) < 4 * error + 0.06 * mean
    alike = FisherStatistics(net, WIDTH, SAMPLES, 1, st.input_correlation)
    assert st.second_moment > 1.5 * alike.second_moment
    assert st.separated


@pytest.mark.parametrize(
    ("kind", "fields"),
    [
        (FisherStatistics, {}),
        (LayerFisher, {"layer": 2}),
        (FeatureMetric, {}),
        (NeuralTangentKernelStatistics, {}),
    ],
    ids=str,
)
def test_the_numbers_are_those_of_the_matrix_of_all_pairs(kind, fields):
    x = clusters()[::3]
    st = kind(gaussian("relu", 2, 0.1), WIDTH, len(x), 1, x, **fields)
    rows = x / np.linalg.norm(x, axis=1, keepdims=True)
    gram = np.empty((len(x), len(x)))
    for i, a in enumerate(rows):
        for j, b in enumerate(rows):
            pair = kind(st.net, WIDTH, 2, 1, float(np.clip(a @ b, -1, 1)), **fields)
            gram[i, j] = pair.diagonal if i == j else pair.off_diagonal
    divisor = 1 if kind is NeuralTangentKernelStatistics else len(x)
    values, vectors = np.linalg.eigh(gram / divisor)
    assert st.max_eigenvalue == pytest.approx(values[-1], rel=1e-6)
    assert st.bulk_eigenvalue == pytest.approx(values[:-1].mean(), rel=1e-5)
    assert st.second_moment * st.dimension == pytest.approx(np.square(values).sum(), rel=1e-6)
    share = values[-1] * vectors[:, -1].sum() ** 2 / (gram.sum() / divisor)
    assert st.top_overlap == pytest.approx(share, abs=1e-6)


def test_independent_inputs_are_alike():
    rng = np.random.default_rng(0)
    common = rng.standard_normal(WIDTH)
    for share in (0.0, 0.3, 0.8):
        x = rng.standard_normal((SAMPLES, WIDTH))
        assert correlation_spread(math.sqrt(share) * common + math.sqrt(1 - share) * x) < 1.0
    assert min(correlation_spread(data()) for data in (signs, clusters)) > 1.0


def test_equal_correlations_give_a_matrix_of_two_values():
    st = FisherStatistics(gaussian("tanh", 3, 0.64), 8, 8, 1, 0.5)
    x = np.linalg.cholesky(0.5 + 0.5 * np.eye(8))
    gram = gram_matrix(st, x)
    want = st.off_diagonal + (st.diagonal - st.off_diagonal) * np.eye(8)
    assert np.abs(gram - want).max() < 1e-6 * st.diagonal


@pytest.mark.parametrize(
    "ask",
    [
        lambda net, x: OutputBatchNorm(net, WIDTH, SAMPLES, 2, x).max_eigenvalue_bounds,
        lambda net, x: OutputBatchNorm(net, WIDTH, SAMPLES, 2, x).max_eigenvalue,
        lambda net, x: SoftmaxFisher(net, WIDTH, SAMPLES, 3, x).second_moment,
        lambda net, x: SoftmaxFisher(net, WIDTH, SAMPLES, 3, x).max_eigenvalue,
        lambda net, x: HiddenBatchNorm(net, WIDTH, SAMPLES, 2, x).max_eigenvalue_bound,
    ],
)
def test_heads_and_normalisation_take_alike_pairs_only(ask):
    with pytest.raises(SpecError, match="correlations that scatter by"):
        ask(gaussian("relu", 2, 0.1), clusters())
