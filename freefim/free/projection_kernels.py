"""Kernels for chains of projections: real gap search and complex solve, arrays in, codes out.

State along the chain: (z, F = 1/G); parameter t = ω - start, so F = t exactly at the start. An
operation is a row (b, g, c, q) of `par`, with its kind in `ops`:

    GATE    v = z - b F;                  F <- g F v / z;        z <- g v + q
    WISHART v = z - b F, u = c - 1 + z/F; F <- g c v;            z <- g v u + q   (after its gate)
    CORNER  v = z - b F  (b = 1 - c);     F <- g c F;            z <- g v + q
    PADDING F <- g / ((1 - c)/z + c/F);                          z <- g z + q

Each v and each v u is a map H of the upper half plane whose derivative must be positive on a gap.
"""

import math

import numpy as np

from freefim._jit import inline, kernel

GATE, WISHART, CORNER, PADDING = 0, 1, 2, 3
PASS = 1 << 30
LANES = 8
NODES = 17
EPS = 2.220446049250313e-16
#: Distance from the physical sheet, relative to Im t, that a step of Newton may leave.
SLACK = 1e-3
#: Points within ZONE rounding errors, of x or of t, of an edge follow the root law of the edge.
ZONE = 64.0
#: Panels of one band that may fail, and be halved, before the band is given up.
LOSSES = 80


@inline
def last_map(ops, par, n):
    """Index of the last operation that holds a map H, or -1."""
    for j in range(n - 1, -1, -1):
        if ops[j] == WISHART or (ops[j] != PADDING and par[j, 0] > 0.0):
            return j
    return -1


@inline
def count_maps(ops, par, n):
    """Number of the maps H: one for every mass taken out, one for every Gaussian matrix."""
    count = 0
    for j in range(n):
        if ops[j] != PADDING:
            count += (1 if par[j, 0] > 0.0 else 0) + (1 if ops[j] == WISHART else 0)
    return count


@inline
def probe(ops, par, n, t, start, out):
    """Real pass at t. Returns the index of the first H with H' <= 0, or PASS.

    out: [z, F, z', F', z'', F'', phi, dphi, coordinate, D, D', slope]; on failure phi = dH/dz < 0,
    dphi its derivative, the coordinate z at that H and dz/dt; D, D' are H', H'' (in t) of the last
    H seen.
    The quotient y = F/z is carried where no shift parts the two: at an atom at 0 both vanish.
    """
    z, f = start + t, t
    z1, f1, z2, f2 = 1.0, 1.0, 0.0, 0.0
    d, d1 = 1.0, 0.0
    y, y1, y2 = 0.0, 0.0, 0.0
    seen = 0
    shifted = True
    for j in range(n):
        b, g, c, q = par[j, 0], par[j, 1], par[j, 2], par[j, 3]
        op = ops[j]
        if shifted:
            inverse = 1.0 / (z if z != 0.0 else 1e-30 * start)
            y = f * inverse
            y1 = (f1 - y * z1) * inverse
            y2 = (f2 - 2.0 * y1 * z1 - y * z2) * inverse
        v, v1, v2 = z - b * f, z1 - b * f1, z2 - b * f2
        if b > 0.0:
            d, d1 = v1, v2
            if not v1 > 0.0:
                out[6] = v1 / z1
                out[7] = (v2 * z1 - v1 * z2) / z1**3
                out[8], out[11] = z, z1
                out[9], out[10] = d, d1
                return seen
            seen += 1
        if op == GATE:
            f, f1, f2 = g * y * v, g * (y1 * v + y * v1), g * (y2 * v + 2.0 * y1 * v1 + y * v2)
            z, z1, z2 = g * v + q, g * v1, g * v2
        elif op == WISHART:
            r = 1.0 / y
            r1 = -y1 * r * r
            r2 = -(y2 * r + 2.0 * y1 * r1) * r
            u = c - 1.0 + r
            h, h1, h2 = v * u, v1 * u + v * r1, v2 * u + 2.0 * v1 * r1 + v * r2
            d, d1 = h1, h2
            if not h1 > 0.0:
                out[6] = h1 / v1
                out[7] = (h2 * v1 - h1 * v2) / v1**3
                out[8], out[11] = v, v1
                out[9], out[10] = d, d1
                return seen
            seen += 1
            f, f1, f2 = g * c * v, g * c * v1, g * c * v2
            z, z1, z2 = g * h + q, g * h1, g * h2
            if q == 0.0:
                y = c / u
                y1 = -y * r1 / u
                y2 = -(y * r2 + 2.0 * y1 * r1) / u
        elif op == CORNER:
            share = c / (1.0 - b * y)
            slope = share * share / c
            y2 = slope * (y2 + 2.0 * b / c * share * y1 * y1)
            y, y1 = share * y, slope * y1
            f, f1, f2 = g * c * f, g * c * f1, g * c * f2
            z, z1, z2 = g * v + q, g * v1, g * v2
        else:
            share = 1.0 / (c + (1.0 - c) * y)
            slope = c * share * share
            y2 = slope * (y2 - 2.0 * (1.0 - c) * share * y1 * y1)
            y, y1 = share * y, slope * y1
            f2 = g * (z2 * y + 2.0 * z1 * y1 + z * y2)
            f1 = g * (z1 * y + z * y1)
            f = g * z * y
            z, z1, z2 = g * z + q, g * z1, g * z2
        shifted = q != 0.0
    out[0], out[1], out[2], out[3], out[4], out[5] = z, f, z1, f1, z2, f2
    out[9], out[10] = d, d1
    return PASS


