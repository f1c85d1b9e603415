r"""Kernels of the joint Newton: the transforms of the leaves, and one affine sweep per Newton step.

A program is six arrays. ``ops`` (n,) and ``pars`` (n, 2) list the moves: LEAF (index), GAUSSIAN
(ratio, variance), CORNER (ratio), PADDING (ratio), AFFINE (scale, shift). ``tab`` (K, 4) holds a
row per leaf: code, offset into ``reals``, offset into ``nodes`` and ``weights``, number of nodes.
The unknowns are one w per leaf, then one z behind every shift; ``eps`` (U,) is the size that
counts as zero of each. The point mass that starts the chain is absorbed in leaf 0, whose z is
``start`` · w.

Every kernel takes typed arrays and scalars and returns arrays and status codes; nothing raises.
"""

import math

import numpy as np

from freefim._jit import inline, kernel

__all__ = ["follow", "leaf_values", "mass_above", "real_point", "solve_each"]

LEAF, GAUSSIAN, CORNER, PADDING, AFFINE = 0, 1, 2, 3, 4
TANH, ERF, SINE, CONTOUR = 1, 2, 3, 4
OK, STUCK = 0, 1

_SWEEPS = 9
# How far off the physical sheet, relative, rounding may carry an unknown, z and n: of a contour it
# is that of its whole path.
_EXACT_SLACK, _CONTOUR_SLACK = (1e-9, 1e-8, 1e-11), (1e-6, 1e-5, 1e-6)
# Im n of a solution in a gap, relative.
_REAL = 1e-9
# A z this small beside the shift in front of it is an unknown of its own.
_CANCELLED = 0.25


@inline
def _inverse(x):
    """1/x; infinite at 0, where compiled complex division would raise."""
    if x == 0.0:
        return complex(math.inf, 0.0)
    return 1.0 / x


@inline
def _real_grid(w, reals, start, count, stride):
    """Sum c g/(w-g), c/(w-g), -c g/(w-g)² over real nodes (g at start, c at start + stride)."""
    wr, wi = w.real, w.imag
    mr = mi = nr = ni = dr = di = 0.0
    for k in range(start, start + count):
        g = reals[k]
        c = reals[k + stride]
        x = wr - g
        t = 1.0 / (x * x + wi * wi)
        a = x * t
        b = -wi * t
        nr += c * a
        ni += c * b
        f = c * g
        mr += f * a
        mi += f * b
        dr -= f * (a * a - b * b)
        di -= 2.0 * f * a * b
    return complex(mr, mi), complex(nr, ni), complex(dr, di)


@inline
def _reach(q, s):
    """Height above which a pole changes the trapezoid sum of step s by less than e^-40."""
    saddle = 2.0 * math.pi * q / s
    return saddle - math.sqrt(max(saddle * saddle - 80.0 * q, 0.0))


@inline
def _pole(h, side, o, s, q):
    """π·p(h)·[cot(π(h-o)/s) + i·side]·√(2πq) without overflow, and its logarithmic h-derivative."""
    turn = complex(0.0, 2.0 * side * math.pi / s)
    phase = turn * (h - o)
    e = np.exp(phase)
    value = complex(0.0, 2.0 * side * math.pi) * np.exp(phase - h * h / (2.0 * q))
    inverse = _inverse(e - 1.0)
    return value * inverse, -h / q - turn * inverse


