"""The file formats of a table: columns and metadata to bytes and back, value for value.

Every encoder takes read-only float64, int64, bool or str columns and metadata that strict JSON
can hold; every decoder gives the pair back. Columns that are not float64 are named in a field
``dtypes`` where the format itself cannot tell (CSV, JSON).
"""

import csv
import io
import json
import zipfile
from collections.abc import Callable, Iterable, Mapping
from itertools import chain
from typing import Any, NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefim.errors import MissingExtraError

__all__ = ["FORMATS", "Format", "plain"]

Columns = Mapping[str, NDArray[Any]]
Content = tuple[Columns, Mapping[str, Any]]

_FROM_TEXT: dict[str, Callable[[str], Any]] = {
    "float64": float,
    "int64": int,
    "bool": {"True": True, "False": False}.__getitem__,
    "str": str,
}


def plain(value: Any) -> Any:
    """Give `value` as strict JSON holds it, non-finite numbers as strings; else TypeError."""
    match value:
        case np.ndarray() | np.generic():
            return plain(value.tolist())
        case float() if not np.isfinite(value):
            return "NaN" if np.isnan(value) else "Infinity" if value > 0 else "-Infinity"
        case None | bool() | int() | float() | str():
            return value
        case list() | tuple():
            return [plain(item) for item in value]
        case Mapping() if all(isinstance(key, str) for key in value):
            return {key: plain(item) for key, item in value.items()}
    raise TypeError(f"JSON cannot hold {value!r}")


def _dtypes(columns: Columns) -> dict[str, str]:
    names = {name: values.dtype.name for name, values in columns.items()}
    return {
        name: "str" if dtype.startswith("str") else dtype
        for name, dtype in names.items()
        if dtype != "float64"
    }


def _parse(values: Iterable[str], dtype: str) -> NDArray[Any]:
    return np.array([_FROM_TEXT[dtype](value) for value in values], dtype=dtype)


def _to_csv(columns: Columns, metadata: Mapping[str, Any]) -> bytes:
    text = io.StringIO(newline="")
    dtypes = _dtypes(columns)
    for key, value in (({"dtypes": dtypes} if dtypes else {}) | dict(metadata)).items():
        text.write(f"# {key}: {json.dumps(value)}\n")
    text.write(",".join(columns) + "\n")
    # Strings are quoted, so that a "#" inside one never starts a comment.
    writer = csv.writer(text, quoting=csv.QUOTE_NONNUMERIC, lineterminator="\n")
    writer.writerows(zip(*(values.tolist() for values in columns.values()), strict=True))
    return text.getvalue().encode()


def _from_csv(content: bytes) -> Content:
    lines = iter(io.StringIO(content.decode("utf-8-sig"), newline=""))
    metadata: dict[str, Any] = {}
    for line in lines:
        if not line.startswith("#"):
            lines = chain([line], lines)
            break
        key, _, value = line[1:].partition(":")
        metadata[key.strip()] = json.loads(value)
    dtypes = metadata.pop("dtypes", {})
    cells = zip(*filter(None, csv.reader(lines)), strict=True)
    return {name: _parse(values, dtypes.get(name, "float64")) for name, *values in cells}, metadata


def _to_json(columns: Columns, metadata: Mapping[str, Any]) -> bytes:
    document = {"metadata": metadata, "dtypes": _dtypes(columns), "columns": columns}
    return json.dumps(plain(document), allow_nan=False).encode() + b"\n"


def _from_json(content: bytes) -> Content:
    document = json.loads(content)
    dtypes = document.get("dtypes", {})
    columns = {
        # A float column may hold "NaN" and "Infinity", which float() understands.
        name: np.array(values, dtypes[name]) if name in dtypes else _parse(values, "float64")
        for name, values in document["columns"].items()
    }
    return columns, document.get("metadata", {})


def _to_npz(columns: Columns, metadata: Mapping[str, Any]) -> bytes:
    # numpy.savez would clash with a column named like one of its arguments.
    stream = io.BytesIO()
    with zipfile.ZipFile(stream, "w", zipfile.ZIP_DEFLATED) as archive:
        for name, values in {**columns, "metadata": np.array(json.dumps(metadata))}.items():
            with archive.open(f"{name}.npy", "w", force_zip64=True) as member:
                np.lib.format.write_array(member, values, allow_pickle=False)
    return stream.getvalue()


def _from_npz(content: bytes) -> Content:
    with np.load(io.BytesIO(content), allow_pickle=False) as archive:
        columns = dict(archive.items())
    return columns, json.loads(str(columns.pop("metadata", "{}")))


def _to_parquet(columns: Columns, metadata: Mapping[str, Any]) -> bytes:
    arrow, parquet = _arrow()
    # Through a list, because Arrow cuts numpy's strings at a NUL.
    arrays = {
        name: arrow.array(values.tolist(), arrow.string()) if values.dtype.kind == "U" else values
        for name, values in columns.items()
    }
    table = arrow.table(arrays)
    stream = io.BytesIO()
    parquet.write_table(table.replace_schema_metadata({"freefim": json.dumps(metadata)}), stream)
    return stream.getvalue()


def _from_parquet(content: bytes) -> Content:
    arrow, parquet = _arrow()
    table = parquet.read_table(arrow.BufferReader(content))
    columns = {
        name: np.array(
            column.to_pylist() if arrow.types.is_string(column.type) else column.to_numpy(),
            dtype=str if arrow.types.is_string(column.type) else None,
        )
        for name, column in zip(table.column_names, table.columns, strict=True)
    }
    return columns, json.loads((table.schema.metadata or {}).get(b"freefim", b"{}"))


def _arrow() -> tuple[Any, Any]:
    try:
        import pyarrow
        import pyarrow.parquet
    except ImportError as error:
        raise MissingExtraError("pyarrow", "parquet", "a Parquet file") from error
    return pyarrow, pyarrow.parquet


class Format(NamedTuple):
    """How one suffix is written and read."""

    encode: Callable[[Columns, Mapping[str, Any]], bytes]
    decode: Callable[[bytes], Content]


FORMATS = {
    ".csv": Format(_to_csv, _from_csv),
    ".json": Format(_to_json, _from_json),
    ".npz": Format(_to_npz, _from_npz),
    ".parquet": Format(_to_parquet, _from_parquet),
}
