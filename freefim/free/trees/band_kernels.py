"""Kernels of bands: the ends of gaps, panels along a band, values at many points.

The cache does not see edits of `kernels` and `leaf_kernels`: touch this file after them.
"""

import math

import numpy as np

from freefim._jit import inline, kernel
from freefim.free.trees.kernels import (
    BAND,
    GAP,
    LOST,
    approach,
    newton,
    predict,
    settle,
    sweep,
    tangents,
    trace,
    unwind,
)

#: Mass that rounding may move along a gap.
MASS = 1e-9
#: Mass that a panel may leave unresolved.
LIGHT = 1e-15
#: Size of a panel's last coefficients of the mass by the parameter.
BENT = 1e-4
#: Angle from which on an edge panels are asked for.
BESIDE = 1e-6


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


@inline
def atoms_between(atoms, x, y):
    """Mass of the atoms between two points."""
    total = 0.0
    for i in range(atoms.shape[0]):
        if min(x, y) < atoms[i, 0] < max(x, y):
            total += atoms[i, 1]
    return total


@kernel
def fold(prog, frame, walls, atoms, speck, direction, w, work, steps, slope, trial, out):
    """Follow the real curve from a point of a gap (w, changed) to the end of the gap.

    frame (k, 4): per leaf first wall, final wall, center, radius. atoms (n, 2): places, masses.
    out: x, curvature, the mass above the place of the fourth, and for a wall the last place before
    it. Status: 0 lost, 1 a fold, 2 a
    wall (an atom, or an edge there), 3 the curve ends at z = 0. Then w holds the end, slope the
    tangents by the first unknown. Steps that pass mass other than that of atoms have left the gap.
    """
    k = w.size
    z, _, _, dz, _, _, _, _ = sweep(prog, w, work)
    unwind(prog, 1.0 + 0j, 0.0, work, slope)
    side = math.copysign(1.0, dz.real)
    share = 0.5
    d_here = dz.real
    scale = prog[3][1 + k]
    out[1], out[2], out[3] = 0.0, mass_above(prog, w, work), z.real
    predicted = math.inf
    low_w, high = w.copy(), w.copy()
    for _ in range(400):
        limit = math.inf
        nearest = math.inf
        for j in range(k):
            space = room(walls, int(frame[j, 0]), int(frame[j, 1]), frame[j, 3], w[j].real)
            limit = min(limit, space / abs(slope[j].real))
            nearest = min(nearest, space / (abs(w[j].real) + frame[j, 3]))
        if nearest < 1e-11:
            end = z.real + direction * abs(d_here) * limit
            out[0] = end if abs(end) > 1e-20 * scale else 0.0
            out[4] = z.real
            return 2
        if abs(z.real) < 1e-28 * scale:
            out[0] = 0.0
            return 3
        length = min(share * limit, max(1.2 * predicted, 0.01 * share * limit))
        step = direction * side * length
        for j in range(k):
            trial[j] = complex(shifted(w[j].real, frame[j, 2], frame[j, 3], step * slope[j].real),
                               w[j].imag)  # fmt: skip
        status, _, dz_new, z_new, low = settle(prog, 0j, 0.0, trial, work, steps)
        same = status == 1
        for j in range(k):
            f, e = int(frame[j, 0]), int(frame[j, 1])
            same = same and cell(walls, f, e, trial[j].real) == cell(walls, f, e, w[j].real)
        d_new = dz_new.real * side
        good = same and low > 0.0 and d_new > 0.0
        if same and d_new <= 0.0:
            low_w[:], high[:] = w, trial
            if polish(prog, frame, side, d_here, dz_new.real, low_w, high, work, steps, slope,
                      trial, out):  # fmt: skip
                passed = atoms_between(atoms, out[3], out[0])
                if abs(out[0]) < 1e-9 * scale or abs(abs(out[4] - out[2]) - passed) < MASS:
                    w[:] = low_w
                    sweep(prog, w, work)
                    unwind(prog, 1.0 + 0j, 0.0, work, slope)
                    return 1
            sweep(prog, w, work)
            unwind(prog, 1.0 + 0j, 0.0, work, slope)
        if good and abs(z_new.real) > 1e-9 * scale:
            # at 0 the arguments of logarithms are lost
            held = mass_above(prog, trial, work)
            passed = atoms_between(atoms, out[3], z_new.real)
            good = abs(abs(held - out[2]) - passed) < MASS
            if good:
                out[2], out[3] = held, z_new.real
        if not good:
            share *= 0.5
            if share < 1e-12:
                return 0
            sweep(prog, w, work)
            unwind(prog, 1.0 + 0j, 0.0, work, slope)
            continue
        slope_d = (dz_new.real - d_here) / (trial[0].real - w[0].real)
        moved = abs(trial[0].real - w[0].real)
        falling = (abs(d_here) - abs(dz_new.real)) / moved
        predicted = abs(dz_new.real) / falling if falling > 0.0 else math.inf
        out[1] = slope_d
        w[:] = trial
        z, d_here = z_new, dz_new.real
        sweep(prog, w, work)
        unwind(prog, 1.0 + 0j, 0.0, work, slope)
        share = min(0.5, 1.5 * share)
    return 0


