"""Gates: the law of φ'(h)², h ~ N(0, q), of every activation, as a leaf of the free calculus."""

from __future__ import annotations

import math
from collections.abc import Callable
from functools import singledispatch
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import ConvergenceError, SpecError
from freefim.free.leaves.contour import contour_leaf
from freefim.free.leaves.leaf import Atomic, CosineSquared, GaussianBump, Leaf, SechFourth, TwoPoint
from freefim.free.leaves.paths import End, Flat, Piece, Tail
from freefim.networks.activations import (
    ELU,
    GELU,
    Activation,
    CustomActivation,
    Erf,
    SiLU,
    Sine,
    Softplus,
    Tanh,
)
from freefim.networks.custom_gates import custom_parts

__all__ = ["gate_law", "realised_gate"]

_Array = NDArray[Any]


def _gelu_slope(h: _Array) -> _Array:
    from scipy.special import erfc

    density = np.exp(-h * h / 2) / math.sqrt(2 * math.pi)
    return np.asarray(erfc(-h / math.sqrt(2)) / 2 + h * density)


def _logistic(h: _Array) -> _Array:
    small = np.exp(np.where(h.real > 0, -h, h))
    return np.asarray(np.where(h.real > 0, 1, small) / (1 + small))


def _silu_slope(h: _Array) -> _Array:
    s = _logistic(h)
    return np.asarray(s * (1 + h * (1 - s)))


def _wave(
    slope: Callable[[_Array], _Array], turn: float, zero: float, left: Tail, right: Tail
) -> tuple[Piece, ...]:
    """Pieces of a φ' with extrema at ±`turn` and one zero."""
    low, middle, high = End(-turn, "turn"), End(zero, "zero"), End(turn, "turn")
    ends: tuple[End | Tail, ...] = (left, low, middle, high, right)
    return tuple(Piece(slope, a, b) for a, b in pairwise(ends))


# φ'' of GELU is (2 - h²) times a Gaussian; the other numbers solve φ' = 0 and, for SiLU, φ'' = 0.
_GELU = _wave(_gelu_slope, math.sqrt(2), -0.7517915246935645, Tail(2.8, 1, 0), Tail(1.4, 0.5, 1))
_SILU = _wave(_silu_slope, 2.399357280515468, -1.2784645427610738, Tail(2, 0, 0), Tail(1, 0, 1))
_ELU = (Piece(np.exp, Tail(2, 0, 0), End(0.0, "kink")), Flat(0.0, math.inf, 1.0))
_SOFTPLUS = (Piece(_logistic, Tail(2, 0, 0), Tail(1, 0, 1)),)
_WIDE_SOFTPLUS = (
    Piece(_logistic, Tail(2, 0, 0), End(0.0, "kink")),
    Piece(_logistic, End(0.0, "kink"), Tail(1, 0, 1)),
)
# From here on the flat ends of softplus are told apart from its middle.
_WIDE = 1e3


# Beyond, the nodes of a gate fill the memory, or all its values are equal to rounding.
_LEAST_VARIANCE, _LARGEST_VARIANCE, _LARGEST_CONTOUR = 1e-12, 1e6, 1e8


