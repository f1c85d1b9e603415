"""Statistics of Gaussian outputs: the master formula, reference values, traps and refusals."""

import math

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activations import Erf
from freefim.networks.network import Network
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

ERF = Erf(math.sqrt(0.5))
SIZE = dict(width=1000, samples=100, outputs=2)


def gaussian(depth, phi, weight, bias, **fields):
    """A network with the given variances σ_w², σ_b²."""
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


def gram(statistics):
    """The CN×CN Gram matrix of the master formula, without its divisor."""
    d, o = statistics.diagonal, statistics.off_diagonal
    n = statistics.samples
    return np.kron(o + (d - o) * np.eye(n), np.eye(statistics.outputs))


KINDS = [
    (FisherStatistics, {}, 7),
    (LayerFisher, {"layer": 2}, 7),
    (FeatureMetric, {}, 7),
    (NeuralTangentKernelStatistics, {}, 1),
]


@pytest.mark.parametrize(("kind", "fields", "divisor"), KINDS, ids=str)
def test_all_numbers_are_those_of_the_gram_matrix(kind, fields, divisor):
    st = kind(gaussian(3, "relu", 2, 0.1), width=50, samples=7, outputs=3, **fields)
    values = np.linalg.eigvalsh(gram(st) / divisor)
    assert st.trace == pytest.approx(values.sum(), rel=1e-12)
    assert st.mean * st.dimension == pytest.approx(values.sum(), rel=1e-12)
    assert st.second_moment * st.dimension == pytest.approx(np.square(values).sum(), rel=1e-12)
    assert values[-3:] == pytest.approx([st.max_eigenvalue] * st.multiplicity, rel=1e-12)
    assert values[:-3] == pytest.approx([st.bulk_eigenvalue] * st.bulk_multiplicity, rel=1e-11)
    assert st.rank == values.size
    for threshold in (0.3 * st.bulk_eigenvalue, 2 * st.bulk_eigenvalue, st.max_eigenvalue):
        assert (values >= threshold * (1 - 1e-9)).sum() <= st.count_above(threshold) * (1 + 1e-9)


# phi, σ_w², σ_b², depth, size, λ_max, second moment, mean, bulk
TABLE = [
    ("relu", 2, 0.1, 3, SIZE, 826.5, 0.736, 3.144e-3, 23.5),
    ("relu", 2, 0, 3, SIZE, 708.9, 0.554, 2.994e-3, 23.1),
    ("tanh", 3, 0.64, 3, SIZE, 254.0, 0.0921, 1.907e-3, 16.7),
    ("linear", 1, 0.1, 3, SIZE, 330.0, 0.198, 3.293e-3, 30.0),
    (ERF, 3, 0.64, 3, SIZE, 237.9, 0.0721, 1.481e-3, 12.6),
    ("tanh", 3, 0.64, 4, dict(width=1000, samples=50, outputs=4), 450.6, 0.376, 3.226e-3, 40.3),
]


@pytest.mark.parametrize("row", TABLE, ids=str)
def test_reference_values(row):
    phi, weight, bias, depth, size, top, second, mean, bulk = row
    st = FisherStatistics(gaussian(depth, phi, weight, bias), **size)
    assert st.max_eigenvalue == pytest.approx(top, abs=0.11)
    assert st.second_moment == pytest.approx(second, rel=2e-3)
    assert st.mean == pytest.approx(mean, rel=3e-4)
    assert st.bulk_eigenvalue == pytest.approx(bulk, abs=0.051)
    assert st.multiplicity == size["outputs"]


def test_reference_values_of_unequal_widths():
    net = gaussian(3, "relu", 2, 0.1, width_ratios=(1, 0.5, 1.5))
    st = FisherStatistics(net, width=600, samples=100, outputs=2)
    assert st.max_eigenvalue == pytest.approx(601.8, abs=0.05)
    assert st.mean == pytest.approx(8.411e-3, rel=1e-4)
    assert st.dimension == 300 * 601 + 900 * 301 + 2 * 901


def test_every_parameter_is_counted():
    """P ~ α M² leaves out the last layer and the biases, a per cent or two at this width."""
    st = FisherStatistics(gaussian(4, "tanh", 3, 0.64), width=100, samples=50, outputs=10)
    assert st.dimension == 3 * 100 * 101 + 10 * 101
    assert st.dimension / (st.pair.alpha * 100**2) > 1.04


