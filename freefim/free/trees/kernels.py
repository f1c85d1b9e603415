"""Kernels of trees: a sweep along a program, Newton steps on all unknowns, continuation.

A program is the tuple (ops, par, data) of `trees.program`, and w holds one unknown per leaf. The
state along it is (z, g, m) with two lines of derivatives: d along the curve of points that meet
all constraints, per unit of the first leaf, and e the way back to that curve. On the real line
everything carries an infinitesimal imaginary part, which then is the derivative.
"""

import cmath
import math

from freefim._jit import inline, kernel
from freefim.free import moves
from freefim.free.trees.leaf_kernels import in_band, leaf_potential, leaf_values
from freefim.free.trees.program import (
    AFFINE,
    CIRCULAR,
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
circular_total = inline(moves.circular_total)
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


@inline
def same_side(value, plane):
    """Im value on the side of `plane`, relative to the size of the value."""
    return value.imag * plane / abs(value)


@inline
def turned(z, angle, exponent, plane):
    """Slack of arg z + exponent·angle in (0, π), seen from the half plane of z."""
    side = math.copysign(1.0, z.imag)
    if plane * side < 0.0:
        return z.imag / abs(z)
    angle = side * (cmath.phase(z) + exponent * angle)
    return min(angle, math.pi - angle) + TURN


@inline
def logarithm(value):
    """Logarithm, large where a step went astray to 0."""
    return cmath.log(value) if value != 0.0 else complex(-700.0, 0.0)


@inline
def upper_root(z, plane):
    """Square root of z in the half plane."""
    return plane * 1j * cmath.sqrt(-z)


@inline
def circular_side(y, h, z, g, top, plane):
    """Slack of the sheet of a sum of symmetric laws that are known by their squares."""
    one, two = upper_root(y, plane) * h, upper_root(z, plane) * g
    ratio = two / one
    low = min(ratio.real / abs(ratio), -same_side(one, plane))
    return min(low, same_side(one / top, plane))


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
            log_level = logarithm(level)
            factor = level if b == 1.0 else cmath.exp(b * log_level)
            # one factor turns as a rectangular product does, on signed laws too
            if b != 1.0:
                low = min(low, turned(z, log_level.imag, b, sure))
            if loose:
                _, ez, _, eg = marchenko_pastur(z, ez, g, eg, a, factor, b)
            z, dz, g, dg = marchenko_pastur(z, dz, g, dg, a, factor, b)
        elif op == POWER:
            if m == 0.0 or z * g == 1.0:
                # a step went astray to infinity
                return z, g, m, dz, dg, ez, eg, -1.0
            log_level = logarithm(m / g)
            factor = cmath.exp((a - 1.0) * log_level)
            low = min(low, turned(z, log_level.imag, a - 1.0, sure))
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
            elif op == CIRCULAR:
                # the constraint in the transforms G of the terms, or in 1/G near a pole
                root, other = upper_root(y, 1.0), upper_root(z, 1.0)
                one, two = root * h, other * g
                done, eone = h * dy / (2.0 * root) + root * dh, h * ey / (2.0 * root) + root * eh
                dtwo = g * dz / (2.0 * other) + other * dg
                etwo = g * ez / (2.0 * other) + other * eg
                ratio = two / one if abs(one * one) * b > 1.0 else 1.0 + 0j
                c = (one - two) * ratio + eone * ratio * ratio - etwo
                c, r = c / dtwo, ratio * ratio * done / dtwo
                ez, eg, em = ez + c * dz, eg + c * dg, em + c * dm
                dz, dg, dm = r * dz, r * dg, r * dm
                p, dp, ep = one * one, 2.0 * one * done, 2.0 * one * eone
                _, ez, _, eg = circular_total(l, el, p, ep, g, eg)
                beside = g
                there = z
                z, dz, g, dg = circular_total(l, dl, p, dp, g, dg)
                plane = sure if sure else math.copysign(1.0, z.imag)
                low = min(low, circular_side(y, h, there, beside, g, plane))
                # roots in the half plane do not tell a point from its conjugate, G does
                low = min(low, -same_side(g, plane))
                m, dm, em = l + m, dl + dm, el + em
            else:
                close = abs(m) > 1.0
                # near 0, where m is -1, by the digits of 1 + m if the factors keep them
                c = y * h - z * g if b and abs(z * g) < 0.5 else l - m
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
        if op != PADDING and (CORNER <= op < MARCHENKO or (op == MARCHENKO and b == 1.0)):
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
    if dz == 0.0:
        return complex(math.inf, 0.0)
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
    for j in range(k):
        if not abs(w[j]) < math.inf:
            return 0, g, dz
    # rounding of z, relative and absolute
    blind = 2e-15 * (1.0 + prog[3][0])
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
        # beside an atom at 0 G follows z, not the unknowns
        small = small and abs(target - z) < 1e-6 * abs(z)
        rounded = blur < 1e-9 or abs(target - z) < blind * abs(target) + prog[3][2 + k]
        small = small or blur < 2e-15 or (rounded and size >= 0.6 * last)
        scale = 1.0 if share < 1.0 or small else 1.0 / share
        for j in range(k):
            w[j] += scale * steps[j]
        last = size
        if small:
            if target.imag == 0.0 and -SLACK < low < 0.0:
                # on the line, with unknowns flat to rounding, the conjugate root may be met
                for j in range(k):
                    steps[j] = w[j].conjugate()
                if sweep(prog, steps, work)[7] > 0.0:
                    w[:] = steps
                    g, dz = g.conjugate(), dz.conjugate()
            return (1 if low > -SLACK else 0), g, dz
    return 0, g, dz


@kernel
def settle(prog, target, free, w, work, steps):
    """Newton on the real line from w (changed): status, g, z', z, low.

    With free = 0 only the constraints are met, and the first unknown stays.
    """
    last, good = math.inf, False
    k = w.size
    z, g, _, dz, _dg, ez, _eg, low = sweep(prog, w, work)
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
        z, g, _, dz, _, ez, _, low = sweep(prog, w, work)
    if not good and size > 0.0:
        return 0, g, dz, z, low
    z, g, _, dz, _, ez, _, low = sweep(prog, w, work)
    for j in range(k):
        # an unknown may be 0 where the point is
        size = abs(w[j]) + (1e-9 * prog[3][1 + k] if free and target.real == 0.0 else 0.0)
        if abs(w[j].imag) > 1e-15 * size:
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
            elif op == CIRCULAR:
                there = z
                z, _, g, _ = circular_total(l, 0j, y * h * h, 0j, g, 0j)
                # on the line the sign of Im z is rounding, that of Im g inside a band is not
                flat = abs(z.imag) <= SLACK * abs(z) and g.imag != 0.0
                plane = math.copysign(1.0, -g.imag if flat else z.imag)
                turns = (1.0 if y.imag * plane < 0.0 else 0.0) + (
                    1.0 if there.imag * plane < 0.0 else 0.0)  # fmt: skip
                phi += 2j * math.pi * plane * turns + psi
                phi += 2.0 * cmath.log(upper_root(y, plane) * h)
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
def tangents(prog, dz, work, steps):
    """Derivative of every unknown by z, from the last sweep."""
    unwind(prog, 1.0 / dz if dz != 0.0 else complex(math.inf, 0.0), 0.0, work, steps)


@inline
def predict(prog, w, slope, shift, trial):
    """Unknowns along their tangents, kept in their half planes."""
    for j in range(w.size):
        trial[j] = w[j] + slope[j] * shift
        if not prog[3][1 + j] and trial[j].imag / w[j].imag < 0.2:
            trial[j] = complex(trial[j].real, 0.2 * w[j].imag)


@kernel
def in_gaps(prog, w):
    """Whether every unknown lies in a gap of its leaf."""
    leaf = 0
    for i in range(prog[0].size):
        if prog[0][i] == LEAF:
            if in_band(prog[2], int(prog[1][i, 0]), w[leaf].real):
                return False
            leaf += 1
    return True


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
                if status == 1 and low > 0.0 and in_gaps(prog, trial):
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
        if abs(now - target) < 1e-40 * abs(target) + 1e-300:
            break
    return LOST, 0j
