"""Kernels of trees: a sweep along a program, Newton steps on all unknowns, continuation.

A program is the tuple (ops, par, data) of `trees.program`, and w holds one unknown per leaf. The
state along it is (z, g, m) with two lines of derivatives: d along the curve of points that meet
all constraints, per unit of the first leaf, and e the way back to that curve. On the real line
everything carries an infinitesimal imaginary part, which then is the derivative.
"""

import cmath
import math

import numpy as np

from freefim._jit import inline, kernel
from freefim.free import moves
from freefim.free.trees.program import (
    AFFINE,
    CORNER,
    GAUSSIAN,
    INVERSE,
    LEAF,
    MARCHENKO,
    PADDING,
    POISSON,
    POWER,
    PROJECTION,
    SEMICIRCLE,
    SUM,
)

affine = inline(moves.affine)
corner = inline(moves.corner)
corner_potential = inline(moves.corner_potential)
padding = inline(moves.padding)
padding_potential = inline(moves.padding_potential)
gaussian = inline(moves.gaussian)
gaussian_potential = inline(moves.gaussian_potential)
projection = inline(moves.projection)
semicircle = inline(moves.semicircle)
semicircle_potential = inline(moves.semicircle_potential)
free_poisson = inline(moves.free_poisson)
free_poisson_potential = inline(moves.free_poisson_potential)
marchenko_pastur = inline(moves.marchenko_pastur)
marchenko_pastur_potential = inline(moves.marchenko_pastur_potential)
multiplicative_power = inline(moves.multiplicative_power)
inverse = inline(moves.inverse)

LOST, BAND, GAP = 0, 1, 2
NEWTON = 24
#: Infinitesimal imaginary part of real points, relative to the scale of the law.
SPECK = 1e-30
#: Rounding of the sheet conditions.
SLACK = 1e-12
#: Slack of an angle that must not leave (0, π).
TURN = 1e-6
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
            if tiny and abs(v.imag) < 1e-9 * abs(v):  # not inside its own band
                v, dv = complex(v.real, w.imag * dv.real), complex(dv.real, 0.0)
            g += v
            dg += dv
            m += w * v - mass
            dm += v + w * dv
        at += size
    return g, dg, m, dm


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
        root = cmath.sqrt(below) * cmath.sqrt(above)
        j = 1.0 / (0.5 * (below + above) + root)
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
            factor = 2.0 / ((1.0 - j) * (1.0 + j))
            dfactor = j * factor * factor
        elif kind == 2:
            factor = 2.0 / (1.0 - j)
            dfactor = 0.5 * factor * factor
        elif kind == 3:
            factor = 2.0 / (1.0 + j)
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
                phi += 0.5 * c * half * (below * cmath.log(below) - above * cmath.log(above))
            else:
                dg += c * k * (u * q[k] - q[k - 1]) / product / half
                phi += c * half * (q[k + 1] - q[k - 1]) / (2 * k + 1)
        mass += 2.0 * half * data[at]
        at += n
    return g, dg, mass, phi


@inline
def same_side(value, plane):
    """Im value on the side of `plane`, relative to the size of the value."""
    return value.imag * plane / abs(value)


@inline
def turned(z, factor, exponent, plane):
    """Slack of arg z + exponent·arg factor in (0, π), seen from the half plane of z."""
    side = math.copysign(1.0, z.imag)
    if plane * side < 0.0:
        return z.imag / abs(z)
    angle = side * (cmath.phase(z) + exponent * cmath.phase(factor))
    return min(angle, math.pi - angle) + TURN


