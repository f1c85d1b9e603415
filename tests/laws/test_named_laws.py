"""Named laws: closed-form densities, edges, atoms and transforms from the literature."""

import pickle
from fractions import Fraction

import numpy as np
import pytest

import freefim
from freefim import (
    Affine,
    Arcsine,
    Atomic,
    Cauchy,
    CompoundFreePoisson,
    FreePoisson,
    FreeSum,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    PointMass,
    Semicircle,
    Uniform,
    Wachter,
)


def root(low, high):
    return lambda x: np.sqrt(np.maximum((high - x) * (x - low), 0.0)) / (2 * np.pi)


def marchenko_pastur(ratio):
    low, high = (1 - ratio**0.5) ** 2, (1 + ratio**0.5) ** 2
    return lambda x: root(low, high)(x) / (ratio * x), [(low, high)]


def free_poisson(rate, jump):
    low, high = sorted(jump * (1 + s * rate**0.5) ** 2 for s in (-1, 1))
    return lambda x: root(low, high)(x) / np.abs(jump * x), [(low, high)]


def kesten_mckay(d):
    reach = 2 * (d - 1) ** 0.5
    return lambda x: d * root(-reach, reach)(x) / (d * d - x * x), [(-reach, reach)]


def wachter(first, second):
    a, b = 1 / first, 1 / second
    low, high = sorted(((b**0.5 + s * (a * (a + b - 1)) ** 0.5) / (a + b)) ** 2 for s in (-1, 1))
    return lambda x: (a + b) * root(low, high)(x) / (x * (1 - x)), [(low, high)]


def semicircle(variance, mean):
    low, high = (mean + s * 2 * variance**0.5 for s in (-1, 1))
    return lambda x: root(low, high)(x) / variance, [(low, high)]


def arcsine(low, high):
    return lambda x: 1 / (np.pi * np.sqrt((high - x) * (x - low))), [(low, high)]


def two_gaussian_factors():
    """Penson & Życzkowski, eq. (18)."""

    def density(x):
        t = 27 + 3 * np.sqrt(81 - 12 * x)
        top = 2 ** (1 / 3) * t ** (2 / 3) - 6 * x ** (1 / 3)
        return 2 ** (1 / 3) * 3**0.5 / (12 * np.pi) * top / (x ** (2 / 3) * t ** (1 / 3))

    return density, [(0.0, 27 / 4)]


CASES = {
    MarchenkoPastur(0.25): (*marchenko_pastur(0.25), ()),
    MarchenkoPastur(1): (*marchenko_pastur(1), ()),
    MarchenkoPastur(4): (*marchenko_pastur(4), ((0.0, 0.75),)),
    FreePoisson(0.5, 3): (*free_poisson(0.5, 3), ((0.0, 0.5),)),
    FreePoisson(2, -1): (*free_poisson(2, -1), ()),
    CompoundFreePoisson(3, PointMass(0.5)): (*free_poisson(3, 0.5), ()),
    KestenMcKay(3): (*kesten_mckay(3), ()),
    KestenMcKay(10): (*kesten_mckay(10), ()),
    KestenMcKay(1.5): (*kesten_mckay(1.5), ((-1.5, 0.25), (1.5, 0.25))),
    Wachter(0.5, Fraction(1, 3)): (*wachter(1 / 2, 1 / 3), ()),
    Wachter(2, 0.5): (*wachter(2, 0.5), ((0.0, 0.5),)),
    Wachter(0.5, 2): (*wachter(0.5, 2), ((1.0, 0.5),)),
    Semicircle(2.0, -1): (*semicircle(2, -1), ()),
    Arcsine(-1, 3): (*arcsine(-1, 3), ()),
    FussCatalan(2): (*two_gaussian_factors(), ()),
}
every_case = pytest.mark.parametrize(("law", "case"), CASES.items(), ids=map(repr, CASES))


@every_case
def test_density_bands_and_atoms_are_the_closed_forms(law, case):
    density, bands, atoms = case
    assert np.array(law.bands) == pytest.approx(np.array(bands), rel=1e-12, abs=1e-14)
    assert np.array(law.atoms) == pytest.approx(np.array(atoms), rel=1e-14)
    for low, high in bands:
        x = low + (high - low) * np.linspace(0.002, 0.998, 301)
        assert law.pdf(x) == pytest.approx(density(x), rel=1e-11)


@every_case
def test_mass_balances_and_moments_agree_with_quadrature(law, case):
    assert sum(m for _, m in law.atoms) + sum(law.band_masses) == pytest.approx(1, abs=1e-13)
    for k, moment in enumerate(law.moments(5), start=1):
        assert law.expect(lambda x, k=k: x**k) == pytest.approx(float(moment), rel=1e-11, abs=1e-11)


@every_case
def test_named_laws_are_values(law, case):
    names = {name: getattr(freefim, name) for name in freefim.__all__} | {"Fraction": Fraction}
    assert eval(repr(law), names) == law and hash(eval(repr(law), names)) == hash(law)
    assert pickle.loads(pickle.dumps(law)) == law
    assert law.describe()["law"] == repr(law)


