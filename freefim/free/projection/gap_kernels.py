"""Kernels on the real line: the gaps of a chain of projections, and G on them.

State along the chain: (z, F = 1/G); parameter t = ω - start, so F = t exactly at the start; the
operations are those of `projection_program`. Each v and each v u there is a map H of the upper
half plane whose derivative must be positive on a gap.
"""

import math

import numpy as np

from freefim._jit import inline, kernel
from freefim.free.projection.program import CORNER, GATE, PADDING, WISHART

PASS = 1 << 30
EPS = 2.220446049250313e-16


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
def find_cuts(ops, par, start, last, cut_atoms):
    """Points that separate gaps: poles of the maps H inside gaps of earlier levels.

    `last` is the index of the last operation that holds a map. Returns the ascending cuts, each
    cell between two of which holds at most one gap.

    Where every operation is a Gaussian matrix, the cut of an atom that does not outlive the gate
    after it is left out: right of it H' of that gate, concave and below 0 at the cut, stays there.
    """
    out = np.empty(12)
    points = np.empty(16)
    count = 0
    step = 2.0 * start
    if cut_atoms:
        points[0] = 0.0
        count = 1
    gaussian = True
    for j in range(len(ops)):
        gaussian = gaussian and ops[j] == WISHART and par[j, 3] > 0.0
    for j in range(last + 1):
        if gaussian and j < last:
            atom = max(0.0, 1.0 - (1.0 - par[j, 0]) / par[j, 2])
            if atom <= par[j + 1, 0] + 2.0 * EPS:
                continue
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
def edge_slopes(ops, par, start, edges):
    """Z'' and F' at each edge t, shape (k, 2)."""
    n = len(ops)
    out = np.empty(12)
    slopes = np.empty((len(edges), 2))
    for i in range(len(edges)):
        probe(ops, par, n, edges[i], start, out)
        slopes[i, 0], slopes[i, 1] = out[4], out[3]
    return slopes