@kernel
def sweep(prog, w, work):
    """Run the program at w: (z, g, m, dz, dg, ez, eg, low).

    z + ez is the value once the constraints are met to first order; low is negative where a
    point lies on the wrong sheet. work, complex (3 k, 9): points on the stack, then per join
    (c, r) with parameter right = c + r·parameter left.
    """
    ops, par, data = prog[0], prog[1], prog[2]
    n, k = ops.size, w.size
    top, leaf, joint = -1, 0, 0
    low = 1.0
    z, g, m = 0j, 0j, 0j
    dz, dg, dm = 0j, 0j, 0j
    ez, eg, em = 0j, 0j, 0j
    for i in range(n):
        op, a, b, sure, loose = ops[i], par[i, 0], par[i, 1], par[i, 2], par[i, 3] > 0.0
        if op == LEAF:
            if leaf > 0:
                top += 1
                s = work[top]
                s[0], s[1], s[2], s[3], s[4], s[5], s[6], s[7], s[8] = (
                    z, g, m, dz, dg, dm, ez, eg, em)  # fmt: skip
            z = w[leaf]
            g, dg, m, dm = leaf_values(data, int(a), z)
            dz, ez, eg, em = 1.0 + 0j, 0j, 0j, 0j
            leaf += 1
            continue
        before = z
        if op == AFFINE:
            if b != 0.0:
                pull = b / a
                m += pull * g
                dm += pull * dg
                em += pull * eg
            _, ez, _, eg = affine(z, ez, g, eg, a, b)
            z, dz, g, dg = affine(z, dz, g, dg, a, b)
        elif op == CORNER:
            if loose:
                _, ez, _, eg = corner(z, ez, g, eg, a)
            z, dz, g, dg = corner(z, dz, g, dg, a)
            m, dm, em = m / a, dm / a, em / a
        elif op == PADDING:
            if loose:
                _, ez, _, eg = padding(z, ez, g, eg, a)
            z, dz, g, dg = padding(z, dz, g, dg, a)
            m, dm, em = a * m, a * dm, a * em
        elif op == GAUSSIAN:
            if loose:
                _, ez, _, eg = gaussian(z, ez, g, eg, a, b)
            z, dz, g, dg = gaussian(z, dz, g, dg, a, b)
            m, dm, em = m / a, dm / a, em / a
        elif op == SEMICIRCLE:
            m, dm, em = m + a * g * g, dm + 2.0 * a * g * dg, em + 2.0 * a * g * eg
            z, dz, ez = z + a * g, dz + a * dg, ez + a * eg
        elif op == POISSON:
            slack = 1.0 / (1.0 - b * g)
            rise = a * b * slack * slack
            m, dm, em = m + a * b * g * slack, dm + rise * dg, em + rise * eg
            if loose:
                _, ez, _, eg = free_poisson(z, ez, g, eg, a, b)
            z, dz, g, dg = free_poisson(z, dz, g, dg, a, b)
        elif op == PROJECTION:
            if loose:
                _, ez, _, eg = projection(z, ez, g, eg, a, b)
            z, dz, g, dg = projection(z, dz, g, dg, a, b)
        elif op == MARCHENKO:
            level = 1.0 + a * m if abs(m) < 0.5 else (1.0 - a) + a * z * g
            factor = level if b == 1.0 else cmath.exp(b * cmath.log(level))
            low = min(low, turned(z, level, b, sure))
            if loose:
                _, ez, _, eg = marchenko_pastur(z, ez, g, eg, a, factor, b)
            z, dz, g, dg = marchenko_pastur(z, dz, g, dg, a, factor, b)
        elif op == POWER:
            level = m / g
            factor = cmath.exp((a - 1.0) * cmath.log(level))
            low = min(low, turned(z, level, a - 1.0, sure))
            if loose:
                _, ez, _, eg = multiplicative_power(z, ez, g, eg, factor, a)
            z, dz, g, dg = multiplicative_power(z, dz, g, dg, factor, a)
        elif op == INVERSE:
            if loose:
                _, ez, _, eg = inverse(z, ez, g, eg)
            z, dz, g, dg = inverse(z, dz, g, dg)
            m, dm, em = -1.0 - m, -dm, -em
        else:
            s, _pair = work[top], work[k + joint]
            joint += 1
            top -= 1
            y, h, l = s[0], s[1], s[2]
            dy, dh, dl, ey, eh, el = s[3], s[4], s[5], s[6], s[7], s[8]
            if op == SUM:
                # the constraint in 1/g near a pole, in g otherwise
                close = abs(h) * b > 1.0
                c = h - g
                ratio = g / h if close else 1.0 + 0j
                c = c * ratio + eh * ratio * ratio - eg
                c, r = c / dg, ratio * ratio * dh / dg
                ez, eg, em = ez + c * dz, eg + c * dg, em + c * dm
                dz, dg, dm = r * dz, r * dg, r * dm
                plane = sure if sure else math.copysign(1.0, (y + z - 1.0 / h).imag)
                low = min(low, same_side(y, plane), same_side(z, plane))
                # as moves.total, by m of the farther one: z - 1/g = m/g without its cancellation
                if abs(y) > abs(z):
                    z, g, dg, eg = z + l / h, h, dh, eh
                else:
                    z = y + m / g
                dz, ez = dz + dy + dg / (g * g), ez + ey + eg / (g * g)
                em = el + em
                m, dm = l + m, dl + dm
            else:
                close = abs(m) > 1.0
                c = l - m
                ratio = m / l if close else 1.0 + 0j
                c = c * ratio + el * ratio * ratio - em
                c, r = c / dm, ratio * ratio * dl / dm
                ez, dz = ez + c * dz, r * dz
                # as moves.product, with m / g at the precision of m
                part = l / h
                dpart, epart = dy + dh / (h * h), ey + eh / (h * h)
                out = z * part
                plane = sure if sure else math.copysign(1.0, out.imag)
                low = min(low, same_side(y, plane))
                low = min(low, same_side(z / out if a else z, plane))
                dz, ez = dz * part + z * dpart, ez * part + z * epart
                g = y * h / out
                dg = (dy * h + y * dh - g * dz) / out
                eg = (ey * h + y * eh - g * ez) / out
                z, m, dm, em = out, l, dl, el
            work[k + joint - 1, 0], work[k + joint - 1, 1] = c, r
            continue
        if CORNER <= op < MARCHENKO and op != PADDING:
            low = min(low, same_side(before, sure if sure else math.copysign(1.0, z.imag)))
    return z, g, m, dz, dg, ez, eg, low


