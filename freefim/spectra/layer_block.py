r"""Diagonal blocks of the conditional Fisher information: the parameters of one layer alone.

The dual of block l is :math:`s_l\,\delta_l \delta_l^T`,
:math:`\delta_l = W_L D_{L-1} \cdots W_{l+1} D_l`: the whole dual is the sum of its blocks.
"""

from collections.abc import Collection
from dataclasses import dataclass
from numbers import Integral
from typing import TYPE_CHECKING

import numpy as np

from freefim.errors import SpecError
from freefim.free.chains.chain import Chain, Move
from freefim.free.chains.chain_law import ChainLaw
from freefim.networks.network import Network
from freefim.spectra.network_spectrum import NetworkSpectrum, layers_of

if TYPE_CHECKING:
    from freefim.montecarlo.networks import NetworkReplica
    from freefim.tables import Table

__all__ = ["LayerBlock", "layer_blocks"]


@dataclass(frozen=True)
class LayerBlock(NetworkSpectrum):
    r"""Spectrum of the dual of one diagonal block of the conditional FIM.

    Parameters
    ----------
    network : Network
        The description.
    layer : int
        The layer 1..L whose parameters the block belongs to.

    Notes
    -----
    Normalised as `ConditionalFIM`: J Jᵀ/M in the standard parametrisation, J Jᵀ in the NTK one,
    J the Jacobian of the output by the parameters of that layer.

    Raises
    ------
    SpecError
        If `layer` is not one of the network's.

    Examples
    --------
    The block of the last layer is a multiple of the identity:

    >>> from freefim.networks.network import Network
    >>> LayerBlock(Network(3, "linear", input_second_moment=2), 3).law().atoms
    ((2.0, 1.0),)
    """

    layer: int

    def __post_init__(self) -> None:
        super().__post_init__()
        depth = self.network.depth
        whole = isinstance(self.layer, Integral) and not isinstance(self.layer, bool)
        if not (whole and 1 <= self.layer <= depth):
            raise SpecError(f"layer must be an integer from 1 to {depth}, got {self.layer!r}")

    @property
    def matrix(self) -> str:
        """The dual, by the parameters of one layer."""
        divisor = " / M" if self.network.parametrization == "standard" else ""
        return f"J J^T{divisor}, J by the parameters of layer {self.layer}"

    @property
    def differentiated(self) -> Collection[int]:
        """The layer of the block."""
        return (self.layer,)

    def law(self, *, given: "NetworkReplica | None" = None) -> ChainLaw:
        """Limiting law of the dual of the block, or its conditional law.

        Parameters
        ----------
        given : NetworkReplica, optional
            One sampled network: its realised shift and gates take the place of their limits.

        Raises
        ------
        SpecError
            If `given` was sampled from another network.
        ConvergenceError
            If an order parameter overflows, or, at the first look at the law's numbers, if the
            law does not balance.
        """
        layers = layers_of(self.network, given)
        moves: list[Move] = []
        for layer in range(self.layer, len(layers.gates) + 1):
            moves.append(layers.gate(layer))
            if layer < self.network.depth:
                moves += layers.through(layer + 1)
        expression = f"{self!r}.law()" if given is None else None
        return ChainLaw(Chain(layers.shifts[self.layer - 1], tuple(moves)), (), expression)


def layer_blocks(network: Network) -> "Table":
    """All diagonal blocks of the conditional FIM in numbers.

    Parameters
    ----------
    network : Network

    Returns
    -------
    Table
        Columns layer, mean, variance, min, max, mass_at_max; one row for each layer 1..L. The
        maxima add up to the maximum of the whole where that is an atom.

    Raises
    ------
    SpecError
        If `network` is no Network.
    ConvergenceError
        If a law cannot be computed.

    Examples
    --------
    >>> from freefim.networks.activations import HardTanh
    >>> from freefim.spectra.conditional_fim import ConditionalFIM
    >>> net = Network(4, HardTanh(cutoff=3.0))
    >>> whole = ConditionalFIM(net).law().support[1]
    >>> bool(abs(layer_blocks(net)["max"].sum() / whole - 1) < 1e-14)
    True
    """
    from freefim.tables import Table

    if not isinstance(network, Network):
        raise SpecError(f"network must be a Network, got {network!r}")
    names = ("layer", "mean", "variance", "min", "max", "mass_at_max")
    rows = []
    for layer in range(1, network.depth + 1):
        law = LayerBlock(network, layer).law()
        low, high = law.support
        at_top = dict(law.atoms).get(high, 0.0)
        rows.append((layer, float(law.mean()), float(law.variance()), low, high, at_top))
    columns = {
        name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
    }
    return Table(columns, {"network": repr(network)})
