r"""Laws of smooth gates as leaves: their transforms by integrals with proved errors.

:math:`G(w) = E\,1/(w - g(h))`, h ~ N(0, q), g analytic around the real line: the integral over
±12 standard deviations is enclosed by adaptive Gauss quadrature with error bounds [1]_, at the
middle of a box; what lies beyond, and the width of the box, enter by the distance of the box from
the values of g.

.. [1] Johansson, *Numerical integration in arbitrary-precision ball arithmetic*, ICMS 2018.
"""

from dataclasses import dataclass
from fractions import Fraction
from functools import lru_cache
from typing import Any

import numpy as np
from flint import acb, arb

from freefim.errors import ConvergenceError
from freefim.free.laws.given import GivenLaw
from freefim.free.leaves.leaf import CosineSquared, GaussianBump, Leaf, SechFourth
from freefim.free.proofs.balls import ball, box
from freefim.free.proofs.enclosure import exact

__all__ = ["GateLaw", "gate_law"]

_REACH = 12  # standard deviations; beyond lies a mass of 4e-33
_TOLERANCE = 2.0**-88
_NODES = 200


@dataclass(frozen=True)
class GateLaw(GivenLaw):
    """The law of g(h), h ~ N(0, spread), on [0, amplitude]: no atoms.

    Parameters
    ----------
    kind : type of Leaf
        `SechFourth`, `GaussianBump` or `CosineSquared`.
    spread, amplitude, frequency : Fraction
    """

    kind: type[Leaf]
    spread: Fraction
    amplitude: Fraction
    frequency: Fraction

    @property
    def atoms(self) -> tuple[tuple[float, float], ...]:
        """None."""
        return ()

    @property
    def pieces(self) -> Any:
        """None that are proved.

        Raises
        ------
        ConvergenceError
            Always.
        """
        raise ConvergenceError("edges and masses of laws with smooth gates are not proved")

    def transform(self, w: Any) -> tuple[Any, Any]:
        """G and G' over a box off the values of g.

        Raises
        ------
        ValueError
            If the box may meet them.
        """
        away = self._distance(w)
        if not away > 0:
            raise ValueError("the point may lie on the law of the gate")
        middle = acb(w.real.mid(), w.imag.mid())
        value, slope = _integrals(self, middle.real.man_exp(), middle.imag.man_exp())
        beyond, shift = _beyond(), w - middle
        g = (
            value
            + box(acb(0), (beyond / away).upper())
            + shift * box(acb(0), (1 / away**2).upper())
        )
        dg = (
            slope
            + box(acb(0), (beyond / away**2).upper())
            + shift * box(acb(0), (2 / away**3).upper())
        )
        return g, dg

    def potential(self, w: Any) -> Any:
        """E log(w - g) over a box off the real line."""
        away = self._distance(w)
        if not away > 0:
            raise ValueError("the point may lie on the law of the gate")
        middle = acb(w.real.mid(), w.imag.mid())
        spread = ball(self.spread).sqrt()

        def logarithm(u: Any, analytic: bool) -> Any:
            return _weight(u) * (middle - self.gate(spread * u)).log(analytic)

        value = acb.integral(logarithm, 0, _REACH, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE)
        far = abs(away.log()) + abs((w.abs_upper() + ball(self.amplitude)).log()) + arb.pi()
        beyond = _beyond() * far
        return value + box(acb(0), beyond.upper()) + (w - middle) * box(acb(0), (1 / away).upper())

    def height(self, x: Any) -> Any:
        """The |h| at which g falls to x in (0, amplitude), in units of its spread.

        Raises
        ------
        ConvergenceError
            If x may be an end, or g falls to it again and again.
        """
        if not (x > 0 and x < ball(self.amplitude)):
            raise ConvergenceError("nothing is proved at the ends of the law of a gate")
        share = ball(self.amplitude) / x
        if self.kind is SechFourth:
            return share.sqrt().sqrt().acosh() / ball(self.spread).sqrt()
        if self.kind is GaussianBump:
            return (share.log() / (2 * ball(self.spread))).sqrt()
        raise ConvergenceError("the law of the gate of a sine is proved after a free move only")

    def density(self, x: Any) -> Any:
        """Density at a real ball off the ends."""
        if x < 0 or x > ball(self.amplitude):
            return arb(0)
        u = self.height(x)
        h = u * ball(self.spread).sqrt()
        fall = 4 * x * (h.tanh() if self.kind is SechFourth else h)
        return _weight(u) / (fall * ball(self.spread).sqrt())

    def mass_above(self, x: Any) -> Any:
        """Mass of (x, ∞)."""
        if x < 0 or x > ball(self.amplitude):
            return Fraction(int(x < 0))
        return (self.height(x) / arb(2).sqrt()).erf()

    def _distance(self, w: Any) -> Any:
        """A number below the distance of a box from [0, amplitude]."""
        sides = (abs(w.imag).lower(), (-w.real).lower(), (w.real - ball(self.amplitude)).lower())
        return max(sides, key=float)

    def gate(self, h: Any) -> Any:
        """Value of the gate at a complex ball."""
        amplitude = ball(self.amplitude)
        if self.kind is SechFourth:
            return amplitude * h.sech() ** 4
        if self.kind is GaussianBump:
            return amplitude * (-2 * h * h).exp()
        return amplitude * (ball(self.frequency) * h).cos() ** 2

    def rough(self, w: complex) -> tuple[complex, complex]:
        """G and G' in floats, off the law."""
        values, weights = _rule(self)
        inverse = 1 / (w - values)
        return complex(weights @ inverse), complex(-(weights * inverse) @ inverse)


