r"""Fisher matrices over all Gaussian inputs, too wide to be written down, by their products.

The block of rows i and k of the first layer is, with the unit vectors e_i of the rows,

.. math:: (W_2^T W_2)_{ik}\,\bigl(s_{ik} + \alpha_{ik} e_i e_i^T + \alpha_{ki} e_k e_k^T
   + \gamma_{ik}(e_i e_k^T + e_k e_i^T)\bigr),

so that a product with all 2n² parameters takes a few products of n × n matrices.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.montecarlo.fisher_matrices import PairMeans

if TYPE_CHECKING:
    from freefim.networks.activations import Activation

__all__ = ["FisherProduct", "draw_fisher_product"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class FisherProduct:
    """E_x JᵀJ of f = W_2 (φ(W_1 x) - mean) as a map of parameters.

    Attributes
    ----------
    outer : ndarray, shape (n, n)
        W_2.
    units : ndarray, shape (n, n)
        Rows of W_1, of length 1.
    level, along, across : ndarray, shape (n, n)
        s, α and γ, times W_2ᵀ W_2.
    own, other : ndarray, shape (n, n)
        E φ'(u_i) φ(u_k) x = own_ik e_i + other_ik e_k.
    values : ndarray, shape (n, n)
        E φ(u_i) φ(u_k), centred.
    """

    outer: Array
    units: Array
    level: Array
    along: Array
    across: Array
    own: Array
    other: Array
    values: Array

    def __call__(self, first: Array, second: Array) -> tuple[Array, Array]:
        """Product with the parameters W_1 and W_2, shapes (n, n)."""
        components = first @ self.units.T
        straight = np.diag(components)
        mixed = self.outer.T @ second
        turned = self.across * components.T + mixed * self.other
        turned += self.along.T * straight
        own = (self.along * components.T + mixed * self.own).sum(axis=1) + self.across @ straight
        into_first = self.level @ first + turned @ self.units + own[:, None] * self.units
        inner = self.own * straight[:, None] + self.other * components
        return into_first, self.outer @ inner + second @ self.values

    def quadrature(self, steps: int, rng: Generator) -> tuple[Array, Array]:
        """Gauss quadrature of the spectral law seen from one random vector, by Lanczos.

        Parameters
        ----------
        steps : int
            Number of nodes, at most 2n².
        rng : numpy.random.Generator

        Returns
        -------
        nodes, weights : ndarray, shape (steps,)
            Means of polynomials of degree below 2·steps are those of the vector, which are the
            means over eigenvalues up to a relative error of order 1/n.
        """
        n = self.outer.shape[0]
        vector = rng.standard_normal(2 * n * n)
        basis = np.empty((steps, vector.size))
        diagonal, beside = np.empty(steps), np.empty(steps)
        length = np.linalg.norm(vector)
        for step in range(steps):
            basis[step] = vector / length
            first, second = basis[step].reshape(2, n, n)
            vector = np.concatenate(self(first, second), axis=None)
            diagonal[step] = basis[step] @ vector
            for _ in range(2):
                vector -= basis[: step + 1].T @ (basis[: step + 1] @ vector)
            beside[step] = length = np.linalg.norm(vector)
        tridiagonal = np.diag(diagonal) + np.diag(beside[:-1], 1) + np.diag(beside[:-1], -1)
        nodes, vectors = np.linalg.eigh(tridiagonal)
        return nodes, vectors[0] ** 2


def draw_fisher_product(
    width: int, activation: "Activation", mean: float, rng: Generator
) -> FisherProduct:
    """Draw the Fisher matrix of `single_hidden_layer_fisher`, from the same random numbers.

    Raises
    ------
    ConvergenceError
        If two rows of the first layer are nearly parallel.
    """
    inner, outer = rng.standard_normal((2, width, width)) / np.sqrt(width)
    lengths = np.linalg.norm(inner, axis=1)
    units = inner / lengths[:, None]
    rho = units @ units.T
    np.fill_diagonal(rho, 1.0)
    means = PairMeans(activation, mean, lengths, rho)
    gram = outer.T @ outer
    level, by_u, by_v, by_uv = np.moveaxis(means.slope_slope, -1, 0)
    _, with_u, with_v = np.moveaxis(means.slope_value, -1, 0)
    c = rho - np.eye(width)
    scale = 1.0 / (1.0 - c * c)
    # x = (u - c v)/(1 - c²) e_i + (v - c u)/(1 - c²) e_k + what is independent of both
    along = (by_u + c * c * by_v - 2.0 * c * by_uv) * scale**2 - level * scale
    across = ((1.0 + c * c) * by_uv - c * (by_u + by_v)) * scale**2 + c * level * scale
    own, other = (with_u - c * with_v) * scale, (with_v - c * with_u) * scale
    for matrix in (across, other):
        np.fill_diagonal(matrix, 0.0)
    # one vector, not two: half of α and of its transpose
    np.fill_diagonal(along, 0.5 * np.diag(along))
    return FisherProduct(
        outer, units, gram * level, gram * along, gram * across, own, other, means.value_value
    )
