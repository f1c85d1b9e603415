r"""The largest eigenvalue of a bulk of nested covariances with a common direction of all samples.

What all samples share, features and gradients of biases, is a perturbation along the constant
vector u: a rank-one matrix :math:`\theta uu^T` beside the bulk, and :math:`\sigma_l uu^T` in the
population covariance of :math:`K_l`. For z outside the bulk :math:`K_l` acts like :math:`D_l(z)`
times its population covariance, with the same :math:`D_l` as without the perturbation, so that
the eigenvalue which leaves the bulk is the root above its edge of the secular equation

.. math:: 1 = G(z)\,\Bigl[\theta + \sum_l \sigma_l D_l(z)\Bigr],

G the Cauchy transform of the bulk; and u has the weight :math:`1/h'(\lambda)` in its eigenvector,
:math:`h = 1/G - \theta - \sum_l\sigma_lD_l`.

References
----------
.. [1] Baik, Ben Arous & Péché, *Phase transition of the largest eigenvalue for nonnull complex
   sample covariance matrices*, Ann. Probab. 33 (2005).
.. [2] Benaych-Georges & Nadakuditi, *The eigenvalues and eigenvectors of finite, low rank
   perturbations of large random matrices*, Adv. Math. 227 (2011), theorems 2.1 and 2.2.
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.errors import ConvergenceError
from freefim.statistics.centred_bulk import nested_bulk, upper_edge

if TYPE_CHECKING:
    from freefim.free.law import Law
    from freefim.free.nested.system import System

__all__ = ["SpikedBulk"]

# The equations above the edge are told from those of the band this far from it, of its distance
# from the shift.
_BESIDE = 1e-6
_DOUBLINGS = 60
_STEP = 1e-4
_TOLERANCE = 1e-11
_DEEPEST = 100  # levels: the time grows with their cube


@dataclass(frozen=True)
class SpikedBulk:
    r"""The bulk :math:`r I + \sum_l y_l K_l` and what all samples share.

    Parameters
    ----------
    shift : float
        r.
    weights, ratios : tuple of float, L entries
        :math:`y_l` and :math:`\gamma_l = N/M_l`.
    rests, gains : tuple of float, L-1 entries
        :math:`c_l` and :math:`b_l > 0`, as of `nested_bulk`.
    direct : float
        :math:`\theta`, of the matrix itself.
    inner : tuple of float, L entries
        :math:`\sigma_l`, of the population covariance of :math:`K_l`.

    Examples
    --------
    A spiked sample covariance: a population eigenvalue ℓ = 4 goes to ℓ + γ ℓ/(ℓ - 1).

    >>> top, weight = SpikedBulk(0.0, (1.0,), (0.5,), (), (), 0.0, (3.0,)).outlier
    >>> round(top, 9) == round(4 + 0.5 * 4 / 3, 9)
    True
    """

    shift: float
    weights: tuple[float, ...]
    ratios: tuple[float, ...]
    rests: tuple[float, ...]
    gains: tuple[float, ...]
    direct: float
    inner: tuple[float, ...]

    @cached_property
    def law(self) -> Law:
        """The bulk alone; ConvergenceError if it has too many levels to be solved."""
        if len(self.weights) > _DEEPEST:
            raise ConvergenceError(
                f"the bulk of {len(self.weights)} layers is not solved: its equations grow with "
                f"the cube of their number, and {_DEEPEST} are the most"
            )
        return nested_bulk(self.shift, self.weights, self.ratios, self.rests, self.gains)

    @cached_property
    def edge(self) -> float:
        """Right end of the bulk; ConvergenceError if it is not found."""
        return upper_edge(self.law)

    @property
    def edge_bound(self) -> float:
        """Upper bound of `edge`, by the norms of the matrices."""
        total, norm = self.shift, 0.0
        for y, ratio, rest, gain in zip(
            self.weights, self.ratios, (1.0, *self.rests), (0.0, *self.gains), strict=True
        ):
            norm = (rest + gain * norm) * (1.0 + math.sqrt(ratio)) ** 2
            total += y * norm
        return total

    @cached_property
    def outlier(self) -> tuple[float, float] | None:
        """The eigenvalue above the bulk, and the weight of u in its eigenvector; None if none."""
        from scipy.optimize import brentq

        if self.direct <= 0.0 and max(self.inner) <= 0.0:
            return None
        low = self.edge + _BESIDE * (self.edge - self.shift)
        if not self._secular(low) < 0.0:
            return None
        high = low
        for _ in range(_DOUBLINGS):
            high = self.shift + 2.0 * (high - self.shift)
            if self._secular(high) > 0.0:
                place = float(brentq(self._secular, low, high, rtol=_TOLERANCE))
                step = _STEP * (place - self.edge)
                rise = self._secular(place + step) - self._secular(place - step)
                return place, 2.0 * step / rise
        raise ConvergenceError(f"no outlier was found below {high:.6g}, nor is there none")

    def _secular(self, z: float) -> float:
        """The function h, which grows from the edge on."""
        cauchy, dressed = self._dressed(z - self.shift)
        return 1.0 / cauchy - self.direct - float(np.dot(self.inner, dressed))

    @cached_property
    def _system(self) -> System:
        from freefim.free.nested.solve import equations

        law: Any = nested_bulk(0.0, self.weights, self.ratios, self.rests, self.gains)
        return equations(law)

    def _dressed(self, z: float) -> tuple[float, list[float]]:
        """G and the D_l at a distance z from the shift, above the edge."""
        first, upper = self.weights[0], []
        if self.gains:
            found = self._system.line(np.array([z]))
            if not found.gap[0]:
                raise ConvergenceError(
                    f"the equations of the bulk have no solution at {z + self.shift:.6g} above "
                    f"its edge {self.edge:.6g}"
                )
            cauchy = float(found.cauchy[0].real)
            upper = (1.0 / found.s[:, 0].real).tolist()
            first += self.gains[0] * upper[0]
        else:
            low, top = ((1.0 + sign * math.sqrt(self.ratios[0])) ** 2 for sign in (-1.0, 1.0))
            t = z / first
            root = math.sqrt((t - low) * (t - top))
            cauchy = 2.0 / (t + self.ratios[0] - 1.0 + root) / first
        return cauchy, [first / (1.0 - self.ratios[0] * first * cauchy), *upper]
