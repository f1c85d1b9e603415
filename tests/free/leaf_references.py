"""Certified transforms of gate laws, by ball arithmetic.

m and 1 + m are integrals over h of the density of h ~ N(0, q) times g/(w - g) and w/(w - g),
g = φ'(h)². With w on or above the real axis the path may be bent to where Im g(h) < 0. Here it is a
polygon through the turning points of g, and every integral is an `acb.integral` with a proven
radius. Next to a turning point g is its Taylor series, so that small balls stay clear of w.
"""

from functools import cache
from itertools import pairwise

import numpy as np
import pytest

pytest.importorskip("flint")

from flint import acb, acb_series, arb, ctx

PRECISION = 120
TAYLOR_TERMS = 60
TAYLOR_REACH = 0.15
TOLERANCES = {"rel_tol": arb(2) ** -75, "abs_tol": arb(2) ** -140}


def _logistic(h):
    return 1 / (1 + (-h).exp())


def _gelu(h):
    return (-h / arb(2).sqrt()).erfc() / 2 + h * (-h * h / 2).exp() / (2 * arb.pi()).sqrt()


def _silu(h):
    s = _logistic(h)
    return s * (1 + h * (1 - s))


def _tanh(h):
    e = (2 * h).exp()
    return 4 * e / ((1 + e) * (1 + e))


SLOPES = {
    "gelu": _gelu,
    "silu": _silu,
    "elu": lambda h: h.exp(),
    "softplus": _logistic,
    "tanh": _tanh,
    "erf": lambda h: 2 / arb.pi().sqrt() * (-h * h).exp(),
    "sine": lambda h: h.cos(),
}


def gate(name, h):
    """g(h) of a number or of a power series."""
    slope = SLOPES[name](h)
    return slope * slope


def _root(f, low, high):
    """Root of f in [low, high] to working precision."""
    low, high = arb(low), arb(high)
    rising = f(high) > 0
    for _ in range(PRECISION - 10):
        middle = ((low + high) / 2).mid()
        low, high = (low, middle) if (f(middle) > 0) == rising else (middle, high)
    return middle


@cache
def turning_points(name, reach):
    """Zeros of φ' and φ'' in (-reach, reach), and the kink of ELU, with the series of g there."""
    ctx.prec, ctx.cap = PRECISION + 40, TAYLOR_TERMS
    if name == "gelu":
        turn = arb(2).sqrt()
        points = [-turn, _root(_gelu, -1, -0.5), turn]
    elif name == "silu":
        # φ'' = s(1 - s)(2 - h tanh(h/2)), s the logistic function
        turn = _root(lambda h: h * (h / 2).tanh() - 2, 2, 3)
        points = [-turn, _root(_silu, -2, -1), turn]
    elif name == "sine":
        count = int(reach / 1.57)
        points = [k * arb.pi() / 2 for k in range(-count, count + 1)]
    else:
        points = [] if name == "softplus" else [arb(0)]
    series = []
    for point in points:
        coefficients = gate(name, acb_series([acb(point), acb(1)])).coeffs()
        if name != "elu":
            coefficients[1] = acb(0)
        if abs(float(coefficients[0].real)) < 1e-30:
            coefficients[0] = acb(0)
        series.append(coefficients)
    return [(p, s) for p, s in zip(points, series, strict=True) if abs(float(p)) < reach]


def _path(left, right, std, side):
    """Corners of a polygon from left to right that runs on one side of the real axis."""
    length = float(right - left)
    depth = min(length / 6, std / 2, 0.2, 1 / (abs(float(left)) + abs(float(right))))
    x = min(TAYLOR_REACH, length / 4)
    corners = [acb(left + x, 0.6 * side * depth), acb(right - x, 0.6 * side * depth)]
    if length > 4 * TAYLOR_REACH:
        corners[1:1] = [acb(left + (right - left) * k / 4, side * depth) for k in (1, 2, 3)]
    return [acb(left), *corners, acb(right)]


def _horner(coefficients, x):
    value = acb(0)
    for coefficient in reversed(coefficients):
        value = value * x + coefficient
    return value


