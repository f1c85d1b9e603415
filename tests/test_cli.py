"""The command line: every verb, every refusal, exit codes, files whole or untouched."""

import dataclasses
import io
import json
import math
import os
import signal
import subprocess
import sys
import time
from itertools import pairwise
from pathlib import Path

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import freefim.cli.progress as progress_room
from freefim.advice import learning_rate
from freefim.cli import main
from freefim.cli.progress import Progress
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.tables import Table

INPUTS = Path(__file__).parents[1] / "validation" / "inputs"
DIGIT_NETWORK = str(INPUTS / "hard_tanh_digit.toml")
PRESET = str(INPUTS / "hard_tanh_preset.toml")
DIGIT = str(INPUTS / "digit.csv")
AT_THE_DIGIT = [DIGIT_NETWORK, "--input", DIGIT, "--normalize", "rms"]

RELU = '[network]\ndepth = 3\nactivation = "relu"\nweights = "gaussian"\nweight_std = 1.4\n'
VERBS = ["density", "sample", "validate", "learning-rate", "plot", "layer-blocks", "show"]


@pytest.fixture
def folder(tmp_path, monkeypatch):
    monkeypatch.chdir(tmp_path)
    Path("relu.toml").write_text(RELU)
    np.save("x.npy", np.arange(1.0, 7.0))
    return tmp_path


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

    def no_constants(name):
        raise AssertionError(f"{name} is no strict JSON")

    def call(*words):
        code, out, err = run(*words, "--json")
        assert (code, err) == (0, "")
        return json.loads(out, parse_constant=no_constants)

    return call


# The shipped network and digit


def ceiling_and_mass(cutoff, slope, depth, first_ratio):
    """Largest possible eigenvalue and the mass there, for hard-tanh after q_1 = 1, sigma_w = 1."""
    top, mass, q = first_ratio, 1.0, 1.0
    for _ in range(depth - 1):
        alpha = math.erf(cutoff / math.sqrt(2 * q))
        bump = cutoff * math.sqrt(2 * q / math.pi) * math.exp(-(cutoff**2) / (2 * q))
        q = slope**2 * (q * alpha - bump + cutoff**2 * (1 - alpha))
        top, mass = q + slope**2 * top, mass - (1 - alpha)
    return top, mass


@pytest.mark.extra("plot", "data")
def test_the_preset_at_the_digit_from_one_command(tmp_path, run):
    csv, png, eigenvalues = (str(tmp_path / name) for name in ("s.csv", "s.png", "e.npz"))
    options = ["--width", 128, "--replicas", 2, "-o", csv, "-o", png, "--eigenvalues", eigenvalues]
    code, out, _ = run("density", *AT_THE_DIGIT, *options)
    assert code == 0
    assert [f"written: {path}" in out for path in (csv, png, eigenvalues)] == [True] * 3

    table = Table.read(csv)
    location, mass = table.metadata["atoms"][-1]
    top, share = ceiling_and_mass(2.82475, 1.0013, 101, 64 / 128)
    assert location == pytest.approx(top, rel=1e-12)
    assert mass == pytest.approx(share, abs=1e-12)
    assert table.metadata["normalize"] == "rms"

    pixels = np.loadtxt(DIGIT, delimiter=",")
    net = Network.from_toml(DIGIT_NETWORK).replace(width_ratios=[0.5] + 101 * [1.0])
    x = pixels / np.sqrt(np.mean(pixels**2))
    sampled = ConditionalFIM(net).sample(128, 2, 0, input=x)
    drawn = Table.read(eigenvalues)["eigenvalue"].reshape(2, 128)
    assert np.array_equal(drawn, sampled.eigenvalues)
    assert Path(png).read_bytes().startswith(b"\x89PNG\r\n\x1a\n")


def test_the_published_preset_has_its_sixteen_bands(ask):
    numbers = ask("density", PRESET)
    assert len(numbers["bands"]) == 16
    assert 1 - numbers["atoms"][-1][1] == pytest.approx(0.2523, abs=5e-5)


