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
    r"""The law of A + B, A and B free; `free_sum` simplifies first.

    Parameters
    ----------
    left, right : Law

    Raises
    ------
    SpecError
        If an argument is no law.

    Examples
    --------
    >>> from freefim.free.laws.named import Semicircle
    >>> FreeSum(Semicircle(1), Semicircle(2)).moments(4) == Semicircle(3).moments(4)
    True
    """

    left: Law
    right: Law

    def __post_init__(self) -> None:
        _check_law("left", self.left)
        _check_law("right", self.right)


@dataclass(frozen=True)
class FreeProduct(TreeLaw):
    r"""The law of :math:`A^{1/2} B A^{1/2}`, A and B free; `free_product` simplifies first.

    Parameters
    ----------
    left, right : Law
        One on [0, ∞), the other there too or of mean other than 0.

    Raises
    ------
    SpecError
        If both charge (-∞, 0), one lives on the whole line, or a signed one has mean 0.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> FreeProduct(MarchenkoPastur(1), MarchenkoPastur(2)).moments(3)
    (1, 4, 21)
    """

    left: Law
    right: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_product

        _check_law("left", self.left)
        _check_law("right", self.right)
        check_product(self.left, self.right)


@dataclass(frozen=True)
class Affine(TreeLaw):
    """The law of scale·A + shift.

    Parameters
    ----------
    law : Law
    scale : number or sympy expression, other than 0
    shift : number or sympy expression

    Raises
    ------
    SpecError
        If the scale is 0.
    """

    law: Law
    scale: Number
    shift: Number = 0

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, scale=number("scale", self.scale, "other than 0", lambda s: s != 0))
        _keep(self, shift=number("shift", self.shift))


@dataclass(frozen=True)
class Compressed(TreeLaw):
    """The law of a free corner of relative size `ratio`, unnormalised: R(g) = R_A(ratio·g).

    Parameters
    ----------
    law : Law
    ratio : number or sympy expression, in (0, 1]

    Raises
    ------
    SpecError
        If the ratio is not in (0, 1].

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> Compressed(MarchenkoPastur(4), 0.5).free_cumulants(3)
    (1.0, 2.0, 4.0)
    """

    law: Law
    ratio: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, ratio=number("ratio", self.ratio, "in (0, 1]", _is_share))


@dataclass(frozen=True)
class Padded(TreeLaw):
    """A fraction `ratio` of the law and 1 - ratio of zeros.

    Parameters
    ----------
    law : Law
    ratio : number or sympy expression, in (0, 1]

    Raises
    ------
    SpecError
        If the ratio is not in (0, 1].
    """

    law: Law
    ratio: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, ratio=number("ratio", self.ratio, "in (0, 1]", _is_share))


@dataclass(frozen=True)
class FreePower(TreeLaw):
    """The free additive power: R = exponent·R_A.

    Parameters
    ----------
    law : Law
    exponent : number or sympy expression, >= 1

    Raises
    ------
    SpecError
        If the exponent is below 1.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> FreePower(MarchenkoPastur(2), 3).free_cumulants(3)
    (3, 6, 12)
    """

    law: Law
    exponent: Number

    def __post_init__(self) -> None:
        _check_law("law", self.law)
        _keep(self, exponent=number("exponent", self.exponent, ">= 1", lambda t: t >= 1))


@dataclass(frozen=True)
class MultiplicativePower(TreeLaw):
    """The free multiplicative power: S = S_A^exponent.

    Parameters
    ----------
    law : Law
        On [0, ∞).
    exponent : number or sympy expression, >= 1

    Raises
    ------
    SpecError
        If the exponent is below 1 or the law charges (-∞, 0).

    References
    ----------
    .. [1] Belinschi & Bercovici, *Int. Math. Res. Not.* 2005, 65.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> MultiplicativePower(MarchenkoPastur(1), 2).moments(4)
    (1, 3, 12, 55)
    """

    law: Law
    exponent: Number

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_nonnegative

        _check_law("law", self.law)
        _keep(self, exponent=number("exponent", self.exponent, ">= 1", lambda t: t >= 1))
        check_nonnegative("a multiplicative power", self.law)


@dataclass(frozen=True)
class Inverse(TreeLaw):
    r"""The law of :math:`A^{-1}`; where A reaches 0 its support is not bounded.

    Parameters
    ----------
    law : Law
        Without mass at 0, on one side of 0.

    Raises
    ------
    SpecError
        If the law has mass at 0 or lives on both sides of it.

    Examples
    --------
    >>> from math import log
    >>> from freefim.free.laws.given import Uniform
    >>> bool(abs(Inverse(Uniform(1, 2)).mean() - log(2)) < 1e-13)
    True
    """

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_inverse

        _check_law("law", self.law)
        check_inverse(self.law)


@dataclass(frozen=True)
class SingularValues(TreeLaw):
    """Symmetrised singular values: ±√A with equal weights.

    Parameters
    ----------
    law : Law
        On [0, ∞).

    Raises
    ------
    SpecError
        If the law charges (-∞, 0).

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur, Semicircle
    >>> SingularValues(MarchenkoPastur(1)).moments(6) == Semicircle(1).moments(6)
    True
    """

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_nonnegative

        _check_law("law", self.law)
        check_nonnegative("the square root", self.law)


@dataclass(frozen=True)
class Square(TreeLaw):
    """The law of A², A symmetric.

    Parameters
    ----------
    law : Law
        Symmetric about 0.

    Raises
    ------
    SpecError
        If the law is not known to be symmetric.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur, Semicircle
    >>> Square(Semicircle(1)).moments(4) == MarchenkoPastur(1).moments(4)
    True
    """

    law: Law

    def __post_init__(self) -> None:
        from freefim.free.trees.knowledge import check_symmetric

        _check_law("law", self.law)
        check_symmetric(self.law)


@dataclass(frozen=True, init=False, repr=False)
class Rectangular(TreeLaw):
    """The law of X A Xᵀ, X of n_out × n_in independent entries of variance `variance`/n_in.

    Parameters
    ----------
    law : Law
        The law of A, n_in × n_in; it may charge (-∞, 0).
    ratio : number or sympy expression, > 0
        n_out/n_in.
    variance : number or sympy expression, > 0

    Raises
    ------
    SpecError
        If the ratio or the variance is not positive.

    Examples
    --------
    >>> from freefim.free.laws.given import PointMass
    >>> Rectangular(PointMass(1), 2).free_cumulants(4)  # Marchenko–Pastur of ratio 2
    (1, 2, 4, 8)
    """

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
