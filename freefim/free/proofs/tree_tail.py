"""The moves after the last convolution: they take real points to real points."""

from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import arb

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball
from freefim.free.proofs.tree_system import Node

__all__ = ["Place", "pulled", "pushed"]


@dataclass(frozen=True)
class Place:
    """Where a real point comes from, and how density and mass there give those at the point.

    Attributes
    ----------
    x : ball or None
        The point of the law before the moves; None below the support.
    factor : ball
        Density at the point over that at `x`.
    start, share : Fraction
        Distribution function at the point: start + share·(that at `x`), x no atom.
    """

    x: Any
    factor: Any
    start: Fraction
    share: Fraction


def pulled(tail: list[Node], x: Any) -> Place:
    """Take a real ball back through the moves, the last first.

    Raises
    ------
    ConvergenceError
        If the point may be 0 where that matters, or the sign of a law is not known.
    """
    factor, start, share = arb(1), Fraction(0), Fraction(1)
    for node in tail:
        match node.kind:
            case "affine":
                scale, shift = node.numbers
                x, factor = (x - ball(shift)) / ball(scale), factor / abs(ball(scale))
                if scale < 0:
                    start, share = start + share, -share
            case "padding":
                (ratio,) = node.numbers
                factor = factor * ball(ratio)
                if x.is_zero() or _is_above(x):
                    start = start + share * (1 - ratio)
                share = share * ratio
            case "inverse":
                if not node.numbers:
                    raise ConvergenceError("the law inverted is not seen to live on [0, ∞)")
                if not _is_above(x):
                    return Place(None, arb(0), start, Fraction(0))
                x, factor = 1 / x, factor / (x * x)
                start, share = start + share, -share
            case "singular_values":
                above = _is_above(x)
                x, factor = x * x, factor * abs(x)
                start, share = start + share / 2, share / 2 if above else -share / 2
            case "square":
                if not _is_above(x):
                    return Place(None, arb(0), start, Fraction(0))
                x = x.sqrt()
                factor = factor / x
                start, share = start - share, 2 * share
    return Place(x, factor, start, share)


def _is_above(x: Any) -> bool:
    """Whether a ball lies in (0, ∞), not in (-∞, 0)."""
    if x > 0:
        return True
    if x < 0:
        return False
    raise ConvergenceError("nothing is proved at 0 of a law that is inverted, padded or squared")


def pushed(tail: list[Node], edges: list[Any]) -> list[Any]:
    """Take the ends of bands, ascending, through the moves.

    Raises
    ------
    ConvergenceError
        If a square root or an inverse meets an end that may be 0, or a square any ends.
    """
    for node in reversed(tail):
        match node.kind:
            case "affine":
                scale, shift = map(ball, node.numbers)
                edges = [scale * x + shift for x in edges]
                if node.numbers[0] < 0:
                    edges.reverse()
            case "inverse":
                edges = [1 / x for x in reversed(edges) if _is_above(x)]
            case "singular_values":
                roots = [x.sqrt() for x in edges if _is_above(x)]
                edges = [-x for x in reversed(roots)] + roots
            case "square":
                raise ConvergenceError("the edges of a square are not proved: prove its root's")
    return edges
