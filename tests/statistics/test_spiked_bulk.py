"""Outliers near their bulk: the secular equation, against plain matrices."""

import math

import numpy as np
import pytest

from freefim.networks.network import Network
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.hidden_normalization import HiddenLayerNorm
from freefim.statistics.spiked_bulk import SpikedBulk
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

RULES = {
    "tanh": (np.tanh, lambda u: 1 / np.cosh(u) ** 2),
    "linear": (lambda u: u, np.ones_like),
}


def gaussian(phi, weight, bias, depth=3, **fields):
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


def gram(net, width, inputs, rng, layer=None):
    """Eigenvalues and the mean gradient's share in the top one, one output, plain numpy."""
    phi, slope = RULES[str(net.activations[0]).lower().removesuffix("()")]
    n, depth = len(inputs), net.depth
    w, b = float(net.weight_stds[0]), float(net.bias_stds[0])
    hidden, before, weights = [inputs], [], []
    for l in range(depth):
        rows = 1 if l == depth - 1 else width
        weights.append(rng.standard_normal((rows, hidden[-1].shape[1])) * w)
        weights[-1] /= math.sqrt(hidden[-1].shape[1])
        before.append(hidden[-1] @ weights[-1].T + rng.standard_normal(rows) * b)
        hidden.append(phi(before[-1]))
    delta, total = np.ones((n, 1)), np.zeros((n, n))
    for l in range(depth - 1, -1, -1):
        products = hidden[l] @ hidden[l].T + (1.0 if layer is None else 0.0)
        if layer in (None, l + 1):
            total += (delta @ delta.T) * products / n
        if l:
            delta = (delta @ weights[l]) * slope(before[l - 1])
    values, vectors = np.linalg.eigh(total)
    top = vectors[:, -1]
    return values[-1], values[-1] * top.sum() ** 2 / total.sum()


def measured(st, replicas=6, correlation=0.0, layer=None):
    found = []
    for seed in range(replicas):
        rng = np.random.default_rng(seed)
        shape = (st.samples, st.width)
        x = math.sqrt(correlation) * rng.standard_normal(st.width)
        x = x + math.sqrt(1 - correlation) * rng.standard_normal(shape)
        x *= math.sqrt(float(st.net.input_second_moment))
        found.append(gram(st.net, st.width, x, rng, layer))
    found = np.array(found)
    return found.mean(axis=0), found.std(axis=0, ddof=1) / math.sqrt(replicas)


def sampled(bulk, n, seed):
    """Top eigenvalue of r I + θ u uᵀ + Σ y_l K_l with spiked Gaussian features, and u's weight."""
    rng = np.random.default_rng(seed)
    u = np.ones(n) / math.sqrt(n)
    features, total = None, bulk.shift * np.eye(n) + bulk.direct * np.outer(u, u)
    rows = zip(
        bulk.weights, bulk.ratios, (1.0, *bulk.rests), (0.0, *bulk.gains), bulk.inner, strict=True
    )
    for y, ratio, rest, gain, spike in rows:
        units = round(n / ratio)
        new = math.sqrt(rest) * rng.standard_normal((n, units))
        new += math.sqrt(spike) * np.outer(u, rng.standard_normal(units))
        if features is not None:
            m = features.shape[1]
            new += features @ rng.standard_normal((m, units)) * math.sqrt(gain / m)
        features = new
        total += y / units * features @ features.T
    values, vectors = np.linalg.eigh(total)
    return values[-1], (vectors[:, -1] @ u) ** 2


BULKS = [
    SpikedBulk(0.2, (0.3, 2.0, 1.0), (1.5, 0.5, 0.75), (0.1, 0.4), (0.9, 0.5), 1.0, (4.0, 1.5, 1)),
    SpikedBulk(0.5, (1.0, 0.5), (0.5, 1.0), (0.3,), (0.6,), 3.0, (0.0, 0.0)),
    SpikedBulk(0.0, (1.0,), (0.5,), (), (), 2.0, (1.0,)),
]


@pytest.mark.parametrize("bulk", BULKS, ids=str)
def test_the_secular_equation_is_that_of_sampled_matrices(bulk):
    replicas = [sampled(bulk, 800, seed) for seed in range(6)]
    mean, error = np.mean(replicas, axis=0), np.std(replicas, axis=0) / math.sqrt(5)
    # beside the scatter, what is of order 1/n
    assert np.all(np.abs(mean - bulk.outlier) < 4 * error + 0.005 * np.array(bulk.outlier))


