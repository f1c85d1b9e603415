"""Bands, edges, atoms and masses of chains of projections, against exact algebra and matrices."""

import itertools

import numpy as np
import pytest
import sympy as sp
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.projection import gap_kernels
from freefim.free.projection.program import PADDING, compile_chain, is_projection_chain
from freefim.free.projection.solve import solve_projection


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1.0 - complement, complement))


def comb(depth, complement):
    """The dual of a deep near-isometric network: gates that keep the mean, each plus 1."""
    moves = (gate(complement), Affine(1.0 / (1.0 - complement), 1.0))
    return Chain(1.0, moves * (depth - 1))


@pytest.mark.parametrize(
    ("depth", "excess", "bands"),
    [(6, 0.25 / 6, 4), (20, 0.25 / 20, 12), (100, 0.25 / 100, 17)],
)
def test_a_comb_of_given_inverse_mass_has_so_many_bands(depth, excess, bands):
    solution = solve_projection(comb(depth, 1.0 - 1.0 / (1.0 + excess)))
    assert len(solution.bands) == bands


@pytest.mark.parametrize(
    ("depth", "complement", "bands"),
    [(6, 0.25 / 5, 4), (20, 0.25 / 19, 10), (100, 0.25 / 99, 16), (60, 0.1 / 59, 58)],
)
def test_a_comb_of_given_complement_has_so_many_bands(depth, complement, bands):
    solution = solve_projection(comb(depth, complement))
    assert len(solution.bands) == bands
    # every band holds a whole number of the masses that the gates take out
    parts = np.array(solution.band_masses) / complement
    np.testing.assert_allclose(parts, np.round(parts), atol=1e-9)


def test_every_edge_is_a_stationary_value_of_the_exact_rational_curve():
    complements = [sp.Rational(1, 5), sp.Rational(1, 3), sp.Rational(2, 7)]
    shifts = [sp.Rational(1, 2), sp.Rational(1, 3), sp.Integer(1)]
    w = sp.symbols("w")
    z, m, moves = w, 1 / (w - 1), []
    for b, q in zip(complements, shifts, strict=True):
        z = sp.together(z * (1 - b + m) / (1 + m) + q)
        m = sp.together(m + q * (1 + m) / (z - q))
        moves += [gate(float(b)), Affine(1, float(q))]
    numerator = sp.Poly(sp.fraction(sp.cancel(sp.diff(z, w)))[0], w)
    exact = [float(z.subs(w, r)) for r in numerator.nroots(n=40, maxsteps=200) if r.is_real]
    solution = solve_projection(Chain(1, tuple(moves)))
    assert solution.bands
    for edge in itertools.chain(*solution.bands):
        assert min(abs(edge - value) for value in exact) <= 1e-14 * edge


def test_the_edges_of_one_gaussian_matrix_are_those_of_marchenko_and_pastur():
    ratio, variance = 0.4, 1.7
    (band,) = solve_projection(Chain(1.0, (Gaussian(ratio, variance),))).bands
    root = np.sqrt(ratio)
    np.testing.assert_allclose(band, variance * np.array([(1 - root) ** 2, (1 + root) ** 2]), 1e-14)


@st.composite
def chains(draw):
    number = st.floats(0.05, 0.9)
    moves = []
    for _ in range(draw(st.integers(1, 7))):
        moves.append(gate(draw(number), draw(st.floats(0.5, 2.0))))
        kind = draw(st.sampled_from(["none", "gaussian", "corner", "padding"]))
        if kind == "gaussian":
            moves.append(Gaussian(draw(st.floats(0.3, 3.0)), draw(st.floats(0.5, 2.0))))
        elif kind != "none":
            moves.append((Corner if kind == "corner" else Padding)(draw(number)))
        moves.append(Affine(draw(st.floats(0.5, 2.0)), draw(st.floats(0.05, 2.0))))
    return Chain(draw(st.floats(0.2, 2.0)), tuple(moves))


@settings(max_examples=60, deadline=None)
@given(chains())
def test_masses_add_up_and_the_density_integrates_to_them(chain):
    assert is_projection_chain(chain)
    solution = solve_projection(chain)
    atoms = sum(mass for _, mass in solution.atoms)
    assert atoms + sum(solution.band_masses) == pytest.approx(1.0, abs=1e-10)
    _, weights = solution.nodes()
    assert atoms + weights.sum() == pytest.approx(1.0, abs=1e-9)
    ends = np.array(solution.bands).ravel()
    assert np.all(np.diff(ends) >= 0.0)


