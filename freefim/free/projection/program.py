"""Chains of projections as programs: rows of numbers that the kernels run.

An operation is a row (b, g, c, q), with its kind beside it:

    GATE    v = z - b F;                  F <- g F v / z;        z <- g v + q
    WISHART v = z - b F, u = c - 1 + z/F; F <- g c v;            z <- g v u + q   (after its gate)
    CORNER  v = z - b F  (b = 1 - c);     F <- g c F;            z <- g v + q
    PADDING F <- g / ((1 - c)/z + c/F);                          z <- g z + q
"""

import numpy as np
from numpy.typing import NDArray

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product
from freefim.free.leaves.leaf import TwoPoint

__all__ = ["compile_chain", "is_projection_chain", "meets_equal_ranks"]

Array = NDArray[np.float64]

GATE, WISHART, CORNER, PADDING = 0, 1, 2, 3

# Ranks that differ by no more are equal up to rounding.
_SAME = 1e-13


def is_projection_chain(chain: Chain) -> bool:
    """Whether every leaf of the chain is a projection (one value besides 0) or a point mass."""
    return all(
        isinstance(move.leaf, TwoPoint) and (move.leaf.low == 0.0 or move.leaf.complement == 0.0)
        for move in chain.moves
        if isinstance(move, Product)
    )


def meets_equal_ranks(chain: Chain) -> bool:
    """Whether moves of equal rank follow each other such that F and z are both 0 at an edge.

    Each of k moves of one rank leaves a factor (1 + m - p) in z, p the mass at 0: a hard edge from
    k = 2 on, next to the atom if p > 0, and steeper than 1/√x from k = 3 on. A shift ends the row.
    """
    atom, count = 0.0, 1
    for move in chain.moves:
        taken = 0.0
        match move:
            case Product(TwoPoint(_, _, _, complement)):
                taken = float(complement)
            case Corner(ratio) | Gaussian(ratio, _):
                taken = 1.0 - float(ratio)
            case Padding(ratio):
                atom = 1.0 - float(ratio) * (1.0 - atom)
            case Affine(_, shift):
                atom, count = (0.0, 1) if shift else (atom, count)
                continue
        if abs(taken - atom) <= _SAME and (taken or not isinstance(move, Product)):
            count += 1
        elif taken > atom:
            atom, count = taken, 1
        if isinstance(move, Corner | Gaussian):
            atom = 1.0 - (1.0 - atom) / float(move.ratio)
            atom = atom if atom > _SAME else 0.0
        if count > (1 if atom else 2):
            return True
    return False


def compile_chain(chain: Chain) -> tuple[NDArray[np.int64], Array, float]:
    """The chain as rows (b, g, c, q) of operations; maps without a gate merge into a neighbour."""
    start = float(chain.start)
    ops: list[int] = []
    rows: list[list[float]] = []
    for move in chain.moves:
        match move:
            case Product(TwoPoint(_, high, _, complement)):
                if complement > 0.0:
                    ops.append(GATE)
                    rows.append([float(complement), float(high), 1.0, 0.0])
                    continue
                scale, shift = float(high), 0.0
            case Affine(factor, offset):
                scale, shift = float(factor), float(offset)
            case Gaussian(ratio, variance):
                if ops and ops[-1] == GATE and rows[-1][3] == 0.0:
                    ops[-1] = WISHART
                    rows[-1][1] *= float(variance)
                    rows[-1][2] = float(ratio)
                else:
                    ops.append(WISHART)
                    rows.append([0.0, float(variance), float(ratio), 0.0])
                continue
            case Corner(ratio):
                ops.append(CORNER)
                rows.append([1.0 - float(ratio), 1.0, float(ratio), 0.0])
                continue
            case Padding(ratio):
                ops.append(PADDING)
                rows.append([0.0, 1.0, float(ratio), 0.0])
                continue
        if rows:
            rows[-1][1] *= scale
            rows[-1][3] = rows[-1][3] * scale + shift
        else:
            start = start * scale + shift
    par = np.array(rows, dtype=float).reshape(-1, 4)
    return np.array(ops, dtype=np.int64), par, start
