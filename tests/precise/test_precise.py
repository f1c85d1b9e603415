"""Any precision: closed forms to many digits, forty-digit references, proofs of the sheet."""

from fractions import Fraction as Q

import mpmath as mp
import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.free import precise
from freefim.free.chains.chain import Affine as Shift
from freefim.free.chains.chain import Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.laws.density import Density
from freefim.free.laws.given import Atomic, Cauchy, PointMass, Uniform
from freefim.free.laws.named import (
    Arcsine,
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
    Wachter,
)
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.nodes import (
    Affine,
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

HALF = Q(1, 2)
MP = MarchenkoPastur(HALF)
SIGN = Atomic([-1, 1], [HALF, HALF])


def close(found, wanted, digits):
    with mp.workdps(digits + 20):
        return abs(found - wanted) <= mp.mpf(10) ** (1 - digits) * abs(wanted)


@pytest.mark.parametrize("digits", [15, 50, 400])
def test_closed_forms_of_densities(digits):
    with mp.workdps(digits + 20):
        x = mp.mpf(3) / 4
        low, high = 1.5 - mp.sqrt(2), 1.5 + mp.sqrt(2)
        wanted = {
            Semicircle(1): mp.sqrt(4 - x * x) / (2 * mp.pi),
            MP: mp.sqrt((high - x) * (x - low)) / (mp.pi * x),
            KestenMcKay(3): 3 * mp.sqrt(8 - x * x) / (2 * mp.pi * (9 - x * x)),
            Arcsine(0, 1): 1 / (mp.pi * mp.sqrt(x * (1 - x))),
            Cauchy(2, 1): 2 / mp.pi / ((x - 1) ** 2 + 4),
            FreeSum(Cauchy(1), SIGN): None,
            Uniform(0, 4): mp.mpf(1) / 4,
        }
        # a Cauchy law is free from everything as it is independent of it
        wanted[FreeSum(Cauchy(1), SIGN)] = sum(
            1 / (2 * mp.pi * ((x - s) ** 2 + 1)) for s in (-1, 1)
        )
    for law, value in wanted.items():
        assert close(precise.pdf(law, Q(3, 4), digits), value, digits), law


LAWS = [
    (FreeSum(Semicircle(1), Uniform(0, 1)), HALF),
    (FreeSum(Inverse(MP), Semicircle(1)), HALF),
    (FreeSum(SingularValues(MP), Uniform(0, 1)), Q(5, 4)),
    (FreeProduct(Uniform(0, 1), Atomic([-1, 3], [HALF, HALF])), Q(1, 3)),
    (FreeProduct(Uniform(1, 2), MultiplicativePower(MP, Q(5, 2))), Q(1, 3)),
    (FreeSum(Affine(MP, -1, 0), FreePoisson(2, 1)), Q(1, 3)),
    (Rectangular(Padded(Uniform(1, 2), Q(1, 3)), 3, 2), Q(6)),
    (Inverse(FreeSum(FreeProduct(Atomic([1, 2], [HALF, HALF]), Inverse(MP)), Uniform(1, 4))),
     Q(1, 4)),
]  # fmt: skip


@pytest.mark.parametrize(("law", "x"), LAWS, ids=lambda v: type(v).__name__)
def test_the_boundary_value_is_the_limit_from_above(law, x):
    """Newton at real x against the transform at x + iη: a polynomial in η extrapolates to 0."""
    with mp.workdps(40):
        heights = [mp.mpf(k) / 10**4 for k in range(1, 9)]
        limit = mp.mpf(0)
        for h in heights:
            z = mp.mpc(mp.mpf(x.numerator) / x.denominator, h)
            weight = mp.fprod(other / (other - h) for other in heights if other != h)
            limit -= weight * precise.cauchy(law, z, 40).imag / mp.pi
    found = precise.pdf(law, x, 30)
    assert found > 0
    assert abs(found - limit) <= 1e-18


def test_square_and_inverse_undo_themselves():
    for law in (Square(SingularValues(MP)), Inverse(Inverse(MP))):
        for x in (HALF, Q(5, 2)):
            assert close(precise.pdf(law, x, 40), precise.pdf(MP, x, 40), 40)
        for z in (-1, -1 - 2j, 4):
            assert close(precise.cauchy(law, z, 40), precise.cauchy(MP, z, 40), 40)


def test_commutes_and_associates():
    a, b, c = Uniform(0, 1), MP, Atomic([1, 3], [Q(1, 3), Q(2, 3)])
    for node in (FreeSum, FreeProduct):
        first = precise.pdf(node(a, node(b, c)), Q(2), 40)
        assert first > 0
        assert close(precise.pdf(node(node(c, a), b), Q(2), 40), first, 40)


def test_powers_are_repeated_operations():
    coin = Atomic([0, 1], [HALF, HALF])
    for power, repeated in (
        (FreePower(coin, 3), FreeSum(coin, FreeSum(coin, coin))),
        (MultiplicativePower(Uniform(1, 2), 2), FreeProduct(Uniform(1, 2), Uniform(1, 2))),
    ):
        found = precise.pdf(power, Q(7, 5), 40)
        assert found > 0
        assert close(precise.pdf(repeated, Q(7, 5), 40), found, 40)


def test_density_is_zero_in_gaps_and_beyond():
    law = FreeProduct(MarchenkoPastur(Q(1, 5)), Atomic([1, 7], [HALF, HALF]))
    assert list(precise.pdf(law, [-1, 0.2, 2, 3, 13], 30)) == [0] * 5
    assert precise.cauchy(law, 2, 30).imag == 0


def test_chains_are_what_their_moves_make():
    gate, wide = TwoPoint(0, 2, HALF, HALF), TwoPoint(1, 2, HALF, HALF)
    moves = (Product(gate), Gaussian(HALF, 1), Shift(1, HALF), Corner(Q(4, 5)), Product(gate))
    chain = ChainLaw(Chain(1, moves))
    found = precise.pdf(chain, Q(3, 2), 30)
    assert found > 0
    assert abs(float(found) - chain.pdf(1.5)) < 1e-12
    atoms = Atomic([1, 2], [HALF, HALF])
    joint = Padded(FreeProduct(chain, atoms), Q(3, 4))
    longer = ChainLaw(Chain(1, (*moves, Product(wide), Padding(Q(3, 4)))))
    assert precise.pdf(longer, 2, 30) == precise.pdf(joint, 2, 30) > 0


def test_deep_chains_cost_one_unknown():
    """A ReLU network of a hundred layers at criticality: the transform against its moments."""
    gate = Product(TwoPoint(0, 2, HALF, HALF))
    chain = ChainLaw(Chain(1, (gate, Gaussian(1, 1)) * 100))
    z = 10**6
    g = precise.cauchy(chain, z, 60)
    with mp.workdps(80):
        m = [mp.mpf(v.numerator) / v.denominator for v in map(Q, chain.moments(8))]
        series = (1 + mp.fsum(v / mp.mpf(z) ** (k + 1) for k, v in enumerate(m))) / z
        assert abs(g / series - 1) < 1e-9


@pytest.mark.parametrize(
    ("law", "wanted"),
    [
        (MP, (lambda: 1.5 - mp.sqrt(2), lambda: 1.5 + mp.sqrt(2))),
        (FussCatalan(5), (lambda: mp.mpf(0), lambda: mp.mpf(6) ** 6 / mp.mpf(5) ** 5)),
        (KestenMcKay(3), (lambda: -mp.sqrt(8), lambda: mp.sqrt(8))),
        (Arcsine(0, 1), (lambda: mp.mpf(0), lambda: mp.mpf(1))),
        (Wachter(HALF, HALF), (lambda: (2 - mp.sqrt(3)) / 4, lambda: (2 + mp.sqrt(3)) / 4)),
    ],
    ids=lambda v: type(v).__name__,
)
def test_edges_in_closed_form(law, wanted):
    found = precise.edges(law, 60)
    with mp.workdps(70):
        for edge, value in zip(found, wanted, strict=True):
            assert abs(edge - value()) < mp.mpf(10) ** -58


def test_moments_by_a_contour_are_those_of_series():
    from freefim.free.precise.solver import Solver

    law = FreeSum(FreeProduct(MP, Atomic([1, 2], [HALF, HALF])), Uniform(0, 1))
    for k in (0, 1, 2, 5):
        exact = precise.moment(law, k, 40)
        assert close(Solver(law, 40).moment(k), exact, 40)


def test_a_moment_of_floats_has_all_digits():
    law = FreeSum(Atomic([0.1, 1.0], [0.5, 0.5]), Uniform(0.0, 1.0))
    tenth = Q(0.1)
    exact = (tenth + 1) / 2 + HALF
    assert close(precise.moment(law, 1, 40), mp.mpf(exact.numerator) / exact.denominator, 17)
    with mp.workdps(60):
        assert close(precise.moment(law, 1, 40), mp.mpf(exact.numerator) / exact.denominator, 40)


def test_scalars_and_arrays():
    found = precise.pdf(MP, np.array([[0.5, 1.0], [1.5, 2.0]]), 20)
    assert found.shape == (2, 2)
    assert found.dtype == object
    assert isinstance(precise.pdf(MP, 1, 20), mp.mpf)
    assert isinstance(precise.cauchy(MP, 1j, 20), mp.mpc)
    with mp.workdps(20):
        assert precise.cauchy(MP, -1j, 20) == mp.conj(precise.cauchy(MP, 1j, 20))


@pytest.mark.parametrize("digits", [14, 10_001, 20.0, True, "30"])
def test_digits_are_checked(digits):
    with pytest.raises(SpecError, match="digits must be an integer from 15 to 10000"):
        precise.pdf(MP, 1, digits)


def test_refusals_say_why():
    parabola = Density(lambda x: 6 * x * (1 - x), (0, 1))
    with pytest.raises(SpecError, match="double precision"):
        precise.pdf(FreeSum(parabola, MP), 1, 20)
    with pytest.raises(SpecError, match="must be a number"):
        precise.pdf(MP, "one", 20)
    with pytest.raises(SpecError, match="must be real"):
        precise.pdf(MP, 1j, 20)
    with pytest.raises(SpecError, match="no moments"):
        precise.moment(FreeSum(Cauchy(1), MP), 1, 20)
    with pytest.raises(ConvergenceError, match="lies on a band"):
        precise.cauchy(MP, 1, 20)
    with pytest.raises(ConvergenceError, match="atom"):
        precise.cauchy(PointMass(1), 1, 20)


def test_density_at_an_atom_is_that_of_the_rest():
    """Zeros that are added leave the ratio of the density, at 0 and however close to it."""
    ratio = Q(1, 3)
    law = FreeSum(Semicircle(1), Atomic([0, 1], [HALF, HALF]))
    for x in (0, Q(1, 10**40), Q(-1, 10**12)):
        with mp.workdps(70):
            wanted = precise.pdf(law, x, 50) / 3
        assert close(precise.pdf(Padded(law, ratio), x, 50), wanted, 49)
    assert list(precise.pdf(Atomic([0, 1], [HALF, HALF]), [0, 1, 2], 20)) == [0, 0, 0]


def test_transform_on_the_imaginary_axis():
    """G of ±√A at iy is iy G_A(-y²); a symmetric product is continuous there."""
    found = precise.cauchy(SingularValues(MP), 1j * mp.mpf(0.25), 40)
    with mp.workdps(60):
        wanted = mp.mpc(0, 0.25) * precise.cauchy(MP, -Q(1, 16), 40)
    assert close(found, wanted, 39)
    product = Semicircle(1) @ MP
    with mp.workdps(40):
        there = precise.cauchy(product, mp.mpc(0, 1), 30)
        beside = precise.cauchy(product, mp.mpc("1e-20", 1), 30)
    assert abs(there - beside) < 1e-19
    assert there.imag < 0 and abs(there.real) < 1e-25


def test_squares_of_laws_on_the_line_have_their_density():
    with mp.workdps(60):
        x = mp.mpf(43) / 100
        wanted = 1 / (mp.pi * (1 + x) * mp.sqrt(x))
    assert close(precise.pdf(Square(Cauchy(1)), Q(43, 100), 40), wanted, 40)


def test_density_at_the_ends_of_a_band():
    third = Q(1, 3)
    assert list(precise.pdf(Uniform(0, third), [0, third, Q(1, 6), HALF], 30)) == [3, 3, 3, 0]
    assert list(precise.pdf(MarchenkoPastur(1), [0, 4], 30)) == [mp.inf, 0]
    assert list(precise.pdf(Semicircle(1), [-2, 2, 3], 30)) == [0, 0, 0]
    assert list(precise.pdf(Arcsine(0, 2), [0, 2], 30)) == [mp.inf, mp.inf]


def test_orders_may_be_integers_of_numpy():
    assert precise.moment(MP, np.int64(3), 30) == precise.moment(MP, 3, 30)
