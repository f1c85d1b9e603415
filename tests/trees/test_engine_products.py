"""Products in one formula, sums of R-diagonal matrices, random trees: other roads, same law."""

from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

from freefim.free.trees.moments import tree_moments
from freefim.networks.activations import HardTanh
from freefim.networks.network import Network
from freefim.spectra.jacobian import Jacobian
from freefim.spectra.residual_jacobian import ResidualJacobian

PATH = Path(__file__).parents[2] / "validation" / "random_trees.py"
SPEC = spec_from_file_location("random_trees", PATH)
RANDOM = module_from_spec(SPEC)
SPEC.loader.exec_module(RANDOM)


def relu_jacobian(depth):
    net = Network(depth, "relu", weights="gaussian", weight_std=2**0.5, final_activation="relu")
    return Jacobian(net).law()


@pytest.mark.parametrize("depth", [2, 5, 20, 200])
def test_the_edge_of_relu_jacobians_is_a_root(depth):
    """z = (1 + m)(1 + 2m)^d / m has dz/dm = 0 where 2d m² + (2d - 2) m = 1."""
    m = (1 - depth + ((depth - 1) ** 2 + 2 * depth) ** 0.5) / (2 * depth)
    law = relu_jacobian(depth)
    assert law.atoms == ((0.0, 0.5),)
    assert law.support[1] == pytest.approx((1 + m) * (1 + 2 * m) ** depth / m, rel=1e-12)
    assert law.mean() == pytest.approx(1.0, rel=1e-12)


@pytest.mark.parametrize("depth", [2, 5, 20])
def test_the_density_of_relu_jacobians_is_the_parametrised_one(depth):
    """With 1 + 2m = r e^{iθ}: the root of the curve at x has the density Im m / -πx."""
    law = relu_jacobian(depth)
    x = np.linspace(0.02, 0.98, 25) * law.support[1]
    g = law.cauchy(x + 1e-3j)
    m = (x + 1e-3j) * g - 1
    curve = (1 + m) * (1 + 2 * m) ** depth / m
    assert np.abs(curve / (x + 1e-3j) - 1).max() < 1e-12 * depth
    near = -law.cauchy(x + 1e-12j).imag / np.pi
    assert np.abs(law.pdf(x) / near - 1).max() < 1e-8


@pytest.mark.parametrize(
    ("activation", "weights", "depth"),
    [(HardTanh(), "orthogonal", 4), ("relu", "orthogonal", 3), ("relu", "gaussian", 4)],
)
def test_moments_of_sampled_residual_jacobians(activation, weights, depth):
    net = Network(depth, activation, weights=weights, weight_std=1.1)
    residual = ResidualJacobian(net, 0.5)
    means, errors = residual.sample(300, 8, seed=3).moments(3)
    law = residual.law()
    for k, (mean, error) in enumerate(zip(means, errors, strict=True), 1):
        # finite width moves means by the order of 1/300
        assert abs(float(law.expect(lambda x, k=k: x**k)) - mean) <= 5 * error + k * mean / 300


@pytest.mark.parametrize("scale", [1, 1.5])
def test_moments_of_a_residual_block_of_tanh(scale):
    """By free cumulants; at scale 1.5 the block reaches 0."""
    law = ResidualJacobian(Network(2, "tanh"), scale).law()
    x, weights = law.solution.nodes()
    wanted = [float(moment) for moment in tree_moments(law, 4)]
    assert [weights @ x**k for k in range(1, 5)] == pytest.approx(wanted, rel=1e-11)


def test_random_trees_are_right_or_refused():
    verdicts = [
        "refused" if isinstance(law, str) else RANDOM.judge(law)[0]
        for law in RANDOM.random_trees(60)
    ]
    assert "wrong" not in verdicts
    assert verdicts.count("right") >= 0.9 * len(verdicts)
