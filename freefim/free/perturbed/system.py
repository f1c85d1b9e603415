r"""The equations of products of :math:`1 + X_l`, and their solution at points of the plane.

With :math:`\nu` the law of the gate of a block and w its argument, :math:`m = m_\nu(w)`,
:math:`n = 1 + m`, a block is the curve

.. math:: q = n^p/(c\,w),\qquad v(1 + v) = q,\qquad P = n + v,\qquad Z = P^2/q,

p = 2, or 1 with a Gaussian factor: q is the square of the Cauchy transform of the symmetrised
singular values of X and, as transforms of free sums are shared, of those of 1 + X; v is the moment
function of :math:`\tfrac12(\delta_1+\delta_{-1})`, and P = Z G(Z). Blocks that multiply freely
share P, and :math:`\prod_l Z_l = z\,(P/(P-1))^{N-1}`.

The unknowns are w and v of every block, and P. At fixed P the blocks do not see each other, so that
a step of Newton costs as much as its residual. Near z = 0 numbers are small differences of 1 + v
and others, near z = 1 differences of large ones: v and 1 + v are both kept, each to its own
precision, and a logarithm near 1 is never taken of a rounded number.
"""

from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from freefim.free.joint.program import leaf_table
from freefim.free.leaves.leaf import Leaf

__all__ = ["Point", "Roots", "System"]

Array = NDArray[np.float64]
Nodes = NDArray[np.complex128]
Flags = NDArray[np.bool_]

_STEPS = 14  # of Newton
_PATIENCE, _HOPELESS = 3, 1e-4  # steps after which those that do not halve are no start of a root
_EXACT = 4e-15  # relative size of a last step
_CLOSE = 1e-10  # of a step after which rounding may be in the way
_NOISE, _COARSE = 2e-15, 1e-4  # of log z by rounding; of a step that it may cause
_TURN = 2.0 * np.pi
_BLUR = 1e-9  # relative imaginary part of a real number that leaves may give
_LEAST = 1e-10  # relative imaginary part of P in a band, and how far it is above rounding
_CERTAIN = 30.0
_FULL = 1.0 - 1e-6


@dataclass(frozen=True, eq=False)
class Point:
    """Unknowns at n points.

    Attributes
    ----------
    w, v, c : ndarray, shape (B, n)
        c is 1 + v.
    p : ndarray, shape (n,)
    """

    w: Nodes
    v: Nodes
    c: Nodes
    p: Nodes

    def moved(self, by: "Point", length: Nodes | float = 1.0) -> "Point":
        """The point and a multiple of another."""
        return Point(*(x + length * d for x, d in zip(self.parts, by.parts, strict=True)))

    @property
    def parts(self) -> tuple[Nodes, Nodes, Nodes, Nodes]:
        """The arrays."""
        return self.w, self.v, self.c, self.p

    @property
    def real(self) -> "Point":
        """Without imaginary parts."""
        w, v, c, p = (np.asarray(x.real, dtype=complex) for x in self.parts)
        return Point(w, v, c, p)

    def copy(self) -> "Point":
        """A point that can be overwritten."""
        return Point(*(x.copy() for x in self.parts))

    def at(self, where: NDArray[np.integer] | Flags) -> "Point":
        """Some of the points."""
        return Point(*(x[..., where] for x in self.parts))

    def put(self, where: NDArray[np.integer], other: "Point") -> None:
        """Overwrite some of the points."""
        for mine, theirs in zip(self.parts, other.parts, strict=True):
            mine[..., where] = theirs

    def change(self, step: "Point") -> Array:
        """Largest relative size of a step, shape (n,)."""
        sizes = [np.atleast_2d(np.abs(d / x)) for x, d in zip(self.parts, step.parts, strict=True)]
        return np.asarray(np.concatenate(sizes).max(axis=0))


@dataclass(frozen=True, eq=False)
class State:
    """The equations at given unknowns.

    Attributes
    ----------
    step : Point
        The step of Newton.
    slope : Point
        Derivative of the unknowns by log z along the solution.
    repair : Point
        The step that solves every block at fixed P.
    along : Point
        Derivative by P, every block being solved.
    stretch : ndarray, shape (n,)
        d log z/dP along it: 0 at an edge.
    log_z : ndarray, shape (n,)
        The log z at which the last equation holds, up to full turns.
    block, signs, branch : ndarray, shape (B, n)
        Z, and the subordination functions of the signs and of X at its root.
    rises : tuple of three ndarray, shape (B, n)
        Derivatives by log z of the subordination functions and of log Z.
    aligned : ndarray of bool, shape (B, n)
        Whether w lies in the half plane of its product with the Gaussian factor.
    """

    step: Point
    slope: Point
    repair: Point
    along: Point
    stretch: Nodes
    log_z: Nodes
    block: Nodes
    signs: Nodes
    branch: Nodes
    rises: tuple[Nodes, Nodes, Nodes]
    aligned: Flags