@kernel
def unwind(prog, tau, free, work, steps):
    """Steps of all unknowns for the parameter tau at the root; free = 0 leaves residuals out."""
    ops = prog[0]
    k = steps.size
    top, leaf, joint = 0, k, k - 1
    work[2 * k, 0] = tau
    for i in range(ops.size - 1, -1, -1):
        op = ops[i]
        if op == LEAF:
            leaf -= 1
            steps[leaf] = work[2 * k + top, 0]
            top -= 1
        elif op >= SUM:
            joint -= 1
            t = work[2 * k + top, 0]
            top += 1
            work[2 * k + top, 0] = free * work[k + joint, 0] + work[k + joint, 1] * t


@inline
def root_step(prog, target, z, dz, ez):
    """Parameter that takes z to the target: near it, and above powers, in log z."""
    near = abs(target - z) < 0.8 * abs(z)
    if (near or prog[3][0]) and target != 0.0 and z != 0.0:
        return (z * cmath.log(target / z) - ez) / dz
    return (target - z - ez) / dz


@kernel
def newton(prog, target, w, work, steps):
    """Newton in the half planes from w (changed): status, corrected g, z'.

    Status 1: converged on the sheet.
    """
    last, g, dz = math.inf, 0j, 0j
    k = w.size
    for _ in range(NEWTON):
        z, g, _, dz, dg, ez, eg, low = sweep(prog, w, work)
        tau = root_step(prog, target, z, dz, ez)
        unwind(prog, tau, 1.0, work, steps)
        size, share, blur = 0.0, 0.0, 0.0
        for j in range(k):
            step = abs(steps[j])
            if not step < 1e3 * (abs(w[j]) + prog[3][1 + k]):
                return 0, g, dz
            size = max(size, step / (abs(w[j]) if prog[3][1 + j] else abs(w[j].imag)))
            blur = max(blur, step / abs(w[j]))
            # half the way to the real line at most
            if not prog[3][1 + j]:
                share = max(share, -2.0 * steps[j].imag / w[j].imag)
            share = max(share, step / abs(w[j]))
        g = g + eg + tau * dg
        # at a double root steps only halve: no sign of convergence
        near = last < math.inf or abs(target - z) < 0.8 * abs(z)
        small = near and size < 1e-7 and size < 0.2 * last
        rounded = blur < 1e-9 or abs(target - z) < 2e-15 * prog[3][1 + k]
        small = small or blur < 2e-15 or (rounded and size >= 0.7 * last)
        scale = 1.0 if share < 1.0 or small else 1.0 / share
        for j in range(k):
            w[j] += scale * steps[j]
        last = size
        if small:
            return (1 if low > -SLACK else 0), g, dz
    return 0, g, dz


@kernel
def settle(prog, target, free, w, work, steps):
    """Newton on the real line from w (changed): status, g, z', z, low.

    With free = 0 only the constraints are met, and the first unknown stays.
    """
    last, good = math.inf, False
    k = w.size
    z, g, _, dz, dg, ez, eg, low = sweep(prog, w, work)
    for _ in range(NEWTON):
        tau = free * root_step(prog, target, z, dz, ez) if free else 0j
        unwind(prog, tau, 1.0, work, steps)
        size = 0.0
        for j in range(k):
            step = abs(steps[j])
            if not step < 1e3 * (abs(w[j]) + prog[3][1 + k]):
                return 0, g, dz, z, low
            size = max(size, step / abs(w[j]))
            w[j] += steps[j]
        if good or size == 0.0:
            break
        good = size < 1e-9 or (size < 1e-6 and size >= 0.5 * last)
        last = size
        z, g, _, dz, dg, ez, eg, low = sweep(prog, w, work)
    if not good and size > 0.0:
        return 0, g, dz, z, low
    z, g, _, dz, _dg, ez, _eg, low = sweep(prog, w, work)
    for j in range(k):
        if abs(w[j].imag) > 1e-15 * abs(w[j]):
            return 0, g, dz, z, low
    return 1, g, dz, z, low


