"""Moments of nested sample covariances: their equations as power series in u = 1/z."""

from fractions import Fraction
from itertools import pairwise
from typing import Any

from freefim.free.laws.numbers import Number, is_exact, plain
from freefim.free.trees.series import Series, multiply, reciprocal

__all__ = ["nested_moments"]


def nested_moments(
    shift: Number,
    weights: tuple[Number, ...],
    levels: tuple[tuple[Number, Number, Number], ...],
    inner: tuple[Number, ...],
) -> tuple[Any, ...]:
    """Moments of the sum from the moments of the innermost covariance, as many as those.

    Parameters
    ----------
    shift : number
    weights : tuple of number, k + 1 entries
    levels : tuple of (ratio, rest, gain), k entries
    inner : tuple of number
        Moments 1, 2, … of the law of the innermost covariance.

    Returns
    -------
    tuple
        Exact if every number is.
    """
    numbers = (shift, *weights, *inner, *(x for level in levels for x in level))
    lift: Any = Fraction if all(map(is_exact, numbers)) else float
    order = len(inner)

    def constant(value: Number) -> Series:
        return [lift(value), *[lift(0)] * (order + 1)]

    def scaled(factor: Number, series: Series) -> Series:
        return [lift(factor) * x for x in series]

    def added(*terms: Series) -> Series:
        return [sum(column[1:], column[0]) for column in zip(*terms, strict=True)]

    def shifted(series: Series) -> Series:
        return [lift(0), *series[:-1]]

    powers = [lift(1), *map(lift, inner)]
    # D_l = 1/s_l down from the top, with the g_l of the sweep before: each sweep adds an order
    lasts, trace = [constant(0) for _ in levels], constant(0)
    for _ in range(order + 2):
        outer, drift = [constant(weights[-1])], constant(shift)
        for y, (ratio, rest, gain), g in zip(
            weights[-2::-1], reversed(levels), reversed(lasts), strict=True
        ):
            loss = added(constant(1), scaled(ratio, multiply(outer[0], g)))
            inverse = multiply(outer[0], reciprocal(loss))
            outer.insert(0, added(constant(y), scaled(gain, inverse)))
            drift = added(drift, scaled(rest, inverse))
        # 1/(a_0 + e_0 x) = -u Σ (u e_0 x)^j / A^(j+1), A = 1 - u (shift + Σ c_l D_l)
        inverse_base = reciprocal(added(constant(1), scaled(-1, shifted(drift))))
        step = multiply(shifted(outer[0]), inverse_base)
        term, trace, tau = inverse_base, constant(0), constant(0)
        for moment, following in pairwise([*powers, lift(0)]):
            trace = added(trace, scaled(-moment, term))
            tau = added(tau, scaled(-following, term))
            term = multiply(term, step)
        trace, tau = shifted(trace), shifted(tau)
        for l, (ratio, rest, gain) in enumerate(levels):
            lasts[l] = added(scaled(rest, trace), scaled(gain, tau))
            loss = added(constant(1), scaled(ratio, multiply(outer[l + 1], lasts[l])))
            tau = multiply(lasts[l], reciprocal(loss))
    # m = -Σ M_k u^(k+1); the last term of τ is not known, and not needed for it
    return tuple(plain(-x) for x in trace[2:])
