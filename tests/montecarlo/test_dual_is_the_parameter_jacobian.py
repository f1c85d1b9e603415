"""The dual that the sampler builds is J Jᵀ of the real parameters, differentiated numerically.

J comes from the complex step Im f(θ + ih)/h on a network written out here: no subtraction, so
its error is at rounding.
"""

import numpy as np
import pytest

from freefim.montecarlo.dual import dual_matrix
from freefim.montecarlo.replica_kernels import gaussian_weights, haar_weights
from freefim.montecarlo.streams import replica_stream
from freefim.networks.network import Network

STEP = 1e-30
COMPLEX = {"tanh": np.tanh, "sine": np.sin, None: lambda h: h}
RATIOS = {
    "square": None,
    "rectangular": [1, 1.5, 0.75, 1.25, 0.5],
    "growing": [0.5, 0.75, 1, 1.25, 1.5],
}


def drawn_parameters(net, width, rng):
    """Repeat the draws of the sampler: per layer the weights, then the biases if there are any."""
    widths = net.widths(width)
    parameters = []
    for layer, ensemble in enumerate(net.ensembles):
        draw = haar_weights if ensemble == "orthogonal" else gaussian_weights
        weights = draw(rng, widths[layer + 1], widths[layer], float(net.weight_stds[layer]))
        bias_std = float(net.bias_stds[layer])
        biases = bias_std * rng.standard_normal(widths[layer + 1]) if bias_std else None
        parameters.append((weights, biases))
    return parameters


def output(parameters, names, x):
    for (weights, biases), name in zip(parameters, names, strict=True):
        x = COMPLEX[name](weights @ x + (0 if biases is None else biases))
    return x


def jacobian(net, parameters, names, x):
    """One column for each weight and each bias, in the units of the parametrisation."""
    columns = []
    for layer, pair in enumerate(parameters):
        units = (1.0, 1.0)
        if net.parametrization == "ntk":
            fan_in = pair[0].shape[1]
            units = (float(net.weight_stds[layer]) / fan_in**0.5, float(net.bias_stds[layer]))
        for part, values in enumerate(pair):
            for place in np.ndindex((0,) if values is None else values.shape):
                moved = [list(other) for other in parameters]
                moved[layer][part] = values.astype(complex)
                moved[layer][part][place] += 1j * STEP * units[part]
                columns.append(output(moved, names, x).imag / STEP)
    return np.array(columns).T


def assert_dual_is_the_gram_matrix(net, names, width, x):
    dual, _ = dual_matrix(net, width, x, range(1, net.depth + 1), replica_stream(3, 1))
    parameters = drawn_parameters(net, width, replica_stream(3, 1))
    j = jacobian(net, parameters, names, x)
    gram = j @ j.T / (width if net.parametrization == "standard" else 1)
    np.testing.assert_allclose(dual, gram, rtol=0, atol=1e-13 * np.abs(gram).max())


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
@pytest.mark.parametrize("bias_std", [0.0, (0.4, 0.0, 1.3, 0.2)])
@pytest.mark.parametrize("ratios", RATIOS)
@pytest.mark.parametrize("final", [None, "sine"])
def test_dual_equals_the_gram_matrix_of_the_parameter_jacobian(
    parametrization, weights, bias_std, ratios, final
):
    net = Network(
        depth=4,
        activation="tanh",
        weights=weights,
        weight_std=(1.1, 0.7, 1.6, 1.3),
        bias_std=bias_std,
        width_ratios=RATIOS[ratios],
        parametrization=parametrization,
        final_activation=final,
    )
    x = np.linspace(-1.0, 1.5, net.widths(4)[0])
    assert_dual_is_the_gram_matrix(net, ["tanh"] * 3 + [final], 4, x)


@pytest.mark.parametrize("width", [1, 3, 6])
@pytest.mark.parametrize("depth", [1, 2, 3])
def test_every_depth_and_mixed_layers_agree_with_the_jacobian(width, depth):
    hidden = ["tanh", "sine"][: depth - 1]
    ensembles = ["orthogonal", "gaussian", "orthogonal"][:depth]
    net = Network(depth, hidden, weights=ensembles, bias_std=0.5)
    assert_dual_is_the_gram_matrix(net, [*hidden, None], width, np.arange(1.0, width + 1.0))


def test_relu_dual_agrees_with_central_differences():
    """Piecewise linear, so central differences are exact to rounding/step off the kinks."""
    net = Network(3, "relu", weight_std=2**0.5)
    x = np.linspace(-1.0, 1.5, 5)
    dual, _ = dual_matrix(net, 5, x, range(1, 4), replica_stream(0, 0))
    weights = [pair[0] for pair in drawn_parameters(net, 5, replica_stream(0, 0))]

    def forward(matrices):
        first, second, third = matrices
        return third @ np.maximum(second @ np.maximum(first @ x, 0), 0)

    step = 2.0**-20
    columns = []
    for layer in range(3):
        for place in np.ndindex(5, 5):
            sides = []
            for sign in (1, -1):
                moved = [matrix.copy() for matrix in weights]
                moved[layer][place] += sign * step
                sides.append(forward(moved))
            columns.append((sides[0] - sides[1]) / (2 * step))
    j = np.array(columns).T
    np.testing.assert_allclose(dual, j @ j.T / 5, rtol=0, atol=1e-8)