def test_markov_bound():
    st = FisherStatistics(gaussian(4, "relu", 2, 0.1), width=600, samples=50, outputs=2)
    assert st.count_above(10) == 100
    assert st.count_above(100) == pytest.approx(51.6, rel=1e-12)
    assert st.count_above(500) == pytest.approx(51.6 / 5, rel=1e-12)


def test_only_infinite_width_brings_the_bulk_to_one_value():
    """With N fixed the bulk grows with the width; with N in proportion it does not."""
    net = gaussian(3, "relu", 2, 0.1)
    fixed = [FisherStatistics(net, m, 100, 1).bulk_eigenvalue for m in (500, 1000)]
    joint = [FisherStatistics(net, m, m, 1).bulk_eigenvalue for m in (500, 1000)]
    assert fixed[1] == pytest.approx(2 * fixed[0], rel=1e-12)
    assert joint[1] == pytest.approx(joint[0], rel=1e-12)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "top"),
    [("tanh", 3, 0.64, 512), ("tanh", 3, 0, 372), ("relu", 2, 0, 1054), ("linear", 1, 0, 921)],
)
def test_inputs_with_a_common_part_have_outliers(phi, weight, bias, top):
    net = gaussian(3, phi, weight, bias)
    assert FisherStatistics(net, **SIZE, input_correlation=0.3).max_eigenvalue == pytest.approx(
        top, abs=0.5
    )


def test_data_stand_for_their_correlation():
    data, size = np.eye(5) + 1.0, dict(width=5, samples=5, outputs=2)
    net = gaussian(3, "tanh", 3, 0)
    st = FisherStatistics(net, **size, input_correlation=data)
    assert st.input_correlation == pytest.approx(7 / 8, rel=1e-12)
    plain = FisherStatistics(net, **size, input_correlation=st.input_correlation)
    assert st == plain and st.second_moment == plain.second_moment


CENTRED = gaussian(3, "tanh", 3, 0)


def test_a_centred_network_gets_the_edge_of_its_bulk():
    """The formula of the outliers is wrong by a factor up to 3.6 there."""
    measured = {5: 1.17, 20: 1.27, 50: 1.46, 200: 2.00, 800: 3.58}
    for samples, ratio in measured.items():
        st = FisherStatistics(CENTRED, width=1000, samples=samples, outputs=1)
        naive = (st.diagonal + (samples - 1) * st.off_diagonal) / samples
        assert st.off_diagonal == 0.0 and not st.separated and st.multiplicity == 0
        assert st.max_eigenvalue / naive == pytest.approx(ratio, rel=0.06)
    assert FisherStatistics(CENTRED, **SIZE).max_eigenvalue == pytest.approx(35.2, rel=0.06)


def test_what_is_not_covered_is_refused():
    st = FisherStatistics(CENTRED.replace(weights="orthogonal"), **SIZE)
    assert math.isfinite(st.mean + st.second_moment + st.bulk_eigenvalue)
    for ask in (lambda: st.max_eigenvalue, st.max_learning_rate):
        with pytest.raises(ConvergenceError, match="too small for an outlier of samples=100"):
            ask()
    with pytest.raises(ConvergenceError, match="known only for Gaussian weights"):
        st.bulk()


def test_a_faint_correlation_leaves_the_edge():
    edges = [
        FisherStatistics(CENTRED, **SIZE, input_correlation=c).max_eigenvalue
        for c in (-1e-5, 0.0, 1e-5)
    ]
    assert edges == pytest.approx([edges[1]] * 3, rel=1e-4)


def test_one_sample_has_one_eigenvalue_an_output():
    st = FisherStatistics(CENTRED, width=100, samples=1, outputs=3)
    assert st.max_eigenvalue == st.diagonal and st.multiplicity == 3 and st.bulk_multiplicity == 0


def test_learning_rates():
    st = FisherStatistics(gaussian(3, "relu", 2, 0.1), **SIZE)
    steps = [st.max_learning_rate(momentum) for momentum in (0.0, 0.5, 0.9)]
    assert np.multiply(steps, st.max_eigenvalue) == pytest.approx([2.0, 3.0, 3.8], rel=1e-14)


