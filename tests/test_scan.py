"""Scans: rows are what the library says, nothing stops them, nothing is lost or done twice."""

import contextlib
import json
import math
import os
import signal
import subprocess
import sys
from concurrent.futures import Executor, Future, ProcessPoolExecutor, ThreadPoolExecutor
from itertools import product

import numpy as np
import pytest

import freefim.scans.scan as room
from freefim.errors import SpecError
from freefim.networks.activations import CustomActivation, HardTanh
from freefim.networks.network import Network
from freefim.scans.numbers import number_names, numbers
from freefim.scans.scan import scan
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.spectra.hessian_model import HessianModel
from freefim.spectra.jacobian import Jacobian
from freefim.spectra.layer_block import LayerBlock
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.softmax import SoftmaxFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics
from freefim.tables import Table

RELU = Network(3, "relu", weights="gaussian", weight_std=1.4)
SIZE = {"width": 100, "samples": 20, "outputs": 3}
FISHER = FisherStatistics(RELU, **SIZE)
LISTS = {"weight_std": [1.0, 1.5], "depth": [2, 3, 4], "width": [50, 100]}


@pytest.fixture
def evaluations(monkeypatch):
    """The things whose numbers have been computed, in order."""
    seen = []

    def counting(thing):
        seen.append(thing)
        return numbers(thing)

    monkeypatch.setattr(room, "numbers", counting)
    return seen


class Killed(BaseException):
    """What a killed process does not catch."""


def killed_after(rows):
    def progress(done, total):
        if done >= rows:
            raise Killed

    return progress


# Rows


def test_every_combination_has_its_row_the_last_field_varying_fastest():
    table = scan(FISHER, **LISTS)
    rows = zip(*(table[name].tolist() for name in LISTS), strict=True)
    assert list(rows) == list(product(*LISTS.values()))


@pytest.mark.parametrize(
    "kind", [FisherStatistics, NeuralTangentKernelStatistics, FeatureMetric, SoftmaxFisher]
)
def test_the_numbers_of_a_statistic_are_its_properties(kind):
    table = scan(kind(RELU, **SIZE), weight_std=[1.0, 1.3], samples=[10, 20])
    assert not any(table["problem"])
    for row, (std, samples) in enumerate(product([1.0, 1.3], [10, 20])):
        direct = kind(RELU.replace(weight_std=std), **SIZE | {"samples": samples})
        for name in ("mean", "second_moment", "max_eigenvalue", "dimension"):
            assert table[name][row] == getattr(direct, name)
        assert table["max_learning_rate"][row] == direct.max_learning_rate()


def test_the_numbers_of_a_spectrum_are_those_of_its_law():
    network = Network(3, HardTanh(cutoff=2.0))
    table = scan(ConditionalFIM(network), weight_std=[1.0, 1.1], depth=[2, 5])
    for row, (std, depth) in enumerate(product([1.0, 1.1], [2, 5])):
        law = ConditionalFIM(network.replace(weight_std=std, depth=depth)).law()
        assert (table["support_min"][row], table["support_max"][row]) == law.support
        assert table["mean"][row] == float(law.mean())
        assert table["bands"][row] == len(law.bands)
        assert table["atom_at_top"][row] == dict(law.atoms)[law.support[1]]


def test_numbers_are_bounds_where_a_statistic_has_bounds():
    found, problem = numbers(SoftmaxFisher(RELU, **SIZE))
    low, high = (found[f"max_eigenvalue_bounds_{end}"] for end in ("low", "high"))
    assert problem == ""
    assert low <= found["max_eigenvalue"] <= high


def test_fields_of_the_spectrum_itself_vary():
    blocks = scan(LayerBlock(RELU, 1), layer=[1, 2, 3])
    blocks = scan(LayerBlock(RELU, 1), layer=[1, 2, 3])
    total = ConditionalFIM(RELU).law().mean()
    assert blocks["mean"].sum() == pytest.approx(float(total), rel=1e-12)
    table = scan(HessianModel(0.5, 0.1), ratio=[0.25, 0.5], energy=[0.0, 0.3])
    assert table["variance"] == pytest.approx(table["ratio"] + 2 * table["energy"], rel=1e-12)