@kernel
def polish(prog, frame, side, d_low, d_high, w, high, work, steps, slope, trial, out):
    """Find the zero of z' between w (in the gap) and high, both changed: found or not.

    out: place, curvature, and the mass above as the fifth.
    """
    k = w.size
    scale = prog[3][1 + k]
    # false position on z' in a chart of the first unknown
    center, radius = frame[0, 2], frame[0, 3]
    far = abs(w[0].real - center) > 3.0 * radius
    p_low, p_high = chart(w[0].real, center, radius, far), chart(high[0].real, center, radius, far)
    d_low /= dchart(w[0].real, center, radius, far)
    d_high /= dchart(high[0].real, center, radius, far)
    f_low, f_high = d_low, d_high
    turn = 0
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
        status, _, dz, z, _ = settle(prog, 0j, 0.0, trial, work, steps)
        if status != 1:
            if halve:
                return False
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
        return False
    out[4] = mass_above(prog, w, work)
    if abs(d_low) > abs(d_high):
        w[:] = high
    z, _, _, _, _, _, _, _ = sweep(prog, w, work)
    rate = dchart(w[0].real, center, radius, far)
    out[0], out[1] = z.real, curved * rate * rate
    if abs(z.real) < 1e-28 * scale:
        out[0] = 0.0
    return True


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
    values, flow = np.empty((n, k), np.complex128), np.empty(n)
    stack = np.empty((160, 4))
    guesses = np.empty((160, k, n), np.complex128)
    top, count = -1, 0
    if kind == 0:
        top = 0
        stack[0, 0], stack[0, 1], stack[0, 2] = 0.0, math.pi, 0.0
    else:
        for i in range(12, -1, -1):
            top += 1
            stack[top, 0], stack[top, 1], stack[top, 2] = 2.0 * i, 2.0 * i + 2.0, 0.0
    before, x_before, g = False, 0.0, 0j
    while top >= 0:
        left, right, depth = stack[top, 0], stack[top, 1], stack[top, 2]
        guess = guesses[top]
        low_in = stack[top, 3]
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
                status, g, _ = newton(prog, complex(x, 0.0), trial, work, steps)
                done = status == 1
            if not done and before:
                for j in range(k):
                    trial[j] = w[j]
                sweep(prog, trial, work)
                tangents(prog, sweep(prog, trial, work)[3], work, slope)
                predict(prog, w, slope, complex(x - x_before, 0.0), trial)
                status, g, _ = newton(prog, complex(x, 0.0), trial, work, steps)
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
            flow[i] = abs(g.imag) * place_of(kind, a, b, t)[1]
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
            # rounding of the farther part, the real one as a rule, is no tail
            floor = 1e-13 * abs(middle)
            for i in range(n - 2, n):
                real = max(abs(c[i].real) - floor, 0.0)
                imaginary = max(abs(c[i].imag) - (floor if prog[3][1 + j] else 0.0), 0.0)
                worst = max(worst, max(real, imaginary) / height)
        x0, _ = place_of(kind, a, b, left)
        x1, _ = place_of(kind, a, b, right)
        # the mass by the parameter, for quadrature: it may bend where no unknown does
        dense, bent = 0.0, 0.0
        for i in range(n):
            dense = max(dense, flow[i])
        for l in range(n - 2, n):
            s = 0.0
            for i in range(n):
                s += grid[1 + l, i] * flow[i]
            bent = max(bent, abs(s) / dense)
        # an unknown that vanishes at the left end may have no digits there
        blind = False
        if kind == 0 and left == 0.0 and right > BESIDE:
            for j in range(k):
                trial[j] = clenshaw(coefs[count, j], 2.0 * BESIDE / right - 1.0)
            x, _ = place_of(kind, a, b, BESIDE)
            blind = newton(prog, complex(x, 0.0), trial, work, steps)[0] != 1
        # where numbers end, or too light to matter as long as Newton finds from there
        narrow = abs(x1 - x0) <= 1e-11 * abs(x0 + x1) or right - left <= 1e-11 * (left + right)
        light = worst < 0.05 and worst * dense * (right - left) < LIGHT
        rough = (worst > 3e-8 or bent > BENT) and not light
        if (rough or blind) and not narrow and top < 156:
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
