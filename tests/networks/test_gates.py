"""Gates: the law of φ'(h)² of every activation, as a leaf."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest
from scipy.optimize import brentq
from scipy.special import expit, ndtr

from freefim.errors import ConvergenceError, SpecError
from freefim.free.leaves.leaf import Atomic, CosineSquared, GaussianBump, SechFourth, TwoPoint
from freefim.networks.activations import (
    ELU,
    GELU,
    Abs,
    CustomActivation,
    Erf,
    HardTanh,
    LeakyReLU,
    Linear,
    ReLU,
    ShiftedReLU,
    SiLU,
    Sine,
    Softplus,
    Tanh,
)
from freefim.networks.gates import gate_law, realised_gate

CONTOURS = {"gelu": GELU(), "silu": SiLU(), "elu": ELU(), "softplus": Softplus()}
EVERY = [
    *(Linear(), Abs(), ReLU(), LeakyReLU(0.3), ShiftedReLU(0.5), HardTanh(0.8, 1.1)),
    *(Tanh(), Erf(0.8), Sine(1.7), GELU(), SiLU(), ELU(), Softplus()),
]
VARIANCES = (0.02, 0.3, 1.0, 3.0, 10.0, 40.0, 60.0)


def custom(derivative, kinks=()):
    grid = np.linspace(-20.0, 20.0, 400_001)
    slopes = np.broadcast_to(derivative(grid), grid.shape)
    integral = np.concatenate([[0.0], np.cumsum((slopes[1:] + slopes[:-1]) / 2 * np.diff(grid))])
    return CustomActivation(lambda h: np.interp(h, grid, integral), derivative, kinks)


CUSTOM = {
    "tanh": custom(lambda h: 1 / np.cosh(h) ** 2),
    "silu": custom(lambda h: expit(h) * (1 + h * expit(-h))),
    "gelu": custom(lambda h: ndtr(h) + h * np.exp(-h * h / 2) / np.sqrt(2 * np.pi)),
    "softplus": custom(expit),
    "elu": custom(lambda h: np.exp(np.minimum(h, 0)), (0.0,)),
}


@pytest.fixture(scope="module")
def certified():
    path = Path(__file__).parents[1] / "free" / "leaf_references.py"
    spec = spec_from_file_location("leaf_references", path)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return module.transform


def transform(leaf, w):
    """m and 1 + m as the sums that `Leaf.kernel_data` promises."""
    code, _, nodes, weights = leaf.kernel_data()
    assert code == leaf.CONTOUR
    poles = weights / (w - nodes)
    return (poles * nodes).sum(), w * poles.sum()


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("activation", EVERY, ids=lambda a: a.name)
def test_the_first_two_moments_of_the_gate_are_those_of_the_activation(activation, q):
    first, second = gate_law(activation, q).moments(2)
    assert first == pytest.approx(activation.slope_second_moment(q), rel=1e-12)
    assert second == pytest.approx(activation.slope_fourth_moment(q), rel=1e-12)


@pytest.mark.parametrize("q", ["0.05", "0.3", "1", "3", "10", "40"])
@pytest.mark.parametrize("name", CONTOURS)
def test_transforms_agree_with_ball_arithmetic_in_the_bulk(name, q, certified):
    leaf = gate_law(CONTOURS[name], float(q))
    cut = [0.02, 0.3, 0.6, 0.95]
    away = [-1e-3, -2.0, 1.1 * leaf.maximum, 4.0, 0.4 + 1e-4j, 1.02 + 0.1j]
    for w in cut + away:
        assert transform(leaf, w) == pytest.approx(certified(name, q, w), rel=1e-9)


@pytest.mark.parametrize("q", ["0.05", "1", "40"])
@pytest.mark.parametrize("name", CONTOURS)
def test_transforms_agree_with_ball_arithmetic_in_the_tails(name, q, certified):
    leaf = gate_law(CONTOURS[name], float(q))
    bottom = max(leaf.bottom_quantile(), 1e-20)
    tops = [leaf.maximum * (1 - 1e-6), 1 - 1e-6, 1 + 1e-6]
    for w in [*np.geomspace(bottom, 1e-4, 3), *tops]:
        assert transform(leaf, w) == pytest.approx(certified(name, q, w), rel=1e-7)


@pytest.mark.parametrize("activation", [GELU(), SiLU()], ids=lambda a: a.name)
def test_transforms_hold_next_to_the_inner_maximum(activation, certified):
    # φ' has its minimum below 0, where g has a local maximum inside the support
    h = np.linspace(-4, -1, 300_001)
    inner = (activation.derivative(h).min()) ** 2
    leaf = gate_law(activation, 1.0)
    for w in inner * (1 + np.array([-1e-3, -1e-6, 1e-6, 1e-3])):
        want = certified(activation.name, "1", float(w))
        assert transform(leaf, w) == pytest.approx(want, rel=1e-7)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", CONTOURS)
def test_the_density_of_the_gate_is_the_push_forward_of_the_normal_density(name, q):
    """Im m = -π w Σ p(h)/|g'(h)| over the preimages of w, found on a grid of the real line."""
    activation = CONTOURS[name]
    leaf = gate_law(activation, q)
    grid = np.linspace(-9, 9, 3001) * np.sqrt(q)

    def gate(h):
        return activation.derivative(h) ** 2

    for w in (0.1, 0.35, 0.8):
        want = 0.0
        for k in np.flatnonzero((gate(grid[1:]) - w) * (gate(grid[:-1]) - w) < 0):
            h = brentq(lambda h, w=w: float(gate(h) - w), grid[k], grid[k + 1], xtol=1e-14)
            slope = (gate(h + 1e-5) - gate(h - 1e-5)) / 2e-5
            want -= np.pi * w * np.exp(-h * h / (2 * q)) / np.sqrt(2 * np.pi * q) / abs(slope)
        assert transform(leaf, w)[0].imag == pytest.approx(want, rel=1e-7, abs=1e-10)


