r"""Trees whose curve is one formula, :math:`z = \frac{s}{m} \prod_j (1 + c_j m)^{e_j}`.

As moves of a tree, with :math:`m = r m'`, r the mass off 0, the zero of the curve lies at m' = -1,
where the digits of 1 + m' are kept.
"""

from math import inf

from freefim.errors import ConvergenceError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.named import FreePoisson, MarchenkoPastur
from freefim.free.powers.curve import PowerCurve, chain_curve
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreeProduct,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
)

__all__ = ["curve_moves", "power_curve"]

_SAME = 1e-13


def curve_moves(curve: PowerCurve) -> tuple[list[tuple[float, float]], float, float] | None:
    """Marchenko–Pastur moves (c, e) from a point mass at 1, scale and mass off 0, or None."""
    merged = [(level * (1.0 + excess), e) for level, excess, e in curve.terms()]
    if not merged or merged[0][1] < 0.0:
        return None
    top = 1.0 if abs(merged[0][0] - 1.0) <= _SAME else merged[0][0]
    moves = {c / merged[0][0]: e for c, e in merged}
    moves[1.0] -= 1.0
    ordered = sorted(moves.items(), key=lambda move: -move[1])
    factor = curve.factor.value * top
    if not 0.0 < factor < inf:
        raise ConvergenceError("numbers of the law leave the range of floats")
    return [(c, e) for c, e in ordered if e], factor, 1.0 / top


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
        case Atomic((0, high), (rest, mass)) if float(high) > 0.0:
            curve = PowerCurve(float(high))
            curve.project(float(mass), float(rest))
            return curve
        case MarchenkoPastur(ratio):
            curve = PowerCurve()
            curve.marchenko_pastur(float(ratio))
            return curve
        case FreePoisson(rate, jump) if float(rate) * float(jump) > 0.0:
            curve = PowerCurve(float(rate) * float(jump))
            curve.marchenko_pastur(1.0 / float(rate))
            return curve
        case FreeProduct(left, right):
            return _product(left, right)
        case ChainLaw(chain=chain):
            return chain_curve(chain)
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
