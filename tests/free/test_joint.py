"""Laws of chains by the joint Newton: theorems, closed forms and references by other methods."""

import math

import mpmath as mp
import numpy as np
import pytest
from hypothesis import given
from hypothesis import settings as hypothesis_settings
from hypothesis import strategies as st
from scipy.optimize import root
from scipy.special import ndtr

from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Padding, Product, numeric
from freefim.free.chains.moments import chain_moments
from freefim.free.joint.program import compile_chain, leaf_table
from freefim.free.joint.realised import RealisedSolution
from freefim.free.joint.solve import solve_joint
from freefim.free.leaves.leaf import Atomic, CosineSquared, GaussianBump, SechFourth, TwoPoint
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM

GATES = {
    "tanh": (SechFourth(1.3, 2.0), lambda h: 2 / mp.cosh(h) ** 4),
    "narrow tanh": (SechFourth(0.02), lambda h: 1 / mp.cosh(h) ** 4),
    "wide tanh": (SechFourth(40.0), lambda h: 1 / mp.cosh(h) ** 4),
    "erf": (GaussianBump(0.75, 1.25), lambda h: 1.25 * mp.exp(-2 * h * h)),
    "wide erf": (GaussianBump(40.0, 1.0), lambda h: mp.exp(-2 * h * h)),
    "sine": (CosineSquared(0.8, 1.25, 1.5), lambda h: 1.5 * mp.cos(1.25 * h) ** 2),
}


def chain_of(depth, activation, **options):
    return numeric(ConditionalFIM(Network(depth, activation, **options)).law().chain)


def moments_of(solution, order=4):
    x, weight = solution.nodes()
    return [
        sum(mass * at**k for at, mass in solution.atoms) + float(weight @ x**k)
        for k in range(1, order + 1)
    ]


def assert_moments_match(solution, chain, tolerance):
    want = np.array([float(value) for value in chain_moments(chain, 4)])
    assert np.allclose(moments_of(solution), want, rtol=tolerance, atol=0)


def leaf_integral(gate, variance, w):
    root = mp.sqrt(variance)

    def integrand(h):
        return gate(h) / (w - gate(h)) * mp.exp(-h * h / (2 * variance))

    ends = [k * root / 2 for k in range(-36, 37)]
    return mp.quad(integrand, ends) / mp.sqrt(2 * mp.pi * variance)


@pytest.mark.parametrize("name", GATES)
@pytest.mark.parametrize("w", [3 + 0.1j, 0.5 + 0.5j, -0.3 + 0.2j, 2.5 + 0j])
def test_the_transform_of_a_gate_is_its_integral(name, w):
    from freefim.free.joint.kernels import leaf_values

    leaf, gate = GATES[name]
    with mp.workdps(25):
        want = leaf_integral(gate, mp.mpf(leaf.variance), mp.mpc(w))
        m, n, _ = leaf_values(np.array([w]), 0, *leaf_table([leaf]))[0]
        assert abs(complex(want) - m) < 1e-13 * abs(complex(want))
        assert abs(complex(1 + want) - n) < 1e-13 * abs(complex(1 + want))


@pytest.mark.parametrize("name", GATES)
def test_the_transform_continues_across_the_cut(name):
    from freefim.free.joint.kernels import leaf_values

    leaf, _ = GATES[name]
    x, step = 0.37 * leaf.maximum, 1e-4
    w = x + 1j * step * np.arange(2, -3, -1)
    values = leaf_values(w, 0, *leaf_table([leaf]))
    centred = (8 * (values[1, 0] - values[3, 0]) - (values[0, 0] - values[4, 0])) / (12j * step)
    assert abs(centred / values[2, 2] - 1) < 1e-8