@pytest.mark.parametrize("q", VARIANCES)
@pytest.mark.parametrize("name", CONTOURS)
def test_nodes_lie_below_the_axis_and_are_few(name, q):
    leaf = gate_law(CONTOURS[name], q)
    nodes, weights = leaf.kernel_data()[2:]
    assert nodes.imag.max() <= 0
    assert nodes.size < 900
    assert abs(weights.sum() - 1) < 1e-10


def test_flat_ends_of_tails_are_lumps_not_atoms():
    leaf = gate_law(GELU(), 40.0)
    assert leaf.atoms == ()
    (zero, low), (one, high) = leaf.lumps
    assert (zero, one) == (0.0, 1.0)
    # φ' differs from its limits by 1e-15 at h = -8.2 and by 1e-17 at h = 8.9
    assert ndtr(-8.9 / np.sqrt(40)) < low < ndtr(-7.5 / np.sqrt(40))
    assert ndtr(-9.5 / np.sqrt(40)) < high < ndtr(-8.0 / np.sqrt(40))


def test_elu_has_half_of_its_mass_at_1():
    assert gate_law(ELU(), 2.0).atoms == ((1.0, 0.5),)


@pytest.mark.parametrize("q", [0.02, 1.0])
@pytest.mark.parametrize("activation", [Softplus(), GELU(), SiLU(), ELU()])
def test_the_top_is_the_supremum_of_the_gate_however_far(activation, q):
    leaf = gate_law(activation, q)
    h = np.linspace(-40, 40, 100_001)
    assert leaf.maximum == pytest.approx((activation.derivative(h) ** 2).max(), rel=1e-6)


@pytest.mark.parametrize("q", ["0.05", "1", "10"])
@pytest.mark.parametrize("name", CUSTOM)
def test_a_derivative_known_on_the_real_line_gives_the_same_transform(name, q, certified):
    leaf = gate_law(CUSTOM[name], float(q))
    for w in (1e-3, 0.1, 0.5, 0.9, 1.4, -0.1, 0.5 + 0.3j):
        assert transform(leaf, w) == pytest.approx(certified(name, q, w), rel=1e-8)


def test_custom_slopes_that_jump_leave_a_gap():
    step = custom(lambda h: np.where(h > 0, 2 + np.tanh(h), np.exp(np.minimum(h, 0)) / 2), (0.0,))
    ((low, high),) = gate_law(step, 1.0).gaps
    assert (low, high) == pytest.approx((0.25, 4.0), rel=1e-9)


def test_custom_piecewise_linear_activations_have_finite_gates():
    assert gate_law(custom(lambda h: np.where(h > 0, 1.0, 0.0), (0.0,)), 1.0) == TwoPoint(
        0.0, 1.0, 0.5, 0.5
    )
    three = gate_law(custom(lambda h: np.sign(h - 1) + np.sign(h + 1) + 3, (-1.0, 1.0)), 1.0)
    assert isinstance(three, Atomic)
    assert three.weights == pytest.approx([ndtr(-1), ndtr(1) - ndtr(-1), ndtr(-1)], rel=1e-12)


def test_an_undeclared_kink_is_reported():
    with pytest.raises(ConvergenceError, match="kink missing"):
        gate_law(custom(lambda h: np.maximum(h, 0.3)), 1.0)


@pytest.mark.parametrize(
    ("activation", "leaf"),
    [
        (Tanh(), SechFourth(2.0)),
        (Erf(0.5), GaussianBump(0.5, 1 / np.pi)),
        (Sine(3.0), CosineSquared(2.0, 3.0, 9.0)),
        (ReLU(), TwoPoint(0.0, 1.0, 0.5, 0.5)),
    ],
)
def test_closed_forms_are_recognised(activation, leaf):
    assert gate_law(activation, 2.0) == leaf


@pytest.mark.parametrize("q", [0.0, -1.0, np.inf, np.nan])
def test_a_variance_that_is_not_positive_is_refused(q):
    with pytest.raises(SpecError, match="variance q"):
        gate_law(GELU(), q)


def test_realised_gates_count_their_values():
    leaf = realised_gate([0.5, 2.0, 0.5, 1.0])
    assert isinstance(leaf, Atomic)
    assert leaf.atoms == ((0.5, 0.5), (1.0, 0.25), (2.0, 0.25))
    assert realised_gate([3.0, 3.0]).atoms == ((3.0, 1.0),)
    assert realised_gate(np.zeros(4)).atoms == ((0.0, 1.0),)


@pytest.mark.parametrize("values", [[], [[1.0]], [1.0, -0.5], [np.nan]])
def test_realised_gates_must_be_a_vector_of_nonnegative_numbers(values):
    with pytest.raises(SpecError, match="values must be"):
        realised_gate(values)
