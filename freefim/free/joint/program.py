"""A chain as the flat arrays that the joint kernels read; its exact atoms and first moments."""

from collections.abc import Sequence
from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.free.chains.atoms import chain_places
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import Leaf, TwoPoint, sech_fourth

__all__ = ["Program", "compile_chain", "leaf_table"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]
_Points = tuple[tuple[float, float], ...]
_LEAF, _GAUSSIAN, _CORNER, _PADDING, _AFFINE = range(5)
_UNSEEN = 1e-20
#: A lump of this mass is not listed.
_INVISIBLE = 1e-12
_UNIT = TwoPoint(0.0, 1.0, 1.0, 0.0)


@dataclass(frozen=True, eq=False)
class Program:
    """What `joint_kernels` needs, for the law of y = x - `shift`, `shift` the last one added.

    Attributes
    ----------
    leaves : tuple of Leaf
        One per w; the point mass that starts the chain scales the first.
    arrays : tuple of ndarray
        ops, pars, tab, reals, nodes, weights: the first arguments of every kernel.
    eps : ndarray, shape (U,)
        Size below which each unknown counts as zero: the K of the leaves, then one 0 a shift.
    shift : float
    atoms : tuple of (location, mass)
        Point masses of the law of y as the kernels see it, ascending: lumps count as atoms.
    listed : tuple of (location, mass)
        Those that the law is said to have: atoms, and visible lumps away from 0.
    stand_ins : tuple of (location, mass)
        Those of them that stand for tails.
    marginal : tuple of float
        Places where the mass of an atom is exactly 0: there an edge is hard.
    mean, second : float
        First two moments of the law of y.
    exact : bool
        Whether no leaf is a path without atoms; those that have some make gaps that a larger blur
        would miss.
    """

    leaves: tuple[Leaf, ...]
    arrays: tuple[NDArray[np.int64], _Reals, NDArray[np.int64], _Reals, _Nodes, _Nodes]
    eps: _Reals
    shift: float
    atoms: tuple[tuple[float, float], ...]
    listed: tuple[tuple[float, float], ...]
    stand_ins: tuple[tuple[float, float], ...]
    marginal: tuple[float, ...]
    mean: float
    second: float
    exact: bool

    @property
    def blur(self) -> float:
        """How large the imaginary part of a real solution may be, relative."""
        return 1e-9 if self.exact else 3e-8