def test_both_files_describe_the_published_network_but_for_the_first_matrix():
    digit, preset = Network.from_toml(DIGIT_NETWORK), Network.from_toml(PRESET)
    assert digit.ensembles == ("gaussian",) + 100 * ("orthogonal",)
    assert digit.replace(weights="orthogonal") == preset


def test_the_digit_is_the_first_of_scikit_learn():
    datasets = pytest.importorskip("sklearn.datasets")
    assert np.array_equal(np.loadtxt(DIGIT, delimiter=","), datasets.load_digits().data[0])


# Inputs


def test_an_input_fixes_the_second_moment_and_the_width_of_the_input_layer(folder, ask):
    x = np.load("x.npy")
    given = ask("show", "relu.toml", "--input", "x.npy", "--width", 24)
    assert given["network"]["input_second_moment"] == np.mean(x**2)
    assert given["network"]["width_ratios"] == [0.25, 1.0, 1.0, 1.0]
    scaled = ask("show", "relu.toml", "--input", "x.npy", "--width", 24, "--normalize", "rms")
    assert scaled["network"] == given["network"] | {"input_second_moment": 1.0}


def test_relu_is_homogeneous_in_the_input(folder, ask):
    plain, rms = (
        ask("density", "relu.toml", "--input", "x.npy", "--width", 9, "--normalize", normalize)
        for normalize in ("none", "rms")
    )
    ratio = np.mean(np.load("x.npy") ** 2)
    assert plain["support"] == pytest.approx([ratio * end for end in rms["support"]])
    powers = enumerate(rms["moments"], start=1)
    assert plain["moments"] == pytest.approx([ratio**k * moment for k, moment in powers])


@pytest.mark.parametrize(("ratios", "width"), [("", 6), ("width_ratios = [0.5, 1, 2, 1]\n", 12)])
def test_without_a_width_the_input_fixes_it(folder, ask, ratios, width):
    Path("net.toml").write_text(RELU + ratios)
    assert ask("show", "net.toml", "--input", "x.npy")["width"] == width


@pytest.mark.parametrize(
    "text", ["1,2,3,4,5,6\n", "1\n2\n3\n4\n5\n6", "# pixels\n\n1, 2, 3, 4, 5, 6 # six\n"]
)
def test_a_row_and_a_column_of_csv_are_the_same_vector(folder, ask, text):
    Path("x.csv").write_text(text)
    from_csv, from_npy = (
        ask("show", "relu.toml", "--input", f"x.{kind}") for kind in ("csv", "npy")
    )
    assert from_csv["second_moments"] == from_npy["second_moments"]


def test_the_sampled_input_is_the_vector_itself(folder, run):
    """Orthogonal linear layers of one width: the dual is the sum of |x|²/M over the layers."""
    Path("linear.toml").write_text('[network]\ndepth = 2\nactivation = "linear"\n')
    code, _, _ = run("sample", "linear.toml", "--input", "x.npy", "--replicas", 2, "-o", "e.csv")
    assert code == 0
    want = 2 * np.mean(np.load("x.npy") ** 2)
    assert Table.read("e.csv")["eigenvalue"] == pytest.approx(np.full(12, want))


# Verbs


@pytest.mark.extra("parquet")
def test_every_format_holds_the_same_table(folder, run):
    names = [f"law.{suffix}" for suffix in ("csv", "json", "npz", "parquet")]
    words = [word for name in names for word in ("-o", name)]
    assert run("density", "relu.toml", "--points", 50, *words)[0] == 0
    first, *others = map(Table.read, names)
    assert all(table == first for table in others)
    law = ConditionalFIM(Network.from_toml("relu.toml")).law()
    assert first == Table(
        law.table(50).columns,
        {
            "network_file": "relu.toml",
            "spectrum": "conditional-fim",
            "width": None,
            **law.describe(),
        },
    )


