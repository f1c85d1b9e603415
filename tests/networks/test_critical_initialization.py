"""Critical initialisation: χ₁ = 1 and a fixed point, in every layer."""

import math

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.errors import SpecError
from freefim.networks.activations import Erf, HardTanh, LeakyReLU, ShiftedReLU, activation
from freefim.networks.meanfield import CriticalPoint, critical_initialization
from freefim.networks.network import Network

EVERYWHERE = ["linear", "abs", "relu", "hard_tanh", "tanh", "erf", "sine"]


@settings(max_examples=60, deadline=None)
@given(q=st.floats(1e-3, 10.0), name=st.sampled_from(EVERYWHERE))
def test_a_critical_network_keeps_its_variance_and_its_gradients(q, name):
    critical = critical_initialization(name, q)
    moment = activation(name).second_moment(q)
    net = Network(
        4,
        name,
        weight_std=critical.weight_std,
        bias_std=critical.bias_std,
        input_second_moment=moment,
    )
    order = net.order_parameters()
    assert order.chi1 == pytest.approx((1.0,) * 3, rel=1e-10)
    assert order.preactivation_variances == pytest.approx((q,) * 4, rel=1e-10)


@pytest.mark.parametrize("q", [0.01, 0.7, 1.0, 3.0])
def test_homogeneous_activations_need_no_bias(q):
    assert critical_initialization("relu", q) == CriticalPoint(math.sqrt(2.0), 0.0)
    assert critical_initialization("linear", q) == CriticalPoint(1.0, 0.0)
    leaky = critical_initialization(LeakyReLU(0.3), q)
    assert leaky.bias_std == 0.0
    assert leaky.weight_std == pytest.approx(math.sqrt(2.0 / 1.09), rel=1e-15)


@pytest.mark.parametrize("q", [0.05, 1.0, 20.0])
def test_critical_lines_in_closed_form(q):
    weight = critical_initialization(Erf(), q).weight_std
    assert weight**2 == pytest.approx(math.pi / 4.0 * math.sqrt(1.0 + 4.0 * q), rel=1e-14)
    hard = critical_initialization(HardTanh(), q)
    alive, dead = math.erf(1.0 / math.sqrt(2.0 * q)), math.erfc(1.0 / math.sqrt(2.0 * q))
    bias = (math.sqrt(2.0 * q / math.pi) * math.exp(-0.5 / q) - dead) / alive
    assert hard.weight_std**2 == pytest.approx(1.0 / alive, rel=1e-14)
    assert hard.bias_std**2 == pytest.approx(bias, rel=1e-9, abs=1e-14)


@pytest.mark.parametrize(
    ("phi", "q", "message"),
    [
        ("softplus", 1.0, "has a critical initialization, got 1.0, where bias_std² would be -"),
        (ShiftedReLU(-100.0), 1.0, "must have a slope at fixed_point=1.0"),
        ("tanh", 0.0, "fixed_point must be > 0, got 0.0"),
        ("tanh", math.nan, "fixed_point must be a finite real number, got nan"),
        ("tahn", 1.0, "did you mean 'tanh'"),
    ],
)
def test_what_cannot_be_critical_is_refused(phi, q, message):
    with pytest.raises(SpecError, match=message):
        critical_initialization(phi, q)
