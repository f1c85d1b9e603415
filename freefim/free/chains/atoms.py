"""Point masses of a chain, by the exact rules: never read off a density."""

from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.leaves.leaf import TwoPoint

__all__ = ["chain_atoms"]

Atoms = dict[float, float]

# Masses are sums and differences of a few numbers below 1 per move.
_ROUNDING = 4e-16


def chain_atoms(chain: Chain) -> tuple[tuple[float, float], ...]:
    """Atoms (location, mass) of the law of a chain, ascending.

    A mass at the rounding of its own sum is no atom: an atom of mass exactly 0 is where a hard
    edge stands.
    """
    atoms: Atoms = {float(chain.start): 1.0}
    for move in chain.moves:
        atoms = _moved(atoms, move)
    floor = _ROUNDING * (len(chain.moves) + 1)
    return tuple(sorted((float(x), mass) for x, mass in atoms.items() if mass > floor))


def _moved(atoms: Atoms, move: Move) -> Atoms:
    match move:
        case Product(TwoPoint(0, high, _, complement)):
            return _projected(atoms, float(high), float(complement))
        case Affine(scale, shift):
            a, q = float(scale), float(shift)
            return {a * x + q: p for x, p in atoms.items()}
        case Product(leaf):
            return _product(atoms, leaf.atoms)
        case Gaussian(ratio, _):
            rank = (1.0 - atoms.get(0.0, 0.0)) / float(ratio)
            return {0.0: 1.0 - rank} if rank < 1.0 else {}
        case Corner(ratio):
            a = float(ratio)
            return {x: (p - (1.0 - a)) / a for x, p in atoms.items() if p > 1.0 - a}
        case Padding(ratio):
            a = float(ratio)
            padded = {x: a * p for x, p in atoms.items()}
            padded[0.0] = padded.get(0.0, 0.0) + (1.0 - a)
            return padded


def _projected(atoms: Atoms, high: float, complement: float) -> Atoms:
    """The product with a projection: `_product` of its two atoms, for the chains of a thousand."""
    product = {high * x: p - complement for x, p in atoms.items() if p > complement and x}
    zero = max(atoms.get(0.0, 0.0), complement)
    if zero > 0.0:
        product[0.0] = zero
    return product


def _product(atoms: Atoms, leaf: tuple[tuple[float, float], ...]) -> Atoms:
    """The free product's atoms: p + r - 1 at x y for x y ≠ 0, the larger mass at 0."""
    product: Atoms = {}
    for y, _ in leaf:
        if y == 0.0:
            continue
        rest = sum(s for other, s in leaf if other != y)
        for x, p in atoms.items():
            if x != 0.0 and p > rest:
                product[x * y] = product.get(x * y, 0.0) + (p - rest)
    zero = max(atoms.get(0.0, 0.0), sum(r for y, r in leaf if y == 0.0))
    if zero > 0.0:
        product[0.0] = zero
    return product
