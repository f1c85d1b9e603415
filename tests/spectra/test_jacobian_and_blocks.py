"""Jacobian and layer blocks: theorems of their laws, and the verdict of sampled networks."""

from fractions import Fraction
from math import comb

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.networks.activations import Erf, HardTanh, ShiftedReLU
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.spectra.jacobian import Jacobian
from freefim.spectra.layer_block import LayerBlock, layer_blocks

RECTANGULAR = Network(3, "relu", weights="gaussian", width_ratios=(0.5, 1.0, 1.5, 0.75))


def test_linear_gaussian_jacobians_have_fuss_catalan_moments():
    for depth in (1, 2, 5):
        law = Jacobian(Network(depth, "linear", weights="gaussian")).law()
        want = [Fraction(comb(k * (depth + 1), k), k * depth + 1) for k in range(1, 7)]
        assert list(law.moments(6)) == want


@pytest.mark.parametrize("depth", [1, 3, 20])
def test_the_edge_of_linear_gaussian_jacobians(depth):
    law = Jacobian(Network(depth, "linear", weights="gaussian")).law()
    assert law.support[1] == pytest.approx((depth + 1) ** (depth + 1) / depth**depth, rel=1e-12)


@pytest.mark.parametrize(("depth", "edge"), [(5, 27.2727733953), (20, 108.7539151147)])
def test_relu_jacobians_with_as_many_gates_as_matrices(depth, edge):
    """Figures of an independent 40-digit computation; half of the mass at 0."""
    net = Network(depth, "relu", weights="gaussian", weight_std=2**0.5, final_activation="relu")
    law = Jacobian(net).law()
    assert law.atoms == ((0.0, 0.5),)
    assert law.support[1] == pytest.approx(edge, abs=6e-11)
    assert law.mean() == pytest.approx(1.0, rel=1e-12)


def test_dynamical_isometry_of_hard_tanh():
    """Mass at 1 is what no unit of any layer cuts off."""
    net = Network(6, HardTanh(cutoff=2.5), weight_std=1.0)
    order = net.order_parameters()
    cut = sum(
        1 - phi.slope_second_moment(q)
        for phi, q in zip(net.activations, order.preactivation_variances, strict=False)
    )
    assert Jacobian(net).isometry().mass_at_one == pytest.approx(1 - cut, rel=1e-12)


def test_the_mean_is_the_product_of_chi1():
    net = Network(5, Erf(0.8), weights=("gaussian", "orthogonal") * 2 + ("gaussian",))
    want = float(net.weight_stds[0]) ** 2 * np.prod(net.order_parameters().chi1)
    assert Jacobian(net).law().mean() == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_the_means_of_the_blocks_add_up(parametrization):
    net = RECTANGULAR.replace(parametrization=parametrization)
    whole = float(ConditionalFIM(net).law().mean())
    assert sum(float(LayerBlock(net, layer).law().mean()) for layer in (1, 2, 3)) == pytest.approx(
        whole, rel=1e-13
    )


@pytest.mark.parametrize("phi", [HardTanh(3.0), ShiftedReLU(2.0)])
def test_the_maxima_of_the_blocks_add_up_to_the_top_atom(phi):
    net = Network(5, phi, weight_std=1.01)
    assert ConditionalFIM(net).law().atoms[-1][0] == pytest.approx(
        layer_blocks(net)["max"].sum(), rel=1e-13
    )


SPECTRA = {
    "orthogonal hard-tanh": Network(4, HardTanh(1.5), weight_std=1.2, bias_std=0.1),
    "orthogonal tanh": Network(3, "tanh", weight_std=1.3),
    "orthogonal rectangular": Network(3, HardTanh(), width_ratios=(0.5, 1.0, 1.4, 1.0)),
    "gaussian relu": Network(3, "relu", weights="gaussian", weight_std=2**0.5),
    "gaussian erf": Network(4, Erf(), weights="gaussian", weight_std=1.2, bias_std=0.3),
    "gaussian rectangular": RECTANGULAR,
}


@pytest.mark.slow
@pytest.mark.parametrize("name", SPECTRA)
@pytest.mark.parametrize("make", [Jacobian, lambda net: LayerBlock(net, 1)], ids=["J", "block"])
def test_sampled_networks_agree(name, make):
    report = make(SPECTRA[name]).validate(width=300, replicas=4, seed=2)
    assert report.passed, report.reasons


@pytest.mark.slow
@pytest.mark.parametrize("name", ["orthogonal hard-tanh", "gaussian erf"])
def test_a_wrong_jacobian_fails(name):
    """Three percent more weight: moments and distance see it."""
    net = SPECTRA[name]

    class Wrong(Jacobian):
        def law(self, *, given=None):
            del given
            return Jacobian(net.replace(weight_std=1.03 * float(net.weight_stds[0]))).law()

    assert not Wrong(net).validate(width=300, replicas=4, seed=2).passed


def test_blocks_of_what_is_no_network_are_refused():
    with pytest.raises(SpecError, match="network must be a Network, got 3"):
        layer_blocks(3)


def test_isometry_is_of_floats():
    found = Jacobian(Network(2, "tanh", weights="gaussian")).isometry()
    assert [type(x) for x in (found.mean, found.variance, found.mass_at_one)] == [float] * 3
    assert found.mass_at_one == 0.0


@pytest.mark.parametrize("layer", [0, 4, 1.5, True])
def test_a_layer_that_is_not_there_is_refused(layer):
    with pytest.raises(SpecError, match="layer must be an integer from 1 to 3"):
        LayerBlock(RECTANGULAR, layer)
