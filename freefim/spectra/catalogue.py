"""The spectra by name, for files and command lines."""

from collections.abc import Mapping
from dataclasses import MISSING, fields
from typing import Any

from freefim.errors import SpecError
from freefim.networks.activations import Activation, activation
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.spectra.conjugate_kernel import ConjugateKernel
from freefim.spectra.hessian_model import HessianModel
from freefim.spectra.jacobian import Jacobian
from freefim.spectra.layer_block import LayerBlock
from freefim.spectra.neural_tangent_kernel import NeuralTangentKernel
from freefim.spectra.residual_jacobian import ResidualJacobian
from freefim.spectra.single_hidden_layer_fisher import SingleHiddenLayerFisher
from freefim.spectra.spectrum import Spectrum

__all__ = ["SPECTRA", "spectrum_by_name"]

SPECTRA: dict[str, type[Any]] = {
    "conditional-fim": ConditionalFIM,
    "jacobian": Jacobian,
    "layer-block": LayerBlock,
    "residual-jacobian": ResidualJacobian,
    "hessian-model": HessianModel,
    "conjugate-kernel": ConjugateKernel,
    "neural-tangent-kernel": NeuralTangentKernel,
    "single-hidden-layer-fisher": SingleHiddenLayerFisher,
}


def spectrum_by_name(name: str, network: Network | None, options: Mapping[str, Any]) -> Spectrum:
    """Make a spectrum from its name, a network if it is one of networks, and its parameters.

    Parameters
    ----------
    name : str
        One of `SPECTRA`.
    network : Network or None
    options : mapping
        The parameters besides the network; an activation is its name, with parameters of its own
        as in ``erf:scale=0.5``.

    Raises
    ------
    SpecError
        If the name or a parameter is unknown, missing or out of range, or a network is missing
        or not wanted.

    Examples
    --------
    >>> spectrum_by_name("layer-block", Network(3, "relu"), {"layer": 2}).layer
    2
    """
    if name not in SPECTRA:
        raise SpecError(f"spectrum must be one of {', '.join(SPECTRA)}, got {name!r}")
    wanted = [field.name for field in fields(SPECTRA[name])]
    given = dict(options)
    if "activation" in wanted and isinstance(given.get("activation"), str):
        given["activation"] = _activation(given["activation"])
    if "network" in wanted:
        if network is None:
            raise SpecError(f"the spectrum {name} needs a network file: NETWORK.toml")
        given["network"] = network
    elif network is not None:
        raise SpecError(f"the spectrum {name} takes no network file, only {', '.join(wanted)}")
    parameters = [field for field in wanted if field != "network"]
    for key in options:
        if key not in parameters:
            allowed = ", ".join(parameters) or "none"
            raise SpecError(f"{key} is no parameter of the spectrum {name}; allowed: {allowed}")
    try:
        spectrum: Spectrum = SPECTRA[name](**given)
    except TypeError:
        needed = [field.name for field in fields(SPECTRA[name]) if field.default is MISSING]
        missing = ", ".join(key for key in needed if key not in given)
        raise SpecError(f"the spectrum {name} needs {missing}, as in {name},{missing}=…") from None
    return spectrum


def _activation(text: str) -> Activation:
    """Read an activation and its parameters: NAME or NAME:KEY=NUMBER:KEY=NUMBER…."""
    name, *pairs = text.split(":")
    parameters = {}
    for pair in pairs:
        key, _, value = pair.partition("=")
        try:
            parameters[key.strip().replace("-", "_")] = float(value)
        except ValueError:
            raise SpecError(f"activation must be NAME or NAME:KEY=NUMBER…, got {text!r}") from None
    return activation(name.strip(), **parameters)
