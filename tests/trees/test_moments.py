"""Moments of trees: against non-crossing partitions, closed forms and identities, in rationals."""

from fractions import Fraction
from itertools import product
from math import comb, prod

import numpy as np
import pytest
import sympy
from hypothesis import assume, given, settings
from hypothesis import strategies as st

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine as ChainAffine
from freefim.free.chains.chain import Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import (
    Arcsine,
    CompoundFreePoisson,
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
    Wachter,
)
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.knowledge import is_symmetric
from freefim.free.trees.moments import tree_cumulants, tree_moments
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    MultiplicativePower,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

ORDER = 5

small = st.fractions(Fraction(1, 6), 3, max_denominator=6)
share = st.fractions(Fraction(1, 6), Fraction(5, 6), max_denominator=6)
signed = st.fractions(-2, 2, max_denominator=4)


@st.composite
def atomics(draw, locations=signed):
    places = draw(st.lists(locations, min_size=2, max_size=4, unique=True))
    weights = draw(st.lists(st.integers(1, 5), min_size=len(places), max_size=len(places)))
    return Atomic(places, [Fraction(w, sum(weights)) for w in weights])


positive = st.one_of(
    atomics(small),
    st.builds(MarchenkoPastur, small),
    st.builds(FreePoisson, small, small),
    st.builds(lambda a, b: Uniform(a, a + b), small, small),
    st.builds(lambda a: Wachter(a, Fraction(1, 2)), share),
)
symmetric = st.builds(
    lambda a, b, p: Atomic([-a - b, -a, a, a + b], [p / 2, (1 - p) / 2, (1 - p) / 2, p / 2]),
    small, small, share,
)  # fmt: skip
laws = st.one_of(
    positive,
    atomics(),
    symmetric,
    st.builds(Semicircle, small, signed),
    st.builds(KestenMcKay, st.integers(1, 5)),
    st.builds(lambda a, b: Arcsine(a, a + b), signed, small),
)


def set_partitions(n):
    """Partitions of range(n) as tuples of block labels, each new label one above the largest."""
    for labels in product(range(n), repeat=n):
        if all(x <= max(labels[:i], default=-1) + 1 for i, x in enumerate(labels)):
            yield labels


def crosses(labels):
    n = len(labels)
    return any(
        labels[a] == labels[c] != labels[b] == labels[d]
        for a in range(n)
        for b in range(a + 1, n)
        for c in range(b + 1, n)
        for d in range(c + 1, n)
    )


def blocks(labels):
    return [[i for i, x in enumerate(labels) if x == label] for label in sorted(set(labels))]


def kreweras(labels):
    """The coarsest partition of the places in between that crosses no block."""
    candidates = (p for p in NON_CROSSING[len(labels)] if not crosses(interleaved(labels, p)))
    return min(candidates, key=lambda p: len(set(p)))


def interleaved(labels, other):
    n = len(labels)
    return tuple(x for pair in zip(labels, [n + y for y in other], strict=True) for x in pair)


NON_CROSSING = {n: [p for p in set_partitions(n) if not crosses(p)] for n in range(1, ORDER + 1)}
KREWERAS = {p: kreweras(p) for n in range(1, ORDER) for p in NON_CROSSING[n]}


def moments_of(cumulants):
    return tuple(
        sum(prod(cumulants[len(b) - 1] for b in blocks(p)) for p in NON_CROSSING[n])
        for n in range(1, len(cumulants) + 1)
    )


def cumulants_of(moments):
    found = []
    for n in range(1, len(moments) + 1):
        rest = sum(
            prod(found[len(b) - 1] for b in blocks(p)) for p in NON_CROSSING[n] if max(p) > 0
        )
        found.append(moments[n - 1] - rest)
    return tuple(found)


def test_there_are_as_many_non_crossing_partitions_as_catalan_numbers():
    assert [len(NON_CROSSING[n]) for n in range(1, ORDER + 1)] == [1, 2, 5, 14, 42]


@given(laws)
def test_free_cumulants_are_those_of_non_crossing_partitions(law):
    assert law.free_cumulants(ORDER) == cumulants_of(law.moments(ORDER))