@inline
def _tanh(w, reals, r):
    """E g/(w-g), 1 + that, and the derivative, g = amplitude·sech⁴(h), h ~ N(0, q)."""
    q, amplitude, s, count = reals[r], reals[r + 1], reals[r + 2], int(reals[r + 3])
    v = w / amplitude
    if v.real < 0.0:
        x = _inverse(np.sqrt(np.sqrt(-v))) * complex(math.sqrt(0.5), -math.sqrt(0.5))
    else:
        x = _inverse(np.sqrt(np.sqrt(v)))
    o = 0.0
    norm = 2.0 / math.sqrt(2.0 * math.pi * q)
    # Far out the preimages cluster and cancel, and the plain sum is exact relative to 1/w.
    limit = _reach(q, s) if abs(v) < 1e4 else 0.0
    pole = 0j
    slope = 0j
    for k in range(2):
        if k == 1:
            x *= 1j
        root = np.sqrt(x - 1.0) * np.sqrt(x + 1.0)
        h = np.log(x + root)
        if k == 0 and x.real < 1.0 and h.imag > 0.0:
            h, root = -h, -root
        if k == 0:
            part = abs(h.real) / s
            part -= math.floor(part)
            if part < 0.25 or part > 0.75:
                o = 0.5 * s
        side = -1.0 if k == 0 else 1.0
        if side * h.imag < limit:
            flat = x * _inverse(root)
            value, rate = _pole(h, side, o, s, q)
            value *= 0.25 * norm * flat
            pole += value
            slope -= 0.25 * value * (rate - flat * _inverse(x * x)) * flat * _inverse(w)
    first = r + 4 if o == 0.0 else r + 4 + count
    m, n, d = _real_grid(w, reals, first, count, 2 * count)
    return m + pole, w * n + pole, d + slope


@inline
def _erf(w, reals, r):
    """E g/(w-g), 1 + that, and the derivative, g = amplitude·exp(-2h²), h ~ N(0, q)."""
    q, amplitude, s, count = reals[r], reals[r + 1], reals[r + 2], int(reals[r + 3])
    v = w / amplitude
    log = np.log(-v) + complex(0.0, math.pi) if v.real < 0.0 else np.log(v)
    o = 0.0
    norm = 2.0 / math.sqrt(2.0 * math.pi * q)
    # Far out the preimages cluster and cancel, and the plain sum is exact relative to 1/w.
    limit = _reach(q, s) if abs(v) < 1e4 else 0.0
    pole = 0j
    slope = 0j
    for upper in range(2):
        side = 1.0 if upper == 1 else -1.0
        for k in range(400):
            branch = float(k + 1) if upper == 1 else -float(k)
            square = 0.5 * (complex(0.0, 2.0 * math.pi * branch) - log)
            h = np.sqrt(square)
            if k == 0 and upper == 0:
                if square.real < 0.0 and h.imag > 0.0:
                    h = -h
                part = abs(h.real) / s
                part -= math.floor(part)
                if part < 0.25 or part > 0.75:
                    o = 0.5 * s
            if side * h.imag >= limit:
                break
            value, rate = _pole(h, side, o, s, q)
            flat = _inverse(h)
            value *= 0.25 * norm * flat
            pole += value
            slope -= 0.25 * value * (rate - flat) * flat * _inverse(w)
    first = r + 4 if o == 0.0 else r + 4 + count
    m, n, d = _real_grid(w, reals, first, count, 2 * count)
    return m + pole, w * n + pole, d + slope


@inline
def _sine(w, reals, r):
    """E g/(w-g), 1 + that, and the derivative, g = amplitude·cos²(u), u ~ N(0, q)."""
    q, amplitude = reals[r], reals[r + 1]
    v = w / amplitude
    low = 1j * np.sqrt(-v) if v.real < 0.0 else np.sqrt(v)
    high = 1j * np.sqrt(1.0 - v) if v.real < 1.0 else np.sqrt(v - 1.0)
    j = _inverse(2.0 * v - 1.0 + 2.0 * low * high)
    over = _inverse(high)
    power = 1.0 + 0j
    total = 0j
    moment = 0j
    for k in range(1, 400):
        power *= j
        decay = 2.0 * math.exp(-2.0 * k * k * q)
        if decay < 1e-18:
            break
        total += decay * power
        moment += k * decay * power
    ratio = low * over
    m = over * _inverse(low + high) + ratio * total
    n = ratio * (1.0 + total)
    d = -(0.5 * (1.0 + total) * _inverse(low) * over + moment) * over * over
    return m, n, d / amplitude


