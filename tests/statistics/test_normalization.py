"""Normalised networks: theory against exact duals, reference values, traps and refusals."""

import math

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.network import Network
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.hidden_normalization import HiddenBatchNorm, HiddenLayerNorm
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm


def gaussian(phi, weight, bias, depth=3, **fields):
    """A network with the given variances σ_w², σ_b²."""
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


RELU, TANH = gaussian("relu", 2, 0.1), gaussian("tanh", 3, 0.64)
ODD = gaussian("tanh", 3, 0)


def gram(st):
    """The CN×CN Gram matrix of the master formula over N, outputs first."""
    plain = FisherStatistics(st.net, st.width, st.samples, st.outputs, st.input_correlation)
    n, d, o = st.samples, plain.diagonal, plain.off_diagonal
    return np.kron(np.eye(st.outputs), o + (d - o) * np.eye(n)) / n


def assert_spectrum(st, values):
    assert st.trace == pytest.approx(values.sum(), rel=1e-12)
    assert st.mean * st.dimension == pytest.approx(values.sum(), rel=1e-12)
    assert st.second_moment * st.dimension == pytest.approx(np.square(values).sum(), rel=1e-12)
    low, high = st.max_eigenvalue_bounds
    assert low <= values.max() * (1 + 1e-12)
    assert values.max() <= high * (1 + 1e-12)


@pytest.mark.parametrize("network", [RELU, TANH], ids=["relu", "tanh"])
@pytest.mark.parametrize("kind", ["mean-subtraction", "batch-norm"])
def test_normalised_outputs_are_projections_of_the_gram_matrix(network, kind):
    """P_k (G_kk/N) P_k / σ_k² with real outputs, every eigenvalue."""
    n, deviations = 9, (0.7, 1.3) if kind == "batch-norm" else ()
    st = OutputBatchNorm(network, 200, n, 2, kind=kind, deviations=deviations)
    u = np.random.default_rng(0).standard_normal((2, n))
    head = np.zeros((2 * n, 2 * n))
    for k in range(2):
        centred = u[k] - u[k].mean()
        block = np.eye(n) - 1 / n
        if kind == "batch-norm":
            block = block - np.outer(centred, centred) / np.square(centred).sum()
            block = block / deviations[k]
        head[k * n : (k + 1) * n, k * n : (k + 1) * n] = block
    values = np.linalg.eigvalsh(head @ gram(st) @ head)
    assert_spectrum(st, values)
    count = st.multiplicity
    assert count == n - (1 if kind == "mean-subtraction" else 2)
    want = np.sort(np.repeat(st.bulk_eigenvalues, count))
    np.testing.assert_allclose(values[-2 * count :], want, rtol=1e-11)
    np.testing.assert_allclose(values[: -2 * count], 0, atol=1e-12 * values.max())


# lower bounds of λ_max that were noted for these networks
BOUNDS = [(RELU, 1, 2.35), (RELU, 2, 4.69), (TANH, 1, 1.67), (TANH, 2, 3.35)]


@pytest.mark.parametrize(("network", "ratio", "bound"), BOUNDS)
def test_reference_values_of_the_lower_bound(network, ratio, bound):
    for samples in (100, 400):
        st = OutputBatchNorm(network, ratio * samples, samples, 2, kind="mean-subtraction")
        assert st.max_eigenvalue_bounds[0] == pytest.approx(bound, abs=0.006)
        assert st.ratio == ratio


def test_reference_values_of_the_upper_bound():
    for width, bound in ((100, 33), (800, 94)):
        st = OutputBatchNorm(RELU, width, width, 2, kind="mean-subtraction")
        assert st.max_eigenvalue_bounds[1] == pytest.approx(bound, abs=0.5)


@pytest.mark.parametrize(("network", "square"), [(RELU, 1.041), (TANH, 1.134)])
def test_deviations_are_those_of_the_order_parameters(network, square):
    st = OutputBatchNorm(network, 100, 50, 2)
    assert np.square(st.deviations) == pytest.approx(square, abs=5.1e-4)