def test_what_was_sampled_is_sampled_anew_in_every_row():
    """Kept probabilities of the first network would be wrong for all the others."""
    table = scan(SoftmaxFisher(RELU, **SIZE, seed=4), seed=[4, 5], samples=[10, 20])
    for row, (seed, samples) in enumerate(product([4, 5], [10, 20])):
        direct = SoftmaxFisher(RELU, 100, samples, 3, seed=seed)
        assert table["beta1"][row] == direct.beta1


def test_what_was_given_is_kept_in_every_row():
    given = np.full((20, 3), 1 / 3)
    table = scan(SoftmaxFisher(RELU, **SIZE, probabilities=given), weight_std=[1.0, 2.0])
    assert table["beta1"] == pytest.approx([2 / 3, 2 / 3], rel=1e-15)
    mismatch = scan(SoftmaxFisher(RELU, **SIZE, probabilities=given), samples=[20, 30])
    assert [("shape" in problem) for problem in mismatch["problem"]] == [False, True]


def test_values_of_every_kind_make_columns():
    lists = {
        "activation": ["relu", HardTanh(cutoff=3.0)],
        "bias_std": (x for x in (0, 0.5)),
        "width_ratios": [None, (1, 1, 2)],
    }
    table = scan(FISHER, **lists)
    assert set(table["activation"]) == {"relu", "HardTanh(cutoff=3.0, slope=1.0)"}
    assert set(table["bias_std"]) == {0.0, 0.5}
    assert set(table["width_ratios"]) == {"None", "(1, 1, 2)"}
    assert len(table) == 8
    array = scan(FISHER, weight_std=np.array([1.0, 1.5]), depth=np.arange(2, 5), width=[50, 100])
    assert array == scan(FISHER, **LISTS)


@pytest.mark.parametrize(
    "suffix",
    ["csv", "json", "npz", pytest.param("parquet", marks=pytest.mark.extra("parquet"))],
)
def test_tables_come_back_from_every_format(tmp_path, suffix):
    table = scan(FISHER, activation=["relu", "no such"], depth=[1, 3])
    table.write(tmp_path / f"t.{suffix}")
    assert Table.read(tmp_path / f"t.{suffix}") == table


# Problems


def test_a_row_that_cannot_be_computed_says_why_and_stops_nothing():
    table = scan(FISHER, weight_std=[1.0, -1.0, 1e200, 1.2])
    assert [bool(problem) for problem in table["problem"]] == [False, True, True, False]
    assert "weight_std" in table["problem"][1]
    assert "-1.0" in table["problem"][1]
    for name in number_names(FisherStatistics):
        lost = np.isnan(table[name]).tolist()
        # the exploding network still has its parameters to be counted
        assert lost == [False, True, name not in ("dimension", "rank", "bulk_multiplicity"), False]


def test_a_number_that_is_not_there_leaves_the_others():
    """Depth 1 has no kappa, its parameters outside the last layer being none."""
    table = scan(FISHER, depth=[1, 2])
    assert np.isnan(table["kappa1"]).tolist() == [True, False]
    assert np.isfinite(table["max_eigenvalue"]).all()
    assert "depth" in table["problem"][0]


def test_the_edge_that_is_not_known_is_a_problem_of_its_row():
    table = scan(FISHER, activation=["relu", "tanh"], weights=["gaussian", "orthogonal"])
    hidden = np.isnan(table["max_eigenvalue"])
    assert hidden.tolist() == np.isnan(table["max_learning_rate"]).tolist()
    assert [bool(problem) for problem in table["problem"]] == hidden.tolist()
    assert hidden.any() and not hidden.all()


# Files


