r"""Fisher matrices over all Gaussian inputs: exact expectations by Mehler's series.

For unit vectors e_i of the rows of the weights, :math:`u = e_i \cdot x` and
:math:`v = e_k \cdot x` have the correlation :math:`\rho = e_i \cdot e_k`, and
:math:`E\,g(u)h(v) = \sum_k \rho^k g_k h_k` with the Hermite coefficients of g and h.
"""

from dataclasses import dataclass
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.montecarlo.empirical import Replica

if TYPE_CHECKING:
    from freefim.networks.activations import Activation

__all__ = ["FisherReplica", "PairMeans", "single_hidden_layer_fisher"]

Array = NDArray[np.float64]

_TAIL, _PANELS, _ORDER = 10.0, 80, 12
_TERMS, _MOST = 60, 3000
_LEFT_OUT = 1e-12


@dataclass(frozen=True, eq=False, repr=False)
class FisherReplica(Replica):
    """One sampled network.

    Attributes
    ----------
    outer, inner : ndarray, shape (n,)
        Squared singular values of the weights of the second and of the first layer.
    """

    outer: Array
    inner: Array


def single_hidden_layer_fisher(
    width: int, activation: "Activation", mean: float, rng: Generator
) -> tuple[Array, tuple[Array, Array]]:
    """E_x JᵀJ of f = W_2 (φ(W_1 x) - mean), x standard Gaussian.

    Parameters
    ----------
    width : int
        Units n of every layer, at least 2.
    activation : Activation
        φ.
    mean : float
        What is subtracted from it.
    rng : numpy.random.Generator
        Order of the draws: W_1, W_2; entries N(0, 1/n).

    Returns
    -------
    matrix : ndarray, shape (2n², 2n²)
        By W_1, then by W_2, row by row each.
    realised : (outer, inner)
        As in `FisherReplica`.
    """
    n = width
    inner, outer = rng.standard_normal((2, n, n)) / np.sqrt(n)
    lengths = np.linalg.norm(inner, axis=1)
    units = inner / lengths[:, None]
    rho = units @ units.T
    np.fill_diagonal(rho, 1.0)
    means = PairMeans(activation, mean, lengths, rho)
    # the gradient by the first layer is (W_2)_ki φ'(u_i) x: over outputs k the Gram matrix of W_2
    gram = outer.T @ outer
    matrix = np.empty((2 * n * n, 2 * n * n))
    first = matrix[: n * n, : n * n].reshape(n, n, n, n)
    cross = matrix[: n * n, n * n :].reshape(n, n, n, n)
    identity = np.eye(n)
    for i in range(n):
        for k in range(n):
            c, e, f = rho[i, k], units[i], units[k]
            first[i, :, k, :] = gram[i, k] * _second(means, i, k, c, e, f, identity)
            # E φ'(u_i) x φ(u_k): by output o and unit k of the second layer
            if i == k:
                vector = means.slope_value[i, i, 1] * e
            else:
                p, q = means.slope_value[i, k, 1], means.slope_value[i, k, 2]
                vector = ((p - c * q) * e + (q - c * p) * f) / (1.0 - c * c)
            cross[i, :, :, k] = vector[:, None] * outer[:, i]
    matrix[n * n :, : n * n] = matrix[: n * n, n * n :].T
    matrix[n * n :, n * n :] = np.kron(identity, means.value_value)
    squares = (np.linalg.svd(w, compute_uv=False)[::-1] ** 2 for w in (outer, inner))
    return matrix, tuple(squares)  # type: ignore[return-value]


def _second(
    means: "PairMeans", i: int, k: int, c: float, e: Array, f: Array, identity: Array
) -> Array:
    """E φ'(u_i) φ'(u_k) x xᵀ."""
    at = means.slope_slope[i, k]
    if i == k:
        return np.asarray(at[0] * identity + (at[1] - at[0]) * np.outer(e, e))
    # x = (u - c v)/(1 - c²) e + (v - c u)/(1 - c²) f + what is independent of both
    a, b = (e - c * f) / (1.0 - c * c), (f - c * e) / (1.0 - c * c)
    rest = identity - np.outer(e, a) - np.outer(f, b)
    mixed = np.outer(a, b)
    return np.asarray(
        at[0] * rest + at[1] * np.outer(a, a) + at[2] * np.outer(b, b) + at[3] * (mixed + mixed.T)
    )