def test_density_says_what_the_law_says(folder, run, ask):
    law = ConditionalFIM(Network.from_toml("relu.toml")).law()
    numbers = ask("density", "relu.toml", "--width", 50)
    assert numbers["bands"] == [list(band) for band in law.bands]
    assert numbers["moments"] == [law.moment(k) for k in (1, 2, 3, 4)]
    top = law.support[1]
    assert numbers["max_learning_rate"] == pytest.approx({"sum": 2 / (50 * top), "mean": 2 / top})
    code, out, _ = run("density", "relu.toml")
    assert code == 0
    assert f"{top:.10g}" in out


def test_sampling_does_not_depend_on_the_workers(folder, run):
    for workers in (1, 2):
        words = ["--width", 20, "--replicas", 3, "--seed", 5, "--workers", workers]
        assert run("sample", "relu.toml", *words, "-o", f"{workers}.npz")[0] == 0
    first, second = Table.read("1.npz"), Table.read("2.npz")
    assert first == second
    assert len(first) == 60
    assert first.metadata["seed"] == 5


def test_density_reports_the_sample_it_draws(folder, ask):
    numbers = ask("density", "relu.toml", "--width", 20, "--replicas", 1)
    sample = ConditionalFIM(Network.from_toml("relu.toml")).sample(20, 1)
    assert numbers["sample"]["largest"] == sample.eigenvalues.max()
    assert numbers["sample"]["standard_errors"] == [None] * 4


@pytest.mark.extra("plot")
def test_plot_draws_and_nothing_else(folder, run):
    code, out, _ = run("plot", "relu.toml", "-o", "a.png", "-o", "b.svg", "--log")
    assert (code, out) == (0, "written: a.png\nwritten: b.svg\n")
    assert Path("a.png").read_bytes().startswith(b"\x89PNG")
    assert "<svg" in Path("b.svg").read_text()


def test_learning_rate_prints_the_number_the_theorem_and_what_it_assumes(folder, run, ask):
    words = ["--width", 30, "--loss", "mean", "--outputs", 4, "--momentum", 0.5]
    code, out, _ = run("learning-rate", "relu.toml", *words)
    fim = ConditionalFIM(Network.from_toml("relu.toml"))
    assert code == 0
    number, *reasons = out.splitlines()
    assert float(number) == fim.max_learning_rate(30, "mean", 4, 0.5)
    numbers = ask("learning-rate", "relu.toml", *words)
    assert numbers["max_learning_rate"] == numbers["unstable_above"] == float(number)
    assert [numbers["theorem"], *numbers["assumptions"]] == [
        line[len("  theorem  ") :] for line in reasons[1:]
    ]


def test_learning_rate_knows_batches_and_heads(folder, run, ask):
    words = ["--width", 50, "--samples", 20, "--outputs", 3]
    for head, names in [("softmax", "Neural Computation"), ("batch-norm", "NeurIPS")]:
        numbers = ask("learning-rate", "relu.toml", *words, "--head", head)
        net = Network.from_toml("relu.toml")
        answer = learning_rate(net, 50, samples=20, outputs=3, head=head)
        assert numbers["max_learning_rate"] == answer.value
        assert numbers["unstable_above"] == answer.upper
        assert names in numbers["theorem"]
    code, out, _ = run("learning-rate", "relu.toml", *words, "--head", "batch-norm")
    assert code == 0
    assert f"unstable above {answer.upper!r}" in out


def test_learning_rate_takes_data_for_the_batch(folder, ask):
    data = np.random.default_rng(0).random((20, 40))
    np.save("data.npy", data)
    words = ["--data", "data.npy", "--normalize", "rms", "--outputs", 3, "--head", "softmax"]
    numbers = ask("learning-rate", "relu.toml", *words)
    net = Network.from_toml("relu.toml")
    answer = learning_rate(
        net, 40, samples=20, outputs=3, head="softmax", input_correlation=correlation_of(data)
    )
    assert numbers["max_learning_rate"] == answer.value
    assert (numbers["samples"], numbers["width"], numbers["data_file"]) == (20, 40, "data.npy")
    assert answer.value < learning_rate(net, 40, samples=20, outputs=3, head="softmax").value