@pytest.mark.parametrize("bulk", BULKS, ids=str)
def test_the_bound_is_above_the_edge(bulk):
    assert bulk.edge <= bulk.edge_bound * (1 + 1e-12)


@pytest.mark.parametrize("strength", [0.9, 1.1])
@pytest.mark.parametrize("ratio", [0.2, 1.0, 3.0])
def test_the_threshold_of_a_spiked_covariance(strength, ratio):
    """A population eigenvalue 1 + x leaves the bulk for x > √γ, to (1 + x)(1 + γ/x)."""
    x = strength * math.sqrt(ratio)
    found = SpikedBulk(0.0, (1.0,), (ratio,), (), (), 0.0, (x,)).outlier
    if strength < 1:
        assert found is None
    else:
        assert found[0] == pytest.approx((1 + x) * (1 + ratio / x), rel=1e-9)
        assert found[1] == pytest.approx((1 - ratio / x**2) / (1 + ratio / x), rel=1e-5)


@pytest.mark.parametrize("bias", [0.001, 0.01, 0.02, 0.05])
def test_a_small_bias_on_an_odd_activation(bias):
    st = FisherStatistics(gaussian("tanh", 3, bias), 500, 500, 1)
    (top, overlap), (error, scatter) = measured(st)
    edge = FisherStatistics(gaussian("tanh", 3, 0), 500, 500, 1).max_eigenvalue
    assert st.max_eigenvalue > 0.97 * edge
    assert st.separated == (bias > 0.005)
    assert abs(st.max_eigenvalue - top) < 4 * error + 0.05 * top
    assert abs(st.top_overlap - overlap) < 4 * scatter + (0.05 if st.separated else 0.25)


def test_the_gradients_of_the_biases_count_where_nothing_else_does():
    """Rank one, of order 1: as large as the bulk for N ~ M, and all there is for small inputs."""
    for net in (
        gaussian("tanh", 0.5, 0, 4),
        gaussian("tanh", 1, 0, 2, input_second_moment=0.01),
        gaussian("tanh", 1, 0, 2, input_second_moment=0.1),
    ):
        st = FisherStatistics(net, 300, 300, 1)
        (top, overlap), (error, _) = measured(st)
        assert st.off_diagonal == 0.0 and st.separated
        assert abs(st.max_eigenvalue - top) < 4 * error + 0.02 * top
        assert st.top_overlap == pytest.approx(overlap, abs=0.03)


@pytest.mark.parametrize("correlation", [0.003, 0.005, 0.01, 0.05])
def test_the_first_block_of_a_linear_network_is_a_spiked_covariance(correlation):
    """Up to the square of the last weight matrices, 1 in the mean."""
    n = 400
    st = LayerFisher(gaussian("linear", 1, 0, 2), n, n, 1, correlation, layer=1)
    own, spike = 1 - correlation, correlation * n
    assert st.separated
    assert st.max_eigenvalue == pytest.approx((own + spike) * (1 + own / spike), rel=1e-6)
    (top, _), (error, _) = measured(st, correlation=correlation, layer=1)
    assert abs(st.max_eigenvalue - top) < 4 * error


def test_other_statistics_near_their_bulk():
    normed = HiddenLayerNorm(gaussian("tanh", 3, 0.01), 400, 400, 1)
    kernel = NeuralTangentKernelStatistics(gaussian("tanh", 3, 0.08, 2), 400, 400, 1)
    for st in (normed, kernel):
        sample = st.sample(6, seed=1)
        top, error = sample.estimate("max_eigenvalue")
        assert abs(st.max_eigenvalue - top) < 4 * error + 0.05 * top


def test_independent_data_are_answered():
    """Their mean correlation is small, of either sign, never 0."""
    for seed in range(3):
        x = np.random.default_rng(seed).standard_normal((100, 400))
        st = FisherStatistics(gaussian("tanh", 3, 0), 400, 100, 1, x)
        assert st.input_correlation != 0.0 and not st.separated
        plain = FisherStatistics(st.net, 400, 100, 1)
        assert st.max_eigenvalue == pytest.approx(plain.max_eigenvalue, rel=5e-3)


def test_a_scan_over_the_bias_has_no_holes():
    tops = [
        FisherStatistics(gaussian("tanh", 1, std**2), 100, 20, 1).max_eigenvalue
        for std in np.linspace(0, 0.6, 13)
    ]
    assert np.all(np.isfinite(tops))
    assert np.abs(np.diff(tops)).max() < 0.25 * max(tops)
