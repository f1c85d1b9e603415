"""Laws of networks with symbols for their parameters, against the closed forms of the paper."""

from fractions import Fraction

import pytest
import sympy
from sympy.abc import G, z

from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.exact.polynomial import discriminant, polynomial
from freefim.free.exact.series import r_series, s_series
from freefim.free.leaves.leaf import TwoPoint
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

q0, q1, q2, s, a1, a2, g1, g2 = sympy.symbols("q0 q1 q2 s a1 a2 g1 g2", positive=True)
SHIFTS, MASSES, VALUES = (q0, q1, q2), (a1, a2), (g1, g2)


def network(depth, weights="orthogonal", variance=s, numbers=None):
    """Conditional FIM of a network of gates (1 - a) δ_0 + a δ_g; symbols, or numbers for them."""
    put = (lambda x: numbers[x]) if numbers else (lambda x: x)
    chain = []
    for shift, mass, value in zip(SHIFTS[1:depth], MASSES, VALUES, strict=False):
        chain.append(Product(TwoPoint(0, put(value), put(mass), 1 - put(mass))))
        if weights == "gaussian":
            chain += [Gaussian(1, put(variance)), Affine(1, put(shift))]
        else:
            chain.append(Affine(put(variance), put(shift)))
    return ChainLaw(Chain(put(q0), tuple(chain)))


def same(law, expression):
    """Whether the polynomial in G is the expression up to a factor without G."""
    everything = (z, *SHIFTS, *MASSES, *VALUES, s)
    found = sympy.Poly(polynomial(law).as_expr(), G, *everything)
    want = sympy.Poly(sympy.numer(sympy.together(expression)), G, *everything)
    first, second = (sympy.Poly(p.as_expr(), G).LC() for p in (found, want))
    return found * sympy.Poly(second, G, *everything) == want * sympy.Poly(first, G, *everything)


def primitive(expression):
    """The polynomial in z and G with whole coefficients and a positive first one."""
    found = sympy.Poly(expression, z, G).clear_denoms(convert=True)[1].primitive()[1]
    return found if found.LC() > 0 else -found


def test_one_hidden_layer_of_orthogonal_weights_has_two_atoms():
    assert same(network(2), a1 / (z - q1 - s * g1 * q0) + (1 - a1) / (z - q1) - G)


def test_one_hidden_layer_of_gaussian_weights_is_a_shifted_free_poisson_law():
    jump = s * g1 * q0
    assert same(network(2, "gaussian"), 1 / G + a1 * jump / (1 - jump * G) + q1 - z)


def test_two_hidden_layers_are_the_closed_form():
    """Density √((s₊-x)(x-s₋))/(2π x(1-x)) and atoms, in x = (z - q2 - s g2 q1)/(s² g1 g2 q0)."""
    scale = s**2 * g1 * g2 * q0
    x = (z - q2 - s * g2 * q1) / scale
    middle = a1 + a2 - 2 * a1 * a2
    under_the_root = (x - middle) ** 2 - 4 * a1 * a2 * (1 - a1) * (1 - a2)
    rational = (1 - a2) / (z - q2) + ((a2 - a1) / x + (a1 + a2 - 1) / (x - 1)) / (2 * scale)
    root_part = (G - rational) ** 2 - under_the_root / (2 * x * (x - 1) * scale) ** 2
    assert same(network(3), root_part)
    edges = sympy.Poly(sympy.numer(sympy.cancel(under_the_root)), z)
    assert sympy.rem(sympy.Poly(discriminant(network(3)), z), edges).is_zero


NUMBERS = {
    q0: Fraction(1), q1: Fraction(1, 2), q2: Fraction(2, 3), s: Fraction(3),
    a1: Fraction(1, 4), a2: Fraction(2, 5), g1: Fraction(1), g2: Fraction(3, 2),
}  # fmt: skip


@pytest.mark.parametrize("depth", [2, 3])
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_numbers_may_be_put_in_before_or_after(depth, weights):
    after = polynomial(network(depth, weights)).as_expr().subs(
        {x: sympy.Rational(v.numerator, v.denominator) for x, v in NUMBERS.items()}
    )  # fmt: skip
    before = polynomial(network(depth, weights, numbers=NUMBERS))
    assert primitive(after) == before


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
def test_networks_of_relu_are_the_symbolic_law_at_their_numbers(weights):
    net = Network(3, "relu", weights=weights, weight_std=Fraction(3, 2), input_second_moment=2)
    law = ConditionalFIM(net).law()
    values = {s: sympy.Rational(9, 4), a1: sympy.Rational(1, 2), a2: sympy.Rational(1, 2)}
    shifts = [law.chain.start, *(m.shift for m in law.chain.moves if isinstance(m, Affine))]
    values |= {q: sympy.Rational(x.numerator, x.denominator)
               for q, x in zip(SHIFTS, shifts, strict=True)}  # fmt: skip
    symbolic = polynomial(network(3, weights)).as_expr().subs({g1: 1, g2: 1}).subs(values)
    assert primitive(symbolic) == polynomial(law)


def test_the_first_coefficients_of_the_series_are_mean_and_variance():
    mean = q1 + s * a1 * g1 * q0
    law = network(3)
    first, second = r_series(law, 2)
    assert sympy.expand(first - q2 - s * a2 * g2 * mean) == 0
    # V' = (s a g)² (V + r mean²), r = 1/a - 1
    variance = (s * a1 * g1 * q0) ** 2 * (1 / a1 - 1)
    want = (s * a2 * g2) ** 2 * (variance + (1 / a2 - 1) * mean**2)
    assert sympy.expand(second - want) == 0
    constant, slope = s_series(law, 2)
    assert sympy.cancel(constant * first - 1) == 0
    assert sympy.cancel(slope + second / first**3) == 0