@inline
def _atoms(w, nodes, weights, start, count):
    """Sum c g/(w-g), w c/(w-g) and -c g/(w-g)² over nodes on a path or on the real axis."""
    wr, wi = w.real, w.imag
    mr = mi = nr = ni = dr = di = 0.0
    for k in range(start, start + count):
        g = nodes[k]
        c = weights[k]
        x = wr - g.real
        y = wi - g.imag
        t = 1.0 / (x * x + y * y)
        a = x * t
        b = -y * t
        ur = c.real * a - c.imag * b
        ui = c.real * b + c.imag * a
        nr += ur
        ni += ui
        vr = ur * g.real - ui * g.imag
        vi = ur * g.imag + ui * g.real
        mr += vr
        mi += vi
        dr -= vr * a - vi * b
        di -= vr * b + vi * a
    return complex(mr, mi), w * complex(nr, ni), complex(dr, di)


@inline
def _leaf(w, k, tab, reals, nodes, weights):
    """m, 1 + m and m' of leaf k at w."""
    code = tab[k, 0]
    if code == TANH:
        return _tanh(w, reals, tab[k, 1])
    if code == ERF:
        return _erf(w, reals, tab[k, 1])
    if code == SINE:
        return _sine(w, reals, tab[k, 1])
    return _atoms(w, nodes, weights, tab[k, 2], tab[k, 3])


@inline
def _slack(tab):
    """How far off the physical sheet rounding may carry w, z and n, relative."""
    for k in range(tab.shape[0]):
        if tab[k, 0] == CONTOUR:
            return _CONTOUR_SLACK
    return _EXACT_SLACK


@kernel
def leaf_values(w, k, tab, reals, nodes, weights):
    """m, 1 + m, m' of leaf `k` at the points w (n,): complex array (n, 3)."""
    out = np.empty((w.size, 3), np.complex128)
    for i in range(w.size):
        out[i, 0], out[i, 1], out[i, 2] = _leaf(w[i], k, tab, reals, nodes, weights)
    return out


@inline
def _sweep(ops, pars, tab, reals, nodes, weights, y, w, wa, wb):
    """One pass: residuals and sensitivities of every unknown to δw_0 = s.

    Every quantity δ is carried as α + β s. Returns s, the n = y·G the step leads to,
    dz/dw_0 / z, and the lowest Im z / |z| met. ``wa`` and ``wb`` receive δw = wa + wb·s.

    A z near 0 behind a shift q is a difference that keeps no digits. There it is read from the
    unknown, and what the difference is off by is a residual, small beside q.
    """
    m, n, d = _leaf(w[0], 0, tab, reals, nodes, weights)
    z = w[0]
    wa[0] = 0.0
    wb[0] = 1.0
    za, zb = 0j, _inverse(w[0])
    ma, mb = 0j, d
    low = z.imag / (abs(z) + 1e-300)
    shifted = tab.shape[0]
    for i in range(1, ops.size):
        op = ops[i]
        a = pars[i, 0]
        if op == LEAF:
            k = int(a)
            lm, ln, ld = _leaf(w[k], k, tab, reals, nodes, weights)
            if abs(lm) < 0.5:
                ma += m - lm
            else:
                ma += n - ln
            m, n = lm, ln
            g = _inverse(ld)
            wa[k] = ma * g
            wb[k] = mb * g
            f = _inverse(n)
            g = _inverse(m) * f
            h = _inverse(w[k])
            z = z * m * w[k] * f
            za += ma * g + wa[k] * h
            zb += mb * g + wb[k] * h
        elif op == GAUSSIAN:
            u = (a - 1.0) + n
            g = _inverse(u)
            z = pars[i, 1] * z * u
            za += ma * g
            zb += mb * g
            m, n, ma, mb = m / a, u / a, ma / a, mb / a
        elif op == CORNER:
            u = (a - 1.0) + n
            g = _inverse(u) - _inverse(n)
            z = z * u * _inverse(n)
            za += ma * g
            zb += mb * g
            m, n, ma, mb = m / a, u / a, ma / a, mb / a
        elif op == PADDING:
            m, n, ma, mb = a * m, (1.0 - a) + a * n, a * ma, a * mb
        else:
            z *= a
            q = pars[i, 1]
            if q != 0.0:
                behind = z + q
                wa[shifted] = behind - w[shifted] + z * za
                wb[shifted] = z * zb
                miss = 0j
                if abs(behind) < _CANCELLED * q:
                    miss = behind - w[shifted]
                    behind = w[shifted]
                shifted += 1
                h = _inverse(z)
                g = (q - miss) * h
                f = _inverse(behind)
                ma += g * (ma - n * za) + n * h * miss
                mb += g * (mb - n * zb)
                m += n * g
                n *= behind * h
                za = (miss + z * za) * f
                zb *= z * f
                z = behind
        low = min(low, z.imag / (abs(z) + 1e-300))
    s = ((y - z) * _inverse(z) - za) * _inverse(zb)
    return s, n + ma + mb * s, zb, low


