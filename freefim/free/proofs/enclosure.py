"""An enclosure: a closed interval with rational ends that is proved to hold a number."""

import math
from contextlib import suppress
from dataclasses import dataclass
from decimal import Decimal
from fractions import Fraction
from numbers import Rational
from typing import Any

import numpy as np

from freefim.errors import SpecError

__all__ = ["Enclosure", "exact"]


@dataclass(frozen=True, repr=False)
class Enclosure:
    """The closed interval [lower, upper], proved to hold a number.

    Parameters
    ----------
    lower, upper : Fraction
        Its ends; equal where the number is known exactly.

    Examples
    --------
    >>> third = Enclosure(Fraction(33, 100), Fraction(34, 100))
    >>> Fraction(1, 3) in third, 0.5 in third
    (True, False)
    >>> third
    Enclosure(0.335 ± 0.005)
    """

    lower: Fraction
    upper: Fraction

    def __post_init__(self) -> None:
        lower, upper = exact("lower", self.lower), exact("upper", self.upper)
        if upper < lower:
            raise SpecError(f"upper must be at least lower={self.lower!r}, got {self.upper!r}")
        object.__setattr__(self, "lower", lower)
        object.__setattr__(self, "upper", upper)

    @property
    def midpoint(self) -> float:
        """The float nearest to the middle."""
        return float((self.lower + self.upper) / 2)

    @property
    def radius(self) -> float:
        """Half the width, rounded up."""
        return _above((self.upper - self.lower) / 2)

    @property
    def width(self) -> float:
        """Difference of the ends, rounded up."""
        return _above(self.upper - self.lower)

    def __contains__(self, value: Any) -> bool:
        number = exact("value", value)
        return self.lower <= number <= self.upper

    def __repr__(self) -> str:
        return f"Enclosure({self.midpoint!r} ± {self.radius:.2g})"


def exact(name: str, value: Any) -> Fraction:
    """Give the rational that a number is, nothing rounded: floats stand for what they hold.

    Raises
    ------
    SpecError
        If `value` is no finite real number that Python, numpy, mpmath or sympy holds exactly.
    """
    if isinstance(value, Rational) and not isinstance(value, bool):
        return Fraction(int(value.numerator), int(value.denominator))
    if isinstance(parts := getattr(value, "man_exp", None), tuple):  # mpmath
        mantissa, power = map(int, parts)
        if mantissa or not power:  # infinities and NaN have a power alone
            size = Fraction(mantissa) * Fraction(2) ** power
            return -size if value < 0 else size
    elif isinstance(value, float | Decimal | np.floating):
        with suppress(ValueError, OverflowError):  # NaN, infinities
            return Fraction(*map(int, value.as_integer_ratio()))
    raise SpecError(f"{name} must be a finite real number, got {value!r}")


def _above(value: Fraction) -> float:
    """The value as a float, rounded up."""
    number = float(value)
    return number if Fraction(number) >= value else math.nextafter(number, math.inf)
