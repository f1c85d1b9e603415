"""The network description: values, accessors, order parameters and refusals."""

import pickle
from fractions import Fraction
from itertools import pairwise

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.errors import ConvergenceError, SpecError
from freefim.networks import activations
from freefim.networks.activations import (
    CustomActivation,
    HardTanh,
    LeakyReLU,
    ReLU,
    ShiftedReLU,
    Tanh,
    activation,
)
from freefim.networks.network import Network
from freefim.networks.order_parameters import OrderParameters

NAMES = {name: getattr(activations, name) for name in activations.__all__}


def test_a_network_is_a_value():
    net = Network(depth=5, activation=HardTanh(), weights="orthogonal", weight_std=1.02)
    same = Network(5, "hard_tanh", weight_std=1.02)
    assert net == same and hash(net) == hash(same)
    assert pickle.loads(pickle.dumps(net)) == net
    assert net.replace(depth=10).replace(depth=5) == net
    assert net.replace(weight_std=1.03) != net
    with pytest.raises(AttributeError):
        net.depth = 3


def test_reading_order_parameters_does_not_change_the_value():
    net, fresh = Network(3, "tanh"), Network(3, "tanh")
    assert net.order_parameters() is net.order_parameters()
    assert net == fresh and hash(net) == hash(fresh) and repr(net) == repr(fresh)


@pytest.mark.parametrize(
    "net",
    [
        Network(1, "relu"),
        Network(
            3,
            [Tanh(), LeakyReLU(Fraction(1, 3))],
            weights=["gaussian", "orthogonal"] * 1 + ["gaussian"],
        ),
        Network(2, ShiftedReLU(0.1), width_ratios=np.array([0.5, 1.0, 2.0]), parametrization="ntk"),
        Network(2, "sine", bias_std=(0, 0.5), final_activation="erf"),
    ],
    ids=repr,
)
def test_the_repr_evaluates_back(net):
    scope = {"Network": Network, "Fraction": Fraction, **NAMES}
    assert eval(repr(net), scope) == net


def test_accessors_give_one_entry_per_layer():
    net = Network(3, "relu", weight_std=2, bias_std=[0, Fraction(1, 2), 0.25])
    assert net.activations == (ReLU(), ReLU())
    assert net.ensembles == ("orthogonal",) * 3
    assert net.weight_stds == (2, 2, 2)
    assert net.bias_stds == (0, Fraction(1, 2), 0.25)
    assert net.ratios == (1.0,) * 4
    assert net.final_activation is None
    assert Network(1, "relu").activations == () == Network(1, []).activations


def test_numbers_stay_as_exact_as_they_were_given():
    net = Network(2, "relu", weight_std=Fraction(3, 2), input_second_moment=np.int64(2))
    assert net.weight_std == Fraction(3, 2) and isinstance(net.weight_std, Fraction)
    assert type(net.input_second_moment) is int
    assert type(net.replace(weight_std=np.float32(0.5)).weight_std) is float
    assert all(type(q) is float for q in net.order_parameters().second_moments)


def test_widths_round_the_ratios():
    net = Network(2, "relu", width_ratios=[64 / 512, 1, 0.3])
    assert net.widths(512) == (64, 512, 154)
    with pytest.raises(SpecError, match=r"width=1 with width_ratios\[0\]=0.125"):
        net.widths(1)


def test_critical_relu_keeps_the_second_moment():
    net = Network(50, "relu", weight_std=2**0.5, weights="gaussian")
    order = net.order_parameters()
    assert order.second_moments[:-1] == pytest.approx((1.0,) * 50, rel=1e-13)
    assert order.preactivation_variances == pytest.approx((2.0,) * 50, rel=1e-13)
    assert order.chi1 == pytest.approx((1.0,) * 49, rel=1e-13)
    assert order.second_moments[-1] == order.preactivation_variances[-1]


def test_chi1_takes_the_weights_that_follow_the_layer():
    order = Network(3, "abs", weight_std=[2.0, 3.0, 5.0]).order_parameters()
    assert order.chi1 == (9.0, 25.0)


def test_the_final_activation_changes_only_the_output():
    net = Network(3, "tanh", weight_std=1.5, bias_std=0.2)
    linear, final = net.order_parameters(), net.replace(final_activation="tanh").order_parameters()
    assert final.second_moments[:-1] == linear.second_moments[:-1]
    assert final.preactivation_variances == linear.preactivation_variances
    assert final.chi1 == linear.chi1
    assert final.second_moments[-1] == Tanh().second_moment(linear.second_moments[-1])