def test_show_tells_order_parameters_and_derivation(folder, run, ask):
    order = Network.from_toml("relu.toml").order_parameters()
    numbers = ask("show", "relu.toml")
    assert numbers["second_moments"] == list(order.second_moments)
    code, out, _ = run("show", "relu.toml")
    assert code == 0
    assert f"{order.second_moments[-1]:.10g}" in out
    assert all(step in out for step in numbers["derivation"])


@pytest.mark.extra("plot")
def test_validate_tells_its_verdict_by_its_exit_code(folder, run, monkeypatch):
    words = ["validate", "relu.toml", "--width", 60, "--replicas", 4, "-o", "r.csv", "-o", "r.png"]
    code, out, _ = run(*words)
    assert code == 0
    assert "PASS" in out
    assert len(Table.read("r.csv")) > 4
    truth = ConditionalFIM.validate

    def doctored(self, *arguments, **options):
        report = truth(self, *arguments, **options)
        wrong = [dataclasses.replace(check, expected=1e3) for check in report.moments]
        return dataclasses.replace(report, moments=tuple(wrong))

    monkeypatch.setattr(ConditionalFIM, "validate", doctored)
    code, out, _ = run(*words, "--json")
    assert code == 1
    assert json.loads(out)["verdict"] == "FAIL"


# Refusals


def refused(result, *fragments, code=2):
    got, out, err = result
    assert (got, out) == (code, "")
    assert err.startswith("freefim: error: ")
    assert err.count("\n") == 1
    assert [part for part in fragments if part not in err] == []


NETWORKS = {
    "depth = 0": ("depth", "0", ">= 1"),
    "depth = 2.5": ("depth", "2.5", "integer"),
    "weight_std = -1.0": ("weight_std", "-1.0", "> 0"),
    "weight_std = nan": ("weight_std", "nan", "finite"),
    "bias_std = -0.1": ("bias_std", "-0.1", ">= 0"),
    "input_second_moment = 0": ("input_second_moment", "0", "> 0"),
    "weight_std = [1.0, 1.0]": ("weight_std", "3 entries", "2 entries"),
    "width_ratios = [1, 1]": ("width_ratios", "4 entries"),
    'weights = "haar"': ("weights", "'haar'", "'gaussian' or 'orthogonal'"),
    'activation = "rleu"': ("activation", "'rleu'", "did you mean 'relu'"),
    "wieghts = 1": ("wieghts", "did you mean 'weights'"),
    "depth = ": ("net.toml", "TOML"),
}


@pytest.mark.parametrize("line", NETWORKS)
@pytest.mark.parametrize("verb", ["density", "show"])
def test_a_network_that_means_nothing_is_refused(folder, run, verb, line):
    key = line.partition(" ")[0]
    kept = [row for row in RELU.splitlines() if not row.startswith(key)]
    Path("net.toml").write_text("\n".join([*kept, line, ""]))
    refused(run(verb, "net.toml"), "net.toml", *NETWORKS[line])


def test_blocks_of_layers_add_up_to_the_whole(run, ask, folder):
    code, out, _ = run("layer-blocks", "relu.toml", "-o", "blocks.csv")
    assert code == 0
    table = Table.read("blocks.csv")
    assert table["layer"].tolist() == [1, 2, 3]
    law = ConditionalFIM(Network(3, "relu", weights="gaussian", weight_std=1.4)).law()
    assert table["mean"].sum() == pytest.approx(law.mean(), rel=1e-12)
    assert f"sums: mean {law.mean():.10g}" in out
    assert ask("layer-blocks", "relu.toml")["blocks"]["max"] == table["max"].tolist()
    refused(run("layer-blocks"), "needs a network file")


