"""Laws given by a density, and solved laws as leaves: both expanded into series."""

from collections.abc import Callable, Iterable
from dataclasses import dataclass
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import ConvergenceError, SpecError
from freefim.free.accuracy import Accuracy
from freefim.free.law import Law
from freefim.free.laws.expansion import expand
from freefim.free.laws.given import GivenLaw
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.numbers import number, real
from freefim.free.laws.pieces import AtomsPiece, Piece
from freefim.free.solution import Array

__all__ = ["Computed", "Density"]

_DEFECT = 1e-10


class _Expanded(GivenLaw):
    """A law whose pieces come out of an expansion, with its measured accuracy."""

    @cached_property
    def _expansion(self) -> tuple[tuple[Piece, ...], Accuracy]:
        raise NotImplementedError

    @property
    def pieces(self) -> tuple[Piece, ...]:
        """Atoms, and bands as series."""
        return self._expansion[0]

    @cached_property
    def solution(self) -> LeafSolution:
        """The law in closed form, up to the tails of its series."""
        return LeafSolution(*self._expansion)


@dataclass(frozen=True)
class Density(_Expanded):
    r"""A law given by a density on finitely many bands.

    Each band becomes a series: at square-root edges, soft :math:`\sqrt x` or hard
    :math:`1/\sqrt x`, a Chebyshev series; at any other end Legendre panels. The kind of an end is
    found, not asked for.

    Parameters
    ----------
    function : callable
        The density, of arrays; analytic inside every band, with total mass 1.
    bands : (float, float) or sequence of (float, float)
        One interval or several disjoint ones.

    Raises
    ------
    SpecError
        If a band is no interval, bands overlap, or the function does not take arrays, is negative,
        not finite or of total mass other than 1 (by more than 1e-10).
    ConvergenceError
        If the function does not resolve into series.

    Notes
    -----
    Laws of one function object and equal bands are equal; the ``repr`` evaluates back where that
    of the function does.

    Examples
    --------
    >>> law = Density(lambda x: 6 * x * (1 - x), (0, 1))
    >>> round(float(law.cdf(0.5)), 14), round(law.variance(), 14)
    (0.5, 0.05)
    """

    function: Callable[[Any], ArrayLike]
    bands_given: tuple[tuple[float, float], ...]

    def __init__(self, function: Callable[[Any], ArrayLike], bands: Iterable[Any]) -> None:
        if not callable(function):
            raise SpecError(f"function must be callable, got {function!r}")
        object.__setattr__(self, "function", function)
        object.__setattr__(self, "bands_given", _intervals(bands))
        _ = self._expansion

    def __repr__(self) -> str:
        return f"Density({self.function!r}, {list(self.bands_given)!r})"

    @cached_property
    def _expansion(self) -> tuple[tuple[Piece, ...], Accuracy]:
        expanded = [expand(self._values, left, right) for left, right in self.bands_given]
        pieces = tuple(piece for piece, _ in expanded)
        defect = abs(sum(piece.mass for piece in pieces) - 1.0)
        if not defect <= _DEFECT:
            raise SpecError(
                f"function must have total mass 1 on its bands, it misses that by {defect:.3g}"
            )
        tail = max(tail for _, tail in expanded)
        return pieces, Accuracy(defect, 0.0, tail, "series of the density")

    def _values(self, x: Array) -> Array:
        try:
            values = np.broadcast_to(np.asarray(self.function(x), dtype=float), x.shape)
        except (TypeError, ValueError) as problem:
            raise SpecError(
                f"function must take arrays and return real numbers of their shape, got "
                f"{self.function!r}, which says: {problem}"
            ) from problem
        wrong = ~(np.isfinite(values) & (values >= 0.0))
        if np.any(wrong):
            raise SpecError(
                f"function must be finite and >= 0 inside its bands, got "
                f"{float(values[wrong][0])!r} at x = {float(x[wrong][0])!r}"
            )
        return values


@dataclass(frozen=True)
class Computed(_Expanded):
    """A solved law as a leaf of further operations: its bands as series, at full accuracy.

    Trees do this themselves for laws that they cannot take apart.

    Parameters
    ----------
    law : Law
        Any law with bounded support.

    Raises
    ------
    SpecError
        If `law` is no law or its support is not bounded.
    ConvergenceError
        At the first look at its numbers, if the density does not resolve into series or the series
        do not have the masses of the bands.

    Examples
    --------
    >>> from freefim.free.laws.named import Semicircle
    >>> law = Computed(Semicircle(1))
    >>> bool(abs(law.cauchy(3.0) - (3 - 5**0.5) / 2) < 1e-13)
    True
    """

    law: Law

    def __post_init__(self) -> None:
        if not isinstance(self.law, Law):
            raise SpecError(f"law must be a Law, got {self.law!r}")

    @cached_property
    def _expansion(self) -> tuple[tuple[Piece, ...], Accuracy]:
        solution = self.law.solution
        if not all(np.isfinite(end) for band in solution.bands for end in band):
            raise SpecError(f"a leaf needs bounded support, got {self.law!r}")
        pieces: list[Piece] = [AtomsPiece(solution.atoms)] if solution.atoms else []
        tail, defect = 0.0, 0.0
        for (left, right), mass in zip(solution.bands, solution.band_masses, strict=True):
            piece, last = expand(solution.pdf, left, right, 3.0 * solution.accuracy.tail)
            pieces.append(piece)
            tail, defect = max(tail, last), max(defect, abs(piece.mass - mass))
        defect = max(defect, solution.accuracy.mass_defect)
        if not defect <= _DEFECT:
            raise ConvergenceError(
                f"the series of {self.law!r} miss the mass of a band by {defect:.1e}"
            )
        measured = solution.accuracy
        return tuple(pieces), Accuracy(
            defect, measured.edge_residual, max(tail, measured.tail),
            f"{measured.method}; series of the density", measured.remarks,
        )  # fmt: skip


def _intervals(bands: Any) -> tuple[tuple[float, float], ...]:
    try:
        listed = list(bands)
        pairs = [listed] if listed and np.ndim(listed[0]) == 0 else listed
        intervals = sorted((_end(left), _end(right)) for left, right in pairs)
    except (TypeError, ValueError) as problem:
        if isinstance(problem, SpecError):
            raise
        raise SpecError(
            f"bands must be an interval (left, right) or a sequence of them, got {bands!r}"
        ) from None
    ends = [end for interval in intervals for end in interval]
    if not intervals or any(a >= b for a, b in intervals) or ends != sorted(ends):
        raise SpecError(f"bands must be disjoint intervals with left < right, got {bands!r}")
    return tuple(intervals)


def _end(value: Any) -> float:
    return real(number("each end of bands", value))
