"""Leaves: moments, supports and transforms of the laws that a chain multiplies by."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from freefim.errors import ConvergenceError
from freefim.free.leaves.contour import contour_leaf
from freefim.free.leaves.leaf import Atomic, CosineSquared, GaussianBump, SechFourth, TwoPoint
from freefim.free.leaves.paths import End, Flat, Piece, Tail

VARIANCES = ("0.05", "0.3", "1", "3", "10", "40")
SMOOTH = {
    "tanh": SechFourth,
    "erf": lambda q: GaussianBump(q, 4 / np.pi),
    "sine": lambda q: CosineSquared(q, 1.0, 1.0),
}
GATES = {
    "tanh": lambda h: mp.sech(h) ** 4,
    "erf": lambda h: 4 / mp.pi * mp.exp(-2 * h * h),
    "sine": lambda h: mp.cos(h) ** 2,
}


@pytest.fixture(scope="module")
def certified():
    spec = spec_from_file_location("leaf_references", Path(__file__).parent / "leaf_references.py")
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.transform


def transform(leaf, w):
    """m and 1 + m by the compiled kernels."""
    from freefim.free.joint.kernels import leaf_values
    from freefim.free.joint.program import leaf_table

    values = leaf_values(np.array([w], dtype=complex), 0, *leaf_table((leaf,)))[0]
    return values[0], values[1]


@pytest.mark.parametrize("variance", VARIANCES)
@pytest.mark.parametrize("name", SMOOTH)
def test_moments_are_gaussian_averages_of_powers(name, variance):
    q, gate = mp.mpf(variance), GATES[name]
    step = mp.sqrt(q) / 2 if q < 4 else mp.mpf(1)
    ends = [k * step for k in range(int(mp.ceil(9 * mp.sqrt(q) / step)) + 1)]
    got = SMOOTH[name](float(variance)).moments(8)
    for order in (1, 2, 5, 8):
        with mp.workdps(20):
            want = 2 * mp.quad(lambda h, k=order: gate(h) ** k * mp.npdf(h, 0, mp.sqrt(q)), ends)
        assert got[order - 1] == pytest.approx(float(want), rel=1e-13)


@pytest.mark.parametrize(
    ("name", "variance"),
    [*((name, q) for name in ("tanh", "erf") for q in VARIANCES), ("sine", "0.3")],
)
def test_compiled_transforms_agree_with_ball_arithmetic_on_and_off_the_cut(
    name, variance, certified
):
    leaf = SMOOTH[name](float(variance))
    bottom = max(leaf.bottom_quantile(), 1e-20)
    cut = np.geomspace(bottom, 0.999 * leaf.maximum, 4)
    outside = [1.001 * leaf.maximum, 3 * leaf.maximum, -bottom, -2.0]
    above = [0.4 + 1e-6j, 0.02 + 0.3j]
    for w in [*cut, *outside, *above]:
        got, want = transform(leaf, w), certified(name, variance, w)
        assert got == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize("leaf", [SechFourth(0.7), GaussianBump(3.0, 1.2)])
def test_the_bottom_quantile_has_that_mass_below_it(leaf):
    rng = np.random.default_rng(5)
    h = rng.normal(0, np.sqrt(leaf.variance), 400_000)
    bump = 1 / np.cosh(h) ** 4 if isinstance(leaf, SechFourth) else np.exp(-2 * h**2)
    share = np.mean(leaf.amplitude * bump < leaf.bottom_quantile(0.01))
    assert abs(share - 0.01) < 4 * np.sqrt(0.01 * 0.99 / h.size)


@pytest.mark.parametrize("variance", [0.01, 1.0, 30.0])
def test_the_bottom_quantile_of_a_squared_cosine_is_its_square_root_law_at_0(variance):
    leaf = CosineSquared(variance, 1.0, 1.0)
    place = leaf.bottom_quantile(1e-4)
    h = np.linspace(-9, 9, 2_000_001) * np.sqrt(variance)
    density = np.exp(-(h**2) / (2 * variance))
    mass = density[np.cos(h) ** 2 < place].sum() / density.sum()
    assert mass == pytest.approx(1e-4, rel=0.05)


def test_gaps_lie_between_neighbouring_atoms():
    assert Atomic(np.array([0.0, 1.0, 3.0]), np.array([0.2, 0.3, 0.5])).gaps == (
        (0.0, 1.0),
        (1.0, 3.0),
    )
    assert TwoPoint(0.1, 1.0, 0.5, 0.5).gaps == ((0.1, 1.0),)
    assert TwoPoint(0.0, 1.0, 1.0, 0.0).gaps == ()


def test_the_bottom_quantile_skips_an_atom_at_0():
    assert TwoPoint(0.0, 2.0, 0.5, 0.5).bottom_quantile() == 2.0
    assert Atomic(np.array([0.0, 0.5, 1.0]), np.array([0.5, 0.25, 0.25])).bottom_quantile() == 0.5


def test_atoms_enter_the_kernels_as_they_are():
    leaf = Atomic(np.array([0.25, 1.0, 3.0]), np.array([0.5, 0.25, 0.25]))
    m, n = transform(leaf, 2.0 + 1.0j)
    want = sum(c * x / (2 + 1j - x) for x, c in leaf.atoms)
    assert m == pytest.approx(want, rel=1e-15)
    assert n == pytest.approx(1 + want, rel=1e-14)


def test_a_jump_of_the_slope_leaves_a_gap_and_a_constant_slope_an_atom():
    low = Piece(np.exp, Tail(2.0, limit=0.0), End(0.0, "kink"))
    leaf = contour_leaf([low, Flat(0.0, np.inf, 4.0)], 1.0)
    assert leaf.gaps == ((1.0, 4.0),)
    assert leaf.atoms == ((4.0, 0.5),)
    assert (leaf.minimum, leaf.maximum) == (0.0, 4.0)


def test_inside_a_gap_the_transform_is_real():
    low = Piece(np.exp, Tail(2.0, limit=0.0), End(0.0, "kink"))
    m, _ = transform(contour_leaf([low, Flat(0.0, np.inf, 4.0)], 1.0), 2.0)
    with mp.workdps(20):
        want = (
            mp.quad(lambda h: mp.exp(2 * h) / (2 - mp.exp(2 * h)) * mp.npdf(h), [-12, -4, -1, 0])
            + mp.mpf(4) / (2 - 4) / 2
        )
    assert m == pytest.approx(complex(want), rel=1e-11)


def test_a_piece_that_is_not_monotone_is_refused():
    whole = Piece(lambda h: 1 / np.cosh(h) ** 2, Tail(2.0), Tail(2.0))
    with pytest.raises(ConvergenceError, match="variance 1"):
        contour_leaf([whole], 1.0)