@pytest.mark.parametrize("order", [1, 3, 5, 2.5])
def test_fuss_catalan_density_in_its_angle(order):
    """Haagerup & Möller: ρ at x(φ) = sin^{p+1}((p+1)φ)/(sin φ sin^p(pφ))."""
    p, phi = order, np.pi / (order + 1) * np.linspace(0.02, 0.98, 201)
    x = np.sin((p + 1) * phi) ** (p + 1) / (np.sin(phi) * np.sin(p * phi) ** p)
    want = np.sin(phi) ** 2 * np.sin(p * phi) ** (p - 1) / (np.pi * np.sin((p + 1) * phi) ** p)
    law = FussCatalan(order)
    assert law.pdf(x) == pytest.approx(want, rel=1e-10)
    assert law.support == pytest.approx((0.0, (p + 1) ** (p + 1) / p**p), rel=1e-13)


@pytest.mark.parametrize("ratio", [0.3, 1, 2])
def test_transforms_of_marchenko_pastur(ratio):
    law = MarchenkoPastur(ratio)
    m = np.array([-0.3, 0.0, 0.4])
    assert law.s_transform(m) == pytest.approx(1 / (1 + ratio * m), rel=1e-9)
    g = np.array([-0.5, 0.0, 0.2])
    assert law.r_transform(g) == pytest.approx(1 / (1 - ratio * g), rel=1e-9)


def test_free_convolution_with_a_cauchy_law_is_the_classical_one():
    law, noise = Uniform(-1, 2), Cauchy(0.3, 0.5)
    x = np.linspace(-6, 8, 57)
    want = -law.cauchy(x - 0.5 + 0.3j).imag / np.pi
    total = law + noise
    assert total.pdf(x) == pytest.approx(want, rel=1e-11)
    assert total.bands == ((-np.inf, np.inf),)
    assert total.median() == pytest.approx(1.0, abs=1e-9)


def test_inverse_of_a_law_that_reaches_zero_has_no_upper_bound():
    law = MarchenkoPastur(1).inverse()
    (left, right), = law.bands  # fmt: skip
    assert left == pytest.approx(0.25, rel=1e-12) and right == np.inf
    x = np.array([0.3, 1.0, 50.0])
    assert law.pdf(x) == pytest.approx(MarchenkoPastur(1).pdf(1 / x) / x**2, rel=1e-11)
    assert law.cdf(x) == pytest.approx(1 - MarchenkoPastur(1).cdf(1 / x), abs=1e-12)
    assert law.icdf(0.5) == pytest.approx(1 / MarchenkoPastur(1).median(), rel=1e-9)
    assert law.describe()["mean"] is None


def test_free_bernoulli_sums_are_arcsine():
    coin = Atomic([0, 1], [0.5, 0.5])
    x = np.linspace(0.01, 1.99, 50)
    assert (coin + coin).pdf(x) == pytest.approx(Arcsine(0, 2).pdf(x), rel=1e-11)


@pytest.mark.parametrize("exponent", [1, 2])
def test_corners_and_powers_of_cauchy_sums_are_sums(exponent):
    """Free additive convolution distributes: (A + C)^t = A^t + C^t, and C keeps under a corner."""
    law, noise = Uniform(1, 2), Cauchy(1, 0.5)
    x = np.linspace(-3, 6, 19)
    want = FreeSum(law.free_power(1.5), Cauchy(1.5, 0.75))
    power = (law + noise).free_power(1.5)
    assert power.pdf(x) == pytest.approx(want.pdf(x), rel=1e-12)
    corner = Affine((law + noise).compress(0.5), exponent, 1)
    moved = FreeSum(Affine(law.compress(0.5), exponent, 1), Cauchy(exponent, 0.5 * exponent))
    assert corner.pdf(x) == pytest.approx(moved.pdf(x), rel=1e-12)
    assert corner.cdf(x) == pytest.approx(moved.cdf(x), rel=1e-12)


def test_subordination_under_a_cauchy_law():
    """G(z) = G_A(ω(z)): a Cauchy law lifts the point by its scale."""
    z = np.array([1j, 0.3 - 2j])
    law = Semicircle(1)
    total = law + Cauchy(1)
    omega = total.subordination(z)
    assert omega[:, 0] == pytest.approx(np.array([2j, 0.3 - 3j]))
    assert law.cauchy(omega[:, 0]) == pytest.approx(total.cauchy(z), rel=1e-14)
    first, second = Atomic([0, 1, 3], [0.25, 0.5, 0.25]), Uniform(0, 1)
    total = first + second + Cauchy(1)
    omega = total.subordination(z)
    assert first.cauchy(omega[:, 0]) == pytest.approx(total.cauchy(z), rel=1e-11)
    assert second.cauchy(omega[:, 1]) == pytest.approx(total.cauchy(z), rel=1e-11)
