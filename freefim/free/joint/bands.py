"""The bands of a law: where they end, and the density on each of them."""

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.adaptive_panels import FLOOR, MOST_PANELS, Tracer
from freefim.free.joint.edges import Edge, outer_edge
from freefim.free.joint.gaps import FAINTEST, GapFoundError, GapPiece, gap_around, look_for_gap
from freefim.free.joint.panels import Band
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend
from freefim.free.leaves.leaf import Leaf

__all__ = ["bottom_edge", "solve_bands"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

_LOWEST_LOG = -320.0
_SHORTEST = 1e-7
_LEAF, _GAUSSIAN, _CORNER, _PADDING, _AFFINE = range(5)
_SAMPLES = 24
_MOST_GAPS = 200
# What is left of |G| where a continuation may end: the balance tells what is missing.
_FAINT = 1e-7
# How near the faint end of a gap another one belongs to it, relative.
_BESIDE = 0.05
# Relative uncertainty of a lowest edge that is told apart from 0.
_SOFT = 1e-6
# Where walks from 0 start, in means.
_STARTS = (1e-10, 1e-6)
# A density this small, relative to |G|, may be rounding; where it is looked for on a band.
_SEEN, _SHARES = 1e-9, (0.5, 0.9, 0.1, 0.97, 0.7, 0.3)


def _visible_end(
    tracer: Tracer, t: float, step: float, limit: float, w: _Nodes, dw: _Nodes
) -> tuple[list[tuple[float, float, _Reals]], float]:
    """Panels from t in steps until `limit` or until the density is at the floor.

    Where 64-bit numbers or the last leaf end before the density does, the second value is the
    mass left below, to leading order; it is 0 otherwise.
    """
    last = len(tracer.program.leaves) - 1
    lowest = _last_resolved(tracer.program.leaves[last])
    out: list[tuple[float, float, _Reals]] = []
    left_below = 1.0
    for _ in range(MOST_PANELS):
        to = limit if abs(limit - t) < 1.5 * abs(step) else t + step
        order = slice(None, None, 1 if to > t else -1)
        ts = tracer.nodes(min(t, to), max(t, to))
        try:
            found = tracer.carry(t, ts[order], w, dw)
        except ConvergenceError:
            if abs(to - t) > _SHORTEST:
                step *= 0.5
                continue
            if left_below < _FAINT or tracer.is_beyond(to):
                break
            raise
        n, ws, dws = found
        faint = np.flatnonzero(-n.imag < FLOOR * np.abs(n))
        if faint.size:
            first = int(faint[0])
            good, bad = (t, *ts[order])[first : first + 2]
            fading = first > 0 and -n[first - 1].imag < 1e-9 * np.abs(n[first - 1])
            if not fading:
                tracer.look_for_gap(float(good), float(bad))
            if not fading and abs(to - t) > _SHORTEST:
                # An edge: what is visible ends like a square root, and is approached in steps.
                step *= 0.5
                continue
            if first == 0:
                break
            # The band ends before the first faint node: a shorter panel, and nothing beyond.
            limit = float(good)
            continue
        left_below = float(-n[-1].imag)
        out += tracer.panels(min(t, to), max(t, to), tuple(part[order] for part in found))
        t, w, dw = to, ws[-1], dws[-1]
        if to == limit:
            break
        _, ws, dws = tracer.carry(float(ts[order][-1]), np.array([to]), w, dw)
        w, dw = ws[-1], dws[-1]
        if tracer.kind == 2 or step < 0:
            continue
        # Below this nothing is left: a power law at y = 0, of which 64 bits see no more, or a tail.
        if -n[-1].imag < (1e-12 if t * t > 46.0 else 1e-15):
            break
        if abs(w[last]) < lowest or tracer.band.a - t * t < _LOWEST_LOG:
            return out, float(n[-1].real)
    return out, 0.0


def _last_resolved(leaf: Leaf) -> float:
    """Size of w above which a leaf is resolved whose lowest values are gathered in an atom."""
    _, _, nodes, _ = leaf.kernel_data()
    size = np.abs(nodes)
    gathered = size.size > len(leaf.atoms) and 0.0 in dict(leaf.atoms + leaf.lumps)
    return 1e6 * float(size[size > 0].min()) if gathered else 0.0


def _solve_band(program: Program, left: Edge | None, right: Edge) -> tuple[Band, float, float]:
    """The band between two edges, `left` None if it starts at y = 0: band, mass below, tail."""
    a = float(np.log(right.y))
    if left is None:
        kind, b, limit, powers = 1, a - 600.0, np.sqrt(600.0), (2, 0)
        shares = (*((program.mean / right.y,) if program.mean < right.y else ()), *_SHARES)
    else:
        kind, b, limit, powers = 2, float(np.log(left.y)), np.pi, (2, 2)
        low = left.y / right.y
        shares = tuple(low + share * (1 - low) for share in _SHARES)
    for share in shares:
        middle = share * right.y
        n, w, dw = descend(program, complex(middle))
        if -n.imag > _SEEN * np.abs(n):
            break
        look_for_gap(program, middle)
    else:
        raise ConvergenceError(f"no density was found around x = {program.shift + middle!r}")
    down = a - np.log(middle)
    t = float(np.sqrt(down) if kind == 1 else 2 * np.arcsin(np.sqrt(down / (a - b))))
    tracer = Tracer(program, kind, a, b, (0, 0))
    # A hard edge may pass for soft: there dz/dw_0 vanishes too.
    power = tracer.power_at(0.0, t, w, dw)
    powers = (2 if right.soft and power else power, powers[1])
    if left is not None:
        power = tracer.power_at(float(np.pi), t, w, dw)
        powers = (powers[0], 2 if left.soft and power else power)
    tracer = Tracer(program, kind, a, b, powers)
    step = 0.5
    upper, _ = _visible_end(tracer, t, -step, 0.0, w, dw)
    lower, below = _visible_end(tracer, t, step, float(limit), w, dw)
    panels = sorted(upper + lower, key=lambda panel: panel[0])
    if not panels:
        raise ConvergenceError(f"no density was found around x = {program.shift + middle!r}")
    cuts = np.array([panel[0] for panel in panels] + [panels[-1][1]])
    logs = np.array([panel[2] for panel in panels])
    return Band(kind, a, b, powers, cuts, logs), below, tracer.worst_tail


def bottom_edge(program: Program) -> Edge | None:
    """The lower end of the support, None if it is y = 0."""
    last = int(np.flatnonzero(program.arrays[0] == _LEAF)[-1]) + 1
    ops, pars = program.arrays[0][last:], program.arrays[1][last:]
    lifted = bool((((ops == _CORNER) | (ops == _GAUSSIAN)) & (pars[:, 0] < 1)).any())
    lifted |= bool(((ops == _AFFINE) & (pars[:, 1] > 0)).any())
    zero_atom = 0.0 in dict(program.atoms)
    if program.leaves[-1].minimum == 0 and (zero_atom or not lifted):
        return None
    edge = outer_edge(program, right=False)
    if edge.residual > _SOFT or edge.y >= program.mean:
        # A scan that starts to fail far below, or beyond faint bands, is replaced by a walk from 0;
        # where n is too small there for a step to be seen, by one from further up.
        for share in _STARTS:
            piece = gap_around(program, share * program.mean)
            if piece and piece.low.soft:
                # More lies below.
                return None
            edge = piece.high if piece else edge
            if piece is None or piece.right > 2 * piece.inside:
                break
    # A square root is at its place however near to 0; any other end there is 0 up to rounding.
    seen = edge.soft and edge.residual < _SOFT
    return edge if program.mean > edge.y > (0.0 if seen else 1e-10 * program.mean) else None


def _between(
    program: Program, pieces: list[GapPiece], bottom: Edge | None, top: Edge
) -> list[tuple[Edge | None, Edge]]:
    """The bands that the gaps leave; gaps that touch, or meet at an atom, are one."""
    bands: list[tuple[Edge | None, Edge]] = []
    places = np.array([at for at, _ in program.atoms])

    def add(left: Edge | None, right: Edge) -> None:
        low = left.y if left else 0.0
        # Whatever its size, a band that ends like a square root is none of rounding.
        size = right.y if right.soft else top.y
        near = 1e-7 * size
        lone = np.any((places > low - near) & (places < right.y + near)) if places.size else False
        if right.y - low > (near if lone else 1e-10 * size):
            bands.append((left, right))

    left, reached = bottom, bottom.y if bottom else 0.0
    for piece in sorted(pieces, key=lambda gap: gap.left):
        if piece.left > reached:
            add(left, piece.low)
        if piece.right > reached:
            reached = piece.right
            left = piece.high
    add(left, top)
    return bands


def _cut(program: Program, bands: list[tuple[Edge | None, Edge]]) -> list[tuple[Edge | None, Edge]]:
    """Bands cut where an atom lies, or has just lost its mass: the density is singular there."""
    places = [*(at for at, _ in program.atoms), *program.marginal]
    out: list[tuple[Edge | None, Edge]] = []
    for left, right in bands:
        low = (left.y if left else 0.0) + 1e-6 * right.y
        inner = sorted(y for y in places if low < y < right.y * (1 - 1e-6))
        cuts = [Edge(y, soft=False, residual=1e-14) for y in inner]
        ends: list[Edge | None] = [left, *cuts]
        out += list(zip(ends, [*cuts, right], strict=True))
    return out


def _snapped(program: Program, edge: Edge) -> Edge:
    """The edge itself, or the hard edge at an atom, or where one has just lost its mass."""
    for place, _ in program.atoms:
        if abs(edge.y - place) < (1e-11 if edge.soft else 1e-6) * place:
            return Edge(place, soft=False, residual=1e-16)
    for place in program.marginal:
        if abs(edge.y - place) < 1e-6 * place:
            return Edge(place, soft=False, residual=1e-16)
    return edge


def solve_bands(
    program: Program, known: Sequence[float] = ()
) -> tuple[tuple[Band, ...], float, tuple[Edge, ...], float]:
    """All bands ascending, the mass below the first, the ends of the bands, the worst tail.

    Places `known` to lie in bands help where bands are too narrow to be met on the way.
    """
    top, bottom = outer_edge(program, right=True), bottom_edge(program)
    if bottom is not None and any(place < bottom.y for place in known):
        # The scan went past atoms and bands; the gaps tell where the lowest band begins.
        bottom = None
    pieces: list[GapPiece] = []

    def learn(piece: GapPiece) -> bool:
        """Take in a gap, as far as it holds no place known to lie in a band."""
        faint = sum(
            (not old.low.soft and (1 - _BESIDE) * old.left < piece.inside <= old.left)
            or (not old.high.soft and old.right <= piece.inside < (1 + _BESIDE) * old.right)
            for old in pieces
        )
        if faint or any(piece.left < place < piece.right for place in known):
            # Rounding passes for density where one gap is found beside the faint end of another.
            piece = gap_around(program, piece.inside, known, FAINTEST * 10.0**faint) or piece
        news = piece not in pieces
        if news:
            pieces.append(piece)
        return news

    if any(leaf.gaps for leaf in program.leaves):
        low = bottom.y if bottom else 0.0
        shares = np.concatenate([np.linspace(0.015, 0.985, _SAMPLES), np.geomspace(1e-7, 0.01, 9)])
        for y in low + (top.y - low) * shares:
            if not any(piece.left < y < piece.right for piece in pieces):
                try:
                    look_for_gap(program, float(y))
                except GapFoundError as found:
                    learn(found.piece)
    solved: dict[tuple[float, float], tuple[Band, float, float]] = {}
    for _ in range(_MOST_GAPS):
        bands = [
            (left and _snapped(program, left), _snapped(program, right))
            for left, right in _cut(program, _between(program, pieces, bottom, top))
        ]
        try:
            for left, right in bands:
                key = (left.y if left else 0.0, right.y)
                if key not in solved:
                    solved[key] = _solve_band(program, left, right)
        except GapFoundError as found:
            if not learn(found.piece):
                break
            continue
        if not bands:
            raise ConvergenceError(
                f"no band is left between x = {program.shift + (bottom.y if bottom else 0.0)!r} "
                f"and {program.shift + top.y!r}: the gaps found there overlap"
            )
        results = [solved[left.y if left else 0.0, right.y] for left, right in bands]
        return (
            tuple(band for band, _, _ in results),
            results[0][1],
            tuple(edge for band in bands for edge in band if edge is not None),
            max(worst for _, _, worst in results),
        )
    raise ConvergenceError(f"the gaps of the support were not separated: {len(pieces)} found")
