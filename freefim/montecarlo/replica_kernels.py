"""Compiled loops of a replica: weight matrices and the recursion of the dual.

Matrix products, QR and eigenvalues are LAPACK's; what is compiled is what lies between them:
drawing in place, signs, scales, live units, symmetry and the diagonal, each in one pass.
"""

import numpy as np

# Numba takes BLAS and LAPACK from scipy: loaded here, it is there before its threads are limited.
import scipy.linalg.blas
import scipy.linalg.lapack  # noqa: F401
from numpy.random import Generator
from numpy.typing import NDArray

from freefim._jit import kernel

__all__ = ["backpropagate", "gaussian_weights", "haar_weights"]

Array = NDArray[np.float64]

# Rows of the symmetric product computed at once: wide enough for BLAS to run at full speed,
# narrow enough that little above the diagonal is computed twice.
_PANEL = 128


@kernel
def gaussian_weights(rng: Generator, fan_out: int, fan_in: int, weight_std: float) -> Array:
    """Draw W with independent entries N(0, weight_std² / fan_in), row by row.

    Returns a float64 array of shape (fan_out, fan_in).
    """
    scale = weight_std / np.sqrt(fan_in)
    weights = np.empty((fan_out, fan_in))
    for i in range(fan_out):
        for j in range(fan_in):
            weights[i, j] = scale * rng.standard_normal()
    return weights


@kernel
def haar_weights(rng: Generator, fan_out: int, fan_in: int, weight_std: float) -> Array:
    """Draw weight_std times a Haar matrix with orthonormal rows, or columns if fan_out > fan_in.

    Returns a float64 array of shape (fan_out, fan_in). The orthonormal factor Q of a Gaussian
    matrix is Haar only when R has a positive diagonal, which LAPACK does not promise.
    """
    long, short = max(fan_out, fan_in), min(fan_out, fan_in)
    gaussian = np.empty((short, long))
    for i in range(short):
        for j in range(long):
            gaussian[i, j] = rng.standard_normal()
    q, r = np.linalg.qr(gaussian.T)
    weights = np.empty((fan_out, fan_in))
    for k in range(short):
        scale = -weight_std if r[k, k] < 0.0 else weight_std
        for i in range(long):
            if fan_out <= fan_in:
                weights[k, i] = scale * q[i, k]
            else:
                weights[i, k] = scale * q[i, k]
    return weights


@kernel
def backpropagate(weights: Array, derivative: Array, dual: Array, shift: float) -> Array:
    """Return shift·I + W D H D Wᵀ for W = weights (n, k), D = diag derivative, H = dual (k, k).

    H is symmetric; the result (n, n) is symmetric to the bit. Units with derivative 0 are left
    out of the products.
    """
    live = np.flatnonzero(derivative)
    forward, inner = weights * derivative, dual
    if live.size < derivative.size:
        forward, inner = forward[:, live], dual[live][:, live]
    rows = forward.shape[0]
    product = forward @ inner
    result = np.empty((rows, rows))
    for start in range(0, rows, _PANEL):
        stop = min(start + _PANEL, rows)
        panel = product[start:stop] @ forward[:stop].T
        for i in range(start, stop):
            for j in range(i):
                result[i, j] = panel[i - start, j]
            result[i, i] = panel[i - start, i] + shift
        for j in range(stop):
            for i in range(max(start, j + 1), stop):
                result[j, i] = panel[i - start, j]
    return result
