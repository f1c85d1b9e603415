"""Sums of nested covariances, solved: atoms, bands, and their densities as series."""

from collections.abc import Callable
from typing import TYPE_CHECKING

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.free.accuracy import Accuracy
from freefim.free.laws.expansion import expand
from freefim.free.laws.leaf_solution import LeafSolution
from freefim.free.laws.pieces import AtomsPiece, Piece, SeriesPiece
from freefim.free.nested.population import transform
from freefim.free.nested.structure import find_bands, nested_atoms, top_edge
from freefim.free.nested.system import Array, System
from freefim.free.trees.knowledge import enclosure

if TYPE_CHECKING:
    from freefim.free.nested.law import NestedCovariances

__all__ = ["equations", "solve_nested", "upper_edge"]

_BALANCE = 1e-10
_NOISE = 1e-13  # of the density, relative
_NOTHING = 1e-12  # of the mass of a band, in a hard end that is none
_AT_EDGE = 1e-10  # of the width of a band: nearer to its end the line is not resolved
_LIKE_ROOT = 1e-8  # of the width: nearer to a soft end the density is a root


def equations(law: "NestedCovariances") -> System:
    """Return the equations of a law in floats."""
    rows = [(level.ratio, level.rest, level.gain) for level in law.levels]
    ratios, rests, gains = np.array(rows, dtype=float).T
    shift = float(law.shift)
    first, second = (float(x) for x in law.moments(2))
    centre, square = first - shift, second - 2.0 * shift * first + shift * shift
    weights = np.array(law.weights, dtype=float)
    leaf = transform(law.population)
    return System(shift, weights, ratios, rests, gains, leaf, square / centre)


def solve_nested(law: "NestedCovariances") -> LeafSolution:
    """Solve a sum of nested covariances.

    Raises
    ------
    SpecError
        If the population does not live on a bounded interval of [0, ∞).
    ConvergenceError
        If an edge is lost, a density does not resolve, or masses do not balance to 1e-10.
    """
    top = _top(law)
    system, atoms = equations(law), nested_atoms(law)
    wrong = ""
    for fine in (1, 4):
        bands = find_bands(system, _bound(system, top), fine)
        expanded = [expand(_density(system, a, b), a, b, _NOISE) for a, b in bands]
        mass = sum(piece.mass for piece, _ in expanded) + sum(m for _, m in atoms)
        if abs(mass - 1.0) <= _BALANCE:
            pieces: list[Piece] = [AtomsPiece(atoms)] if atoms else []
            pieces += [_softened(piece, system.shift) for piece, _ in expanded]
            tail = max((tail for _, tail in expanded), default=0.0)
            accuracy = Accuracy(
                abs(mass - 1.0), 1e-14, tail, "nested covariances, series of the density"
            )
            return LeafSolution(tuple(pieces), accuracy)
        wrong = f"atoms and bands add up to {mass!r}, not to 1: {len(bands)} bands were found"
    raise ConvergenceError(wrong)


def upper_edge(law: "NestedCovariances") -> float:
    """Right end of the bands alone; SpecError and ConvergenceError as `solve_nested`."""
    system = equations(law)
    return top_edge(system, _bound(system, _top(law)))


def _top(law: "NestedCovariances") -> float:
    """Right end of the population."""
    low, top = (float(end) for end in enclosure(law.population))
    if not (low >= 0.0 and np.isfinite(top)):
        raise SpecError(
            f"population must be a law on a bounded interval of [0, ∞), got {law.population!r}"
        )
    return top


def _density(system: System, left: float, right: float) -> Callable[[Array], Array]:
    def density(x: Array) -> Array:
        flat = np.ravel(x)
        found = system.line(flat)
        values = np.where(found.band, -found.cauchy.imag / np.pi, 0.0)
        lost = ~(found.band | found.gap)
        for end, side in ((left, 1.0), (right, -1.0)):
            near = lost & (np.abs(flat - end) < _LIKE_ROOT * (right - left))
            if end != system.shift and near.any():
                place = end + side * _LIKE_ROOT * (right - left)
                beside = system.line(np.array([place]))
                if beside.band[0]:
                    share = np.abs(flat[near] - end) / abs(place - end)
                    values[near] = -beside.cauchy[0].imag / np.pi * np.sqrt(share)
                    lost &= ~near
        lost &= np.minimum(flat - left, right - flat) > _AT_EDGE * (right - left)
        if lost.any():
            raise ConvergenceError(f"the density was not found at x = {float(flat[lost][0])!r}")
        return values.reshape(np.shape(x))

    return density


def _softened(piece: Piece, shift: float) -> Piece:
    """Return a band with a root at its ends off the shift, whose family is told by its noise.

    Where only the shift can be a hard end, an inverse root elsewhere has the strength of rounding.
    """
    if not isinstance(piece, SeriesPiece) or piece.kind == 0:
        return piece
    c = np.array(piece.coefficients)
    # density · √(1 - u²) = Σ d_k T_k vanishes at the end u if Σ d_k u^k does
    d = {1: np.append(c, 0.0), 2: np.append(c, 0.0) + np.append(0.0, c)}.get(
        piece.kind, np.append(c, 0.0) - np.append(0.0, c)
    )
    signs = (-1.0) ** np.arange(d.size)
    hard = piece.left == shift and piece.kind in {1, 3}
    excess = abs(d.sum()) if hard else max(abs(d.sum()), abs(d @ signs))
    if excess > _NOTHING * d[0]:
        return piece
    above = np.append(np.cumsum(d[:0:-1])[::-1], 0.0)
    if not hard:
        # every other one: 2 (d_{k+2} + d_{k+4} + …)
        above = above + signs * np.append(np.cumsum((signs * d)[:0:-1])[::-1], 0.0)
    return SeriesPiece(piece.left, piece.right, 3 if hard else 0, tuple((-above[:-1]).tolist()))


def _bound(system: System, top: float) -> float:
    """Norm of the sum of the covariances is below this."""
    total = float(system.weights[0]) * top
    for y, ratio, rest, gain in zip(
        system.weights[1:], system.ratios, system.rests, system.gains, strict=True
    ):
        top = (rest + gain * top) * (1.0 + np.sqrt(ratio)) ** 2
        total += float(y) * top
    return 1.01 * total
