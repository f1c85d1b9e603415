"""Trees of free operations as programs: rows of numbers that the kernels run.

A program is the tree in postorder. A leaf pushes a point of a given law, at its own unknown; a
move changes the last point; a join takes the last two. Partners whose transform is a formula
(semicircles, free Poisson laws, projections) are moves, so that only the other leaves are unknowns.
"""

from dataclasses import dataclass, field

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.trees.knowledge import is_nonnegative
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

__all__ = ["Program", "compile_tree", "squared_terms"]

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
                raise SpecError(f"a Cauchy law is computed in free sums only, got {law!r}")
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


def compile_tree(law: Law) -> Program:
    """Compile a tree; partners that are formulas become moves.

    Raises
    ------
    SpecError
        If a number of the tree is an expression with symbols, or a Cauchy law stands where its
        transform is no formula.
    """
    program = Program()
    if not _emit_curve(program, law):
        _emit(program, law)
    return program


def _emit_curve(program: Program, law: Law) -> bool:
    """A product of formulas as one curve, if the law is one."""
    from freefim.free.chains.chain_law import ChainLaw
    from freefim.free.trees.power_curve import power_curve

    curve = power_curve(law)
    found = curve and curve.moves()
    if not found:
        return False
    moves, scale, mass = found
    if moves and moves[-1][1] < 0.0 and not isinstance(law, ChainLaw):
        # divisors, the last, are steps of no law of their own: corners and projections are
        return False
    program.add_leaf(PointMass(1))
    for ratio, exponent in moves:
        program.add(MARCHENKO, ratio, exponent)
    if scale != 1.0:
        program.add(AFFINE, scale)
    if mass != 1.0:
        program.add(PADDING, mass)
    return True


def _emit(program: Program, law: Law) -> None:
    from freefim.free.chains.chain_law import ChainLaw
    from freefim.free.laws.named import FreePoisson, Semicircle
    from freefim.free.trees.inlining import tree_of_chain

    match law:
        case Semicircle() | FreePoisson():
            program.add_leaf(PointMass(0))
            _add_moves(program, _additive(law))
        case FreeSum():
            _emit_sum(program, _terms(law))
        case FreeProduct():
            _emit_product(program, _factors(law))
        case Affine(inner, scale, shift):
            _emit(program, inner)
            program.add(AFFINE, float(scale), float(shift))
        case Compressed(inner, ratio):
            _emit(program, inner)
            if ratio != 1:
                program.add(CORNER, float(ratio))
        case Padded(inner, ratio):
            _emit(program, inner)
            program.add(PADDING, float(ratio))
        case FreePower(inner, exponent):
            _emit(program, inner)
            _add_free_power(program, float(exponent))
        case MultiplicativePower(inner, exponent):
            _emit_product(program, {inner: float(exponent)})
        case Inverse(inner):
            _emit(program, inner)
            program.add(INVERSE)
        case Square(FreeSum() as inner) if squares := squared_terms(inner):
            for i, square in enumerate(squares):
                left = len(program.ops) - 1
                _emit(program, square)
                if i:
                    program.join(CIRCULAR, left)
        case Rectangular(inner, ratio, variance):
            _emit(program, inner)
            program.add(GAUSSIAN, float(ratio), float(variance))
        case NamedLaw():
            _emit(program, law.construction)
        case ChainLaw(chain=chain):
            if not _emit_curve(program, law):
                _emit(program, tree_of_chain(chain))
        case _:
            # given laws; and square roots and squares, where the unknown below turns back
            program.add_leaf(law)


def _add_free_power(program: Program, exponent: float) -> None:
    if exponent != 1.0:
        program.add(CORNER, 1.0 / exponent)
        program.add(AFFINE, exponent, 0.0)


def _terms(law: Law) -> dict[Law, float]:
    """The terms of nested sums, equal ones counted."""
    terms: dict[Law, float] = {}
    for side in (law.left, law.right) if isinstance(law, FreeSum) else (law,):
        for term, count in _terms(side).items() if isinstance(side, FreeSum) else ((side, 1.0),):
            terms[term] = terms.get(term, 0.0) + count
    return terms


def _factors(law: Law) -> dict[Law, float]:
    """The factors of nested products and powers, equal ones counted."""
    factors: dict[Law, float] = {}

    def visit(part: Law, count: float) -> None:
        match part:
            case FreeProduct(left, right):
                visit(left, count)
                visit(right, count)
            case MultiplicativePower(inner, exponent):
                visit(inner, count * float(exponent))
            case _:
                factors[part] = factors.get(part, 0.0) + count

    visit(law, 1.0)
    return factors


def squared_terms(law: FreeSum) -> list[Law]:
    """The squares of the terms of a sum, if all are symmetric and known by their squares."""
    squares: list[Law] = []
    for term, count in _terms(law).items():
        square = _square(term)
        if square is None or count != 1.0:
            return []
        squares.append(square)
    # on the gap at 0 only the unknowns of the one that makes it increase
    return sorted(squares, key=lambda square: -square.support[0])


