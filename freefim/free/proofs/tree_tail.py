"""The moves after the last convolution: they take real points to real points."""

from dataclasses import dataclass
from fractions import Fraction
from math import isqrt
from typing import Any

from flint import arb

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball
from freefim.free.proofs.tree_system import Node

__all__ = ["Place", "as_ball", "pulled", "pushed"]


@dataclass(frozen=True)
class Place:
    """Where a real point comes from, and how density and mass there give those at the point.

    Attributes
    ----------
    x : Fraction, ball or None
        The point of the law before the moves; None below the support.
    factor : ball
        Density at the point over that at `x`.
    start, share : Fraction
        Distribution function at the point: start + share·(that at `x`).
    closed : bool
        Whether the one at `x` counts the mass at `x`, as after an even number of reversals.
    """

    x: Any
    factor: Any
    start: Fraction
    share: Fraction
    closed: bool


def pulled(tail: list[Node], x: Fraction) -> Place:
    """Take a real point back through the moves, the last first.

    Raises
    ------
    ConvergenceError
        If the point may be 0 where that matters, or the sign of a law is not known.
    """
    factor, start, share, closed = arb(1), Fraction(0), Fraction(1), True
    at: Any = x  # exact up to the first irrational root
    for node in tail:
        falls = False
        match node.kind:
            case "affine":
                scale, shift = node.numbers
                at = (at - shift) / scale if isinstance(at, Fraction) else (
                    (at - ball(shift)) / ball(scale))  # fmt: skip
                factor = factor / abs(ball(scale))
                falls = scale < 0
            case "padding":
                (ratio,) = node.numbers
                factor = factor * ball(ratio)
                if closed if at == 0 else _is_above(at):
                    start = start + share * (1 - ratio)
                share = share * ratio
            case "inverse":
                if not node.numbers:
                    raise ConvergenceError("the law inverted is not seen to live on [0, ∞)")
                if not _is_above(at):
                    return Place(None, arb(0), start, Fraction(0), closed)
                at, falls = 1 / at, True
                factor = factor * as_ball(at) ** 2
            case "singular_values":
                falls = not _is_above(at)
                start, share = start + (0 if falls else share / 2), share / 2
                factor = factor * abs(as_ball(at))
                at = at * at
            case "square":
                if not _is_above(at):
                    return Place(None, arb(0), start, Fraction(0), closed)
                at = _square_root(at)
                factor = factor / as_ball(at)
                start, share = start - share, 2 * share
        if falls:
            start, share, closed = start + share, -share, not closed
    return Place(at, factor, start, share, closed)


def as_ball(x: Any) -> Any:
    """The ball of a rational; a ball as it is."""
    return ball(x) if isinstance(x, Fraction) else x


def _square_root(x: Any) -> Any:
    if isinstance(x, Fraction):
        root = Fraction(isqrt(x.numerator), isqrt(x.denominator))
        if root * root == x:
            return root
    return as_ball(x).sqrt()


def _is_above(x: Any) -> bool:
    """Whether a number lies in (0, ∞), not in (-∞, 0)."""
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
