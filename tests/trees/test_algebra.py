"""Laws as an algebra: operators, simplifications, values, refusals with their reasons."""

import pickle
from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

import freefim
from freefim import (
    Affine,
    Arcsine,
    Atomic,
    Cauchy,
    CompoundFreePoisson,
    Compressed,
    Empirical,
    FreePoisson,
    FreePower,
    FreeProduct,
    FreeSum,
    FussCatalan,
    Inverse,
    KestenMcKay,
    MarchenkoPastur,
    MultiplicativePower,
    Padded,
    PointMass,
    Rectangular,
    Semicircle,
    SingularValues,
    SpecError,
    Square,
    Uniform,
    Wachter,
    free_product,
    free_sum,
)

HALF = Fraction(1, 2)
MP = MarchenkoPastur(HALF)
COIN = Atomic([0, 1], [HALF, HALF])
SKEW = Atomic([-1, 2], [Fraction(2, 3), Fraction(1, 3)])  # mean 0, not symmetric

numbers = st.one_of(
    st.integers(1, 4), st.fractions(Fraction(1, 4), 4, max_denominator=9), st.floats(0.25, 4)
)
shares = st.fractions(Fraction(1, 5), 1, max_denominator=5)
powers = st.fractions(1, 3, max_denominator=3)
leaves = st.one_of(
    st.builds(MarchenkoPastur, numbers),
    st.builds(FreePoisson, numbers, numbers),
    st.builds(PointMass, numbers),
    st.builds(lambda a, b: Uniform(a, a + b), numbers, numbers),
    st.builds(lambda a, b: Atomic([a, a + b], [HALF, HALF]), numbers, numbers),
    st.builds(Empirical, st.lists(numbers, min_size=1, max_size=4)),
)


def extended(law):
    return st.one_of(
        st.builds(lambda a, b: a + b, law, law),
        st.builds(lambda a, b: a @ b, law, law),
        st.builds(lambda a, s, q: s * a + q, law, numbers, numbers),
        st.builds(lambda a, r: a.compress(r), law, shares),
        st.builds(lambda a, r: a.pad(r), law, shares),
        st.builds(lambda a, t: a.free_power(t), law, powers),
        st.builds(lambda a, t: a.multiplicative_power(t), law, powers),
        st.builds(lambda a, r: a.rectangular(r, 2), law, numbers),
    )


trees = st.recursive(leaves, extended, max_leaves=5)


NAMES = {name: getattr(freefim, name) for name in freefim.__all__} | {"Fraction": Fraction}


@given(trees)
def test_laws_are_values(law):
    again = eval(repr(law), NAMES)
    assert again == law and hash(again) == hash(law) and repr(again) == repr(law)
    assert pickle.loads(pickle.dumps(law)) == law
    assert law != law + 1


@given(trees, trees)
def test_operators_are_the_functions(a, b):
    assert a + b == free_sum(a, b) and a @ b == free_product(a, b)
    assert 2 * a == a * 2 and a - b == a + (-1) * b and -a == a * -1
    assert a / 2 == a * HALF and 1 - a == -a + 1


@given(trees, numbers, numbers)
def test_scalings_and_shifts_keep_the_moments(law, s, q):
    mean, variance = float(law.mean()), float(law.variance())
    moved = s * law - q
    assert float(moved.mean()) == pytest.approx(float(s) * mean - float(q), rel=1e-9, abs=1e-9)
    assert float(moved.variance()) == pytest.approx(float(s) ** 2 * variance, rel=1e-9)


@given(trees)
def test_point_masses_are_numbers(law):
    same = PointMass(law.mean()) if isinstance(law, Empirical) and law.variance() == 0 else law
    assert law + PointMass(0) == same == PointMass(0) + law
    assert law @ PointMass(1) == same == PointMass(1) @ law
    assert law + PointMass(2) == law + 2 and law @ PointMass(3) == 3 * law
    assert 0 * law == PointMass(0) == law @ PointMass(0)


@pytest.mark.parametrize(
    ("made", "plain"),
    [
        (2 * (3 * MP + 1) - 4, Affine(MP, 6, -2)),
        ((2 * MP + 1 - 1) / 2, MP),
        (MP.compress(HALF).compress(HALF), Compressed(MP, Fraction(1, 4))),
        (MP.compress(1), MP),
        (MP.pad(HALF).pad(HALF), Padded(MP, Fraction(1, 4))),
        (PointMass(3).pad(HALF), Atomic([0, 3], [HALF, HALF])),
        (MP.free_power(2).free_power(3), FreePower(MP, 6)),
        (MP + MP, FreePower(MP, 2)),
        (MP @ MP @ MP, MultiplicativePower(MP, 3)),
        (Semicircle(1, 2) + Semicircle(3), Semicircle(4, 2)),
        (3 * Semicircle(2, 1) - 1, Semicircle(18, 2)),
        (Semicircle(4).compress(HALF), Semicircle(2)),
        (FreePoisson(1, 2) + FreePoisson(3, 2), FreePoisson(4, 2)),
        (FreePoisson(1, 2).compress(HALF), FreePoisson(2, 1)),
        (Cauchy(1, 2) + Cauchy(3, -1), Cauchy(4, 1)),
        (-2 * Cauchy(1, 2), Cauchy(2, -4)),
        (Cauchy(1).compress(HALF), Cauchy(1)),
        (1 - 2 * Uniform(0, 1), Uniform(-1, 1)),
        (2 * COIN - 1, Atomic([-1, 1], [HALF, HALF])),
        (Semicircle(3).square(), FreePoisson(1, 3)),
        (Arcsine(-2, 2).square(), Arcsine(0, 4)),
        (MP.symmetrised().square(), MP),
        (MP.inverse().inverse(), MP),
        (Empirical([1, 2, 4]).inverse(), Empirical([1, HALF, Fraction(1, 4)])),
        (SKEW.square(), Atomic([1, 4], [Fraction(2, 3), Fraction(1, 3)])),
        (PointMass(2).multiplicative_power(3), PointMass(8)),
    ],
    ids=repr,
)
def test_simplifications(made, plain):
    assert made == plain


