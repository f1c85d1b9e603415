"""Networks as TOML: exact round trips and refusals that name the file."""

from fractions import Fraction

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.errors import SpecError
from freefim.networks import activations
from freefim.networks.activations import ACTIVATIONS, CustomActivation, HardTanh
from freefim.networks.files import network_from_toml, network_to_toml
from freefim.networks.network import Network

PARAMETERS = {
    "leaky_relu": ("negative_slope",),
    "shifted_relu": ("shift",),
    "hard_tanh": ("cutoff", "slope"),
    "erf": ("scale",),
    "sine": ("frequency",),
}
positive = st.one_of(
    st.floats(1e-300, 1e300),
    st.integers(1, 10**20),
    st.fractions(Fraction(1, 1000), 1000),
)


@st.composite
def activation_objects(draw):
    name = draw(st.sampled_from(sorted(ACTIVATIONS)))
    parameters = {key: draw(positive) for key in PARAMETERS.get(name, ())}
    return activations.activation(name, **parameters)


@st.composite
def networks(draw):
    depth = draw(st.integers(1, 4))

    def one_or_each(values, length):
        return draw(st.one_of(values, st.lists(values, min_size=length, max_size=length)))

    return Network(
        depth,
        one_or_each(activation_objects(), depth - 1),
        weights=one_or_each(st.sampled_from(["gaussian", "orthogonal"]), depth),
        weight_std=one_or_each(positive, depth),
        bias_std=one_or_each(st.one_of(st.just(0), positive), depth),
        input_second_moment=draw(positive),
        width_ratios=draw(
            st.one_of(st.none(), st.lists(positive, min_size=depth + 1, max_size=depth + 1))
        ),
        parametrization=draw(st.sampled_from(["standard", "ntk"])),
        final_activation=draw(st.one_of(st.none(), activation_objects())),
    )


@settings(max_examples=150, deadline=None)
@given(networks())
def test_toml_gives_back_the_same_network(net):
    back = network_from_toml(network_to_toml(net))
    assert back == net
    # equality does not tell 1 from 1.0 or from a fraction; the repr does
    assert repr(back) == repr(net)


def test_a_file_gives_back_the_same_network(tmp_path):
    net = Network(101, HardTanh(2.82475, 1.0013), width_ratios=[0.125] + [1] * 101)
    net.to_toml(tmp_path / "net.toml")
    assert Network.from_toml(tmp_path / "net.toml") == net
    assert [path.name for path in tmp_path.iterdir()] == ["net.toml"]


def test_a_hand_written_file_may_leave_out_what_has_a_default(tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(
        """
        [network]
        depth = 3
        activation = ["relu", {name = "leaky_relu", negative_slope = "1/3"}]
        weight_std = 2       # an integer stays one
        """
    )
    phi = activations.LeakyReLU(Fraction(1, 3))
    assert Network.from_toml(path) == Network(3, ["relu", phi], weight_std=2)


BAD = {
    "depth = 3": "only the table \\[network\\] is allowed, got 'depth'",
    "": "a table \\[network\\] is needed",
    "network = 3": "a table \\[network\\] is needed",
    "[netwrok]\ndepth = 3": "only the table \\[network\\] is allowed, got 'netwrok'",
    "[network]\ndepth = 3": "needs the field activation, got depth",
    "[network]\ndepth = 3\nactivation = 'relu'\nwieght_std = 2": "did you mean 'weight_std'",
    "[network]\ndepth = \nactivation = 'relu'": "must be TOML: .*line 2",
    "[network]\ndepth = 0\nactivation = 'relu'": "depth must be an integer >= 1, got 0",
    "[network]\ndepth = 2\nactivation = 'relo'": "got 'relo' .did you mean 'relu'",
    "[network]\ndepth = 2\nactivation = {cutoff = 1}": "activation as a table needs its name",
    "[network]\ndepth = 2\nactivation = {name = 'hard_tanh', cut = 1}": "got 'cut'.*'cutoff'",
    "[network]\ndepth = 2\nactivation = {name = 3}": "activation must be one of .* got 3",
    "[network]\ndepth = 2\nactivation = 'relu'\nweight_std = nan": "finite real number, got nan",
    "[network]\ndepth = 2\nactivation = 'relu'\nweight_std = '1/0'": "finite real .* got '1/0'",
    "[network]\ndepth = 2\nactivation = 'relu'\nweight_std = {}": "finite real number, got {}",
    "[network]\ndepth = 2\nactivation = 1979-05-27": "activation must be one of",
    "[network]\ndepth = 2\nactivation = 'relu'\nbias_std = [[0, 0]]": "sequence of 2 entries",
}


@pytest.mark.parametrize(("text", "message"), BAD.items())
def test_a_bad_file_is_refused_in_one_sentence(text, message, tmp_path):
    path = tmp_path / "net.toml"
    path.write_text(text)
    with pytest.raises(SpecError, match=message) as caught:
        Network.from_toml(path)
    assert str(caught.value).startswith(f"network file {str(path)!r}")
    assert "\n" not in str(caught.value)


def test_a_file_that_cannot_be_read_is_named(tmp_path):
    with pytest.raises(SpecError, match=r"none\.toml' must be a readable file: No such file"):
        Network.from_toml(tmp_path / "none.toml")
    with pytest.raises(SpecError, match="must be a readable file: Is a directory"):
        Network.from_toml(tmp_path)
    (tmp_path / "net.toml").write_bytes(b"\xff\xfe")
    with pytest.raises(SpecError, match="must be TOML text in UTF-8"):
        Network.from_toml(tmp_path / "net.toml")


def test_callables_have_no_text_and_the_old_file_stays(tmp_path):
    path = tmp_path / "net.toml"
    net = Network(2, "relu")
    net.to_toml(path)
    with pytest.raises(SpecError, match="cannot be written to TOML"):
        net.replace(activation=CustomActivation(np.sin, np.cos)).to_toml(path)
    assert Network.from_toml(path) == net
    with pytest.raises(SpecError):
        net.to_toml(tmp_path / "no" / "net.toml")
