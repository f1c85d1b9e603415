"""Point masses of trees, by the exact rules: never read off a density."""

from fractions import Fraction
from math import isqrt, sqrt

from freefim.errors import SpecError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Cauchy, Empirical, PointMass, Uniform
from freefim.free.laws.named import FreePoisson, Semicircle
from freefim.free.laws.numbers import Number, is_exact, quotient
from freefim.free.trees.knowledge import has_symbols, parts
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
    SingularValues,
    Square,
)

__all__ = ["tree_atoms"]

Atoms = dict[Number, Number]

# A mass that is no more than the rounding of its own sum is no atom: where an atom has mass
# exactly 0 a hard edge stands.
_ROUNDING = 4e-16


def tree_atoms(law: Law) -> tuple[tuple[Number, Number], ...]:
    """Atoms (location, mass) of a law, ascending.

    Parameters
    ----------
    law : Law

    Returns
    -------
    tuple of (location, mass)
        Exact where the numbers of the law are.

    Raises
    ------
    SpecError
        If the law has symbols in it.

    Notes
    -----
    A free sum has an atom at a + b of mass μ{a} + ν{b} - 1 where that is positive, and no others;
    a free product likewise at ab ≠ 0, and at 0 the larger of the two masses [1]_.

    References
    ----------
    .. [1] Bercovici & Voiculescu, *Operator Theory: Adv. Appl.* 104 (1998) 37; Belinschi,
       *C. R. Math.* 343 (2006) 243 for products.

    Examples
    --------
    >>> from freefim.free.laws.named import MarchenkoPastur
    >>> tree_atoms(MarchenkoPastur(4) @ MarchenkoPastur(2))
    ((0, Fraction(3, 4)),)
    """
    if has_symbols(law):
        raise SpecError(f"atoms need numbers in the law, got {law!r}")
    floor = _ROUNDING * (_size(law) + 1)
    found = (
        (location, mass)
        for location, mass in _atoms(law).items()
        if mass > (0 if is_exact(mass) else floor)
    )
    return tuple(sorted(found, key=lambda atom: float(atom[0])))


def _size(law: Law) -> int:
    return 1 + sum(map(_size, parts(law)))


def _atoms(law: Law) -> Atoms:
    match law:
        case PointMass(location):
            return {location: 1}
        case Atomic(locations, masses):
            return dict(zip(locations, masses, strict=True))
        case Empirical():
            return dict(law.weighted)
        case Uniform() | Cauchy() | Semicircle():
            return {}
        case FreePoisson(rate, _):
            return _positive({0: 1 - rate})
        case NamedLaw():
            return _atoms(law.construction)
        case FreeSum(left, right):
            first, second = _atoms(left), _atoms(right)
            return _positive(
                {x + y: p + r - 1 for x, p in first.items() for y, r in second.items()
                 if p + r > 1}
            )  # fmt: skip
        case FreeProduct(left, right):
            return _product(_atoms(left), _atoms(right))
        case Affine(inner, scale, shift):
            return {scale * x + shift: p for x, p in _atoms(inner).items()}
        case Compressed(inner, ratio):
            return _positive({x: quotient(p + ratio - 1, ratio) for x, p in _atoms(inner).items()})
        case Padded(inner, ratio):
            return _padded(_atoms(inner), ratio)
        case FreePower(inner, t):
            return _positive({t * x: t * p - (t - 1) for x, p in _atoms(inner).items()})
        case MultiplicativePower(inner, t):
            powers = {x**t: t * p - (t - 1) for x, p in _atoms(inner).items() if x != 0}
            return _positive({**powers, 0: _atoms(inner).get(0, 0)})
        case Inverse(inner):
            return {quotient(1, x): p for x, p in _atoms(inner).items()}
        case SingularValues(inner):
            return _roots(_atoms(inner))
        case Square(inner):
            return _squares(_atoms(inner))
        case Rectangular(inner, ratio, _):
            return _positive({0: 1 - quotient(1 - _atoms(inner).get(0, 0), ratio)})
        case ChainLaw():
            from freefim.free.chains.atoms import chain_atoms

            return dict(chain_atoms(law.chain))
    return dict(law.atoms)


def _positive(atoms: Atoms) -> Atoms:
    return {x: mass for x, mass in atoms.items() if mass > 0}


def _product(first: Atoms, second: Atoms) -> Atoms:
    product: Atoms = {
        x * y: p + r - 1
        for x, p in first.items()
        for y, r in second.items()
        if x != 0 and y != 0 and p + r > 1
    }
    return _positive({**product, 0: max(first.get(0, 0), second.get(0, 0))})


def _padded(atoms: Atoms, ratio: Number) -> Atoms:
    padded = {x: ratio * p for x, p in atoms.items()}
    padded[0] = padded.get(0, 0) + (1 - ratio)
    return _positive(padded)


def _roots(atoms: Atoms) -> Atoms:
    roots: Atoms = {}
    for x, p in atoms.items():
        if x == 0:
            roots[0] = p
        else:
            root = _root(x)
            roots[root] = roots[-root] = quotient(p, 2)
    return roots


def _root(x: Number) -> Number:
    """Square root, exact where it is rational."""
    if is_exact(x):
        value = Fraction(x)
        root = Fraction(isqrt(value.numerator), isqrt(value.denominator))
        if root * root == value:
            return root
    return sqrt(float(x))


def _squares(atoms: Atoms) -> Atoms:
    squares: Atoms = {}
    for x, p in atoms.items():
        squares[x * x] = squares.get(x * x, 0) + p
    return squares
