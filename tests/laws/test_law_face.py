"""What holds for every law, whatever made it: run over laws with bands, atoms and hard edges."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad

import freefim as ff
from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.chains.moments import free_cumulants
from freefim.free.leaves.leaf import TwoPoint
from freefim.spectra.conditional_fim import ConditionalFIM


def gate(alpha, high=1.0):
    return Product(TwoPoint(0.0, high, alpha, 1.0 - alpha))


LAWS = {
    "hard tanh comb": ConditionalFIM(ff.Network(6, "hard_tanh")).law(),
    "relu with hard edges": ConditionalFIM(ff.Network(3, "relu", weight_std=2**0.5)).law(),
    "gaussian relu": ConditionalFIM(
        ff.Network(4, "relu", weights="gaussian", weight_std=2**0.5)
    ).law(),
    "rectangular": ChainLaw(
        Chain(
            1.0,
            (gate(0.7), Gaussian(0.6, 1.3), Affine(1.0, 0.4), gate(0.8), Padding(0.5),
             Affine(1.1, 0.3), gate(0.6), Corner(0.7), Affine(0.9, 0.2)),
        )
    ),
    "with its trivial zeros": ConditionalFIM(ff.Network(4, "hard_tanh")).law(
        trivial_zeros=True, width=3
    ),
    "marchenko pastur": ChainLaw(Chain(1, (Gaussian(Fraction(1, 2), 1),))),
    "two atoms": ConditionalFIM(ff.Network(2, "hard_tanh")).law(),
    "point mass": ConditionalFIM(ff.Network(1, "tanh", input_second_moment=2.5)).law(),
}  # fmt: skip

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
banded = pytest.mark.parametrize(
    "law", [law for law in LAWS.values() if law.bands],
    ids=[name for name, law in LAWS.items() if law.bands],
)  # fmt: skip


def inside(law, count=5):
    share = np.linspace(0.05, 0.95, count)
    return np.concatenate([a + (b - a) * share for a, b in law.bands])


@every_law
def test_atoms_and_bands_balance(law):
    total = sum(mass for _, mass in law.atoms) + sum(law.band_masses)
    assert abs(total - 1.0) <= 1e-10
    assert law.accuracy.mass_defect <= 1e-10


@every_law
def test_bands_are_disjoint_and_ascending(law):
    edges = np.array(law.edges)
    assert np.all(np.diff(edges) > 0)
    for location, _ in law.atoms:
        assert not any(a < location < b for a, b in law.bands)


@every_law
def test_distribution_function_is_right_continuous_with_the_masses_as_jumps(law):
    for location, mass in law.atoms:
        jump = law.cdf(location) - law.cdf(np.nextafter(location, -np.inf))
        assert jump == pytest.approx(mass, abs=1e-7)
    low, high = law.support
    assert law.cdf(np.nextafter(low, -np.inf)) == 0.0
    assert law.cdf(high) == pytest.approx(1.0, abs=1e-12)


@banded
def test_distribution_function_is_continuous_at_the_ends_of_bands(law):
    for left, right in law.bands:
        width = right - left
        assert law.cdf(left) <= law.cdf(left + 1e-9 * width) <= law.cdf(left) + 1e-3
        jump = sum(mass for location, mass in law.atoms if location == right)
        assert law.cdf(right) - jump == pytest.approx(law.cdf(right - 1e-9 * width), abs=1e-3)


@banded
def test_density_is_the_derivative_of_the_distribution_function(law):
    for left, right in law.bands:
        a, b = left + 0.2 * (right - left), left + 0.7 * (right - left)
        mass, _ = quad(law.pdf, a, b, epsabs=1e-13, epsrel=1e-12, limit=200)
        assert mass == pytest.approx(law.cdf(b) - law.cdf(a), abs=1e-11)


@banded
def test_quantile_inverts_the_distribution_function(law):
    x = inside(law)
    assert law.icdf(law.cdf(x)) == pytest.approx(x, rel=1e-8)


@every_law
def test_quantile_is_the_generalised_inverse(law):
    p = np.array([0.0, 1e-9, 0.123, 0.5, 0.77, 1 - 1e-9, 1.0])
    x = law.icdf(p)
    assert np.all(law.cdf(x) >= p - 1e-10)
    assert x[0] == law.support[0] and x[-1] == law.support[1]
    assert np.isnan(law.icdf([-0.1, 1.1, np.nan])).all()


@every_law
def test_moments_by_series_and_by_quadrature_agree(law):
    for k in range(1, 7):
        assert law.expect(lambda x, k=k: x**k) == pytest.approx(float(law.moment(k)), rel=1e-11)
    assert law.moment(0) == pytest.approx(1.0, abs=1e-12)


@every_law
def test_cauchy_transform_is_the_integral_over_the_law(law):
    low, high = law.support
    z = np.array([low + 0.3j, 0.5 * (low + high) + 0.1j * high, high * (2 - 0.5j), -1 + 0j])
    for point, value in zip(z, law.cauchy(z), strict=True):
        real = law.expect(lambda x, point=point: (1 / (point - x)).real)
        imag = law.expect(lambda x, point=point: (1 / (point - x)).imag)
        assert value == pytest.approx(complex(real, imag), rel=1e-8)


@banded
def test_cauchy_transform_has_the_density_as_its_boundary_value(law):
    x = inside(law)
    value = law.cauchy(x + 1e-9j * (law.support[1] - law.support[0]))
    assert -value.imag / np.pi == pytest.approx(law.pdf(x), rel=1e-5)


@banded
def test_r_transform_inverts_the_cauchy_transform_outside_the_support(law):
    low, high = law.support
    for z in (high + 0.1 * (high - low), 5 * high, low - 0.2 * (high - low), -10 * high):
        g = law.cauchy(z).real
        assert law.r_transform(g) == pytest.approx(z - 1 / g, rel=1e-8, abs=1e-9)


@every_law
def test_r_transform_has_the_free_cumulants_as_its_series(law):
    cumulants = [float(k) for k in free_cumulants([law.moment(k) for k in range(1, 5)])]
    g = 1e-3 / law.support[1]
    series = sum(k * g**i for i, k in enumerate(cumulants))
    assert law.r_transform(g) == pytest.approx(series, rel=1e-9)
    assert law.r_transform(0.0) == pytest.approx(float(law.mean()), rel=1e-14)


def test_s_transform_of_marchenko_pastur():
    m = np.array([-0.9, -0.3, -1e-6, 0.0, 1e-6, 0.2, 0.6])
    assert LAWS["marchenko pastur"].s_transform(m) == pytest.approx(1 / (1 + 0.5 * m), rel=1e-11)


@every_law
def test_s_transform_is_one_over_the_mean_at_zero(law):
    assert law.s_transform(0.0) == pytest.approx(1 / float(law.mean()), rel=1e-14)
    assert np.isnan(law.s_transform(-1.0))


@every_law
def test_distance_to_itself_is_zero_and_to_the_shifted_law_the_shift(law):
    assert law.distance(law) == 0.0
    assert law.distance(law, "ks") == 0.0
    moved = ChainLaw(Chain(law.chain.start, (*law.chain.moves, Affine(1.0, 0.25))))
    assert law.distance(moved) == pytest.approx(0.25, rel=1e-5)


@every_law
def test_distance_to_its_own_quantiles_is_half_a_step(law):
    sample = law.icdf((np.arange(400) + 0.5) / 400)
    assert law.distance(sample, "ks") <= 0.5 / 400 + 1e-6
    assert law.distance(sample) <= (law.support[1] - law.support[0]) / 400 + 1e-12


@pytest.mark.parametrize("location", [0, 1, -3])
def test_eigenvalues_of_a_point_mass_are_at_no_distance_from_it(location):
    law = ff.PointMass(location)
    assert law.distance(3 * [location], "ks") == 0.0
    assert law.distance([location, location + 1], "ks") == 0.5


@every_law
def test_nan_gives_nan_and_shapes_are_kept(law):
    x = np.array([[law.support[0], np.nan], [1.0, 2.0]])
    for function in (law.pdf, law.cdf, law.ccdf):
        values = function(x)
        assert values.shape == (2, 2)
        assert np.isnan(values[0, 1]) and not np.isnan(values[1]).any()
        assert np.ndim(function(1.0)) == 0
    assert law.sample((2, 3), rng=1).shape == (2, 3)


def test_exact_moments_where_the_chain_is_rational():
    half = Product(TwoPoint(0, 1, Fraction(1, 2), Fraction(1, 2)))
    law = ChainLaw(Chain(1, (half, Gaussian(1, 2), Affine(1, 1)) * 2))
    assert [law.moment(k) for k in (1, 2, 3, 4)] == [3, 19, 177, 1949]
    assert law.variance() == 10 and isinstance(law.variance(), int | Fraction)


def test_density_is_infinite_at_a_hard_edge_and_zero_outside():
    law = LAWS["relu with hard edges"]
    assert np.isinf(law.pdf(law.edges)).all()
    assert not law.pdf([2.9, 7.1, 1.0, -5.0]).any()


@pytest.mark.parametrize("name", ["hard tanh comb", "gaussian relu", "with its trivial zeros"])
def test_repr_evaluates_back(name):
    from freefim import ConditionalFIM, HardTanh, Network, ReLU  # noqa: F401

    law = LAWS[name]
    assert eval(repr(law)) == law


@pytest.mark.parametrize("activation", ["gelu", "tanh", "hard_tanh"])
def test_laws_are_values(activation):
    law, again = (ConditionalFIM(ff.Network(3, activation)).law() for _ in range(2))
    assert law == again and hash(law) == hash(again)
    assert pickle.loads(pickle.dumps(law)) == law
    assert law != ConditionalFIM(ff.Network(3, activation, weight_std=1.5)).law()


def test_layers_are_the_laws_of_the_shallower_networks():
    net = ff.Network(5, "hard_tanh", weight_std=1.1)
    for depth, layer in enumerate(ConditionalFIM(net).law().layers, start=1):
        assert layer.chain == ConditionalFIM(net.replace(depth=depth)).law().chain


@pytest.mark.parametrize(
    ("call", "words"),
    [
        (lambda law: law.moment(-1), "k must be"),
        (lambda law: law.moment(1.5), "k must be"),
        (lambda law: law.interval(1.5), "confidence must be"),
        (lambda law: law.distance(law, "hellinger"), "kind must be"),
        (lambda law: law.distance([1.0, np.nan]), "eigenvalues must be"),
        (lambda law: law.distance([]), "eigenvalues must be"),
        (lambda law: law.table(points=0), "points must be"),
        (lambda law: law.expect(lambda x: np.log(x - x)), "function must be finite"),
    ],
)
def test_bad_input_gets_one_sentence(call, words):
    with pytest.raises(SpecError, match=words), np.errstate(divide="ignore"):
        call(LAWS["hard tanh comb"])
