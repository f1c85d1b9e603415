"""Sample networks, here or on any executor, with the same bits everywhere."""

from collections.abc import Callable
from concurrent.futures import Executor
from functools import partial
from numbers import Integral
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica
from freefim.montecarlo.replica import realise
from freefim.montecarlo.threads import ONE_BLAS_THREAD

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = ["sample_networks"]


def sample_networks(
    network: "Network",
    width: int,
    replicas: int,
    seed: int = 0,
    input: ArrayLike | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> EmpiricalSpectrum:
    """Draw networks and return the eigenvalues of the dual of each at one input.

    Parameters
    ----------
    network : Network
        The description.
    width : int
        Reference width M, at least 1; layer l has ``network.widths(width)[l]`` units.
    replicas : int
        Number of networks, at least 1.
    seed : int
        Seed of the whole sample, at least 0. Replica i draws from
        ``SeedSequence(seed, spawn_key=(i,))``, so that it is the same network whatever the
        number of replicas.
    input : array_like, shape (M_0,), optional
        The input of every replica. By default each replica draws the direction of its own,
        with second moment exactly ``network.input_second_moment``.
    executor : concurrent.futures.Executor, optional
        Where the replicas run: threads, processes, ``dask.distributed.Client.get_executor()``.
        The default runs them here, one after the other; the result is bitwise the same. Other
        processes need a network that pickles: callables of a `CustomActivation` by name.
    progress : callable, optional
        Called as ``progress(done, total)`` from the calling thread after each replica.

    Returns
    -------
    EmpiricalSpectrum
        Eigenvalues of the dual of the conditional Fisher information: of J Jᵀ/M in the
        standard parametrisation, of J Jᵀ in the NTK one, J the Jacobian of the output by
        all parameters (biases included where ``bias_std > 0``).

    Raises
    ------
    SpecError
        If `width`, `replicas`, `seed` or `input` is not as said above.
    ConvergenceError
        If a replica leaves the range of floating-point numbers.

    Notes
    -----
    BLAS runs on one thread while replicas are drawn, because the bits of its results depend on
    the number of threads; parallelism comes from `executor`.

    References
    ----------
    .. [1] Hayase & Karakida, *The Spectrum of Fisher Information of Deep Networks Achieving
       Dynamical Isometry*, AISTATS 2021.

    Examples
    --------
    A deep linear network with orthogonal weights is isometric: every layer adds the identity.

    >>> import numpy as np
    >>> from freefim.networks.network import Network
    >>> net = Network(depth=3, activation="linear", weights="orthogonal")
    >>> sample = sample_networks(net, width=8, replicas=2)
    >>> bool(np.allclose(sample.eigenvalues, 3.0))
    True
    """
    inputs = network.widths(width)[0]
    _require_integer("replicas", replicas, 1)
    _require_integer("seed", seed, 0)
    if executor is not None and not callable(getattr(executor, "map", None)):
        raise SpecError(f"executor must be a concurrent.futures.Executor, got {executor!r}")
    given = None if input is None else _input_vector(input, inputs)
    # Loaded before the limit below, which only reaches the libraries that are already there.
    import freefim.montecarlo.replica_kernels  # noqa: F401

    task = partial(realise, network, int(width), int(seed), given)
    run = map if executor is None else executor.map
    drawn = []
    with ONE_BLAS_THREAD:
        for index, realisation in enumerate(run(task, range(replicas))):
            drawn.append(Replica(network, int(width), int(seed), index, *realisation))
            if progress is not None:
                progress(index + 1, replicas)
    return EmpiricalSpectrum(tuple(drawn))


def _require_integer(name: str, value: Any, least: int) -> None:
    if not isinstance(value, Integral) or isinstance(value, bool) or value < least:
        raise SpecError(f"{name} must be an integer >= {least}, got {value!r}")


def _input_vector(values: ArrayLike, size: int) -> NDArray[np.float64]:
    try:
        vector = np.array(values, dtype=float)
    except (TypeError, ValueError):
        raise SpecError(f"input must be a vector of {size} numbers, got {values!r}") from None
    if vector.shape != (size,):
        raise SpecError(
            f"input must be a vector of {size} numbers, the width of the input layer, "
            f"got shape {vector.shape}"
        )
    if not np.isfinite(vector).all():
        place = int(np.flatnonzero(~np.isfinite(vector))[0])
        raise SpecError(f"input must be finite, got {vector[place]} at position {place}")
    if not vector.any():
        raise SpecError(f"input must not be the zero vector, got {size} zeros")
    return vector
