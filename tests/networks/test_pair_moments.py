"""Pair moments: theorems, and integrals by mpmath."""

import math
from itertools import pairwise

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

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
from freefim.networks.pair_moments import pair_moments
from freefim.networks.pair_quadrature import quadrature_moments

CLOSED = [
    Linear(),
    Abs(),
    ReLU(),
    LeakyReLU(0.3),
    ShiftedReLU(0.5),
    ShiftedReLU(-1.5),
    HardTanh(0.7, 1.5),
    HardTanh(0.05),
    Erf(0.8),
    Sine(1.3),
    GELU(),
    ELU(),
]
SERIES = [Tanh(), SiLU(), Softplus()]
ODD = [Linear(), HardTanh(0.7, 1.5), Erf(0.8), Sine(1.3), Tanh()]

variances = st.floats(1e-3, 30.0)
correlations = st.floats(-1.0, 1.0)


@pytest.mark.parametrize("phi", CLOSED + SERIES, ids=repr)
def test_two_equal_inputs_are_one(phi):
    q = np.array([1e-4, 0.3, 2.0, 40.0])
    found = pair_moments(phi, q, 1.0)
    assert found.product.tolist() == [phi.second_moment(v) for v in q.tolist()]
    assert found.slope.tolist() == [phi.slope_second_moment(v) for v in q.tolist()]
    assert found.gap.tolist() == [0.0] * 4


@pytest.mark.parametrize("phi", CLOSED + SERIES, ids=repr)
@settings(max_examples=12)
@given(q=variances, c=correlations)
def test_product_and_gap_share_the_second_moment(phi, q, c):
    found = pair_moments(phi, q, c)
    second, square = phi.second_moment(q), phi.slope_second_moment(q)
    assert found.product + found.gap == pytest.approx(second, rel=1e-11)
    assert abs(found.product) <= second * (1 + 1e-12)
    assert abs(found.slope) <= square * (1 + 1e-12)


@pytest.mark.parametrize("phi", CLOSED + SERIES, ids=repr)
@settings(max_examples=6)
@given(q=variances, low=st.floats(-0.95, 0.0), high=st.floats(0.05, 0.95))
def test_price(phi, q, low, high):
    """The derivative of E φφ in the covariance is E φ'φ'; integrated in the angle."""
    nodes, weights = np.polynomial.legendre.leggauss(60)
    ends = math.acos(high), math.acos(low)
    angle = 0.5 * (ends[1] + ends[0]) + 0.5 * (ends[1] - ends[0]) * nodes
    slopes = pair_moments(phi, q, np.cos(angle)).slope
    grown = q * 0.5 * (ends[1] - ends[0]) * (weights * slopes * np.sin(angle)).sum()
    first, last = (pair_moments(phi, q, c).product for c in (low, high))
    tight = 1e-10 if q < 5 else 1e-6  # the slope turns within an angle 1/sqrt(q) of 0 and π
    assert grown == pytest.approx(last - first, abs=tight * phi.second_moment(q))


@pytest.mark.parametrize("phi", ODD, ids=repr)
@settings(max_examples=8)
@given(q=variances, c=st.floats(0.0, 1.0))
def test_odd_functions_turn_the_sign_of_the_correlation(phi, q, c):
    plus, minus = (pair_moments(phi, q, sign * c) for sign in (1.0, -1.0))
    scale = phi.second_moment(q)
    assert minus.product == pytest.approx(-plus.product, abs=1e-11 * scale)
    assert minus.slope == pytest.approx(plus.slope, rel=1e-10)


@pytest.mark.parametrize("phi", ODD, ids=repr)
def test_odd_functions_of_independent_inputs_are_uncorrelated_exactly(phi):
    assert np.all(pair_moments(phi, [0.1, 1.0, 12.0], 0.0).product == 0.0)


@settings(max_examples=8)
@given(q=variances, c=correlations)
def test_the_absolute_value_does_not_see_a_sign(q, c):
    one, other = (pair_moments(Abs(), q, sign * c) for sign in (1.0, -1.0))
    assert one.product == pytest.approx(other.product, rel=1e-13)
    assert one.slope == pytest.approx(-other.slope, abs=1e-13)