@inline
def _newton(ops, pars, tab, reals, nodes, weights, eps, y, w, wa, wb):
    """Newton from `w` (overwritten) to the solution at `y`: status, n = y G, sweeps.

    `wb` leaves as dw/dlog y. A step over half the size of some unknown is a rejection; so is a
    solution off the physical sheet.
    """
    n = 0j
    slack_w, slack_z, slack_n = _slack(tab)
    for sweep in range(_SWEEPS):
        s, n, zb, low = _sweep(ops, pars, tab, reals, nodes, weights, y, w, wa, wb)
        worst = 0.0
        close = 0.0
        for k in range(w.size):
            step = wa[k] + wb[k] * s
            size = abs(w[k])
            worst = max(worst, abs(step) / (size + eps[k]))
            close = max(close, abs(step) / (size + 1e-300))
            w[k] += step
        if not worst < 0.5:
            break
        if close < 1e-8 or worst < 1e-15:
            if low < -slack_z:
                break
            if n.imag * y.real - n.real * y.imag > slack_n * abs(n * y):
                break
            for k in range(w.size):
                if w[k].imag < -slack_w * (abs(w[k]) + eps[k]):
                    return STUCK, n, sweep
                wb[k] *= _inverse(zb)
            # Real roots off the physical sheet fall with y.
            real = y.imag == 0.0 and abs(n.imag) < _REAL * abs(n)
            if real and not wb[tab.shape[0] - 1].real > 0.0:
                break
            return OK, n, sweep
    return STUCK, n, _SWEEPS


@inline
def _log_y(t, a, b, kind):
    """Log y on a path: 0 straight from a (t=0) to b (t=1), 1 a - t², 2 a + (b-a) sin²(t/2)."""
    if kind == 0:
        return a + (b - a) * t
    if kind == 1:
        return a - t * t
    return a + (b - a) * math.sin(0.5 * t) ** 2


@inline
def _log_y_slope(t, a, b, kind):
    if kind == 0:
        return b - a
    if kind == 1:
        return complex(-2.0 * t)
    return (b - a) * 0.5 * math.sin(t)


@inline
def _path_y(t, a, b, kind):
    v = _log_y(t, a, b, kind)
    if v.imag == 0.0:
        return complex(math.exp(v.real), 0.0)
    return np.exp(v)


@inline
def _follow(
    ops, pars, tab, reals, nodes, weights, eps, a, b, kind, t0, t1, w, dw, wa, trial, slope
):
    """Carry `w` (with `dw` = dw/dlog y) along a path from t0 to t1, halving steps that fail."""
    t = t0
    step = t1 - t0
    n = 0j
    for _ in range(600):
        last = abs(step) >= abs(t1 - t)
        to = t1 if last else t + step
        move = _log_y_slope(t, a, b, kind) * (to - t)
        if kind != 0:
            shift = _log_y(to, a, b, kind) - _log_y(t, a, b, kind)
            # Near t = 0 the slope in t times dw/dlog y is finite; away from it use the true shift.
            if abs(t) > 0.3 * abs(to - t):
                move = shift
        if abs(move) < 3.0:
            for k in range(w.size):
                trial[k] = w[k] + dw[k] * move
            y = _path_y(to, a, b, kind)
            status, n, sweeps = _newton(
                ops, pars, tab, reals, nodes, weights, eps, y, trial, wa, slope
            )
        else:
            status, sweeps = STUCK, _SWEEPS
        if status == OK:
            for k in range(w.size):
                w[k] = trial[k]
                dw[k] = slope[k]
            t = to
            if last:
                return OK, n
            if sweeps <= 3:
                step *= 2.0
        else:
            step *= 0.5
            if abs(step) < 1e-9 * (abs(t1 - t0) + 1e-300):
                return STUCK, n
    return STUCK, n