def test_with_samples_fixed_the_normalised_spectrum_still_grows_with_the_width():
    fixed = [OutputBatchNorm(RELU, m, 50, 2).max_eigenvalue_bounds[0] for m in (500, 1000)]
    joint = [OutputBatchNorm(RELU, m, m, 2).max_eigenvalue_bounds[0] for m in (500, 1000)]
    assert fixed[1] == pytest.approx(2 * fixed[0], rel=1e-12)
    assert joint[1] == pytest.approx(joint[0], rel=3e-3)


def test_the_edge_lies_between_lower_bound_and_the_root_of_the_width():
    """For N ∝ M the edge is of order 1: the √M of the upper bound is far from it."""
    edges = [OutputBatchNorm(ODD, m, m, 1, kind="mean-subtraction") for m in (200, 3200)]
    assert edges[0].max_eigenvalue == pytest.approx(edges[1].max_eigenvalue, rel=1e-9)
    low, high = edges[1].max_eigenvalue_bounds
    assert low < edges[1].max_eigenvalue < 0.2 * high


@pytest.mark.parametrize("samples", [400, 800])
def test_the_exact_bulk_of_one_hidden_layer_is_that_of_the_model_matrix(samples):
    """ReLU is no odd function: mean subtraction makes a centred theory right for depth 2."""
    width, rng = 1600, np.random.default_rng(4)
    samples = 2 * samples
    st = OutputBatchNorm(gaussian("relu", 2, 0, 2), width, samples, 1, kind="mean-subtraction")
    x = rng.standard_normal((samples, width))
    w = rng.standard_normal((width, width)) * math.sqrt(2 / width)
    u = x @ w.T
    h, slope = np.maximum(u, 0), (u > 0) * rng.choice([-1.0, 1.0], width)
    # every unit has a weight of the size of its mean: no fluctuation of |W^L|
    slope = slope * math.sqrt(2 / width)
    dual = (x @ x.T) * (slope @ slope.T) + h @ h.T
    dual = dual - dual.mean(axis=0)
    dual = (dual.T - dual.mean(axis=1)) / samples
    values = np.linalg.eigvalsh(dual)
    square = float(np.square(values).sum()) / samples
    assert st.bulk().moment(2) == pytest.approx(square, rel=0.02)
    # the edge of a finite matrix fluctuates by M^(-2/3)
    assert st.max_eigenvalue == pytest.approx(values[-1], rel=0.03)


def test_an_odd_network_has_one_bulk_with_and_without_centring():
    plain = FisherStatistics(ODD, 300, 300, 1)
    centred = OutputBatchNorm(ODD, 300, 300, 1, kind="mean-subtraction")
    scaled = OutputBatchNorm(ODD, 300, 300, 2, deviations=(0.5, 2.0))
    assert centred.max_eigenvalue == plain.max_eigenvalue
    assert scaled.max_eigenvalue == pytest.approx(4 * plain.max_eigenvalue, rel=1e-13)


@pytest.mark.parametrize(
    "network",
    [RELU, gaussian("relu", 2, 0), gaussian("relu", 2, 0.1, 2),
     Network(2, "relu", weights="orthogonal")],
    ids=["bias", "deep", "shallow with bias", "orthogonal"],
)  # fmt: skip
def test_where_the_edge_is_open_it_is_refused_with_its_bounds(network):
    st = OutputBatchNorm(network, 100, 100, 2)
    for ask in (st.bulk, lambda: st.max_eigenvalue):
        with pytest.raises(ConvergenceError, match=r"eigenvalue is bounded by .* and "):
            ask()


def test_two_samples_normalise_to_signs():
    st = OutputBatchNorm(ODD, 100, 2, 3)
    assert st.trace == st.max_eigenvalue == 0.0
    assert st.max_learning_rate_bounds() == (math.inf, math.inf)


def test_learning_rates_gain_by_normalisation_of_the_outputs():
    """λ_max 73.9 → 8.26 was measured for tanh, 243.4 → 11.8 for ReLU."""
    for network, gain in ((TANH, 73.9 / 8.26), (RELU, 243.4 / 11.8)):
        st = OutputBatchNorm(network, 300, 150, 1, kind="mean-subtraction")
        low, high = st.learning_rate_gain_bounds
        assert 1.0 < low < gain < high
        slow, fast = st.max_learning_rate_bounds(momentum=0.5)
        assert slow == pytest.approx(3.0 / st.max_eigenvalue_bounds[1], rel=1e-14)
        assert fast == pytest.approx(3.0 / st.max_eigenvalue_bounds[0], rel=1e-14)


