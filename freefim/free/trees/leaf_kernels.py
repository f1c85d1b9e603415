"""Kernels of leaves: transforms of atoms and series with their derivatives and potentials.

The caches of `kernels` and `band_kernels` do not see edits here: touch those files too.
"""

import cmath
import math

import numpy as np

from freefim._jit import kernel

ATOMS, SERIES = 0, 1


@kernel
def leaf_values(data, offset, w):
    """G, G', m, m' of a leaf: its pieces added up."""
    g, dg, m, dm = 0j, 0j, 0j, 0j
    at = offset + 1
    for _ in range(int(data[offset])):
        code, size = int(data[at]), int(data[at + 1])
        at += 2
        if code == ATOMS:
            n = int(data[at])
            x, y = w.real, w.imag
            gr, gi, dr, di, mr, mi, er, ei = 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0, 0.0
            for j in range(at + 1, at + 1 + n):
                a, p = data[j], data[j + n]
                u = x - a
                s = 1.0 / (u * u + y * y)
                re, im = u * s, -y * s
                qr, qi = p * (re * re - im * im), 2.0 * p * re * im
                gr += p * re
                gi += p * im
                dr -= qr
                di -= qi
                mr += a * p * re
                mi += a * p * im
                er -= a * qr
                ei -= a * qi
            g += complex(gr, gi)
            dg += complex(dr, di)
            m += complex(mr, mi)
            dm += complex(er, ei)
        else:
            # infinitesimal parts drown in the rounding of logarithms
            tiny = abs(w.imag) < 1e-18 * abs(w.real)
            u = complex(w.real, 0.0) if tiny else w
            if code == SERIES:
                v, dv, mass, _ = series_values(data, at, u)
            else:
                v, dv, mass, _ = panel_values(data, at, u)
            if tiny and not in_piece(data, at, code, w.real):
                v, dv = complex(v.real, w.imag * dv.real), complex(dv.real, 0.0)
            g += v
            dg += dv
            m += w * v - mass
            dm += v + w * dv
        at += size
    return g, dg, m, dm


@kernel
def in_piece(data, at, code, x):
    """Whether a real point lies inside a band of a piece."""
    count = int(data[at])
    at += 1
    low, high = math.inf, -math.inf
    for _ in range(count):
        left, right = data[at], data[at + 1]
        if code == SERIES:
            if left < x < right:
                return True
            at += 4 + int(data[at + 3])
        else:
            low, high = min(low, left), max(high, right)
            at += 3 + int(data[at + 2])
    return low < x < high


@kernel
def in_band(data, offset, x):
    """Whether a real point lies inside a band of a leaf."""
    at = offset + 1
    for _ in range(int(data[offset])):
        code, size = int(data[at]), int(data[at + 1])
        if code != ATOMS and in_piece(data, at + 2, code, x):
            return True
        at += 2 + size
    return False


@kernel
def series_values(data, at, w):
    """Transform of square-root bands, its derivative, the mass, the potential."""
    g, dg, phi, mass = 0j, 0j, 0j, 0.0
    count = int(data[at])
    at += 1
    for _ in range(count):
        left, right, kind, n = data[at], data[at + 1], int(data[at + 2]), int(data[at + 3])
        at += 4
        half = 0.5 * (right - left)
        below, above = (w - left) / half, (w - right) / half
        # 1 + J and 1 - J are this times the roots of the distances: no digits are lost at an end
        left_root, right_root = cmath.sqrt(below), cmath.sqrt(above)
        spread = 2.0 / (left_root + right_root)
        root = left_root * right_root
        j = 0.5 * spread * spread
        value, slope, area = 0j, 0j, 0j
        for k in range(n - 1, -1, -1):
            slope = value + j * slope
            value = data[at + k] + j * value
        log_j = cmath.log(j)
        power = 1.0 + 0j  # j^k
        for k in range(n):
            c = data[at + k]
            if kind == 0:
                area += c * (0.5 * power * j * j / (k + 2))
                area -= 0.5 * c * (log_j if k == 0 else power / k)
            elif kind == 1:
                area -= c * (log_j if k == 0 else power / k)
            else:
                sign = 1.0 if kind == 2 else -1.0
                area -= c * ((log_j if k == 0 else power / k) + sign * power * j / (k + 1))
            power *= j
        factor, dfactor = 1.0 + 0j, 0j
        if kind == 1:
            factor = 1.0 / (j * root)
            dfactor = j * factor * factor
        elif kind == 2:
            factor = 2.0 / (spread * right_root)
            dfactor = 0.5 * factor * factor
        elif kind == 3:
            factor = 2.0 / (spread * left_root)
            dfactor = -0.5 * factor * factor
        g += math.pi * j * value * factor
        dj = -j / root / half
        dg += math.pi * dj * ((value + j * slope) * factor + j * value * dfactor)
        phi += math.pi * half * area
        mass += math.pi * half * data[at] * (0.5 if kind == 0 else 1.0)
        at += n
    return g, dg, mass, phi


