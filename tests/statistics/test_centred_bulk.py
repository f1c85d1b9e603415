"""The bulk of centred networks for N of the order of M, against sampled matrices."""

import math

import numpy as np
import pytest

from freefim.networks.activations import Erf
from freefim.networks.network import Network
from freefim.statistics.centred_bulk import CentredBulk
from freefim.statistics.fisher import FisherStatistics, centred_bulk


def sampled(bulk, samples, seed):
    """Eigenvalues of r I + Σ y_l K_l with Gaussian features of the stated covariances."""
    rng = np.random.default_rng(seed)
    units = [round(samples / ratio) for ratio in bulk.ratios]
    features = rng.standard_normal((samples, units[0]))
    total = bulk.shift * np.eye(samples)
    levels = [*zip(bulk.rests, bulk.gains, strict=True), None]
    for y, level, m, following in zip(bulk.weights, levels, units, [*units[1:], None], strict=True):
        total += y / m * features @ features.T
        if level is not None:
            mixing = rng.standard_normal((m, following)) * math.sqrt(level[1] / m)
            noise = rng.standard_normal((samples, following)) * math.sqrt(level[0])
            features = features @ mixing + noise
    return np.linalg.eigvalsh(total)


BULKS = [
    CentredBulk(0.7, (1.0, 0.5), (0.5, 0.25), (0.3,), (0.6,)),
    CentredBulk(0.2, (0.3, 2.0, 1.0), (1.5, 0.5, 0.75), (0.1, 0.4), (0.9, 0.5)),
    CentredBulk(0.0, (0.0, 0.0, 1.0), (0.5, 1.0, 2.0), (0.2, 0.2), (0.5, 0.5)),
]


@pytest.mark.parametrize("bulk", BULKS, ids=str)
def test_edge_and_second_moment_are_those_of_a_sampled_matrix(bulk):
    n = 600
    values = np.array([sampled(bulk, n, seed) for seed in range(3)])
    # linear statistics scatter by O(1/n), the largest eigenvalue by O(n^(-2/3))
    assert np.square(values).mean() == pytest.approx(bulk.second_moment(), rel=15 / n)
    assert values[:, -1].mean() == pytest.approx(bulk.upper_edge(), rel=3 * n ** (-2 / 3))


def test_without_gain_upwards_only_the_top_level_counts():
    """K_1 with c = 0, b = 1 over K_0 is a product of two Wishart matrices; y_0 = 0."""
    bulk = CentredBulk(0.0, (0.0, 1.0), (1.0, 1.0), (0.0,), (1.0,))
    # Fuss-Catalan law of order 2: edge 27/4, second moment 3
    assert bulk.upper_edge() == pytest.approx(27 / 4, rel=1e-9)
    assert bulk.second_moment() == pytest.approx(3.0, rel=1e-14)


@pytest.mark.parametrize(
    ("phi", "weight", "depth", "width", "samples", "second"),
    [
        ("tanh", 3, 2, 800, 400, 11.33),
        ("tanh", 3, 3, 800, 800, 6.84),
        (Erf(math.sqrt(0.5)), 2, 3, 600, 600, 2.392),
    ],
)
def test_reference_second_moments(phi, weight, depth, width, samples, second):
    net = Network(depth, phi, weights="gaussian", weight_std=math.sqrt(weight))
    bulk = centred_bulk(FisherStatistics(net, width, samples, 1))
    assert bulk.second_moment() == pytest.approx(second, rel=6e-4)


def test_a_centred_linear_network():
    """Two linear layers: the dual is y_0 K_0 + K_1 with nothing left over."""
    net = Network(2, "linear", weights="gaussian")
    bulk = centred_bulk(FisherStatistics(net, 100, 50, 1))
    assert bulk.shift == 0.0 and bulk.rests == (0.0,) and bulk.gains == (1.0,)
    assert bulk.weights == (2.0, 2.0) and bulk.ratios == (0.5, 0.5)


def test_the_edge_of_a_linear_network_scales_with_its_inputs():
    net = Network(3, "linear", weights="gaussian")
    edges = [
        FisherStatistics(net.replace(input_second_moment=q), 100, 50, 1).max_eigenvalue / q
        for q in (1.0, 3.0)
    ]
    assert edges[0] == pytest.approx(edges[1], rel=1e-9)


@pytest.mark.parametrize(
    "net",
    [
        Network(3, "relu", weights="gaussian"),
        Network(3, "tanh", weights="gaussian", bias_std=0.1),
        Network(3, "tanh", weights="orthogonal"),
    ],
    ids=str,
)
def test_other_networks_are_not_covered(net):
    assert centred_bulk(FisherStatistics(net, 100, 50, 1)) is None
