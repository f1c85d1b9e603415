r"""Contours: the law of g(h) = φ'(h)², h ~ N(0, q), as complex atoms that are exact on the cut.

The h-axis is split into pieces on which g is monotone. On each, h = t(τ) with an explicit map t of
the real line onto the piece that makes log|g - end value| proportional to τ towards the ends:

.. math:: m(w) = \int \frac{g\,p}{w - g}\,t'(\tau)\,d\tau, \qquad \mathrm{Im}\,\tau = \mp\vartheta,

p the density of h, the line being shifted to the side on which g(h) has a negative imaginary part.
The poles g(h) = w lie near the real line for every real w, however deep in a tail or close to a
turning value, hence about ϑ away from the path: the trapezoid rule with step s errs by
:math:`e^{-2\pi\vartheta/s}`, uniformly in w.
"""

import math
from collections.abc import Sequence
from dataclasses import dataclass
from functools import lru_cache

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.leaves.leaf import VISIBLE, Contour
from freefim.free.leaves.paths import REACH, End, Flat, Outwards, Path, Piece, Tail, path_of

__all__ = ["contour_leaf", "piece_quadrature"]

_Reals = NDArray[np.float64]
_Complexes = NDArray[np.complex128]

#: The trapezoid rule errs by e^{-_DIGITS}.
_DIGITS = 24.5
#: Where g is this close to its limit, the rest of a tail is a lump (limit 0, any other limit).
_ZERO_FLOOR, _LIMIT_FLOOR = 1e-30, 1e-17
#: Weights c are left out if c and c/g are below these.
_NEGLIGIBLE, _NEGLIGIBLE_POLE = 1e-19, 1e-13
#: Shifts ϑ that are tried; π/2 is as far from the poles above as from their images below.
_SHIFTS = np.pi / 2 * 0.8 ** np.arange(64)
#: How many of them are tried, and where the growth of the density along a line is looked up.
_ATTEMPTS, _PROBES = 8, np.linspace(-12.0, 12.0, 49)
#: Radius around a zero of φ' within which its Taylor series replaces it.
_TAYLOR_RADIUS = 0.05
#: Shifts of the paths that are tried, relative to the best one.
_CAUTIONS = (1.0, 0.7, 0.5, 0.35, 0.25)
#: Masses below the places where the two are compared.
_TEST_QUANTILES = (1e-6, 1e-3, 0.05, 0.3, 0.7, 0.95, 0.999)
#: Quadrature panels on the real axis, in τ.
_FIRST_PANEL, _PANEL = -40.0, 2.5
#: Gaps below this share of the support are rounding.
_NO_GAP = 1e-8
#: Approximate derivatives have no relative accuracy where g, relative to its maximum, is below.
_RELATIVE = 1e-8
#: Agreement asked of two paths, and of the moments with quadrature on the real line.
_TWO_PATHS, _MOMENTS = 1e-8, 1e-9


def _slopes(piece: Piece, anchors: _Reals, offsets: _Complexes) -> _Complexes:
    """φ' at anchors + offsets, relatively accurate around its zeros."""
    slopes = piece.derivative(anchors + offsets)
    turn = np.exp(2j * np.pi * np.arange(32) / 32)
    for end in (piece.left, piece.right):
        if isinstance(end, End) and end.kind == "zero":
            near = (anchors == end.place) & (np.abs(offsets) < _TAYLOR_RADIUS)
            ring = piece.derivative(end.place + 5 * _TAYLOR_RADIUS * turn)
            series = np.fft.fft(ring).real[:24] / 32
            series[0] = 0
            x = offsets[near] / (5 * _TAYLOR_RADIUS)
            slopes[near] = np.polynomial.polynomial.polyval(x, series)
    return slopes


def _visible(path: Path, reach: float) -> tuple[float, float]:
    """The part of the τ-line on which |h| <= reach."""
    from scipy.optimize import brentq

    def place(tau: float) -> float:
        anchors, offsets, _ = path.at(np.array([tau], dtype=complex))
        return float((anchors + offsets).real[0])

    ends = list(path.span)
    if ends[0] >= ends[1]:
        return path.span
    for k, end in enumerate(path.span):
        side = math.copysign(reach, place(end))
        if abs(place(end)) > 2 * reach and (place(path.span[1 - k]) - side) * side < 0:
            ends[k] = brentq(lambda tau, side=side: place(tau) - side, *path.span)
    return ends[0], ends[1]


