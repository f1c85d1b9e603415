"""The duals of the statistics are Gram matrices of the real parameters, differentiated numerically.

The network is written out here a second time, on complex numbers, its normalisations included:
the complex step Im f(θ + ih)/h has no subtraction, so its error is at rounding.
"""

import math

import numpy as np
import pytest

from freefim.errors import ConvergenceError, SpecError
from freefim.montecarlo.gradients import GradientEnsemble, sample_gradients
from freefim.montecarlo.gradients_backprop import draw_parameters
from freefim.montecarlo.streams import replica_stream
from freefim.networks.network import Network

STEP = 1e-30
PHI = {"tanh": np.tanh, "sine": np.sin, "relu": lambda h: np.where(h.real > 0.0, h, 0.0)}


def standardized(u, kind, axis):
    u = u - u.mean(axis=axis, keepdims=True)
    return u if kind == "mean-subtraction" else u / np.sqrt((u * u).mean(axis=axis, keepdims=True))


def axis_of(kind):
    return 1 if kind == "layer-norm" else 0


def run(ensemble, name, weights, biases, x):
    """Outputs (N, C), normalised by all heads but the softmax, and the hidden layers."""
    features = [x]
    for layer, (w, b) in enumerate(zip(weights, biases, strict=True)):
        u = features[-1] @ w.T + b
        if layer + 1 < len(weights):
            kind = ensemble.hidden_norm
            u = u if kind is None else standardized(u, kind, axis_of(kind))
            features.append(PHI[name](u + ensemble.shift))
    for head in ensemble.heads:
        u = u if head == "softmax" else standardized(u, head, axis_of(head))
    return u, features


def drawn(ensemble, seed=0):
    rng = replica_stream(seed, 0)
    x = ensemble.draw_inputs(rng)
    return x, *draw_parameters(ensemble.recipe, rng)


def jacobian(ensemble, name):
    """Columns of derivatives of the outputs, rows k N + n, by all chosen parameters."""
    x, weights, biases = drawn(ensemble)
    net, columns = ensemble.net, []
    for layer in range(net.depth):
        if ensemble.variables not in ("parameters", "weights", layer + 1):
            continue
        scales = (
            float(net.weight_stds[layer]) / math.sqrt(ensemble.widths[layer]),
            float(net.bias_stds[layer]),
        )
        if net.parametrization == "standard":
            scales = 1.0, 1.0
        chosen = [(weights, scales[0])]
        if ensemble.variables == "parameters":
            chosen.append((biases, scales[1]))
        for group, scale in chosen:
            for place in np.ndindex(group[layer].shape):
                moved = [[np.array(m, dtype=complex) for m in part] for part in (weights, biases)]
                moved[0 if group is weights else 1][layer][place] += 1j * STEP
                f, _ = run(ensemble, name, *moved, x.astype(complex))
                columns.append(scale * f.imag.T.ravel() / STEP)
    return np.array(columns).T


def assert_gram(ensemble, name):
    dual, _ = ensemble.draw(replica_stream(0, 0))
    j = jacobian(ensemble, name)
    assert j.shape[1] == ensemble.dimension or ensemble.kernel
    gram = j @ j.T / (1 if ensemble.kernel else ensemble.samples)
    np.testing.assert_allclose(dual, gram, rtol=0, atol=1e-12 * max(np.abs(gram).max(), 1e-3))
    values = np.linalg.eigvalsh(gram)[::-1]
    assert np.abs(values[ensemble.rank :]).max(initial=0.0) <= 1e-12 * max(values[0], 1e-3)


def small(name="tanh", depth=3, bias=0.4, **fields):
    return Network(depth, name, weights="gaussian", weight_std=1.3, bias_std=bias, **fields)


@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
@pytest.mark.parametrize("name", PHI)
@pytest.mark.parametrize("ratios", [None, (0.75, 1.5, 1)])
@pytest.mark.parametrize("bias", [0.0, 0.4])
def test_dual_is_the_gram_matrix_of_all_gradients(parametrization, name, ratios, bias):
    net = small(name, bias=bias, parametrization=parametrization, width_ratios=ratios)
    assert_gram(GradientEnsemble(net, 4, 5, 3), name)
    assert_gram(GradientEnsemble(net, 4, 2, 1, input_correlation=0.7, kernel=True), name)


