r"""The law of a chain by the joint Newton: one unknown w per leaf, one O(L) sweep per step.

The unknowns solve :math:`m_{\nu_l}(w_l) = m_l`, each leaf through its exact transform. Bands come
first, from scans of the real line; densities then on panels, in a variable in which the edges are
smooth; mass and moments must balance or nothing is returned.
"""

from dataclasses import dataclass, field
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.chain import Chain
from freefim.free.joint_counting import mass_above
from freefim.free.joint_edges import Edge, outer_edge
from freefim.free.joint_gaps import GapPiece, gap_around
from freefim.free.joint_program import Program, compile_chain
from freefim.free.joint_realised import HEIGHT, RealisedSolution, checked
from freefim.free.joint_start import cauchy_transform, descend
from freefim.free.leaves import Atomic, Contour, Leaf
from freefim.free.panels import (
    NODES,
    Band,
    chebyshev_nodes,
    end_nodes,
    from_end_nodes,
    refinement,
    tail,
)
from freefim.free.pushforward import PushforwardSolution, push_forward

__all__ = ["JointSolution", "solve_joint"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

_FLOOR = 1e-12
_LOST = 1e11
_BALANCE = 1e-9
_MOST_PANELS = 500
_LOWEST_LOG = -320.0
_SHORTEST = 1e-7
_LEAF, _GAUSSIAN, _CORNER, _PADDING, _AFFINE = range(5)
_SAMPLES = 24
_MOST_GAPS = 200
_FEW = 64
# A density this small, relative to |G|, may be rounding; where it is looked for on a band.
_SEEN, _SHARES = 1e-9, (0.5, 0.9, 0.1, 0.97, 0.7, 0.3)
# Relative rounding of the distance to an end beyond which the density there is extrapolated.
_BLURRED, _CLOSING = 1e-6, 20


@dataclass(frozen=True, eq=False)
class JointSolution:
    """The law of a chain, ready to be evaluated.

    Attributes
    ----------
    atoms : tuple of (location, mass)
    bands : tuple of (left, right)
    band_masses : tuple of float
    accuracy : Accuracy
    """

    atoms: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float], ...]
    band_masses: tuple[float, ...]
    accuracy: Accuracy
    _program: Program = field(repr=False)
    _pieces: tuple[tuple[tuple[float, float], float, Band], ...] = field(repr=False)
    _cluster: float = field(default=0.0, repr=False)

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the absolutely continuous part: 0 outside the bands, inf at a hard edge."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        for (left, right), _, band in self._pieces:
            inside = (x >= left) & (x <= right)
            if inside.any():
                out[inside] = band.pdf(x[inside] - self._program.shift)
        return out

    def cdf(self, x: _Reals) -> _Reals:
        """Mass at or to the left of x."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        for location, mass in self.atoms:
            out += np.where(x >= location, mass, 0.0)
        for (left, right), mass, band in self._pieces:
            out += np.where(x >= right, mass, 0.0)
            inside = (x >= left) & (x < right)
            if inside.any():
                out[inside] += mass - band.mass_above(x[inside] - self._program.shift)
        return np.clip(out, 0.0, 1.0)

    def cauchy(self, z: _Nodes) -> _Nodes:
        """G(z) off the real axis, or at real z outside the support."""
        return cauchy_transform(self._program, z)

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Points x and weights with Σ weight·f(x) the integral of f over the continuous part.

        Each panel is cut in `splits` pieces, for functions less smooth than the density.
        """
        parts = [band.quadrature(splits) for _, _, band in self._pieces]
        if self._cluster > 0:
            parts.insert(0, (np.zeros(1), np.array([self._cluster])))
        if not parts:
            return np.empty(0), np.empty(0)
        return (
            np.concatenate([y for y, _ in parts]) + self._program.shift,
            np.concatenate([weight for _, weight in parts]),
        )


class _GapFoundError(Exception):
    """A gap lies where a band was supposed."""

    def __init__(self, piece: GapPiece):
        super().__init__()
        self.piece = piece


def _look_for_gap(program: Program, y: float) -> None:
    """Raise `_GapFoundError` if y lies in a gap."""
    try:
        n, w, _ = descend(program, complex(y))
    except ConvergenceError:
        return
    if abs(n.imag) < 1e-9 * abs(n):
        piece = gap_around(program, w.real.copy())
        if piece is not None and piece.right - piece.left > 1e-12 * y:
            raise _GapFoundError(piece)


