"""Paths: the pieces of a gate g(h) = φ'(h)² and the maps of the real line onto them.

On a piece g is monotone. Its map τ -> h makes log|g - g(end)| proportional to τ towards the ends,
so that the poles of 1/(w - g) lie near the real line for every real w, and it is analytic in the
strip of height 2π around the real line.
"""

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any, Literal

import numpy as np
from numpy.typing import NDArray

__all__ = [
    "REACH",
    "Between",
    "End",
    "Flat",
    "Line",
    "Outwards",
    "Path",
    "Piece",
    "Tail",
    "path_of",
]

_Reals = NDArray[np.float64]
_Complexes = NDArray[np.complex128]

#: How far the paths go, in standard deviations.
REACH = 9.0
#: -log|g - g(end)| of the outermost node at an end where g turns, and at a zero of g.
_TURN_DEPTH, _ZERO_DEPTH = 28.0, 54.0
#: Tails with a limit are followed up to this τ, long after 64-bit numbers have reached the limit.
_FLAT_BY = 250.0
#: Ends this many times further out than the path goes are not seen from it.
_FAR = 3.0


@dataclass(frozen=True)
class End:
    """An end of a piece: g turns there (φ'' = 0), vanishes there (φ' = 0) or has a kink there."""

    place: float
    kind: Literal["turn", "zero", "kink"]

    @property
    def depth(self) -> float:
        """How far the path goes in τ; g - g(end) is proportional to e^τ, to e^{τ/2} at a kink."""
        return {"turn": _TURN_DEPTH, "zero": _ZERO_DEPTH, "kink": 2 * _TURN_DEPTH}[self.kind]


@dataclass(frozen=True)
class Tail:
    r"""The way to infinity, x being the distance to the other end of the piece (or to 0).

    Parameters
    ----------
    rate, curvature : float
        log|g - limit| falls about like -(rate · x + curvature · x²).
    limit : float or None
        g at infinity; None if g is known on the visible range only.
    """

    rate: float
    curvature: float = 0.0
    limit: float | None = None


@dataclass(frozen=True)
class Piece:
    """An interval on which g is monotone.

    Parameters
    ----------
    derivative : callable
        φ' of a real or complex array, analytic around the inside of the interval.
    left, right : End or Tail
        Its ends.
    rate : float
        Between two ends, how fast log|g'| changes in the middle.
    """

    derivative: Callable[[NDArray[Any]], NDArray[Any]]
    left: End | Tail
    right: End | Tail
    rate: float = 0.1

    def gate(self, h: float) -> float:
        """Value of g at a real point."""
        return float(self.derivative(np.array([h]))[0] ** 2)

    def value(self, end: End | Tail, reach: float) -> float:
        """Value of g at an end: at infinity the limit, or the value at ±`reach`."""
        if isinstance(end, End):
            return 0.0 if end.kind == "zero" else self.gate(end.place)
        if end.limit is not None:
            return end.limit
        return self.gate(-reach if end is self.left else reach)

    def clipped(self, reach: float) -> tuple[float, float]:
        """Return the ends of the interval, those beyond ±`reach` moved there."""
        left = self.left.place if isinstance(self.left, End) else -np.inf
        right = self.right.place if isinstance(self.right, End) else np.inf
        return max(left, -reach), min(right, reach)


@dataclass(frozen=True)
class Flat:
    """An interval on which g is constant."""

    left: float
    right: float
    value: float


@dataclass(frozen=True)
class Between:
    """From end to end: exponential in τ/2 next to the ends, of slope 1/rate or less in the middle.

    h - a = (2/rate) [log(1 + e^{τ/2}) - log(1 + e^{(τ-Λ)/2})] with Λ = rate · (b - a).
    """

    left: End
    right: End
    rate: float

    @property
    def length(self) -> float:
        """Length Λ of the middle part of the τ-line."""
        return self.rate * (self.right.place - self.left.place)

    @property
    def ends(self) -> dict[int, End]:
        """Ends by the index of the node next to them."""
        return {0: self.left, -1: self.right}

    @property
    def span(self) -> tuple[float, float]:
        """Range of τ that matters."""
        return -self.left.depth, self.length + self.right.depth

    def at(self, tau: _Complexes) -> tuple[_Reals, _Complexes, _Complexes]:
        """Nearest end, the offset of h from it, and |dh/dτ|."""
        after = tau.real > self.length / 2
        small = np.exp(np.where(after, self.length - tau, tau) / 2)
        shrink, rest = -np.expm1(-self.length / 2), np.exp(-self.length / 2)
        offset = 2 * np.log1p(small * shrink / (1 + small * rest)) / self.rate
        speed = small * shrink / (1 + small) / (1 + small * rest) / self.rate
        anchor = np.where(after, self.right.place, self.left.place)
        return anchor, np.where(after, -offset, offset), speed


@dataclass(frozen=True)
class Outwards:
    """From an end towards ±∞: rate · x + curvature · x² = 2 log(1 + e^{τ/2}), x = |h - end|."""

    end: End
    tail: Tail
    side: float
    reach: float

    @property
    def ends(self) -> dict[int, End]:
        """The end by the index of the node next to it."""
        return {0: self.end}

    @property
    def span(self) -> tuple[float, float]:
        """Range of τ that matters."""
        x = self.reach - self.side * self.end.place
        v = max(self.tail.rate * x + self.tail.curvature * x * x, 0.0)
        if self.tail.limit is not None:
            v = min(v, _FLAT_BY)
        return -self.end.depth, v + 2 * np.log(-np.expm1(-v / 2)) if v > 0 else -np.inf

    def at(self, tau: _Complexes) -> tuple[_Reals, _Complexes, _Complexes]:
        """Nearest end, the offset of h from it, and |dh/dτ|."""
        after = tau.real > 0
        small = np.exp(np.where(after, -tau, tau) / 2)
        v: _Complexes = 2 * np.log1p(small) + np.where(after, tau, 0)
        root = np.sqrt(self.tail.rate**2 + 4 * self.tail.curvature * v)
        speed: _Complexes = np.where(after, 1, small) / (1 + small) / root
        offset: _Complexes = self.side * 2 * v / (self.tail.rate + root)
        return np.full(tau.shape, self.end.place, dtype=np.float64), offset, speed


@dataclass(frozen=True)
class Line:
    """The whole line, h = τ / rate."""

    rate: float
    reach: float

    @property
    def ends(self) -> dict[int, End]:
        """No ends."""
        return {}

    @property
    def span(self) -> tuple[float, float]:
        """Range of τ that matters."""
        return -self.rate * self.reach, self.rate * self.reach

    def at(self, tau: _Complexes) -> tuple[_Reals, _Complexes, _Complexes]:
        """Return 0, h and dh/dτ."""
        speed = np.full(tau.shape, 1 / self.rate, dtype=complex)
        return np.zeros(tau.shape), tau / self.rate, speed


Path = Between | Outwards | Line


def path_of(piece: Piece, reach: float) -> Path:
    """Map onto a piece; ±`reach` is as far as tails are followed."""
    left, right = piece.left, piece.right
    if all(isinstance(end, End) and abs(end.place) > _FAR * reach for end in (left, right)) and (
        piece.clipped(reach) == (-reach, reach)
    ):
        # Offsets from far ends would round h away.
        return Line(1.0, reach)
    if isinstance(left, End):
        if isinstance(right, End):
            return Between(left, right, piece.rate)
        return Outwards(left, right, 1.0, reach)
    if isinstance(right, End):
        return Outwards(right, left, -1.0, reach)
    return Line(max(left.rate, right.rate), reach)