@pytest.mark.parametrize(
    "verb",
    [pytest.param(v, marks=pytest.mark.extra("plot")) if v == "plot" else v for v in VERBS],
)
def test_a_file_that_is_not_there_is_refused(folder, run, verb):
    output = ["-o", "a.png"] if verb == "plot" else []
    refused(run(verb, "none.toml", "--width", 9, *output), "none.toml", "No such file")
    words = ["relu.toml", "--width", 9, "--input", "none.npy"]
    refused(run(verb, *words, *output), "none.npy", "No such file")


VECTORS = {
    "zero": ([0.0, 0.0, 0.0], ("zero vector", "3 zeros")),
    "nan": ([1.0, math.nan], ("finite", "nan at 1")),
    "inf": ([math.inf, 1.0], ("finite", "inf at 0")),
    "huge": ([1e200, 1.0], ("mean square", "1e+200")),
    "tiny": ([1e-200, 0.0], ("mean square", "1e-200")),
    "matrix": ([[1.0, 2.0], [3.0, 4.0]], ("one vector", "(2, 2)")),
    "number": (3.0, ("one vector", "()")),
    "empty": ([], ("one vector", "(0,)")),
    "complex": ([1j], ("real numbers", "complex128")),
    "objects": (np.array([None]), ("one vector", "allow_pickle")),
}


@pytest.mark.parametrize("name", VECTORS)
def test_a_vector_that_means_nothing_is_refused(folder, run, name):
    values, fragments = VECTORS[name]
    np.save("v.npy", values)
    refused(run("density", "relu.toml", "--input", "v.npy", "--width", 9), "v.npy", *fragments)


@pytest.mark.parametrize(
    ("name", "content", "fragments"),
    [
        ("v.csv", b"1,2,x\n", ("one vector of numbers", "'x'")),
        ("v.csv", b"1,2\n3\n", ("one vector of numbers",)),
        ("v.csv", b"# nothing\n", ("one vector", "(0,)")),
        ("v.csv", b"\xff\xfe\x00", ("one vector of numbers", "utf-8")),
        ("v.npy", b"1,2,3\n", ("one vector of numbers", "magic")),
        ("v.npy", b"", ("one vector of numbers",)),
        ("v.txt", b"1 2 3\n", ("must end in .npy or .csv",)),
    ],
)
def test_a_file_that_holds_no_vector_is_refused(folder, run, name, content, fragments):
    Path(name).write_bytes(content)
    refused(run("show", "relu.toml", "--input", name), name, *fragments)


def test_an_input_without_a_whole_width_is_refused(folder, run):
    Path("net.toml").write_text(RELU + "width_ratios = [0.7, 1, 1, 1]\n")
    refused(run("density", "net.toml", "--input", "x.npy"), "--width", "6 numbers", "0.7")


