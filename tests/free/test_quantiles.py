"""The quantile is the generalised inverse of the distribution function, to the last float."""

from fractions import Fraction

import numpy as np
import pytest
from scipy.integrate import quad
from scipy.stats import semicircular

from freefim import Atomic, MarchenkoPastur, Semicircle, Uniform
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

NETWORKS = {
    "beside a quasi-atom": Network(
        2, "erf", weight_std=[1.2233810934609999, 1.6624479350013337],
        input_second_moment=7.848162300696722,
    ),
    "mass at the bottom": Network(2, "erf", weight_std=40.0),
    "many bands": Network(6, "hard_tanh"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_quantile_is_the_smallest_float_that_reaches_p(name):
    law = ConditionalFIM(NETWORKS[name]).law()
    p = np.concatenate([[1e-9, 1e-3, 0.1915], np.linspace(0.02, 0.98, 25)])
    x = law.icdf(p)
    assert np.all(law.cdf(x) >= p)
    assert np.all(law.cdf(np.nextafter(x, -np.inf)) < p)


def _laws_with_atoms_in_bands(count):
    rng = np.random.default_rng(7)
    for _ in range(count):
        base = [Semicircle(1), Uniform(-1, 2), MarchenkoPastur(Fraction(1, 2)) + Fraction(-3, 2)]
        mass = Fraction(int(rng.integers(2, 8)), 10)
        padded = base[rng.integers(3)].pad(mass)
        dust = Atomic([0, 1, 2], [Fraction(1, 10), Fraction(4, 5), Fraction(1, 10)])
        yield [padded, dust + padded, Fraction(-3, 2) * padded + Fraction(1, 3)][rng.integers(3)]


@pytest.mark.parametrize("law", [*_laws_with_atoms_in_bands(12)])
def test_quantiles_of_laws_with_atoms_inside_their_bands(law):
    p = np.concatenate([np.linspace(0.003, 0.997, 41), [mass for _, mass in law.atoms]])
    x = law.icdf(p)
    assert np.all(law.cdf(x) >= p)
    assert np.all(law.cdf(np.nextafter(x, -np.inf)) < p)


def test_quantiles_beyond_an_atom_inside_a_band():
    law, half = Semicircle(1).pad(Fraction(1, 2)), semicircular(scale=2.0)
    p = np.array([0.05, 0.2, 0.76, 0.8, 0.9, 0.99])
    known = half.ppf(np.where(p < 0.5, 2.0 * p, 2.0 * p - 1.0))
    np.testing.assert_allclose(law.icdf(p), known, rtol=0.0, atol=1e-13)
    assert np.all(law.icdf([0.26, 0.5, 0.74]) == 0.0)
    assert np.unique(law.sample(200, rng=1)).size > 60


def test_distances_of_laws_with_atoms_inside_their_bands():
    first, second = (Semicircle(1).pad(Fraction(k, 4)) for k in (1, 3))
    # F = q S + (1 - q) [x >= 0] with S the semicircle: the difference is (S - [x >= 0]) / 2
    assert abs(first.distance(second, "ks") - 0.25) < 1e-13
    mean = quad(lambda x: x * semicircular.pdf(x, scale=2.0), 0.0, 2.0)[0]
    assert abs(first.distance(second) - mean) < 1e-9
