"""The engine of trees against closed forms, long-digit references and identities."""

import math

import mpmath
import numpy as np
import pytest

from freefim.errors import ConvergenceError
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import (
    Arcsine,
    CompoundFreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
)
from freefim.free.trees.moments import tree_moments
from freefim.free.trees.nodes import (
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    Padded,
    Rectangular,
    SingularValues,
)

POINTS = 200
BERNOULLI = Atomic([0, 1], [0.5, 0.5])
THREE = Atomic([0, 1, 3], [0.25, 0.25, 0.5])


def inside(a: float, b: float, points: int = POINTS) -> np.ndarray:
    """Points inside a band, away from its ends by 1e-4 of it."""
    return a + (b - a) * np.linspace(1e-4, 1 - 1e-4, points)


def worst(law, x: np.ndarray, want: np.ndarray) -> float:
    """Largest error of the density, relative to the density or to 1 / the width of the support."""
    return float(np.max(np.abs(law.pdf(x) - want) / np.maximum(want, 1 / (x[-1] - x[0]))))


def moments_of(law, order: int) -> list[float]:
    x, weights = law.solution.nodes()
    atoms = law.atoms
    return [float(weights @ x**k) + sum(m * a**k for a, m in atoms) for k in range(order + 1)]


def test_the_free_square_of_a_coin_is_the_arcsine_law():
    law = FreeSum(BERNOULLI, BERNOULLI)
    assert law.edges == pytest.approx((0, 2), abs=1e-14)
    x = inside(0, 2)
    assert worst(law, x, 1 / (np.pi * np.sqrt(x * (2 - x)))) < 1e-11
    assert np.allclose(law.cdf(x), np.arccos(1 - x) / np.pi, rtol=0, atol=1e-13)


@pytest.mark.parametrize("degree", [3, 5, 2.5])
def test_sums_of_reflections_are_kesten_mckay(degree):
    law = KestenMcKay(degree)
    edge = 2 * math.sqrt(degree - 1)
    assert law.edges == pytest.approx((-edge, edge), rel=1e-14)
    x = inside(-edge, edge)
    want = degree * np.sqrt(edge**2 - x**2) / (2 * np.pi * (degree**2 - x**2))
    assert worst(law, x, want) < 1e-12


@pytest.mark.parametrize("ratio", [0.25, 1, 3])
def test_marchenko_pastur_in_closed_form(ratio):
    law = MarchenkoPastur(ratio)
    a, b = (1 - math.sqrt(ratio)) ** 2, (1 + math.sqrt(ratio)) ** 2
    assert law.edges == pytest.approx((a, b), abs=1e-14)
    x = inside(a, b)
    assert worst(law, x, np.sqrt((b - x) * (x - a)) / (2 * np.pi * ratio * x)) < 1e-11
    assert law.atoms == (((0.0, pytest.approx(1 - 1 / ratio)),) if ratio > 1 else ())


def test_semicircles_add_their_variances():
    law = FreeSum(Semicircle(0.5, 1), Semicircle(1.5))
    assert law.edges == pytest.approx((1 - math.sqrt(8), 1 + math.sqrt(8)), rel=1e-14)
    x = inside(*law.bands[0])
    assert worst(law, x, np.sqrt(8 - (x - 1) ** 2) / (4 * np.pi)) < 1e-12


@pytest.mark.parametrize("order", [2, 5, 30])
def test_powers_of_marchenko_pastur_are_fuss_catalan(order):
    # x = sin((p+1)φ)^(p+1) / (sin φ sin(pφ)^p), density sin²φ sin(pφ)^(p-1) / (π sin((p+1)φ)^p)
    law = FussCatalan(order)
    top = (order + 1.0) ** (order + 1) / float(order) ** order
    assert law.edges == pytest.approx((0, top), rel=1e-13)
    angle = np.linspace(0.02, 0.9, 60) * np.pi / (order + 1)
    one, p, more = np.sin(angle), np.sin(order * angle), np.sin((order + 1) * angle)
    x = more ** (order + 1) / (one * p**order)
    want = one**2 * p ** (order - 1) / (np.pi * more**order)
    assert np.allclose(law.pdf(x), want, rtol=1e-11, atol=0)


def test_a_power_of_a_thousand_has_its_edge_and_half_its_mass_out_of_reach_of_floats():
    law = MultiplicativePower(MarchenkoPastur(1), 1000)
    with mpmath.workdps(30):
        edge = float(mpmath.mpf(1001) ** 1001 / mpmath.mpf(1000) ** 1000)
    assert law.support[1] == pytest.approx(edge, rel=1e-13)
    assert moments_of(law, 2) == pytest.approx([1, 1, 1001], rel=1e-11)


