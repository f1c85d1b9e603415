r"""Laws of products of :math:`1 + X`, each X free of everything else up to rotations."""

from dataclasses import dataclass, field
from functools import cached_property, reduce
from typing import Any

from freefim.errors import SpecError
from freefim.free.chains.chain import Chain, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.named import Arcsine
from freefim.free.laws.numbers import Number, number, quotient
from freefim.free.leaves.leaf import Leaf
from freefim.free.solution import Solution
from freefim.free.trees.algebra import affine, free_product, free_sum
from freefim.free.trees.nodes import NamedLaw

__all__ = ["Block", "PerturbedIdentity", "perturbed_identity"]


@dataclass(frozen=True)
class Block:
    r"""A factor 1 + X; X Xᵀ has the law of gain·gate, times MP(1) with a Gaussian factor.

    Parameters
    ----------
    gate : Leaf
        Not 0.
    gain : number
        Greater than 0.
    gaussian : bool

    Raises
    ------
    SpecError
        If the gain is not > 0 or the gate vanishes.
    """

    gate: Leaf
    gain: Number
    gaussian: bool

    def __post_init__(self) -> None:
        number("gain", self.gain, "> 0", lambda x: x > 0)
        if not self.gate.maximum > 0.0:
            raise SpecError(f"gate must not vanish, got {self.gate!r}")

    @cached_property
    def law(self) -> Law:
        """Law of (1 + X)(1 + X)ᵀ as a tree of free operations."""
        branch: Any = affine(ChainLaw(Chain(1, (Product(self.gate),))), self.gain, 0)
        if self.gate.minimum == self.gate.maximum:
            branch = PointMass(self.gain * self.gate.maximum)
        if self.gaussian:
            branch = branch.rectangular(1, 1)
        half = quotient(1, 2)
        return free_sum(Atomic((-1, 1), (half, half)), branch.symmetrised()).square()


@dataclass(frozen=True, repr=False)
class PerturbedIdentity(NamedLaw):
    r"""Law of T Tᵀ, :math:`T = (1 + X_N) \cdots (1 + X_1)`, every X R-diagonal.

    The singular vectors of every X are in free directions: X is W D or D W with W orthogonal or
    Gaussian. Then the symmetrised singular values of 1 + X have the law
    :math:`\tfrac12(\delta_1 + \delta_{-1}) \boxplus \mathrm{sym}|X|` [1]_.

    Parameters
    ----------
    blocks : tuple of Block
        At least one.
    expression : str, optional
        Python that makes this law; its ``repr``.

    Raises
    ------
    SpecError
        If there is no block.
    ConvergenceError
        At the first look at its numbers, if the law does not balance.

    References
    ----------
    .. [1] U. Haagerup, H. Schultz, *Brown measures of unbounded operators affiliated with a finite
       von Neumann algebra*, Math. Scand. 100 (2007), proposition 3.5.

    Examples
    --------
    The mean of each factor is 1 + gain·E gate:

    >>> from freefim.free.leaves.leaf import GaussianBump
    >>> law = PerturbedIdentity((Block(GaussianBump(0.75, 1.0), 0.5, True),) * 2)
    >>> bool(abs(law.expect(lambda x: x) - 1.25**2) < 1e-12)
    True
    """

    blocks: tuple[Block, ...]
    expression: str | None = field(default=None, compare=False)

    def __post_init__(self) -> None:
        if not self.blocks or not all(isinstance(block, Block) for block in self.blocks):
            raise SpecError(f"blocks must be one Block or more, got {self.blocks!r}")

    def __repr__(self) -> str:
        return self.expression or f"PerturbedIdentity(blocks={self.blocks!r})"

    @property
    def construction(self) -> Law:
        """The tree that makes the law."""
        return reduce(free_product, (block.law for block in self.blocks))

    @cached_property
    def solution(self) -> Solution:
        """The solved law; computed once."""
        from freefim.free.perturbed.solve import solve_perturbed

        return solve_perturbed(self)


def perturbed_identity(blocks: tuple[Block, ...], expression: str | None = None) -> Law:
    """Return the law of a product of 1 + X: that of 1 and a Haar matrix in closed form.

    Raises
    ------
    SpecError
        If there is no block.

    Examples
    --------
    >>> from freefim.free.leaves.leaf import TwoPoint
    >>> perturbed_identity((Block(TwoPoint(0, 1, 1, 0), 1, False),))
    Arcsine(left=0.0, right=4.0)
    """
    match blocks:
        case (Block(gate, gain, False),) if gate.minimum == gate.maximum:
            size = (float(gain) * gate.maximum) ** 0.5
            return Arcsine((1.0 - size) ** 2, (1.0 + size) ** 2)
    return PerturbedIdentity(blocks, expression)
