"""Taylor models hold the numbers that they stand for, at every s."""

import pytest

pytest.importorskip("flint")

from flint import acb, acb_poly, arb, fmpq
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.free.proofs.balls import precision
from freefim.free.proofs.tree_models import Model, dot, inverse_of
from freefim.free.proofs.tree_points import BITS

REACH = 0.125
SLACK = 1e-6

OPERATIONS = {
    "sum": lambda a, b: a + b,
    "difference": lambda a, b: 2 - a - b,
    "product": lambda a, b: a * b,
    "quotient": lambda a, b: a / b,
    "reciprocal": lambda a, b: 3 / a,
    "logarithm": lambda a, b: (a * b).log(),
    "exponential": lambda a, b: (a - b).exp(),
    "root": lambda a, b: (a * a + b).sqrt(),
    "power": lambda a, b: a ** acb(fmpq(1, 4)),
}

small = st.floats(-1, 1, width=32)
coefficients = st.lists(st.tuples(small, small), min_size=1, max_size=5)


def made(pairs):
    """A polynomial whose values stay in the first quadrant."""
    first = acb(3 + pairs[0][0], 2 + pairs[0][1])
    return acb_poly([first, *(acb(x, y) for x, y in pairs[1:])])


@pytest.mark.parametrize("name", OPERATIONS)
@settings(max_examples=20, deadline=None)
@given(p=coefficients, q=coefficients, s=st.floats(-REACH, REACH), off=st.tuples(small, small))
def test_models_hold_their_numbers(name, p, q, s, off):
    with precision(BITS):
        first, second = made(p), made(q)
        rest, across = acb(arb(0, SLACK), arb(0, SLACK)), arb(0, REACH)
        model = OPERATIONS[name](Model(first, rest, across), Model(second, acb(0), across))
        number = OPERATIONS[name](
            first(acb(s)) + acb(SLACK * off[0], SLACK * off[1]), second(acb(s))
        )
        assert (model.poly(acb(s)) + model.rest).overlaps(number)
        assert model.ball.overlaps(number)
        assert (model.poly(acb(s)) + model.rest).rad() < 1e-2


@settings(max_examples=20, deadline=None)
@given(p=coefficients, s=st.floats(-REACH, REACH))
def test_functions_go_through_models(p, s):
    with precision(BITS):
        poly = made(p)
        (found,) = Model(poly, acb(0), arb(0, REACH)).through(lambda jet: (1 / (jet + 1),))
        assert (found.poly(acb(s)) + found.rest).overlaps(1 / (poly(acb(s)) + 1))


def test_what_terms_have_in_common_cancels():
    with precision(BITS):
        model = Model(acb_poly([acb(1), acb(1)]), acb(0), arb(0, REACH))
        assert (model - model).ball.contains(0)
        assert (model * model - model * (model - 1) - model).ball.abs_upper() < 1e-30


def test_inverses_of_matrices():
    with precision(BITS):
        across = arb(0, REACH)
        rows = [[acb_poly([acb(2), acb(1)]), acb_poly([acb(0, 1)])],
                [acb_poly([acb(1), acb(0, 1)]), acb_poly([acb(3), acb(-1)])]]  # fmt: skip
        matrix = [[Model(entry, acb(0), across) for entry in row] for row in rows]
        inverse = inverse_of(matrix)
        for j in range(2):
            for k in range(2):
                error = dot(inverse[j], [row[k] for row in matrix]) - int(j == k)
                assert error.ball.abs_upper() < 1e-8