@given(laws, laws)
def test_free_sum_adds_the_cumulants_of_non_crossing_partitions(first, second):
    sums = [cumulants_of(law.moments(ORDER)) for law in (first, second)]
    want = moments_of([a + b for a, b in zip(*sums, strict=True)])
    assert tree_moments(FreeSum(first, second), ORDER) == want


@given(positive, laws)
def test_free_product_is_the_sum_over_kreweras_complements(first, second):
    """The moments of A^½ B A^½ are Σ κ_π(A) M_K(π)(B), whatever the mean of B."""
    cumulants, moments = cumulants_of(first.moments(4)), second.moments(4)
    want = tuple(
        sum(
            prod(cumulants[len(b) - 1] for b in blocks(p))
            * prod(moments[len(b) - 1] for b in blocks(KREWERAS[p]))
            for p in NON_CROSSING[n]
        )
        for n in range(1, 5)
    )
    assume(second.mean() != 0 or is_symmetric(second))
    assert (first @ second).moments(4) == want


@given(laws, laws, laws)
@settings(max_examples=40)
def test_free_sum_is_commutative_and_associative_with_unit(a, b, c):
    assert tree_moments(FreeSum(a, b), 6) == tree_moments(FreeSum(b, a), 6)
    left, right = FreeSum(FreeSum(a, b), c), FreeSum(a, FreeSum(b, c))
    assert tree_moments(left, 6) == tree_moments(right, 6)
    assert tree_moments(FreeSum(a, PointMass(0)), 6) == a.moments(6)


@given(positive, positive, positive)
@settings(max_examples=40)
def test_free_product_is_commutative_and_associative_with_unit(a, b, c):
    assert tree_moments(FreeProduct(a, b), 6) == tree_moments(FreeProduct(b, a), 6)
    left, right = FreeProduct(FreeProduct(a, b), c), FreeProduct(a, FreeProduct(b, c))
    assert tree_moments(left, 6) == tree_moments(right, 6)
    assert tree_moments(FreeProduct(a, PointMass(1)), 6) == a.moments(6)


@given(positive, positive)
def test_means_and_variances_of_sums_and_products(a, b):
    assert (a + b).mean() == a.mean() + b.mean()
    assert (a + b).variance() == a.variance() + b.variance()
    assert (a @ b).mean() == a.mean() * b.mean()
    assert (a @ b).variance() == a.variance() * b.mean() ** 2 + b.variance() * a.mean() ** 2


@given(laws, laws)
def test_free_cumulants_add(a, b):
    want = tuple(x + y for x, y in zip(a.free_cumulants(8), b.free_cumulants(8), strict=True))
    assert tree_cumulants(FreeSum(a, b), 8) == want


@given(positive, positive)
def test_s_transforms_multiply(a, b):
    s, t = a.s_series(6), b.s_series(6)
    want = tuple(sum(s[i] * t[k - i] for i in range(k + 1)) for k in range(6))
    assert tuple((a @ b).s_series(6)) == want


@given(laws, share)
def test_corner_is_what_a_free_projection_leaves(law, ratio):
    assume(law.mean() != 0)
    projection = Atomic([0, 1], [1 - ratio, ratio])
    corner = Padded(Compressed(law, ratio), ratio)
    assert corner.moments(6) == tree_moments(FreeProduct(projection, law), 6)


@given(laws, st.integers(1, 4))
def test_free_power_is_the_repeated_sum(law, count):
    total = law
    for _ in range(count - 1):
        total = FreeSum(total, law)
    assert FreePower(law, count).moments(5) == total.moments(5)


@given(positive, st.integers(1, 4))
def test_multiplicative_power_is_the_repeated_product(law, count):
    total = law
    for _ in range(count - 1):
        total = FreeProduct(total, law)
    assert MultiplicativePower(law, count).moments(5) == total.moments(5)


@given(laws, st.fractions(1, 3, max_denominator=4), st.fractions(1, 3, max_denominator=4))
def test_free_powers_are_a_semigroup(law, s, t):
    assert FreePower(FreePower(law, s), t).moments(5) == FreePower(law, s * t).moments(5)