def _lines(path: Path, span: tuple[float, float], sign: float, variance: float) -> _Reals:
    """Shifts and steps, the longest step first, shape (n, 2).

    The error is that of the real line, e^{-2πϑ/s}, times what the density of h grows by on the
    mirror line, at twice the shift.
    """
    low, high = span
    probes = np.concatenate([_PROBES, np.linspace(low, high, 16)])
    probes = probes[(low <= probes) & (probes <= high)]
    anchors, offsets, _ = path.at(probes + 2j * sign * _SHIFTS[:, None])
    h = anchors + offsets
    growth = np.maximum((h.imag**2 - h.real**2).max(axis=1) / (2 * variance), 0.0)
    steps = 2 * np.pi * _SHIFTS / (_DIGITS + growth)
    order = np.argsort(-steps)
    return np.stack([_SHIFTS[order], steps[order]], axis=1)


@dataclass(frozen=True)
class _Nodes:
    """Complex atoms of one piece, then the lump at the flat end of its tail."""

    gates: _Complexes
    weights: _Complexes
    lump: tuple[float, float] | None = None


def _nodes(piece: Piece, variance: float, caution: float) -> _Nodes:
    """Nodes of one piece; `caution` < 1 scales the shift, which makes an independent path."""
    reach = REACH * math.sqrt(variance)
    path = path_of(piece, reach)
    # Solutions beyond the visible tail see the path further out.
    low, high = span = _visible(path, 3 * reach)
    if high <= low:
        return _Nodes(np.empty(0, complex), np.empty(0, complex))
    rises = piece.value(piece.right, reach) > piece.value(piece.left, reach)
    inwards = isinstance(path, Outwards) and path.side < 0
    sign = 1.0 if rises == inwards else -1.0
    for shift, step in _lines(path, span, sign, variance)[:_ATTEMPTS] * caution:
        tau = step * np.arange(np.ceil(low / step), np.floor(high / step) + 1) + 1j * sign * shift
        anchors, offsets, speed = path.at(tau)
        h = anchors + offsets
        gates = _slopes(piece, anchors, offsets) ** 2
        weights = step * speed * np.exp(-(h**2) / (2 * variance))
        weights /= math.sqrt(2 * np.pi * variance)
        if np.all((gates.imag <= 0) | (np.abs(weights) < _NEGLIGIBLE)):
            return _completed(piece, path, step, variance, h.real, gates, weights)
    raise ConvergenceError(
        f"no path below the real axis was found for the gate between {piece.left} and "
        f"{piece.right} at variance {variance:.6g}"
    )


def _completed(
    piece: Piece,
    path: Path,
    step: float,
    variance: float,
    h: _Reals,
    gates: _Complexes,
    weights: _Complexes,
) -> _Nodes:
    """Add what the trapezoid sum has beyond its last nodes, and check its mass."""
    tail = path.tail if isinstance(path, Outwards) else piece.right
    rests = [
        _geometric_rest(piece, end, step, gates[k], weights[k]) for k, end in path.ends.items()
    ]
    mass = _mass(*piece.clipped(np.inf), variance)
    defect = mass - weights.sum() - sum(weight for _, weight in rests)
    followed = abs(weights[-1]) < _NEGLIGIBLE
    lump = None
    if isinstance(tail, Tail) and tail.limit is not None:
        reached = np.abs(gates - tail.limit) < (_LIMIT_FLOOR if tail.limit else _ZERO_FLOOR)
        if reached[-1]:
            count = len(reached) - int(np.argmin(reached[::-1])) + 1
            lump = tail.limit, _mass(abs(h[count - 1]), np.inf, variance)
            # From its last node the path returns to the real axis: no complex mass at the limit.
            # The defect is the sum over what was not followed, up to an error that would drown it
            # where it is small.
            beyond = weights[count:].sum() + (0 if followed else defect)
            rests.append((gates[count - 1], beyond - lump[1]))
            gates, weights = gates[:count], weights[:count]
    if abs(defect) > _MOMENTS and (lump is None or followed):
        raise ConvergenceError(
            f"the gate between {piece.left} and {piece.right} has the mass {mass:.12g} at "
            f"variance {variance:.6g}, its path misses it by {abs(defect):.1e}"
        )
    gates = np.append(gates, [gate for gate, _ in rests])
    weights = np.append(weights, [weight for _, weight in rests])
    visible = np.abs(weights) > np.minimum(_NEGLIGIBLE, _NEGLIGIBLE_POLE * np.abs(gates))
    return _Nodes(gates[visible], weights[visible], lump)


