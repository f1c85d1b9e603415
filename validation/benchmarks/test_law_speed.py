"""A law and 1,000 density values, warm, from a `Network`; process starts, cold and warm.

    pytest validation/benchmarks/test_law_speed.py

Each figure stands beside the physical limit: about 40 complex flops per level and point for
chains of projections (two evaluations of value and derivative), a microsecond per leaf and sweep
for smooth gates. Figures, not tests: nothing here fails on time.
"""

import os
import subprocess
import sys
import tempfile

import numpy as np
import pytest

import freefim as ff


def comb(depth: int) -> ff.Network:
    """Hard-tanh at a fixed point with 1/α - 1 = 1/4 / depth: a comb of bands below an atom."""
    from scipy.special import erfinv

    alpha = 1 / (1 + 0.25 / depth)
    critical = ff.critical_initialization(ff.HardTanh(2**0.5 * float(erfinv(alpha))), 1.0)
    second_moment = (1.0 - critical.bias_std**2) / critical.weight_std**2
    return ff.Network(
        depth,
        ff.HardTanh(2**0.5 * float(erfinv(alpha))),
        weight_std=critical.weight_std,
        bias_std=critical.bias_std,
        input_second_moment=second_moment,
    )


NETWORKS = {
    **{f"hard tanh comb {depth}": comb(depth) for depth in (5, 20, 100, 1000)},
    **{
        f"orthogonal relu {d}": ff.Network(d, "relu", weight_std=2**0.5) for d in (5, 20, 100, 1000)
    },
    **{
        f"gaussian relu {d}": ff.Network(d, "relu", weights="gaussian", weight_std=2**0.5)
        for d in (5, 20, 100, 1000)
    },
    **{f"orthogonal tanh {d}": ff.Network(d, "tanh", weight_std=1.05) for d in (5, 50)},
    **{f"gaussian tanh {d}": ff.Network(d, "tanh", weights="gaussian") for d in (5, 50)},
}


@pytest.mark.parametrize("name", NETWORKS)
def test_law_and_a_thousand_densities(benchmark, name):
    net = NETWORKS[name]
    low, high = ff.ConditionalFIM(net).law().support
    x = np.linspace(low, high, 1000)

    def run() -> np.ndarray:
        # a new description each time: order parameters are part of the figure
        return ff.ConditionalFIM(net.replace()).law().pdf(x)

    benchmark(run)
    flops = 2 * 20 * net.depth * x.size * 4
    benchmark.extra_info["seconds at 4 Gflop/s"] = flops / 4e9


JACOBIANS = {
    **{
        f"{weights} relu {d}": ff.Network(
            d, "relu", weights=weights, weight_std=2**0.5, final_activation="relu"
        )
        for weights in ("gaussian", "orthogonal")
        for d in (5, 20, 200, 1000)
    },
    **{f"hard tanh {d}": ff.Network(d, ff.HardTanh(3.0)) for d in (5, 20, 200, 1000)},
    **{f"orthogonal tanh {d}": ff.Network(d, "tanh", weight_std=1.05) for d in (5, 50)},
}


@pytest.mark.parametrize("name", JACOBIANS)
def test_jacobian_and_a_thousand_densities(benchmark, name):
    """The limit of two-point gates: a logarithm and a reciprocal, 60 ns, per distinct factor."""
    net = JACOBIANS[name]
    law = ff.Jacobian(net).law()
    x = np.linspace(*law.bands[-1], 1000)
    benchmark(lambda: ff.Jacobian(net.replace()).law().pdf(x))
    distinct = 1 if "relu" in name else net.depth - 1
    # the zero, the pole and the factors
    benchmark.extra_info["seconds at 60 ns a factor"] = 60e-9 * (2 + distinct) * x.size


FIRST_LAW = "import freefim as ff; ff.ConditionalFIM(ff.Network(5, {!r})).law().pdf(1.0)"


@pytest.mark.parametrize("activation", ["hard_tanh", "tanh"])
@pytest.mark.parametrize("cache", ["cold", "warm"])
def test_first_law_in_a_fresh_process(benchmark, activation, cache):
    with tempfile.TemporaryDirectory() as folder:
        environment = os.environ | {"NUMBA_CACHE_DIR": folder}
        command = [sys.executable, "-c", FIRST_LAW.format(activation)]
        if cache == "warm":
            subprocess.run(command, env=environment, check=True)
        benchmark.pedantic(
            lambda: subprocess.run(command, env=environment, check=True),
            rounds=1 if cache == "cold" else 5,
        )


@pytest.mark.parametrize("module", ["numpy", "numpy, freefim"])
def test_import(benchmark, module):
    command = [sys.executable, "-c", f"import {module}"]
    benchmark.pedantic(lambda: subprocess.run(command, check=True), rounds=7, warmup_rounds=1)