@pytest.mark.parametrize(
    ("made", "node"),
    [
        (Semicircle(4).compress(HALF), Compressed(Semicircle(4), HALF)),
        (FreePoisson(1, 2).compress(HALF), Compressed(FreePoisson(1, 2), HALF)),
        (Semicircle(3).square(), Square(Semicircle(3))),
        (Arcsine(-2, 2).square(), Square(Arcsine(-2, 2))),
        (MP + MP, FreeSum(MP, MP)),
        (MP @ MP, FreeProduct(MP, MP)),
        (Uniform(-1, 1) * -2 + 1, Affine(Uniform(-1, 1), -2, 1)),
        (PointMass(3).pad(HALF), Padded(PointMass(3), HALF)),
        (Semicircle(2, 1) + Semicircle(3), FreeSum(Semicircle(2, 1), Semicircle(3))),
        (Empirical([1, 2]) - 3, Affine(Empirical([1, 2]), 1, -3)),
        (MarchenkoPastur(2), FreePoisson(HALF, 2)),
        (FussCatalan(2), FreeProduct(MarchenkoPastur(1), MarchenkoPastur(1))),
    ],
    ids=repr,
)
def test_simplifications_keep_the_moments(made, node):
    assert made.moments(7) == node.moments(7)


def test_numpy_and_sympy_numbers_are_numbers():
    c = sympy.Symbol("c")
    assert np.float64(2) * MP == 2.0 * MP and np.int64(1) + MP == MP + 1
    assert isinstance((np.float64(2) * MP).scale, float)
    assert c * MP == Affine(MP, c, 0) and MP + c == Affine(MP, 1, c)
    assert sum([MP, Semicircle(1)]) == MP + Semicircle(1)


def test_a_symmetric_factor_goes_through_its_square():
    law = MP @ Semicircle(1)
    assert law == SingularValues(FreeProduct(MultiplicativePower(MP, 2), FreePoisson(1, 1)))
    assert (Atomic([-1, 1], [HALF, HALF]) @ MP) == SingularValues(MultiplicativePower(MP, 2))


def test_a_negative_factor_is_turned_round():
    assert (-MP) @ COIN == -(MP @ COIN)


REFUSALS = [
    (lambda: Semicircle(1) @ Semicircle(1), "one factor on"),
    (lambda: SKEW @ Semicircle(1), "one factor on"),
    (lambda: MP @ SKEW, "mean 0"),
    (lambda: FreeProduct(MP, Semicircle(1)), "mean 0"),
    (lambda: MP @ Cauchy(1), "whole line"),
    (lambda: SKEW.multiplicative_power(2), "needs a law on"),
    (SKEW.symmetrised, "needs a law on"),
    (MP.square, "symmetric about 0"),
    (COIN.inverse, "without mass at 0"),
    (lambda: MarchenkoPastur(2).inverse(), "without mass at 0"),
    (lambda: Semicircle(1).inverse(), "one side of 0"),
    (SKEW.inverse, "one side of 0"),
    (lambda: MP.compress(0), "ratio must be in"),
    (lambda: MP.compress(2), "ratio must be in"),
    (lambda: MP.pad(-1), "ratio must be in"),
    (lambda: MP.free_power(HALF), "exponent must be >= 1"),
    (lambda: MP.multiplicative_power(0), "exponent must be >= 1"),
    (lambda: MP.rectangular(0), "ratio must be > 0"),
    (lambda: MP.rectangular(1, -1), "variance must be > 0"),
    (lambda: MP / 0, "divisor must be other than 0"),
    (lambda: MP * float("nan"), "scale must be a finite"),
    (lambda: MP + float("inf"), "shift must be a finite"),
    (lambda: free_sum(MP, 1), "needs laws"),
    (lambda: free_product("MP", MP), "needs laws"),
    (lambda: FreeSum(MP, [1.0]), "right must be a Law"),
    (lambda: Rectangular("x", 1), "law must be a Law"),
    (lambda: Inverse(3), "law must be a Law"),
    (lambda: COIN.free_cumulant(0), "k must be"),
    (lambda: PointMass(1).subordination(1j), "made by free operations"),
    (lambda: (COIN + MP).subordination("1j"), "must be a number"),
    (lambda: MP * (sympy.I * sympy.Symbol("a")), "scale must be real"),
    (lambda: CompoundFreePoisson(1, 2), "jumps must be a Law"),
    (lambda: Wachter(3, 3), "invertible"),
    (lambda: KestenMcKay(0.5), "degree must be >= 1"),
    (lambda: FussCatalan(0), "order must be >= 1"),
    (lambda: FreePoisson(1, 0), "jump must be other than 0"),
]


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_refusals_say_why(case):
    call, words = REFUSALS[case]
    with pytest.raises(SpecError, match=words):
        call()


@pytest.mark.parametrize("other", ["1", None, [1.0], 1j])
def test_operators_know_laws_and_real_numbers_only(other):
    with pytest.raises(TypeError):
        MP + other
    with pytest.raises(TypeError):
        MP @ other
