"""Proofs about chains of projections: they hold the truth, are narrow, and refuse the rest."""

import subprocess
import sys
from decimal import Decimal
from fractions import Fraction

import numpy as np
import pytest

pytest.importorskip("flint")

from flint import acb, arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st
from mpmath import mp

from freefim.errors import ConvergenceError, SpecError
from freefim.free import moves
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.proofs.balls import ball, box, precision
from freefim.free.proofs.chains import ChainProver
from freefim.free.proofs.curve import Curve, compile_chain
from freefim.free.proofs.enclosure import Enclosure, exact
from freefim.free.proofs.roots import proved_box
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1 - complement, complement))


def comb(depth, complement):
    """The dual of a deep near-isometric network: gates that keep the mean, each plus 1."""
    moves = (gate(complement), Affine(1.0 / (1.0 - complement), 1.0))
    return ChainLaw(Chain(1.0, moves * (depth - 1)))


def law_of(depth, activation, weights, weight_std, **fields):
    net = Network(depth, activation, weights=weights, weight_std=weight_std, **fields)
    return ConditionalFIM(net).law()


def closing():
    """Marchenko–Pastur over the atoms 1 and 2: a gap that closes at x = 54/5, exactly.

    With A = B for A, B the masses times the squares of the places, the gap is open iff the ratio
    exceeds (A^(1/3) + B^(1/3))^3 = 8 A.
    """
    moves = (gate(Fraction(4, 5), 1), Affine(1, 1), Gaussian(Fraction(32, 5), 1))
    return ChainLaw(Chain(1, moves))


LAWS = {
    "hard_tanh_orthogonal_3": lambda: law_of(3, "hard_tanh", "orthogonal", 1.1),
    "hard_tanh_orthogonal_5": lambda: law_of(5, "hard_tanh", "orthogonal", 1.2, bias_std=0.1),
    "hard_tanh_gaussian_4": lambda: law_of(4, "hard_tanh", "gaussian", 1.3),
    "hard_tanh_gaussian_20": lambda: law_of(20, "hard_tanh", "gaussian", 1.05),
    "relu_orthogonal_6": lambda: law_of(6, "relu", "orthogonal", 1.4),
    "relu_gaussian_10": lambda: law_of(10, "relu", "gaussian", 2**0.5),
    "narrowing_orthogonal_4": lambda: law_of(
        4, "hard_tanh", "orthogonal", 1.2, width_ratios=(2, 1.5, 1, 1, 0.5)
    ),
    "widening_gaussian_4": lambda: law_of(
        4, "relu", "gaussian", 1.4, width_ratios=(0.5, 1, 2, 1, 1.5)
    ),
    "comb_20": lambda: comb(20, 0.25 / 19),
    "comb_60": lambda: comb(60, 0.1 / 59),
}


def holds(enclosure, reference, digits=38):
    """Whether an enclosure holds a number that is known to so many digits."""
    value = exact("reference", reference)
    slack = abs(value) / 10**digits
    return enclosure.lower - slack <= value <= enclosure.upper + slack


