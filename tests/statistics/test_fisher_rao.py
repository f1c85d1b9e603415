"""The Fisher-Rao norm: Euler's theorem, the papers' formula, sampled networks."""

import math

import numpy as np
import pytest

from freefim.networks.activations import LeakyReLU
from freefim.networks.network import Network
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.fisher_rao import fisher_rao_norm


def gaussian(depth, phi, weight, bias=0.0, **fields):
    """A network with the given variances σ_w², σ_b²."""
    stds = dict(weight_std=math.sqrt(weight), bias_std=math.sqrt(bias))
    return Network(depth, phi, weights="gaussian", **stds, **fields)


@pytest.mark.parametrize("phi", ["linear", "relu", "abs", LeakyReLU(0.3)], ids=repr)
@pytest.mark.parametrize("depth", [1, 2, 5, 30])
def test_euler(phi, depth):
    """θ·∇f = L f for a positively homogeneous network without bias."""
    net = gaussian(depth, phi, 1.3)
    want = depth**2 * net.order_parameters().preactivation_variances[-1]
    assert fisher_rao_norm(net) == pytest.approx(want, rel=1e-11)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "independent"),
    [("linear", 1, 0, 3), ("relu", 2, 0, 6), ("tanh", 3, 0, 6.35), ("tanh", 3, 0.64, 5.73)],
)
def test_the_formula_for_independent_parameters(phi, weight, bias, independent):
    st = FisherStatistics(gaussian(3, phi, weight, bias), width=100, samples=50, outputs=4)
    assert st.fisher_rao_norm_independent == pytest.approx(4 * independent, rel=2e-3)
    # at uniform width, σ_w² α C κ₁
    alpha = st.pair.alpha
    assert st.fisher_rao_norm_independent == pytest.approx(4 * weight * alpha * st.kappa1)


def test_the_independent_formula_is_no_bound():
    """It is L times too small for homogeneous networks."""
    st = FisherStatistics(gaussian(3, "relu", 2), width=100, samples=50, outputs=1)
    assert st.fisher_rao_norm == pytest.approx(3 * st.fisher_rao_norm_independent, rel=1e-11)


@pytest.mark.parametrize(
    ("phi", "weight", "bias", "measured", "error"),
    [
        ("linear", 1, 0, 8.76, 0.18),
        ("relu", 2, 0, 17.99, 0.72),
        ("tanh", 3, 0, 3.46, 0.07),
        ("tanh", 3, 0.64, 4.25, 0.15),
    ],
)
def test_measured_values(phi, weight, bias, measured, error):
    """300 networks each; two standard errors for the four of them."""
    assert fisher_rao_norm(gaussian(3, phi, weight, bias)) == pytest.approx(measured, abs=2 * error)


@pytest.mark.parametrize("phi", ["tanh", "hard_tanh", "silu"])
def test_sampled_networks(phi):
    """θ·∇f is the derivative of the output under a common growth of all parameters."""
    net, width, networks = gaussian(4, phi, 2.0, 0.3), 60, 1500
    rng = np.random.default_rng(1)
    squares = []
    for _ in range(networks):
        h, moved = rng.standard_normal(width), np.zeros(width)
        for layer in range(4):
            w = rng.standard_normal((1 if layer == 3 else width, width)) * math.sqrt(2 / width)
            b = rng.standard_normal(w.shape[0]) * math.sqrt(0.3)
            u, u_moved = w @ h + b, w @ (h + moved) + b
            if layer < 3:
                phi_l = net.activations[layer]
                h, moved = phi_l.function(u), phi_l.derivative(u) * u_moved
        squares.append(u_moved[0] ** 2)
    error = np.std(squares) / math.sqrt(networks)
    want = fisher_rao_norm(net)
    # beside the scatter, moments of a layer are off by O(1/width)
    assert np.mean(squares) == pytest.approx(want, abs=3.5 * error + 2 * want / width)
