"""Modules that `torch.save` wrote, loaded without running code of the file."""

import os
from pickle import UnpicklingError
from typing import Any

from freefim.errors import SpecError
from freefim.networks.torch_modules import readable_modules, torch

__all__ = ["load_module"]


def load_module(path: str | os.PathLike[str]) -> Any:
    """Read a module from a file of ``torch.save(module, path)``.

    Parameters
    ----------
    path : path-like
        The file. Nothing in it is run: it may hold the modules that can be read, and tensors.

    Returns
    -------
    torch.nn.Module

    Raises
    ------
    SpecError
        If the file cannot be read, or holds anything else; the message names it.
    MissingExtraError
        If torch is not installed.
    """
    tch = torch()
    name = os.fspath(path)
    try:
        with tch.serialization.safe_globals(readable_modules()):
            module = tch.load(name, map_location="cpu", weights_only=True)
    except OSError as error:
        raise SpecError(f"module file {name!r} cannot be read: {error.strerror}") from None
    except (UnpicklingError, RuntimeError, EOFError) as error:
        raise SpecError(f"module file {name!r} cannot be read{_why(tch, name)}") from error
    if not isinstance(module, tch.nn.Module):
        raise SpecError(
            f"module file {name!r} must hold a module, torch.save(module, path), "
            f"got a {type(module).__name__}"
        )
    return module


def _why(tch: Any, name: str) -> str:
    """What a file holds that it must not, as the end of a sentence."""
    try:
        with tch.serialization.safe_globals(readable_modules()):
            found = tch.serialization.get_unsafe_globals_in_checkpoint(name)
    except (ValueError, UnpicklingError, RuntimeError, EOFError):
        return ": it is no file of torch.save"
    return f": it holds {', '.join(sorted(found))}" if found else ""