@inline
def midpoint(a, b):
    """A point between a and b, geometric where they differ by more than an order of magnitude."""
    if a > 0.0 and b > 0.0 and max(a, b) > 10.0 * min(a, b):
        return math.sqrt(a) * math.sqrt(b)
    if a < 0.0 and b < 0.0 and max(-a, -b) > 10.0 * min(-a, -b):
        return -math.sqrt(-a) * math.sqrt(-b)
    if a == 0.0:
        return b / 64.0
    if b == 0.0:
        return a / 64.0
    return 0.5 * (a + b)


@inline
def find_edge(ops, par, n, inside, outside, start, last, out):
    """End of the gap between a point inside it and one outside: the root of the last H'."""
    good, bad = inside, outside
    t = midpoint(good, bad)
    step = abs(bad - good)
    for _ in range(400):
        code = probe(ops, par, n, t, start, out)
        if code == PASS:
            good = t
        else:
            bad = t
        nxt = midpoint(good, bad)
        if code in (PASS, last):
            newton = t - out[9] / out[10]
            inside_bracket = min(good, bad) < newton < max(good, bad)
            if inside_bracket and abs(newton - t) < 0.5 * step:
                nxt = newton
        step = abs(nxt - t)
        t = nxt
        if step <= 2.0 * EPS * abs(t) or abs(good - bad) <= 2.0 * EPS * abs(t):
            break
    # The root is known to rounding: stand on its side inside the gap, where every H' > 0.
    shift = 2.0 * EPS * abs(t)
    for _ in range(30):
        if probe(ops, par, n, t, start, out) == PASS:
            return t
        t = t + shift if good > t else t - shift
        shift *= 2.0
        if abs(good - t) <= shift:
            break
    return good


@inline
def search(ops, par, n, lo, hi, start, out):
    """A point of the one gap inside (lo, hi), both ends of which fail.

    Returns (code, t): 0 found at t, 1 certified empty, 2 collapsed below rounding at t. The search
    runs into an end of the interval only where there is no gap.
    """
    klo, plo, dlo, zlo = -1, 0.0, 0.0, 0.0
    khi, phi, dhi, zhi = -2, 0.0, 0.0, 0.0
    t = midpoint(lo, hi)
    for _ in range(400):
        code = probe(ops, par, n, t, start, out)
        if code == PASS:
            return 0, t
        if out[7] > 0.0:
            lo, klo, plo, dlo, zlo = t, code, out[6], out[7], out[8]
        else:
            hi, khi, phi, dhi, zhi = t, code, out[6], out[7], out[8]
        if hi - lo <= 4.0 * EPS * max(abs(lo), abs(hi)) or abs(t) < 1e-100 * start:
            return (1 if klo < 0 or khi < 0 else 2), t
        here, width = t, hi - lo
        t = midpoint(lo, hi)
        if klo < 0 or khi < 0:
            # the tangent bounds the concave phi: twice its step is in the gap or near it
            t = here - 2.0 * out[6] / (out[7] * out[11])
            if not t > lo:
                t = lo + width / 64.0
            if not t < hi:
                t = hi - width / 64.0
        if klo == khi:
            s = (phi - plo + dlo * zlo - dhi * zhi) / (dlo - dhi)
            if plo + dlo * (s - zlo) < 0.0:
                return 1, t
            share = (s - zlo) / (zhi - zlo)
            if share == share:
                t = lo + min(max(share, 0.1), 0.9) * (hi - lo)
    return (1 if klo < 0 or khi < 0 else 2), t


@inline
def level_root(ops, par, n, which, hi, guess, start, out):
    """Root of z (which = 0) or of the next v (which = 1) in the outer left gap of n operations.

    The gap within (-inf, hi) is an interval (-inf, e). Returns nan where the root is not in it.
    """
    lo = guess
    reach = hi - guess
    value, slope = 1.0, 1.0
    for _ in range(200):
        code = probe(ops, par, n, lo, start, out)
        value = out[0] - which * par[n, 0] * out[1]
        slope = out[2] - which * par[n, 0] * out[3]
        if code == PASS and value <= 0.0:
            break
        hi = lo
        reach *= 2.0
        # a little beyond the step of Newton, so that the root comes to lie between
        lo -= min(1.01 * value / slope, reach) if code == PASS and slope > 0.0 else reach
    t = lo
    code = PASS
    for _ in range(400):
        nxt = 0.5 * (lo + hi)
        newton = False
        if code == PASS:
            there = t - value / slope
            if lo <= there < hi:
                newton = abs(there - t) <= 1e-8 * abs(t)
                nxt = there
        if newton or hi - lo <= 2.0 * EPS * abs(hi):
            t = nxt
            break
        t = nxt
        code = probe(ops, par, n, t, start, out)
        value = out[0] - which * par[n, 0] * out[1]
        slope = out[2] - which * par[n, 0] * out[3]
        if code != PASS or value > 0.0:
            hi = t
        else:
            lo = t
    code = probe(ops, par, n, t, start, out)
    value = out[0] - which * par[n, 0] * out[1]
    size = start + abs(out[0]) + abs(out[2] * t)
    if code == PASS and abs(value) <= 1e-6 * size:
        return t
    return math.nan


