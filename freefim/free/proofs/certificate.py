"""Certificates: what is proved of a chain of projections, for a second program to check.

A certificate holds plain strings and lists: rationals as "p/q", intervals as two of them. It says

* ``bits``: enough precision to check it;
* ``start``, ``steps``: the chain, as in `freefim.free.proofs.curve.Program`;
* ``atoms``: all point masses, [location, mass];
* ``cuts``: where poles of the maps H lie, {depth, between}, where z = 0 after
  ``depth`` steps (-1: t = 0); ``cells``: what is proved between them:
  ``gap``: [inside, outside] for its left and its right end (null at infinity), or ``none``: two
  points whose tangents exclude a gap;
* ``bands``: {left, right, mass}; left and right enclose the edges;
* ``points``: {x, pdf, cdf} in gaps, and inside bands {x, t, radius, pdf, cdf}: the one root of
  z(t) = x in the square of half width ``radius`` around t = [re, im], and what follows from it.
"""

import math
from fractions import Fraction
from typing import TYPE_CHECKING, Any

from freefim.errors import ConvergenceError
from freefim.free.proofs.enclosure import Enclosure, exact

if TYPE_CHECKING:
    from freefim.free.law import Law
    from freefim.free.proofs.chains import ChainProver
    from freefim.free.proofs.gaps import Cell, Edge

__all__ = ["certificate", "points_of_bands"]


def certificate(law: "Law", x: Any) -> dict[str, Any]:
    """Prove bands, atoms, and density and mass at points; write down what the proofs need.

    Parameters
    ----------
    law : Law
        A chain of projections, Gaussian matrices, corners and paddings.
    x : iterable of number
        Real points; floats stand for the binary fractions that they are.

    Returns
    -------
    dict
        For `json.dump`.

    Raises
    ------
    SpecError
        If a point is no finite real number.
    ConvergenceError
        If anything is not proved.
    MissingExtraError
        If python-flint is not installed.
    """
    prover = _chain_prover(law)
    structure, program = prover.structure, prover.program
    if any(kind == "padding" for kind, _ in program.steps):
        raise ConvergenceError("certificates are not written for chains with paddings")
    points = [exact("x", value) for value in x]
    proved = [_point(prover, value) for value in points]
    roots = [prover.root(value) for value in points if prover.pdf(value).upper > 0]
    return {
        "bits": 2 * max([structure.bits, *(root.bits for root in roots)]),
        "start": str(program.start),
        "steps": [[kind, *map(str, numbers)] for kind, numbers in program.steps],
        "atoms": [[str(at), str(mass)] for at, mass in structure.atoms],
        "cuts": [
            {"depth": cut.depth, "between": [_text(cut.lower), _text(cut.upper)]}
            for cut in structure.cuts
        ],
        "cells": [_cell(cell) for cell in structure.cells],
        "bands": [
            {"left": _wide(band.left), "right": _wide(band.right), "mass": str(band.mass)}
            for band in structure.bands
        ],
        "points": proved,
    }


def points_of_bands(law: "Law", count: int) -> list[float]:
    """Points inside the bands, at least one in each and about `count` in all, denser at edges."""
    bands = _chain_prover(law).structure.bands
    share = max(1, round(count / max(len(bands), 1)))
    return [
        band.left.midpoint + (band.right.midpoint - band.left.midpoint) * place
        for band in bands
        for place in (math.sin(math.pi * (2 * k + 1) / (4 * share)) ** 2 for k in range(share))
    ]


def _chain_prover(law: "Law") -> "ChainProver":
    prover = law.prover  # says so where python-flint is missing
    from freefim.free.proofs.chains import ChainProver

    if not isinstance(prover, ChainProver):
        raise ConvergenceError(
            f"certificates are written for chains of two-point gates, not for {law!r}"
        )
    return prover


def _point(prover: "ChainProver", x: Fraction) -> dict[str, Any]:
    pdf = prover.pdf(x)
    found = {"x": str(x), "pdf": _wide(pdf), "cdf": _wide(prover.cdf(x))}
    if pdf.upper == 0:
        return found
    box = prover.root(x).box
    radius = max(box.real.rad(), box.imag.rad())
    return found | {
        "t": [_text(box.real.mid()), _text(box.imag.mid())],
        "radius": _text(radius),
    }


def _cell(cell: "Cell") -> dict[str, Any]:
    if cell.witnesses:
        return {"none": [_text(t) for t in cell.witnesses]}
    return {"gap": [_edge(cell.left), _edge(cell.right)]}


def _edge(edge: "Edge | None") -> list[str] | None:
    return None if edge is None else [_text(edge.inside), _text(edge.outside)]


def _text(point: Any) -> str:
    from freefim.free.proofs.balls import exact_value

    return str(exact_value(point))


def _wide(enclosure: Enclosure) -> list[str]:
    """The ends, of few digits: the enclosure made about three times as wide."""
    lower, upper = enclosure.lower, enclosure.upper
    if lower == upper:
        return [str(lower), str(upper)]
    width = upper - lower
    unit = Fraction(2) ** (width.numerator.bit_length() - width.denominator.bit_length())
    return [str(math.floor(lower / unit) * unit - unit), str(math.ceil(upper / unit) * unit + unit)]
