"""Right laws pass, wrong laws fail, and the report says why and travels whole."""

import json
import pickle
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.montecarlo import sample_networks
from freefim.montecarlo.empirical import EmpiricalSpectrum
from freefim.networks.activations import HardTanh, ShiftedReLU
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.tables import Table
from freefim.validation import compare
from freefim.validation.report import MomentCheck
from freefim.validation.synthetic import null_distance, unfolded_goe

NETWORKS = {
    "orthogonal hard-tanh": Network(5, HardTanh()),
    "orthogonal ReLU": Network(3, "relu", weight_std=2**0.5),
    "Gaussian ReLU": Network(3, "relu", weights="gaussian", weight_std=2**0.5),
    "Gaussian hard-tanh with biases": Network(
        4, HardTanh(), weights="gaussian", weight_std=1.2, bias_std=0.3
    ),
    "rectangular shifted ReLU": Network(
        4, ShiftedReLU(0.5), weight_std=1.1, bias_std=0.2, width_ratios=(1, 0.7, 1.3, 1, 0.8)
    ),
    "NTK with a final activation": Network(
        3, "relu", weights="gaussian", weight_std=1.3, bias_std=0.5,
        parametrization="ntk", final_activation="relu",
    ),
    "deep": Network(20, HardTanh(2.0), weight_std=1.02),
    "linear": Network(3, "linear"),
    "orthogonal tanh": Network(3, "tanh", weight_std=1.2),
    "Gaussian GELU": Network(3, "gelu", weights="gaussian", weight_std=1.5),
}  # fmt: skip


