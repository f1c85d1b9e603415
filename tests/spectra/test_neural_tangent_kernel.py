"""The law of the neural tangent kernel against a nested recursion, ranks, and sampled networks."""

import statistics
import time

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.free.laws.given import Atomic, Empirical, PointMass, Uniform
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.nested.law import Level, NestedCovariances, nested_covariances
from freefim.free.nested.solve import equations
from freefim.networks.activations import Erf, HardTanh, ReLU, Tanh
from freefim.networks.network import Network
from freefim.spectra.linear_width import hidden_layer
from freefim.spectra.neural_tangent_kernel import NeuralTangentKernel
from freefim.validation import validate


def recursion(z, w, ratios, levels, inner):
    """t_l(z, w) of Fan and Wang, theorem 3.7: a damped fixed point inside every other."""
    top = len(z) - 2
    if top == 0:
        # (w_-1 + w_0 x)/(z_-1 + z_0 x) = w_0/z_0 + (w_-1 - w_0 z_-1/z_0)/(z_-1 + z_0 x)
        return w[1] / z[1] + (w[0] - w[1] * z[0] / z[1]) * -inner(-z[0] / z[1]) / z[1]
    ratio, (rest, gain) = ratios[top], levels[top - 1]
    below = [0.0] * (top + 1)
    below[0], below[-1] = rest, gain

    def lowered(s):
        changed = list(z[:-1])
        changed[0] += rest / s
        changed[-1] += gain / s
        return changed

    s = 1.0 / z[-1] + 1.0
    for _ in range(400):
        new = 1.0 / z[-1] + ratio * recursion(lowered(s), below, ratios, levels, inner)
        if abs(new - s) < 1e-13 * abs(s):
            break
        s = 0.4 * s + 0.6 * new
    left = [x - w[-1] / z[-1] * y for x, y in zip(w[:-1], z[:-1], strict=True)]
    return w[-1] / z[-1] + recursion(lowered(s), left, ratios, levels, inner)


def marchenko_pastur(ratio):
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2

    def cauchy(t):
        t = complex(t)
        return 2 / (t + ratio - 1 + np.sqrt(t - low) * np.sqrt(t - high))

    return cauchy


@pytest.mark.parametrize("z", [-0.5, 1 + 0.5j, 3 + 0.2j])
@pytest.mark.parametrize(
    ("activation", "depth", "ratios", "samples"),
    [
        ("relu", 2, None, 1.0),
        ("tanh", 3, (1.0, 0.8, 1.5, 1.0), 1.2),
        ("erf", 3, (0.5, 1.0, 0.75, 1.0), 0.6),
    ],
)
def test_one_newton_system_is_the_nested_recursion(activation, depth, ratios, samples, z):
    net = Network(depth, activation, weights="gaussian", width_ratios=ratios, parametrization="ntk")
    spectrum = NeuralTangentKernel(net, samples)
    layers = list(spectrum._hidden())
    # forward: K_l over c_l + b_l K_{l-1}; backward: q_l and the diagonal that is left
    slopes = [layer.slope**2 for layer in layers]
    steep = [layer.slope_second_moment for layer in layers]
    q = [float(np.prod(slopes[l:])) for l in range(depth)]
    r = [float(np.prod(steep[l:])) for l in range(depth)]
    moments = [1.0, *(layer.second_moment for layer in layers)]
    shift = sum((a - b) * m for a, b, m in zip(r, q, moments, strict=True))
    gammas = [samples / float(ratio) for ratio in net.hidden_ratios]
    levels = [(layer.rest, layer.gain) for layer in layers]
    first = [1.0] + [0.0] * depth
    found = recursion([shift - z, *q], first, gammas, levels, marchenko_pastur(gammas[0]))
    assert abs(spectrum.law().cauchy(z) + found) < 1e-10 * abs(found)


