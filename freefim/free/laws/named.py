"""Laws with a name: standard normalisations, and the tree of free operations that makes each."""

from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from math import pi, sqrt
from typing import Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.numbers import Number, number, quotient, real
from freefim.free.laws.pieces import SeriesPiece
from freefim.free.solution import Solution
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    MultiplicativePower,
    NamedLaw,
    Rectangular,
    TreeLaw,
)

__all__ = [
    "Arcsine",
    "CompoundFreePoisson",
    "FreePoisson",
    "FussCatalan",
    "KestenMcKay",
    "MarchenkoPastur",
    "Semicircle",
    "Wachter",
]


@dataclass(frozen=True, init=False, repr=False)
class Semicircle(TreeLaw):
    r"""The semicircle law: R(g) = mean + variance·g.

    Density :math:`\sqrt{4v - (x - a)^2}/(2\pi v)` with a the mean and v the variance; the law of
    a Wigner matrix with entries of variance v/n.

    Parameters
    ----------
    variance : number or sympy expression, > 0
    mean : number or sympy expression

    Raises
    ------
    SpecError
        If the variance is not positive.

    References
    ----------
    .. [1] Mingo & Speicher, *Free Probability and Random Matrices*, 2017, ch. 1.

    Examples
    --------
    >>> Semicircle(1).moments(6)  # Catalan numbers
    (0, 1, 0, 2, 0, 5)
    """

    # not `variance` and `mean`: those are methods of every law
    spread: Number
    centre: Number

    def __init__(self, variance: Number = 1, mean: Number = 0) -> None:
        _keep(self, spread=number("variance", variance, "> 0", lambda v: v > 0))
        _keep(self, centre=number("mean", mean))

    def __repr__(self) -> str:
        return f"Semicircle(variance={self.spread!r}, mean={self.centre!r})"

    @cached_property
    def solution(self) -> Solution:
        """The law in closed form."""
        reach, mean = 2.0 * sqrt(real(self.spread)), real(self.centre)
        piece = SeriesPiece(mean - reach, mean + reach, 0, (2.0 / (pi * reach),))
        return LeafSolution((piece,))


@dataclass(frozen=True)
class MarchenkoPastur(NamedLaw):
    r"""The law of X Xᵀ/cols, X of independent entries of variance 1, ratio = rows/cols.

    Mean 1, variance `ratio`, bands between :math:`(1 \pm \sqrt{ratio})^2`, an atom 1 - 1/ratio
    at 0 if ratio > 1; S(m) = 1/(1 + ratio·m).

    Parameters
    ----------
    ratio : number or sympy expression, > 0

    Raises
    ------
    SpecError
        If the ratio is not positive.

    References
    ----------
    .. [1] Marchenko & Pastur, *Math. USSR Sbornik* 1 (1967) 457.

    Examples
    --------
    >>> MarchenkoPastur(2).free_cumulants(4)  # ratio^(k - 1)
    (1, 2, 4, 8)
    """

    ratio: Number

    def __post_init__(self) -> None:
        _keep(self, ratio=number("ratio", self.ratio, "> 0", lambda c: c > 0))

    @property
    def construction(self) -> Law:
        """X 1 Xᵀ."""
        return Rectangular(PointMass(1), self.ratio, 1)


@dataclass(frozen=True)
class FreePoisson(TreeLaw):
    """The free Poisson law: R(g) = rate·jump/(1 - jump·g), free cumulants rate·jump^k.

    `MarchenkoPastur(c)` is the free Poisson law of rate 1/c and jump c. An atom 1 - rate at 0 if
    rate < 1.

    Parameters
    ----------
    rate : number or sympy expression, > 0
    jump : number or sympy expression, other than 0

    Raises
    ------
    SpecError
        If the rate is not positive or the jump is 0.

    References
    ----------
    .. [1] Nica & Speicher, *Lectures on the Combinatorics of Free Probability*, 2006, lecture 12.

    Examples
    --------
    >>> FreePoisson(2, 3).free_cumulants(3)
    (6, 18, 54)
    """

    rate: Number
    jump: Number = 1

    def __post_init__(self) -> None:
        _keep(self, rate=number("rate", self.rate, "> 0", lambda r: r > 0))
        _keep(self, jump=number("jump", self.jump, "other than 0", lambda j: j != 0))


@dataclass(frozen=True)
class CompoundFreePoisson(NamedLaw):
    r"""The free sum of many small jumps: free cumulants rate·(moments of `jumps`).

    R(g) = rate·Σ M_k(jumps) g^{k-1}. With the population law H of covariance matrices as jumps
    and rate = cols/rows this is the law of :math:`X^T H X` scaled to mean rate·M_1.

    Parameters
    ----------
    rate : number or sympy expression, > 0
    jumps : Law

    Raises
    ------
    SpecError
        If the rate is not positive or `jumps` is no law.

    References
    ----------
    .. [1] Nica & Speicher, *Lectures on the Combinatorics of Free Probability*, 2006, lecture 12.

    Examples
    --------
    >>> CompoundFreePoisson(2, Atomic([1, 3], [Fraction(1, 2), Fraction(1, 2)])).free_cumulants(3)
    (4, 10, 28)
    """

    rate: Number
    jumps: Law

    def __post_init__(self) -> None:
        _keep(self, rate=number("rate", self.rate, "> 0", lambda r: r > 0))
        if not isinstance(self.jumps, Law):
            raise SpecError(f"jumps must be a Law, got {self.jumps!r}")

    @property
    def construction(self) -> Law:
        """X A Xᵀ of ratio 1/rate, A of the law of the jumps."""
        return Rectangular(self.jumps, quotient(1, self.rate), self.rate)


