"""Trees of free operations, solved: one Newton system for all leaves, structure before density."""

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.law import Law
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.pieces import AtomsPiece
from freefim.free.powers.solution import solve_power
from freefim.free.solution import Pairs, Solution
from freefim.free.trees.cauchy_sum import CauchySum, split_cauchy
from freefim.free.trees.compiler import compile_tree
from freefim.free.trees.formulas import squared_terms
from freefim.free.trees.image import ImageSolution, is_image
from freefim.free.trees.knowledge import enclosure, has_symbols
from freefim.free.trees.nodes import Affine, FreeSum, NamedLaw, Square
from freefim.free.trees.program import AFFINE, LEAF, Program
from freefim.free.trees.solution import TreeSolution
from freefim.free.trees.start import Machine
from freefim.free.trees.structure import Searcher

__all__ = ["solve_tree"]

_BALANCE = 1e-10
_MOMENTS = 1e-9


def solve_tree(law: Law) -> Solution:
    """Solve a tree of free operations over given laws.

    Parameters
    ----------
    law : TreeLaw
        A node; laws in it that are solved by other means are expanded as leaves.

    Returns
    -------
    TreeSolution, PowerSolution or ImageSolution
        The image of a solution where the topmost nodes are no convolutions.

    Raises
    ------
    SpecError
        If a number of the tree is an expression with symbols.
    ConvergenceError
        If an edge is lost, a band does not resolve, masses do not balance to 1e-10, or the mean or
        the variance is missed by more than 1e-9.

    Notes
    -----
    Points of all subtrees solve one system, by Newton with derivatives along the tree; a point
    is physical if and only if every convolution sees its arguments in the right half plane
    (Belinschi & Bercovici, *J. Anal. Math.* 101 (2007) 357).

    Examples
    --------
    >>> from freefim.free.laws.given import Atomic
    >>> from freefim.free.trees.nodes import FreeSum
    >>> coin = Atomic([0, 1], [0.5, 0.5])
    >>> left, right = solve_tree(FreeSum(coin, coin)).bands[0]  # the arcsine law on [0, 2]
    >>> bool(abs(left) + abs(right - 2) < 1e-14)
    True
    """
    if is_image(law) and not _is_circular(law):
        return ImageSolution(law, law.law.solution)  # type: ignore[attr-defined, arg-type]
    if isinstance(law, NamedLaw):
        return law.construction.solution
    from freefim.free.trees.atoms import tree_atoms
    from freefim.free.trees.power_curve import power_curve

    curve = None if has_symbols(law) else power_curve(law)
    found = solve_power(curve) if curve else None
    if found:
        return found
    smooth, drifts = split_cauchy(law)
    if drifts:
        return CauchySum(smooth.solution, sum(d[0] for d in drifts), sum(d[1] for d in drifts))
    atoms = tuple((float(at), float(mass)) for at, mass in tree_atoms(law))
    if sum(mass for _, mass in atoms) > 1.0 - 1e-14:
        return LeafSolution((AtomsPiece(atoms),))
    program = compile_tree(law)
    if all(op in (LEAF, AFFINE) for op in program.ops):
        scale, shift = 1.0, 0.0
        for a, b, _, _ in program.par[1:]:
            scale, shift = a * scale, a * shift + b
        return ImageSolution(Affine(program.leaves[0], scale, shift), program.leaves[0].solution)
    try:
        return _solved(program, atoms, positive=enclosure(law)[0] >= 0.0)
    except ZeroDivisionError:
        raise ConvergenceError("numbers of the law leave the range of floats") from None


def _is_circular(law: Law) -> bool:
    """Whether the law is a square that is found without its root."""
    return isinstance(law, Square) and isinstance(law.law, FreeSum) and bool(squared_terms(law.law))


def _solved(program: Program, atoms: Pairs, *, positive: bool) -> TreeSolution:
    machine = Machine(program)
    searcher = Searcher(machine, atoms, positive=positive)
    bands = searcher.bands()
    balance = sum(band.mass for band in bands) + sum(mass for _, mass in atoms)
    if not abs(balance - 1.0) <= _BALANCE:
        raise ConvergenceError(
            f"atoms and bands add up to {balance!r}, not to 1: {len(bands)} bands were found"
        )
    solution = TreeSolution(atoms, bands, machine, tuple(searcher.remarks))
    solution.check()
    _check_moments(solution, program)
    return solution


def _check_moments(solution: TreeSolution, program: Program) -> None:
    """Compare mean and variance with those of the operations: a wrong sheet shows there."""
    x, weights = solution.nodes()
    at, masses = np.array(solution.atoms).reshape(-1, 2).T
    x, weights = np.concatenate([x, at]), np.concatenate([weights, masses])
    mean, variance = program.means[-1], program.variances[-1]
    size = abs(mean) + variance**0.5
    if not abs(weights @ x - mean) <= _MOMENTS * size:
        raise ConvergenceError(f"the density has the mean {float(weights @ x)!r}, not {mean!r}")
    found = float(weights @ (x - mean) ** 2)
    if not abs(found - variance) <= _MOMENTS * size * size:
        raise ConvergenceError(f"the density has the variance {found!r}, not {variance!r}")
