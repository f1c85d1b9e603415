"""The law of the conditional Fisher information: theorems of the theory, by other methods."""

import math
from fractions import Fraction

import numpy as np
import pytest

import freefim as ff
from freefim.errors import SpecError

ROOT2 = 2**0.5


def recursion(net, order=4):
    """Moments of H by words in exact finite sums: tr of (s + W D H D Wᵀ)^k, independent of S, R.

    Only for the mean and variance, which need no freeness beyond second order.
    """
    params = net.order_parameters()
    mean, variance = params.second_moments[0], 0.0
    for layer in range(1, net.depth):
        gain = float(net.weight_stds[layer]) ** 2
        phi = net.activations[layer - 1]
        q = params.preactivation_variances[layer - 1]
        first, second = phi.slope_second_moment(q), phi.slope_fourth_moment(q)
        kappa = 1.0 if net.ensembles[layer] == "gaussian" else 0.0
        spread = second / first**2 - 1.0
        # relative variances of the factors: gate, law and Gaussian matrix add up freely
        variance = (gain * first) ** 2 * (variance + (spread + kappa) * mean**2)
        mean = params.second_moments[layer] + gain * first * mean
    return mean, variance


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("activation", ["hard_tanh", "relu", ff.ShiftedReLU(0.4), "abs"])
@pytest.mark.parametrize("depth", [2, 3, 7])
def test_mean_and_variance_obey_the_square_recursion(activation, weights, depth):
    net = ff.Network(depth, activation, weights=weights, weight_std=1.2, bias_std=0.3)
    law = ff.ConditionalFIM(net).law()
    mean, variance = recursion(net)
    assert law.mean() == pytest.approx(mean, rel=1e-13)
    assert law.variance() == pytest.approx(variance, rel=1e-11)


@pytest.mark.parametrize("depth", [2, 3, 5, 8, 20])
@pytest.mark.parametrize("weight_std", [0.8, 1.0, 1.3])
def test_maximum_obeys_the_layerwise_bound_and_attains_it_with_an_atom(depth, weight_std):
    net = ff.Network(depth, "hard_tanh", weight_std=weight_std)
    params = net.order_parameters()
    closed = [math.erfc(1 / math.sqrt(2 * q)) for q in params.preactivation_variances[:-1]]
    bound = params.second_moments[0]
    for q in params.second_moments[1:-1]:
        bound = q + weight_std**2 * bound
    top = 1 - sum(closed)
    law = ff.ConditionalFIM(net).law()
    assert law.support[1] <= bound * (1 + 1e-13)
    if top > 0:
        assert law.atoms[-1] == pytest.approx((bound, top), rel=1e-12)
    else:
        assert law.support[1] < bound
    # the bottom: the mass of closed gates of the last hidden layer, at its second moment
    if closed[-1] > 1e-14:
        assert law.atoms[0] == pytest.approx((params.second_moments[-2], closed[-1]), rel=1e-12)


def test_two_hidden_layers_are_solved_in_closed_form():
    net = ff.Network(3, "hard_tanh", weight_std=1.1, bias_std=0.2)
    params = net.order_parameters()
    a1, a2 = (math.erf(1 / math.sqrt(2 * q)) for q in params.preactivation_variances[:2])
    q0, q1, q2 = params.second_moments[:3]
    gain = 1.1**2
    root = 2 * math.sqrt(a1 * a2 * (1 - a1) * (1 - a2))
    centre = a1 + a2 - 2 * a1 * a2
    low, high = centre - root, centre + root

    def place(s):
        return q2 + gain * (q1 + gain * q0 * s)

    law = ff.ConditionalFIM(net).law()
    assert law.bands[0] == pytest.approx((place(low), place(high)), rel=1e-12)
    s = low + (high - low) * np.linspace(1e-3, 1 - 1e-3, 301)
    density = np.sqrt((high - s) * (s - low)) / (2 * np.pi * s * (1 - s)) / (gain**2 * q0)
    assert law.pdf(place(s)) == pytest.approx(density, rel=1e-12)
    middle = [(place(0), a2 - a1)] if a2 > a1 else []
    atoms = np.array([(q2, 1 - a2), *middle, (place(1), a1 + a2 - 1)])
    assert np.array(law.atoms) == pytest.approx(atoms, rel=1e-11)


