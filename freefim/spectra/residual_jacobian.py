r"""The input–output Jacobian of a residual network.

Blocks :math:`x^l = x^{l-1} + s\,\varphi(W_l x^{l-1} + b_l)` have the Jacobian
:math:`1 + s D_l W_l`. With :math:`X = s D_l W_l` R-diagonal, the symmetrised singular values of
1 + X have the law :math:`\tfrac12(\delta_1 + \delta_{-1}) \boxplus \mathrm{sym}|X|`; its square is
the law of one block, and blocks multiply freely.
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from functools import partial
from typing import TYPE_CHECKING, Any

from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.free.laws.given import PointMass
from freefim.free.leaves.leaf import Leaf
from freefim.free.perturbed.law import Block, perturbed_identity
from freefim.networks.activations import Activation
from freefim.networks.checks import Number, finite_number
from freefim.networks.gates import gate_law, realised_gate
from freefim.networks.network import Network
from freefim.spectra.spectrum import Spectrum

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum

__all__ = ["ResidualJacobian"]


@dataclass(frozen=True)
class ResidualJacobian(Spectrum):
    r"""Spectrum of J Jᵀ of a residual network.

    Parameters
    ----------
    network : Network
        Square; every activation, that of the output included, makes one block of its own layer.
        A linear output layer is no block and does not count.
    branch_scale : number
        Factor s of every branch, > 0.

    Notes
    -----
    Second moments :math:`\hat q_l = \hat q_{l-1} + s^2 E\varphi(h_l)^2`,
    :math:`h_l \sim N(0, \sigma_w^2 \hat q_{l-1} + \sigma_b^2)`.

    Raises
    ------
    SpecError
        If the network is not square or has no activation, or `branch_scale` is not > 0.

    Examples
    --------
    A block of identity and a Haar matrix, 1 + U, has 2 + 2 cos θ, θ uniform:

    >>> from freefim.networks.network import Network
    >>> law = ResidualJacobian(Network(2, "linear"), 1).law()
    >>> [round(end, 12) + 0.0 for end in law.support], float(round(law.cdf(2.0), 12))
    ([0.0, 4.0], 0.5)
    """

    network: Network
    branch_scale: Number = 1

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise SpecError(f"network must be a Network, got {self.network!r}")
        if any(ratio != 1 for ratio in self.network.ratios):
            raise SpecError(
                f"network must be square for residual blocks, got width_ratios="
                f"{self.network.width_ratios!r}"
            )
        if not self._activations:
            raise SpecError(f"network must have an activation, got {self.network!r}")
        if finite_number("branch_scale", self.branch_scale) <= 0:
            raise SpecError(f"branch_scale must be a number > 0, got {self.branch_scale!r}")

    @property
    def matrix(self) -> str:
        """J Jᵀ, by the input."""
        return f"J J^T of residual blocks, branch scale {self.branch_scale}"

    def law(self) -> Law:
        """Limiting law of J Jᵀ."""
        moments, gates = float(self.network.input_second_moment), []
        for activation, _, weight_std, bias_std in self._layers():
            variance = weight_std**2 * moments + bias_std**2
            gates.append(gate_law(activation, variance))
            moments += float(self.branch_scale) ** 2 * activation.second_moment(variance)
        return self._law(gates, f"{self!r}.law()")

    def conditional_law(self, replica: Any) -> Law:
        """Law of one sampled network: that of its realised gates."""
        return self._law([realised_gate(values) for values in replica.gates])

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of sampled residual networks; see `Spectrum.sample`."""
        from freefim.montecarlo.empirical import EmpiricalSpectrum
        from freefim.montecarlo.models import ResidualReplica, residual_jacobian
        from freefim.montecarlo.sampler import draw_replicas, require_integer

        require_integer("width", width, 1)
        draw = partial(
            residual_jacobian,
            int(width),
            self._layers(),
            float(self.branch_scale),
            float(self.network.input_second_moment),
        )
        drawn = draw_replicas(
            self,
            draw,
            width,
            replicas,
            seed,
            executor=executor,
            progress=progress,
            replica=ResidualReplica,
        )
        return EmpiricalSpectrum(drawn)

    @property
    def _activations(self) -> tuple[Activation, ...]:
        last = self.network.final_activation
        return (*self.network.activations, *(() if last is None else (last,)))

    def _layers(self) -> list[tuple[Activation, str, float, float]]:
        net = self.network
        numbers = zip(net.ensembles, net.weight_stds, net.bias_stds, strict=True)
        return [
            (activation, ensemble, float(weight), float(bias))
            for activation, (ensemble, weight, bias) in zip(
                self._activations, numbers, strict=False
            )
        ]

    def _law(self, gates: list[Leaf], expression: str | None = None) -> Law:
        blocks = [
            Block(gate, (float(self.branch_scale) * weight_std) ** 2, ensemble == "gaussian")
            for gate, (_, ensemble, weight_std, _) in zip(gates, self._layers(), strict=True)
        ]
        moving = tuple(block for block in blocks if block.gate.maximum > 0.0)
        return perturbed_identity(moving, expression) if moving else PointMass(1)
