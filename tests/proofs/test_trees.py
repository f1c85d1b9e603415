"""Proofs about trees: they hold the truth, are narrow, and refuse what they cannot prove."""

import sys
from fractions import Fraction as Q
from pathlib import Path
from random import Random

import pytest

pytest.importorskip("flint")

from flint import acb, arb
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from freefim.errors import ConvergenceError, SpecError
from freefim.free.laws.density import Density
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import (
    Arcsine,
    FreePoisson,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
    Wachter,
)
from freefim.free.precise import pdf as precise_pdf
from freefim.free.proofs.balls import ball, precision
from freefim.free.proofs.enclosure import Enclosure
from freefim.free.proofs.tree_points import BITS, Centre, polished
from freefim.free.proofs.trees import tree_prover
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from golden_laws import CASES, NAMES, TREES

HALF = Q(1, 2)
COIN = Atomic([-1, 1], [HALF, HALF])


def spread(items, count):
    return items[:: max(1, len(items) // count)]


def meet(first, second):
    return max(first.lower, second.lower) <= min(first.upper, second.upper)


def golden(name, count):
    """Points (x, digits of the density) of the references."""
    case = CASES[name]
    return [(Q(case["x"][int(k)]), mp.mpf(digits))
            for k, digits in spread(list(case["pdf_digits"].items()), count)]  # fmt: skip


@pytest.mark.parametrize(("name", "law"), TREES, ids=NAMES)
def test_enclosures_hold_the_golden_densities(name, law):
    prover = tree_prover(law)
    with mp.workdps(45):
        for x, reference in golden(name, 5):
            proved = prover.pdf(x)
            assert proved.width <= 1e-12
            assert proved.lower - Q(1, 10**38) <= exact(reference) <= proved.upper + Q(1, 10**38)


@pytest.mark.slow
@pytest.mark.parametrize(("name", "law"), TREES, ids=NAMES)
def test_a_hundred_points_hold_forty_digits(name, law):
    prover = tree_prover(law)
    for x in spread(CASES[name]["x"], 100):
        proved = prover.pdf(Q(x))
        reference = exact(precise_pdf(law, x, 40))
        assert proved.width <= 1e-12
        assert proved.lower - Q(1, 10**38) <= reference <= proved.upper + Q(1, 10**38)


@pytest.mark.parametrize(("name", "law"), TREES, ids=NAMES)
def test_distribution_functions_grow_by_the_density(name, law):
    """The mass of a short interval is its length times a density in it."""
    prover = tree_prover(law)
    x = Q(CASES[name]["x"][len(CASES[name]["x"]) // 3])
    step = Q(1, 10**10)
    mass = prover.cdf(x + step).lower - prover.cdf(x - step).upper
    density = prover.pdf(x)
    assert abs(mass / (2 * step) - density.lower) < Q(1, 10**8)


def exact(number):
    mantissa, exponent = number.man_exp
    return Q(int(mantissa)) * Q(2) ** int(exponent)


def test_the_semicircle_in_closed_form():
    prover = tree_prover(Semicircle(1))
    with mp.workdps(60):
        assert exact(mp.sqrt(3) / (2 * mp.pi)) in prover.pdf(Q(1))
        assert exact(HALF + mp.sqrt(3) / (4 * mp.pi) + mp.asin(0.5) / mp.pi) in prover.cdf(Q(1))


@pytest.mark.parametrize("ratio", [Q(1, 7), Q(1, 2), Q(3)])
def test_marchenko_pastur_in_closed_form(ratio):
    prover = tree_prover(MarchenkoPastur(ratio))
    with mp.workdps(60):
        c = mp.mpf(ratio.numerator) / ratio.denominator
        low, high = (1 - mp.sqrt(c)) ** 2, (1 + mp.sqrt(c)) ** 2
        x = mp.mpf(1.25)
        density = mp.sqrt((high - x) * (x - low)) / (2 * mp.pi * c * x)
        assert exact(density) in prover.pdf(Q(5, 4))
        for proved, end in zip(prover.edges(), (low, high), strict=True):
            assert proved.width < 1e-30
            assert proved.lower - Q(1, 10**50) <= exact(end) <= proved.upper + Q(1, 10**50)
    atoms = [(Q(0), 1 - 1 / ratio)] if ratio > 1 else []
    assert [(a.lower, m.lower) for a, m in prover.atoms()] == atoms


# Two trees of one law, by the rules of the calculus.
PAIRS = [
    (FreeSum(Semicircle(1), Semicircle(Q(1, 2))), Semicircle(Q(3, 2)), Q(1, 3)),
    (FreePower(MarchenkoPastur(2), 3), FreePoisson(Q(3, 2), 2), Q(5, 2)),
    (Square(Semicircle(1)), MarchenkoPastur(1), Q(3, 2)),
    (SingularValues(MarchenkoPastur(1)), Semicircle(1), Q(-3, 4)),
    (Inverse(Inverse(MarchenkoPastur(Q(1, 3)))), MarchenkoPastur(Q(1, 3)), Q(3, 4)),
    (Affine(Affine(MarchenkoPastur(1), -2, 3), Q(-1, 2), Q(3, 2)), MarchenkoPastur(1), Q(2)),
    (FreeProduct(MarchenkoPastur(1), MarchenkoPastur(1)),
     MultiplicativePower(MarchenkoPastur(1), 2), Q(2)),
    (FreeProduct(Atomic([1, 3], [HALF, HALF]), Atomic([0, 2], [HALF, HALF])),
     Padded(Compressed(Atomic([2, 6], [HALF, HALF]), HALF), HALF), Q(4)),
    (Rectangular(Atomic([-1, 2], [HALF, HALF]), 1),
     FreeProduct(MarchenkoPastur(1), Atomic([-1, 2], [HALF, HALF])), Q(-2, 3)),
    (FreePower(Uniform(0, 1), 3), FreeSum(FreePower(Uniform(0, 1), 2), Uniform(0, 1)), Q(4, 3)),
    (FreeSum(Cauchy(1), Cauchy(HALF)), Cauchy(Q(3, 2)), Q(1, 5)),
    (FreeSum(SingularValues(MarchenkoPastur(1)), Uniform(-1, 1)),
     FreeSum(Semicircle(1), Uniform(-1, 1)), Q(1, 2)),
    (FreeProduct(Inverse(MarchenkoPastur(Q(1, 4))), Uniform(1, 2)),
     Inverse(FreeProduct(MarchenkoPastur(Q(1, 4)), Inverse(Uniform(1, 2)))), Q(2)),
]  # fmt: skip


@pytest.mark.parametrize(("first", "second", "x"), PAIRS)
def test_two_trees_of_one_law_agree(first, second, x):
    one, two = tree_prover(first), tree_prover(second)
    assert meet(one.pdf(x), two.pdf(x))
    assert one.pdf(x).lower > 0
    assert one.pdf(x).width < 1e-25


@pytest.mark.parametrize(("first", "second", "x"), PAIRS)
def test_masses_of_two_trees_agree(first, second, x):
    try:
        one, two = tree_prover(first).cdf(x), tree_prover(second).cdf(x)
    except ConvergenceError as refusal:
        assert "square root" in str(refusal)
        return
    assert meet(one, two)
    assert one.width < 1e-25


@settings(max_examples=12, deadline=None)
@given(
    places=st.lists(st.integers(0, 40), min_size=2, max_size=5, unique=True),
    ratio=st.fractions(Q(1, 5), Q(6, 7), max_denominator=7),
    share=st.fractions(Q(1, 10), Q(9, 10), max_denominator=10),
)
def test_random_trees_hold_their_digits(places, ratio, share):
    """The engine of any precision has its own program and its own test of the sheet."""
    law = FreeSum(FreeProduct(Empirical(places), MarchenkoPastur(ratio)), Semicircle(share))
    prover = tree_prover(law)
    for x in (Q(sum(places), len(places)), places[0] + share):
        proved = prover.pdf(x)
        assert proved.width < 1e-25
        assert abs(exact(precise_pdf(law, x, 40)) - proved.lower) < Q(1, 10**25)
        below, above = prover.cdf(x - share / 10), prover.cdf(x + share / 10)
        assert 0 <= below.lower <= above.upper <= 1


class TestGaps:
    def test_masses_are_rational(self):
        law = FreeProduct(MarchenkoPastur(Q(1, 5)), Atomic([1, 7], [Q(1, 3), Q(2, 3)]))
        prover = tree_prover(law)
        assert prover.pdf(Q(5, 2)).upper == 0
        assert prover.cdf(Q(5, 2)).lower == prover.cdf(Q(5, 2)).upper == Q(1, 3)

    def test_masses_of_samples_are_multiples_of_one_share(self):
        name, law = next(item for item in TREES if item[0] == "sum of fifty atoms each")
        prover = tree_prover(law)
        ends = [float(end) for end in CASES[name]["edges"]]
        gaps = zip(ends[1::2], ends[2::2], strict=False)
        masses = [prover.cdf(Q(0.5 * (a + b))) for a, b in gaps]
        assert all(mass.width == 0 and (50 * mass.lower).denominator == 1 for mass in masses)
        assert sorted(masses, key=lambda mass: mass.lower) == masses

    def test_beyond_the_support(self):
        prover = tree_prover(FreeSum(Uniform(0, 1), Atomic([0, 3], [HALF, HALF])))
        assert prover.cdf(Q(-1)).upper == 0 == prover.pdf(Q(-1)).upper
        assert prover.cdf(Q(9)).lower == 1


def roots_of(law, x):
    """All solutions of the equation of a semicircle of variance 1 plus ±1, at a real x."""
    with mp.workdps(40):
        x = mp.mpf(x)
        # w + G(w) = x with G = w/(w² - 1)
        return mp.polyroots([1, -x, 0, x], maxsteps=200, extraprec=200)


class TestWrongRoots:
    law = FreeSum(Semicircle(1), COIN)

    def test_only_the_physical_one_is_proved(self):
        """In a band there are three roots: a pair of which one is physical, and a real one."""
        prover = tree_prover(self.law)
        x = Q(3, 2)
        with precision(BITS):
            target = ball(x)
            verdicts = {}
            for root in roots_of(self.law, 1.5):
                centre = Centre([acb(arb(str(root.real)), arb(str(root.imag)))], {})
                real = abs(root.imag) < 1e-20
                verdicts[int(mp.sign(root.imag)) if not real else 0] = (
                    prover.points.prove(target, centre, real=real) is not None
                )
        assert verdicts == {1: True, 0: False, -1: False}

    def test_real_roots_of_a_gap_are_told_apart(self):
        """Right of the support all three roots are real, and one is physical."""
        prover = tree_prover(self.law)
        with precision(BITS):
            roots = [root for root in roots_of(self.law, 4)]
            proved = [
                prover.points.prove(arb(4), Centre([acb(arb(str(root.real)))], {}), real=True)
                for root in roots
            ]
        assert all(abs(root.imag) < 1e-20 for root in roots)
        held = [float(root.real) for root, point in zip(roots, proved, strict=True) if point]
        assert held == [max(float(root.real) for root in roots)]

    def test_the_sector_of_a_product_is_needed(self):
        """The conjugate of a factor's unknown solves the equations of a conjugate pair only."""
        prover = tree_prover(FreeProduct(Uniform(1, 2), Atomic([1, 5], [HALF, HALF])))
        with precision(BITS):
            point = prover.points.at(arb(3))
            flipped = Centre([u.conjugate() for u in point.centre.unknowns], {})
            assert prover.points.prove(arb(3), flipped, real=False) is None

    @pytest.mark.parametrize(
        ("law", "x"),
        [
            (FreeSum(Empirical([0, 1, 3, 4, 7]), Empirical([0, 2, 5])), Q(6, 5)),
            (FreeProduct(Empirical([1, 2, 5, 8]), Empirical([1, 3, 4])), Q(3)),
            (FreeProduct(MultiplicativePower(MarchenkoPastur(HALF), Q(5, 2)),
                         Compressed(Atomic([1, 3], [HALF, HALF]), HALF)), Q(1)),
        ],
    )  # fmt: skip
    def test_of_all_sheets_one_is_proved(self, law, x):
        """Newton's method from everywhere finds many roots; those proved are one point."""
        prover = tree_prover(law)
        random = Random(7)
        with precision(BITS):
            target, found, proved = ball(x), set(), set()
            for _ in range(150):
                start = [acb(random.gauss(0, 4), random.gauss(0, 4)) for _ in range(2)]
                centre = polished(prover.system, acb(target), Centre(start, {}))
                if centre is None:
                    continue
                key = tuple(complex(u) for u in centre.unknowns)
                key = tuple(complex(round(u.real, 9), round(u.imag, 9)) for u in key)
                found.add(key)
                if any(prover.points.prove(target, centre, real=real) for real in (False, True)):
                    proved.add(key)
            physical = prover.points.at(target)
        assert len(found) > 1
        assert len(proved) == 1
        assert all(abs(u - complex(v)) < 1e-8 for key in proved
                   for u, v in zip(key, physical.centre.unknowns, strict=True))  # fmt: skip

    def test_a_centre_without_a_root_is_rejected(self):
        prover = tree_prover(self.law)
        with precision(BITS):
            assert prover.points.prove(ball(Q(3, 2)), Centre([acb(1, 1)], {}), real=False) is None


class TestRefusals:
    @pytest.mark.parametrize(
        ("law", "x"),
        [
            (FreeSum(Semicircle(1), COIN), Q(0)),  # two bands meet: a cusp
            (Semicircle(1), Q(2)),
            (MarchenkoPastur(1), Q(0)),
            (MarchenkoPastur(1), Q(4)),
            (Uniform(0, 1), Q(1)),
        ],
    )
    def test_nothing_is_proved_at_edges_and_cusps(self, law, x):
        with pytest.raises(ConvergenceError):
            tree_prover(law).pdf(x)

    def test_two_factors_without_a_sign(self):
        law = FreeProduct(Uniform(-1, 3), Uniform(1, 2))
        with pytest.raises(ConvergenceError, match="lives on"):
            tree_prover(law)

    def test_leaves_in_double_precision(self):
        law = FreeSum(Density(lambda x: 0.75 * (1 - x * x), [(-1, 1)]), Uniform(0, 1))
        with pytest.raises(ConvergenceError, match="double precision"):
            tree_prover(law)

    def test_irrational_numbers(self):
        from sympy import sqrt

        with pytest.raises(SpecError, match="rational"):
            tree_prover(Semicircle(sqrt(2)))

    def test_masses_below_a_square_root(self):
        law = FreeSum(SingularValues(MarchenkoPastur(2)), Uniform(0, 1))
        with pytest.raises(ConvergenceError, match="square root"):
            tree_prover(law).cdf(Q(3, 4))


def test_float_masses_are_shares_of_their_sum():
    assert sum((Q(0.1), Q(0.9))) != 1
    prover = tree_prover(FreeSum(Semicircle(1), Atomic([0, 9], [0.1, 0.9])))
    assert prover.cdf(Q(5)).lower == Q(0.1) / (Q(0.1) + Q(0.9))


def test_atoms_are_exact():
    law = FreeSum(Atomic([0, 1], [Q(3, 4), Q(1, 4)]), Atomic([0, 2], [Q(2, 3), Q(1, 3)]))
    assert [(a.lower, m.lower, m.upper) for a, m in tree_prover(law).atoms()] == [
        (0, Q(5, 12), Q(5, 12)),
        (2, Q(1, 12), Q(1, 12)),
    ]


def test_point_masses_have_no_density():
    prover = tree_prover(FreeSum(PointMass(1), PointMass(2)))
    assert prover.pdf(Q(3)).upper == 0
    assert (prover.cdf(Q(5, 2)).upper, prover.cdf(Q(3)).lower) == (0, 1)


@pytest.mark.parametrize(
    "law", [Arcsine(0, 2), KestenMcKay(Q(5, 2)), Wachter(HALF, Q(1, 3)), Cauchy(2, location=1)]
)
def test_named_laws_agree_with_their_floats(law):
    prover = tree_prover(law)
    for x in (0.3, 0.55, 0.8):
        assert abs(prover.pdf(Q(x)).midpoint - law.pdf(x)) < 1e-12
        assert abs(prover.cdf(Q(x)).midpoint - law.cdf(x)) < 1e-12


STEP = Atomic([0, 1], [HALF, HALF])
AT_ATOMS = [
    (STEP, 0, HALF),
    (Affine(STEP, -1, 0), 0, 1),
    (Affine(STEP, -1, 0), -1, HALF),
    (Affine(Affine(STEP, -1, 0), -3, Q(1, 3)), Q(1, 3), HALF),
    (Affine(Padded(Uniform(1, 2), Q(1, 4)), -1, 0), 0, 1),
    (Padded(Uniform(1, 2), Q(1, 4)), 0, Q(3, 4)),
    (Inverse(Affine(STEP, 1, 1)), HALF, HALF),
    (Inverse(Affine(STEP, 1, 1)), 1, 1),
    (SingularValues(STEP), -1, Q(1, 4)),
    (SingularValues(STEP), 1, 1),
    (Square(COIN), 1, 1),
    (Affine(Empirical([1, 1, 2.5]), -1, 0), -1, 1),
    (MarchenkoPastur(2), 0, HALF),
    (Affine(MarchenkoPastur(2), -1, 0), 0, 1),
]


@pytest.mark.parametrize(("law", "x", "mass"), AT_ATOMS)
def test_masses_count_the_atom_at_the_point(law, x, mass):
    proved = tree_prover(law).cdf(Q(x))
    assert proved.lower == proved.upper == mass
    assert tree_prover(law).pdf(Q(x)).upper == 0


@pytest.mark.parametrize("law", [STEP, COIN, Atomic([0, 1], [Q(3, 4), Q(1, 4)])])
def test_two_atoms_and_themselves_have_a_centre(law):
    """By symmetry half of what is no atom lies below the centre."""
    x = sum(map(Q, law.locations))
    prover = tree_prover(FreeSum(law, law))
    atoms = prover.atoms()
    left = sum((mass.lower for at, mass in atoms if at.lower < x), Q(0))
    right = sum((mass.lower for at, mass in atoms if at.lower > x), Q(0))
    assert prover.pdf(x).lower > 0
    assert left + (1 - left - right) / 2 in prover.cdf(x)


def test_a_negative_projection_is_the_mirror_of_a_positive_one():
    below, above = (tree_prover(FreeProduct(Uniform(1, 2), Atomic(sorted([0, x]), [HALF, HALF])))
                    for x in (-1, 1))  # fmt: skip
    proved, mirrored = below.pdf(Q(-5, 4)), above.pdf(Q(5, 4))
    assert proved.lower > 0
    assert meet(proved, mirrored)
    assert 1 in Enclosure(*(below.cdf(Q(-5, 4)).lower + above.cdf(Q(5, 4)).lower + s
                            for s in (-Q(1, 10**25), Q(1, 10**25))))  # fmt: skip