@inline
def padding_root(ops, par, n, lo, hi, start, out):
    """Where the Cauchy transform after padding (operation n) is 0 in the gap within (lo, hi)."""
    c = par[n, 2]
    for _ in range(200):
        t = midpoint(lo, hi)
        code = probe(ops, par, n, t, start, out)
        if code == PASS:
            if (1.0 - c) / out[0] + c / out[1] > 0.0:
                lo = t
            else:
                hi = t
        elif out[7] > 0.0:
            lo = t
        else:
            hi = t
        if hi - lo <= 2.0 * EPS * max(abs(lo), abs(hi)):
            break
    t = midpoint(lo, hi)
    code = probe(ops, par, n, t, start, out)
    if code == PASS:
        g = (1.0 - c) / out[0] + c / out[1]
        if abs(g) <= 1e-6 * (abs((1.0 - c) / out[0]) + abs(c / out[1])):
            return t
    return math.nan


@inline
def doubled(points):
    """The same points with room for twice as many."""
    larger = np.empty(2 * len(points))
    for i in range(len(points)):
        larger[i] = points[i]
    return larger


@inline
def insert_sorted(points, count, t):
    """Insert t into the ascending list points[:count], once; returns the new count."""
    i = count
    while i > 0 and points[i - 1] > t:
        i -= 1
    size = 8.0 * EPS * abs(t)
    if (i > 0 and t - points[i - 1] <= size) or (i < count and points[i] - t <= size):
        return count
    for k in range(count, i, -1):
        points[k] = points[k - 1]
    points[i] = t
    return count + 1


@kernel
def find_cuts(ops, par, start, cut_atoms):
    """Points that separate gaps: poles of the maps H inside gaps of earlier levels.

    Returns the ascending cuts, each cell between two of which holds at most one gap.
    """
    n = len(ops)
    out = np.empty(12)
    points = np.empty(16)
    count = 0
    last = last_map(ops, par, n)
    step = 2.0 * start
    if cut_atoms:
        points[0] = 0.0
        count = 1
    for j in range(last + 1):
        if count + 2 > len(points):
            points = doubled(points)
        op = ops[j]
        hi = points[0] if count > 0 else 0.0
        if count > 1:
            step = points[1] - points[0]
        if op == CORNER:
            continue
        if op in (GATE, PADDING):
            root = level_root(ops, par, j, 0.0, hi, hi - step, start, out)
            if root == root and j < last:
                count = insert_sorted(points, count, root)
                hi = points[0]
        if cut_atoms and op != PADDING:
            root = level_root(ops, par, j, 1.0, hi, hi - step, start, out)
            if root == root:
                count = insert_sorted(points, count, root)
        if op == PADDING and j < last:
            fresh = np.empty(count + 1)
            found = 0
            for i in range(count - 1):
                root = padding_root(ops, par, j, points[i], points[i + 1], start, out)
                if root == root:
                    fresh[found] = root
                    found += 1
            for i in range(found):
                if count + 2 > len(points):
                    points = doubled(points)
                count = insert_sorted(points, count, fresh[i])
    return points[:count].copy()


@kernel
def find_gaps(ops, par, start, cuts):
    """All gaps of the final law as intervals of t, ascending.

    Returns (status, gaps (k, 2), closed): gaps[0, 0] = -inf and gaps[-1, 1] = +inf are the outer
    ones; `closed` lists places where a gap is closed to rounding. Status 0 is success,
    1: the outer gap was not found.
    """
    n = len(ops)
    out = np.empty(12)
    last = count_maps(ops, par, n) - 1
    m = len(cuts)
    gaps = np.empty((2 * m + 4, 2))
    closed = np.empty(m + 2)
    ngaps, nclosed = 0, 0
    low = cuts[0] if m > 0 else 0.0
    high = cuts[m - 1] if m > 0 else 0.0
    far_low, far_high = 2.0 * low - start, high + start
    ok = False
    for _ in range(200):
        if probe(ops, par, n, far_low, start, out) == PASS:
            ok = True
            break
        far_low *= 2.0
    for _ in range(200):
        if probe(ops, par, n, far_high, start, out) == PASS:
            break
        far_high = high + 2.0 * (far_high - high)
    if not ok or probe(ops, par, n, far_high, start, out) != PASS:
        return 1, gaps[:0].copy(), closed[:0].copy()
    left = -math.inf
    open_gap = True
    for i in range(m + 1):
        a = cuts[i - 1] if i > 0 else far_low
        b = cuts[i] if i < m else far_high
        b_in = probe(ops, par, n, b, start, out) == PASS
        if open_gap and b_in:
            continue
        if open_gap:
            gaps[ngaps, 0] = left
            gaps[ngaps, 1] = find_edge(ops, par, n, a, b, start, last, out)
            ngaps += 1
            open_gap = False
        elif b_in:
            left = find_edge(ops, par, n, b, a, start, last, out)
            open_gap = True
        else:
            code, t = search(ops, par, n, a, b, start, out)
            if code == 0:
                gaps[ngaps, 0] = find_edge(ops, par, n, t, a, start, last, out)
                gaps[ngaps, 1] = find_edge(ops, par, n, t, b, start, last, out)
                ngaps += 1
            elif code == 2:
                closed[nclosed] = t
                nclosed += 1
    gaps[ngaps, 0] = left
    gaps[ngaps, 1] = math.inf
    ngaps += 1
    return 0, gaps[:ngaps].copy(), closed[:nclosed].copy()


