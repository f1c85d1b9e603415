"""The rows of the mean-field theory, predicted and measured again.

Every row of the table that the theory was checked with is drawn anew at its size: the prediction
must agree to the digits that were written down, and the measurement with the one of then within
the scatter stated for it or three standard errors of the difference of two means. A row that is in
the output already is not drawn again, so a run that was stopped goes on where it was.

Where a number that was written down errs, the row says so and why: its verdict is NOTED ERRS, and
the evidence stands in the last column. That verdict needs a calculation by another way that
meets the prediction, and what is measured now if it is the noted measurement that is off.

    python validation/mean_field_table.py --replicas 8 --output validation/mean_field_table.csv
"""

import argparse
import csv
import math
import sys
import time
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import NamedTuple

import numpy as np
from mean_field_rows import CASES, Line

COLUMNS = (
    "case", "quantity", "predicted", "noted_prediction", "measured", "standard_error",
    "noted_measurement", "tolerance", "verdict", "replicas", "seed", "seconds", "independent",
    "evidence",
)  # fmt: skip


GOOD = ("PASS", "NOTED ERRS")


class Verdict(NamedTuple):
    """Mean, standard error, tolerance of the difference, and what is wrong if anything."""

    measured: float
    error: float
    tolerance: float
    words: str


def half_digit(text: str) -> float:
    """Half a unit of the last digit of a decimal."""
    digits, _, exponent = text.lower().partition("e")
    places = len(digits.partition(".")[2])
    return 0.5 * 10.0 ** (int(exponent or 0) - places)


def judge(line: Line) -> Verdict:
    """Compare a line with what was noted."""
    words = []
    if line.predicted is not None and line.noted_prediction is not None:
        off = abs(line.predicted - float(line.noted_prediction))
        if off > 2.0 * half_digit(line.noted_prediction):
            words.append("prediction")
    measured = error = tolerance = math.nan
    if line.values is not None:
        values = np.asarray(line.values, dtype=float)
        measured = float(values.mean())
        spread = float(values.std(ddof=1)) if values.size > 1 else math.nan
        error = spread / math.sqrt(values.size)
        if line.noted_measurement is not None:
            then = spread / math.sqrt(line.networks)
            tolerance = max(
                line.scatter, 3.0 * math.hypot(error, then), half_digit(line.noted_measurement)
            )
            if not abs(measured - float(line.noted_measurement)) <= tolerance:
                words.append("measurement")
    # a measurement that is off is forgiven only where it too is what the other way finds
    met = "measurement" not in words or measures(line, measured, error)
    if words and line.evidence and supported(line) and met:
        words = ["NOTED ERRS"]
    return Verdict(measured, error, tolerance, " ".join(words) or "PASS")


def supported(line: Line) -> bool:
    """Whether the calculation by another way meets the prediction."""
    if line.predicted is None or line.independent is None:
        return False
    value, error = line.independent
    return abs(line.predicted - value) <= 3.0 * error


def measures(line: Line, measured: float, error: float) -> bool:
    """Whether the calculation by another way meets what is measured now."""
    if line.independent is None:
        return False
    value, own = line.independent
    return abs(measured - value) <= 3.0 * math.hypot(error, own)


def rows(
    cases: dict[str, Callable[[int, int], list[Line]]], replicas: int, seed: int, done: set[str]
) -> Iterator[list[dict[str, object]]]:
    """The lines of every case that is not done, ready to be written."""
    for name, case in cases.items():
        if name in done:
            continue
        started = time.perf_counter()
        lines = case(replicas, seed)
        seconds = time.perf_counter() - started
        found = []
        for line in lines:
            verdict = judge(line)
            found.append(
                dict(
                    zip(
                        COLUMNS,
                        (
                            name, line.quantity, number(line.predicted), line.noted_prediction,
                            number(verdict.measured), number(verdict.error),
                            line.noted_measurement, number(verdict.tolerance), verdict.words,
                            0 if line.values is None else len(line.values), seed,
                            f"{seconds:.2f}",
                            "" if line.independent is None else
                            f"{line.independent[0]:.6g} ± {line.independent[1]:.2g}",
                            line.evidence if verdict.words != "PASS" else "",
                        ),
                        strict=True,
                    )
                )
            )  # fmt: skip
        yield found


def number(value: float | None) -> str:
    return "" if value is None or math.isnan(value) else f"{value:.6g}"


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--replicas", type=int, default=8)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--only", default="", help="cases whose name begins so")
    parser.add_argument("--output", type=Path, required=True)
    arguments = parser.parse_args()
    old: list[dict[str, str]] = []
    if arguments.output.exists():
        with arguments.output.open(newline="", encoding="utf-8") as file:
            old = list(csv.DictReader(file))
    else:
        arguments.output.write_text(",".join(COLUMNS) + "\n", encoding="utf-8")
    chosen = {name: case for name, case in CASES.items() if name.startswith(arguments.only)}
    bad = [row for row in old if row["verdict"] not in GOOD]
    fresh = rows(chosen, arguments.replicas, arguments.seed, {row["case"] for row in old})
    for found in fresh:
        with arguments.output.open("a", newline="", encoding="utf-8") as file:
            csv.DictWriter(file, COLUMNS, lineterminator="\n").writerows(found)
        for row in found:
            if row["verdict"] not in GOOD:
                bad.append(row)
                print(*(f"{key}={row[key]}" for key in COLUMNS[:9]), flush=True)
        old.extend(found)
    seconds = {row["case"]: float(row["seconds"]) for row in old}
    errs = sum(row["verdict"] == "NOTED ERRS" for row in old)
    print(
        f"{len(seconds)} cases, {len(old)} lines, {len(bad)} off, {errs} where the noted number "
        f"errs; {sum(seconds.values()):.0f} s"
    )
    return int(bool(bad))


if __name__ == "__main__":
    sys.exit(main())
