"""Certificates: a second program recomputes them, and nothing false passes it."""

import ast
import copy
import json
import subprocess
import sys
import time
from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import pytest

pytest.importorskip("flint")

from hypothesis import given, settings
from hypothesis import strategies as st

from freefim.cli import main
from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.laws.given import Atomic
from freefim.free.laws.named import Semicircle
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.proofs.certificate import certificate, points_of_bands

CHECKER = Path(__file__).parents[2] / "validation" / "check_certificate.py"
NETWORK = '[network]\ndepth = 5\nactivation = "hard_tanh"\nweights = "orthogonal"\n'


def gate(complement, high=1.0):
    return Product(TwoPoint(0.0, high, 1 - complement, complement))


def comb(depth, complement):
    moves = (gate(complement), Affine(1.0 / (1.0 - complement), 1.0))
    return ChainLaw(Chain(1.0, moves * (depth - 1)))


@pytest.fixture(scope="module")
def checker():
    spec = spec_from_file_location("check_certificate", CHECKER)
    module = module_from_spec(spec)
    spec.loader.exec_module(module)
    return lambda data: module.Checker(copy.deepcopy(data)).check()


@pytest.fixture(scope="module")
def proved():
    """A comb with empty cells; points in bands, gaps and beyond."""
    law = comb(6, 0.1)
    data = certificate(law, [*points_of_bands(law, 6), -1, 1, 100])
    return json.loads(json.dumps(data))


def test_the_checker_is_short_and_alone():
    text = CHECKER.read_text(encoding="utf-8")
    assert len(text.splitlines()) <= 150
    modules = set()
    for node in ast.walk(ast.parse(text)):
        if isinstance(node, ast.Import):
            modules |= {alias.name for alias in node.names}
        elif isinstance(node, ast.ImportFrom):
            modules.add(node.module)
    assert modules <= set(sys.stdlib_module_names) | {"flint"}


def test_what_is_proved_passes(checker, proved):
    assert any("none" in cell for cell in proved["cells"])
    assert {point["pdf"] == ["0", "0"] for point in proved["points"]} == {False, True}
    checker(proved)


@pytest.mark.slow
def test_all_58_bands_of_the_deep_comb_pass(checker):
    law = comb(60, 0.1 / 59)
    data = certificate(law, points_of_bands(law, 58))
    assert len(data["bands"]) == 58
    checker(data)


def leaves(node, path=()):
    """Paths of all numbers in a certificate."""
    if isinstance(node, dict | list):
        items = node.items() if isinstance(node, dict) else enumerate(node)
        for key, value in items:
            yield from leaves(value, (*path, key))
    elif node is not None:
        yield path


def at(data, path):
    for key in path:
        data = data[key]
    return data


def changed(data, path, value):
    data = copy.deepcopy(data)
    at(data, path[:-1])[path[-1]] = value
    return data


def lie(data, path):
    """A number in the place of one of a certificate that makes what it says false."""
    value, within, last = at(data, path), path[-2], path[-1]
    if last == "depth":
        return value + 1
    if last == "radius":
        return "0"
    number = Fraction(value)
    step = abs(number) / 3 + Fraction(1, 7)
    if last == 1 and within in ("left", "right", "pdf", "cdf", "between"):
        return str(number - step)  # the upper of two ends
    if within == "none":
        return str(number - 1000)
    if "gap" in path:  # a point of the gap for one beyond its end, and the other way round
        return str(2 * Fraction(at(data, path[:-1])[1 - last]) - number)
    if last == "x" and "t" not in at(data, path[:-1]):
        left, right = data["bands"][0]["left"], data["bands"][0]["right"]
        return str((Fraction(left[1]) + Fraction(right[0])) / 2)
    return str(number + step)


REJECTED = (ValueError, ZeroDivisionError, TypeError, IndexError)


def test_no_number_can_be_changed_into_a_lie(checker, proved):
    kinds = set()
    for path in leaves(proved):
        if path == ("bits",) or (path[0] == "steps" and path[2] == 0):
            continue
        kinds.add([key for key in path if isinstance(key, str)][-1])
        with pytest.raises(REJECTED):
            checker(changed(proved, path, lie(proved, path) if path != ("start",) else "2"))
    assert kinds == {
        "start", "steps", "atoms", "depth", "between", "gap", "none", "left", "right", "mass", "x",
        "t", "radius", "pdf", "cdf",
    }  # fmt: skip


