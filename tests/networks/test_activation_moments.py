"""Gaussian moments against integrals at 30 digits, and identities that need no reference."""

import math
from fractions import Fraction
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st
from sympy.integrals.quadrature import gauss_legendre

from freefim.errors import ConvergenceError, SpecError
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
from freefim.networks.gaussian import panel_mean


def logistic(h):
    return 1 / (1 + mp.exp(-h))


# activation -> φ and φ' at any precision; parameters are floats that binary holds exactly
REFERENCES = {
    Linear(): (lambda h: h, lambda h: mp.mpf(1)),
    Abs(): (abs, mp.sign),
    ReLU(): (lambda h: max(h, 0), lambda h: mp.mpf(h > 0)),
    LeakyReLU(-1.25): (
        lambda h: h if h > 0 else mp.mpf(-1.25) * h,
        lambda h: mp.mpf(1 if h > 0 else -1.25),
    ),
    ShiftedReLU(0.75): (lambda h: max(h, mp.mpf(-0.75)), lambda h: mp.mpf(h > -0.75)),
    ShiftedReLU(-0.75): (lambda h: max(h, mp.mpf(0.75)), lambda h: mp.mpf(h > 0.75)),
    HardTanh(1.5, -0.625): (
        lambda h: mp.mpf(-0.625) * max(mp.mpf(-1.5), min(mp.mpf(1.5), h)),
        lambda h: mp.mpf(-0.625) * (abs(h) < 1.5),
    ),
    Tanh(): (mp.tanh, lambda h: mp.sech(h) ** 2),
    Erf(1.75): (
        lambda h: mp.erf(1.75 * h),
        lambda h: 3.5 / mp.sqrt(mp.pi) * mp.exp(-((1.75 * h) ** 2)),
    ),
    Sine(0.375): (lambda h: mp.sin(0.375 * h), lambda h: 0.375 * mp.cos(0.375 * h)),
    GELU(): (lambda h: h * mp.ncdf(h), lambda h: mp.ncdf(h) + h * mp.npdf(h)),
    SiLU(): (lambda h: h * logistic(h), lambda h: logistic(h) * (1 + h * logistic(-h))),
    ELU(): (lambda h: h if h > 0 else mp.expm1(h), lambda h: mp.exp(min(h, 0))),
    Softplus(): (lambda h: mp.log1p(mp.exp(h)), logistic),
}
ALL = pytest.mark.parametrize("phi", REFERENCES, ids=repr)
SMOOTH = pytest.mark.parametrize(
    "phi", [phi for phi in REFERENCES if phi.gate_two_point(1.0) is None], ids=repr
)


LEGENDRE = [
    (mp.mpf(str(node)), mp.mpf(str(weight)))
    for node, weight in zip(*gauss_legendre(14, 30), strict=True)
]


def gaussian_means(f, df, q, kinks):
    """E φ², E φ'², E φ'⁴ by Gauss-Legendre panels at 30 digits, up to 13 standard deviations."""
    with mp.workdps(30):
        std = mp.sqrt(mp.mpf(q))
        # panels of a quarter standard deviation, cut to 1/2 where activations bend
        places = {std * k / 4 for k in range(-52, 53)} | {mp.mpf(k) / 2 for k in range(-50, 51)}
        places |= {mp.mpf(kink) for kink in kinks}
        breaks = sorted(place for place in places if abs(place) <= 13 * std)
        sums = [mp.mpf(0)] * 3
        for left, right in pairwise(breaks):
            half, middle = (right - left) / 2, (right + left) / 2
            for node, weight in LEGENDRE:
                h = middle + half * node
                mass = half * weight * mp.npdf(h, 0, std)
                square = df(h) ** 2
                for i, value in enumerate((f(h) ** 2, square, square * square)):
                    sums[i] += mass * value
        return sums


def moments(phi, q):
    return phi.second_moment(q), phi.slope_second_moment(q), phi.slope_fourth_moment(q)


@pytest.mark.parametrize("q", [1e-6, 1e-2, 0.7, 5.0, 1e3])
@ALL
def test_moments_agree_with_integrals_at_30_digits(phi, q):
    for got, want in zip(
        moments(phi, q), gaussian_means(*REFERENCES[phi], q, phi.kinks), strict=True
    ):
        # what lies beyond 13 standard deviations is below 1e-37
        assert abs(mp.mpf(got) - want) <= 1e-14 * want + mp.mpf("1e-36")