@kernel
def trace(prog, w, work):
    """Potential at w, in the closed upper half plane: (phi, z, g)."""
    ops, par, data = prog[0], prog[1], prog[2]
    n = ops.size
    top, leaf = -1, 0
    z, g, m, phi = 0j, 0j, 0j, 0j
    for i in range(n):
        op, a, b = ops[i], par[i, 0], par[i, 1]
        if op == LEAF:
            if leaf > 0:
                top += 1
                s = work[top]
                s[0], s[1], s[2], s[3] = z, g, m, phi
            z = w[leaf]
            g, _, m, _ = leaf_values(data, int(a), z)
            phi = leaf_potential(data, int(a), z)
            leaf += 1
            continue
        if op == AFFINE:
            m += b / a * g
            z, g = a * z + b, g / a
            if a < 0.0:
                phi += 1j * math.copysign(math.pi, z.imag)
        elif op == CORNER:
            phi = corner_potential(phi, cmath.log(g), a)
            z, _, g, _ = corner(z, 0j, g, 0j, a)
            m /= a
        elif op == PADDING:
            phi = padding_potential(phi, cmath.log(z), a)
            z, _, g, _ = padding(z, 0j, g, 0j, a)
            m *= a
        elif op == GAUSSIAN:
            phi = gaussian_potential(phi, cmath.log(z), m, a)
            z, _, g, _ = gaussian(z, 0j, g, 0j, a, b)
            m /= a
        elif op == SEMICIRCLE:
            phi = semicircle_potential(phi, g, a)
            m += a * g * g
            z += a * g
        elif op == POISSON:
            slack = 1.0 - b * g
            phi = free_poisson_potential(phi, g, cmath.log(slack), a, b)
            z += a * b / slack
            m += a * b * g / slack
        elif op == PROJECTION:
            phi += (1.0 - a) * (cmath.log(g) + cmath.log(z - (1.0 - a) / g))
            z, _, g, _ = projection(z, 0j, g, 0j, a, b)
        elif op == MARCHENKO:
            log_level = cmath.log(1.0 + a * m if abs(m) < 0.5 else (1.0 - a) + a * z * g)
            phi = marchenko_pastur_potential(phi, m, log_level, a, b)
            factor = cmath.exp(b * log_level)
            z, g = z * factor, g / factor
        elif op == POWER:
            side = math.copysign(math.pi, z.imag)
            phi = a * phi + (a - 1.0) * (cmath.log(-m) - 1j * side)
            factor = cmath.exp((a - 1.0) * cmath.log(m / g))
            z, g = z * factor, g / factor
        elif op == INVERSE:
            phi += -cmath.log(z) + 1j * math.copysign(math.pi, -z.imag)
            z, _, g, _ = inverse(z, 0j, g, 0j)
            m = -1.0 - m
        else:
            s = work[top]
            top -= 1
            y, h, l, psi = s[0], s[1], s[2], s[3]
            if op == SUM:
                phi += psi + cmath.log(h)
                z = z + l / h if abs(y) > abs(z) else y + m / g
                m = l + m
            else:
                out = z * l / h
                side = math.copysign(math.pi, y.imag)
                if a and y.imag * z.imag < 0.0:
                    psi += 2j * side
                phi += psi + cmath.log(-l) - 1j * side
                z, g, m = out, y * h / out, l
    return phi, z, g


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


@kernel
def tangents(prog, dz, work, steps):
    """Derivative of every unknown by z, from the last sweep."""
    unwind(prog, 1.0 / dz, 0.0, work, steps)


@inline
def predict(prog, w, slope, shift, trial):
    """Unknowns along their tangents, kept in their half planes."""
    for j in range(w.size):
        trial[j] = w[j] + slope[j] * shift
        if not prog[3][1 + j] and trial[j].imag / w[j].imag < 0.2:
            trial[j] = complex(trial[j].real, 0.2 * w[j].imag)


