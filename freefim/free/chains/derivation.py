"""How a law is made: its chain of transforms in words and in sympy."""

from dataclasses import dataclass
from typing import Any

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import Leaf, TwoPoint

__all__ = ["Derivation"]


@dataclass(frozen=True)
class Derivation:
    r"""The transforms of a chain, one line a move.

    Conventions: :math:`G(z) = \int \mu(dx)/(z-x)`, :math:`m = zG - 1`,
    :math:`S(m) = (1+m)/(m\,z(m))`, :math:`R(g) = z(g) - 1/g`.

    Parameters
    ----------
    chain : Chain
    layer_ends : tuple of int, optional
        After how many moves each layer ends.
    """

    chain: Chain
    layer_ends: tuple[int, ...] = ()

    @property
    def steps(self) -> tuple[str, ...]:
        """One sentence for the start and one for every move."""
        start = f"start: point mass at {self.chain.start}, R(g) = {self.chain.start}"
        return (start, *map(_sentence, self.chain.moves))

    def __str__(self) -> str:
        lines = []
        layer = 1
        for i, step in enumerate(self.steps):
            lines.append(f"  {step}")
            if i in self.layer_ends:
                lines.append(f"= law of layer {layer}")
                layer += 1
        return "\n".join(lines)

    def sympy(self) -> tuple[Any, Any, Any]:
        r"""The curve as sympy expressions (ω, z(ω), G(ω)), for leaves with at most one value ≠ 0.

        Exact where the chain's numbers are; floats stay floats.

        Raises
        ------
        SpecError
            If a leaf makes the curve non-rational in ω.

        Examples
        --------
        >>> from fractions import Fraction
        >>> import sympy
        >>> half = TwoPoint(0, 1, Fraction(1, 2), Fraction(1, 2))
        >>> omega, z, g = Derivation(Chain(1, (Product(half), Affine(2, 1)))).sympy()
        >>> z, sympy.apart(g)
        (omega + 2, 1/(2*(omega + 1)) + 1/(2*(omega - 1)))
        """
        import sympy

        omega = sympy.Symbol("omega")
        z, f = omega, omega - sympy.sympify(self.chain.start)
        for move in self.chain.moves:
            z, f = _composed(z, f, move, sympy.sympify)
        return omega, sympy.cancel(z), sympy.cancel(1 / f)


def _sentence(move: Move) -> str:
    match move:
        case Product(leaf):
            return f"free product with {_described(leaf)}"
        case Gaussian(ratio, variance):
            return (
                f"X A X^T with Gaussian X, rows/columns {ratio}, variance {variance}/columns: "
                f"z -> {variance} z ({ratio} + m), m -> m/{ratio}"
            )
        case Corner(ratio):
            return f"corner of relative size {ratio}: R(g) -> R({ratio} g)"
        case Padding(ratio):
            return f"padding with a fraction 1 - {ratio} of zeros: m -> {ratio} m"
        case Affine(scale, shift):
            return f"scale by {scale} and shift by {shift}: R(g) -> {scale} R({scale} g) + {shift}"


def _described(leaf: Leaf) -> str:
    if isinstance(leaf, TwoPoint) and leaf.low == 0:
        return (
            f"(1 - a) δ_0 + a δ_{leaf.high}, a = {leaf.mass}: S(m) = (1 + m)/({leaf.high} (a + m))"
        )
    if isinstance(leaf, TwoPoint):
        return f"{leaf.complement} δ_{leaf.low} + {leaf.mass} δ_{leaf.high}"
    mean = float(leaf.moments(1)[0])
    return f"{type(leaf).__name__} on [{leaf.minimum:.6g}, {leaf.maximum:.6g}], mean {mean:.10g}"


def _composed(z: Any, f: Any, move: Move, number: Any) -> tuple[Any, Any]:
    """One move on the pair (z, F = 1/G)."""
    match move:
        case Product(TwoPoint(low, high, _, complement)) if low == 0 or complement == 0:
            v = z - number(complement) * f
            return number(high) * v, number(high) * f * v / z
        case Product(leaf):
            raise SpecError(f"the curve is rational for projections only, got the leaf {leaf!r}")
        case Gaussian(ratio, variance):
            c, s = number(ratio), number(variance)
            return s * z * (c - 1 + z / f), s * c * z
        case Corner(ratio):
            a = number(ratio)
            return z - (1 - a) * f, a * f
        case Padding(ratio):
            a = number(ratio)
            return z, 1 / ((1 - a) / z + a / f)
        case Affine(scale, shift):
            return number(scale) * z + number(shift), number(scale) * f