def test_kernels_run_the_same_in_plain_python():
    from freefim.free.joint.kernels import leaf_values, solve_each

    table = leaf_table([SechFourth(1.3)])
    w = np.array([0.3 + 0.2j, 0.9 + 0.01j])
    assert np.array_equal(leaf_values(w, 0, *table), leaf_values.py_func(w, 0, *table))
    program = compile_chain(chain_of(3, "tanh"))
    # two gates and the shift between them
    guess = np.array([[0.4 + 0.3j, 0.4 + 0.3j, 0.6 + 0.3j]])
    runs = []
    for kernel in (solve_each, solve_each.py_func):
        unknowns, slopes = guess.copy(), np.empty_like(guess)
        y = np.array([0.6 + 0.3j])
        _, n = kernel(*program.arrays, program.eps, y, unknowns, slopes)
        runs.append((n, unknowns))
    assert np.allclose(runs[0][0], runs[1][0], rtol=1e-14)
    assert np.allclose(runs[0][1], runs[1][1], rtol=1e-14)


@pytest.mark.parametrize(
    ("depth", "weights", "edge"),
    [
        (3, "orthogonal", 1.476327105795),
        (5, "orthogonal", 1.6877542433618),
        (2, "gaussian", 2.7133579035473),
        (3, "gaussian", 3.9737883312407),
    ],
)
def test_right_edges_of_a_tanh_network_match_an_independent_prototype(depth, weights, edge):
    chain = chain_of(depth, "tanh", weights=weights, weight_std=1.05)
    solution = solve_joint(chain)
    shift = float(chain.moves[-1].shift)
    assert abs(solution.bands[-1][1] - shift - edge) < 1e-10
    assert solution.bands[0][0] == shift


@pytest.mark.parametrize("y_share", [math.exp(-1), 0.05, 0.01])
def test_density_of_two_hidden_tanh_layers_solves_the_equations(y_share):
    """Transforms by a trapezoid rule too fine for the poles to matter, a library root finder."""
    chain = chain_of(3, "tanh", weight_std=1.05)
    solution = solve_joint(chain)
    first, middle, second, last = chain.moves
    shift = float(last.shift)
    y = (solution.bands[0][1] - shift) * y_share
    h = np.linspace(-12, 12, 400_001)

    def transform(variance, w):
        g = np.cosh(math.sqrt(variance) * h) ** -4
        density = np.exp(-(h**2) / 2) / math.sqrt(2 * math.pi) * (h[1] - h[0])
        return (density * g / (w - g)).sum(), w * (density / (w - g)).sum()

    def equations(v):
        w1, w2 = complex(v[0], v[1]), complex(v[2], v[3])
        m1, n1 = transform(first.leaf.variance, w1)
        z1 = middle.scale * chain.start * w1
        inner, outer = m1 + middle.shift * n1 / z1, n1 * (1 + middle.shift / z1)
        m2, _ = transform(second.leaf.variance, w2)
        z2 = last.scale * (z1 + middle.shift) * inner / outer * w2
        errors = [m2 - inner, z2 / y - 1]
        return [part for error in errors for part in (error.real, error.imag)]

    from freefim.free.joint.start import descend

    _, guess, _ = descend(compile_chain(chain), complex(y))
    found = root(equations, (guess[:2] * (1 + 1e-3)).view(float), tol=1e-14)
    _, n = transform(second.leaf.variance, complex(found.x[2], found.x[3]))
    density = -(n / y).imag / math.pi
    assert abs(solution.pdf(np.array([shift + y]))[0] / density - 1) < 1e-9


@pytest.mark.parametrize("weight_std", [0.6, 1.05, 1.8])
def test_one_orthogonal_tanh_layer_has_the_law_of_the_gate(weight_std):
    chain = chain_of(2, "tanh", weight_std=weight_std, bias_std=0.3)
    solution = solve_joint(chain)
    assert solution.atoms == ()
    move, last = chain.moves
    root = math.sqrt(move.leaf.variance)
    top = float(last.scale) * float(chain.start)
    # Quantiles of h from 1e-4 to 4 standard deviations: the whole law, its lowest part included.
    h = root * np.array([1e-4, 0.01, 0.1, 0.5, 1.0, 2.0, 3.0, 4.0])
    x = float(last.shift) + top / np.cosh(h) ** 4
    density = 2 * np.exp(-(h**2) / (2 * root**2)) / (root * math.sqrt(2 * math.pi))
    density /= top * 4 * np.tanh(h) / np.cosh(h) ** 4
    # x is rounded, and near the top and the bottom the density feels it.
    feel = 1e-15 * np.abs(x / (x - float(last.shift))) + 1e-15 / h**2
    assert np.all(np.abs(solution.pdf(x) / density - 1) < 1e-9 + 10 * feel)
    assert np.allclose(solution.cdf(x), 2 * ndtr(-h / root), rtol=0, atol=1e-9)


