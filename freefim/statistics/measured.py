"""The statistics of a problem as its sampled networks have them, by the names of the theory."""

from __future__ import annotations

import math
from collections.abc import Callable
from itertools import pairwise
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.master import GaussianStatistics, learning_rate
from freefim.statistics.normalization import OutputLayerNorm
from freefim.statistics.problem import Problem
from freefim.statistics.softmax import SoftmaxFisher

if TYPE_CHECKING:
    from freefim.montecarlo.gradients import GradientReplica, GradientSample

__all__ = ["measured_numbers"]

Rule = Callable[["GradientReplica"], float]


def measured_numbers(problem: Problem, sample: GradientSample) -> dict[str, tuple[float, float]]:
    r"""Measure the numbers of a problem that have a counterpart in a sampled network.

    Parameters
    ----------
    problem : Problem
        What was sampled.
    sample : GradientSample
        Its networks, from `Problem.sample`.

    Returns
    -------
    dict of str to (float, float)
        Mean over the networks and its standard error (infinite for one network), by the name that
        the number has in `problem`. The largest eigenvalue is C-fold in the limit where it is an
        outlier of a Gaussian output: there it is the mean of the C largest.

    Examples
    --------
    >>> from freefim.networks.network import Network
    >>> problem = FisherStatistics(Network(2, "linear", weights="gaussian"), 20, 5, 1)
    >>> sorted(measured_numbers(problem, problem.sample(2)))[:3]
    ['bulk_eigenvalue', 'diagonal', 'fisher_rao_norm']
    """
    found = {}
    for name, rule in _rules(problem).items():
        values = np.array([rule(replica) for replica in sample.replicas])
        if not np.all(np.isfinite(values)):
            continue
        several = values.size > 1
        error = float(values.std(ddof=1)) / math.sqrt(values.size) if several else math.inf
        found[name] = float(values.mean()), error
    return found


def _rules(problem: Problem) -> dict[str, Rule]:
    """What measures each number on one network; NaN where that network has none."""
    rules: dict[str, Rule] = {
        "mean": lambda r: r.mean,
        "second_moment": lambda r: r.second_moment,
        "trace": lambda r: float(r.eigenvalues.sum()),
        "max_eigenvalue": lambda r: r.max_eigenvalue,
    }
    if isinstance(problem, GaussianStatistics):
        if problem.multiplicity > 0:
            rules["max_eigenvalue"] = lambda r: float(r.top_eigenvalues.mean())
        rules["bulk_eigenvalue"] = lambda r: _mean_or_nan(r.bulk_eigenvalues)
        rules["top_overlap"] = lambda r: _or_nan(r.measured.overlap)
        cells = problem.outputs * problem.samples
        scale = problem.trace / (problem.diagonal * cells)
        rules["diagonal"] = lambda r: float(r.eigenvalues.sum()) / (scale * cells)
    if isinstance(problem, FisherStatistics):
        rules["fisher_rao_norm"] = lambda r: r.measured.fisher_rao_norm
        rules["fisher_rao_norm_independent"] = lambda r: r.measured.fisher_rao_norm_independent
        if problem.net.depth > 1:
            rules["kappa1"] = lambda r: _kappa(problem, r, cross=False)
            rules["kappa2"] = lambda r: _kappa(problem, r, cross=True)
    if isinstance(problem, SoftmaxFisher | OutputLayerNorm):
        rules["beta1"] = lambda r: float(_realised(problem, r).beta1)
        rules["beta2"] = lambda r: float(_realised(problem, r).beta2)
        rules["beta3"] = lambda r: float(_realised(problem, r).beta3)
    top = rules["max_eigenvalue"]
    if hasattr(problem, "max_learning_rate"):
        rules["max_learning_rate"] = lambda r: learning_rate(top(r), 0.0)
    return rules


def _kappa(problem: Problem, replica: GradientReplica, cross: bool) -> float:
    r""":math:`\kappa_{1,2}` from the order parameters of one network."""
    widths, measured = problem.widths, replica.measured
    forward = measured.cross_moments if cross else measured.second_moments
    back = measured.backward_cross_moments if cross else measured.backward_moments
    total = math.fsum(m * f * b for m, f, b in zip(widths[:-1], forward, back, strict=True))
    units = sum(a * b for a, b in pairwise(widths[:-1]))
    return total * problem.width / units


def _realised(problem: Any, replica: GradientReplica) -> Any:
    """The same problem with the outputs of one network."""
    from scipy.special import softmax

    sizes = (problem.width, problem.samples, problem.outputs, problem.input_correlation)
    logits: Any = replica.measured.logits
    if isinstance(problem, SoftmaxFisher):
        return SoftmaxFisher(problem.net, *sizes, probabilities=softmax(logits, axis=1))
    return OutputLayerNorm(problem.net, *sizes, logits=logits)


def _or_nan(value: float | None) -> float:
    return math.nan if value is None else value


def _mean_or_nan(values: Any) -> float:
    return float(values.mean()) if values.size else math.nan
