"""The mass of a law to the right of a point, by a path through the upper half-plane.

The integral of G along any path there is a difference of ∫ log(y - x) µ(dx), whose imaginary part
is π times the mass to the right. No density enters, so this certifies quadratures of the density.
"""

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.joint.program import Program
from freefim.free.joint.start import descend

__all__ = ["mass_above"]

#: Where the path starts, in means, and the length of its panels in log y.
_FAR, _PANEL, _POINTS = 1e5, 0.5, 16


def mass_above(program: Program, y: float) -> float:
    """Mass of the law of y to the right of a point where its density is smooth, atoms included.

    Raises
    ------
    ConvergenceError
        If the path cannot be followed.
    """
    from freefim.free.joint.kernels import follow

    far = 1j * _FAR * (program.mean + np.sqrt(program.second))
    _, w, dw = descend(program, far)
    start, stop = np.log(far), complex(np.log(y))
    count = int(np.ceil(abs(stop - start) / _PANEL))
    nodes, weights = np.polynomial.legendre.leggauss(_POINTS)
    t = ((np.arange(count)[:, None] + (1 + nodes) / 2) / count).ravel()
    reached, n, _, _, _ = follow(*program.arrays, program.eps, start, stop, 0, 0.0, t, w, dw)
    if reached < t.size:
        raise ConvergenceError(f"the mass above y = {y:.6g} cannot be counted: the path got stuck")
    integral = (stop - start) * (np.tile(weights, count) @ n) / (2 * count)
    potential = start - program.mean / far - program.second / (2 * far**2) + integral
    return float(potential.imag / np.pi)
