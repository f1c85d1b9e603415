"""Networks as TOML: the fields of `Network` under ``[network]``, there and back exactly."""

from __future__ import annotations

import json
import os
import re
import tomllib
from dataclasses import MISSING, fields
from fractions import Fraction
from pathlib import Path
from typing import Any

from freefim.errors import SpecError
from freefim.networks.activations import ACTIVATIONS, Activation, activation
from freefim.networks.checks import nearest
from freefim.networks.network import Network
from freefim.tables import write_whole

__all__ = ["network_from_toml", "network_to_toml", "read_network", "write_network"]

_FRACTION = re.compile(r"[+-]?\d+/0*[1-9]\d*")
_NUMBERS = {"weight_std", "bias_std", "input_second_moment", "width_ratios"}
_ACTIVATIONS = {"activation", "final_activation"}


def read_network(path: str | os.PathLike[str]) -> Network:
    """Read a network file.

    Parameters
    ----------
    path : path-like
        A TOML file.

    Returns
    -------
    Network
        The network it describes.

    Raises
    ------
    SpecError
        If the file cannot be read or describes no network; the message names the file.
    """
    source = f"network file {os.fspath(path)!r}"
    try:
        text = Path(path).read_text(encoding="utf-8")
    except OSError as error:
        raise SpecError(f"{source} must be a readable file: {error.strerror or error}") from error
    except UnicodeDecodeError as error:
        raise SpecError(f"{source} must be TOML text in UTF-8: {error}") from error
    return network_from_toml(text, source)


def write_network(net: Network, path: str | os.PathLike[str]) -> None:
    """Write a network file, whole or not at all.

    Parameters
    ----------
    net : Network
        The network.
    path : path-like
        The file to write.

    Raises
    ------
    SpecError
        If an activation holds Python callables, or the file cannot be written.
    """
    content = network_to_toml(net).encode()
    write_whole(path, lambda stream: stream.write(content))


def network_from_toml(text: str, source: str = "the network description") -> Network:
    r"""Read a network from TOML text.

    Parameters
    ----------
    text : str
        A table ``[network]`` with the fields of `Network`; an activation with parameters is a
        table with its ``name``, a fraction a string ``"p/q"``.
    source : str
        What the text is, for messages.

    Returns
    -------
    Network
        The network.

    Raises
    ------
    SpecError
        If the text is no TOML, or a name or a value means nothing.

    Examples
    --------
    >>> network_from_toml('[network]\ndepth = 2\nactivation = "relu"') == Network(2, "relu")
    True
    """
    try:
        document = tomllib.loads(text)
    except tomllib.TOMLDecodeError as error:
        raise SpecError(f"{source} must be TOML: {error}") from error
    try:
        return _network(document)
    except SpecError as error:
        raise SpecError(f"{source}: {error}") from error


def _network(document: dict[str, Any]) -> Network:
    for key in document:
        if key != "network":
            raise SpecError(f"only the table [network] is allowed, got {key!r}")
    table = document.get("network")
    if not isinstance(table, dict):
        raise SpecError("a table [network] is needed, got none")
    allowed = {item.name: item.default is MISSING for item in fields(Network)}
    for key in table:
        if key not in allowed:
            raise SpecError(f"[network] has no field {key!r}{nearest(key, allowed)}")
    for key, required in allowed.items():
        if required and key not in table:
            raise SpecError(f"[network] needs the field {key}, got {', '.join(table) or 'none'}")
    return Network(**{key: _field(key, value) for key, value in table.items()})


def _field(key: str, value: Any) -> Any:
    if isinstance(value, list):
        return [_field(key, entry) for entry in value]
    if key in _NUMBERS:
        return _number(value)
    if key in _ACTIVATIONS and isinstance(value, dict):
        parameters = {name: _number(entry) for name, entry in value.items()}
        if "name" not in parameters:
            raise SpecError(f"{key} as a table needs its name, got {value!r}")
        return activation(parameters.pop("name"), **parameters)
    return value


def _number(value: Any) -> Any:
    if isinstance(value, str) and _FRACTION.fullmatch(value):
        return Fraction(value)
    return value


def network_to_toml(net: Network) -> str:
    """Write a network as TOML text that `network_from_toml` reads back exactly.

    Parameters
    ----------
    net : Network
        The network.

    Returns
    -------
    str
        A table ``[network]``; fields that are None are left out.

    Raises
    ------
    SpecError
        If an activation holds Python callables.

    Examples
    --------
    >>> net = Network(3, "hard_tanh", weight_std=1.02)
    >>> network_from_toml(network_to_toml(net)) == net
    True
    """
    values = ((item.name, getattr(net, item.name)) for item in fields(net))
    lines = [f"{key} = {_text(value)}" for key, value in values if value is not None]
    return "\n".join(["[network]", *lines, ""])


def _text(value: Any) -> str:
    if isinstance(value, tuple):
        return f"[{', '.join(_text(entry) for entry in value)}]"
    if isinstance(value, Activation):
        return _activation_text(value)
    if isinstance(value, Fraction):
        return f'"{value.numerator}/{value.denominator}"'
    return json.dumps(value) if isinstance(value, str) else repr(value)


def _activation_text(phi: Activation) -> str:
    if type(phi) is not ACTIVATIONS.get(getattr(phi, "name", "")):
        raise SpecError(
            f"activation {phi!r} cannot be written to TOML: it is made of Python callables, "
            f"only {', '.join(ACTIVATIONS)} have a text"
        )
    given = {item.name: getattr(phi, item.name) for item in fields(phi)}  # type: ignore[arg-type]
    defaults = {item.name: item.default for item in fields(phi)}  # type: ignore[arg-type]
    if given == defaults:
        return json.dumps(phi.name)
    entries = [f"name = {json.dumps(phi.name)}"]
    entries += [f"{key} = {_text(value)}" for key, value in given.items()]
    return f"{{{', '.join(entries)}}}"
