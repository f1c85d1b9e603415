"""Point masses of a chain of projections, exactly, and what its law does at 0."""

from collections.abc import Iterator
from dataclasses import dataclass
from fractions import Fraction

from freefim.free.proofs.curve import Program

__all__ = ["Bottom", "atoms_of", "bottoms", "lowest_edge"]


@dataclass(frozen=True)
class Bottom:
    """A law on [0, ∞) at 0: the mass there, and whether bands reach down to 0."""

    mass: Fraction
    touching: bool

    @property
    def is_clear(self) -> bool:
        """Whether 0 lies in the lowest gap and is no atom: z = 0 there, exactly once."""
        return self.mass == 0 and not self.touching


def atoms_of(program: Program) -> tuple[tuple[Fraction, Fraction], ...]:
    """Atoms (location, mass), ascending."""
    atoms = {program.start: Fraction(1)}
    for kind, numbers in program.steps:
        at_zero = atoms.get(Fraction(0), Fraction(0))
        if kind == "gate":
            atoms = {numbers[1] * x: p - numbers[0] for x, p in atoms.items()}
            atoms[Fraction(0)] = max(at_zero, numbers[0])
        elif kind == "gaussian":
            atoms = {Fraction(0): 1 - (1 - at_zero) / numbers[0]}
        elif kind == "corner":
            atoms = {x: (p - (1 - numbers[0])) / numbers[0] for x, p in atoms.items()}
        elif kind == "padding":
            atoms = {x: numbers[0] * p for x, p in atoms.items()}
            atoms[Fraction(0)] = numbers[0] * at_zero + 1 - numbers[0]
        else:
            atoms = {numbers[0] * x + numbers[1]: p for x, p in atoms.items()}
        atoms = {x: p for x, p in atoms.items() if p > 0}
    return tuple(sorted(atoms.items()))


def bottoms(program: Program) -> Iterator[Bottom]:
    """What the law does at 0 before each step and at the end.

    A gate or a corner that takes out exactly the mass at 0, and a Gaussian matrix of exactly the
    rank of the law, leave a band that starts at 0. A corner or Gaussian matrix of less than the
    rank lifts the law off 0; a gate that takes out more than the mass at 0 leaves an isolated atom.
    """
    mass, touching = Fraction(int(program.start == 0)), False
    yield Bottom(mass, touching)
    for kind, numbers in program.steps:
        if kind == "gate":
            touching = mass == numbers[0] or (touching and mass > numbers[0])
            mass = max(mass, numbers[0])
        elif kind in ("gaussian", "corner"):
            # the share of the rank that is left: of 1 in all
            rank = (1 - mass) / numbers[0]
            touching = rank == 1 or (touching and rank < 1)
            mass = max(1 - rank, Fraction(0))
        elif kind == "padding":
            mass = numbers[0] * mass + 1 - numbers[0]
        elif numbers[1] > 0:
            mass, touching = Fraction(0), False
        yield Bottom(mass, touching)


def lowest_edge(program: Program) -> Fraction | None:
    """Where the lowest band starts, if that is where 0 was: bands that reach down to it."""
    place = None
    for (kind, numbers), bottom in zip(program.steps, list(bottoms(program))[1:], strict=True):
        if kind == "affine":
            place = None if place is None else numbers[0] * place + numbers[1]
        else:
            place = Fraction(0) if bottom.touching else None
    return place