# references: φ = constant + slope h + Σ jump (h - kink)_+ given u is elementary; so is ELU
PIECES = {
    Abs(): (0, -1, [(0, 2)]),
    ReLU(): (0, 0, [(0, 1)]),
    LeakyReLU(0.25): (0, 0.25, [(0, 0.75)]),
    ShiftedReLU(0.5): (-0.5, 0, [(-0.5, 1)]),
    ShiftedReLU(-1.5): (1.5, 0, [(1.5, 1)]),
    HardTanh(0.75, 1.5): (-1.125, 0, [(-0.75, 1.5), (0.75, -1.5)]),
}
PLACES = [(1.7, 0.4), (1.7, -0.6), (6.0, 0.95), (0.05, 0.3), (200.0, 0.7), (2.0, -0.99)]


def given_u(phi, m, s):
    """Averages of φ and φ' over N(m, s²)."""
    if isinstance(phi, ELU):
        low = mp.exp(m + s * s / 2) * mp.ncdf(-(m + s * s) / s)
        up = mp.ncdf(m / s)
        return m * up + s * mp.npdf(m / s) + low - (1 - up), up + low
    constant, slope, kinks = PIECES[phi]
    value, grade = constant + slope * m, mp.mpf(slope)
    for kink, jump in kinks:
        x = (m - kink) / s
        value += jump * s * (x * mp.ncdf(x) + mp.npdf(x))
        grade += jump * mp.ncdf(x)
    return value, grade


def itself(phi, h):
    if isinstance(phi, ELU):
        return (h, 1) if h > 0 else (mp.expm1(h), mp.exp(h))
    constant, slope, kinks = PIECES[phi]
    above = [(kink, jump) for kink, jump in kinks if h > kink]
    return (
        constant + slope * h + sum(jump * (h - kink) for kink, jump in above),
        slope + sum(jump for _, jump in above),
    )


def by_mpmath(phi, q, c):
    """E φφ and E φ'φ' as one integral over u, split at the kinks and around their shadows."""
    std, spread = mp.sqrt(q), mp.sqrt(1 - mp.mpf(c) ** 2)
    kinks = [mp.mpf(k) / std for k in phi.kinks]
    ends = {mp.mpf(e) for e in (-9, -5, -2, 0, 2, 5, 9)} | set(kinks)
    ends |= {k / c + s * spread / abs(c) for k in kinks for s in (-6, -2, 0, 2, 6)}
    ends = sorted(e for e in ends if abs(e) <= 9)
    nodes, weights = np.polynomial.legendre.leggauss(24)
    product = slope = mp.mpf(0)
    for low, high in pairwise(ends):
        for node, weight in zip(nodes.tolist(), weights.tolist(), strict=True):
            x = (high + low) / 2 + (high - low) / 2 * node
            mass = weight * (high - low) / 2 * mp.npdf(x)
            value, grade = itself(phi, std * x)
            other = given_u(phi, std * c * x, std * spread)
            product += mass * value * other[0]
            slope += mass * grade * other[1]
    return float(product), float(slope)


@pytest.mark.parametrize("phi", [*PIECES, ELU()], ids=repr)
def test_kinks_against_mpmath(phi):
    for q, c in PLACES:
        found = pair_moments(phi, q, c)
        product, slope = by_mpmath(phi, q, c)
        assert found.product == pytest.approx(product, abs=2e-13 * phi.second_moment(q))
        assert found.slope == pytest.approx(slope, abs=2e-13 * phi.slope_second_moment(q))


SMOOTH = {
    Tanh(): (mp.tanh, lambda h: mp.sech(h) ** 2),
    SiLU(): (
        lambda h: h / (1 + mp.exp(-h)),
        lambda h: (1 + h / (1 + mp.exp(h))) / (1 + mp.exp(-h)),
    ),
    Softplus(): (lambda h: mp.log1p(mp.exp(h)), lambda h: 1 / (1 + mp.exp(-h))),
    GELU(): (lambda h: h * mp.ncdf(h), lambda h: mp.ncdf(h) + h * mp.npdf(h)),
    Erf(0.5): (lambda h: mp.erf(h / 2), lambda h: mp.exp(-h * h / 4) / mp.sqrt(mp.pi)),
    Sine(1.5): (lambda h: mp.sin(1.5 * h), lambda h: 1.5 * mp.cos(1.5 * h)),
}


