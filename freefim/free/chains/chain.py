r"""A chain: a point mass carried through a sequence of moves.

The law of a chain is the curve :math:`\omega \mapsto (z, G)` that starts at the point mass,
:math:`z = \omega`, :math:`G = 1/(\omega - a)`, and is carried along by the moves in order.
"""

from dataclasses import dataclass
from fractions import Fraction

from freefim.free.leaves.leaf import Leaf, TwoPoint

__all__ = [
    "Affine",
    "Chain",
    "Corner",
    "Gaussian",
    "Move",
    "Padding",
    "Product",
    "from_last_zero",
    "numeric",
]

Number = int | float | Fraction


@dataclass(frozen=True)
class Product:
    r"""Free product with a leaf: :math:`\mu \to \nu \boxtimes \mu`; m stays, z' = z m w/(1+m)."""

    leaf: Leaf


@dataclass(frozen=True)
class Gaussian:
    r"""The law of :math:`X A X^T`, X of n_out × n_in Gaussian entries of variance `variance`/n_in.

    `ratio` is n_out/n_in: z' = variance·z (ratio + m), m' = m/ratio.
    """

    ratio: Number
    variance: Number


@dataclass(frozen=True)
class Corner:
    """Free corner of relative size `ratio` < 1 (a truncated Haar matrix, row-orthonormal)."""

    ratio: Number


@dataclass(frozen=True)
class Padding:
    """A fraction `ratio` < 1 of the law and 1 - `ratio` of zeros."""

    ratio: Number


@dataclass(frozen=True)
class Affine:
    """The law of scale·A + shift, scale > 0."""

    scale: Number
    shift: Number


Move = Product | Gaussian | Corner | Padding | Affine


@dataclass(frozen=True)
class Chain:
    """The point mass at `start`, carried through `moves`; start > 0 and shifts >= 0."""

    start: Number
    moves: tuple[Move, ...]


def from_last_zero(chain: Chain) -> Chain:
    """The same law without what a gate that is 0 forgets: the chain from the next shift on.

    Examples
    --------
    >>> from freefim.free.leaves.leaf import TwoPoint
    >>> closed = Product(TwoPoint(0, 0, 1, 0))
    >>> from_last_zero(Chain(3, (Affine(2, 1), closed, Gaussian(1, 2), Affine(2, 5), Corner(0.5))))
    Chain(start=5, moves=(Corner(ratio=0.5),))
    """
    closed = [
        place
        for place, move in enumerate(chain.moves)
        if isinstance(move, Product) and move.leaf.maximum == 0
    ]
    if not closed:
        return chain
    rest = chain.moves[closed[-1] + 1 :]
    for place, move in enumerate(rest):
        if isinstance(move, Affine) and move.shift:
            return Chain(move.shift, rest[place + 1 :])
    return Chain(0, ())


def numeric(chain: Chain) -> Chain:
    """The chain with every number a float."""
    return Chain(float(chain.start), tuple(map(_numeric_move, chain.moves)))


def _numeric_move(move: Move) -> Move:
    match move:
        case Product(TwoPoint(low, high, mass, complement)):
            return Product(TwoPoint(float(low), float(high), float(mass), float(complement)))
        case Gaussian(ratio, variance):
            return Gaussian(float(ratio), float(variance))
        case Affine(scale, shift):
            return Affine(float(scale), float(shift))
        case Corner(ratio):
            return Corner(float(ratio))
        case Padding(ratio):
            return Padding(float(ratio))
        case Product():
            return move