def cauchy_of(atoms):
    return lambda w: mpmath.fsum(p / (w - a) for a, p in atoms)


def long_digits(join, first, second, x: float, guess) -> float:
    """Density at x by 30-digit Newton on the two equations of a join, from an approximate point."""
    one, two = cauchy_of(first), cauchy_of(second)
    with mpmath.workdps(30):
        x = mpmath.mpf(x)

        def equations(u, v):
            g, h = one(u), two(v)
            if join is FreeSum:
                return [g - h, u + v - 1 / g - x]
            return [u * g - v * h, u * v * (1 - 1 / (u * g)) - x]

        u, _v = mpmath.findroot(equations, guess)
        g = one(u) if join is FreeSum else u * one(u) / x
        return float(-mpmath.im(g) / mpmath.pi)


def pairs(law):
    return [(mpmath.mpf(a), mpmath.mpf(m)) for a, m in law.atoms]


@pytest.mark.parametrize("join", [FreeSum, FreeProduct])
def test_two_samples_of_fifty_against_long_digits(join):
    rng = np.random.default_rng(7)
    one, two = Empirical(rng.exponential(size=50)), Empirical(rng.exponential(size=50))
    law = join(one, two)
    assert sum(law.band_masses) == pytest.approx(1, abs=1e-12)
    for left, right in law.bands:
        for x in inside(left, right, 7):
            guess = [mpmath.mpc(w) for w in law.solution.subordination(np.array([x + 0j]))[0]]
            if join is FreeProduct and law.solution._machine.program.leaves[0] != one:
                guess.reverse()
            want = long_digits(join, pairs(one), pairs(two), x, guess)
            assert law.pdf(x) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    "law",
    [
        FreeSum(Atomic([-1, 1], [0.5, 0.5]), Atomic([0, 1, 7], [0.25, 0.25, 0.5])),
        FreeProduct(Atomic([0, 1, 2], [0.25, 0.25, 0.5]), Atomic([0, 1, 7], [0.25, 0.25, 0.5])),
        FreeProduct(Atomic([1, 2, 3], [0.25, 0.25, 0.5]), Atomic([-1, 1, 7], [0.25, 0.25, 0.5])),
        FreeProduct(FreeSum(Semicircle(1), PointMass(0.5)), MarchenkoPastur(1)),
        FreeSum(Uniform(0, 1), Uniform(0, 2)),
        CompoundFreePoisson(2, Atomic([1, 10], [0.5, 0.5])),
        Compressed(FreeSum(THREE, Uniform(-1, 0)), 0.5),
        FreeProduct(Inverse(MarchenkoPastur(0.5)), MarchenkoPastur(0.25)),
        FreeSum(Padded(MarchenkoPastur(0.5), 0.5), Atomic([0, 2, 5], [0.25, 0.25, 0.5])),
        Rectangular(FreeProduct(THREE, Uniform(1, 2)), 2, 1),
        FreePower(FreeProduct(Uniform(1, 2), THREE), 1.5),
        FreeSum(
            FreeProduct(FreeSum(Atomic([1, 2], [0.5, 0.5]), MarchenkoPastur(0.5)), Uniform(1, 3)),
            FreeProduct(Uniform(1, 2), Atomic([0, 1, 5], [0.25, 0.25, 0.5])),
        ),
    ],
)
def test_masses_balance_and_moments_are_the_exact_ones(law):
    assert law.accuracy.mass_defect < 1e-10
    assert sum(law.band_masses) + sum(m for _, m in law.atoms) == pytest.approx(1, abs=1e-12)
    want = [float(value) for value in tree_moments(law, 4)]
    got = moments_of(law, 4)
    scale = max(map(abs, law.support))
    for k in range(1, 5):
        assert abs(got[k] - want[k - 1]) < 1e-10 * scale**k


def test_the_distribution_function_is_the_integral_of_the_density():
    law = FreeSum(Atomic([-3, 0, 4], [0.25, 0.5, 0.25]), Uniform(0, 1))
    assert len(law.bands) == 3
    x, weights = law.solution.nodes()
    for at in np.linspace(*law.support, 9)[1:-1]:
        band = [b for b in law.bands if b[0] < at < b[1]]
        below = float(weights[x < (band[0][0] if band else at)].sum())
        if band:
            node, weight = np.polynomial.legendre.leggauss(60)
            half = 0.5 * math.pi * (node + 1)
            width = at - band[0][0]
            place = band[0][0] + width * np.sin(0.5 * half) ** 2
            below += float(0.25 * math.pi * width * (weight * np.sin(half)) @ law.pdf(place))
        assert law.cdf(at) == pytest.approx(below, abs=1e-9)


