"""Programs: trees of free operations as rows of numbers that the kernels run.

A program is the tree in postorder. A leaf pushes a point of a given law, at its own unknown; a
move changes the last point; a join takes the last two.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.free.law import Law

__all__ = ["Program"]

(LEAF, AFFINE, CORNER, PADDING, GAUSSIAN, SEMICIRCLE, POISSON, PROJECTION, MARCHENKO, POWER,
 INVERSE, SUM, PRODUCT, CIRCULAR) = range(14)  # fmt: skip

_ATOMS, _CAUCHY = 0, 3


@dataclass
class Program:
    """A tree as arrays.

    Attributes
    ----------
    ops : list of int
        Operations in postorder.
    par : list of [a, b, c, loose]
        Their numbers; loose is 1 above a join, where points may miss the constraints.
    data : list of float
        Per leaf: number of pieces, then code, length and data of each piece.
    leaves : list of Law
    walls : list of list of float
        Per leaf, ascending: its atoms and the ends of its bands.
    means, variances : list of float
        Of the law after every operation; of an inverse they stay unknown (NaN).
    left : list of int
        Index of the operation that ends the left operand of a join; else -1.
    zeros : dict
        Per inverse: the unknowns below it at its far end, and their slopes there.
    """

    ops: list[int] = field(default_factory=list)
    par: list[list[float]] = field(default_factory=list)
    data: list[float] = field(default_factory=list)
    walls: list[list[float]] = field(default_factory=list)
    means: list[float] = field(default_factory=list)
    variances: list[float] = field(default_factory=list)
    left: list[int] = field(default_factory=list)
    leaves: list[Law] = field(default_factory=list)
    zeros: dict[int, tuple[NDArray[np.complex128], NDArray[np.complex128]]] = field(
        default_factory=dict
    )

    @property
    def unknowns(self) -> int:
        """Number of leaves."""
        return len(self.walls)

    def arrays(self) -> tuple[NDArray[np.int64], NDArray[np.float64], NDArray[np.float64]]:
        """Operations, their numbers, the data of the leaves."""
        return np.array(self.ops), np.array(self.par), np.array(self.data)

    def operand(self, last: int) -> "Program":
        """The program of the operand that ends at operation `last`."""
        needed, first = 1, last
        while True:
            op = self.ops[first]
            needed += 1 if op >= SUM else -1 if op == LEAF else 0
            if not needed:
                break
            first -= 1
        skipped = self.ops[:first].count(LEAF)
        kept = slice(first, last + 1)
        held = slice(skipped, skipped + self.ops[kept].count(LEAF))
        return Program(
            self.ops[kept], [row.copy() for row in self.par[kept]], self.data, self.walls[held],
            self.means[kept], self.variances[kept],
            [left - first if left >= 0 else -1 for left in self.left[kept]], self.leaves[held],
            {at - first: zero for at, zero in self.zeros.items() if first <= at <= last},
        )  # fmt: skip

    def add(self, op: int, a: float = 0.0, b: float = 0.0, c: float = 0.0) -> None:
        """Append a move, with the mean and the variance of its law."""
        loose = self.par[-1][3]
        self._append(op, [a, b, c, loose], *_moved(op, a, b, self.means[-1], self.variances[-1]))

    def add_leaf(self, law: Law) -> None:
        """Append a leaf."""
        from freefim.free.laws.leaf_data import leaf_arrays

        pieces = leaf_arrays(law)
        offset, walls = len(self.data), []
        self.data.append(float(len(pieces)))
        for code, data in pieces:
            if code == _CAUCHY:
                raise SpecError(
                    "a Cauchy law is computed in free sums, and under corners, free powers and "
                    f"affine maps of them, got {law!r}"
                )
            self.data += [float(code), float(len(data)), *data.tolist()]
            if code == _ATOMS:
                count = int(data[0])
                walls += data[1 : 1 + count].tolist()
            else:
                walls += [end for band in _spans(code, data) for end in band]
        self.leaves.append(law)
        self.walls.append(sorted(set(walls)))
        x, weights = law.solution.nodes()
        x = np.concatenate([x, [at for at, _ in law.solution.atoms]])
        weights = np.concatenate([weights, [mass for _, mass in law.solution.atoms]])
        mean = float(weights @ x)
        self._append(LEAF, [float(offset), 0.0, 0.0, 0.0], mean, float(weights @ (x - mean) ** 2))

    def join(self, op: int, left: int, *, signed: bool = False) -> None:
        """Join the last operand with the one that ends at `left`."""
        one, two = (self.means[left], self.variances[left]), (self.means[-1], self.variances[-1])
        mean, variance = _joined(op, one, two)
        self._append(op, [float(signed), variance**0.5, 0.0, 1.0], mean, variance)
        self.left[-1] = left

    def set_inverse(
        self, i: int, mean: float, variance: float,
        zero: tuple[NDArray[np.complex128], NDArray[np.complex128]],
    ) -> None:  # fmt: skip
        """Fill in what is known of an inverse, and the moments of all that rests on it."""
        self.means[i], self.variances[i], self.zeros[i] = mean, variance, zero
        for j in range(i + 1, len(self.ops)):
            op, (a, b, _, _) = self.ops[j], self.par[j]
            last = self.means[j - 1], self.variances[j - 1]
            if op >= SUM:
                left = self.left[j]
                one = self.means[left], self.variances[left]
                self.means[j], self.variances[j] = _joined(op, one, last)
                self.par[j][1] = self.variances[j] ** 0.5
            elif op not in (LEAF, INVERSE):
                self.means[j], self.variances[j] = _moved(op, a, b, *last)

    def _append(self, op: int, row: list[float], mean: float, variance: float) -> None:
        self.ops.append(op)
        self.par.append(row)
        self.means.append(mean)
        self.variances.append(variance)
        self.left.append(-1)


def _spans(code: int, data: NDArray[np.float64]) -> list[tuple[float, float]]:
    """Bands of a series piece, or the hull of a piece of panels."""
    spans, at = [], 1
    head = 4 if code == 1 else 3
    for _ in range(int(data[0])):
        spans.append((float(data[at]), float(data[at + 1])))
        at += head + int(data[at + head - 1])
    return spans if code == 1 else [(spans[0][0], spans[-1][1])]


def _joined(op: int, one: tuple[float, float], two: tuple[float, float]) -> tuple[float, float]:
    """Mean and variance after a join."""
    (m, v), (n, u) = one, two
    if op == CIRCULAR:
        return m + n, v + u + 2.0 * m * n
    return (m + n, v + u) if op == SUM else (m * n, v * n * n + u * m * m)


def _moved(op: int, a: float, b: float, mean: float, variance: float) -> tuple[float, float]:
    """Mean and variance after a move."""
    second = variance + mean * mean
    match op:
        case 1:  # AFFINE
            return a * mean + b, a * a * variance
        case 2:  # CORNER
            return mean, a * variance
        case 3:  # PADDING
            return a * mean, a * second - (a * mean) ** 2
        case 4:  # GAUSSIAN
            return b * mean, b * b * a * second
        case 5:  # SEMICIRCLE
            return mean, variance + a
        case 6:  # POISSON
            return mean + a * b, variance + a * b * b
        case 7:  # PROJECTION
            return a * b * mean, b * b * (a * a * variance + a * (1.0 - a) * mean * mean)
        case 8:  # MARCHENKO
            return mean, variance + a * b * mean * mean
        case 9:  # POWER
            return mean**a, a * variance * mean ** (2.0 * a - 2.0)
    return float("nan"), float("nan")
