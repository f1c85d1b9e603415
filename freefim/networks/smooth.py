r"""Smooth activations: moments in closed form where there is one, else by quadrature.

Sigmoid-like functions grow, but each moment is an elementary term plus the average of a
*localised* even function, which keeps the trapezoid rule short at every variance. For SiLU,
GELU and softplus the tool is φ'(h) + φ'(-h) = 1: with p = φ'(h) φ'(-h),
E φ'² = ½ - E p and E φ'⁴ = ½ - 2 E p + E p².
"""

from __future__ import annotations

import math
from dataclasses import dataclass
from typing import ClassVar

import numpy as np

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation, Array
from freefim.networks.checks import finite_number
from freefim.networks.gaussian import strip_mean

__all__ = ["ELU", "GELU", "Erf", "SiLU", "Sine", "Softplus", "Tanh"]

_INV_SQRT_TWO_PI = 1.0 / math.sqrt(2.0 * math.pi)
_TWO_OVER_SQRT_PI = 2.0 / math.sqrt(math.pi)


def _nonzero(name: str, value: object) -> float:
    number = float(finite_number(name, value))
    if number == 0.0:
        raise SpecError(f"{name} must not be 0, got {value!r}")
    return number


@dataclass(frozen=True)
class Tanh(Activation):
    """The hyperbolic tangent.

    Examples
    --------
    >>> Tanh().slope_second_moment(0.0)
    1.0
    """

    name: ClassVar[str] = "tanh"

    def _function(self, h: Array) -> Array:
        return np.tanh(h)

    def _derivative(self, h: Array) -> Array:
        return _sech(h) ** 2

    def _second_moment(self, q: float) -> float:
        if q < 4.0:
            return strip_mean(lambda h: np.tanh(h) ** 2, q, **_SECH)
        return 1.0 - strip_mean(lambda h: _sech(h) ** 2, q, **_SECH)

    def _slope_second_moment(self, q: float) -> float:
        return strip_mean(lambda h: _sech(h) ** 4, q, **_SECH)

    def _slope_fourth_moment(self, q: float) -> float:
        return strip_mean(lambda h: _sech(h) ** 8, q, **_SECH)


# sech² has its first poles at ± i pi/2 and is below 1e-19 from 23 on.
_SECH = {"strip": 0.5 * math.pi, "reach": 23.0}


def _sech(h: Array) -> Array:
    decay = np.exp(-np.abs(h))
    return 2.0 * decay / (1.0 + decay * decay)


@dataclass(frozen=True)
class Erf(Activation):
    """The error function φ(h) = erf(scale · h).

    Parameters
    ----------
    scale : float
        Finite, not 0.

    Raises
    ------
    SpecError
        If `scale` is 0 or not a finite number.

    Examples
    --------
    >>> Erf(2.0).second_moment(1.0) == Erf().second_moment(4.0)
    True
    """

    scale: float = 1.0
    name: ClassVar[str] = "erf"

    def __post_init__(self) -> None:
        object.__setattr__(self, "scale", _nonzero("Erf scale", self.scale))

    def _function(self, h: Array) -> Array:
        from scipy.special import erf

        return np.asarray(erf(self.scale * h))

    def _derivative(self, h: Array) -> Array:
        return self.scale * _TWO_OVER_SQRT_PI * _gaussian(math.sqrt(2.0) * self.scale * h)

    def _second_moment(self, q: float) -> float:
        # asin(2Q / (1 + 2Q)) without its singular end.
        square = self.scale * self.scale * q
        return 2.0 / math.pi * math.atan2(2.0 * square, math.sqrt(1.0 + 4.0 * square))

    def _slope_second_moment(self, q: float) -> float:
        square = self.scale * self.scale
        return 4.0 / math.pi * square / math.sqrt(1.0 + 4.0 * square * q)

    def _slope_fourth_moment(self, q: float) -> float:
        square = self.scale * self.scale
        return (4.0 / math.pi * square) ** 2 / math.sqrt(1.0 + 8.0 * square * q)


@dataclass(frozen=True)
class Sine(Activation):
    """φ(h) = sin(frequency · h).

    Parameters
    ----------
    frequency : float
        Finite, not 0.

    Raises
    ------
    SpecError
        If `frequency` is 0 or not a finite number.

    Examples
    --------
    sin² + cos² = 1 on average:

    >>> Sine().second_moment(0.3) + Sine().slope_second_moment(0.3)
    1.0
    """

    frequency: float = 1.0
    name: ClassVar[str] = "sine"

    def __post_init__(self) -> None:
        object.__setattr__(self, "frequency", _nonzero("Sine frequency", self.frequency))

    def _function(self, h: Array) -> Array:
        return np.sin(self.frequency * h)

    def _derivative(self, h: Array) -> Array:
        return self.frequency * np.cos(self.frequency * h)

    def _second_moment(self, q: float) -> float:
        return -0.5 * math.expm1(-2.0 * self.frequency * self.frequency * q)

    def _slope_second_moment(self, q: float) -> float:
        square = self.frequency * self.frequency
        return 0.5 * square * (1.0 + math.exp(-2.0 * square * q))

    def _slope_fourth_moment(self, q: float) -> float:
        square = self.frequency * self.frequency
        damping = math.exp(-2.0 * square * q)
        return 0.125 * square * square * (3.0 + 4.0 * damping + damping**4)


def _gaussian(h: Array) -> Array:
    """exp(-h²/2); the square may overflow, its exponential is then the right 0."""
    with np.errstate(over="ignore"):
        return np.exp(-0.5 * h * h)


