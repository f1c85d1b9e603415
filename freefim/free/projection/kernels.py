"""Kernels in the upper half plane: the density of a chain of projections, its masses, its curve.

State along the chain: (z, F = 1/G); parameter t = ω - start; the operations are those of
`projection_program`. Near the real line everything is a difference from an edge of a band.
"""

import math

import numpy as np

from freefim._jit import inline, kernel
from freefim.free.projection.program import CORNER, GATE, PADDING, WISHART

LANES = 8
NODES = 17
EPS = 2.220446049250313e-16
#: Distance from the physical sheet, relative to Im t, that a step of Newton may leave.
SLACK = 1e-3
#: Points within ZONE rounding errors, of x or of t, of an edge follow the root law of the edge.
ZONE = 64.0
#: Panels of one band that may fail, and be halved, before the band is given up.
LOSSES = 80
#: Half the width in θ from which on a panel is not halved any more.
LEAST_PANEL = 1e-12
#: Last step of Newton, relative to Im t, after which one correction of first order is enough.
CLOSE, START = 1e-7, 1e-3
#: Resolution of t(θ), relative to its largest height: of a quadrature, of start values.
FINE, ROUGH, FEW = 1e-5, 1e-3, 4


@inline
def last_map(ops, par, n):
    """Index of the last operation that holds a map H, or -1."""
    for j in range(n - 1, -1, -1):
        if ops[j] == WISHART or (ops[j] != PADDING and par[j, 0] > 0.0):
            return j
    return -1


@inline
def reference(ops, par, n, t, start, ref):
    """State at an edge before every operation, ref (n + 1, 4): z, F, v, and b F/z or z/F."""
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
            ref[j, 3] = b / r
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
                # u = b F/z and not v/z = 1 - u: of a gate that takes out little, u keeps its digits
                ar, ai = b * dr - aux * zr, b * di - aux * zi
                dur, dui = ar * rr - ai * ri, ar * ri + ai * rr
                ur = aux + dur
                wr, wi = 1.0 - ur, -dui
                br, bi = b * d1r - ur * z1r + dui * z1i, b * d1i - ur * z1i - dui * z1r
                u1r, u1i = br * rr - bi * ri, br * ri + bi * rr
                fr = fa + dr
                s[c], s[w_ + c] = g * vr, g * vi
                s[2 * w_ + c] = g * (dr * wr - di * wi - fa * dur)
                s[3 * w_ + c] = g * (dr * wi + di * wr - fa * dui)
                s[4 * w_ + c], s[5 * w_ + c] = g * v1r, g * v1i
                s[6 * w_ + c] = g * (d1r * wr - d1i * wi - fr * u1r + di * u1i)
                s[7 * w_ + c] = g * (d1r * wi + d1i * wr - fr * u1i - di * u1r)
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
def solve(ops, par, n, ref, targets, tr, ti, fr, fi, first, count, close):
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
                if size <= close * pi[c]:
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
            diff = (b * d - aux * z) * reciprocal(zz)
            d = g * (d * (1.0 - aux - diff) - fa * diff)
            z = g * v
    return total / math.pi, z.real