def _geometric_rest(
    piece: Piece, end: End, step: float, gate: complex, weight: complex
) -> tuple[complex, complex]:
    """Mean and mass of the nodes nearer to an end: h - end and g - g(end) shrink geometrically."""
    ratio = np.exp(-step / 2)
    shrink = ratio if end.kind == "kink" else ratio**2
    value = piece.value(end, np.inf)
    mean = value + (gate - value) * shrink * (1 - ratio) / (1 - ratio * shrink)
    return mean, weight * ratio / (1 - ratio)


def _mass(left: float, right: float, variance: float) -> float:
    """P(left < h < right)."""
    if left < 0 < right:
        return 1 - _mass(-np.inf, left, variance) - _mass(right, np.inf, variance)
    near, far = sorted((abs(left), abs(right)))
    scale = math.sqrt(2 * variance)
    return (math.erfc(near / scale) - math.erfc(far / scale)) / 2


def contour_leaf(
    parts: Sequence[Piece | Flat], variance: float, *, approximate: bool = False
) -> Contour:
    r"""Law of g(h) = φ'(h)², h ~ N(0, variance), through complex atoms.

    Parameters
    ----------
    parts : sequence of Piece or Flat
        Intervals that cover the visible range of h, ascending.
    variance : float
        Variance of h, > 0.
    approximate : bool
        Whether the derivatives are continued from real values, so that their error off the real
        axis is unknown and a second path has to measure it.

    Returns
    -------
    Contour
        The leaf. Where g comes within rounding of a limit, the rest of the tail is a lump.

    Raises
    ------
    ConvergenceError
        If no path is found, or if path and quadrature on the real line, or two paths of
        approximate derivatives, disagree.

    References
    ----------
    .. [1] Trefethen & Weideman, *The exponentially convergent trapezoidal rule*,
       SIAM Review 56 (2014), sections 5 and 14 (contours for integral representations).

    Examples
    --------
    The law of e^{2h} for h < 0 and of 1 for h > 0 has half of its mass at 1:

    >>> from freefim.free.leaves.paths import End, Flat, Piece, Tail
    >>> slope = Piece(np.exp, Tail(rate=2.0, limit=0.0), End(0.0, "kink"))
    >>> leaf = contour_leaf([slope, Flat(0.0, np.inf, 1.0)], variance=1.0)
    >>> leaf.atoms
    ((1.0, 0.5),)
    """
    last = None
    for caution in _CAUTIONS:
        leaf = _assembled(parts, variance, caution)
        off = _moment_error(leaf)
        apart = 0.0 if not approximate else np.inf if last is None else _distance(leaf, last)
        if off <= _MOMENTS and apart <= _TWO_PATHS:
            return leaf
        last = leaf
    raise ConvergenceError(
        f"the transform of the gate at variance {variance:.6g} is not stable: two paths differ by "
        f"{apart:.1e}, moments by {off:.1e} from quadrature on the real line; are there "
        f"singularities next to the real axis, or undeclared kinks?"
    )


def _distance(leaf: Contour, other: Contour) -> float:
    """Largest relative difference of m and 1 + m at some places of the support."""
    w = np.quantile(leaf.values, _TEST_QUANTILES, weights=leaf.masses, method="inverted_cdf")
    w = w[w > _RELATIVE * leaf.maximum] * (1 + 1e-4)
    return float(np.abs(_transform(leaf, w) / _transform(other, w) - 1).max(initial=0.0))


def _moment_error(leaf: Contour) -> float:
    """Largest relative error of the mass and the first two moments along the path."""
    errors = []
    for power in (0, 1, 2):
        path = (leaf.weights * leaf.nodes**power).sum()
        line = (leaf.masses * leaf.values**power).sum()
        errors.append(abs(path - line) / (line or 1.0))
    return float(max(errors))