@dataclass(frozen=True, eq=False)
class Roots:
    """Roots of the equations, and where they say that z lies.

    Attributes
    ----------
    point, slope : Point
        Unknowns, and their derivatives by log z.
    above, band, gap : ndarray of bool, shape (n,)
        Whether the root is physical for z above the real line, in a band or in a gap of it.
    """

    point: Point
    slope: Point
    above: Flags
    band: Flags
    gap: Flags


@dataclass(frozen=True, eq=False)
class System:
    """N blocks of B kinds.

    Attributes
    ----------
    leaves : tuple of Leaf
        Gates, B of them.
    gains : ndarray, shape (B,)
        The c: X Xᵀ has the law of c·gate, times Marchenko–Pastur of ratio 1 if Gaussian.
    gaussian : ndarray of bool, shape (B,)
    counts : ndarray, shape (B,)
        How many blocks there are of every kind.
    """

    leaves: tuple[Leaf, ...]
    gains: Array
    gaussian: Flags
    counts: Array

    @cached_property
    def _tables(self) -> tuple[NDArray[np.int64], Array, Nodes, Nodes]:
        return leaf_table(self.leaves)

    @property
    def bound(self) -> float:
        """Above the whole spectrum."""
        tops = np.array([leaf.maximum for leaf in self.leaves])
        norms = np.sqrt(self.gains * tops) * np.where(self.gaussian, 2.0, 1.0)
        return float(np.prod((1.0 + norms) ** (2.0 * self.counts)))

    @cached_property
    def means(self) -> Array:
        """Means of the blocks, shape (B,)."""
        first = [leaf.moments(1)[0] for leaf in self.leaves]
        return np.asarray(1.0 + self.gains * np.array(first), dtype=float)

    @property
    def mean(self) -> float:
        """Mean of the product."""
        return float(np.prod(self.means**self.counts))

    def state(self, at: Point, log_z: Nodes) -> State:
        """Everything at given unknowns."""
        from freefim.free.joint.kernels import leaf_values

        mirrored = at.w.imag < 0.0
        upper = np.where(mirrored, at.w.conj(), at.w)
        values = np.array([leaf_values(w, l, *self._tables) for l, w in enumerate(upper)])
        m, n, d = np.where(mirrored, np.moveaxis(values, -1, 0).conj(), np.moveaxis(values, -1, 0))
        w, v, c, p = at.parts
        power = np.where(self.gaussian, 1.0, 2.0)[:, None]
        gain, count = self.gains[:, None], self.counts[:, None]
        q = n**power / (gain * w)
        dq = q * (power * d / n - 1.0 / w)
        first, second = v * c - q, np.where(abs(c) < abs(v), m + c, n + v) - p
        determinant = -dq - d * (v + c)
        dv = -dq / determinant
        along = Point(-(v + c) / determinant, dv, dv, np.ones_like(p))
        dv = (dq * second + d * first) / determinant
        repair = Point(((v + c) * second - first) / determinant, dv, dv, np.zeros_like(p))
        large, lift = np.minimum(abs(v), abs(c)) > 1.0, 1.0 + n / v
        log_block = np.where(
            large, 2.0 * np.log1p(n / v) - np.log1p(1.0 / v), 2.0 * np.log(p) - np.log(q)
        )
        by_w = np.where(large, 2.0 * d / (v * lift), -dq / q)
        by_v = np.where(large, 1.0 / (v * c) - 2.0 * n / (v * v * lift), 0.0)
        by_p = np.where(large, 0.0, 2.0 / p)
        others = count.sum() - 1.0
        found = (count * log_block).sum(axis=0)
        found = found + others * np.log1p(-1.0 / p) if others else found
        off = found - log_z
        off -= 1j * _TURN * np.round(off.imag / _TURN)
        stretch = (count * (by_w * along.w + by_v * along.v + by_p)).sum(axis=0)
        stretch = stretch + others / (p * (p - 1.0))
        mended = off + (count * (by_w * repair.w + by_v * repair.v)).sum(axis=0)
        slope = Point(*(x / stretch for x in along.parts))
        transform = np.sqrt(q)
        # p / transform lies in the first quadrant, up to rounding
        root = p / transform
        transform = np.where(root.real + root.imag < 0.0, -transform, transform)
        signs, branch = c / transform, n / transform
        fall = -0.5 * dq / q * slope.w  # minus d log of the transform
        square = gain * w * np.where(self.gaussian[:, None], n, 1.0)
        return State(
            step=repair.moved(along, -mended / stretch),
            slope=slope,
            repair=repair,
            along=along,
            stretch=stretch,
            log_z=found,
            block=p * p / q,
            signs=signs,
            branch=branch,
            rises=(
                signs * fall + slope.v / transform,
                branch * fall + d * slope.w / transform,
                by_w * slope.w + by_v * slope.v + by_p * slope.p,
            ),
            aligned=(square.imag * w.imag >= 0.0) | ~self.gaussian[:, None],
        )

    def newton(self, start: Point, log_z: Nodes) -> Roots:
        """Roots near a start, every point on its own."""
        size = log_z.size
        at = start.copy()
        slope = Point(*(np.full_like(x, np.nan) for x in at.parts))
        above, band, gap = np.zeros((3, size), bool)
        last, going = np.full(size, np.inf), np.arange(size)
        with np.errstate(all="ignore"):
            for number in range(_STEPS):
                now = at.at(going)
                state = self.state(now, log_z[going])
                step = state.step
                change = now.change(step)
                bad = ~np.isfinite(change)
                if number >= _PATIENCE:
                    bad |= (change > _HOPELESS) & (change > 0.5 * last[going])
                # a step that no longer halves is the rounding of the residual
                p = np.abs(now.p)
                # P - 1 far from the spectrum is a difference, too
                rounded = np.minimum(1.0, 1.0 / p) + (self.counts.sum() - 1.0) / abs(now.p - 1.0)
                noise = _NOISE * rounded / (p * np.abs(state.stretch))
                close = np.clip(noise, _CLOSE, _COARSE)
                settled = (change <= _EXACT) | ((change <= close) & (change > 0.5 * last[going]))
                length = np.where(bad, 0.0, np.minimum(1.0, 0.5 / change))
                keep = Point(*(np.where(bad, 0.0, x) for x in step.parts))
                at.put(going, now.moved(keep, length))
                last[going] = change
                slope.put(going, state.slope)
                above[going], band[going], gap[going] = settled & np.array(
                    self._place(state, now, noise)
                )
                going = going[~(settled | bad)]
                if going.size == 0:
                    break
        return Roots(at, slope, above, band, gap)

    def _place(self, state: State, at: Point, noise: Array) -> tuple[Flags, Flags, Flags]:
        """Whether z lies above the real line, in a band or in a gap of it."""
        levels = (state.block, state.signs, state.branch)
        above, band = state.aligned, at.p.imag < -np.maximum(_LEAST, _CERTAIN * noise) * abs(at.p)
        for level in levels:
            above = above & (level.imag > 0.0)
            band = band & (level.imag > -_BLUR * abs(level)).all(axis=0)
        real = (abs(at.w.imag) <= _BLUR * abs(at.w)) & (abs(at.v.imag) <= _BLUR * abs(at.v))
        # imaginary parts never shrink on the way inwards
        by_signs, by_branch, lift = (rise.real for rise in state.rises)
        least = 0.5 * _FULL * np.sqrt(abs(state.block)) * lift
        upright = (state.signs.imag > 0.0) & (state.branch.imag > 0.0)
        right = np.where(
            state.block.real > 0.0, (by_signs >= least) & (by_branch >= least), upright
        )
        gap = np.asarray((real & (lift >= _FULL) & right).all(axis=0), dtype=bool)
        return np.asarray(above.all(axis=0), dtype=bool), np.asarray(band, dtype=bool), gap

    def far(self, log_z: Nodes) -> Point:
        """Unknowns far from the spectrum."""
        # Z_l M → mean of the block, and M → mean of all over z
        small: Nodes = np.asarray(self.mean * np.exp(-log_z), dtype=complex)
        block: Nodes = self.means[:, None] / small
        return Point(block / self.gains[:, None], 1.0 / block, 1.0 + 1.0 / block, 1.0 + small)