@inline
def reference(ops, par, n, t, start, ref):
    """State at an edge before every operation, ref (n + 1, 4): z, F, v, and v/z or z/F."""
    z, f = start + t, t
    r = z / f
    for j in range(n):
        b, g, c, q = par[j, 0], par[j, 1], par[j, 2], par[j, 3]
        op = ops[j]
        v = z - b * f
        ref[j, 0], ref[j, 1], ref[j, 2], ref[j, 3] = z, f, v, 0.0
        if op == PADDING:
            r = 1.0 - c + c * r
            f, z = g * z / r, g * z + q
        elif op == WISHART:
            ref[j, 3] = r
            f, z = g * c * v, g * v * (c - 1.0 + r) + q
            r = (c - 1.0 + r) / c
        elif op == CORNER:
            f, z = g * c * f, g * v + q
            r = (r - b) / c
        else:
            ref[j, 3] = 1.0 - b / r
            f, z = g * v / r, g * v + q
        if q != 0.0:
            r = z / f
    ref[n, 0], ref[n, 1], ref[n, 2], ref[n, 3] = z, f, z, 0.0


@inline
def sweep(ops, par, n, last, ref, s, low):
    """Carry LANES points from an edge through the chain, in differences from the edge.

    s holds eight rows of LANES: Z, D and their t-derivatives, real and imaginary parts; low
    receives per lane the smallest Im H before the last map, which is operation `last`, where
    every H is given SLACK: where two maps are nearly equal, both of their boundaries are.
    """
    w_ = LANES
    slack = np.empty(LANES)
    for c in range(LANES):
        low[c] = 1.0
        slack[c] = SLACK * s[w_ + c]
    for j in range(n):
        b, g, k = par[j, 0], par[j, 1], par[j, 2]
        za, fa, va, aux = ref[j, 0], ref[j, 1], ref[j, 2], ref[j, 3]
        op = ops[j]
        if j <= last:
            for c in range(LANES):
                room = slack[c] * (abs(s[4 * w_ + c]) + abs(s[5 * w_ + c]))
                low[c] = min(low[c], s[w_ + c] + room)
        if op == GATE:
            for c in range(LANES):
                zr, zi, dr, di = s[c], s[w_ + c], s[2 * w_ + c], s[3 * w_ + c]
                z1r, z1i, d1r, d1i = s[4 * w_ + c], s[5 * w_ + c], s[6 * w_ + c], s[7 * w_ + c]
                vr, vi = zr - b * dr, zi - b * di
                v1r, v1i = z1r - b * d1r, z1i - b * d1i
                tr = za + zr
                inv = 1.0 / (tr * tr + zi * zi)
                rr, ri = tr * inv, -zi * inv
                ar, ai = vr - aux * zr, vi - aux * zi
                dwr, dwi = ar * rr - ai * ri, ar * ri + ai * rr
                wr = aux + dwr
                br, bi = v1r - wr * z1r + dwi * z1i, v1i - wr * z1i - dwi * z1r
                w1r, w1i = br * rr - bi * ri, br * ri + bi * rr
                fr = fa + dr
                s[c], s[w_ + c] = g * vr, g * vi
                s[2 * w_ + c] = g * (dr * wr - di * dwi + fa * dwr)
                s[3 * w_ + c] = g * (dr * dwi + di * wr + fa * dwi)
                s[4 * w_ + c], s[5 * w_ + c] = g * v1r, g * v1i
                s[6 * w_ + c] = g * (d1r * wr - d1i * dwi + fr * w1r - di * w1i)
                s[7 * w_ + c] = g * (d1r * dwi + d1i * wr + fr * w1i + di * w1r)
        elif op == WISHART:
            for c in range(LANES):
                z, d = complex(s[c], s[w_ + c]), complex(s[2 * w_ + c], s[3 * w_ + c])
                z1 = complex(s[4 * w_ + c], s[5 * w_ + c])
                d1 = complex(s[6 * w_ + c], s[7 * w_ + c])
                v, v1 = z - b * d, z1 - b * d1
                room = slack[c] * (abs(v1.real) + abs(v1.imag))
                low[c] = min(low[c], v.imag + room)
                fr, fi = fa + d.real, d.imag
                inv = 1.0 / (fr * fr + fi * fi)
                recip = complex(fr * inv, -fi * inv)
                diff = (z - aux * d) * recip
                r = aux + diff
                u = k - 1.0 + r
                h = v * u + va * diff
                h1 = v1 * u + (va + v) * ((z1 - r * d1) * recip)
                s[c], s[w_ + c] = g * h.real, g * h.imag
                s[2 * w_ + c], s[3 * w_ + c] = g * k * v.real, g * k * v.imag
                s[4 * w_ + c], s[5 * w_ + c] = g * h1.real, g * h1.imag
                s[6 * w_ + c], s[7 * w_ + c] = g * k * v1.real, g * k * v1.imag
        elif op == CORNER:
            for c in range(LANES):
                s[c] = g * (s[c] - b * s[2 * w_ + c])
                s[w_ + c] = g * (s[w_ + c] - b * s[3 * w_ + c])
                s[4 * w_ + c] = g * (s[4 * w_ + c] - b * s[6 * w_ + c])
                s[5 * w_ + c] = g * (s[5 * w_ + c] - b * s[7 * w_ + c])
                s[2 * w_ + c] *= g * k
                s[3 * w_ + c] *= g * k
                s[6 * w_ + c] *= g * k
                s[7 * w_ + c] *= g * k
        else:
            dena = (1.0 - k) * fa + k * za
            for c in range(LANES):
                z, d = complex(s[c], s[w_ + c]), complex(s[2 * w_ + c], s[3 * w_ + c])
                z1 = complex(s[4 * w_ + c], s[5 * w_ + c])
                d1 = complex(s[6 * w_ + c], s[7 * w_ + c])
                f, zz = fa + d, za + z
                den = (1.0 - k) * f + k * zz
                recip = den.conjugate() * (1.0 / (den.real * den.real + den.imag * den.imag))
                dy = ((1.0 - k) * f * fa * z + k * zz * za * d) * recip * (1.0 / dena)
                y1 = ((1.0 - k) * f * f * z1 + k * zz * zz * d1) * recip * recip
                s[c], s[w_ + c] = g * z.real, g * z.imag
                s[2 * w_ + c], s[3 * w_ + c] = g * dy.real, g * dy.imag
                s[4 * w_ + c], s[5 * w_ + c] = g * z1.real, g * z1.imag
                s[6 * w_ + c], s[7 * w_ + c] = g * y1.real, g * y1.imag


