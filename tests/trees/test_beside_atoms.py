"""Beside an atom, down to the last floats: density, distribution function, images of atoms."""

from fractions import Fraction

import numpy as np
import pytest

from freefim import Arcsine, Atomic, Empirical, MarchenkoPastur, Semicircle, Uniform

HALF = Fraction(1, 2)
SMALL = 10.0 ** -np.array([4, 8, 11, 12, 13, 14, 15, 16, 20, 60])


def _density(share, x):
    """MarchenkoPastur(1) @ Uniform(0, 1).pad(share) near 0, by its scalar fixed point.

    m(y) + 1 = 1 - q + q y ln(y / (y - 1)) of the padded law and x = y (1 + m(y)).
    """
    y = x / (1.0 - share) + 0j
    for _ in range(60):
        log = np.log(y / (1.0 - y)) - 1j * np.pi
        y = x / (1.0 - share + share * y * log)
    # Im y is of second order, and Im (y ln) keeps its digits
    return -share * (y * log).imag / (np.pi * x)


@pytest.mark.parametrize("share", [HALF, Fraction(1, 5), Fraction(3, 4)])
def test_a_finite_density_beside_an_atom_at_0(share):
    law = MarchenkoPastur(1) @ Uniform(0, 1).pad(share)
    known = _density(float(share), SMALL)
    np.testing.assert_allclose(law.pdf(SMALL), known, rtol=1e-10)
    below = law.cdf(SMALL) - float(1 - share)
    np.testing.assert_allclose(below, known * SMALL, rtol=1e-2, atol=1e-15)
    mirror = -2 * law
    np.testing.assert_allclose(mirror.pdf(-2.0 * SMALL), known / 2.0, rtol=1e-10)
    assert np.all(np.abs(mirror.cdf(-2.0 * SMALL) - float(share) + below) < 1e-15)


@pytest.mark.parametrize("ratio", [2, Fraction(5, 2), Fraction(6, 5)])
def test_the_density_of_rectangular_sums_settles_towards_their_atom(ratio):
    law = Uniform(0, 1).rectangular(ratio)
    density = law.pdf(SMALL)
    # leading order of z(G) at 0; the next one is z ln z
    limit = float(1 / (ratio * (ratio - Fraction(1))))
    np.testing.assert_allclose(density[4:], limit, rtol=1e-9)
    distribution = law.cdf(np.concatenate([[0.0], SMALL[::-1]]))
    assert np.all(np.diff(distribution) >= 0.0)
    mean = (distribution[-2] - distribution[0]) / SMALL[1]
    np.testing.assert_allclose(mean, (limit + density[1]) / 2.0, rtol=1e-6)


@pytest.mark.parametrize("scale", [Fraction(29, 10), Fraction(-29, 10)])
def test_atoms_carry_their_mass_through_rounded_maps(scale):
    law = scale * Empirical([0.158, 0.272, -0.967, 1.943, 0.441]).pad(Fraction(7, 20)) + 1.3
    places, masses = np.array(law.atoms).T
    sums = np.cumsum(masses)
    np.testing.assert_allclose(law.cdf(places), sums, atol=1e-15)
    np.testing.assert_allclose(law.cdf(np.nextafter(places, -np.inf)), sums - masses, atol=1e-15)
    np.testing.assert_array_equal(law.icdf(sums - masses / 2.0), places)


def test_edges_stay_edges_through_rounded_maps():
    for law in (Fraction(29, 10) * Arcsine(Fraction(1, 3), Fraction(7, 5)) + Fraction(13, 10),
                Arcsine(Fraction(1, 3), Fraction(7, 5)).inverse()):  # fmt: skip
        assert np.all(law.pdf(law.edges) == np.inf)
        np.testing.assert_array_equal(law.cdf(law.edges), [0.0, 1.0])


def test_singular_values_whose_squares_leave_the_floats():
    law = Uniform(-1, 1) @ Atomic([0, 1], [HALF, HALF])
    tiny = np.array([1e-100, 1.57e-162, 1e-200, 1e-300])
    np.testing.assert_allclose(law.cdf(-tiny), 0.25, rtol=1e-12)
    np.testing.assert_allclose(law.cdf(tiny), 0.75, rtol=1e-12)
    assert law.icdf(0.3) == 0.0


def test_a_hard_edge_at_an_atom():
    # z = (1 + m) / (m S) of the rectangular arcsine law is that of half a Marchenko-Pastur law
    law, known = Arcsine(0, 1).rectangular(2), MarchenkoPastur(1).pad(HALF)
    x = np.concatenate([SMALL, [0.01, 0.5, 1.0, 3.0, 3.999]])
    assert law.bands == known.bands
    np.testing.assert_allclose(law.pdf(x), np.sqrt((4.0 - x) / x) / (4.0 * np.pi), rtol=1e-12)
    np.testing.assert_allclose(law.cdf(x), known.cdf(x), rtol=0.0, atol=1e-13)


def test_a_narrow_peak_with_an_atom_inside():
    variance, ratio = Fraction(1, 5), Fraction(23, 20)
    law = Semicircle(variance).rectangular(ratio)
    mass = 1.0 - float(1 / ratio)
    x, weights = law.solution.nodes(1)
    assert law.atoms[0][0] == 0.0
    assert abs(law.atoms[0][1] - mass) < 1e-15
    assert abs(weights.sum() + mass - 1.0) < 1e-10
    assert abs(weights @ x**2 - float(law.moment(2))) < 1e-10
    np.testing.assert_allclose(law.pdf(-x), law.pdf(x), rtol=1e-9)
