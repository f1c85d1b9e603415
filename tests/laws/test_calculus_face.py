"""The face of the calculus: floats, digits and exact numbers say the same; random matrices too."""

from fractions import Fraction

import numpy as np
import pytest
import sympy

from freefim import (
    Atomic,
    ConditionalFIM,
    Empirical,
    KestenMcKay,
    MarchenkoPastur,
    Network,
    Semicircle,
    SpecError,
)

HALF = Fraction(1, 2)
LAWS = {
    "sum": Semicircle(1) + MarchenkoPastur(HALF),
    "product": MarchenkoPastur(HALF) @ MarchenkoPastur(Fraction(1, 4)),
    "two bulks": MarchenkoPastur(Fraction(1, 5)) @ Atomic([1, 7], [HALF, HALF]),
    "shifted": 2 * KestenMcKay(3) - 1,
    "network": ConditionalFIM(Network(3, "relu")).law(),
}
every_law = pytest.mark.parametrize("law", LAWS.values(), ids=LAWS.keys())


def inside(law):
    return [low + (high - low) * share for low, high in law.bands for share in (0.1, 0.5, 0.8)]


@every_law
def test_digits_agree_with_floats(law):
    for x in inside(law):
        assert float(law.pdf(x, digits=25)) == pytest.approx(float(law.pdf(x)), rel=1e-12)
    z = 0.3 + 0.7j
    assert complex(law.cauchy(z, digits=25)) == pytest.approx(complex(law.cauchy(z)), rel=1e-12)
    assert float(law.moment(3, digits=25)) == pytest.approx(float(law.moment(3)), rel=1e-14)
    assert [float(x) for x in law.precise_edges(20)] == pytest.approx(law.edges, rel=1e-12)


@every_law
def test_polynomial_vanishes_on_the_law(law):
    polynomial = law.polynomial()
    value = sympy.lambdify(polynomial.gens, polynomial.as_expr())
    size = sympy.lambdify(polynomial.gens, sum(abs(c) * sympy.prod(
        sympy.Abs(g) ** k for g, k in zip(polynomial.gens, powers, strict=True))
        for powers, c in polynomial.terms()))  # fmt: skip
    for z in (0.5 + 1j, -1 + 0.1j, 2 - 0.5j):
        point = z, complex(law.cauchy(z))
        assert abs(value(*point)) <= 1e-12 * float(size(*point))


@every_law
def test_algebraic_edges_are_the_edges(law):
    assert [float(x) for x in law.algebraic_edges()] == pytest.approx(law.edges, rel=1e-12)


@every_law
def test_series_are_the_free_cumulants(law):
    assert list(law.r_series(5)) == list(law.free_cumulants(5))
    assert law.free_cumulant(2) == law.variance() and law.free_cumulant(1) == law.mean()


def test_leaves_take_their_transform_at_the_subordination_functions():
    """G(z) = G_A(ω_A) = G_B(ω_B) and z = ω_A + ω_B - 1/G(z)."""
    first, second = Atomic([0, 1, 3], [0.25, 0.5, 0.25]), Empirical([-1.0, 0.5, 2.0])
    z = np.array([0.5 + 0.5j, -2 + 0.1j, 1 - 1j])
    total = first + second
    omega = total.subordination(z)
    g = total.cauchy(z)
    assert first.cauchy(omega[:, 0]) == pytest.approx(g, rel=1e-11)
    assert second.cauchy(omega[:, 1]) == pytest.approx(g, rel=1e-11)
    assert omega.sum(axis=1) - 1 / g == pytest.approx(z, rel=1e-11)
    with pytest.raises(SpecError, match="made by free operations"):
        first.subordination(z)


SIZE = 500


def gaussian(rng, rows, cols=SIZE):
    return rng.standard_normal((rows, cols)) / np.sqrt(cols)


def wigner(rng):
    x = gaussian(rng, SIZE)
    return (x + x.T) / np.sqrt(2)


SAMPLES = {
    "signed product": (
        lambda rng: (a := gaussian(rng, SIZE, 1000)) @ a.T @ (wigner(rng) + 0.5 * np.eye(SIZE)),
        MarchenkoPastur(HALF) @ Semicircle(1, 0.5),
    ),
    "symmetric product": (
        lambda rng: (a := gaussian(rng, SIZE, 1000)) @ a.T @ wigner(rng),
        MarchenkoPastur(HALF) @ Semicircle(1),
    ),
    "congruence of a signed matrix": (
        lambda rng: (x := gaussian(rng, 250)) @ wigner(rng) @ x.T,
        Semicircle(1).rectangular(HALF),
    ),
    "corner plus matrix": (
        lambda rng: wigner(rng)[:250, :250] + np.diag(np.repeat([0.0, 2.0], 125)),
        Semicircle(1).compress(HALF) + Atomic([0, 2], [HALF, HALF]),
    ),
    "inverse": (
        lambda rng: np.linalg.inv((a := gaussian(rng, SIZE, 2000)) @ a.T) + wigner(rng),
        MarchenkoPastur(Fraction(1, 4)).inverse() + Semicircle(1),
    ),
}


@pytest.mark.parametrize("name", SAMPLES)
def test_random_matrices_follow_the_law(name):
    matrix, law = SAMPLES[name]
    x = np.linalg.eigvals(matrix(np.random.default_rng(11))).real
    # rigid spectra: the distribution is off by O(log n/n)
    assert law.distance(x, "ks") <= np.log(len(x)) / len(x)
