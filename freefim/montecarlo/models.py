"""Matrices of the models that are no network of the library: drawn directly from their entries."""

from collections.abc import Sequence
from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.montecarlo.empirical import Replica

if TYPE_CHECKING:
    from freefim.networks.activations import Activation

__all__ = ["ResidualReplica", "hessian_matrix", "residual_jacobian"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class ResidualReplica(Replica):
    """One sampled residual network.

    Attributes
    ----------
    second_moments : ndarray, shape (blocks + 1,)
        Mean squares of x^0, x^1, ….
    gates : tuple of ndarray, shapes (M,)
        φ'(h)² of every block, ascending.
    """

    second_moments: Array
    gates: tuple[Array, ...]


def hessian_matrix(
    size: int, samples: int, wigner_variance: float, rng: Generator
) -> tuple[Array, tuple[()]]:
    """J Jᵀ/m + Wigner: J size × samples with standard normal entries.

    The off-diagonal entries of the Wigner matrix have variance `wigner_variance` / size.
    """
    jacobian = rng.standard_normal((size, samples))
    wigner = rng.standard_normal((size, size)) * np.sqrt(wigner_variance / (2 * size))
    return jacobian @ jacobian.T / samples + wigner + wigner.T, ()


def residual_jacobian(
    width: int,
    layers: Sequence[tuple["Activation", str, float, float]],
    branch_scale: float,
    second_moment: float,
    rng: Generator,
) -> tuple[Array, tuple[Array, tuple[Array, ...]]]:
    """J Jᵀ of blocks x ↦ x + s φ(W x + b), with what was realised.

    Parameters
    ----------
    width : int
        Units of every layer.
    layers : sequence of (activation, ensemble, weight_std, bias_std)
        One for each block.
    branch_scale : float
        The s.
    second_moment : float
        Mean square of the input, whose direction is drawn.
    rng : numpy.random.Generator
        Order of the draws: the input; for each block its weights, then its biases if it has any.

    Returns
    -------
    matrix : ndarray, shape (width, width)
    realised : (second_moments, gates)
        Mean squares of x^0, x^1, …, and φ'(h)² of every block, ascending.
    """
    from freefim.montecarlo import replica_kernels as kernels

    x = rng.standard_normal(width)
    x *= np.sqrt(second_moment * width / (x @ x))
    jacobian = np.eye(width)
    moments, gates = [second_moment], []
    for activation, ensemble, weight_std, bias_std in layers:
        draw = kernels.haar_weights if ensemble == "orthogonal" else kernels.gaussian_weights
        weights = draw(rng, width, width, weight_std)
        preactivation = weights @ x
        if bias_std > 0:
            preactivation += bias_std * rng.standard_normal(width)
        slopes = np.array(activation.derivative(preactivation))
        x = x + branch_scale * activation.function(preactivation)
        jacobian += branch_scale * slopes[:, None] * (weights @ jacobian)
        moments.append(float(x @ x) / width)
        gates.append(np.sort(slopes**2))
    return jacobian @ jacobian.T, (np.array(moments), tuple(gates))
