"""The law of a smooth network once more, apart from the package: nothing of it is imported here.

Transforms of gates from `leaf_references.py`, the tied equations of the chain with derivatives by
the product rule, the physical branch by continuation from z = y + i·large, edges by continuation
along the real line from ±∞. Densities and edges end with one correction by other transforms.
"""

import sys
from dataclasses import dataclass
from functools import cache
from pathlib import Path

import mpmath as mp
import numpy as np
from scipy.optimize import brentq
from series_reference import order_parameters

sys.path.insert(0, str(Path(__file__).resolve().parents[2] / "tests" / "free"))

import leaf_references


@dataclass(frozen=True)
class Chain:
    """A network of one activation: variances of its leaves, shifts, and its weights.

    `narrow` is the number of outputs over the width; all other layers are square.
    """

    name: str
    weights: str
    variance: float
    leaves: tuple[str, ...]
    shifts: tuple[float, ...]
    narrow: float = 1.0


def chain_of(name, depth, weights, weight_std, bias_std, narrow=1.0):
    """The chain of a network; standard deviations as decimal strings."""
    variances, seconds = order_parameters(name, depth, weight_std, bias_std)
    return Chain(
        name,
        weights,
        float(mp.mpf(weight_std) ** 2),
        tuple(mp.nstr(q, 25) for q in variances),
        tuple(float(s) for s in seconds),
        narrow,
    )


# Jets: arrays of a value and its derivatives by the unknowns.


def times(a, b):
    out = a[0] * b + b[0] * a
    out[0] = a[0] * b[0]
    return out


def over(a, b):
    out = (a - a[0] / b[0] * b) / b[0]
    out[0] = a[0] / b[0]
    return out


def plus(a, number):
    out = a.copy()
    out[0] += number
    return out


@cache
def _sums(name, q, order):
    return leaf_references.sums(name, q, order)


def by_sums(name, q, w, order=20):
    """Return m, 1 + m and m' by Gauss-Legendre sums of that order in double precision."""
    g, c = _sums(name, q, order)
    pole = 1 / (w - g)
    c = c * pole
    values = (c @ g, w * c.sum(), -(c * pole) @ g)
    return values if np.iscomplexobj(w) else tuple(value.real for value in values)


def by_finer_sums(name, q, w):
    """The same with half as many nodes more."""
    return by_sums(name, q, w, 30)


def by_balls(name, q, w):
    """Return m and 1 + m with every digit proven, m' by the sums."""
    m, n = leaf_references.transform(name, q, w)
    if not np.iscomplexobj(w):
        m, n = m.real, n.real
    return m, n, by_sums(name, q, w)[2]


def sweep(chain, w, transform=by_sums):
    """Jets of the errors of the ties, of y and of n = y·G; all (z, n) that were passed."""
    count = w.size
    ties, passed = [], []
    z = m = n = None
    for k, q in enumerate(chain.leaves):
        unknown = np.zeros(count + 1, dtype=w.dtype)
        unknown[0], unknown[k + 1] = w[k], 1
        value, beside, slope = transform(chain.name, q, w[k])
        leaf_m, leaf_n = slope * unknown, slope * unknown
        leaf_m[0], leaf_n[0] = value, beside
        if z is None:
            z = chain.shifts[0] * unknown
        else:
            ties.append(plus(over(leaf_m, m) if abs(m[0]) < 0.5 else over(leaf_n, n), -1))
            z = times(times(z, over(leaf_m, leaf_n)), unknown)
        m, n = leaf_m, leaf_n
        ratio = chain.narrow if k == count - 1 else 1.0
        if chain.weights == "gaussian":
            z = chain.variance * times(z, plus(m, ratio))
        else:
            z = chain.variance * times(z, over(plus(n, ratio - 1), n))
        m, n = m / ratio, plus(n, ratio - 1) / ratio
        passed.append((z[0], n[0]))
        if k < count - 1:
            shifted = plus(z, chain.shifts[k + 1])
            m = m + chain.shifts[k + 1] * over(n, z)
            n, z = over(times(n, shifted), z), shifted
            passed.append((z[0], n[0]))
    return ties, z, n, passed


def newton(w, errors):
    """Solve errors(w) = 0; the solution and its Jacobian, or None if a step leaves the trust."""
    for _ in range(12):
        jets = np.array(errors(w))
        jacobian = jets[:, 1:]
        move = np.linalg.solve(jacobian, jets[:, 0])
        size = np.abs(move / w).max()
        if not size < 0.3:
            return None
        w = w - move
        if size < 1e-13:
            break
    return (w, jacobian) if size < 1e-11 else None


def equations(chain, y, transform=by_sums):
    """Errors of all equations at y, as a function of the unknowns."""

    def errors(w):
        ties, z, _, _ = sweep(chain, w, transform)
        return [*ties, plus(z / y, -1)]

    return errors


def far(chain, y):
    """Unknowns at y far away, from first moments: m = (mean of the law)/z, and w·m = E g."""
    w = np.empty(len(chain.leaves), dtype=complex if np.iscomplexobj(y) else float)
    mean, slope = chain.shifts[0], chain.shifts[0]
    for k, q in enumerate(chain.leaves):
        g, c = _sums(chain.name, q, 20)
        gate = (g @ c).real
        # z before leaf k is slope·w[0]
        w[k] = gate * (slope / mean if k else 1.0)
        slope *= chain.variance * (gate if k else 1.0)
        mean = chain.shifts[k + 1] + chain.variance * gate * mean
    w[1:] *= y / (slope * chain.narrow)
    w[0] = y / (slope * chain.narrow)
    return w