@inline
def solve(ops, par, n, ref, targets, tr, ti, fr, fi, first, count):
    """Newton for z_L(t) = x in differences from an edge, LANES points at a time.

    targets: x - x_edge; (tr, ti): t - t_edge, start values in, solutions out; (fr, fi): F out.
    Returns the number of points that did not converge on the physical sheet.
    """
    last = last_map(ops, par, n)
    s = np.empty(8 * LANES)
    low = np.empty(LANES)
    pr, pi = np.empty(LANES), np.empty(LANES)
    x = np.empty(LANES)
    done = np.empty(LANES, dtype=np.bool_)
    failed = 0
    fa = ref[n, 1]
    for base in range(first, first + count, LANES):
        width = min(LANES, first + count - base)
        for c in range(LANES):
            i = base + min(c, width - 1)
            pr[c], pi[c], x[c] = tr[i], ti[i], targets[i]
            done[c] = c >= width
        steps_r, steps_i = np.zeros(LANES), np.zeros(LANES)
        for _ in range(40):
            for c in range(LANES):
                s[c], s[LANES + c] = pr[c], pi[c]
                s[2 * LANES + c], s[3 * LANES + c] = pr[c], pi[c]
                s[4 * LANES + c], s[5 * LANES + c] = 1.0, 0.0
                s[6 * LANES + c], s[7 * LANES + c] = 1.0, 0.0
            sweep(ops, par, n, last, ref, s, low)
            left = 0
            for c in range(width):
                if done[c]:
                    continue
                left += 1
                if not low[c] > 0.0:
                    steps_r[c] *= 0.5
                    steps_i[c] *= 0.5
                    if steps_r[c] == 0.0 and steps_i[c] == 0.0:
                        pi[c] *= 2.0
                    pr[c] -= steps_r[c]
                    pi[c] -= steps_i[c]
                    continue
                er, ei = s[c] - x[c], s[LANES + c]
                ar, ai = s[4 * LANES + c], s[5 * LANES + c]
                inv = 1.0 / (ar * ar + ai * ai)
                sr, si = -(er * ar + ei * ai) * inv, -(ei * ar - er * ai) * inv
                size = math.sqrt(sr * sr + si * si)
                if size <= 1e-7 * pi[c]:
                    i = base + c
                    tr[i], ti[i] = pr[c] + sr, pi[c] + si
                    d1r, d1i = s[6 * LANES + c], s[7 * LANES + c]
                    fr[i] = fa + s[2 * LANES + c] + d1r * sr - d1i * si
                    fi[i] = s[3 * LANES + c] + d1r * si + d1i * sr
                    done[c] = True
                    left -= 1
                    continue
                if size > 0.5 * pi[c]:
                    sr *= 0.5 * pi[c] / size
                    si *= 0.5 * pi[c] / size
                steps_r[c], steps_i[c] = sr, si
                pr[c] += sr
                pi[c] += si
            if left == 0:
                break
        for c in range(width):
            if not done[c]:
                failed += 1
                fr[base + c], fi[base + c] = math.nan, math.nan
    return failed


@inline
def reciprocal(z):
    """1/z; the division of complex numbers raises at 0."""
    size = 1.0 / (z.real * z.real + z.imag * z.imag)
    return complex(z.real * size, -z.imag * size)


@inline
def mass_above(ops, par, n, ref, zr, zi):
    """(mass right of x, x - x_edge) at x = z(t), t = t_edge + zr + i zi, in closed form."""
    z, d = complex(zr, zi), complex(zr, zi)
    total = math.atan2(zi, ref[0, 1] + zr)
    for j in range(n):
        b, g, k = par[j, 0], par[j, 1], par[j, 2]
        za, fa, va, aux = ref[j, 0], ref[j, 1], ref[j, 2], ref[j, 3]
        op = ops[j]
        f, zz, v = fa + d, za + z, z - b * d
        if op == PADDING:
            total = k * total + (1.0 - k) * math.atan2(abs(zz.imag), zz.real)
            den = (1.0 - k) * f + k * zz
            bottom = (1.0 - k) * fa + k * za
            d = ((1.0 - k) * f * fa * z + k * zz * za * d) * (reciprocal(den) / bottom)
            d, z = g * d, g * z
            continue
        if op == CORNER:
            argument = math.atan2(abs(f.imag), f.real)
            total = argument + (total - argument) / k
            z, d = g * v, g * k * d
            continue
        if b > 0.0:
            argument = math.atan2(abs(f.imag), f.real)
            total += b * (math.atan2(abs(v.imag), va + v.real) - argument)
        if op == WISHART:
            diff = (z - aux * d) * reciprocal(f)
            argument = math.atan2(abs(v.imag), va + v.real)
            total = argument + (total - argument + diff.imag) / k
            z, d = g * (v * (k - 1.0 + aux + diff) + va * diff), g * k * v
        else:
            diff = (v - aux * z) * reciprocal(zz)
            d = g * (d * (aux + diff) + fa * diff)
            z = g * v
    return total / math.pi, z.real