@pytest.mark.parametrize("kind", ["mean-subtraction", "batch-norm"])
def test_sampled_batch_norm_has_the_predicted_moments(kind):
    """N fixed: fluctuations of the kernel do not count."""
    drawn = OutputBatchNorm(TANH, 600, 12, 3, kind=kind).sample(replicas=12)
    ratios = []
    for replica in drawn:
        deviations = ()
        if kind == "batch-norm":
            deviations = tuple(replica.measured.logits.std(axis=0))
        st = OutputBatchNorm(TANH, 600, 12, 3, kind=kind, deviations=deviations)
        ratios.append([replica.mean / st.mean, replica.second_moment / st.second_moment])
        assert np.count_nonzero(replica.eigenvalues > 1e-9) == 3 * st.multiplicity
    error = np.std(ratios, axis=0, ddof=1) / math.sqrt(12)
    np.testing.assert_array_less(np.abs(np.mean(ratios, axis=0) - 1), 3 * error + 0.03)


# -- layer normalisation of the outputs -------------------------------------------------------


@pytest.mark.parametrize("outputs", [3, 6])
def test_layer_norm_is_the_head_of_every_sample_on_the_gram_matrix(outputs):
    """Eigenvalues of R G Rᵀ/N with R_n the derivative of (u - mean)/deviation, by hand."""
    n, u = 8, np.random.default_rng(1).standard_normal((8, outputs))
    st = OutputLayerNorm(TANH, 300, n, outputs, logits=u)
    head = np.zeros((outputs * n, outputs * n))
    for i in range(n):
        for k in range(outputs):
            # complex step: column k of the derivative at sample i
            v = u[i].astype(complex)
            v[k] += 1e-30j
            v = v - v.mean()
            v = v / np.sqrt((v * v).mean())
            head[i::n, k * n + i] = v.imag / 1e-30
    values = np.linalg.eigvalsh(head @ gram(st) @ head.T)
    assert_spectrum(st, values)
    outliers = values[::-1][: outputs - 1]
    np.testing.assert_allclose(st.outliers, outliers, rtol=1e-9)
    assert st.beta1 == pytest.approx((outputs - 2) * np.mean(1 / u.var(axis=1)), rel=1e-12)
    assert st.beta3 == pytest.approx((outputs - 2) * np.mean(1 / u.var(axis=1) ** 2), rel=1e-12)


def test_layer_norm_over_two_outputs_tells_nothing():
    st = OutputLayerNorm(RELU, 100, 10, 2, seed=3)
    assert st.trace == st.mean == st.second_moment == st.max_eigenvalue == 0.0
    assert st.max_eigenvalue_bounds == (0.0, 0.0)
    assert st.learning_rate_gain == math.inf


def test_layer_norm_of_few_outputs_can_be_sharper_than_none():
    """E 1/σ² diverges for three outputs; for twenty it is (C - 1)/(C - 3) of that of many."""
    three = [
        OutputLayerNorm(TANH, 1000, 100, 3, seed=seed).learning_rate_gain for seed in range(30)
    ]
    assert min(three) < 0.5
    assert max(three) / min(three) > 4
    twenty = OutputLayerNorm(TANH, 1000, 100, 20)
    variance = TANH.order_parameters().preactivation_variances[-1]
    assert twenty.learning_rate_gain == pytest.approx(variance * 17 / 19, rel=0.4)


def test_sampled_layer_norm_has_the_predicted_outliers():
    drawn = OutputLayerNorm(RELU, 500, 60, 6).sample(replicas=12)
    ratios = []
    for replica in drawn:
        st = OutputLayerNorm(RELU, 500, 60, 6, logits=replica.measured.logits)
        ratios.append(replica.eigenvalues[-1:-5:-1] / st.outliers[:4])
    mean = np.mean(ratios, axis=0)
    error = np.std(ratios, axis=0, ddof=1) / math.sqrt(12)
    np.testing.assert_array_less(np.abs(mean - 1), 3 * error + 0.04)


