"""The whole grid of `cases.toml`: laws and statistics against sampled networks, and the page.

    python validation/run.py --workers 2

Every finished row is kept in a file: a run that is killed anywhere and started again goes on where
it was. At the end stand `results.parquet`, `results.csv` and the page `README.md` with its
pictures. A row that does not pass makes the exit code 1; a grid or a file of rows that does not
fit makes it 2.
"""

import argparse
import platform
import sys
from collections.abc import Callable
from concurrent.futures import Executor, ProcessPoolExecutor
from contextlib import ExitStack
from dataclasses import asdict
from importlib.metadata import version
from multiprocessing import get_context
from pathlib import Path

import numpy as np
from cases import NUMBERS, Case, judge, read_cases

from freefim.cli.progress import Progress
from freefim.errors import SpecError
from freefim.scans.finished import as_finished
from freefim.scans.ledger import Ledger
from freefim.tables import Table

HERE = Path(__file__).resolve().parent


def versions() -> dict[str, str]:
    """What the numbers were made with."""
    names = ("freefim", "numpy", "scipy", "numba")
    return {"python": platform.python_version(), **{name: version(name) for name in names}}


def run(
    cases: list[Case],
    store: Path,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> Table:
    """Judge all cases that the store does not hold yet, and give the table of all.

    Parameters
    ----------
    cases : list of Case
        The grid.
    store : path
        The file that keeps every finished row; of this grid and these versions, or new.
    executor : concurrent.futures.Executor, optional
        Where rows are made; None makes them here.
    progress : callable, optional
        Called as ``progress(done, total)`` after each row.
    """
    header = {"cases": [asdict(case) for case in cases], "versions": versions()}
    with Ledger(store, header, len(cases), len(NUMBERS)) as ledger:
        missing = {i: case for i, case in enumerate(cases) if i not in ledger.done}
        for index, row in as_finished(judge, missing, executor):
            ledger.append(index, row)
            if progress is not None:
                progress(len(ledger.done), len(cases))
        rows = [ledger.done[i] for i in range(len(cases))]
    columns = {
        "case": np.array([case.name for case in cases]),
        "block": np.array([case.block for case in cases]),
        "kind": np.array([case.of for case in cases]),
        **{
            name: np.array([getattr(case, name) for case in cases])
            for name in ("width", "replicas", "seed")
        },
    }
    numbers = np.array([values for values, _ in rows])
    columns |= {name: numbers[:, place] for place, name in enumerate(NUMBERS)}
    columns["passed"] = columns["passed"] == 1.0
    columns["problem"] = np.array([problem for _, problem in rows])
    return Table(columns, {"versions": versions()})


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--cases", type=Path, default=HERE / "cases.toml")
    parser.add_argument("--workers", type=int, default=2, help="processes; 0 for this one alone")
    parser.add_argument("--store", type=Path, help="file of finished rows, out/validation.rows")
    parser.add_argument("--output", type=Path, default=HERE, help="folder of results and page")
    try:
        return _run(parser.parse_args())
    except SpecError as problem:
        print(f"error: {problem}", file=sys.stderr)
        return 2


def _run(arguments: argparse.Namespace) -> int:
    store = arguments.store or HERE.parent / "out" / "validation.rows"
    cases = read_cases(arguments.cases)
    store.parent.mkdir(parents=True, exist_ok=True)
    with ExitStack() as stack:
        executor = None
        if arguments.workers:
            # a fresh interpreter each: threads of this one do not survive a fork
            pool = ProcessPoolExecutor(arguments.workers, get_context("spawn"))
            executor = stack.enter_context(pool)
        bar = stack.enter_context(Progress("validation", len(cases)))
        table = run(cases, store, executor, bar)
    table.write(arguments.output / "results.parquet")
    table.write(arguments.output / "results.csv")
    from page import write_page

    write_page(table, arguments.output)
    failed = np.flatnonzero(~table["passed"])
    for place in failed:
        print(
            f"FAIL {table['case'][place]}, width {table['width'][place]}: {table['problem'][place]}"
        )
    minutes = table["seconds"].sum() / 60
    print(f"{len(cases)} rows, {failed.size} failed; {minutes:.1f} minutes of one processor")
    return int(failed.size > 0)


if __name__ == "__main__":
    sys.exit(main())