@pytest.mark.parametrize(
    ("depth", "edge"), [(3, 7.0), (4, 13.543557704909633), (5, 22.248132389579446)]
)
def test_right_edges_of_orthogonal_relu_are_roots_of_the_discriminant(depth, edge):
    """The edge is where dz/dm = 0, by mpmath from z(m) alone."""
    import mpmath

    def z(m):
        # z(m) of μ_l: the product with ½δ₀+½δ₁ keeps m, the shift keeps g = (1+m)/z
        z, unit = 1 + 1 / m, m
        for _ in range(depth - 1):
            half = mpmath.mpf(1) / 2
            z = 2 * z * (half + unit) / (1 + unit) + 1
            unit = z * (1 + unit) / (z - 1) - 1
        return z

    if depth > 3:
        m = mpmath.findroot(lambda m: mpmath.diff(z, m), (0.05, 0.5), solver="anderson")
        assert z(m) == pytest.approx(edge, rel=1e-12)
    law = ff.ConditionalFIM(ff.Network(depth, "relu", weight_std=ROOT2)).law()
    assert law.support[1] == pytest.approx(edge, rel=1e-12)


def test_published_moments_of_the_reference_networks():
    """Word counts in rationals: 3 14 78 466 and 3 19 177 1949 (orthogonal, Gaussian ReLU)."""
    for weights, want in (("orthogonal", (3, 14, 78, 466)), ("gaussian", (3, 19, 177, 1949))):
        law = ff.ConditionalFIM(ff.Network(3, "relu", weights=weights, weight_std=ROOT2)).law()
        assert [law.moment(k) for k in range(1, 5)] == pytest.approx(want, rel=1e-13)
        assert [law.expect(lambda x, k=k: x**k) for k in range(1, 5)] == pytest.approx(
            want, rel=1e-12
        )


def test_moments_of_a_rational_network_are_rationals():
    net = ff.Network(3, "relu", weights="gaussian", weight_std=2)
    law = ff.ConditionalFIM(net).law()
    assert isinstance(law.moment(3), Fraction)
    assert float(law.moment(3)) == pytest.approx(law.expect(lambda x: x**3), rel=1e-12)


def test_depth_one_is_a_point_mass_and_depth_two_orthogonal_the_gate():
    assert ff.ConditionalFIM(ff.Network(1, (), input_second_moment=0.7)).law().atoms == (
        (0.7, 1.0),
    )
    law = ff.ConditionalFIM(ff.Network(2, "hard_tanh")).law()
    assert not law.bands and len(law.atoms) == 2


@pytest.mark.parametrize(
    ("net", "width", "arguments"),
    [
        (ff.Network(4, "relu", weight_std=ROOT2), 60, {}),
        (ff.Network(3, "hard_tanh", weights="gaussian"), 50, {"momentum": 0.5}),
        (ff.Network(4, "relu", weight_std=1.3, parametrization="ntk"), 40, {}),
        (ff.Network(3, "relu", width_ratios=(1, 1, 2, 0.5)), 60, {"loss": "mean"}),
    ],
)
def test_learning_rate_is_the_stability_threshold_of_the_quadratic(net, width, arguments):
    """2(1+μ)/λ_max(J Jᵀ), λ_max from the law; converters M and M_L spelt out independently."""
    fim = ff.ConditionalFIM(net)
    top = fim.law().support[1] * (width if net.parametrization == "standard" else 1)
    if arguments.get("loss") == "mean":
        top /= net.widths(width)[-1]
    want = 2 * (1 + arguments.get("momentum", 0)) / top
    assert fim.max_learning_rate(width=width, **arguments) == pytest.approx(want, rel=1e-12)


def test_learning_rate_of_few_outputs_uses_the_mean():
    fim = ff.ConditionalFIM(ff.Network(4, "relu", weight_std=ROOT2, width_ratios=(1, 1, 1, 1, 3)))
    square = ff.ConditionalFIM(ff.Network(4, "relu", weight_std=ROOT2)).law()
    rate = fim.max_learning_rate(width=100, outputs=10)
    assert rate == pytest.approx(2 / (100 * float(square.mean())), rel=1e-12)
    assert fim.max_learning_rate(width=100, outputs=10, loss="mean") == pytest.approx(10 * rate)


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda fim: fim.max_learning_rate(), "width must be given"),
        (lambda fim: fim.max_learning_rate(width=0), "width must be"),
        (lambda fim: fim.max_learning_rate(width=10, loss="max"), "loss must be"),
        (lambda fim: fim.max_learning_rate(width=10, momentum=1.0), "momentum must be"),
        (lambda fim: fim.max_learning_rate(width=10, outputs=0), "outputs must be"),
        (lambda fim: fim.law(trivial_zeros=True), "width must be given"),
        (lambda fim: fim.law(given=ff.ConditionalFIM(ff.Network(2, "relu")).sample(8, 1)[0]),
         "given must be a replica of this network"),
        (lambda fim: fim.law(given=3), "given must be a replica"),
        (lambda fim: ff.ConditionalFIM("net"), "network must be"),
    ],
)  # fmt: skip
def test_bad_input_gets_one_sentence(call, words):
    with pytest.raises(SpecError, match=words):
        call(ff.ConditionalFIM(ff.Network(3, "relu")))


