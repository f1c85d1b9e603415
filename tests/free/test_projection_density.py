"""Density, distribution function and Cauchy transform of chains of projections."""

import mpmath
import numpy as np
import pytest

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.projection import gap_kernels
from freefim.free.projection import kernels as projection_kernels
from freefim.free.projection.solve import solve_projection


def scale(solution):
    """Largest absolute value of the support."""
    ends = [end for band in solution.bands for end in band]
    return max(map(abs, [*ends, *(location for location, _ in solution.atoms)]))


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1.0 - complement, complement))


MIXED = Chain(
    0.7,
    (
        gate(0.3, 1.2), Gaussian(1.5, 0.8), Affine(1.0, 0.2), gate(0.05), Padding(0.8),
        Affine(1.3, 0.4), gate(0.5), Corner(0.7), Affine(0.9, 0.1), gate(1e-7), Gaussian(0.6, 2.0),
    ),
)  # fmt: skip
COMB = Chain(1.0, (gate(0.05), Affine(1.0 / 0.95, 1.0)) * 7)
GAUSSIAN = Chain(1.0, (gate(0.5), Gaussian(1.0, 2.0), Affine(1.0, 1.0)) * 5)
CHAINS = {"mixed": MIXED, "comb": COMB, "gaussian": GAUSSIAN}


def inside(solution, fractions):
    bands = np.array(solution.bands)
    return (bands[:, :1] + (bands[:, 1:] - bands[:, :1]) * fractions).ravel()


def two_gates(x, b, high, scale, shift):
    """Density of a chain of two equal gates from 1, scaled and shifted: a quadratic equation."""
    g, y = scale * high, (x - shift) / (scale * high)
    a, c = g + shift, 1.0
    p2 = g * (1.0 - b) ** 2
    p1 = a + g * (1.0 - b) * c - b * g * c - y
    p0 = (a - y) * c
    t = (-p1 + 1j * np.sqrt(4.0 * p2 * p0 - p1 * p1)) / (2.0 * p2)
    v = c + (1.0 - b) * t
    z, f = g * v + shift, g * t * v / (c + t)
    f = g * f * (z - b * f) / z
    return -np.imag(1.0 / f) / np.pi


@pytest.mark.parametrize(("b", "high", "scale", "shift"), [(0.5, 1, 2, 1), (0.1, 1.3, 0.8, 0.4)])
def test_the_density_of_two_gates_solves_a_quadratic_equation(b, high, scale, shift):
    moves = (gate(b, high), Affine(scale, shift))
    solution = solve_projection(Chain(1.0, moves * 2))
    x = inside(solution, np.linspace(0.01, 0.99, 99))
    np.testing.assert_allclose(
        solution.pdf(x), two_gates(x, b, high, scale, shift), rtol=1e-12, atol=0
    )


def transforms(chain, w):
    """(z, G, dz/dw) after all moves in the textbook variables (z, m), to many digits."""
    z, dz = w, mpmath.mpf(1)
    m, dm = chain.start / (w - chain.start), -chain.start / (w - chain.start) ** 2
    for move in chain.moves:
        old, dold = z, dz
        match move:
            case Product(TwoPoint(_, high, _, b)):
                z = high * old * (1 - b + m) / (1 + m)
                dz = high * (dold * (1 - b + m) / (1 + m) + old * b * dm / (1 + m) ** 2)
            case Gaussian(ratio, variance):
                z = variance * old * (ratio + m)
                dz = variance * (dold * (ratio + m) + old * dm)
                m, dm = m / ratio, dm / ratio
            case Corner(a):
                g = (1 + m) / old
                dg = (dm - g * dold) / old
                z, dz = old - (1 - a) / g, dold + (1 - a) * dg / g**2
                m, dm = z * g / a - 1, (dz * g + z * dg) / a
            case Padding(a):
                m, dm = a * m, a * dm
            case Affine(scale, shift):
                g = (1 + m) / old
                dg = (dm - g * dold) / old
                z, dz = scale * old + shift, scale * dold
                m, dm = z * g / scale - 1, (dz * g + z * dg) / scale
    return z, (1 + m) / z, dz


def continued_density(chain, x):
    """Density at x by continuation from far above in short steps of Newton, 30 digits."""
    with mpmath.workdps(30):
        w = mpmath.mpc(0, 1e12)
        far = transforms(chain, w)[0] - x
        left, ratio = mpmath.mpf(1), mpmath.mpf("0.7")
        while left > 0:
            aim = left * ratio if left * ratio * abs(far) > 1e-12 else mpmath.mpf(0)
            trial = w
            for _ in range(30):
                z, _, dz = transforms(chain, trial)
                step = (x + aim * far - z) / dz
                trial += step
                if abs(step) < 1e-24 * abs(trial) or abs(trial - w) > 0.5 * w.imag:
                    break
            if abs(trial - w) <= 0.5 * w.imag and trial.imag > 0:
                w, left = trial, aim
                ratio = max(ratio**2, mpmath.mpf("0.6"))
            else:
                ratio = mpmath.sqrt(ratio)
        return float(-transforms(chain, w)[1].imag / mpmath.pi)


