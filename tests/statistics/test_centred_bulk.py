"""The bulk of centred networks for N of the order of M, against sampled matrices."""

import math
from dataclasses import replace

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.nested.law import Level, NestedCovariances
from freefim.networks.activations import Erf
from freefim.networks.network import Network
from freefim.statistics.centred_bulk import nested_bulk, upper_edge
from freefim.statistics.fisher import FisherStatistics, LayerFisher, centred_bulk
from freefim.statistics.hidden_normalization import HiddenLayerNorm
from freefim.statistics.normalization import OutputBatchNorm
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics


def sampled(samples, seed, shift, weights, ratios, rests, gains):
    """Eigenvalues of r I + Σ y_l K_l with Gaussian features of the stated covariances."""
    rng = np.random.default_rng(seed)
    units = [round(samples / ratio) for ratio in ratios]
    features = rng.standard_normal((samples, units[0]))
    total = shift * np.eye(samples)
    levels = [*zip(rests, gains, strict=True), None]
    for y, level, m, following in zip(weights, levels, units, [*units[1:], None], strict=True):
        total += y / m * features @ features.T
        if level is not None:
            mixing = rng.standard_normal((m, following)) * math.sqrt(level[1] / m)
            noise = rng.standard_normal((samples, following)) * math.sqrt(level[0])
            features = features @ mixing + noise
    return np.linalg.eigvalsh(total)


BULKS = [
    (0.7, (1.0, 0.5), (0.5, 0.25), (0.3,), (0.6,)),
    (0.2, (0.3, 2.0, 1.0), (1.5, 0.5, 0.75), (0.1, 0.4), (0.9, 0.5)),
    (0.0, (0.0, 0.0, 1.0), (0.5, 1.0, 2.0), (0.2, 0.2), (0.5, 0.5)),
    # as many samples as all layers have units: a hard end, and a narrow gap beside it
    (0.1, (0.25, 0.5), (2.0, 2.0), (0.08,), (0.5,)),
]


@pytest.mark.parametrize("numbers", BULKS, ids=str)
def test_the_law_is_that_of_a_sampled_matrix(numbers):
    n = 600
    law = nested_bulk(*numbers)
    values = np.array([sampled(n, seed, *numbers) for seed in range(3)])
    # linear statistics scatter by O(1/n), the largest eigenvalue by O(n^(-2/3))
    assert np.square(values).mean() == pytest.approx(law.moment(2), rel=15 / n)
    assert values[:, -1].mean() == pytest.approx(upper_edge(law), rel=3 * n ** (-2 / 3))
    # eigenvalues are stiff: their distribution function is off by a few of 3 n at most
    ranks = (np.arange(3 * n) + 0.5) / (3 * n)
    inside = np.sort(values.ravel())
    zeros = dict(law.atoms)
    smooth = np.array([min(abs(x - at) for at in zeros) > 1e-9 if zeros else True for x in inside])
    assert np.abs(law.cdf(inside) - ranks)[smooth].max() < 5 / n


@pytest.mark.parametrize("numbers", BULKS, ids=str)
def test_the_edge_alone_is_the_edge_of_the_law(numbers):
    law = nested_bulk(*numbers)
    assert upper_edge(law) == pytest.approx(law.support[1], rel=1e-12)


def test_without_gain_upwards_only_the_top_level_counts():
    """K_1 with c = 0, b = 1 over K_0 is a product of two Wishart matrices; y_0 = 0."""
    law = nested_bulk(0.0, (0.0, 1.0), (1.0, 1.0), (0.0,), (1.0,))
    # Fuss-Catalan law of order 2: edge 27/4, second moment 3
    assert upper_edge(law) == pytest.approx(27 / 4, rel=1e-9)
    assert law.moment(2) == pytest.approx(3.0, rel=1e-14)


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
    law = FisherStatistics(net, width, samples, 1).bulk()
    assert law.moment(2) == pytest.approx(second, rel=6e-4)


