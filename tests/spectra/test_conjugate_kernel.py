"""The law of the conjugate kernel against a quartic, another engine, and sampled networks."""

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.free.laws.given import Atomic, PointMass, Uniform
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.nested.law import Level, NestedCovariances
from freefim.free.trees.algebra import affine, free_product
from freefim.networks.activations import Erf, Tanh
from freefim.networks.network import Network
from freefim.spectra.conjugate_kernel import ConjugateKernel
from freefim.spectra.linear_width import hidden_layer
from freefim.validation import validate

N0, N1, M = 600, 900, 750


def one_layer(activation):
    """Pennington and Worah's network of widths n0, n1 and m samples."""
    return Network(2, activation, weights="gaussian", width_ratios=(N0, N1, 1))


def memory(activation, z):
    """Transform of (1/m) Y Yᵀ, n1 × n1, from that of the kernel YᵀY/n1, m × m."""
    kernel = ConjugateKernel(one_layer(activation), M).law()
    scale = N1 / M
    return (M / N1) * kernel.cauchy(z / scale) / scale + (1 - M / N1) / z


@pytest.mark.parametrize("activation", ["linear", "tanh", "relu", "hard_tanh", Erf(2.0)])
def test_one_layer_obeys_the_quartic_of_pennington_and_worah(activation):
    net = one_layer(activation)
    layer = hidden_layer(net.activations[0], 1.0, 1.0)
    eta, zeta = layer.second_moment, layer.slope**2
    phi, psi = N0 / M, N0 / N1
    z = np.array([-0.3, -2.0, 1 + 0.5j, 0.2 + 0.05j, 4 + 1j])
    t = 1 / (z * psi)
    p = (memory(activation, z) - (1 - psi) / z) * z / psi
    p_phi, p_psi = 1 + (p - 1) * phi, 1 + (p - 1) * psi
    product = p_phi * p_psi * t
    right = 1 + (eta - zeta) * product + product * zeta / (1 - product * zeta)
    assert np.abs(p - right).max() < 1e-10


@pytest.mark.parametrize(
    ("activation", "real", "complex_"),
    [
        ("linear", -1.98725, None),
        (Erf(2**-0.5), -2.33349, 0.6413 - 0.6600j),
        ("tanh", -2.25099, None),
        ("relu", -2.20503, 0.6599 - 0.7031j),
    ],
)
def test_figures_of_the_quartic(activation, real, complex_):
    assert memory(activation, -0.3) == pytest.approx(real, abs=6e-6)
    if complex_ is not None:
        assert memory(activation, 1 + 0.5j) == pytest.approx(complex_, abs=8e-5)


@pytest.mark.parametrize(
    ("activation", "depth", "ratios", "samples"),
    [
        ("tanh", 3, (1.0, 0.8, 1.5, 1.0), 1.2),
        ("relu", 4, None, 0.5),
        ("linear", 3, (1.0, 2.0, 1.0, 1.0), 1.5),
    ],
)
def test_the_chain_of_products_is_the_nested_sum_of_one_term(activation, depth, ratios, samples):
    net = Network(depth, activation, weights="gaussian", weight_std=1.3, width_ratios=ratios)
    chain = ConjugateKernel(net, samples)
    law = chain.law()
    levels = tuple(
        Level(samples / float(ratio), layer.rest, layer.gain)
        for ratio, layer in zip(net.hidden_ratios[1:], chain._hidden(), strict=True)
    )
    population = MarchenkoPastur(samples / float(net.hidden_ratios[0]))
    nested = NestedCovariances(population, levels, (0,) * (depth - 1) + (1,))
    assert np.array(nested.atoms) == pytest.approx(np.array(law.atoms))
    assert nested.support == pytest.approx(law.support, rel=1e-11)
    assert nested.moments(6) == pytest.approx([float(m) for m in law.moments(6)], rel=1e-12)
    x = np.linspace(*law.bands[0], 52)[1:-1]
    assert np.abs(nested.pdf(x) - law.pdf(x)).max() < 1e-10 * law.pdf(x).max()


def test_given_orthogonal_inputs_forget_the_input_width():
    net = Network(2, "tanh", weights="gaussian", width_ratios=(3, 1, 1))
    layer = hidden_layer(Tanh(), 1.0, 1.0)
    law = ConjugateKernel(net, 0.5, PointMass(1)).law()
    expected = affine(MarchenkoPastur(0.5), layer.second_moment, 0)
    assert law.support == pytest.approx(expected.support, rel=1e-13)