@kernel
def describe_edges(ops, par, start, edges):
    """At each edge t: x, z''(t), F, F', the mass right of it, the distance in x to the next edge.

    Shape (k, 6); the distance is a difference from the edge, so that it keeps its digits.
    """
    n = len(ops)
    out = np.empty(12)
    ref = np.empty((n + 1, 4))
    result = np.empty((len(edges), 6))
    for i in range(len(edges)):
        t = edges[i]
        probe(ops, par, n, t, start, out)
        reference(ops, par, n, t, start, ref)
        result[i, 0], result[i, 1] = ref[n, 0], out[4]
        result[i, 2], result[i, 3] = ref[n, 1], out[3]
        result[i, 4] = mass_above(ops, par, n, ref, 0.0, 0.0)[0]
        step = edges[i + 1] - t if i + 1 < len(edges) else 0.0
        result[i, 5] = mass_above(ops, par, n, ref, step, 0.0)[1]
    return result


@inline
def chebyshev_tail(values_r, values_i, transform, row):
    """Size of the Chebyshev coefficient `row` of the values at the Lobatto nodes."""
    a, b = 0.0, 0.0
    for j in range(NODES):
        a += transform[row, j] * values_r[j]
        b += transform[row, j] * values_i[j]
    return math.hypot(a, b)


@inline
def interpolate(node_t, weights, values_r, values_i, u):
    """Barycentric interpolation at u in [-1, 1] on the Lobatto nodes."""
    numerator_r, numerator_i, denominator = 0.0, 0.0, 0.0
    for j in range(NODES):
        gap = u - node_t[j]
        if gap == 0.0:
            return values_r[j], values_i[j]
        share = weights[j] / gap
        numerator_r += share * values_r[j]
        numerator_i += share * values_i[j]
        denominator += share
    return numerator_r / denominator, numerator_i / denominator


@inline
def rounding_zone(edge, t):
    """Distance in x from an edge, a row of `describe_edges`, that rounding of x or t blurs."""
    return max(ZONE * EPS * abs(edge[0]), 0.5 * abs(edge[1]) * (ZONE * EPS * t) ** 2)


