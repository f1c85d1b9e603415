"""κ₁ and κ₂ of a thousand pairs (σ_w, σ_b) at depth 50, and of one network of a thousand layers.

    pytest validation/benchmarks/test_pairs_speed.py

Aims: under a second for closed forms, under 20 seconds for quadrature. Figures, not tests:
nothing here fails on time.
"""

import numpy as np
import pytest

from freefim.networks.activations import ShiftedReLU
from freefim.networks.network import Network
from freefim.networks.pairs import pair_order_parameters, scan_pairs

CLOSED = ["linear", "abs", "relu", "erf", "sine", "gelu", "hard_tanh", ShiftedReLU(0.3)]
QUADRATURE = ["tanh", "silu", "softplus", "elu"]


@pytest.mark.parametrize("phi", CLOSED + QUADRATURE, ids=str)
def test_a_thousand_pairs_at_depth_fifty(benchmark, phi):
    rng = np.random.default_rng(0)
    weight, bias = rng.uniform(0.5, 2.0, 1000), rng.uniform(0.0, 1.0, 1000)
    net = Network(50, phi)
    scan_pairs(net, weight[:2], bias[:2])  # tables
    scan = benchmark.pedantic(scan_pairs, (net, weight, bias), rounds=1 if phi in QUADRATURE else 3)
    assert scan.error <= 1e-9


@pytest.mark.parametrize("phi", ["relu", "hard_tanh", "tanh", "elu"])
def test_a_thousand_layers(benchmark, phi):
    net = Network(1000, phi, weight_std=1.2, bias_std=0.2)
    pair = benchmark.pedantic(lambda: pair_order_parameters(net.replace()), rounds=3)
    assert pair.error <= 1e-9