class _Tracer:
    """Solutions along one band: carries w from node to node and refines panels."""

    def __init__(self, program: Program, kind: int, a: float, b: float, powers: tuple[int, int]):
        self.program, self.kind = program, kind
        self.band = Band(kind, a, b, powers, np.zeros(2), np.zeros((1, NODES)))
        self.path = (complex(a), complex(b), kind)
        self.worst_tail = 0.0
        self.count = 0
        # Leaves and starts with connected support keep it; atoms made on the way can split it.
        ops, ratios = program.arrays[0], program.arrays[1][:, 0]
        lost = (ops == _PADDING) | ((ops == _GAUSSIAN) & (ratios > 1))
        self.may_split = bool(lost[1:].any()) or any(leaf.gaps for leaf in program.leaves)
        exact = all(leaf.kernel_data()[0] != Leaf.ATOMS or leaf.atoms for leaf in program.leaves)
        self.tolerance, self.rounding = (2e-11, 1e-14) if exact else (1e-9, 1e-12)

    def carry(self, t0: float, ts: _Reals, w: _Nodes, dw: _Nodes) -> tuple[_Nodes, ...]:
        """n, w, dw and rounding at the parameters ts, reached in order from t0."""
        from freefim.free.joint_kernels import follow

        reached, n, ws, dws, losses = follow(
            *self.program.arrays, self.program.eps, *self.path, t0, ts, w.copy(), dw.copy()
        )
        if reached < ts.size:
            self.look_for_gap(ts[reached - 1] if reached else t0, ts[reached])
            raise ConvergenceError(
                f"the continuation along a band got stuck at x = {self.place(ts[reached])!r}"
            )
        return n, ws, dws, losses

    def log_profile(self, t: _Reals, n: _Nodes, loss: NDArray[Any]) -> tuple[_Reals, float]:
        """Log ρ dy/dt without its powers, and the rounding it carries."""
        with np.errstate(divide="ignore", invalid="ignore"):
            logs = np.log(-n.imag / np.pi) + np.log(self.band.dlog_y(t)) - self.band.log_powers(t)
        return logs, float((self.rounding * np.abs(n / n.imag) + 3e-15 * loss).min())

    def power_at(self, end: float, t: float, w: _Nodes, dw: _Nodes) -> int:
        """Power of the distance in t with which ρ dy/dt starts at an end that is not soft."""
        for scale in (2e-5, 2e-3):
            ts = end + np.sign(t - end) * scale * np.array([2.0, 1.0])
            try:
                n, _, _, loss = self.carry(t, ts, w, dw)
            except ConvergenceError:
                continue
            if (-n.imag > _FLOOR * np.abs(n)).all():
                logs, _ = self.log_profile(ts, n, loss)
                return int(np.clip(round((logs[0] - logs[1]) / np.log(2.0)), 0, 2))
        return 1

    def crowding(self, left: float, right: float) -> float:
        """Relative rounding of the distance between y and the nearer end, on a panel."""
        far = right if self.kind == 1 or left < np.pi / 2 else np.pi - left
        span = 1.0 if self.kind == 1 else (self.band.a - self.band.b) / 4
        return float(1e-16 / (span * far**2))

    def nodes(self, left: float, right: float) -> _Reals:
        """Where a panel is solved: edges are approached in the square of the distance."""
        if left == 0.0:
            return end_nodes(left, right, at_left=True)
        if self.kind == 2 and right == np.pi:
            return end_nodes(left, right, at_left=False)
        return chebyshev_nodes(left, right)

    def panels(
        self, left: float, right: float, solved: tuple[_Nodes, ...], depth: int = 0
    ) -> list[tuple[float, float, _Reals]]:
        """Split [left, right], solved at its nodes, until every panel is resolved."""
        t = self.nodes(left, right)
        n, ws, dws, loss = solved
        if not (n.imag < 0).all():
            worst = int(np.argmax(n.imag))
            self.look_for_gap(t[worst], t[worst])
            raise ConvergenceError(
                f"the density vanishes inside a band near x = {self.place(t[NODES // 2])!r}"
            )
        logs, noise = self.log_profile(t, n, loss)
        noise += self.crowding(left, right)
        at_end = left == 0.0 or (self.kind == 2 and right == np.pi)
        if at_end:
            logs = from_end_nodes(at_left=left == 0.0) @ logs
        size = tail(logs)
        weight = size * self.band.panel_mass(left, right, logs)
        whole = [(left, right, logs)]
        if (
            at_end
            and self.beside_atom(at_left=left == 0.0)
            and size > self.tolerance
            and noise > _BLURRED
        ):
            near = int(np.abs(t - (right if left == 0.0 else left)).argmin())
            try:
                return self.closing(right - left, t[near], ws[near], dws[near], at_left=left == 0.0)
            except ConvergenceError:
                return whole
        if size < max(self.tolerance, 3 * noise) or (depth > 8 and weight < 1e-13) or depth > 40:
            self.worst_tail = max(self.worst_tail, weight)
            return whole
        self.count += 1
        middle = 0.5 * (left + right)
        out = []
        try:
            for k, (start, stop) in enumerate(((left, middle), (middle, right))):
                if self.count > _MOST_PANELS:
                    raise ConvergenceError(f"more than {_MOST_PANELS} panels")
                inner = self.nodes(start, stop)
                if at_end:
                    near = int(np.abs(t - inner[-1]).argmin())
                    order = slice(None, None, -1)
                    found = self.carry(t[near], inner[order], ws[near], dws[near])
                    child = tuple(part[order] for part in found)
                else:
                    guess = refinement()[k * NODES : (k + 1) * NODES] @ ws
                    child = self.polish(inner, guess, t, ws, dws)
                out += self.panels(start, stop, child, depth + 1)
        except ConvergenceError:
            # What this panel lacks is small or the balance of mass and moments will tell.
            self.worst_tail = max(self.worst_tail, weight)
            return whole
        return out

    def beside_atom(self, *, at_left: bool) -> bool:
        """Whether the density stays finite in t at an end that is the place of an atom."""
        place = np.exp(self.band.a if at_left else self.band.b)
        places = [*(at for at, _ in self.program.atoms), *self.program.marginal]
        hard = self.band.powers[0 if at_left else 1] == 0
        return hard and any(abs(place - at) < 1e-14 * at for at in places)

    def closing(
        self, width: float, start: float, w: _Nodes, dw: _Nodes, *, at_left: bool
    ) -> list[tuple[float, float, _Reals]]:
        """Panels up to an end that rounding of y blurs, from a fit further out.

        Beside a marginal atom the square of the profile grows like the log of the distance s.
        """
        from freefim.free.joint_kernels import solve_each

        far = width * np.geomspace(32.0, 0.5, 64)
        t = far if at_left else np.pi - far
        _, ws, _, _ = self.carry(start, t, w, dw)
        # Beside the atom w is close to those of the leaves too: one more step of Newton.
        y = np.exp(self.band.log_y(t)).astype(complex)
        _, n, loss = solve_each(*self.program.arrays, self.program.eps, y, ws, np.empty_like(ws))
        logs, _ = self.log_profile(t, n, loss)

        def basis(s: _Reals) -> _Reals:
            log = np.log(s)
            return np.stack([np.ones_like(s), log, log**2, s, s * log], axis=-1)

        weight = np.minimum(far / width, 4.0) ** 2
        rows = basis(far / width) * weight[:, None]
        terms = np.linalg.lstsq(rows, np.exp(2 * logs) * weight, rcond=None)[0]
        cuts = np.concatenate([[0.0], 0.5 ** np.arange(_CLOSING, -1, -1)])
        out = []
        for low, high in pairwise(cuts):
            values = basis(chebyshev_nodes(low, high)) @ terms
            if not (values > 0).all():
                raise ConvergenceError(f"no density beside an atom near x = {self.place(t[-1])!r}")
            if at_left:
                out.append((low * width, high * width, 0.5 * np.log(values)))
            else:
                ends = np.pi - high * width, np.pi - low * width
                out.append((*ends, 0.5 * np.log(values[::-1])))
        return out

    def polish(
        self, inner: _Reals, guess: _Nodes, t: _Reals, ws: _Nodes, dws: _Nodes
    ) -> tuple[_Nodes, ...]:
        """Newton from interpolated guesses; where one fails, carried from the nearest node."""
        from freefim.free.joint_kernels import solve_each

        slopes = np.empty_like(guess)
        y = np.exp(self.band.log_y(inner)).astype(complex)
        status, n, loss = solve_each(*self.program.arrays, self.program.eps, y, guess, slopes)
        for i in np.flatnonzero(status):
            near = int(np.abs(t - inner[i]).argmin())
            found = self.carry(t[near], inner[i : i + 1], ws[near], dws[near])
            for part, new in zip((n, guess, slopes, loss), found, strict=True):
                part[i] = new[0]
        return n, guess, slopes, loss

    def look_for_gap(self, good: float, bad: float) -> None:
        """Raise `_GapFoundError` if a gap lies between two parameters; not where y is nearly 0."""
        if not self.may_split:
            return
        for t in good + (bad - good) * np.linspace(1, 0, _SAMPLES, endpoint=False):
            log_y = float(self.band.log_y(np.array(t)))
            if log_y > self.band.a - 28.0:
                _look_for_gap(self.program, float(np.exp(log_y)))

    def is_beyond(self, t: float) -> bool:
        """Whether nothing is visible at the parameter t."""
        y = float(np.exp(self.band.log_y(np.array(t))))
        try:
            n, _, _ = descend(self.program, complex(y))
        except ConvergenceError:
            return False
        return bool(abs(n.imag) < 1e-9 * abs(n))

    def place(self, t: float) -> float:
        """The x of a parameter, for messages."""
        return self.program.shift + float(np.exp(self.band.log_y(np.array(t))))


