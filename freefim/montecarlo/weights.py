"""Weights and biases of a network, drawn one layer at a time."""

from collections.abc import Iterator, Sequence
from typing import TYPE_CHECKING

import numpy as np
from numpy.random import Generator
from numpy.typing import NDArray

if TYPE_CHECKING:
    from freefim.networks.network import Network

__all__ = ["draw_layers"]

Array = NDArray[np.float64]


def draw_layers(
    network: "Network", widths: Sequence[int], rng: Generator
) -> Iterator[tuple[Array, Array]]:
    """Draw the layers of a network, each when it is asked for.

    Parameters
    ----------
    network : Network
        Its ensembles and deviations.
    widths : sequence of int
        M_0, …, M_L.
    rng : numpy.random.Generator
        Order of the draws: of each layer its weights row by row (Haar: the Gaussian matrix whose
        QR is taken, along its longer side first), then its biases (if ``bias_std > 0``).

    Yields
    ------
    weights, bias : ndarray, shapes (M_l, M_{l-1}) and (M_l,)
        Without ``bias_std`` zeros, which cost no draw.
    """
    from freefim.montecarlo import replica_kernels as kernels

    for layer, ensemble in enumerate(network.ensembles):
        fan_in, fan_out = widths[layer : layer + 2]
        draw = kernels.haar_weights if ensemble == "orthogonal" else kernels.gaussian_weights
        weights = draw(rng, fan_out, fan_in, float(network.weight_stds[layer]))
        std = float(network.bias_stds[layer])
        yield weights, std * rng.standard_normal(fan_out) if std > 0 else np.zeros(fan_out)
