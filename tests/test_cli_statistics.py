"""The verbs statistics and scan: what the library says, in lines, JSON and tables."""

import json
import math
import os
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest

import freefim.scans.scan as room
from freefim.cli import main
from freefim.cli.arguments import parse
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of
from freefim.scans.scan import scan
from freefim.spectra.jacobian import Jacobian
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm
from freefim.statistics.softmax import SoftmaxFisher
from freefim.tables import Table

RELU = '[network]\ndepth = 3\nactivation = "relu"\nweights = "gaussian"\nweight_std = 1.4\n'
SIZE = ["--width", 100, "--samples", 20, "--outputs", 3]
VARY = ["--vary", "weight_std=1:2:3", "--vary", "depth=2,4"]


@pytest.fixture
def net(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("relu.toml").write_text(RELU)
    return Network.from_toml("relu.toml")


@pytest.fixture
def run(capsys):
    """Run a command; its exit code, its standard output and its standard error."""

    def call(*words):
        code = main([str(word) for word in words])
        return code, *capsys.readouterr()

    return call


@pytest.fixture
def ask(run):
    """Run a command with --json; the object it prints."""

    def call(*words):
        code, out, err = run(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=lambda name: pytest.fail(f"{name} is no strict JSON"))

    return call


# Statistics


@pytest.mark.parametrize(
    ("words", "kind", "options"),
    [
        ([], FisherStatistics, {}),
        (["--input-correlation", 0.3], FisherStatistics, {"input_correlation": 0.3}),
        (["--head", "softmax"], SoftmaxFisher, {}),
        (["--head", "softmax", "--seed", 3], SoftmaxFisher, {"seed": 3}),
        (["--head", "batch-norm"], OutputBatchNorm, {}),
        (["--head", "layer-norm"], OutputLayerNorm, {}),
        (["--matrix", "layer-fisher,layer=2"], LayerFisher, {"layer": 2}),
        (["--matrix", "feature-metric,space=input"], FeatureMetric, {"space": "input"}),
    ],
)
def test_statistics_says_what_the_library_says(net, ask, words, kind, options):
    numbers = ask("statistics", "relu.toml", *SIZE, *words)["statistics"]
    direct = kind(net, 100, 20, 3, **options)
    assert numbers["mean"] == direct.mean
    assert numbers["second_moment"] == direct.second_moment
    if kind is OutputBatchNorm:
        ends = [numbers[f"max_eigenvalue_bounds_{end}"] for end in ("low", "high")]
        assert tuple(ends) == direct.max_eigenvalue_bounds
    else:
        assert numbers["max_eigenvalue"] == direct.max_eigenvalue
        assert numbers["max_learning_rate"] == direct.max_learning_rate()


def test_lines_are_legible(net, run):
    code, out, err = run("statistics", "relu.toml", *SIZE)
    st = FisherStatistics(net, 100, 20, 3)
    assert (code, err) == (0, "")
    lines = dict(line.split(maxsplit=1) for line in out.splitlines()[1:] if " " in line.strip())
    assert lines["samples"] == "20"
    assert lines["weight_std"] == "1.4"
    assert float(lines["max_eigenvalue"]) == pytest.approx(st.max_eigenvalue, rel=1e-9)
    assert float(lines["kappa2"]) == pytest.approx(st.kappa2, rel=1e-9)


def test_a_number_that_is_not_known_is_said_to_be_unknown(net, run, ask):
    Path("tanh.toml").write_text(RELU.replace("relu", "tanh").replace("gaussian", "orthogonal"))
    words = ["statistics", "tanh.toml", "--width", 100, "--samples", 100, "--outputs", 3]
    code, out, _ = run(*words)
    assert code == 0
    assert "max_eigenvalue                 unknown" in out
    assert "  unknown: the inner product of gradients of two samples" in out
    numbers = ask(*words)
    assert numbers["statistics"]["max_eigenvalue"] == "NaN"
    assert "inner product" in numbers["problem"]


@pytest.mark.parametrize(
    ("words", "names"),
    [
        ((), {"kappa2", "fisher_rao_norm", "top_overlap", "bulk_eigenvalue", "diagonal"}),
        (("--matrix", "tangent-kernel"), {"kappa1", "bulk_eigenvalue"}),
        (("--matrix", "layer-fisher,layer=2"), {"diagonal", "bulk_eigenvalue"}),
        (("--matrix", "feature-metric"), {"diagonal", "bulk_eigenvalue"}),
    ],
)
def test_the_witness_stands_beside_the_predictions(net, ask, run, words, names):
    command = ("statistics", "relu.toml", "--width", 400, "--samples", 20, "--outputs", 4, *words)
    out = ask(*command, "--replicas", 8, "--seed", 3)
    assert names | {"mean", "second_moment", "max_eigenvalue", "trace"} <= set(out["measured"])
    assert set(out["measured"]) <= set(out["statistics"])
    for name, found in out["measured"].items():
        # three errors of eight networks, and the next order in 1/M
        room = 4 * found["standard_error"] + 20 / 400 * abs(out["statistics"][name])
        assert abs(found["mean"] - out["statistics"][name]) < room, name
    code, text, _ = run(*command, "--replicas", 8, "--seed", 3, "-o", "t.csv")
    assert code == 0 and "predicted        measured" in text
    row = Table.read("t.csv")
    assert row["mean_measured"][0] == out["measured"]["mean"]["mean"]
    assert row["mean_standard_error"][0] == out["measured"]["mean"]["standard_error"]


def test_the_witness_is_that_of_the_library_and_of_its_seed(net, ask):
    words = ("statistics", "relu.toml", *SIZE, "--head", "batch-norm", "--replicas", 2)
    values = [ask(*words, "--seed", seed, "--workers", 1)["measured"] for seed in (5, 5, 6)]
    assert values[0] == values[1] != values[2]
    sample = OutputBatchNorm(net, 100, 20, 3).sample(2, seed=5)
    assert values[0]["max_eigenvalue"]["mean"] == float(sample.estimate("max_eigenvalue")[0])


def test_sampled_networks_see_the_data(net, ask):
    rng = np.random.default_rng(1)
    np.save("x.npy", data := rng.standard_normal((20, 50)) + 1.0)
    words = ("statistics", "relu.toml", "--width", 50, "--outputs", 3, "--data", "x.npy")
    out = ask(*words, "--normalize", "rms", "--replicas", 2)
    problem = FisherStatistics(net, 50, 20, 3, input_correlation=data)
    expected = float(problem.sample(2).estimate("mean")[0])
    assert out["measured"]["mean"]["mean"] == pytest.approx(expected, rel=1e-12)


def test_one_network_has_no_standard_error(net, run, ask):
    words = ("statistics", "relu.toml", *SIZE, "--replicas", 1)
    assert "±" not in run(*words)[1]
    assert ask(*words)["measured"]["mean"]["standard_error"] == "Infinity"


@pytest.mark.extra("parquet")
def test_the_table_of_statistics_holds_what_is_printed(net, ask):
    names = [f"t.{suffix}" for suffix in ("csv", "json", "npz", "parquet")]
    words = [word for name in names for word in ("-o", name)]
    numbers = ask("statistics", "relu.toml", *SIZE, *words)
    first, *others = map(Table.read, names)
    assert all(table == first for table in others)
    assert {name: first[name][0] for name in numbers["statistics"]} == numbers["statistics"]
    assert (first["width"][0], first["samples"][0], first["outputs"][0]) == (100, 20, 3)
    assert first.metadata["network_file"] == "relu.toml"


@pytest.mark.parametrize("normalize", ["none", "rms"])
@pytest.mark.parametrize("name", ["X.npy", "X.csv"])
def test_data_stand_for_the_inputs(net, ask, name, normalize):
    data = 0.5 + np.random.default_rng(0).standard_normal((20, 50))
    np.save("X.npy", data)
    np.savetxt("X.csv", data, delimiter=",", fmt="%.17g")
    words = ["--data", name, "--normalize", normalize, "--width", 100, "--outputs", 3]
    numbers = ask("statistics", "relu.toml", *words)
    moment = 1.0 if normalize == "rms" else float(np.mean(data**2))
    wide = net.replace(width_ratios=(0.5, 1, 1), input_second_moment=moment)
    direct = FisherStatistics(wide, 100, 20, 3, correlation_of(data))
    assert numbers["samples"] == 20
    assert numbers["input_correlation"] == direct.input_correlation
    assert numbers["statistics"]["max_eigenvalue"] == direct.max_eigenvalue


def test_without_a_width_the_data_fix_it(net, ask):
    np.save("X.npy", np.random.default_rng(0).standard_normal((5, 30)))
    numbers = ask("statistics", "relu.toml", "--data", "X.npy", "--outputs", 1, "--samples", 9)
    assert (numbers["width"], numbers["samples"]) == (30, 9)


# Scans


def test_a_scan_is_the_table_of_the_library(net, run):
    words = ["--spectrum", "jacobian", "-o", "t.csv", "-o", "t.npz"]
    code, out, err = run("scan", "relu.toml", *VARY, *words)
    assert (code, err) == (0, "")
    assert out.endswith("written: t.csv\nwritten: t.npz\n")
    table = scan(Jacobian(net), weight_std=[1.0, 1.5, 2.0], depth=[2, 4])
    for name in ("t.csv", "t.npz"):
        read = Table.read(name)
        assert Table(read.columns, table.metadata) == table
        assert read.metadata["spectrum"] == "jacobian"


def test_a_scan_of_statistics_takes_their_options(net, ask):
    words = ["--statistics", "--samples", 20, "--outputs", 3, "--head", "softmax"]
    numbers = ask("scan", "relu.toml", "--vary", "width=50,100", *words)
    assert numbers["columns"]["width"] == [50, 100]
    direct = [SoftmaxFisher(net, width, 20, 3).max_eigenvalue for width in (50, 100)]
    assert numbers["columns"]["max_eigenvalue"] == direct
    assert "width" not in numbers
    blocks = ["--statistics", *SIZE, "--matrix", "layer-fisher", "--vary", "layer=1,2,3"]
    means = ask("scan", "relu.toml", *blocks)["columns"]["trace"]
    assert math.fsum(means) == pytest.approx(FisherStatistics(net, 100, 20, 3).trace, rel=1e-12)


def test_a_scan_of_a_spectrum_that_has_no_network(net, ask):
    words = ["--spectrum", "hessian-model,energy=0.1", "--vary", "ratio=1/4,1/2"]
    columns = ask("scan", *words)["columns"]
    assert columns["ratio"] == [0.25, 0.5]
    assert columns["variance"] == pytest.approx([0.25 + 0.2, 0.5 + 0.2], rel=1e-12)


def test_a_scan_is_told_in_lines(net, run):
    words = ["scan", "relu.toml", "--vary", "weight_std=1,-1,2", "--statistics", *SIZE]
    code, out, _ = run(*words)
    assert code == 0
    top = FisherStatistics(net.replace(weight_std=2.0), 100, 20, 3).max_eigenvalue
    assert "3 rows\n" in out
    assert f"{top:.10g}" in out
    assert "1 of them with problems, the first:\n    weight_std must be > 0, got -1\n" in out


def test_a_scan_without_any_row_is_not_done(net, run):
    code, out, err = run("scan", "relu.toml", "--vary", "weight_std=-1,-2", "-o", "t.csv")
    assert (code, err) == (3, "")
    assert "2 of them with problems" in out
    assert all(Table.read("t.csv")["problem"])


@pytest.mark.parametrize(
    ("text", "values"),
    [
        ("depth=2,4,8", [2, 4, 8]),
        ("depth=2:8:4", [2, 4, 6, 8]),
        ("weight-std=1:2:11", [1.0, 1.1, 1.2, 1.3, 1.4, 1.5, 1.6, 1.7, 1.8, 1.9, 2.0]),
        ("weight_std=2:1:3", [2.0, 1.5, 1.0]),
        ("bias_std=1e-3, 0.5,1/3", [1e-3, 0.5, Fraction(1, 3)]),
        ("activation=relu,tanh", ["relu", "tanh"]),
    ],
)
def test_values_are_read_as_they_are_written(text, values):
    ((name, read),) = parse(["scan", "relu.toml", "--vary", text]).vary
    assert name == text.partition("=")[0].replace("-", "_")
    assert read == values
    assert list(map(type, read)) == list(map(type, values))


def test_a_stopped_scan_goes_on_where_it_was(net, run, monkeypatch):
    words = ["scan", "relu.toml", *VARY, "--statistics", *SIZE]
    assert run(*words, "-o", "whole.npz")[0] == 0
    truth, computed = room.numbers, []

    def stopping(thing):
        if len(computed) == 4:
            computed.append(None)
            raise KeyboardInterrupt
        computed.append(thing)
        return truth(thing)

    monkeypatch.setattr(room, "numbers", stopping)
    code, out, _ = run(*words, "--resume", "rows", "-o", "t.npz")
    assert (code, out) == (130, "")
    assert not os.path.exists("t.npz")
    assert run(*words, "--resume", "rows", "-o", "t.npz")[0] == 0
    assert len(computed) == 4 + 1 + 2
    assert Table.read("t.npz") == Table.read("whole.npz")
    code, _, err = run(*words[:-2], "--outputs", 4, "--resume", "rows")
    assert code == 2
    assert "'rows': its subject is another one" in err


# Refusals


def refused(result, *fragments, code=2):
    got, out, err = result
    assert (got, out) == (code, "")
    assert err.startswith("freefim: error: ")
    assert err.count("\n") == 1
    assert [part for part in fragments if part not in err] == []


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ([], ("number of width", "--width")),
        (["--width", 9, "--samples", 9], ("number of outputs", "--outputs")),
        (["--width", 0], ("--width", ">= 1", "'0'")),
        (["--samples", "x"], ("--samples", ">= 1", "'x'")),
        ([*SIZE, "--input-correlation", 1.5], ("--input-correlation", "[-1, 1]", "'1.5'")),
        ([*SIZE, "--input-correlation", -0.5], ("input_correlation", "-1/(samples - 1)")),
        ([*SIZE, "--head", "relu"], ("--head", "'relu'", "softmax")),
        ([*SIZE, "--matrix", "hessian"], ("--matrix", "'hessian'", "layer-fisher")),
        ([*SIZE, "--matrix", "layer-fisher,layer=9"], ("layer", "depth=3", "9")),
        ([*SIZE, "--matrix", "layer-fisher,lair=1"], ("layer=…", "'lair=1'")),
        ([*SIZE, "--matrix", "fisher,layer=1"], ("no options", "'layer=1'")),
        ([*SIZE, "--matrix", "feature-metric,space=9"], ("space", "'input'", "9")),
        ([*SIZE, "--matrix", "tangent-kernel", "--head", "softmax"], ("--head", "fisher")),
        ([*SIZE, "--seed", 1], ("--seed", "softmax")),
        ([*SIZE, "--normalize", "rms"], ("--normalize", "--data")),
        ([*SIZE, "--data", "none.npy"], ("none.npy", "No such file")),
        ([*SIZE, "--data", "x.npy"], ("x.npy", "matrix", "(3,)")),
        ([*SIZE, "--data", "one.npy"], ("one.npy", "two rows")),
        ([*SIZE, "--data", "zero.npy"], ("zero.npy", "row 1 zero")),
        ([*SIZE, "--data", "nan.npy"], ("nan.npy", "finite", "nan")),
        ([*SIZE, "--data", "zero.npy", "--input-correlation", 0], ("--input-correlation",)),
        ([*SIZE, "-o", "t.png"], (".parquet", "'t.png'")),
        ([*SIZE, "-o", "relu.toml"], ("'relu.toml'",)),
    ],
)
def test_statistics_that_mean_nothing_are_refused(net, run, words, fragments):
    np.save("x.npy", np.ones(3))
    np.save("one.npy", np.ones((1, 3)))
    np.save("zero.npy", np.array([[1.0, 2.0], [0.0, 0.0]]))
    np.save("nan.npy", np.array([[1.0, 2.0], [0.0, np.nan]]))
    refused(run("statistics", "relu.toml", *words), *fragments)


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ([], ("--vary",)),
        (["--vary", "depth"], ("--vary", "FIELD=VALUE", "'depth'")),
        (["--vary", "depth=1:2"], ("--vary", "START:STOP:COUNT", "'depth=1:2'")),
        (["--vary", "depth=1:2:1"], ("--vary", "COUNT >= 2")),
        (["--vary", "depth=1:x:3"], ("--vary", "two numbers")),
        (["--vary", "dept=2,3"], ("'dept'", "did you mean 'depth'")),
        (["--vary", "path=2,3"], ("'path'",)),
        (["--vary", "depth=2", "--vary", "depth=3"], ("--vary depth", "once")),
        (["--vary", "layer=2"], ("'layer'",)),
        (["--vary", "depth=2", "--samples", 9], ("--samples", "--statistics")),
        (["--vary", "depth=2", "--statistics"], ("--width",)),
        (["--vary", "depth=2", "--spectrum", "fisher"], ("spectrum", "'fisher'")),
        (["--vary", "depth=2", "--spectrum", "layer-block"], ("needs layer",)),
        (["--vary", "depth=2", "--spectrum", "jacobian", "--statistics"], ("exclude",)),
        (["--vary", "depth=2", "--resume", "relu.toml"], ("'relu.toml'", "no file of a scan")),
        (["--vary", "depth=2", "--resume", "none/rows"], ("none/rows", "writable")),
        (["--vary", "depth=2", "--resume", "t.csv", "-o", "t.csv"], ("named twice",)),
        (["--vary", "depth=2", "-o", "t.png"], (".parquet", "'t.png'")),
        (["--vary", "width=5,9", "--statistics", "--data", "X.npy", "--outputs", 1], ("--data",)),
    ],
)
def test_scans_that_mean_nothing_are_refused(net, run, words, fragments):
    refused(run("scan", "relu.toml", *words), *fragments)
    assert Path("relu.toml").read_text() == RELU


def test_statistics_need_a_network(net, run):
    refused(run("statistics", *SIZE), "NETWORK.toml")
    refused(run("scan", "--vary", "depth=2", "--statistics", *SIZE), "NETWORK.toml")


def test_an_exploding_network_is_told_apart_from_bad_input(net, run):
    Path("net.toml").write_text(RELU.replace("1.4", "1e100"))
    for words in ([], ["--head", "softmax"], ["--matrix", "feature-metric"]):
        refused(run("statistics", "net.toml", *SIZE, *words), "explodes", code=3)


@pytest.mark.parametrize("verb", ["statistics", "scan"])
def test_every_verb_helps(run, capsys, verb):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "NETWORK.toml" in capsys.readouterr().out