# -- normalisation of the hidden layers -------------------------------------------------------


@pytest.mark.parametrize("kind", ["batch-norm", "mean-subtraction"])
@pytest.mark.parametrize(("phi", "shift"), [("relu", 0.0), ("relu", 0.5), ("tanh", 0.5)])
def test_hidden_batch_norm_leaves_the_outlier_of_the_last_layer(kind, phi, shift):
    """Features of the last layer by exact forward passes, and λ_max above its block."""
    st = HiddenBatchNorm(gaussian(phi, 2, 0.3), 400, 20, 2, kind=kind, shift=shift)
    drawn = st.sample(replicas=16)
    for name, own in (("second_moments", st.second_moments), ("cross_moments", st.cross_moments)):
        mean, error = drawn.estimate(name)
        assert mean[1:] == pytest.approx(own, abs=(3 * error + 2e-3).max())
    # the other layers add at most the largest eigenvalue of their bulk, of the order of M/N
    tops, bulk = drawn.estimate("top_eigenvalues")[0], drawn.estimate("next_eigenvalue")[0]
    assert st.max_eigenvalue_bound < tops.min() < tops.max() < st.max_eigenvalue_bound + bulk
    assert st.multiplicity == 2


def test_the_outlier_under_hidden_batch_norm_grows_with_the_width():
    tops = [
        HiddenBatchNorm(gaussian("relu", 2, 0), m, 40, 1).sample(8).estimate("max_eigenvalue")[0]
        for m in (150, 600)
    ]
    assert tops[1] == pytest.approx(4 * tops[0], rel=0.1)


def test_hidden_batch_norm_of_an_odd_activation_has_no_outlier():
    st = HiddenBatchNorm(ODD, 400, 40, 1)
    assert not st.separated
    replica = st.sample(replicas=1)[0]
    assert replica.eigenvalues[-2] > 0.9 * replica.eigenvalues[-1]
    bounds = [HiddenBatchNorm(ODD, m, 40, 1).max_eigenvalue_bound / m for m in (400, 800)]
    assert bounds[0] == bounds[1] < 1e-3


def test_hidden_batch_norm_bounds_the_learning_rate():
    st = HiddenBatchNorm(RELU, 300, 40, 1, shift=0.5)
    assert st.max_learning_rate_bound(0.9) == pytest.approx(
        3.8 / st.max_eigenvalue_bound, rel=1e-14
    )
    assert st.learning_rate_gain_bound == pytest.approx(
        FisherStatistics(RELU, 300, 40, 1).max_eigenvalue / st.max_eigenvalue_bound, rel=1e-12
    )


def test_hidden_layer_norm_does_not_see_the_scale_of_its_weights():
    """Without bias σ_w of a hidden layer cancels forward; backward 1/σ_w² is left of its block."""
    sizes = (400, 30, 2)
    first = HiddenLayerNorm(gaussian("relu", 2, 0), *sizes)
    other = HiddenLayerNorm(gaussian("relu", 2, 0).replace(weight_std=[3.0, 0.2, 2**0.5]), *sizes)
    assert other.pair.second_moments == pytest.approx(first.pair.second_moments, rel=1e-13)
    assert other.pair.cross_moments == pytest.approx(first.pair.cross_moments, rel=1e-12)
    assert other.diagonal != pytest.approx(first.diagonal, rel=0.1)
    kernels = [
        HiddenLayerNorm(st.net.replace(parametrization="ntk"), *sizes).max_eigenvalue
        for st in (first, other)
    ]
    assert kernels[0] == pytest.approx(kernels[1], rel=1e-12)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize(("phi", "weight", "bias"), [("relu", 2, 0), ("tanh", 3, 0.64)])
def test_sampled_hidden_layer_norm_has_the_predicted_spectrum(parametrization, phi, weight, bias):
    network = gaussian(phi, weight, bias, parametrization=parametrization)
    st = HiddenLayerNorm(network, 400, 40, 2)
    drawn = st.sample(replicas=12)
    assert np.array_equal(drawn.eigenvalues[:2], st.sample(replicas=2).eigenvalues)
    for name in ("mean", "second_moment", "max_eigenvalue"):
        mean, error = drawn.estimate(name)
        assert mean == pytest.approx(getattr(st, name), abs=3 * error + 0.03 * mean), name


