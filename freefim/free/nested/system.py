r"""The equations of nested sample covariances, and their solution at points of the plane.

The resolvent :math:`(r - z + \sum_l y_l K_l)^{-1}` has, level by level, the equivalents
:math:`(a_l + \sum_{j<l} y_j K_j + e_l K_l)^{-1}`; with their normalised traces m (of 1) and
:math:`\tau_l` (of :math:`K_l`), and the unknowns :math:`s_1..s_k`,

.. math:: e_{l-1} = y_{l-1} + b_l/s_l,\quad a_{l-1} = a_l + c_l/s_l,\qquad
   g_l = c_l m + b_l \tau_{l-1},\quad \tau_l = \frac{g_l}{1 + \gamma_l e_l g_l},\qquad
   s_l = 1/e_l + \gamma_l g_l,

from :math:`a_k = r - z, e_k = y_k` down to :math:`t = -a_0/e_0`, where the law of :math:`K_0`
gives :math:`m = -G_0(t)/e_0` and :math:`\tau_0 = (1 - tG_0(t))/e_0`.

For z in the upper half plane the right-hand sides of the last equation map the product of upper
half planes into itself, so that exactly one solution has all :math:`\mathrm{Im}\,s_l > 0`: any
root of that kind is the right one. On the real line so is a root with all
:math:`\mathrm{Im}\,s_l > 0` (z in a band), and a real one with all :math:`ds_l/dz > 0` (in a gap).
"""

from collections.abc import Callable
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

__all__ = ["Found", "State", "System"]

Array = NDArray[np.float64]
Nodes = NDArray[np.complex128]

_STEPS = 30  # of Newton
_EXACT = 4e-15  # relative size of a last step
_CLOSE = 1e-11  # of a step after which rounding may be in the way
_SOFTEST, _SHORTEST = 0.2, 0.95  # ratios of heights from one step down to the next
_STAGES = 400
_LOW = 0.05  # height, relative to the scale, from which the line is tried
_GROUND = 1e-15  # height, relative to the scale, below which nothing is tried
_ROUNDING = 1e-13


@dataclass(frozen=True, eq=False)
class State:
    """Everything at given unknowns s, shape (k, n), and z, shape (n,).

    Attributes
    ----------
    residual : ndarray, shape (k, n)
    jacobian : ndarray, shape (k, k + 1, n)
        Derivatives of the residuals by s_1..s_k and by z.
    trace : ndarray, shape (n,)
        The m: minus the Cauchy transform.
    """

    residual: Nodes
    jacobian: Nodes
    trace: Nodes


@dataclass(frozen=True, eq=False)
class Found:
    """Where points of the real line lie.

    Attributes
    ----------
    cauchy : ndarray, shape (n,)
        Cauchy transform, from above; NaN where nothing was found.
    s : ndarray, shape (k, n)
    band, gap : ndarray of bool, shape (n,)
    """

    cauchy: Nodes
    s: Nodes
    band: NDArray[np.bool_]
    gap: NDArray[np.bool_]