@pytest.mark.parametrize(
    ("words", "fragments"),
    [
        ((), ("VERB",)),
        (("densty", "relu.toml"), ("'densty'", "'density'")),
        (("density",), ("NETWORK.toml",)),
        (("density", "relu.toml", "--widht", "9"), ("--widht",)),
        (("density", "relu.toml", "--width", "0"), ("--width", ">= 1", "'0'")),
        (("density", "relu.toml", "--width", "1e3"), ("--width", ">= 1", "'1e3'")),
        (("density", "relu.toml", "--points", "1"), ("--points", ">= 2", "'1'")),
        (("density", "relu.toml", "--normalize", "l2"), ("--normalize", "'l2'", "'rms'")),
        (("density", "relu.toml", "--normalize", "rms"), ("--normalize", "--input")),
        (("density", "relu.toml", "--replicas", "2"), ("sampling", "--width")),
        (("density", "relu.toml", "--width", "9", "--eigenvalues", "e.csv"), ("--replicas",)),
        (("sample", "relu.toml"), ("sampling", "--width")),
        (("sample", "relu.toml", "--width", "9", "--seed", "-1"), ("--seed", ">= 0", "'-1'")),
        (("sample", "relu.toml", "--width", "9", "-o", "e.png"), (".parquet", "'e.png'")),
        (("validate", "relu.toml"), ("validate", "--width")),
        (("validate", "relu.toml", "--width", "9", "--replicas", "1"), ("replicas", ">= 2")),
        (("learning-rate", "relu.toml"), ("width", "'sum'")),
        (("learning-rate",), ("network file", "--torch")),
        (("learning-rate", "relu.toml", "--data", "d.csv", "--input", "x.npy"), ("exclude",)),
        (
            ("learning-rate", "relu.toml", "--data", "d.csv", "--input-correlation", "0"),
            ("--data", "--input-correlation"),
        ),
        (("learning-rate", "relu.toml", "--torch", "m.pt"), ("--torch", "'relu.toml'")),
        (("learning-rate", "relu.toml", "--width", "9", "--samples", "5"), ("outputs",)),
        (
            ("learning-rate", "relu.toml", "--width", "9", "--head", "softmax", "--loss", "mse"),
            ("loss", "'mse'"),
        ),
        (("learning-rate", "relu.toml", "--momentum", "nan"), ("--momentum", "'nan'", "[0, 1)")),
        (("learning-rate", "relu.toml", "--momentum", "1"), ("--momentum", "'1'", "[0, 1)")),
        (("plot", "relu.toml"), ("-o",)),
        (("plot", "relu.toml", "-o", "a.csv"), (".png", "'a.csv'")),
    ],
)
def test_words_that_mean_nothing_are_refused(folder, run, words, fragments):
    refused(run(*words), *fragments)


@pytest.mark.parametrize(
    ("output", "fragments"),
    [
        ("none/law.csv", ("existing, writable directory", "'none/law.csv'")),
        ("relu.toml/law.csv", ("existing, writable directory",)),
        ("folder.csv", ("writable file", "'folder.csv'")),
        ("law.txt", ("must end in", "'law.txt'")),
        ("law", ("must end in", "'law'")),
        ("x.csv", ("named twice", "'x.csv'")),
    ],
)
def test_outputs_are_refused_before_anything_is_computed(
    folder, run, monkeypatch, output, fragments
):
    Path("folder.csv").mkdir()
    Path("x.csv").write_text("1,2,3\n")
    monkeypatch.setattr(ConditionalFIM, "law", lambda self: pytest.fail("computed the law"))
    refused(run("density", "relu.toml", "--input", "x.csv", "-o", output), *fragments)
    assert Path("x.csv").read_text() == "1,2,3\n"


def test_an_output_named_twice_is_refused(folder, run):
    refused(run("density", "relu.toml", "-o", "a.csv", "-o", "./a.csv"), "named twice", "'./a.csv'")


@pytest.mark.parametrize(
    ("verb", "package", "output", "extra"),
    [
        ("density", "matplotlib", "a.png", "plot"),
        ("density", "pyarrow", "a.parquet", "parquet"),
        ("certify", "flint", "a.json", "exact"),
    ],
)
def test_a_missing_extra_is_named(folder, run, monkeypatch, verb, package, output, extra):
    monkeypatch.setitem(sys.modules, package, None)
    refused(run(verb, "relu.toml", "-o", output), package, f"freefim[{extra}]")


@pytest.mark.parametrize("activation", ["relu", "elu"])
def test_an_exploding_network_is_told_apart_from_bad_input(folder, run, activation):
    Path("net.toml").write_text(RELU.replace("1.4", "1e200").replace("relu", activation))
    refused(run("density", "net.toml"), "range of floating-point numbers", code=3)


words = st.one_of(
    st.none(),
    st.booleans(),
    st.integers(-3, 10**25),
    st.floats(),
    st.text(st.characters(codec="ascii", exclude_characters='"\\'), max_size=8),
    st.sampled_from(["1/3", "relu", "gelu", "hard_tanh", "gaussian", "orthogonal", "ntk"]),
)
values = st.one_of(
    words,
    st.lists(words, max_size=4),
    st.fixed_dictionaries({"name": words}, optional={"cutoff": words, "slope": words}),
)


