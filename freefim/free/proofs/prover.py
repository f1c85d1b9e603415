"""Who proves what: every kind of law has its prover, found when it is first asked for."""

from fractions import Fraction
from importlib.util import find_spec
from typing import TYPE_CHECKING, Protocol

from freefim.errors import MissingExtraError
from freefim.free.proofs.enclosure import Enclosure

if TYPE_CHECKING:
    from freefim.free.law import Law

__all__ = ["Prover", "prover_of"]


class Prover(Protocol):
    """What can be proved of one law; what cannot raises ConvergenceError and says why."""

    def pdf(self, x: Fraction) -> Enclosure:
        """Density of the absolutely continuous part at a rational."""

    def cdf(self, x: Fraction) -> Enclosure:
        """Mass of (-∞, x]."""

    def edges(self) -> tuple[Enclosure, ...]:
        """Ends of the bands, ascending: all of them."""

    def atoms(self) -> tuple[tuple[Enclosure, Enclosure], ...]:
        """Point masses (location, mass), ascending: all of them."""

    def support(self) -> tuple[Enclosure, Enclosure]:
        """Smallest and largest point of the support, atoms included."""


def prover_of(law: "Law") -> Prover:
    """Choose the prover of a law.

    Raises
    ------
    MissingExtraError
        If python-flint is not installed.
    ConvergenceError
        If nothing can be proved of laws of this kind.
    """
    if find_spec("flint") is None:
        raise MissingExtraError("python-flint", "exact", "a proof")
    from freefim.free.chains.chain_law import ChainLaw
    from freefim.free.projection.program import is_projection_chain

    if isinstance(law, ChainLaw) and is_projection_chain(law.chain):
        from freefim.free.proofs.chains import ChainProver
        from freefim.free.proofs.curve import compile_chain

        # what is known of poles and atoms beforehand is known of laws on [0, ∞)
        if compile_chain(law.chain).is_positive:
            return ChainProver(law.chain)
    from freefim.free.proofs.trees import tree_prover

    return tree_prover(law)
