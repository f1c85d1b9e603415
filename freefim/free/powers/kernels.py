r"""Kernels of curves that are one formula: real edges, the path of a band, points on it.

With :math:`y = m/(1 + q m)` and :math:`t = b_1 y`, v = 1 + t, the curve is

    log z = c + e_1 log v + Σ_{j>1} e_j log(1 + k_j t) - G log(1 - p t) - log t,

k_j = 1 - g_j, p = q/b_1. The mass besides 0 is where v = 0; points of the upper half plane have
v in the lower one. Points are held as w = log v, a + ib with b in [-π, 0]: near hard edges the
curve is linear in it. A curve is (k, g, e, ec, par), par =
[c, p, G, 1/b_1, K, A, B, e^c].
"""

import cmath
import math

import numpy as np

from freefim._jit import inline, kernel

TERMS = 18
#: Distance from an edge, in units of the radius of its series, within which that is used.
ZONE = 0.08
#: A step of third order that short, relative to the distance of singularities, is the last one.
CLOSE = 1e-5
#: Length of the steps along a band, relative to the distance of singularities.
STRIDE = 0.07
#: Distances of singularities count up to here; beyond, the curve is linear in w.
FARTHEST = 40.0
#: Steps of log t in search of the first edge, and points of a search for gaps.
SCAN, POINTS = 0.05, 400
#: Exponents for which powers keep more digits than exponentials of logarithms.
SMALL = 8.0
#: Factors that take a logarithm each; those that share one, if there are more.
FEW, BLOCK = 8, 16
#: Rounding of exponents.
UNIT = 1e-13
EPS = 2.220446049250313e-16


@inline
def tilt(curve, t, v):
    """Slope d log z / d log t at real v = 1 + t, and its derivative by t."""
    k, g, e, _, par = curve
    h, dh = e[0] * t / v - 1.0, e[0] / (v * v)
    for j in range(1, k.size):
        u = 1.0 + k[j] * t if t > 0.0 else g[j] + k[j] * v
        h += e[j] * k[j] * t / u
        dh += e[j] * k[j] / (u * u)
    if par[2] != 0.0:
        u = 1.0 - par[1] * t
        h += par[2] * par[1] * t / u
        dh += par[2] * par[1] / (u * u)
    return h, dh


@inline
def crossing(curve, right, low, high):
    """Logarithm of t (right) or of -v where the tilt crosses 0, between two such logarithms."""
    s, last = 0.5 * (low + high), math.inf
    for _ in range(200):
        size = math.exp(s)
        t, v = (size, 1.0 + size) if right else (-1.0 - size, -size)
        h, dh = tilt(curve, t, v)
        # it rises with t, and falls with -v
        slope = dh * size
        if (h < 0.0) == right:
            low = s
        else:
            high = s
        step = -h / slope if right else h / slope
        nxt = s + step
        # along a power the steps of Newton stay the same
        if not (low < nxt < high) or abs(step) > 0.5 * last:
            nxt = 0.5 * (low + high)
        last = abs(nxt - s)
        s = nxt
        if last <= 4e-16 or high - low <= 4e-16:
            break
    return s


@kernel
def find_edges(curve):
    """Logarithms of t at the uppermost edge and of -v at the lowest edge off 0; NaN: there is none.

    Where no exponent is negative the tilt is monotone and has these two zeros.
    """
    k, g, e, _, par = curve
    high = 700.0
    if par[2] > 0.0 and par[1] > 0.0:
        high = math.log((1.0 - EPS) / par[1])
    start, last = -700.0, high
    if e.min() < 0.0:
        # the first zero of perhaps several
        start = -40.0
        last = start
        while last < high:
            last = min(start + SCAN, high)
            size = math.exp(last)
            if tilt(curve, size, 1.0 + size)[0] >= 0.0:
                break
            start = last
    top = crossing(curve, True, start, last)
    low = math.nan
    if abs(e[0] - 1.0) <= UNIT:
        high = 700.0
        if k.size > 1:
            high = math.log(g[1] / k[1] * (1.0 - EPS))
        low = crossing(curve, False, -700.0, high)
    return top, low


@inline
def tilt_at(curve, s):
    """The tilt at v = -e^s."""
    size = math.exp(s)
    return tilt(curve, -1.0 - size, -size)[0]


