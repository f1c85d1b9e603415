"""Given laws: closed forms against quadrature, the engine's data against special functions."""

import json
import pickle
from fractions import Fraction

import mpmath as mp
import numpy as np
import pytest
import sympy
from hypothesis import given
from hypothesis import strategies as st
from scipy.integrate import quad

import freefim
from freefim import (
    Arcsine,
    Atomic,
    Cauchy,
    Computed,
    ConditionalFIM,
    Density,
    Empirical,
    MarchenkoPastur,
    Network,
    PointMass,
    Semicircle,
    SpecError,
    Uniform,
)
from freefim.errors import ConvergenceError
from freefim.free.chains.chain import Affine, Chain
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.laws.leaf_data import leaf_arrays


def beta(a, b):
    mass = float(mp.beta(a, b))
    return lambda x: x ** (a - 1) * (1 - x) ** (b - 1) / mass


def two_bands(x):
    return np.where(x < 0, 0.25, 0.5 * np.sqrt(np.maximum(x * (2 - x), 0.0)) * 2 / np.pi)


def tilted(x):  # soft at both ends, no polynomial
    return np.sqrt(1 - x * x) * np.exp(x) / (np.pi * float(mp.besseli(1, 1)))


DENSITIES = {
    "soft": Density(tilted, (-1, 1)),
    "hard": Density(beta(0.5, 0.5), (0, 1)),
    "soft and hard": Density(beta(1.5, 0.5), (0, 1)),
    "hard and soft": Density(beta(0.5, 1.5), (0, 1)),
    "finite": Density(beta(1.0, 3.0), (0, 1)),
    "logarithmic": Density(lambda x: -np.log(x), (0, 1)),
    "steep": Density(beta(1 / 6, 1.5), (0, 1)),
    "two bands": Density(two_bands, [(-3, -1), (0, 2)]),
}
LAWS = {
    "point": PointMass(-2),
    "atoms": Atomic([-1, 0, Fraction(5, 2)], [0.25, 0.5, 0.25]),
    "sample": Empirical([3.0, -1.0, 3.0, 0.5]),
    "uniform": Uniform(-1, 3),
    "cauchy": Cauchy(Fraction(1, 2), 1),
    "semicircle": Semicircle(2, -1),
    "arcsine": Arcsine(-1, 2),
    "computed": Computed(MarchenkoPastur(0.3)),
    "computed with an atom": Computed(MarchenkoPastur(3)),
    **DENSITIES,
}

every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())
banded = pytest.mark.parametrize(
    "law", [law for law in LAWS.values() if law.bands], ids=[n for n in LAWS if LAWS[n].bands]
)
Z = np.array([0.3 + 0.5j, -1 + 2e-2j, 2 - 2j, 1.5 + 0.05j, 40j, -7 + 0.1j])


def inside(law, share):
    low, high = law.icdf([0.001, 0.999])
    x = low + (high - low) * np.asarray(share)
    return x[[any(a < v < b for a, b in law.bands) for v in x]]


@every_law
def test_masses_balance(law):
    assert sum(m for _, m in law.atoms) + sum(law.band_masses) == pytest.approx(1.0, abs=1e-12)


@banded
def test_density_is_the_derivative_of_the_distribution(law):
    for (a, _b), mass in zip(law.bands, law.band_masses, strict=True):
        low, high = law.icdf(law.cdf(a) + mass * np.array([0.1, 0.8]))
        found, _ = quad(law.pdf, low, high, epsabs=1e-13, epsrel=1e-12, limit=200)
        assert found == pytest.approx(float(law.cdf(high) - law.cdf(low)), abs=1e-11)


@every_law
def test_cauchy_transform_is_the_integral(law):
    for z in Z:
        real = law.expect(lambda x, z=z: (1 / (z - x)).real)
        imag = law.expect(lambda x, z=z: (1 / (z - x)).imag)
        assert complex(law.cauchy(z)) == pytest.approx(complex(real, imag), rel=1e-9)
    assert law.cauchy(np.conj(Z)) == pytest.approx(np.conj(law.cauchy(Z)), rel=1e-14)


@banded
def test_density_is_the_boundary_value_of_the_transform(law):
    x = inside(law, [0.123, 0.4, 0.77])
    assert -law.cauchy(x + 1e-9j).imag / np.pi == pytest.approx(law.pdf(x), rel=1e-6)


@every_law
def test_quantile_inverts_the_distribution(law):
    p = np.array([0.01, 0.3, 0.5, 0.9])
    x = law.icdf(p)
    assert np.all(law.cdf(x) >= p - 1e-12)
    assert np.all(law.cdf(x - 1e-7 * (1 + np.abs(x))) <= p)
    assert law.icdf([0.0, 1.0]) == pytest.approx(law.support)


