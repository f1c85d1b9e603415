"""The statistics, measured: from a problem of the theory to sampled networks."""

from __future__ import annotations

from collections.abc import Callable
from concurrent.futures import Executor
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from freefim.montecarlo.gradients import GradientSample
    from freefim.statistics.problem import Problem

__all__ = ["sample_problem"]


def sample_problem(
    problem: Problem,
    replicas: int,
    seed: int = 0,
    executor: Executor | None = None,
    progress: Callable[[int, int], object] | None = None,
    **fields: Any,
) -> GradientSample:
    """Draw networks of a problem and measure its statistics.

    Parameters
    ----------
    problem : Problem
        Network, width, samples, outputs and what `Problem.witness` says.
    replicas, seed, executor, progress
        As of `freefim.montecarlo.gradients.sample_gradients`.
    **fields
        Further fields of `freefim.montecarlo.gradients.GradientEnsemble`.

    Returns
    -------
    GradientSample
        The same statistics, measured.

    Raises
    ------
    SpecError, ConvergenceError
        As `sample_gradients`.
    """
    from freefim.montecarlo.gradients import GradientEnsemble, sample_gradients

    sizes = (problem.width, problem.samples, problem.outputs)
    ensemble = GradientEnsemble(problem.net, *sizes, **problem.witness | fields)
    return sample_gradients(ensemble, replicas, seed, executor, progress)
