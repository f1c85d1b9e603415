"""The runner of the validation grid: nothing is done twice, and what fails is heard of."""

import importlib
import json
import subprocess
import sys
import time
from concurrent.futures import ThreadPoolExecutor
from pathlib import Path

import numpy as np
import pytest

import freefim as ff
from freefim.spectra.catalogue import SPECTRA
from freefim.tables import Table
from freefim.validation import validate

pytest.importorskip("matplotlib")
pytest.importorskip("pyarrow")

VALIDATION = Path(__file__).parents[1] / "validation"
GRID = """
widths = [16, 32]
replicas = 4
seed = 3

[activations]
relu = {activation = "relu", weight_std = 1.4142135623730951}
tanh = {activation = "tanh", weight_std = 1.2, bias_std = 0.8}

[[block]]
of = "Jacobian"
activations = ["relu"]
weights = ["gaussian"]
depth = [2]
"""
STATISTIC = """
[[block]]
of = "FisherStatistics"
activations = ["tanh"]
weights = ["gaussian"]
depth = [3]
options = {samples = [10], outputs = [2]}
widths = [60]
"""
# one outlier of 4 samples drowns at this width: the statistics refuse to name the largest
REFUSED = """
[[block]]
of = "FisherStatistics"
title = "too narrow"
activations = ["relu"]
weights = ["gaussian"]
depth = [2]
options = {samples = [4], outputs = [1]}
widths = [8]
"""


@pytest.fixture
def grid(monkeypatch):
    """The modules of the grid."""
    monkeypatch.syspath_prepend(VALIDATION)
    return importlib.import_module("cases"), importlib.import_module("run")


def command(folder, text):
    path = folder / "cases.toml"
    path.write_text(text, encoding="utf-8")
    options = {"--cases": path, "--store": folder / "rows", "--output": folder, "--workers": 0}
    return [sys.executable, VALIDATION / "run.py", *(str(x) for o in options.items() for x in o)]


def run(folder, text):
    return subprocess.run(
        command(folder, text), capture_output=True, text=True, check=False, timeout=120
    )


def lines(folder):
    path = folder / "rows"
    return path.read_bytes().splitlines(keepends=True) if path.exists() else []


def results(folder):
    """All of the table but the seconds."""
    table = Table.read(folder / "results.parquet")
    return {name: table[name].tolist() for name in table.columns if name != "seconds"}


def test_a_run_that_is_killed_goes_on_where_it_was(tmp_path):
    whole, killed = tmp_path / "whole", tmp_path / "killed"
    whole.mkdir()
    killed.mkdir()
    done = run(whole, GRID + STATISTIC)
    assert done.returncode == 0, done.stdout + done.stderr
    with subprocess.Popen(command(killed, GRID + STATISTIC), stdout=subprocess.DEVNULL) as process:
        for _ in range(2000):
            if len(lines(killed)) > 1:
                break
            time.sleep(0.01)
        process.kill()
    kept = [line for line in lines(killed) if line.endswith(b"\n")]
    assert len(kept) > 1
    (killed / "rows").write_bytes(b"".join(kept) + b'{"row": 2, "numb')  # torn
    assert run(killed, GRID + STATISTIC).returncode == 0
    after = lines(killed)
    assert after[: len(kept)] == kept
    assert sorted(json.loads(line)["row"] for line in after[1:]) == [0, 1, 2]
    assert str(results(killed)) == str(results(whole))  # NaN included
    page = (killed / "README.md").read_text(encoding="utf-8")
    assert "**3 of 3 rows pass, 0 fail.**" in page
    for picture in ("verdicts.png", "convergence.png"):
        assert f"pictures/{picture}" in page and (killed / "pictures" / picture).exists()


def test_a_failing_case_fails_the_run_and_stands_on_the_page(tmp_path):
    done = run(tmp_path, GRID + REFUSED)
    assert done.returncode == 1, done.stdout + done.stderr
    assert "FAIL too narrow, relu, gaussian, depth 2, width 8" in done.stdout
    page = (tmp_path / "README.md").read_text(encoding="utf-8")
    assert "**2 of 3 rows pass, 1 fail.**" in page and "## What does not pass" in page
    again = lines(tmp_path)
    assert run(tmp_path, GRID + REFUSED).returncode == 1
    assert lines(tmp_path) == again