@settings(max_examples=40, deadline=None)
@given(chains())
def test_the_mass_of_an_atom_is_the_residue_of_the_cauchy_transform(chain):
    solution = solve_projection(chain)
    ends = np.array(solution.bands).ravel()
    for location, mass in solution.atoms:
        others = [x for x, _ in solution.atoms if x != location]
        distance = np.min(np.abs(np.append(ends, [*others, location + 1.0]) - location))
        if distance < 1e-3 * (1.0 + location):
            continue
        height = 1e-6 * distance
        residue = 1j * height * solution.cauchy(np.array([location + 1j * height]))[0]
        assert residue.real == pytest.approx(mass, rel=1e-5, abs=1e-5)


def test_two_equal_gates_leave_an_atom_of_mass_zero_and_a_hard_edge():
    chain = Chain(1.0, (gate(0.5), Affine(2.0, 1.0)) * 2)
    solution = solve_projection(chain)
    ((left, _),) = solution.bands
    assert solution.atoms == ((1.0, 0.5),)
    assert solution.pdf(np.array([left]))[0] == np.inf
    steps = np.array([1e-6, 1e-8, 1e-10])
    scaled = solution.pdf(left + steps) * np.sqrt(steps)
    np.testing.assert_allclose(scaled, scaled[-1], rtol=1e-5)


def test_gates_of_hardly_any_mass_give_bands_of_hardly_any_mass():
    solution = solve_projection(Chain(1.0, (gate(1e-12), Affine(1.0, 1.0)) * 9))
    assert len(solution.bands) == 8
    assert sum(solution.band_masses) == pytest.approx(8e-12, rel=1e-3)


@settings(max_examples=40, deadline=None)
@given(
    st.lists(
        st.tuples(st.floats(0.02, 0.9), st.floats(0.2, 4.0), st.floats(0.05, 2.0)),
        min_size=2,
        max_size=12,
    )
)
def test_cuts_at_atoms_that_the_next_gate_takes_away_find_no_gap(layers):
    moves = []
    for complement, ratio, shift in layers:
        moves += [gate(complement), Gaussian(ratio, 1.0), Affine(1.0, shift)]
    ops, par, start = compile_chain(Chain(1.0, tuple(moves)))
    last = len(ops) - 1
    few = gap_kernels.find_cuts(ops, par, start, last, True)
    # behind an operation that does nothing and is no Gaussian matrix, no cut is left out
    more = np.append(ops, PADDING), np.vstack([par, [0.0, 1.0, 1.0, 0.0]])
    every = gap_kernels.find_cuts(*more, start, last, True)
    assert len(few) <= len(every)
    status, gaps, _ = gap_kernels.find_gaps(ops, par, start, few)
    other, same_gaps, _ = gap_kernels.find_gaps(ops, par, start, every)
    assert status == other == 0
    np.testing.assert_allclose(gaps, same_gaps, rtol=1e-12, atol=1e-13)


def haar(rng, n):
    q, r = np.linalg.qr(rng.standard_normal((n, n)))
    return q * np.sign(np.diag(r))


def test_a_mixed_chain_is_the_law_of_random_matrices():
    rng = np.random.default_rng(7)
    n, rows = 560, 700
    a = np.eye(n)
    for kept in (400, 336):
        basis = haar(rng, n)[:, :kept]
        projection = basis @ basis.T
        a = 2.0 * projection @ a @ projection + 0.3 * np.eye(n)
    x = rng.standard_normal((rows, n)) / np.sqrt(n)
    padded = np.zeros((875, 875))
    padded[:rows, :rows] = x @ a @ x.T
    u = haar(rng, 875)
    eigenvalues = np.linalg.eigvalsh((u @ padded @ u.T)[:rows, :rows] + 0.1 * np.eye(rows))
    moves = (
        gate(1.0 - 400 / n), Affine(2.0, 0.3), gate(1.0 - 336 / n), Affine(2.0, 0.3),
        Gaussian(rows / n, 1.0), Padding(rows / 875), Corner(rows / 875), Affine(1.0, 0.1),
    )  # fmt: skip
    solution = solve_projection(Chain(1.0, moves))
    grid = np.linspace(0.05, eigenvalues[-1], 200)
    found = np.searchsorted(eigenvalues, grid, side="right") / len(eigenvalues)
    # eigenvalues of such matrices stray from their quantiles by a few of n
    assert np.max(np.abs(found - solution.cdf(grid))) < 5.0 / rows