def test_a_killed_scan_goes_on_and_repeats_nothing(tmp_path, evaluations):
    path, whole = tmp_path / "rows", scan(FISHER, **LISTS)
    evaluations.clear()
    for rows in (3, 4, 10):
        with pytest.raises(Killed):
            scan(FISHER, path=path, progress=killed_after(rows), **LISTS)
        assert len(evaluations) == rows
    assert scan(FISHER, path=path, **LISTS) == whole
    assert len(evaluations) == len(whole) == len(set(evaluations))
    assert scan(FISHER, path=path, **LISTS) == whole
    assert len(evaluations) == len(whole)


def test_a_file_cut_anywhere_loses_at_most_the_torn_row(tmp_path, evaluations):
    path = tmp_path / "rows"
    st = FeatureMetric(Network(2, "linear", weights="gaussian"), **SIZE)
    lists = {"weight_std": [0.5, 1.0, math.nan], "width": [10, 20]}
    whole = scan(st, path=path, **lists)
    content = path.read_bytes()
    ends = [place + 1 for place, byte in enumerate(content) if byte == ord("\n")]
    near = {end + shift for end in ends for shift in (-1, 0, 1)}
    for cut in sorted(near | set(range(ends[0], len(content), 29))):
        if not ends[0] <= cut <= len(content):
            continue
        path.write_bytes(content[:cut])
        evaluations.clear()
        assert scan(st, path=path, **lists) == whole
        kept = content[:cut].count(b"\n") - 1
        computed = sum("nan" not in repr(thing) for thing in evaluations)
        assert computed == max(4 - kept, 0)
        assert path.read_bytes() == content


KILLED = """
import os, signal, sys
from freefim.networks.network import Network
from freefim.scans.scan import scan
from freefim.statistics.fisher import FisherStatistics
def progress(done, total):
    if done == 5:
        os.kill(os.getpid(), signal.SIGKILL)
net = Network(3, "relu", weights="gaussian", weight_std=1.4)
st = FisherStatistics(net, width=100, samples=20, outputs=3)
scan(st, path=sys.argv[1], progress=progress, weight_std=[1.0, 1.5], depth=[2, 3, 4],
     width=[50, 100])
"""


def test_a_process_that_is_shot_leaves_its_rows_to_the_next(tmp_path, evaluations):
    path = tmp_path / "rows"
    done = subprocess.run([sys.executable, "-c", KILLED, str(path)], check=False, timeout=120)
    assert done.returncode == -9
    table = scan(FISHER, path=path, **LISTS)
    assert len(evaluations) == len(table) - 5
    assert table == scan(FISHER, **LISTS)


SLOW = """
import sys, time
from concurrent.futures import ProcessPoolExecutor, ThreadPoolExecutor
from freefim.networks.network import Network
from freefim.scans.scan import scan
from freefim.statistics.fisher import FisherStatistics
def progress(done, total):
    time.sleep(0.2)
    print(done, flush=True)
if __name__ == "__main__":
    pools = {"none": lambda: None, "threads": lambda: ThreadPoolExecutor(2),
             "processes": lambda: ProcessPoolExecutor(2)}
    net = Network(3, "relu", weights="gaussian", weight_std=1.4)
    st = FisherStatistics(net, width=100, samples=20, outputs=3)
    scan(st, path=sys.argv[1], executor=pools[sys.argv[2]](), progress=progress,
         weight_std=[1.0, 1.5], depth=[2, 3, 4], width=[50, 100])
"""


def children_of(pid):
    listed = subprocess.run(
        ["ps", "-o", "pid=", "--ppid", str(pid)], capture_output=True, text=True, check=False
    )
    return [int(word) for word in listed.stdout.split()]