def _grid(code: int, reals: _Reals) -> _Reals:
    """Variance, amplitude, step, count, then g and the weight at the nodes of both half grids."""
    variance, amplitude = float(reals[0]), float(reals[1])
    root = np.sqrt(variance)
    if code == Leaf.SINE:
        return np.array([variance * reals[1] ** 2, reals[2]])
    step = min(0.26, 0.7 * root) if code == Leaf.TANH else min(0.3, 0.25 * root)
    count = int(np.ceil(10 * root / step)) + 1
    rows = []
    for offset in (0.0, 0.5):
        h = step * (np.arange(count) + offset)
        weight = 2 * step * np.exp(-(h**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
        if offset == 0.0:
            weight[0] /= 2
        g = sech_fourth(h) if code == Leaf.TANH else np.exp(-2 * h**2)
        rows.append((amplitude * g, weight))
    head = np.array([variance, amplitude, step, count])
    return np.concatenate([head, rows[0][0], rows[1][0], rows[0][1], rows[1][1]])


def leaf_table(
    leaves: Sequence[Leaf],
) -> tuple[NDArray[np.int64], _Reals, _Nodes, _Nodes]:
    """Concatenate the data of all leaves: tab, reals, nodes, weights; equal leaves share data."""
    seen: dict[int, tuple[int, int, int, int]] = {}
    tab, reals, nodes, weights = [], [np.zeros(1)], [np.zeros(1, complex)], [np.zeros(1, complex)]
    at, node_at = 1, 1
    for leaf in leaves:
        if id(leaf) not in seen:
            code, numbers, points, masses = leaf.kernel_data()
            if code not in (Leaf.ATOMS, Leaf.CONTOUR):
                numbers = _grid(code, numbers)
            seen[id(leaf)] = (code, at, node_at, points.size)
            reals.append(numbers)
            nodes.append(points)
            weights.append(masses)
            at += numbers.size
            node_at += points.size
        tab.append(seen[id(leaf)])
    return (
        np.array(tab, dtype=np.int64),
        np.concatenate(reals),
        np.concatenate(nodes),
        np.concatenate(weights),
    )


def _constant(leaf: Leaf) -> float | None:
    """The one value that a leaf takes, up to a mass that 64-bit numbers do not see, or None."""
    if leaf.minimum == leaf.maximum:
        return leaf.maximum
    if isinstance(leaf, TwoPoint) and min(leaf.mass, leaf.complement) < _UNSEEN:
        return float(leaf.high if leaf.mass > leaf.complement else leaf.low)
    return None


def _merged(moves: Sequence[Move]) -> list[Move]:
    """The same moves with constant gates and neighbouring affine maps as one affine map."""
    out: list[Move] = []
    for move in moves:
        if isinstance(move, Product) and (value := _constant(move.leaf)) is not None:
            move = Affine(value, 0.0)  # noqa: PLW2901
        before = out[-1] if out else None
        if isinstance(move, Affine) and isinstance(before, Affine):
            shift = float(move.scale) * float(before.shift) + float(move.shift)
            out[-1] = Affine(float(before.scale) * float(move.scale), shift)
        else:
            out.append(move)
    return out


def compile_chain(chain: Chain) -> Program:
    """Flatten a chain; the moves before the first product act on a point mass."""
    start, moves = float(chain.start), _merged(chain.moves)
    while moves and isinstance(moves[0], Affine | Corner):
        first_move = moves.pop(0)
        if isinstance(first_move, Affine):
            start = float(first_move.scale) * start + float(first_move.shift)
    shift, last = 0.0, moves[-1] if moves else None
    if isinstance(last, Affine):
        shift = float(last.shift)
        moves[-1] = Affine(last.scale, 0.0)
    masses = _masses(Chain(start, tuple(moves)))
    first: Leaf = _UNIT
    if moves and isinstance(moves[0], Product):
        first = moves[0].leaf
        del moves[0]
    leaves: list[Leaf] = [first]
    ops = [_LEAF, _AFFINE]
    pars = [(0.0, 0.0), (start, 0.0)]
    e1, e2 = first.moments(2)
    mean, second = start * e1, start**2 * e2
    for move in moves:
        if isinstance(move, Product):
            ops.append(_LEAF)
            pars.append((float(len(leaves)), 0.0))
            leaves.append(move.leaf)
            e1, e2 = move.leaf.moments(2)
            second = mean**2 * e2 + e1**2 * second - (mean * e1) ** 2
            mean *= e1
        elif isinstance(move, Gaussian):
            a, v = float(move.ratio), float(move.variance)
            ops.append(_GAUSSIAN)
            pars.append((a, v))
            mean, second = v * mean, v**2 * (mean**2 + a * second)
        elif isinstance(move, Corner):
            a = float(move.ratio)
            ops.append(_CORNER)
            pars.append((a, 0.0))
            second = (1 - a) * mean**2 + a * second
        elif isinstance(move, Padding):
            a = float(move.ratio)
            ops.append(_PADDING)
            pars.append((a, 0.0))
            mean, second = a * mean, a * second
        else:
            s, q = float(move.scale), float(move.shift)
            ops.append(_AFFINE)
            pars.append((s, q))
            mean, second = s * mean + q, s**2 * second + 2 * s * q * mean + q**2
    arrays = (np.array(ops, dtype=np.int64), np.array(pars, dtype=float), *leaf_table(leaves))
    eps = np.array([0.5 * leaf.bottom_quantile() for leaf in leaves])
    shifts = sum(op == _AFFINE and shift != 0 for op, (_, shift) in zip(ops, pars, strict=True))
    eps = np.concatenate([eps, np.zeros(shifts)])
    exact = all(leaf.kernel_data()[0] != Leaf.CONTOUR or leaf.atoms for leaf in leaves)
    return Program(tuple(leaves), arrays, eps, shift, *masses, mean, second, exact)


def _masses(chain: Chain) -> tuple[_Points, _Points, _Points, tuple[float, ...]]:
    """`atoms`, `listed`, `stand_ins` and `marginal` of a program."""
    true, marginal = chain_places(chain)
    if not any(isinstance(move, Product) and move.leaf.lumps for move in chain.moves):
        return true, true, (), marginal
    seen, marginal = chain_places(chain, lumps=True)
    exact = dict(true)
    stand_ins = tuple((x, p) for x, p in seen if x and p > exact.get(x, 0.0) + _INVISIBLE)
    listed = tuple(sorted({**exact, **dict(stand_ins)}.items()))
    return seen, listed, stand_ins, marginal
