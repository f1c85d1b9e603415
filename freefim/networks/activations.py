"""The activations by name."""

from __future__ import annotations

from dataclasses import MISSING, fields

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation, TwoPointGate
from freefim.networks.checks import nearest
from freefim.networks.custom import CustomActivation
from freefim.networks.piecewise import Abs, HardTanh, LeakyReLU, Linear, ReLU, ShiftedReLU
from freefim.networks.smooth import ELU, GELU, Erf, SiLU, Sine, Softplus, Tanh

__all__ = [
    "ACTIVATIONS",
    "ELU",
    "GELU",
    "Abs",
    "Activation",
    "CustomActivation",
    "Erf",
    "HardTanh",
    "LeakyReLU",
    "Linear",
    "ReLU",
    "ShiftedReLU",
    "SiLU",
    "Sine",
    "Softplus",
    "Tanh",
    "TwoPointGate",
    "activation",
]

ACTIVATIONS: dict[str, type[Activation]] = {
    kind.name: kind
    for kind in (
        Linear,
        Abs,
        ReLU,
        LeakyReLU,
        ShiftedReLU,
        HardTanh,
        Tanh,
        Erf,
        Sine,
        GELU,
        SiLU,
        ELU,
        Softplus,
    )
}


def activation(name: str | Activation, /, **parameters: object) -> Activation:
    """Return the activation of that name; an activation is returned as it is.

    Parameters
    ----------
    name : str or Activation
        A snake_case name, such as ``"hard_tanh"``, or an activation without `parameters`.
    **parameters : float
        The parameters of its class; those with a default may be left out.

    Returns
    -------
    Activation
        The activation.

    Raises
    ------
    SpecError
        If there is no such name, or a parameter is unknown, missing or out of its range.

    Examples
    --------
    >>> activation("hard_tanh") == activation("hard_tanh", cutoff=1.0, slope=1.0) == HardTanh()
    True
    """
    if isinstance(name, Activation) and not parameters:
        return name
    kind = ACTIVATIONS.get(name) if isinstance(name, str) else None
    if kind is None:
        raise SpecError(
            f"activation must be one of {', '.join(ACTIVATIONS)}, "
            f"or an Activation object, got {name!r}{nearest(name, ACTIVATIONS)}"
        )
    allowed = {item.name: item.default is MISSING for item in fields(kind)}  # type: ignore[arg-type]
    for key in parameters:
        if key not in allowed:
            raise SpecError(
                f"activation {name!r} takes {' and '.join(allowed) or 'no parameter'}, "
                f"got {key!r}{nearest(key, allowed)}"
            )
    for key, required in allowed.items():
        if required and key not in parameters:
            raise SpecError(f"activation {name!r} needs its parameter {key}, got none")
    return kind(**parameters)
