r"""The polynomial of a law, P(z, G) = 0, and its discriminant."""

from typing import Any

from freefim.errors import SpecError
from freefim.free.exact import elimination
from freefim.free.exact.arithmetic import Arithmetic
from freefim.free.exact.assembly import curve
from freefim.free.exact.curve import Curve
from freefim.free.law import Law

__all__ = ["discriminant", "in_z", "polynomial"]


def polynomial(law: Law) -> Any:
    r"""Irreducible polynomial that the Cauchy transform of a law satisfies.

    Parameters
    ----------
    law : Law
        Made by free operations of atoms, semicircles, free Poisson and Cauchy laws, or the law
        of a network with two-point gates; its numbers are int, Fraction, rationals of sympy or
        rational expressions in symbols.

    Returns
    -------
    sympy.Poly
        P(z, G), primitive over the integers (over polynomials in the symbols of the law), its
        first coefficient, that of the highest power of z, positive; irreducible over the
        rationals (rational functions of the symbols). Symbols stand for generic numbers.

    Raises
    ------
    SpecError
        If the law has no algebraic transform (a uniform law, a smooth gate), a number of it is a
        float, or one of its symbols is called z or G.
    ConvergenceError
        If an elimination leaves several polynomials and the law has no exact moments that
        tell them apart.

    Notes
    -----
    Sums and products with one law whose R- or S-transform is rational are substitutions that keep
    polynomials irreducible; other sums and products are resultants, the factor that belongs to
    the law is found by the moments of the law. The degrees of a law of a network double with
    every layer that has a shift.

    References
    ----------
    .. [1] Rao & Edelman, *The polynomial method for random matrices*, Found. Comput. Math. 8
       (2008) 649.

    Examples
    --------
    >>> from freefim.free.laws.named import FussCatalan
    >>> polynomial(FussCatalan(2)).as_expr()
    G**3*z**2 - G*z + 1
    """
    return _poly(curve(law))


def discriminant(law: Law) -> Any:
    """Discriminant in G of the polynomial of a law, factored; its roots hold all edges.

    Parameters
    ----------
    law : Law
        As for `polynomial`.

    Returns
    -------
    sympy.Expr
        A product of powers of irreducible polynomials in z.

    Raises
    ------
    SpecError
        As for `polynomial`.

    Examples
    --------
    >>> from freefim.free.laws.named import Semicircle
    >>> discriminant(Semicircle(1))
    (z - 2)*(z + 2)
    """
    from sympy import Mul

    law_curve = curve(law)
    constant, factors = elimination.discriminant(law_curve)
    domain = _domain(law_curve.arithmetic)
    powers = [in_z(factor, law_curve.arithmetic).as_expr() ** k for factor, k in factors]
    return Mul(domain.to_sympy(domain.convert(constant)), *powers)


def in_z(coefficients: list[Any], kind: Arithmetic) -> Any:
    """Return Σ coefficients[i] z^i as a polynomial of sympy."""
    from sympy import Poly, Symbol

    domain = _domain(kind)
    rows = [domain.convert(c) for c in reversed(coefficients)]
    return Poly.from_list(rows, Symbol("z"), domain=domain)


def _poly(law: Curve) -> Any:
    from sympy import Poly, Symbol
    from sympy.polys.polyclasses import DMP

    domain = _domain(law.arithmetic)
    ready = domain.dtype

    def number(c: Any) -> Any:
        return c if type(c) is ready else domain.convert(c if law.arithmetic.symbols else int(c))

    rows = [[number(c) for c in reversed(row)] for row in reversed(law.table)]
    return Poly.new(DMP.from_list(rows, 1, domain), Symbol("z"), Symbol("G"))


def _domain(kind: Arithmetic) -> Any:
    from sympy import ZZ

    if {"z", "G"} & {s.name for s in kind.symbols}:
        raise SpecError(f"symbols must not be called z or G, got {kind.symbols!r}")
    return ZZ[kind.symbols] if kind.symbols else ZZ
