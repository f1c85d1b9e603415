"""python-flint, plain integers and sympy alone give the same polynomials, to the last digit."""

import subprocess
import sys
from fractions import Fraction

import pytest
import sympy
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.free.exact import elimination, rings
from freefim.free.exact.arithmetic import Flint, Plain, Symbolic
from freefim.free.exact.assembly import curve
from freefim.free.laws.given import Atomic
from freefim.free.laws.named import FussCatalan, MarchenkoPastur, Semicircle
from freefim.free.trees.nodes import (
    Compressed,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

pytest.importorskip("flint")

HALF, THIRD = Fraction(1, 2), Fraction(1, 3)
COIN, DIE = Atomic((1, 3), (HALF, HALF)), Atomic((1, 2, 4), (THIRD, THIRD, THIRD))
a, b = sympy.symbols("a b", positive=True)

LAWS = [
    FreeSum(COIN, DIE),
    FreeProduct(COIN, DIE),
    MultiplicativePower(COIN, Fraction(5, 2)),
    FussCatalan(4),
    FreeSum(MarchenkoPastur(THIRD), Semicircle(2)),
    Padded(Compressed(FreeProduct(DIE, MarchenkoPastur(3)), THIRD), HALF),
    Rectangular(Inverse(COIN), 2, THIRD),
    Square(SingularValues(FreeSum(COIN, MarchenkoPastur(1)))),
]


@pytest.mark.parametrize("law", LAWS, ids=repr)
def test_numbers(law):
    fast, slow = curve(law, Flint()), curve(law, Plain())
    assert fast.table == slow.table
    assert all(isinstance(c, int) for row in slow.table for c in row)
    assert elimination.discriminant(fast)[1] == elimination.discriminant(slow)[1]


@pytest.mark.parametrize(
    "law",
    [
        FreeSum(Atomic((0, a), (HALF, HALF)), Atomic((1, b), (THIRD, 1 - THIRD))),
        FreeProduct(Atomic((1, a), (b, 1 - b)), MarchenkoPastur(a)),
        MultiplicativePower(Atomic((1, a), (HALF, HALF)), 2),
    ],
    ids=repr,
)
def test_symbols(law, monkeypatch):
    fast = curve(law, Symbolic((a, b)))
    factored = elimination.discriminant(fast)
    monkeypatch.setattr(rings, "has_flint", lambda: False)
    slow = curve(law, Symbolic((a, b)))
    assert fast.table == slow.table
    again = elimination.discriminant(slow)
    assert _product(factored) == _product(again)


def _product(factored):
    """Constant times factors; the signs of factors are free."""
    constant, factors = factored
    squares = sorted((str([c * c for c in column]), power) for column, power in factors)
    return constant * constant, squares


@settings(max_examples=60, deadline=None)
@given(
    st.lists(
        st.lists(st.integers(-(10**30), 10**30), min_size=4, max_size=4), min_size=1, max_size=5
    ),
    *[st.integers(-5, 5).filter(bool)] * 3,
)
def test_linear_substitutions(rows, p, q, d):
    x = sympy.Symbol("x")
    made = Plain().linear(rows, p, q, d)
    assert made == Flint().linear(rows, p, q, d)
    for row, new in zip(rows, made, strict=True):
        inner = sympy.Rational(p, d) * x + sympy.Rational(q, d)
        for point in (0, 1, -1, 2):  # as many as there are coefficients
            value = inner.subs(x, point)
            want = d**3 * sum(c * value**k for k, c in enumerate(row))
            assert sum(c * point**k for k, c in enumerate(new)) == want


ALONE = """
import sys
sys.modules["flint"] = None
from fractions import Fraction
from freefim.free.exact.polynomial import polynomial
from freefim.free.laws.given import Atomic
from freefim.free.laws.named import FussCatalan
from freefim.free.trees.nodes import FreeSum
half, third = Fraction(1, 2), Fraction(1, 3)
law = FreeSum(Atomic((1, 3), (half, half)), Atomic((1, 2, 4), (third, third, third)))
print(polynomial(law).as_expr(), polynomial(FussCatalan(4)).as_expr(), sep=chr(10))
"""


def test_without_flint_at_all():
    from freefim.free.exact.polynomial import polynomial

    done = subprocess.run(
        [sys.executable, "-c", ALONE], capture_output=True, text=True, check=True, timeout=120
    )
    want = [str(polynomial(law).as_expr()) for law in (LAWS[0], FussCatalan(4))]
    assert done.stdout.strip().split("\n") == want