@kernel
def approach(prog, start, begin, target, speck, w, work, steps, slope, trial):
    """Carry the solution `begin` at `start` to the target: (status, g).

    On the real line the status tells band and gap apart; w ends at the solution, with an
    infinitesimal imaginary part on a gap.
    """
    k = w.size
    w[:] = begin
    now = start
    real = target.imag == 0.0
    ratio, fresh = 0.25, True
    for _ in range(300):
        if fresh:
            _, g, _, dz, _, _, _, _ = sweep(prog, w, work)
            tangents(prog, dz, work, slope)
            fresh = False
            change, lift = 0.0, 0.0
            for j in range(k):
                ahead = w[j] + slope[j] * (target - now)
                far = abs(w[j]) if prog[3][1 + j] else abs(w[j].imag)
                change = max(change, abs(ahead - w[j]) / far)
                lift = max(lift, abs(ahead.imag / w[j].imag))
            if real and lift < 0.5:
                for j in range(k):
                    trial[j] = complex((w[j] + slope[j] * (target - now)).real,
                                       math.copysign(speck, w[j].imag))  # fmt: skip
                goal = complex(target.real, speck)
                status, g, dz, _z, low = settle(prog, goal, 1.0, trial, work, steps)
                if status == 1 and low > 0.0:
                    w[:] = trial
                    return GAP, g
            if change < 1.0:
                predict(prog, w, slope, target - now, trial)
                status, g, dz = newton(prog, target, trial, work, steps)
                if status == 1:
                    w[:] = trial
                    return BAND, g
        goal = target + ratio * (now - target)
        predict(prog, w, slope, goal - now, trial)
        status, g, dz = newton(prog, goal, trial, work, steps)
        if status == 1:
            w[:] = trial
            now = goal
            fresh = True
            ratio = max(0.03, ratio * ratio)
        else:
            ratio = math.sqrt(ratio)
            if ratio > 0.999:
                break
        if abs(now - target) < 1e-15 * abs(target) + 1e-300:
            break
    return LOST, 0j


@kernel
def mass_above(prog, w, work):
    """Mass to the right of a point of a gap."""
    return trace(prog, w, work)[0].imag / math.pi


@inline
def room(walls, first, final, radius, w):
    """How far an unknown may move on the line: to its next wall; far out, beyond infinity."""
    center = 0.5 * (walls[first] + walls[final - 1])
    far = abs(w - center)
    if far > 3.0 * radius:
        return 0.5 * far * far / radius
    best = math.inf
    for i in range(first, final):
        best = min(best, abs(w - walls[i]))
    return best


@inline
def cell(walls, first, final, w):
    """Index of the gap of a leaf; the two outer ones are one."""
    count = 0
    for i in range(first, final):
        count += 1 if walls[i] < w else 0
    return count if count < final - first else 0


@inline
def shifted(w, center, radius, step):
    """W + step, or the same step in the chart 1/w far out."""
    far = w - center
    if abs(far) > 3.0 * radius:
        return center + far / (1.0 - step / far)
    return w + step


