"""The numbers of a spectrum or of a statistic, by name, with the reason for each that is missing.

Which numbers there are depends on the class alone, so that all rows of a scan have them.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Iterable, Iterator
from functools import cached_property, partial
from typing import Any

__all__ = ["is_spectrum", "number_names", "numbers"]

_LAW: dict[str, Callable[[Any], float]] = {
    "support_min": lambda law: law.support[0],
    "support_max": lambda law: law.support[1],
    "mean": lambda law: law.mean(),
    "variance": lambda law: law.variance(),
    "bands": lambda law: len(law.bands),
    "atoms": lambda law: len(law.atoms),
    "atom_at_zero": lambda law: _mass_at(law, 0.0),
    "atom_at_top": lambda law: _mass_at(law, law.support[1]),
    "mass_defect": lambda law: law.accuracy.mass_defect,
}
_NUMBERS = ("float", "int", "bool")
_PAIR = "tuple[float, float]"
_METHODS = ("max_learning_rate", "max_learning_rate_bounds")


def is_spectrum(kind: type) -> bool:
    """Say whether a class describes a law rather than numbers."""
    return hasattr(kind, "conditional_law")


def number_names(kind: type) -> tuple[str, ...]:
    """Names of the numbers of a class of spectra or statistics.

    Parameters
    ----------
    kind : type
        A class of spectra, or of statistics.

    Returns
    -------
    tuple of str
        Of a spectrum the numbers of its law. Of a statistic its properties that are numbers, each
        pair of bounds as ``…_low`` and ``…_high``, and learning rates without momentum.

    Examples
    --------
    >>> from freefim.statistics.fisher import FisherStatistics
    >>> {"kappa1", "max_eigenvalue", "max_learning_rate"} <= set(number_names(FisherStatistics))
    True
    """
    return tuple(name for names, _ in _rules(kind) for name in names)


def numbers(thing: Any) -> tuple[dict[str, float], str]:
    """Compute the numbers of a spectrum or a statistic.

    Parameters
    ----------
    thing : Spectrum or statistic

    Returns
    -------
    dict of str to float
        The `number_names` of its class; NaN where one cannot be computed.
    str
        Why not, in one line; empty if all are there.

    Examples
    --------
    >>> from freefim.networks.network import Network
    >>> from freefim.spectra.jacobian import Jacobian
    >>> found, problem = numbers(Jacobian(Network(3, "linear", weight_std=2)))
    >>> found["support_max"], found["atom_at_top"], problem
    (64.0, 1.0, '')
    """
    kind = type(thing)
    found = dict.fromkeys(number_names(kind), math.nan)
    reasons: dict[str, None] = {}
    try:
        source = thing
        if is_spectrum(kind):
            source = thing.law()
            _ = source.solution
    except (ValueError, ArithmeticError) as error:
        return found, _line(error)
    for names, rule in _rules(kind):
        try:
            found |= zip(names, map(float, rule(source)), strict=True)
        except (ValueError, ArithmeticError) as error:
            reasons[_line(error)] = None
    if not reasons and any(math.isnan(value) for value in found.values()):
        empty = ", ".join(name for name, value in found.items() if math.isnan(value))
        reasons[f"{empty} came out as no number"] = None
    return found, "; ".join(reasons)


def _rules(kind: type) -> Iterator[tuple[tuple[str, ...], Callable[[Any], Iterable[float]]]]:
    """Give names, and what computes their numbers from a law or a statistic."""
    if is_spectrum(kind):
        for name, rule in _LAW.items():
            yield (name,), partial(_of_law, rule)
    else:
        for source in _sources(kind):
            names = _split(source, kind)
            yield names, partial(_values, source, len(names) > 1)


def _of_law(rule: Callable[[Any], float], law: Any) -> Iterable[float]:
    return (rule(law),)


def _values(source: str, several: bool, thing: Any) -> Iterable[float]:
    value = getattr(thing, source)
    value = value() if source in _METHODS else value
    return value if several else (value,)


def _sources(kind: type) -> list[str]:
    """Attributes that hold the numbers, those of the base classes first."""
    members = {name: member for base in kind.__mro__[::-1] for name, member in vars(base).items()}
    return [
        name
        for name, member in members.items()
        if not name.startswith("_") and _returned(member) in (*_NUMBERS, _PAIR)
    ]


def _split(source: str, kind: type) -> tuple[str, ...]:
    if _returned(getattr(kind, source, None)) == _PAIR:
        return f"{source}_low", f"{source}_high"
    return (source,)


def _returned(member: Any) -> str:
    """What a property or one of `_METHODS` is said to return, as written; of others nothing."""
    if isinstance(member, property):
        member = member.fget
    elif isinstance(member, cached_property):
        member = member.func
    elif getattr(member, "__name__", "") not in _METHODS:
        return ""
    said = getattr(member, "__annotations__", {}).get("return", "")
    return said if isinstance(said, str) else getattr(said, "__name__", "")


def _mass_at(law: Any, place: float) -> float:
    return float(sum(mass for location, mass in law.atoms if location == place))


def _line(error: Exception) -> str:
    return " ".join(str(error).split()) or type(error).__name__