@kernel
def follow(ops, pars, tab, reals, nodes, weights, eps, a, b, kind, t0, ts, w, dw):
    """Carry `w`, `dw` (U,), overwritten, from t0 through the parameters `ts` (n,) in order.

    Returns how many were reached, n = y·G there (n,), w and dw there (n, U).
    """
    size = w.size
    wa = np.empty(size, np.complex128)
    trial = np.empty(size, np.complex128)
    slope = np.empty(size, np.complex128)
    out = np.empty(ts.size, np.complex128)
    ws = np.empty((ts.size, size), np.complex128)
    dws = np.empty((ts.size, size), np.complex128)
    t = t0
    for i in range(ts.size):
        status, n = _follow(
            ops,
            pars,
            tab,
            reals,
            nodes,
            weights,
            eps,
            a,
            b,
            kind,
            t,
            ts[i],
            w,
            dw,
            wa,
            trial,
            slope,
        )
        if status != OK:
            return i, out, ws, dws
        t = ts[i]
        out[i] = n
        for k in range(size):
            ws[i, k] = w[k]
            dws[i, k] = dw[k]
    return ts.size, out, ws, dws


@kernel
def solve_each(ops, pars, tab, reals, nodes, weights, eps, y, w, dw):
    """Newton at every y (n,) from the guesses w (n, U), overwritten as is dw.

    Returns the status and n = y·G, each (n,).
    """
    status = np.empty(y.size, np.int64)
    out = np.empty(y.size, np.complex128)
    wa = np.empty(w.shape[1], np.complex128)
    for i in range(y.size):
        status[i], out[i], _ = _newton(
            ops, pars, tab, reals, nodes, weights, eps, y[i], w[i], wa, dw[i]
        )
    return status, out


@kernel
def mass_above(ops, pars, tab, nodes, weights, w):
    """Mass to the right of every y (n,) of the law, from the solutions w (n, U) just above.

    Im ∫ log(y - x) µ(dx) / π, carried through the moves in closed form; every leaf must be real
    atoms. Smoothed over the height of the solutions.
    """
    out = np.empty(w.shape[0])
    for i in range(w.shape[0]):
        above = 0.0
        z = w[i, 0]
        m = n = 0j
        for j in range(ops.size):
            op = ops[j]
            a = pars[j, 0]
            if op == LEAF:
                k = int(a)
                x = w[i, k]
                lm, ln, _ = _atoms(x, nodes, weights, tab[k, 2], tab[k, 3])
                total = 0.0
                for node in range(tab[k, 2], tab[k, 2] + tab[k, 3]):
                    total += weights[node].real * math.atan2(x.imag, x.real - nodes[node].real)
                above += total
                m, n = lm, ln
                if j > 0:
                    above += math.atan2(m.imag, m.real)
                    z = z * m * x * _inverse(n)
            elif op == GAUSSIAN:
                u = (a - 1.0) + n
                above = ((a - 1.0) * math.atan2(z.imag, z.real) + above + m.imag) / a
                z = pars[j, 1] * z * u
                m, n = m / a, u / a
            elif op == CORNER:
                u = (a - 1.0) + n
                ratio = z * _inverse(n)
                above = (above - (1.0 - a) * math.atan2(ratio.imag, ratio.real)) / a
                z = u * ratio
                m, n = m / a, u / a
            elif op == PADDING:
                above = a * above + (1.0 - a) * math.atan2(z.imag, z.real)
                m, n = a * m, (1.0 - a) + a * n
            else:
                z *= a
                q = pars[j, 1]
                if q != 0.0:
                    m += n * q * _inverse(z)
                    n *= (z + q) * _inverse(z)
                    z += q
        out[i] = above / math.pi
    return out


