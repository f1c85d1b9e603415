"""The one way to compile a kernel.

A module that holds kernels imports this one, and with it numba; rooms import their kernel
module inside the function that first needs it, so that ``import freefim`` stays light.

Contract of every kernel: typed arrays and scalars in, arrays and status codes out, bounded
loops, no exceptions. ``kernel.py_func`` runs the same body in plain Python. ``fastmath`` stays
off: it breaks ``isnan``.

numba's cache looks at the file of a kernel alone and would keep machine code whose helpers in
another file have changed (numba issue 1833): the name under which a kernel is cached holds a
fingerprint of every file that holds kernels.
"""

import hashlib
from collections.abc import Callable
from functools import cache
from pathlib import Path
from typing import Any, TypeVar

import numba

__all__ = ["inline", "kernel"]

F = TypeVar("F", bound=Callable[..., Any])

_njit: Any = numba.njit


def kernel(function: F) -> F:
    """Compile `function` at its first call, cache it on disk, release the GIL while it runs."""
    function.__qualname__ = f"{function.__qualname__}_{_fingerprint()}"
    compiled: F = _njit(cache=True, nogil=True, error_model="numpy")(function)
    return compiled


def inline(function: F) -> F:
    """Compile a small helper that LLVM may inline into the kernels of the same file."""
    compiled: F = _njit(error_model="numpy")(function)
    return compiled


@cache
def _fingerprint() -> str:
    """A short hash of every source file whose functions are compiled."""
    package = Path(__file__).parent
    files = sorted([*package.rglob("*kernels.py"), package / "free" / "moves.py", Path(__file__)])
    return hashlib.sha256(b"".join(path.read_bytes() for path in files)).hexdigest()[:8]