def by_lattice(phi, q, c):
    """Trapezoid rule for the independent (u + v)/2 and (u - v)/2 on one lattice, mpmath values."""
    stds = [math.sqrt(0.5 * q * (1 + sign * c)) for sign in (1, -1)]
    step = min(0.33 * min(stds), 0.17)
    counts = [math.ceil(9 * std / step) for std in stds]
    size = sum(counts)
    with mp.workdps(18):
        values = np.array(
            [[float(f(step * i)) for i in range(-size, size + 1)] for f in SMOOTH[phi]]
        )
    s, r = (np.arange(-n, n + 1) for n in counts)
    bells = [
        step * np.exp(-0.5 * (step * i / std) ** 2) / (std * math.sqrt(2 * math.pi))
        for i, std in zip((s, r), stds, strict=True)
    ]
    up, down = values[:, s[:, None] + r + size], values[:, s[:, None] - r + size]
    return np.einsum("fsr,s,r->f", up * down, *bells).tolist()


@pytest.mark.parametrize("phi", SMOOTH, ids=repr)
def test_smooth_functions_against_the_lattice(phi):
    # a Gauss-Hermite rule of 101 nodes is wrong by 4e-3 for tanh at q = 10
    tight = 1e-12 if phi in CLOSED else 1e-9
    for q, c in [(0.2, 0.5), (1.7, -0.6), (10.0, 0.6), (10.0, 0.97)]:
        found = pair_moments(phi, q, c)
        product, slope = by_lattice(phi, q, c)
        assert found.product == pytest.approx(product, abs=tight * phi.second_moment(q))
        assert found.slope == pytest.approx(slope, abs=tight * phi.slope_second_moment(q))
        assert found.error <= 1e-9


@pytest.mark.parametrize("distance", [1e-3, 1e-8, 1e-14])
def test_the_gap_of_near_inputs_keeps_its_digits(distance):
    c = 1.0 - distance
    distance = 1.0 - c
    with mp.workdps(50):
        angle = mp.acos(1 - mp.mpf(distance))
        relu = (mp.pi - mp.sin(angle) - (mp.pi - angle) * mp.cos(angle)) / (2 * mp.pi)
        ends = [2 * mp.mpf(1.7) * x / (1 + 2 * mp.mpf(1.7)) for x in (1, 1 - mp.mpf(distance))]
        erf = 2 / mp.pi * (mp.asin(ends[0]) - mp.asin(ends[1]))
    assert pair_moments(ReLU(), 1.0, c).gap == pytest.approx(float(relu), rel=1e-13)
    assert pair_moments(Erf(1.0), 1.7, c).gap == pytest.approx(float(erf), rel=1e-13)


def relu(h):
    return np.maximum(h, 0.0)


def step(h):
    return (h > 0.0) * 1.0


def test_quadrature_agrees_with_closed_forms_within_its_estimate():
    from scipy.special import erf

    pairs = [
        (CustomActivation(np.sin, np.cos), Sine()),
        (CustomActivation(erf, lambda h: 2 / math.sqrt(math.pi) * np.exp(-h * h)), Erf()),
        (CustomActivation(relu, step, kinks=(0.0,)), ReLU()),
        (
            CustomActivation(
                lambda h: np.clip(h, -0.5, 0.5), lambda h: (abs(h) < 0.5) * 1.0, (-0.5, 0.5)
            ),
            HardTanh(0.5),
        ),
    ]
    for custom, known in pairs:
        for q, c in [(1.7, 0.4), (0.3, -0.8), (25.0, 0.999)]:
            got, want = (pair_moments(phi, q, c) for phi in (custom, known))
            bound = max(got.error, 1e-12)
            assert bound <= 1e-9
            scale = known.second_moment(q)
            assert abs(got.product - want.product) <= bound * scale
            assert abs(got.gap - want.gap) <= bound * scale
            assert abs(got.slope - want.slope) <= bound * known.slope_second_moment(q)