@kernel
def fold(prog, frame, walls, speck, direction, w, work, steps, slope, trial, out):
    """Follow the real curve from a point of a gap (w, changed) to the end of the gap.

    frame (k, 4): per leaf first wall, final wall, center, radius. out: x, curvature, and the mass
    above the place of the fourth. Status: 0 lost, 1 a fold, 2 a wall (an
    atom, or an edge there), 3 the curve ends at z = 0. Then w holds the end, slope the tangents
    by the first unknown.
    """
    k = w.size
    z, g, _, dz, _, _, _, _ = sweep(prog, w, work)
    unwind(prog, 1.0 + 0j, 0.0, work, slope)
    side = math.copysign(1.0, dz.real)
    share = 0.5
    d_here, _started = dz.real, abs(dz.real)
    scale = prog[3][1 + k]
    out[1], out[2], out[3] = 0.0, mass_above(prog, w, work), z.real
    predicted = math.inf
    found = False
    high = w.copy()
    d_high = 0.0
    for _ in range(400):
        limit = math.inf
        nearest = math.inf
        for j in range(k):
            space = room(walls, int(frame[j, 0]), int(frame[j, 1]), frame[j, 3], w[j].real)
            limit = min(limit, space / abs(slope[j].real))
            nearest = min(nearest, space / (abs(w[j].real) + frame[j, 3]))
        if nearest < 1e-11:
            out[0] = z.real if abs(z.real) > 1e-20 * scale else 0.0
            return 2
        if abs(z.real) < 1e-28 * scale:
            out[0] = 0.0
            return 3
        length = min(share * limit, max(1.2 * predicted, 0.01 * share * limit))
        step = direction * side * length
        for j in range(k):
            trial[j] = complex(shifted(w[j].real, frame[j, 2], frame[j, 3], step * slope[j].real),
                               w[j].imag)  # fmt: skip
        status, g, dz_new, z_new, low = settle(prog, 0j, 0.0, trial, work, steps)
        same = status == 1
        for j in range(k):
            f, e = int(frame[j, 0]), int(frame[j, 1])
            same = same and cell(walls, f, e, trial[j].real) == cell(walls, f, e, w[j].real)
        d_new = dz_new.real * side
        if same and d_new <= 0.0:
            found = True
            high[:] = trial
            d_high = dz_new.real
            break
        if not same or low <= 0.0 or not d_new > 0.0:
            share *= 0.5
            if share < 1e-12:
                return 0
            continue
        slope_d = (dz_new.real - d_here) / (trial[0].real - w[0].real)
        moved = abs(trial[0].real - w[0].real)
        falling = (abs(d_here) - abs(dz_new.real)) / moved
        predicted = abs(dz_new.real) / falling if falling > 0.0 else math.inf
        out[1] = slope_d
        w[:] = trial
        z, d_here = z_new, dz_new.real
        if abs(z.real) > 1e-9 * scale:
            # at 0 the arguments of logarithms are lost
            out[2], out[3] = mass_above(prog, w, work), z.real
            sweep(prog, w, work)
        unwind(prog, 1.0 + 0j, 0.0, work, slope)
        share = min(0.5, 1.5 * share)
    if not found:
        return 0
    # false position on z' in a chart of the first unknown
    center, radius = frame[0, 2], frame[0, 3]
    far = abs(w[0].real - center) > 3.0 * radius
    p_low, p_high = chart(w[0].real, center, radius, far), chart(high[0].real, center, radius, far)
    d_low = d_here / dchart(w[0].real, center, radius, far)
    d_high /= dchart(high[0].real, center, radius, far)
    f_low, f_high = d_low, d_high
    turn = 0
    x = z.real
    curved = (d_high - d_low) / (p_high - p_low)
    first = abs(d_low)
    halve = False
    for it in range(100):
        p = p_low + (p_high - p_low) * f_low / (f_low - f_high)
        if halve or it % 4 == 3:
            p = 0.5 * (p_low + p_high)
        near_low = abs(p - p_low) < abs(p - p_high)
        trial[:] = w if near_low else high
        sweep(prog, trial, work)
        unwind(prog, 1.0 + 0j, 0.0, work, slope)
        place = unchart(p, center, radius, far)
        step = place - trial[0].real
        for j in range(1, k):
            there = shifted(trial[j].real, frame[j, 2], frame[j, 3], step * slope[j].real)
            trial[j] = complex(there, trial[j].imag)
        trial[0] = complex(place, trial[0].imag)
        status, g, dz, z, low = settle(prog, 0j, 0.0, trial, work, steps)
        if status != 1:
            if halve:
                return 0
            halve = True
            continue
        halve = False
        d = dz.real / dchart(place, center, radius, far)
        if abs(d) > 1e-5 * first:
            base = w if abs(p - p_low) > abs(p - p_high) else high
            d_base = d_low if abs(p - p_low) > abs(p - p_high) else d_high
            curved = (d - d_base) / (p - chart(base[0].real, center, radius, far))
        x = z.real
        if d * side > 0.0:
            w[:] = trial
            p_low, d_low, f_low = p, d, d
            f_high *= 0.5 if turn == 1 else 1.0
            turn = 1
        else:
            high[:] = trial
            p_high, d_high, f_high = p, d, d
            f_low *= 0.5 if turn == -1 else 1.0
            turn = -1
        gap = abs(p_high - p_low)
        if (
            abs(d) * gap <= 1e-17 * abs(x)
            or d == 0.0
            or gap <= 2e-16 * abs(p)
            or abs(x) < 1e-28 * scale
        ):
            break
    else:
        return 0
    if abs(d_low) > abs(d_high):
        w[:] = high
    z, _g, _, dz, _, _, _, _ = sweep(prog, w, work)
    unwind(prog, 1.0 + 0j, 0.0, work, slope)
    rate = dchart(w[0].real, center, radius, far)
    out[0], out[1] = z.real, curved * rate * rate
    if abs(z.real) < 1e-28 * scale:
        out[0] = 0.0
    return 1


@inline
def chart(w, center, radius, far):
    """An unknown as seen from infinity, far out."""
    return -radius * radius / (w - center) if far else w


@inline
def dchart(w, center, radius, far):
    """Derivative of `chart`."""
    return (radius / (w - center)) ** 2 if far else 1.0


