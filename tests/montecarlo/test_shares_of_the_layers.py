"""The whole dual is the sum of its layers' shares; the input's share is J Jᵀ of the signal path."""

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.montecarlo import sample_networks
from freefim.montecarlo.dual import dual_matrix
from freefim.montecarlo.streams import replica_stream
from freefim.networks.activations import HardTanh
from freefim.networks.network import Network

NETWORKS = {
    "gaussian tanh": Network(4, "tanh", weights="gaussian", weight_std=1.3, bias_std=0.2),
    "rectangular": Network(
        3, HardTanh(), weight_std=1.1, width_ratios=(0.5, 1.0, 1.5, 0.5), parametrization="ntk"
    ),
    "final activation": Network(2, "gelu", final_activation="tanh"),
}


def share(net, layers, x=None):
    return dual_matrix(net, 8, x, layers, replica_stream(5, 0))[0]


@pytest.mark.parametrize("name", NETWORKS)
def test_the_shares_of_the_layers_add_up(name):
    net = NETWORKS[name]
    every = range(1, net.depth + 1)
    total = sum(share(net, (layer,)) for layer in every)
    np.testing.assert_allclose(total, share(net, every), rtol=0, atol=1e-13 * np.abs(total).max())


@pytest.mark.parametrize("name", NETWORKS)
def test_the_share_of_the_input_is_the_jacobian_of_the_signal(name):
    """Without biases the preactivations of a fixed x are the network's; derivatives by x."""
    net = NETWORKS[name].replace(bias_std=0.0)
    size = net.widths(8)[0]
    x = np.linspace(-1.0, 1.2, size)

    def output(v):
        rng = replica_stream(5, 0)
        from freefim.montecarlo import replica_kernels as kernels

        widths = net.widths(8)
        for layer, ensemble in enumerate(net.ensembles):
            draw = kernels.haar_weights if ensemble == "orthogonal" else kernels.gaussian_weights
            v = draw(rng, widths[layer + 1], widths[layer], float(net.weight_stds[layer])) @ v
            phi = net.final_activation if layer == net.depth - 1 else net.activations[layer]
            v = v if phi is None else phi.function(v)
        return v

    step = 1e-5
    columns = [(output(x + step * e) - output(x - step * e)) / (2 * step) for e in np.eye(size)]
    jacobian = np.array(columns).T
    np.testing.assert_allclose(share(net, (0,), x), jacobian @ jacobian.T, rtol=0, atol=1e-8)


@pytest.mark.parametrize("layers", [(), (5,), (-1, 1)])
def test_layers_that_are_not_there_are_refused(layers):
    with pytest.raises(SpecError, match=r"layers must be of 0, …, 4, at least one"):
        sample_networks(NETWORKS["gaussian tanh"], 8, 1, layers=layers)
