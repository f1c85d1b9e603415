"""Tables: columns of numbers with their provenance, written whole or not at all.

One `Table` holds what every file format of freefim holds: named one-dimensional columns and a
JSON-able mapping of metadata (atoms, accuracy, where the numbers came from). Each format gives
back an equal table, value for value, the non-finite ones included.
"""

import csv
import errno
import os
import secrets
import shutil
import zipfile
from collections.abc import Callable, Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from types import MappingProxyType
from typing import Any, BinaryIO

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim._formats import FORMATS, plain
from freefim.errors import MissingExtraError, SpecError

__all__ = ["Table", "write_whole"]

_KINDS: dict[str, np.dtype[Any]] = {
    "f": np.dtype(np.float64),
    "i": np.dtype(np.int64),
    "u": np.dtype(np.int64),
    "b": np.dtype(np.bool_),
    "U": np.dtype(np.str_),
}


def write_whole(path: str | os.PathLike[str], write: Callable[[BinaryIO], object]) -> None:
    """Write a file whole or not at all.

    The bytes go to a temporary file beside the target, which then replaces it in one step: a
    reader sees the old file or the new one. A symbolic link stays and its target is replaced;
    an existing file keeps its permission bits, a new one gets the usual ones.

    Parameters
    ----------
    path : path-like
        The file to write; its directory must exist.
    write : callable
        Receives the open binary stream and fills it. If it raises, the old file stays.

    Raises
    ------
    SpecError
        If the file cannot be written there.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     path = Path(folder, "note.txt")
    ...     write_whole(path, lambda stream: stream.write(b"whole"))
    ...     path.read_bytes() == b"whole" and os.listdir(folder) == ["note.txt"]
    True
    """
    target = Path(os.path.realpath(path))
    temporary = target.with_name(f".{secrets.token_hex(8)}.part")
    try:
        if target.exists() and not (target.is_file() and os.access(target, os.W_OK)):
            raise PermissionError(errno.EACCES, "it is not a writable file")
        try:
            with temporary.open("xb") as stream:
                write(stream)
            if target.exists():
                shutil.copymode(target, temporary)
            temporary.replace(target)
        except BaseException:
            with suppress(OSError):
                temporary.unlink()
            raise
    except OSError as error:
        raise SpecError(
            f"path must be a file in an existing, writable directory, got {os.fspath(path)!r}: "
            f"{error.strerror or error}"
        ) from error


