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

import numpy as np
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
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

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


FALSE = {
    "an atom twice": lambda c: c["atoms"].insert(0, [c["atoms"][0][0], "1"]),
    "a key too many": lambda c: c.update(more=1),
    "a key too few": lambda c: c.pop("points"),
    "a number too many": lambda c: c["steps"][1].append("1"),
    "a band with more": lambda c: c["bands"][0].update(density="1"),
    "a cut with more": lambda c: c["cuts"][0].update(idle=True),
    "a cell with more": lambda c: c["cells"][0].update(more="1"),
    "an edge of three": lambda c: c["bands"][0]["left"].append("100"),
    "a cut of three": lambda c: c["cuts"][0]["between"].append("100"),
    "a point with more": lambda c: c["points"][0].update(mass="1"),
    "a density of three": lambda c: c["points"][0]["pdf"].append("100"),
    "a mass of three": lambda c: c["points"][0]["cdf"].append("100"),
}


@pytest.mark.parametrize("name", FALSE)
def test_nothing_can_be_slipped_in(checker, proved, name):
    data = copy.deepcopy(proved)
    FALSE[name](data)
    with pytest.raises(REJECTED):
        checker(data)


def test_values_in_a_gap_are_two_pairs(checker, proved):
    place = next(k for k, point in enumerate(proved["points"]) if point["pdf"] == ["0", "0"])
    mass = proved["points"][place]["cdf"][0]
    for pdf, cdf in (([], ["0", "0", mass, mass]), (["0", "0", mass], [mass]), (["0"], ["0"])):
        data = copy.deepcopy(proved)
        data["points"][place].update(pdf=pdf, cdf=cdf)
        with pytest.raises(REJECTED):
            checker(data)


@pytest.mark.parametrize("words", [[], ["absent.json"], ["empty.json"], ["list.json"]])
def test_the_checker_refuses_in_one_line(tmp_path, words):
    (tmp_path / "empty.json").write_text("{}")
    (tmp_path / "list.json").write_text("[[1]]")
    done = subprocess.run(
        [sys.executable, CHECKER, *words], capture_output=True, text=True, check=False,
        cwd=tmp_path,
    )  # fmt: skip
    assert (done.returncode, done.stderr, len(done.stdout.splitlines())) == (1, "", 1)
    assert done.stdout.startswith("not proved: ")


DEEP = [
    (30, "hard_tanh", "gaussian", 1),
    (60, "relu", "gaussian", 2**0.5),
    pytest.param(60, "hard_tanh", "gaussian", 1, marks=pytest.mark.slow),
    pytest.param(40, "relu", "orthogonal", 2**0.5, marks=pytest.mark.slow),
    pytest.param(60, "relu", "orthogonal", 2**0.5, marks=pytest.mark.slow),
]


@pytest.mark.parametrize(("depth", "activation", "weights", "weight_std"), DEEP)
def test_deep_networks_have_certificates(checker, depth, activation, weights, weight_std):
    net = Network(depth, activation, weights=weights, weight_std=weight_std)
    law = ConditionalFIM(net).law()
    data = certificate(law, points_of_bands(law, 6))
    assert len(data["points"]) >= 6
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
    except ConvergenceError as refusal:
        # shares that add up to 1 exactly end an atom at an edge: z is singular there
        assert "singular at the edge" in str(refusal) or is_near_a_cusp(law), refusal
        return
    checker(data)


def is_near_a_cusp(law):
    """Whether the floats see edges that nearly meet, or one at a point: what may be refused."""
    ends = np.array([*law.edges, *(place for place, _ in law.atoms)])
    close = np.diff(np.sort(ends)).min(initial=np.inf) < 1e-6 * max(ends)
    return close or any(abs(ends - x).min() < 1e-9 for x in (-1, 0.25, 100))


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
