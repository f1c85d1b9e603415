"""One hidden orthogonal layer: the law is the explicit image of the normal law under the gate."""

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from scipy.integrate import quad

from freefim.free.chains.chain import Affine, Chain, Product
from freefim.free.joint.pushforward import PushforwardSolution
from freefim.free.joint.solve import solve_joint
from freefim.networks.activations import ELU, GELU, SiLU, Softplus
from freefim.networks.gates import gate_law

SLOPES = {
    GELU: lambda h: mp.ncdf(h) + h * mp.npdf(h),
    SiLU: lambda h: (1 + h * (1 - 1 / (1 + mp.exp(-h)))) / (1 + mp.exp(-h)),
    Softplus: lambda h: 1 / (1 + mp.exp(-h)),
    ELU: mp.exp,
}


def solution_of(activation, q):
    leaf = gate_law(activation(), q)
    return solve_joint(Chain(0.9, (Product(leaf), Affine(1.2, 0.3))))


@pytest.mark.parametrize("q", [0.05, 2.0])
@pytest.mark.parametrize("activation", SLOPES)
def test_mass_below_a_gate_value_is_counted_on_the_line(activation, q):
    """Many h on a grid, each with its normal mass: those whose gate is below count."""
    solution = solution_of(activation, q)
    assert isinstance(solution, PushforwardSolution)
    h = math.sqrt(q) * np.linspace(-8, 8, 160_001)
    mass = np.exp(-(h**2) / (2 * q))
    mass /= mass.sum()
    gate = np.array([float(SLOPES[activation](value)) ** 2 for value in h[::400]])
    gate = np.interp(h, h[::400], gate)
    if activation is ELU:
        gate[h > 0] = 1.0
    x = 0.3 + 1.08 * np.array([0.02, 0.1, 0.3, 0.6, 0.97])
    want = [mass[0.3 + 1.08 * gate <= at].sum() for at in x]
    assert np.allclose(solution.cdf(x), want, atol=5e-3)


@pytest.mark.parametrize("q", [0.05, 2.0])
@pytest.mark.parametrize("activation", SLOPES)
def test_density_is_that_of_the_preimages(activation, q):
    """At images of given h, with every other preimage found by mpmath on a fine sign scan."""
    solution = solution_of(activation, q)
    slope = SLOPES[activation]
    top = 0.0 if activation is ELU else 3.0
    places = [float(h) * math.sqrt(q) for h in (-2.3, -0.7, -0.1, 0.4, 1.9)]
    for h in (place for place in places if place < top):
        with mp.workdps(30):
            g = slope(mp.mpf(h)) ** 2
            grid = [mp.mpf(k) * mp.sqrt(q) / 40 for k in range(-360, 361)]
            if activation is ELU:
                grid = [at for at in grid if at <= 0]
            signs = [slope(at) ** 2 > g for at in grid]
            density = mp.mpf(0)
            for k, flips in enumerate(a != b for a, b in pairwise(signs)):
                if flips:
                    root = mp.findroot(
                        lambda t, g=g: slope(t) ** 2 - g, (grid[k], grid[k + 1]), solver="anderson"
                    )
                    rate = abs(mp.diff(lambda t: slope(t) ** 2, root))
                    density += mp.npdf(root, 0, mp.sqrt(q)) / rate
            x = float(mp.mpf("0.3") + mp.mpf("1.08") * g)
            want = float(density / mp.mpf("1.08"))
        feel = 1e-15 * x / max(x - 0.3, 1e-300)
        assert abs(solution.pdf(np.array([x]))[0] / want - 1) < 1e-10 + 10 * feel, h


@pytest.mark.parametrize("activation", SLOPES)
def test_bands_and_atoms_share_the_whole_mass(activation):
    solution = solution_of(activation, 0.7)
    atoms = sum(mass for _, mass in solution.atoms)
    x, weight = solution.nodes(3)
    assert abs(atoms + sum(solution.band_masses) - 1) < 1e-14
    assert abs(atoms + weight.sum() - 1) < 1e-12
    assert atoms == (pytest.approx(0.5, abs=1e-15) if activation is ELU else 0)
    mean = atoms * 1.38 + float(weight @ x)
    exact = activation().slope_second_moment(0.7)
    assert abs(mean / (0.3 + 1.08 * exact) - 1) < 1e-12


def test_density_integrates_to_the_distribution_function():
    solution = solution_of(SiLU, 0.7)
    low, high = 0.5, 0.62
    area, _ = quad(lambda x: solution.pdf(np.array([x]))[0], low, high, epsabs=1e-11, epsrel=1e-11)
    below = solution.cdf(np.array([low, high]))
    assert abs(area - (below[1] - below[0])) < 1e-9


def test_nan_in_nan_out_and_infinite_where_the_gate_turns():
    solution = solution_of(GELU, 2.0)
    top = solution.bands[-1][1]
    values = solution.pdf(np.array([np.nan, 0.2, top + 1e-3]))
    assert np.isnan(values[0])
    assert values[1] == values[2] == 0.0
    assert solution.pdf(np.array([top * (1 - 1e-12)]))[0] > 1e3
