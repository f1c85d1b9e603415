"""Sample random matrices, here or on any executor, with the same bits everywhere."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from numbers import Integral
from typing import Any

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

from freefim.errors import ConvergenceError, SpecError
from freefim.montecarlo.empirical import Replica
from freefim.montecarlo.streams import replica_stream
from freefim.montecarlo.threads import ONE_BLAS_THREAD

__all__ = ["draw_replicas", "require_integer"]

Draw = Callable[[Generator], tuple[NDArray[Any], tuple[Any, ...]]]


def draw_replicas(
    source: Any,
    draw: Draw,
    width: int,
    replicas: int,
    seed: int = 0,
    *,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
    replica: type[Replica] = Replica,
) -> tuple[Any, ...]:
    """Draw symmetric matrices and their eigenvalues, one stream of random numbers each.

    Parameters
    ----------
    source : object
        What the matrices are drawn from; stands in every replica.
    draw : callable
        ``draw(rng)`` gives a symmetric matrix, and a tuple of whatever else `replica` wants.
    width : int
        Reference width, at least 1.
    replicas : int
        Number of matrices, at least 1.
    seed : int
        At least 0. Replica i draws from ``SeedSequence(seed, spawn_key=(i,))``, so that it is
        the same matrix whatever the number of replicas.
    executor : concurrent.futures.Executor, optional
        Where the replicas run: threads, processes, ``dask.distributed.Client.get_executor()``.
        The default runs them here, one after the other; the result is bitwise the same.
    progress : callable, optional
        Called as ``progress(done, total)`` from the calling thread after each replica.
    replica : type, optional
        What the results become.

    Returns
    -------
    tuple of Replica

    Raises
    ------
    SpecError
        If `width`, `replicas`, `seed` or `executor` is not as said above.
    ConvergenceError
        If a matrix leaves the range of floating-point numbers.

    Notes
    -----
    BLAS runs on one thread while replicas are drawn, because the bits of its results depend on
    the number of threads; parallelism comes from `executor`.

    Examples
    --------
    >>> draws = draw_replicas("identity", lambda rng: (np.eye(3), ()), 3, 2)
    >>> [replica.eigenvalues.tolist() for replica in draws]
    [[1.0, 1.0, 1.0], [1.0, 1.0, 1.0]]
    """
    require_integer("width", width, 1)
    require_integer("replicas", replicas, 1)
    require_integer("seed", seed, 0)
    if executor is not None and not callable(getattr(executor, "map", None)):
        raise SpecError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    # Loaded before the limit below, which only reaches the libraries that are already there.
    import freefim.montecarlo.replica_kernels  # noqa: F401

    task = partial(_draw_one, draw, int(seed))
    run = map if executor is None else executor.map
    drawn = []
    with ONE_BLAS_THREAD:
        for index, (eigenvalues, facts) in enumerate(run(task, range(replicas))):
            drawn.append(replica(source, int(width), int(seed), index, eigenvalues, *facts))
            if progress is not None:
                progress(index + 1, replicas)
    return tuple(drawn)


def _draw_one(draw: Draw, seed: int, index: int) -> tuple[NDArray[np.float64], tuple[Any, ...]]:
    """Draw one replica: the task of an executor, a function of its arguments bit for bit."""
    # Imported before the limit, which only reaches the libraries that are already loaded.
    import freefim.montecarlo.replica_kernels  # noqa: F401

    with ONE_BLAS_THREAD, np.errstate(over="ignore", invalid="ignore"):
        try:
            matrix, facts = draw(replica_stream(seed, index))
            if not np.isfinite(matrix).all():
                raise ConvergenceError("its matrix is not finite")
        except ConvergenceError as problem:
            raise ConvergenceError(
                f"replica {index} left the range of floating-point numbers: {problem}"
            ) from None
        eigenvalues = np.linalg.eigvalsh(matrix)
    return eigenvalues.astype(float, copy=False), facts


def require_integer(name: str, value: Any, least: int) -> None:
    """Refuse what is not an integer of at least `least`."""
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise SpecError(f"{name} must be an integer >= {least}, got {value!r}")