@inline
def unchart(p, center, radius, far):
    """Inverse of `chart`."""
    return center - radius * radius / p if far else p


@inline
def place_of(kind, a, b, t):
    """(x, dx/dt) at the parameter t of a band: an angle, or the root of a logarithm towards 0."""
    if kind == 0:
        x = a + (b - a) * math.sin(0.5 * t) ** 2
        if t > 0.5 * math.pi:
            x = b - (b - a) * math.cos(0.5 * t) ** 2
        return x, 0.5 * (b - a) * math.sin(t)
    end = b if kind == 1 else a
    x = end * math.exp(-t * t)
    return x, 2.0 * t * abs(x)


@inline
def parameter_of(kind, a, b, x):
    """Inverse of `place_of`."""
    if kind == 0:
        return 2.0 * math.atan2(math.sqrt(max(x - a, 0.0)), math.sqrt(max(b - x, 0.0)))
    end = b if kind == 1 else a
    rest = (end - x) / end
    return math.sqrt(max(-math.log1p(-rest) if rest < 0.5 else math.log(end / x), 0.0))


@inline
def clenshaw(c, u):
    """Chebyshev series at u."""
    above, later = 0j, 0j
    for i in range(c.size - 1, 0, -1):
        above, later = c[i] + 2.0 * u * above - later, above
    return c[0] + u * above - later


@kernel
def trace_band(prog, kind, a, b, ends, start, begin, speck, grid, cuts, coefs, spot):
    """Panels of one presumed band: (status, count).

    ends (4, k): the unknowns at both ends, their slopes in the angle. grid: Chebyshev nodes, then
    the transform to coefficients. Status 0: resolved; 1: a gap, its place in spot[0] and the
    unknowns in spot[1:]; 2: a node did not converge, its place in spot[0]; 3: no room.
    """
    n, k = grid.shape[1], begin.size
    work = np.empty((3 * k + 2, 9), np.complex128)
    w, steps, slope, trial = (np.empty(k, np.complex128), np.empty(k, np.complex128),
                              np.empty(k, np.complex128), np.empty(k, np.complex128))  # fmt: skip
    values = np.empty((n, k), np.complex128)
    stack = np.empty((160, 4))
    guesses = np.empty((160, k, n), np.complex128)
    top, count = -1, 0
    if kind == 0:
        top = 0
        stack[0, 0], stack[0, 1], stack[0, 2] = 0.0, math.pi, 0.0
    else:
        for i in range(25, -1, -1):
            top += 1
            stack[top, 0], stack[top, 1], stack[top, 2] = i, i + 1.0, 0.0
    before, x_before = False, 0.0
    while top >= 0:
        left, right, depth = stack[top, 0], stack[top, 1], stack[top, 2]
        guess = guesses[top]
        low_in, _span = stack[top, 3], 0.0
        top -= 1
        for i in range(n):
            u = grid[0, i]
            t = 0.5 * (left + right) + 0.5 * (right - left) * u
            x, _ = place_of(kind, a, b, t)
            done = False
            if depth > 0.0:
                seen = 0.5 * (u + low_in)
                for j in range(k):
                    trial[j] = clenshaw(guess[j], seen)
            elif kind == 0:
                for j in range(k):
                    chord = 0.5 * (ends[0, j] + ends[1, j])
                    chord -= 0.5 * (ends[1, j] - ends[0, j]) * math.cos(t)
                    height = 0.5 * (ends[2, j] + ends[3, j]) * math.sin(t) + 0.25 * (
                        ends[2, j] - ends[3, j]) * math.sin(2.0 * t)  # fmt: skip
                    trial[j] = chord + 1j * height
            if depth > 0.0 or kind == 0:
                status, g, dz = newton(prog, complex(x, 0.0), trial, work, steps)
                done = status == 1
            if not done and before:
                for j in range(k):
                    trial[j] = w[j]
                sweep(prog, trial, work)
                tangents(prog, sweep(prog, trial, work)[3], work, slope)
                predict(prog, w, slope, complex(x - x_before, 0.0), trial)
                status, g, dz = newton(prog, complex(x, 0.0), trial, work, steps)
                done = status == 1
            if done:
                w[:] = trial
            else:
                status, g = approach(
                    prog, start, begin, complex(x, 0.0), speck, w, work, steps, slope, trial
                )
                if status != BAND:
                    spot[0] = x
                    spot[1:] = w
                    return (1 if status == GAP else 2), count
            before, x_before = True, x
            values[i] = w
        if count >= cuts.shape[0]:
            return 3, count
        worst = 0.0
        for j in range(k):
            height, middle = 0.0, 0.5 * (values[0, j] + values[n - 1, j])
            for i in range(n):
                size = abs(values[i, j] - middle) if prog[3][1 + j] else abs(values[i, j].imag)
                height = max(height, size)
            c = coefs[count, j]
            for i in range(n):
                s = 0j
                for l in range(n):
                    s += grid[1 + i, l] * values[l, j]
                c[i] = s
            worst = max(worst, max(abs(c[n - 1]), abs(c[n - 2])) / height)
        x0, _ = place_of(kind, a, b, left)
        x1, _ = place_of(kind, a, b, right)
        if worst > 3e-8 and abs(x1 - x0) > 1e-11 * abs(x0 + x1) and top < 156:
            middle = 0.5 * (left + right)
            for half in range(1, -1, -1):
                top += 1
                stack[top, 0] = middle if half else left
                stack[top, 1] = right if half else middle
                stack[top, 2], stack[top, 3] = depth + 1.0, 1.0 if half else -1.0
                guesses[top] = coefs[count]
            continue
        cuts[count, 0], cuts[count, 1], cuts[count, 2] = left, right, worst
        count += 1
        if kind != 0 and right == math.floor(right):
            x, _ = place_of(kind, a, b, right)
            for j in range(k):
                trial[j] = clenshaw(coefs[count - 1, j], 1.0)
            status, _g, _dz = newton(prog, complex(x, 0.0), trial, work, steps)
            rest = abs(trace(prog, trial, work)[0].imag / math.pi - spot[0].real)
            spot[0] = complex(spot[0].real, rest)
            if rest < 1e-13:
                break
    return 0, count


