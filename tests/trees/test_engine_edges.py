"""Down to the last float before an edge: densities are powers there, masses their integrals."""

import numpy as np
import pytest

import freefim as ff

HARD = {
    "MP(1) ⊠ MP(1/2)": ff.MarchenkoPastur(1) @ ff.MarchenkoPastur(0.5),
    "MP(1/2)² ⊠ MP(1)": ff.MarchenkoPastur(0.5).multiplicative_power(2) @ ff.MarchenkoPastur(1),
    "MP(1) ⊠ uniform": ff.MarchenkoPastur(1) @ ff.Uniform(1, 2),
}


@pytest.mark.parametrize("name", HARD)
def test_a_square_gaussian_makes_an_inverse_root_at_zero(name):
    """With ρ √x → c the mass below x tends to 2 c √x, and the quantile of p to (p/2c)²."""
    law = HARD[name]
    x = 10.0 ** -np.arange(8, 60, 4)
    c = law.pdf(1e-9) * 1e-9**0.5
    np.testing.assert_allclose(law.pdf(x) * np.sqrt(x), c, rtol=1e-6)
    seen = x[x > 1e-24]
    np.testing.assert_allclose(law.cdf(seen), 2 * c * np.sqrt(seen), rtol=1e-5, atol=4e-16)
    assert np.all(np.diff(law.cdf(x)) <= 0)
    assert law.icdf(1e-7) == pytest.approx((1e-7 / (2 * c)) ** 2, rel=1e-5)


def test_marchenko_pastur_is_its_closed_form_at_any_distance_from_zero():
    law = ff.MarchenkoPastur(1)
    x = 10.0 ** -np.arange(1, 300, 7)
    np.testing.assert_allclose(law.pdf(x), np.sqrt((4 - x) / x) / (2 * np.pi), rtol=1e-9)


def test_a_symmetric_product_has_its_median_in_the_middle():
    """Semicircle ⊠ MP(1/2): symmetric, 2/π at 0."""
    law = ff.Semicircle(1) @ ff.MarchenkoPastur(0.5)
    low, high = law.icdf([0.1, 0.9])
    assert low == pytest.approx(-high, rel=1e-9)
    assert low < -1
    assert law.cdf(0.0) == pytest.approx(0.5, abs=1e-9)
    np.testing.assert_allclose(law.cdf([-1e-12, 1e-12]), 0.5, atol=1e-9)
    assert law.pdf(0.0) == pytest.approx(2 / np.pi, rel=1e-6)


def test_the_last_float_before_a_soft_edge_has_a_density():
    rng = np.random.default_rng(5)
    law = ff.Empirical(rng.normal(size=20)) + ff.Empirical(rng.exponential(size=20))
    for left, right in law.bands:
        inside = np.array(
            [np.nextafter(left, right), 0.5 * (left + right), np.nextafter(right, left)]
        )
        values = law.pdf(inside)
        assert values[0] < 1e-3 * values[1]
        assert values[2] < 1e-3 * values[1]


def test_the_transform_at_zero_is_the_negative_mean_of_the_inverse():
    """G(0) = -E 1/x, which is -1/(1 - c) for Marchenko–Pastur of ratio c < 1."""
    law = ff.MarchenkoPastur(0.3)
    z = np.array([0.0, -1e-20, 1e-31j, -9e-31 - 1e-40j])
    np.testing.assert_allclose(law.cauchy(z), -1 / 0.7, rtol=1e-13)
    assert law.inverse().mean() == pytest.approx(1 / 0.7, rel=1e-9)


def test_the_density_is_infinite_at_hard_edges_and_zero_at_soft_ones():
    for law in (ff.MarchenkoPastur(1), *HARD.values(), ff.FussCatalan(3)):
        low, high = law.bands[0]
        np.testing.assert_array_equal(law.pdf([low, high]), [np.inf, 0.0])
    narrow = ff.MarchenkoPastur(0.25)
    np.testing.assert_array_equal(narrow.pdf(narrow.bands[0]), [0.0, 0.0])
