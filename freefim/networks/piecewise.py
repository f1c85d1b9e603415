r"""Piecewise linear activations: their gates have at most two points, all in closed form."""

from __future__ import annotations

import math
from abc import abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation, Array, TwoPointGate
from freefim.networks.checks import Number, finite_number, positive

__all__ = ["Abs", "HardTanh", "LeakyReLU", "Linear", "ReLU", "ShiftedReLU"]

_SQRT_HALF = math.sqrt(0.5)
_SQRT_TWO_OVER_PI = math.sqrt(2.0 / math.pi)
# Beyond 40 standard deviations erfc underflows; the guard also keeps inf * 0 out.
_FAR = 40.0


def _in_std(place: float, q: float) -> float:
    """Return place / sqrt(q) and its limit at q = 0."""
    if q > 0.0:
        return place / math.sqrt(q)
    return math.copysign(math.inf, place) if place else 0.0


class _Homogeneous(Activation):
    """Slope 1 on the right of 0 and another on the left; fractions stay exact."""

    @abstractmethod
    def _left_slope(self) -> Number: ...

    @property
    def kinks(self) -> tuple[float, ...]:
        """The origin, unless the slopes are equal."""
        return () if self._left_slope() == 1 else (0.0,)

    def _function(self, h: Array) -> Array:
        return np.where(h > 0.0, h, float(self._left_slope()) * h)

    def _derivative(self, h: Array) -> Array:
        return np.where(h > 0.0, 1.0, float(self._left_slope()))

    def _second_moment(self, q: float) -> float:
        slope = self._left_slope()
        return (1 + slope * slope) * q / 2

    def _slope_second_moment(self, q: float) -> float:
        slope = self._left_slope()
        return (1 + slope * slope) / 2

    def _slope_fourth_moment(self, q: float) -> float:
        square = self._left_slope() * self._left_slope()
        return (1 + square * square) / 2

    def _gate_two_point(self, q: float) -> TwoPointGate:
        square = self._left_slope() * self._left_slope()
        if square == 1:
            return TwoPointGate(1, 1, 1.0, 0.0)
        return TwoPointGate(min(square, 1), max(square, 1), 0.5, 0.5)


@dataclass(frozen=True)
class Linear(_Homogeneous):
    """The identity φ(h) = h.

    Examples
    --------
    >>> Linear().second_moment(0.7)
    0.7
    """

    name: ClassVar[str] = "linear"

    def _left_slope(self) -> Number:
        return 1


@dataclass(frozen=True)
class Abs(_Homogeneous):
    """The absolute value φ(h) = |h|; its gate is that of the identity.

    Examples
    --------
    >>> Abs().gate_two_point(2.0) == Linear().gate_two_point(2.0)
    True
    """

    name: ClassVar[str] = "abs"

    def _left_slope(self) -> Number:
        return -1


@dataclass(frozen=True)
class ReLU(_Homogeneous):
    """The rectifier φ(h) = max(h, 0).

    Examples
    --------
    >>> ReLU().slope_second_moment(3.0)
    0.5
    """

    name: ClassVar[str] = "relu"

    def _left_slope(self) -> Number:
        return 0


@dataclass(frozen=True)
class LeakyReLU(_Homogeneous):
    """φ(h) = h for h > 0 and `negative_slope` · h for h <= 0.

    Parameters
    ----------
    negative_slope : int, float or Fraction
        Any finite slope; with a fraction the moments at a fraction `q` are fractions.

    Raises
    ------
    SpecError
        If `negative_slope` is not a finite number.

    Examples
    --------
    >>> LeakyReLU(0).second_moment(2.0) == ReLU().second_moment(2.0)
    True
    """

    negative_slope: Number
    name: ClassVar[str] = "leaky_relu"

    def __post_init__(self) -> None:
        slope = finite_number("LeakyReLU negative_slope", self.negative_slope)
        object.__setattr__(self, "negative_slope", slope)

    def _left_slope(self) -> Number:
        return self.negative_slope


