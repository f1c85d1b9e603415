r"""Products whose curve is one formula, :math:`z = \frac{s}{m} \prod_j (1 + c_j m)^{e_j}`.

Products of any number of Marchenko–Pastur laws and projections, their powers, corners and
rectangular products have such a curve; equal factors are one power. With :math:`m = r m'`, r the
mass off 0, the zero of the curve lies at m' = -1, where the digits of 1 + m' are kept.
"""

from collections import defaultdict
from math import inf

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine as ChainAffine
from freefim.free.chains.chain import Chain, Corner, Gaussian, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.named import FreePoisson, MarchenkoPastur
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreeProduct,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
)

__all__ = ["PowerCurve", "power_curve"]

_SAME = 1e-13


class PowerCurve:
    """The curve of a law on [0, ∞), by its moment function m.

    Attributes
    ----------
    factor : float
        s.
    powers : dict of float to float
        c_j and e_j.
    """

    def __init__(self, value: float = 1.0):
        self.factor = value
        self.powers: defaultdict[float, float] = defaultdict(float, {1.0: 1.0})
        self._level = 1.0

    def scale(self, factor: float) -> None:
        """Multiply by a number > 0."""
        self.factor *= factor

    def project(self, mass: float) -> None:
        """Multiply by a projection."""
        self.factor *= mass
        self.powers[self._level / mass] += 1.0
        self.powers[self._level] -= 1.0

    def compress(self, ratio: float) -> None:
        """Take a corner."""
        self.project(ratio)
        self._level /= ratio

    def pad(self, ratio: float) -> None:
        """Pad with zeros."""
        self._level *= ratio

    def gaussian(self, ratio: float, variance: float) -> None:
        """Multiply by rectangular Gaussian matrices from both sides."""
        self.factor *= ratio * variance
        self.powers[self._level / ratio] += 1.0
        self._level /= ratio

    def marchenko_pastur(self, ratio: float) -> None:
        """Multiply by a Marchenko–Pastur law."""
        self.powers[self._level * ratio] += 1.0

    def raise_to(self, exponent: float) -> None:
        """Take a power of the law: of its S-transform."""
        self.normalise()
        self.factor **= exponent
        for c in self.powers:
            self.powers[c] *= exponent
        self.powers[1.0] -= exponent - 1.0

    def multiply(self, other: "PowerCurve") -> None:
        """Multiply by another law of the kind."""
        self.normalise()
        other.normalise()
        self.factor *= other.factor
        for c, e in other.powers.items():
            self.powers[c] += e
        self.powers[1.0] -= 1.0

    def normalise(self) -> None:
        """Put all in terms of the moment function of the law itself."""
        level, self._level = self._level, 1.0
        self.factor *= level
        self.powers = defaultdict(float, {c / level: e for c, e in self.powers.items()})

    def moves(self) -> tuple[list[tuple[float, float]], float, float] | None:
        """Marchenko–Pastur moves (c, e) from a point mass at 1, scale and mass off 0, or None."""
        self.normalise()
        merged: list[tuple[float, float]] = []
        for c, e in sorted(self.powers.items(), reverse=True):
            if merged and merged[-1][0] - c <= _SAME * c:
                # equal up to the rounding of ratios
                merged[-1] = (merged[-1][0], merged[-1][1] + e)
            else:
                merged.append((c, e))
        merged = [(c, e) for c, e in merged if abs(e) > _SAME]
        if not merged or merged[0][1] < 0.0:
            return None
        top = 1.0 if abs(merged[0][0] - 1.0) <= _SAME else merged[0][0]
        moves = {c / merged[0][0]: e for c, e in merged}
        moves[1.0] -= 1.0
        ordered = sorted(moves.items(), key=lambda move: -move[1])
        if not 0.0 < self.factor * top < inf:
            raise ConvergenceError("numbers of the law leave the range of floats")
        return [(c, e) for c, e in ordered if e], self.factor * top, 1.0 / top


def power_curve(law: Law) -> PowerCurve | None:
    """Curve of a law, if it is of the kind.

    Parameters
    ----------
    law : Law

    Returns
    -------
    PowerCurve or None
    """
    match law:
        case PointMass(location) if float(location) > 0.0:
            return PowerCurve(float(location))
        case Atomic((0, high), (_, mass)) if float(high) > 0.0:
            curve = PowerCurve(float(high))
            curve.project(float(mass))
            return curve
        case MarchenkoPastur(ratio):
            curve = PowerCurve()
            curve.marchenko_pastur(float(ratio))
            return curve
        case FreePoisson(rate, jump) if float(jump) > 0.0:
            curve = PowerCurve(float(rate) * float(jump))
            curve.marchenko_pastur(1.0 / float(rate))
            return curve
        case FreeProduct(left, right):
            return _product(left, right)
        case ChainLaw(chain=chain):
            return _of_chain(chain)
        case NamedLaw():
            return power_curve(law.construction)
        case (
            Affine(inner)
            | Compressed(inner)
            | Padded(inner)
            | MultiplicativePower(inner)
            | Rectangular(inner)
        ):
            found = power_curve(inner)
            return found and _moved(found, law)
    return None


def _product(left: Law, right: Law) -> PowerCurve | None:
    """The product of many factors, from the last inwards."""
    curve = PowerCurve()
    factors = [left, right]
    while factors:
        factor = factors.pop()
        if isinstance(factor, FreeProduct):
            factors += [factor.left, factor.right]
            continue
        other = power_curve(factor)
        if other is None:
            return None
        curve.multiply(other)
    return curve


def _moved(curve: PowerCurve, law: Law) -> PowerCurve | None:
    match law:
        case Affine(_, scale, shift):
            if float(shift) != 0.0 or float(scale) <= 0.0:
                return None
            curve.scale(float(scale))
        case Compressed(_, ratio):
            curve.compress(float(ratio))
        case Padded(_, ratio):
            curve.pad(float(ratio))
        case MultiplicativePower(_, exponent):
            curve.raise_to(float(exponent))
        case Rectangular(_, ratio, variance):
            curve.gaussian(float(ratio), float(variance))
    return curve


def _of_chain(chain: Chain) -> PowerCurve | None:
    start = float(chain.start)
    if not 0.0 < start < inf:
        return None
    curve = PowerCurve(start)
    for move in chain.moves:
        match move:
            case Product(TwoPoint(low, high, mass, complement)):
                if complement > 0:
                    if low != 0:
                        return None
                    curve.project(float(mass))
                curve.scale(float(high))
            case Gaussian(ratio, variance):
                curve.gaussian(float(ratio), float(variance))
            case ChainAffine(scale, shift):
                if shift != 0 or not float(scale) > 0.0:
                    return None
                curve.scale(float(scale))
            case Corner(ratio):
                curve.compress(float(ratio))
            case Padding(ratio):
                curve.pad(float(ratio))
            case _:
                return None
    return curve
