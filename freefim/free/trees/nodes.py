"""Laws made of laws by free operations: frozen nodes, solved when their numbers are asked for."""

from abc import abstractmethod
from dataclasses import dataclass
from functools import cached_property
from typing import Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.numbers import Number, number
from freefim.free.solution import Solution

__all__ = [
    "Affine",
    "Compressed",
    "FreePower",
    "FreeProduct",
    "FreeSum",
    "Inverse",
    "MultiplicativePower",
    "NamedLaw",
    "Padded",
    "Rectangular",
    "SingularValues",
    "Square",
    "TreeLaw",
]


class TreeLaw(Law):
    """A law that is a tree of free operations over given laws."""

    @cached_property
    def solution(self) -> Solution:
        """The solved law; computed once."""
        from freefim.free.trees.solve import solve_tree

        return solve_tree(self)


class NamedLaw(TreeLaw):
    """A law with a name of its own, and the tree over given laws that makes it."""

    @property
    @abstractmethod
    def construction(self) -> Law:
        """The tree that makes the law."""


@dataclass(frozen=True)
class FreeSum(TreeLaw):
    """A + B, A and B free."""

    left: Law
    right: Law

    def __post_init__(self) -> None:
        _check_law("left", self.left)
        _check_law("right", self.right)


@dataclass(frozen=True)
class FreeProduct(TreeLaw):
    """A^½ B A^½, A and B free; one factor on [0, ∞), the other of mean other than 0."""

    left: Law
    right: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_product

        _check_law("left", self.left)
        _check_law("right", self.right)
        check_product(self.left, self.right)


@dataclass(frozen=True)
class Affine(TreeLaw):
    """scale·A + shift, scale ≠ 0."""

    law: Law
    scale: Number
    shift: Number = 0

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, scale=number("scale", self.scale, "other than 0", lambda s: s != 0))
        _keep(self, shift=number("shift", self.shift))


@dataclass(frozen=True)
class Compressed(TreeLaw):
    """Free corner of relative size 0 < ratio <= 1, unnormalised: R(g) = R_A(ratio g)."""

    law: Law
    ratio: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, ratio=number("ratio", self.ratio, "in (0, 1]", _is_share))


@dataclass(frozen=True)
class Padded(TreeLaw):
    """A fraction 0 < ratio <= 1 of the law and 1 - ratio of zeros."""

    law: Law
    ratio: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, ratio=number("ratio", self.ratio, "in (0, 1]", _is_share))


@dataclass(frozen=True)
class FreePower(TreeLaw):
    """Free additive power, R = exponent·R_A, exponent >= 1."""

    law: Law
    exponent: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, exponent=number("exponent", self.exponent, ">= 1", lambda t: t >= 1))


@dataclass(frozen=True)
class MultiplicativePower(TreeLaw):
    """Free multiplicative power, S = S_A^exponent, exponent >= 1, A >= 0."""

    law: Law
    exponent: Number

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_nonnegative

        _check_law("law", self.law)
        _keep(self, exponent=number("exponent", self.exponent, ">= 1", lambda t: t >= 1))
        check_nonnegative("a multiplicative power", self.law)


@dataclass(frozen=True)
class Inverse(TreeLaw):
    """A^{-1}; no mass at 0, the support on one side of 0."""

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_inverse

        _check_law("law", self.law)
        check_inverse(self.law)


@dataclass(frozen=True)
class SingularValues(TreeLaw):
    """Symmetrised singular values: ±√A with equal weights, A >= 0."""

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_nonnegative

        _check_law("law", self.law)
        check_nonnegative("the square root", self.law)


@dataclass(frozen=True)
class Square(TreeLaw):
    """A², A symmetric."""

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_symmetric

        _check_law("law", self.law)
        check_symmetric(self.law)


@dataclass(frozen=True, init=False, repr=False)
class Rectangular(TreeLaw):
    """X A Xᵀ, X Gaussian n_out × n_in of variance `variance`/n_in, ratio = n_out/n_in."""

    law: Law
    ratio: Number
    spread: Number  # not `variance`: that is a method of every law

    def __init__(self, law: Law, ratio: Number, variance: Number = 1) -> None:
        _check_law("law", law)
        object.__setattr__(self, "law", law)
        _keep(self, ratio=number("ratio", ratio, "> 0", lambda c: c > 0))
        _keep(self, spread=number("variance", variance, "> 0", lambda v: v > 0))

    def __repr__(self) -> str:
        return f"Rectangular({self.law!r}, ratio={self.ratio!r}, variance={self.spread!r})"


def _check_law(name: str, law: Any) -> None:
    if not isinstance(law, Law):
        raise SpecError(f"{name} must be a Law, got {law!r}")


def _is_share(value: Any) -> bool:
    return bool(value > 0) and bool(value <= 1)


def _keep(law: Law, **fields: Number) -> None:
    """Set checked fields of a frozen node."""
    for name, value in fields.items():
        object.__setattr__(law, name, value)