@every_law
def test_engine_gets_the_transform(law):
    """The numbers handed over give G by textbook formulas, in 30 digits."""
    for z in (mp.mpc(0.3, 0.5), mp.mpc(-4, 0.25), mp.mpc(1, 0.01)):
        with mp.workdps(30):
            total = sum(transform(code, [mp.mpf(x) for x in data], z)
                        for code, data in leaf_arrays(law))  # fmt: skip
        assert complex(law.cauchy(complex(z))) == pytest.approx(complex(total), rel=1e-12)


def transform(code, data, z):
    if code == 0:
        n = int(data[0])
        return sum(m / (z - x) for x, m in zip(data[1 : n + 1], data[n + 1 :], strict=True))
    if code == 3:
        return 1 / (z - data[0] + 1j * data[1])
    total, at = mp.mpc(0), 1
    for _ in range(int(data[0])):
        left, right = data[at], data[at + 1]
        u = (2 * z - left - right) / (right - left)
        if code == 1:
            kind, n, at = int(data[at + 2]), int(data[at + 3]), at + 4
            j = u - mp.sqrt(u - 1) * mp.sqrt(u + 1)
            factor = (1, 2 / (1 - j * j), 2 / (1 - j), 2 / (1 + j))[kind]
            total += factor * mp.pi * sum(c * j ** (k + 1) for k, c in enumerate(data[at : at + n]))
        else:
            n, at = int(data[at + 2]), at + 3
            total += sum(2 * c * mp.legenq(k, 0, u, type=3) for k, c in enumerate(data[at : at + n])
                         if c)  # fmt: skip
        at += n
    return total


@given(st.lists(st.floats(-5, 5), min_size=1, max_size=12))
def test_sample_laws_are_values_of_the_sample(values):
    law = Empirical(np.array(values).reshape(1, -1))
    assert law == Empirical(values[::-1]) and hash(law) == hash(Empirical(values[::-1]))
    assert eval(repr(law)) == law and pickle.loads(pickle.dumps(law)) == law
    x = np.array([-6.0, *values, 6.0])
    want = np.searchsorted(np.sort(values), x, side="right") / len(values)
    assert law.cdf(x) == pytest.approx(want, abs=1e-12)


KINDS = {"soft": 0, "hard": 1, "soft and hard": 2, "hard and soft": 3}


@pytest.mark.parametrize("name", KINDS)
def test_square_root_edges_are_found(name):
    """The mildest family that converges carries the edges' own weight."""
    _, data = leaf_arrays(DENSITIES[name])[0]
    assert data[3] == KINDS[name]
    hard = {0: (), 1: (0, 1), 2: (1,), 3: (0,)}[KINDS[name]]
    assert np.isinf(DENSITIES[name].pdf([0.0, 1.0])[list(hard)]).all()


@pytest.mark.parametrize("name", DENSITIES)
def test_density_is_the_function(name):
    law = DENSITIES[name]
    x = inside(law, np.linspace(0.02, 0.98, 41))
    assert law.pdf(x) == pytest.approx(law.function(x), rel=1e-11)
    assert law.accuracy.tail < 1e-11 and law.accuracy.mass_defect < 1e-12


@pytest.mark.parametrize(
    ("name", "moment"), [("steep", 10), ("logarithmic", 4), ("finite", 6), ("hard and soft", 8)]
)
def test_moments_of_densities(name, moment):
    law = DENSITIES[name]
    ab = {"steep": (1 / 6, 1.5), "finite": (1, 3), "hard and soft": (0.5, 1.5)}.get(name)
    want = 1 / (moment + 1) ** 2 if ab is None else float(mp.beta(ab[0] + moment, ab[1])
                                                          / mp.beta(*ab))  # fmt: skip
    assert law.moment(moment) == pytest.approx(want, rel=1e-12)


@pytest.mark.parametrize(
    "network",
    [
        Network(3, "tanh"),
        Network(3, "hard_tanh"),
        Network(3, "gelu"),
        Network(3, "erf", weights="gaussian"),
        Network(3, "relu", weight_std=2**0.5),
    ],
    ids=lambda n: str(n.activation),
)
def test_law_of_a_network_is_a_leaf_at_its_own_accuracy(network):
    law = ConditionalFIM(network).law()
    shift = law.chain.moves[-1].shift if isinstance(law.chain.moves[-1], Affine) else 0
    unshifted = ChainLaw(Chain(law.chain.start, law.chain.moves[:-1])) if shift else law
    leaf = Computed(unshifted)
    z = np.array([0.5 + 0.3j, 1 + 0.1j, -0.2 + 0.05j, -1 + 0j, 40.0])
    allowed = 1e-11 + leaf.accuracy.tail
    assert leaf.cauchy(z) == pytest.approx(unshifted.cauchy(z), abs=allowed)
    assert law.construction.moments(3) == pytest.approx([float(m) for m in law.moments(3)])


