"""Laws made of laws by free operations: frozen nodes, solved when their numbers are asked for."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from freefim.free.law import Law
from freefim.free.solution import Solution

__all__ = [
    "Affine",
    "Compressed",
    "FreePower",
    "FreeProduct",
    "FreeSum",
    "Inverse",
    "MultiplicativePower",
    "Padded",
    "Rectangular",
    "SingularValues",
    "Square",
    "TreeLaw",
]

Number = Any


class TreeLaw(Law):
    """A law that is a tree of free operations over given laws."""

    @cached_property
    def solution(self) -> Solution:
        """The solved law; computed once."""
        from freefim.free.trees.solve import solve_tree

        return solve_tree(self)


@dataclass(frozen=True)
class FreeSum(TreeLaw):
    """A + B, A and B free."""

    left: Law
    right: Law


@dataclass(frozen=True)
class FreeProduct(TreeLaw):
    """A^½ B A^½, A and B free, A >= 0."""

    left: Law
    right: Law


@dataclass(frozen=True)
class Affine(TreeLaw):
    """scale·A + shift, scale ≠ 0."""

    law: Law
    scale: Number
    shift: Number


@dataclass(frozen=True)
class Compressed(TreeLaw):
    """Free corner of relative size 0 < ratio <= 1, unnormalised: R(g) = R_A(ratio g)."""

    law: Law
    ratio: Number


@dataclass(frozen=True)
class Padded(TreeLaw):
    """A fraction 0 < ratio <= 1 of the law and 1 - ratio of zeros."""

    law: Law
    ratio: Number


@dataclass(frozen=True)
class FreePower(TreeLaw):
    """Free additive power, R = exponent·R_A, exponent >= 1."""

    law: Law
    exponent: Number


@dataclass(frozen=True)
class MultiplicativePower(TreeLaw):
    """Free multiplicative power, S = S_A^exponent, exponent >= 1, A >= 0."""

    law: Law
    exponent: Number


@dataclass(frozen=True)
class Inverse(TreeLaw):
    """A^{-1}; A > 0 without mass at 0."""

    law: Law


@dataclass(frozen=True)
class SingularValues(TreeLaw):
    """Symmetrised singular values: ±√A with equal weights, A >= 0."""

    law: Law


@dataclass(frozen=True)
class Square(TreeLaw):
    """A², A symmetric."""

    law: Law


@dataclass(frozen=True)
class Rectangular(TreeLaw):
    """X A Xᵀ, X Gaussian n_out × n_in of variance `variance`/n_in, ratio = n_out/n_in."""

    law: Law
    ratio: Number
    variance: Number = 1
