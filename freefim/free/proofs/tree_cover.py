r"""A stretch of a band proved at once: the unknowns as polynomials of x, and a small box around.

With P(s) the Taylor polynomial of the root over x₀ + s, every number over the stretch is a
polynomial of s and a remainder: coefficients at s = 0, and the next one over all s. Krawczyk's test
for the difference of the root from P, with Y near the inverse derivative at s = 0,
:math:`-Y F(P(s)) + (1 - Y F'(P(s) + X)) X` in the interior of X for all s, proves one simple root
over every x; `tree_sheet` does the rest.
"""

from typing import Any

from flint import acb, acb_mat, acb_series, arb, ctx

from freefim.free.proofs.balls import box
from freefim.free.proofs.tree_points import Centre, inverse_derivative, polished
from freefim.free.proofs.tree_sheet import Heights, sides
from freefim.free.proofs.tree_system import System

__all__ = ["Stretch"]

_TERMS = 8


class Stretch:
    """The Taylor polynomials of the unknowns around one point of a band.

    Attributes
    ----------
    x : ball
    centre : Centre
        The unknowns there.
    """

    def __init__(self, system: System, x: Any, centre: Centre) -> None:
        self.system, self.x, self.centre = system, x, centre
        self._inverse = inverse_derivative(system, centre)
        self._terms = self._expanded()

    @classmethod
    def near(cls, system: System, x: Any, start: Centre) -> "Stretch | None":
        """The stretch around x from a start; None if it leads nowhere."""
        centre = polished(system, acb(x), start)
        if centre is None:
            return None
        try:
            return cls(system, x, centre)
        except (ZeroDivisionError, ValueError):
            return None

    def _expanded(self) -> list[list[Any]]:
        """Coefficients of the unknowns, each as good as numbers are, none proved."""
        size = len(self.centre.unknowns)
        terms = [[u] for u in self.centre.unknowns]
        for k in range(1, _TERMS):
            errors = [row[k] for row in self._errors(terms, k + 1)]
            step = self._inverse * acb_mat(size, 1, errors)
            terms = [[*held, (-step[j, 0]).mid()] for j, held in enumerate(terms)]
        return terms

    def _errors(self, terms: list[list[Any]], count: int) -> list[Any]:
        """Errors of the joins and of the target x + s, as series of `count` terms."""
        points, rows = self._run([acb_series(held, prec=count) for held in terms], count, None)
        return [*(row[0] for row in rows), points[-1][0] - acb_series([acb(self.x), 1], prec=count)]

    def _run(self, jets: list[Any], count: int, along: int | None) -> tuple[list[Any], list[Any]]:
        held = ctx.cap
        ctx.cap = count
        try:
            return self.system.run(jets, self.centre.roots, along)
        finally:
            ctx.cap = held

    def at(self, s: Any) -> Centre:
        """Start for a neighbour."""
        unknowns = []
        for terms in self._terms:
            value = acb(0)
            for term in reversed(terms):
                value = (value * s + term).mid()
            unknowns.append(value)
        return Centre(unknowns, self.centre.roots)

    def is_open(self, reach: Any) -> bool:
        """Prove that all points from x - reach to x + reach lie in a band."""
        try:
            return self._is_open(arb(0, reach))
        except (ZeroDivisionError, ValueError):
            return False

    def _is_open(self, across: Any) -> bool:
        size = len(self._terms)
        error = acb_mat(size, 1, [self._sum(*pair, across) for pair in zip(
            self._errors(self._terms, _TERMS), self._errors(self._shifted(across), _TERMS + 1),
            strict=True)])  # fmt: skip
        step = self._inverse * error
        radius = [2 * step[k, 0].abs_upper() + abs(complex(u)) * 2.0**-90
                  for k, u in enumerate(self.centre.unknowns)]  # fmt: skip
        around = [box(acb(0), r.upper()) for r in radius]
        inner = self._around(self._terms, around)
        outer = self._around(self._shifted(across), around)
        columns = []
        for along in range(size):
            near = self._run([acb_series(t, prec=_TERMS) for t in inner], _TERMS, along)
            far = self._run([acb_series(t, prec=_TERMS + 1) for t in outer], _TERMS + 1, along)
            columns.append([self._sum(a, b, across) for a, b in
                            zip(_slopes(near), _slopes(far), strict=True)])  # fmt: skip
        derivative = acb_mat([[column[k] for column in columns] for k in range(size)])
        one = acb_mat([[int(j == k) for k in range(size)] for j in range(size)])
        image = (one - self._inverse * derivative) * acb_mat(size, 1, around) - step
        if not all(around[k].contains_interior(image[k, 0]) for k in range(size)):
            return False
        points = [(self._sum(a[0], b[0], across),) for a, b in zip(near[0], far[0], strict=True)]
        return sides(self.system, Heights(points)) is not None

    def _shifted(self, across: Any) -> list[list[Any]]:
        """The polynomials around every s of the stretch at once."""
        shifted = []
        for terms in self._terms:
            value = acb_series([acb(0)], prec=_TERMS + 1)
            shift = acb_series([acb(across), 1], prec=_TERMS + 1)
            for term in reversed(terms):
                value = value * shift + term
            shifted.append([value[k] for k in range(_TERMS + 1)])
        return shifted

    def _around(self, terms: list[list[Any]], boxes: list[Any]) -> list[list[Any]]:
        return [[held[0] + b, *held[1:]] for held, b in zip(terms, boxes, strict=True)]

    def _sum(self, near: Any, far: Any, across: Any) -> Any:
        """Values over the stretch: terms at its middle, the remainder over all of it."""
        value = far[_TERMS] if isinstance(far, acb_series) else acb(0)
        for k in range(_TERMS - 1, -1, -1):
            term = near[k] if isinstance(near, acb_series) else acb(near if k == 0 else 0)
            value = value * across + term
        return value


def _slopes(run: tuple[list[Any], list[Any]]) -> list[Any]:
    points, rows = run
    return [*(row[1] for row in rows), points[-1][1]]