@kernel
def panel_values(data, at, w):
    """Transform of Legendre panels, its derivative, the mass, the potential."""
    g, dg, phi, mass = 0j, 0j, 0j, 0.0
    count = int(data[at])
    at += 1
    q = np.empty(240, np.complex128)
    for _ in range(count):
        left, right, n = data[at], data[at + 1], int(data[at + 2])
        at += 3
        half = 0.5 * (right - left)
        below, above = (w - left) / half, (w - right) / half
        u = 0.5 * (below + above)
        size = abs(u + cmath.sqrt(below) * cmath.sqrt(above))
        if abs(u) > 2.0:  # log(1 + s), s small far out
            s = 2.0 / above
            growth = math.log1p(2.0 * s.real + s.real * s.real + s.imag * s.imag)
            q[0] = 0.5 * complex(0.5 * growth, math.atan2(s.imag, 1.0 + s.real))
        else:
            q[0] = 0.5 * (cmath.log(below) - cmath.log(above))
        if 2 * n * math.log(size) < 9.0:  # upwards while the growing solution P_k stays small
            q[1] = u * q[0] - 1.0
            for k in range(2, n + 1):
                q[k] = ((2 * k - 1) * u * q[k - 1] - (k - 1) * q[k - 2]) / k
        else:
            head = q[0]
            top = min(n + 2 + int(19.0 / math.log(size)), 238)
            q[top + 1], q[top] = 0j, 1e-200 + 0j
            for k in range(top, 0, -1):
                q[k - 1] = ((2 * k + 1) * u * q[k] - (k + 1) * q[k + 1]) / k
                if abs(q[k - 1]) > 1e100:
                    for i in range(k - 1, min(top, n + 1) + 1):
                        q[i] *= 1e-200
            scale = head / q[0]
            for k in range(min(n + 1, top) + 1):
                q[k] *= scale
        product = below * above
        for k in range(n):
            c = 2.0 * data[at + k]
            g += c * q[k]
            if k == 0:
                dg -= c / product / half
                # (u + 1) log(u + 1) - (u - 1) log(u - 1) without its cancellation far out
                phi += c * half * (cmath.log(below) + above * q[0])
            else:
                dg += c * k * (u * q[k] - q[k - 1]) / product / half
                phi += c * half * (q[k + 1] - q[k - 1]) / (2 * k + 1)
        mass += 2.0 * half * data[at]
        at += n
    return g, dg, mass, phi


@kernel
def leaf_potential(data, offset, w):
    """Σ mass·log(w - place) of a leaf."""
    phi = 0j
    at = offset + 1
    for _ in range(int(data[offset])):
        code, size = int(data[at]), int(data[at + 1])
        at += 2
        if code == ATOMS:
            n = int(data[at])
            for j in range(at + 1, at + 1 + n):
                phi += data[j + n] * cmath.log(w - data[j])
        elif code == SERIES:
            phi += series_values(data, at, w)[3]
        else:
            phi += panel_values(data, at, w)[3]
        at += size
    return phi
