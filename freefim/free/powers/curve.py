r"""Curves that are one formula, :math:`z = \frac{s}{m} \prod_j (1 + c_j m)^{e_j}`.

Products of any number of Marchenko–Pastur laws and projections, their powers, corners and
rectangular products have such a curve; equal factors are one power.
"""

from collections import Counter, defaultdict
from math import floor, frexp, inf, ldexp, log2

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import TwoPoint

__all__ = ["PowerCurve", "chain_curve"]

Key = tuple[float, float]

# Ratios of widths and masses that differ by no more are equal up to rounding.
_SAME = 1e-13
# Powers of a number from [1/2, 1) that floats hold.
_MOST = 1000


class Scale:
    """A product of many numbers > 0, as mantissa and binary exponent."""

    def __init__(self, value: float = 1.0):
        self._mantissa, self._exponent = frexp(value)

    def times(self, factor: float, count: int = 1) -> None:
        """Multiply by a number, `count` times."""
        mantissa, exponent = frexp(factor)
        while count > 0:
            part = min(count, _MOST)
            self._mantissa, shift = frexp(self._mantissa * mantissa**part)
            self._exponent += exponent * part + shift
            count -= part

    def multiply(self, other: "Scale") -> None:
        """Multiply by another product."""
        self._mantissa, shift = frexp(self._mantissa * other._mantissa)
        self._exponent += other._exponent + shift

    def raise_to(self, exponent: float) -> None:
        """Take a power."""
        total = exponent * (self._exponent + log2(self._mantissa))
        self._mantissa, self._exponent = 2.0 ** (total - floor(total)), floor(total)

    @property
    def value(self) -> float:
        """The product, 0 or inf where floats end."""
        try:
            return ldexp(self._mantissa, self._exponent)
        except OverflowError:
            return inf


class PowerCurve:
    """The curve of a law on [0, ∞), by its moment function m.

    Attributes
    ----------
    factor : Scale
        s, the mean of the law.
    top : Scale
        Where the atom besides 0 lies, if there is one.
    powers : dict of (float, float) to float
        e_j by level and excess, c_j = level (1 + excess): a projection that takes out little keeps
        the digits of the excess.
    """

    def __init__(self, value: float = 1.0):
        self.factor = Scale(value)
        self.top = Scale(value)
        self.powers: defaultdict[Key, float] = defaultdict(float, {(1.0, 0.0): 1.0})
        self._level = 1.0

    def scale(self, factor: float, count: int = 1) -> None:
        """Multiply by a number > 0, `count` times."""
        self.factor.times(factor, count)
        self.top.times(factor, count)

    def project(self, mass: float, complement: float, count: int = 1) -> None:
        """Multiply by `count` projections."""
        self.factor.times(mass, count)
        self.powers[self._level, complement / mass] += count
        self.powers[self._level, 0.0] -= count

    def compress(self, ratio: float) -> None:
        """Take a corner."""
        self.project(ratio, 1.0 - ratio)
        self._level /= ratio

    def pad(self, ratio: float) -> None:
        """Pad with zeros."""
        self._level *= ratio

    def gaussian(self, ratio: float, variance: float, count: int = 1) -> None:
        """Multiply by a Gaussian matrix from both sides, by `count` of them if they are square."""
        self.factor.times(ratio * variance, count)
        self._level /= ratio
        self.powers[self._level, 0.0] += count

    def marchenko_pastur(self, ratio: float) -> None:
        """Multiply by a Marchenko–Pastur law."""
        self.powers[self._level * ratio, 0.0] += 1.0

    def raise_to(self, exponent: float) -> None:
        """Take a power of the law: of its S-transform."""
        self.normalise()
        self.factor.raise_to(exponent)
        self.top.raise_to(exponent)
        for c in self.powers:
            self.powers[c] *= exponent
        self.powers[1.0, 0.0] -= exponent - 1.0

    def multiply(self, other: "PowerCurve") -> None:
        """Multiply by another law of the kind."""
        self.normalise()
        other.normalise()
        self.factor.multiply(other.factor)
        self.top.multiply(other.top)
        for c, e in other.powers.items():
            self.powers[c] += e
        self.powers[1.0, 0.0] -= 1.0

    def normalise(self) -> None:
        """Put all in terms of the moment function of the law itself."""
        level, self._level = self._level, 1.0
        if level != 1.0:
            self.factor.times(level)
            moved = {(c / level, excess): e for (c, excess), e in self.powers.items()}
            self.powers = defaultdict(float, moved)

    def terms(self) -> list[tuple[float, float, float]]:
        """Level, excess and exponent of all factors, by descending c_j, no two of them equal.

        Raises
        ------
        ConvergenceError
            If the mean is out of range.
        """
        self.normalise()
        if not 0.0 < self.factor.value < inf:
            raise ConvergenceError("numbers of the law leave the range of floats")
        merged: list[tuple[float, float, float]] = []
        ordered = sorted(self.powers, key=lambda key: (key[0] * (1.0 + key[1]), key), reverse=True)
        for key in ordered:
            count = self.powers[key]
            if merged and _equal(merged[-1][:2], key):
                count += merged.pop()[2]
            merged.append((*key, count))
        return [term for term in merged if abs(term[2]) > _SAME]


def _equal(one: Key, two: Key) -> bool:
    """Whether two factors are equal up to the rounding of ratios and masses."""
    (level, excess), (c, other) = one, two
    if level == c:
        return abs(excess - other) <= _SAME * excess
    return abs(level * (1.0 + excess) / (c * (1.0 + other)) - 1.0) <= _SAME


def chain_curve(chain: Chain) -> PowerCurve | None:
    """Curve of the law of a chain, if it is of the kind: no shifts, projections as leaves.

    Examples
    --------
    >>> chain_curve(Chain(1, (Gaussian(1, 1),) * 3)).terms()  # z = (1 + m)⁴ / m
    [(1.0, 0.0, 4.0)]
    """
    start = float(chain.start)
    if not 0.0 < start < inf:
        return None
    curve = PowerCurve(start)
    moves = chain.moves
    distinct = {id(move): move for move in moves}
    if len(distinct) < len(moves) and all(map(_keeps_level, distinct.values())):
        # the order is of no account, and layers that are alike share their moves
        counts = Counter(map(id, moves))
        known = all(_add(curve, move, counts[key]) for key, move in distinct.items())
    else:
        known = all(_add(curve, move, 1) for move in moves)
    return curve if known else None


def _keeps_level(move: Move) -> bool:
    return not isinstance(move, Corner | Padding) and (
        not isinstance(move, Gaussian) or move.ratio == 1
    )


def _add(curve: PowerCurve, move: Move, count: int) -> bool:
    """Add a move `count` times; whether it is of the kind."""
    match move:
        case Product(TwoPoint(low, high, mass, complement)):
            if complement > 0:
                if low != 0:
                    return False
                curve.project(float(mass), float(complement), count)
            if not high > 0:
                return False
            curve.scale(float(high), count)
        case Gaussian(ratio, variance):
            curve.gaussian(float(ratio), float(variance), count)
        case Affine(scale, shift):
            if shift != 0 or not scale > 0:
                return False
            curve.scale(float(scale), count)
        case Corner(ratio):
            curve.compress(float(ratio))
        case Padding(ratio):
            curve.pad(float(ratio))
        case _:
            return False
    return True
