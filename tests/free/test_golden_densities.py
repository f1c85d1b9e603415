"""Smooth networks against references made apart from the package (validation/golden)."""

import json
from functools import cache
from pathlib import Path

import numpy as np
import pytest

from freefim.free.chains.chain import Affine, Chain
from freefim.free.chains.chain_law import ChainLaw
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

GOLDEN = Path(__file__).parents[2] / "validation" / "golden"
DENSITIES = json.loads((GOLDEN / "smooth_densities.json").read_text())
ENDS = json.loads((GOLDEN / "smooth_ends.json").read_text())
EXACT = ("tanh", "erf", "sine")


@cache
def law_of(activation, depth, weights, outputs=1.0):
    options = {"weight_std": DENSITIES["weight_std"], "bias_std": DENSITIES["bias_std"]}
    ratios = None if outputs == 1.0 else (1.0,) * depth + (outputs,)
    net = Network(depth, activation, weights=weights, width_ratios=ratios, **options)
    return ConditionalFIM(net).law()


def law_of_case(case):
    return law_of(case["activation"], case["depth"], case["weights"], case.get("outputs", 1.0))


def name_of(case):
    outputs = "-narrow" if case.get("outputs", 1.0) < 1 else ""
    return f"{case['activation']}-{case['depth']}-{case['weights']}{outputs}"


@pytest.mark.parametrize("case", DENSITIES["cases"], ids=name_of)
def test_the_references_are_settled_and_cover_the_law(case):
    """They moved by far less than the tolerance when made again with finer sums and by balls.

    Between neighbours at quantiles of the law there is 1/200 of its continuous mass.
    """
    exact = case["activation"] in EXACT
    assert case["change_by_finer_sums"] < (1e-11 if exact else 1e-9)
    assert case["change_by_balls"] < (1e-11 if exact else 1e-9)
    x, pdf = np.array(case["x"]), np.array(case["pdf"])
    mass = 0.5 if name_of(case) == "elu-2-orthogonal" else 1.0
    between = np.diff(x) * (pdf[1:] + pdf[:-1]) / 2
    assert np.median(between) == pytest.approx(mass / 200, rel=0.02)
    assert x.size == 200


@pytest.mark.parametrize("case", DENSITIES["cases"], ids=name_of)
def test_density_at_the_quantiles_of_the_law(case):
    """200 points: the lowest tenth of the mass holds 20 of them.

    A number x holds the distance to the bottom, y = x - shift, only to a few units of its own;
    where there is no last shift, y is known to every digit.
    """
    x, wanted = np.array(case["x"]), np.array(case["pdf"])
    y = x - case["shift"]
    law = law_of_case(case)
    *moves, last = law.chain.moves
    unshifted = ChainLaw(Chain(law.chain.start, (*moves, Affine(last.scale, 0))))
    tolerance = 1e-9 if case["activation"] in EXACT else 1e-7
    assert np.abs(unshifted.pdf(y) / wanted - 1).max() < tolerance
    assert (np.abs(law.pdf(x) / wanted - 1) < tolerance + 2 * np.spacing(x) / y).all()


@pytest.mark.parametrize("case", ENDS["cases"], ids=name_of)
def test_edges_are_stationary_points_of_the_curve(case):
    """One band, and both of its ends."""
    bands = law_of_case(case).bands
    assert len(bands) == 1
    tolerance = 1e-10 if case["activation"] in EXACT else 1e-8
    assert bands[0] == pytest.approx(case["edges"], rel=tolerance)


@pytest.mark.parametrize("case", ENDS["cases"], ids=name_of)
def test_moments_by_series_and_by_the_density(case):
    law = law_of_case(case)
    series = [law.moment(k) for k in range(1, 7)]
    by_density = [law.expect(lambda x, k=k: x**k) for k in range(1, 7)]
    assert series == pytest.approx(case["moments"], rel=1e-9)
    assert by_density == pytest.approx(case["moments"], rel=1e-9)


@pytest.mark.parametrize("case", DENSITIES["cases"], ids=name_of)
def test_smooth_networks_have_no_atoms(case):
    """No gate has one but that of ELU, whose ½ + ½ - 1 = 0 leaves none in a product."""
    masses = [mass for _, mass in law_of_case(case).atoms]
    assert masses == ([0.5] if name_of(case) == "elu-2-orthogonal" else [])