@pytest.mark.parametrize("activation", ["hard_tanh", "tanh"])
def test_learning_rate_of_few_outputs_is_stable_under_a_final_activation(activation):
    net = ff.Network(3, "hard_tanh", weight_std=1.3, final_activation=activation)
    width = 400
    few = net.replace(width_ratios=(1, 1, 1, 4 / width))
    rate = ff.ConditionalFIM(net).max_learning_rate(width=width, outputs=4)
    sample = ff.ConditionalFIM(few).sample(width, replicas=6)
    stability = rate * width * sample.eigenvalues.max(axis=1) / 2
    # four outputs see their own φ'(h)² <= 1; a 4 × 4 corner strays by 2 √(4/M) standard deviations
    # of the law, which are below its mean, and the order parameters by a few 1/√M
    assert np.all(stability <= 1 + 2 * (4 / width) ** 0.5 + 5 / width**0.5)
    assert stability.max() >= 0.5


def test_trivial_zeros_of_a_replica_are_counted_at_its_width():
    fim = ff.ConditionalFIM(ff.Network(3, "hard_tanh"))
    replica = fim.sample(10, 1)[0]
    assert fim.law(given=replica, trivial_zeros=True).atoms[0][1] == pytest.approx(1 - 1 / 30)
    with pytest.raises(SpecError, match="width must be that of the replica"):
        fim.law(given=replica, trivial_zeros=True, width=50)


def test_trivial_zeros_count_the_parameters():
    net = ff.Network(3, "hard_tanh", bias_std=0.1, width_ratios=(2, 1, 1, 1))
    fim = ff.ConditionalFIM(net)
    parameters = 10 * 20 + 10 * 10 * 2 + 30
    law = fim.law(trivial_zeros=True, width=10)
    assert law.atoms[0] == pytest.approx((0.0, 1 - 10 / parameters))
    assert law.mean() == pytest.approx(fim.law().mean() * 10 / parameters)


@pytest.mark.parametrize(
    "net",
    [
        ff.Network(4, "hard_tanh", bias_std=0.3, parametrization="ntk"),
        ff.Network(4, "relu", weights="gaussian", width_ratios=(0.5, 1, 1.5, 0.75, 1)),
        ff.Network(5, "hard_tanh", weights=("gaussian", "orthogonal", "gaussian", "orthogonal",
                                            "orthogonal"), width_ratios=(1, 1.5, 1, 2, 1, 0.5)),
        ff.Network(3, "relu", weight_std=ROOT2, final_activation="hard_tanh"),
        ff.Network(3, "hard_tanh", width_ratios=(1, 1 / 3, 0.7, 1.3)),
    ],
)  # fmt: skip
def test_conditional_law_is_the_law_of_the_sampled_network(net):
    """Kolmogorov–Smirnov distance of order 1/M: 4/M allows for the rigid fluctuations."""
    fim = ff.ConditionalFIM(net)
    sample = fim.sample(240, replicas=2, seed=5)
    for replica in sample:
        law = fim.law(given=replica)
        assert law.distance(replica.eigenvalues, "ks") <= 4 / replica.eigenvalues.size
        assert law.mean() == pytest.approx(replica.eigenvalues.mean(), rel=0.03)


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_a_sign_network_learns_in_its_last_layer_only(weights):
    """φ' = 0: no layer below the last one has a gradient, the dual is q̂_{L-1} times 1."""
    sign = ff.CustomActivation(np.sign, lambda h: 0 * h, kinks=(0,))
    law = ff.ConditionalFIM(ff.Network(4, sign, weights=weights, weight_std=1.7)).law()
    assert law.atoms == ((pytest.approx(1.0, rel=1e-15), 1.0),)
    assert law.bands == ()
    assert [law.moment(k) for k in (1, 2, 3)] == pytest.approx([1.0] * 3, rel=1e-14)
