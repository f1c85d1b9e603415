"""Panels along one band: solutions carried from node to node, panels halved until resolved."""

from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.gaps import look_for_gap
from freefim.free.joint.panels import (
    NODES,
    Band,
    chebyshev_nodes,
    end_nodes,
    from_end_nodes,
    refinement,
    tail,
)
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend

__all__ = ["FLOOR", "MOST_PANELS", "Tracer"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

#: A density below this, relative to |G|, counts as nothing.
FLOOR = 1e-12
#: Panels that one band may have.
MOST_PANELS = 500
_GAUSSIAN, _PADDING = 1, 3
_SAMPLES = 24
# Relative rounding of the distance to an end beyond which the density there is extrapolated.
_BLURRED, _CLOSING = 1e-6, 20
# What fades out beside an end is left out when its mass is below.
_NOTHING = 1e-13


class Tracer:
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
        self.tolerance, self.rounding = (2e-11, 1e-14) if program.exact else (1e-9, 1e-12)

    def carry(self, t0: float, ts: _Reals, w: _Nodes, dw: _Nodes) -> tuple[_Nodes, ...]:
        """n, w and dw at the parameters ts, reached in order from t0."""
        from freefim.free.joint.kernels import follow

        reached, n, ws, dws = follow(
            *self.program.arrays, self.program.eps, *self.path, t0, ts, w.copy(), dw.copy()
        )
        if reached < ts.size:
            self.look_for_gap(ts[reached - 1] if reached else t0, ts[reached])
            raise ConvergenceError(
                f"the continuation along a band got stuck at x = {self.place(ts[reached])!r}"
            )
        return n, ws, dws

    def log_profile(self, t: _Reals, n: _Nodes) -> tuple[_Reals, float]:
        """Log ρ dy/dt without its powers, and the rounding it carries."""
        with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
            logs = np.log(-n.imag / np.pi) + np.log(self.band.dlog_y(t)) - self.band.log_powers(t)
            noise = self.rounding * np.abs(n / n.imag) + 3e-15
        return logs, float(noise.min())

    def power_at(self, end: float, t: float, w: _Nodes, dw: _Nodes) -> int:
        """Power of the distance in t with which ρ dy/dt starts at an end that is not soft."""
        for scale in (2e-5, 2e-3):
            ts = end + np.sign(t - end) * scale * np.array([2.0, 1.0])
            try:
                n, _, _ = self.carry(t, ts, w, dw)
            except ConvergenceError:
                continue
            if (-n.imag > FLOOR * np.abs(n)).all():
                logs, _ = self.log_profile(ts, n)
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
        n, ws, dws = solved
        at_end = left == 0.0 or (self.kind == 2 and right == np.pi)
        fades = at_end and bool((-n.imag < FLOOR * np.abs(n)).any())
        if fades and np.abs(n.imag).max() * np.ptp(self.band.log_y(t)) < _NOTHING:
            return []
        if not fades and not (n.imag < 0).all():
            worst = int(np.argmax(n.imag))
            self.look_for_gap(t[worst], t[worst])
            raise ConvergenceError(
                f"the density vanishes inside a band near x = {self.place(t[NODES // 2])!r}"
            )
        if fades:
            # Rounding passes for density here; the panel is halved until nothing is left of it.
            n = n.real - 1j * np.maximum(-n.imag, np.finfo(float).tiny)
        logs, noise = self.log_profile(t, n)
        noise += self.crowding(left, right)
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
        done = size < max(self.tolerance, 3 * noise) or (depth > 8 and weight < 1e-13)
        if (done and not fades) or depth > 40:
            self.worst_tail = max(self.worst_tail, weight)
            return whole
        self.count += 1
        middle = 0.5 * (left + right)
        out = []
        try:
            for k, (start, stop) in enumerate(((left, middle), (middle, right))):
                if self.count > MOST_PANELS:
                    raise ConvergenceError(f"more than {MOST_PANELS} panels")
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
        from freefim.free.joint.kernels import solve_each

        far = width * np.geomspace(32.0, 0.5, 64)
        t = far if at_left else np.pi - far
        _, ws, _ = self.carry(start, t, w, dw)
        # Beside the atom w is close to those of the leaves too: one more step of Newton.
        y = np.exp(self.band.log_y(t)).astype(complex)
        _, n = solve_each(*self.program.arrays, self.program.eps, y, ws, np.empty_like(ws))
        logs, _ = self.log_profile(t, n)

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
        from freefim.free.joint.kernels import solve_each

        slopes = np.empty_like(guess)
        y = np.exp(self.band.log_y(inner)).astype(complex)
        status, n = solve_each(*self.program.arrays, self.program.eps, y, guess, slopes)
        for i in np.flatnonzero(status):
            near = int(np.abs(t - inner[i]).argmin())
            found = self.carry(t[near], inner[i : i + 1], ws[near], dws[near])
            for part, new in zip((n, guess, slopes), found, strict=True):
                part[i] = new[0]
        return n, guess, slopes

    def look_for_gap(self, good: float, bad: float) -> None:
        """Raise `GapFoundError` if a gap lies between two parameters; not where y is nearly 0."""
        if not self.may_split:
            return
        for t in good + (bad - good) * np.linspace(1, 0, _SAMPLES, endpoint=False):
            log_y = float(self.band.log_y(np.array(t)))
            if log_y > self.band.a - 28.0:
                look_for_gap(self.program, float(np.exp(log_y)))

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