# Widths of the sheet's simulations: round numbers that its predictions of one layer single out
FIGURES = [
    ("ck", 600, (500, 800, 700), {"erf": (1.14537, 1.21906), "tanh": (1.12974, 1.19354)}),
    ("ntk", 1000, (900, 1400, 1200), {"erf": (0.7040, 0.4843), "relu": (0.4433, 0.2261)}),
]


@pytest.mark.parametrize(("kind", "n", "widths", "figures"), FIGURES)
def test_figures_of_fan_and_wang(kind, n, widths, figures):
    """Predictions at m(-1/2) for unit inputs: those of the limit, and of drawn inputs around it.

    The figures were computed for one draw of the inputs: they lie within three standard
    deviations of such draws, plus half a unit of their last digit.
    """
    phis = {"erf": Erf(2**-0.5), "tanh": Tanh(), "relu": ReLU()}
    rng = np.random.default_rng(0)
    inputs = []
    for _ in range(12):
        x = rng.standard_normal((widths[0], n))
        x /= np.linalg.norm(x, axis=0)
        inputs.append(Empirical(tuple(np.maximum(np.linalg.eigvalsh(x.T @ x), 0.0))))
    last_digit = 5e-6 if kind == "ck" else 5e-5
    for name, wanted in figures.items():
        layer = hidden_layer(phis[name], 1.0, 1.0)
        # the activation of unit second moment
        gain = layer.slope**2 / layer.second_moment
        steep = layer.slope_second_moment / layer.second_moment
        for depth, figure in enumerate(wanted, start=1):
            levels = tuple(Level(n / d, 1 - gain, gain) for d in widths[1 : depth + 1])
            if kind == "ck":
                weights, shift = (0,) * depth + (1,), 0.0
            else:
                weights = tuple(gain ** (depth - l) for l in range(depth + 1))
                shift = sum(steep ** (depth - l) - weights[l] for l in range(depth))
            values = [
                -equations(NestedCovariances(data, levels, weights, shift))
                .points(np.array([-0.5 + 1e-13j]))[0]
                .real
                for data in (MarchenkoPastur(n / widths[0]), *inputs)
            ]
            drawn = np.array(values[1:])
            spread = 3 * drawn.std(ddof=1) + last_digit
            assert abs(figure - drawn.mean()) <= spread
            # and the limit lies close by: at the same distance of order 1/n as the draws
            assert abs(figure - values[0]) <= 2 / n


def test_figures_of_adlam_and_pennington():
    # tr (γ + Θ)^-1/m for ReLU, n0, n1, m = 700, 900, 800, γ = 0.1: 1.4904; tr K_0 (…)^-1: 0.8503
    n0, n1, m, ridge = 700, 900, 800, 0.1
    layer = hidden_layer(ReLU(), 1.0, 1.0)
    eta, zeta, steep = layer.second_moment, layer.gain, layer.slope_second_moment
    # to first order in the variance of φ, as the paper scales: F = √(n1 η) X_1
    law = nested_covariances(
        MarchenkoPastur(m / n0),
        (Level(m / n1, 1 - zeta / eta, zeta / eta),),
        (zeta, eta),
        ridge + steep - zeta,
    )
    assert -law.cauchy(0.0).real == pytest.approx(1.4904, abs=2e-3)


def test_one_hidden_layer_is_the_kernel_of_adlam_and_pennington():
    net = Network(2, "relu", weights="gaussian", parametrization="ntk")
    layer = hidden_layer(ReLU(), 1.0, 1.0)
    law = NeuralTangentKernel(net, 1.0).law()
    expected = NestedCovariances(
        MarchenkoPastur(1),
        (Level(1, layer.rest, layer.gain),),
        (layer.slope**2, 1),
        layer.slope_second_moment - layer.slope**2,
    )
    assert law.support == pytest.approx(expected.support, rel=1e-13)


