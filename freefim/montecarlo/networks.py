"""Sampled networks: their spectra and their realised order parameters."""

from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING

import numpy as np
from numpy.typing import ArrayLike, NDArray

from freefim.errors import SpecError
from freefim.montecarlo.dual import dual_matrix
from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica, read_only
from freefim.montecarlo.sampler import draw_replicas
from freefim.networks.order_parameters import OrderParameters

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = ["NetworkReplica", "NetworkSample", "sample_networks"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class NetworkReplica(Replica):
    r"""One sampled network: its eigenvalues and everything the conditional law needs.

    Attributes
    ----------
    second_moments : ndarray, shape (L+1,)
        Realised :math:`|x^l|^2/M_l`, l = 0..L; the last is that of the output.
    preactivation_variances : ndarray, shape (L,)
        Realised :math:`|h^l|^2/M_l`, l = 1..L.
    shifts : ndarray, shape (L,)
        The multiple of the identity that the parameters of each layer add to the dual, biases
        included.
    gates : tuple of ndarray, shapes (M_l,)
        Realised :math:`\varphi'(h^l_i)^2`, ascending, of each hidden layer, then of the output
        if it has a final activation.
    """

    second_moments: Array
    preactivation_variances: Array
    shifts: Array
    gates: tuple[Array, ...]

    def __post_init__(self) -> None:
        super().__post_init__()
        for name in ("second_moments", "preactivation_variances", "shifts"):
            object.__setattr__(self, name, read_only(getattr(self, name)))
        object.__setattr__(self, "gates", tuple(map(read_only, self.gates)))

    @property
    def network(self) -> "Network":
        """The description it was drawn from."""
        network: Network = self.source
        return network

    @property
    def order_parameters(self) -> OrderParameters:
        """The realised order parameters, in the shape of ``network.order_parameters()``."""
        following = self.network.weight_stds[1:]
        slopes = [float(gate.mean()) for gate in self.gates[: len(following)]]
        return OrderParameters(
            tuple(self.second_moments.tolist()),
            tuple(self.preactivation_variances.tolist()),
            tuple(float(std) ** 2 * slope for std, slope in zip(following, slopes, strict=True)),
        )


@dataclass(frozen=True, eq=False, repr=False)
class NetworkSample(EmpiricalSpectrum):
    """Eigenvalues of sampled networks, with their order parameters; ``sample[i]`` is one."""

    replicas: tuple[NetworkReplica, ...]

    @property
    def network(self) -> "Network":
        """The description the replicas were drawn from."""
        return self.replicas[0].network

    @property
    def order_parameters(self) -> tuple[OrderParameters, ...]:
        """The realised order parameters of each replica."""
        return tuple(replica.order_parameters for replica in self.replicas)


def sample_networks(
    network: "Network",
    width: int,
    replicas: int,
    seed: int = 0,
    input: ArrayLike | None = None,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
    layers: Collection[int] | None = None,
) -> NetworkSample:
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
    layers : collection of int, optional
        By the parameters of which layers 1..L the output is differentiated; 0 stands for the
        input itself. All layers by default.

    Returns
    -------
    NetworkSample
        Eigenvalues of the dual of the conditional Fisher information: of J Jᵀ/M in the
        standard parametrisation, of J Jᵀ in the NTK one, J the Jacobian of the output by
        the parameters of `layers` (biases included where ``bias_std > 0``); for ``layers=(0,)``
        of J Jᵀ, J the Jacobian of the output by the input.

    Raises
    ------
    SpecError
        If `width`, `replicas`, `seed`, `input` or `layers` is not as said above.
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
    given = None if input is None else _input_vector(input, inputs)
    counted = range(1, network.depth + 1) if layers is None else frozenset(layers)
    if not counted or not all(layer in range(network.depth + 1) for layer in counted):
        raise SpecError(f"layers must be of 0, …, {network.depth}, at least one, got {layers!r}")
    draw = partial(dual_matrix, network, int(width), given, counted)
    drawn = draw_replicas(
        network,
        draw,
        width,
        replicas,
        seed,
        executor=executor,
        progress=progress,
        replica=NetworkReplica,
    )
    return NetworkSample(drawn)


def _input_vector(values: ArrayLike, size: int) -> Array:
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
