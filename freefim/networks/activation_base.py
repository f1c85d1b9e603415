"""What every activation can do: values, slopes, Gaussian moments, two-point gates."""

from __future__ import annotations

import math
from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.networks.checks import Number

__all__ = ["Activation", "Array", "TwoPointGate"]

Array = NDArray[np.float64]


@dataclass(frozen=True, slots=True)
class TwoPointGate:
    r"""The law (1 - mass) δ_low + mass δ_high of φ'(h)².

    Parameters
    ----------
    low, high : number
        The two places, ``low <= high``; exact where the activation's parameters are.
    mass, complement : float
        The mass at `high` and the mass at `low`, each computed without cancellation.

    Examples
    --------
    >>> gate = TwoPointGate(0.0, 1.0, 0.5, 0.5)
    >>> gate.mass + gate.complement
    1.0
    """

    low: Number
    high: Number
    mass: float
    complement: float


class Activation(ABC):
    r"""An elementwise function φ with its Gaussian moments.

    The argument `q` of every moment is the variance of :math:`h \sim N(0, q)`; ``q = 0`` means
    the limit :math:`q \to 0^+`. Subclasses give the hooks of one underscore.

    Examples
    --------
    Price's theorem for a homogeneous function: the second moment is linear in q.

    >>> from freefim.networks.activations import ReLU
    >>> ReLU().second_moment(3.0) == 3.0 * ReLU().second_moment(1.0)
    True
    """

    name: ClassVar[str]

    @property
    def kinks(self) -> tuple[float, ...]:
        """Points where φ' is not analytic, ascending."""
        return ()

    def function(self, h: ArrayLike) -> Array:
        """Values φ(h), float64, of the shape of `h`."""
        return self._function(np.asarray(h, dtype=np.float64))

    def derivative(self, h: ArrayLike) -> Array:
        """Slopes φ'(h), float64, of the shape of `h`; at a kink that of the left side."""
        return self._derivative(np.asarray(h, dtype=np.float64))

    def second_moment(self, q: float) -> float:
        """E φ(h)² for h ~ N(0, q); SpecError unless ``0 <= q < inf``."""
        return self._second_moment(_variance(q))

    def slope_second_moment(self, q: float) -> float:
        """E φ'(h)² for h ~ N(0, q); SpecError unless ``0 <= q < inf``."""
        return self._slope_second_moment(_variance(q))

    def slope_fourth_moment(self, q: float) -> float:
        """E φ'(h)⁴ for h ~ N(0, q); SpecError unless ``0 <= q < inf``."""
        return self._slope_fourth_moment(_variance(q))

    def gate_two_point(self, q: float) -> TwoPointGate | None:
        """Law of φ'(h)² for h ~ N(0, q) where φ is piecewise linear, else None."""
        return self._gate_two_point(_variance(q))

    @abstractmethod
    def _function(self, h: Array) -> Array: ...

    @abstractmethod
    def _derivative(self, h: Array) -> Array: ...

    @abstractmethod
    def _second_moment(self, q: float) -> float: ...

    @abstractmethod
    def _slope_second_moment(self, q: float) -> float: ...

    @abstractmethod
    def _slope_fourth_moment(self, q: float) -> float: ...

    def _gate_two_point(self, q: float) -> TwoPointGate | None:
        return None


def _variance(q: float) -> float:
    if 0 <= q < math.inf:
        return q
    raise SpecError(f"the variance q must be a finite number >= 0, got {q!r}")
