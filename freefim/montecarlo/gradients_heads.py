"""Normalisations and output heads: what they make of the outputs, and of their gradients.

Batch normalisation is standardisation over the samples, layer normalisation over the units;
both appear within a network and on top of it, and both have the same derivative.
"""

from typing import NamedTuple

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError

__all__ = ["HEADS", "HIDDEN_NORMS", "Standardized", "apply_head", "derivative", "standardize"]

Array = NDArray[np.float64]

HEADS = ("mean-subtraction", "batch-norm", "layer-norm", "softmax")
HIDDEN_NORMS = ("mean-subtraction", "batch-norm", "layer-norm")

_ROUNDING = 1e-13


class Standardized(NamedTuple):
    """Centred values, divided by their deviation unless `scale` is None."""

    values: Array
    scale: Array | None


def standardize(kind: str, u: Array, axis: int) -> Standardized:
    """Subtract the mean over an axis and, but for mean subtraction, divide by the deviation."""
    centred = u - u.mean(axis=axis, keepdims=True)
    # values that differ by rounding alone do not differ
    small = np.abs(centred) <= _ROUNDING * np.abs(u).max(axis=axis, keepdims=True)
    centred = np.where(small.all(axis=axis, keepdims=True), 0.0, centred)
    if kind == "mean-subtraction":
        return Standardized(centred, None)
    scale = np.sqrt(np.square(centred).mean(axis=axis, keepdims=True))
    if not np.all(scale > 0.0):
        raise ConvergenceError(f"the values that {kind} divides by their deviation do not vary")
    return Standardized(centred / scale, scale)


def derivative(normal: Standardized, x: Array, axis: int) -> Array:
    r"""Apply the symmetric matrix of derivatives of `standardize` to x along an axis.

    :math:`I-\frac1n11^T`, or :math:`\frac1\sigma(I-\frac1n11^T-\frac1n\hat u\hat u^T)`, which is 0
    for n <= 2. The arrays of `normal` broadcast against x.
    """
    values, scale = normal
    if scale is None:
        moved: Array = x - x.mean(axis=axis, keepdims=True)
        return moved
    if x.shape[axis] <= 2:
        return np.zeros_like(x)
    overlap = (values * x).mean(axis=axis, keepdims=True)
    moved = x - x.mean(axis=axis, keepdims=True) - values * overlap
    return moved / scale


def apply_head(head: str, u: Array, x: Array) -> tuple[Array, Array]:
    r"""Outputs of a head, and its square root of the Fisher information applied to gradients.

    Parameters
    ----------
    head : str
        One of `HEADS`.
    u : ndarray, shape (C, N)
        What enters the head.
    x : ndarray, shape (C, N, K)
        K columns of derivatives of u.

    Returns
    -------
    outputs : ndarray, shape (C, N)
        Normalised values, or class probabilities.
    applied : ndarray, shape (C, N, K)
        R x: R is the derivative of the head, and for a softmax
        :math:`\sqrt{\mathrm{diag}\,g}\,(I-1g^T)`, for which
        :math:`R^TR = \mathrm{diag}\,g-gg^T`.
    """
    if head == "softmax":
        g = np.exp(u - u.max(axis=0))
        g /= g.sum(axis=0)
        centred = x - (g[..., None] * x).sum(axis=0)
        return g, np.sqrt(g)[..., None] * centred
    axis = 0 if head == "layer-norm" else 1
    normal = standardize(head, u, axis)
    scale = None if normal.scale is None else normal.scale[..., None]
    return normal.values, derivative(Standardized(normal.values[..., None], scale), x, axis)