@kernel
def solve_bands(ops, par, start, edges, info, widths, grid, tolerance, limit):
    """Panels of t(θ) and of the density in θ on every band.

    edges (k, 2) in t; info (k, 2, 5) from `describe_edges`; widths (k,); grid: rows node_t,
    barycentric weights, then the Chebyshev transform (NODES, NODES). A band is split while its
    panels are not resolved to `tolerance`, at most `limit` panels each.
    Returns (rows, number of rows in use, failures); a row holds band, θ0, θ1, then Re t - t_a,
    Im t and the density in θ at the NODES.
    """
    n = len(ops)
    node_t, bary, transform = grid[0], grid[1], grid[2:]
    nb = len(widths)
    room = 2 * nb + 16
    rows = np.empty((room, 3 + 3 * NODES))
    total, failures = 0, 0
    ref_a, ref_b = np.empty((n + 1, 4)), np.empty((n + 1, 4))
    stack = np.empty((limit + 64, 2))
    stack_t = np.empty((limit + 64, 2, NODES))
    theta, x = np.empty(NODES), np.empty(NODES)
    tr, ti = np.empty(NODES), np.empty(NODES)
    fr, fi = np.empty(NODES), np.empty(NODES)
    density = np.empty(NODES)
    for band in range(nb):
        ta, tb, width = edges[band, 0], edges[band, 1], widths[band]
        reference(ops, par, n, ta, start, ref_a)
        reference(ops, par, n, tb, start, ref_b)
        sa = math.sqrt(0.5 * width / abs(info[band, 0, 1]))
        sb = math.sqrt(0.5 * width / abs(info[band, 1, 1]))
        size = tb - ta
        height = 0.0
        depth = 1
        stack[0, 0], stack[0, 1] = 0.0, math.pi
        for j in range(NODES):
            angle = 0.5 * math.pi * (1.0 + node_t[j])
            stack_t[0, 0, j] = size * math.sin(0.5 * angle) ** 2
            stack_t[0, 1, j] = 0.5 * (sa + sb) * math.sin(angle) + 0.25 * (sa - sb) * math.sin(
                2.0 * angle
            )
        used, lost = 0, 0
        while depth > 0 and lost < LOSSES:
            depth -= 1
            t0, t1 = stack[depth, 0], stack[depth, 1]
            half = 0.5 * (t1 - t0)
            split = 0
            for j in range(NODES):
                angle = 0.5 * (t0 + t1) + half * node_t[j]
                theta[j] = angle
                tr[j], ti[j] = stack_t[depth, 0, j], stack_t[depth, 1, j]
                floor = 1e-3 * min(sa * angle, sb * (math.pi - angle))
                if not ti[j] > floor:
                    ti[j] = floor
                if angle <= 0.5 * math.pi:
                    x[j] = width * math.sin(0.5 * angle) ** 2
                    split = j + 1
                else:
                    x[j] = -width * math.sin(0.5 * (math.pi - angle)) ** 2
                    tr[j] -= size
            lo, hi = 0, NODES
            if t0 == 0.0:
                lo = 1
                tr[0], ti[0] = 0.0, 0.0
                density[0] = 0.0
                if info[band, 0, 2] == 0.0:
                    density[0] = 0.5 * width / (math.pi * info[band, 0, 3] * sa)
            if t1 == math.pi:
                hi = NODES - 1
                tr[hi], ti[hi] = 0.0, 0.0
                density[hi] = 0.0
                if info[band, 1, 2] == 0.0:
                    density[hi] = 0.5 * width / (math.pi * info[band, 1, 3] * sb)
            bad = 0
            middle = min(max(split, lo), hi)
            for side in range(2):
                first = middle if side else lo
                end = hi if side else middle
                if end > first:
                    ref = ref_b if side else ref_a
                    bad += solve(ops, par, n, ref, x, tr, ti, fr, fi, first, end - first)
            reach = 0.0
            for j in range(lo, hi):
                side = 0 if j < split else 1
                zone = rounding_zone(info[band, side], edges[band, side])
                reach = max(reach, abs(x[j]) - zone)
                if bad > 0 and fr[j] != fr[j] and abs(x[j]) <= zone:
                    tr[j], ti[j] = 0.0, math.sqrt(2.0 * abs(x[j] / info[band, side, 1]))
                    fr[j], fi[j] = info[band, side, 2], info[band, side, 3] * ti[j]
                    bad -= 1
            for j in range(NODES):
                if j >= split:
                    tr[j] += size
                if lo <= j < hi and bad == 0:
                    weight = 0.5 * width * math.sin(theta[j]) / math.pi
                    density[j] = weight * fi[j] / (fr[j] * fr[j] + fi[j] * fi[j])
                height = max(height, ti[j])
            used += 1
            lost += 1 if bad > 0 else 0
            resolved = False
            if bad == 0:
                tail = chebyshev_tail(tr, ti, transform, NODES - 1)
                tail += chebyshev_tail(tr, ti, transform, NODES - 2)
                mass_tail = chebyshev_tail(density, density, transform, NODES - 1)
                mass_tail += chebyshev_tail(density, density, transform, NODES - 2)
                resolved = tail <= 1e-5 * height and mass_tail * half <= tolerance
            tiny = half < 1e-12 or reach <= 0.0
            if not resolved and not tiny and used < limit:
                mid = 0.5 * (t0 + t1)
                for side in range(2):
                    a = mid if side == 0 else t0
                    b = t1 if side == 0 else mid
                    row = depth + side
                    stack[row, 0], stack[row, 1] = a, b
                    for j in range(NODES):
                        angle = 0.5 * (a + b) + 0.5 * (b - a) * node_t[j]
                        if bad == 0:
                            u = (angle - 0.5 * (t0 + t1)) / half
                            vr, vi = interpolate(node_t, bary, tr, ti, u)
                        else:
                            vr = size * math.sin(0.5 * angle) ** 2
                            vi = 0.5 * (sa + sb) * math.sin(angle)
                        stack_t[row, 0, j], stack_t[row, 1, j] = vr, vi
                depth += 2
                continue
            if bad > 0:
                failures += bad
            if total == room:
                room *= 2
                wider = np.empty((room, 3 + 3 * NODES))
                for i in range(total):
                    for j in range(3 + 3 * NODES):
                        wider[i, j] = rows[i, j]
                rows = wider
            rows[total, 0], rows[total, 1], rows[total, 2] = band, t0, t1
            for j in range(NODES):
                rows[total, 3 + j] = tr[j]
                rows[total, 3 + NODES + j] = ti[j]
                rows[total, 3 + 2 * NODES + j] = density[j]
            total += 1
        if depth > 0:
            failures += NODES * depth
            break
    return rows, total, failures