@dataclass(frozen=True)
class GELU(Activation):
    """φ(h) = h Φ(h) with the normal distribution function Φ.

    Examples
    --------
    >>> GELU().slope_second_moment(0.0)
    0.25
    """

    name: ClassVar[str] = "gelu"

    def _function(self, h: Array) -> Array:
        from scipy.special import ndtr

        return np.asarray(h * ndtr(h))

    def _derivative(self, h: Array) -> Array:
        from scipy.special import ndtr

        return np.asarray(ndtr(h) + h * _INV_SQRT_TWO_PI * _gaussian(h))

    def _second_moment(self, q: float) -> float:
        root, share = math.sqrt(1.0 + 2.0 * q), q / (1.0 + q)
        return q * (0.25 + (math.atan(q / root) / 2.0 + share / root) / math.pi)

    def _slope_second_moment(self, q: float) -> float:
        root, share = math.sqrt(1.0 + 2.0 * q), q / (1.0 + q)
        rest = q / root / (1.0 + 2.0 * q)
        return 0.25 + (math.atan(q / root) + 2.0 * share / root + rest) / (2.0 * math.pi)

    def _slope_fourth_moment(self, q: float) -> float:
        # Entire, with Gaussian tails: the strip stands for a step of 0.29.
        return _fourth_of_complementary(self, q, strip=2.6, reach=13.0)


def _fourth_of_complementary(phi: Activation, q: float, *, strip: float, reach: float) -> float:
    def defect(h: Array) -> Array:
        p = phi._derivative(h) * phi._derivative(-h)
        return p * (2.0 - p)

    return 0.5 - strip_mean(defect, q, strip=strip, reach=reach)


# The logistic function has its first poles at ± i pi; h² times it is below 1e-18 from 50 on.
_LOGISTIC = {"strip": math.pi, "reach": 50.0}


@dataclass(frozen=True)
class SiLU(Activation):
    """φ(h) = h / (1 + exp(-h)).

    Examples
    --------
    >>> SiLU().slope_second_moment(0.0)
    0.25
    """

    name: ClassVar[str] = "silu"

    def _function(self, h: Array) -> Array:
        from scipy.special import expit

        return np.asarray(h * expit(h))

    def _derivative(self, h: Array) -> Array:
        from scipy.special import expit

        return np.asarray(expit(h) * (1.0 + h * expit(-h)))

    def _second_moment(self, q: float) -> float:
        from scipy.special import expit

        return 0.5 * q - strip_mean(lambda h: h * h * expit(h) * expit(-h), q, **_LOGISTIC)

    def _slope_second_moment(self, q: float) -> float:
        return 0.5 - strip_mean(
            lambda h: self._derivative(h) * self._derivative(-h), q, **_LOGISTIC
        )

    def _slope_fourth_moment(self, q: float) -> float:
        return _fourth_of_complementary(self, q, **_LOGISTIC)


@dataclass(frozen=True)
class Softplus(Activation):
    """φ(h) = log(1 + exp(h)).

    Examples
    --------
    >>> bool(Softplus().function(3.0) - Softplus().function(-3.0) == 3.0)
    True
    """

    name: ClassVar[str] = "softplus"

    def _function(self, h: Array) -> Array:
        return np.logaddexp(0.0, h)

    def _derivative(self, h: Array) -> Array:
        from scipy.special import expit

        return np.asarray(expit(h))

    def _second_moment(self, q: float) -> float:
        # φ(h)² + φ(-h)² = h² + 2 φ(h) φ(-h), since φ(h) - φ(-h) = h.
        cross = strip_mean(lambda h: self._function(h) * self._function(-h), q, **_LOGISTIC)
        return 0.5 * q + cross

    def _slope_second_moment(self, q: float) -> float:
        return 0.5 - strip_mean(
            lambda h: self._derivative(h) * self._derivative(-h), q, **_LOGISTIC
        )

    def _slope_fourth_moment(self, q: float) -> float:
        return _fourth_of_complementary(self, q, **_LOGISTIC)


# 1 - 2 erfcx(s) + erfcx(2s) = Σ_{n>=2} (2^n - 2) (-s)^n / Γ(n/2 + 1)
_ELU_SERIES = tuple((-1) ** n * (2.0**n - 2.0) / math.gamma(n / 2 + 1) for n in range(30, 1, -1))


@dataclass(frozen=True)
class ELU(Activation):
    """φ(h) = h for h > 0 and exp(h) - 1 for h <= 0; φ' has a corner at 0.

    Examples
    --------
    >>> ELU().slope_second_moment(0.0)
    1.0
    """

    name: ClassVar[str] = "elu"

    @property
    def kinks(self) -> tuple[float, ...]:
        """The origin, where φ'' jumps."""
        return (0.0,)

    def _function(self, h: Array) -> Array:
        return np.where(h > 0.0, h, np.expm1(np.minimum(h, 0.0)))

    def _derivative(self, h: Array) -> Array:
        return np.exp(np.minimum(h, 0.0))

    def _second_moment(self, q: float) -> float:
        # E exp(t h) 1(h < 0) = erfcx(t s) / 2 with s = sqrt(q / 2); the three terms of the left
        # half cancel to s² for small s, hence the series.
        s = math.sqrt(0.5 * q)
        if s < 0.25:
            left = 0.0
            for coefficient in _ELU_SERIES:
                left = left * s + coefficient
            left *= s * s
        else:
            left = 1.0 - 2.0 * _erfcx(s) + _erfcx(2.0 * s)
        return 0.5 * (q + left)

    def _slope_second_moment(self, q: float) -> float:
        return 0.5 + 0.5 * _erfcx(2.0 * math.sqrt(0.5 * q))

    def _slope_fourth_moment(self, q: float) -> float:
        return 0.5 + 0.5 * _erfcx(4.0 * math.sqrt(0.5 * q))


def _erfcx(s: float) -> float:
    from scipy.special import erfcx

    return float(erfcx(s))
