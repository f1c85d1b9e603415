r"""The law of a chain by the joint Newton: one unknown w per leaf, one O(L) sweep per step.

The unknowns solve :math:`m_{\nu_l}(w_l) = m_l`, each leaf through its exact transform. Bands come
first, from scans of the real line; densities then on panels, in a variable in which the edges are
smooth; mass and moments must balance or nothing is returned.
"""

import numpy as np

from freefim.errors import ConvergenceError
from freefim.free.accuracy import Accuracy
from freefim.free.chains.chain import Chain
from freefim.free.joint.bands import bottom_edge, solve_bands
from freefim.free.joint.counting import hidden_band, mass_above
from freefim.free.joint.edges import SHARP, Edge, outer_edge
from freefim.free.joint.panels import Band
from freefim.free.joint.program import Program, compile_chain
from freefim.free.joint.pushforward import PushforwardSolution, push_forward
from freefim.free.joint.realised import HEIGHT, RealisedSolution, checked
from freefim.free.joint.solution import JointSolution
from freefim.free.leaves.leaf import Atomic, Contour, Leaf, TwoPoint

__all__ = ["solve_joint"]

_BALANCE = 1e-9
#: Relative to the missing mass: first moments that show it to lie at the bottom.
_LOW = 1e-3
_PADDING, _AFFINE = 3, 4
#: Leaves with more atoms than this are read point by point.
_FEW = 64
#: How often bands that were missed are searched for.
_SEARCHES = 3


def _realised(program: Program, mass: float) -> RealisedSolution:
    """The law of a chain with realised gates."""
    for leaf in program.leaves:
        if leaf.kernel_data()[0] != Leaf.ATOMS:
            raise ConvergenceError("a chain cannot mix realised gates with smooth limits of gates")
    top, bottom = outer_edge(program, right=True), bottom_edge(program)
    low = bottom.y if bottom else 0.0
    remark = f"density and distribution function at a height of {HEIGHT:g} relative"
    return checked(
        RealisedSolution(
            atoms=tuple((y + program.shift, p) for y, p in program.atoms),
            bands=((program.shift + low, program.shift + top.y),),
            band_masses=(mass,),
            accuracy=Accuracy(HEIGHT, top.residual, HEIGHT, "joint Newton, pointwise", (remark,)),
            _program=program,
        )
    )


def solve_joint(chain: Chain) -> JointSolution | RealisedSolution | PushforwardSolution:
    """Solve the law of a chain with any leaves.

    Raises
    ------
    ConvergenceError
        If a continuation gets stuck, or mass or the first two moments do not balance.
    """
    program = compile_chain(chain)
    shift = program.shift
    heavy = sum(mass for _, mass in program.atoms)
    if heavy > 1 - 1e-12:
        atoms = tuple((y + shift, mass) for y, mass in program.atoms)
        accuracy = Accuracy(abs(1 - heavy), 0.0, 0.0, "exact atoms", _stand_ins(program))
        return JointSolution(atoms, (), (), accuracy, program, ())
    if any(isinstance(leaf, Atomic) and leaf.locations.size > _FEW for leaf in program.leaves):
        return _realised(program, 1 - heavy)
    ops, pars, leaf = *program.arrays[:2], program.leaves[0]
    padded = ops == _PADDING
    alone = len(program.leaves) == 1 and program.eps.size == 1
    if alone and (padded | (ops == _AFFINE))[1:].all() and isinstance(leaf, Contour):
        scale, share = (float(np.prod(pars[1:, 0][kind[1:]])) for kind in (~padded, padded))
        return push_forward(program, leaf, scale, share)
    try:
        return _resolved(program)
    except ConvergenceError:
        # A realised gate far below all others leaves mass where no band is resolved.
        kinds = {type(leaf) for leaf in program.leaves}
        if not {Atomic} <= kinds <= {Atomic, TwoPoint}:
            raise
        return _realised(program, 1 - heavy)


def _resolved(program: Program) -> JointSolution:
    """The law band by band; bands that were missed are searched for."""
    known: list[float] = []
    for _ in range(_SEARCHES):
        solved = solve_bands(program, known)
        try:
            return _balanced(program, *solved)
        except ConvergenceError:
            hidden = _hidden(program, solved[0])
            if not hidden:
                raise
            known += hidden
    return _balanced(program, *solve_bands(program, known))


def _hidden(program: Program, bands: tuple[Band, ...]) -> list[float]:
    """Places in bands too narrow to be met, one for each gap that mass is found in by counting."""
    ends = [0.0, *(end for band in bands for end in (band.low, float(np.exp(band.a))))]
    gaps = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=False) if b > a]
    found = (hidden_band(program, *gap) for gap in gaps)
    return [place for place in found if place is not None]


