"""Numbers of laws and points at the precision that mpmath works at."""

from fractions import Fraction
from numbers import Integral, Rational
from typing import Any

from freefim.errors import SpecError

__all__ = ["check_digits", "lifted"]

_LEAST, _MOST = 15, 10_000


def check_digits(digits: Any) -> int:
    """Return the number of digits wanted, after its check."""
    whole = isinstance(digits, Integral) and not isinstance(digits, bool)
    if not (whole and _LEAST <= digits <= _MOST):
        raise SpecError(f"digits must be an integer from {_LEAST} to {_MOST}, got {digits!r}")
    return int(digits)


def lifted(value: Any) -> Any:
    """Return a real or complex number as an mpmath number of the working precision.

    Floats stand for the binary fractions that they are; expressions are evaluated.

    Raises
    ------
    SpecError
        If it is no number, or an expression with symbols.
    """
    from mpmath import mp

    if isinstance(value, Rational) and not isinstance(value, bool):
        exact = Fraction(value)
        return mp.mpf(exact.numerator) / exact.denominator
    if hasattr(value, "free_symbols"):
        if value.free_symbols:
            raise SpecError(f"digits need numbers in the law, got the expression {value!r}")
        value = str(value.evalf(mp.dps + 5))
    elif isinstance(value, str | bool):
        raise SpecError(f"a point must be a number, got {value!r}")
    try:
        return mp.mpmathify(value)
    except (TypeError, ValueError):
        raise SpecError(f"a point must be a number, got {value!r}") from None