def _visible_end(
    tracer: _Tracer, t: float, step: float, limit: float, w: _Nodes, dw: _Nodes
) -> tuple[list[tuple[float, float, _Reals]], float]:
    """Panels from t in steps until `limit` or until the density is at the floor.

    Where 64-bit numbers or the last leaf end before the density does, the second value is the
    mass left below, to leading order; it is 0 otherwise.
    """
    lowest = _last_resolved(tracer.program.leaves[-1])
    out: list[tuple[float, float, _Reals]] = []
    left_below = 1.0
    for _ in range(_MOST_PANELS):
        to = limit if abs(limit - t) < 1.5 * abs(step) else t + step
        order = slice(None, None, 1 if to > t else -1)
        ts = tracer.nodes(min(t, to), max(t, to))
        try:
            found = tracer.carry(t, ts[order], w, dw)
        except ConvergenceError:
            if abs(to - t) > _SHORTEST:
                step *= 0.5
                continue
            if left_below < 1e-10 or tracer.is_beyond(to):
                break
            raise
        n, ws, dws, loss = found
        faint = np.flatnonzero((-n.imag < _FLOOR * np.abs(n)) | (loss > _LOST))
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
        _, ws, dws, _ = tracer.carry(float(ts[order][-1]), np.array([to]), w, dw)
        w, dw = ws[-1], dws[-1]
        if tracer.kind == 2 or step < 0:
            continue
        # Below this nothing is left: a power law at y = 0, of which 64 bits see no more, or a tail.
        if -n[-1].imag < (1e-12 if t * t > 46.0 else 1e-15):
            break
        if abs(w[-1]) < lowest or tracer.band.a - t * t < _LOWEST_LOG:
            return out, float(n[-1].real)
    return out, 0.0


