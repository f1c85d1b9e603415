"""Trees of free operations, solved: one Newton system for all leaves, structure before density."""

from freefim.errors import ConvergenceError
from freefim.free.law import Law
from freefim.free.trees.atoms import tree_atoms
from freefim.free.trees.program import compile_tree
from freefim.free.trees.solution import TreeSolution
from freefim.free.trees.start import Machine
from freefim.free.trees.structure import Searcher

__all__ = ["solve_tree"]

_BALANCE = 1e-10


def solve_tree(law: Law) -> TreeSolution:
    """Solve a tree of free operations over given laws.

    Raises
    ------
    SpecError
        If a number of the tree is an expression with symbols.
    ConvergenceError
        If an edge is lost, a band does not resolve, or the masses do not balance.
    """
    atoms = tuple((float(at), float(mass)) for at, mass in tree_atoms(law))
    machine = Machine(compile_tree(law))
    searcher = Searcher(machine, atoms)
    bands = searcher.bands()
    balance = sum(band.mass for band in bands) + sum(mass for _, mass in atoms)
    if not abs(balance - 1.0) <= _BALANCE:
        raise ConvergenceError(
            f"atoms and bands add up to {balance!r}, not to 1: {len(bands)} bands were found"
        )
    return TreeSolution(
        atoms, bands, machine, searcher.start, searcher.begin, tuple(searcher.remarks)
    )
