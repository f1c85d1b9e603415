"""The laws of `validation/golden/calculus.json`, each with every tree that makes it."""

import json
from fractions import Fraction as Q
from pathlib import Path

from freefim.free.laws.given import Atomic, Empirical, Uniform
from freefim.free.laws.named import (
    FreePoisson,
    FussCatalan,
    KestenMcKay,
    MarchenkoPastur,
    Semicircle,
)
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    MultiplicativePower,
)

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "validation" / "golden" / "calculus.json").read_text()
)
CASES = {case["name"]: case for case in GOLDEN["cases"]}

COIN = Atomic([0, 1], [Q(1, 2), Q(1, 2)])


def pair(name, node):
    case = CASES[name]
    return node(Empirical(case["first"]), Empirical(case["second"]))


def five_leaves():
    inner = FreeSum(Semicircle(Q(1, 4)), Atomic([3, 5], [Q(3, 10), Q(7, 10)]))
    left = FreeProduct(Compressed(inner, Q(3, 5)), MarchenkoPastur(Q(1, 4)))
    return FreeSum(left, FreeSum(FreePoisson(Q(1, 2), 1), Uniform(0, 1)))


TREES = [
    ("semicircle plus Marchenko-Pastur", FreeSum(Semicircle(1), MarchenkoPastur(Q(1, 2)))),
    ("product of two Marchenko-Pastur",
     FreeProduct(MarchenkoPastur(Q(1, 2)), MarchenkoPastur(Q(1, 4)))),
    ("Marchenko-Pastur times two atoms",
     FreeProduct(MarchenkoPastur(Q(1, 5)), Atomic([1, 7], [Q(1, 2), Q(1, 2)]))),
    ("Fuss-Catalan", FussCatalan(5)),
    ("Fuss-Catalan", MultiplicativePower(MarchenkoPastur(1), 5)),
    ("Fuss-Catalan", FreeProduct(FussCatalan(2), FussCatalan(3))),
    ("Kesten-McKay", KestenMcKay(3)),
    ("Kesten-McKay", Affine(FreePower(COIN, 3), 2, -3)),
    ("Kesten-McKay", Affine(FreeSum(COIN, FreeSum(COIN, COIN)), 2, -3)),
    ("free power of a projection",
     FreePower(Atomic([0, 1], [Q(7, 10), Q(3, 10)]), Q(5, 2))),
    ("sum of fifty atoms each", pair("sum of fifty atoms each", FreeSum)),
    ("product of fifty atoms each", pair("product of fifty atoms each", FreeProduct)),
    ("tree of five leaves", five_leaves()),
]  # fmt: skip
NAMES = [f"{name} as {type(law).__name__}" for name, law in TREES]
