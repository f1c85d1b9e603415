"""Laws at their limits: combs, cusps, inverses, factors that reach 0 or are signed, flat edges."""

from fractions import Fraction

import mpmath
import numpy as np
import pytest

import freefim as ff
from freefim.free.trees.moments import tree_moments

HALF = Fraction(1, 2)
COIN = ff.Atomic([-1, 1], [HALF, HALF])
THREE = ff.Atomic([-1, 0, 1], [Fraction(1, 4), HALF, Fraction(1, 4)])


def comb(depth, share):
    law = ff.PointMass(1)
    for _ in range(depth - 1):
        law = law @ ff.Atomic((0, 1), (1 - share, share)) + 1
    return law


def flat(x):
    return 20 * x**3 * (1 - x)


NETWORK = ff.ConditionalFIM(ff.Network(8, ff.HardTanh(2.2))).law()
LAWS = {
    "comb ⊞ semicircle": comb(5, Fraction(9, 10)) + ff.Semicircle(Fraction(1, 100)),
    "comb of 12": comb(12, Fraction(49, 50)),
    "network ⊞ semicircle": NETWORK + ff.Semicircle(Fraction(1, 100)),
    "network ⊠ MP": NETWORK @ ff.MarchenkoPastur(Fraction(1, 100)),
    "corner of a network": NETWORK.compress(0.5),
    "cusp": COIN + ff.Semicircle(1),
    "gap of 1e-9": COIN + ff.Semicircle(1 - 1e-6),
    "no gap by 1e-9": COIN + ff.Semicircle(1 + 1e-6),
    "inverse ⊞ semicircle": ff.Uniform(1, 2).inverse() + ff.Semicircle(1),
    "inverse ⊠ MP": ff.Uniform(1, 2).inverse() @ ff.MarchenkoPastur(0.5),
    "negative inverse": (-ff.Uniform(1, 2)).inverse() + ff.Semicircle(1),
    "uniform ⊠ uniform": ff.Uniform(0, 1) @ ff.Uniform(1, 3),
    "uniform²": ff.Uniform(0, 1) @ ff.Uniform(0, 1),
    "uniform³": ff.Uniform(0, 2).multiplicative_power(3),
    "arcsine²": ff.Arcsine(0, 2).multiplicative_power(2),
    "FC ⊠ MP": ff.FussCatalan(2) @ ff.MarchenkoPastur(0.5),
    "FC ⊠ uniform": ff.FussCatalan(2) @ ff.Uniform(1, 2),
    "MP(.99) ⊠ atoms": ff.MarchenkoPastur(0.99) @ ff.Atomic([1, 7], [0.5, 0.5]),
    "compound": ff.CompoundFreePoisson(0.5, ff.Uniform(0, 1)),
    "signed atoms ⊠ MP": ff.MarchenkoPastur(2) @ ff.Atomic([-1, 3], [0.5, 0.5]),
    "signed uniform ⊠ MP": ff.Uniform(-1, 3) @ ff.MarchenkoPastur(2),
    "symmetric atoms ⊠ MP": THREE @ ff.MarchenkoPastur(4),
    "symmetric atoms ⊞ 2": THREE.free_power(2),
    "symmetric uniform ⊠ atoms": ff.Uniform(-1, 1) @ ff.Atomic([1, 2], [0.5, 0.5]),
    "symmetric arcsine ⊠ uniform": ff.Arcsine(-1, 1) @ ff.Uniform(1, 2),
    "Kesten–McKay ⊠ MP": ff.KestenMcKay(3) @ ff.MarchenkoPastur(0.5),
    "flat edge ⊞ atoms": ff.Density(flat, (0, 1)) + ff.Atomic([0, 4], [0.3, 0.7]),
}


@pytest.mark.parametrize("name", LAWS)
def test_moments_are_those_of_power_series(name):
    """Six moments without solving anything, and masses that balance."""
    law = LAWS[name]
    x, weights = law.solution.nodes()
    places, masses = np.array(law.atoms).reshape(-1, 2).T
    x, weights = np.concatenate([x, places]), np.concatenate([weights, masses])
    for k, wanted in enumerate(tree_moments(law, 6), 1):
        assert abs(weights @ x**k - float(wanted)) < 1e-11 * (weights @ np.abs(x) ** k)
    assert sum(law.band_masses) + masses.sum() == pytest.approx(1, abs=1e-11)
    along = law.cdf(np.linspace(*law.support, 101))
    assert np.all(np.diff(along) >= -1e-13)