@pytest.mark.parametrize("kind", ["mean-subtraction", "batch-norm", "layer-norm"])
@pytest.mark.parametrize("outputs", [2, 4])
@pytest.mark.parametrize("samples", [2, 5])
def test_normalised_outputs_are_differentiated_through_their_deviation(kind, outputs, samples):
    assert_gram(GradientEnsemble(small(), 4, samples, outputs, heads=(kind,)), "tanh")


@pytest.mark.parametrize("kind", ["mean-subtraction", "batch-norm", "layer-norm"])
@pytest.mark.parametrize("name", PHI)
@pytest.mark.parametrize("shift", [0.0, 0.5])
def test_hidden_normalisation_is_differentiated_exactly(kind, name, shift):
    net = small(name, width_ratios=(1, 1.5, 1))
    ensemble = GradientEnsemble(net, 4, 5, 2, hidden_norm=kind, shift=shift)
    assert_gram(ensemble, name)
    assert_gram(GradientEnsemble(net, 4, 5, 2, variables=2, hidden_norm=kind, shift=shift), name)


def test_heads_stand_on_hidden_normalisation_and_on_each_other():
    for hidden in ("mean-subtraction", "batch-norm", "layer-norm"):
        heads = ("batch-norm", "layer-norm")
        assert_gram(GradientEnsemble(small(), 4, 5, 4, heads=heads, hidden_norm=hidden), "tanh")


@pytest.mark.parametrize("layer", [1, 2, 3, "weights"])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_blocks_of_the_layers_take_their_weights_alone(layer, parametrization):
    net = small(parametrization=parametrization, width_ratios=(0.75, 1.5, 1))
    assert_gram(GradientEnsemble(net, 4, 5, 3, variables=layer), "tanh")


@pytest.mark.parametrize("heads", [("softmax",), ("mean-subtraction", "softmax")])
def test_softmax_has_the_eigenvalues_of_its_fisher_information(heads):
    """Σ_n J_nᵀ(diag g - g gᵀ)J_n / N, P×P, against the dual."""
    ensemble = GradientEnsemble(small(), 3, 4, 3, heads=heads)
    j = jacobian(ensemble, "tanh").reshape(3, 4, -1)
    x, weights, biases = drawn(ensemble)
    f, _ = run(ensemble, "tanh", weights, biases, x)
    g = np.exp(f) / np.exp(f).sum(axis=1, keepdims=True)
    fisher = sum(j[:, n].T @ (np.diag(g[n]) - np.outer(g[n], g[n])) @ j[:, n] for n in range(4)) / 4
    dual, _ = ensemble.draw(replica_stream(0, 0))
    want = np.linalg.eigvalsh(fisher)[-12:]
    np.testing.assert_allclose(np.linalg.eigvalsh(dual), want, rtol=0, atol=1e-12 * want[-1])


@pytest.mark.parametrize(("variables", "layers"), [("features", (0, 1, 2)), ("input", (0,))])
@pytest.mark.parametrize("hidden", [None, "layer-norm"])
def test_feature_metric_and_its_dual_share_their_eigenvalues(variables, layers, hidden):
    """Derivatives by h^l, from the network cut there; the metric is the P×P matrix."""
    ensemble = GradientEnsemble(
        small(width_ratios=(0.75, 1.5, 1)), 4, 3, 2, variables=variables, hidden_norm=hidden
    )
    x, weights, biases = drawn(ensemble)
    _, features = run(ensemble, "tanh", weights, biases, x)
    blocks = []
    for layer in layers:
        upper = GradientEnsemble(small(depth=3 - layer), 4, 3, 2, hidden_norm=hidden)
        for unit in range(features[layer].shape[1]):
            h = features[layer].astype(complex)
            h[:, unit] += 1j * STEP
            f, _ = run(upper, "tanh", weights[layer:], biases[layer:], h)
            blocks.append(f.imag.T.ravel() / STEP)
    j = np.array(blocks).T
    assert j.shape[1] == ensemble.dimension
    dual, (measured,) = ensemble.draw(replica_stream(0, 0))
    np.testing.assert_allclose(dual, j @ j.T / 3, rtol=0, atol=1e-12 * np.abs(dual).max())
    metric = j.T @ j / 3
    want = np.linalg.eigvalsh(metric)[::-1][: ensemble.rank]
    got = np.linalg.eigvalsh(dual)[::-1][: ensemble.rank]
    np.testing.assert_allclose(got, want, rtol=0, atol=1e-12 * want[0])
    # the overlap from the eigenvectors of the metric itself
    means = np.linalg.qr(j.reshape(2, 3, -1).mean(axis=1).T)[0]
    top = np.linalg.eigh(metric)[1][:, -2:]
    assert measured.overlap == pytest.approx(np.square(means.T @ top).sum() / 2, abs=1e-10)