SUMS = [
    NestedCovariances(MarchenkoPastur(0.6), (Level(0.75, 0.3, 0.7),), (0.5, 1.0), 0.3),
    NestedCovariances(
        MarchenkoPastur(4), (Level(4, 0.3, 0.7), Level(3, 0.2, 0.5)), (0.5, 0.1, 9.0), 0.1
    ),
    NestedCovariances(MarchenkoPastur(2), (Level(2, 0, 1), Level(2, 0, 1)), (1, 1, 1)),
    NestedCovariances(Atomic((0.5, 4), (0.25, 0.75)), (Level(2, 0.1, 0.4),), (1.0, 0.2)),
    NestedCovariances(Uniform(0.5, 1.5), (Level(0.5, 0.3, 0.7),) * 3, (1, 1, 0.5, 2)),
    NestedCovariances(MarchenkoPastur(1), (Level(1, 0, 1),), (1, 1)),
]


@pytest.mark.parametrize("law", SUMS)
def test_mass_and_moments_balance(law):
    assert law.accuracy.mass_defect < 1e-10
    exact = [float(m) for m in law.moments(5)]
    found = [law.expect(lambda x, k=k: x**k) for k in range(1, 6)]
    assert found == pytest.approx(exact, rel=1e-10)


@pytest.mark.slow
def test_an_edge_just_above_the_shift_balances():
    # as many ranks as rows, nearly
    law = NestedCovariances(
        MarchenkoPastur(2), (Level(4, 0.3, 0.7), Level(3, 0.2, 0.5)), (0.5, 0.1, 9.0), 0.1
    )
    assert law.accuracy.mass_defect < 1e-10
    assert law.expect(lambda x: x**4) == pytest.approx(float(law.moment(4)), rel=1e-10)


@pytest.mark.parametrize("law", SUMS)
def test_atoms_bands_and_edges_are_those_of_large_matrices(law):
    n = 480
    rng = np.random.default_rng(5)
    if isinstance(law.population, MarchenkoPastur):
        x = rng.standard_normal((n, round(n / law.population.ratio)))
        kernels = [x @ x.T / x.shape[1]]
    else:
        u = (np.arange(n) + 0.5) / n
        kernels = [np.diag(law.population.icdf(u))]
    for level in law.levels:
        root = np.linalg.cholesky(
            level.rest * np.eye(n) + level.gain * kernels[-1] + 1e-13 * np.eye(n)
        )
        z = root @ rng.standard_normal((n, round(n / level.ratio)))
        kernels.append(z @ z.T / z.shape[1])
    total = law.shift * np.eye(n) + sum(w * k for w, k in zip(law.weights, kernels, strict=True))
    eigenvalues = np.linalg.eigvalsh(total)
    for location, mass in law.atoms:
        assert np.sum(np.abs(eigenvalues - location) < 1e-6) == round(mass * n)
    near = np.abs(eigenvalues[:, None] - [at for at, _ in law.atoms]).min(axis=1, initial=np.inf)
    free = eigenvalues[near > 1e-6]
    slack = 0.05 * (law.support[1] - law.support[0])
    assert all(any(a - slack <= x <= b + slack for a, b in law.bands) for x in free)
    assert law.distance(eigenvalues, "ks") < 12 / n


def test_no_gap_lies_inside_a_band():
    for law in SUMS:
        for left, right in law.bands:
            inner = np.linspace(left, right, 402)[1:-1]
            assert (law.pdf(inner) > 0).all()


@pytest.mark.parametrize(
    ("activation", "weight_std", "ratio"),
    [("tanh", 1.3, 0.5), ("erf", 1.1, 0.8), (HardTanh(cutoff=1e-3), 1, 0.5)],
)
def test_edges_off_the_shift_are_soft(activation, weight_std, ratio):
    net = Network(3, activation, weights="gaussian", weight_std=weight_std)
    law = NeuralTangentKernel(net, ratio).law()
    ((left, right),) = law.bands
    assert left > law.shift
    assert law.pdf([left, right]).tolist() == [0.0, 0.0]
    # beside the edge the density is that of the equations, and a root of the distance
    x = left + (right - left) * np.array([1e-8, 4e-8])
    density = -equations(law).line(x).cauchy.imag / np.pi
    assert law.pdf(x) == pytest.approx(density, rel=1e-5)
    assert density[1] / density[0] == pytest.approx(2.0, rel=1e-4)
    assert [law.expect(lambda x, k=k: x**k) for k in (1, 2, 3)] == pytest.approx(
        [float(m) for m in law.moments(3)], rel=1e-10
    )