@pytest.mark.parametrize("weights", ["orthogonal", "gaussian"])
@pytest.mark.parametrize("depth", [2, 5, 20])
@pytest.mark.parametrize("activation", ["tanh", "erf", "sine"])
def test_mass_and_four_moments_balance(activation, depth, weights):
    chain = chain_of(depth, activation, weights=weights, weight_std=1.3, bias_std=0.2)
    solution = solve_joint(chain)
    assert len(solution.bands) == 1
    assert abs(sum(solution.band_masses) - 1) < 1e-9
    assert_moments_match(solution, chain, 1e-9)


@pytest.mark.parametrize("activation", ["gelu", "silu", "softplus", "elu"])
def test_gates_through_contours_balance(activation):
    chain = chain_of(4, activation, weights="gaussian", weight_std=1.2, bias_std=0.1)
    assert_moments_match(solve_joint(chain), chain, 1e-8)


@pytest.mark.parametrize(
    "move", [Corner(0.6), Padding(0.7), Gaussian(0.5, 1.1), Gaussian(1.8, 1.1)]
)
def test_rectangular_layers_balance_and_keep_their_atom(move):
    leaf = SechFourth(0.8)
    moves = (Product(leaf), move, Affine(1.2, 0.4), Product(leaf), move, Affine(1.2, 0.3))
    chain = Chain(0.9, moves)
    solution = solve_joint(chain)
    assert_moments_match(solution, chain, 1e-9)
    lost = {Padding: 0.3, Gaussian: max(0.0, 1 - 1 / move.ratio), Corner: 0.0}[type(move)]
    masses = [mass for _, mass in solution.atoms]
    assert masses == ([] if lost == 0 else [pytest.approx(lost, abs=1e-14)])
    assert all(at == 0.3 for at, _ in solution.atoms)


def test_a_final_activation_puts_the_bottom_at_zero():
    leaf = SechFourth(1.0)
    chain = Chain(1.0, (Product(leaf), Affine(1.1, 0.4), Product(leaf)))
    solution = solve_joint(chain)
    assert solution.bands[0][0] == 0.0
    assert_moments_match(solution, chain, 1e-9)


@pytest.mark.parametrize("slope", [0.1, 0.3, 0.6])
@pytest.mark.parametrize("depth", [4, 7, 12])
def test_bands_of_a_leaky_network_hold_multiples_of_one_half(depth, slope):
    """Masses to the right of a gap obey N' = N_mu + N_nu - [m < 0], so they are 0, 1/2 or 1."""
    from freefim.networks.activations import LeakyReLU

    chain = chain_of(depth, LeakyReLU(slope), weight_std=math.sqrt(2 / (1 + slope**2)))
    solution = solve_joint(chain)
    assert solution.atoms == ()
    assert all(abs(2 * mass - round(2 * mass)) < 1e-9 for mass in solution.band_masses)
    assert_moments_match(solution, chain, 1e-9)


def test_leaky_edge_of_four_layers():
    from freefim.networks.activations import LeakyReLU

    chain = chain_of(4, LeakyReLU(0.3), weight_std=math.sqrt(2 / 1.09))
    solution = solve_joint(chain)
    assert abs(solution.bands[-1][1] - 11.393) < 5e-4


def test_two_hidden_layers_of_projections_have_the_closed_form():
    first, second = 0.7, 0.55
    chain = Chain(
        1.0,
        (
            Product(TwoPoint(0.0, 1.0, first, 1 - first)),
            Affine(1.3, 0.4),
            Product(TwoPoint(0.0, 1.2, second, 1 - second)),
            Affine(1.1, 0.3),
        ),
    )
    solution = solve_joint(chain)
    middle = first + second - 2 * first * second
    half = 2 * math.sqrt(first * second * (1 - first) * (1 - second))
    low, high = middle - half, middle + half
    scale = 1.1 * 1.2

    def place(s):
        return 0.3 + scale * (0.4 + 1.3 * s)

    assert np.allclose(solution.bands, [(place(low), place(high))], rtol=1e-10)
    s = low + (high - low) * np.array([0.01, 0.2, 0.5, 0.9, 0.99])
    density = np.sqrt((high - s) * (s - low)) / (2 * np.pi * s * (1 - s)) / (scale * 1.3)
    assert np.allclose(solution.pdf(place(s)), density, rtol=1e-9)
    places = [0.3, place(0.0), place(1.0)]
    want = [1 - second, 0.0, first + second - 1]
    found = dict(solution.atoms)
    for at, mass in zip(places, want, strict=True):
        near = sum(p for x, p in found.items() if abs(x - at) < 1e-12)
        assert abs(near - mass) < 1e-13


