"""Spectra of other tools beside a law: eigenvalues, nodes and weights, densities."""

import json
from pathlib import Path

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.free.laws.named import MarchenkoPastur, Semicircle
from freefim.interop.recorded import RecordedSpectrum
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.validation.synthetic import null_distance

RECORD = Path(__file__).parents[2] / "validation" / "recorded" / "curvlinops.json"


@pytest.fixture(scope="module")
def record():
    return json.loads(RECORD.read_text(encoding="utf-8"))


@pytest.fixture(scope="module")
def width(record):
    return max(record["network"]["widths"][1:-1])


@pytest.fixture(scope="module")
def dual(record, width):
    """Eigenvalues of J Jᵀ/M out of those of 2 JᵀJ."""
    return RecordedSpectrum(record["ggn"]["eigenvalues"]) * (0.5 / width)


@pytest.fixture(scope="module")
def lanczos(record, width):
    return RecordedSpectrum(record["lanczos"]["nodes"], record["lanczos"]["weights"]) * (1 / width)


@pytest.fixture(scope="module")
def law(record, width):
    fields = record["network"]
    net = Network(
        len(fields["widths"]) - 1,
        fields["activation"],
        weights="gaussian",
        weight_std=fields["weight_std"],
        bias_std=fields["bias_std"],
        width_ratios=[size / width for size in fields["widths"]],
    )
    return ConditionalFIM(net).law()


def test_eigenvalues_of_curvlinops_lie_at_the_law(dual, law):
    spread = float(law.variance()) ** 0.5
    # one network of width 64: its largest eigenvalues fluctuate by a tenth
    assert law.distance(dual) < 0.15 * spread
    # three times what as many ideal eigenvalues have
    assert law.distance(dual, "ks") < 3 * null_distance(law, len(dual), np.random.default_rng(0))


def test_lanczos_nodes_have_the_moments_of_the_eigenvalues(record, width, dual):
    nodes, weights = (np.array(record["lanczos"][name]) for name in ("nodes", "weights"))
    for order, want in enumerate(dual.moments(4), start=1):
        runs = np.sum(weights * (nodes / width) ** order, axis=1)
        assert abs(runs.mean() - want) < 4 * runs.std(ddof=1) / len(runs) ** 0.5


def test_nodes_and_density_of_lanczos_lie_at_the_law_as_the_eigenvalues_do(
    record, width, dual, lanczos, law
):
    grid, density = np.array(record["density"]["grid"]), np.array(record["density"]["density"])
    smooth = RecordedSpectrum.from_density(grid / width, density)
    # 16 random vectors weigh an eigenvalue to √(2/16); the smoothing is a tenth of the range / 24
    near = dual.distance(law) + 0.1 * float(law.mean())
    assert lanczos.distance(law) < near
    assert smooth.distance(law) < near
    assert lanczos.law.distance(dual.eigenvalues) < 0.1 * float(law.mean())


def test_an_overlay_of_weighted_nodes_has_the_whole_area(lanczos, dual, law):
    pytest.importorskip("matplotlib")
    for spectrum in (lanczos, dual):
        for axes in (law.plot(spectrum), spectrum.plot(law, title="recorded")):
            (bars,) = axes.containers
            area = sum(bar.get_width() * bar.get_height() for bar in bars)
            assert area == pytest.approx(1, abs=1e-9)


def test_the_dual_is_the_matrix_without_its_trivial_zeros(record, dual, width):
    size = record["ggn"]["dimension"]
    whole = RecordedSpectrum(np.append(np.zeros(size - len(dual)), dual.eigenvalues))
    assert whole.top(len(dual), size).eigenvalues.tolist() == dual.eigenvalues.tolist()
    weighted = RecordedSpectrum([0.0, 1.0, 2.0], [0.97, 0.02, 0.01])
    top = weighted.top(4, 100)
    assert top.nodes.tolist() == [0.0, 1.0, 2.0]
    assert top.weights == pytest.approx([0.25, 0.5, 0.25])


def test_equal_weights_are_none():
    values = np.random.default_rng(0).random(50)
    plain, weighted = RecordedSpectrum(values), RecordedSpectrum(values, np.full(50, 3.0))
    law = Semicircle(1)
    for kind in ("ks", "wasserstein"):
        assert weighted.distance(law, kind) == pytest.approx(plain.distance(law, kind), rel=1e-6)
    assert weighted.moments(3) == pytest.approx(plain.moments(3))


def test_real_numbers_come_in_many_types():
    want = RecordedSpectrum([1.0, 2.0]).nodes.tolist()
    for values in ([1, 2], np.array([2, 1], dtype=np.float32), np.array([1 + 0j, 2]), (2.0, 1)):
        assert RecordedSpectrum(values).nodes.tolist() == want


def test_quantiles_stand_for_weights_to_their_resolution():
    rng = np.random.default_rng(1)
    spectrum = RecordedSpectrum(rng.random(30) * 4, rng.random(30))
    law = MarchenkoPastur(1)
    assert law.distance(spectrum, "ks") == pytest.approx(spectrum.distance(law, "ks"), abs=1 / 8192)


def test_a_density_on_a_grid_is_its_law():
    law = Semicircle(1)
    grid = np.linspace(-2, 2, 2001)
    assert RecordedSpectrum.from_density(grid, law.pdf(grid)).distance(law) < 2e-3


def test_the_spectrum_is_a_value_that_cannot_be_written_to():
    nodes = np.array([2.0, 1.0])
    spectrum = RecordedSpectrum(nodes, matrix="J J^T / M")
    nodes[0] = 7.0
    assert spectrum.nodes.tolist() == [1.0, 2.0]
    with pytest.raises(ValueError, match="read-only"):
        spectrum.nodes[0] = 0.0
    assert repr(spectrum) == "<RecordedSpectrum: 2 eigenvalues of J J^T / M in [1, 2]>"


@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: RecordedSpectrum([]), "nodes must hold"),
        (lambda: RecordedSpectrum([1.0, np.nan]), "nodes must hold finite"),
        (lambda: RecordedSpectrum(["a"]), "real numbers"),
        (lambda: RecordedSpectrum([1 + 1j]), "real numbers"),
        (lambda: RecordedSpectrum([[1, 2], [3]]), "real numbers"),
        (lambda: RecordedSpectrum([1, 2], [1]), "weights must be"),
        (lambda: RecordedSpectrum([1, 2], [1, -1]), "weights must be"),
        (lambda: RecordedSpectrum([1, 2], [0, 0]), "weights must be"),
        (lambda: RecordedSpectrum.from_density([1, 1], [1, 1]), "increasing"),
        (lambda: RecordedSpectrum.from_density([1, 2], [1, 1, 1]), "increasing"),
        (lambda: RecordedSpectrum([1, 2]).top(3, 2), "1..size=2, got 3"),
    ],
)
def test_what_is_no_spectrum_is_refused(make, words):
    with pytest.raises(SpecError, match=words):
        make()