def test_overlap_of_the_whole_is_that_of_the_parameter_space():
    ensemble = GradientEnsemble(small("relu"), 5, 6, 2)
    j = jacobian(ensemble, "relu")
    _, (measured,) = ensemble.draw(replica_stream(0, 0))
    means = np.linalg.qr(j.reshape(2, 6, -1).mean(axis=1).T)[0]
    top = np.linalg.svd(j)[2][:2].T
    assert measured.overlap == pytest.approx(np.square(means.T @ top).sum() / 2, abs=1e-10)


@pytest.mark.parametrize("hidden", [None, "batch-norm", "layer-norm"])
@pytest.mark.parametrize("parametrization", ["standard", "ntk"])
def test_fisher_rao_norms_are_those_of_the_parameters(hidden, parametrization):
    """θᵀFθ with F from the Jacobian; the independent one replaces θθᵀ by its mean."""
    net = small(parametrization=parametrization)
    ensemble = GradientEnsemble(net, 4, 5, 2, hidden_norm=hidden)
    plain = ensemble.net.replace(parametrization="standard")
    _, weights, biases = drawn(ensemble)
    j = jacobian(GradientEnsemble(plain, 4, 5, 2, hidden_norm=hidden), "tanh")
    _, (measured,) = ensemble.draw(replica_stream(0, 0))
    theta, is_weight, variance = [], [], []
    for w, b in zip(weights, biases, strict=True):
        theta += [*w.ravel(), *b]
        is_weight += [1.0] * w.size + [0.0] * b.size
        variance += [1.3**2 / w.shape[1]] * w.size + [0.0] * b.size
    alone = np.array(theta) * is_weight
    assert measured.fisher_rao_norm == pytest.approx(np.square(j @ theta).sum() / 5, rel=1e-11)
    assert measured.fisher_rao_norm_weights == pytest.approx(
        np.square(j @ alone).sum() / 5, rel=1e-11
    )
    assert measured.fisher_rao_norm_independent == pytest.approx(
        (np.square(j) @ variance).sum() / 5, rel=1e-11
    )


def test_order_parameters_are_those_of_the_sample():
    """q̃ is a sum over units, not a mean: that of the output is 1."""
    ensemble = GradientEnsemble(small(width_ratios=(0.75, 1.5, 1)), 8, 6, 3)
    x, weights, biases = drawn(ensemble)
    _, features = run(ensemble, "tanh", weights, biases, x)
    _, (measured,) = ensemble.draw(replica_stream(0, 0))
    for layer, h in enumerate(features):
        inner = h @ h.T / h.shape[1]
        assert measured.second_moments[layer] == pytest.approx(np.diag(inner).mean(), rel=1e-13)
        pairs = inner[~np.eye(6, dtype=bool)].mean()
        assert measured.cross_moments[layer] == pytest.approx(pairs, rel=1e-11)
    delta = weights[2][:, None] * (1 - np.tanh(features[1] @ weights[1].T + biases[1]) ** 2)
    inner = delta @ delta.transpose(0, 2, 1)
    assert measured.backward_moments[1:] == pytest.approx(
        (np.trace(inner, axis1=1, axis2=2).mean() / 6, 1.0), rel=1e-12
    )
    assert measured.backward_cross_moments[1:] == pytest.approx(
        (inner[:, ~np.eye(6, dtype=bool)].mean(), 1.0), rel=1e-12
    )


@pytest.mark.parametrize("hidden", [None, "batch-norm", "layer-norm"])
@pytest.mark.parametrize("weights", ["gaussian", "orthogonal"])
def test_depth_one_and_orthogonal_weights(hidden, weights):
    for depth in (1, 2):
        net = Network(depth, "tanh", weights=weights, bias_std=0.3, width_ratios=(1, 1.5)[:depth])
        assert_gram(GradientEnsemble(net, 4, 3, 2, hidden_norm=hidden), "tanh")