@kernel
def inner_gaps(curve):
    """Gaps between bands: rows (log of -v at the lower and at the upper end, mass above).

    They lie where the factors that have changed their sign are of degree 1, and the tilt is > 0.
    """
    k, g, e, ec, _ = curve
    found = np.empty((k.size, 3))
    count = 0
    degree, mass = e[0], ec[0]
    for j in range(1, k.size):
        degree += e[j]
        mass += ec[j]
        if abs(degree - 1.0) > UNIT:
            continue
        first = math.log(g[j] / k[j]) + EPS
        last = math.log(g[j + 1] / k[j + 1]) - EPS if j + 1 < k.size else first + 80.0
        best, middle = -math.inf, first
        for i in range(1, POINTS):
            # denser towards both ends
            share = 0.5 - 0.5 * math.cos(math.pi * i / POINTS)
            s = first + (last - first) * share
            height = tilt_at(curve, s)
            if height > best:
                best, middle = height, s
        step = (last - first) / POINTS
        while best <= 0.0 and step > 1e-12 * (last - first):
            for s in (middle - step, middle + step):
                if first < s < last and tilt_at(curve, s) > best:
                    best, middle = tilt_at(curve, s), s
            step *= 0.5
        if best <= 0.0:
            continue
        # it falls with s beyond its largest value, and rises before
        found[count, 1] = crossing(curve, False, middle, last)
        below, above = first, middle
        for _ in range(200):
            s = 0.5 * (below + above)
            if tilt_at(curve, s) > 0.0:
                above = s
            else:
                below = s
            if above - below <= EPS * abs(s):
                break
        found[count, 0] = 0.5 * (below + above)
        found[count, 2] = mass
        count += 1
    return found[:count]


@inline
def real_log(curve, t, v):
    """Logarithm of |z| at real v = 1 + t."""
    k, g, e, _, par = curve
    total = par[0] - math.log(abs(t))
    total += e[0] * (math.log1p(t) if t > -0.5 else math.log(abs(v)))
    for j in range(1, k.size):
        u = k[j] * t
        total += e[j] * (math.log1p(u) if u > -0.5 else math.log(abs(g[j] + k[j] * v)))
    if par[2] != 0.0:
        total -= par[2] * math.log1p(-par[1] * t)
    return total


@inline
def power(base, excess, exponent):
    """|base|^exponent, base = 1 + excess, to the digits of either."""
    if abs(exponent) <= SMALL or excess <= -0.5:
        return abs(base) ** exponent
    return math.exp(exponent * math.log1p(excess))


@inline
def place(curve, t, v):
    """|z| at real v = 1 + t, without the rounding of its logarithm where that is of a size."""
    k, g, e, _, par = curve
    value = par[7] / abs(t) * power(v, t, e[0])
    for j in range(1, k.size):
        u = k[j] * t
        value *= power(1.0 + u if u > -0.5 else g[j] + k[j] * v, u, e[j])
    return value * power(1.0 - par[1] * t, -par[1] * t, -par[2])


@kernel
def describe_edge(curve, t, v):
    """Series of log z at a real critical point v = 1 + t.

    Shape (5 + TERMS,): t, v, log |z|, radius, |z|, then the coefficients of order 2, 3, ….
    """
    k, g, e, _, par = curve
    out = np.zeros(5 + TERMS)
    closest = min(abs(v), abs(t))
    for j in range(k.size + 2):
        if j < k.size:
            weight, pull = e[j], (1.0 / v if j == 0 else k[j] / (g[j] + k[j] * v))
        elif j == k.size:
            weight, pull = -1.0, 1.0 / t
        else:
            if par[2] == 0.0:
                continue
            weight, pull = -par[2], -par[1] / (1.0 - par[1] * t)
        closest = min(closest, 1.0 / abs(pull))
        power, sign = pull, 1.0
        for n in range(TERMS):
            power *= pull
            sign = -sign
            out[5 + n] += sign * weight * power / (n + 2.0)
    out[0], out[1], out[2], out[3] = t, v, real_log(curve, t, v), closest
    out[4] = place(curve, t, v)
    return out


@inline
def unfold(a, b):
    """Both v = e^(a + ib) and t = v - 1, each to its own digits."""
    if a > -0.5:
        em = math.expm1(a)
        ea = em + 1.0
    else:
        ea = math.exp(a)
        em = ea - 1.0
    half = math.sin(0.5 * b)
    turn, side = 2.0 * ea * half * half, 2.0 * ea * half * math.cos(0.5 * b)
    return complex(ea - turn, side), complex(em - turn, side)