def test_mixed_projections_and_smooth_gates_balance():
    leaf, gate = SechFourth(0.7), TwoPoint(0.0, 1.0, 0.8, 0.2)
    layers = [(leaf, 0.5), (gate, 0.4), (leaf, 0.3), (gate, 0.2)]
    moves = [part for one, q in layers for part in (Product(one), Affine(1.1, q))]
    chain = Chain(1.0, tuple(moves))
    solution = solve_joint(chain)
    assert solution.atoms == ((0.2, pytest.approx(0.2, abs=1e-14)),)
    assert_moments_match(solution, chain, 1e-8)


def test_one_layer_of_atoms_is_purely_atomic():
    leaf = Atomic(np.array([0.2, 0.5, 1.0]), np.array([0.25, 0.25, 0.5]))
    solution = solve_joint(Chain(2.0, (Product(leaf), Affine(1.5, 0.1))))
    assert solution.bands == ()
    assert np.allclose(solution.atoms, [(0.7, 0.25), (1.6, 0.25), (3.1, 0.5)], rtol=1e-15)


def realised_chain(depth, width, seed):
    rng = np.random.default_rng(seed)
    moves = []
    for _ in range(depth):
        gates = np.sort(np.cosh(rng.normal(size=width)) ** -4)
        moves += [Product(Atomic(gates, np.full(width, 1 / width))), Affine(1.1, 0.5)]
    return Chain(1.0, tuple(moves))


def test_realised_gates_read_above_the_axis_agree_with_resolved_bands():
    chain = realised_chain(3, 60, seed=3)
    resolved = solve_joint(chain)
    program = compile_chain(chain)
    pointwise = RealisedSolution(
        (), ((resolved.bands[0][0], resolved.bands[-1][1]),), (1.0,), resolved.accuracy, program
    )
    x = np.linspace(resolved.bands[0][0], resolved.bands[-1][1], 101)[1:-1]
    assert np.abs(pointwise.cdf(x) - resolved.cdf(x)).max() < 1e-5


def test_realised_law_matches_the_eigenvalues_of_a_random_matrix():
    """KS below the 1/width of rigid eigenvalues times a few, at width 400."""
    width, depth = 400, 3
    chain = realised_chain(depth, width, seed=11)
    solution = solve_joint(chain)
    assert isinstance(solution, RealisedSolution)
    rng = np.random.default_rng(5)
    matrix = np.eye(width)
    for move, affine in zip(chain.moves[::2], chain.moves[1::2], strict=True):
        q, r = np.linalg.qr(rng.normal(size=(width, width)))
        q = q * np.sign(np.diag(r))
        d = np.sqrt(move.leaf.locations)
        matrix = affine.scale * q @ (d[:, None] * matrix * d) @ q.T + affine.shift * np.eye(width)
    values = np.sort(np.linalg.eigvalsh(matrix))
    steps = solution.cdf(values)
    ks = np.abs(steps - (np.arange(width) + 0.5) / width).max()
    assert ks < 4 / width


def test_realised_and_limiting_gates_do_not_mix():
    chain = realised_chain(2, 100, seed=1)
    mixed = Chain(1.0, (*chain.moves, Product(SechFourth(1.0)), Affine(1.0, 0.1)))
    with pytest.raises(ConvergenceError, match="mix"):
        solve_joint(mixed)


def test_cauchy_transform_is_the_integral_of_the_density():
    solution = solve_joint(chain_of(4, "tanh", weights="gaussian", weight_std=1.2))
    x, weight = solution.nodes()
    z = np.array([2.0 + 1.0j, 1.0 - 0.5j, -3.0 + 0.2j])
    want = (weight / (z[:, None] - x)).sum(axis=1)
    assert np.allclose(solution.cauchy(z), want, rtol=1e-9)