def _square(law: Law) -> Law | None:
    match law:
        case SingularValues(inner):
            return inner
        case Atomic(locations, masses):
            held = dict(zip(locations, masses, strict=True))
            if any(held.get(-x) != p for x, p in held.items()):
                return None
            found = [(x * x, 2 * p if x else p) for x, p in held.items() if x >= 0]
            if len(found) == 1:
                return PointMass(found[0][0])
            return Atomic(*map(tuple, zip(*sorted(found), strict=True)))
    return None


_Moves = list[tuple[int, float, float]]


def _additive(law: Law) -> _Moves | None:
    """Moves that add a law whose R-transform is a formula; None for any other law."""
    from freefim.free.laws.named import FreePoisson, MarchenkoPastur, Semicircle

    match law:
        case PointMass(location):
            return [(AFFINE, 1.0, float(location))]
        case Semicircle(variance, mean):
            moves = [(SEMICIRCLE, float(variance), 0.0)]
            return [*moves, (AFFINE, 1.0, float(mean))] if mean else moves
        case FreePoisson(rate, jump):
            return [(POISSON, float(rate), float(jump))]
        case MarchenkoPastur(ratio):
            return [(POISSON, 1.0 / float(ratio), float(ratio))]
        case Affine(inner, scale, shift):
            s, moves = float(scale), []
            for op, a, b in _additive(inner) or ():
                if op == AFFINE:
                    moves.append((op, a, s * b))
                else:
                    moves.append((op, s * s * a, b) if op == SEMICIRCLE else (op, a, s * b))
            return [*moves, (AFFINE, 1.0, float(shift))] if moves else None
    return None


def _multiplicative(law: Law, exponent: float) -> _Moves | None:
    """Moves that multiply by a power of a law whose S-transform is a formula, or None."""
    from freefim.free.laws.named import FreePoisson, MarchenkoPastur

    match law:
        case PointMass(location):
            return [(AFFINE, float(location) ** exponent, 0.0)]
        case MarchenkoPastur(ratio):
            return [(MARCHENKO, float(ratio), exponent)]
        case FreePoisson(rate, jump) if float(jump) > 0.0 or exponent == 1.0:
            scale = (float(rate) * float(jump)) ** exponent
            return [(MARCHENKO, 1.0 / float(rate), exponent), (AFFINE, scale, 0.0)]
        case Atomic(locations, masses) if len(locations) == 2 and exponent == int(exponent) < 9:
            values = [(float(x), float(p)) for x, p in zip(locations, masses, strict=True) if x]
            if len(values) == 1:
                value, mass = values[0]
                flip = [(AFFINE, -1.0, 0.0)] if value < 0.0 else []
                return ([(PROJECTION, mass, abs(value)), *flip]) * int(exponent)
        case Affine(inner, scale, shift) if shift == 0 and (float(scale) > 0 or exponent == 1.0):
            moves = _multiplicative(inner, exponent)
            return [*moves, (AFFINE, float(scale) ** exponent, 0.0)] if moves else None
    return None


def _add_moves(program: Program, moves: _Moves | None) -> None:
    for op, a, b in moves or ():
        program.add(op, a, b)


def _emit_sum(program: Program, terms: dict[Law, float]) -> None:
    """A sum: joins of the terms that are no formulas, then the moves."""
    moves: _Moves = []
    hard: list[tuple[Law, float]] = []
    for term, count in terms.items():
        found = _additive(term)
        if found is None:
            hard.append((term, count))
        else:
            moves += [(op, a, b * count) if op == AFFINE else (op, a * count, b)
                      for op, a, b in found]  # fmt: skip
    for i, (term, count) in enumerate(hard):
        left = len(program.ops) - 1
        _emit(program, term)
        _add_free_power(program, count)
        if i:
            program.join(SUM, left)
    if not hard:
        program.add_leaf(PointMass(0))
    _add_moves(program, moves)


def _emit_product(program: Program, factors: dict[Law, float]) -> None:
    """A product: joins of the factors that are no formulas, a signed one first; the moves."""
    moves: _Moves = []
    hard: list[tuple[Law, float]] = []
    for factor, exponent in factors.items():
        found = _multiplicative(factor, exponent)
        if found is None:
            hard.append((factor, exponent))
        else:
            moves += found
    # the unknowns of the signed factor increase along every gap, those of the others may not
    hard.sort(key=lambda item: is_nonnegative(item[0]))
    signed = bool(hard) and not is_nonnegative(hard[0][0])
    for i, (factor, exponent) in enumerate(hard):
        left = len(program.ops) - 1
        _emit(program, factor)
        if exponent != 1.0:
            program.add(POWER, exponent)
        if i:
            program.join(PRODUCT, left, signed=signed)
    if not hard:
        program.add_leaf(PointMass(1))
    _add_moves(program, moves)