def _last_resolved(leaf: Leaf) -> float:
    """Size of w above which a leaf is resolved whose lowest values are gathered in an atom."""
    _, _, nodes, _ = leaf.kernel_data()
    size = np.abs(nodes)
    gathered = size.size > len(leaf.atoms) and 0.0 in dict(leaf.atoms)
    return 1e3 * float(size[size > 0].min()) if gathered else 0.0


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
        _look_for_gap(program, middle)
    else:
        raise ConvergenceError(f"no density was found around x = {program.shift + middle!r}")
    down = a - np.log(middle)
    t = float(np.sqrt(down) if kind == 1 else 2 * np.arcsin(np.sqrt(down / (a - b))))
    tracer = _Tracer(program, kind, a, b, (0, 0))
    # A hard edge may pass for soft: there dz/dw_0 vanishes too.
    power = tracer.power_at(0.0, t, w, dw)
    powers = (2 if right.soft and power else power, powers[1])
    if left is not None:
        power = tracer.power_at(float(np.pi), t, w, dw)
        powers = (powers[0], 2 if left.soft and power else power)
    tracer = _Tracer(program, kind, a, b, powers)
    step = 0.5
    upper, _ = _visible_end(tracer, t, -step, 0.0, w, dw)
    lower, below = _visible_end(tracer, t, step, float(limit), w, dw)
    panels = sorted(upper + lower, key=lambda panel: panel[0])
    if not panels:
        raise ConvergenceError(f"no density was found around x = {program.shift + middle!r}")
    cuts = np.array([panel[0] for panel in panels] + [panels[-1][1]])
    logs = np.array([panel[2] for panel in panels])
    return Band(kind, a, b, powers, cuts, logs), below, tracer.worst_tail