def test_nan_in_nan_out_and_zero_outside():
    solution = solve_joint(chain_of(3, "tanh"))
    left, right = solution.bands[0]
    x = np.array([np.nan, left - 1, right + 1])
    assert np.array_equal(solution.pdf(x), [np.nan, 0.0, 0.0], equal_nan=True)
    assert np.array_equal(solution.cdf(x)[1:], [0.0, solution.cdf(np.array([right]))[0]])


@hypothesis_settings(max_examples=30)
@given(
    activation=st.sampled_from(["tanh", "erf", "sine"]),
    depth=st.integers(2, 15),
    weights=st.sampled_from(["orthogonal", "gaussian"]),
    weight_std=st.floats(0.5, 2.0),
    bias_std=st.floats(0.1, 1.0),
    second_moment=st.floats(0.1, 10.0),
)
def test_any_smooth_network_gives_its_law(
    activation, depth, weights, weight_std, bias_std, second_moment
):
    chain = chain_of(
        depth,
        activation,
        weights=weights,
        weight_std=weight_std,
        bias_std=bias_std,
        input_second_moment=second_moment,
    )
    assert_moments_match(solve_joint(chain), chain, 1e-8)


@pytest.mark.parametrize("weight_std", [0.9, 1.04, 1.7])
def test_two_elu_layers_balance_beside_their_marginal_atom(weight_std):
    """Atoms of mass 1/2 + 1/2 - 1 = 0 leave a hard edge, where the density has a logarithm."""
    chain = chain_of(3, "elu", weight_std=weight_std, bias_std=0.2)
    solution = solve_joint(chain)
    assert solution.atoms == ()
    assert abs(sum(solution.band_masses) - 1) < 1e-9
    assert_moments_match(solution, chain, 1e-8)


def test_narrow_bands_of_a_rectangular_leaky_network_are_not_stepped_over():
    """The lowest band holds half a per cent of the mass and ends right before the next."""
    gate = Product(TwoPoint(0.04, 1.0, 0.5, 0.5))
    reshaped = [Padding(0.158), Corner(0.3095), Padding(0.9398), Padding(0.3641), Corner(0.3963)]
    reshaped += [Padding(0.994), Padding(0.8548)]
    shifts = (0.4217, 0.3277, 0.0913, 0.0914, 0.1955, 0.0918, 0.0972)
    layers = zip(reshaped, shifts, strict=True)
    moves = tuple(part for move, q in layers for part in (gate, move, Affine(0.6691, q)))
    chain = Chain(10.506, moves)
    solution = solve_joint(chain)
    assert abs(sum(solution.band_masses) + sum(m for _, m in solution.atoms) - 1) < 1e-9
    assert_moments_match(solution, chain, 1e-8)


def test_a_constant_gate_only_scales():
    leaf, constant = SechFourth(0.8), TwoPoint(0.0, 1.5, 1.0, 0.0)
    with_gate = Chain(
        1.0,
        (
            Product(leaf),
            Affine(1.1, 0.4),
            Product(constant),
            Affine(1.2, 0.1),
            Product(leaf),
            Affine(1.0, 0.2),
        ),
    )
    without = Chain(1.0, (Product(leaf), Affine(1.98, 0.82), Product(leaf), Affine(1.0, 0.2)))
    first, second = solve_joint(with_gate), solve_joint(without)
    x = np.linspace(*second.bands[0], 33)[1:-1]
    assert np.allclose(first.bands, second.bands, rtol=1e-12)
    assert np.allclose(first.pdf(x), second.pdf(x), rtol=1e-9)


def test_a_corner_lifts_the_bottom_however_little():
    """A tenth of the mass removed from a law with little mass below 1e-9 leaves an edge above 0."""
    chain = chain_of(
        4,
        "elu",
        weights="gaussian",
        weight_std=1.97,
        bias_std=0.31,
        input_second_moment=3.9,
        width_ratios=(0.63, 1.69, 2.04, 1.13, 1.03),
    )
    solution = solve_joint(chain)
    left, right = solution.bands[0]
    shift = float(chain.moves[-1].shift)
    assert 0 < left - shift < 1e-9 * (right - shift)
    assert abs(sum(solution.band_masses) - 1) < 1e-11
    assert_moments_match(solution, chain, 1e-10)