def toml(value):
    match value:
        case None:
            return "1979-05-27"
        case dict():
            return "{" + ", ".join(f"{key} = {toml(entry)}" for key, entry in value.items()) + "}"
        case list():
            return f"[{', '.join(map(toml, value))}]"
        case bool() | str():
            return json.dumps(value)
    return repr(value)


@settings(max_examples=200)
@given(
    key=st.sampled_from([field.name for field in dataclasses.fields(Network) if field.name != "_"]),
    value=values,
)
def test_no_value_in_a_network_file_makes_a_traceback(tmp_path_factory, key, value):
    if key == "depth" and isinstance(value, int) and value > 50:
        value = 50
    fields = {"depth": 3, "activation": "relu"} | {key: value}
    path = tmp_path_factory.mktemp("fuzz") / "net.toml"
    lines = ["[network]", *(f"{name} = {toml(entry)}" for name, entry in fields.items()), ""]
    path.write_text("\n".join(lines), encoding="utf-8")
    assert main(["show", str(path), "--json"]) in (0, 2, 3)


# Ends


OUTPUTS = ["-o", "a.csv", "-o", "a.png", "--eigenvalues", "e.csv"]


@pytest.mark.extra("plot")
@pytest.mark.parametrize(
    ("error", "code"), [(KeyboardInterrupt, 130), (MemoryError, 3), (OSError(28, "no space"), 2)]
)
def test_what_stops_a_command_leaves_old_files_as_they_were(folder, run, monkeypatch, error, code):
    for name in OUTPUTS[1::2]:
        Path(name).write_text("old")

    def stop(*_, **__):
        raise error

    monkeypatch.setattr(ConditionalFIM, "sample", stop)
    monkeypatch.setattr("freefim.cli._drop_output", lambda: None)
    before = sorted(os.listdir())
    got, out, _ = run("density", "relu.toml", "--width", 9, "--replicas", 2, *OUTPUTS)
    assert (got, out) == (code, "")
    assert [Path(name).read_text() for name in OUTPUTS[1::2]] == ["old"] * 3
    assert sorted(os.listdir()) == before