@dataclass(frozen=True)
class ShiftedReLU(Activation):
    r"""The rectifier moved along the diagonal, φ(h) = max(h, -shift).

    Parameters
    ----------
    shift : float
        Any finite number; the kink is at ``-shift``.

    Raises
    ------
    SpecError
        If `shift` is not a finite number.

    Examples
    --------
    >>> ShiftedReLU(0.0).second_moment(2.0) == ReLU().second_moment(2.0)
    True
    """

    shift: float
    name: ClassVar[str] = "shifted_relu"

    def __post_init__(self) -> None:
        object.__setattr__(self, "shift", float(finite_number("ShiftedReLU shift", self.shift)))

    @property
    def kinks(self) -> tuple[float, ...]:
        """The place where the constant part begins."""
        return (-self.shift,)

    def _function(self, h: Array) -> Array:
        return np.maximum(h, -self.shift)

    def _derivative(self, h: Array) -> Array:
        return np.where(h > -self.shift, 1.0, 0.0)

    def _second_moment(self, q: float) -> float:
        k = _in_std(self.shift, q)
        if abs(k) > _FAR:
            return q if k > 0.0 else self.shift * self.shift
        alive, dead = 0.5 * math.erfc(-k * _SQRT_HALF), 0.5 * math.erfc(k * _SQRT_HALF)
        bend = 0.5 * _SQRT_TWO_OVER_PI * k * math.exp(-0.5 * k * k)
        return q * (alive - bend) + self.shift * self.shift * dead

    def _slope_second_moment(self, q: float) -> float:
        return 0.5 * math.erfc(-_in_std(self.shift, q) * _SQRT_HALF)

    def _slope_fourth_moment(self, q: float) -> float:
        return self._slope_second_moment(q)

    def _gate_two_point(self, q: float) -> TwoPointGate:
        k = _in_std(self.shift, q) * _SQRT_HALF
        return TwoPointGate(0, 1, 0.5 * math.erfc(-k), 0.5 * math.erfc(k))


def _clipped_square(k: float) -> float:
    """E min(x², k²) for x ~ N(0, 1)."""
    if k > _FAR:
        return 1.0
    t = 0.5 * k * k
    if k < 0.4:
        # E x² 1(|x| < k) = erf - sqrt(2/pi) k exp(-t) cancels here; this is the series of the
        # incomplete gamma function instead, Σ t^n / (5/2)_n up to 1e-18.
        series = 1.0
        for n in (9, 8, 7, 6, 5, 4, 3, 2, 1):
            series = 1.0 + series * t / (1.5 + n)
        inner = _SQRT_TWO_OVER_PI * k * k * k / 3.0 * math.exp(-t) * series
    else:
        inner = math.erf(k * _SQRT_HALF) - _SQRT_TWO_OVER_PI * k * math.exp(-t)
    return inner + k * k * math.erfc(k * _SQRT_HALF)


@dataclass(frozen=True)
class HardTanh(Activation):
    r"""φ(h) = slope · clip(h, -cutoff, cutoff).

    Parameters
    ----------
    cutoff : float
        Where it turns flat, > 0.
    slope : float
        Slope between the cutoffs, not 0.

    Raises
    ------
    SpecError
        If a parameter is out of its range.

    Examples
    --------
    Scale covariance: clipping commutes with scaling.

    >>> HardTanh(2.0).second_moment(4.0) == 4.0 * HardTanh(1.0).second_moment(1.0)
    True
    """

    cutoff: float = 1.0
    slope: float = 1.0
    name: ClassVar[str] = "hard_tanh"

    def __post_init__(self) -> None:
        cutoff = float(positive("HardTanh cutoff", self.cutoff))
        slope = float(finite_number("HardTanh slope", self.slope))
        if slope == 0.0:
            raise SpecError("HardTanh slope must not be 0, got 0")
        object.__setattr__(self, "cutoff", cutoff)
        object.__setattr__(self, "slope", slope)

    @property
    def kinks(self) -> tuple[float, ...]:
        """The two cutoffs."""
        return (-self.cutoff, self.cutoff)

    def _function(self, h: Array) -> Array:
        return self.slope * np.clip(h, -self.cutoff, self.cutoff)

    def _derivative(self, h: Array) -> Array:
        return np.where((h > -self.cutoff) & (h <= self.cutoff), self.slope, 0.0)

    def _second_moment(self, q: float) -> float:
        return self.slope * self.slope * q * _clipped_square(_in_std(self.cutoff, q))

    def _slope_second_moment(self, q: float) -> float:
        return self.slope * self.slope * math.erf(_in_std(self.cutoff, q) * _SQRT_HALF)

    def _slope_fourth_moment(self, q: float) -> float:
        return self.slope * self.slope * self._slope_second_moment(q)

    def _gate_two_point(self, q: float) -> TwoPointGate:
        k = _in_std(self.cutoff, q) * _SQRT_HALF
        return TwoPointGate(0, self.slope * self.slope, math.erf(k), math.erfc(k))