class PairMeans:
    """Expectations over pairs of preactivations.

    Attributes
    ----------
    value_value : ndarray, shape (n, n)
        E φ(u)φ(v), centred.
    slope_value : ndarray, shape (n, n, 3)
        E φ'(u)φ(v) times 1, u, v.
    slope_slope : ndarray, shape (n, n, 4)
        E φ'(u)φ'(v) times 1, u², v², uv.
    """

    def __init__(self, activation: "Activation", mean: float, lengths: Array, rho: Array) -> None:
        x, weight = _grid(activation, lengths)
        f = activation.function(lengths[:, None] * x) - mean
        d = activation.derivative(lengths[:, None] * x)
        off = float(np.abs(rho - np.eye(rho.shape[0])).max())
        terms = int(np.ceil(np.log(_LEFT_OUT) / np.log(min(max(off, 0.05), 0.999))))
        if terms > _MOST:
            raise ConvergenceError(f"two rows of the weights have a correlation of {off:.3g}")
        terms = max(terms, _TERMS)
        value, value_once, slope, once, twice = (
            _coefficients(g, x, weight, terms) for g in (f, f * x, d, d * x, d * x * x)
        )

        def pair(g: Array, h: Array) -> Array:
            power, total = np.ones_like(rho), np.zeros_like(rho)
            for column in range(g.shape[1]):
                total += power * np.outer(g[:, column], h[:, column])
                power = power * rho
            return total

        def own(g: Array, h: Array, factor: Array) -> Array:
            return np.asarray((weight * g * h * factor).sum(axis=1))

        one = np.ones_like(x)
        self.value_value = _with(pair(value, value), own(f, f, one))
        self.slope_value = np.stack(
            [
                _with(pair(slope, value), own(d, f, one)),
                _with(pair(once, value), own(d, f, x)),
                _with(pair(slope, value_once), own(d, f, x)),
            ],
            axis=-1,
        )
        self.slope_slope = np.stack(
            [
                _with(pair(slope, slope), own(d, d, one)),
                _with(pair(twice, slope), own(d, d, x * x)),
                _with(pair(slope, twice), own(d, d, x * x)),
                _with(pair(once, once), own(d, d, x * x)),
            ],
            axis=-1,
        )


def _with(matrix: Array, diagonal: Array) -> Array:
    """The matrix with another diagonal."""
    np.fill_diagonal(matrix, diagonal)
    return matrix


def _grid(activation: "Activation", lengths: Array) -> tuple[Array, Array]:
    """Nodes and weights of N(0, 1), cut at the kinks of φ(length·x), shape (n, m)."""
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    kinks = np.array(activation.kinks, dtype=float)
    cuts = np.sort(
        np.hstack(
            [
                np.tile(np.linspace(-_TAIL, _TAIL, _PANELS + 1), (lengths.size, 1)),
                np.clip(kinks / lengths[:, None], -_TAIL, _TAIL),
            ]
        ),
        axis=1,
    )
    half = 0.5 * np.diff(cuts, axis=1)[:, :, None]
    x = (0.5 * (cuts[:, 1:] + cuts[:, :-1])[:, :, None] + half * node).reshape(lengths.size, -1)
    mass = (half * weight).reshape(lengths.size, -1)
    return x, mass * np.exp(-0.5 * x * x) / np.sqrt(2.0 * np.pi)


def _coefficients(g: Array, x: Array, weight: Array, terms: int) -> Array:
    """Coefficients in the normalised Hermite polynomials, shape (n, terms)."""
    result = np.empty((g.shape[0], terms))
    before, now = np.zeros_like(x), np.ones_like(x)
    for k in range(terms):
        result[:, k] = (weight * g * now).sum(axis=1)
        before, now = now, (x * now - np.sqrt(k) * before) / np.sqrt(k + 1.0)
    return result
