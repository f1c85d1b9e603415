"""The symbols of a law, and the law with numbers in their place."""

from copy import copy
from dataclasses import fields, is_dataclass
from typing import Any, TypeVar

__all__ = ["specialised", "symbols"]

T = TypeVar("T")


def symbols(law: Any) -> tuple[Any, ...]:
    """Return the sympy symbols in the numbers of a law, by name."""
    return tuple(sorted(_symbols(law), key=lambda s: (s.name, repr(s.assumptions0))))


def specialised(law: T, values: dict[Any, Any]) -> T:
    """Return the law with numbers in place of symbols, whether or not they are in its range.

    The moments of a law are identities in its numbers, so that they hold outside the range, too.
    """
    return _specialised(law, values)  # type: ignore[no-any-return]


def _symbols(value: Any) -> set[Any]:
    if is_dataclass(value) and not isinstance(value, type):
        return _symbols([getattr(value, item.name) for item in fields(value)])
    if isinstance(value, list | tuple):
        return set().union(*map(_symbols, value))
    return set(getattr(value, "free_symbols", ()))


def _specialised(value: Any, values: dict[Any, Any]) -> Any:
    if is_dataclass(value) and not isinstance(value, type):
        # a copy is not checked, its fields may leave the range
        other = copy(value)
        for item in fields(value):
            held = _specialised(getattr(value, item.name), values)
            object.__setattr__(other, item.name, held)
        return other
    if isinstance(value, list | tuple):
        return type(value)(_specialised(item, values) for item in value)
    if hasattr(value, "free_symbols"):
        from fractions import Fraction

        from sympy import Rational

        number = value.subs(values)
        return Fraction(int(number.p), int(number.q)) if isinstance(number, Rational) else number
    return value