@inline
def _height(n, m, bare):
    """A monotone, nearly linear function of log |w - end|: log |m|, or log(-m/n) below 0."""
    return math.log(abs(m)) if bare else math.log(-m) - math.log(n)


@inline
def _invert(m_in, n_in, k, end, right, guess, tab, reals, nodes, weights):
    """The real w beyond `end` (right: above, else below) with m(w) = m_in; 0 status if found.

    `guess` is log |w - end|. Newton in that logarithm between two bounds.
    """
    sign = 1.0 if right else -1.0
    bare = right or end > 0.0
    if not sign * m_in > 0.0 or not (bare or n_in > 0.0):
        return STUCK, 0.0
    want = _height(n_in, m_in, bare)
    lo, hi = -600.0, 600.0
    v = guess
    for _ in range(80):
        offset = math.exp(v)
        w = end + sign * offset
        m, n, d = _leaf(complex(w, 0.0), k, tab, reals, nodes, weights)
        if not sign * m.real > 0.0 or not (bare or n.real > 0.0):
            lo = v
            v = 0.5 * (lo + min(hi, lo + 8.0))
            continue
        have = _height(n.real, m.real, bare)
        rate = sign * offset * d.real / m.real
        if not bare:
            rate /= n.real
        if have > want:
            lo = v
        else:
            hi = v
        step = (want - have) / rate
        if rate >= 0.0 or not abs(step) < 1e300:
            step = 0.5 * (lo + hi) - v
        new = v + min(max(step, -4.0), 4.0)
        # next to an atom at the end, w itself keeps few digits of the distance
        if abs(step) < 1e-11 * max(1.0, abs(v)) + 1e-15 * end / offset:
            return OK, new
        if not (lo < new < hi):
            new = 0.5 * (lo + hi)
        v = new
        if w == end:
            return STUCK, v
    return STUCK, v


@kernel
def real_point(ops, pars, tab, reals, nodes, weights, tops, bottoms, w0, logs, w):
    """The chain at real w_0, every w outside its leaf.

    It lies above tops[k] where m > 0, below bottoms[k] where m < 0. `logs` (K,) holds log |w - end|
    at the previous point and is overwritten, as is `w` (K,). Returns (status, y, dy/dw_0, n): OK
    if dz/dw_0 > 0 at every level, else STUCK.
    """
    w[0] = w0
    mc, nc, dc = _leaf(complex(w0, 0.0), 0, tab, reals, nodes, weights)
    m, n, md = mc.real, nc.real, dc.real
    z, zd = w0, 1.0
    for i in range(1, ops.size):
        op = ops[i]
        a = pars[i, 0]
        if op == LEAF:
            k = int(a)
            right = m > 0.0
            end = tops[k] if right else bottoms[k]
            status, v = _invert(m, n, k, end, right, logs[k], tab, reals, nodes, weights)
            logs[k] = v
            w[k] = end + math.exp(v) if right else end - math.exp(v)
            if status != OK:
                return STUCK, z, zd, n
            _, _, ld = _leaf(complex(w[k], 0.0), k, tab, reals, nodes, weights)
            factor = m * w[k] / n
            zd = factor * (zd + z * (md / (m * n) + md / (ld.real * w[k])))
            z *= factor
        elif op == GAUSSIAN:
            u = (a - 1.0) + n
            zd = pars[i, 1] * (zd * u + z * md)
            z *= pars[i, 1] * u
            m, n, md = m / a, u / a, md / a
        elif op == CORNER:
            u = (a - 1.0) + n
            zd = zd * u / n + z * md * (n - u) / (n * n)
            z *= u / n
            m, n, md = m / a, u / a, md / a
        elif op == PADDING:
            m, n, md = a * m, (1.0 - a) + a * n, a * md
        else:
            z *= a
            zd *= a
            q = pars[i, 1]
            md += q * (md - n * zd / z) / z
            m += q * n / z
            n *= (z + q) / z
            z += q
        if not zd > 0.0:
            return STUCK, z, zd, n
    return OK, z, zd, n
