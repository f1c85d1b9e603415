"""Two hundred random trees of free operations: balanced with the right moments, or refused.

Every tree is solved; the masses of its bands and atoms must add up to 1, and its first four
moments must be those that power series give without solving anything. A tree that is refused is
listed with the reason. Writes `random_trees.csv`.
"""

import csv
import time
from fractions import Fraction
from pathlib import Path

import numpy as np

from freefim.errors import ConvergenceError, SpecError
from freefim.free.law import Law
from freefim.free.laws.given import Atomic, Uniform
from freefim.free.laws.named import Arcsine, FreePoisson, MarchenkoPastur, Semicircle
from freefim.free.trees.moments import tree_moments
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    MultiplicativePower,
    Padded,
    Rectangular,
)

ORDER = 4


def fraction(rng: np.random.Generator, low: int, high: int, parts: int = 4) -> Fraction:
    """A random rational between two integers."""
    return Fraction(int(rng.integers(low * parts + 1, high * parts)), parts)


def random_leaf(rng: np.random.Generator) -> Law:
    """A law on [0, ∞), or now and then a signed one."""
    match rng.integers(7):
        case 0:
            return MarchenkoPastur(fraction(rng, 0, 3))
        case 1:
            left = fraction(rng, 0, 2)
            return Uniform(left, left + fraction(rng, 0, 2))
        case 2:
            return Atomic([1, 1 + fraction(rng, 0, 4)], [Fraction(1, 3), Fraction(2, 3)])
        case 3:
            masses = [Fraction(1, 2), Fraction(1, 4), Fraction(1, 4)]
            return Atomic([0, 1, 1 + fraction(rng, 0, 3)], masses)
        case 4:
            return FreePoisson(fraction(rng, 0, 3), fraction(rng, 0, 2))
        case 5:
            return Semicircle(fraction(rng, 0, 2), fraction(rng, -1, 2))
    return Arcsine(0, fraction(rng, 0, 3))


def random_tree(rng: np.random.Generator, depth: int) -> Law:
    """A random tree; raises SpecError where an operation is not defined."""
    if depth == 0:
        return random_leaf(rng)
    inner = random_tree(rng, depth - 1)
    match rng.integers(8):
        case 0 | 1:
            return FreeSum(inner, random_tree(rng, int(rng.integers(depth))))
        case 2 | 3:
            return FreeProduct(inner, random_tree(rng, int(rng.integers(depth))))
        case 4:
            return Affine(inner, fraction(rng, 0, 2), fraction(rng, -1, 2))
        case 5:
            return Compressed(inner, Fraction(int(rng.integers(1, 4)), 4))
        case 6:
            return Rectangular(inner, fraction(rng, 0, 2), 1)
    extra = 1 + fraction(rng, 0, 2)
    if rng.integers(2):
        return FreePower(inner, extra)
    return Padded(inner, Fraction(2, 3)) if rng.integers(2) else MultiplicativePower(inner, extra)


def judge(law: Law) -> tuple[str, float, str]:
    """Verdict ('right', 'wrong' or 'refused'), largest relative error of the moments, reason."""
    try:
        x, weights = law.solution.nodes()
        atoms = law.solution.atoms
    except (SpecError, ConvergenceError) as problem:
        return "refused", float("nan"), str(problem)
    places, masses = np.array(atoms).reshape(-1, 2).T
    x, weights = np.concatenate([x, places]), np.concatenate([weights, masses])
    wanted = [float(moment) for moment in tree_moments(law, ORDER)]
    sizes = [float(weights @ np.abs(x) ** k) for k in range(1, ORDER + 1)]
    error = max(
        abs(float(weights @ x**k) - moment) / size
        for k, (moment, size) in enumerate(zip(wanted, sizes, strict=True), 1)
    )
    balance = abs(float(weights.sum()) - 1.0)
    right = error <= 1e-8 and balance <= 1e-9
    return ("right" if right else "wrong"), max(error, balance), ""


def random_trees(count: int, seed: int = 2026) -> list[Law | str]:
    """Random trees of depth 1 to 3 that are defined; the reason where the sign of one is open."""
    rng, laws = np.random.default_rng(seed), []
    while len(laws) < count:
        try:
            laws.append(random_tree(rng, 1 + len(laws) % 3))
        except SpecError:
            continue
        except ConvergenceError as problem:
            laws.append(str(problem))
    return laws


def main(count: int = 200) -> None:
    """Judge the trees and write the table."""
    path = Path(__file__).with_suffix(".csv")
    tally: dict[str, int] = {}
    with path.open("w", newline="", encoding="utf-8") as file:
        table = csv.writer(file, lineterminator="\n")
        table.writerow(["law", "verdict", "error", "milliseconds", "reason"])
        for law in random_trees(count):
            start = time.perf_counter()
            if isinstance(law, str):
                verdict, error, reason = "refused", float("nan"), law
            else:
                verdict, error, reason = judge(law)
            spent = 1e3 * (time.perf_counter() - start)
            tally[verdict] = tally.get(verdict, 0) + 1
            shown = "" if isinstance(law, str) else repr(law)
            table.writerow([shown, verdict, f"{error:.1e}", f"{spent:.0f}", reason])
            file.flush()
    print(tally)


if __name__ == "__main__":
    main()