@kernel
def evaluate(prog, kinds, x_edges, first, cuts, coefs, start, begin, speck, band, x, want, out):
    """Density (want 0), mass above (1) or G (2, complex) at x inside the bands; failures.

    first: index of the first panel of every band, and the number of panels.
    """
    k = coefs.shape[1]
    work = np.empty((3 * k + 2, 9), np.complex128)
    w, steps, slope, trial = (np.empty(k, np.complex128), np.empty(k, np.complex128),
                              np.empty(k, np.complex128), np.empty(k, np.complex128))  # fmt: skip
    failures = 0
    for i in range(x.size):
        q = band[i]
        a, b, kind = x_edges[q, 0], x_edges[q, 1], kinds[q]
        t = parameter_of(kind, a, b, x[i])
        low, high = first[q], first[q + 1] - 1
        while low < high:
            middle = (low + high + 1) // 2
            if cuts[middle, 0] <= t:
                low = middle
            else:
                high = middle - 1
        left, right = cuts[low, 0], cuts[low, 1]
        u = (2.0 * t - left - right) / (right - left)
        for j in range(k):
            trial[j] = clenshaw(coefs[low, j], min(max(u, -1.0), 1.0))
        status, g, _dz = newton(prog, complex(x[i], 0.0), trial, work, steps)
        if status != 1:
            status, g = approach(
                prog, start, begin, complex(x[i], 0.0), speck, trial, work, steps, slope, w
            )
            status = 1 if status == BAND else 0
        if status != 1:
            failures += 1
            out[i] = complex(math.nan, math.nan)
        elif want == 1:
            out[i] = trace(prog, trial, work)[0].imag / math.pi
        else:
            out[i] = g
    return failures


@kernel
def solve_points(prog, start, begin, z, speck, out, ws):
    """G (n,) and the unknowns (n, k) at points of the closed upper half plane; failures."""
    k = begin.size
    work = np.empty((3 * k + 2, 9), np.complex128)
    w, steps, slope, trial = (np.empty(k, np.complex128), np.empty(k, np.complex128),
                              np.empty(k, np.complex128), np.empty(k, np.complex128))  # fmt: skip
    far = np.empty(k, np.complex128)
    failures = 0
    for i in range(z.size):
        if abs(z[i]) > 30.0 * prog[3][1 + k]:
            # far out by way of the imaginary direction
            above = complex(z[i].real, abs(z[i]))
            status, g = approach(prog, start, begin, above, speck, far, work, steps, slope, trial)
            status, g = approach(prog, above, far, z[i], speck, w, work, steps, slope, trial)
        else:
            status, g = approach(prog, start, begin, z[i], speck, w, work, steps, slope, trial)
        if status == LOST:
            failures += 1
            g = complex(math.nan, math.nan)
        out[i] = g
        ws[i] = w
    return failures