@given(small, st.fractions(1, 3, max_denominator=4), st.fractions(1, 3, max_denominator=4))
def test_multiplicative_powers_are_a_semigroup(ratio, s, t):
    law = MarchenkoPastur(ratio)
    twice = MultiplicativePower(MultiplicativePower(law, s), t)
    assert twice.moments(5) == MultiplicativePower(law, s * t).moments(5)


@given(laws, small, small)
def test_gaussian_congruence_has_the_nonzero_spectrum_of_a_product(law, ratio, variance):
    """X A Xᵀ and A Xᵀ X share their nonzero eigenvalues, ratio·n of them against n."""
    assume(law.mean() != 0)
    outer = Rectangular(law, ratio, variance).moments(5)
    inner = FreeProduct(MarchenkoPastur(1 / ratio), law)
    want = Affine(inner, variance * ratio, 0).moments(5)
    assert tuple(ratio * m for m in outer) == want


@given(laws, signed.filter(bool), signed)
def test_affine_maps_move_the_cumulants(law, scale, shift):
    first, *others = law.free_cumulants(6)
    want = (scale * first + shift, *(scale**k * c for k, c in enumerate(others, start=2)))
    assert tree_cumulants(Affine(law, scale, shift), 6) == want


@given(positive)
def test_singular_values_and_squares_are_inverse_to_each_other(law):
    root = SingularValues(law)
    assert root.moments(7)[1::2] == law.moments(3) and not any(root.moments(7)[::2])
    assert Square(root).moments(4) == law.moments(4)


def test_narayana_numbers_are_the_moments_of_marchenko_pastur():
    c = sympy.Symbol("c")
    for k, moment in enumerate(MarchenkoPastur(c).moments(7), start=1):
        narayana = sum(sympy.Rational(comb(k, j) * comb(k, j + 1), k) * c**j for j in range(k))
        assert sympy.expand(moment - narayana) == 0


@pytest.mark.parametrize("order", [1, 2, 5])
def test_products_of_square_gaussian_matrices_have_fuss_catalan_moments(order):
    want = [Fraction(comb((order + 1) * k, k), order * k + 1) for k in range(1, 9)]
    assert list(FussCatalan(order).moments(8)) == want


@pytest.mark.parametrize("degree", [2, 3, 6])
def test_kesten_mckay_counts_closed_walks_on_the_regular_tree(degree):
    walks = {0: 1}
    counts = []
    for _ in range(10):
        after = {}
        for distance, ways in walks.items():
            up = degree if distance == 0 else degree - 1
            after[distance + 1] = after.get(distance + 1, 0) + up * ways
            if distance:
                after[distance - 1] = after.get(distance - 1, 0) + ways
        walks = after
        counts.append(walks.get(0, 0))
    assert list(KestenMcKay(degree).moments(10)) == counts


def test_compound_free_poisson_has_the_moments_of_its_jumps_as_cumulants():
    jumps, rate = Uniform(-1, 3), Fraction(2, 3)
    want = tuple(rate * m for m in jumps.moments(8))
    assert CompoundFreePoisson(rate, jumps).free_cumulants(8) == want


def test_wachter_has_the_moments_of_a_manova_matrix():
    rows, first, second = 300, 600, 900
    rng = np.random.default_rng(5)
    a, b = (x @ x.T for x in (rng.standard_normal((rows, n)) for n in (first, second)))
    x = np.linalg.eigvals(np.linalg.solve(a + b, a)).real
    law = Wachter(Fraction(rows, first), Fraction(rows, second))
    # linear statistics of real matrices are off by O(1/rows)
    for k, moment in enumerate(law.moments(4), start=1):
        assert np.mean(x**k) == pytest.approx(float(moment), abs=2 / rows)


def test_moments_of_floats_are_the_rounded_moments_of_their_exact_values():
    floats = [0.1, 0.7, 1.3]
    exact = [Fraction(x) for x in floats]
    law, same = (
        (MarchenkoPastur(x[0]) @ Uniform(x[1], x[2])) + Semicircle(x[0]) for x in (floats, exact)
    )
    assert law.moments(8) == tuple(map(float, same.moments(8)))
    assert all(isinstance(m, float) for m in law.moments(2))