@kernel
def evaluate(ops, par, start, edges, info, x_edges, widths, panels, grid, bands, x, want_mass):
    """Density (want_mass = 0) or mass above (1) at ascending x, x[i] inside band bands[i].

    Returns (values, number of points that failed, and have the value nan).
    """
    n = len(ops)
    node_t, bary = grid[0], grid[1]
    count = len(x)
    values = np.empty(count)
    targets, tr, ti = np.empty(count), np.empty(count), np.empty(count)
    fr, fi = np.empty(count), np.empty(count)
    sides = np.empty(count, dtype=np.int64)
    p = 0
    for i in range(count):
        band = bands[i]
        left, right = x[i] - x_edges[band, 0], x_edges[band, 1] - x[i]
        size = edges[band, 1] - edges[band, 0]
        theta = 2.0 * math.atan2(math.sqrt(left), math.sqrt(right))
        while panels[p, 0] < band or (theta > panels[p, 2] and panels[p, 2] < math.pi):
            p += 1
        u = (2.0 * theta - panels[p, 1] - panels[p, 2]) / (panels[p, 2] - panels[p, 1])
        re, im = panels[p, 3 : 3 + NODES], panels[p, 3 + NODES : 3 + 2 * NODES]
        tr[i], ti[i] = interpolate(node_t, bary, re, im, min(max(u, -1.0), 1.0))
        sides[i] = 2 * band
        targets[i] = left
        if left > right:
            sides[i] += 1
            targets[i] = -right
            tr[i] -= size
        tiny = 1e-3 * abs(size) * min(theta, math.pi - theta) ** 2
        if not ti[i] > 0.0:
            ti[i] = max(tiny, 1e-300)
    ref = np.empty((n + 1, 4))
    failed = 0
    first = np.int64(0)
    while first < count:
        stop = first + 1
        while stop < count and sides[stop] == sides[first]:
            stop += 1
        band, side = sides[first] // 2, sides[first] % 2
        reference(ops, par, n, edges[band, side], start, ref)
        failed += solve(ops, par, n, ref, targets, tr, ti, fr, fi, first, stop - first)
        zone = rounding_zone(info[band, side], edges[band, side])
        for i in range(first, stop):
            if fr[i] != fr[i]:
                if not abs(targets[i]) <= zone:
                    values[i] = math.nan
                    continue
                tr[i], ti[i] = 0.0, math.sqrt(2.0 * abs(targets[i] / info[band, side, 1]))
                fr[i], fi[i] = info[band, side, 2], info[band, side, 3] * ti[i]
                failed -= 1
            if want_mass:
                values[i] = mass_above(ops, par, n, ref, tr[i], ti[i])[0]
            else:
                values[i] = fi[i] / (math.pi * (fr[i] * fr[i] + fi[i] * fi[i]))
        first = stop
    return values, failed


@kernel
def gap_values(ops, par, start, edges, x_edges, x):
    """F = 1/G at real x outside the bands, on the gap that holds it, where z(t) ascends.

    Returns F, nan where z(t) = x was not solved. Newton within a bracket; bisection where Newton
    leaves it or its steps do not halve.
    """
    n = len(ops)
    out = np.empty(12)
    values = np.empty(len(x))
    for i in range(len(x)):
        gap = np.searchsorted(x_edges[:, 1], x[i], side="right")
        lo = edges[gap - 1, 1] if gap > 0 else -math.inf
        hi = edges[gap, 0] if gap < len(edges) else math.inf
        reach = start
        if gap > 0 and hi < math.inf:
            t = midpoint(lo, hi)
        elif gap > 0:
            t = lo + reach
        else:
            t = min(hi, 0.0) - reach
        step = math.inf
        values[i] = math.nan
        for _ in range(400):
            code = probe(ops, par, n, t, start, out)
            error = out[0] - x[i]
            if code != PASS:
                # rounding next to an edge: the gap is on the other side
                inner = midpoint(lo, hi)
                t = inner if abs(inner) < math.inf else t + reach * (1.0 if gap > 0 else -1.0)
                continue
            move = -error / out[2]
            if error > 0.0:
                hi = t
            else:
                lo = t
            if abs(move) <= 4.0 * EPS * abs(t) or hi - lo <= 2.0 * EPS * abs(t):
                values[i] = out[1] + out[3] * move
                break
            there = t + move
            if lo < there < hi and abs(move) < 0.5 * step:
                step = abs(move)
                t = there
                continue
            if lo == -math.inf or hi == math.inf:
                reach *= 4.0
                t = hi - reach if lo == -math.inf else lo + reach
            else:
                t = midpoint(lo, hi)
            step = hi - lo
        else:
            if math.isfinite(lo) and math.isfinite(hi):
                values[i] = out[1]
    return values


@kernel
def curve(ops, par, start, t):
    """The curve at complex t: z, F, dz/dt and the smallest Im H/|H|, each of the shape of t."""
    n = len(ops)
    z_out, f_out = np.empty(len(t), dtype=np.complex128), np.empty(len(t), dtype=np.complex128)
    slope, low = np.empty(len(t), dtype=np.complex128), np.empty(len(t))
    for i in range(len(t)):
        z, f = start + t[i], t[i]
        z1, f1 = complex(1.0, 0.0), complex(1.0, 0.0)
        smallest = t[i].imag / abs(t[i])
        for j in range(n):
            b, g, c, q = par[j, 0], par[j, 1], par[j, 2], par[j, 3]
            op = ops[j]
            v, v1 = z - b * f, z1 - b * f1
            if op != PADDING:
                smallest = min(smallest, v.imag / abs(v))
            if op == PADDING:
                den = (1.0 - c) * f + c * z
                inverse = reciprocal(den)
                f1 = g * ((1.0 - c) * f * f * z1 + c * z * z * f1) * inverse * inverse
                f = g * z * f * inverse
                z, z1 = g * z + q, g * z1
            elif op == WISHART:
                inverse = reciprocal(f)
                r = z * inverse
                r1 = (z1 - r * f1) * inverse
                u = c - 1.0 + r
                h = v * u
                smallest = min(smallest, h.imag / abs(h))
                z, z1 = g * h + q, g * (v1 * u + v * r1)
                f, f1 = g * c * v, g * c * v1
            elif op == CORNER:
                f, f1 = g * c * f, g * c * f1
                z, z1 = g * v + q, g * v1
            else:
                inverse = reciprocal(z)
                w = v * inverse
                w1 = (v1 - w * z1) * inverse
                f, f1 = g * f * w, g * (f1 * w + f * w1)
                z, z1 = g * v + q, g * v1
        z_out[i], f_out[i], slope[i], low[i] = z, f, z1, smallest
    return z_out, f_out, slope, low