@pytest.mark.slow
def test_many_samples_for_the_width():
    # three kernels of the rank n/100 each
    net = Network(3, "tanh", weights="gaussian", parametrization="ntk")
    law = NeuralTangentKernel(net, 100).law()
    assert law.atoms[0] == pytest.approx((law.shift, 0.97), rel=1e-14)
    assert law.band_masses == pytest.approx((0.02, 0.01), rel=1e-12)
    left, right = law.bands[0]
    x = np.array([left, right]) + (right - left) * np.array([1e-7, -1e-7])
    assert law.pdf(x) == pytest.approx(-equations(law).line(x).cauchy.imag / np.pi, rel=1e-3)
    found = [law.expect(lambda x, k=k: x**k) for k in range(1, 5)]
    assert found == pytest.approx([float(m) for m in law.moments(4)], rel=1e-12)


def test_the_edge_at_the_shift_stays_hard():
    # K_0^(1/2) (1 + W) K_0^(1/2), K_0 with an inverse root at 0
    law = NestedCovariances(MarchenkoPastur(1), (Level(1, 0, 1),), (1, 1))
    assert law.bands[0][0] == law.shift
    assert np.isinf(law.pdf(law.shift))


def test_taking_out_levels_changes_nothing():
    levels = (Level(0.5, 0.2, 0.6), Level(0.75, 0.1, 0.5))
    weights = (1.0, 2.0, 0.5)
    thin = Uniform(1 - 1e-7, 1 + 1e-7)
    full = NestedCovariances(thin, levels, weights, 0.3)
    short = nested_covariances(PointMass(1), levels, weights, 0.3)
    assert len(short.levels) == 1
    assert short.support == pytest.approx(full.support, rel=1e-6)


def test_parametrisations_differ_by_their_scales():
    ntk = Network(3, "tanh", weights="gaussian", weight_std=1.5, parametrization="ntk")
    standard = ntk.replace(parametrization="standard")
    one, other = (NeuralTangentKernel(net, 0.5).law() for net in (ntk, standard))
    assert one.support == pytest.approx([2.25 * x for x in other.support], rel=1e-12)


def test_even_activations_forget_what_lies_below():
    net = Network(3, "abs", weights="gaussian", parametrization="ntk")
    law = NeuralTangentKernel(net, 0.5).law()
    mean = float(law.mean())
    layers = list(NeuralTangentKernel(net, 0.5)._hidden())
    expected = 1.0 + layers[0].second_moment + layers[1].second_moment
    assert mean == pytest.approx(expected, rel=1e-12)
    assert law.support[1] - law.support[0] == pytest.approx(
        layers[1].second_moment * 4 * 0.5**0.5, rel=1e-9
    )


@pytest.mark.parametrize(
    ("network", "arguments", "words"),
    [
        (Network(2, "tanh"), (1,), "weights must be 'gaussian'"),
        (Network(2, "tanh", weights="gaussian", bias_std=1), (1,), "bias_std must be 0"),
        (Network(2, "tanh", weights="gaussian", final_activation="tanh"), (1,), "linear output"),
        (Network(2, "tanh", weights="gaussian"), (float("inf"),), "samples_ratio must be"),
    ],
)
def test_what_has_no_law_is_refused_in_one_sentence(network, arguments, words):
    with pytest.raises(SpecError, match=words) as caught:
        NeuralTangentKernel(network, *arguments)
    assert "\n" not in str(caught.value)


