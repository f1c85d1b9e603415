"""Proofs about networks of smooth gates: the transform of a gate's law by proved integrals."""

from fractions import Fraction as Q

import pytest

pytest.importorskip("flint")

from flint import acb, arb
from mpmath import mp

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import CosineSquared, GaussianBump, SechFourth
from freefim.free.proofs.balls import precision
from freefim.free.proofs.smooth_leaves import gate_law
from freefim.free.proofs.tree_points import BITS
from freefim.free.proofs.trees import tree_prover
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

GATES = [SechFourth(0.75), GaussianBump(0.5, 1.25), CosineSquared(1.0, 0.75, 0.5)]
POINTS = [(0.5, 0.25), (0.25, 0.03125), (-1.0, 0.0), (2.0, 0.0)]


def reference(leaf, w):
    """G by tanh-sinh quadrature in mpmath, split where the integrand is steep."""
    amplitude = mp.mpf(leaf.amplitude)
    value = {
        SechFourth: lambda h: mp.sech(h) ** 4,
        GaussianBump: lambda h: mp.exp(-2 * h * h),
        CosineSquared: lambda h: mp.cos(leaf.frequency * h) ** 2,
    }[type(leaf)]
    q = mp.mpf(leaf.variance)
    return 2 * mp.quad(
        lambda h: mp.exp(-h * h / (2 * q)) / mp.sqrt(2 * mp.pi * q) / (w - amplitude * value(h)),
        mp.linspace(0, 12 * mp.sqrt(q), 49),
    )


@pytest.mark.parametrize("leaf", GATES, ids=lambda leaf: type(leaf).__name__)
@pytest.mark.parametrize("w", POINTS)
def test_transforms_hold_quadrature(leaf, w):
    with precision(BITS), mp.workdps(30):
        g, _ = gate_law(leaf).transform(acb(*w))
        truth = reference(leaf, mp.mpc(*w))
        assert abs(complex(g) - complex(truth)) < 1e-13 * abs(complex(truth))
        assert float(g.rad()) < 1e-20


@pytest.mark.parametrize("leaf", GATES, ids=lambda leaf: type(leaf).__name__)
def test_transforms_of_boxes_hold_those_of_points(leaf):
    law = gate_law(leaf)
    with precision(BITS):
        wide = acb(arb(0.5, 1e-3), arb(0.25, 1e-3))
        for w in (acb(0.5, 0.25), acb(0.5004, 0.2493), acb(0.4991, 0.2508)):
            for large, small in zip(law.transform(wide), law.transform(w), strict=True):
                assert large.contains(small)


def network(depth, activation, weights):
    return ConditionalFIM(Network(depth, activation, weights=weights, weight_std=1.05)).law()


NETS = [(2, "tanh", "orthogonal"), (2, "tanh", "gaussian"), (3, "tanh", "orthogonal"),
        (3, "erf", "gaussian"), (3, "sine", "orthogonal")]  # fmt: skip


@pytest.mark.parametrize(("depth", "activation", "weights"), NETS)
def test_networks_agree_with_their_floats(depth, activation, weights):
    law = network(depth, activation, weights)
    prover = tree_prover(law)
    left, right = law.support
    x = left + 0.3 * (right - left)
    proved = prover.pdf(Q(x))
    assert proved.width < 1e-20
    assert abs(proved.midpoint - law.pdf(x)) < 1e-11
    mass = prover.cdf(Q(x))
    assert mass.width < 1e-20
    assert abs(mass.midpoint - law.cdf(x)) < 1e-11


def test_beyond_the_band_there_is_nothing():
    law = network(3, "tanh", "orthogonal")
    prover = tree_prover(law)
    x = Q(law.support[1]) + 1
    assert (prover.pdf(x).upper, prover.cdf(x).lower) == (0, 1)


def test_the_sheet_of_the_mirror_is_rejected():
    law = network(3, "tanh", "gaussian")
    prover = tree_prover(law)
    with precision(BITS):
        point = prover.points.at(arb(1))
        assert prover.points.prove(arb(1), point.centre, real=False) is not None
        mirror = type(point.centre)([u.conjugate() for u in point.centre.unknowns], {})
        assert prover.points.prove(arb(1), mirror, real=False) is None


def test_edges_are_refused():
    with pytest.raises(ConvergenceError, match="smooth gates"):
        tree_prover(network(3, "tanh", "orthogonal")).edges()


def test_gates_known_through_nodes_are_refused():
    with pytest.raises(ConvergenceError, match="closed form"):
        tree_prover(network(3, "gelu", "orthogonal"))


def test_one_gate_is_its_push_forward():
    """P(amplitude·exp(-2u²) > x) for normal u."""
    law = ChainLaw(Chain(1, (Product(GaussianBump(0.5, 1.0)), Affine(1, 1))))
    prover = tree_prover(law)
    with mp.workdps(60):
        mass = 1 - mp.erf(mp.sqrt(mp.log(2) / 2))  # exp(-2u²) = 1/2 at u² = log(2)/2
        mantissa, exponent = mass.man_exp
        assert Q(int(mantissa)) * Q(2) ** int(exponent) in prover.cdf(Q(3, 2))
    assert prover.pdf(Q(5, 2)).upper == 0


def test_gaussian_layers_of_an_open_gate():
    """A gate of variance almost 0 is open: Marchenko–Pastur is left."""
    law = ChainLaw(Chain(1, (Product(SechFourth(1e-30)), Gaussian(Q(1, 2), 2))))
    proved = tree_prover(law).pdf(Q(1))
    plain = tree_prover(ChainLaw(Chain(1, (Gaussian(Q(1, 2), 2),)))).pdf(Q(1))
    assert abs(proved.midpoint - plain.midpoint) < 1e-14