@pytest.mark.parametrize("part", ["atoms", "cuts", "cells", "bands", "steps"])
def test_nothing_can_be_left_out(checker, proved, part):
    for place in range(len(proved[part])):
        data = copy.deepcopy(proved)
        del data[part][place]
        with pytest.raises(REJECTED):
            checker(data)


def test_two_bands_cannot_be_merged_nor_a_gap_denied(checker, proved):
    data = copy.deepcopy(proved)
    first, second, *rest = data["bands"]
    mass = Fraction(first["mass"]) + Fraction(second["mass"])
    data["bands"] = [{"left": first["left"], "right": second["right"], "mass": str(mass)}, *rest]
    with pytest.raises(ValueError, match="edge"):
        checker(data)
    data = copy.deepcopy(proved)
    place = next(
        k for k, cell in enumerate(data["cells"]) if "gap" in cell and None not in cell["gap"]
    )
    (low, _), (high, _) = data["cells"][place]["gap"]
    data["cells"][place] = {"none": [low, high]}
    with pytest.raises(REJECTED):
        checker(data)


def test_the_conjugate_root_does_not_pass(checker, proved):
    place = next(k for k, point in enumerate(proved["points"]) if "t" in point)
    path = ("points", place, "t", 1)
    data = changed(proved, path, str(-Fraction(at(proved, path))))
    with pytest.raises(ValueError, match="no root"):
        checker(data)


@st.composite
def chains(draw):
    share = st.integers(2, 30).map(lambda n: n / 32)  # sums are exact in floats
    moves = []
    for _ in range(draw(st.integers(1, 5))):
        moves.append(gate(draw(share), draw(st.sampled_from([0.5, 1.0, 2.0]))))
        kind = draw(st.sampled_from(["none", "gaussian", "corner"]))
        if kind == "gaussian":
            moves.append(Gaussian(draw(st.sampled_from([0.25, 0.5, 1.0, 2.0, 3.0])), 1.5))
        elif kind == "corner":
            moves.append(Corner(draw(share)))
        moves.append(Affine(draw(st.sampled_from([0.7, 1.3])), draw(st.sampled_from([0, 0.5, 1]))))
    return ChainLaw(Chain(1.0, tuple(moves)))


@settings(max_examples=60)
@given(chains())
def test_certificates_of_any_chains_pass(checker, law):
    try:
        data = certificate(law, [*points_of_bands(law, 3), -1, 0.25, 100])
    except ConvergenceError:
        return
    checker(data)


# The shell


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("net.toml").write_text(NETWORK)
    Path("smooth.toml").write_text(NETWORK.replace("hard_tanh", "tanh"))
    return tmp_path


def test_a_certificate_of_depth_five_is_written_in_seconds_and_checked(folder, capsys):
    started = time.perf_counter()
    assert main(["certify", "net.toml", "--points", "200", "-o", "c.json"]) == 0
    assert time.perf_counter() - started < 10
    assert "proved: " in capsys.readouterr().out
    data = json.loads(Path("c.json").read_text())
    assert len(data["points"]) >= 190
    done = subprocess.run(
        [sys.executable, CHECKER, "c.json"], capture_output=True, text=True, check=True
    )
    assert done.stdout == "every statement is proved\n"
    data["points"][0]["x"] = "3/2"
    Path("c.json").write_text(json.dumps(data))
    done = subprocess.run(
        [sys.executable, CHECKER, "c.json"], capture_output=True, text=True, check=False
    )
    assert done.returncode == 1


@pytest.mark.parametrize(
    ("words", "code"),
    [
        (["smooth.toml", "-o", "c.json"], 3),
        (["net.toml", "--points", "0", "-o", "c.json"], 2),
        (["net.toml", "-o", "c.csv"], 2),
        (["absent.toml", "-o", "c.json"], 2),
    ],
)
def test_refusals_write_nothing(folder, capsys, words, code):
    before = sorted(folder.iterdir())
    assert main(["certify", *words]) == code
    assert capsys.readouterr().err.startswith("freefim: error: ")
    assert sorted(folder.iterdir()) == before


def test_other_laws_have_no_certificates():
    with pytest.raises(ConvergenceError, match="certificates are written for chains"):
        certificate(Semicircle(1) + Atomic([0, 1], [0.5, 0.5]), [0.0])