@pytest.mark.parametrize("pool", ["none", "threads", "processes"])
def test_a_scan_shot_from_outside_is_locked_before_and_free_after(tmp_path, evaluations, pool):
    path, script = tmp_path / "rows", tmp_path / "slow.py"
    script.write_text(SLOW, encoding="utf-8")
    command = [sys.executable, str(script), str(path), pool]
    with subprocess.Popen(command, stdout=subprocess.PIPE) as process:
        try:
            for _ in range(3):
                process.stdout.readline()
            with pytest.raises(SpecError, match="another scan is writing it"):
                scan(FISHER, path=path, **LISTS)
            orphans = children_of(process.pid)
        finally:
            process.kill()
        # workers that outlive their scan keep nothing
        process.stdout.close()
    rows = path.read_bytes().count(b"\n") - 1
    assert process.returncode == -9 and 3 <= rows < 12
    try:
        table = scan(FISHER, path=path, **LISTS)
    finally:
        for orphan in orphans:
            with contextlib.suppress(ProcessLookupError):
                os.kill(orphan, signal.SIGKILL)
    assert len(evaluations) == len(table) - rows
    assert table == scan(FISHER, **LISTS)


def test_two_scans_of_one_process_cannot_write_one_file(tmp_path):
    path = tmp_path / "rows"

    def again(done, total):
        with pytest.raises(SpecError, match="another scan is writing it"):
            scan(FISHER, path=path, **LISTS)

    first = scan(FISHER, path=path, progress=again, **LISTS)
    assert scan(FISHER, path=path, **LISTS) == first


def test_progress_counts_the_rows_of_the_file_too(tmp_path):
    path, calls = tmp_path / "rows", []
    with pytest.raises(Killed):
        scan(FISHER, path=path, progress=killed_after(7), **LISTS)
    scan(FISHER, path=path, progress=lambda *call: calls.append(call), **LISTS)
    assert calls == [(done, 12) for done in range(8, 13)]


def test_infinite_numbers_and_problems_survive_the_file(tmp_path, evaluations):
    sure = np.eye(3)[np.arange(20) % 3]
    st = SoftmaxFisher(RELU, **SIZE, probabilities=sure)
    first = scan(st, path=tmp_path / "rows", weight_std=[1.0, -1.0])
    count = len(evaluations)
    assert first["max_learning_rate"][0] == math.inf
    assert scan(st, path=tmp_path / "rows", weight_std=[1.0, -1.0]) == first
    assert len(evaluations) == count


def text(entry):
    return json.dumps(entry).encode() + b"\n"


@pytest.mark.parametrize(
    ("other", "lists", "word"),
    [
        (FisherStatistics(RELU, 100, 21, 3), LISTS, "subject"),
        (LayerFisher(RELU, **SIZE), LISTS, "subject"),
        (FISHER, LISTS | {"depth": [2, 3]}, "fields"),
        (FISHER, {"depth": [2, 3, 4], "weight_std": [1.0, 1.5], "width": [50, 100]}, "fields"),
    ],
)
def test_the_file_of_another_scan_is_refused_and_left_alone(tmp_path, other, lists, word):
    path = tmp_path / "rows"
    with pytest.raises(Killed):
        scan(FISHER, path=path, progress=killed_after(2), **LISTS)
    content = path.read_bytes()
    with pytest.raises(SpecError, match=rf"path must be .*rows.*its {word} is another"):
        scan(other, path=path, **lists)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    ("content", "words"),
    [
        (b"a,b\n1,2\n", "no file of a scan"),
        (b"\xff\xfe", "no file of a scan"),
        (b'{"freefim": "sca', "no file of a scan"),
        (b"[1, 2]\n", "no file of a scan"),
    ],
)
def test_a_file_that_is_none_of_a_scan_is_refused_and_left_alone(tmp_path, content, words):
    path = tmp_path / "rows"
    path.write_bytes(content)
    with pytest.raises(SpecError, match=words):
        scan(FISHER, path=path, **LISTS)
    assert path.read_bytes() == content


@pytest.mark.parametrize(
    "line",
    [b"\x00\x00\n", b"{}\n", text([1]), text({"row": 0, "numbers": [1.0], "problem": ""})],
)
def test_a_damaged_line_is_named(tmp_path, line):
    path = tmp_path / "rows"
    scan(FISHER, path=path, **LISTS)
    lines = path.read_bytes().splitlines(keepends=True)
    path.write_bytes(b"".join([*lines[:3], line, *lines[4:]]))
    with pytest.raises(SpecError, match="line 4 is"):
        scan(FISHER, path=path, **LISTS)


