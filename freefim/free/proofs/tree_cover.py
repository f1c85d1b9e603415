r"""A stretch of a band proved at once: the unknowns as polynomials of x, and a small box around.

With P(s) the Taylor polynomial of the root over x₀ + s and Y(s) near the inverse derivative there,
Krawczyk's test for the difference of the root from P,
:math:`-Y F(P) + (1 - Y F'(P + X)) X` in the interior of X for all s, proves one simple root over
every x; `tree_sheet` does the rest.
"""

from typing import Any

from flint import acb, acb_mat, acb_poly, acb_series, arb

from freefim.free.proofs.balls import box
from freefim.free.proofs.tree_models import TERMS, Model, dot, inverse_of, modelled, with_terms
from freefim.free.proofs.tree_points import Centre, inverse_derivative, polished
from freefim.free.proofs.tree_sheet import Heights, sides
from freefim.free.proofs.tree_system import System

__all__ = ["Stretch"]

_STILL = 2.0**-90  # of the unknowns: the least width of a box


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
        for k in range(1, TERMS):
            errors = [row[k] for row in self._errors(terms, k + 1)]
            step = self._inverse * acb_mat(size, 1, errors)
            terms = [[*held, (-step[j, 0]).mid()] for j, held in enumerate(terms)]
        return terms

    def _errors(self, terms: list[list[Any]], count: int) -> list[Any]:
        """Errors of the joins and of the target x + s, as series of `count` terms."""
        jets = [acb_series(held, prec=count) for held in terms]
        points, rows = with_terms(count, lambda: self.system.run(jets, self.centre.roots))
        return [*(row[0] for row in rows), points[-1][0] - acb_series([acb(self.x), 1], prec=count)]

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
        polynomials = [acb_poly(terms) for terms in self._terms]
        inside = [Model(poly, acb(0), across) for poly in polynomials]
        points, rows = self.system.run(inside, self.centre.roots)
        aim = Model(acb_poly([acb(self.x), 1]), acb(0), across)
        errors = [*(row[0] for row in rows), points[-1][0] - aim]
        step = self._inverse * acb_mat(size, 1, [error.ball for error in errors])
        radius = [4 * step[k, 0].abs_upper() + abs(complex(u)) * _STILL
                  for k, u in enumerate(self.centre.unknowns)]  # fmt: skip
        around = [box(acb(0), r.upper()) for r in radius]
        beside = [Model(p, r, across) for p, r in zip(polynomials, around, strict=True)]
        derivative: list[list[Any]] = [[] for _ in range(size)]
        for along in range(size):
            points, rows = self.system.run(beside, self.centre.roots, along)
            for k, slope in enumerate([*(row[1] for row in rows), points[-1][1]]):
                derivative[k].append(modelled(slope, across))
        inverse = inverse_of(derivative)
        for k in range(size):
            slack = [(int(j == k) - dot(inverse[k], [row[j] for row in derivative])).ball
                     for j in range(size)]  # fmt: skip
            image = sum((s * r for s, r in zip(slack, around, strict=True)),
                        -dot(inverse[k], errors).ball)  # fmt: skip
            if not around[k].contains_interior(image):
                return False
        held = [(modelled(point[0], across).ball,) for point in points]
        return sides(self.system, Heights(held)) is not None
