"""A picture shows the masses it was given: areas, stems, and nothing of an interactive session."""

import subprocess
import sys

import numpy as np
import pytest

pytest.importorskip("matplotlib")

import matplotlib
from matplotlib.figure import Figure

from freefim.errors import SpecError
from freefim.plots import plot_density, save_figure


def semicircle(center=0.0, radius=2.0, mass=1.0, points=201):
    x = center - radius * np.cos(np.linspace(0, np.pi, points))
    height = np.sqrt(np.maximum(radius**2 - (x - center) ** 2, 0))
    return x, mass * 2 / (np.pi * radius**2) * height


def arcsine(points=401):
    theta = np.linspace(0, np.pi, points)
    with np.errstate(divide="ignore"):
        return (1 - np.cos(theta)) / 2, 2 / (np.pi * np.sin(theta))


def histogram_area(axes, log=False):
    boxes = [bar.get_bbox() for bar in axes.patches]
    return sum(b.height * (np.log(b.x1 / b.x0) if log else b.x1 - b.x0) for b in boxes)


def stems(axes):
    (twin,) = (a for a in axes.figure.axes if a is not axes)
    return twin


@pytest.mark.parametrize("log", [False, True])
def test_histogram_area_and_stem_shares_are_the_shares_of_the_sample(log):
    rng = np.random.default_rng(1)
    bands = [semicircle(2, 0.5, 0.3), semicircle(5, 1, 0.5)]
    inside = np.concatenate([2 + rng.uniform(-0.5, 0.5, 30), 5 + rng.uniform(-1, 1, 50)])
    sample = np.concatenate([inside, np.full(12, 8.0), np.full(8, 1e-17)])
    axes = plot_density(bands, [(0.0, 0.1), (8.0, 0.1)], sample, log=log)
    assert histogram_area(axes, log) == pytest.approx(0.8, rel=1e-12)
    (rings,) = (c for c in stems(axes).lines if c.get_label() == "sampled share")
    assert rings.get_ydata()[-1] == pytest.approx(0.12, rel=1e-12)


@pytest.mark.parametrize("log", [False, True])
def test_the_drawn_line_has_the_mass_of_the_band(log):
    x, pdf = semicircle(3, 1, 0.75, points=2001)
    axes = plot_density([(x, pdf)], log=log)
    (line,) = axes.lines
    x, y = (part[:-1] for part in line.get_data())
    mass = np.trapezoid(y, np.log(x) if log else x)
    assert mass == pytest.approx(0.75, abs=1e-5)  # trapezoidal rule, 2000 panels


def test_every_band_is_a_line_of_its_own():
    bands = [semicircle(k, 0.3, 0.01, points=33) for k in range(60)]
    (line,) = plot_density(bands).lines
    assert np.isnan(line.get_ydata()).sum() == 60


def test_a_pole_at_a_hard_edge_leaves_the_picture_and_the_bulk_stays_visible():
    x, pdf = arcsine()
    axes = plot_density([(x, pdf)])
    bottom, top = axes.get_ylim()
    (line,) = axes.lines
    assert bottom == 0
    assert line.get_ydata()[0] > top > 3 * pdf[pdf.size // 2]
    assert pdf[pdf.size // 2] > 0.1 * top


def test_a_soft_density_is_shown_whole():
    x, pdf = semicircle()
    assert plot_density([(x, pdf)]).get_ylim()[1] > pdf.max()


def test_masses_are_written_at_few_atoms_and_not_over_each_other():
    few = plot_density([semicircle()], [(3.0, 0.25), (6.0, 0.125)])
    assert {t.get_text() for t in stems(few).texts} == {"0.25", "0.125"}
    close = plot_density([semicircle()], [(3.0, 0.25), (3.001, 0.125)])
    assert [t.get_text() for t in stems(close).texts] == ["0.25"]


def test_an_atom_at_zero_is_named_where_a_logarithmic_axis_has_no_place_for_it():
    axes = plot_density([semicircle(3, 1, 0.5)], [(0.0, 0.5)], log=True)
    names = [text.get_text() for text in axes.get_legend().get_texts()]
    assert "atom of mass 0.5 at 0" in names


def test_drawing_into_given_axes_touches_no_other_state():
    before = dict(matplotlib.rcParams)
    figure = Figure()
    first, second = figure.subplots(1, 2)
    assert plot_density([semicircle()], ax=second, title="right") is second
    assert second.get_title() == "right"
    assert not first.lines
    assert dict(matplotlib.rcParams) == before


def test_no_picture_loads_pyplot(tmp_path):
    code = (
        "import sys; from freefim.plots import plot_density, save_figure\n"
        "axes = plot_density([([0, 1], [1, 1])], [(2, 0.5)], [0.5, 2])\n"
        "save_figure(axes, sys.argv[1])\n"
        "print('matplotlib.pyplot' in sys.modules)"
    )
    command = [sys.executable, "-c", code, str(tmp_path / "f.png")]
    done = subprocess.run(command, capture_output=True, text=True, check=True, timeout=60)
    assert done.stdout.strip() == "False"


@pytest.mark.parametrize(
    ("suffix", "magic"), [("png", b"\x89PNG"), ("pdf", b"%PDF"), ("svg", b"<?xml")]
)
def test_a_figure_is_written_in_the_format_of_its_suffix(tmp_path, suffix, magic):
    axes = plot_density([semicircle()])
    for thing in (axes, axes.figure):
        save_figure(thing, tmp_path / f"f.{suffix}")
        assert (tmp_path / f"f.{suffix}").read_bytes().startswith(magic)


@pytest.mark.parametrize("name", ["f.csv", "f", "absent/f.png"])
def test_a_picture_that_cannot_be_written_is_refused(tmp_path, name):
    axes = plot_density([semicircle()])
    with pytest.raises(SpecError, match="path must .* got .*" + name):
        save_figure(axes, tmp_path / name)
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("panels", "atoms", "eigenvalues", "words"),
    [
        ([], [], None, "nothing|neither"),
        ([([0, 1], [1, np.nan])], [], None, "pdf >= 0"),
        ([([1, 0], [1, 1])], [], None, "increasing"),
        ([([0, 1], [1, 1, 1])], [], None, "one shape"),
        ([([0, np.inf], [1, 1])], [], None, "finite"),
        ([([0, 1], [1, 1])], [(np.nan, 0.5)], None, "finite"),
        ([([0, 1], [1, 1])], [], [np.nan], "finite"),
    ],
)
def test_what_cannot_be_drawn_is_refused(panels, atoms, eigenvalues, words):
    with pytest.raises(SpecError, match=words):
        plot_density(panels, atoms, eigenvalues)


def test_a_negative_spectrum_has_no_logarithmic_picture():
    with pytest.raises(SpecError, match="log=True"):
        plot_density([semicircle()], log=True)
