"""A tree of free operations and 1,000 density values, warm, from the law's description.

    pytest validation/benchmarks/test_tree_speed.py

Figures, not tests: nothing here fails on time. The physical limit is one sweep of the tree per
point: about 20 complex flops per move, and four per atom of a leaf; of a product of factors that
are formulas, a complex logarithm and a reciprocal per distinct factor, about 60 ns.
"""

import numpy as np
import pytest

from freefim.free.laws.given import Atomic, Empirical, Uniform
from freefim.free.laws.named import FussCatalan, MarchenkoPastur, Semicircle
from freefim.free.trees.nodes import FreeProduct, FreeSum, MultiplicativePower
from freefim.free.trees.solve import solve_tree

_DRAWS = np.random.default_rng(0).exponential(size=(2, 50))

TREES = {
    "power 5 of marchenko-pastur": FussCatalan(5).construction,
    "power 1000 of marchenko-pastur": FussCatalan(1000).construction,
    "power 1000 of marchenko-pastur, ratio 1/2": MultiplicativePower(MarchenkoPastur(0.5), 1000),
    "semicircle plus marchenko-pastur": FreeSum(Semicircle(1), MarchenkoPastur(0.5)),
    "product of two marchenko-pastur": FreeProduct(MarchenkoPastur(0.5), MarchenkoPastur(0.25)),
    "sum of two and three atoms": FreeSum(
        Atomic([-1, 1], [0.5, 0.5]), Atomic([0, 1, 3], [0.25, 0.25, 0.5])
    ),
    "product of two and three atoms": FreeProduct(
        Atomic([1, 2], [0.5, 0.5]), Atomic([1, 3, 7], [0.25, 0.25, 0.5])
    ),
    "sum of two uniform laws": FreeSum(Uniform(0, 1), Uniform(0, 2)),
    "sum of two times fifty atoms": FreeSum(Empirical(_DRAWS[0]), Empirical(_DRAWS[1])),
    "product of two times fifty atoms": FreeProduct(Empirical(_DRAWS[0]), Empirical(_DRAWS[1])),
}


@pytest.mark.parametrize("name", TREES)
def test_tree_and_a_thousand_densities(benchmark, name):
    law = TREES[name]
    bands = solve_tree(law).bands
    x = np.linspace(bands[0][0], bands[-1][1], 1000)
    benchmark(lambda: solve_tree(law).pdf(x))