# depth 4, M = 1000, N = 100, C = 2, tanh(3, .64)
@pytest.mark.parametrize(
    ("layer", "top", "second"),
    [(2, 43.3, 9.6e-3), (3, 126.0, 3.54e-2), (4, 253.7, 65.2)],
)
def test_layer_blocks(layer, top, second):
    st = LayerFisher(gaussian(4, "tanh", 3, 0.64), **SIZE, layer=layer)
    assert st.max_eigenvalue == pytest.approx(top, abs=0.06)
    assert st.second_moment == pytest.approx(second, rel=5e-3)


def test_the_first_block_has_no_outlier():
    """Its off-diagonal part is that of the inputs, a Marchenko-Pastur matrix."""
    st = LayerFisher(gaussian(4, "tanh", 3, 0.64), **SIZE, layer=1)
    pair = st.pair
    same, cross = pair.backward_moments[0], pair.backward_cross_moments[0]
    assert st.multiplicity == 0
    assert st.second_moment == pytest.approx(1.12e-2, rel=5e-3)
    assert st.max_eigenvalue == pytest.approx(
        10 * (same - cross + cross * (1 + math.sqrt(0.1)) ** 2), rel=1e-12
    )
    assert LayerFisher(st.net, **SIZE, layer=1, input_correlation=0.3).multiplicity == 2


def test_the_last_block_is_that_of_the_features():
    st = LayerFisher(gaussian(4, "tanh", 3, 0.64), **SIZE, layer=4)
    assert st.mean == pytest.approx(st.pair.second_moments[3], rel=1e-14)
    assert st.dimension == 2 * 1000


# mean, second moment, λ_max; depth 4, M = 1000, N = 100, C = 2
@pytest.mark.parametrize(
    ("phi", "weight", "bias", "values"),
    [("tanh", 3, 0.64, (9.62, 802.3, 274.7)), ("relu", 2, 0.1, (9.00, 860.7, 286.8))],
)
def test_tangent_kernel(phi, weight, bias, values):
    net = gaussian(4, phi, weight, bias, parametrization="ntk")
    st = NeuralTangentKernelStatistics(net, **SIZE)
    found = (st.mean, st.second_moment, st.max_eigenvalue)
    assert found == pytest.approx(values, rel=5e-4)
    wider = NeuralTangentKernelStatistics(net, width=5000, samples=100, outputs=2)
    assert wider.max_eigenvalue == pytest.approx(st.max_eigenvalue, rel=1e-14)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("bias", [0.0, 0.3])
def test_the_kernel_is_the_dual_times_the_samples(parametrization, bias):
    net = gaussian(3, "tanh", 2, bias, parametrization=parametrization)
    kernel, fisher = NeuralTangentKernelStatistics(net, **SIZE), FisherStatistics(net, **SIZE)
    assert kernel.trace == pytest.approx(100 * fisher.trace, rel=1e-13)
    assert kernel.bulk_eigenvalue == pytest.approx(100 * fisher.bulk_eigenvalue, rel=1e-13)
    assert kernel.max_eigenvalue == pytest.approx(100 * fisher.max_eigenvalue, rel=1e-12)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "values", "block"),
    [
        ("tanh", 3, 0.64, (5.501e-3, 2.34e-2, 6.82), 0.553),
        ("relu", 2, 0.1, (4.00e-3, 1.11e-2, 4.69), 0.454),
    ],
)
def test_feature_metric(phi, weight, bias, values, block):
    net = gaussian(4, phi, weight, bias)
    st = FeatureMetric(net, **SIZE)
    assert (st.mean, st.second_moment, st.max_eigenvalue) == pytest.approx(values, rel=5e-3)
    inputs = FeatureMetric(net, **SIZE, space="input")
    assert inputs.max_eigenvalue == pytest.approx(block, abs=6e-4)
    assert inputs.dimension == 1000 and st.dimension == 4000