def _segment(name, q, w, start, stop, around):
    """Both integrals over a segment; `around` is a turning point with its series, or None."""
    scale = 1 / (2 * arb.pi() * q).sqrt()
    centre, series = around or (arb(0), None)

    def gap_and_gate(x):
        if series is None:
            g = gate(name, x)
            return w - g, g
        beyond = x * _horner(series[1:], x)
        return (w - series[0]) - beyond, series[0] + beyond

    def of(numerator):
        def integrand(x, _):
            h = centre + x
            gap, g = gap_and_gate(x)
            return (-h * h / (2 * q)).exp() * scale * numerator(g) / gap

        return acb.integral(integrand, start - centre, stop - centre, **TOLERANCES)

    return of(lambda g: g), of(lambda g: w)


def _polygon(name, q):
    """Segments (start, stop, turning point with its series or None) of the bent path."""
    std = q.sqrt()
    reach = 13 * std
    turns = turning_points(name, float(reach))
    ctx.prec = PRECISION
    stops = [(-reach, None), *((point, (point, series)) for point, series in turns)]
    if name != "elu":
        stops.append((reach, None))
    segments = []
    for (left, first), (right, last) in pairwise(stops):
        rises = gate(name, acb(right)).real > gate(name, acb(left)).real
        corners = _path(left, right, float(std), -1 if rises else 1)
        around = [first] + [None] * (len(corners) - 3) + [last]
        segments += zip(corners[:-1], corners[1:], around, strict=True)
    return segments


def transform(name, q, w):
    """Return m and 1 + m at w as complex numbers, correct to all digits.

    `q` is a decimal string; `w` a float or a complex number with Im w >= 0. The gate of erf is that
    of erf(h), the gate of sine that of sin(h).
    """
    ctx.prec = PRECISION
    q, w = arb(q), acb(w.real, w.imag)
    m, n = acb(0), acb(0)
    for start, stop, turn in _polygon(name, q):
        more = _segment(name, q, w, start, stop, turn)
        m, n = m + more[0], n + more[1]
    if name == "elu":
        m, n = m + 1 / (w - 1) / 2, n + w / (w - 1) / 2
    for value in (m, n):
        size = abs(complex(value))
        assert float(value.real.rad()) + float(value.imag.rad()) < 1e-15 * size, (name, q, w)
    return complex(m), complex(n)


def sums(name, q, order=20):
    """Return atoms g_k and weights c_k: m(w) = Σ c g/(w - g), 1 + m = w Σ c/(w - g), to 1e-12.

    Gauss-Legendre panels of `order` nodes on the same polygon, finer towards its turning
    points; for Im w >= 0.
    """
    ctx.prec = PRECISION
    q = arb(q)
    scale = 1 / (2 * arb.pi() * q).sqrt()
    nodes, weights = np.polynomial.legendre.leggauss(order)
    atoms = [(1.0, 0.5)] if name == "elu" else []
    for start, stop, turn in _polygon(name, q):
        centre, series = turn or (arb(0), None)
        # The poles of 1/(w - g) are on or above the other side of the real line.
        height = max(abs(complex(end).imag) for end in (start, stop))
        length = abs(complex(stop - start))
        cuts = list(np.linspace(0, 1, 2 + int(length / height)))
        if series is not None:
            ratio = (length - height) / (length + height)
            ends = cuts[1] * ratio ** np.arange(1, int(-12 / np.log(ratio)))
            at_start = abs(complex(start).imag) < abs(complex(stop).imag)
            cuts += list(ends if at_start else 1 - ends)
        cuts.sort()
        for low, high in pairwise(cuts):
            for x, c in zip(nodes, weights, strict=True):
                share = low + (high - low) * (1 + x) / 2
                h = start + (stop - start) * share
                g = gate(name, h) if series is None else _horner(series, h - centre)
                density = scale * (-h * h / (2 * q)).exp()
                weight = complex((stop - start) * ((high - low) * c / 2) * density)
                if abs(weight) > 1e-20:
                    atoms.append((complex(g), weight))
    return np.array(atoms).T
