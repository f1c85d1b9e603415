"""One row for each combination of the values of some fields: a table in one call."""

from __future__ import annotations

import math
import os
from collections.abc import Callable, Iterable, Mapping
from concurrent.futures import Executor
from contextlib import ExitStack
from functools import partial
from itertools import product
from numbers import Real
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.montecarlo.threads import ONE_BLAS_THREAD
from freefim.scans.finished import as_finished
from freefim.scans.ledger import Ledger, Row
from freefim.scans.numbers import number_names, numbers
from freefim.scans.subject import Subject, fixed_text
from freefim.tables import Table

__all__ = ["scan"]


def scan(
    spectrum_or_statistic: Any,
    /,
    *,
    executor: Executor | None = None,
    path: str | os.PathLike[str] | None = None,
    progress: Callable[[int, int], None] | None = None,
    **lists: Iterable[Any],
) -> Table:
    """Compute a spectrum or a statistic for all combinations of the values of some fields.

    Parameters
    ----------
    spectrum_or_statistic : Spectrum or statistic
        What the fields that do not vary are taken from.
    executor : concurrent.futures.Executor, optional
        Where the rows are computed: threads, processes, ``dask.distributed.Client.get_executor()``.
        The default computes them here, one after the other; the table is the same.
    path : path-like, optional
        A file that keeps every finished row. A scan that is stopped and called again with the
        same file goes on where it was.
    progress : callable, optional
        Called as ``progress(done, total)`` from the calling thread after each row.
    **lists : iterables
        Values of fields of `Network` (``weight_std``, ``depth``, ``activation``, …) or of the
        spectrum or statistic itself (``layer``, ``width``, ``samples``, …).

    Returns
    -------
    Table
        A row for each combination, the last field varying fastest: the values; for a spectrum
        support_min, support_max, mean, variance, the numbers of bands and atoms, the masses
        atom_at_zero and atom_at_top, and mass_defect of its law; for a statistic all its numbers;
        and ``problem``, which says why a number is NaN and is empty if none is.

    Raises
    ------
    SpecError
        If a name is no field, a list is empty or `path` is the file of another scan. Values that
        mean nothing do not stop a scan, they are problems of their rows.

    Notes
    -----
    The file holds a line that identifies the scan and a line of JSON for each finished row, in
    the order in which they finished. Networks made of Python callables have no text to be
    identified by: for them `path` is refused.

    Examples
    --------
    The Jacobian of an orthogonal linear network is an isometry up to scale:

    >>> from freefim.networks.network import Network
    >>> from freefim.spectra.jacobian import Jacobian
    >>> table = scan(Jacobian(Network(2, "linear")), weight_std=[1, 2], depth=[1, 3])
    >>> bool((table["support_max"] == table["weight_std"] ** (2.0 * table["depth"])).all())
    True
    """
    subject = Subject.of(spectrum_or_statistic)
    subject.check(lists)
    varied = {name: _values(name, values) for name, values in lists.items()}
    if executor is not None and not callable(getattr(executor, "submit", None)):
        raise SpecError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    combinations = [dict(zip(varied, row, strict=True)) for row in product(*varied.values())]
    names = [name for name in number_names(subject.kind) if name not in varied]
    done: dict[int, Row] = {}
    total = len(combinations)
    with ExitStack() as stack:
        keep: Callable[[int, Row], None] = done.__setitem__
        if path is not None:
            header = _identity(subject, varied, names)
            ledger = stack.enter_context(Ledger(path, header, total, len(names)))
            done, keep = ledger.done, ledger.append
        missing = {i: row for i, row in enumerate(combinations) if i not in done}
        stack.enter_context(ONE_BLAS_THREAD)
        for index, row in as_finished(partial(_row, subject, names), missing, executor):
            keep(index, row)
            if progress is not None:
                progress(len(done), total)
    return _table(subject, varied, combinations, names, [done[i] for i in range(total)])


def _row(subject: Subject, names: list[str], changes: Mapping[str, Any]) -> Row:
    """Compute one row: the task of an executor."""
    with ONE_BLAS_THREAD, np.errstate(over="ignore", invalid="ignore", divide="ignore"):
        try:
            thing = subject.make(changes)
        except (ValueError, ArithmeticError) as error:
            return [math.nan] * len(names), " ".join(str(error).split())
        found, problem = numbers(thing)
    return [found[name] for name in names], problem


def _values(name: str, values: Any) -> list[Any]:
    listed = values.tolist() if isinstance(values, np.ndarray) else values
    if isinstance(listed, str | bytes | Mapping) or not isinstance(listed, Iterable):
        raise SpecError(f"{name} must be a list of values to scan over, got {values!r}")
    entries = [entry.item() if isinstance(entry, np.generic) else entry for entry in listed]
    if not entries:
        raise SpecError(f"{name} must be a list of at least one value, got {values!r}")
    return entries


def _identity(
    subject: Subject, varied: Mapping[str, list[Any]], names: list[str]
) -> dict[str, Any]:
    try:
        return {
            "subject": subject.text(),
            # pairs, since the rows have the order of the fields
            "fields": [[name, list(map(fixed_text, values))] for name, values in varied.items()],
            "numbers": names,
        }
    except SpecError as error:
        raise SpecError(f"path must be None for this scan: {error}") from error


def _table(
    subject: Subject,
    varied: Mapping[str, list[Any]],
    combinations: list[dict[str, Any]],
    names: list[str],
    rows: list[Row],
) -> Table:
    columns: dict[str, Any] = {
        name: _column([row[name] for row in combinations]) for name in varied
    }
    values = np.array([row[0] for row in rows], dtype=np.float64).reshape(len(rows), len(names))
    columns |= {name: values[:, place] for place, name in enumerate(names)}
    columns["problem"] = np.array([row[1] for row in rows], dtype=np.str_)
    parts = {name: repr(value) for name, value in subject.given.items()}
    return Table(columns, {"scan": subject.kind.__name__, **parts})


def _column(values: list[Any]) -> NDArray[Any]:
    """Numbers as they are, anything else in words."""
    numbers_only = all(isinstance(value, Real) and not isinstance(value, bool) for value in values)
    try:
        if numbers_only and all(isinstance(value, int) for value in values):
            return np.array(values, dtype=np.int64)
        if numbers_only:
            return np.array([float(value) for value in values])
    except OverflowError:
        pass
    return np.array([value if isinstance(value, str) else repr(value) for value in values])