def test_features_have_outliers_without_bias():
    st = FeatureMetric(CENTRED, **SIZE)
    assert FisherStatistics(CENTRED, **SIZE).kappa2 == 0.0
    assert st.separated and st.max_eigenvalue > 10 * st.bulk_eigenvalue


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(samples=0), "samples must be an integer >= 1, got 0"),
        (dict(outputs=0), "outputs must be an integer >= 1, got 0"),
        (dict(width=0.5), "width must be an integer >= 1, got 0.5"),
        (dict(input_correlation=2), r"input_correlation must be within \[-1, 1\], got 2"),
        (dict(input_correlation=-0.5), "at least -1/\\(samples - 1\\) = -0.010101"),
        (dict(input_correlation=[[0.0], [1.0]]), "no zero row"),
        (dict(input_correlation=[["a", "b"], ["c", "d"]]), "data must be a matrix of numbers"),
        (dict(input_correlation=[[1.0, 2.0], [3.0]]), "data must be a matrix of numbers"),
        (dict(input_correlation=[[1j, 2.0], [3.0, 1.0]]), "data must be a matrix of numbers"),
        (
            dict(input_correlation=np.eye(7)),
            r"\(samples, M_0\) = \(100, 1000\), got shape \(7, 7\)",
        ),
        (dict(input_correlation="0.1"), "must be a finite real number, got '0.1'"),
        (dict(net="relu"), "net must be a Network, got 'relu'"),
        (
            dict(net=Network(2, "relu", width_ratios=(1, 1, 1))),
            "must have the 2 entries M_0..M_\\(L-1\\) for statistics",
        ),
        (dict(net=Network(2, "relu", width_ratios=(1, 1e-4))), "at least one unit, got width=1000"),
    ],
)
def test_bad_input_gets_one_sentence(change, message):
    good = dict(net=gaussian(3, "relu", 2, 0.1), **SIZE)
    with pytest.raises(SpecError, match=message) as caught:
        FisherStatistics(**(good | change))
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("ask", "message"),
    [
        (lambda st: st.max_learning_rate(1.0), r"momentum must be within \[0, 1\), got 1.0"),
        (lambda st: st.count_above(0), "threshold must be > 0, got 0"),
        (lambda st: LayerFisher(st.net, **SIZE, layer=4), "layer must be within 1..depth=3, got 4"),
        (lambda st: LayerFisher(st.net, **SIZE, layer=0), "layer must be an integer >= 1, got 0"),
        (lambda st: FeatureMetric(st.net, **SIZE, space="output"), "space must be 'features' or"),
        (
            lambda st: FisherStatistics(st.net.replace(final_activation="tanh"), **SIZE).mean,
            "final_activation must be None",
        ),
    ],
)
def test_bad_questions_get_one_sentence(ask, message):
    with pytest.raises(SpecError, match=message):
        ask(FisherStatistics(gaussian(3, "relu", 2, 0.1), **SIZE))


@pytest.mark.parametrize("phi", ["tanh", "linear"])
def test_outliers_stand_out_where_they_are_said_to(phi):
    """Both sides of the threshold c N > √(N/M) of a spiked covariance, c = 0.0035 here."""
    net = Network(3, phi, weights="gaussian", weight_std=math.sqrt(3))
    faint, close, clear = (
        FisherStatistics(net, 400, 200, 1, input_correlation=c) for c in (0.001, 0.01, 0.06)
    )
    edge = FisherStatistics(net, 400, 200, 1).max_eigenvalue
    overlaps, tops = np.transpose(
        [
            [st.sample(6, seed=1).estimate(name)[0] for name in ("overlap", "max_eigenvalue")]
            for st in (faint, close, clear)
        ]
    )
    # the norm of the last weights scatters by √(2/M) = 0.07, less for a mean of 6
    assert not faint.separated and overlaps[0] < 0.2 and tops[0] == pytest.approx(edge, rel=0.08)
    assert clear.separated and overlaps[2] > 0.95
    assert tops[2] == pytest.approx(clear.max_eigenvalue, rel=0.15)
    # an outlier that is there already, but not where the formula has it
    place = (199 * close.off_diagonal + close.diagonal) / 200
    assert place < edge < tops[1] and overlaps[1] > 0.5
    assert close.separated and close.max_eigenvalue == pytest.approx(tops[1], rel=0.08)
    assert close.top_overlap == pytest.approx(overlaps[1], abs=0.12)