def gate_law(leaf: Leaf) -> GateLaw:
    """The law of a gate in closed form.

    Raises
    ------
    ConvergenceError
        If the gate is none: its law is known through nodes in double precision.
    """
    match leaf:
        case SechFourth(variance, amplitude) | GaussianBump(variance, amplitude):
            frequency = 1.0
        case CosineSquared(variance, frequency, amplitude):
            pass
        case _:
            raise ConvergenceError(
                "a proof needs gates in closed form (tanh, erf, sin, or finitely many values); "
                f"this one is known through nodes in double precision: {type(leaf).__name__}"
            )
    return GateLaw(type(leaf), exact("variance", variance), exact("amplitude", amplitude),
                   exact("frequency", frequency))  # fmt: skip


@lru_cache(maxsize=4096)
def _integrals(law: GateLaw, real: tuple[Any, Any], imag: tuple[Any, Any]) -> tuple[Any, Any]:
    """The integrals for G and G' over the visible part, at an exact point."""
    w = acb(_number(real), _number(imag))
    spread = ball(law.spread).sqrt()

    def first(u: Any, _analytic: bool) -> Any:
        return _weight(u) / (w - law.gate(spread * u))

    def second(u: Any, _analytic: bool) -> Any:
        inverse = 1 / (w - law.gate(spread * u))
        return -_weight(u) * inverse * inverse

    return tuple(
        acb.integral(f, 0, _REACH, rel_tol=_TOLERANCE, abs_tol=_TOLERANCE) for f in (first, second)
    )  # type: ignore[return-value]


def _weight(u: Any) -> Any:
    """Density of the absolute value of a standard normal variable."""
    return (-u * u / 2).exp() * 2 / (2 * arb.pi()).sqrt()


def _beyond() -> Any:
    """Mass beyond the reach."""
    return (arb(_REACH) / arb(2).sqrt()).erfc()


def _number(parts: tuple[Any, Any]) -> Any:
    mantissa, exponent = parts
    return arb(mantissa) * arb(2) ** exponent


@lru_cache(maxsize=64)
def _rule(law: GateLaw) -> tuple[Any, Any]:
    """Real nodes and weights."""
    u, weights = np.polynomial.hermite_e.hermegauss(_NODES)
    h = u * float(law.spread) ** 0.5
    gates = {
        SechFourth: lambda: 1 / np.cosh(np.minimum(np.abs(h), 100.0)) ** 4,
        GaussianBump: lambda: np.exp(-2 * h * h),
        CosineSquared: lambda: np.cos(float(law.frequency) * h) ** 2,
    }
    return float(law.amplitude) * gates[law.kind](), weights / weights.sum()
