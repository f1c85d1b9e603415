"""The Fisher matrix of one hidden layer: its law by other integrals, and exact matrices."""

from fractions import Fraction
from functools import lru_cache

import numpy as np
import pytest
from scipy.integrate import quad

from freefim.errors import ConvergenceError, SpecError
from freefim.free.pairs.law import CoupledPair
from freefim.montecarlo.fisher_matrices import single_hidden_layer_fisher
from freefim.montecarlo.fisher_products import draw_fisher_product
from freefim.networks.activations import ReLU, Tanh
from freefim.spectra.single_hidden_layer_fisher import SingleHiddenLayerFisher
from freefim.validation import validate
from freefim.validation.report import MomentCheck

PAIRS = [
    CoupledPair(0, 0, 1),
    CoupledPair(0.1, 0.3, 0.4),
    CoupledPair(0.3, 0.1, 0.4),
    CoupledPair(0.05, 3.0, 0.2),
    CoupledPair(0.2, 0.2, 0.5),
    CoupledPair(0.0, 1.0, 0.25),
]

#: What wide matrices are judged by.
FUNCTIONS = (
    lambda x: x,
    lambda x: x**2,
    lambda x: x**3,
    lambda x: 1 / (x + 0.05),
    lambda x: 1 / (x + 0.5),
)


def mean_over_one(function):
    """Mean over b² of MP(1) = 4 sin² of an angle with density (2/π) cos²·2."""
    return quad(lambda s: function(4 * np.sin(s) ** 2) * np.cos(s) ** 2 * 4 / np.pi, 0, np.pi / 2,
                epsabs=1e-13, epsrel=1e-11, limit=400)[0]  # fmt: skip


def below(x):
    """Mass of MP(1) below x."""
    angle = np.arcsin(np.sqrt(np.clip(x / 4, 0, 1)))
    return (2 * angle + np.sin(2 * angle)) / np.pi


@pytest.mark.parametrize("law", PAIRS)
def test_the_distribution_function_counts_negative_eigenvalues(law):
    # the number of eigenvalues below λ by inertia, a² integrated in closed form
    a0, b0, z = float(law.first), float(law.second), float(law.coupling)
    for share in (0.07, 0.3, 0.55, 0.9):
        left, right = law.support
        x = left + share * (right - left)

        def count(b, x=x):
            # both eigenvalues lie below x iff the trace does and the determinant is positive
            limit = (x - a0) / z - b * (x - a0) / (x - b0)
            if x > max(a0, b0):
                return 1 + below(limit)
            return below(limit) if x > a0 else 1 - below(limit)

        assert law.cdf(x) == pytest.approx(0.5 * mean_over_one(count), abs=1e-8)


@pytest.mark.parametrize("law", PAIRS)
def test_mass_moments_and_derivative(law):
    assert law.accuracy.mass_defect < 1e-10
    for k in (1, 2, 3, 4):
        assert law.expect(lambda x, k=k: x**k) == pytest.approx(float(law.moment(k)), rel=1e-11)
    for left, right in law.bands:
        x = left + (right - left) * np.array([0.2, 0.45, 0.7])
        step = 1e-5 * (right - left)
        slope = (law.cdf(x + step) - law.cdf(x - step)) / (2 * step)
        assert slope == pytest.approx(law.pdf(x), rel=1e-5)


@pytest.mark.parametrize("law", PAIRS)
def test_the_transform_is_the_integral_of_the_density(law):
    z = np.array([-0.5, 9.5, 1 + 0.5j, 0.2 + 0.1j, 3 - 0.3j])
    x, weights = law.solution.nodes(16)
    total = (weights / (z[:, None] - x)).sum(axis=1)
    total += sum(mass / (z - at) for at, mass in law.atoms)
    assert law.cauchy(z) == pytest.approx(total, rel=1e-9)


def test_a_linear_network_is_a_classical_convolution():
    law = SingleHiddenLayerFisher("linear").law()
    assert law.atoms == ((0.0, 0.5),)
    assert law.support == (0.0, 8.0)
    for x in (1.0, 3.9, 4.1, 7.0):
        assert law.cdf(x) - 0.5 == pytest.approx(
            0.5 * mean_over_one(lambda b, x=x: below(x - b)), abs=1e-9
        )
    assert law.moments(3) == pytest.approx((1, 3, 11), rel=1e-12)


def test_moments_of_rational_pairs_are_exact():
    assert CoupledPair(Fraction(1, 3), 0, 2).moments(2) == (Fraction(13, 6), Fraction(229, 18))