@dataclass(frozen=True, eq=False, repr=False)
class Table:
    """Named columns of equal length with metadata; a value that every file format gives back.

    Parameters
    ----------
    columns : mapping of str to array_like, shape (rows,)
        Names are Python identifiers other than ``metadata``. Values are kept as read-only
        float64, int64, bool or str arrays.
    metadata : mapping of str to JSON-able values, optional
        Keys are Python identifiers other than ``dtypes``. Values are kept as JSON holds them:
        arrays and tuples become lists, NaN and the infinities the strings ``"NaN"``,
        ``"Infinity"``, ``"-Infinity"``.

    Raises
    ------
    SpecError
        If a name, a column or a metadata value is none of these, or lengths differ.

    Examples
    --------
    >>> table = Table({"x": [0.1, np.inf], "layer": [1, 2]}, {"atoms": [(0.0, 0.5)]})
    >>> table
    Table(columns=['x', 'layer'], rows=2, metadata=['atoms'])
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     for name in ("t.csv", "t.json", "t.npz"):
    ...         table.write(Path(folder, name))
    ...         Table.read(Path(folder, name)) == table
    True
    True
    True
    """

    columns: Mapping[str, NDArray[Any]]
    metadata: Mapping[str, Any] = field(default_factory=dict)

    def __post_init__(self) -> None:
        for name, reserved in (
            *((n, "metadata") for n in self.columns),
            *((n, "dtypes") for n in self.metadata),
        ):
            if not (isinstance(name, str) and name.isidentifier() and name != reserved):
                raise SpecError(
                    f"a name must be a Python identifier other than {reserved!r}, got {name!r}"
                )
        columns = {name: _column(name, values) for name, values in self.columns.items()}
        rows = {name: len(values) for name, values in columns.items()}
        if len(set(rows.values())) != 1:
            raise SpecError(f"columns must be at least one, of equal lengths, got {rows}")
        metadata = {name: _metadata(name, value) for name, value in self.metadata.items()}
        object.__setattr__(self, "columns", MappingProxyType(columns))
        object.__setattr__(self, "metadata", MappingProxyType(metadata))

    def __repr__(self) -> str:
        return (
            f"Table(columns={list(self.columns)}, rows={len(self)}, metadata={list(self.metadata)})"
        )

    def __len__(self) -> int:
        return len(next(iter(self.columns.values())))

    def __getitem__(self, name: str) -> NDArray[Any]:
        return self.columns[name]

    def __eq__(self, other: object) -> bool:
        if not isinstance(other, Table):
            return NotImplemented
        return (
            list(self.columns) == list(other.columns)
            and dict(self.metadata) == dict(other.metadata)
            and all(_same(self[name], other[name]) for name in self.columns)
        )

    __hash__ = None  # type: ignore[assignment]

    def __reduce__(self) -> tuple[Any, ...]:
        return Table, (dict(self.columns), dict(self.metadata))

    def to_csv(self, path: str | os.PathLike[str]) -> None:
        """Write comma-separated values below ``# key: JSON`` lines of metadata.

        Numbers stand in their shortest exact form. Columns that are not float64 are named in a
        line ``# dtypes: …``. ``pandas.read_csv(path, comment="#")`` skips those lines.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        SpecError
            If the file cannot be written.
        """
        self._write(path, ".csv")

    def to_json(self, path: str | os.PathLike[str]) -> None:
        """Write one JSON object with the fields ``metadata``, ``dtypes`` and ``columns``.

        Strict JSON: non-finite numbers are the strings ``"NaN"``, ``"Infinity"``,
        ``"-Infinity"``. ``dtypes`` names the columns that are not float64.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        SpecError
            If the file cannot be written.
        """
        self._write(path, ".json")

    def to_npz(self, path: str | os.PathLike[str]) -> None:
        """Write a compressed NPZ archive: an array per column, ``metadata`` as a JSON string.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        SpecError
            If the file cannot be written.
        """
        self._write(path, ".npz")

    def to_parquet(self, path: str | os.PathLike[str]) -> None:
        """Write a Parquet file with the metadata as JSON under ``freefim`` in its schema.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        MissingExtraError
            If pyarrow is not installed.
        SpecError
            If the file cannot be written.
        """
        self._write(path, ".parquet")

    def to_pandas(self) -> Any:
        """Give a ``pandas.DataFrame`` with the metadata in its ``attrs``.

        Returns
        -------
        pandas.DataFrame
            One column per column.

        Raises
        ------
        MissingExtraError
            If pandas is not installed.
        """
        try:
            import pandas
        except ImportError as error:
            raise MissingExtraError("pandas", "data", "Table.to_pandas") from error
        frame = pandas.DataFrame(dict(self.columns))
        frame.attrs.update(self.metadata)
        return frame

    def write(self, path: str | os.PathLike[str]) -> None:
        """Write in the format that the suffix names: .csv, .json, .npz or .parquet.

        Parameters
        ----------
        path : path-like
            The file to write.

        Raises
        ------
        SpecError
            If the suffix is another one, or the file cannot be written.
        MissingExtraError
            If the format needs a package that is not installed.
        """
        self._write(path, _suffix(path))

    def _write(self, path: str | os.PathLike[str], suffix: str) -> None:
        content = FORMATS[suffix].encode(self.columns, dict(self.metadata))
        write_whole(path, lambda stream: stream.write(content))

    @classmethod
    def read(cls, path: str | os.PathLike[str]) -> "Table":
        """Read a table that `write` wrote, or a CSV of numbers with a line of column names.

        Parameters
        ----------
        path : path-like
            A .csv, .json, .npz or .parquet file.

        Returns
        -------
        Table
            Equal to the table that was written.

        Raises
        ------
        SpecError
            If there is no such file, or it holds no table.
        MissingExtraError
            If the format needs a package that is not installed.
        """
        decode = FORMATS[_suffix(path)].decode
        try:
            return cls(*decode(Path(path).read_bytes()))
        except OSError as error:
            raise SpecError(
                f"path must be a readable file, got {os.fspath(path)!r}: {error.strerror or error}"
            ) from error
        except (
            ValueError,
            LookupError,
            TypeError,
            AttributeError,
            EOFError,
            csv.Error,
            zipfile.BadZipFile,
        ) as error:
            raise SpecError(f"path must hold a table, got {os.fspath(path)!r}: {error}") from error


def _suffix(path: str | os.PathLike[str]) -> str:
    suffix = Path(path).suffix.lower()
    if suffix not in FORMATS:
        raise SpecError(f"path must end in one of {', '.join(FORMATS)}, got {os.fspath(path)!r}")
    return suffix


def _column(name: str, values: ArrayLike) -> NDArray[Any]:
    array = np.asarray(values)
    dtype = _KINDS.get(array.dtype.kind)
    if array.ndim != 1 or dtype is None or not np.can_cast(array.dtype, dtype):
        raise SpecError(
            f"column {name!r} must be a one-dimensional array of numbers (at most 64 bits), "
            f"booleans or strings, got shape {array.shape} of {array.dtype}"
        )
    array = array.astype(dtype)
    array.flags.writeable = False
    return array


def _metadata(name: str, value: Any) -> Any:
    try:
        return plain(value)
    except TypeError:
        raise SpecError(f"metadata {name!r} must hold what JSON can hold, got {value!r}") from None


def _same(first: NDArray[Any], second: NDArray[Any]) -> bool:
    return first.dtype.kind == second.dtype.kind and np.array_equal(
        first, second, equal_nan=first.dtype.kind == "f"
    )
