"""Edges of trees: proved one by one, and proved to be all."""

import sys
from fractions import Fraction as Q
from pathlib import Path

import pytest

pytest.importorskip("flint")

from freefim.errors import ConvergenceError
from freefim.free.laws.given import Atomic, Uniform
from freefim.free.laws.named import Arcsine, FussCatalan, KestenMcKay, MarchenkoPastur, Semicircle
from freefim.free.proofs.balls import precision
from freefim.free.proofs.tree_edges import prove_edges
from freefim.free.proofs.tree_points import BITS
from freefim.free.proofs.trees import tree_prover
from freefim.free.trees.nodes import (
    Affine,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    SingularValues,
)

sys.path.insert(0, str(Path(__file__).parents[1] / "trees"))
from golden_laws import CASES, NAMES, TREES

HALF = Q(1, 2)
COIN = Atomic([-1, 1], [HALF, HALF])
# Its edge at 0 is hard, with a density like a power of x.
SLOW = "Fuss-Catalan"
# Their many bands take minutes.
LONG = ("sum of fifty atoms each", "product of fifty atoms each")


@pytest.mark.parametrize(
    ("name", "law"),
    [pytest.param(*item, id=name, marks=[pytest.mark.slow] * (item[0] == SLOW))
     for name, item in zip(NAMES, TREES, strict=True) if item[0] not in LONG],
)  # fmt: skip
def test_golden_edges_are_held(name, law):
    proved = tree_prover(law).edges()
    for end, reference in zip(proved, CASES[name]["edges"], strict=True):
        assert end.width < (1e-10 if name == SLOW else 1e-30)
        assert end.lower - Q(1, 10**36) <= Q(reference) <= end.upper + Q(1, 10**36)


def squares(value, end):
    """Whether an enclosure, squared, holds a rational."""
    return min(end.lower**2, end.upper**2) <= value <= max(end.lower**2, end.upper**2)


@pytest.mark.parametrize("degree", [3, Q(5, 2), 10])
def test_kesten_mckay_ends_at_twice_the_root(degree):
    for end in tree_prover(KestenMcKay(degree)).edges():
        assert squares(4 * (Q(degree) - 1), end)


def test_hard_edges_are_held_between_gap_and_band():
    low, high = tree_prover(Arcsine(0, 2)).edges()
    assert 0 in low
    assert 2 in high
    assert max(low.width, high.width) < 1e-10


def test_a_hard_edge_at_zero():
    low, high = tree_prover(MarchenkoPastur(1)).edges()
    assert (0 in low, 4 in high) == (True, True)
    assert low.width < 1e-10


def test_moves_that_keep_the_line_take_the_edges_along():
    law = MarchenkoPastur(Q(1, 4))  # from 1/4 to 9/4
    for moved, ends in [
        (Affine(law, -4, 1), (-8, 0)),
        (Inverse(law), (Q(4, 9), 4)),
        (SingularValues(law), (Q(-3, 2), -HALF, HALF, Q(3, 2))),
    ]:
        proved = tree_prover(moved).edges()
        assert all(place in end for place, end in zip(ends, proved, strict=True))


def test_the_support_reaches_to_atoms():
    law = FreePower(Atomic([0, 1], [Q(7, 10), Q(3, 10)]), Q(5, 2))
    left, right = tree_prover(law).support()
    assert left.lower == left.upper == 0
    assert right.lower > 2


class TestLists:
    """Lists of bands that are not the law's own have no proof."""

    law = FreeProduct(MarchenkoPastur(Q(1, 5)), Atomic([1, 7], [HALF, HALF]))
    bands = ((0.3930281619860321, 1.5683607160307144), (3.399248676340737, 12.239362445642515))

    def proved(self, bands):
        prover = tree_prover(self.law)
        with precision(BITS):
            return prove_edges(prover.points, bands, [], positive=True)

    def test_the_right_one(self):
        assert len(self.proved(self.bands)) == 4

    @pytest.mark.parametrize("kept", [0, 1])
    def test_a_band_left_out(self, kept):
        with pytest.raises(ConvergenceError, match="holds mass"):
            self.proved([self.bands[kept]])

    def test_two_bands_taken_for_one(self):
        with pytest.raises(ConvergenceError):
            self.proved([(self.bands[0][0], self.bands[1][1])])

    def test_one_band_taken_for_two(self):
        (a, b), last = self.bands
        with pytest.raises(ConvergenceError):
            self.proved([(a, 0.9), (1.1, b), last])


def test_bands_that_meet_have_no_proof():
    prover = tree_prover(FreeSum(Semicircle(1), COIN))
    with precision(BITS), pytest.raises(ConvergenceError):
        end = 27**0.5 / 2
        prove_edges(prover.points, [(-end, 0.0), (0.0, end)], [], positive=False)


def test_bands_that_nearly_meet_are_two():
    ends = tree_prover(FreeSum(Semicircle(Q(99, 100)), COIN)).edges()
    assert len(ends) == 4
    assert ends[1].upper < 0 < ends[2].lower


def test_a_uniform_law_keeps_its_ends():
    assert [end.lower for end in tree_prover(Affine(Uniform(0, 1), 3, 1)).edges()] == [1, 4]


def test_the_edge_of_fuss_and_catalan():
    low, high = tree_prover(FussCatalan(2)).edges()
    assert 0 in low
    assert Q(27, 4) in high