def test_a_law_without_bounds_is_a_law():
    law = Cauchy(2, 1)
    assert law.support == (-np.inf, np.inf) and law.bands == ((-np.inf, np.inf),)
    assert law.median() == pytest.approx(1.0, abs=1e-11)
    assert law.interval(0.5) == pytest.approx((-1.0, 3.0), rel=1e-11)
    assert law.cdf([-np.inf, np.inf]).tolist() == [0.0, 1.0]
    assert law.pdf([-np.inf, np.inf]).tolist() == [0.0, 0.0]
    assert law.expect(lambda x: 1 / (1 + x * x)) == pytest.approx(-law.cauchy(1j).imag, rel=1e-12)
    table = law.table(101)
    assert np.all(np.isfinite(table["x"])) and np.all(np.diff(table["cdf"]) > 0)
    assert table.metadata["mean"] is None and "no mean" in str(law)
    assert np.isfinite(law.sample(50, rng=0)).all()


@pytest.mark.parametrize("function", [np.abs, lambda x: x, lambda x: x * x], ids=range(3))
def test_what_has_no_mean_under_a_cauchy_law_is_not_given_one(function):
    with pytest.raises(ConvergenceError, match="did not settle"):
        Cauchy(1).expect(function)


def test_distances_of_laws_without_bounds_are_refused():
    for call in (
        lambda: Cauchy(1).distance(Uniform(0, 1)),
        lambda: Uniform(0, 1).distance(Cauchy(1), "ks"),
        lambda: Cauchy(1).distance([0.0, 1.0], "ks"),
    ):
        with pytest.raises(SpecError, match="bounded support"):
            call()


def test_quantiles_of_a_cauchy_law_at_every_scale():
    for scale in (1e-9, 1.0, 1e12):
        p = np.array([0.001, 0.2, 0.75])
        want = -scale / np.tan(np.pi * p)
        assert Cauchy(scale).icdf(p) == pytest.approx(want, rel=1e-10)


def test_plot_of_a_law_without_bounds():
    pytest.importorskip("matplotlib").use("Agg")
    axes = Cauchy(1).plot()
    assert not any(np.any(np.isinf(line.get_xdata())) for line in axes.lines)


def test_table_of_a_law_without_bounds_is_valid_json(tmp_path):
    path = tmp_path / "cauchy.json"
    Cauchy(1).table(50).to_json(path)
    json.loads(path.read_text(), parse_constant=pytest.fail)


REFUSALS = [
    (lambda: PointMass("1"), "location must be a number"),
    (lambda: PointMass(True), "location must be a number"),
    (lambda: PointMass(np.inf), "location must be a finite"),
    (lambda: PointMass(10**400), "location must be in the range"),
    (lambda: Atomic([1, 2], [0.5]), "as many as"),
    (lambda: Atomic([1, 2], [0.5, 0.4]), "sum to 1"),
    (lambda: Atomic([1, 2], [1.5, -0.5]), "must be > 0"),
    (lambda: Atomic([], []), "at least one"),
    (lambda: Atomic(1, 1), "a sequence"),
    (lambda: Empirical([]), "at least one"),
    (lambda: Empirical([1.0, np.nan]), "finite"),
    (lambda: Empirical(3.0), "a sequence"),
    (lambda: Uniform(1, 1), "above left"),
    (lambda: Cauchy(0), "scale must be > 0"),
    (lambda: Semicircle(-1), "variance must be > 0"),
    (lambda: Arcsine(2, 1), "above left"),
    (lambda: Density(3, (0, 1)), "function must be callable"),
    (lambda: Density(np.sqrt, (0, 1)), "total mass 1"),
    (lambda: Density(lambda x: x - 0.1, (0, 1)), ">= 0"),
    (lambda: Density(np.exp, (1, 0)), "disjoint intervals"),
    (lambda: Density(np.exp, [(0, 2), (1, 3)]), "disjoint intervals"),
    (lambda: Density(np.exp, 3), "bands must be"),
    (lambda: Density(np.exp, (0, np.inf)), "finite"),
    (lambda: Density(lambda x: 2 * x if x < 1 else 0.0, (0, 1)), "must take arrays"),
    (lambda: Uniform(0, 1) + sympy.I * sympy.Symbol("a"), "must be real"),
    (lambda: Uniform(0, 1).pdf(None), "must be a number"),
    (lambda: Uniform(0, 1).pdf(["1"]), "must be a number"),
    (lambda: Uniform(0, 1).cdf(1j), "must be a number"),
    (lambda: Uniform(0, 1).cauchy("a"), "must be a number"),
    (lambda: Computed(3), "law must be a Law"),
    (lambda: Computed(Cauchy(1)).atoms, "bounded support"),
]