def test_hidden_layer_norm_reference_values():
    st = HiddenLayerNorm(gaussian("relu", 2, 0), 800, 50, 2)
    assert st.max_eigenvalue == pytest.approx(292.8, abs=0.05)
    odd = HiddenLayerNorm(ODD, 800, 50, 2)
    assert odd.bulk_eigenvalue + odd.off_diagonal == pytest.approx(22.5, abs=0.05)
    # the formula of outliers is low by half where there are none; measured 35.3
    assert odd.multiplicity == 0
    assert odd.max_eigenvalue == pytest.approx(35.3, rel=0.02)


SIZE = (10, 5, 2)
MEAN = dict(kind="mean-subtraction")
SPEC = [
    (OutputBatchNorm, (10, 1, 2), {}, "samples must be >= 2 for batch-norm, got 1"),
    (OutputBatchNorm, (10, 5, 2, 1.0), {}, "all samples alike"),
    (OutputBatchNorm, SIZE, dict(kind="layer"), "kind must be .* got 'layer'"),
    (OutputBatchNorm, SIZE, dict(deviations=(1.0,)), "one number for each of outputs=2"),
    (OutputBatchNorm, SIZE, dict(deviations=(1.0, 0.0)), r"deviations\[1\] must be > 0"),
    (OutputBatchNorm, SIZE, MEAN | dict(deviations=(1, 2)), "left out for mean subtraction"),
    (OutputBatchNorm, (10, 0, 2), {}, "samples must be an integer >= 1, got 0"),
    (OutputBatchNorm, (10, 5, 0), {}, "outputs must be an integer >= 1, got 0"),
    (OutputLayerNorm, (10, 5, 1), {}, "outputs must be >= 2 for layer normalisation, got 1"),
    (OutputLayerNorm, (10, 2, 2), dict(logits=[[1, 1], [0, 1]]), "equal ones in row 0"),
    (OutputLayerNorm, (10, 2, 2), dict(logits=[[1, 0]]), r"= \(2, 2\), got shape \(1, 2\)"),
    (OutputLayerNorm, SIZE, dict(seed=-1), "seed must be an integer >= 0, got -1"),
    (HiddenBatchNorm, (10, 1, 2), {}, "samples must be >= 2 .* got 1"),
    (HiddenBatchNorm, (10, 5, 2, 1.0), {}, "all samples alike"),
    (HiddenLayerNorm, (0, 5, 2), {}, "width must be an integer >= 1, got 0"),
]


@pytest.mark.parametrize(("kind", "size", "fields", "message"), SPEC, ids=lambda v: str(v)[:40])
def test_bad_input_gets_one_sentence(kind, size, fields, message):
    with pytest.raises(SpecError, match=message):
        kind(RELU, *size, **fields)


@pytest.mark.parametrize("kind", [HiddenBatchNorm, HiddenLayerNorm])
def test_hidden_normalisation_needs_hidden_layers_of_gaussian_weights(kind):
    with pytest.raises(SpecError, match="depth must be >= 2"):
        kind(gaussian("relu", 1, 0, 1), *SIZE)
    with pytest.raises(SpecError, match="weights must be 'gaussian'"):
        kind(Network(3, "relu"), *SIZE)


@pytest.mark.parametrize("bias", [0, 0.64])
def test_two_outputs_normalise_to_signs_whatever_the_bulk(bias):
    st = OutputLayerNorm(gaussian("tanh", 3, bias), 10, 5, 2)
    assert st.max_eigenvalue == 0.0 and st.max_eigenvalue_bounds == (0.0, 0.0)
    assert st.max_learning_rate() == st.learning_rate_gain == math.inf


def test_one_sample_has_the_top_of_its_block():
    u = np.array([1.0, 3.0, -2.0, 0.5])
    st = OutputLayerNorm(gaussian("tanh", 3, 0), 10, 1, 4, logits=[u])
    z = (u - u.mean()) / u.std()
    block = (np.eye(4) - np.full((4, 4), 0.25) - np.outer(z, z) / 4) / u.var()
    top = np.linalg.eigvalsh(block)[-1]
    assert st.max_eigenvalue == pytest.approx(st.regression.diagonal * top, rel=1e-12)


