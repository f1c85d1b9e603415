"""A network at a finite width on a number of samples: what every statistic is asked of."""

from __future__ import annotations

from collections.abc import Sequence
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import cached_property
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np

from freefim.errors import SpecError
from freefim.networks.checks import count, finite_number
from freefim.networks.network import Network
from freefim.networks.pairs import PairOrderParameters, correlation_of, pair_order_parameters
from freefim.statistics.pair_kernel import correlation_spread

if TYPE_CHECKING:
    from freefim.montecarlo.gradients import GradientSample

__all__ = ["Problem"]

_MOST = 2**63


@dataclass(frozen=True)
class Problem:
    r"""A network at a finite width on a number of samples.

    Parameters
    ----------
    net : Network
        Depth L, linear output; `width_ratios` None or the L entries M_0..M_{L-1}.
    width : int
        Reference width M, >= 1.
    samples, outputs : int
        Number N of samples and C of outputs, >= 1.
    input_correlation : float or array_like, shape (samples, features)
        Correlation of two inputs, at least -1/(N-1), or data, of which the mean correlation is
        taken and, where the correlations of the pairs scatter by more than :math:`1.5/\sqrt{M_0}`,
        that of every pair (see `freefim.statistics.pair_kernel`); sampled networks see the data.

    Raises
    ------
    SpecError
        If an argument is out of range; the message names it.
    """

    net: Network
    width: int
    samples: int
    outputs: int
    input_correlation: float = 0.0
    _inputs: ClassVar[Any]

    def __post_init__(self) -> None:
        net, settle = self.net, object.__setattr__
        if not isinstance(net, Network):
            raise SpecError(f"net must be a Network, got {net!r}")
        for name in ("width", "samples", "outputs"):
            settle(self, name, count(name, getattr(self, name)))
            if getattr(self, name) >= _MOST:
                raise SpecError(f"{name} must be below 2**63, got {getattr(self, name)!r}")
        if net.width_ratios is not None and len(net.width_ratios) != net.depth:
            raise SpecError(
                f"width_ratios must have the {net.depth} entries M_0..M_(L-1) for statistics, "
                f"whose last layer has the width outputs={self.outputs}, got {net.width_ratios!r}"
            )
        if min(self.widths) < 1:
            raise SpecError(
                f"width must give every layer at least one unit, got width={self.width} "
                f"with width_ratios={net.width_ratios!r}"
            )
        given: Any = self.input_correlation
        settle(self, "input_correlation", _input_correlation(given))
        if not _is_number(given):
            given = np.array(given, dtype=np.float64)
            if given.shape != (self.samples, self.widths[0]):
                raise SpecError(
                    "input_correlation must be data of shape (samples, M_0) = "
                    f"({self.samples}, {self.widths[0]}), got shape {given.shape}"
                )
        # no field: the data themselves make no part of what two problems are compared by
        settle(self, "_inputs", given)
        least = -1.0 / (self.samples - 1) if self.samples > 1 else -1.0
        if self.input_correlation < least * (1.0 + 1e-12):
            raise SpecError(
                f"input_correlation must be at least -1/(samples - 1) = {least:.6g} for "
                f"samples={self.samples}, got {self.input_correlation!r}"
            )

    @cached_property
    def widths(self) -> tuple[int, ...]:
        """Widths M_0..M_{L-1} and C."""
        hidden = (round(ratio * self.width) for ratio in self.net.hidden_ratios)
        return (*hidden, self.outputs)

    @cached_property
    def pair(self) -> PairOrderParameters:
        """Order parameters of a pair of inputs."""
        return pair_order_parameters(self.net, self.input_correlation)

    @cached_property
    def _spread(self) -> float:
        """Scatter of the correlations of the pairs, above 1 if they are told apart."""
        return correlation_spread(self._inputs)

    def _require_alike(self) -> None:
        """Refuse data whose pairs are to be told apart, where they are not."""
        if self._spread > 1.0:
            raise SpecError(
                "input_correlation must be a number, or data all pairs of which are about equally "
                f"correlated, for this statistic, got correlations that scatter by "
                f"{1.5 * self._spread:.3g}/√M_0, more than 1.5/√M_0"
            )

    @property
    def witness(self) -> dict[str, Any]:
        """Fields of the `GradientEnsemble` that measures this, but for network and sizes."""
        return {"input_correlation": self._inputs}

    def sample(
        self, replicas: int, seed: int = 0, executor: Executor | None = None
    ) -> GradientSample:
        """Measure the same statistics on sampled networks.

        Parameters
        ----------
        replicas : int
            Number of networks, at least 1.
        seed : int
            At least 0; replica i draws from ``SeedSequence(seed, spawn_key=(i,))``.
        executor : concurrent.futures.Executor, optional
            Where the replicas run; the result is bitwise the same.

        Returns
        -------
        GradientSample
            The networks, each with its spectrum and its order parameters.

        Raises
        ------
        SpecError, ConvergenceError
            As `freefim.montecarlo.gradients.sample_gradients`; data must have as many rows as
            there are samples, and as many columns as the first layer has inputs.
        """
        from freefim.statistics.sampling import sample_problem

        return sample_problem(self, replicas, seed, executor)


def _is_number(value: Any) -> bool:
    return not isinstance(value, Sequence) and np.ndim(value) == 0


def _input_correlation(value: Any) -> float:
    if not _is_number(value) and not isinstance(value, str):
        return correlation_of(value)
    correlation = float(finite_number("input_correlation", value))
    if not -1.0 <= correlation <= 1.0:
        raise SpecError(f"input_correlation must be within [-1, 1], got {value!r}")
    return correlation
