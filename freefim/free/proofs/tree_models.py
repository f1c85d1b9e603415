r"""Numbers that depend on s in [-h, h]: a polynomial in balls and a remainder (Taylor models) [1]_.

The terms that a sum or a product has in common cancel before anything is rounded to an interval;
only what is left after `TERMS` terms is.

.. [1] Makino & Berz, *Int. J. Pure Appl. Math.* 4 (2003) 379.
"""

from collections.abc import Callable
from typing import Any

from flint import acb, acb_poly, acb_series, arb, ctx

from freefim.free.proofs.balls import box

__all__ = ["TERMS", "Model", "dot", "inverse_of", "modelled", "with_terms"]

TERMS = 12


def with_terms(count: int, function: Callable[[], Any]) -> Any:
    """Call with power series of so many terms."""
    held = ctx.cap
    ctx.cap = count
    try:
        return function()
    finally:
        ctx.cap = held


def _last(across: Any) -> Any:
    """A ball of s^TERMS."""
    return arb(0, (across.abs_upper() ** TERMS).upper())


class Model:
    """The numbers p(s) + r, r in a ball, for all s in a real ball around 0.

    Parameters
    ----------
    poly : acb_poly
        Of degree below `TERMS`.
    rest : ball
    across : ball
        The ball of s.
    """

    __slots__ = ("_spread", "across", "poly", "rest")

    def __init__(self, poly: Any, rest: Any, across: Any) -> None:
        self.poly, self.rest, self.across = poly, rest, across
        self._spread: Any = None

    @property
    def spread(self) -> Any:
        """A ball that holds the polynomial."""
        if self._spread is None:
            self._spread = self.poly(acb(self.across))
        return self._spread

    @property
    def ball(self) -> Any:
        """A ball that holds the numbers."""
        return self.spread + self.rest

    def plain(self) -> "Model":
        """A polynomial of exact coefficients near the numbers."""
        return self._made(acb_poly([term.mid() for term in self.poly.coeffs()]), acb(0))

    def _made(self, poly: Any, rest: Any) -> "Model":
        return Model(poly, rest, self.across)

    def __neg__(self) -> "Model":
        return self._made(-self.poly, -self.rest)

    def __add__(self, other: Any) -> "Model":
        if isinstance(other, Model):
            return self._made(self.poly + other.poly, self.rest + other.rest)
        return self._made(self.poly + other, self.rest)

    __radd__ = __add__

    def __sub__(self, other: Any) -> "Model":
        made: Model = self + -other
        return made

    def __rsub__(self, other: Any) -> "Model":
        made: Model = -self + other
        return made

    def __mul__(self, other: Any) -> "Model":
        if not isinstance(other, Model):
            return self._made(self.poly * other, self.rest * other)
        terms = (self.poly * other.poly).coeffs()
        tail = acb_poly(terms[TERMS:])(acb(self.across)) * _last(self.across)
        rest = (tail + self.spread * other.rest + other.spread * self.rest
                + self.rest * other.rest)  # fmt: skip
        return self._made(acb_poly(terms[:TERMS]), rest)

    __rmul__ = __mul__

    def __truediv__(self, other: Any) -> "Model":
        made: Model = self * (1 / other)
        return made

    def __rtruediv__(self, other: Any) -> "Model":
        about = self._poly(1 / self._series())
        # 1/x = y/(1 - e), e = 1 - x y
        error = (1 - self * about).ball
        made: Model = other * self._made(about.poly, about.spread * error / (1 - error))
        return made

    def log(self) -> "Model":
        """Logarithm, continuous in s and principal at s = 0."""
        series = self._series().log()
        error = (self * self._poly(with_terms(TERMS, (-series).exp)) - 1).ball
        # log x = y + log(x e^-y); e^-y is its polynomial but for its own remainder
        about = self._poly(series)
        return self._made(about.poly, (1 + error).log() - about.drift(-1))

    def drift(self, sign: int) -> Any:
        """Logarithm of the polynomial of e^y over e^y, y = `sign` times the model's own."""
        power = self._poly(with_terms(TERMS, (self._series() * sign).exp))
        # with X that polynomial, (X e^-y)' = (X' - y' X) e^-y
        slope = power.poly.derivative() - self.poly.derivative() * sign * power.poly
        bound = slope(acb(self.across)) * (-sign * self.spread).exp() * self.across
        start = power.poly(acb(0)) * (-sign * self.poly(acb(0))).exp()
        return (start + box(acb(0), bound.abs_upper())).log()

    def exp(self) -> "Model":
        """Exponential."""
        power = self._poly(with_terms(TERMS, self._series().exp))
        factor = (self.rest - self.drift(1)).exp()
        return self._made(power.poly, power.spread * (factor - 1))

    def sqrt(self) -> "Model":
        """Square root, principal at s = 0."""
        about = self._poly(with_terms(TERMS, self._series().sqrt))
        error = (self / (about * about) - 1).ball
        return self._made(about.poly, about.spread * ((1 + error).sqrt() - 1))

    def __pow__(self, exponent: Any) -> "Model":
        made: Model = (self.log() * exponent).exp()
        return made

    def through(self, function: Callable[[Any], tuple[Any, ...]]) -> tuple["Model", ...]:
        """Functions of the numbers, from their power series."""
        near = with_terms(TERMS, lambda: function(self._series() + self.rest))
        terms = self.poly.coeffs()
        far_value = acb_series([acb(0)], prec=TERMS + 1)

        def shifted() -> Any:
            value = far_value
            for term in reversed(terms):
                value = value * acb_series([acb(self.across), 1], prec=TERMS + 1) + term
            return function(value + self.rest)

        far = with_terms(TERMS + 1, shifted)
        return tuple(
            self._made(acb_poly([a[k] for k in range(TERMS)]), b[TERMS] * _last(self.across))
            for a, b in zip(near, far, strict=True)
        )

    def _series(self) -> Any:
        return acb_series(self.poly.coeffs(), prec=TERMS)

    def _poly(self, series: Any) -> "Model":
        return self._made(acb_poly([series[k] for k in range(TERMS)]), acb(0))


def modelled(value: Any, across: Any) -> Model:
    """A number that may not depend on s as one that does."""
    return value if isinstance(value, Model) else Model(acb_poly([acb(value)]), acb(0), across)


def dot(left: list[Model], right: list[Model]) -> Model:
    """Sum of products."""
    total = left[0] * right[0]
    for a, b in zip(left[1:], right[1:], strict=True):
        total = total + a * b
    return total


def inverse_of(matrix: list[list[Model]]) -> list[list[Model]]:
    """Polynomials near the inverse matrix, by elimination with pivots.

    Raises
    ------
    ZeroDivisionError, ValueError
        If it is singular at s = 0.
    """
    size = len(matrix)
    table = [[*(entry.plain() for entry in row), *(row[0] * 0 + int(j == k) for j in range(size))]
             for k, row in enumerate(matrix)]  # fmt: skip
    for k in range(size):
        pivot = max(range(k, size), key=lambda j: abs(complex(table[j][k].poly[0])))
        table[k], table[pivot] = table[pivot], table[k]
        top = 1 / table[k][k]
        table[k] = [top * entry for entry in table[k]]
        for j in range(size):
            if j != k:
                factor = table[j][k]
                table[j] = [a - factor * b for a, b in zip(table[j], table[k], strict=True)]
    return [[entry.plain() for entry in row[size:]] for row in table]
