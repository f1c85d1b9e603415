"""The law of the innermost covariance as the equations need it: G and G' at many points."""

from collections.abc import Callable

import numpy as np
from numpy.typing import NDArray

from freefim.free.law import Law
from freefim.free.laws.leaf_data import leaf_arrays
from freefim.free.laws.named import MarchenkoPastur

__all__ = ["transform"]

Nodes = NDArray[np.complex128]


def transform(law: Law) -> Callable[[Nodes], tuple[Nodes, Nodes]]:
    """Cauchy transform of a law and its derivative, of complex arrays of shape (n,).

    Parameters
    ----------
    law : Law
        In closed form if it is a `MarchenkoPastur` law, as series of its bands otherwise.

    Raises
    ------
    ConvergenceError
        If a law does not resolve into series.
    """
    if isinstance(law, MarchenkoPastur):
        ratio = float(law.ratio)

        def marchenko_pastur(t: Nodes) -> tuple[Nodes, Nodes]:
            return _marchenko_pastur(t, ratio)

        return marchenko_pastur
    pieces = leaf_arrays(law)
    data = np.concatenate(
        [[float(len(pieces))], *([code, len(part), *part] for code, part in pieces)]
    )

    def series(t: Nodes) -> tuple[Nodes, Nodes]:
        from freefim.free.trees.leaf_kernels import leaf_values

        value, slope = np.empty_like(t), np.empty_like(t)
        for i, w in enumerate(t):
            value[i], slope[i], _, _ = leaf_values(data, 0, w)
        return value, slope

    return series


def _marchenko_pastur(t: Nodes, ratio: float) -> tuple[Nodes, Nodes]:
    """Root of c t G² - (t + c - 1) G + 1 = 0 that vanishes at infinity."""
    low, high = (1.0 - np.sqrt(ratio)) ** 2, (1.0 + np.sqrt(ratio)) ** 2
    root = np.sqrt(t - low) * np.sqrt(t - high)
    plus, minus = t + ratio - 1.0 + root, t + ratio - 1.0 - root
    # their product is 4 c t: near t = 0 the smaller one is rounding
    value = np.where(np.abs(plus) >= np.abs(minus), 2.0 / plus, minus / (2.0 * ratio * t))
    slope = (value - ratio * value * value) / (2.0 * ratio * t * value - (t + ratio - 1.0))
    return value, slope