@pytest.mark.parametrize("place", ["none/rows", "."])
def test_a_place_that_cannot_be_written_is_refused(tmp_path, evaluations, place):
    with pytest.raises(SpecError, match="path must be"):
        scan(FISHER, path=tmp_path / place, **LISTS)
    assert evaluations == []


def test_callables_have_no_text_to_know_a_scan_by(tmp_path):
    phi = CustomActivation(np.tanh, lambda h: 1 / np.cosh(h) ** 2)
    custom = FisherStatistics(RELU.replace(activation=phi), **SIZE)
    lists = {"width": [50, 100]}
    with pytest.raises(SpecError, match=r"path must be None .* Python callables"):
        scan(custom, path=tmp_path / "rows", **lists)
    with pytest.raises(SpecError, match=r"path must be None .* Python callables"):
        scan(FISHER, path=tmp_path / "rows", activation=["relu", phi])
    assert os.listdir(tmp_path) == []
    assert not any(scan(custom, **lists)["problem"])


# Executors


class Backwards(Executor):
    """Runs what it was given from the last to the first, once somebody asks."""

    def __init__(self):
        self.tasks = []

    def submit(self, function, /, *arguments):
        future = Future()
        self.tasks.append((future, function, arguments))
        if len(self.tasks) == 12:
            for late, task, given in reversed(self.tasks):
                late.set_result(task(*given))
        return future


@pytest.mark.parametrize("make", [Backwards, lambda: ThreadPoolExecutor(3)])
def test_the_table_does_not_depend_on_the_executor(tmp_path, make):
    with make() as executor:
        table = scan(FISHER, executor=executor, path=tmp_path / "rows", **LISTS)
    assert table == scan(FISHER, **LISTS) == scan(FISHER, path=tmp_path / "rows", **LISTS)


@pytest.mark.slow
def test_processes_compute_the_same_table():
    spectrum = Jacobian(Network(3, "hard_tanh"))
    lists = {"weight_std": [1.0, 1.05], "depth": [2, 5]}
    with ProcessPoolExecutor(2) as executor:
        assert scan(spectrum, executor=executor, **lists) == scan(spectrum, **lists)


def test_a_scan_killed_under_an_executor_keeps_what_was_counted(tmp_path):
    path = tmp_path / "rows"
    with ThreadPoolExecutor(2) as executor, pytest.raises(Killed):
        scan(FISHER, executor=executor, path=path, progress=killed_after(4), **LISTS)
    assert path.read_bytes().count(b"\n") == 1 + 4
    assert scan(FISHER, path=path, **LISTS) == scan(FISHER, **LISTS)


# Words that mean nothing


@pytest.mark.parametrize(
    ("thing", "options", "words"),
    [
        (RELU, {"depth": [2]}, "must be a spectrum such as"),
        ("fisher", {"depth": [2]}, "got 'fisher'"),
        (FISHER, {"wieght_std": [1]}, "'wieght_std' .did you mean 'weight_std'"),
        (FISHER, {"layer": [1]}, "varies width, samples.*got 'layer'"),
        (FISHER, {"net": [RELU]}, "got 'net'"),
        (HessianModel(0.5, 0.1), {"depth": [1]}, "varies ratio, energy, got 'depth'"),
        (FISHER, {"depth": 2}, "depth must be a list of values.*got 2"),
        (FISHER, {"activation": "relu"}, "activation must be a list of values.*got 'relu'"),
        (FISHER, {"depth": []}, r"depth must be a list of at least one value, got \[\]"),
        (FISHER, {"depth": [2], "executor": 4}, "executor must be .*got 4"),
    ],
)
def test_bad_words_are_refused_before_anything_is_computed(evaluations, thing, options, words):
    with pytest.raises(SpecError, match=words):
        scan(thing, **options)
    assert evaluations == []
