r"""The curve of a chain of projections, for balls and their power series.

State: z and F = 1/G, so that atoms (F = 0) are ordinary points; the parameter is t = ω - start.
The formulas are those of `freefim.free.moves` in F.
"""

from collections.abc import Callable, Iterable, Iterator, Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from freefim.free import moves as table
from freefim.free.chains.chain import (
    Affine,
    Chain,
    Corner,
    Gaussian,
    Move,
    Padding,
    Product,
    from_last_zero,
)
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.proofs.balls import ball
from freefim.free.proofs.enclosure import exact

__all__ = ["Curve", "Program", "Step", "compile_chain", "is_convolution", "mass_above"]

_Numbers = tuple[Any, ...]
# The moves take any kind of number, and so have no types.
moves: Any = table


@dataclass(frozen=True)
class Program:
    """A chain of exact rationals.

    Attributes
    ----------
    start : Fraction
        Place of the point mass at the beginning.
    steps : tuple of (kind, numbers)
        "gate" (mass taken out, value), "gaussian" (ratio, variance), "corner" (ratio),
        "padding" (ratio) and "affine" (scale, shift).
    """

    start: Fraction
    steps: tuple[tuple[str, tuple[Fraction, ...]], ...]

    @property
    def last(self) -> int:
        """Index of the last convolution, -1 if there is none."""
        return max(
            (k for k, (kind, _) in enumerate(self.steps) if is_convolution(kind)), default=-1
        )

    @property
    def is_positive(self) -> bool:
        """Whether the start is positive, every scale too, and no shift negative."""
        return self.start > 0 and all(
            numbers[0] > 0 and numbers[-1] >= 0 for _, numbers in self.steps
        )


@dataclass(frozen=True)
class Step:
    """One step: z and F before it, z after it."""

    kind: str
    z: Any
    f: Any
    out: Any


def compile_chain(chain: Chain) -> Program:
    """The chain as it is, every number the rational that it stands for."""
    chain = from_last_zero(chain)
    return Program(exact("start", chain.start), tuple(map(_step, chain.moves)))


def is_convolution(kind: str) -> bool:
    """Whether steps of a kind can lower points of the upper half plane down to the real line."""
    return kind in ("gate", "gaussian", "corner")


def _step(move: Move) -> tuple[str, tuple[Fraction, ...]]:
    match move:
        case Product(TwoPoint(_, high, _, complement)) if complement:
            return "gate", (exact("complement", complement), exact("high", high))
        case Product(TwoPoint(_, high, _, _)):
            return "affine", (exact("high", high), Fraction(0))
        case Gaussian(ratio, variance):
            return "gaussian", (exact("ratio", ratio), exact("variance", variance))
        case Corner(ratio):
            return "corner", (exact("ratio", ratio),)
        case Padding(ratio):
            return "padding", (exact("ratio", ratio),)
        case Affine(scale, shift):
            return "affine", (exact("scale", scale), exact("shift", shift))
    raise TypeError(f"no step of a chain of projections: {move!r}")


class Curve:
    """A program in balls of the precision that is at work when it is made."""

    def __init__(self, program: Program) -> None:
        self.program = program
        self._start = ball(program.start)
        self._steps = [(kind, tuple(map(ball, numbers))) for kind, numbers in program.steps]

    def walk(self, t: Any, depth: int | None = None) -> Iterator[Step]:
        """Carry t through the first `depth` steps; the last Step, of no kind, is where it ends.

        Raises
        ------
        ValueError, ZeroDivisionError
            At a step whose divisor holds 0.
        """
        return _walk(self._start, self._steps[:depth], t)

    @property
    def scale(self) -> Any:
        """A length of the law."""
        return abs(self._start) if self.program.start else ball(Fraction(1))

    @property
    def numbers(self) -> list[_Numbers]:
        """Numbers of the steps."""
        return [numbers for _, numbers in self._steps]

    def end(self, t: Any) -> Step:
        """The point of the law itself."""
        *_, end = self.walk(t)
        return end


def _walk(start: Any, steps: Sequence[tuple[str, _Numbers]], t: Any) -> Iterator[Step]:
    z, f = start + t, t
    for kind, numbers in steps:
        out, after = _moved(kind, numbers, z, f)
        yield Step(kind, z, f, out)
        z, f = out, after
    yield Step("", z, f, z)


def _moved(kind: str, numbers: _Numbers, z: Any, f: Any) -> tuple[Any, Any]:
    """The point of the next law that belongs to a point of the last."""
    match kind, numbers:
        case "gate", (b, g):
            out = g * (z - b * f)
            return out, f * out / z
        case "gaussian", (c, s):
            return s * z * (c - 1 + z / f), s * c * z
        case "corner", (a,):
            return z - (1 - a) * f, a * f
        case "padding", (a,):
            return z, z * f / ((1 - a) * f + a * z)
        case _, (scale, shift):
            return scale * z + shift, scale * f
    raise ValueError(f"no step {kind!r} of {numbers!r}")


def mass_above(
    steps: Iterable[Step],
    numbers: Iterable[_Numbers],
    turns: Callable[[Any], Any],
    height: Callable[[Any], Any],
) -> Any:
    """Mass right of the point of a walk in the closed upper half plane: Im Φ/π, in closed form.

    Parameters
    ----------
    steps : iterable of Step
    numbers : iterable of tuple
        Numbers of the steps, in the arithmetic of the result.
    turns, height : callable
        Argument and imaginary part, over π.
    """
    phi = None
    for step, given in zip(steps, [*numbers, ()], strict=True):
        phi = turns(step.f) if phi is None else phi
        if step.kind == "gate":
            phi = phi + given[0] * (turns(step.out) - turns(step.f))
        elif step.kind == "gaussian":
            phi = moves.gaussian_potential(phi, turns(step.z), height(step.z / step.f), given[0])
        elif step.kind == "corner":
            phi = moves.corner_potential(phi, -turns(step.f), given[0])
        elif step.kind == "padding":
            phi = moves.padding_potential(phi, turns(step.z), given[0])
    return phi
