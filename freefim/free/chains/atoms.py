"""Point masses of a chain, by the exact rules: never read off a density."""

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import Leaf, TwoPoint

__all__ = ["chain_atoms", "chain_places"]

Atoms = dict[float, float]
_Points = tuple[tuple[float, float], ...]

# Masses are sums and differences of a few numbers below 1 per move.
_ROUNDING = 4e-16
# Pairs of atoms whose masses sum to less than 1 by more than this leave nothing.
_NEAR = 1e-9


def chain_atoms(chain: Chain) -> _Points:
    """Atoms (location, mass) of the law of a chain, ascending.

    A mass at the rounding of its own sum is no atom: an atom of mass exactly 0 is where a hard
    edge stands.
    """
    return chain_places(chain)[0]


def chain_places(chain: Chain, *, lumps: bool = False) -> tuple[_Points, tuple[float, ...]]:
    """Atoms of the law of a chain, and the places other than 0 where one has the mass 0, ascending.

    With `lumps`, the lumps of the leaves count as atoms.
    """
    floor = _ROUNDING * (len(chain.moves) + 1)
    atoms: Atoms = {float(chain.start): 1.0}
    for move in chain.moves:
        moved = _moved(atoms, move, lumps)
        atoms = {x: p for x, p in moved.items() if p > (-floor if x else 0.0)}
    places = sorted((float(x), mass) for x, mass in atoms.items())
    return (
        tuple((x, mass) for x, mass in places if mass > floor),
        tuple(x for x, mass in places if mass <= floor and x),
    )


def _moved(atoms: Atoms, move: Move, lumps: bool) -> Atoms:
    match move:
        case Product(TwoPoint(0, high, _, complement)) if high:
            return _projected(atoms, float(high), float(complement))
        case Affine(scale, shift):
            a, q = float(scale), float(shift)
            return {a * x + q: p for x, p in atoms.items()}
        case Product(leaf):
            return _product(atoms, leaf, lumps)
        case Gaussian(ratio, _):
            return {0.0: 1.0 - (1.0 - atoms.get(0.0, 0.0)) / float(ratio)}
        case Corner(ratio):
            a = float(ratio)
            return {x: (p - (1.0 - a)) / a for x, p in atoms.items()}
        case Padding(ratio):
            a = float(ratio)
            padded = {x: a * p for x, p in atoms.items()}
            padded[0.0] = padded.get(0.0, 0.0) + (1.0 - a)
            return padded


def _projected(atoms: Atoms, high: float, complement: float) -> Atoms:
    """The product with a projection: `_product` of its two atoms, for the chains of a thousand."""
    product = {high * x: p - complement for x, p in atoms.items() if x}
    product[0.0] = max(atoms.get(0.0, 0.0), complement)
    return product


def _product(atoms: Atoms, leaf: Leaf, lumps: bool) -> Atoms:
    """The free product's atoms: p + r - 1 at x y for x y ≠ 0, the larger mass at 0."""
    product: Atoms = {0.0: atoms.get(0.0, 0.0)}
    heaviest = max(atoms.values(), default=0.0)
    for y, mass, rest in _masses(leaf, lumps):
        if y == 0.0:
            product[0.0] = max(product[0.0], mass)
        elif heaviest > rest - _NEAR:
            for x, p in atoms.items():
                # Two pairs at one place have no mass to spare between them.
                if x != 0.0:
                    product[x * y] = max(product.get(x * y, -1.0), p - rest)
    return product


def _masses(leaf: Leaf, lumps: bool) -> list[tuple[float, float, float]]:
    """Atoms of a leaf: place, mass there and elsewhere, that of two points without cancellation."""
    if isinstance(leaf, TwoPoint):
        low, high = float(leaf.low), float(leaf.high)
        mass, complement = float(leaf.mass), float(leaf.complement)
        if low == high:
            return [(high, 1.0, 0.0)]
        return [(x, p, r) for x, p, r in ((low, complement, mass), (high, mass, complement)) if p]
    points = dict(leaf.atoms)
    for x, p in leaf.lumps if lumps else ():
        points[x] = points.get(x, 0.0) + p
    return [(x, p, 1.0 - p) for x, p in points.items()]