@pytest.mark.parametrize("case", range(len(REFUSALS)))
def test_bad_input_gets_one_sentence(case):
    call, words = REFUSALS[case]
    with pytest.raises(SpecError, match=words):
        call()


def test_a_kink_and_a_jump_inside_a_band_are_found():
    step = Density(lambda x: np.where(x < 1 / 3, 2.0, 0.5), (0, 1))
    assert step.cdf([1 / 3, 2 / 3]) == pytest.approx([2 / 3, 5 / 6], abs=1e-14)
    tent = Density(lambda x: 1 - np.abs(x), (-1, 1))
    assert tent.cauchy(1j) == pytest.approx(-1j * (np.pi / 2 - np.log(2)), rel=1e-13)


def test_a_hard_end_beside_a_flat_bottom_is_a_leaf():
    """sech⁴ of a normal h: (1 - x)^(-1/2) at 1, exp(-log²x) at 0; the transform by its integral."""
    gate = ChainLaw(ConditionalFIM(Network(2, "tanh")).law().chain).chain.moves[0]
    law = Computed(ChainLaw(Chain(1, (gate,))))
    assert law.accuracy.mass_defect < 1e-12
    root = float(gate.leaf.variance) ** 0.5
    for z in (0.3 + 0.1j, -0.5 + 0j, 1 + 0.05j, 1.5 + 0j):
        h = lambda t, z=z: 1 / (mp.mpc(z) - mp.sech(root * t) ** 4) * mp.npdf(t)  # noqa: E731
        with mp.workdps(20):
            want = complex(2 * mp.quad(h, [0, 0.5, 1, 2, 4, 9]))
        assert law.cauchy(z) == pytest.approx(want, abs=1e-11)
    x = np.array([1e-3, 0.1, 0.5, 1 - 1e-3, 1 - 1e-8])
    assert law.pdf(x) == pytest.approx(law.law.pdf(x), rel=1e-11)
    assert law.cdf(x) == pytest.approx(law.law.cdf(x), abs=1e-12)


def test_hard_ends_off_zero_are_taken_off_a_density():
    """sin²(log x) beside (2 - x)^(-1/2): no Chebyshev series, and floats lie far apart at 2."""
    shape = lambda x: (2 + np.sin(np.log(x)) ** 2) / np.sqrt(2 - x)  # noqa: E731
    mass = quad(lambda t: 2 * (2 + np.sin(np.log(2 - t * t)) ** 2), 0, 2**0.5, limit=400,
                epsabs=1e-14, epsrel=1e-13)[0]  # fmt: skip
    law = Density(lambda x: shape(x) / mass, (0, 2))
    assert law.pdf(2 - 1e-10) == pytest.approx(shape(2 - 1e-10) / mass, rel=1e-9)
    assert law.cdf(2.0) == 1.0 and law.cauchy(2.0) == np.inf


def test_what_numbers_do_not_resolve_is_refused():
    """The last float below 1 leaves (1 - x)^(-5/6) two thousandths of its mass beyond it."""
    with pytest.raises(ConvergenceError, match="does not resolve"):
        Density(lambda x: (1 - x) ** (-5 / 6) / 6, (0, 1))


@pytest.mark.filterwarnings("error")
@pytest.mark.parametrize(
    ("law", "left", "right"),
    [
        (Uniform(0, 1), -np.inf, np.inf),
        (Arcsine(-1, 1), -np.inf, np.inf),
        (MarchenkoPastur(1), -np.inf, 0.5),
        (Density(lambda x: 2 * x, (0, 1)), -2.0, np.inf),
        (Density(lambda x: 2.5 * x**1.5, (0, 1)), -5 / 3, np.inf),
        (Density(lambda x: -np.log(x), (0, 1)), -np.inf, np.pi**2 / 6),
        (Density(beta(0.5, 1.5), (0, 1)), -np.inf, 2.0),
    ],
)
def test_cauchy_transform_at_the_ends_of_a_band(law, left, right):
    """G(0) = -∫ρ/x and G at the right end, where the integral exists; infinite otherwise."""
    (ends,) = law.bands
    assert law.cauchy(ends) == pytest.approx([left, right], rel=1e-6)


def test_rationals_of_sympy_read_back_as_fractions():
    for law in (
        MarchenkoPastur(sympy.Rational(1, 2)),
        Uniform(sympy.Integer(0), sympy.Rational(1, 3)) + Semicircle(Fraction(1, 100)),
        Atomic([0, 1], [sympy.Rational(1, 3), Fraction(2, 3)]) @ MarchenkoPastur(Fraction(1, 2)),
    ):
        names = {name: getattr(freefim, name) for name in freefim.__all__}
        assert eval(repr(law), names | {"Fraction": Fraction}) == law