def _balanced(
    program: Program, bands: tuple[Band, ...], below: float, edges: tuple[Edge, ...], worst: float
) -> JointSolution:
    """The law made of its bands, if mass and the first two moments are those of the chain."""
    shift = program.shift
    heavy = sum(mass for _, mass in program.atoms)
    parts = [band.quadrature() for band in bands]
    y = np.concatenate([part[0] for part in parts])
    weight = np.concatenate([part[1] for part in parts])
    missing = 1 - float(weight.sum()) - heavy
    zero = dict(program.atoms).get(0.0, 0.0)
    remarks = _stand_ins(program)
    defect, unresolved = abs(missing), 0.0
    last = float(np.exp(bands[0].log_y(bands[0].cuts[-1:])[0]))
    if below > 0:
        # What lies below the last resolved y is what a path around the law does not count above.
        unresolved = max(1 - mass_above(program, last) - zero, 0.0)
        defect = abs(float(weight.sum()) + heavy + unresolved - 1)
    # A lump at 0 is the end of a tail.
    cluster = unresolved + zero - dict(program.listed).get(0.0, 0.0)
    if cluster > 0:
        remarks += (
            f"mass {cluster:.3g} within {last:.1g} of the bottom, counted as at the bottom",
        )
    first = sum(mass * at for at, mass in program.atoms) + float(weight @ y)
    second = sum(mass * at**2 for at, mass in program.atoms) + float(weight @ y**2)
    wrong = max(abs(first / program.mean - 1), abs(second / program.second - 1))
    # Uncertainties relative to x, not y.
    unsure = {edge: edge.residual * edge.y / abs(shift + edge.y) for edge in edges}
    faint = [edge for edge in edges if edge.fades and unsure[edge] > SHARP]
    if not max(defect, wrong) < _BALANCE:
        raise ConvergenceError(
            f"the law does not balance: mass off by {defect:.2g}, "
            f"first two moments by {wrong:.2g} relative; "
            + _suspect(
                [shift + edge.y for edge in faint], worst, low=below > 0 or wrong < _LOW * defect
            )
        )
    for edge, doubt in unsure.items():
        if doubt > SHARP and not edge.fades:
            raise ConvergenceError(
                f"the edge at x = {shift + edge.y!r} is known to {doubt:.1g} relative only"
            )
    remarks += tuple(
        f"the density fades out around x = {shift + edge.y!r}: as an edge uncertain "
        f"by {edge.residual * edge.y:.1g}, with mass at most {defect + worst:.1g} beyond"
        for edge in faint
    )
    masses = [float(part[1].sum()) for part in parts]
    masses[0] += cluster
    pieces = tuple(
        ((shift + band.low, shift + float(np.exp(band.a))), mass, band)
        for band, mass in zip(bands, masses, strict=True)
    )
    spans, totals = _joined(pieces)
    return JointSolution(
        atoms=tuple((y + shift, mass) for y, mass in program.listed),
        bands=spans,
        band_masses=totals,
        accuracy=Accuracy(defect, max(unsure.values()), worst, "joint Newton, panels", remarks),
        _program=program,
        _pieces=pieces,
        _cluster=cluster,
    )


def _suspect(faint: list[float], worst: float, *, low: bool) -> str:
    """Where the missing mass is looked for first, as half a sentence."""
    if low:
        return "what is missing lies at the bottom, below what the gates resolve there"
    if faint:
        places = ", ".join(f"{x:.6g}" for x in faint)
        return f"the density fades out around x = {places}, and more may lie beyond"
    if worst > _BALANCE:
        return f"panels of the density were left unresolved by {worst:.1g}"
    return "a band or a gap too narrow to be met may be missing"


def _stand_ins(program: Program) -> tuple[str, ...]:
    """A sentence for each atom that is none."""
    return tuple(
        f"the point mass {mass:.3g} at {program.shift + y!r} stands for a tail within 1e-17 of it"
        for y, mass in program.stand_ins
    )


def _joined(
    pieces: tuple[tuple[tuple[float, float], float, Band], ...],
) -> tuple[tuple[tuple[float, float], ...], tuple[float, ...]]:
    """Bands and their masses: pieces that share an end are one band."""
    spans: list[tuple[float, float]] = []
    totals: list[float] = []
    for (left, right), mass, _ in pieces:
        if spans and spans[-1][1] == left:
            spans[-1] = (spans[-1][0], right)
            totals[-1] += mass
        else:
            spans.append((left, right))
            totals.append(mass)
    return tuple(spans), tuple(totals)
