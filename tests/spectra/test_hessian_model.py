"""The model Hessian: bands against the roots of its discriminant, to many digits."""

import mpmath
import pytest

from freefim.errors import ConvergenceError
from freefim.spectra.hessian_model import HessianModel


def end_points(ratio, energy):
    """Real critical values of z(G) = 1/G + 1/(1 - φG) + 2εG, ascending, to 60 digits."""
    with mpmath.workdps(60):
        phi, variance = mpmath.mpf(ratio), 2 * mpmath.mpf(energy)
        # z' = 0: 2ε G² (1 - φG)² + φ G² - (1 - φG)² = 0
        square = [phi**2, -2 * phi, 1]
        quartic = [variance * c for c in square] + [0, 0]
        quartic[2] += phi - phi**2
        quartic[3] += 2 * phi
        quartic[4] -= 1
        roots = mpmath.polyroots(quartic, maxsteps=500, extraprec=400)
        real = [g.real for g in roots if abs(g.imag) < mpmath.mpf(10) ** -40 * (1 + abs(g))]
        return sorted(1 / g + 1 / (1 - phi * g) + variance * g for g in real)


@pytest.mark.parametrize("gap", ["1e-1", "1e-3", "1e-5", "1e-6", "1e-9"])
def test_the_critical_energy_keeps_its_digits_near_ratio_one(gap):
    ratio = 1.0 - float(gap)
    with mpmath.workdps(60):
        phi = mpmath.mpf(ratio)
        wanted = (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** mpmath.mpf("1.5")) / 16
    assert HessianModel(ratio, 1).critical_energy == pytest.approx(float(wanted), rel=1e-14)


@pytest.mark.parametrize("ratio", [0.05, 0.5, 0.9])
def test_the_lowest_edge_is_zero_at_the_critical_energy(ratio):
    with mpmath.workdps(60):
        phi = mpmath.mpf(ratio)
        energy = (1 - 20 * phi - 8 * phi**2 + (1 + 8 * phi) ** mpmath.mpf("1.5")) / 16
    assert abs(end_points(ratio, energy)[0]) < 1e-15


@pytest.mark.parametrize("ratio", [0.25, 1, 1.5])
@pytest.mark.parametrize("energy", [1e-3, 0.1, 2.0])
def test_edges_are_critical_values(ratio, energy):
    assert HessianModel(ratio, energy).law().edges == pytest.approx(
        [float(x) for x in end_points(ratio, energy)], rel=1e-12, abs=1e-13
    )


def density(ratio, energy, x):
    """The density at x inside a band, from the one pair of complex roots of the cubic of G."""
    with mpmath.workdps(60):
        phi, variance, x = mpmath.mpf(ratio), 2 * mpmath.mpf(energy), mpmath.mpf(x)
        # (x - 2ε G) G (1 - φG) = 1 - φG + G
        cubic = [variance * phi, -(x * phi + variance), x - 1 + phi, -1]
        roots = mpmath.polyroots(cubic, maxsteps=500, extraprec=400)
        return float(max(root.imag for root in roots) / mpmath.pi)


@pytest.mark.parametrize(
    ("ratio", "energy"), [(1, 1e-11), (1, 1e-12), (1 - 1e-5, 1e-12), (1 + 1e-6, 1e-10), (1, 0.1)]
)
def test_one_band_with_a_high_density_at_zero(ratio, energy):
    law = HessianModel(ratio, energy).law()
    assert len(law.bands) == 1 == len(end_points(ratio, energy)) // 2
    left, right = law.bands[0]
    x = [0.9 * left, 0.5 * left, 0.0, -left, 1e-4, 0.5, 0.9 * right]
    assert law.pdf(x) == pytest.approx([density(ratio, energy, y) for y in x], rel=1e-6)


@pytest.mark.parametrize(
    ("ratio", "energy"), [(1, 1e-14), (1, 1e-20), (1, 1e-40), (1 + 1e-6, 1e-13)]
)
def test_a_band_that_floats_do_not_resolve_is_refused(ratio, energy):
    with pytest.raises(ConvergenceError) as caught:
        _ = HessianModel(ratio, energy).law().bands
    assert "\n" not in str(caught.value)