@pytest.mark.slow
@pytest.mark.parametrize("q", np.geomspace(1e-6, 1e3, 28).tolist())
@ALL
def test_moments_agree_with_integrals_on_a_fine_grid(phi, q):
    test_moments_agree_with_integrals_at_30_digits(phi, q)


@pytest.mark.parametrize("k", [1e-4, 0.03, 0.399999, 0.4, 0.400001, 1.0, 5.0, 8.0])
def test_hard_tanh_moment_is_continuous_where_the_formula_changes(k):
    with mp.workdps(60):
        k_ = mp.mpf(k)
        inner = mp.erf(k_ / mp.sqrt(2)) - mp.sqrt(2 / mp.pi) * k_ * mp.exp(-k_ * k_ / 2)
        want = inner + k_**2 * mp.erfc(k_ / mp.sqrt(2))
        assert abs(HardTanh(k).second_moment(1.0) / want - 1) < 1e-15


@pytest.mark.parametrize("q", [1e6, 1e12, 1e30])
@SMOOTH
def test_moments_reach_their_limits_at_huge_variance(phi, q):
    """The two linear pieces at ±infinity rule, up to a share of order 1/sqrt(q) near 0."""
    near = 30.0 / math.sqrt(q)
    if isinstance(phi, Tanh | Erf):
        assert phi.second_moment(q) == pytest.approx(1.0, rel=near)
        # E φ'^2 = Σ over the line of φ'^2, times the height of the normal density at 0
        height = 1.0 / math.sqrt(2.0 * math.pi * q)
        h = np.linspace(-20.0, 20.0, 4001)
        line = np.sum(phi.derivative(h) ** 2) * (h[1] - h[0])
        assert phi.slope_second_moment(q) == pytest.approx(line * height, rel=1e-5)
    elif isinstance(phi, Sine):
        assert moments(phi, q) == pytest.approx((0.5, 0.375**2 / 2, 3 * 0.375**4 / 8))
    else:
        assert moments(phi, q) == pytest.approx((q / 2, 0.5, 0.5), rel=near)


@ALL
def test_moments_at_zero_variance_are_the_limit(phi):
    assert moments(phi, 0.0) == pytest.approx(moments(phi, 1e-13), rel=1e-5, abs=1e-12)
    assert phi.second_moment(0.0) == pytest.approx(float(phi.function(0.0)) ** 2, abs=1e-15)


@settings(max_examples=40, deadline=None)
@given(q=st.floats(1e-3, 30.0), phi=st.sampled_from(list(REFERENCES)))
def test_price_theorem_ties_the_second_moment_to_the_slope(q, phi):
    """d/dq E φ² = E [φ'² + φ φ''], and E φ φ'' = (E h φ φ')/q - E φ'² by parts."""
    # with E h φ φ' by the panel rule, which none of these activations uses
    step = 1e-4 * q
    slope = (phi.second_moment(q + step) - phi.second_moment(q - step)) / (2.0 * step)
    mean = panel_mean(lambda h: h * phi.function(h) * phi.derivative(h), q, phi.kinks, "E hφφ'")
    assert slope == pytest.approx(mean / q, rel=1e-6, abs=1e-9)


@settings(max_examples=60, deadline=None)
@given(
    q=st.floats(1e-6, 1e3),
    scale=st.floats(1e-3, 1e3),
    cutoff=st.floats(0.1, 10.0),
    slope=st.floats(-3.0, 3.0).filter(lambda a: abs(a) > 1e-3),
)
def test_scale_covariance(q, scale, cutoff, slope):
    square = scale * scale
    pairs = [
        (HardTanh(scale * cutoff, slope), HardTanh(cutoff, slope)),
        (ShiftedReLU(scale * slope), ShiftedReLU(slope)),
        (LeakyReLU(slope), LeakyReLU(slope)),
    ]
    for wide, narrow in pairs:
        got, want = moments(wide, square * q), moments(narrow, q)
        assert got == pytest.approx((square * want[0], *want[1:]), rel=1e-11, abs=1e-290)


