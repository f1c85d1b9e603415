"""Densities over the whole support against ball arithmetic, and right edges against 25 digits."""

import json
from pathlib import Path

import mpmath as mp
import numpy as np
import pytest

from freefim.free.chains.chain import numeric
from freefim.free.joint.solve import solve_joint
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

GOLDEN = json.loads(
    (Path(__file__).parents[2] / "validation" / "golden" / "smooth_densities.json").read_text()
)
EXACT = ("tanh", "erf", "sine")


def chain_of(activation, depth, weights):
    options = {"weight_std": GOLDEN["weight_std"], "bias_std": GOLDEN["bias_std"]}
    return numeric(
        ConditionalFIM(Network(depth, activation, weights=weights, **options)).law().chain
    )


@pytest.mark.parametrize(
    "case", GOLDEN["cases"], ids=lambda c: f"{c['activation']}-{c['depth']}-{c['weights']}"
)
def test_density_agrees_with_ball_arithmetic(case):
    """Points at quantiles of the law: the lowest tenth of the mass holds a tenth of them."""
    solution = solve_joint(chain_of(case["activation"], case["depth"], case["weights"]))
    found = solution.pdf(np.array(case["x"]))
    tolerance = 1e-9 if case["activation"] in EXACT else 1e-7
    assert np.abs(found / np.array(case["pdf"]) - 1).max() < tolerance


GATES = {
    "tanh": (lambda h: mp.sech(h) ** 4, mp.mpf(1)),
    "erf": (lambda h: 4 / mp.pi * mp.exp(-2 * h * h), 4 / mp.pi),
}


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("activation", GATES)
def test_right_edge_is_a_minimum_found_with_more_digits(activation, weights):
    """Outside the support y(w_0) has its minimum at the edge: trapezoid sums of 25 digits."""
    chain = chain_of(activation, 3, weights)
    found = solve_joint(chain).bands[-1][1] - chain.moves[-1].shift
    with mp.workdps(25):
        edge = _edge(chain, *GATES[activation], weights == "gaussian")
        assert abs(found / edge - 1) < 1e-10


def _edge(chain, gate, top, gaussian):
    leaves = [move.leaf for move in chain.moves if hasattr(move, "leaf")]
    affine = [move for move in chain.moves if hasattr(move, "shift")]
    tables = []
    for leaf in leaves:
        q = mp.mpf(leaf.variance)
        # The poles of 1/(w - g) are far from the real line when w is far above the support.
        step = mp.mpf("0.015")
        h = [k * step for k in range(1, int(mp.sqrt(q) * 11 / step))]
        weight = [2 * step * mp.npdf(x, 0, mp.sqrt(q)) for x in h]
        tables.append([(step * mp.npdf(0, 0, mp.sqrt(q)), gate(mp.mpf(0)))])
        tables[-1] += [(c, gate(x)) for c, x in zip(weight, h, strict=True)]

    def transform(k, w):
        return mp.fsum(c * g / (w - g) for c, g in tables[k])

    def slope(k, w):
        return -mp.fsum(c * g / (w - g) ** 2 for c, g in tables[k])

    def place(w0):
        m = transform(0, w0)
        z = chain.start * w0
        variances = [move.variance for move in chain.moves if hasattr(move, "variance")]
        if gaussian:
            z *= variances[0] * (1 + m)
        else:
            z *= affine[0].scale
        q = affine[0].shift
        m, z = m + q * (1 + m) / z, z + q
        w = mp.mpf(top) * (1 + mp.mpf(1) / m)
        w1 = mp.findroot(
            lambda v: 1 / transform(1, v) - 1 / m,
            w,
            df=lambda v: -slope(1, v) / transform(1, v) ** 2,
            solver="newton",
        )
        out = z * m * w1
        return variances[1] * out if gaussian else affine[1].scale * out / (1 + m)

    low, high = mp.log(mp.mpf("0.02")), mp.log(mp.mpf(30))
    ratio = (mp.sqrt(5) - 1) / 2
    a, b = high - ratio * (high - low), low + ratio * (high - low)
    fa, fb = place(top + mp.exp(a)), place(top + mp.exp(b))
    for _ in range(32):
        if fa < fb:
            high, b, fb = b, a, fa
            a = high - ratio * (high - low)
            fa = place(top + mp.exp(a))
        else:
            low, a, fa = a, b, fb
            b = low + ratio * (high - low)
            fb = place(top + mp.exp(b))
    return min(fa, fb)
