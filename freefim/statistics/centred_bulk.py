r"""The bulk of the Fisher information of a centred network with N of the order of M.

For an odd activation without bias and independent inputs the dual is, for each output,
:math:`r I + \sum_l y_l K_l` with sample covariances :math:`K_l` of population covariance
:math:`c_l I + b_l K_{l-1}` and :math:`K_0` of Marchenko-Pastur type. Its resolvent
:math:`(-z+r+\sum y_lK_l)^{-1}` has, level by level, the equivalents
:math:`(a_l+\sum_{j<l}y_jK_j+e_lK_l)^{-1}`; with their traces m (of 1) and :math:`\tau_l`
(of :math:`K_l`)

.. math:: g_l = c_lm+b_l\tau_{l-1},\quad \tau_l=\frac{g_l}{1+\gamma_le_lg_l},\quad
   e_{l-1}=y_{l-1}+b_lD_l,\quad a_{l-1}=a_l+c_lD_l,\quad D_l=\frac{e_l}{1+\gamma_le_lg_l},

so that :math:`a_0, e_0` give everything above them, z included, without any fixed point.

References
----------
.. [1] Fan & Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for linear-width
   neural networks*, NeurIPS 2020, theorem 3.7.
"""

from __future__ import annotations

import math
from dataclasses import dataclass

from freefim.errors import ConvergenceError

__all__ = ["CentredBulk"]


@dataclass(frozen=True)
class CentredBulk:
    r"""The law of :math:`r I + \sum_{l=0}^{L-1} y_l K_l`.

    Parameters
    ----------
    shift : float
        r.
    weights : tuple of float, L entries
        :math:`y_l` >= 0.
    ratios : tuple of float, L entries
        :math:`\gamma_l = N/M_l`.
    rests, gains : tuple of float, L-1 entries
        :math:`c_l` >= 0 and :math:`b_l` > 0 for l = 1..L-1; :math:`K_0` has mean 1.

    Examples
    --------
    Without hidden layers it is a shifted Marchenko-Pastur law:

    >>> CentredBulk(1.0, (2.0,), (0.25,), (), ()).upper_edge() == 1 + 2 * (1 + 0.25**0.5) ** 2
    True
    """

    shift: float
    weights: tuple[float, ...]
    ratios: tuple[float, ...]
    rests: tuple[float, ...]
    gains: tuple[float, ...]

    def second_moment(self) -> float:
        r"""Mean square of the eigenvalues, by the closed recursion of tr K_l K_j."""
        means, products = [1.0], [[1.0 + self.ratios[0]]]
        for ratio, c, b in zip(self.ratios[1:], self.rests, self.gains, strict=True):
            below, last = products[-1], means[-1]
            mean = c + b * last
            row = [c * k + b * t for k, t in zip(means, below, strict=True)]
            own = c * c + 2.0 * c * b * last + b * b * below[-1] + ratio * mean * mean
            # a row holds tr K_l K_j for j <= l; the recursion needs only the last one
            means.append(mean)
            products.append([*row, own])
        total = self.shift**2
        for level, y in enumerate(self.weights):
            total += 2.0 * self.shift * y * means[level]
            total += y * y * products[level][level]
            total += (
                2.0
                * y
                * sum(w * t for w, t in zip(self.weights[:level], products[level], strict=False))
            )
        return total

    def upper_edge(self) -> float:
        """Right end of the support.

        Raises
        ------
        ConvergenceError
            If no minimum of z over the curve is found.
        """
        from scipy.optimize import minimize_scalar

        top = (1.0 + math.sqrt(self.ratios[0])) ** 2
        if not any(self.weights[1:]):
            return self.shift + self.weights[0] * top
        # outside the support the curve runs over t = -a_0/e_0 beyond the edge of K_0; its lowest
        # z is the edge of the whole
        found = minimize_scalar(
            lambda s: self._place(top + math.exp(s)),
            bounds=(math.log(top) - 30.0, math.log(top) + 20.0),
            method="bounded",
            options={"xatol": 1e-9},
        )
        if not (found.success and math.isfinite(found.fun)):
            raise ConvergenceError(
                f"the edge of the centred bulk was not found: z={found.fun!r} after "
                f"{found.nfev} places"
            )
        return float(found.fun)

    def _place(self, t: float) -> float:
        """Return z at t = -a_0/e_0, by the e_0 that makes e_{L-1} = y_{L-1}."""
        from scipy.optimize import brentq

        low = max(self.weights[0], 1e-300)
        high = max(self.weights) + low
        for _ in range(200):
            if self._climb(t, high)[0] > 0.0:
                break
            low, high = high, 4.0 * high
        else:
            raise ConvergenceError(f"the centred bulk has no resolvent at t={t:.6g}")
        start = brentq(lambda e: self._climb(t, e)[0], low, high, xtol=1e-300, rtol=1e-15)
        return self._climb(t, start)[1]

    def _climb(self, t: float, e: float) -> tuple[float, float]:
        """Defect e_{L-1} - y_{L-1} and place z of the levels above a_0 = -t e, e_0 = e."""
        c0 = self.ratios[0]
        root = math.sqrt(max((t - 1.0 - c0) ** 2 - 4.0 * c0, 0.0))
        cauchy = 2.0 / (t + c0 - 1.0 + root)
        a, m, tau = -t * e, -cauchy / e, -(t * cauchy - 1.0) / e
        for y, ratio, c, b in zip(
            self.weights[:-1], self.ratios[1:], self.rests, self.gains, strict=True
        ):
            lift = (e - y) / b
            if lift < 0.0:
                return -1.0, math.nan
            g = c * m + b * tau
            e = lift / (1.0 - ratio * lift * g)
            a -= c * lift
            tau = g / (1.0 + ratio * e * g)
        return e - self.weights[-1], self.shift - a
