"""Chains of projections, Gaussian matrices, corners and paddings: solved in closed composition."""

import math

import numpy as np
from numpy.typing import NDArray

from freefim.errors import ConvergenceError
from freefim.free.chains.atoms import chain_atoms
from freefim.free.chains.chain import Chain
from freefim.free.projection.program import PADDING, WISHART, compile_chain
from freefim.free.projection.solution import (
    MASS_TOLERANCE,
    ProjectionSolution,
    lobatto_grid,
    panel_limit,
)

__all__ = ["solve_projection"]

Array = NDArray[np.float64]

_SPECK = 1e-13
_BLUR = 1e-12
# Edges and atoms nearer to each other, relative to the last edge, are at one place.
_TOUCH = 1e-14


def solve_projection(chain: Chain) -> ProjectionSolution:
    """Solve a chain for which `projection_program.is_projection_chain` holds.

    Raises
    ------
    ConvergenceError
        If the masses of atoms and bands do not balance, or the density does not integrate to
        the exact mass of its band within 1e-10.
    """
    from freefim.free.projection import gap_kernels, kernels

    ops, par, start = compile_chain(chain)
    atoms = chain_atoms(chain)
    moving = [j for j in range(len(ops)) if ops[j] == WISHART or (ops[j] != PADDING and par[j, 0])]
    if not moving:
        return _atomic(chain, ops, par, start)
    cut_atoms = bool(np.any((ops == WISHART) | (ops == PADDING)))
    cuts = gap_kernels.find_cuts(ops, par, start, moving[-1], cut_atoms)
    status, gaps, closed = gap_kernels.find_gaps(ops, par, start, cuts)
    if status:
        raise ConvergenceError("the outer gap of the law was not found: the scales overflow")
    edges = np.ascontiguousarray(np.column_stack([gaps[:-1, 1], gaps[1:, 0]]))
    slopes = gap_kernels.edge_slopes(ops, par, start, edges.ravel())
    info = kernels.describe_edges(ops, par, start, edges.ravel(), slopes)
    info = info.reshape(-1, 2, 6)
    widths = np.ascontiguousarray(info[:, 0, 5])
    _exclude_atoms(info, atoms)
    # at a hard edge rounding may split off a band without width or mass
    kept = (info[:, 0, 4] > info[:, 1, 4]) | (widths > _SPECK * np.max(info[:, 1, 0], initial=0.0))
    edges, info, widths = edges[kept], info[kept], widths[kept]
    if len(edges) == 0:
        return _atomic(chain, ops, par, start)
    info[:, :, 0] = np.maximum(info[:, :, 0], 0.0)
    masses = info[:, 0, 4] - info[:, 1, 4]
    hard = _hard_edges(info, edges)
    info[hard, 2] = 0.0
    x_edges = np.maximum.accumulate(info[:, :, 0].ravel()).reshape(-1, 2)
    balance = float(masses.sum() + sum(mass for _, mass in atoms))
    if not abs(balance - 1.0) <= MASS_TOLERANCE:
        raise ConvergenceError(
            f"atoms and bands add up to {balance!r}, not to 1: {len(edges)} bands were found"
        )
    panels, count, failures = kernels.solve_bands(
        ops, par, start, edges, info, widths, lobatto_grid(), math.inf, panel_limit(len(ops))
    )
    if failures:
        raise ConvergenceError(
            f"the density did not converge at {failures} nodes of {len(edges)} bands"
        )
    remarks = tuple(f"a gap near t = {t:.3e} is closed to rounding" for t in closed)
    return ProjectionSolution(
        atoms=atoms,
        bands=tuple((float(a), float(b)) for a, b in x_edges),
        band_masses=tuple(masses.tolist()),
        _remarks=remarks,
        _curve=(ops, par, start),
        _edges=edges,
        _x_edges=x_edges,
        _info=info,
        _widths=widths,
        _hard=hard,
        _panels=panels[:count],
    )


def _exclude_atoms(info: Array, atoms: tuple[tuple[float, float], ...]) -> None:
    """Leave an atom that stands on the left edge of a band out of the mass above that edge.

    Rounding decides on which side of the atom the edge was read. What is above, by the exact
    rules, is what is above the band before without the atoms between the two.
    """
    before, above, near = -math.inf, 1.0, _TOUCH * np.max(info[:, 1, 0], initial=0.0)
    for left, right in info:
        between = [(x, mass) for x, mass in atoms if before < x <= left[0] + near]
        if between and between[-1][0] >= left[0] - near:
            left[4] = above - sum(mass for _, mass in between)
        before, above = right[0], right[4]


def _hard_edges(info: Array, edges: Array) -> NDArray[np.bool_]:
    """Edges at which F = 0: the density behaves as (x - a)^(-1/2) there.

    F is 0 to the rounding of t; or so small that the density looks like that of a hard edge but
    for the mass |F z''| / (2 F'²), below _BLUR.
    """
    curvature, f, slope = np.abs(info[:, :, 1:4]).transpose(2, 0, 1)
    at_zero = f <= 2e-15 * np.abs(edges) * slope
    return np.asarray(at_zero | (0.5 * f * curvature <= _BLUR * slope**2))


def _atomic(chain: Chain, ops: NDArray[np.int64], par: Array, start: float) -> ProjectionSolution:
    atoms = chain_atoms(chain)
    defect = abs(sum(mass for _, mass in atoms) - 1.0)
    if defect > MASS_TOLERANCE:
        raise ConvergenceError(f"no band was found, yet the atoms have mass {1 - defect!r}")
    none = np.empty((0, 2))
    return ProjectionSolution(
        atoms=atoms,
        bands=(),
        band_masses=(),
        _remarks=(),
        _curve=(ops, par, start),
        _edges=none,
        _x_edges=none,
        _info=np.empty((0, 2, 6)),
        _widths=np.empty(0),
        _hard=np.empty((0, 2), dtype=bool),
        _panels=np.empty((0, 54)),
    )
