"""The law of a chain: a frozen value whose numbers are computed when they are first asked for."""

from collections.abc import Callable, Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from functools import cached_property
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Chain, from_last_zero, numeric
from freefim.free.chains.derivation import Derivation
from freefim.free.chains.moments import chain_moments, is_rational
from freefim.free.law import Law
from freefim.free.powers.curve import chain_curve
from freefim.free.powers.solution import solve_power
from freefim.free.projection.program import is_projection_chain, meets_equal_ranks
from freefim.free.projection.solve import solve_projection
from freefim.free.solution import Solution

if TYPE_CHECKING:
    from fractions import Fraction

__all__ = ["ChainLaw"]


@dataclass(frozen=True, repr=False)
class ChainLaw(Law):
    """The law of a chain of free operations.

    Chains of projections, Gaussian matrices, corners and paddings are composed in closed form,
    without shifts to one formula; any other leaf is solved jointly with all others.

    Parameters
    ----------
    chain : Chain
        The operations.
    layer_ends : tuple of int, optional
        After how many moves each layer ends; `layers` are the laws at those places.
    expression : str, optional
        Python that makes this law; its ``repr``.

    Raises
    ------
    ConvergenceError
        At the first look at its numbers, if they cannot be had to the promised accuracy.

    Examples
    --------
    X Xᵀ with X a square Gaussian matrix of variance 1/n has Catalan moments:

    >>> from freefim.free.chains.chain import Chain, Gaussian
    >>> law = ChainLaw(Chain(1, (Gaussian(1, 1),)))
    >>> [int(law.moment(k)) for k in (1, 2, 3, 4)]
    [1, 2, 5, 14]
    >>> law.bands
    ((0.0, 4.0),)
    """

    chain: Chain
    layer_ends: tuple[int, ...] = ()
    expression: str | None = field(default=None, compare=False)

    @cached_property
    def solution(self) -> Solution:
        """The solved law."""
        with _in_range():
            curve = chain_curve(self.chain)
            found = solve_power(curve) if curve else None
            if found:
                return found
            chain = from_last_zero(self.chain)
            if not is_projection_chain(chain):
                from freefim.free.joint.solve import solve_joint

                return solve_joint(numeric(chain))
            return _unknowns(chain) if meets_equal_ranks(chain) else solve_projection(chain)

    @property
    def layers(self) -> tuple["ChainLaw", ...]:
        """The laws of every depth, each the start of the next."""
        return tuple(
            ChainLaw(Chain(self.chain.start, self.chain.moves[:end]), self.layer_ends[: i + 1])
            for i, end in enumerate(self.layer_ends)
        )

    @property
    def construction(self) -> Law:
        """The tree of free operations that makes the law, for further operations."""
        from freefim.free.trees.inlining import tree_of_chain

        return tree_of_chain(self.chain)

    def moments(self, order: int) -> "tuple[Fraction | float, ...]":
        """Moments E x, …, E x^order by power series; exact rationals if the chain is rational."""
        from freefim.free.trees.knowledge import has_symbols

        if has_symbols(self):
            return super().moments(order)
        with _in_range():
            return chain_moments(self.chain, order)

    def moment(self, k: int, digits: int | None = None) -> Any:
        """Moment E x^k, k >= 0; an exact rational if the chain is rational."""
        counts = isinstance(k, Integral) and not isinstance(k, bool)
        if digits is None and counts and 0 < k <= _SERIES_ORDERS:
            return self.moments(int(k))[-1]
        if digits is None and counts and k > 0:
            return self.expect(lambda x: x ** int(k))
        return super().moment(k, digits)

    def variance(self) -> Any:
        """Second central moment, without cancellation where the chain is rational."""
        if is_rational(self.chain):
            return super().variance()
        mean = float(self.mean())
        return self.expect(lambda x: (x - mean) ** 2)

    def expect(self, function: Callable[[Any], ArrayLike]) -> float:
        """Mean of a function of the spectrum: a linear spectral statistic."""
        if not self.chain.moves:
            return float(np.asarray(function(np.array([float(self.chain.start)])))[0])
        return super().expect(function)

    def derivation(self) -> Derivation:
        """The chain of transforms that makes the law, with its numbers; text and sympy."""
        return Derivation(self.chain, self.layer_ends)

    def __repr__(self) -> str:
        if self.expression is not None:
            return self.expression
        ends = f", layer_ends={self.layer_ends!r}" if self.layer_ends else ""
        return f"ChainLaw({self.chain!r}{ends})"


def _unknowns(chain: Chain) -> Solution:
    """The law of a chain that closed composition divides 0 by 0 in, with an unknown a gate."""
    from freefim.free.joint.solve import solve_joint
    from freefim.free.trees.inlining import tree_of_chain
    from freefim.free.trees.solve import solve_tree

    try:
        return solve_tree(tree_of_chain(chain))
    except ConvergenceError:
        return solve_joint(numeric(chain))


@contextmanager
def _in_range() -> Iterator[None]:
    """Say what went wrong where a chain's numbers leave the floating-point range."""
    try:
        yield
    except (OverflowError, ZeroDivisionError) as problem:
        raise ConvergenceError(
            f"the numbers of the chain leave the range of floating-point numbers: {problem}"
        ) from problem


# Series cost order^3 operations a move and lose a digit every few orders; beyond, quadrature.
_SERIES_ORDERS = 16