@pytest.mark.parametrize(("kind", "samples"), [("batch-norm", 2), ("mean-subtraction", 1)])
def test_nothing_is_left_of_what_the_samples_do_not_tell_apart(kind, samples):
    assert OutputBatchNorm(RELU, 100, samples, 2, kind=kind).max_eigenvalue == 0.0


@pytest.mark.parametrize("samples", [6, 10, 30])
def test_deviations_of_few_samples_raise_the_mean(samples):
    """Outputs that are independent Gaussians: E 1/σ² and E 1/σ⁴ of their sampled variance."""
    st = OutputBatchNorm(RELU, 1000, samples, 2)
    own = OutputBatchNorm(RELU, 1000, samples, 2, deviations=[1.0, 1.0])
    spread = st.pair.preactivation_variances[-1] - st.pair.preactivation_covariances[-1]
    z = np.random.default_rng(0).standard_normal((400_000, samples)) * math.sqrt(spread)
    inverse = 1 / z.var(axis=1)
    mean, error = inverse.mean(), inverse.std() / math.sqrt(len(z))
    assert abs(st.mean / own.mean - mean) < 4 * error
    if samples > 9:  # the variance of σ⁻⁴ is finite
        mean, error = np.square(inverse).mean(), np.square(inverse).std() / math.sqrt(len(z))
        assert abs(st.second_moment / own.second_moment - mean) < 4 * error


def test_deviations_without_a_mean_are_refused():
    three, five = (OutputBatchNorm(RELU, 1000, n, 5) for n in (3, 5))
    with pytest.raises(ConvergenceError, match=r"σ\^-2 over the deviations of samples=3"):
        _ = three.mean
    assert math.isfinite(five.mean)
    for ask in (lambda: five.second_moment, five.max_learning_rate_bounds):
        with pytest.raises(ConvergenceError, match=r"σ\^-4 over the deviations of samples=5"):
            ask()
    given = OutputBatchNorm(RELU, 1000, 3, 2, deviations=(0.5, 2.0))
    assert given.max_eigenvalue_bounds[0] > 0.0


@pytest.mark.parametrize("samples", [2, 3, 4, 7, 19])
@pytest.mark.parametrize(("phi", "rule"), [("relu", lambda h: np.maximum(h, 0)), ("tanh", np.tanh)])
def test_few_normalised_samples_lie_on_a_sphere(phi, rule, samples):
    st = HiddenBatchNorm(gaussian(phi, 2, 0), 500, samples, 1, shift=0.5)
    u = np.random.default_rng(1).standard_normal((400_000, samples))
    u = (u - u.mean(axis=1, keepdims=True)) / u.std(axis=1, keepdims=True)
    squares = np.square(rule(u + 0.5).mean(axis=1))
    error = squares.std() / math.sqrt(len(u))
    assert abs(st.max_eigenvalue_bound / 500 - squares.mean()) < 4 * error + 1e-5


def test_two_normalised_samples_are_signs():
    """No network is below the bound: (φ(1 + β) + φ(-1 + β))²/4."""
    st = HiddenBatchNorm(gaussian("relu", 2, 0), 500, 2, 1, shift=1.0)
    assert st.max_eigenvalue_bound == pytest.approx(500.0, rel=1e-12)
    assert min(r.max_eigenvalue for r in st.sample(6)) > 500.0


@pytest.mark.parametrize("shift", [-3.0, -8.0, -10.0, -50.0])
def test_features_that_are_shifted_away_leave_nothing(shift):
    st = HiddenBatchNorm(gaussian("relu", 2, 0), 1000, 100, 1, shift=shift)
    z = np.linspace(-shift, -shift + 12, 100_001)
    density = np.exp(-z * z / 2) / math.sqrt(2 * math.pi)
    square = np.trapezoid(np.square(z + shift) * density, z)
    assert 0.0 <= st.max_eigenvalue_bound <= 1000 * square * (1 + 1e-9)


def test_an_index_of_an_output_may_be_one_of_numpy():
    st = OutputBatchNorm(ODD, 300, 200, 2, deviations=(0.5, 2.0))
    assert st.bulk(np.int64(1)) == st.bulk(1)
