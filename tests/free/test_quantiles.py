"""The quantile is the generalised inverse of the distribution function, to the last float."""

import numpy as np
import pytest

from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

NETWORKS = {
    "beside a quasi-atom": Network(
        2, "erf", weight_std=[1.2233810934609999, 1.6624479350013337],
        input_second_moment=7.848162300696722,
    ),
    "mass at the bottom": Network(2, "erf", weight_std=40.0),
    "many bands": Network(6, "hard_tanh"),
}  # fmt: skip


@pytest.mark.parametrize("name", NETWORKS)
def test_a_quantile_is_the_smallest_float_that_reaches_p(name):
    law = ConditionalFIM(NETWORKS[name]).law()
    p = np.concatenate([[1e-9, 1e-3, 0.1915], np.linspace(0.02, 0.98, 25)])
    x = law.icdf(p)
    assert np.all(law.cdf(x) >= p)
    assert np.all(law.cdf(np.nextafter(x, -np.inf)) < p)