def gate_law(activation: Activation, q: float) -> Leaf:
    r"""Law of φ'(h)², h ~ N(0, q), as a leaf.

    Parameters
    ----------
    activation : Activation
        The activation φ.
    q : float
        Variance of the preactivations, > 0.

    Returns
    -------
    Leaf
        `TwoPoint` for piecewise linear φ (of mass 1 at `high` if φ'² is constant), the exact
        transforms for tanh, erf and sine, a `Contour` for the others.

    Raises
    ------
    SpecError
        If `q` is not a finite number > 0.
    ConvergenceError
        If a path of a custom activation cannot be trusted.

    Examples
    --------
    The mean of the gate is E φ'(h)²:

    >>> from freefim.networks.activations import GELU
    >>> bool(abs(gate_law(GELU(), 2.0).moments(1)[0] / GELU().slope_second_moment(2.0) - 1) < 1e-13)
    True
    """
    if not 0 < q < math.inf:
        raise SpecError(f"the variance q of a gate must be a finite number > 0, got {q!r}")
    gate = activation.gate_two_point(q)
    if gate is not None:
        return TwoPoint(float(gate.low), float(gate.high), gate.mass, gate.complement)
    unbounded = isinstance(activation, GELU | SiLU | ELU | Softplus)
    largest = _LARGEST_CONTOUR if unbounded else _LARGEST_VARIANCE
    if not _LEAST_VARIANCE <= q <= largest:
        raise ConvergenceError(
            f"the gate of {activation!r} at the preactivation variance {float(q)!r} is out of "
            f"reach: smooth gates are resolved from {_LEAST_VARIANCE} to {largest}"
        )
    return _smooth_gate(activation, float(q))


@singledispatch
def _smooth_gate(activation: Activation, q: float) -> Leaf:
    raise SpecError(f"activation must be an Activation with a known gate, got {activation!r}")


@_smooth_gate.register
def _(activation: Tanh, q: float) -> Leaf:
    return SechFourth(q)


@_smooth_gate.register
def _(activation: Erf, q: float) -> Leaf:
    square = activation.scale**2
    return GaussianBump(variance=square * q, amplitude=4 * square / math.pi)


@_smooth_gate.register
def _(activation: Sine, q: float) -> Leaf:
    return CosineSquared(q, activation.frequency, amplitude=activation.frequency**2)


@_smooth_gate.register
def _(activation: GELU, q: float) -> Leaf:
    return contour_leaf(_GELU, q)


@_smooth_gate.register
def _(activation: SiLU, q: float) -> Leaf:
    return contour_leaf(_SILU, q)


@_smooth_gate.register
def _(activation: ELU, q: float) -> Leaf:
    return contour_leaf(_ELU, q)


@_smooth_gate.register
def _(activation: Softplus, q: float) -> Leaf:
    return contour_leaf(_SOFTPLUS if q < _WIDE else _WIDE_SOFTPLUS, q)


@_smooth_gate.register
def _(activation: CustomActivation, q: float) -> Leaf:
    leaf = contour_leaf(custom_parts(activation, q), q, approximate=True)
    if len(leaf.nodes) > len(leaf.atoms):
        return leaf
    places, masses = (np.array(column) for column in zip(*leaf.atoms, strict=True))
    return _finite_law(places, masses)


def realised_gate(values: ArrayLike) -> Leaf:
    """Law of the realised φ'(h)² of one layer of one network.

    Parameters
    ----------
    values : array_like, shape (width,)
        The gates φ'(h_i)², finite and >= 0.

    Returns
    -------
    TwoPoint or Atomic
        The empirical law: an atom of mass count/width at each distinct value.

    Raises
    ------
    SpecError
        If `values` is empty, not one-dimensional, or holds a negative number or one not finite.

    Examples
    --------
    >>> realised_gate([1.0, 0.0, 1.0, 1.0])
    TwoPoint(low=0.0, high=1.0, mass=0.75, complement=0.25)
    """
    gates = np.asarray(values, dtype=np.float64)
    if gates.ndim != 1 or gates.size == 0:
        raise SpecError(f"values must be a non-empty vector of gates, got shape {gates.shape}")
    bad = ~(np.isfinite(gates) & (gates >= 0))
    if bad.any():
        raise SpecError(f"values must be finite numbers >= 0, got {float(gates[bad][0])!r}")
    places, counts = np.unique(gates, return_counts=True)
    return _finite_law(places, counts / gates.size)


def _finite_law(places: _Array, masses: _Array) -> TwoPoint | Atomic:
    if places.size > 2:
        return Atomic(places, masses)
    low, high = float(places[0]), float(places[-1])
    if places.size == 1:
        return TwoPoint(low, high, mass=1.0, complement=0.0)
    return TwoPoint(low, high, mass=float(masses[1]), complement=float(masses[0]))