@dataclass(frozen=True, eq=False)
class System:
    """The law of :math:`r + y_0 K_0 + … + y_k K_k`.

    Attributes
    ----------
    shift : float
    weights : ndarray, shape (k + 1,)
    ratios, rests, gains : ndarray, shape (k,)
        γ_l, c_l, b_l of levels 1..k.
    leaf : callable
        G_0 and its derivative at complex points, shape (n,).
    scale : float
        Size of the spectrum.
    """

    shift: float
    weights: Array
    ratios: Array
    rests: Array
    gains: Array
    leaf: Callable[[Nodes], tuple[Nodes, Nodes]]
    scale: float

    @property
    def levels(self) -> int:
        """Number k of unknowns."""
        return self.ratios.size

    def state(self, s: Nodes, z: Nodes) -> State:
        """Residuals with their derivatives, carried along by the chain rule."""
        k, n = s.shape
        a, da = self.shift - z, np.zeros((k + 1, n), complex)
        da[k] = -1.0
        e = np.empty((k + 1, n), complex)
        de = np.zeros((k + 1, k + 1, n), complex)
        e[k] = self.weights[k]
        for l in range(k, 0, -1):
            inverse = 1.0 / s[l - 1]
            e[l - 1] = self.weights[l - 1] + self.gains[l - 1] * inverse
            de[l - 1, l - 1] = -self.gains[l - 1] * inverse * inverse
            a = a + self.rests[l - 1] * inverse
            da[l - 1] -= self.rests[l - 1] * inverse * inverse
        t = -a / e[0]
        dt = -(da + t * de[0]) / e[0]
        value, slope = self.leaf(t)
        trace = -value / e[0]
        dtrace = -(slope * dt + trace * de[0]) / e[0]
        tau = (1.0 - t * value) / e[0]
        dtau = -((value + t * slope) * dt + tau * de[0]) / e[0]
        residual, jacobian = np.empty((k, n), complex), np.empty((k, k + 1, n), complex)
        for l in range(1, k + 1):
            c, b, gamma = self.rests[l - 1], self.gains[l - 1], self.ratios[l - 1]
            g, dg = c * trace + b * tau, c * dtrace + b * dtau
            below = 1.0 + gamma * e[l] * g
            tau = g / below
            dtau = (dg - tau * gamma * (g * de[l] + e[l] * dg)) / below
            residual[l - 1] = s[l - 1] - 1.0 / e[l] - gamma * g
            jacobian[l - 1] = de[l] / e[l] ** 2 - gamma * dg
            jacobian[l - 1, l - 1] += 1.0
        return State(residual, jacobian, trace)

    def newton(self, s: Nodes, z: Nodes) -> tuple[Nodes, Nodes, Nodes, NDArray[np.bool_]]:
        """Roots near s: (s, ds/dz, m, whether converged), every point on its own."""
        s, n = s.copy(), z.size
        slopes, traces = np.full_like(s, np.nan), np.full(n, np.nan, complex)
        last, done = np.full(n, np.inf), np.zeros(n, bool)
        going = np.arange(n)
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                at = self.state(s[:, going], z[going])
                step = _solve(at.jacobian, at.residual)
                change = np.abs(step[..., 0] / s[:, going]).max(axis=0)
                # a step that no longer halves is the rounding of the residual
                settled = (change <= _EXACT) | ((change <= _CLOSE) & (change > 0.5 * last[going]))
                bad = ~np.isfinite(change)
                s[:, going] -= np.where(bad, 0.0, step[..., 0])
                slopes[:, going], traces[going] = step[..., 1], at.trace
                last[going] = change
                done[going[settled]] = True
                going = going[~(settled | bad)]
                if going.size == 0:
                    break
        return s, slopes, traces, done

    def points(self, z: Nodes) -> Nodes:
        """Cauchy transform above the real line, shape (n,); NaN where it was not found."""
        found = self._descend(z.real, z.imag)
        return found.cauchy

    def line(self, x: Array) -> Found:
        """Bands and gaps of the real line, shape (n,)."""
        return self._descend(x, np.zeros_like(x))

    def _descend(self, x: Array, ground: Array) -> Found:
        """Come down from far above every x to the height `ground`."""
        height = np.maximum(2.0 * self.scale, ground)
        s, slopes = self._far(x + 1j * height)
        ratio = np.full(x.size, _SOFTEST)
        found = Found(np.full(x.size, np.nan, complex), s, *np.zeros((2, x.size), bool))
        going = np.arange(x.size)
        for _ in range(_STAGES):
            low = going[height[going] <= _LOW * self.scale + ground[going]]
            self._land(x, ground, height, s, slopes, low, found)
            lost = (height < _GROUND * self.scale) | (ratio > _SHORTEST)
            going = going[~(found.band | found.gap | lost)[going]]
            if going.size == 0:
                break
            now = height[going]
            aim = ground[going] + (now - ground[going]) * ratio[going]
            start = s[:, going] + slopes[:, going] * 1j * (aim - now)
            new, ds, _, done = self.newton(start, x[going] + 1j * aim)
            above = done & (new.imag > 0.0).all(axis=0)
            at = going[above]
            s[:, at], slopes[:, at], height[at] = new[:, above], ds[:, above], aim[above]
            ratio[at] = np.maximum(ratio[at] ** 1.5, _SOFTEST)
            ratio[going[~above]] = np.sqrt(ratio[going[~above]])
        return found

    def _land(
        self,
        x: Array,
        ground: Array,
        height: Array,
        s: Nodes,
        slopes: Nodes,
        low: NDArray[np.int64],
        found: Found,
    ) -> None:
        """Take low points down to the ground: above the line, in a band of it, or in a gap."""
        if low.size == 0:
            return
        z = x[low] + 1j * ground[low]
        start = s[:, low] + slopes[:, low] * 1j * (ground - height)[low]
        start.imag = np.maximum(start.imag, 0.5 * s[:, low].imag)
        new, _, m, done = self.newton(start, z)
        # on the line the imaginary parts must be more than rounding
        least = np.where(ground[low] > 0.0, 0.0, _ROUNDING * np.abs(new))
        good = done & (new.imag > least).all(axis=0)
        at = low[good]
        found.cauchy[at], found.s[:, at], found.band[at] = -m[good], new[:, good], True
        level = low[~good & (ground[low] == 0.0)]
        start = (s[:, level] - 1j * height[level] * slopes[:, level]).real + 0j
        new, ds, m, done = self.newton(start, x[level] + 0j)
        good = done & (ds.real > 0.0).all(axis=0) & (new.imag == 0.0).all(axis=0)
        at = level[good]
        found.cauchy[at], found.s[:, at], found.gap[at] = -m[good], new[:, good], True

    def _far(self, z: Nodes) -> tuple[Nodes, Nodes]:
        """Roots far above, by the map of half planes itself."""
        e = self.weights[-1]
        start = []
        for l in range(self.levels, 0, -1):
            start.append(np.full(z.size, 1.0 / e, complex))
            e = self.weights[l - 1] + self.gains[l - 1] * e
        s = np.array(start[::-1])
        for _ in range(20):
            s = s - self.state(s, z).residual
        s, slopes, _, _ = self.newton(s, z)
        return s, slopes


def _solve(jacobian: Nodes, residual: Nodes) -> Nodes:
    """Newton step and ds/dz, shape (k, n, 2)."""
    square: Nodes = np.moveaxis(jacobian[:, :-1], -1, 0)
    right: Nodes = np.moveaxis(np.stack([residual, -jacobian[:, -1]], axis=-1), 1, 0)
    regular = np.isfinite(square).all(axis=(1, 2)) & (np.linalg.det(square) != 0.0)
    solved = np.full(right.shape, np.nan, complex)
    solved[regular] = np.linalg.solve(square[regular], right[regular])
    return np.moveaxis(solved, 0, 1)