@given(share, small)
@settings(max_examples=20)
def test_symbolic_moments_take_numbers(ratio, variance):
    c, v = sympy.symbols("c v", positive=True)
    symbolic = (MarchenkoPastur(c) @ MarchenkoPastur(v)) + Semicircle(v)
    values = {c: sympy.Rational(ratio), v: sympy.Rational(variance)}
    numeric = (MarchenkoPastur(ratio) @ MarchenkoPastur(variance)) + Semicircle(variance)
    want = [sympy.Rational(m) for m in map(Fraction, numeric.moments(4))]
    assert [m.subs(values) for m in symbolic.moments(4)] == want


def test_symbolic_network_has_the_moments_of_its_numbers():
    q, s, a = sympy.symbols("q s a", positive=True)

    def chain(q, s, a):
        gate = Product(TwoPoint(0, 1, a, 1 - a))
        return ChainLaw(Chain(q, (gate, Gaussian(1, s), ChainAffine(1, q), gate)))

    numbers = Fraction(3, 2), Fraction(2, 3), Fraction(3, 4)
    values = dict(zip((q, s, a), map(sympy.Rational, numbers), strict=True))
    want = [sympy.Rational(m) for m in chain(*numbers).moments(4)]
    assert [m.subs(values) for m in chain(q, s, a).moments(4)] == want


def test_algebraic_numbers_stay_exact():
    law = MarchenkoPastur(sympy.sqrt(2))
    assert law.moments(3) == (1, 1 + sympy.sqrt(2), 3 + 3 * sympy.sqrt(2))


def test_moments_of_a_sample_are_its_means():
    x = np.random.default_rng(0).normal(size=800)
    want = [np.mean(x**k) for k in (1, 2, 3)]
    assert Empirical(x).moments(3) == pytest.approx(want, rel=1e-12, abs=1e-13)
    assert Empirical([1, 2, 4]).moments(2) == (Fraction(7, 3), 7)


def test_inverse_of_marchenko_pastur_has_the_moments_of_inverse_wishart():
    c = 0.25
    moments = MarchenkoPastur(c).inverse().moments(2)
    assert moments == pytest.approx([1 / (1 - c), 1 / (1 - c) ** 3], rel=1e-11)
    atoms = Atomic([1, 2], [Fraction(1, 3), Fraction(2, 3)])
    assert atoms.inverse().moments(2) == (Fraction(2, 3), Fraction(1, 2))


@pytest.mark.parametrize(
    "law", [Cauchy(1), Cauchy(1) + MarchenkoPastur(1), 2 * Cauchy(3, 1) - 1], ids=repr
)
def test_what_has_no_moments_says_so(law):
    for call in (law.mean, law.variance, lambda: law.moments(3), lambda: law.free_cumulant(2)):
        with pytest.raises(SpecError, match="no moments"):
            call()


@pytest.mark.parametrize("law", [MarchenkoPastur(1), Uniform(0, 1)], ids=repr)
def test_an_infinite_mean_of_an_inverse_is_called_infinite(law):
    with pytest.raises(SpecError, match="infinite"):
        law.inverse().mean()


def test_uniform_laws_with_an_end_at_zero_take_symbols():
    a = sympy.Symbol("a", positive=True)
    for law in (Uniform(0, a), a * Uniform(0, 1)):
        assert law.moments(3) == (a / 2, a**2 / 3, a**3 / 4)
    assert Uniform(-a, 0).moments(2) == (-a / 2, a**2 / 3)


def test_orders_may_be_integers_of_numpy():
    law = Uniform(-1, 3)
    assert law.moments(np.int64(2)) == law.moments(2)
    assert law.free_cumulants(np.int64(2)) == law.free_cumulants(2)


@pytest.mark.parametrize("order", [0, -1, 1.5, True, "2"])
def test_order_must_be_a_positive_integer(order):
    with pytest.raises(SpecError, match="order must be"):
        MarchenkoPastur(1).moments(order)
