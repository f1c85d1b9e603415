"""Checks of single arguments; each message names the argument, its value and what is allowed."""

from __future__ import annotations

import difflib
import math
from collections.abc import Callable, Iterable, Sequence
from fractions import Fraction
from typing import Any, TypeVar

import numpy as np

from freefim.errors import SpecError

__all__ = [
    "Number",
    "count",
    "each",
    "finite_number",
    "nearest",
    "nonnegative",
    "one_of",
    "positive",
]

Number = int | float | Fraction
T = TypeVar("T")


def nearest(name: object, allowed: Iterable[str]) -> str:
    """Return ``" (did you mean 'x'?)"`` if an allowed name is near, else an empty string.

    Examples
    --------
    >>> nearest("wieghts", ["weights", "depth"])
    " (did you mean 'weights'?)"
    """
    close = difflib.get_close_matches(str(name), list(allowed), n=1)
    return f" (did you mean {close[0]!r}?)" if close else ""


def finite_number(name: str, value: Any) -> Number:
    """Return a builtin number; integers and fractions stay exact, a bool is none.

    Examples
    --------
    >>> finite_number("slope", np.float64(0.5))
    0.5
    """
    if isinstance(value, int | np.integer) and not isinstance(value, bool):
        value = int(value)
    elif isinstance(value, np.floating):
        value = float(value)
    if isinstance(value, int | float | Fraction) and not isinstance(value, bool):
        try:
            if math.isfinite(value):
                return value
        except OverflowError:
            pass
    raise SpecError(f"{name} must be a finite real number, got {value!r}")


def positive(name: str, value: Any) -> Number:
    """Return a finite number > 0."""
    number = finite_number(name, value)
    if number <= 0:
        raise SpecError(f"{name} must be > 0, got {value!r}")
    return number


def nonnegative(name: str, value: Any) -> Number:
    """Return a finite number >= 0."""
    number = finite_number(name, value)
    if number < 0:
        raise SpecError(f"{name} must be >= 0, got {value!r}")
    return number


def count(name: str, value: Any) -> int:
    """Return an integer >= 1."""
    if not isinstance(value, int | np.integer) or isinstance(value, bool) or value < 1:
        raise SpecError(f"{name} must be an integer >= 1, got {value!r}")
    return int(value)


def one_of(name: str, value: Any, allowed: Sequence[str]) -> str:
    """Return one of the allowed strings."""
    if not isinstance(value, str) or value not in allowed:
        options = " or ".join(repr(option) for option in allowed)
        raise SpecError(f"{name} must be {options}, got {value!r}{nearest(value, allowed)}")
    return str(value)


def each(name: str, value: Any, length: int, check: Callable[[str, Any], T]) -> T | tuple[T, ...]:
    """Check one value, or every entry of a sequence that must have `length` entries.

    Examples
    --------
    >>> each("weight_std", [1, 2], 2, positive)
    (1, 2)
    """
    if isinstance(value, np.ndarray) and value.ndim == 0:
        value = value.item()
    if isinstance(value, str) or not isinstance(value, Sequence | np.ndarray):
        return check(name, value)
    if len(value) != length:
        raise SpecError(
            f"{name} must be one value or a sequence of {length} entries, "
            f"got {len(value)} entries: {value!r}"
        )
    return tuple(check(f"{name}[{i}]", entry) for i, entry in enumerate(value))
