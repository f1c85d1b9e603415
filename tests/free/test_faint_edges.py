"""Ends of bands: sharp, or said to fade out, with a bound of the mass that lies beyond."""

import numpy as np
import pytest

from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

SHARP = 1e-8


@pytest.fixture(scope="module")
def law():
    net = Network(
        7,
        "silu",
        weights=["gaussian"] * 2 + ["orthogonal"] * 3 + ["gaussian", "orthogonal"],
        weight_std=[
            1.946902316027843, 0.637022424696058, 0.5412413720006073, 1.3304702651268956,
            0.9571632380174764, 1.7354516274157448, 1.812672055759225,
        ],
        input_second_moment=1.3368448694338029,
        width_ratios=[1.25, 1.5, 2.5, 0.75, 1.25, 0.5, 1.5, 1.25],
    )  # fmt: skip
    return ConditionalFIM(net).law()


def remarks_about(law, edge):
    return [remark for remark in law.accuracy.remarks if repr(edge) in remark]


def test_an_edge_is_a_place_where_the_density_ends_or_has_a_remark(law):
    """Beside an edge of a square root |Im G| outside is rounding and the density goes to 0."""
    for left, right in law.bands:
        for edge, out in ((left, -1.0), (right, 1.0)):
            near = edge + out * 1e-6 * (right - left)
            ends = abs(law.cauchy(near).imag) < 1e-12 * abs(law.cauchy(near))
            within = law.pdf(edge - out * 1e-12 * (right - left))
            assert remarks_about(law, edge) or (ends and within < 1e-3 / (right - left))


def test_uncertain_edges_are_never_passed_over_in_silence(law):
    assert (law.accuracy.edge_residual > SHARP) == any(
        remarks_about(law, edge) for band in law.bands for edge in band
    )


def test_the_mass_between_faint_edges_is_bounded(law):
    """An integral of Im G over the gap, with nodes crowded at both faint ends."""
    bound = law.accuracy.mass_defect + law.accuracy.tail
    assert bound < 1e-9
    angle, step = np.linspace(0, np.pi, 81, retstep=True)
    for (_, left), (right, _) in zip(law.bands[:-1], law.bands[1:], strict=True):
        x = left + (right - left) * np.sin(angle[1:-1] / 2) ** 2
        density = np.array([-law.cauchy(point).imag for point in x]) / np.pi
        mass = step * np.sum(density * (right - left) * np.sin(angle[1:-1]) / 2)
        assert mass < bound


def test_a_law_far_below_the_tips_of_its_gates_keeps_its_band():
    """Here the scan from the left meets real solutions only beyond the mean."""
    law = ConditionalFIM(
        Network(
            30, "softplus", weights="orthogonal", weight_std=0.61, bias_std=0.07,
            input_second_moment=3.76, width_ratios=[
                0.91, 0.91, 2.45, 0.77, 2.55, 0.3, 0.48, 0.48, 0.51, 0.58, 2.04,
                2.86, 0.77, 0.36, 0.4, 1.4, 0.34, 1.08, 1.68, 1.12, 2.87, 0.7,
                1.88, 0.32, 1.01, 0.69, 2.03, 0.63, 0.45, 2.14, 1.6,
            ],
        )
    ).law()  # fmt: skip
    assert law.support[0] < law.mean() < law.support[1]
    assert law.accuracy.mass_defect < 1e-9
