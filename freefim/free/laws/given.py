"""Given laws: the leaves of every tree, each with its solution in closed form."""

from abc import abstractmethod
from collections.abc import Iterable
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from itertools import groupby
from typing import Any

import numpy as np

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.numbers import Number, is_exact, is_symbolic, number, real
from freefim.free.laws.pieces import AtomsPiece, CauchyPiece, PanelsPiece, Piece

__all__ = ["Atomic", "Cauchy", "Empirical", "GivenLaw", "PointMass", "Uniform"]

# Masses given as floats may miss 1 by their rounding.
_ROUNDING = 1e-12


class GivenLaw(Law):
    """A law that is given, not made of others: closed forms throughout."""

    @property
    @abstractmethod
    def pieces(self) -> tuple[Piece, ...]:
        """The law as atoms and series, in floats."""

    @cached_property
    def solution(self) -> LeafSolution:
        """The law in closed form."""
        return LeafSolution(self.pieces)


@dataclass(frozen=True)
class PointMass(GivenLaw):
    """The law of the number `location`.

    Parameters
    ----------
    location : number or sympy expression

    Raises
    ------
    SpecError
        If the location is no finite real number.

    Examples
    --------
    >>> PointMass(2).moments(3)
    (2, 4, 8)
    """

    location: Number

    def __post_init__(self) -> None:
        _keep(self, location=number("location", self.location))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """One atom."""
        return (AtomsPiece(((real(self.location), 1.0),)),)


@dataclass(frozen=True)
class Atomic(GivenLaw):
    """Finitely many atoms.

    Parameters
    ----------
    locations : sequence of numbers or sympy expressions, shape (n,)
        Kept ascending; equal ones are merged.
    masses : sequence of numbers or sympy expressions, shape (n,)
        Positive, with sum 1 (to 1e-12 where they are floats).

    Raises
    ------
    SpecError
        If the lengths differ, a mass is not positive, or the masses do not sum to 1.

    Examples
    --------
    >>> law = Atomic([4, 0, 0], [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)])
    >>> law.locations, law.mean()
    ((0, 4), 2)
    """

    locations: tuple[Number, ...]
    masses: tuple[Number, ...]

    def __post_init__(self) -> None:
        locations = _numbers("locations", self.locations)
        masses = _numbers("masses", self.masses, "> 0", positive=True)
        if len(locations) != len(masses):
            raise SpecError(
                f"masses must be as many as locations, got {len(masses)} for {len(locations)}"
            )
        total = sum(masses)
        off = 0 if is_symbolic(total) else abs(float(total - 1))
        if off > (0 if all(map(is_exact, masses)) else _ROUNDING):
            raise SpecError(f"masses must sum to 1, got {self.masses!r} with sum {total!r}")
        merged: dict[Number, Number] = {}
        for location, mass in zip(locations, masses, strict=True):
            merged[location] = merged[location] + mass if location in merged else mass
        if not any(map(is_symbolic, merged)):
            merged = {x: merged[x] for x in sorted(merged, key=float)}
        _keep(self, locations=tuple(merged), masses=tuple(merged.values()))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The atoms."""
        pairs = zip(map(real, self.locations), map(real, self.masses), strict=True)
        return (AtomsPiece(tuple(sorted(pairs))),)


@dataclass(frozen=True)
class Empirical(GivenLaw):
    """The law of a sample: equal masses at its values.

    Parameters
    ----------
    eigenvalues : array_like of numbers
        Any shape, pooled; kept ascending. Laws of equal samples are equal.

    Raises
    ------
    SpecError
        If there are none, or one is no finite number.

    Examples
    --------
    >>> Empirical([3, 1, 1]) == Empirical([[1], [3], [1]])
    True
    """

    eigenvalues: tuple[Number, ...]

    def __post_init__(self) -> None:
        values = self.eigenvalues
        if isinstance(values, np.ndarray):
            values = tuple(values.ravel().tolist())
        try:
            values = tuple(_flat(values))
        except TypeError:
            raise SpecError(f"eigenvalues must be a sequence of numbers, got {values!r}") from None
        values = _numbers("eigenvalues", values)
        if any(map(is_symbolic, values)):
            raise SpecError("eigenvalues must be numbers, got expressions with symbols")
        _keep(self, eigenvalues=tuple(sorted(values)))

    @property
    def weighted(self) -> tuple[tuple[Number, Fraction], ...]:
        """Atoms (value, mass), the masses exact."""
        size = len(self.eigenvalues)
        groups = ((x, sum(1 for _ in same)) for x, same in groupby(self.eigenvalues))
        return tuple((x, Fraction(count, size)) for x, count in groups)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The atoms."""
        return (AtomsPiece(tuple((float(x), float(mass)) for x, mass in self.weighted)),)


@dataclass(frozen=True)
class Uniform(GivenLaw):
    """The uniform law on [left, right].

    Parameters
    ----------
    left, right : number or sympy expression
        left < right.

    Raises
    ------
    SpecError
        If left is not below right.

    Examples
    --------
    >>> Uniform(0, 1).moments(3)
    (Fraction(1, 2), Fraction(1, 3), Fraction(1, 4))
    """

    left: Number
    right: Number

    def __post_init__(self) -> None:
        left = number("left", self.left)
        _keep(self, left=left)
        right = number("right", self.right, f"above left = {left!r}", lambda x: x > left)
        _keep(self, right=right)

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """One panel of constant density."""
        left, right = real(self.left), real(self.right)
        return (PanelsPiece(left, right, ((left, right, (1.0 / (right - left),)),)),)


@dataclass(frozen=True)
class Cauchy(GivenLaw):
    r"""The Cauchy law: density scale/π/((x - location)² + scale²), no moments.

    :math:`R(g) = location - i\,scale` on :math:`\mathbb C^-`: free and classical convolution with
    it agree.

    Parameters
    ----------
    scale : number or sympy expression, > 0
    location : number or sympy expression

    Raises
    ------
    SpecError
        If the scale is not positive.

    Examples
    --------
    >>> law = Cauchy(2, location=1)
    >>> float(law.cdf(3.0)), float(law.cdf(-1.0))  # a quarter lies beyond one scale, either side
    (0.75, 0.25)
    """

    scale: Number = 1
    location: Number = 0

    def __post_init__(self) -> None:
        _keep(self, scale=number("scale", self.scale, "> 0", lambda s: s > 0))
        _keep(self, location=number("location", self.location))

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """The whole line."""
        return (CauchyPiece(-np.inf, np.inf, real(self.location), real(self.scale)),)


def _keep(law: Any, **fields: Any) -> None:
    """Set checked fields of a frozen law."""
    for name, value in fields.items():
        object.__setattr__(law, name, value)


def _numbers(
    name: str, values: Iterable[Any], allowed: str = "finite", *, positive: bool = False
) -> tuple[Number, ...]:
    if isinstance(values, np.ndarray):
        values = values.ravel().tolist()
    try:
        listed = tuple(values)
    except TypeError:
        raise SpecError(f"{name} must be a sequence of numbers, got {values!r}") from None
    if not listed:
        raise SpecError(f"{name} must hold at least one number, got {values!r}")
    condition = (lambda x: x > 0) if positive else None
    return tuple(number(f"each of {name}", value, allowed, condition) for value in listed)


def _flat(values: Any) -> Iterable[Any]:
    for value in values:
        if isinstance(value, list | tuple | np.ndarray):
            yield from _flat(value)
        else:
            yield value
