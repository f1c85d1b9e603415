"""The one way to compile a kernel.

A module that holds kernels imports this one, and with it numba; rooms import their kernel
module inside the function that first needs it, so that ``import freefim`` stays light.

Contract of every kernel: typed arrays and scalars in, arrays and status codes out, bounded
loops, no exceptions. Kernels that call each other live in one file, because numba's cache
does not see edits in another module (numba issue 1833). ``kernel.py_func`` runs the same body
in plain Python. ``fastmath`` stays off: it breaks ``isnan``.
"""

from collections.abc import Callable
from typing import Any, TypeVar

import numba

__all__ = ["inline", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = numba.njit


def kernel(function: F) -> F:
    """Compile `function` at its first call, cache it on disk, release the GIL while it runs."""
    compiled: F = _njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


def inline(function: F) -> F:
    """Compile a small helper that LLVM may inline into the kernels of the same file."""
    compiled: F = _njit(error_model="numpy")(function)
    return compiled
