"""The mass of a law to the right of a point, by a path through the upper half-plane.

The integral of G along any path there is a difference of ∫ log(y - x) µ(dx), whose imaginary part
is π times the mass to the right. No density enters, so this certifies quadratures of the density.
"""

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend, is_real

__all__ = ["hidden_band", "mass_above"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

#: Where the path starts, in means, and the length of its panels in log y.
_FAR, _PANEL, _POINTS = 1e5, 0.5, 16
#: Panels are halved so often towards the point, next to which there may be an edge.
_HALVINGS = 30
#: How far from its ends a gap is looked at, a mass that is looked for, how often it is halved.
_MARGIN, _LOW, _MASS, _STEPS = 1e-4, 1e-9, 1e-10, 60


def mass_above(program: Program, y: float) -> float:
    """Mass of the law of y to the right of a point that is no atom.

    Raises
    ------
    ConvergenceError
        If the path cannot be followed.
    """
    far = 1j * _FAR * (program.mean + np.sqrt(program.second))
    _, w, dw = descend(program, far)
    start, above, stop = np.log(far), np.log(1j * y), complex(np.log(y))
    count = int(np.ceil(abs(above - start) / _PANEL))
    down = _integral(program, start, above, np.linspace(0.0, 1.0, count + 1), w, dw)
    turn = np.append(0.0, 1 - 0.5 ** np.arange(1.0, _HALVINGS))
    across = _integral(program, above, stop, np.append(turn, 1.0), w, dw)
    potential = start - program.mean / far - program.second / (2 * far**2) + down + across
    return float(potential.imag / np.pi)


def _integral(
    program: Program, start: complex, stop: complex, cuts: _Reals, w: _Nodes, dw: _Nodes
) -> complex:
    """Integral of y·G over log y on a line with panels cut at `cuts`; w, dw are carried along."""
    from freefim.free.joint.kernels import follow

    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    half = np.diff(cuts)[:, None] / 2
    t = (cuts[:-1, None] + half * (1 + nodes)).ravel()
    path = start, stop, 0, 0.0
    reached, n, _, _ = follow(*program.arrays, program.eps, *path, t, w, dw)
    if reached < t.size:
        raise ConvergenceError(
            f"the mass above y = {np.exp(stop):.6g} cannot be counted: the path got stuck"
        )
    return complex((stop - start) * ((half * weights).ravel() @ n))


def hidden_band(program: Program, left: float, right: float) -> float | None:
    """A point of a band between two points that were taken for those of one gap, if there is one.

    The mass to the right is constant in a gap but for its atoms, whatever the width of the band.
    """

    def count(y: float) -> float:
        atoms = sum(mass for at, mass in program.atoms if at > y)
        return mass_above(program, y) - atoms

    margin = _MARGIN * (right - left)
    left, right = max(left + margin, _LOW * right), right - margin
    try:
        below, above = count(left), count(right)
        for _ in range(_STEPS):
            if not below - above > _MASS:
                return None
            middle = 0.5 * (left + right)
            n, _, _ = descend(program, complex(middle))
            if not is_real(n, program.blur):
                return middle
            between = count(middle)
            if below - between > between - above:
                right, above = middle, between
            else:
                left, below = middle, between
    except ConvergenceError:
        return None
    return None