def test_series_and_panels_agree_where_the_series_is_long():
    phi = Tanh()
    q, c = np.array([60.0, 90.0]), np.array([0.9, 0.999])
    moments = [np.array([f(v) for v in q]) for f in (phi.second_moment, phi.slope_second_moment)]
    series = quadrature_moments(phi, q, c, 1.0 - c, *moments)
    panels = quadrature_moments(
        CustomActivation(np.tanh, phi.derivative, kinks=(0.0,)), q, c, 1.0 - c, *moments
    )
    assert series.product == pytest.approx(panels.product, rel=1e-10)
    assert series.slope == pytest.approx(panels.slope, rel=1e-9)


@pytest.mark.parametrize("phi", SERIES, ids=repr)
@pytest.mark.parametrize(
    ("q", "c"),
    [(60.0, 0.4), (60.0, 0.9), (60.0, -0.99), (300.0, -0.8), (1e3, 0.9999), (1e6, 0.99)],
)
def test_large_variances_against_panels(phi, q, c):
    """A declared kink leads past the series and the limiting functions."""
    custom = CustomActivation(phi.function, phi.derivative, kinks=(0.0,))
    got, want = pair_moments(phi, q, c), pair_moments(custom, q, c)
    second, square = phi.second_moment(q), phi.slope_second_moment(q)
    bound = max(got.error, 1e-12)
    assert bound <= 1e-9
    assert got.product == pytest.approx(want.product, abs=bound * second)
    assert got.gap == pytest.approx(want.gap, abs=bound * second)
    assert got.slope == pytest.approx(want.slope, abs=bound * square)


@pytest.mark.parametrize("phi", [SiLU(), Softplus()], ids=repr)
def test_smooth_rectifiers_become_rectifiers(phi):
    q, c = 1e14, np.array([-0.7, 0.0, 0.5, 0.999])
    smooth, sharp = pair_moments(phi, q, c), pair_moments(ReLU(), q, c)
    assert smooth.product == pytest.approx(sharp.product, rel=1e-12)
    assert smooth.slope == pytest.approx(sharp.slope, rel=1e-12)


def test_a_kink_that_was_not_declared_is_found_out():
    with pytest.raises(ConvergenceError):
        shifted = CustomActivation(lambda h: relu(h - 0.3), lambda h: step(h - 0.3))
        pair_moments(shifted, 1.0, 0.5)


@pytest.mark.parametrize(
    ("arguments", "message"),
    [
        (("relu", 0.0, 0.5), "variance must be a finite number > 0, got 0.0"),
        (("relu", math.nan, 0.5), "variance must be"),
        (("relu", 1.0, 1.1), r"correlation must be within \[-1, 1\], got 1.1"),
        (("relu", 1.0, math.nan), "correlation must be"),
        (("rleu", 1.0, 0.5), "did you mean 'relu'"),
    ],
)
def test_bad_input_gets_one_sentence(arguments, message):
    with pytest.raises(SpecError, match=message):
        pair_moments(*arguments)


def test_arrays_broadcast():
    found = pair_moments("erf", np.ones((3, 1)), [0.0, 0.5])
    assert found.product.shape == found.gap.shape == found.slope.shape == (3, 2)


@pytest.mark.parametrize("c", [0.001, 0.3, 0.99, -0.5])
def test_a_wide_elu_differs_from_a_rectifier_by_its_expansion(c):
    """The loss is 2 E max(u, 0) 1(v < 0) = √q (1 - c)/√(2π), up to numbers of the order of 1."""
    for q in (1e12, 1e16, 1e18, 1e19, 1e30, 1e150):
        elu, relu = pair_moments("elu", q, c), pair_moments("relu", q, c)
        lost = (relu.product - elu.product) / math.sqrt(q)
        rounding = 1e-12 * relu.product / math.sqrt(q)
        expected = (1.0 - c) / math.sqrt(2.0 * math.pi)
        assert lost == pytest.approx(expected, rel=2e-7, abs=1.0 / math.sqrt(q) + rounding)
