"""The ensembles: variance of Gaussian entries, isometry and invariance of Haar matrices."""

import numpy as np
import pytest

from freefim.montecarlo.replica_kernels import backpropagate, gaussian_weights, haar_weights

SIGMAS = 5.0  # statistical bounds are five standard errors of the stated estimator


def rng(key=0):
    return np.random.default_rng(key)


def test_gaussian_draws_are_those_of_numpy_bit_for_bit():
    drawn = gaussian_weights(rng(), 3, 5, 2.0)
    scale = 2.0 / np.sqrt(5)
    np.testing.assert_array_equal(drawn, scale * rng().standard_normal((3, 5)))


@pytest.mark.parametrize("shape", [(5, 5), (3, 7), (7, 3), (1, 4), (4, 1), (1, 1)])
def test_haar_weights_have_orthonormal_rows_or_columns(shape):
    weights = haar_weights(rng(), *shape, 1.5)
    gram = weights @ weights.T if shape[0] <= shape[1] else weights.T @ weights
    np.testing.assert_allclose(gram, 1.5**2 * np.eye(min(shape)), atol=1e-14)


@pytest.mark.parametrize("shape", [(2, 2), (3, 3), (2, 4), (4, 2)])
def test_haar_entries_have_the_moments_of_the_sphere(shape):
    """An entry of a unit vector in dimension n: mean 0, E w² = 1/n, E w⁴ = 3/(n(n+2)).

    The mean of the leading entry is what the sign of R would spoil: unfixed QR makes it
    one-signed.
    """
    draws, n = 4000, max(shape)
    stream = rng(1)
    sample = np.array([haar_weights(stream, *shape, 1.0) for _ in range(draws)])
    second, fourth = 1 / n, 3 / (n * (n + 2))
    mean_error = SIGMAS * np.sqrt(second / draws)
    square_error = SIGMAS * np.sqrt((fourth - second**2) / draws)
    assert np.abs(sample.mean(axis=0)).max() < mean_error
    assert np.abs((sample**2).mean(axis=0) - second).max() < square_error


def test_haar_trace_has_unit_variance():
    """E (tr O)² = 1 and E (tr O)⁴ = 3 for Haar orthogonal matrices of size >= 4."""
    draws = 4000
    stream = rng(2)
    traces = np.array([np.trace(haar_weights(stream, 4, 4, 1.0)) for _ in range(draws)])
    assert abs(traces.mean()) < SIGMAS / np.sqrt(draws)
    assert abs((traces**2).mean() - 1) < SIGMAS * np.sqrt(2 / draws)


def test_haar_is_invariant_under_a_fixed_rotation():
    """E O_11 O_22 - O_12 O_21 of the leading corner is 0 for O and for O R alike, n = 3.

    Its square has mean 1/3: the corner minor is an entry of the cofactor matrix ±O.
    """
    draws = 4000
    rotation, _ = np.linalg.qr(rng(5).standard_normal((3, 3)))
    stream = rng(3)
    sample = np.array([haar_weights(stream, 3, 3, 1.0) for _ in range(draws)])
    for turned in (sample, sample @ rotation, rotation @ sample):
        minors = turned[:, 0, 0] * turned[:, 1, 1] - turned[:, 0, 1] * turned[:, 1, 0]
        assert abs(minors.mean()) < SIGMAS * np.sqrt(1 / 3 / draws)
        spread = np.sqrt((1 / 5 - 1 / 9) / draws)
        assert abs((minors**2).mean() - 1 / 3) < SIGMAS * spread


@pytest.mark.parametrize("rows", [1, 127, 128, 129, 300])
@pytest.mark.parametrize("dead", [0.0, 0.4, 1.0])
def test_backpropagation_is_the_congruence_and_exactly_symmetric(rows, dead):
    stream = rng(rows)
    columns = 90
    weights = stream.standard_normal((rows, columns))
    derivative = stream.standard_normal(columns) * (stream.random(columns) >= dead)
    root = stream.standard_normal((columns, columns))
    dual = root @ root.T
    result = backpropagate(weights, derivative, dual, 0.7)
    jacobian = weights * derivative
    want = 0.7 * np.eye(rows) + jacobian @ dual @ jacobian.T
    np.testing.assert_allclose(result, want, rtol=0, atol=1e-13 * np.abs(want).max())
    np.testing.assert_array_equal(result, result.T)


@pytest.mark.parametrize("kernel", [gaussian_weights, haar_weights])
@pytest.mark.parametrize("shape", [(4, 4), (3, 6), (6, 3)])
def test_compiled_draws_equal_the_same_body_in_python(kernel, shape):
    np.testing.assert_allclose(
        kernel(rng(), *shape, 1.2), kernel.py_func(rng(), *shape, 1.2), rtol=0, atol=1e-15
    )


def test_compiled_backpropagation_equals_the_same_body_in_python():
    stream = rng()
    weights, root = stream.standard_normal((5, 4)), stream.standard_normal((4, 4))
    arguments = (weights, np.array([1.0, 0.0, 0.5, 2.0]), root @ root.T, 0.3)
    np.testing.assert_allclose(
        backpropagate(*arguments), backpropagate.py_func(*arguments), rtol=0, atol=1e-13
    )