@inline
def point(curve, a, b):
    """(log z, its first and second derivative by w, distance of singularities) at w = a + ib."""
    k, g, e, _, par = curve
    v, t = unfold(a, b)
    vr, tr, ti = v.real, t.real, t.imag
    tt = tr * tr + ti * ti
    real, imag = par[0] + e[0] * a - 0.5 * math.log(tt), e[0] * b - math.atan2(ti, tr)
    # v/t and its derivative
    inv = 1.0 / tt
    p = complex((vr * tr + ti * ti) * inv, (ti * tr - vr * ti) * inv)
    first, second = e[0] - p, p * complex(tr * inv, -ti * inv)
    pull = max(abs(p.real), abs(p.imag))
    # single factors, if many, share a logarithm while the angle of their product is below π
    xr, xi, room = 1.0, 0.0, 0 if k.size <= FEW else BLOCK
    for j in range(1, k.size):
        kt = k[j] * tr
        ur, ui = 1.0 + kt, k[j] * ti
        if kt <= -0.5:
            ur = g[j] + k[j] * vr
        inv = 1.0 / (ur * ur + ui * ui)
        if e[j] == 1.0 and k.size > FEW:
            if room == 0 or xr < 0.0 or ur < 0.0:
                real += 0.5 * math.log(xr * xr + xi * xi)
                imag += math.atan2(xi, xr)
                xr, xi, room = 1.0, 0.0, BLOCK
            xr, xi = xr * ur - xi * ui, xr * ui + xi * ur
            room -= 1
        else:
            if kt > -0.5:
                real += 0.5 * e[j] * math.log1p(2.0 * kt + k[j] * k[j] * tt)
            else:
                real -= 0.5 * e[j] * math.log(inv)
            imag += e[j] * math.atan2(ui, ur)
        p = k[j] * complex((vr * ur + ti * ui) * inv, (ti * ur - vr * ui) * inv)
        first += e[j] * p
        second += e[j] * g[j] * p * complex(ur * inv, -ui * inv)
        pull = max(pull, abs(p.real), abs(p.imag))
    if k.size > FEW:
        real += 0.5 * math.log(xr * xr + xi * xi)
        imag += math.atan2(xi, xr)
    if par[2] != 0.0:
        q = par[1]
        ur, ui = 1.0 - q * tr, -q * ti
        real -= 0.5 * par[2] * math.log1p(q * (q * tt - 2.0 * tr))
        imag -= par[2] * math.atan2(ui, ur)
        inv = 1.0 / (ur * ur + ui * ui)
        p = q * v * complex(ur * inv, -ui * inv)
        first += par[2] * p
        second += par[2] * (1.0 + q) * p * complex(ur * inv, -ui * inv)
        pull = max(pull, abs(p.real), abs(p.imag))
    return complex(real, imag), first, second, min(FARTHEST, 1.0 / pull)


@inline
def ahead(first, second, miss):
    """The nearer root of first·d + second·d²/2 = miss: right beside an edge as well."""
    root = cmath.sqrt(first * first + 2.0 * second * miss)
    if first.real * root.real + first.imag * root.imag < 0.0:
        root = -root
    return 2.0 * miss * inverse(first + root)


@inline
def inverse(z):
    """1/z, of numbers whose squares are floats."""
    size = 1.0 / (z.real * z.real + z.imag * z.imag)
    return complex(z.real * size, -z.imag * size)


@inline
def settle(curve, a, b, goal):
    """Newton of third order for log z = goal: (w, first, second, distance, found)."""
    for _ in range(24):
        value, first, second, room = point(curve, a, b)
        miss = goal - value
        slope = inverse(first)
        step = miss * slope
        bend = 0.5 * second * step * slope
        if abs(bend.real) + abs(bend.imag) < 0.1:
            step *= inverse(1.0 + bend)
        else:
            step = ahead(first, second, miss)
        size = max(abs(step.real), abs(step.imag))
        if size > 0.2 * room:
            step *= 0.2 * room / size
        a += step.real
        b += step.imag
        if b > 0.0 or b < -math.pi:
            # across the real line: half the way there
            b = 0.5 * (b - step.imag) if b > 0.0 else 0.5 * (b - step.imag - math.pi)
            continue
        if size <= CLOSE * room:
            return complex(a, b), first, second, room, True
    return complex(a, b), 0j, 0j, 0.0, False


