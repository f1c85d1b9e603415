"""One replica against the bare LAPACK and BLAS calls it cannot avoid, on one thread.

Run ``pytest validation/benchmarks/test_sampler_speed.py``; the ratios are printed and stored as
``extra_info``. The bare calls are, for each layer after the first, QR with Q formed (Haar) and
the two products of W D H D Wᵀ, and once the eigenvalues; drawing random numbers, the forward
pass and everything else is the sampler's own expense. Activations are smooth, so that no unit
is dead and no product can be made smaller.
"""

import time

import numpy as np
import pytest
from scipy.linalg import lapack
from threadpoolctl import threadpool_limits

from freefim.montecarlo import sample_networks
from freefim.networks.network import Network

ROUNDS = 5


def bare_calls(weights, depth, width):
    rng = np.random.default_rng(0)
    gaussian = np.asfortranarray(rng.standard_normal((width, width)) / width**0.5)
    matrix = gaussian.T.copy()
    dual = matrix @ matrix.T + np.eye(width)
    workspace = 64 * width

    def run():
        for _ in range(depth - 1):
            if weights == "orthogonal":
                factor, tau, *_ = lapack.dgeqrf(gaussian, lwork=workspace)
                lapack.dorgqr(factor, tau, lwork=workspace, overwrite_a=1)
            product = matrix @ dual
            product @ matrix.T
        np.linalg.eigvalsh(dual)

    return run


@pytest.mark.parametrize(
    ("weights", "depth", "width"),
    [
        ("gaussian", 5, 512),
        ("gaussian", 5, 1000),
        ("gaussian", 30, 512),
        ("orthogonal", 5, 512),
        ("orthogonal", 5, 1000),
        ("orthogonal", 101, 512),
    ],
)
def test_replica_against_bare_calls(benchmark, capsys, weights, depth, width):
    net = Network(depth, "tanh", weights=weights)
    bare = bare_calls(weights, depth, width)
    seconds = []

    def time_bare():  # before each round of the sampler, so that both see the same machine
        start = time.perf_counter()
        bare()
        seconds.append(time.perf_counter() - start)

    with threadpool_limits(1, user_api="blas"):
        benchmark.pedantic(
            sample_networks, (net, width, 1), setup=time_bare, rounds=ROUNDS, warmup_rounds=1
        )
    if benchmark.stats is not None:
        ratio = benchmark.stats.stats.median / float(np.median(seconds))
        benchmark.extra_info["ratio_to_bare_calls"] = ratio
        with capsys.disabled():
            print(f"\n{weights}, depth {depth}, width {width}: {ratio:.2f} x the bare calls")
