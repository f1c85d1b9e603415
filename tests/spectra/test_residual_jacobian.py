"""Residual Jacobians: moments by other rules, closed forms, sampled networks."""

from functools import lru_cache

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.perturbed.law import Block, PerturbedIdentity
from freefim.networks.activations import Erf, HardTanh, LeakyReLU
from freefim.networks.network import Network
from freefim.spectra.residual_jacobian import ResidualJacobian
from freefim.validation import validate

NETS = {
    "orthogonal hard-tanh": (Network(2, "hard_tanh"), 0.5),
    "gaussian hard-tanh": (Network(3, "hard_tanh", weights="gaussian", weight_std=1.2), 0.7),
    "orthogonal relu": (Network(2, "relu"), 1),
    "gaussian relu": (Network(3, "relu", weights="gaussian", bias_std=0.3), 0.5),
    "orthogonal leaky": (Network(3, LeakyReLU(0.3)), 1.5),
    "gaussian tanh": (Network(2, "tanh", weights="gaussian"), 0.5),
    "orthogonal erf": (Network(3, Erf()), 0.5),
    "mixed": (Network(3, "tanh", weights=("orthogonal", "gaussian", "gaussian")), 1.5),
}


def rigid(n):
    """Bound of the distance of n eigenvalues of a real matrix to their law.

    Their counts are Gaussian with variance (2/π²) log n and correlated as logarithms: the largest
    deviation is about (2/π) log n, and y more have a probability of about y exp(-πy): 0.4 % at 2.
    """
    return (2 / np.pi * np.log(n) + 2) / n


@lru_cache
def law_of(name):
    return ResidualJacobian(*NETS[name]).law()


def factors(spectrum):
    """Mean and relative variance of every block: moments of (1 + X)(1 + X)ᵀ by words in X, Xᵀ.

    Words that survive have as many X as Xᵀ: with T = X Xᵀ the mean is 1 + E T, and the second
    moment 1 + 4 E T + E T².
    """
    net, scale = spectrum.network, float(spectrum.branch_scale)
    q = float(net.input_second_moment)
    for phi, kind, std, bias in spectrum._layers():
        variance = std**2 * q + bias**2
        gain = (scale * std) ** 2
        first, second = phi.slope_second_moment(variance), phi.slope_fourth_moment(variance)
        mean, square = gain * first, gain**2 * (second + (kind == "gaussian") * first**2)
        yield 1 + mean, (1 + 4 * mean + square) / (1 + mean) ** 2 - 1
        q += scale**2 * phi.second_moment(variance)


@pytest.mark.parametrize("name", NETS)
def test_mean_and_variance_are_those_of_free_factors(name):
    spectrum = ResidualJacobian(*NETS[name])
    law = law_of(name)
    means, relative = zip(*factors(spectrum), strict=True)
    assert law.expect(lambda x: x) == pytest.approx(np.prod(means), rel=1e-9)
    variance = law.expect(lambda x: x**2) / np.prod(means) ** 2 - 1
    assert variance == pytest.approx(sum(relative), rel=1e-9)


@pytest.mark.parametrize("name", NETS)
def test_third_and_fourth_moments_are_those_of_the_tree(name):
    law = law_of(name)
    found = [law.expect(lambda x, k=k: x**k) for k in (3, 4)]
    assert found == pytest.approx([float(m) for m in law.moments(4)[2:]], rel=1e-9)


@pytest.mark.parametrize("scale", [0.1, 0.5, 1, 1.5])
def test_one_plus_a_haar_matrix_is_an_arcsine_law(scale):
    law = ResidualJacobian(Network(2, "linear"), scale).law()
    angle = np.linspace(0.1, 3.0, 20)
    x = 1 + scale**2 + 2 * scale * np.cos(angle)
    assert law.cdf(x) == pytest.approx(1 - angle / np.pi, abs=1e-12)


def test_one_plus_a_square_gaussian_matrix_solves_a_cubic():
    r"""G = G_signs(z - s G) for the symmetrised law: ((z - sG)² - 1) G = z - sG, s = scale²."""
    scale = 0.8
    law = ResidualJacobian(Network(2, "linear", weights="gaussian"), scale).law()
    s = scale**2
    for x in law.icdf(np.array([0.1, 0.5, 0.9])):
        z = np.sqrt(x)
        roots = np.roots([s * s, -2 * z * s, z * z - 1 + s, -z])
        g = roots[np.argmin(roots.imag)]
        # G of the square is G/z
        assert law.pdf(x) == pytest.approx(-g.imag / np.pi / z, rel=1e-10)


@pytest.mark.parametrize("arguments", [("tanh", "orthogonal", 1), ("erf", "gaussian", 0.5)])
def test_ten_blocks_far_below_their_bound(arguments):
    phi, kind, scale = arguments
    spectrum = ResidualJacobian(Network(11, phi, weights=kind), scale)
    law = spectrum.law()
    means, relative = zip(*factors(spectrum), strict=True)
    assert law.expect(lambda x: x) == pytest.approx(np.prod(means), rel=1e-9)
    variance = law.expect(lambda x: x**2) / np.prod(means) ** 2 - 1
    assert variance == pytest.approx(sum(relative), rel=1e-8)


@pytest.mark.parametrize("name", ["orthogonal relu", "gaussian tanh", "mixed"])
def test_the_transform_is_the_integral_of_the_density(name):
    law = law_of(name)
    z = np.array([-0.5, 1 + 0.5j, law.support[1] + 1])
    for point in z:
        found = law.expect(lambda x, z=point: (1 / (z - x)).real)
        assert found == pytest.approx(law.cauchy(point).real, rel=1e-9)


def test_units_that_are_mostly_closed_leave_an_atom_at_one():
    # of the weight α of open gates: what the kernels of X and of Xᵀ share, 1 - 2α
    block = Block(TwoPoint(0.0, 1.0, 0.3, 0.7), 1.0, False)
    assert PerturbedIdentity((block,)).atoms == ((1.0, pytest.approx(0.4, rel=1e-14)),)
    rng = np.random.default_rng(2)
    n = 300
    gates = (np.arange(n) < 0.3 * n).astype(float)
    haar = np.linalg.qr(rng.standard_normal((n, n)))[0]
    one = np.eye(n) + gates[:, None] * haar
    eigenvalues = np.linalg.eigvalsh(one @ one.T)
    assert np.sum(np.abs(eigenvalues - 1) < 1e-9) == 0.4 * n
    assert PerturbedIdentity((block,)).distance(eigenvalues, "ks") <= rigid(n)


@pytest.mark.parametrize("name", NETS)
def test_sampled_networks_agree(name):
    spectrum = ResidualJacobian(*NETS[name])
    replica = spectrum.sample(240, 1, seed=4)[0]
    law = spectrum.conditional_law(replica)
    assert law.distance(replica.eigenvalues, "ks") <= rigid(replica.eigenvalues.size)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETS)
def test_verdicts(name):
    spectrum = ResidualJacobian(*NETS[name])
    report = spectrum.validate(200, 4, seed=1)
    assert report.passed, report.reasons
    wrong = ResidualJacobian(spectrum.network, 1.1 * float(spectrum.branch_scale))
    assert not validate(wrong.law(), wrong.conditional_law, spectrum.sample, 200, 4, 1).passed


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (("net",), "network must be a Network"),
        ((Network(3, "relu", width_ratios=(1, 1, 2, 1)),), "network must be square"),
        ((Network(1, ()),), "network must have an activation"),
        ((Network(2, HardTanh()), 0), "branch_scale must be a number > 0"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, words):
    with pytest.raises(SpecError, match=words):
        ResidualJacobian(*arguments)
