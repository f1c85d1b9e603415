"""What is known exactly of a chain of projections: its atoms, its floor, where to cut."""

from dataclasses import dataclass
from fractions import Fraction

from freefim.free.proofs.curve import Program, is_convolution

__all__ = ["Exact", "exact_structure"]

_ZERO, _ONE = Fraction(0), Fraction(1)


@dataclass(frozen=True)
class Exact:
    """Exact structure of a law.

    Attributes
    ----------
    atoms : tuple of (location, mass)
        Ascending.
    floor : Fraction or None
        Where the lowest band starts, if it reached down to 0 before the last shifts.
    cuts : tuple of int
        Depths k at which z = 0 after k steps may be a pole of a later H inside a gap; -1 is t = 0.
    unproved : int or None
        Number of a padding that a convolution follows, which makes cuts in every gap.
    """

    atoms: tuple[tuple[Fraction, Fraction], ...]
    floor: Fraction | None
    cuts: tuple[int, ...]
    unproved: int | None


def exact_structure(program: Program) -> Exact:
    """Follow what is at 0, and every atom from where it was born, through the steps.

    Atoms are born at 0: where z = 0 after as many steps as their key says; those that a band
    touches, which are no points of a gap, have keys below -1. A gate makes a pole of F at z = 0 if
    0 is no atom and in a gap, which matters to a gate or corner right after it; a Gaussian matrix
    has a pole at every atom off 0. At an atom of mass p a gate that takes out b has H' = 1 - b/p:
    gates and corners that take out the mass of an atom close the gap there.
    """
    atoms = {-1: (program.start, _ONE)}
    floor: Fraction | None = None
    cuts: list[int] = []
    pole: int | None = None
    padded: int | None = None
    unproved: int | None = None
    for k, (kind, numbers) in enumerate(program.steps):
        if kind == "affine":
            atoms = {key: (numbers[0] * x + numbers[1], p) for key, (x, p) in atoms.items()}
            floor = None if floor is None else numbers[0] * floor + numbers[1]
            continue
        key, at_zero = next(((key, p) for key, (x, p) in atoms.items() if x == 0), (k, _ZERO))
        off = {key: (x, p) for key, (x, p) in atoms.items() if x > 0}
        clear = at_zero == 0 and floor != 0
        if is_convolution(kind):
            unproved = padded if unproved is None else unproved
            taken = numbers[0] if kind == "gate" else 1 - numbers[0]
            rank = (1 - at_zero) / (1 - taken)  # what is not 0, over the room for it
            floor = _ZERO if rank == 1 or (floor == 0 and rank < 1) else None
        if kind == "gate":
            if pole is not None:
                cuts.append(pole)
            atoms = {key: (numbers[1] * x, p - taken) for key, (x, p) in off.items()}
            key, at_zero = (k + 1, taken) if taken > at_zero else (key, at_zero)
        elif kind == "corner":
            if pole is not None:
                cuts.append(pole)
            atoms = {key: (x, (p - taken) / numbers[0]) for key, (x, p) in off.items()}
            at_zero = 1 - min(rank, _ONE)
        elif kind == "gaussian":
            cuts += [key for key in off if key >= -1]
            atoms, at_zero = {}, 1 - min(rank, _ONE)
        else:
            padded = k
            atoms = {key: (x, numbers[0] * p) for key, (x, p) in off.items()}
            at_zero = 1 - numbers[0] * (1 - at_zero)
        pole = k if kind == "gate" and clear else None
        atoms = {key: (x, p) for key, (x, p) in atoms.items() if p > 0}
        if at_zero > 0:
            atoms[-2 - k if floor == 0 else key] = (_ZERO, at_zero)
    return Exact(tuple(sorted(atoms.values())), floor, tuple(cuts), unproved)
