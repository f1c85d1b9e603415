r"""Gradient descent of sampled networks: where the step 2/λ_max stops to be stable.

The loss is :math:`\frac1{2N}\sum_n|f(n)-y(n)|^2`, or the cross-entropy
:math:`-\frac1N\sum_n\sum_ky_k(n)\log g_k(n)` of a softmax. At zero error the Fisher information is
the Hessian of the first. The threshold is local: a larger step may blow the loss up, land in a
flatter region and converge there; hence stability shows in the growth of a small error over few
steps, never in the last loss.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.montecarlo.empirical import read_only
from freefim.montecarlo.gradients_backprop import Parameters, backward, draw_parameters, forward
from freefim.montecarlo.gradients_heads import apply_head
from freefim.montecarlo.sampler import require_integer
from freefim.montecarlo.streams import replica_stream
from freefim.montecarlo.threads import ONE_BLAS_THREAD
from freefim.networks.checks import nonnegative, positive

if TYPE_CHECKING:
    from freefim.montecarlo.gradients_ensemble import GradientEnsemble

__all__ = ["Descent", "descend", "perturbed_descent"]

Array = NDArray[np.float64]

# A loss beyond it ends the descent: what follows is overflow.
_DIVERGED = 1e30


@dataclass(frozen=True, eq=False)
class Descent:
    """A run of gradient descent.

    Attributes
    ----------
    losses : ndarray, shape (steps taken + 1,)
        Loss before every step and after the last one; it ends at the first above 1e30.
    parameters : Parameters
        Where it ended.
    learning_rate : float
        The step.
    """

    losses: Array
    parameters: Parameters
    learning_rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "losses", read_only(self.losses))

    @property
    def growth(self) -> float:
        """Largest loss over the first one."""
        return float(self.losses.max() / self.losses[0])

    @property
    def diverged(self) -> bool:
        """Whether the loss left all bounds."""
        return not self.losses[-1] < _DIVERGED


def descend(
    ensemble: "GradientEnsemble",
    parameters: Parameters,
    inputs: Array,
    targets: Array,
    learning_rate: float,
    steps: int,
    momentum: float = 0.0,
) -> Descent:
    r"""Full-batch gradient descent by all weights and biases.

    Parameters
    ----------
    ensemble : GradientEnsemble
        The network with its heads and hidden normalisation.
    parameters : Parameters
        The start.
    inputs : ndarray, shape (N, M_0)
        The samples.
    targets : ndarray, shape (N, C)
        y; class probabilities for a softmax.
    learning_rate : float
        > 0; in the NTK parametrisation that of :math:`\omega` and :math:`\beta`.
    steps : int
        At least 0.
    momentum : float
        :math:`\mu\ge0` of the heavy ball.

    Returns
    -------
    Descent
        Losses and the end.

    Raises
    ------
    SpecError
        If an argument is out of range.

    Examples
    --------
    A linear layer on one sample is a quadratic bowl; the step 1/λ reaches its bottom at once.

    >>> from freefim.montecarlo.gradients_ensemble import GradientEnsemble
    >>> from freefim.networks.network import Network
    >>> bowl = GradientEnsemble(Network(1, "linear"), width=3, samples=1, outputs=1)
    >>> start = Parameters((np.zeros((1, 3)),), (np.zeros(1),))
    >>> x, y = np.ones((1, 3)), np.ones((1, 1))
    >>> descend(bowl, start, x, y, learning_rate=1 / 4, steps=1).losses.tolist()
    [0.5, 0.0]
    """
    require_integer("steps", steps, 0)
    rate = float(positive("learning_rate", learning_rate))
    mu = float(nonnegative("momentum", momentum))
    if targets.shape != (ensemble.samples, ensemble.outputs):
        raise SpecError(
            f"targets must have the shape (samples, outputs) = "
            f"{(ensemble.samples, ensemble.outputs)}, got {targets.shape}"
        )
    scales = ensemble.parameter_scales
    weights = [matrix.copy() for matrix in parameters.weights]
    biases = [vector.copy() for vector in parameters.biases]
    speeds = [(np.zeros_like(w), np.zeros_like(b)) for w, b in zip(weights, biases, strict=True)]
    losses: list[float] = []
    with ONE_BLAS_THREAD, np.errstate(over="ignore", invalid="ignore"):
        for step in range(steps + 1):
            layers = forward(ensemble.recipe, Parameters(tuple(weights), tuple(biases)), inputs)
            loss, start = _loss(ensemble.heads, layers[-1].preactivations, targets)
            losses.append(loss if np.isfinite(loss) else np.inf)
            if step == steps or not losses[-1] < _DIVERGED:
                break
            # all gradients first: each one backpropagates through the weights above it
            deltas = [d for d, _ in backward(ensemble.recipe, weights, layers, start)][::-1]
            for place, (delta, layer) in enumerate(zip(deltas, layers, strict=True)):
                fast, slow = speeds[place]
                by_weight, by_bias = scales[place]
                fast *= mu
                fast -= rate * by_weight * (delta.T @ layer.inputs)
                slow *= mu
                slow -= rate * by_bias * delta.sum(axis=0)
                weights[place] += fast
                biases[place] += slow
    return Descent(np.array(losses), Parameters(tuple(weights), tuple(biases)), rate)


def perturbed_descent(
    ensemble: "GradientEnsemble",
    fraction: float,
    steps: int,
    error: float = 1e-4,
    momentum: float = 0.0,
    seed: int = 0,
    index: int = 0,
) -> Descent:
    """Descend from a zero-error network whose targets were moved a little.

    Parameters
    ----------
    ensemble : GradientEnsemble
        No softmax among its heads.
    fraction : float
        Learning rate over the critical one 2 (1 + momentum)/λ_max of this very network.
    steps : int
        Number of steps.
    error : float
        Standard deviation of what the targets are off, > 0.
    momentum : float
        Of the heavy ball.
    seed, index : int
        The network is replica `index` of `seed`, its targets from the same stream after it.

    Returns
    -------
    Descent
        Below a fraction of 1 the loss never grows; above, it grows geometrically at first.

    Raises
    ------
    SpecError
        If an argument is out of range.
    """
    if "softmax" in ensemble.heads:
        raise SpecError(f"heads must be without softmax for targets, got {ensemble.heads!r}")
    rng = replica_stream(seed, index)
    with ONE_BLAS_THREAD:
        inputs = ensemble.draw_inputs(rng)
        parameters = draw_parameters(ensemble.recipe, rng)
        layers = forward(ensemble.recipe, parameters, inputs)
        dual, _ = ensemble.dual(parameters, layers, parameters.weights)
        top = float(np.linalg.eigvalsh(dual)[-1])
    targets = _outputs(ensemble.heads, layers[-1].preactivations.T)[0].T
    targets = targets + float(positive("error", error)) * rng.standard_normal(targets.shape)
    rate = float(positive("fraction", fraction)) * 2.0 * (1.0 + momentum) / top
    return descend(ensemble, parameters, inputs, targets, rate, steps, momentum)


def _outputs(heads: tuple[str, ...], values: Array) -> tuple[Array, list[tuple[str, Array]]]:
    """Push values (C, N) through the heads; what entered each of them."""
    entered = []
    nothing = np.zeros((*values.shape, 1))
    for head in heads:
        entered.append((head, values))
        values, _ = apply_head(head, values, nothing)
    return values, entered


def _loss(heads: tuple[str, ...], logits: Array, targets: Array) -> tuple[float, Array]:
    """Loss and its derivative by the logits, shape (N, C)."""
    samples = len(logits)
    outputs, entered = _outputs(heads, logits.T)
    residual = outputs - targets.T
    if heads and heads[-1] == "softmax":
        entering = entered.pop()[1]
        top = entering.max(axis=0)
        log_sum = top + np.log(np.exp(entering - top).sum(axis=0))
        loss = float((targets.T * (log_sum - entering)).sum()) / samples
    else:
        loss = 0.5 * float(np.square(residual).sum()) / samples
    for head, entering in reversed(entered):
        residual = apply_head(head, entering, residual[..., None])[1][..., 0]
    return loss, residual.T / samples
