"""Products without shifts: one formula for the curve, against roots of polynomials by mpmath."""

import mpmath
import numpy as np
import pytest
from scipy.optimize import brentq

import freefim as ff
from freefim.free.chains.chain import Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.powers.curve import chain_curve
from freefim.free.powers.solution import solve_power


def relu_jacobian(depth, weights="gaussian"):
    net = ff.Network(depth, "relu", weights=weights, weight_std=2**0.5, final_activation="relu")
    return ff.Jacobian(net).law()


def gate(mass):
    return Product(TwoPoint(0.0, 1.0, mass, 1.0 - mass))


def physical_density(coefficients, moment, x):
    """Density at x by the root u of the polynomial next below the positive real axis."""
    roots = mpmath.polyroots(coefficients, maxsteps=500, extraprec=300)
    root = max((u for u in roots if u.imag < -(mpmath.mpf(10) ** -25)), key=mpmath.arg)
    return float(-moment(root).imag / (mpmath.pi * x))


@pytest.mark.parametrize("depth", [5, 20])
def test_the_density_of_relu_jacobians_by_the_roots_of_their_polynomial(depth):
    """With u = 1 + 2m: (1 + u) u^d = x (u - 1), 40 digits."""
    law = relu_jacobian(depth)
    places = law.support[1] * np.array([1e-9, 1e-4, 0.01, 0.1, 0.37, 0.5, 0.7, 0.9, 0.99])
    with mpmath.workdps(40):
        want = [
            physical_density(
                [1, 1] + [0] * (depth - 2) + [-mpmath.mpf(x), mpmath.mpf(x)],
                lambda u: (u - 1) / 2,
                x,
            )
            for x in places.tolist()
        ]
    np.testing.assert_allclose(law.pdf(places), want, rtol=1e-12)


@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("depth", [5, 20, 200])
def test_the_density_of_relu_jacobians_along_rays(depth, weights):
    """At 200 places, 40 digits: every ray v = e^(a - iψ) holds one point of real z.

    Gaussian matrices: v = 1 + 2m, z = v^d (1 + m)/m. Orthogonal ones: v = (1 + 2m)/(1 + m),
    z = v^d (1 + m)/m. The place is moved to the next float by the slope of log z.
    """
    law = relu_jacobian(depth, weights)
    gaussian = weights == "gaussian"
    places, want = [], []
    with mpmath.workdps(40):
        # the square of the float sqrt(2) is a rounding above 2
        scale = (mpmath.mpf((2**0.5) ** 2) / 2) ** depth
        for share in np.linspace(0.004, 0.996, 200).tolist():
            v = _on_ray(depth, gaussian, mpmath.pi / depth * share)
            z = scale * v**depth * (v + 1 if gaussian else 1) / (v - 1)
            assert abs(z.imag) < 1e-33 * abs(z)
            x = float(z.real)
            slope = depth / v + (1 / (v + 1) if gaussian else 0) - 1 / (v - 1)
            v += mpmath.log(mpmath.mpf(x) / z.real) / slope
            m = (v - 1) / (2 if gaussian else 2 - v)
            places.append(x)
            want.append(float(-m.imag / (mpmath.pi * mpmath.mpf(x))))
    # beside the upper edge the place itself has its rounding as a share of the distance
    slack = 2e-13 + 4e-16 / (1 - np.array(places) / law.support[1])
    assert (np.abs(law.pdf(places) / np.array(want) - 1) < slack).all()
    assert min(places) < 1e-8 * max(places)


def _on_ray(depth, gaussian, angle):
    """The v of argument -angle at which z is real."""
    turn = mpmath.expj(-angle)

    def excess(a):
        v = mpmath.exp(a) * turn
        return -mpmath.arg(v - 1) - depth * angle + (mpmath.arg(v + 1) if gaussian else 0)

    def rough(a):
        v = np.exp(a - 1j * float(angle))
        return -np.angle(v - 1) - depth * float(angle) + (np.angle(v + 1) if gaussian else 0)

    start = brentq(rough, -600 / depth, 10.0, xtol=1e-14)
    a = mpmath.findroot(excess, (start, start + 1e-12), tol=1e-74, verify=False)
    return mpmath.exp(a) * turn


@pytest.mark.parametrize(("depth", "edge"), [(5, "27.272773395342544"), (20, "108.75391511474348")])
def test_edges_of_relu_jacobians(depth, edge):
    """2d m² + (2d - 2) m = 1 at the upper edge, at 40 digits."""
    with mpmath.workdps(40):
        m = (1 - depth + mpmath.sqrt((depth - 1) ** 2 + 2 * depth)) / (2 * depth)
        want = (1 + m) * (1 + 2 * m) ** depth / m
        assert abs(want - mpmath.mpf(edge)) < 2e-13 * want
        # sqrt(2) squared is 2 and a rounding, to the power of the depth
        assert abs(relu_jacobian(depth).support[1] / want - 1) < 3e-16 * depth