@kernel
def describe_edges(ops, par, start, edges, slopes):
    """At each edge t: x, z''(t), F, F', the mass right of it, the distance in x to the next edge.

    Shape (k, 6); z'' and F' are those of `edge_slopes`. The distance is a difference from the edge,
    so that it keeps its digits.
    """
    n = len(ops)
    ref = np.empty((n + 1, 4))
    result = np.empty((len(edges), 6))
    for i in range(len(edges)):
        t = edges[i]
        reference(ops, par, n, t, start, ref)
        result[i, 0], result[i, 1] = ref[n, 0], slopes[i, 0]
        result[i, 2], result[i, 3] = ref[n, 1], slopes[i, 1]
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
    # panels that only serve as start values need no more than their own resolution
    close = START if tolerance == math.inf else CLOSE
    # few bands share the points of a table among them: finer panels save each of these a step
    rough = ROUGH if tolerance == math.inf and len(widths) > FEW else FINE
    node_t, bary, transform = grid[0], grid[1], grid[2:]
    nb = len(widths)
    room = 2 * nb + 16
    rows = np.empty((room, 3 + 3 * NODES))
    total, failures = 0, 0
    ref_a, ref_b = np.empty((n + 1, 4)), np.empty((n + 1, 4))
    # every halving leaves one panel waiting, and few halvings lead down to LEAST_PANEL
    stack = np.empty((64, 2))
    stack_t = np.empty((64, 2, NODES))
    # the density at both ends, nan where t is only a start value there
    stack_end = np.empty((64, 2))
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
        # next to an edge the rounding of its t blurs the arch, and halving brings nothing
        blur_a, blur_b = ZONE * EPS * abs(ta) / sa, ZONE * EPS * abs(tb) / sb
        # over the whole of a wide band a power of x, to be integrated, turns more than the density
        wide = tolerance < math.inf and width > 0.1 * info[band, 1, 0]
        widest = 0.25 * math.pi if wide else math.pi
        size = tb - ta
        height = 0.0
        depth = 1
        stack[0, 0], stack[0, 1] = 0.0, math.pi
        for side in range(2):
            root = sb if side else sa
            stack_end[0, side] = 0.0
            if info[band, side, 2] == 0.0:
                stack_end[0, side] = 0.5 * width / (math.pi * info[band, side, 3] * root)
        for j in range(NODES):
            angle = 0.5 * math.pi * (1.0 + node_t[j])
            stack_t[0, 0, j] = size * math.sin(0.5 * angle) ** 2
            stack_t[0, 1, j] = 0.5 * (sa + sb) * math.sin(angle) + 0.25 * (sa - sb) * math.sin(
                2.0 * angle
            )
        stack_t[0, 0, 0], stack_t[0, 1, 0] = 0.0, 0.0
        stack_t[0, 0, NODES - 1], stack_t[0, 1, NODES - 1] = size, 0.0
        used, lost = 0, 0
        while depth > 0 and lost < LOSSES:
            depth -= 1
            t0, t1 = stack[depth, 0], stack[depth, 1]
            half = 0.5 * (t1 - t0)
            density[0], density[NODES - 1] = stack_end[depth, 0], stack_end[depth, 1]
            lo = 1 if density[0] == density[0] else 0
            hi = NODES - 1 if density[NODES - 1] == density[NODES - 1] else NODES
            split = 0
            for j in range(NODES):
                angle = 0.5 * (t0 + t1) + half * node_t[j]
                theta[j] = angle
                tr[j], ti[j] = stack_t[depth, 0, j], stack_t[depth, 1, j]
                if lo <= j < hi:
                    ti[j] = max(ti[j], 1e-3 * min(sa * angle, sb * (math.pi - angle)))
                if angle <= 0.5 * math.pi:
                    x[j] = width * math.sin(0.5 * angle) ** 2
                    split = j + 1
                else:
                    x[j] = -width * math.sin(0.5 * (math.pi - angle)) ** 2
                    tr[j] -= size
            bad = 0
            middle = min(max(split, lo), hi)
            for side in range(2):
                first = middle if side else lo
                end = hi if side else middle
                if end > first:
                    ref = ref_b if side else ref_a
                    bad += solve(ops, par, n, ref, x, tr, ti, fr, fi, first, end - first, close)
            for j in range(lo, hi):
                side = 0 if j < split else 1
                zone = rounding_zone(info[band, side], edges[band, side])
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
                resolved = tail <= max(rough, blur_a, blur_b) * height
                resolved = resolved and mass_tail * half <= tolerance and half <= widest
            blurred = t1 <= blur_a or t0 >= math.pi - blur_b
            if not (resolved or blurred) and half > LEAST_PANEL and used < limit:
                mid = 0.5 * (t0 + t1)
                middle_density = math.nan if bad > 0 else density[NODES // 2]
                for side in range(2):
                    a = mid if side == 0 else t0
                    b = t1 if side == 0 else mid
                    row = depth + side
                    stack[row, 0], stack[row, 1] = a, b
                    stack_end[row, side] = middle_density
                    stack_end[row, 1 - side] = density[NODES - 1 if side == 0 else 0]
                    for j in range(NODES):
                        angle = 0.5 * (a + b) + 0.5 * (b - a) * node_t[j]
                        if bad == 0:
                            u = (angle - 0.5 * (t0 + t1)) / half
                            vr, vi = interpolate(node_t, bary, tr, ti, u)
                        else:
                            vr = size * math.sin(0.5 * angle) ** 2
                            vi = 0.5 * (sa + sb) * math.sin(angle)
                        stack_t[row, 0, j], stack_t[row, 1, j] = vr, vi
                    end = NODES - 1 if side == 0 else 0
                    stack_t[row, 0, end], stack_t[row, 1, end] = tr[end], ti[end]
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
        for attempt in range(2):
            lost = solve(ops, par, n, ref, targets, tr, ti, fr, fi, first, stop - first, CLOSE)
            if lost == 0 or attempt == 1:
                break
            # near an edge its root law starts better than a panel, whose error is absolute
            for i in range(first, stop):
                if fr[i] != fr[i]:
                    tr[i], ti[i] = 0.0, math.sqrt(2.0 * abs(targets[i] / info[band, side, 1]))
        failed += lost
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
