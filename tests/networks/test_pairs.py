"""Order parameters of pairs of inputs: closed forms, identities and reference values."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activations import ELU, HardTanh, LeakyReLU, ShiftedReLU
from freefim.networks.activations import Erf as ScaledErf
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of, pair_order_parameters, scan_pairs

ERF = ScaledErf(math.sqrt(0.5))
ANY = [
    "linear",
    "abs",
    "relu",
    LeakyReLU(0.2),
    ShiftedReLU(0.4),
    HardTanh(0.8),
    "tanh",
    "erf",
    "sine",
    "gelu",
    "silu",
    ELU(),
    "softplus",
]


def gaussian(depth, phi, weight, bias, **fields):
    """A network with the given variances σ_w², σ_b²."""
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "depth", "kappa1", "kappa2"),
    [
        ("tanh", 3, 0.64, 3, 0.9556, 0.1186),
        ("relu", 2, 0.1, 3, 1.5750, 0.4015),
        ("relu", 2, 0, 3, 1.5, 0.3429),
        ("linear", 1, 0.1, 3, 1.65, 0.15),
        (ERF, 3, 0.64, 3, 0.7420, 0.1126),
        ("tanh", 3, 0, 3, 1.0590, 0.0),
        ("tanh", 3, 0.64, 4, 0.8083, 0.1368),
    ],
)
def test_reference_values(phi, weight, bias, depth, kappa1, kappa2):
    pair = pair_order_parameters(gaussian(depth, phi, weight, bias))
    assert pair.kappa1 == pytest.approx(kappa1, abs=1e-4)
    assert pair.kappa2 == pytest.approx(kappa2, abs=1e-4)


DEPTHS = (2, 3, 4, 5, 8, 12)
TOTALS = {
    ("tanh", 3, 0.64): "1.423 .092 1.911 .237 2.425 .410 2.945 .594 4.497 1.145 6.517 1.855",
    ("tanh", 1, 0.1): ".859 .035 .783 .089 .734 .155 .702 .226 .652 .412 .632 .551",
    ("relu", 2, 0): "2 .318 3 .686 4 1.060 5 1.430 8 2.490 12 3.797",
    ("relu", 2, 0.1): "2.05 .36 3.15 .803 4.3 1.287 5.5 1.798 9.4 3.461 15.3 5.976",
    ("linear", 1, 0.1): "2.1 .1 3.3 .3 4.6 .6 6 1 10.8 2.8 18.6 6.6",
    ("relu", 1.5, 0.1): "1.55 .28 1.812 .486 1.897 .614 1.876 .687 1.574 .743 1.18 .731",
}


@pytest.mark.parametrize("key", TOTALS, ids=str)
def test_totals_over_depth(key):
    wanted = [float(word) for word in TOTALS[key].split()]
    pairs = [pair_order_parameters(gaussian(depth, *key)) for depth in DEPTHS]
    found = [value for pair in pairs for value in (pair.total, pair.cross_total)]
    assert found == pytest.approx(wanted, abs=6e-4)


def test_the_last_layer_is_not_in_alpha_and_the_first_width_is():
    net = gaussian(3, "relu", 2, 0.1, width_ratios=(1, 0.5, 1.5))
    pair = pair_order_parameters(net)
    assert pair.alpha == 1 * 0.5 + 0.5 * 1.5
    assert pair.kappa1 == pytest.approx(2.54, abs=5e-5)
    assert pair.kappa2 == pytest.approx(0.7848, abs=5e-5)


def test_backward_moments_are_sums_over_units():
    """A sum does not see the widths; a mean over M_l units would."""
    wide = gaussian(4, "tanh", 3, 0.64, width_ratios=(1, 3, 0.5, 2))
    square = pair_order_parameters(gaussian(4, "tanh", 3, 0.64))
    pair = pair_order_parameters(wide)
    assert pair.backward_moments == square.backward_moments
    assert pair.backward_cross_moments == square.backward_cross_moments
    assert pair.kappa1 != pytest.approx(square.kappa1, rel=0.1)


@given(
    depth=st.integers(2, 60),
    s=st.floats(0.2, 3.0),
    b=st.floats(0.0, 2.0),
    c=st.floats(-1.0, 1.0),
)
@settings(max_examples=25)
def test_linear_networks_in_closed_form(depth, s, b, c):
    pair = pair_order_parameters(gaussian(depth, "linear", s, b), c)
    s, b = math.sqrt(s) ** 2, math.sqrt(b) ** 2
    sums = [math.fsum(s**i for i in range(layer)) for layer in range(depth)]
    same = [s**layer + b * sums[layer] for layer in range(depth)]
    cross = [c * s**layer + b * sums[layer] for layer in range(depth)]
    scale = 1e-11 * max(same)
    assert pair.second_moments == pytest.approx(same, rel=1e-11)
    assert pair.cross_moments == pytest.approx(cross, rel=1e-11, abs=scale)
    backward = [s ** (depth - layer) for layer in range(1, depth + 1)]
    assert pair.backward_moments == pytest.approx(backward, rel=1e-11)
    assert pair.backward_cross_moments == pytest.approx(backward, rel=1e-11)


def test_critical_linear_networks():
    for depth in (2, 7):
        pair = pair_order_parameters(gaussian(depth, "linear", 1, 0.25))
        total = depth + 0.25 * depth * (depth - 1) / 2
        assert pair.kappa1 == pytest.approx(total / (depth - 1), rel=1e-13)
        assert pair.kappa2 == pytest.approx(0.25 * depth / 2, rel=1e-13)


def test_critical_relu_networks():
    pair = pair_order_parameters(gaussian(4, "relu", 2, 0))
    assert pair.cross_moments == pytest.approx([0, 1 / math.pi, 0.49373, 0.60483], abs=5e-6)
    assert pair.backward_cross_moments == pytest.approx([0.20035, 0.40069, 0.66437, 1], abs=5e-6)
    assert pair.backward_moments == pytest.approx([1] * 4, rel=1e-13)
    assert pair.kappa1 == pytest.approx(4 / 3, rel=1e-13)


def test_a_thousand_relu_layers_keep_twelve_digits():
    """The inputs draw together as 1/l²; against 40 digits."""
    depth = 1000
    pair = pair_order_parameters(gaussian(depth, "relu", 2, 0))
    weight = math.sqrt(2) ** 2
    with mp.workdps(40):
        w = mp.mpf(weight)
        same, cross, slopes, total, crosses = mp.mpf(1), mp.mpf(0), [], [mp.mpf(1)], [mp.mpf(0)]
        for _ in range(depth - 1):
            q, c = w * same, cross / same
            slopes.append(w * (mp.pi / 2 + mp.asin(c)) / (2 * mp.pi))
            cross = q / (2 * mp.pi) * (mp.sqrt(1 - c * c) + c * (mp.pi / 2 + mp.asin(c)))
            same = q / 2
            total.append(same)
            crosses.append(cross)
        back, kappa2 = mp.mpf(1), mp.mpf(0)
        for layer in range(depth - 1, -1, -1):
            kappa2 += back * crosses[layer]
            back *= slopes[layer - 1] if layer else 1
        kappa2 /= depth - 1
    assert pair.backward_cross_moments[0] == pytest.approx(float(back), rel=1e-12)
    assert pair.kappa2 == pytest.approx(float(kappa2), rel=1e-12)


@pytest.mark.parametrize("phi", ANY, ids=repr)
def test_an_input_is_correlated_with_itself(phi):
    pair = pair_order_parameters(gaussian(20, phi, 1.9, 0.3), 1.0)
    assert pair.cross_moments == pair.second_moments
    assert pair.backward_cross_moments == pair.backward_moments
    assert pair.preactivation_covariances == pair.preactivation_variances
    assert pair.kappa1 == pair.kappa2


@pytest.mark.parametrize("phi", ANY, ids=repr)
@given(weight=st.floats(0.3, 2.0), bias=st.floats(0.0, 1.0), c=st.floats(0.0, 0.99))
@settings(max_examples=6)
def test_kappa1_is_not_below_kappa2(phi, weight, bias, c):
    pair = pair_order_parameters(gaussian(5, phi, weight, bias), c)
    assert pair.kappa1 >= pair.kappa2 >= 0.0


@pytest.mark.parametrize("phi", ["tanh", "sine", ERF, HardTanh(0.5), "linear"], ids=repr)
def test_kappa2_of_a_centred_network_is_zero_exactly(phi):
    assert pair_order_parameters(gaussian(6, phi, 2.0, 0.0)).kappa2 == 0.0
    # trap: inputs with a common mean are not centred
    assert pair_order_parameters(gaussian(6, phi, 2.0, 0.0), 0.3).kappa2 > 0.0


@pytest.mark.parametrize("phi", ["relu", "erf", "tanh"])
def test_same_inputs_agree_with_the_order_parameters_of_one(phi):
    net = gaussian(7, phi, 1.5, 0.2, input_second_moment=1.7)
    pair, single = pair_order_parameters(net), net.order_parameters()
    assert pair.second_moments == pytest.approx(single.second_moments[:-1], rel=1e-14)
    assert pair.preactivation_variances == pytest.approx(single.preactivation_variances, rel=1e-14)
    ratios = np.divide(pair.backward_moments[:-1], pair.backward_moments[1:])
    assert ratios == pytest.approx(single.chi1, rel=1e-14)


def test_wide_orthogonal_layers_spread_the_signal():
    net = Network(3, "linear", weights="orthogonal", width_ratios=(1, 2, 4))
    pair = pair_order_parameters(net)
    assert pair.second_moments == (1.0, 0.5, 0.25)
    assert pair.backward_moments == (0.5, 1.0, 1.0)


def test_layers_may_differ():
    net = Network(3, ["tanh", "relu"], weight_std=[1.0, 2.0, 3.0], bias_std=[0.5, 0.0, 1.0])
    pair = pair_order_parameters(net)
    assert pair.preactivation_variances[0] == 1.25
    assert pair.preactivation_covariances[0] == 0.25
    assert pair.backward_moments[1] == pytest.approx(9 / 2, rel=1e-14)


@pytest.mark.parametrize("phi", ["relu", "hard_tanh", "silu"])
def test_a_scan_is_many_networks(phi):
    w, b = np.array([[0.8], [1.6]]), np.array([0.0, 0.3, 0.9])
    scan = scan_pairs(Network(4, phi), w, b, 0.2)
    for i, j in np.ndindex(2, 3):
        net = Network(4, phi, weight_std=w[i, 0], bias_std=b[j])
        pair = pair_order_parameters(net, 0.2)
        assert scan.kappa1[i, j] == pytest.approx(pair.kappa1, rel=1e-13)
        assert scan.kappa2[i, j] == pytest.approx(pair.kappa2, rel=1e-11)


def test_correlation_of_data_is_that_of_its_common_part():
    rng = np.random.default_rng(0)
    share = 0.3
    common = rng.standard_normal(20000)
    data = math.sqrt(share) * common + math.sqrt(1 - share) * rng.standard_normal((50, 20000))
    scaled = data * rng.uniform(0.1, 10.0, (50, 1))
    assert correlation_of(scaled) == pytest.approx(correlation_of(data), rel=1e-12)
    assert correlation_of(data) == pytest.approx(share, abs=5 * math.sqrt(2 / 20000))
    assert correlation_of(data - data.mean(axis=0)) == pytest.approx(-1 / 49, abs=1e-3)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: pair_order_parameters(Network(2, "relu"), 1.5), r"within \[-1, 1\], got 1.5"),
        (lambda: pair_order_parameters(Network(2, "relu"), "1"), "must be a finite real number"),
        (lambda: pair_order_parameters("relu"), "net must be a Network, got 'relu'"),
        (
            lambda: pair_order_parameters(Network(2, "relu", final_activation="tanh")),
            "final_activation must be None",
        ),
        (lambda: pair_order_parameters(Network(1, "relu")).kappa1, "depth must be >= 2"),
        (lambda: scan_pairs(Network(1, "relu"), 1.0), "depth must be >= 2"),
        (lambda: scan_pairs(Network(2, "relu"), [1.0, -1.0]), "weight_std must be > 0, got -1.0"),
        (lambda: scan_pairs(Network(2, "relu"), 1.0, -0.5), "bias_std must be >= 0, got -0.5"),
        (lambda: scan_pairs(Network(2, "relu"), math.nan), "weight_std must be finite"),
        (lambda: correlation_of([[1.0, 2.0]]), "at least two rows"),
        (lambda: correlation_of([[1.0, 2.0], [0.0, 0.0]]), "no zero row .* row 1"),
        (lambda: correlation_of([[1.0, math.nan], [0.0, 0.0]]), "with a NaN"),
        (lambda: correlation_of("data"), "data must be"),
    ],
)
def test_bad_input_gets_one_sentence(make, message):
    with pytest.raises(SpecError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize("weight", [10.0, 1e-3])
def test_a_network_that_explodes_or_dies_says_where(weight):
    with pytest.raises(ConvergenceError, match=r"of layer .* explodes or dies out"):
        pair_order_parameters(gaussian(1000, "relu", weight, 0.0))


def test_a_spectrum_refuses_an_open_last_width():
    from freefim.spectra.conditional_fim import ConditionalFIM

    net = Network(3, "relu", width_ratios=(1, 2, 1))
    assert net.hidden_ratios == (1, 2, 1)
    for make in (lambda: ConditionalFIM(net).law(), lambda: net.widths(10)):
        with pytest.raises(SpecError, match=r"must have the 4 entries M_0..M_L for a spectrum"):
            make()
    assert Network(3, "relu", width_ratios=(1, 2, 1, 5)).hidden_ratios == (1, 2, 1)


@pytest.mark.parametrize("phi", ["relu", "erf", "gelu", "elu", "tanh", "silu", "softplus", "sine"])
def test_no_weight_is_too_large_without_a_word(phi):
    """Squares that overflow are refused in words; below that the moments scale, or saturate."""
    with pytest.raises(ConvergenceError, match="preactivation variance of layer 1 is inf"):
        pair_order_parameters(Network(3, phi, weight_std=1e200))
    moments = [
        pair_order_parameters(Network(2, phi, weight_std=std), 0.3).cross_moments[1]
        for std in (1e30, 1e75)
    ]
    degree = 0 if phi in ("erf", "tanh", "sine") else 2
    assert moments[1] == pytest.approx(moments[0] * 10.0 ** (45 * degree), rel=1e-12)


def _lattice_mean(f, q):
    """E f(h) on a lattice far finer than any feature."""
    h = np.linspace(-12, 12, 48001) * math.sqrt(q)
    weights = np.exp(-0.5 * h * h / q)
    return float((f(h) * weights).sum() / weights.sum())


def test_gauss_hermite_nodes_would_miss_tanh_at_large_variances():
    q, nodes = 10.0, np.polynomial.hermite_e.hermegauss(101)
    pair = pair_order_parameters(gaussian(2, "tanh", q, 0), 0.0)
    exact = _lattice_mean(lambda h: (1 - np.tanh(h) ** 2) ** 2, q)
    wrong = float(nodes[1] @ (1 - np.tanh(math.sqrt(q) * nodes[0]) ** 2) ** 2) / nodes[1].sum()
    assert pair.backward_moments[0] == pytest.approx(q * exact, rel=1e-12)
    assert abs(wrong / exact - 1) > 1e-4


def test_a_deep_chaotic_network_has_no_limit_in_its_depth():
    """κ₁ grows as χ₁ > 1 to the depth: answers are those of a finite depth."""
    q = 1.0
    for _ in range(400):
        q = 4.0 * _lattice_mean(lambda h: np.tanh(h) ** 2, q)
    chi = 4.0 * _lattice_mean(lambda h: (1 - np.tanh(h) ** 2) ** 2, q)
    totals = [pair_order_parameters(gaussian(depth, "tanh", 4, 0)).total for depth in (60, 90)]
    assert chi > 1.2
    assert totals[1] / totals[0] == pytest.approx(chi**30, rel=1e-6)


@pytest.mark.parametrize("weight", [2.0, 2.5])
def test_relu_is_critical_at_two(weight):
    """Variances with bias grow linearly at σ_w² = 2, geometrically above."""
    pair = pair_order_parameters(gaussian(50, "relu", weight, 0.1))
    variances = [weight + 0.1]
    for _ in range(49):
        variances.append(0.5 * weight * variances[-1] + 0.1)
    assert pair.preactivation_variances == pytest.approx(variances, rel=1e-12)
    if weight == 2.0:
        steps = np.diff(pair.preactivation_variances)
        assert steps == pytest.approx(np.full(49, 0.1), rel=1e-11)
    else:
        ratios = np.divide(pair.preactivation_variances[1:], pair.preactivation_variances[:-1])
        assert ratios[-1] == pytest.approx(1.25, rel=1e-5)