def test_a_centred_linear_network():
    """Two linear layers: the dual is y_0 K_0 + K_1 with nothing left over."""
    net = Network(2, "linear", weights="gaussian")
    law = FisherStatistics(net, 100, 50, 1).bulk()
    assert law == NestedCovariances(MarchenkoPastur(0.5), (Level(0.5, 0.0, 1.0),), (2.0, 2.0))


def test_the_edge_of_a_linear_network_scales_with_its_inputs():
    net = Network(3, "linear", weights="gaussian")
    edges = [
        FisherStatistics(net.replace(input_second_moment=q), 100, 50, 1).max_eigenvalue / q
        for q in (1.0, 3.0)
    ]
    assert edges[0] == pytest.approx(edges[1], rel=1e-9)


ODD = Network(3, "tanh", weights="gaussian", weight_std=math.sqrt(3))
SHALLOW = Network(2, "relu", weights="gaussian", weight_std=math.sqrt(2))
SIZE = {"width": 300, "samples": 200, "outputs": 1}
COVERED = [
    FisherStatistics(ODD, **SIZE),
    LayerFisher(ODD, **SIZE, layer=1),
    LayerFisher(ODD, **SIZE, layer=3),
    NeuralTangentKernelStatistics(ODD.replace(parametrization="ntk"), **SIZE),
    HiddenLayerNorm(ODD, **SIZE),
    OutputBatchNorm(SHALLOW, **SIZE, kind="mean-subtraction"),
    OutputBatchNorm(SHALLOW, **SIZE),
]


@pytest.mark.parametrize("problem", COVERED, ids=lambda problem: type(problem).__name__)
def test_sampled_networks_tend_to_the_law(problem):
    apart = []
    for factor, replicas in ((1, 6), (3, 2)):
        wide = replace(problem, width=factor * 300, samples=factor * 200)
        law = wide.bulk()
        sample = wide.sample(replicas, seed=3)
        values = np.array([r.eigenvalues[-wide.samples + 2 :] for r in sample])
        # one output: everything scales with the norm of its weights, which scatters by √(2/M),
        # and with the deviation of the output where that is divided by
        values *= law.mean() / values.mean(axis=1, keepdims=True)
        apart.append(law.distance(values.ravel(), "ks"))
    # a third at three times the size
    assert apart[1] < 0.6 * apart[0] < 0.1


FAINTLY_BIASED = Network(3, "tanh", weights="gaussian", bias_std=0.1)


@pytest.mark.parametrize(
    "net",
    [
        Network(3, "relu", weights="gaussian"),
        FAINTLY_BIASED,
        Network(3, "tanh", weights="orthogonal"),
    ],
    ids=str,
)
def test_other_networks_are_refused(net):
    problem = OutputBatchNorm(net, 100, 50, 1)
    assert centred_bulk(problem) is None
    asks = [problem.bulk]
    if net != FAINTLY_BIASED:
        asks.append(FisherStatistics(net, 100, 50, 1).bulk)
    for ask in asks:
        with pytest.raises(ConvergenceError, match="known only for Gaussian weights"):
            ask()


def test_a_faint_bias_adds_an_outlier_and_leaves_the_bulk():
    law = FisherStatistics(FAINTLY_BIASED, 300, 200, 1).bulk()
    sample = FisherStatistics(FAINTLY_BIASED, 300, 200, 1).sample(8, seed=2)
    values = np.array([r.eigenvalues[-200:-1] for r in sample])
    # the norm of the last weights scatters by √(2/M)
    values *= law.mean() / values.mean(axis=1, keepdims=True)
    assert law.distance(values.ravel(), "ks") < 0.03


def test_an_output_that_is_not_there_is_refused():
    with pytest.raises(SpecError, match="output"):
        OutputBatchNorm(SHALLOW, **SIZE).bulk(1)
