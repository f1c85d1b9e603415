"""Gradient descent of sampled networks: its gradient, its threshold, and the trap behind it."""

import numpy as np
import pytest

from freefim.errors import SpecError
from freefim.montecarlo.gradients import GradientEnsemble
from freefim.montecarlo.gradients_backprop import Parameters, draw_parameters
from freefim.montecarlo.gradients_descent import descend, perturbed_descent
from freefim.montecarlo.streams import replica_stream
from freefim.networks.network import Network

TANH = Network(3, "tanh", weights="gaussian", weight_std=3**0.5, bias_std=0.8)
RELU = Network(3, "relu", weights="gaussian", weight_std=2**0.5, bias_std=0.1**0.5)


def start(ensemble, seed=0):
    rng = replica_stream(seed, 0)
    x = ensemble.draw_inputs(rng)
    parameters = draw_parameters(ensemble.recipe, rng)
    targets = rng.random((ensemble.samples, ensemble.outputs))
    return x, parameters, targets / targets.sum(axis=1, keepdims=True)


@pytest.mark.parametrize(
    ("heads", "hidden"),
    [
        ((), None),
        (("mean-subtraction",), None),
        (("batch-norm",), "layer-norm"),
        (("layer-norm",), "batch-norm"),
        (("softmax",), "mean-subtraction"),
        (("mean-subtraction", "softmax"), None),
    ],
)
def test_a_step_is_minus_the_gradient_of_the_loss(heads, hidden):
    ensemble = GradientEnsemble(TANH, 4, 5, 3, heads=heads, hidden_norm=hidden)
    x, parameters, y = start(ensemble)
    rate, step = 1e-3, 1e-5
    after = descend(ensemble, parameters, x, y, rate, 1).parameters

    def loss(group, layer, place, shift):
        moved = [[matrix.copy() for matrix in part] for part in parameters]
        moved[group][layer][place] += shift
        return descend(ensemble, Parameters(*map(tuple, moved)), x, y, rate, 0).losses[0]

    for group in (0, 1):
        for layer in range(3):
            taken = (parameters[group][layer] - after[group][layer]) / rate
            for place in np.ndindex(taken.shape):
                slope = loss(group, layer, place, step) - loss(group, layer, place, -step)
                # relative to losses of order 1: rounding 1e-11, third derivatives 1e-9
                assert taken[place] == pytest.approx(slope / (2 * step), abs=3e-8)


def test_losses_are_squares_and_cross_entropies():
    ensemble = GradientEnsemble(TANH, 4, 5, 3)
    x, parameters, y = start(ensemble)
    h = x
    for layer, (w, b) in enumerate(zip(*parameters, strict=True)):
        h = h @ w.T + b
        h = np.tanh(h) if layer < 2 else h
    loss = descend(ensemble, parameters, x, y, 0.1, 0).losses[0]
    assert loss == pytest.approx(np.square(h - y).sum() / 10, rel=1e-14)
    softmax = GradientEnsemble(TANH, 4, 5, 3, heads=("softmax",))
    g = np.exp(h) / np.exp(h).sum(axis=1, keepdims=True)
    loss = descend(softmax, parameters, x, y, 0.1, 0).losses[0]
    assert loss == pytest.approx(-(y * np.log(g)).sum() / 5, rel=1e-13)


@pytest.mark.parametrize("network", [TANH, RELU], ids=["tanh", "relu"])
@pytest.mark.parametrize("heads", [(), ("mean-subtraction",), ("batch-norm",)], ids=str)
@pytest.mark.parametrize("momentum", [0.0, 0.5])
def test_the_critical_rate_is_sharp_near_a_minimum(network, heads, momentum):
    """Growth of a small error over few steps: none below the critical rate, fast above it."""
    ensemble = GradientEnsemble(network, 100, 50, 1, heads=heads)
    below, above = (
        perturbed_descent(ensemble, fraction, 150, 1e-7, momentum, seed=3)
        for fraction in (0.95, 1.1)
    )
    # momentum overshoots a little before it converges
    assert below.growth < (1.0 + 1e-9 if momentum == 0.0 else 4.0)
    assert below.losses[-1] < below.losses[0]
    assert above.growth > 1e3


def test_the_ntk_parametrisation_has_the_threshold_of_its_kernel():
    ensemble = GradientEnsemble(TANH.replace(parametrization="ntk"), 100, 50, 1)
    growths = [perturbed_descent(ensemble, c, 150, 1e-7).growth for c in (0.95, 1.1)]
    assert growths[0] < 1.0 + 1e-9
    assert growths[1] > 1e3


def test_a_finite_last_loss_does_not_mean_a_stable_rate():
    """The catapult: the loss grows a millionfold, then falls in a flatter region."""
    ensemble = GradientEnsemble(TANH, 100, 50, 1)
    run = perturbed_descent(ensemble, 1.5, 2000, 1e-4, seed=1)
    assert run.growth > 1e6
    assert not run.diverged
    assert run.losses[-1] < 1e-2 * run.losses.max()


def test_divergence_ends_the_run():
    ensemble = GradientEnsemble(RELU, 20, 10, 1)
    run = perturbed_descent(ensemble, 100.0, 500)
    assert run.diverged
    assert run.losses.size < 501
    assert not np.isnan(run.losses).any()


def test_cross_entropy_training_keeps_the_metric_and_empties_that_of_the_softmax():
    """λ_max of the regression stays; that of the softmax falls as predictions become certain."""
    softmax = GradientEnsemble(TANH, 400, 20, 2, heads=("softmax",))
    plain = GradientEnsemble(TANH, 400, 20, 2)
    x, parameters, _ = start(softmax, seed=2)
    labels = np.eye(2)[replica_stream(9, 0).integers(2, size=20)]

    def tops(at):
        from freefim.montecarlo.gradients_backprop import forward

        layers = forward(plain.recipe, at, x)
        return [
            np.linalg.eigvalsh(ensemble.dual(at, layers, at.weights)[0])[-1]
            for ensemble in (plain, softmax)
        ]

    run = descend(softmax, parameters, x, labels, 2.0 / tops(parameters)[1], 600)
    (before, soft_before), (after, soft_after) = tops(parameters), tops(run.parameters)
    assert run.losses[-1] < 0.05 * run.losses[0]
    assert 0.5 < after / before < 2.0
    assert soft_after < 0.2 * soft_before


@pytest.mark.parametrize(
    ("change", "message"),
    [
        (dict(fraction=0.0), "fraction must be > 0, got 0.0"),
        (dict(steps=-1), "steps must be an integer >= 0, got -1"),
        (dict(error=0.0), "error must be > 0, got 0.0"),
        (dict(momentum=-0.1), "momentum must be >= 0, got -0.1"),
    ],
)
def test_bad_input_is_named(change, message):
    fields = dict(fraction=0.5, steps=1) | change
    with pytest.raises(SpecError, match=message):
        perturbed_descent(GradientEnsemble(TANH, 5, 3, 1), **fields)


def test_targets_must_fit():
    ensemble = GradientEnsemble(TANH, 5, 3, 1)
    x, parameters, _ = start(ensemble)
    with pytest.raises(SpecError, match=r"targets must have the shape .* = \(3, 1\), got"):
        descend(ensemble, parameters, x, np.zeros((1, 3)), 0.1, 1)
    with pytest.raises(SpecError, match="heads must be without softmax"):
        perturbed_descent(GradientEnsemble(TANH, 5, 3, 2, heads=("softmax",)), 0.5, 1)
