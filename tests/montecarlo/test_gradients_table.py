"""The table of the mean-field rows: a stopped run goes on where it was, and a wrong row is seen."""

import csv
import subprocess
import sys
from pathlib import Path

VALIDATION = Path(__file__).parents[2] / "validation"
SECONDS = 11  # the place of that column


def run(output):
    return subprocess.run(
        [sys.executable, VALIDATION / "mean_field_table.py", "--only", "0", "--output", output],
        capture_output=True,
        text=True,
        check=False,
        timeout=120,
    )


def test_finished_cases_are_not_computed_again(tmp_path):
    output = tmp_path / "table.csv"
    first = run(output)
    assert first.returncode == 0, first.stdout + first.stderr
    whole = output.read_text(encoding="utf-8")
    assert run(output).returncode == 0
    assert output.read_text(encoding="utf-8") == whole
    # a run that ended after the first case: the second one is all that is added
    lines = whole.splitlines(keepends=True)
    kept = [line for line in lines if not line.startswith("0 depth")]
    output.write_text("".join(kept), encoding="utf-8")
    assert run(output).returncode == 0
    again = output.read_text(encoding="utf-8").splitlines()
    assert again[: len(kept)] == [line.rstrip("\n") for line in kept]
    assert [timeless(row) for row in again] == [timeless(row) for row in whole.splitlines()]


def timeless(line):
    """A row without its seconds."""
    (cells,) = csv.reader([line])
    return cells[:SECONDS] + cells[SECONDS + 1 :]


def test_a_row_that_is_off_fails_the_run(tmp_path):
    output = tmp_path / "table.csv"
    run(output)
    text = output.read_text(encoding="utf-8").replace("PASS", "prediction", 1)
    output.write_text(text, encoding="utf-8")
    done = run(output)
    assert done.returncode == 1
    assert "1 off" in done.stdout


def test_the_stored_table_has_no_row_that_is_off_and_evidence_where_a_noted_number_errs():
    with (VALIDATION / "mean_field_table.csv").open(newline="", encoding="utf-8") as file:
        rows = list(csv.DictReader(file))
    assert {row["verdict"] for row in rows} <= {"PASS", "NOTED ERRS"}
    for row in rows:
        assert bool(row["evidence"] and row["independent"]) == (row["verdict"] == "NOTED ERRS") or (
            row["verdict"] == "PASS" and not row["evidence"]
        )