@dataclass(frozen=True)
class Arcsine(NamedLaw):
    r"""The arcsine law on [left, right]: density :math:`1/(\pi\sqrt{(x - left)(right - x)})`.

    The free sum of two projections of trace 1/2, on [0, 2].

    Parameters
    ----------
    left, right : number or sympy expression
        left < right.

    Raises
    ------
    SpecError
        If left is not below right.

    References
    ----------
    .. [1] Nica & Speicher, *Lectures on the Combinatorics of Free Probability*, 2006, lecture 12.

    Examples
    --------
    >>> Arcsine(-2, 2).moments(6)  # central binomial coefficients
    (0, 2, 0, 6, 0, 20)
    """

    left: Number = -1
    right: Number = 1

    def __post_init__(self) -> None:
        left = number("left", self.left)
        right = number("right", self.right, f"above left = {left!r}", lambda x: x > left)
        _keep(self, left=left, right=right)

    @cached_property
    def solution(self) -> Solution:
        """The law in closed form."""
        left, right = real(self.left), real(self.right)
        return LeafSolution((SeriesPiece(left, right, 1, (2.0 / (pi * (right - left)),)),))

    @property
    def construction(self) -> Law:
        """Two free projections, scaled and shifted."""
        half = Fraction(1, 2)
        law = FreePower(Atomic((0, 1), (half, half)), 2)
        return Affine(law, quotient(self.right - self.left, 2), self.left)


@dataclass(frozen=True)
class KestenMcKay(NamedLaw):
    r"""The spectral law of the `degree`-regular tree: mean 0, variance `degree`.

    Density :math:`d\sqrt{4(d-1) - x^2}/(2\pi(d^2 - x^2))` on
    :math:`|x| \le 2\sqrt{d-1}`; the free power of a symmetric Bernoulli law on ±1, which makes
    sense of any real degree >= 1 (below 2 there are atoms 1 - d/2 at ±d).

    Parameters
    ----------
    degree : number or sympy expression, >= 1

    Raises
    ------
    SpecError
        If the degree is below 1.

    References
    ----------
    .. [1] McKay, *Linear Algebra Appl.* 40 (1981) 203.

    Examples
    --------
    Closed walks on the tree of degree 3:

    >>> KestenMcKay(3).moments(6)
    (0, 3, 0, 15, 0, 87)
    """

    degree: Number

    def __post_init__(self) -> None:
        _keep(self, degree=number("degree", self.degree, ">= 1", lambda d: d >= 1))

    @property
    def construction(self) -> Law:
        """The free power of a fair sign."""
        half = Fraction(1, 2)
        return FreePower(Atomic((-1, 1), (half, half)), self.degree)


@dataclass(frozen=True)
class Wachter(NamedLaw):
    r"""The free Jacobi (MANOVA) law of :math:`(A + B)^{-1/2} A (A + B)^{-1/2}`.

    A = X Xᵀ and B = Y Yᵀ with X, Y of independent Gaussian entries of one variance and as many
    rows; `first` and `second` are rows/cols of X and of Y. Mean second/(first + second), on
    [0, 1]; an atom 1 - 1/first at 0 if first > 1, and 1 - 1/second at 1 if second > 1. It is the
    free corner of a projection.

    Parameters
    ----------
    first, second : number or sympy expression, > 0
        1/first + 1/second >= 1, so that A + B is invertible.

    Raises
    ------
    SpecError
        If a ratio is not positive or A + B is not invertible.

    References
    ----------
    .. [1] Wachter, *Ann. Statist.* 8 (1980) 937.
    .. [2] Capitaine & Casalis, *Indiana Univ. Math. J.* 53 (2004) 397.

    Examples
    --------
    >>> Wachter(Fraction(1, 2), Fraction(1, 3)).mean()
    Fraction(2, 5)
    """

    first: Number
    second: Number

    def __post_init__(self) -> None:
        _keep(self, first=number("first", self.first, "> 0", lambda c: c > 0))
        _keep(self, second=number("second", self.second, "> 0", lambda c: c > 0))
        number(
            "first·second/(first + second)", self._size, "<= 1, so that A + B is invertible",
            lambda a: a <= 1,
        )  # fmt: skip

    @property
    def _size(self) -> Number:
        return quotient(self.first * self.second, self.first + self.second)

    @property
    def construction(self) -> Law:
        """A corner of a projection of trace second/(first + second)."""
        trace = quotient(self.second, self.first + self.second)
        return Compressed(Atomic((0, 1), (1 - trace, trace)), self._size)


@dataclass(frozen=True)
class FussCatalan(NamedLaw):
    """The law of the squared singular values of a product of `order` square Gaussian matrices.

    The free multiplicative power of `MarchenkoPastur(1)`: mean 1, moments the Fuss–Catalan
    numbers binom((order + 1)k, k)/(order·k + 1), support [0, (order + 1)^(order + 1)/order^order],
    density ~ x^(-order/(order + 1)) at 0.

    Parameters
    ----------
    order : number or sympy expression, >= 1

    Raises
    ------
    SpecError
        If the order is below 1.

    References
    ----------
    .. [1] Penson & Życzkowski, *Phys. Rev. E* 83 (2011) 061118.

    Examples
    --------
    >>> FussCatalan(2).moments(4)
    (1, 3, 12, 55)
    """

    order: Number

    def __post_init__(self) -> None:
        _keep(self, order=number("order", self.order, ">= 1", lambda p: p >= 1))

    @property
    def construction(self) -> Law:
        """A power of the Marchenko–Pastur law of ratio 1."""
        return MultiplicativePower(MarchenkoPastur(1), self.order)


def _keep(law: Any, **fields: Any) -> None:
    """Set checked fields of a frozen law."""
    for name, value in fields.items():
        object.__setattr__(law, name, value)