@pytest.mark.parametrize("y", [1e-3, 1e-8, 1e-13, 1e-17])
def test_the_solution_keeps_its_digits_where_shifts_cancel(y):
    """Far below the shift the law of a square Gaussian last layer is y^{-1/2} to leading order."""
    from freefim.free.joint.start import descend

    program = compile_chain(chain_of(4, "tanh", weights="gaussian", bias_std=0.3))
    n = np.array([descend(program, complex(point))[0] for point in (y, y / 16)])
    if y < 1e-7:
        assert abs(n[0].imag / n[1].imag / 4 - 1) < 30 * math.sqrt(y)
    m, z = n - 1, np.array([y, y / 16])
    # the last Gaussian factor: z = variance · z' · n, m unchanged, z' in the upper half-plane
    assert np.all((z / n).imag > 0)
    assert np.all(m.real < 0)


def test_padding_the_law_of_a_gate_scales_its_density():
    plain = solve_joint(chain_of(2, "silu", weight_std=1.9, bias_std=0.1))
    padded = solve_joint(
        chain_of(2, "silu", weight_std=1.9, bias_std=0.1, width_ratios=(1.0, 1.0, 2.0))
    )
    (left, right), (low, high) = plain.bands[0], padded.bands[0]
    share = 0.1 + 0.8 * np.linspace(0, 1, 7)
    there, here = left + share * (right - left), low + share * (high - low)
    scale = (high - low) / (right - left)
    assert np.allclose(padded.pdf(here) * scale, 0.5 * plain.pdf(there), rtol=1e-9)
    assert padded.atoms == ((low, pytest.approx(0.5, abs=1e-15)),)


def three_atoms(tiny):
    """Two layers of gates, an atom of tiny mass alone between the others."""
    gate = Atomic(np.array([1.0, 2.0, 4.0]), np.array([0.5 - tiny, tiny, 0.5]))
    other = Atomic(np.array([1.0, 1.02, 1.05]), np.array([0.3, 0.3, 0.4]))
    return Chain(1.0, (Product(gate), Affine(1.0, 0.5), Product(other), Affine(1.0, 0.1)))


@pytest.mark.parametrize("tiny", [1e-3, 1e-5, 1e-7])
def test_a_band_of_tiny_mass_is_found_by_counting(tiny):
    chain = three_atoms(tiny)
    solution = solve_joint(chain)
    masses = sorted(solution.band_masses)
    assert abs(masses[0] - tiny) < 1e-10
    assert abs(sum(masses) - 1) < 1e-10
    assert_moments_match(solution, chain, 1e-9)


def test_a_gap_in_which_the_unknowns_pass_infinity_is_one_gap():
    """Scaling after each shift hides the first layers: their unknowns are huge in every gap."""
    leaf, gate = SechFourth(0.05), TwoPoint(0.04, 1.0, 0.5, 0.5)
    layers = [leaf] * 12 + [gate]
    moves = tuple(part for one in layers for part in (Product(one), Affine(0.1, 0.1)))
    chain = Chain(1.0, moves)
    solution = solve_joint(chain)
    assert all(abs(mass - 0.5) < 1e-9 for mass in solution.band_masses)
    assert len(solution.bands) == 2
    assert_moments_match(solution, chain, 1e-9)


def test_bands_between_isolated_atoms_below_the_lowest_seen_edge_are_found():
    """Padding isolates atoms of mass 0.13; the scan from far left goes past them and a band."""
    gate = Product(TwoPoint(0.04, 1.0, 0.5, 0.5))
    moves = (gate, Padding(0.3046), Affine(1.682, 4.274), gate, Padding(0.6821), Affine(1.682, 4.1))
    chain = Chain(4.763, moves)
    solution = solve_joint(chain)
    assert abs(sum(solution.band_masses) + sum(mass for _, mass in solution.atoms) - 1) < 1e-12
    assert_moments_match(solution, chain, 1e-12)