@pytest.mark.parametrize(
    ("activation", "mean", "quantiles"),
    [
        ("tanh", 0.4293, (0.029, 0.059, 0.098, 0.738, 1.471)),
        ("relu", 0.4204, (0.093, 0.149, 0.250, 0.643, 1.144)),
    ],
)
def test_figures_of_the_theory_sheet(activation, mean, quantiles):
    law = SingleHiddenLayerFisher(activation).law()
    assert law.mean() == pytest.approx(mean, abs=5e-5)
    # the quantiles of the sheet are of n = 26 pairs of singular values, not of the limit
    assert law.icdf([0.05, 0.25, 0.5, 0.75, 0.95]) == pytest.approx(quantiles, rel=1 / 26)


def test_quartiles_of_the_linear_network():
    # of n = 28 pairs
    assert SingleHiddenLayerFisher("linear").law().icdf(0.75) == pytest.approx(1.791, rel=1 / 28)


def test_even_activations_have_two_atoms():
    law = SingleHiddenLayerFisher("abs").law()
    assert [at for at, _ in law.atoms] == pytest.approx([1 - 2 / np.pi, 1.0], rel=1e-12)
    assert [mass for _, mass in law.atoms] == [0.5, 0.5]


def test_bands_touch_where_the_coupling_is_strong():
    touching = CoupledPair(0.1, 0.3, 0.4)
    assert touching.bands[0][1] == touching.bands[1][0] == 0.3
    assert np.isinf(touching.pdf(0.3))
    apart = CoupledPair(0.05, 3.0, 0.2)
    assert apart.bands[0][1] == pytest.approx(0.85, rel=1e-14)
    assert apart.bands[1][0] == 3.0


@pytest.mark.parametrize("coupling", [1e-5, 1e-7, 1e-10])
def test_weakly_coupled_levels_are_marchenko_pastur_bands(coupling):
    # to first order in the coupling the levels do not know of each other
    law = CoupledPair(1, 0, coupling)
    assert law.accuracy.mass_defect < 1e-14
    share = np.array([0.1, 0.8, 2.2, 3.7])
    x = coupling * share
    assert law.cdf(x) == pytest.approx(0.5 * below(share), rel=10 * coupling)
    # places beside 1 are floats: the share is that of the float
    x = 1 + coupling * share
    assert law.cdf(x) == pytest.approx(0.5 + 0.5 * below((x - 1) / coupling), rel=10 * coupling)


@pytest.mark.parametrize("pair", [(1e10, 0, 1e-8), (1, 0, 1e-300), (1, 1, 1e-300)])
def test_bands_narrower_than_floats_are_refused(pair):
    with pytest.raises(ConvergenceError, match=r"narrower than \d+ floats") as caught:
        _ = CoupledPair(*pair).bands
    assert "\n" not in str(caught.value)


def test_outliers_are_those_of_the_mean():
    fisher = SingleHiddenLayerFisher("relu")
    assert fisher.outlier(100) == pytest.approx(100 / (2 * np.pi), rel=1e-12)
    assert SingleHiddenLayerFisher("tanh").outlier(100) == 0.0
    with pytest.raises(SpecError, match="width must be an integer >= 1"):
        fisher.outlier(0)


def test_uncentred_networks_have_the_outliers():
    n = 12
    matrix, _ = single_hidden_layer_fisher(n, ReLU(), 0.0, np.random.default_rng(0))
    eigenvalues = np.linalg.eigvalsh(matrix)
    place = SingleHiddenLayerFisher("relu").outlier(n)
    assert eigenvalues[-n] > 0.8 * place
    top = SingleHiddenLayerFisher("relu").law().support[1]
    assert eigenvalues[-n] > eigenvalues[-n - 1]
    assert eigenvalues[-1] < 1.2 * (place + top)


@pytest.mark.parametrize("phi", [ReLU(), Tanh()])
def test_the_witness_is_the_mean_over_inputs(phi):
    n, count = 4, 200_000
    mean = SingleHiddenLayerFisher(phi)._layer.mean
    matrix, _ = single_hidden_layer_fisher(n, phi, mean, np.random.default_rng(1))
    inner, outer = np.random.default_rng(1).standard_normal((2, n, n)) / n**0.5
    x = np.random.default_rng(5).standard_normal((count, n))
    h = x @ inner.T
    f, d = phi.function(h) - mean, phi.derivative(h)
    sampled, squares = np.zeros_like(matrix), np.zeros_like(matrix)
    for k in range(n):
        first = ((outer[k] * d)[:, :, None] * x[:, None, :]).reshape(count, -1)
        second = np.zeros((count, n, n))
        second[:, k] = f
        jacobian = np.hstack([first, second.reshape(count, -1)])
        sampled += jacobian.T @ jacobian / count
        squares += (jacobian**2).T @ jacobian**2 / count
    error = np.sqrt(n * squares / count) + 1e-12
    assert (np.abs(matrix - sampled) < 6 * error).all()


