"""Numbers of laws: kept as they are given, checked where they are numbers, floats on demand."""

from collections.abc import Callable
from fractions import Fraction
from math import isfinite
from numbers import Rational, Real
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError

__all__ = [
    "Number",
    "complexes",
    "is_exact",
    "is_number",
    "is_symbolic",
    "number",
    "plain",
    "quotient",
    "real",
    "reals",
]

#: int, float, Fraction, a sympy expression, or any other real number.
Number = Any


def number(
    name: str, value: Any, allowed: str = "finite", condition: Callable[[Any], bool] | None = None
) -> Number:
    """Return a parameter as it stands, after its check; rationals of sympy as Fractions or ints.

    Parameters
    ----------
    name : str
        What the value is called in a message.
    value : number or sympy expression
        Conditions on expressions with symbols hold as long as sympy does not deny them.
    allowed : str
        The condition in words.
    condition : callable, optional

    Raises
    ------
    SpecError
        If the value is no finite real number or the condition fails.
    """
    if hasattr(value, "dtype") and hasattr(value, "item") and getattr(value, "ndim", 1) == 0:
        value = value.item()
    if not is_number(value):
        raise SpecError(f"{name} must be a number, got {value!r}")
    if getattr(value, "is_Rational", False):
        value = plain(Fraction(int(value.p), int(value.q)))
    if is_symbolic(value):
        if not _may_be_real(value):
            raise SpecError(f"{name} must be real and finite, got the expression {value!r}")
    else:
        try:
            good = isfinite(float(value))
        except TypeError:
            good = False
        except OverflowError:
            raise SpecError(f"{name} must be in the range of floats, got {value!r}") from None
        if not good:
            raise SpecError(f"{name} must be a finite real number, got {value!r}")
    try:
        good = condition is None or bool(condition(value))
    except TypeError:  # an inequality between symbols has no truth value
        good = True
    if not good:
        raise SpecError(f"{name} must be {allowed}, got {value!r}")
    return value


def is_number(value: Any) -> bool:
    """Whether the value is a real number or an expression."""
    return not isinstance(value, bool) and (isinstance(value, Real) or _is_expression(value))


def is_exact(value: Number) -> bool:
    """Whether the number is an int or a Fraction."""
    return isinstance(value, Rational)


def is_symbolic(value: Number) -> bool:
    """Whether the number is an expression with symbols in it."""
    return _is_expression(value) and bool(value.free_symbols)


def real(value: Number) -> float:
    """Return the number as a float.

    Raises
    ------
    SpecError
        If it is an expression with symbols.
    """
    if is_symbolic(value):
        raise SpecError(f"numbers of a law need numbers in it, got the expression {value!r}")
    return float(value)


def reals(x: ArrayLike) -> NDArray[np.float64]:
    """Return points of the real line as an array of floats, of any shape.

    Raises
    ------
    SpecError
        If there is anything but real numbers in it.
    """
    return _points(x, "biuf").astype(float)


def complexes(z: ArrayLike) -> NDArray[np.complex128]:
    """Return points of the plane as an array of complex numbers, of any shape.

    Raises
    ------
    SpecError
        If there is anything but numbers in it.
    """
    return _points(z, "biufc").astype(complex)


def _points(x: ArrayLike, kinds: str) -> NDArray[Any]:
    try:
        values = np.asarray(x)
        if values.dtype.kind == "O" and not any(v is None for v in values.flat):
            # numbers of other libraries
            values = values.astype(complex if "c" in kinds else float)
    except (TypeError, ValueError, OverflowError):
        values = np.asarray(None)
    if values.dtype.kind not in kinds:
        raise SpecError(f"the argument must be a number or an array of numbers, got {x!r}")
    return values


def quotient(top: Number, bottom: Number) -> Number:
    """top/bottom, exact for ints and Fractions."""
    if is_exact(top) and is_exact(bottom):
        return plain(Fraction(top) / Fraction(bottom))
    return top / bottom


def plain(value: Number) -> Number:
    """Return the number itself, an int where it is a Fraction without denominator."""
    return value.numerator if isinstance(value, Fraction) and value.denominator == 1 else value


def _may_be_real(value: Any) -> bool:
    from sympy import I, nan, oo, zoo

    return value.is_real or (value.is_real is None and not value.has(I, oo, -oo, zoo, nan))


def _is_expression(value: Any) -> bool:
    return hasattr(value, "free_symbols") and hasattr(value, "is_number")
