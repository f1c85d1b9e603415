r"""The physical sheet, proved from a box around one root.

Let z be the point of the whole law and w that of an operand, G the transform of the operand's law.
Every convolution says that w is a fixed point of a map of a domain D into itself:

- semicircle, free Poisson: :math:`w = z - R(G(w))`, R of the partner maps C- to C-; D = C+.
- corner of size a, projection of mass a and value 1: :math:`w = z + (1-a)/G(w)`; D = C+.
- Gaussian matrices: :math:`w = z/(\sigma^2\lambda) - w\,m(w)/\lambda` with
  :math:`w\,m(w) = \int (t + t^2/(w-t))\mu(dt)`; the Marchenko–Pastur partner has the same equation
  with λ = 1/c, σ² = c; D = C+, and the operand may charge the whole line.
- sum: :math:`w = z + h_B(z + h_A(w))`, :math:`h = 1/G - w` maps C+ to its closure; D = C+ [1]_.
- product of laws on [0, ∞): :math:`w = z\,k_B(z\,k_A(w))`, :math:`k(w) = -1/h(w)`, with
  :math:`0 \le \arg k(w) < \pi - \arg w`; D = the sector :math:`\arg z < \arg w < \pi` [1]_.
- power t of a law on [0, ∞), 1 ≤ t ≤ 2: :math:`w = z\,k(w)^{t-1}` in the same sector.

D is conformally a half plane and the map is not its identity (far up, h(w) = o(w) and k stays
bounded), so that it has one fixed point in D at most (Schwarz–Pick; Denjoy–Wolff), and for z in C+
the physical w is one. Hence, from the leaves up: *if z is in C+, all equations hold and every
operand lies in its D, all values are physical.*
Scaling, shift, padding, inverse, square and square root carry the transform as identities that hold
on either side of the line; they only say which side the operand is on.

*Real z, complex operands (a band).* The box proves the root simple. It continues to a root at
z + iη whose operands are in C+ too, hence to the physical one; the density at z is the limit. (Were
the map the identity at this z, roots would lie on curves, and the box would hold more than one.)

*Real z, real operands (a gap).* If all places move along with z at speeds > 0, :math:`dw/dz > 0`,
and in the sectors :math:`z\,dw/dz > w\,dz/dz`, then at z + iη all operands are in their D. The
physical transform is then the real analytic function at hand: z lies in a gap.

.. [1] Belinschi & Bercovici, *J. Anal. Math.* 101 (2007) 357.
"""

from dataclasses import dataclass
from typing import Any

from freefim.free.proofs.tree_system import System

__all__ = ["Heights", "sides"]

_SECTORS = ("product", "multiplicative_power")
_CONVOLUTIONS = (
    "semicircle", "free_poisson", "corner", "projection", "gaussian", "marchenko_pastur", "sum",
    *_SECTORS,
)  # fmt: skip


@dataclass(frozen=True)
class Heights:
    """How high the places of the steps stand over the real line, in balls.

    Attributes
    ----------
    points : list of (z, dz, g, dg)
        Over a box around the root.
    speeds : matrix or None
        In a gap the derivatives of the unknowns along the target: heights are speeds there.
    """

    points: list[Any]
    speeds: Any = None

    def speed(self, place: int) -> Any:
        """Derivative of a place along the target."""
        return (self.points[place][1] * self.speeds)[0, 0].real

    def height(self, place: int) -> Any:
        """Height of a place."""
        return self.points[place][0].imag if self.speeds is None else self.speed(place)

    def turn(self, below: int, place: int) -> Any:
        """Positive iff the operand has the larger argument, both being in the upper half plane."""
        w, z = self.points[below][0], self.points[place][0]
        if self.speeds is None:
            return (w * z.conjugate()).imag
        return self.speed(below) * z.real - w.real * self.speed(place)


def sides(system: System, heights: Heights) -> list[int] | None:
    """Half plane (1 or -1) of every step, 1 at the root; None if the sheet is not proved.

    In a band the last step must be a convolution at a real point.
    """
    nodes = system.nodes
    held = [0] * len(nodes)
    held[-1] = 1
    band = heights.speeds is None
    for place in range(len(nodes) - 1, -1, -1):
        node, side = nodes[place], held[place]
        root = place == len(nodes) - 1
        if root and band and not _is_open(system, heights):
            return None
        if not (root and band) and not heights.height(place) * side > 0:
            return None
        if not band and not heights.points[place][0].imag.contains(0):
            return None
        if node.leaf is not None and not band and not _outside(heights.points[place]):
            return None
        for below in node.inputs:
            held[below] = _below(system, heights, place, below, side)
        if node.kind in _SECTORS:
            below = node.inputs[0]
            if not heights.turn(below, place) * side > 0:
                return None
    return held


def _is_open(system: System, heights: Heights) -> bool:
    """Whether the last step at a real point takes its operands off the line."""
    last = system.nodes[-1]
    place = heights.points[-1][0]
    return last.kind in _CONVOLUTIONS and (last.kind not in _SECTORS or bool(place.real > 0))


def _outside(point: Any) -> bool:
    """Whether a real leaf is off its law: G is real there and falls."""
    _, unit, g, slope = point
    column = next(k for k in range(unit.ncols()) if unit[0, k] != 0)
    return bool(g.imag.contains(0)) and bool(slope[0, column].real < 0)


def _below(system: System, heights: Heights, place: int, below: int, side: int) -> int:
    """Half plane in which an operand must lie, or does where either will do."""
    node = system.nodes[place]
    match node.kind:
        case "affine":
            return side if node.numbers[0] > 0 else -side
        case "inverse":
            return -side
        case "singular_values" | "square":
            return 1 if heights.height(below) > 0 else -1
    return side
