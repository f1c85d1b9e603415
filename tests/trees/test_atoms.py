"""Atoms of trees: multiplicities in random matrices, exact masses, no atoms out of rounding."""

from fractions import Fraction

import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st

from freefim.errors import SpecError
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import (
    CompoundFreePoisson,
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
    Wachter,
)
from freefim.free.trees.atoms import tree_atoms
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

SIZE = 24
COUNTS_A, COUNTS_B = ({0: 14, 1: 6, 3: 4}, {0: 16, 2: 5, 5: 3})


def law_of(counts):
    return Atomic(counts, [Fraction(count, SIZE) for count in counts.values()])


def matrix_of(counts, rng):
    q, _ = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))
    return (q * np.repeat(list(counts), list(counts.values())).astype(float)) @ q.T


def multiplicities(matrix):
    """Eigenvalues that come at least twice, with their share; random ones are simple."""
    x = np.sort(np.linalg.eigvals(matrix).real)
    groups = np.split(x, np.flatnonzero(np.diff(x) > 1e-6) + 1)
    return {round(float(g.mean()), 6): Fraction(len(g), len(x)) for g in groups if len(g) > 1}


def floats(atoms):
    return {round(float(x), 6): mass for x, mass in atoms}


MATRICES = {
    "sum": (lambda a, b, _: a + b, FreeSum),
    "product": (lambda a, b, _: a @ b, FreeProduct),
    "corner": (lambda a, *_: a[:18, :18], lambda a, _: Compressed(a, Fraction(3, 4))),
    "shift": (lambda a, *_: 2 * a - np.eye(SIZE), lambda a, _: Affine(a, 2, -1)),
    "inverse": (
        lambda a, *_: np.linalg.inv(a + np.eye(SIZE)),
        lambda a, _: Inverse(Affine(a, 1, 1)),
    ),
    "sum of three": (
        lambda a, b, rng: a + b + matrix_of({0: 20, 1: 4}, rng),
        lambda a, b: FreeSum(FreeSum(a, b), law_of({0: 20, 1: 4})),
    ),
    "padding": (
        lambda a, *_: np.block([[a, np.zeros((SIZE, 8))], [np.zeros((8, SIZE + 8))]]),
        lambda a, _: Padded(a, Fraction(3, 4)),
    ),
    "wide gaussian": (
        lambda a, _, rng: (x := rng.standard_normal((8, SIZE))) @ a @ x.T,
        lambda a, _: Rectangular(a, Fraction(1, 3)),
    ),
    "tall gaussian": (
        lambda a, _, rng: (x := rng.standard_normal((2 * SIZE, SIZE))) @ a @ x.T,
        lambda a, _: Rectangular(a, 2),
    ),
    "square": (
        lambda a, *_: np.linalg.matrix_power(np.kron([[1, 0], [0, -1]], a), 2),
        lambda a, _: Square(SingularValues(a.square())),
    ),
}


@pytest.mark.parametrize("name", MATRICES)
def test_atoms_are_the_multiplicities_of_random_matrices(name):
    """Eigenspaces in general position meet in the dimension that the rules count."""
    build, tree = MATRICES[name]
    rng = np.random.default_rng(3)
    matrix = build(matrix_of(COUNTS_A, rng), matrix_of(COUNTS_B, rng), rng)
    atoms = tree_atoms(tree(law_of(COUNTS_A), law_of(COUNTS_B)))
    # an atom of one eigenvalue of the finite matrix is not told from a simple one
    heavy = {x: m for x, m in floats(atoms).items() if m * len(matrix) >= 2}
    assert heavy == multiplicities(matrix)


def test_powers_are_the_repeated_operations():
    law = Atomic([0, 1, 2], [Fraction(1, 10), Fraction(8, 10), Fraction(1, 10)])
    three = FreeSum(FreeSum(law, law), law)
    assert tree_atoms(FreePower(law, 3)) == tree_atoms(three) == ((3, Fraction(2, 5)),)
    three = FreeProduct(FreeProduct(law, law), law)
    want = ((0, Fraction(1, 10)), (1, Fraction(2, 5)))
    assert tree_atoms(MultiplicativePower(law, 3)) == tree_atoms(three) == want


@pytest.mark.parametrize(
    ("law", "atoms"),
    [
        (MarchenkoPastur(Fraction(1, 2)), ()),
        (MarchenkoPastur(1), ()),
        (MarchenkoPastur(4), ((0, Fraction(3, 4)),)),
        (FreePoisson(Fraction(1, 3), -2), ((0, Fraction(2, 3)),)),
        (CompoundFreePoisson(Fraction(1, 3), Uniform(-1, 1)), ((0, Fraction(2, 3)),)),
        (KestenMcKay(2), ()),
        (KestenMcKay(Fraction(3, 2)), tuple((s * Fraction(3, 2), Fraction(1, 4)) for s in (-1, 1))),
        (Wachter(2, Fraction(1, 2)), ((0, Fraction(1, 2)),)),
        (Wachter(Fraction(1, 2), 2), ((1, Fraction(1, 2)),)),
        (Wachter(Fraction(4, 3), Fraction(4, 3)), ((0, Fraction(1, 4)), (1, Fraction(1, 4)))),
        (FussCatalan(3), ()),
        (Semicircle(1, 5), ()),
        (Cauchy(1), ()),
        (Empirical([2, 1, 2]), ((1, Fraction(1, 3)), (2, Fraction(2, 3)))),
        (MarchenkoPastur(4).symmetrised(), ((0, Fraction(3, 4)),)),
        (PointMass(Fraction(9, 4)).symmetrised(), tuple((s * Fraction(3, 2), Fraction(1, 2))
                                                        for s in (-1, 1))),
        (MarchenkoPastur(4) @ MarchenkoPastur(2), ((0, Fraction(3, 4)),)),
        (MarchenkoPastur(4) + MarchenkoPastur(2), ((0, Fraction(1, 4)),)),
        (MarchenkoPastur(4) + Semicircle(1), ()),
    ],
    ids=repr,
)  # fmt: skip
def test_atoms_of_named_laws_are_exact(law, atoms):
    assert tree_atoms(law) == atoms


@given(st.floats(0.01, 0.99), st.floats(0.1, 5))
def test_masses_that_cancel_leave_no_atom(mass, place):
    first = Atomic([0.0, place], [1.0 - mass, mass])
    second = Atomic([0.0, place], [mass, 1.0 - mass])
    found = dict(tree_atoms(FreeSum(first, second)))
    assert 0.0 not in found and 2 * place not in found
    found = dict(tree_atoms(FreeProduct(first, second)))
    assert found.keys() == {0.0} and found[0.0] == max(mass, 1.0 - mass)


def test_symbols_leave_atoms_open():
    with pytest.raises(SpecError, match="atoms need numbers"):
        tree_atoms(MarchenkoPastur(sympy.Symbol("c")) + PointMass(1))