def test_a_law_of_other_networks_does_not_pass(grid, tmp_path, monkeypatch):
    cases, _ = grid
    (tmp_path / "cases.toml").write_text(GRID, encoding="utf-8")
    case = cases.read_cases(tmp_path / "cases.toml")[1]

    class Wrong:
        def law(self):
            return ff.Jacobian(ff.Network(2, "relu", weights="gaussian", weight_std=1.7)).law()

        def validate(self, width, replicas, seed):
            return validate(self.law(), lambda _: self.law(), right.sample, width, replicas, seed)

    right = case.make()
    values, problem = cases.judge(case)
    assert not problem and values[cases.NUMBERS.index("passed")] == 1.0
    monkeypatch.setattr(cases.Case, "make", lambda self: Wrong())
    values, problem = cases.judge(case)
    assert "moment" in problem and values[cases.NUMBERS.index("passed")] == 0.0
    assert values[cases.NUMBERS.index("worst")] > 1.0


def test_any_executor_gives_the_same_rows(grid, tmp_path):
    cases, runner = grid
    (tmp_path / "cases.toml").write_text(GRID + STATISTIC, encoding="utf-8")
    listed = cases.read_cases(tmp_path / "cases.toml")
    here = runner.run(listed, tmp_path / "here")
    seen = []
    with ThreadPoolExecutor(2) as threads:
        there = runner.run(listed, tmp_path / "there", threads, lambda *step: seen.append(step))
    assert seen == [(1, 3), (2, 3), (3, 3)]
    for name in set(here.columns) - {"seconds"}:
        np.testing.assert_array_equal(here[name], there[name])


def test_the_grid_holds_every_spectrum_and_every_statistic(grid):
    cases, _ = grid
    listed = cases.read_cases(VALIDATION / "cases.toml")
    homes = {
        name: value.__module__
        for name in ff.__all__
        if isinstance(value := getattr(ff, name), type)
    }
    statistics = {
        name
        for name, home in homes.items()
        if home.startswith("freefim.statistics.") and hasattr(getattr(ff, name), "sample")
    }
    wanted = {kind.__name__ for kind in SPECTRA.values()} | statistics
    assert wanted <= {case.of for case in listed}
    assert len({(case.name, case.width) for case in listed}) == len(listed)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        (None, "cases.toml' cannot be read: No such file"),
        ("widths = [", "cases.toml' is no TOML"),
        ("widths = [16]", "must have a [[block]]"),
        (GRID.replace("Jacobian", "Jacobain"), "block 1: of must be"),
        (GRID.replace("Jacobian", "Semicircle"), "block 1: of must be"),
        (GRID.replace('["relu"]', '["rely"]'), "block 1 names 'rely'"),
        (GRID.replace("replicas = 4", ""), "block 1 names 'replicas'"),
        (GRID.replace("depth = [2]", "depth = 2"), "block 1 is not of the form"),
    ],
)
def test_a_grid_that_means_nothing_is_one_sentence(
    tmp_path, grid, capsys, monkeypatch, text, words
):
    _, runner = grid
    arguments = command(tmp_path, text or "")[1:]
    if text is None:
        (tmp_path / "cases.toml").unlink()
    monkeypatch.setattr(sys, "argv", [str(x) for x in arguments])
    assert runner.main() == 2
    error = capsys.readouterr().err
    assert words in error
    assert error.startswith("error: ") and error.count("\n") == 1
    assert not lines(tmp_path)


def test_the_rows_of_another_grid_are_one_sentence(tmp_path, grid, capsys, monkeypatch):
    _, runner = grid
    (tmp_path / "rows").write_text('{"freefim": "scan", "cases": [], "versions": {}}\n')
    before = lines(tmp_path)
    monkeypatch.setattr(sys, "argv", [str(x) for x in command(tmp_path, GRID)[1:]])
    assert runner.main() == 2
    assert "its cases is another one" in capsys.readouterr().err
    assert lines(tmp_path) == before