def test_data_are_scaled_to_the_norm_of_the_network():
    data = np.random.default_rng(0).standard_normal((5, 4)) * np.arange(1, 6)[:, None]
    net = small(input_second_moment=2.5)
    x = GradientEnsemble(net, 4, 5, 2, input_correlation=data).draw_inputs(replica_stream(0, 0))
    np.testing.assert_allclose(np.square(x).mean(axis=1), 2.5, rtol=1e-14)
    np.testing.assert_allclose(np.cross(x[:, :3], data[:, :3]), 0.0, atol=1e-13)


@pytest.mark.parametrize("correlation", [-1 / 7, -0.05, 0.0, 0.3, 1.0])
def test_gaussian_inputs_have_the_correlation_asked_for(correlation):
    net = Network(1, "tanh", weights="gaussian", input_second_moment=2.0)
    ensemble = GradientEnsemble(net, 20_000, 8, 1, input_correlation=correlation)
    x = ensemble.draw_inputs(replica_stream(3, 0))
    want = 2.0 * ((1 - correlation) * np.eye(8) + correlation)
    # the standard error of an inner product is at most 2 sqrt(2 / 20000) = 0.02
    np.testing.assert_allclose(x @ x.T / 20_000, want, atol=0.08)


SPEC = [
    (dict(samples=0), "samples must be an integer >= 1, got 0"),
    (dict(outputs=0), "outputs must be an integer >= 1, got 0"),
    (dict(width=0), "width must be an integer >= 1, got 0"),
    (
        dict(heads=("batch-norm",), samples=1),
        "at least two samples to be normalised over them, got samples=1",
    ),
    (dict(heads=("batch-norm",), input_correlation=1.0), "that are all alike"),
    (dict(hidden_norm="batch-norm", input_correlation=np.ones((5, 4))), "that are all alike"),
    (dict(hidden_norm="mean-subtraction", input_correlation=1.0), "that are all alike"),
    (dict(heads=("mean-subtraction", "layer-norm"), input_correlation=1.0), "all alike"),
    (dict(heads=("layer-norm",), outputs=1), "outputs must be >= 2 for layer-norm, got 1"),
    (dict(heads=("batchnorm",)), "heads must be .* got 'batchnorm'"),
    (dict(heads=("softmax", "batch-norm")), "no head after the softmax"),
    (dict(variables=4), r"variables must be a layer 1..3, got 4"),
    (dict(variables="features", hidden_norm="batch-norm"), "no feature belongs to one sample"),
    (dict(input_correlation=-0.5), r"input_correlation must be within \[-0.25, 1\]"),
    (dict(input_correlation=np.zeros((5, 4))), "no zero row"),
    (dict(input_correlation=[[1.0], [1.0, 2.0]]), "data must be a matrix of numbers"),
    (dict(input_correlation="data.npy"), "input_correlation must be a finite real number"),
    (dict(net="relu"), "net must be a Network, got 'relu'"),
    (dict(net=small(final_activation="tanh")), "final_activation must be None"),
    (dict(net=small(width_ratios=(1, 1, 1, 1))), "width_ratios must have the 3 entries"),
    (dict(hidden_norm="layer-norm", width=1), "two units or more, got 1"),
    (dict(shift=np.nan), "shift must be a finite real number, got nan"),
    (dict(input_correlation=np.ones((4, 4))), r"shape \(samples, M_0\) = \(5, 4\), got"),
]


@pytest.mark.parametrize(("fields", "message"), SPEC, ids=lambda v: str(v)[:40])
def test_bad_input_gets_one_sentence(fields, message):
    with pytest.raises(SpecError, match=message):
        GradientEnsemble(**{"net": small(), "width": 4, "samples": 5, "outputs": 2} | fields)


def test_samples_that_are_all_alike_are_centred_to_nothing():
    """Zero up to the rounding of a matrix of the size of the one without a head."""
    ensembles = [
        GradientEnsemble(small(), 4, 5, 2, input_correlation=1.0, heads=heads)
        for heads in ((), "mean-subtraction", ("mean-subtraction", "softmax"))
    ]
    tops = [np.abs(sample_gradients(e, 1)[0].eigenvalues).max() for e in ensembles]
    assert max(tops[1:]) < 1e-14 * tops[0]


def test_dead_units_are_named_where_they_are_divided_by_their_deviation():
    """A ReLU network whose first layer is dead everywhere has constant outputs."""
    ensemble = GradientEnsemble(small("relu", bias=0.0), 4, 5, 2, heads=("batch-norm",), shift=-1e3)
    with pytest.raises(ConvergenceError, match="do not vary"):
        sample_gradients(ensemble, 1)
