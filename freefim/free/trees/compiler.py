"""Trees of free operations compiled to programs.

Partners whose transform is a formula (semicircles, free Poisson laws, projections) become moves,
so that only the other leaves are unknowns.
"""

from freefim.free.law import Law
from freefim.free.laws.given import PointMass
from freefim.free.trees.formulas import (
    Moves,
    additive_moves,
    factors_of,
    multiplicative_moves,
    squared_terms,
    terms_of,
)
from freefim.free.trees.knowledge import is_nonnegative
from freefim.free.trees.nodes import (
    Affine,
    Compressed,
    FreePower,
    FreeProduct,
    FreeSum,
    Inverse,
    MultiplicativePower,
    NamedLaw,
    Padded,
    Rectangular,
    Square,
)
from freefim.free.trees.program import (
    AFFINE,
    CIRCULAR,
    CORNER,
    GAUSSIAN,
    INVERSE,
    MARCHENKO,
    PADDING,
    POWER,
    PRODUCT,
    SUM,
    Program,
)

__all__ = ["compile_tree"]


def compile_tree(law: Law) -> Program:
    """Compile a tree; partners that are formulas become moves.

    Raises
    ------
    SpecError
        If a number of the tree is an expression with symbols, or a Cauchy law stands where its
        transform is no formula.
    """
    program = Program()
    if not _emit_curve(program, law):
        _emit(program, law)
    return program


def _emit_curve(program: Program, law: Law) -> bool:
    """A product of formulas as one curve, if the law is one."""
    from freefim.free.chains.chain_law import ChainLaw
    from freefim.free.trees.power_curve import curve_moves, power_curve

    curve = power_curve(law)
    found = curve and curve_moves(curve)
    if not found:
        return False
    moves, scale, mass = found
    if moves and moves[-1][1] < 0.0 and not isinstance(law, ChainLaw):
        # divisors, the last, are steps of no law of their own: corners and projections are
        return False
    program.add_leaf(PointMass(1))
    for ratio, exponent in moves:
        program.add(MARCHENKO, ratio, exponent)
    if scale != 1.0:
        program.add(AFFINE, scale)
    if mass != 1.0:
        program.add(PADDING, mass)
    return True


def _emit(program: Program, law: Law) -> None:
    from freefim.free.chains.chain_law import ChainLaw
    from freefim.free.laws.named import Arcsine, FreePoisson, Semicircle
    from freefim.free.trees.inlining import tree_of_chain

    match law:
        case Semicircle() | FreePoisson():
            program.add_leaf(PointMass(0))
            _add_moves(program, additive_moves(law))
        case FreeSum():
            _emit_sum(program, terms_of(law))
        case FreeProduct():
            _emit_product(program, factors_of(law))
        case Affine(inner, scale, shift):
            _emit(program, inner)
            program.add(AFFINE, float(scale), float(shift))
        case Compressed(inner, ratio):
            _emit(program, inner)
            if ratio != 1:
                program.add(CORNER, float(ratio))
        case Padded(inner, ratio):
            _emit(program, inner)
            program.add(PADDING, float(ratio))
        case FreePower(inner, exponent):
            _emit(program, inner)
            _add_free_power(program, float(exponent))
        case MultiplicativePower(inner, exponent):
            _emit_product(program, {inner: float(exponent)})
        case Inverse(inner):
            _emit(program, inner)
            program.add(INVERSE)
        case Square(FreeSum() as inner) if squares := squared_terms(inner):
            for i, square in enumerate(squares):
                left = len(program.ops) - 1
                _emit(program, square)
                if i:
                    program.join(CIRCULAR, left)
        case Rectangular(inner, ratio, variance):
            _emit(program, inner)
            program.add(GAUSSIAN, float(ratio), float(variance))
        case NamedLaw() if not isinstance(law, Arcsine):
            _emit(program, law.construction)
        case ChainLaw(chain=chain):
            if not _emit_curve(program, law):
                _emit(program, tree_of_chain(chain))
        case _:
            # given laws; and square roots and squares, where the unknown below turns back
            program.add_leaf(law)


def _add_free_power(program: Program, exponent: float) -> None:
    if exponent != 1.0:
        program.add(CORNER, 1.0 / exponent)
        program.add(AFFINE, exponent, 0.0)


def _add_moves(program: Program, moves: Moves | None) -> None:
    for op, a, b in moves or ():
        program.add(op, a, b)


def _emit_sum(program: Program, terms: dict[Law, float]) -> None:
    """A sum: joins of the terms that are no formulas, then the moves."""
    moves: Moves = []
    hard: list[tuple[Law, float]] = []
    for term, count in terms.items():
        found = additive_moves(term)
        if found is None:
            hard.append((term, count))
        else:
            moves += [(op, a, b * count) if op == AFFINE else (op, a * count, b)
                      for op, a, b in found]  # fmt: skip
    for i, (term, count) in enumerate(hard):
        left = len(program.ops) - 1
        _emit(program, term)
        _add_free_power(program, count)
        if i:
            program.join(SUM, left)
    if not hard:
        program.add_leaf(PointMass(0))
    _add_moves(program, moves)


def _emit_product(program: Program, factors: dict[Law, float]) -> None:
    """A product: joins of the factors that are no formulas, a signed one first; the moves."""
    moves: Moves = []
    hard: list[tuple[Law, float]] = []
    for factor, exponent in factors.items():
        found = multiplicative_moves(factor, exponent)
        if found is None:
            hard.append((factor, exponent))
        else:
            moves += found
    # the unknowns of the signed factor increase along every gap, those of the others may not
    hard.sort(key=lambda item: is_nonnegative(item[0]))
    signed = bool(hard) and not is_nonnegative(hard[0][0])
    for i, (factor, exponent) in enumerate(hard):
        left = len(program.ops) - 1
        _emit(program, factor)
        if exponent != 1.0:
            program.add(POWER, exponent)
        if i:
            program.join(PRODUCT, left, signed=signed)
    if not hard:
        program.add_leaf(PointMass(1))
    _add_moves(program, moves)