def physical(chain, w):
    """Whether all z lie above the axis and all G below it."""
    _, _, _, passed = sweep(chain, w)
    return (w.imag > 0).all() and all(z.imag > 0 and (n / z).imag < 0 for z, n in passed)


def above(chain, y):
    """Unknowns at y + i0, continued down from y + i·large without a choice of branch.

    Every accepted step keeps all levels in their half planes and ends near its prediction.
    """
    eta, step = 100 * sum(chain.shifts) * max(1.0, chain.variance) ** len(chain.leaves), 0.1
    w, jacobian = newton(far(chain, y + 1j * eta), equations(chain, y + 1j * eta))
    assert physical(chain, w), (chain, y)
    for _ in range(200):
        lower = eta * step if eta > 0.02 * y else 0.0
        target = y + 1j * lower
        tangent = np.linalg.solve(jacobian, np.eye(w.size)[-1])
        guess = w + tangent * (target / (y + 1j * eta) - 1)
        found = newton(guess, equations(chain, target))
        good = found is not None and np.abs(found[0] / guess - 1).max() < 0.2
        if good and lower == 0.0:
            return found
        if good and physical(chain, found[0]):
            w, jacobian = found
            eta, step = lower, max(0.1, step**1.5)
        elif lower == 0.0:
            # not near enough to the axis for the last step
            w, jacobian = newton(w, equations(chain, y + 0.5j * eta))
            eta /= 2
            assert physical(chain, w), (chain, y)
        else:
            step = np.sqrt(step)
    raise AssertionError((chain, y))


def density(chain, y, check=by_finer_sums):
    """Density at y, and its relative change by one correction with other transforms."""
    w, jacobian = above(chain, y)
    _, _, rough, _ = sweep(chain, w)
    jets = np.array(equations(chain, y, check)(w))
    _, _, n, _ = sweep(chain, w, check)
    value = -(n[0] - n[1:] @ np.linalg.solve(jacobian, jets[:, 0])).imag
    return float(value / np.pi / y), float(abs(rough[0].imag / value + 1))


def top_of(name):
    """Largest value of the gate."""
    if name in ("elu", "softplus"):
        return 1.0
    return max(float(series[0].real) for _, series in leaf_references.turning_points(name, 13.0))


def edge(chain, side):
    """Right (side 1) or left (side -1) end of the continuous part, in y.

    On the real line outside the support all w grow with y up to the edge, where y as a function of
    the last w is stationary. Returns the edge and the relative correction by balls. Where y grows
    until the last w reaches the end of its gate, the edge is the limit there.
    """
    end = top_of(chain.name) if side > 0 else 0.0
    y = side * 1e6 * sum(chain.shifts) * max(1.0, chain.variance) ** len(chain.leaves)
    w, _ = newton(far(chain, y), equations(chain, y))
    v = np.log(side * (w[-1] - end))
    w, tangent, _ = _pinned(chain, w, end + side * np.exp(v))
    step = 0.25
    while v > -30 and step > 1e-6:

        def follow(t, v=v, w=w, tangent=tangent):
            """Solution with the last w at end ± e^t, from the one at v."""
            last = end + side * np.exp(t)
            return _pinned(chain, w + tangent * side * (np.exp(t) - np.exp(v)), last)

        found = follow(v - step)
        if found is None or not (found[1] > 0).all() or not ((found[0] - end) * side > 0).all():
            step /= 2
        elif found[2] > 0:
            v -= step
            w, tangent, _ = found
        else:
            w = follow(brentq(lambda t: follow(t)[2], v - step, v, xtol=1e-13))[0]
            break
    assert step > 1e-6, (chain, side, v)
    ties, z, _, _ = sweep(chain, w, by_balls)
    ties = np.array(ties).reshape(-1, w.size + 1)
    # y is stationary, so that one linear correction of the other unknowns is enough
    move = np.linalg.solve(ties[:, 1:-1], ties[:, 0])
    change = float(z[1:-1] @ move)
    return float(z[0]) - change, abs(change / float(z[0]))


def _pinned(chain, w, last):
    """Solve the ties with the last w given: w, dw/dlast, dy/dlast, or None."""

    def errors(w):
        pin = np.zeros(w.size + 1)
        pin[0], pin[-1] = w[-1] / last - 1, 1 / last
        return [*sweep(chain, w)[0], pin]

    found = newton(w, errors)
    if found is None:
        return None
    w, jacobian = found
    tangent = np.linalg.solve(jacobian, np.eye(w.size)[-1] / last)
    return w, tangent, sweep(chain, w)[1][1:] @ tangent


def quantile_points(chain, right, count, atom=0.0):
    """`count` points y about the quantiles (k + ½)/count of the continuous part, and its mass."""
    # y = right·exp(-u²) makes the density per u smooth at the right edge and at every bottom
    u = np.concatenate([np.linspace(0.02, 2.5, 50), np.linspace(2.6, 5.2, 14)])
    rates = []
    for place in u:
        y = right * np.exp(-place * place)
        rates.append(density(chain, y, by_sums)[0] * 2 * place * y)
        if place > 1 and rates[-1] < 1e-5 * max(rates):
            break
    u, rates = u[: len(rates)], np.array(rates)
    above = np.concatenate([[0.0], np.cumsum((rates[1:] + rates[:-1]) / 2 * np.diff(u))])
    wanted = 1 - (np.arange(count) + 0.5) / count
    return right * np.exp(-(np.interp(wanted, above / (1 - atom), u) ** 2)), above[-1]
