"""The witness of the statistics: sampled networks, measured as the theory counts."""

from collections.abc import Callable
from concurrent.futures import Executor

from freefim.montecarlo.gradients_ensemble import GradientEnsemble
from freefim.montecarlo.gradients_replica import GradientReplica, GradientSample, Measured
from freefim.montecarlo.sampler import draw_replicas

__all__ = ["GradientEnsemble", "GradientReplica", "GradientSample", "Measured", "sample_gradients"]


def sample_gradients(
    ensemble: GradientEnsemble,
    replicas: int,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
) -> GradientSample:
    """Draw networks and measure the statistics of the Fisher information of each.

    Parameters
    ----------
    ensemble : GradientEnsemble
        What is drawn.
    replicas : int
        Number of networks, at least 1.
    seed : int
        At least 0; replica i draws from ``SeedSequence(seed, spawn_key=(i,))``.
    executor : concurrent.futures.Executor, optional
        Where the replicas run; the result is bitwise the same.
    progress : callable, optional
        Called as ``progress(done, total)`` after each replica.

    Returns
    -------
    GradientSample
        Eigenvalues of the duals and what was measured beside them.

    Raises
    ------
    SpecError
        If `replicas`, `seed` or `executor` is not as said above.
    ConvergenceError
        If a replica leaves the range of floating-point numbers, or values to be divided by their
        deviation do not vary.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
       Networks: Mean Field Approach*, AISTATS 2019, section 3.

    Examples
    --------
    Layer normalisation over two outputs leaves their signs alone, which do not depend on θ:

    >>> from freefim.networks.network import Network
    >>> net = Network(2, "relu", weights="gaussian")
    >>> sample = sample_gradients(GradientEnsemble(net, 8, 3, 2, heads=("layer-norm",)), 1)
    >>> sample[0].max_eigenvalue
    0.0
    """
    drawn = draw_replicas(
        ensemble,
        ensemble.draw,
        ensemble.width,
        replicas,
        seed,
        executor=executor,
        progress=progress,
        replica=GradientReplica,
    )
    return GradientSample(drawn)