def test_the_mean_of_the_data_is_the_second_moment_of_the_inputs():
    net = Network(3, "relu", weights="gaussian")
    data = Uniform(1, 3)
    assert ConjugateKernel(net, 0.5, data).law().mean() == pytest.approx(
        ConjugateKernel(net.replace(input_second_moment=2), 0.5).law().mean()
    )


@pytest.mark.parametrize(
    ("network", "arguments", "words"),
    [
        (Network(3, "tanh"), (1,), "weights must be 'gaussian'"),
        (Network(3, "tanh", weights="gaussian", bias_std=0.1), (1,), "bias_std must be 0"),
        (Network(1, "tanh", weights="gaussian"), (1,), "hidden layer"),
        (Network(3, "tanh", weights="gaussian"), (0,), "samples_ratio must be > 0"),
        (Network(3, "tanh", weights="gaussian"), (1, 2.0), "data must be a Law"),
        (Network(3, "tanh", weights="gaussian"), (2, Uniform(1, 2)), "the mass 0.5 at 0"),
        (Network(3, "tanh", weights="gaussian"), (1, Atomic((-1, 2), (0.5, 0.5))), "bounded"),
        ("net", (1,), "network must be a Network"),
    ],
)
def test_what_has_no_law_is_refused_in_one_sentence(network, arguments, words):
    with pytest.raises(SpecError, match=words) as caught:
        ConjugateKernel(network, *arguments)
    assert "\n" not in str(caught.value)


def test_what_comes_behind_the_last_hidden_layer_does_not_count():
    net = Network(2, "tanh", weights=("gaussian", "orthogonal"), bias_std=(0, 1))
    plain = Network(2, "tanh", weights="gaussian")
    assert ConjugateKernel(net, 0.5).law() == ConjugateKernel(plain, 0.5).law()


CASES = [
    (Network(2, "relu", weights="gaussian", weight_std=2**0.5), 0.75),
    (Network(3, "tanh", weights="gaussian", weight_std=1.2, width_ratios=(1, 0.8, 1.5, 1)), 1.0),
    (Network(4, "erf", weights="gaussian", width_ratios=(1, 2, 1, 1.5, 1)), 0.5),
]


@pytest.mark.parametrize("data", [None, Uniform(0.5, 1.5)])
def test_the_witness_has_the_mean_and_the_inputs_of_the_law(data):
    kernel = ConjugateKernel(Network(2, "linear", weights="gaussian"), 0.5, data)
    sample = kernel.sample(200, 4)
    means, errors = sample.moments(2)
    expected = [float(m) for m in kernel.law().moments(2)]
    assert (np.abs(means - expected) <= 5 * errors + 0.01 * np.array(expected)).all()


@pytest.mark.slow
@pytest.mark.parametrize(("network", "samples"), CASES)
def test_sampled_kernels_have_the_law(network, samples):
    report = ConjugateKernel(network, samples).validate(400, 4)
    assert report.passed, str(report)


@pytest.mark.slow
def test_given_data_has_the_law():
    network = Network(3, "tanh", weights="gaussian", weight_std=1.2)
    report = ConjugateKernel(network, 0.6, Uniform(0.2, 1.8)).validate(400, 4)
    assert report.passed, str(report)


@pytest.mark.slow
@pytest.mark.parametrize("wrong", ["slope", "layer"])
def test_a_wrong_law_fails(wrong):
    network, samples = CASES[1]
    kernel = ConjugateKernel(network, samples)
    layers = list(kernel._hidden())
    ratios = network.hidden_ratios[1:]
    law = MarchenkoPastur(samples)
    for ratio, layer in zip(ratios, layers, strict=True):
        gain = layer.gain * (0.9 if wrong == "slope" else 1.0)
        if wrong == "layer" and layer is layers[0]:
            continue
        below = float(law.mean())
        rest = layer.second_moment - gain * below
        law = free_product(MarchenkoPastur(samples / ratio), affine(law, gain, rest))
    report = validate(law, lambda _: law, kernel.sample, 400, 4, 0)
    assert not report.passed
