"""Every notebook is a script that runs headless, and its assertions hold."""

import os
import subprocess
import sys
from pathlib import Path

import pytest

FOLDER = Path(__file__).parents[1] / "notebooks"
NOTEBOOKS = sorted(FOLDER.glob("*.py"))


def named(path):
    return path.stem


def test_there_are_the_notebooks():
    promised = {"first_tour", "dynamical_isometry", "calculator", "every_spectrum"}
    assert promised <= set(map(named, NOTEBOOKS))


@pytest.mark.extra("plot", "data", "exact")
@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_notebook_runs_headless_and_leaves_nothing_behind(path, tmp_path):
    # `python -O` would drop the assertions that the run is for.
    given = {name: value for name, value in os.environ.items() if name != "PYTHONOPTIMIZE"}
    run = subprocess.run(
        [sys.executable, "-W", "error::RuntimeWarning", path],
        cwd=tmp_path,
        env=given | {"MPLBACKEND": "agg", "OPENBLAS_NUM_THREADS": "1"},
        capture_output=True,
        text=True,
        timeout=300,
        check=False,
    )
    assert run.returncode == 0, run.stderr
    assert not list(tmp_path.iterdir())


@pytest.mark.notebook
@pytest.mark.parametrize("path", NOTEBOOKS, ids=named)
def test_every_cell_of_the_notebook_converts_and_compiles(path):
    jupytext = pytest.importorskip("jupytext")
    cells = jupytext.read(path).cells
    code = [cell.source for cell in cells if cell.cell_type == "code"]
    assert len(code) >= 5
    assert sum(cell.cell_type == "markdown" for cell in cells) >= 5
    for source in code:
        compile(source, path.name, "exec")


def test_every_paper_on_mean_field_statistics_has_its_notebook():
    papers = {"universal_statistics", "pathological_spectra", "normalization"}
    assert papers <= set(map(named, NOTEBOOKS))