def test_the_parametrization_does_not_touch_the_forward_pass():
    net = Network(4, "elu", weights="orthogonal", width_ratios=[1, 2, 3, 1, 2])
    assert net.order_parameters() == net.replace(parametrization="ntk").order_parameters()


@pytest.mark.parametrize("ensemble", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("ratios", [(1, 2, 1), (2, 1, 3), (0.5, 1, 0.25)])
def test_order_parameters_of_rectangular_layers_are_those_of_random_matrices(ensemble, ratios):
    rng = np.random.default_rng(7)
    net = Network(2, "linear", weights=ensemble, weight_std=1.25, width_ratios=ratios)
    widths = net.widths(400)
    x = np.ones(widths[0])
    moments = []
    for fan_in, fan_out in pairwise(widths):
        weights = rng.standard_normal((fan_out, fan_in))
        if ensemble == "gaussian":
            weights /= np.sqrt(fan_in)
        else:
            tall = np.linalg.qr(weights if fan_out > fan_in else weights.T)[0]
            weights = tall if fan_out > fan_in else tall.T
        x = 1.25 * weights @ x
        moments.append(np.mean(x * x))
    # relative variance of |Wx|²: at most 2/M_l each; five standard deviations
    error = 5 * np.sqrt(sum(2 / width for width in widths[1:]))
    assert net.order_parameters().second_moments[1:] == pytest.approx(moments, rel=error)


@pytest.mark.parametrize("std", [3.0, 0.1])
def test_a_network_that_explodes_or_dies_names_the_layer(std):
    net = Network(1000, "relu", weight_std=std)
    with pytest.raises(ConvergenceError, match=r"of layer \d+ is") as caught:
        net.order_parameters()
    layer = int(str(caught.value).split("layer ")[1].split()[0])
    assert len(net.replace(depth=layer - 1).order_parameters().second_moments) == layer
    assert 100 < layer < 1000


@settings(max_examples=50, deadline=None)
@given(
    depth=st.integers(1, 30),
    std=st.floats(0.5, 2.0),
    bias=st.floats(0.0, 1.0),
    moment=st.floats(0.1, 10.0),
    name=st.sampled_from(["hard_tanh", "tanh", "erf", "sine", "relu", "gelu", "silu", "elu"]),
)
def test_the_recursion_holds_layer_by_layer(depth, std, bias, moment, name):
    net = Network(depth, name, weight_std=std, bias_std=bias, input_second_moment=moment)
    order = net.order_parameters()
    assert isinstance(order, OrderParameters)
    phi = activation(name)
    assert len(order.chi1) == depth - 1
    assert order.second_moments[0] == moment
    for before, variance in zip(order.second_moments, order.preactivation_variances, strict=False):
        assert variance == pytest.approx(std**2 * before + bias**2, rel=1e-14)
    for variance, after in zip(
        order.preactivation_variances, order.second_moments[1:-1], strict=False
    ):
        assert after == phi.second_moment(variance)


BAD = {
    "depth 0": (dict(depth=0), "depth must be an integer >= 1, got 0"),
    "depth bool": (dict(depth=True), "depth must be an integer >= 1, got True"),
    "depth float": (dict(depth=2.0), "depth must be an integer >= 1, got 2.0"),
    "unknown activation": (
        dict(activation="hardtanh"),
        "activation must be one of linear, .* got 'hardtanh' .did you mean 'hard_tanh'",
    ),
    "activation without its parameter": (
        dict(activation="leaky_relu"),
        "activation 'leaky_relu' needs its parameter negative_slope",
    ),
    "activation class": (dict(activation=Tanh), "activation must be one of .*Activation object"),
    "activations too many": (
        dict(activation=["relu"] * 3),
        "activation must be one value or a sequence of 2 entries, got 3 entries",
    ),
    "activation entry": (dict(activation=["relu", "rule"]), r"activation\[1\] must be one of"),
    "unknown weights": (dict(weights="haar"), "weights must be 'gaussian' or 'orthogonal'"),
    "weights too few": (dict(weights=["gaussian"]), "weights must be .* of 3 entries, got 1"),
    "weight_std negative": (dict(weight_std=-1.0), "weight_std must be > 0, got -1.0"),
    "weight_std zero": (dict(weight_std=0), "weight_std must be > 0, got 0"),
    "weight_std nan": (
        dict(weight_std=float("nan")),
        "weight_std must be a finite real number, got nan",
    ),
    "weight_std text": (dict(weight_std="1"), "weight_std must be a finite real number, got '1'"),
    "weight_std bool": (dict(weight_std=True), "weight_std must be a finite real number, got True"),
    "weight_std entry": (dict(weight_std=[1, 1, -2]), r"weight_std\[2\] must be > 0, got -2"),
    "weight_std beyond floats": (dict(weight_std=10**400), "weight_std must be a finite real"),
    "bias_std negative": (dict(bias_std=-0.1), "bias_std must be >= 0, got -0.1"),
    "input zero": (dict(input_second_moment=0.0), "input_second_moment must be > 0, got 0.0"),
    "input inf": (
        dict(input_second_moment=float("inf")),
        "input_second_moment must be a finite real number, got inf",
    ),
    "input sequence": (
        dict(input_second_moment=[1.0]),
        r"input_second_moment must be a finite real number, got \[1.0\]",
    ),
    "ratios too few": (
        dict(width_ratios=[1, 1]),
        "width_ratios must be .* of 4 entries, got 2 entries",
    ),
    "ratios scalar": (dict(width_ratios=2), "width_ratios must be None or a sequence of 4"),
    "ratios zero": (dict(width_ratios=[1, 0, 1, 1]), r"width_ratios\[1\] must be > 0, got 0"),
    "parametrization": (
        dict(parametrization="NTK"),
        "parametrization must be 'standard' or 'ntk', got 'NTK'",
    ),
    "final activation": (
        dict(final_activation="softmax"),
        "final_activation must be one of .* got 'softmax'",
    ),
}


@pytest.mark.parametrize(("change", "message"), BAD.values(), ids=BAD.keys())
def test_bad_fields_are_refused_in_one_sentence(change, message):
    good = Network(3, "relu")
    with pytest.raises(SpecError, match=message) as caught:
        good.replace(**change)
    assert "\n" not in str(caught.value)


@pytest.mark.parametrize(
    ("make", "message"),
    [
        (lambda: HardTanh(cutoff=0.0), "HardTanh cutoff must be > 0, got 0.0"),
        (lambda: HardTanh(slope=0), "HardTanh slope must not be 0"),
        (lambda: activations.Erf(0.0), "Erf scale must not be 0"),
        (lambda: activations.Sine(float("inf")), "Sine frequency must be a finite real number"),
        (lambda: LeakyReLU(None), "LeakyReLU negative_slope must be a finite real number"),
        (lambda: ShiftedReLU("1"), "ShiftedReLU shift must be a finite real number, got '1'"),
        (lambda: activation("hard_tanh", cutof=2.0), "takes cutoff and slope, got 'cutof'"),
        (lambda: activation("relu", slope=2.0), "takes no parameter, got 'slope'"),
        (lambda: CustomActivation(None, np.tanh), "function must be a callable, got None"),
        (lambda: CustomActivation(np.tanh, np.cos), "derivative cos must be that of the function"),
        (lambda: CustomActivation(np.tanh, np.log), "derivative log must be finite, got nan"),
        (lambda: CustomActivation(np.tanh, np.sum, ["x"]), r"kinks\[0\] must be a finite"),
        (lambda: CustomActivation(np.tanh, np.tanh, 3), "kinks must be a sequence of numbers"),
        (lambda: CustomActivation(lambda h: h[:2], np.tanh), "real array of the same shape"),
        (lambda: Network(2, "relu").replace(dept=3), "got 'dept' .did you mean 'depth'"),
        (lambda: Network(2, "relu").widths(0), "width must be an integer >= 1, got 0"),
    ],
)
def test_bad_parameters_are_refused_in_one_sentence(make, message):
    with pytest.raises(SpecError, match=message) as caught:
        make()
    assert "\n" not in str(caught.value)


def test_custom_activations_are_equal_by_their_callables():
    def slope(h):
        return 1.0 - np.tanh(h) ** 2

    first, second = CustomActivation(np.tanh, slope), CustomActivation(np.tanh, slope, kinks=[])
    assert first == second and hash(first) == hash(second)
    assert first != CustomActivation(np.sin, np.cos)
    assert CustomActivation(first.function, first.derivative) == first
    assert "tanh" in repr(first) and "slope" in repr(first)
    net = Network(3, first, weight_std=1.5)
    built_in = net.replace(activation="tanh").order_parameters()
    assert net.order_parameters().chi1 == pytest.approx(built_in.chi1, rel=1e-12)