def inside_bands(law, count):
    """Points in all bands, away from edges, about `count` in all."""
    share = -(-count // len(law.bands))
    places = (np.arange(share) + 0.5) / share
    return [float(a + (b - a) * place) for place in places for a, b in law.bands][:count]


def check_points(law, points):
    for x in points:
        proved = law.certified_pdf(x)
        reference = law.pdf(x, digits=40)
        assert holds(proved, reference)
        assert proved.width <= 1e-12 * min(1.0, proved.midpoint)
        mass = law.certified_cdf(x)
        assert abs(mass.midpoint - law.cdf(x)) <= 1e-12
        assert mass.width <= 1e-12


# Values


@pytest.mark.parametrize("name", [name for name in LAWS if name != "comb_60"])
def test_densities_hold_forty_digits_found_another_way(name):
    law = LAWS[name]()
    check_points(law, inside_bands(law, 40)[::13])


@pytest.mark.slow
@pytest.mark.parametrize("name", LAWS)
def test_densities_hold_forty_digits_at_a_hundred_points(name):
    law = LAWS[name]()
    points = inside_bands(law, 100)
    assert len(points) == 100
    check_points(law, points)


def test_the_density_of_marchenko_and_pastur_is_held_to_fifty_digits():
    law = ChainLaw(Chain(1, (Gaussian(Fraction(1, 4), 1),)))
    with mp.workdps(60):
        for x in (Fraction(1, 3), Fraction(1), Fraction(2)):
            y = mp.mpf(x.numerator) / x.denominator
            density = mp.sqrt((y - mp.mpf(1) / 4) * (mp.mpf(9) / 4 - y)) / (mp.pi * y / 2)
            assert holds(law.certified_pdf(x), density, 55)
            assert law.certified_pdf(x).width < 1e-30


def test_the_mass_of_a_band_point_is_the_integral_of_the_density():
    law = LAWS["hard_tanh_orthogonal_5"]()
    (left, right), *_ = law.bands
    a, b = 0.7 * left + 0.3 * right, 0.3 * left + 0.7 * right
    node, weight = np.polynomial.legendre.leggauss(32)
    points = 0.5 * (a + b) + 0.5 * (b - a) * node
    total = 0.5 * (b - a) * sum(w * law.certified_pdf(float(x)).midpoint
                                for w, x in zip(weight, points, strict=True))  # fmt: skip
    difference = law.certified_cdf(b).midpoint - law.certified_cdf(a).midpoint
    assert abs(total - difference) < 1e-12


def test_arrays_and_rationals_and_refused_points():
    law = ChainLaw(Chain(1, (Gaussian(1, 1),)))
    found = law.certified_pdf(np.array([[1.0, 2.0, 5.0]]))
    assert found.shape == (1, 3)
    assert found[0, 2] == Enclosure(Fraction(0), Fraction(0))
    assert law.certified_pdf([Fraction(1), 2])[0] == found[0, 0]
    for x in (np.nan, "1", np.inf, 1j, True):
        with pytest.raises(SpecError, match="x must be a finite real number"):
            law.certified_pdf(x)


# Bands, edges, atoms


@pytest.mark.parametrize("name", ["hard_tanh_orthogonal_5", "hard_tanh_gaussian_4"])
def test_edges_hold_thirty_digits_found_another_way(name):
    law = LAWS[name]()
    found = law.certified_edges()
    for edge, reference in zip(found, law.precise_edges(30), strict=True):
        assert holds(edge, reference, 28)
        assert edge.width <= 1e-12 * float(edge.upper)


def test_all_58_bands_of_the_deep_comb_are_proved():
    complement = 0.1 / 59
    law = comb(60, complement)
    structure = law.prover.structure
    assert len(structure.bands) == 58
    # every gate takes out one and the same mass, and one band holds it
    assert {band.mass for band in structure.bands} == {Fraction(complement)}
    edges = np.array([edge.midpoint for edge in law.certified_edges()])
    np.testing.assert_allclose(edges, law.edges, rtol=1e-12)
    assert [float(mass) for _, mass in structure.atoms] == pytest.approx([complement, 0.9])


def test_atoms_are_exact_and_the_mass_is_whole():
    law = LAWS["hard_tanh_orthogonal_5"]()
    atoms = law.certified_atoms()
    assert all(place.width == mass.width == 0 for place, mass in atoms)
    total = sum(mass.lower for _, mass in atoms) + sum(b.mass for b in law.prover.structure.bands)
    assert total == 1
    low, high = law.certified_support()
    assert [low.midpoint, high.midpoint] == pytest.approx(law.support, rel=1e-13)
    # right-continuous at an atom
    (place, mass), *_ = atoms
    assert law.certified_cdf(place.lower).lower == mass.lower
    assert law.certified_cdf(place.lower - Fraction(1, 10**9)).upper == 0


@st.composite
def chains(draw):
    """Chains of gates, Gaussian matrices and corners, each layer shifted or not."""
    share = st.integers(3, 29).map(lambda n: n / 32)  # sums are exact in floats
    moves = []
    for _ in range(draw(st.integers(1, 5))):
        moves.append(gate(draw(share), draw(st.sampled_from([0.5, 1.0, 2.0]))))
        kind = draw(st.sampled_from(["none", "gaussian", "corner"]))
        if kind == "gaussian":
            moves.append(Gaussian(draw(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0])), 1.5))
        elif kind == "corner":
            moves.append(Corner(draw(share)))
        moves.append(Affine(draw(st.sampled_from([0.7, 1.3])), draw(st.sampled_from([0, 0.5, 1]))))
    return Chain(1.0, tuple(moves))


