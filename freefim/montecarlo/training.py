r"""Online training of one network: a step after every sample, and where the steps become unstable.

Gradient descent on :math:`\tfrac12|f(x)-y|^2` of one sample at a time. A step on a sample carries
its residual to :math:`(I - \eta J J^T)` times it, J at that sample: as long as residuals are small,
steps are stable up to :math:`\eta = 2/\lambda_{\max}(J J^T)`. Stability shows in the growth of a
small residual, never in the last loss: a larger step may land in a flatter region.
"""

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError, SpecError
from freefim.montecarlo.dual import dual_of
from freefim.montecarlo.empirical import read_only
from freefim.montecarlo.gradients_backprop import (
    Parameters,
    Recipe,
    backward,
    draw_parameters,
    forward,
)
from freefim.montecarlo.networks import NetworkReplica
from freefim.montecarlo.streams import replica_stream
from freefim.montecarlo.threads import ONE_BLAS_THREAD
from freefim.networks.checks import positive

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = [
    "OnlineTraining",
    "initial_parameters",
    "replica_of",
    "stability_boundary",
    "train_online",
]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class OnlineTraining:
    """A run of online training.

    Attributes
    ----------
    residuals : ndarray, shape (steps taken,)
        Norm of f(x) - y at the sample of every step, before the step.
    parameters : Parameters
        Where it ended.
    learning_rate : float
        The step.
    """

    residuals: Array
    parameters: Parameters
    learning_rate: float

    def __post_init__(self) -> None:
        object.__setattr__(self, "residuals", read_only(self.residuals))

    @property
    def growth(self) -> float:
        """Largest residual over the first one."""
        return float(self.residuals.max() / self.residuals[0])

    @property
    def lyapunov_exponent(self) -> float:
        """Growth of the logarithm of the residual by step, fitted to the last three quarters."""
        steps = np.arange(self.residuals.size // 4, self.residuals.size)
        return float(np.polyfit(steps, np.log(self.residuals[steps]), 1)[0])


def initial_parameters(network: "Network", width: int, seed: int = 0, index: int = 0) -> Parameters:
    """Draw the weights of replica `index` of `seed`, those of `sample_networks` at a given input.

    Examples
    --------
    >>> from freefim.montecarlo.networks import sample_networks
    >>> from freefim.networks.network import Network
    >>> net, x = Network(3, "tanh", bias_std=0.1), np.ones(5)
    >>> drawn = sample_networks(net, 5, 1, seed=7, input=x)[0]
    >>> taken = replica_of(net, 5, initial_parameters(net, 5, seed=7), x)
    >>> bool((drawn.eigenvalues == taken.eigenvalues).all())
    True
    """
    with ONE_BLAS_THREAD:
        return draw_parameters(_recipe(network, width), replica_stream(seed, index))


def replica_of(
    network: "Network", width: int, parameters: Parameters, input: Array
) -> NetworkReplica:
    """Take a network as it is, for instance trained: its eigenvalues and realised gates.

    Parameters
    ----------
    network : Network
        The description.
    width : int
        Reference width M.
    parameters : Parameters
        Weights and biases, whatever their ensemble.
    input : ndarray, shape (M_0,)
        Where the dual is taken.

    Returns
    -------
    NetworkReplica
        As of `sample_networks`; its seed and index mean nothing.

    Raises
    ------
    SpecError
        If a shape is not that of the description.
    ConvergenceError
        If the signal leaves the range of floating-point numbers.
    """
    x = np.asarray(input, dtype=float)
    _check(network, width, parameters, x[None])
    # Loaded before the limit below, which only reaches the libraries that are already there.
    import freefim.montecarlo.replica_kernels  # noqa: F401

    with ONE_BLAS_THREAD:
        layers = range(1, network.depth + 1)
        dual, facts = dual_of(network, width, x, layers, zip(*parameters, strict=True))
        eigenvalues = np.linalg.eigvalsh(dual).astype(float, copy=False)
        return NetworkReplica(network, width, 0, 0, eigenvalues, *facts)


def train_online(
    network: "Network",
    width: int,
    parameters: Parameters,
    inputs: Array,
    targets: Array,
    learning_rate: float,
    order: Sequence[int] | NDArray[np.int64],
    ceiling: float = 1e15,
) -> OnlineTraining:
    r"""Train a network by one step of gradient descent after every sample.

    Parameters
    ----------
    network : Network
        The description, in the standard parametrisation, with a linear output. Biases are trained
        where ``bias_std > 0``.
    width : int
        Reference width M.
    parameters : Parameters
        The start, left as it is.
    inputs : ndarray, shape (N, M_0)
        The samples.
    targets : ndarray, shape (N, M_L)
        y.
    learning_rate : float
        > 0.
    order : sequence of int
        Number of the sample of each step.
    ceiling : float, optional
        Training ends at the first residual above it. A residual that is to show the Lyapunov
        exponent must stay small.

    Returns
    -------
    OnlineTraining
        Residuals and the end.

    Raises
    ------
    SpecError
        If an argument is out of range.

    Examples
    --------
    A linear layer on a repeated sample: the residual takes the factor 1 - η|x|² each step.

    >>> from freefim.networks.network import Network
    >>> net, x = Network(1, "linear"), np.ones((1, 2))
    >>> start = Parameters((np.zeros((2, 2)),), (np.zeros(2),))
    >>> train_online(net, 2, start, x, np.array([[3.0, 4.0]]), 1 / 4, [0, 0, 0]).residuals.tolist()
    [5.0, 2.5, 1.25]
    """
    from scipy.linalg.blas import dger

    rate = float(positive("learning_rate", learning_rate))
    if network.parametrization != "standard" or network.final_activation is not None:
        raise SpecError(f"network must be standard, with a linear output, got {network!r}")
    _check(network, width, parameters, inputs)
    if targets.shape != (len(inputs), network.widths(width)[-1]):
        raise SpecError(f"targets must be one row of outputs for each sample, got {targets.shape}")
    recipe = _recipe(network, width)
    weights = [np.array(matrix, order="C") for matrix in parameters.weights]
    biases = [vector.copy() for vector in parameters.biases]
    now = Parameters(tuple(weights), tuple(biases))
    residuals: list[float] = []
    with ONE_BLAS_THREAD, np.errstate(over="ignore", invalid="ignore"):
        for sample in order:
            layers = forward(recipe, now, inputs[sample : sample + 1])
            residual = layers[-1].preactivations - targets[sample]
            size = float(np.linalg.norm(residual))
            residuals.append(size if np.isfinite(size) else np.inf)
            if not residuals[-1] <= ceiling:
                break
            places = range(network.depth - 1, -1, -1)
            for place, (delta, _) in zip(
                places, backward(recipe, weights, layers, residual), strict=True
            ):
                # in place; what lies below was backpropagated through the weights before the step
                below = layers[place].inputs[0]
                dger(-rate, below, delta[0], a=weights[place].T, overwrite_a=1)
                if network.bias_stds[place] > 0:
                    biases[place] -= rate * delta[0]
    return OnlineTraining(np.array(residuals), now, rate)


def stability_boundary(
    unstable: Callable[[float], bool], low: float, high: float, tolerance: float = 1e-3
) -> float:
    """Find by bisection the learning rate at which training becomes unstable.

    Parameters
    ----------
    unstable : callable
        Whether training with a learning rate is unstable.
    low, high : float
        A stable and an unstable rate, 0 < low < high.
    tolerance : float, optional
        Relative width of the last bracket.

    Raises
    ------
    ConvergenceError
        If the boundary does not lie between `low` and `high`.

    Examples
    --------
    >>> round(stability_boundary(lambda rate: rate > 0.3, 0.1, 1.0), 3)
    0.3
    """
    if unstable(low) or not unstable(high):
        raise ConvergenceError(f"no boundary of stability was found between {low!r} and {high!r}")
    while high > low * (1.0 + tolerance):
        middle = float(np.sqrt(low * high))
        low, high = (low, middle) if unstable(middle) else (middle, high)
    return float(np.sqrt(low * high))


def _recipe(network: "Network", width: int) -> Recipe:
    return Recipe(network, network.widths(width))


def _check(network: "Network", width: int, parameters: Parameters, inputs: Array) -> None:
    widths = network.widths(width)
    shapes = tuple(zip(widths[1:], widths[:-1], strict=True))
    if tuple(matrix.shape for matrix in parameters.weights) != shapes:
        raise SpecError(f"parameters must have weights of the shapes {shapes}")
    if tuple(vector.shape for vector in parameters.biases) != tuple((n,) for n in widths[1:]):
        raise SpecError(f"parameters must have biases of the lengths {widths[1:]}")
    if inputs.ndim != 2 or inputs.shape[1] != widths[0]:
        raise SpecError(f"inputs must have {widths[0]} entries each, got shape {inputs.shape}")
