"""Spectra by name: what a command line may say, and what it is told."""

import pytest

from freefim.cli.problem import named
from freefim.errors import SpecError
from freefim.networks.activations import Erf, HardTanh
from freefim.networks.network import Network
from freefim.spectra.catalogue import SPECTRA, spectrum_by_name
from freefim.spectra.single_hidden_layer_fisher import SingleHiddenLayerFisher


def spelled(text, network=None):
    name, options = named(text)
    return spectrum_by_name(name, network, options)


@pytest.mark.parametrize(
    ("text", "activation"),
    [
        ("tanh", "tanh"),
        ("erf:scale=0.5", Erf(0.5)),
        ("hard_tanh:cutoff=2:slope=0.5", HardTanh(cutoff=2.0, slope=0.5)),
    ],
)
def test_activations_are_given_by_name(text, activation):
    expected = SingleHiddenLayerFisher(activation)
    assert spelled(f"single-hidden-layer-fisher,activation={text}") == expected


def test_every_spectrum_has_a_name_that_makes_it():
    net = Network(2, "tanh", weights="gaussian")
    needed = {
        "layer-block": ",layer=1",
        "hessian-model": ",ratio=0.5,energy=0.1",
        "conjugate-kernel": ",samples-ratio=0.5",
        "neural-tangent-kernel": ",samples-ratio=0.5",
        "single-hidden-layer-fisher": ",activation=tanh",
    }
    for name, kind in SPECTRA.items():
        alone = name in ("hessian-model", "single-hidden-layer-fisher")
        assert type(spelled(name + needed.get(name, ""), None if alone else net)) is kind


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("single-hidden-layer-fisher,activation=erf:scale=x", "activation must be NAME or"),
        ("single-hidden-layer-fisher,activation=erf:size=1", "takes scale, got 'size'"),
        ("single-hidden-layer-fisher,activation=tan", "activation must be one of"),
        ("single-hidden-layer-fisher,activation=", "must be NAME or NAME,KEY=NUMBER"),
        ("single-hidden-layer-fisher", "needs activation"),
        ("hessian-model,ratio=a", "must be NAME or NAME,KEY=NUMBER"),
        ("hessian-model,ratio=1,energy=1,size=2", "size is no parameter"),
        ("hessian", "spectrum must be one of"),
        ("jacobian", "needs a network file"),
    ],
)
def test_bad_words_get_one_sentence(text, words):
    with pytest.raises(SpecError, match=words) as caught:
        spelled(text)
    assert "\n" not in str(caught.value)