def test_bad_activations_are_refused():
    with pytest.raises(SpecError, match="activation must be"):
        SingleHiddenLayerFisher("tan")


@pytest.mark.slow
def test_sampled_matrices_of_linear_networks_have_the_law():
    for width in (8, 16, 24):
        assert SingleHiddenLayerFisher("linear").validate(width, 4).passed


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu", "hard_tanh", "erf"])
def test_sampled_matrices_approach_the_law(activation):
    # 2n² eigenvalues of n² independent pairs, each level blurred by n^-1/2
    fisher = SingleHiddenLayerFisher(activation)
    report = fisher.validate(20, 6)
    assert report.passed, str(report)
    law = fisher.law()
    near, far = (
        law.distance(fisher.sample(width, 4).eigenvalues, "wasserstein") for width in (28, 7)
    )
    assert near < 0.6 * far


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
@pytest.mark.parametrize("wrong", ["coupling", "level", "linear"])
def test_wrong_laws_fail_in_spite_of_the_decaying_term(activation, wrong):
    fisher = SingleHiddenLayerFisher(activation)
    first, second, coupling = fisher._levels
    law = {
        "coupling": CoupledPair(first, second, 0.7 * coupling),
        "level": CoupledPair(1.5 * first, second, coupling),
        "linear": CoupledPair(0, 0, coupling),
    }[wrong]
    assert not validate(law, lambda _: law, fisher.sample, 20, 6, 0, None, fisher.decay).passed


@pytest.mark.parametrize("phi", [ReLU(), Tanh()])
def test_products_are_those_with_the_matrix(phi):
    n, rng = 6, np.random.default_rng(3)
    matrix, _ = single_hidden_layer_fisher(n, phi, 0.3, np.random.default_rng(0))
    product = draw_fisher_product(n, phi, 0.3, np.random.default_rng(0))
    first, second = rng.standard_normal((2, n, n))
    found = np.concatenate(product(first, second), axis=None)
    vector = np.concatenate([first, second], axis=None)
    assert found == pytest.approx(matrix @ vector, rel=1e-12, abs=1e-13)
    # as many steps as rows of another matrix: all of its eigenvalues
    small, _ = single_hidden_layer_fisher(2, phi, 0.3, np.random.default_rng(1))
    nodes, weights = draw_fisher_product(2, phi, 0.3, np.random.default_rng(1)).quadrature(8, rng)
    assert nodes == pytest.approx(np.linalg.eigvalsh(small), rel=1e-9)
    assert weights.sum() == pytest.approx(1, rel=1e-13)


@lru_cache
def means_at(activation, width, replicas):
    """Means over the spectrum of wide matrices, and their standard errors."""
    fisher, rng, rows = SingleHiddenLayerFisher(activation), np.random.default_rng(width), []
    for _ in range(replicas):
        product = draw_fisher_product(width, fisher.activation, fisher._layer.mean, rng)
        nodes, weights = product.quadrature(30, rng)
        rows.append([weights @ function(nodes) for function in FUNCTIONS])
    return np.mean(rows, axis=0), np.std(rows, axis=0, ddof=1) / replicas**0.5


def confirmed(law, activation):
    """Verdict on means of functions at width 200, the term in 1/n from half of it."""
    (wide, error), (narrow, others) = means_at(activation, 200, 4), means_at(activation, 100, 16)
    checks = [
        MomentCheck(number, law.expect(function), *numbers)
        for number, (function, *numbers) in enumerate(
            zip(FUNCTIONS, wide, np.hypot(error, np.hypot(error, others)), abs(wide - narrow),
                strict=True)
        )
    ]  # fmt: skip
    return all(check.passed for check in checks)


@pytest.mark.slow
@pytest.mark.parametrize("activation", ["tanh", "relu"])
def test_matrices_of_eighty_thousand_rows_tell_close_laws_apart(activation):
    fisher = SingleHiddenLayerFisher(activation)
    first, second, coupling = fisher._levels
    assert confirmed(fisher.law(), activation)
    assert not confirmed(CoupledPair(first, second, 0.9 * coupling), activation)
    assert not confirmed(CoupledPair(1.2 * first, second, coupling), activation)
    assert not confirmed(CoupledPair(first, 1.2 * second, coupling), activation)


@pytest.mark.slow
def test_a_wrong_law_fails():
    fisher = SingleHiddenLayerFisher("linear")
    wrong = CoupledPair(0.1, 0.1, 0.9)
    assert not validate(wrong, lambda _: wrong, fisher.sample, 16, 4, 0).passed
