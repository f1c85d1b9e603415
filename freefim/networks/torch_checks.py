"""What a torch module must be to be read: what its classes say, and nothing besides."""

import copy
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation

__all__ = ["check_declared", "check_numbers", "check_unhooked", "check_untied"]

Array = NDArray[np.float64]

# Declared activations may be approximate, as GELU in its tanh form is to 5e-4.
_DECLARED = 1e-2


def check_unhooked(path: str, module: Any) -> None:
    """Refuse a module that does what its class does not tell."""
    hooks = ("_forward_hooks", "_forward_pre_hooks", "_backward_hooks", "_backward_pre_hooks")
    found = next((name for name in hooks if getattr(module, name)), None)
    if found is not None:
        raise SpecError(
            f"module {path!r} ({type(module).__name__}) must have no hooks, which may change what "
            f"it computes, got {found.strip('_').replace('_', ' ')}: remove them; those of pruning "
            "and of weight and spectral normalisation by the functions of torch.nn.utils"
        )
    if "forward" in vars(module):
        raise SpecError(f"module {path!r} must have the forward of its class, got one of its own")


def check_numbers(path: str, linear: Any) -> None:
    """Refuse parameters that are not finite real numbers."""
    for name, value in linear.named_parameters():
        if value.is_meta:
            raise SpecError(f"{name} of module {path!r} must have numbers, got the meta device")
        if not value.is_floating_point():
            raise SpecError(f"{name} of module {path!r} must be real, got {value.dtype}")
        if not value.isfinite().all():
            raise SpecError(f"{name} of module {path!r} must be finite, got entries that are not")


def check_untied(earlier: str, one: Any, path: str, other: Any) -> None:
    """Refuse parameters of an earlier layer: the dual is no sum over layers then."""
    places = {value.data_ptr() for value in one.parameters() if value.numel()}
    if places & {value.data_ptr() for value in other.parameters() if value.numel()}:
        raise SpecError(
            f"module {path!r} must have parameters of its own, got those of {earlier!r}: "
            "tied layers cannot be read"
        )


def check_declared(path: str, part: Any, activation: Activation, size: int) -> None:
    """Refuse a module that is not elementwise, or not near the function it is declared to be."""
    twin, named = copy.deepcopy(part).double().cpu(), f"module {path!r} ({type(part).__name__})"
    h = 2.0 * np.sin(np.arange(1.0, size + 1.0))
    even = np.arange(size) % 2 == 0
    try:
        value, *moved = (_applied(twin, h + 0.5 * mask) for mask in (0.0, even, ~even))
    except (RuntimeError, TypeError, ValueError, IndexError) as error:
        raise SpecError(f"{named} must act on vectors: {' '.join(str(error).split())}") from None
    if value.shape != h.shape or not all(
        np.array_equal(after[~mask], value[~mask])
        for after, mask in zip(moved, (even, ~even), strict=True)
    ):
        raise SpecError(f"{named} must act elementwise to be declared an activation, and does not")
    off = float(np.abs(value - activation.function(h)).max())
    if not off <= _DECLARED:
        raise SpecError(
            f"{named} must be what it is declared to be, {activation!r}, got values that differ "
            f"by {off:.3g}"
        )


def _applied(module: Any, values: Array) -> Array:
    import torch

    with torch.no_grad():
        return np.asarray(module(torch.from_numpy(values)).numpy())
