"""Trees against densities, edges and masses of forty digits, and against large matrices."""

from fractions import Fraction
from importlib.util import module_from_spec, spec_from_file_location
from pathlib import Path

import numpy as np
import pytest

SPEC = spec_from_file_location("golden_laws", Path(__file__).parent / "golden_laws.py")
LAWS = module_from_spec(SPEC)
SPEC.loader.exec_module(LAWS)
CASES, NAMES, TREES = LAWS.CASES, LAWS.NAMES, LAWS.TREES

# Share of a band beside each end that is not its interior.
MARGIN = 0.01


@pytest.fixture(params=TREES, ids=NAMES)
def tree(request):
    name, law = request.param
    return law, CASES[name]


def interior(case):
    x = np.array(case["x"])
    edges = np.array(case["edges"], dtype=float).reshape(-1, 2)
    inside = np.zeros(x.shape, dtype=bool)
    for left, right in edges:
        rest = MARGIN * (right - left)
        inside |= (left + rest < x) & (x < right - rest)
    return inside


def test_no_density_is_wrong_and_the_interior_is_exact(tree):
    law, case = tree
    wanted, inside = np.array(case["pdf"]), interior(case)
    error = np.abs(law.pdf(np.array(case["x"])) - wanted)
    assert np.count_nonzero(error > 1e-6 * wanted) == 0
    assert error[inside].max() <= 1e-12 * max(1.0, wanted[inside].max())


def test_edges_are_exact(tree):
    law, case = tree
    wanted = np.array(case["edges"], dtype=float)
    assert len(law.edges) == wanted.size
    assert np.abs(np.array(law.edges) - wanted).max() <= 1e-12 * np.abs(wanted).max()


def test_atoms_and_band_masses_are_exact(tree):
    law, case = tree
    wanted = [(location, float(Fraction(mass))) for location, mass in case["atoms"]]
    assert law.atoms == tuple(wanted)
    masses = [float(Fraction(mass)) for mass in case["band_masses"]]
    assert np.abs(np.array(law.band_masses) - masses).max() <= 1e-10
    assert abs(sum(law.band_masses) + sum(m for _, m in law.atoms) - 1) <= 1e-10


def gaussian(rows, columns, rng):
    parts = rng.standard_normal((2, rows, columns)) / (2 * columns) ** 0.5
    return parts[0] + 1j * parts[1]


def haar(n, rng):
    q, r = np.linalg.qr(gaussian(n, n, rng))
    return q * (np.diag(r) / np.abs(np.diag(r)))


def wigner(n, rng):
    x = gaussian(n, n, rng)
    return (x + x.conj().T) / 2**0.5


def wishart(n, ratio, rng):
    x = gaussian(n, round(n / ratio), rng)
    return x @ x.conj().T


def rotated(values, rng):
    q = haar(len(values), rng)
    return (q * values) @ q.conj().T


def multiplied(a, b):
    factor = np.linalg.cholesky(a)
    return factor.conj().T @ b @ factor


def five_leaf_matrix(n, rng):
    large = n * 5 // 3
    q = haar(large, rng)[:n]
    spikes = np.repeat([3.0, 5.0], [3 * large // 10, large - 3 * large // 10])
    corner = (q * spikes) @ q.conj().T + 0.5 * (n / large) ** 0.5 * wigner(n, rng)
    poisson = gaussian(n, n // 2, rng) * 0.5**0.5
    uniform = rotated((np.arange(n) + 0.5) / n, rng)
    return multiplied(corner, wishart(n, 1 / 4, rng)) + poisson @ poisson.conj().T + uniform


def repeated(name, n):
    return (np.repeat(CASES[name][part], n // 50) for part in ("first", "second"))


def fifty(name, n, rng):
    first, second = repeated(name, n)
    if "sum" in name:
        return np.diag(first) + rotated(second, rng)
    return first[:, None] ** 0.5 * rotated(second, rng) * first**0.5


MATRICES = {
    "semicircle plus Marchenko-Pastur": lambda n, rng: wigner(n, rng) + wishart(n, 1 / 2, rng),
    "product of two Marchenko-Pastur": lambda n, rng: multiplied(
        wishart(n, 1 / 2, rng), wishart(n, 1 / 4, rng)
    ),
    "Marchenko-Pastur times two atoms": lambda n, rng: multiplied(
        np.diag(np.repeat([1.0, 7.0], n // 2)), wishart(n, 1 / 5, rng)
    ),
    "Kesten-McKay": lambda n, rng: sum(
        rotated(np.repeat([-1.0, 1.0], n // 2), rng) for _ in range(3)
    ),
    "sum of fifty atoms each": lambda n, rng: fifty("sum of fifty atoms each", n, rng),
    "product of fifty atoms each": lambda n, rng: fifty("product of fifty atoms each", n, rng),
    "tree of five leaves": five_leaf_matrix,
}


@pytest.mark.parametrize("name", MATRICES)
def test_one_matrix_of_size_1000_has_the_law(name):
    """The count of eigenvalues below x is a log-correlated field.

    Its maximum is log n/π to leading order for complex matrices (Claeys, Fahs, Lambert & Webb
    2021), whose mean density has no term in 1/n; the step of the empirical law adds 1 at most.
    """
    n = 1200 if name == "tree of five leaves" else 1000
    law = next(law for held, law in TREES if held == name)
    eigenvalues = np.linalg.eigvalsh(MATRICES[name](n, np.random.default_rng(2026)))
    assert law.distance(eigenvalues, "ks") <= (np.log(n) / np.pi + 1) / n