def _transform(leaf: Contour, w: _Reals) -> _Complexes:
    """M and 1 + m at w, one after the other."""
    poles = leaf.weights / (w[:, None] - leaf.nodes)
    return np.concatenate([poles @ leaf.nodes, w * poles.sum(axis=1)])


def _assembled(parts: Sequence[Piece | Flat], variance: float, caution: float) -> Contour:
    flats: list[tuple[float, float]] = []
    tails: list[tuple[float, float]] = []
    gates, weights, samples = [], [], []
    for part in parts:
        if isinstance(part, Flat):
            flats.append((part.value, _mass(part.left, part.right, variance)))
            samples.append(np.array(flats[-1:]).T)
        else:
            nodes = _nodes(part, variance, caution)
            gates.append(nodes.gates)
            weights.append(nodes.weights)
            samples.append(piece_quadrature(part, variance))
            if nodes.lump is not None:
                tails.append(nodes.lump)
    atoms, lumps = _gathered(flats), _gathered(tails)
    gates.append(np.array([place for place, _ in atoms + lumps], dtype=complex))
    weights.append(np.array([mass for _, mass in atoms + lumps], dtype=complex))
    values, masses = np.concatenate(samples, axis=1)
    ranges = _ranges(parts, VISIBLE * math.sqrt(variance))
    return Contour(
        nodes=np.concatenate(gates),
        weights=np.concatenate(weights),
        values=values,
        masses=masses,
        bounds=(ranges[0][0], max(high for _, high in ranges)),
        parts=tuple(parts),
        variance=variance,
        atoms=atoms,
        lumps=lumps,
        gaps=_gaps(ranges),
    )


def _gathered(points: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Point masses ascending, those at one place as one."""
    gathered: dict[float, float] = {}
    for place, mass in points:
        gathered[float(place)] = gathered.get(float(place), 0.0) + mass
    return tuple(sorted((at, mass) for at, mass in gathered.items() if mass > _NEGLIGIBLE))


@lru_cache(maxsize=1)
def _legendre() -> tuple[_Reals, _Reals]:
    return np.polynomial.legendre.leggauss(20)


def piece_quadrature(piece: Piece, variance: float, splits: int = 1) -> _Reals:
    """Gauss-Legendre values of g and their masses on the real axis, shape (2, n).

    The panels are even in τ, which refines them where g has its structure, and not much longer
    than a standard deviation; each is cut in `splits`.
    """
    std = math.sqrt(variance)
    left, right = piece.clipped(REACH * std)
    if left >= right:
        return np.empty((2, 0))
    path = path_of(piece, REACH * std)
    anchors, offsets, _ = path.at(np.arange(_FIRST_PANEL, path.span[1], _PANEL).astype(complex))
    inner = np.concatenate([(anchors + offsets).real, np.arange(left, right, 2 * std)])
    inner = inner[(inner > left) & (inner < right)]
    panels = np.unique(np.concatenate([[left], inner, [right]]))
    places = np.arange(panels.size)
    panels = np.interp(np.linspace(0, places[-1], places[-1] * splits + 1), places, panels)
    x, weight = _legendre()
    half = np.diff(panels)[:, None] / 2
    h = panels[:-1, None] + half * (1 + x)
    p = half * weight * np.exp(-(h**2) / (2 * variance)) / (std * math.sqrt(2 * np.pi))
    return np.stack([piece.derivative(h.ravel()) ** 2, p.ravel()])


def _ranges(parts: Sequence[Piece | Flat], reach: float) -> list[tuple[float, float]]:
    """Ranges of g, ascending, of all parts that begin within ±`reach`.

    They are those of the whole parts: a law that fades out towards a limit reaches it.
    """
    ranges = []
    for part in parts:
        if isinstance(part, Flat):
            ranges.append((part.value, part.value))
            continue
        left, right = part.clipped(reach)
        if left < right:
            ends = [part.value(end, reach) for end in (part.left, part.right)]
            ranges.append((min(ends), max(ends)))
    return sorted(ranges)


def _gaps(ranges: list[tuple[float, float]]) -> tuple[tuple[float, float], ...]:
    """Open intervals that no range meets, `ranges` being ascending."""
    gaps, top = [], ranges[0][1]
    for low, high in ranges[1:]:
        if low > top + _NO_GAP * ranges[-1][1]:
            gaps.append((top, low))
        top = max(top, high)
    return tuple(gaps)
