"""Point masses of chains: those of gates, those made on the way, and tails that pass for them."""

import numpy as np
import pytest
from scipy.special import ndtri

from freefim.free.chains.atoms import chain_atoms, chain_places
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Product, numeric
from freefim.free.chains.moments import chain_moments
from freefim.free.joint.program import compile_chain
from freefim.free.joint.solve import solve_joint
from freefim.free.leaves.leaf import Atomic, SechFourth, TwoPoint
from freefim.networks.activations import ELU, GELU, SiLU, Softplus
from freefim.networks.gates import gate_law
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM


def chain_of(depth, activation, **options):
    return numeric(ConditionalFIM(Network(depth, activation, **options)).law().chain)


def assert_balanced(solution, chain):
    x, weight = solution.nodes()
    masses = sum(mass for _, mass in solution.atoms) + sum(solution.band_masses)
    assert abs(masses - 1) < 1e-9
    for k, want in enumerate(chain_moments(chain, 4), start=1):
        atoms = sum(mass * at**k for at, mass in solution.atoms)
        assert atoms + float(weight @ x**k) == pytest.approx(float(want), rel=1e-8)


def haar(size, rng):
    q, r = np.linalg.qr(rng.normal(size=(size, size)))
    return q * np.sign(np.diag(r))


def test_atoms_of_partly_continuous_gates_are_multiplicities_of_random_matrices():
    """Generic subspaces of dimensions a and b meet in one of dimension a + b - n."""
    size, rng = 80, np.random.default_rng(7)
    steps = np.exp(2 * np.minimum(ndtri((np.arange(size) + 0.5) / size), 0))
    gate = np.repeat([0.5, 2.0], [size // 4, 3 * size // 4])
    moves = (
        Product(gate_law(ELU(), 1.0)),
        Affine(1.2, 0.3),
        Product(TwoPoint(0.5, 2.0, 0.75, 0.25)),
        Affine(1.0, 0.1),
    )
    atoms = chain_atoms(Chain(1.0, moves))
    u = haar(size, rng)
    root = np.sqrt(gate)
    matrix = root[:, None] * (u * (1.2 * steps + 0.3) @ u.T) * root + 0.1 * np.eye(size)
    values = np.linalg.eigvalsh(matrix)
    counted = [np.mean(np.abs(values - at) < 1e-9) for at, _ in atoms]
    assert [at for at, _ in atoms] == [pytest.approx(3.1)]
    assert [mass for _, mass in atoms] == pytest.approx(counted, abs=1e-12)


def test_masses_of_two_points_add_up_without_cancellation():
    tiny = 1e-12
    moves = (Product(TwoPoint(0.0, 1.0, 1 - tiny, tiny)), Affine(1.0, 0.5)) * 2
    masses = dict(chain_atoms(Chain(1.0, moves)))
    assert masses[0.5] == pytest.approx(tiny, rel=1e-14)


@pytest.mark.parametrize(
    "moves",
    [
        (Product(TwoPoint(0.5, 1.0, 0.5, 0.5)), Affine(1.0, 0.3), Corner(0.5)),
        (Product(gate_law(ELU(), 1.0)), Affine(1.0, 0.3), Product(TwoPoint(0.2, 1.0, 0.5, 0.5))),
    ],
)
def test_an_atom_that_just_lost_its_mass_leaves_its_place(moves):
    atoms, places = chain_places(Chain(1.0, moves))
    assert atoms == ()
    assert 1.3 in places


@pytest.mark.parametrize("weight_std", [0.7, 1.2, 1.8])
def test_a_corner_that_removes_exactly_an_atom(weight_std):
    """Half of the gates of ELU are 1; half of the outputs leave nothing of that atom."""
    chain = chain_of(2, "elu", weight_std=weight_std, bias_std=0.3, width_ratios=(1.0, 1.0, 0.5))
    solution = solve_joint(chain)
    assert solution.atoms == ()
    last = chain.moves[-1]
    top = next(move for move in chain.moves if isinstance(move, Affine)).scale * chain.start
    assert solution.bands[-1][1] == pytest.approx(last.shift + top, rel=1e-12)
    assert_balanced(solution, chain)


@pytest.mark.parametrize("depth", [2, 3, 4])
@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus"])
def test_tails_of_gates_make_no_atoms(activation, weights, depth):
    chain = chain_of(depth, activation, weights=weights, weight_std=2.0, bias_std=0.5)
    solution = solve_joint(chain)
    assert solution.atoms == ()
    assert_balanced(solution, chain)


def test_a_tail_towards_0_is_counted_at_the_bottom():
    """A fifth of the gates is below 1e-30: no atom of the law, yet none of its mass is lost."""
    leaf = gate_law(GELU(), 100.0)
    chain = Chain(1.0, (Product(leaf), Gaussian(1.0, 1.0), Affine(1.0, 0.5)))
    solution = solve_joint(chain)
    low = dict(leaf.lumps)[0.0]
    assert low > 0.1
    assert solution.atoms == ()
    # P(g < 1e-12) is 0.295: a part of that is unresolved too.
    assert low <= solution.cdf(np.array([0.5]))[0] < 0.295
    assert any("of the bottom" in remark for remark in solution.accuracy.remarks)
    assert_balanced(solution, chain)


def test_a_tail_that_64_bits_cannot_tell_from_a_point_is_listed_as_standing_for_it():
    leaf = gate_law(Softplus(), 1e4)
    gate = TwoPoint(0.2, 1.0, 0.9, 0.1)
    chain = Chain(1.0, (Product(leaf), Affine(1.0, 0.5), Product(gate), Affine(1.0, 0.1)))
    assert chain_atoms(chain) == ()
    program, lumps = compile_chain(chain), dict(leaf.lumps)
    places = (
        (pytest.approx(0.5), pytest.approx(lumps[0.0] - 0.1)),
        (pytest.approx(1.5), pytest.approx(lumps[1.0] - 0.1)),
    )
    assert program.listed == program.stand_ins == places


@pytest.mark.parametrize("depth", [2, 3, 4])
def test_the_law_of_softplus_ends_where_its_gate_is_1(depth):
    """Mass there is below rounding; the place is that of a gate with a visible atom at 1."""
    chain = chain_of(depth, "softplus", weight_std=1.2, bias_std=0.3)
    edge = solve_joint(chain).bands[-1][1]
    tops = [move.leaf.maximum for move in chain.moves if isinstance(move, Product)]
    assert tops == [1.0] * (depth - 1)
    if depth == 2:
        assert edge == pytest.approx(chain.moves[-1].scale * chain.start + chain.moves[-1].shift)
    x = chain.start
    for move in chain.moves:
        x = move.scale * x + move.shift if isinstance(move, Affine) else x
    # The norm of a product is at most the product of the norms.
    assert edge <= x * (1 + 1e-12)


@pytest.mark.parametrize("variance", [1e-8, 1e-6, 1e-4])
@pytest.mark.parametrize("activation", [GELU(), SiLU(), Softplus()])
def test_nearly_linear_gates_keep_their_spread(activation, variance):
    """Ends of the gate far outside the spread of h do not blur it."""
    _, _, nodes, weights = gate_law(activation, variance).kernel_data()
    x, mass = np.polynomial.hermite_e.hermegauss(60)
    g = activation.derivative(np.sqrt(variance) * x) ** 2
    mass = mass / np.sqrt(2 * np.pi)
    spread = np.sqrt((mass * (g - 0.25) ** 2).sum())
    for w in 0.25 + spread * np.array([4j, 3 + 3j, -3 + 3j]):
        want = (mass * g / (w - g)).sum()
        assert (weights * nodes / (w - nodes)).sum() == pytest.approx(want, rel=1e-9)


def test_leaves_without_tails_have_no_lumps():
    for leaf in (SechFourth(1.0), TwoPoint(0.0, 1.0, 0.5, 0.5), Atomic(np.ones(1), np.ones(1))):
        assert leaf.lumps == ()


def test_rectangular_layers_of_elu_have_two_atoms_and_two_bands():
    """The gap between them is narrow: its solutions are real to 1e-9 only."""
    chain = chain_of(
        4,
        "elu",
        weight_std=1.7644275566533283,
        bias_std=0.30001225598306247,
        input_second_moment=0.1400635127470529,
        width_ratios=(1.1976, 0.5407210662643205, 0.3273194882750607, 0.9969182722742377, 1.72175),
    )
    solution = solve_joint(chain)
    assert len(solution.atoms) == 2
    assert_balanced(solution, chain)
