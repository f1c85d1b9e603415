r"""Laws of sums of nested sample covariances."""

from dataclasses import dataclass
from functools import cached_property
from typing import Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import PointMass
from freefim.free.laws.named import MarchenkoPastur
from freefim.free.laws.numbers import Number, number
from freefim.free.solution import Solution
from freefim.free.trees.algebra import affine

__all__ = ["Level", "NestedCovariances", "nested_covariances"]


@dataclass(frozen=True)
class Level:
    r"""A sample covariance :math:`K_l` of population covariance :math:`c_l + b_l K_{l-1}`.

    Parameters
    ----------
    ratio : number
        Dimension over samples, γ_l > 0.
    rest, gain : number
        c_l >= 0 and b_l >= 0, not both 0.

    Raises
    ------
    SpecError
        If a number is out of range.
    """

    ratio: Number
    rest: Number
    gain: Number

    def __post_init__(self) -> None:
        number("ratio", self.ratio, "> 0", lambda x: x > 0)
        number("rest", self.rest, ">= 0", lambda x: x >= 0)
        number("gain", self.gain, ">= 0", lambda x: x >= 0)
        if self.rest == 0 and self.gain == 0:
            raise SpecError("rest and gain must not both be 0: the covariance would vanish")


@dataclass(frozen=True)
class NestedCovariances(Law):
    r"""Law of :math:`r + y_0 K_0 + … + y_k K_k`, each :math:`K_l` of covariance in the one before.

    :math:`K_l = \Sigma_l^{1/2} Z Z^T \Sigma_l^{1/2}/M_l` with Z Gaussian n × :math:`M_l` and
    :math:`\Sigma_l = c_l + b_l K_{l-1}`.

    Parameters
    ----------
    population : Law
        Law of K_0, on [0, ∞) and not a point.
    levels : tuple of Level
        γ_l = n/M_l, c_l, b_l > 0 for l = 1..k, k >= 1.
    weights : tuple of number
        y_0, …, y_k >= 0, the last > 0.
    shift : number, optional
        The r.

    Raises
    ------
    SpecError
        If an argument is out of range.

    References
    ----------
    .. [1] Z. Fan, Z. Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for
       linear-width neural networks*, NeurIPS 2020, theorem 3.7.

    Examples
    --------
    Where only the last matrix counts it is a chain of free products:

    >>> mp = MarchenkoPastur(0.5)
    >>> law = NestedCovariances(mp, (Level(0.25, 1, 2),), (0, 1))
    >>> chain = MarchenkoPastur(0.25) @ (2 * mp + 1)
    >>> bool(abs(law.support[1] - chain.support[1]) < 1e-12)
    True
    """

    population: Law
    levels: tuple[Level, ...]
    weights: tuple[Number, ...]
    shift: Number = 0

    def __post_init__(self) -> None:
        if not isinstance(self.population, Law):
            raise SpecError(f"population must be a Law, got {self.population!r}")
        if not self.levels or not all(isinstance(level, Level) for level in self.levels):
            raise SpecError(f"levels must be one or more of Level, got {self.levels!r}")
        if len(self.weights) != len(self.levels) + 1:
            raise SpecError(
                f"weights must be {len(self.levels) + 1} numbers, one more than levels, "
                f"got {self.weights!r}"
            )
        for i, weight in enumerate(self.weights):
            number(f"weights[{i}]", weight, ">= 0", lambda x: x >= 0)
        for i, level in enumerate(self.levels):
            number(f"levels[{i}].gain", level.gain, "> 0 in a sum", lambda x: x > 0)
        number("weights[-1]", self.weights[-1], "> 0", lambda x: x > 0)
        number("shift", self.shift)

    @cached_property
    def solution(self) -> Solution:
        """The solved law; computed once."""
        from freefim.free.nested.solve import solve_nested

        return solve_nested(self)

    @cached_property
    def upper_edge(self) -> float:
        """Right end of the bands, without the densities that `support` solves for.

        SpecError and ConvergenceError as `support`.
        """
        from freefim.free.nested.solve import upper_edge

        return upper_edge(self)

    def moments(self, order: int) -> tuple[Any, ...]:
        """Moments E x, …, E x^order from those of the population; exact where the numbers are.

        Raises
        ------
        SpecError
            If `order` is no integer >= 1.

        Examples
        --------
        >>> law = NestedCovariances(MarchenkoPastur(1), (Level(1, 0, 1),), (0, 1))
        >>> law.moments(4)  # the free square of the law of Marchenko and Pastur
        (1, 3, 12, 55)
        """
        from freefim.free.nested.moments import nested_moments

        levels = tuple((level.ratio, level.rest, level.gain) for level in self.levels)
        inner = self.population.moments(order)
        return nested_moments(self.shift, self.weights, levels, inner)

    def free_cumulants(self, order: int) -> tuple[Any, ...]:
        """Free cumulants κ_1, …, κ_order, from the moments."""
        from freefim.free.trees.series import cumulants_from_moments

        return tuple(cumulants_from_moments(list(self.moments(order))))


def nested_covariances(
    population: Law,
    levels: tuple[Level, ...],
    weights: tuple[Number, ...],
    shift: Number = 0,
) -> Law:
    """Return the law of a sum of nested covariances, in the simplest form.

    Levels that hold no more than a multiple of the identity, or do not reach the last one, are
    taken out: the arguments are those of `NestedCovariances`, but k may be 0, a gain 0 and the
    population a point.

    Raises
    ------
    SpecError
        If an argument is out of range.

    Examples
    --------
    >>> nested_covariances(PointMass(2), (Level(0.5, 1, 1),), (1, 1), 4)
    Affine(law=MarchenkoPastur(ratio=0.5), scale=3, shift=6)
    """
    if isinstance(population, PointMass):
        place = population.location
        shift = shift + weights[0] * place
        if not levels:
            return PointMass(shift)
        first, weights = levels[0], weights[1:]
        size = first.rest + first.gain * place
        population = MarchenkoPastur(first.ratio)
        levels = levels[1:]
        weights, levels = (size * weights[0], *weights[1:]), _rescaled(levels, size)
    if not levels:
        return affine(population, weights[0], shift)
    if levels[0].gain == 0 and weights[0] == 0:
        return nested_covariances(PointMass(0), levels, weights, shift)
    return NestedCovariances(population, levels, weights, shift)


def _rescaled(levels: tuple[Level, ...], size: Number) -> tuple[Level, ...]:
    """Levels above a matrix that is taken without its factor `size`."""
    if not levels:
        return levels
    first = levels[0]
    return (Level(first.ratio, first.rest, first.gain * size), *levels[1:])