def test_the_transform_is_that_of_the_quadrature_and_real_in_gaps():
    law = FreeSum(Atomic([-9, 9], [0.25, 0.75]), Atomic([0, 1, 2], [0.25, 0.25, 0.5]))
    x, weights = law.solution.nodes()
    for z in (1 + 2j, -7 - 1j, 2.5 + 0j, -30 + 0j):
        want = complex(np.sum(weights / (z - x))) + sum(m / (z - a) for a, m in law.atoms)
        assert abs(law.cauchy(z) - want) < 1e-11
    assert law.cauchy(2.5).imag == 0


def test_subordination_solves_the_equations_of_the_sum():
    one, two = THREE, Uniform(-1, 2)
    law = FreeSum(one, two)
    z = np.array([0.3 + 1e-3j, 2 + 1j, -5 - 0.1j])
    u, v = law.solution.subordination(z).T
    assert np.allclose(one.cauchy(u), law.cauchy(z), rtol=1e-11)
    assert np.allclose(two.cauchy(v), law.cauchy(z), rtol=1e-11)
    assert np.allclose(u + v - 1 / law.cauchy(z), z, rtol=1e-11)
    assert (u.imag / z.imag >= 1 - 1e-9).all() and (v.imag / z.imag >= 1 - 1e-9).all()


def test_products_associate():
    a, b, c = THREE, Uniform(1, 2), Atomic([1, 4, 5], [0.5, 0.25, 0.25])
    one, two = FreeProduct(FreeProduct(a, b), c), FreeProduct(a, FreeProduct(c, b))
    assert one.edges == pytest.approx(two.edges, rel=1e-12)
    x = inside(*one.bands[-1])
    assert np.allclose(one.pdf(x), two.pdf(x), rtol=1e-11, atol=1e-13)


def test_singular_values_of_a_square_gaussian_matrix_are_a_semicircle():
    law = SingularValues(MarchenkoPastur(1))
    assert law.bands == (pytest.approx((-2, 2), abs=1e-13),)
    x = np.linspace(-1.99, 1.99, 101)
    assert np.allclose(law.pdf(x), np.sqrt(4 - x**2) / (2 * np.pi), rtol=1e-12)


def test_the_inverse_of_an_inverse_is_the_law():
    law, back = MarchenkoPastur(0.5), Inverse(Inverse(MarchenkoPastur(0.5)))
    x = inside(*law.bands[0])
    assert np.allclose(law.pdf(x), back.pdf(x), rtol=1e-12)
    assert np.allclose(law.cdf(x), back.cdf(x), rtol=0, atol=1e-12)


def test_a_cauchy_term_smooths_classically():
    law = FreeSum(Cauchy(2, 1), THREE)
    x = np.linspace(-20, 20, 41)
    want = sum(m * 2 / np.pi / ((x - 1 - a) ** 2 + 4) for a, m in THREE.atoms)
    assert np.allclose(law.pdf(x), want, rtol=1e-12)
    assert law.cdf(1e9) == pytest.approx(1, abs=1e-8)


def test_narrow_gaps_are_seen():
    # ±1 plus a semicircle of variance v has a gap if and only if v < 1
    for shortfall, count in ((1e-3, 2), (1e-5, 2), (-1e-3, 1)):
        law = FreeSum(Atomic([-1, 1], [0.5, 0.5]), Semicircle(1 - shortfall))
        assert len(law.bands) == count
        assert law.accuracy.mass_defect < 1e-10


def test_a_random_matrix_has_the_law():
    rng = np.random.default_rng(3)
    n = 600
    u, _ = np.linalg.qr(rng.normal(size=(n, n)))
    first = np.repeat([0.0, 1.0, 3.0], [n // 4, n // 4, n // 2])
    second = (np.arange(n) + 0.5) / n + 1.0
    root = np.sqrt(second)
    matrix = (root[:, None] * (u * first) @ u.T) * root
    law = FreeProduct(THREE, Uniform(1, 2))
    eigenvalues = np.linalg.eigvalsh(matrix)
    # fluctuations of a rigid spectrum are of order 1/n, times logarithms
    assert law.distance(eigenvalues, "wasserstein") < 10 / n * law.support[1]


def test_a_law_that_reaches_zero_is_not_inverted_inside_a_tree():
    with pytest.raises(ConvergenceError, match="0 is in a gap"):
        _ = FreeSum(Inverse(MarchenkoPastur(1)), THREE).bands


def test_arcsine_laws_are_leaves_by_their_construction():
    law = FreeSum(Arcsine(-1, 1), THREE)
    assert moments_of(law, 2) == pytest.approx([1, 1.75, 0.5 + 1.6875 + 1.75**2], rel=1e-12)