@pytest.mark.parametrize("variance", [1, 1 + 1e-6, 1 - 1e-6, 1 - 1e-10])
def test_the_cusp_of_two_points_is_the_root_of_a_cubic(variance):
    """With v the variance, v²g³ - 2vxg² + (x² - 1 + v)g - x = 0; |x|^(1/3) at v = 1."""
    law = COIN + ff.Semicircle(variance)
    for x in (1e-9, 1e-8, 1e-6, 1e-3, 0.1, 1, -1e-4):
        with mpmath.workdps(60):
            v, at = mpmath.mpf(variance), mpmath.mpf(x)
            roots = mpmath.polyroots([v * v, -2 * v * at, at * at - 1 + v, -at], 400,
                                     extraprec=400)  # fmt: skip
            want = float(max(mpmath.im(root) for root in roots) / mpmath.pi)
        assert law.pdf(x) == pytest.approx(want, rel=1e-7 if abs(x) < 1e-5 else 1e-11)
    if abs(variance - 1) < 1e-8:
        assert len(law.bands) == 1 and "cusp" in law.accuracy.remarks[0]
        assert law.pdf(0.0) == pytest.approx(0, abs=1e-4)
    else:
        assert len(law.bands) == (1 if variance > 1 else 2) and not law.accuracy.remarks


@pytest.mark.parametrize("depth", [5, 8])
def test_a_comb_of_random_projections(depth):
    """H ← P H P + 1 with random projections P: the eigenvalues of one matrix, teeth and all."""
    n, share = 600, Fraction(9, 10)
    rng, matrix = np.random.default_rng(depth), np.eye(600)
    for _ in range(depth - 1):
        turn, _ = np.linalg.qr(rng.normal(size=(n, n)))
        turned = turn.T @ matrix @ turn
        turned[round(n * share) :] = 0
        turned[:, round(n * share) :] = 0
        matrix = turned + np.eye(n)
    law = comb(depth, share)
    assert law.distance(np.linalg.eigvalsh(matrix), "wasserstein") < 10 / n * law.support[1]


def test_an_atom_inside_a_band():
    """A ⊠ MP(2) with A of both signs: half the eigenvalues are 0, others on both sides of it."""
    n = 600
    tall = np.random.default_rng(1).normal(size=(n, n // 2)) / (n // 2) ** 0.5
    signs = np.repeat([-1.0, 3.0], n // 2)
    law = ff.Atomic([-1, 3], [HALF, HALF]) @ ff.MarchenkoPastur(2)
    eigenvalues = np.append(np.linalg.eigvalsh((tall.T * signs) @ tall), np.zeros(n // 2))
    assert law.distance(eigenvalues, "wasserstein") < 10 / n * law.support[1]
    assert len(law.bands) == 1 and law.atoms == ((0.0, 0.5),)
    for x in (-1, -1e-3, -1e-6, 1e-9, 1e-5, 0.3):
        # w (1 + 2m) = x with m = -1/(2w + 2) + 3/(2w - 6), then 2G = 1/w + 1/x
        cubic = np.polysub([1, -2, -3, 0], [x, -2 * x, -3 * x])
        roots = np.roots(np.polyadd(cubic, [2, 6, 0]))
        w = roots[np.argmax(roots.imag)]
        assert law.pdf(x) == pytest.approx(-(0.5 / w).imag / np.pi, rel=1e-7)
    assert law.cdf(1e-9) - law.cdf(-1e-9) == pytest.approx(0.5, abs=1e-8)


def test_a_uniform_law_keeps_its_density_at_zero_under_a_free_factor():
    """A density f(0) at 0 stays finite and positive: no power of x in front of the product."""
    law = ff.Uniform(0, 1) @ ff.Uniform(1, 3)
    assert law.support[0] == 0.0
    near = law.pdf([1e-12, 1e-10, 1e-8])
    assert near == pytest.approx(np.full(3, near[0]), rel=1e-6)


def test_flat_edges_are_images_of_the_ends():
    """Beside x³ the transform is finite at the end, and the edges of a sum are F of it."""
    bump = ff.Density(flat, (0, 1))
    law = bump + ff.Atomic([0, 4], [0.3, 0.7])
    at_end = bump.cauchy(-1e-13)
    # G(0) = -20(1/3 - 1/4) = -5/3; the other point has .3/w + .7/(w - 4) = -5/3
    assert at_end == pytest.approx(-5 / 3, rel=1e-10)
    roots = np.roots([5 / 3, 1 - 20 / 3, -1.2])
    edges = sorted(float(w) - 1 / (-5 / 3) for w in roots)
    assert [band[0] for band in law.bands] == pytest.approx(edges, abs=1e-11)