@inline
def from_edge(edge, drop):
    """Distance in v from an edge at which log z differs from that of the edge by `drop`."""
    c = edge[5:]
    d = complex(0.0, -math.sqrt(-drop / c[0]))
    for _ in range(8):
        value, slope = complex(c[TERMS - 1]), complex(c[TERMS - 1] * (TERMS + 1.0))
        for n in range(TERMS - 2, -1, -1):
            value = value * d + c[n]
            slope = slope * d + c[n] * (n + 2.0)
        step = (value * d - drop / d) / slope
        d -= step
        if abs(step) <= 1e-9 * abs(d):
            break
    return d


@inline
def zone(edge):
    """Difference in log z up to which an edge is told by its series."""
    return abs(edge[5]) * (ZONE * edge[3]) ** 2


@inline
def logarithm(edge, d):
    """W = log v at distance d from an edge."""
    if edge[1] < 0.0:
        w = cmath.log(-edge[1] - d)
        return complex(w.real, w.imag - math.pi)
    return log1p(edge[0] + d)


@inline
def log1p(t):
    """Log(1 + t) of complex t."""
    size = t.real * (2.0 + t.real) + t.imag * t.imag
    return complex(0.5 * math.log1p(size), math.atan2(t.imag, 1.0 + t.real))


@kernel
def walk(curve, top, low):
    """Follow a band from its upper edge to the lower: rows log x, w, first, second derivative.

    `low` is a row of `describe_edge`, empty at a hard edge at 0. Returns (rows, found).
    """
    rows = np.empty((4096, 7))
    drop = -zone(top)
    w = logarithm(top, from_edge(top, drop))
    goal = top[2] + drop
    last = low[2] + zone(low) if low.size else -math.inf
    count = 0
    for i in range(4096):
        w, first, second, room, found = settle(curve, w.real, w.imag, goal)
        if not found:
            return rows[:count], False
        rows[i] = (goal, w.real, w.imag, first.real, first.imag, second.real, second.imag)
        count += 1
        # the rest is linear in w, or the edge itself
        flat = low.size == 0 and abs(second) <= 1e-9 * abs(first)
        if flat or goal <= last:
            return rows[:count], True
        length = STRIDE * room
        drop = -(abs(first) * length + 0.5 * abs(second) * length * length)
        if goal + drop < last:
            drop = last - goal
        w += ahead(first, second, complex(drop))
        goal += drop
        if drop == last - goal:
            goal = last
    return rows[:count], False


@inline
def moment(curve, t):
    """M at t."""
    par = curve[4]
    return t * par[3] * inverse(1.0 - par[1] * t)


@inline
def mass_above(curve, v, t, b):
    """Mass to the right of a point of a band, b = arg v."""
    k, g, _, ec, par = curve
    total = par[2] * moment(curve, t).imag - ec[0] * b
    for j in range(1, k.size):
        u = 1.0 + k[j] * t if k[j] * t.real > -0.5 else g[j] + k[j] * v
        total -= ec[j] * math.atan2(u.imag, u.real)
    return (total + par[4] * math.atan2(-par[1] * t.imag, 1.0 - par[1] * t.real)) / math.pi


@inline
def in_band(curve, top, low, rows, x, log):
    """(v, t, log v, distance from the upper edge if near it, found) at x > 0 in a band."""
    rise, drop = math.inf, log - top[2]
    if drop > -0.5 and x > 0.0:
        drop = math.log1p((x - top[4]) / top[4])
    if low.size:
        rise = log - low[2]
        if rise < 0.5 and x > 0.0 and low[4] > 0.0:
            rise = math.log1p((x - low[4]) / low[4])
    # rounding of the edge itself
    drop, rise = min(drop, -1e-300), max(rise, 1e-300)
    if drop > -zone(top):
        d = from_edge(top, drop)
        return top[1] + d, top[0] + d, logarithm(top, d), d, True
    if low.size and rise < zone(low):
        d = from_edge(low, rise)
        return low[1] + d, low[0] + d, logarithm(low, d), 0j, True
    first, last = 0, rows.shape[0] - 1
    while last - first > 1:
        middle = (first + last) // 2
        if rows[middle, 0] > log:
            first = middle
        else:
            last = middle
    near = last if abs(rows[last, 0] - log) < abs(rows[first, 0] - log) else first
    row = rows[near]
    step = ahead(complex(row[3], row[4]), complex(row[5], row[6]), complex(log - row[0]))
    w, _, _, _, found = settle(curve, row[1] + step.real, row[2] + step.imag, complex(log))
    v, t = unfold(w.real, w.imag)
    return v, t, w, 0j, found