@pytest.mark.parametrize("q", [1e-12, 0.01, 0.03, 1.0, 300.0])
@pytest.mark.parametrize(
    "phi",
    [phi for phi in REFERENCES if phi.gate_two_point(1.0) is not None],
    ids=repr,
)
def test_two_point_gates_have_the_moments_of_the_slope(phi, q):
    gate = phi.gate_two_point(q)
    assert gate.low <= gate.high
    assert gate.mass + gate.complement == pytest.approx(1.0, abs=1e-15)
    for power, want in ((1, phi.slope_second_moment(q)), (2, phi.slope_fourth_moment(q))):
        got = gate.complement * gate.low**power + gate.mass * gate.high**power
        assert got == pytest.approx(want, rel=1e-14, abs=1e-300)


@pytest.mark.parametrize("k", [4.0, 8.0, 20.0, 35.0])
def test_the_complement_of_a_gate_keeps_its_digits(k):
    with mp.workdps(50):
        tail = mp.erfc(mp.mpf(k) / mp.sqrt(2))
    assert abs(HardTanh(k).gate_two_point(1.0).complement / tail - 1) < 1e-13
    assert abs(ShiftedReLU(k).gate_two_point(1.0).complement / (tail / 2) - 1) < 1e-13


def test_homogeneous_moments_of_fractions_are_exact():
    phi, q = LeakyReLU(Fraction(-1, 3)), Fraction(9, 7)
    assert phi.second_moment(q) == Fraction(5, 7)
    assert phi.slope_second_moment(q) == Fraction(5, 9)
    assert phi.slope_fourth_moment(q) == Fraction(41, 81)
    assert phi.gate_two_point(q).low == Fraction(1, 9)


CUSTOM = {
    Tanh(): (np.tanh, lambda h: 1.0 - np.tanh(h) ** 2),
    Softplus(): (lambda h: np.logaddexp(0.0, h), lambda h: 0.5 + 0.5 * np.tanh(0.5 * h)),
    HardTanh(0.75): (lambda h: np.clip(h, -0.75, 0.75), lambda h: abs(h) < 0.75),
    ShiftedReLU(2.5): (lambda h: np.maximum(h, -2.5), lambda h: np.where(h > -2.5, 1, 0)),
}


@pytest.mark.parametrize("q", [1e-6, 0.3, 40.0, 1e7])
@pytest.mark.parametrize("phi", CUSTOM, ids=repr)
def test_custom_activations_have_the_moments_of_the_built_in_ones(phi, q):
    custom = CustomActivation(*CUSTOM[phi], kinks=phi.kinks)
    assert moments(custom, q) == pytest.approx(moments(phi, q), rel=1e-10)


def test_a_kink_that_is_not_declared_is_found_out():
    hidden = CustomActivation(*CUSTOM[HardTanh(0.75)])
    with pytest.raises(ConvergenceError, match="kink"):
        hidden.slope_second_moment(1.0)


def test_a_custom_activation_that_leaves_the_numbers_is_refused():
    with pytest.raises(SpecError, match="must be finite, got inf at h="):
        CustomActivation(np.exp, np.exp).second_moment(1e5)


@ALL
def test_derivatives_are_the_slopes_of_the_functions(phi):
    h = np.linspace(-30.0, 30.0, 2001) + 1e-3 * math.pi
    step = 1e-5
    away = np.all([np.abs(h - kink) > 2 * step for kink in (*phi.kinks, np.inf)], axis=0)
    slope = (phi.function(h + step) - phi.function(h - step)) / (2 * step)
    assert np.abs(slope - phi.derivative(h))[away].max() < 1e-8


@ALL
def test_functions_are_finite_far_out_and_keep_the_shape(phi):
    h = np.array([[-1e200, -1e5, -750.0], [750.0, 1e5, 1e200]])
    for values in (phi.function(h), phi.derivative(h)):
        assert values.shape == h.shape and values.dtype == np.float64
        assert np.isfinite(values).all()
    assert phi.function(0.5).shape == ()


@pytest.mark.parametrize("q", [-1.0, math.nan, math.inf])
@ALL
def test_a_variance_must_be_finite_and_nonnegative(phi, q):
    for method in (
        phi.second_moment,
        phi.slope_second_moment,
        phi.slope_fourth_moment,
        phi.gate_two_point,
    ):
        with pytest.raises(SpecError, match="variance q"):
            method(q)
