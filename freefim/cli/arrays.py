"""Real inputs of networks from files: one vector, or a matrix whose rows are samples."""

import math
import os
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError

__all__ = ["Array", "mean_square", "read_matrix", "read_vector"]

Array = NDArray[np.float64]


def read_vector(path: str) -> Array:
    """Read one vector of real numbers; SpecError if the file holds none."""
    values = _read(path, "input", "one vector")
    if values.size == 0 or values.size != max(values.shape, default=0):
        raise SpecError(
            f"input file {path!r} must hold one vector, a row or a column, got shape {values.shape}"
        )
    return values.ravel()


def read_matrix(path: str) -> Array:
    """Read a matrix of real numbers; SpecError if the file holds none."""
    values = _read(path, "data", "a matrix")
    if values.ndim != 2 or values.size == 0:
        raise SpecError(
            f"data file {path!r} must hold a matrix whose rows are samples, "
            f"got shape {values.shape}"
        )
    return values


def mean_square(values: Array, what: str) -> float:
    """Mean square of a vector or matrix; SpecError if that is no normal number."""
    flat = values.ravel()
    wrong = np.flatnonzero(~np.isfinite(flat))
    if wrong.size:
        raise SpecError(f"{what} must hold finite numbers, got {flat[wrong[0]]} at {wrong[0]}")
    if not flat.any():
        raise SpecError(f"{what} must not hold the zero vector, got {flat.size} zeros")
    with np.errstate(over="ignore", under="ignore"):
        value = float(np.mean(flat**2))
    if not np.finfo(float).tiny <= value < math.inf:
        raise SpecError(
            f"{what} must have a mean square within the range of floating-point numbers, "
            f"got entries up to {np.abs(flat).max()}"
        )
    return value


def _read(path: str, kind: str, content: str) -> Array:
    what = f"{kind} file {path!r}"
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", ".csv"):
        raise SpecError(f"{what} must end in .npy or .csv")
    try:
        values = _load(path, suffix)
    except OSError as error:
        raise SpecError(f"{what} must be a readable file: {error.strerror or error}") from error
    except (ValueError, EOFError, SyntaxError) as error:
        raise SpecError(f"{what} must hold {content} of numbers: {error}") from error
    if values.dtype.kind not in "fiub":
        raise SpecError(f"{what} must hold real numbers, got {values.dtype}")
    return values.astype(float)


def _load(path: str | os.PathLike[str], suffix: str) -> NDArray[Any]:
    if suffix == ".npy":
        with Path(path).open("rb") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    lines = [
        line.partition("#")[0].strip()
        for line in Path(path).read_text(encoding="utf-8-sig").splitlines()
    ]
    return np.array([[float(cell) for cell in line.split(",")] for line in lines if line])
