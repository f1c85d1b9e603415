"""Laws of networks as trees with the numbers as they are given, symbols too."""

from copy import copy
from dataclasses import fields
from typing import Any

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, PointMass
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.trees import nodes

__all__ = ["unrolled"]


def unrolled(law: Law) -> Law:
    """Return the law with a node in place of every move of its chains.

    Raises
    ------
    SpecError
        If a gate has more than two values.
    """
    if isinstance(law, ChainLaw):
        return _tree(law.chain)
    inner = {item.name: getattr(law, item.name) for item in fields(law)}  # type: ignore[arg-type]
    laws = {name: unrolled(held) for name, held in inner.items() if isinstance(held, Law)}
    if not laws:
        return law
    other = copy(law)  # made of the same laws: no need to check it again
    for name, held in laws.items():
        object.__setattr__(other, name, held)
    return other


def _tree(chain: Chain) -> Law:
    law: Law = PointMass(chain.start)
    for move in chain.moves:
        law = _moved(law, move)
    return law


def _moved(law: Law, move: Move) -> Law:
    match move:
        case Affine(scale, shift):
            return nodes.Affine(law, scale, shift)
        case Corner(ratio):
            return nodes.Compressed(law, ratio)
        case Padding(ratio):
            return nodes.Padded(law, ratio)
        case Gaussian(ratio, variance):
            return nodes.Rectangular(law, ratio, variance)
        case Product(TwoPoint(low, high, mass, complement)):
            return nodes.FreeProduct(law, _gate(low, high, mass, complement))
        case Product(leaf):
            raise SpecError(f"exact algebra needs two-point gates, got the gate {leaf!r}")


def _gate(low: Any, high: Any, mass: Any, complement: Any) -> Law:
    if complement == 0 or mass == 0:
        return PointMass(high if complement == 0 else low)
    return Atomic((low, high), (complement, mass))
