r"""Eigenvalues of 2 × 2 matrices: two independent Marchenko–Pastur variables, coupled."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from freefim.free.law import Law
from freefim.free.laws.numbers import Number, number, plain
from freefim.free.solution import Solution

__all__ = ["CoupledPair"]


@dataclass(frozen=True)
class CoupledPair(Law):
    r"""Law of the eigenvalues of :math:`\mathrm{diag}(\alpha, \beta) + \zeta\,(a, b)^T(a, b)`.

    :math:`a^2, b^2` are independent, of the law of Marchenko and Pastur of ratio 1; each of the
    two eigenvalues has the weight ½.

    Parameters
    ----------
    first, second : number
        α and β.
    coupling : number
        ζ > 0.

    Notes
    -----
    One eigenvalue lies between α and β, the other above both; the bands touch at max(α, β), where
    the density is infinite, if :math:`|\alpha - \beta| \le 4\zeta`. For α = β half of the mass
    is there and the rest is α + ζ times the classical convolution of two laws MP(1).

    Raises
    ------
    SpecError
        If an argument is out of range.

    Examples
    --------
    >>> law = CoupledPair(0, 0, 1)
    >>> law.atoms, law.support, law.moments(2)
    (((0.0, 0.5),), (0.0, 8.0), (1, 3))
    """

    first: Number
    second: Number
    coupling: Number

    def __post_init__(self) -> None:
        number("first", self.first)
        number("second", self.second)
        number("coupling", self.coupling, "> 0", lambda x: x > 0)

    @cached_property
    def solution(self) -> Solution:
        """The solved law; computed once."""
        from freefim.free.pairs.solution import solve_pair

        return solve_pair(float(self.first), float(self.second), float(self.coupling))

    def moments(self, order: int) -> tuple[Any, ...]:
        """Moments E x, …, E x^order; exact where the numbers are.

        Raises
        ------
        SpecError
            If `order` is no integer >= 1.
        """
        from freefim.free.laws.named import MarchenkoPastur

        catalan = (1, *MarchenkoPastur(1).moments(order))
        # Newton's recursion tr X^k = t tr X^(k-1) - d tr X^(k-2), polynomials in a² and b²
        powers: list[dict[tuple[int, int], Any]] = [{(0, 0): 2}]
        a, b, z = self.first, self.second, self.coupling
        trace = {(0, 0): a + b, (1, 0): z, (0, 1): z}
        determinant = {(0, 0): -a * b, (1, 0): -z * b, (0, 1): -z * a}
        powers.append(trace)
        for _ in range(2, order + 1):
            powers.append(_added(_times(trace, powers[-1]), _times(determinant, powers[-2])))
        return tuple(
            plain(_half(sum(c * catalan[i] * catalan[j] for (i, j), c in p.items())))
            for p in powers[1:]
        )

    def free_cumulants(self, order: int) -> tuple[Any, ...]:
        """Free cumulants κ_1, …, κ_order, from the moments."""
        from freefim.free.trees.series import cumulants_from_moments

        return tuple(cumulants_from_moments(list(self.moments(order))))


def _times(p: dict[Any, Any], q: dict[Any, Any]) -> dict[Any, Any]:
    product: dict[Any, Any] = {}
    for (i, j), x in p.items():
        for (k, l), y in q.items():
            product[i + k, j + l] = product.get((i + k, j + l), 0) + x * y
    return product


def _added(p: dict[Any, Any], q: dict[Any, Any]) -> dict[Any, Any]:
    return {key: p.get(key, 0) + q.get(key, 0) for key in {**p, **q}}


def _half(value: Number) -> Number:
    from freefim.free.laws.numbers import quotient

    return quotient(value, 2)
