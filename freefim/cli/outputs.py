"""Output files: refused before anything is computed, written whole afterwards."""

import os
from collections.abc import Sequence
from importlib.util import find_spec
from pathlib import Path

from freefim._formats import FORMATS
from freefim.errors import MissingExtraError, SpecError
from freefim.plots import PICTURE_SUFFIXES

__all__ = ["PICTURES", "TABLES", "check", "is_picture"]

TABLES, PICTURES = tuple(FORMATS), PICTURE_SUFFIXES


def check(paths: Sequence[str], suffixes: Sequence[str], inputs: Sequence[str | None]) -> None:
    """Refuse output files that could not be written in the end.

    Parameters
    ----------
    paths : sequence of str
        Where the command shall write.
    suffixes : sequence of str
        The formats that it can write there.
    inputs : sequence of str or None
        The files that it reads, which it must not overwrite.

    Raises
    ------
    SpecError
        If a suffix is another one, a place cannot be written or a file is named twice.
    MissingExtraError
        If a format needs a package that is not installed.
    """
    taken = {os.path.realpath(path) for path in inputs if path is not None}
    for path in paths:
        _check_one(path, suffixes)
        place = os.path.realpath(path)
        if place in taken:
            raise SpecError(f"output {path!r} must be a file of its own, it is named twice")
        taken.add(place)


def is_picture(path: str) -> bool:
    """Say whether the suffix of a path is that of a picture."""
    return Path(path).suffix.lower() in PICTURES


def _check_one(path: str, suffixes: Sequence[str]) -> None:
    suffix = Path(path).suffix.lower()
    if suffix not in suffixes:
        raise SpecError(f"output must end in one of {', '.join(suffixes)}, got {path!r}")
    if suffix in PICTURES and find_spec("matplotlib") is None:
        raise MissingExtraError("matplotlib", "plot", f"output {path!r}")
    if suffix == ".parquet" and find_spec("pyarrow") is None:
        raise MissingExtraError("pyarrow", "parquet", f"output {path!r}")
    target = Path(os.path.realpath(path))
    if not (target.parent.is_dir() and os.access(target.parent, os.W_OK)):
        raise SpecError(f"output must be in an existing, writable directory, got {path!r}")
    if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
        raise SpecError(f"output must be a writable file or a new one, got {path!r}")
