"""The law of one gate, scaled, padded and shifted: an explicit image of the normal law.

Without a second gate nothing is solved: the density is p(h)/|g'(h)| summed over the preimages
h of g on the pieces of the gate, the distribution function a sum of normal ones.
"""

from dataclasses import dataclass, field
from itertools import pairwise

import numpy as np
from numpy.typing import NDArray

from freefim.free.accuracy import Accuracy
from freefim.free.joint.program import Program
from freefim.free.joint.start import cauchy_transform
from freefim.free.leaves.contour import piece_quadrature
from freefim.free.leaves.leaf import Contour
from freefim.free.leaves.paths import REACH, Flat, Piece

__all__ = ["PushforwardSolution", "push_forward"]

_Reals = NDArray[np.float64]
_Nodes = NDArray[np.complex128]

#: Imaginary step that turns φ' into φ''.
_STEP = 1e-8


@dataclass(frozen=True, eq=False)
class PushforwardSolution:
    """The law of scale · g(h) + shift, h a centred normal variable, padded with zeros.

    Attributes
    ----------
    atoms : tuple of (location, mass)
        Where g is constant, and the zeros.
    bands : tuple of (left, right)
    band_masses : tuple of float
    accuracy : Accuracy
    """

    atoms: tuple[tuple[float, float], ...]
    bands: tuple[tuple[float, float], ...]
    band_masses: tuple[float, ...]
    accuracy: Accuracy
    _program: Program = field(repr=False)
    _leaf: Contour = field(repr=False)
    _scale: float = field(repr=False)
    _share: float = field(repr=False)

    @property
    def _pieces(self) -> list[Piece]:
        return [part for part in self._leaf.parts if isinstance(part, Piece)]

    def pdf(self, x: _Reals) -> _Reals:
        """Density of the absolutely continuous part: 0 outside the bands, inf where g turns."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        g = (x - self._program.shift) / self._scale
        variance = self._leaf.variance
        for piece in self._pieces:
            low, high, _ = _range(piece, variance)
            inside = (g >= low) & (g <= high)
            h = _preimages(piece, variance, g[inside])
            slope = piece.derivative(h + 1j * _STEP)
            density = np.exp(-(h**2) / (2 * variance)) / np.sqrt(2 * np.pi * variance)
            density *= self._share
            with np.errstate(divide="ignore"):
                out[inside] += density / np.abs(2 * slope.real * slope.imag / _STEP * self._scale)
        return out

    def cdf(self, x: _Reals) -> _Reals:
        """Mass at or to the left of x."""
        x = np.asarray(x, dtype=float)
        out = np.where(np.isnan(x), np.nan, 0.0)
        for location, mass in self.atoms:
            out += np.where(x >= location, mass, 0.0)
        g = (x - self._program.shift) / self._scale
        return np.clip(out + self._share * _mass_below(self._leaf, g), 0.0, 1.0)

    def cauchy(self, z: _Nodes) -> _Nodes:
        """G(z) off the real axis, or at real z outside the support."""
        return cauchy_transform(self._program, z)

    def nodes(self, splits: int = 1) -> tuple[_Reals, _Reals]:
        """Points x and weights with Σ weight·f(x) the integral of f over the continuous part.

        Each panel is cut in `splits` pieces, for functions less smooth than the density.
        """
        parts = [piece_quadrature(piece, self._leaf.variance, splits) for piece in self._pieces]
        g, mass = np.concatenate(parts, axis=1)
        order = np.argsort(g)
        return self._program.shift + self._scale * g[order], self._share * mass[order]


def _range(piece: Piece, variance: float) -> tuple[float, float, bool]:
    """Lowest and highest visible value of g on a piece, and whether g rises."""
    left, right = (piece.gate(h) for h in piece.clipped(REACH * np.sqrt(variance)))
    return min(left, right), max(left, right), right > left


def _preimages(piece: Piece, variance: float, g: _Reals) -> _Reals:
    """The h on a piece where the gate has the values g of its range."""
    from scipy.optimize.elementwise import find_root

    if g.size == 0:
        return g
    left, right = piece.clipped(REACH * np.sqrt(variance))

    def off(h: _Reals, want: _Reals) -> _Reals:
        return np.asarray(piece.derivative(h) ** 2 - want)

    ends = np.full(g.shape, left), np.full(g.shape, right)
    return np.asarray(find_root(off, ends, args=(g,)).x)


def _mass_below(leaf: Contour, g: _Reals) -> _Reals:
    """P(g(h) <= g, h not on a flat part); NaN stays NaN."""
    from scipy.special import ndtr

    std = np.sqrt(leaf.variance)
    out = np.where(np.isnan(g), np.nan, 0.0)
    for part in leaf.parts:
        if isinstance(part, Flat):
            continue
        low, high, rises = _range(part, leaf.variance)
        left, right = part.clipped(np.inf)
        inside = (g > low) & (g < high)
        h = _preimages(part, leaf.variance, g[inside])
        start, stop = (np.full_like(h, left), h) if rises else (h, np.full_like(h, right))
        # Differences of upper tails on the right keep their digits.
        flip = np.where(start > 0, -1.0, 1.0)
        out[inside] += np.abs(ndtr(flip * stop / std) - ndtr(flip * start / std))
        out[g >= high] += _normal_mass(left / std, right / std)
    return out


def _normal_mass(left: float, right: float) -> float:
    from scipy.special import ndtr

    flip = -1.0 if left > 0 else 1.0
    return float(abs(ndtr(flip * right) - ndtr(flip * left)))


def push_forward(
    program: Program, leaf: Contour, scale: float, share: float
) -> PushforwardSolution:
    """The law of scale · g(h) + shift, `leaf` the law of g(h), `shift` that of the program.

    It is a fraction `share` of the law, the rest are zeros before the shift.
    """
    flats: dict[float, float] = {0.0: 1 / share - 1} if share < 1 else {}
    std = np.sqrt(leaf.variance)
    for part in leaf.parts:
        if isinstance(part, Flat):
            mass = _normal_mass(part.left / std, part.right / std)
            flats[part.value] = flats.get(part.value, 0.0) + mass
    ends = [leaf.minimum, *(end for gap in leaf.gaps for end in gap), leaf.maximum]
    spans = [(a, b) for a, b in zip(ends[::2], ends[1::2], strict=True) if a < b]
    # What lies beyond the visible ends belongs to the outermost bands.
    inner = np.array([0.5 * (a[1] + b[0]) for a, b in pairwise(spans)])
    below = np.concatenate([[0.0], _mass_below(leaf, inner), [1 / share - sum(flats.values())]])
    shift = program.shift
    defect = abs(float(leaf.masses.sum()) - 1)
    return PushforwardSolution(
        atoms=tuple((shift + scale * g, share * mass) for g, mass in sorted(flats.items())),
        bands=tuple((shift + scale * a, shift + scale * b) for a, b in spans),
        band_masses=tuple((share * np.diff(below)).tolist()),
        accuracy=Accuracy(defect, 0.0, 0.0, "push-forward"),
        _program=program,
        _leaf=leaf,
        _scale=scale,
        _share=share,
    )