def program(*words, **options):
    return subprocess.Popen(
        [sys.executable, "-m", "freefim", *map(str, words)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        **options,
    )


def test_the_module_is_the_program(folder):
    process = program("learning-rate", "relu.toml", "--width", 10)
    out, err = process.communicate(timeout=120)
    assert (process.returncode, err) == (0, "")
    assert float(out.splitlines()[0]) > 0
    process = program("show", "none.toml")
    out, err = process.communicate(timeout=120)
    assert (process.returncode, out) == (2, "")
    assert err.startswith("freefim: error: ")


def test_a_reader_that_goes_away_is_no_error():
    process = program("show", PRESET)
    process.stdout.close()
    assert process.wait(timeout=120) == 141
    assert process.stderr.read() == ""
    process.stderr.close()


@pytest.mark.slow
def test_an_interruption_ends_the_program_at_once(folder):
    Path("e.csv").write_text("old")
    process = program("sample", PRESET, "--width", 2000, "--workers", 2, "-o", "e.csv")
    time.sleep(10.0)
    assert process.poll() is None
    start = time.monotonic()
    process.send_signal(signal.SIGINT)
    out, err = process.communicate(timeout=60)
    assert time.monotonic() - start < 5.0
    assert (process.returncode, out, err) == (130, "", "")
    assert Path("e.csv").read_text() == "old"


def test_help_and_version_load_no_numbers():
    heavy = ("numpy", "scipy", "numba", "matplotlib", "tqdm")
    for option in ("--help", "--version"):
        code = (
            "import sys\nfrom freefim.cli import main\n"
            f"try: main([{option!r}])\nexcept SystemExit as stop: assert stop.code == 0\n"
            f"print([name for name in {heavy} if name in sys.modules])"
        )
        done = subprocess.run(
            [sys.executable, "-c", code], capture_output=True, text=True, check=False
        )
        assert (done.returncode, done.stdout.splitlines()[-1]) == (0, "[]")


@pytest.mark.parametrize("verb", VERBS)
def test_every_verb_helps(run, capsys, verb):
    with pytest.raises(SystemExit) as stop:
        main([verb, "--help"])
    assert stop.value.code == 0
    assert "NETWORK.toml" in capsys.readouterr().out


# Progress


class Terminal(io.StringIO):
    def isatty(self):
        return True


@pytest.mark.parametrize("with_tqdm", [True, False])
def test_a_bar_appears_only_after_a_while_and_goes_away(monkeypatch, with_tqdm):
    if not with_tqdm:
        monkeypatch.setitem(sys.modules, "tqdm", None)
    monkeypatch.setattr(progress_room, "_PATIENCE", 0.05)
    monkeypatch.setattr(sys, "stderr", Terminal())
    with Progress("drawing", 3) as progress:
        progress(1, 3)
        assert sys.stderr.getvalue() == ""
        deadline = time.monotonic() + 30.0
        while "1/3" not in sys.stderr.getvalue() and time.monotonic() < deadline:
            time.sleep(0.01)
        progress(2, 3)
    shown = sys.stderr.getvalue()
    places = [shown.index(part) for part in ("drawing", "1/3", "2/3")]
    assert all(first < second for first, second in pairwise(places))
    assert "drawing" not in shown.rpartition("2/3")[2]


@pytest.mark.parametrize("terminal", [True, False])
def test_nothing_is_shown_of_short_work_or_off_a_terminal(monkeypatch, terminal):
    monkeypatch.setattr(sys, "stderr", Terminal() if terminal else io.StringIO())
    monkeypatch.setattr(progress_room, "_PATIENCE", 60.0 if terminal else 0.0)
    with Progress("drawing", 3) as progress:
        progress(1, 3)
        time.sleep(0.05)
    assert sys.stderr.getvalue() == ""


@pytest.mark.parametrize(
    ("words", "matrix"),
    [
        (("relu.toml", "--spectrum", "layer-block,layer=2"), "by the parameters of layer 2"),
        (("--spectrum", "hessian-model,ratio=0.5,energy=0.01"), "J J^T / m + Wigner"),
    ],
)
def test_every_spectrum_has_its_density(folder, run, words, matrix):
    code, out, _ = run("density", *words, "-o", "law.csv")
    assert code == 0
    assert matrix in out
    assert "learning rate" not in out
    assert Table.read("law.csv")["pdf"].max() > 0


@pytest.mark.parametrize(
    ("words", "sentence"),
    [
        (("relu.toml", "--spectrum", "fisher"), "spectrum must be one of conditional-fim, jaco"),
        (("relu.toml", "--spectrum", "layer-block"), "layer-block needs layer"),
        (("relu.toml", "--spectrum", "layer-block,layer=9"), "layer must be an integer from 1"),
        (("relu.toml", "--spectrum", "layer-block,layer"), "must be NAME or NAME,KEY=NUMBER"),
        (("relu.toml", "--spectrum", "jacobian,layer=2"), "layer is no parameter"),
        (("relu.toml", "--spectrum", "hessian-model,ratio=1,energy=1"), "takes no network file"),
        (("--spectrum", "hessian-model,ratio=-1,energy=1"), "ratio must be a finite number > 0"),
        (("--input", "x.csv", "--spectrum", "hessian-model,ratio=1,energy=1"), "--input needs"),
    ],
)
def test_spectra_that_mean_nothing_are_refused(folder, run, words, sentence):
    code, out, err = run("density", *words)
    assert (code, out) == (2, "")
    assert sentence in err