CHAINS = {
    "gaussian, three widths": (gate(0.5), gate(0.9), Gaussian(0.001, 1.0)),
    "corner and padding": (gate(0.5), Padding(0.6), gate(0.7), Gaussian(0.8, 2.0), Corner(0.5)),
    "two bands": (gate(0.99), Padding(0.9), gate(0.99), Padding(0.9), gate(0.995)),
    "orthogonal, three widths": (Padding(0.5), gate(0.6), Padding(0.7), gate(0.7), Corner(0.8)),
    "an edge of mass 0": (gate(0.5), gate(0.5)),
}


@pytest.mark.parametrize("name", CHAINS)
def test_chains_without_shifts_are_their_continuation(name):
    """Continuation at 30 digits, move by move, from far above."""
    law = ChainLaw(Chain(1.0, CHAINS[name]))
    for left, right in law.bands:
        x = left + (right - left) * np.array([0.03, 0.4, 0.95])
        want = [float(value) for value in law.pdf(x, digits=30)]
        np.testing.assert_allclose(law.pdf(x), want, rtol=1e-12)
    masses = [mass for _, mass in law.atoms]
    assert sum(masses) + sum(law.band_masses) == pytest.approx(1.0, abs=1e-14)
    assert law.accuracy.mass_defect < 1e-12


def test_two_bands_are_found():
    law = ChainLaw(Chain(1.0, CHAINS["two bands"]))
    assert len(law.bands) == 2
    z = np.array([0.1655 + 0.0j, 0.1655 + 1e-3j, 0.1 + 0.1j, 0.5 + 0.0j, -1.0 + 0.0j])
    x, weights = law.solution.nodes(4)
    places, masses = np.array(law.atoms).T
    want = (weights / (z[:, None] - x)).sum(1) + (masses / (z[:, None] - places)).sum(1)
    np.testing.assert_allclose(law.cauchy(z), want, rtol=1e-10)


def test_projections_free_of_each_other():
    """P ⊠ P of trace 1/2 is half of the arcsine law on [0, 1]."""
    x = np.linspace(0, 1, 101)[1:-1]
    law = ChainLaw(Chain(1.0, (gate(0.5), gate(0.5))))
    np.testing.assert_allclose(law.pdf(x), 0.5 / (np.pi * np.sqrt(x * (1 - x))), rtol=1e-13)
    assert np.isinf(law.pdf([0.0, 1.0])).all()
    np.testing.assert_allclose(law.cdf(x), 0.5 + np.arcsin(np.sqrt(x)) / np.pi, rtol=1e-14)


def test_the_order_of_factors_is_of_no_account():
    moves = (gate(0.3), Gaussian(1.0, 2.0), gate(0.7), gate(0.3), Gaussian(1.0, 0.5))
    one = solve_power(chain_curve(Chain(1.0, moves)))
    two = solve_power(chain_curve(Chain(1.0, moves[::-1])))
    assert one.bands == two.bands
    assert chain_curve(Chain(1.0, moves)).terms() == chain_curve(Chain(1.0, moves[::-1])).terms()


@pytest.mark.parametrize(("depth", "cutoff"), [(200, 2.5), (1000, 3.5)])
def test_deep_hard_tanh_jacobians_balance(depth, cutoff):
    """A gate of its own in every layer: mass at 1 is what no layer cuts off."""
    net = ff.Network(depth, ff.HardTanh(cutoff))
    law = ff.Jacobian(net).law()
    order = net.order_parameters()
    cut = sum(
        1 - phi.slope_second_moment(q)
        for phi, q in zip(net.activations, order.preactivation_variances, strict=False)
    )
    assert law.atoms[-1] == (1.0, pytest.approx(1 - cut, rel=1e-12))
    assert law.accuracy.mass_defect < 1e-12
    assert law.expect(lambda x: x) == pytest.approx(float(np.prod(order.chi1)), rel=1e-12)


def test_powers_beyond_floats_keep_their_range():
    """Scale 2^3000 and masses 2^-3000 meet: the edge of 3,000 layers is a root still."""
    depth = 3000
    m = (1 - depth + ((depth - 1) ** 2 + 2 * depth) ** 0.5) / (2 * depth)
    top = (1 + m) * np.exp(depth * np.log1p(2 * m)) / m
    assert relu_jacobian(depth).support[1] == pytest.approx(top, rel=1e-11)