@kernel
def evaluate(curve, top, low, rows, x, logs, gap, want):
    """X times the density (want 0) or the mass above (want 1) at points of one band.

    `logs` are log x; where x and its edges are floats, differences from them keep their digits.
    gap: 1 - p t at the upper edge, 0 where that is hard. Returns (values, failures).
    """
    par = curve[4]
    values = np.empty(x.size)
    failed = 0
    for i in range(x.size):
        v, t, w, near, found = in_band(curve, top, low, rows, x[i], logs[i])
        if not found:
            failed += 1
            values[i] = math.nan
        elif want == 1:
            values[i] = mass_above(curve, v, t, w.imag)
        else:
            slack = gap - par[1] * near if near != 0j else 1.0 - par[1] * t
            # Im of t/(1 - p t)
            size = slack.real * slack.real + slack.imag * slack.imag
            values[i] = -t.imag * par[3] / (size * math.pi)
    return values, failed


@inline
def in_gap(curve, region, goal, low, high):
    """Place (t, v) on the real line where log |z| = goal, s between two bounds.

    Region 0: z < 0, v = 1/(1 + e^s); 1: above all bands, t = e^s; 2: below all, v = -e^s.
    """
    s, last = 0.5 * (low + high), math.inf
    t, v = 0.0, 0.0
    for _ in range(200):
        size = math.exp(s)
        if region == 0:
            t, v = -1.0 / (1.0 + 1.0 / size), 1.0 / (1.0 + size)
            scale = v
        elif region == 1:
            t, v, scale = size, 1.0 + size, 1.0
        else:
            t, v, scale = -1.0 - size, -size, size / (1.0 + size)
        slope = tilt(curve, t, v)[0] * scale
        miss = real_log(curve, t, v) - goal
        # it falls with s in the first two
        if (miss > 0.0) == (region != 2):
            low = s
        else:
            high = s
        nxt = s - miss / slope
        if not (low < nxt < high) or abs(nxt - s) > 0.5 * last:
            nxt = 0.5 * (low + high)
        last = abs(nxt - s)
        if last <= 2e-16 * max(abs(s), 1.0):
            break
        s = nxt
    return t, v


@inline
def turn(curve, w, log, angle):
    """Continue a point of the real line at log x up to log z = log + i angle: (w, found)."""
    there = 0.0
    _, first, second, room = point(curve, w.real, w.imag)
    for _ in range(2000):
        length = 0.25 * room
        rise = min(angle - there, abs(first) * length + 0.5 * abs(second) * length * length)
        step = ahead(first, second, complex(0.0, rise))
        if not -math.pi <= w.imag + step.imag <= 0.0:
            step = -2.0 * first / second - step
        there += rise
        w, first, second, room, found = settle(
            curve, w.real + step.real, w.imag + step.imag, complex(log, there)
        )
        if not found:
            return w, False
        if there >= angle:
            return w, True
    return w, False


@inline
def transforms(curve, z, v, t):
    """G and m."""
    par = curve[4]
    slack = inverse(1.0 - par[1] * t)
    return (par[5] + par[6] * v) * slack / z, t * par[3] * slack


@kernel
def from_gap(curve, region, low, high, z):
    """G and m at points of the closed upper half plane, |z| in one gap; NaN where not found.

    With region 0, |z| is anywhere and z < 0; bounds of s as for `in_gap`. Shape (2, n).
    """
    out = np.empty((2, z.size), dtype=np.complex128)
    for i in range(z.size):
        log = math.log(abs(z[i]))
        tr, vr = in_gap(curve, region, log, low, high)
        t, v, found = complex(tr), complex(vr), True
        if z[i].imag != 0.0:
            w = log1p(t) if vr > 0.0 else complex(math.log(-vr), -math.pi)
            w, found = turn(curve, w, log, math.atan2(z[i].imag, z[i].real))
            v, t = unfold(w.real, w.imag)
        out[0, i], out[1, i] = transforms(curve, z[i], v, t)
        if not found:
            out[:, i] = math.nan
    return out


@kernel
def from_band(curve, top, low, rows, z):
    """G and m at points of the open upper half plane, |z| in one band; NaN where not found."""
    out = np.empty((2, z.size), dtype=np.complex128)
    for i in range(z.size):
        log = math.log(abs(z[i]))
        _, _, w, _, found = in_band(curve, top, low, rows, abs(z[i]), log)
        if found:
            w, found = turn(curve, w, log, math.atan2(z[i].imag, z[i].real))
        v, t = unfold(w.real, w.imag)
        out[0, i], out[1, i] = transforms(curve, z[i], v, t)
        if not found:
            out[:, i] = math.nan
    return out