def _bottom(program: Program) -> Edge | None:
    """The lower end of the support, None if it is y = 0."""
    last = int(np.flatnonzero(program.arrays[0] == _LEAF)[-1]) + 1
    ops, pars = program.arrays[0][last:], program.arrays[1][last:]
    lifted = bool((((ops == _CORNER) | (ops == _GAUSSIAN)) & (pars[:, 0] < 1)).any())
    lifted |= bool(((ops == _AFFINE) & (pars[:, 1] > 0)).any())
    zero_atom = 0.0 in dict(program.atoms)
    if program.leaves[-1].minimum == 0 and (zero_atom or not lifted):
        return None
    edge = outer_edge(program, right=False)
    return edge if edge.y > 1e-10 * program.mean else None


def _between(
    program: Program, pieces: list[GapPiece], bottom: Edge | None, top: Edge
) -> list[tuple[Edge | None, Edge]]:
    """The bands that the gaps leave; gaps that touch, or meet at an atom, are one."""
    bands: list[tuple[Edge | None, Edge]] = []
    places = np.array([at for at, _ in program.atoms])

    def add(left: Edge | None, right: Edge) -> None:
        low = left.y if left else 0.0
        near = 1e-7 * top.y
        lone = np.any((places > low - near) & (places < right.y + near)) if places.size else False
        if right.y - low > (near if lone else 1e-10 * top.y):
            bands.append((left, right))

    left, reached = bottom, bottom.y if bottom else 0.0
    for piece in sorted(pieces, key=lambda gap: gap.left):
        if piece.left > reached:
            add(left, Edge(piece.left, piece.soft[0], piece.residual))
        if piece.right > reached:
            reached = piece.right
            left = Edge(piece.right, piece.soft[1], piece.residual)
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
        if abs(edge.y - place) < 1e-11 * place:
            return Edge(place, soft=False, residual=1e-16)
    for place in program.marginal:
        if abs(edge.y - place) < 1e-6 * place:
            return Edge(place, soft=False, residual=1e-16)
    return edge


def _bands(program: Program) -> tuple[tuple[Band, ...], float, float, float]:
    """All bands ascending, the mass below the first, the worst edge residual and tail."""
    top, bottom = outer_edge(program, right=True), _bottom(program)
    pieces: list[GapPiece] = []
    if any(leaf.gaps for leaf in program.leaves):
        low = bottom.y if bottom else 0.0
        shares = np.concatenate([np.linspace(0.015, 0.985, _SAMPLES), np.geomspace(1e-7, 0.01, 9)])
        for y in low + (top.y - low) * shares:
            if not any(piece.left < y < piece.right for piece in pieces):
                try:
                    _look_for_gap(program, float(y))
                except _GapFoundError as found:
                    pieces.append(found.piece)
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
        except _GapFoundError as found:
            if found.piece in pieces:
                break
            pieces.append(found.piece)
            continue
        results = [solved[left.y if left else 0.0, right.y] for left, right in bands]
        residual = max(edge.residual for band in bands for edge in band if edge is not None)
        return (
            tuple(band for band, _, _ in results),
            results[0][1],
            residual,
            max(worst for _, _, worst in results),
        )
    raise ConvergenceError(f"the gaps of the support were not separated: {len(pieces)} found")