def test_the_witness_is_the_gram_matrix_of_all_gradients():
    from freefim.montecarlo.kernel_matrices import neural_tangent_kernel

    phi, widths, samples = Tanh(), (3, 4, 2), 5
    layers = [(phi, 1.1, 0.0), (phi, 0.9, 0.0)]
    draw = (samples, widths, layers, 1.3, [1.0, 4 / 3, 2 / 3], 1.0, None)
    kernel, _ = neural_tangent_kernel(*draw, np.random.default_rng(3))
    rng = np.random.default_rng(3)
    x = rng.standard_normal((3, samples))
    w1 = rng.standard_normal((4, 3)) * (1.1 / 3**0.5)
    w2 = rng.standard_normal((2, 4)) * (0.9 / 4**0.5)
    w3 = rng.standard_normal((1, 2)) * (1.3 / 2**0.5)
    sizes = [w.size for w in (w1, w2, w3)]

    def output(theta):
        a, b, c = np.split(theta, np.cumsum(sizes)[:-1])
        h = np.tanh(b.reshape(2, 4) @ np.tanh(a.reshape(4, 3) @ x))
        return (c.reshape(1, 2) @ h)[0]

    theta = np.concatenate([w.ravel() for w in (w1, w2, w3)])
    steps = 1e-20j * np.eye(theta.size)
    jacobian = np.array([output(theta + step).imag / 1e-20 for step in steps])
    # all layers as of width 3: scales M_l/3
    assert kernel == pytest.approx(jacobian.T @ jacobian / 3, rel=1e-12)


@pytest.mark.slow
def test_a_thousand_points_at_depth_three_in_a_tenth_of_a_second():
    net = Network(3, "tanh", weights="gaussian")
    law = NeuralTangentKernel(net, 0.5).law()
    x = law.grid(1000)
    times = []
    for _ in range(5):
        start = time.perf_counter()
        law.pdf(x)
        times.append(time.perf_counter() - start)
    assert statistics.median(times) < 0.1


CASES = [
    (Network(2, "relu", weights="gaussian", weight_std=2**0.5), 0.75),
    (Network(2, "tanh", weights="gaussian", width_ratios=(1, 1.5, 1), parametrization="ntk"), 0.5),
    (Network(3, "erf", weights="gaussian", weight_std=0.7), 0.5),
    (Network(2, "tanh", weights="gaussian", parametrization="ntk"), 1.5),
]


@pytest.mark.slow
@pytest.mark.parametrize(("network", "samples"), CASES)
def test_sampled_kernels_have_the_law(network, samples):
    report = NeuralTangentKernel(network, samples).validate(600, 4)
    assert report.passed, str(report)


@pytest.mark.slow
def test_a_wrong_conditional_law_fails_in_spite_of_the_decaying_term():
    network, samples = CASES[3]
    kernel = NeuralTangentKernel(network, samples)
    wrong = NeuralTangentKernel(network.replace(weight_std=1.15), samples)
    report = validate(
        wrong.law(), wrong.conditional_law, kernel.sample, 300, 4, 0, None, kernel.decay
    )
    assert not report.passed


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["weights", "layer"])
def test_a_wrong_law_fails(wrong):
    network, samples = CASES[0]
    kernel = NeuralTangentKernel(network, samples)
    right = kernel.law()
    if wrong == "weights":
        # mean slope too small by a tenth: what it loses becomes diagonal
        weights = (0.9 * right.weights[0], right.weights[1])
        shift = right.shift + 0.1 * right.weights[0]
        level = right.levels[0]
        wrong_law = NestedCovariances(
            right.population,
            (Level(level.ratio, level.rest + 0.1 * level.gain, 0.9 * level.gain),),
            weights,
            shift,
        )
    else:
        wrong_law = nested_covariances(
            right.population, (), right.weights[:1], right.shift + float(kernel._gram().mean())
        )
    report = validate(wrong_law, lambda _: wrong_law, kernel.sample, 600, 4, 0)
    assert not report.passed
