"""A density on a band as a series: the family of its ends found by the series that converges."""

from collections.abc import Callable

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.laws.pieces import LayeredPiece, PanelsPiece, SeriesPiece
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
_HEAD = 1e-3  # share of a band on which a hard end is measured
_SAMPLES = 10
_LIKE_ROOT = 1e-2
_CLOSE = 1e-6  # share of a band beyond whose nearness to a hard end its place, a float, is felt
_UNRESOLVED = 1e-10  # mass that may lie in panels that rounding leaves unresolved


def expand(
    function: Function, left: float, right: float, noise: float = 0.0
) -> tuple[SeriesPiece | PanelsPiece | LayeredPiece, float]:
    """Return a density on a band as a series, and the size of what was left out.

    Square-root edges, soft or hard, converge geometrically in the Chebyshev family that carries
    their weight: the mildest family that converges is the right one. Any other end is approached by
    panels whose lengths shrink geometrically; beside it a hard end off 0, where floats lie too
    far apart for that, is taken off first.

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
    heads = _heads(function, left, right)
    if not heads:
        return _panels(function, left, right, max(_SMOOTH, noise))
    hard = tuple(head.right if head.kind == 2 else head.left for head in heads)
    rest, tail = _panels(
        lambda x: function(x) - sum(head.values(x) for head in heads), left, right,
        max(_SMOOTH, noise), hard, sum(head.mass for head in heads),
    )  # fmt: skip
    return LayeredPiece(left, right, heads, rest), tail


def _heads(function: Function, left: float, right: float) -> tuple[SeriesPiece, ...]:
    """Leading terms of a density at the ends off 0 where it is an inverse square root."""
    share = _HEAD * (0.5 - 0.5 * np.cos(np.pi * (np.arange(_SAMPLES) + 0.5) / _SAMPLES))
    width, heads = right - left, []
    for end, side, kind in ((left, 1.0, 3), (right, -1.0, 2)):
        x = end + side * width * share
        if end == 0.0:
            continue
        share_held = np.abs(x - end) / width
        root = function(x) * np.sqrt(share_held / (1.0 - share_held))
        if abs(root[0] - root[3]) > _LIKE_ROOT * root[0]:
            continue
        fit = np.polynomial.Chebyshev.fit(share_held, root, _SAMPLES - 1, domain=(0.0, _HEAD))
        start, slope = float(fit(0.0)), float(fit.deriv()(0.0))
        # start + slope·s, s = (1 ± u)/2 from the end, in the polynomials V or W
        heads.append(SeriesPiece(left, right, kind, _family(start, slope, kind)))
    return tuple(heads)


def _family(start: float, slope: float, kind: int) -> tuple[float, float]:
    """Coefficients of start + slope·s: V_1 = 2u - 1 = 1 - 4s, W_1 = 2u + 1 = 4s - 1."""
    sign = -1.0 if kind == 2 else 1.0
    return start + 0.25 * slope, sign * 0.25 * slope


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
    function: Function, left: float, right: float, smooth: float,
    hard: tuple[float, ...] = (), scale: float = 0.0,
) -> tuple[PanelsPiece, float]:  # fmt: skip
    node, weight = np.polynomial.legendre.leggauss(_ORDER)
    k = np.arange(_ORDER)
    transform = (k + 0.5)[:, None] * np.polynomial.legendre.legvander(node, _ORDER - 1).T * weight
    waiting, done = [(left, right)], []
    lost, tail = 0.0, 0.0
    while waiting:
        a, b = waiting.pop()
        half = 0.5 * (b - a)
        c = transform @ function(0.5 * (a + b) + half * node)
        size = float(np.abs(c).max())
        end = float(np.abs(c[-3:]).max())
        mass = 2.0 * half * float(c[0])
        scale = max(scale, mass)
        narrow = b - a <= 16.0 * np.spacing(max(abs(a), abs(b)))
        narrow |= b - a <= _CLOSE * (right - left) and (a in hard or b in hard)
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
