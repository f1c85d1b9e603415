"""The prover of chains of projections, Gaussian matrices, corners and paddings."""

from fractions import Fraction
from functools import cached_property

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Chain
from freefim.free.proofs.balls import enclosure, precision
from freefim.free.proofs.curve import Curve, compile_chain
from freefim.free.proofs.enclosure import Enclosure
from freefim.free.proofs.exact_atoms import exact_structure
from freefim.free.proofs.roots import Root, certified_root
from freefim.free.proofs.structure import Band, Structure, mass_beside, solve_structure

__all__ = ["ChainProver"]


class ChainProver:
    """Proofs about the chain with exactly its numbers; bands are proved when first needed."""

    def __init__(self, chain: Chain) -> None:
        self.program = compile_chain(chain)
        self._roots: dict[Fraction, Root] = {}

    @property
    def structure(self) -> Structure:
        """Atoms and bands, proved to be all."""
        if isinstance(self._structure, ConvergenceError):
            raise self._structure
        return self._structure

    def pdf(self, x: Fraction) -> Enclosure:
        """Density at a rational; exactly 0 in gaps."""
        if self._mass_in_gap(x) is not None:
            return Enclosure(Fraction(0), Fraction(0))
        return enclosure(self.root(x).density)

    def cdf(self, x: Fraction) -> Enclosure:
        """Mass of (-∞, x]; an exact rational in gaps."""
        mass = self._mass_in_gap(x)
        if mass is not None:
            return Enclosure(mass, mass)
        root = self.root(x)
        with precision(root.bits):
            return enclosure(1 - root.mass_above)

    def edges(self) -> tuple[Enclosure, ...]:
        """Ends of the bands."""
        return tuple(end for band in self.structure.bands for end in (band.left, band.right))

    def atoms(self) -> tuple[tuple[Enclosure, Enclosure], ...]:
        """Atoms, exact."""
        atoms = exact_structure(self.program).atoms  # whatever the bands are
        return tuple((Enclosure(at, at), Enclosure(mass, mass)) for at, mass in atoms)

    def support(self) -> tuple[Enclosure, Enclosure]:
        """Ends of the support."""
        places = [*self.edges(), *(location for location, _ in self.atoms())]
        lower, upper = [p.lower for p in places], [p.upper for p in places]
        return Enclosure(min(lower), min(upper)), Enclosure(max(lower), max(upper))

    def root(self, x: Fraction) -> Root:
        """The physical root over a point of a band."""
        if x not in self._roots:
            found = self._band(x)
            if found is None:
                self._roots[x] = certified_root(self.program, x)
            else:
                # half the bits that the bands took
                with precision(self.structure.bits // 2):
                    guess = found.guess(Curve(self.program), x)
                self._roots[x] = certified_root(self.program, x, guess, self.structure.bits // 2)
        return self._roots[x]

    @cached_property
    def _structure(self) -> Structure | ConvergenceError:
        # a cusp somewhere does not stand in the way of what lies in bands
        try:
            return solve_structure(self.program)
        except ConvergenceError as problem:
            return problem

    def _band(self, x: Fraction) -> Band | None:
        """The band that holds x."""
        if isinstance(self._structure, ConvergenceError):
            return None
        for band in self._structure.bands:
            if band.left.upper < x < band.right.lower:
                return band
        return None

    def _mass_in_gap(self, x: Fraction) -> Fraction | None:
        """Mass of (-∞, x] if x lies in a gap."""
        if isinstance(self._structure, ConvergenceError):
            return mass_beside(self.program, x)
        for end in self.edges():
            if end.lower <= x <= end.upper:
                raise ConvergenceError(
                    f"x = {float(x)!r} is an edge of a band, to all digits that were computed: "
                    "nothing is proved there"
                )
        if self._band(x) is not None:
            return None
        below = [band.mass for band in self._structure.bands if band.right.upper < x]
        return sum([*below, *(mass for at, mass in self._structure.atoms if at <= x)], Fraction(0))
