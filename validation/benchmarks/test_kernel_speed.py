"""Kernels over many samples and residual Jacobians: solving a law, and a thousand densities of it.

    pytest validation/benchmarks/test_kernel_speed.py

Aim: a thousand densities of a tangent kernel of depth 3 in 100 ms once it is solved. Solving is
another figure: it finds the bands and the series of their densities. Figures, not tests: nothing
here fails on time.
"""

import pytest

from freefim.networks.network import Network
from freefim.spectra.neural_tangent_kernel import NeuralTangentKernel
from freefim.spectra.residual_jacobian import ResidualJacobian

TANGENT = NeuralTangentKernel(Network(3, "tanh", weights="gaussian"), 0.5)
RESIDUAL = {
    "one hard-tanh block": ResidualJacobian(Network(2, "hard_tanh", weights="gaussian"), 0.5),
    "three tanh blocks": ResidualJacobian(Network(4, "tanh"), 0.5),
}


def test_a_tangent_kernel_is_solved(benchmark):
    assert TANGENT.law().bands  # everything is loaded
    benchmark.pedantic(lambda: TANGENT.law().bands, rounds=5)


def test_a_thousand_densities_of_a_tangent_kernel(benchmark):
    law = TANGENT.law()
    x = law.grid(1000)
    assert (benchmark(law.pdf, x) >= 0).all()


@pytest.mark.parametrize("name", RESIDUAL)
def test_a_residual_jacobian_is_solved(benchmark, name):
    assert RESIDUAL[name].law().bands
    benchmark.pedantic(lambda: RESIDUAL[name].law().bands, rounds=3)
