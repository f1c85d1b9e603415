"""Points of a band: the root of z(t) = x in the upper half plane, unique and physical, in a box.

Each convolution is a map H of the upper half plane for which {Im H > 0} lies above a graph: a
point t is on the physical sheet of a real x inside a band iff Im z > 0 after every convolution
but the last, whose Im z = 0 puts it on the graph.
"""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from flint import acb, acb_series, arb

from freefim.errors import ConvergenceError
from freefim.free.proofs.balls import ball, box, precision
from freefim.free.proofs.curve import Curve, Program, is_convolution, mass_above

__all__ = ["Root", "certified_root", "descend", "proved_box"]

_BITS = (128, 256, 512, 1024, 2048)
_RELATIVE = 1e-15  # radius of a density that needs no more bits
_ROUNDS = 40
_STEPS = 400


@dataclass(frozen=True)
class Root:
    """A box that holds exactly one root, which is the physical one.

    Attributes
    ----------
    box : acb
        Where the root is unique.
    bits : int
        Precision of its proof.
    density, mass_above : arb
        What follows at x.
    """

    box: Any
    bits: int
    density: Any
    mass_above: Any

    @property
    def is_narrow(self) -> bool:
        """Whether the density needs no more bits."""
        return bool(self.density.rad() <= _RELATIVE * abs(self.density))


def certified_root(program: Program, x: Fraction, guess: Any = None, least: int = _BITS[0]) -> Root:
    """Find the physical root of z(t) = x and prove it.

    Parameters
    ----------
    program : Program
    x : Fraction
    guess : acb, optional
        Where to look first.
    least : int
        Bits below which nothing is tried.

    Raises
    ------
    ConvergenceError
        If there is none: x lies in a gap, or at an edge.
    """
    tries = [bits for bits in _BITS if bits >= least]
    if guess is not None:
        for bits in tries:
            with precision(bits):
                root = _root_from(Curve(program), x, guess, bits)
            if root is not None:
                if root.is_narrow:
                    return root
                guess = root.box.mid()
    for bits in tries:
        with precision(bits):
            curve = Curve(program)
            for start in descend(curve, x):
                root = _root_from(curve, x, start, bits)
                if root is not None:
                    if root.is_narrow:
                        return root
                    break
    raise ConvergenceError(
        f"no physical root of z(t) = x is proved at x = {float(x)!r}: it is an edge or a cusp, or "
        f"closer to one than {_BITS[-1]} bits tell apart"
    )


def proved_box(curve: Curve, x: Fraction, candidate: Any) -> Any | None:
    """Contract a box around the root of z(t) = x in it; None unless root and sheet are proved."""
    try:
        error = curve.end(candidate.mid()).out - ball(x)
        image = candidate.mid() - error / curve.end(acb_series([candidate, 1], 2)).out[1]
        if not candidate.contains_interior(image):
            return None
        heights = _heights(curve, image)
    except (ValueError, ZeroDivisionError):
        return None
    return image if heights and all(height > 0 for height in heights[:-1]) else None


def _heights(curve: Curve, t: Any) -> list[Any]:
    """Im t, and Im z after every convolution."""
    return [t.imag, *(s.out.imag for s in curve.walk(t) if is_convolution(s.kind))]


def _root_from(curve: Curve, x: Fraction, start: Any, bits: int) -> Root | None:
    t = _newton(curve, acb(ball(x)), start, arb(2) ** (16 - bits))
    if t is None or not t.imag > 0:
        return None
    for share in (4, 2, 1.5):
        candidate = box(t, abs(t).mid() * arb(2) ** int(-bits / share))
        image = proved_box(curve, x, candidate)
        if image is not None:
            return _root(curve, candidate, image, bits)
    return None


def _root(curve: Curve, candidate: Any, image: Any, bits: int) -> Root:
    path, pi = list(curve.walk(image)), arb.pi()
    f = path[-1].f
    density = f.imag / (f.real**2 + f.imag**2) / pi
    above = mass_above(path, curve.numbers, lambda value: value.arg() / pi, lambda m: m.imag / pi)
    return Root(candidate, bits, density, above)


def descend(curve: Curve, x: Fraction) -> Iterator[Any]:
    """Points t of x + iη on the way down from far above, as starts for a root at x."""
    target = ball(x)
    far = acb(0, 1) * arb(2) ** 64
    slope = (curve.end(far).out / far).real.mid()  # far away the curve is a line
    t = acb(0, 1) * (100 * (abs(target) + abs(curve.end(acb(0, 1)).out)) / slope).mid()
    at = height = curve.end(t).out.imag.mid()
    keep = 0.1
    for _ in range(_STEPS):
        found = _newton(curve, acb(target, height), t, arb(2) ** -20)
        if found is not None and all(h > 0 for h in _heights(curve, found)):
            yield found
            t, at, keep = found, height, max(keep * keep, 0.05)
        elif keep > 0.995:
            return
        else:
            keep = keep**0.5
        height = (at * keep).mid()


def _newton(curve: Curve, target: Any, t: Any, tolerance: Any) -> Any | None:
    """Newton's iteration on midpoints; None if the steps do not fall below the tolerance."""
    size = None
    for count in range(_ROUNDS):
        try:
            z = curve.end(acb_series([t, 1], 2)).out
            step = ((z[0] - target) / z[1]).mid()
        except (ValueError, ZeroDivisionError):
            return None
        last, size = size, abs(step)
        t = (t - step).mid()
        # at a double root, where nothing can be proved, steps fall by a factor only
        slow = arb(4) if count < _ROUNDS / 2 else arb(0.25)
        if not size.is_finite() or (last is not None and size > slow * last):
            return None
        if size <= tolerance * abs(t):
            return t
    return None
