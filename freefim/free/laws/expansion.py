"""A density on a band as a series: the family of its ends found by the series that converges."""

from collections.abc import Callable

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.laws.pieces import PanelsPiece, SeriesPiece
from freefim.free.solution import Array

__all__ = ["expand"]

Function = Callable[[Array], Array]

_MILDEST_FIRST = (0, 2, 3, 1)
_MOST = 1024  # coefficients of a series
_ROUNDING = 1e-15  # of a coefficient, relative to the largest, times their number
_NEGLIGIBLE = 4e-16
_ORDER = 24  # coefficients of a panel
_SMOOTH = 1e-13  # size of a panel's last coefficients, relative to its largest
_LIGHT = 1e-15  # mass in a panel's last coefficients that is let go, relative to the largest mass
_MOST_PANELS = 800
_UNRESOLVED = 1e-10  # mass that may lie in panels that rounding leaves unresolved


def expand(
    function: Function, left: float, right: float, noise: float = 0.0
) -> tuple[SeriesPiece | PanelsPiece, float]:
    """Return a density on a band as a series, and the size of what was left out.

    Square-root edges, soft or hard, converge geometrically in the Chebyshev family that carries
    their weight: the mildest family that converges is the right one. Any other end is approached by
    panels whose lengths shrink geometrically.

    Parameters
    ----------
    function : callable
        The density, of arrays of shape (n,) inside (left, right).
    left, right : float
    noise : float
        Relative error of the function's values, which no series resolves.

    Raises
    ------
    ConvergenceError
        If the density does not resolve.
    """
    count = 16
    while count <= _MOST:
        families = _series(function, left, right, count)
        for kind in _MILDEST_FIRST:
            c = families[kind]
            size = np.abs(c)
            tail = float(size[-count // 4 :].max() / size.max()) if size.max() > 0.0 else 0.0
            if tail <= max(_ROUNDING * count, noise):
                keep = np.flatnonzero(size > _NEGLIGIBLE * size.max())
                last = int(keep[-1]) + 1 if keep.size else 1
                return SeriesPiece(left, right, kind, tuple(c[:last].tolist())), tail
        count *= 2
    return _panels(function, left, right, max(_SMOOTH, noise))


def _series(function: Function, left: float, right: float, count: int) -> tuple[Array, ...]:
    """Coefficients in the four families of `SeriesPiece`, from the same samples."""
    from scipy.fft import dct, dst

    angle = (np.arange(count) + 0.5) * np.pi / count
    width = right - left
    x = np.where(
        angle < 0.5 * np.pi,
        right - width * np.sin(0.5 * angle) ** 2,
        left + width * np.cos(0.5 * angle) ** 2,
    )
    values = function(x)
    soft = dst(values, 2) / count
    soft[-1] *= 0.5
    hard = dct(values * np.sin(angle), 2) / count
    hard[0] *= 0.5
    return (
        soft,
        hard,
        dct(values * np.sin(0.5 * angle), 4) / count,
        dst(values * np.cos(0.5 * angle), 4) / count,
    )


def _panels(
    function: Function, left: float, right: float, smooth: float
) -> tuple[PanelsPiece, float]:
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    k = np.arange(_ORDER)
    transform = (k + 0.5)[:, None] * np.polynomial.legendre.legvander(node, _ORDER - 1).T * weight
    waiting, done = [(left, right)], []
    scale, lost, tail = 0.0, 0.0, 0.0
    while waiting:
        a, b = waiting.pop()
        half = 0.5 * (b - a)
        c = transform @ function(0.5 * (a + b) + half * node)
        size = float(np.abs(c).max())
        end = float(np.abs(c[-3:]).max())
        mass = 2.0 * half * float(c[0])
        scale = max(scale, mass)
        narrow = b - a <= 16.0 * np.spacing(max(abs(a), abs(b)))
        if end <= smooth * size or 2.0 * half * end <= _LIGHT * scale or narrow:
            keep = np.flatnonzero(np.abs(c) > _NEGLIGIBLE * size)
            last = int(keep[-1]) + 1 if keep.size else 1
            done.append((a, b, tuple(c[:last].tolist())))
            if end <= smooth * size:
                tail = max(tail, end / size if size > 0.0 else 0.0)
            else:
                lost += 2.0 * half * end
        else:
            middle = 0.5 * (a + b)
            waiting += [(middle, b), (a, middle)]
        if len(done) + len(waiting) > _MOST_PANELS:
            break
    if waiting or lost > _UNRESOLVED * max(scale, 1e-300):
        raise ConvergenceError(
            f"the density on ({left!r}, {right!r}) does not resolve: {len(done)} panels leave the "
            f"mass {lost:.1e} open; put a singular end at 0, where numbers are dense"
        )
    return PanelsPiece(left, right, tuple(done)), tail
