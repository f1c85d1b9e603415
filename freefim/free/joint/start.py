"""One solution of a chain at a given y, carried down from far above the support."""

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.joint.program import Program

__all__ = ["cauchy_transform", "descend", "is_real"]

_Nodes = NDArray[np.complex128]


def _far_start(program: Program, y: complex) -> _Nodes:
    """Unknowns at a far y, from the first two moments of the leaves."""
    moments = [leaf.moments(2) for leaf in program.leaves]
    ops, pars = program.arrays[0], program.arrays[1]
    w = np.empty(program.eps.size, dtype=complex)
    # z is about w_0 times this; where it is small the shifts would otherwise hide w_0.
    slope = 1.0
    for op, (a, b) in zip(ops[1:], pars[1:], strict=True):
        slope *= (moments[int(a)][0] if op == 0 else 1, a * b, a, 1.0, a)[op]
    first = y / slope
    for _ in range(12):
        w[0] = z = first
        e1, e2 = moments[0]
        m = e1 / z + e2 / z**2
        shifted = len(moments)
        for op, (a, b) in zip(ops[1:], pars[1:], strict=True):
            n = 1 + m
            if op == 0:
                e1, e2 = moments[int(a)]
                w[int(a)] = e1 / m + e2 / e1
                z *= m * w[int(a)] / n
            elif op == 1:
                z, m = b * z * (a + m), m / a
            elif op == 2:
                z, m = z * (m + a) / n, m / a
            elif op == 3:
                m = a * m
            else:
                z = a * z
                m += b * n / z
                z += b
                if b != 0:
                    w[shifted] = z
                    shifted += 1
        if abs(z - y) < 1e-3 * abs(y):
            break
        # Only the size: where shifts dominate z the phase would leave the half-plane.
        first *= abs(y) / abs(z)
    return w


def descend(program: Program, y: complex) -> tuple[complex, _Nodes, _Nodes]:
    """Carry the solution from far above to y in the closed upper half-plane: n, w, dw/dlog y."""
    from freefim.free.joint.kernels import follow, solve_each

    reach = 30.0 * (len(program.leaves) + 1) * program.mean + abs(y)
    for _ in range(4):
        far = 1j * reach
        w = _far_start(program, far)[None, :]
        dw = np.empty_like(w)
        status, _ = solve_each(*program.arrays, program.eps, np.array([far]), w, dw)
        if status[0] == 0:
            break
        reach *= 10.0
    else:
        raise ConvergenceError(f"the chain has no solution found at y = {far:.3g}")
    w, dw = w[0], dw[0]
    reached, n, _, _ = follow(
        *program.arrays, program.eps, np.log(far), np.log(complex(y)), 0, 0.0, np.ones(1), w, dw
    )
    if reached < 1:
        raise ConvergenceError(f"the continuation from y = {far:.3g} to y = {y:.6g} got stuck")
    if not np.abs(n[0]) < 1e12:
        raise ConvergenceError(f"the solution at y = {y:.6g} is out of range")
    return complex(n[0]), w, dw


def is_real(n: complex, blur: float) -> bool:
    """Whether n = y·G is real up to `blur`: y lies in a gap.

    The rounding of n is that of n - 1, which shows where n passes 0 in a gap.
    """
    return bool(abs(n.imag) < blur * max(abs(n), min(1.0, 1e3 * abs(n))))


def cauchy_transform(program: Program, z: _Nodes) -> _Nodes:
    """G(z) off the real axis, or at real z outside the support."""
    z = np.asarray(z, dtype=complex)
    y = np.where(z.imag < 0, z.conj(), z).ravel() - program.shift
    out = np.array([descend(program, complex(point))[0] / point for point in y], dtype=complex)
    out = out.reshape(z.shape)
    return np.where(z.imag < 0, out.conj(), out)
