r"""One network as it is, trained or not: what its conditional Fisher law is made of.

The dual of any network obeys :math:`H_1 = s_1 I` and
:math:`H_{l+1} = s_{l+1} I + W_{l+1} D_l H_l D_l W_{l+1}^T` exactly. Its conditional law takes the
realised shifts, the realised laws of :math:`D_l^2` and the realised singular values of the weights,
and only their directions for random.
"""

from dataclasses import dataclass

import numpy as np
from numpy.typing import NDArray

from freefim.advice import LearningRate, online_rate
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.networks.gates import realised_gate
from freefim.networks.order_parameters import OrderParameters
from freefim.networks.weight_statistics import WeightStatistics

__all__ = ["RealisedNetwork"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False, repr=False)
class RealisedNetwork:
    r"""Realised order parameters, gates and weights of one network at one input.

    Attributes
    ----------
    widths : tuple of int, L+1 entries
        Widths M_0..M_L.
    width : int
        The reference width M, by which the dual is divided.
    second_moments : ndarray, shape (L+1,)
        :math:`|x^l|^2/M_l`, l = 0..L; the last is that of the output.
    preactivation_variances : ndarray, shape (L,)
        :math:`|h^l|^2/M_l`, l = 1..L.
    shifts : ndarray, shape (L,)
        What the parameters of each layer add to the dual: :math:`|x^{l-1}|^2/M`, and 1/M for
        biases.
    gates : tuple of ndarray, shapes (M_l,)
        :math:`\varphi'(h^l_i)^2` of each hidden layer, then of the output if it has an activation.
    weights : tuple of WeightStatistics, L entries

    Notes
    -----
    All weights and biases count as parameters, whether they require gradients or not.
    """

    widths: tuple[int, ...]
    width: int
    second_moments: Array
    preactivation_variances: Array
    shifts: Array
    gates: tuple[Array, ...]
    weights: tuple[WeightStatistics, ...]

    def __repr__(self) -> str:
        kinds = ", ".join(layer.ensemble or "other" for layer in self.weights)
        return f"<RealisedNetwork: widths {self.widths}, weights {kinds}>"

    @property
    def depth(self) -> int:
        """Number L of weight matrices."""
        return len(self.weights)

    @property
    def order_parameters(self) -> OrderParameters:
        r"""The realised order parameters; :math:`\chi_1` with the σ_w² of the next weights."""
        following = zip(self.gates, self.weights[1:], strict=False)
        return OrderParameters(
            tuple(self.second_moments.tolist()),
            tuple(self.preactivation_variances.tolist()),
            tuple(float(gate.mean()) * next_.weight_std**2 for gate, next_ in following),
        )

    @property
    def rounding(self) -> float:
        """Relative uncertainty of eigenvalues: orthogonal weights are so to their precision.

        Eigenvalues of W A Wᵀ move by at most the factor by which those of WᵀW do (Ostrowski).
        """
        inner = self.weights[1:]
        return sum((w.defect for w in inner if w.ensemble == "orthogonal"), 0.0)

    def law(self) -> ChainLaw:
        r"""Return the conditional law of the dual, :math:`J J^T/M`.

        Returns
        -------
        ChainLaw
            Gaussian and orthogonal weights enter by their ensembles, others by the law of their
            squared singular values: W A Wᵀ has the law of :math:`W^TW \boxtimes A`, of a corner
            of A if W has fewer rows than columns, padded with zeros if it has more.

        Raises
        ------
        ConvergenceError
            At the first look at the law's numbers, if the law does not balance.
        """
        moves: list[Move] = []
        ends = [0]
        for layer in range(1, self.depth):
            moves.append(Product(realised_gate(self.gates[layer - 1])))
            moves += _through(self.weights[layer], float(self.shifts[layer]))
            ends.append(len(moves))
        if len(self.gates) == self.depth:
            moves.append(Product(realised_gate(self.gates[-1])))
        return ChainLaw(Chain(float(self.shifts[0]), tuple(moves)), tuple(ends))

    def learning_rate(self, loss: str = "sum", momentum: float = 0.0) -> LearningRate:
        """Largest stable learning rate on this sample, by the conditional law.

        Parameters
        ----------
        loss, momentum
            As of `freefim.learning_rate`.

        Raises
        ------
        SpecError
            If an argument is out of range.
        ConvergenceError
            If the law cannot be computed.
        """
        assumptions = (
            "this network as it is: realised order parameters, gates and singular values",
            "singular vectors of the weights in random directions: training aligns them",
            "this input in every step",
            f"the edge of the law, about which λ_max fluctuates at width {self.width}",
        )
        top = self.width * self.law().support[1]
        return online_rate(top, self.widths[-1], loss, momentum, assumptions)


def _through(weights: WeightStatistics, shift: float) -> list[Move]:
    """Moves that make the law of W A Wᵀ + shift from that of A."""
    ratio = weights.fan_out / weights.fan_in
    if weights.ensemble == "gaussian":
        return [Gaussian(ratio, weights.weight_std**2), Affine(1.0, shift)]
    scale, stretch = 1.0, list[Move]()
    if weights.ensemble == "orthogonal":
        scale = weights.weight_std**2
    else:
        stretch = [Product(realised_gate(weights.squares))]
    if ratio < 1:
        return [Corner(ratio), *stretch, Affine(scale, shift)]
    padding: list[Move] = [Padding(1 / ratio)] if ratio > 1 else []
    return [*stretch, *padding, Affine(scale, shift)]
