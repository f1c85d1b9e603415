"""Products of 1 + X, solved: the atom, the bands, their densities as series."""

from collections import Counter
from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.laws.expansion import expand
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.pieces import AtomsPiece, Piece
from freefim.free.perturbed.line import Line
from freefim.free.perturbed.structure import MARGINAL, find_bands, mass_at_one
from freefim.free.perturbed.system import Array, System
from freefim.free.trees.moments import tree_moments

if TYPE_CHECKING:
    from freefim.free.perturbed.law import PerturbedIdentity

__all__ = ["solve_perturbed"]

_BALANCE, _MOMENTS = 1e-10, 1e-9
_NOISE = 1e-13  # of the density, relative
_AT_EDGE = 1e-10  # of the width of a band: nearer to its end the line is not resolved
_METHOD = "one curve for each factor, series of the density"


def solve_perturbed(law: "PerturbedIdentity") -> LeafSolution:
    """Solve a product of 1 + X.

    Raises
    ------
    ConvergenceError
        If an edge is lost, a density does not resolve, masses do not balance to 1e-10, or the mean
        or the variance is missed by more than 1e-9.
    """
    kinds = Counter(law.blocks)
    system = System(
        tuple(block.gate for block in kinds),
        np.array([float(block.gain) for block in kinds]),
        np.array([block.gaussian for block in kinds]),
        np.array(list(kinds.values()), dtype=float),
    )
    still = mass_at_one(system)
    atoms = ((1.0, still),) if still > MARGINAL else ()
    wrong = ""
    for fine in (1, 4):
        line = Line(system)
        bands = find_bands(line, fine)
        expanded = [expand(_density(line, a, b), a, b, _NOISE) for a, b in bands]
        mass = sum(piece.mass for piece, _ in expanded) + sum(m for _, m in atoms)
        if abs(mass - 1.0) <= _BALANCE:
            pieces: list[Piece] = [AtomsPiece(atoms)] if atoms else []
            tail = max((tail for _, tail in expanded), default=0.0)
            accuracy = Accuracy(abs(mass - 1.0), 1e-14, tail, _METHOD)
            solution = LeafSolution((*pieces, *(piece for piece, _ in expanded)), accuracy)
            _check_moments(law, solution)
            return solution
        wrong = f"atoms and bands add up to {mass!r}, not to 1: {len(bands)} bands were found"
    raise ConvergenceError(wrong)


def _check_moments(law: "PerturbedIdentity", solution: LeafSolution) -> None:
    """Compare the first two moments with those of the operations."""
    x, weights = solution.nodes(16)
    for k, exact in enumerate(tree_moments(law.construction, 2), start=1):
        found = float(weights @ x**k) + sum(mass for _, mass in solution.atoms)
        if not abs(found / float(exact) - 1.0) <= _MOMENTS:
            raise ConvergenceError(
                f"the density has the moment {k} {found!r}, not {float(exact)!r}"
            )


def _density(line: Line, left: float, right: float) -> Callable[[Array], Array]:
    def density(x: Array) -> Array:
        flat = np.ravel(x)
        values, known = line.density(flat)
        lost = ~known & (np.minimum(flat - left, right - flat) > _AT_EDGE * (right - left))
        if lost.any():
            raise ConvergenceError(f"the density was not found at x = {float(flat[lost][0])!r}")
        return np.where(known, values, 0.0).reshape(np.shape(x))

    return density
