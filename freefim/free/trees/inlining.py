"""Chains as trees: what the engine of trees sees of a network's law."""

from itertools import takewhile

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.density import Computed
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.laws.numbers import Number
from freefim.free.leaves import leaf as leaves
from freefim.free.trees import algebra

__all__ = ["tree_of_chain"]


def tree_of_chain(chain: Chain) -> Law:
    """Return the tree of free operations that makes the law of a chain.

    Leaves of finitely many atoms enter as such. Everything up to the last smooth leaf is one
    computed law: what follows, a shift above all, would only move its ends off 0, where numbers are
    dense.
    """
    after = tuple(takewhile(_is_atomic, chain.moves[::-1]))[::-1]
    before = chain.moves[: len(chain.moves) - len(after)]
    law: Law = Computed(ChainLaw(Chain(chain.start, before))) if before else PointMass(chain.start)
    for move in after:
        law = _moved(law, move)
    return law


def _is_atomic(move: Move) -> bool:
    return not isinstance(move, Product) or isinstance(move.leaf, leaves.TwoPoint | leaves.Atomic)


def _moved(law: Law, move: Move) -> Law:
    match move:
        case Product(leaves.TwoPoint(low, high, mass, complement)):
            return algebra.free_product(law, _atoms(((low, complement), (high, mass))))
        case Product(leaf):
            return algebra.free_product(law, _atoms(leaf.atoms))
        case Gaussian(ratio, variance):
            return algebra.rectangular(law, ratio, variance)
        case Corner(ratio):
            return algebra.compress(law, ratio)
        case Padding(ratio):
            return algebra.pad(law, ratio)
        case Affine(scale, shift):
            return algebra.affine(law, scale, shift)


def _atoms(pairs: tuple[tuple[Number, Number], ...]) -> Law:
    held = [(location, mass) for location, mass in pairs if mass > 0]
    if len(held) == 1:
        return PointMass(held[0][0])
    locations, masses = zip(*held, strict=True)
    return Atomic(locations, masses)