@settings(max_examples=60)
@given(chains())
def test_proved_bands_are_those_of_the_engine(chain):
    law = ChainLaw(chain)
    try:
        structure = law.prover.structure
    except ConvergenceError:
        return
    assert [float(x) for x, _ in structure.atoms] == pytest.approx([x for x, _ in law.atoms])
    masses = [float(band.mass) for band in structure.bands]
    assert masses == pytest.approx(list(law.band_masses), abs=1e-9)
    edges = [edge.midpoint for edge in law.certified_edges()]
    assert edges == pytest.approx(list(law.edges), rel=1e-9, abs=1e-12)


# What is refused


def test_edges_are_refused_and_their_neighbours_are_not():
    law = ChainLaw(Chain(1, (Gaussian(1, 1),)))
    for x in (0, 4):
        with pytest.raises(ConvergenceError, match="edge"):
            law.certified_pdf(x)
        with pytest.raises(ConvergenceError, match="edge"):
            law.certified_cdf(x)
    assert law.certified_pdf(np.nextafter(4.0, 5.0)).upper == 0
    below = law.certified_pdf(np.nextafter(4.0, 0.0))
    assert below.lower > 0
    assert below.width < 1e-12 * below.midpoint


def test_a_closing_gap_is_refused_and_the_rest_is_proved():
    law = closing()
    with pytest.raises(ConvergenceError, match="neither proved nor excluded"):
        law.certified_edges()
    with pytest.raises(ConvergenceError, match="cusp"):
        law.certified_pdf(Fraction(54, 5))
    near = law.certified_pdf(10.8)  # a float beside it
    assert near.lower > 0
    assert near.width < 1e-12 * near.midpoint
    assert law.certified_pdf(100).upper == 0
    assert law.certified_cdf(100) == Enclosure(Fraction(1), Fraction(1))
    assert law.certified_cdf(1) == Enclosure(Fraction(27, 32), Fraction(27, 32))  # 1 - (1/c)
    check_points(law, [5.0, 11.0])


@pytest.mark.parametrize("factor", [Fraction(999, 1000), Fraction(1001, 1000)])
def test_beside_the_cusp_one_band_or_two_are_proved(factor):
    moves = (*closing().chain.moves[:2], Gaussian(Fraction(32, 5) * factor, 1))
    assert len(ChainLaw(Chain(1, moves)).certified_edges()) == (4 if factor > 1 else 2)


def test_of_all_roots_only_the_physical_one_is_proved():
    law = LAWS["hard_tanh_orthogonal_5"]()
    program = compile_chain(law.chain)
    x = Fraction(3)
    _, z, _ = law.derivation().sympy()
    import sympy

    omega = sympy.Symbol("omega")
    numerator = sympy.Poly(sympy.fraction(sympy.together(sympy.nsimplify(z) - 3))[0], omega)
    roots = [complex(root) - float(law.chain.start) for root in numerator.nroots(n=30)]
    assert len(roots) >= 4
    physical = law.prover.root(x).box.mid()
    with precision(128):
        proved = [t for t in roots if _proved_near(program, x, t)]
    assert len(proved) == 1
    assert abs(proved[0] - complex(physical)) < 1e-9


