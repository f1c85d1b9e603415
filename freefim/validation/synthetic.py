"""The distance of a law to synthetic eigenvalues, as rigid as those of a random matrix.

Eigenvalues repel: n of them follow their law to about log(n)/n, while n independent draws stray
by about 1/√n and would hide an error of several percent. The synthetic eigenvalues are those of a
matrix of the Gaussian orthogonal ensemble, moved to the law quantile by quantile.
"""

import numpy as np
from numpy.typing import NDArray

from freefim.free.law import Law

__all__ = ["null_distance", "unfolded_goe"]

Array = NDArray[np.float64]

# The distance of one draw varies by a tenth, the median of 32 by a fortieth.
_DRAWS = 32


def null_distance(law: Law, size: int, rng: np.random.Generator) -> float:
    """Kolmogorov–Smirnov distance of a law to `size` synthetic eigenvalues of it: the median.

    Parameters
    ----------
    law : Law
    size : int
        Number of eigenvalues, at least 1.
    rng : numpy.random.Generator
        Source of the draws.

    Returns
    -------
    float
        Of draws ``law.icdf(unfolded_goe(size, rng))``: about 2.6/n at n = 200 and 3.3/n at
        n = 1000, less where the law has atoms.

    Notes
    -----
    Measured among the quantiles, where the draws need not be computed: the distance is the
    largest difference between u and the share of quantiles below u, over all u that the
    distribution function takes, which leaves out the jumps at atoms.

    Examples
    --------
    A law of one atom is met exactly:

    >>> from freefim.free.chains.chain import Chain
    >>> from freefim.free.chains.chain_law import ChainLaw
    >>> null_distance(ChainLaw(Chain(2.0, ())), 3, np.random.default_rng(0))
    0.0
    """
    tops = np.array([law.cdf(location) for location, _ in law.atoms])
    feet = tops - [mass for _, mass in law.atoms]
    return float(np.median([_distance(unfolded_goe(size, rng), feet, tops) for _ in range(_DRAWS)]))


def unfolded_goe(size: int, rng: np.random.Generator) -> Array:
    """Eigenvalues of a GOE matrix, as quantiles of the semicircle law.

    Parameters
    ----------
    size : int
        Number of eigenvalues, at least 1.
    rng : numpy.random.Generator
        Source of the draw.

    Returns
    -------
    ndarray, shape (size,)
        Ascending, in [0, 1].

    References
    ----------
    .. [1] I. Dumitriu, A. Edelman, *Matrix models for beta ensembles*, J. Math. Phys. 43 (2002),
       Table 1: the tridiagonal matrix with the eigenvalues of the GOE.

    Examples
    --------
    >>> u = unfolded_goe(50, np.random.default_rng(0))
    >>> bool(np.all(np.diff(u) > 0) and 0 <= u[0] and u[-1] <= 1)
    True
    """
    from scipy.linalg import eigvalsh_tridiagonal

    diagonal = np.sqrt(2.0) * rng.standard_normal(size)
    eigenvalues = eigvalsh_tridiagonal(diagonal, np.sqrt(rng.chisquare(np.arange(size - 1, 0, -1))))
    # The mean of tr/n of the square is n + 1, a quarter of the squared radius of the semicircle.
    x = np.clip(eigenvalues / (2.0 * np.sqrt(size + 1.0)), -1.0, 1.0)
    return np.asarray(0.5 + (x * np.sqrt(1.0 - x * x) + np.arcsin(x)) / np.pi)


def _distance(quantiles: Array, feet: Array, tops: Array) -> float:
    """Distance of ascending quantiles to the uniform law, outside the jumps."""
    inside = np.any((feet < quantiles[:, None]) & (quantiles[:, None] < tops), axis=1)
    u = np.concatenate([quantiles[~inside], feet, tops])
    above = np.searchsorted(quantiles, u, side="right") / quantiles.size - u
    below = np.searchsorted(quantiles, u, side="left") / quantiles.size - u
    return float(np.abs([above, below]).max())
