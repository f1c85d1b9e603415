"""Imports go down only, the package loads light, and the core lives without its extras."""

import ast
import statistics
import subprocess
import sys
from importlib.util import find_spec
from pathlib import Path

import pytest

PACKAGE = Path(find_spec("freefim").origin).parent
MODULES = sorted(PACKAGE.rglob("*.py"))

FLOORS = {
    "errors": 0,
    "_jit": 0,
    "_formats": 0,
    "tables": 0,
    "plots": 0,
    "free": 1,
    "networks": 2,
    "montecarlo": 3,
    "validation": 4,
    "spectra": 5,
    "statistics": 5,
    "scans": 5,
    "advice": 6,
    "interop": 7,
    "cli": 8,
    "__main__": 9,  # the door: only calls the command line
    "": 6,
}
# The ground floor is one room, every other room is a folder or a file of its own.
GROUND = {room for room, floor in FLOORS.items() if floor == 0}
# The witness must not know what it is a witness for.
FORBIDDEN = {"montecarlo": {"free", "spectra"}}

HEAVY = ("numba", "matplotlib", "pandas", "sympy", "scipy.stats", "pyarrow", "mpmath", "flint")


def dotted(path):
    """Name of the module in `path` within the package; '' for the package itself."""
    parts = path.relative_to(PACKAGE).with_suffix("").parts
    return ".".join(parts[:-1] if parts[-1] == "__init__" else parts)


def room(module):
    return module.partition(".")[0]


def imported(path):
    """Every module of the package that `path` imports anywhere, functions included."""
    package = f"freefim.{dotted(path)}".rstrip(".").split(".")
    if path.name != "__init__.py":
        package.pop()
    names = []
    for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
        match node:
            case ast.Import(names=aliases):
                names += [alias.name for alias in aliases]
            case ast.ImportFrom(module=module, names=aliases, level=level):
                above = package[: len(package) - level + 1] if level else []
                base = ".".join([*above, *([module] if module else [])])
                # `from freefim import tables` names the module in its alias.
                names += [f"{base}.{a.name}" for a in aliases] if base == "freefim" else [base]
    inside = [name for name in names if name == "freefim" or name.startswith("freefim.")]
    return {name.removeprefix("freefim").lstrip(".") for name in inside}


def violations(path):
    home = room(dotted(path))
    for module in imported(path):
        target = room(module)
        same = home == target or {home, target} <= GROUND
        if target not in FLOORS or target in FORBIDDEN.get(home, ()):
            yield f"{home or 'freefim'} imports {module}"
        elif not same and FLOORS[target] >= FLOORS[home]:
            yield f"{home} (floor {FLOORS[home]}) imports {module} (floor {FLOORS[target]})"


@pytest.mark.parametrize("path", MODULES, ids=lambda p: dotted(p) or "freefim")
def test_imports_go_down_only(path):
    assert room(dotted(path)) in FLOORS, f"{path.name} stands on no floor"
    assert list(violations(path)) == []


@pytest.mark.parametrize(
    ("room", "line", "allowed"),
    [
        ("free/probe.py", "from freefim.networks import network", False),
        ("free/probe.py", "def f():\n    import freefim.spectra.jacobian", False),
        ("free/probe.py", "from ..networks import gates", False),
        ("free/probe.py", "import freefim", False),
        ("montecarlo/probe.py", "from freefim.free.chains.chain import Chain", False),
        ("spectra/probe.py", "from freefim.statistics import fisher", False),
        ("tables.py", "from freefim import plots", True),
        ("spectra/probe.py", "from .jacobian import Jacobian", True),
        ("spectra/probe.py", "from freefim.free.chains.chain import Chain", True),
    ],
)
def test_the_reader_of_imports_sees_every_form(tmp_path, monkeypatch, room, line, allowed):
    monkeypatch.setitem(globals(), "PACKAGE", tmp_path)
    path = tmp_path / room
    path.parent.mkdir(exist_ok=True)
    path.write_text(line, encoding="utf-8")
    assert (list(violations(path)) == []) == allowed


@pytest.mark.parametrize("path", MODULES, ids=lambda p: dotted(p) or "freefim")
def test_no_module_outgrows_its_room(path):
    lines = path.read_text(encoding="utf-8").count("\n")
    # kernels are inlined into one another; one room of them may be longer than other rooms
    assert lines <= (700 if path.stem.endswith("kernels") else 400)


def fresh(code):
    """Standard output of `code` in a fresh interpreter."""
    done = subprocess.run(
        [sys.executable, "-c", code], capture_output=True, text=True, check=False, timeout=120
    )
    assert done.returncode == 0, done.stderr
    return done.stdout.strip()


def test_import_loads_nothing_heavy():
    loaded = fresh(f"import sys, freefim; print([m for m in {HEAVY} if m in sys.modules])")
    assert loaded == "[]"


def test_import_costs_little_over_numpy():
    code = "import numpy, time; t = time.perf_counter(); import freefim; "
    code += "print(time.perf_counter() - t)"
    assert statistics.median(float(fresh(code)) for _ in range(3)) <= 0.3


def test_every_public_name_is_there():
    fresh("import freefim; assert all(getattr(freefim, name) for name in freefim.__all__)")


WITHOUT = """
import sys
for name in {packages}:
    sys.modules[name] = None  # what Python itself does to a module that must not load
import freefim
from freefim.tables import Table
table = Table({{"x": [1.0]}})
try:
    {use}
except freefim.MissingExtraError as error:
    print(error)
"""


@pytest.mark.parametrize(
    ("package", "extra", "use"),
    [
        ("pyarrow", "parquet", "table.to_parquet('never.parquet')"),
        ("pandas", "data", "table.to_pandas()"),
        ("matplotlib", "plot", "import freefim.plots as p; p.plot_density([], [(0.0, 1.0)])"),
    ],
)
def test_an_absent_extra_is_named_when_it_is_asked_for(package, extra, use):
    message = fresh(WITHOUT.format(packages=[package], use=use))
    assert f"needs {package}" in message
    assert f"freefim[{extra}]" in message


def test_the_core_lives_without_any_extra(tmp_path):
    extras = ["matplotlib", "tqdm", "pyarrow", "pandas", "flint", "sklearn", "torch", "dask"]
    path = str(tmp_path / "t.csv")
    use = f"table.write({path!r}); print(Table.read({path!r}) == table)"
    assert fresh(WITHOUT.format(packages=extras, use=use)) == "True"