def drawn(network, width, replicas=8, seed=0):
    """A sample and a narrow one, independent of each other."""
    return (
        sample_networks(network, width, replicas, seed),
        sample_networks(network, width // 2, replicas, seed + 1000),
    )


def laws(network, sample):
    """Limit law and conditional laws of `network`, given replicas that may be of another one."""
    fim = ConditionalFIM(network)
    return fim.law(), [fim.law(given=replace(r, source=network)) for r in sample]


def without(law, kind):
    """The law with its first move of a kind left out."""
    moves = list(law.chain.moves)
    moves.remove(next(move for move in moves if isinstance(move, kind)))
    return ChainLaw(Chain(law.chain.start, tuple(moves)))


def with_eigenvalues(sample, *rows):
    """The sample with other eigenvalues in each replica."""
    return EmpiricalSpectrum(
        tuple(
            replace(r, eigenvalues=np.sort(row))
            for r, row in zip(sample, rows, strict=True)
        )
    )  # fmt: skip


def says_distance(report):
    return any("Kolmogorov–Smirnov" in reason for reason in report.reasons)


def says_moment(report):
    return any(reason.startswith("moment") for reason in report.reasons)


@pytest.fixture(scope="module")
def hard_tanh():
    network = NETWORKS["orthogonal hard-tanh"]
    return network, *drawn(network, 300)


@pytest.fixture(scope="module")
def report(hard_tanh):
    network, sample, narrow = hard_tanh
    return compare(*laws(network, sample), sample, narrow)


@pytest.fixture(scope="module")
def failing(hard_tanh):
    network, sample, narrow = hard_tanh
    return compare(*laws(network.replace(weight_std=1.03), sample), sample, narrow)


@pytest.mark.parametrize("name", NETWORKS)
def test_right_laws_pass(name):
    report = ConditionalFIM(NETWORKS[name]).validate(width=200)
    assert report.verdict == "PASS", str(report)
    assert report.reasons == ()


def test_three_percent_of_the_weights_fails_on_distance_and_moments(failing):
    assert failing.verdict == "FAIL"
    assert says_distance(failing) and says_moment(failing)
    # the top atom has moved away from its eigenvalues
    for replica in failing.replicas:
        assert replica.atoms[-1].expected > 1
        assert replica.atoms[-1].counted == 0


@pytest.mark.slow
@pytest.mark.parametrize("name", [name for name in NETWORKS if "Gaussian" in name])
def test_three_percent_of_gaussian_weights_fails_at_width_1000(name):
    network = NETWORKS[name]
    sample, narrow = drawn(network, 1000)
    assert compare(*laws(network, sample), sample, narrow).passed
    wrong = network.replace(weight_std=1.03 * network.weight_std)
    report = compare(*laws(wrong, sample), sample, narrow)
    assert says_distance(report)


@pytest.mark.parametrize("name", ["orthogonal hard-tanh", "orthogonal ReLU", "Gaussian ReLU"])
def test_a_gate_left_out_fails_on_the_distance(name):
    network = NETWORKS[name]
    sample, narrow = drawn(network, 300)
    law, conditional = laws(network, sample)
    wrong = [without(each, Product) for each in conditional]
    assert says_distance(compare(without(law, Product), wrong, sample, narrow))


def test_a_shift_left_out_fails(hard_tanh):
    network, sample, narrow = hard_tanh
    law, conditional = laws(network, sample)
    wrong = [without(each, Affine) for each in conditional]
    assert says_distance(compare(law, wrong, sample, narrow))


def test_marchenko_pastur_left_out_fails_on_the_distance():
    network = NETWORKS["Gaussian ReLU"]
    sample, narrow = drawn(network, 300)
    law, conditional = laws(network.replace(weights="orthogonal"), sample)
    report = compare(law, conditional, sample, narrow)
    assert says_distance(report)
    # the weights' ensemble is no part of the mean
    assert report.moments[0].passed


def test_each_comparison_judges_its_own_law(hard_tanh):
    """A wrong limit law fails on moments alone, wrong conditional laws on the distance alone."""
    network, sample, narrow = hard_tanh
    law, conditional = laws(network, sample)
    wrong_law, wrong_conditional = laws(network.replace(weight_std=1.03), sample)
    by_moments = compare(wrong_law, conditional, sample, narrow)
    assert says_moment(by_moments) and not says_distance(by_moments)
    by_distance = compare(law, wrong_conditional, sample, narrow)
    assert says_distance(by_distance) and not says_moment(by_distance)


def test_atoms_of_conditional_laws_have_their_exact_multiplicity(report):
    for replica in report.replicas:
        assert len(replica.atoms) >= 2
        for atom in replica.atoms:
            assert atom.expected == pytest.approx(atom.counted, abs=1e-9)


def test_a_spectrum_without_randomness_is_allowed_rounding_only():
    network = NETWORKS["linear"]
    sample, narrow = drawn(network, 20)
    law, conditional = laws(network, sample)
    assert compare(law, conditional, sample, narrow).passed
    shifted = [ChainLaw(Chain(3.0 * (1 + 1e-6), ()))] * len(sample)
    report = compare(shifted[0], shifted, sample, narrow)
    assert says_distance(report)
    assert [moment.passed for moment in report.moments] == [False] * 4


def test_the_distance_fails_just_above_three_null_values_plus_two_steps(report):
    null = (report.ks - 2 / report.size) / 3
    assert replace(report, null_ks=null * (1 + 1e-12)).passed
    assert not replace(report, null_ks=null * (1 - 1e-12)).passed


def test_a_moment_fails_just_beyond_four_standard_errors_and_its_finite_width_term():
    reach = 4 * 0.01 + 0.02
    for sign in (-1, 1):
        assert MomentCheck(1, 1.0, 1.0 + sign * reach * 0.999, 0.01, 0.02).passed
        assert not MomentCheck(1, 1.0, 1.0 + sign * reach * 1.001, 0.01, 0.02).passed


@pytest.mark.parametrize(("width", "narrow_width"), [(12, 6), (12, 4), (12, 11)])
def test_the_finite_width_term_is_that_of_one_over_the_width(width, narrow_width):
    """Means m + b/M at two widths give b/M, whatever the widths."""
    network = NETWORKS["linear"]
    spectra = []
    for size in (width, narrow_width):
        values = [np.full(size, 3.0 + 0.6 / size + sign * 1e-3) for sign in (-1, 1)]
        spectra.append(with_eigenvalues(sample_networks(network, size, 2), *values))
    law, conditional = laws(network, spectra[0])
    moment = compare(law, conditional, *spectra).moments[0]
    assert moment.finite_width == pytest.approx(0.6 / width, rel=1e-9)
    # that of the mean, and those of both means in the term they measure
    share = narrow_width / (width - narrow_width)
    assert moment.standard_error == pytest.approx(1e-3 * (1 + 2 * share**2) ** 0.5, rel=1e-9)
    assert moment.expected == 3.0


@pytest.mark.parametrize(("factor", "outliers"), [(1.0, 0), (1.5, 1)])
def test_an_eigenvalue_far_above_the_edge_is_counted(factor, outliers):
    network = NETWORKS["orthogonal ReLU"]
    sample, narrow = drawn(network, 100, replicas=2)
    rows = sample.eigenvalues
    rows[1, -1] *= factor
    report = compare(*laws(network, sample), with_eigenvalues(sample, *rows), narrow)
    assert [replica.outliers for replica in report.replicas] == [0, outliers]


def test_the_null_distance_is_that_of_a_dense_random_symmetric_matrix():
    """Tridiagonal and unfolded, or dense and against the semicircle: the same distance."""
    size, count = 60, 200
    rng = np.random.default_rng(1)
    steps = np.arange(size + 1) / size

    def distance(u):
        return max((steps[1:] - u).max(), (u - steps[:-1]).max())

    dense = []
    for _ in range(count):
        a = rng.standard_normal((size, size))
        x = np.linalg.eigvalsh(a + a.T) / np.sqrt(2) / (2 * np.sqrt(size + 1))
        x = np.clip(x, -1, 1)
        dense.append(distance(0.5 + (x * np.sqrt(1 - x * x) + np.arcsin(x)) / np.pi))
    synthetic = [distance(unfolded_goe(size, rng)) for _ in range(count)]
    error = np.hypot(np.std(dense), np.std(synthetic)) / np.sqrt(count)
    assert abs(np.mean(dense) - np.mean(synthetic)) < 5 * error


def test_the_null_distance_falls_like_the_inverse_size():
    """Rigidity: a factor 16 in size gains more than 8, where independent draws gain 4."""
    law = ChainLaw(Chain(1, (Gaussian(1, 1),)))
    small, large = (null_distance(law, n, np.random.default_rng(0)) for n in (50, 800))
    assert small > 8 * large


@pytest.mark.parametrize("name", ["orthogonal hard-tanh", "orthogonal ReLU", "Gaussian ReLU"])
def test_the_null_distance_is_that_of_draws_of_the_law(name):
    """Measured among the quantiles, or among the eigenvalues at those quantiles."""
    law = ConditionalFIM(NETWORKS[name]).law()
    rng = np.random.default_rng(3)
    draws = [law.icdf(unfolded_goe(100, rng)) for _ in range(32)]
    want = np.median([law.distance(draw, "ks") for draw in draws])
    assert null_distance(law, 100, np.random.default_rng(3)) == pytest.approx(want, abs=1e-9)


def test_the_report_is_the_same_on_any_executor_and_counts_its_progress():
    fim = ConditionalFIM(NETWORKS["Gaussian ReLU"])
    calls = []
    alone = fim.validate(40, 3, 5, progress=lambda done, total: calls.append((done, total)))
    with ThreadPoolExecutor(2) as executor:
        assert fim.validate(40, 3, 5, executor=executor) == alone
    # three replicas, four times as many at half the width, three conditional laws
    assert calls == [(done, 18) for done in range(1, 19)]


def test_the_narrow_sample_is_drawn_with_another_seed():
    """Replicas of one seed share their random numbers; the two widths must not."""
    seen = []
    fim = ConditionalFIM(NETWORKS["Gaussian ReLU"])

    class Watched(ConditionalFIM):
        def sample(self, width, replicas=8, seed=0, **options):
            seen.append((width, seed))
            return fim.sample(width, replicas, seed, **options)

    Watched(fim.network).validate(30, 2, seed=7)
    assert [width for width, _ in seen] == [30, 15]
    assert seen[0][1] == 7 != seen[1][1]


@pytest.mark.parametrize("which", ["report", "failing"])
def test_the_report_is_strict_json_and_names_what_it_compared(which, request):
    report = request.getfixturevalue(which)
    content = report.to_dict()
    assert json.loads(json.dumps(content, allow_nan=False)) == content
    assert content["verdict"] == report.verdict
    assert content["reasons"] == list(report.reasons)
    assert eval(content["source"], {"Network": Network, "HardTanh": HardTanh})
    assert content["versions"]["numpy"] == np.__version__
    assert [r["ks"] for r in content["replicas"]] == [r.ks for r in report.replicas]


@pytest.mark.parametrize("suffix", [".csv", ".json", ".npz"])
@pytest.mark.parametrize("which", ["report", "failing"])
def test_the_table_of_the_report_comes_back_from_a_file(which, suffix, request, tmp_path):
    report = request.getfixturevalue(which)
    table = report.table()
    table.write(tmp_path / f"report{suffix}")
    assert Table.read(tmp_path / f"report{suffix}") == table
    assert bool(np.all(table["passed"])) == report.passed
    assert table.metadata["verdict"] == report.verdict


def test_the_report_pickles(report):
    assert pickle.loads(pickle.dumps(report)) == report


def test_the_report_prints_its_verdict_its_numbers_and_its_reasons(report, failing):
    for each in (report, failing):
        text = str(each)
        assert text.startswith(each.verdict)
        assert all(reason in text for reason in each.reasons)
        assert all(name in text for name in each.table()["quantity"])
        assert max(map(len, text.splitlines()[2:8])) <= 80


def test_the_picture_holds_the_histogram_the_density_and_the_atoms(report):
    pytest.importorskip("matplotlib")
    axes = report.plot()
    assert "PASS" in axes.get_title()
    assert len(axes.patches) > 0
    assert report.plot(axes) is axes


@pytest.mark.parametrize(
    ("arguments", "sentence"),
    [
        ({"width": 1}, "width must be an integer >= 2, so that there is half of it, got 1"),
        ({"width": 3.5}, r"width must be an integer >= 2, .* got 3\.5"),
        ({"width": 20, "replicas": 1}, "replicas must be an integer >= 2, .* got 1"),
        ({"width": 20, "replicas": True}, "replicas must be an integer >= 2, .* got True"),
        ({"width": 20, "seed": -1}, "seed must be an integer >= 0, got -1"),
        ({"width": 20, "seed": "x"}, "seed must be an integer >= 0, got 'x'"),
    ],
)
def test_bad_arguments_are_named(arguments, sentence):
    with pytest.raises(SpecError, match=sentence):
        ConditionalFIM(NETWORKS["orthogonal ReLU"]).validate(**arguments)


def test_bad_comparisons_are_named(hard_tanh):
    network, sample, narrow = hard_tanh
    law, conditional = laws(network, sample)
    other = sample_networks(network.replace(weight_std=2), 10, 2)
    for arguments, sentence in (
        (("law", conditional, sample, narrow), "law must be a Law, got 'law'"),
        ((law, conditional[:-1], sample, narrow), "got None as number 8"),
        ((law, [*conditional, law], sample, narrow), "each of the 8 replicas, got .* number 9"),
        ((law, conditional, sample[0], narrow), "sample must be an EmpiricalSpectrum of at least"),
        ((law, conditional, sample, sample), "at a width below 300, got width 300"),
        ((law, conditional, sample, other), "narrow must be sampled from the same source"),
    ):
        with pytest.raises(SpecError, match=sentence):
            compare(*arguments)


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_right_laws_pass_for_every_seed(name):
    fim = ConditionalFIM(NETWORKS[name])
    reports = [fim.validate(width=200, seed=seed) for seed in range(20)]
    assert [report.reasons for report in reports if not report.passed] == []


@pytest.mark.slow
@pytest.mark.parametrize("name", NETWORKS)
def test_conditional_distance_at_width_1000(name):
    report = ConditionalFIM(NETWORKS[name]).validate(width=1000)
    assert report.passed
    assert report.ks <= 0.006