@pytest.mark.parametrize("name", CHAINS)
def test_the_density_agrees_with_continuation_to_thirty_digits(name):
    solution = solve_projection(CHAINS[name])
    x = inside(solution, np.array([0.013, 0.4, 0.91]))[:6]
    want = [continued_density(CHAINS[name], mpmath.mpf(float(point))) for point in x]
    np.testing.assert_allclose(solution.pdf(x), want, rtol=1e-12)


@pytest.mark.parametrize("name", CHAINS)
def test_the_distribution_function_is_the_integral_of_the_density(name):
    solution = solve_projection(CHAINS[name])
    nodes, weights = np.polynomial.legendre.leggauss(40)
    for left, right in solution.bands:
        a, b = left + 0.2 * (right - left), left + 0.7 * (right - left)
        x = 0.5 * (a + b) + 0.5 * (b - a) * nodes
        integral = 0.5 * (b - a) * np.sum(weights * solution.pdf(x))
        low, high = solution.cdf(np.array([a, b]))
        atoms = sum(mass for location, mass in solution.atoms if a < location <= b)
        assert high - low - atoms == pytest.approx(integral, abs=1e-12)


@pytest.mark.parametrize("name", CHAINS)
def test_the_cauchy_transform_is_that_of_the_nodes_and_atoms(name):
    solution = solve_projection(CHAINS[name])
    nodes, weights = solution.nodes()
    top = scale(solution)
    ends = np.array([-top, *np.ravel(solution.bands), 2 * top])
    gaps = np.concatenate([ends[::2] + (ends[1::2] - ends[::2]) * u for u in (0.41, 0.53)])
    z = np.concatenate([gaps, np.array([0.3, 0.7, -1]) * top + 1j * top, [top * (0.2 - 0.5j)]])
    want = np.sum(weights / (z[:, None] - nodes), axis=1)
    for location, mass in solution.atoms:
        want = want + mass / (z - location)
    np.testing.assert_allclose(solution.cauchy(z), want, rtol=1e-9)


@pytest.mark.parametrize("name", CHAINS)
def test_the_cauchy_transform_maps_the_upper_half_plane_down_and_falls_as_one_over_z(name):
    solution = solve_projection(CHAINS[name])
    x = np.linspace(-1.0, 2.0, 40) * scale(solution)
    for height in (1e-9, 1e-3, 1.0):
        assert np.all(solution.cauchy(x + 1j * height).imag < 0.0)
    far = scale(solution) * np.array([1e8, -1e8, 1e8j])
    np.testing.assert_allclose(far * solution.cauchy(far), 1.0, rtol=1e-7)


def test_the_cauchy_transform_comes_down_to_the_density_and_is_infinite_at_atoms():
    solution = solve_projection(COMB)
    x = inside(solution, np.array([0.3, 0.6]))
    limit = -solution.cauchy(x + 1e-13j).imag / np.pi
    np.testing.assert_allclose(limit, solution.pdf(x), rtol=1e-6)
    locations = np.array([location for location, _ in solution.atoms], dtype=complex)
    assert np.all(np.isinf(solution.cauchy(locations)))


def test_compiled_kernels_do_what_their_python_does():
    solution = solve_projection(Chain(MIXED.start, MIXED.moves[:7]))
    ops, par, start = solution._curve
    last = len(ops) - 1
    cuts = gap_kernels.find_cuts(ops, par, start, last, True)
    plain = gap_kernels.find_cuts.py_func(ops, par, start, last, True)
    np.testing.assert_array_equal(cuts, plain)
    for one, other in zip(
        gap_kernels.find_gaps(ops, par, start, cuts),
        gap_kernels.find_gaps.py_func(ops, par, start, cuts),
        strict=True,
    ):
        np.testing.assert_array_equal(one, other)
    edges = solution._edges.ravel()
    slopes = gap_kernels.edge_slopes(ops, par, start, edges)
    np.testing.assert_array_equal(
        projection_kernels.describe_edges(ops, par, start, edges, slopes),
        projection_kernels.describe_edges.py_func(ops, par, start, edges, slopes),
    )
    x = np.linspace(-2.0, -0.5, 5)
    bands = solution._edges, np.array(solution.bands)
    np.testing.assert_array_equal(
        gap_kernels.gap_values(ops, par, start, *bands, x),
        gap_kernels.gap_values.py_func(ops, par, start, *bands, x),
    )
    t = np.array([0.3 + 1j, -2.0 + 0.1j])
    compiled = projection_kernels.curve(ops, par, start, t)
    plain = projection_kernels.curve.py_func(ops, par, start, t)
    for one, other in zip(compiled, plain, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-14)
