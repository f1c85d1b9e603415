r"""The equations of products of :math:`1 + X_l`, and their solution at points of the plane.

With :math:`\nu` the law of the gate of a block and w its argument, :math:`m = m_\nu(w)`,
:math:`n = 1 + m`, a block is the curve

.. math:: q = n^p/(c\,w),\qquad r^2 = 1 + 4q,\qquad P = n + \tfrac{r-1}{2},\qquad Z = P^2/q,

p = 2, or 1 with a Gaussian factor: q is the square of the Cauchy transform of the symmetrised
singular values of X and, as transforms of free sums are shared, of those of 1 + X;
:math:`(r-1)/2` is what :math:`\tfrac12(\delta_1+\delta_{-1})` adds, and P = Z G(Z). Blocks that
multiply freely share P, and :math:`\prod_l Z_l = z\,(P/(P-1))^{N-1}`.

The unknowns are w and r of every block, and P. At fixed P the blocks do not see each other, so that
a step of Newton costs as much as its residual.
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
_EXACT = 4e-15  # relative size of a last step
_CLOSE = 1e-10  # of a step after which rounding may be in the way
_NOISE, _COARSE = 2e-15, 1e-4  # of log z by rounding; of a step that it may cause
_TURN = 2.0 * np.pi
_BLUR = 1e-9  # relative imaginary part of a real number that leaves may give
_LEAST = 1e-13  # relative imaginary part of P in a band, and how far it is above rounding
_CERTAIN = 30.0


@dataclass(frozen=True, eq=False)
class Point:
    """Unknowns at n points.

    Attributes
    ----------
    w, r : ndarray, shape (B, n)
    p : ndarray, shape (n,)
    """

    w: Nodes
    r: Nodes
    p: Nodes

    def moved(self, by: "Point", length: Nodes | float = 1.0) -> "Point":
        """The point and a multiple of another."""
        return Point(self.w + length * by.w, self.r + length * by.r, self.p + length * by.p)

    def at(self, where: NDArray[np.integer] | Flags) -> "Point":
        """Some of the points."""
        return Point(self.w[:, where], self.r[:, where], self.p[where])

    def put(self, where: NDArray[np.integer], other: "Point") -> None:
        """Overwrite some of the points."""
        self.w[:, where], self.r[:, where], self.p[where] = other.w, other.r, other.p


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
    places, rises : ndarray, shape (4 B, n)
        What moves upwards with z, and its derivatives by log z: w, the squares of the
        subordination functions of X and of the signs, and Z.
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
    rises: tuple[Nodes, ...]


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

    def state(self, at: Point, log_z: Nodes) -> State:
        """Everything at given unknowns."""
        from freefim.free.joint.kernels import leaf_values

        mirrored = at.w.imag < 0.0
        upper = np.where(mirrored, at.w.conj(), at.w)
        values = np.array([leaf_values(w, l, *self._tables) for l, w in enumerate(upper)])
        m, n, d = np.where(mirrored, np.moveaxis(values, -1, 0).conj(), np.moveaxis(values, -1, 0))
        w, r, p = at.w, at.r, at.p
        power = np.where(self.gaussian, 1.0, 2.0)[:, None]
        gain, count = self.gains[:, None], self.counts[:, None]
        q = n**power / (gain * w)
        dq = q * (power * d / n - 1.0 / w)
        half = 0.5 * (r - 1.0)
        first, second = r * r - 1.0 - 4.0 * q, n + half - p
        determinant = -2.0 * (dq + r * d)
        along = Point(-2.0 * r / determinant, -4.0 * dq / determinant, np.ones_like(p))
        repair = Point(
            (2.0 * r * second - 0.5 * first) / determinant,
            (4.0 * dq * second + d * first) / determinant,
            np.zeros_like(p),
        )
        by_w, total = -dq / q, count.sum()
        others = total - 1.0
        # with the unknown P, not with the difference that it is near z = 0
        log_block = 2.0 * np.log(p) - np.log(q)
        rest = others * (np.log(p - 1.0) - np.log(p)) if others else 0.0
        found = (count * log_block).sum(axis=0) + rest
        off = found - log_z
        off -= 1j * _TURN * np.round(off.imag / _TURN)
        stretch = (count * by_w * along.w).sum(axis=0) + 2.0 * total / p
        stretch = stretch + others * (1.0 / (p - 1.0) - 1.0 / p)
        mended = off + (count * by_w * repair.w).sum(axis=0)
        slope = Point(along.w / stretch, along.r / stretch, 1.0 / stretch)
        transform = np.sqrt(q)
        # p / transform lies in the first quadrant, up to rounding
        root = p / transform
        transform = np.where(root.real + root.imag < 0.0, -transform, transform)
        signs, branch = 0.5 * (r + 1.0) / transform, n / transform
        fall = 0.5 * by_w * slope.w  # minus d log of the transform
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
                signs * fall + 0.5 * slope.r / transform,
                branch * fall + d * slope.w / transform,
                2.0 * slope.p / p + by_w * slope.w,
                slope.w,
                square,
            ),
        )

    def newton(self, start: Point, log_z: Nodes) -> Roots:
        """Roots near a start, every point on its own."""
        size = log_z.size
        at = Point(start.w.copy(), start.r.copy(), start.p.copy())
        slope = Point(*(np.full_like(x, np.nan) for x in (at.w, at.r, at.p)))
        above, band, gap = np.zeros((3, size), bool)
        last, going = np.full(size, np.inf), np.arange(size)
        with np.errstate(all="ignore"):
            for _ in range(_STEPS):
                now = at.at(going)
                state = self.state(now, log_z[going])
                step = state.step
                change = np.concatenate([abs(step.w / now.w), abs(step.r / now.r), abs(step.p / now.p)[None]]).max(axis=0)
                bad = ~np.isfinite(change)
                # a step that no longer halves is the rounding of the residual
                noise = _NOISE / np.abs(state.stretch * now.p)
                close = np.clip(noise, _CLOSE, _COARSE)
                settled = (change <= _EXACT) | ((change <= close) & (change > 0.5 * last[going]))
                length = np.where(bad, 0.0, np.minimum(1.0, 0.5 / change))
                at.put(going, now.moved(Point(*(np.where(bad, 0.0, x) for x in (step.w, step.r, step.p))), length))
                last[going] = change
                slope.put(going, state.slope)
                above[going], band[going], gap[going] = settled & np.array(self._place(state, now, noise))
                going = going[~(settled | bad)]
                if going.size == 0:
                    break
        return Roots(at, slope, above, band, gap)

    def _place(self, state: State, at: Point, noise: Array) -> tuple[Flags, Flags, Flags]:
        """Whether z lies above the real line, in a band or in a gap of it."""
        block, signs, branch = state.block, state.signs, state.branch
        ds, db, lift, dw, square = state.rises
        along = (square.imag * at.w.imag >= 0.0) | ~self.gaussian[:, None]
        above = (block.imag > 0.0) & (signs.imag > 0.0) & (branch.imag > 0.0) & along
        low = -_BLUR
        band = (block.imag > low * abs(block)) & (signs.imag > low * abs(signs)) & (branch.imag > low * abs(branch))
        band &= at.p.imag < -np.maximum(_LEAST, _CERTAIN * noise) * np.abs(at.p)
        real = (abs(at.w.imag) <= _BLUR * abs(at.w)) & (abs(at.r.imag) <= _BLUR * abs(at.r))
        right = (ds.real > 0.0) & (db.real > 0.0) & (dw.real * branch.real > 0.0)
        gap = real & (lift.real > 0.0) & np.where(block.real > 0.0, right, (signs.imag > 0.0) & (branch.imag > 0.0))
        return above.all(axis=0), band.all(axis=0), gap.all(axis=0)

    def far(self, log_z: Nodes) -> Point:
        """Unknowns far from the spectrum."""
        means = 1.0 + self.gains * np.array([leaf.moments(1)[0] for leaf in self.leaves])
        # Z_l M → mean of the block, and M → mean of all over z
        small = np.prod(means**self.counts) * np.exp(-log_z)
        block = means[:, None] / small
        return Point(block / self.gains[:, None], 1.0 + 2.0 / block, 1.0 + small)