def _proved_near(program, x, t):
    curve = Curve(program)
    return proved_box(curve, x, box(acb(t), arb(1e-9) * abs(acb(t)).mid())) is not None


def test_of_two_roots_in_the_upper_half_plane_one_is_physical():
    """Four square Gaussian matrices: z = (1 + t)^5/t^4."""
    program = compile_chain(Chain(1, (Gaussian(1, 1),) * 4))
    for x in (Fraction(1, 3), Fraction(2), Fraction(9)):
        coefficients = np.array([1, 5, 10, 10, 5, 1], dtype=float)
        coefficients[1] -= float(x)
        upper = [complex(t) for t in np.roots(coefficients) if t.imag > 1e-6]
        assert len(upper) == 2
        with precision(128):
            assert sum(_proved_near(program, x, t) for t in upper) == 1


def test_what_follows_a_padding_is_not_proved_complete_but_its_values_are():
    law = law_of(4, "relu", "orthogonal", 1.4, width_ratios=(1, 1, 2, 2, 2))
    with pytest.raises(ConvergenceError, match="padding"):
        law.certified_edges()
    check_points(law, inside_bands(law, 3))
    assert law.certified_pdf(100.0).upper == 0


def test_without_flint_one_sentence_names_the_extra():
    code = """
import sys
sys.modules["flint"] = None
import freefim
law = freefim.ConditionalFIM(freefim.Network(2, "relu")).law()
try:
    law.certified_pdf(1.0)
except freefim.MissingExtraError as error:
    print(error)
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert "python-flint" in done.stdout
    assert "freefim[exact]" in done.stdout


# The curve


@pytest.mark.parametrize(
    ("move", "table", "numbers"),
    [
        (gate(Fraction(1, 3), 2), moves.projection, (Fraction(2, 3), 2)),
        (Gaussian(Fraction(3, 4), 2), moves.gaussian, (Fraction(3, 4), 2)),
        (Corner(Fraction(2, 5)), moves.corner, (Fraction(2, 5),)),
        (Padding(Fraction(2, 5)), moves.padding, (Fraction(2, 5),)),
        (Affine(3, Fraction(1, 2)), moves.affine, (3, Fraction(1, 2))),
    ],
)
def test_the_curve_makes_the_moves_of_the_table(move, table, numbers):
    with precision(128):
        curve = Curve(compile_chain(Chain(2, (move,))))
        t = acb(0.7, 0.3)
        end = curve.end(t)
        z, _, g, _ = table(2 + t, acb(1), 1 / t, -1 / t**2, *map(ball, map(Fraction, numbers)))
        assert end.out.overlaps(z)
        assert (1 / end.f).overlaps(g)


# What numbers stand for


@pytest.mark.parametrize(
    "value", [Decimal("0.7"), np.longdouble("0.7"), np.float16(0.7), mp.mpf(0.7), 0.7]
)
def test_numbers_are_taken_exactly(value):
    number = exact("x", value)
    assert number == (value if isinstance(value, Decimal) else
                      Fraction(*map(int, value.as_integer_ratio()))
                      if hasattr(value, "as_integer_ratio") else Fraction(0.7))  # fmt: skip
    law = ChainLaw(Chain(number, ()))
    assert law.certified_cdf(value).lower == 1
    assert value in Enclosure(number, number)


@pytest.mark.parametrize("value", [Decimal("nan"), arb(1, 1), fmpq(1, 2), mp.nan, np.True_, None])
def test_what_is_not_held_exactly_is_refused(value):
    with pytest.raises(SpecError, match="finite real number"):
        exact("x", value)


def test_a_law_below_zero_is_not_proved_as_one_above():
    chain = Chain(1, (Gaussian(1, 1), Affine(1, -2), Gaussian(1, 1)))
    assert not isinstance(ChainLaw(chain).prover, ChainProver)
