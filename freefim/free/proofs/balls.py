"""Balls: the arithmetic of python-flint, to and from exact rationals."""

from fractions import Fraction
from typing import Any

from flint import acb, arb, ctx, fmpq

from freefim.free.proofs.enclosure import Enclosure

__all__ = ["ball", "box", "enclosure", "exact_value", "precision", "short"]


def precision(bits: int) -> Any:
    """Work with so many bits, as a context."""
    return ctx.workprec(bits)


def ball(value: Fraction) -> Any:
    """The ball of a rational: exact if it is a binary fraction that fits, else rounded outwards."""
    return arb(fmpq(value.numerator, value.denominator))


def exact_value(point: Any) -> Fraction:
    """The binary fraction that an exact ball is."""
    mantissa, exponent = point.man_exp()
    return Fraction(int(mantissa)) * Fraction(2) ** int(exponent)


def short(point: Any, bits: int = 64) -> Any:
    """An exact number near the middle of a ball, of few bits."""
    with ctx.workprec(bits):
        return (+point.mid()).mid()


def box(centre: Any, radius: Any) -> Any:
    """The square box of half width `radius` around a complex number."""
    side = arb(0, radius)
    return acb(centre.real + side, centre.imag + side)


def enclosure(value: Any) -> Enclosure:
    """The interval of a ball, exactly."""
    middle, radius = exact_value(value.mid()), exact_value(value.rad())
    return Enclosure(middle - radius, middle + radius)
