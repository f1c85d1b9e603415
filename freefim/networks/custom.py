"""Activations that the user gives as two callables."""

from __future__ import annotations

import sys
from collections.abc import Callable, Sequence
from dataclasses import dataclass, field
from typing import Any, ClassVar

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.networks.activation_base import Activation, Array
from freefim.networks.checks import finite_number
from freefim.networks.gaussian import panel_mean

__all__ = ["CustomActivation"]


@dataclass(frozen=True, repr=False, slots=True)
class _Checked:
    """A user's callable that answers with a finite float64 array of the right shape."""

    role: str
    call: Callable[[Any], Any]

    def __repr__(self) -> str:
        return getattr(self.call, "__qualname__", None) or repr(self.call)

    def __call__(self, h: ArrayLike) -> Array:
        h = np.asarray(h, dtype=np.float64)
        try:
            with np.errstate(all="ignore"):
                answer = np.asarray(self.call(h))
            if np.iscomplexobj(answer):
                raise TypeError("its values are complex")
            values = np.broadcast_to(answer.astype(np.float64), h.shape)
        except (TypeError, ValueError) as error:
            raise SpecError(
                f"CustomActivation {self.role} {self!r} must map an array to a real array of the "
                f"same shape, got: {error}"
            ) from error
        bad = ~np.isfinite(values)
        if np.any(bad):
            place = h[bad].flat[0]
            raise SpecError(
                f"CustomActivation {self.role} {self!r} must be finite, "
                f"got {values[bad].flat[0]} at h={place:.6g}"
            )
        return values


def _checked(role: str, call: object) -> _Checked:
    if isinstance(call, _Checked):
        call = call.call
    if not callable(call):
        raise SpecError(f"CustomActivation {role} must be a callable, got {call!r}")
    checked = _Checked(role, call)
    checked(np.array([-1.0, 0.5, 2.0]))
    return checked


# Places where a derivative is compared with a difference quotient; no kink is likely there.
_PLACES = np.array([-2.7182, -1.6180, -0.8414, -0.3179, 0.2707, 0.7071, 1.4142, 2.2360])
_STEP = 1e-5


@dataclass(frozen=True)
class CustomActivation(Activation):
    """An activation made of a function and its derivative; equal if the callables are the same.

    Parameters
    ----------
    function, derivative : callable
        φ and φ', vectorised: an array of float64 in, an array of the same shape out.
    kinks : sequence of float
        Points where φ' is not analytic (jumps and corners of φ'), in any order.

    Raises
    ------
    SpecError
        If an argument is not callable, does not map arrays to finite real arrays, if the
        derivative is not that of the function, or if a kink is not a finite number.

    Notes
    -----
    Moments come from Gauss-Legendre panels between the kinks; they raise ConvergenceError
    if two refinements do not agree to 1e-9. At a kink `derivative` may answer either side.

    Examples
    --------
    >>> cube = CustomActivation(lambda h: h**3, lambda h: 3 * h**2)
    >>> round(cube.second_moment(1.0), 10), round(cube.slope_second_moment(1.0), 10)
    (15.0, 27.0)
    """

    function: Callable[[Any], Array] = field()  # type: ignore[assignment]
    derivative: Callable[[Any], Array] = field()  # type: ignore[assignment]
    kinks: tuple[float, ...] = ()
    name: ClassVar[str] = "custom"

    def __post_init__(self) -> None:
        kinks = self.kinks
        if not isinstance(kinks, Sequence | np.ndarray) or isinstance(kinks, str):
            raise SpecError(f"CustomActivation kinks must be a sequence of numbers, got {kinks!r}")
        places = {float(finite_number(f"kinks[{i}]", kink)) for i, kink in enumerate(kinks)}
        object.__setattr__(self, "function", _checked("function", self.function))
        object.__setattr__(self, "derivative", _checked("derivative", self.derivative))
        object.__setattr__(self, "kinks", tuple(sorted(places)))
        self._compare()

    def _compare(self) -> None:
        """Refuse a derivative that is not that of the function."""
        near = [any(abs(place - kink) <= 2 * _STEP for kink in self.kinks) for place in _PLACES]
        h = _PLACES[~np.array(near)]
        quotient = (self.function(h + _STEP) - self.function(h - _STEP)) / (2 * _STEP)
        given = self.derivative(h)
        wrong = np.abs(quotient - given) > 1e-3 * (1 + np.abs(quotient).max(initial=0.0))
        if np.any(wrong):
            raise SpecError(
                f"CustomActivation derivative {self.derivative!r} must be that of the function, "
                f"got {given[wrong][0]:.6g} where the difference quotient is "
                f"{quotient[wrong][0]:.6g}, at h={h[wrong][0]:.6g}"
            )

    def _function(self, h: Array) -> Array:
        return self.function(h)

    def _derivative(self, h: Array) -> Array:
        return self.derivative(h)

    def _second_moment(self, q: float) -> float:
        return self._mean(self.function, 2, q, "E φ(h)²")

    def _slope_second_moment(self, q: float) -> float:
        return self._mean(self.derivative, 2, q, "E φ'(h)²")

    def _slope_fourth_moment(self, q: float) -> float:
        return self._mean(self.derivative, 4, q, "E φ'(h)⁴")

    def _mean(self, f: Callable[[Any], Array], power: int, q: float, what: str) -> float:
        if q == 0.0:
            sides = f(np.array([-sys.float_info.min, sys.float_info.min]))
            return float(np.mean(sides**power))
        return panel_mean(lambda h: f(h) ** power, float(q), self.kinks, what)