def _realised(program: Program, mass: float) -> RealisedSolution:
    """The law of a chain with realised gates."""
    for leaf in program.leaves:
        code, _, nodes, _ = leaf.kernel_data()
        if code != Leaf.ATOMS or nodes.imag.any():
            raise ConvergenceError("a chain cannot mix realised gates with smooth limits of gates")
    top, bottom = outer_edge(program, right=True), _bottom(program)
    low = bottom.y if bottom else 0.0
    remark = f"density and distribution function at a height of {HEIGHT:g} relative"
    return checked(
        RealisedSolution(
            atoms=tuple((y + program.shift, p) for y, p in program.atoms),
            bands=((program.shift + low, program.shift + top.y),),
            band_masses=(mass,),
            accuracy=Accuracy(HEIGHT, top.residual, HEIGHT, "joint Newton, pointwise", (remark,)),
            _program=program,
        )
    )


def solve_joint(chain: Chain) -> JointSolution | RealisedSolution | PushforwardSolution:
    """Solve the law of a chain with any leaves.

    Raises
    ------
    ConvergenceError
        If a continuation gets stuck, or mass or the first two moments do not balance.
    """
    program = compile_chain(chain)
    shift = program.shift
    atoms = tuple((y + shift, mass) for y, mass in program.atoms)
    heavy = sum(mass for _, mass in program.atoms)
    if heavy > 1 - 1e-12:
        return JointSolution(
            atoms, (), (), Accuracy(abs(1 - heavy), 0.0, 0.0, "exact atoms"), program, ()
        )
    if any(isinstance(leaf, Atomic) and leaf.locations.size > _FEW for leaf in program.leaves):
        return _realised(program, 1 - heavy)
    ops, leaf = program.arrays[0], program.leaves[0]
    if len(program.leaves) == 1 and (ops[1:] == _AFFINE).all() and isinstance(leaf, Contour):
        return push_forward(program, leaf, float(np.prod(program.arrays[1][1:, 0])))
    bands, below, residual, worst = _bands(program)
    parts = [band.quadrature() for band in bands]
    y = np.concatenate([part[0] for part in parts])
    weight = np.concatenate([part[1] for part in parts])
    missing = 1 - float(weight.sum()) - heavy
    zero = dict(program.atoms).get(0.0, 0.0)
    remarks: tuple[str, ...] = ()
    defect, cluster = abs(missing), 0.0
    if below > 0:
        # What lies below the last resolved y is what a path around the law does not count above.
        last = float(np.exp(bands[0].log_y(bands[0].cuts[-1:])[0]))
        above = mass_above(program, last)
        cluster = max(1 - above - zero, 0.0)
        defect = abs(float(weight.sum()) + heavy + cluster - 1)
        remarks = (f"mass {cluster:.3g} within {last:.1g} of the bottom, counted as at the bottom",)
    first = sum(mass * at for at, mass in program.atoms) + float(weight @ y)
    second = sum(mass * at**2 for at, mass in program.atoms) + float(weight @ y**2)
    wrong = max(abs(first / program.mean - 1), abs(second / program.second - 1))
    if not max(defect, wrong) < _BALANCE:
        raise ConvergenceError(
            f"the law does not balance: mass off by {defect:.2g}, "
            f"first two moments by {wrong:.2g} relative"
        )
    masses = [float(part[1].sum()) for part in parts]
    masses[0] += cluster
    pieces = tuple(
        ((shift + band.low, shift + float(np.exp(band.a))), mass, band)
        for band, mass in zip(bands, masses, strict=True)
    )
    spans, totals = _joined(pieces)
    return JointSolution(
        atoms=atoms,
        bands=spans,
        band_masses=totals,
        accuracy=Accuracy(defect, residual, worst, "joint Newton, panels", remarks),
        _program=program,
        _pieces=pieces,
        _cluster=cluster,
    )


def _joined(
    pieces: tuple[tuple[tuple[float, float], float, Band], ...],
) -> tuple[tuple[tuple[float, float], ...], tuple[float, ...]]:
    """Bands and their masses: pieces that share an end are one band."""
    spans: list[tuple[float, float]] = []
    totals: list[float] = []
    for (left, right), mass, _ in pieces:
        if spans and spans[-1][1] == left:
            spans[-1] = (spans[-1][0], right)
            totals[-1] += mass
        else:
            spans.append((left, right))
            totals.append(mass)
    return tuple(spans), tuple(totals)
