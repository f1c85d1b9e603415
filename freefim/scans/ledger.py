"""A file of finished rows: one line of JSON each, under a line that says of which scan.

A line is written in one go, so that a process that is killed leaves whole lines and at most one
torn one at the end, which the next process cuts off. A file has one writer at a time: the lock
belongs to the process, not to its children, and ends with it however it dies.
"""

from __future__ import annotations

import json
import os
from pathlib import Path
from typing import Any

from freefim._formats import plain
from freefim.errors import SpecError

try:
    import fcntl
except ImportError:  # where there are no record locks
    fcntl = None  # type: ignore[assignment]

__all__ = ["Ledger", "Row"]

Row = tuple[list[float], str]

_open: set[str] = set()  # real paths of this process, whose own locks do not exclude each other


class Ledger:
    """The finished rows of a scan in a file.

    Parameters
    ----------
    path : path-like
        A new file, or one of the same scan.
    header : dict
        What tells this scan from others, in what JSON holds.
    rows, columns : int
        How many rows the whole scan has, and numbers in each.

    Raises
    ------
    SpecError
        If the file is of another scan, is damaged, cannot be read or written, or another scan is
        writing it.

    Examples
    --------
    >>> import tempfile
    >>> with tempfile.TemporaryDirectory() as folder:
    ...     with Ledger(Path(folder, "rows"), {"of": "x"}, 3, 2) as ledger:
    ...         ledger.append(1, ([0.1, float("inf")], ""))
    ...     with Ledger(Path(folder, "rows"), {"of": "x"}, 3, 2) as again:
    ...         again.done
    {1: ([0.1, inf], '')}
    """

    def __init__(
        self, path: str | os.PathLike[str], header: dict[str, Any], rows: int, columns: int
    ) -> None:
        self._path = Path(path)
        self._header = {"freefim": "scan", **plain(header)}
        self.done: dict[int, Row] = {}
        self._name = os.path.realpath(self._path)
        if self._name in _open:
            raise self._error("another scan is writing it")
        _open.add(self._name)
        try:
            # unbuffered: a line that was appended is in the file
            self._stream = self._path.open("a+b", buffering=0)
            try:
                self._begin(rows, columns)
            except BaseException:
                self._stream.close()
                raise
        except BaseException as error:
            _open.discard(self._name)
            if isinstance(error, OSError):
                reason = f"it is not readable and writable: {error.strerror or error}"
                raise self._error(reason) from error
            raise

    def __enter__(self) -> Ledger:
        return self

    def __exit__(self, *_: object) -> None:
        self._stream.close()
        _open.discard(self._name)

    def _begin(self, rows: int, columns: int) -> None:
        """Lock the file, then read what is there, or write what it is of."""
        if fcntl is not None:
            try:
                fcntl.lockf(self._stream, fcntl.LOCK_EX | fcntl.LOCK_NB)
            except BlockingIOError:
                raise self._error("another scan is writing it") from None
        self._stream.seek(0)
        content = self._stream.readall()
        if not content:
            self._stream.write(_line(self._header))
            return
        whole = content[: content.rfind(b"\n") + 1]
        self._read(whole.splitlines(), rows, columns)
        if whole != content:
            self._stream.truncate(len(whole))

    def append(self, index: int, row: Row) -> None:
        """Write one finished row.

        Raises
        ------
        SpecError
            If the file cannot be written.
        """
        values, problem = row
        try:
            self._stream.write(_line({"row": index, "numbers": values, "problem": problem}))
        except OSError as error:
            raise self._error(f"it cannot be written: {error.strerror or error}") from error
        self.done[index] = row

    def _read(self, lines: list[bytes], rows: int, columns: int) -> None:
        try:
            header = json.loads(lines[0]) if lines else None
        except ValueError:
            header = None
        if not isinstance(header, dict) or header.get("freefim") != "scan":
            raise self._error("it is no file of a scan")
        for key, value in self._header.items():
            if header.get(key) != value:
                raise self._error(f"its {key} is another one than that of this scan")
        for number, line in enumerate(lines[1:], start=2):
            try:
                entry = json.loads(line)
                index, problem = int(entry["row"]), str(entry["problem"])
                values = [float(value) for value in entry["numbers"]]
            except (ValueError, TypeError, LookupError):
                raise self._error(f"line {number} is damaged") from None
            if not 0 <= index < rows or len(values) != columns:
                raise self._error(f"line {number} is no row of it")
            self.done[index] = values, problem

    def _error(self, reason: str) -> SpecError:
        return SpecError(
            f"path must be a new file or one of the same scan, got {os.fspath(self._path)!r}: "
            f"{reason}"
        )


def _line(entry: dict[str, Any]) -> bytes:
    return json.dumps(plain(entry), allow_nan=False, ensure_ascii=False).encode() + b"\n"
