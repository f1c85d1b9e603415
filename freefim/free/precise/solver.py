"""A law at one precision: points polished from floats to the digits wanted."""

import cmath
from functools import cached_property
from math import log10
from typing import Any

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.free.law import Law
from freefim.free.precise.descent import descend
from freefim.free.precise.newton import State, newton, on_sheet
from freefim.free.precise.numbers import lifted
from freefim.free.precise.program import Arithmetic, Program, compile_law

__all__ = ["Solver"]

_GUARD = 15  # digits carried beyond those wanted
_FIRST = 40  # digits of the first polish
_HEIGHTS = (1e-4, 1e-7, 1e-10)  # above the real line, of the scale of the point
_ROUNDS = 60
_ROUNDING = 4e-16  # of the end of a band in floats


def _power(base: complex, exponent: complex) -> complex:
    return complex(base**exponent)


_FLOATS = Arithmetic(lambda x: complex(_real(x)), cmath.sqrt, cmath.log, _power, complex)


class Solver:
    """A law and the digits wanted; neighbouring points start from one another."""

    def __init__(self, law: Law, digits: int) -> None:
        self.law = law
        self.digits = digits
        self._rough = compile_law(law, _FLOATS)
        self._last: State | None = None

    def cauchy(self, z: Any) -> Any:
        """G at a point off the support."""
        from mpmath import mp

        with mp.workdps(self.digits + _GUARD):
            target = mp.mpc(lifted(z))
            state = self._at(mp.conj(target) if target.imag < 0 else target)
            g = state.transform
            if target.imag == 0 and g.imag != 0:
                raise ConvergenceError(f"z = {z!r} lies on a band, where G has two values")
            g = mp.conj(g) if target.imag < 0 else g
        with mp.workdps(self.digits):
            return +g

    def density(self, x: Any) -> Any:
        """Density at a real point; at an end of a band by `_at_end`."""
        from mpmath import mp

        with mp.workdps(self.digits + _GUARD):
            target = lifted(x)
            if mp.im(target) != 0:
                raise SpecError(f"x must be real, got {x!r}")
        try:
            return self._density(x)
        except ConvergenceError:
            value = self._at_end(x)
            if value is None:
                raise
            return value

    def _density(self, x: Any) -> Any:
        from mpmath import mp

        # beside an atom G is large, and an error of z as large as its square
        shift, extra = self._beside_atoms(x)
        while True:
            with mp.workdps(self.digits + extra):
                target = mp.mpc(mp.re(lifted(x)) + shift)
                g = self._at(target).transform
                value = abs(g.imag) / mp.pi
                # digits of Im g that lie below the last digit of g
                lost = int(mp.log10(abs(g) / abs(g.imag))) if value else 0
            if lost <= extra - _GUARD + 4:
                break
            extra = lost + _GUARD
        with mp.workdps(self.digits):
            return +value

    def _beside_atoms(self, x: Any) -> tuple[Any, int]:
        """Shift of a point off an atom, less than the digits show, and the digits it costs.

        The pole of an atom is real beside it: what is left is the density of the band.
        """
        from mpmath import mp

        with mp.workdps(2 * self.digits + _GUARD):
            place = mp.re(lifted(x))
            unit = 1 + abs(place)
            away = [abs(place - lifted(at)) / unit for at, _ in self._atoms]
            shift = unit * mp.mpf(10) ** (-self.digits - 2) if 0 in away else mp.mpf(0)
            near = min([*(a for a in away if a > 0), *([shift / unit] if shift else []), 1])
            return shift, _GUARD + 2 * int(max(0, -mp.log10(near)))

    @cached_property
    def _atoms(self) -> tuple[tuple[Any, Any], ...]:
        from freefim.free.trees.atoms import tree_atoms

        return tree_atoms(self.law)

    def _at_end(self, x: Any) -> Any:
        """Density at an end of a band: infinite, zero or its limit; None at other points."""
        from mpmath import mp

        with mp.workdps(self.digits + _GUARD):
            place = mp.re(lifted(x))
            for band in self.law.bands:
                for end, inwards in zip(band, (1, -1), strict=True):
                    if not self._is_end(place, end, inwards):
                        continue
                    step = inwards * (1 + abs(place))
                    near, far = (self._density(place + step * mp.mpf(10) ** -k)
                                 for k in (self.digits + 2, self.digits // 2))  # fmt: skip
                    # what grows or falls as a power of the distance does not stop at the end
                    if near > 10 * far:
                        return mp.inf
                    return mp.mpf(0) if near < far / 10 else near
        return None

    def _is_end(self, place: Any, end: float, inwards: int) -> bool:
        from mpmath import mp

        scale = 1 + abs(end)
        if not np.isfinite(end) or abs(place - end) > mp.mpf(10) ** -8 * scale:
            return False
        try:
            exact = self.edge(end, inwards, scale)
        except ConvergenceError:  # of another kind, and singular where the float rounds to
            return bool(abs(place - end) <= _ROUNDING * scale)
        return bool(abs(place - exact) <= mp.mpf(10) ** (1 - self.digits) * scale)

    def edge(self, end: float, inwards: int, scale: float) -> Any:
        """End of a band near `end`: there the unknowns are real and stand while x moves."""
        from mpmath import mp

        if end == 0.0 or abs(end) < 1e-14 * scale:
            return mp.mpf(0)
        with mp.workdps(_FIRST):
            inside = mp.mpf(end) + inwards * mp.mpf(10) ** -9 * scale
            state = self._at(mp.mpc(inside))
            if state.transform.imag == 0:
                raise ConvergenceError(f"no band beside the edge {end!r}")
            start = [u.real for u in state.unknowns]
        with mp.workdps(2 * self.digits + 2 * _GUARD):
            program = self._program()
            for search in (self._soft_edge, self._hard_edge):
                try:
                    place = search(program, start, state.roots)
                except (ArithmeticError, ValueError):
                    continue
                if abs(place - end) < mp.mpf(10) ** -8 * scale:
                    break
            else:
                raise ConvergenceError(f"no square-root edge near {end!r}, soft or hard")
        with mp.workdps(self.digits):
            return +place

    def _soft_edge(self, program: Program, start: list[Any], roots: dict[int, Any]) -> Any:
        """Where dx/dw vanishes: away from poles, where the tied equations are singular."""
        from mpmath import mp

        found = mp.findroot(
            lambda *w: _standing(program, w, roots), tuple(start),
            tol=mp.mpf(10) ** (-2 * self.digits), verify=False, maxsteps=60,
        )  # fmt: skip
        unknowns = list(found) if hasattr(found, "rows") else [found]
        return program.run(_vector(unknowns), dict(roots))[0][-1][0].real

    def _hard_edge(self, program: Program, start: list[Any], roots: dict[int, Any]) -> Any:
        """Where G has a pole without mass; for one unknown, by Newton on 1/G."""
        from mpmath import mp

        if len(start) > 1:
            raise ConvergenceError("hard edges of joint laws are not polished")
        w = mp.mpc(start[0])
        for _ in range(60):
            z, _, g, slope = program.run(_vector([w]), dict(roots))[0][-1]
            step = g / slope[0]
            if abs(step) <= mp.mpf(10) ** (-self.digits - _GUARD) * abs(w):
                return z.real
            w = w + step
        raise ConvergenceError("no pole of G")

    def moment(self, k: int) -> Any:
        """Moment by the trapezoid rule on a circle around the support."""
        from mpmath import mp

        from freefim.free.trees.knowledge import enclosure

        left, right = enclosure(self.law)
        if not np.isfinite([left, right]).all():
            raise SpecError(f"the law has no moments, or its support is not bounded: {self.law!r}")
        half = (right - left) / 2 or 1.0
        # a circle of four times the radius: each node adds log10(4) digits; half of it will do
        count = int((self.digits + _GUARD) / log10(4)) + k + 4
        count += count % 2
        with mp.workdps(self.digits + _GUARD + int(2 * k)):
            middle, radius = mp.mpf((left + right) / 2), mp.mpf(4 * half)
            total = mp.mpf(0)
            for j in range(count // 2):
                arm = radius * mp.expjpi((2 * j + mp.mpf(1)) / count)
                z = middle + arm
                total += (z**k * self._at(z).transform * arm).real
            value = 2 * total / count
        with mp.workdps(self.digits):
            return +value

    def _program(self) -> Program:
        from mpmath import mp

        return compile_law(
            self.law,
            Arithmetic(lambda x: mp.mpf(_real(x, lifted)), mp.sqrt, mp.log, mp.power, object),
        )

    def _at(self, target: Any) -> State:
        """Proven point of the tree at the working precision, Im target >= 0."""
        if self._last is not None:
            found = self._polished(self._last, target)
            if found is not None:
                return found
        # heights in units of the point itself
        unit = 1.0 + abs(complex(target))
        for height in _HEIGHTS if target.imag < _HEIGHTS[0] * unit else (0.0,):
            start = descend(self._rough, complex(target), height * unit)
            found = self._polished(start, target)
            if found is not None:
                return found
        raise ConvergenceError(
            f"no point of the physical sheet at {complex(target)!r}: it is an edge or an atom to "
            "this precision"
        )

    def _polished(self, start: State, target: Any) -> State | None:
        from mpmath import mp

        most = mp.dps
        levels = [most]
        while levels[-1] > 2 * _FIRST:
            levels.append(levels[-1] // 2 + 2)
        state = start
        for level in reversed(levels):
            with mp.workdps(level):
                program = self._program()
                state = State(_vector(state.unknowns), _lifted_roots(state))
                tolerance = mp.mpf(10) ** -(level - 5 if level == most else level // 2)
                found = newton(program, target, state, tolerance, _ROUNDS)
                if found is None:
                    return None
                state = found
        return self._proven(program, state, target)

    def _proven(self, program: Program, state: State, target: Any) -> State | None:
        """Return the point, or its mirror image at real targets, if it is on the sheet."""
        from mpmath import mp

        if target.imag != 0:
            good = on_sheet(program, state, target, real=False)
        else:
            level = mp.mpf(10) ** (-mp.dps // 2)
            heights = [abs(u.imag) / (abs(u) or 1) for u in state.unknowns]
            if max(heights) < level and len(state.points) > 1:
                real = self._proven_real(program, state, target)
                if real is not None:
                    return real
                # real images of a leaf with a density: its own points are on the line
            good = on_sheet(program, state, target, real=False)
            if not good:
                mirrored = State(np.array([mp.conj(u) for u in state.unknowns]),
                                 {k: mp.conj(r) for k, r in state.roots.items()})  # fmt: skip
                points, rows = program.run(mirrored.unknowns, dict(mirrored.roots))
                jacobian = [row[1] for row in rows] + [points[-1][1]]
                state = State(mirrored.unknowns, mirrored.roots, tuple(points), jacobian)
                good = on_sheet(program, state, target, real=False)
        if not good:
            return None
        self._last = state
        return state

    def _proven_real(self, program: Program, state: State, target: Any) -> State | None:
        from mpmath import mp

        real = State(np.array([mp.mpc(u.real) for u in state.unknowns]),
                     {k: mp.mpc(r.real) for k, r in state.roots.items()})  # fmt: skip
        found = newton(program, target, real, mp.mpf(10) ** (-mp.dps + 5), 5)
        if found is None or found.transform.imag != 0:
            return None
        return found if on_sheet(program, found, target, real=True) else None


def _real(value: Any, convert: Any = float) -> Any:
    if hasattr(value, "free_symbols") and value.free_symbols:
        raise SpecError(f"digits need numbers in the law, got the expression {value!r}")
    return convert(value)


def _vector(values: Any) -> Any:
    from mpmath import mp

    vector = np.empty(len(values), dtype=object)
    vector[:] = [mp.mpc(v) for v in values]
    return vector


def _lifted_roots(state: State) -> dict[int, Any]:
    from mpmath import mp

    return {k: mp.mpc(r) for k, r in state.roots.items()}


def _standing(program: Program, unknowns: Any, roots: dict[int, Any]) -> list[Any]:
    """Errors of the joins, and the determinant of their derivatives and dx."""
    from mpmath import mp

    points, rows = program.run(_vector(unknowns), dict(roots))
    table = mp.matrix([list(row[1]) for row in rows] + [list(points[-1][1])])
    return [row[0].real for row in rows] + [mp.det(table).real]
