r"""Gram matrices of gradients for data whose correlations differ from pair to pair.

To leading order :math:`\langle\nabla f(n),\nabla f(m)\rangle` is a function of the correlation of
the inputs n and m alone: the recursion of two inputs gives it, and it is interpolated in the
angle between them, in which the kernels of kinked activations are smooth.
"""

from __future__ import annotations

import math
from dataclasses import replace
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import ConvergenceError
from freefim.networks.activation_base import Array

if TYPE_CHECKING:
    from freefim.statistics.master import GaussianStatistics

__all__ = ["correlation_spread", "gram_matrix"]

# Standard deviations of the correlations, in those of independent inputs, from which on the
# pairs are told apart.
_SAMPLING = 1.5
_DEGREES = (12, 24, 48, 96, 192)
_ACCURACY = 1e-7


def correlation_spread(inputs: Any) -> float:
    r"""Deviation of the correlations of the pairs of data over :math:`1.5/\sqrt{M_0}`.

    Parameters
    ----------
    inputs : float or ndarray, shape (samples, M_0)
        A common correlation, of spread 0, or data.

    Examples
    --------
    >>> correlation_spread(0.3)
    0.0
    >>> correlation_spread(np.array([[1.0, 0.0], [1.0, 0.0], [0.0, 1.0]])) > 0.4
    True
    """
    if np.ndim(inputs) == 0:
        return 0.0
    found = _correlations(inputs)
    own = found[np.triu_indices(len(found), 1)]
    return float(own.std()) * math.sqrt(inputs.shape[1]) / _SAMPLING


def gram_matrix(problem: GaussianStatistics, inputs: Array) -> Array:
    """Inner products of the gradients of one output at all pairs of samples, without divisor.

    Parameters
    ----------
    problem : GaussianStatistics
        The statistics of a common correlation.
    inputs : ndarray, shape (samples, M_0)
        The data.

    Returns
    -------
    ndarray, shape (samples, samples)
        With the `diagonal` on the diagonal.

    Raises
    ------
    ConvergenceError
        If 192 angles do not resolve the products to 1e-7 of the diagonal.
    """
    correlations = _correlations(inputs)
    pairs = correlations[np.triu_indices(len(correlations), 1)]
    low, high = (math.acos(float(c)) for c in (pairs.max(), pairs.min()))
    angles = np.clip(np.arccos(correlations), low, high)
    if high - low < _ACCURACY:
        low, high = max(low - _ACCURACY, 0.0), min(high + _ACCURACY, math.pi)

    def products(at: Array) -> Array:
        cosines = np.clip(np.cos(at), -1.0, 1.0)
        # of two samples, between whom every correlation is possible
        found = [replace(problem, samples=2, input_correlation=float(c)) for c in cosines]
        return np.array([each.off_diagonal for each in found])

    checks, last = np.linspace(low, high, 257), None
    for degree in _DEGREES:
        fit = np.polynomial.Chebyshev.interpolate(products, degree, domain=[low, high])
        now = fit(checks)
        if last is not None and np.abs(now - last).max() <= _ACCURACY * problem.diagonal:
            gram: Array = fit(angles)
            np.fill_diagonal(gram, problem.diagonal)
            return gram
        last = now
    raise ConvergenceError(
        f"the products of gradients at correlations from {math.cos(high):.3g} to "
        f"{math.cos(low):.3g} are not resolved by {_DEGREES[-1]} angles"
    )


def _correlations(inputs: Array) -> Array:
    rows = inputs / np.abs(inputs).max(axis=1, keepdims=True)
    rows = rows / np.linalg.norm(rows, axis=1, keepdims=True)
    found: Array = np.clip(rows @ rows.T, -1.0, 1.0)
    return found
