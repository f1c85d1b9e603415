"""What a weight matrix is: measured size, singular values, and the ensemble that they tell."""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.free.laws.named import MarchenkoPastur

__all__ = ["WeightStatistics"]

Array = NDArray[np.float64]

# Orthonormal rows or columns in single precision are so to about 1e-6.
_ISOMETRY = 1e-4
# A thousand Gaussian and uniform matrices of 2 to 512 rows kept below half of the first and, but
# for one in a thousand, of the second: room for the KS distance (eigenvalues are rigid) and for
# the largest eigenvalue beyond the edge, in units of its Tracy–Widom fluctuation.
_RIGID = 2.0
_TRACY_WIDOM = 6.0


@dataclass(frozen=True, eq=False)
class WeightStatistics:
    r"""Measured statistics of a weight matrix W, fan_out × fan_in.

    Attributes
    ----------
    fan_out, fan_in : int
    squares : ndarray, shape (min(fan_out, fan_in),)
        Squared singular values, ascending; those of the size of their rounding are 0.

    Notes
    -----
    A matrix is *orthogonal* if its singular values agree to 1e-4. It is *Gaussian* if their
    squares, in units of the mean square of the entries, follow the Marchenko–Pastur law as
    closely as eigenvalues do, with no outlier: any independent centred entries of one variance
    look so and, by universality, act so; a uniform law is Gaussian here.

    Examples
    --------
    >>> rng = np.random.default_rng(0)
    >>> w = rng.standard_normal((40, 60))
    >>> WeightStatistics.of(w).ensemble, WeightStatistics.of(np.linalg.qr(w.T)[0]).ensemble
    ('gaussian', 'orthogonal')
    >>> spiked = w + 0.5  # a common mean is a matrix of rank one
    >>> WeightStatistics.of(spiked).ensemble is None
    True
    """

    fan_out: int
    fan_in: int
    squares: Array

    @classmethod
    def of(cls, weights: Array) -> "WeightStatistics":
        """Measure a matrix.

        Parameters
        ----------
        weights : ndarray, shape (fan_out, fan_in)

        Raises
        ------
        SpecError
            If an entry is not finite.
        """
        if not np.isfinite(weights).all():
            raise SpecError(
                f"weights must be finite, got a {weights.shape[0]} × "
                f"{weights.shape[1]} matrix with entries in [{weights.min()}, {weights.max()}]"
            )
        rows, columns = weights.shape
        gram = weights @ weights.T if rows <= columns else weights.T @ weights
        squares: Array = np.asarray(np.linalg.eigvalsh(gram), dtype=np.float64)
        squares[squares < len(squares) * np.finfo(float).eps * squares[-1]] = 0.0
        return cls(rows, columns, squares)

    @cached_property
    def defect(self) -> float:
        """Largest relative deviation of a squared singular value from their mean."""
        mean = self.squares.mean()
        return float(np.abs(self.squares / mean - 1.0).max()) if mean > 0.0 else 0.0

    @cached_property
    def ensemble(self) -> str | None:
        """Return "orthogonal", "gaussian", or None for neither, as where all is 0."""
        if not self.squares.any():
            return None
        if self.defect <= _ISOMETRY:
            # one row or column is both; only its length is known
            return "orthogonal" if self.squares.size > 1 else "gaussian"
        return "gaussian" if self._is_marchenko_pastur() else None

    @property
    def weight_std(self) -> float:
        """σ_w of its ensemble: by the mean of `squares` if orthogonal, else by its entries."""
        if self.ensemble == "orthogonal":
            return float(np.sqrt(self.squares.mean()))
        return float(np.sqrt(self.squares.sum() / self.fan_out))

    @property
    def name(self) -> str:
        """The matrix in a few words."""
        kind = self.ensemble or "neither Gaussian nor orthogonal"
        return f"{self.fan_out} × {self.fan_in}, {kind}, weight_std {self.weight_std:.6g}"

    def _is_marchenko_pastur(self) -> bool:
        n, size = self.squares.size, max(self.fan_out, self.fan_in)
        values = self.squares / self.squares.mean()
        low, high = np.sqrt(n), np.sqrt(size)
        edge = (low + high) ** 2 / size
        fluctuation = (low + high) * (1.0 / low + 1.0 / high) ** (1.0 / 3.0) / size
        if values[-1] > edge + _TRACY_WIDOM * fluctuation:
            return False
        distance = MarchenkoPastur(n / size).distance(values, "ks")
        return bool(distance <= (_RIGID + np.log(n)) / n)
