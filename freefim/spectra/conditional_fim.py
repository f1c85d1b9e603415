r"""The conditional Fisher information matrix of a deep random network: the FIM given one input.

The dual :math:`H_l = J J^T / M` of a network of depth l obeys, at any width,
:math:`H_1 = \hat q_0 I` and
:math:`H_{l+1} = \hat q_l I + W_{l+1} D_l H_l D_l W_{l+1}^T`: a chain of free operations in the
limit of infinite width (Hayase & Karakida, AISTATS 2021; freeness: Collins & Hayase 2022).
"""

from dataclasses import dataclass, replace
from fractions import Fraction
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING

from freefim.errors import SpecError
from freefim.free.chains.chain import Chain, Move, Padding
from freefim.free.chains.chain_law import ChainLaw
from freefim.spectra.network_spectrum import Layers, NetworkSpectrum, layers_of

if TYPE_CHECKING:
    from freefim.montecarlo.networks import NetworkReplica

__all__ = ["ConditionalFIM"]


@dataclass(frozen=True)
class ConditionalFIM(NetworkSpectrum):
    r"""Spectrum of the conditional Fisher information matrix: theory and witness of one network.

    Parameters
    ----------
    network : Network
        The description; with depth L there are L - 1 hidden layers.

    Notes
    -----
    The law is that of the dual :math:`J J^T / M`, M the reference width, in the standard
    parametrisation, and of :math:`J J^T` in the NTK one. Its eigenvalues times M (standard) are
    the nonzero eigenvalues of the Fisher information :math:`J^T J` of one input under a Gaussian
    likelihood of unit variance. Gradients with respect to all weights and biases.

    References
    ----------
    .. [1] T. Hayase, R. Karakida, *The Spectrum of Fisher Information of Deep Networks Achieving
       Dynamical Isometry*, AISTATS 2021.

    Examples
    --------
    Two hidden layers of orthogonal ReLU: half the mass at 1, an arcsine law on [3, 7]:

    >>> import math
    >>> from freefim.networks.network import Network
    >>> law = ConditionalFIM(Network(3, "relu", weight_std=2**0.5)).law()
    >>> [round(end, 12) for end in law.edges], float(round(law.pdf(5.0) * 4 * math.pi, 12))
    ([3.0, 7.0], 1.0)
    """

    @property
    def matrix(self) -> str:
        """The dual, by parameters."""
        return "J J^T / M" if self.network.parametrization == "standard" else "J J^T"

    def law(
        self,
        *,
        given: "NetworkReplica | None" = None,
        trivial_zeros: bool = False,
        width: int | None = None,
    ) -> ChainLaw:
        r"""Limiting law of the dual, or the conditional law given a sampled network.

        Parameters
        ----------
        given : NetworkReplica, optional
            One sampled network: its realised shifts and gates take the place of their limits.
        trivial_zeros : bool, optional
            The law of the P × P matrix itself, with its P - M_L zeros, under the same divisor
            (M in the standard parametrisation); needs `width`, unless `given` has one.
        width : int, optional
            The reference width M that fixes P; of no effect otherwise.

        Returns
        -------
        ChainLaw
            Its `layers` are the laws of depths 1, …, L (before a final activation).

        Raises
        ------
        SpecError
            If `given` was sampled from another network, or `width` is missing.
        ConvergenceError
            If an order parameter overflows, or, at the first look at the law's numbers, if the
            law does not balance.
        """
        layers = layers_of(self.network, given)
        if given is not None and width not in (None, given.width):
            raise SpecError(f"width must be that of the replica, {given.width}, got {width!r}")
        chain, ends = self._chain(layers)
        moves = list(chain.moves)
        expression = f"{self!r}.law()" if given is None else None
        if trivial_zeros:
            moves.append(Padding(self._share_of_outputs(given.width if given else width)))
        if trivial_zeros and given is None:
            expression = f"{self!r}.law(trivial_zeros=True, width={width!r})"
        return ChainLaw(Chain(chain.start, tuple(moves)), ends, expression)

    def max_learning_rate(
        self,
        width: int | None = None,
        loss: str = "sum",
        outputs: int | None = None,
        momentum: float = 0.0,
    ) -> float:
        r"""Largest stable learning rate of gradient descent on a single sample.

        Gradient descent on :math:`\tfrac12 |f - y|^2` is stable iff
        :math:`\eta < 2(1 + \mu)/\lambda_{\max}` of the matrix :math:`J J^T`.

        Parameters
        ----------
        width : int, optional
            Reference width M; needed where the answer depends on it. Where it is known, biases
            count with their share 1/M of the dual, which is not small in a network whose signal
            fades to :math:`\hat q_l\lesssim 1/M`, as torch starts its layers.
        loss : {"sum", "mean"}, optional
            Whether the squared errors are added or averaged over the outputs.
        outputs : int, optional
            A fixed number C of outputs: the dual is then mean(law)·I, so the mean of the law
            takes the place of its maximum. By default the M_L outputs of the network. A final
            activation multiplies by its φ'(h)² at each output, here by the largest possible.
        momentum : float, optional
            Momentum μ in [0, 1).

        Returns
        -------
        float
            In the standard parametrisation 2(1+μ)/(M λ_max) for the sum, 2(1+μ) M_L/(M λ_max)
            for the mean over M_L outputs; in the NTK one the same without M.

        Raises
        ------
        SpecError
            If an argument is out of range, or `width` is needed and missing.
        """
        if loss not in ("sum", "mean"):
            raise SpecError(f"loss must be 'sum' or 'mean', got {loss!r}")
        if not (isinstance(momentum, Real) and 0.0 <= momentum < 1.0):
            raise SpecError(f"momentum must be in [0, 1), got {momentum!r}")
        for name, value in (("width", width), ("outputs", outputs)):
            if value is not None and (
                isinstance(value, bool) or not isinstance(value, Integral) or value < 1
            ):
                raise SpecError(f"{name} must be an integer >= 1, got {value!r}")
        standard = self.network.parametrization == "standard"
        ratio = float(self.network.ratios[-1])
        if loss == "mean" and outputs is None and standard:
            return 2.0 * (1.0 + momentum) * ratio / self._law_at(width).support[1]
        if width is None and (standard or (loss == "mean" and outputs is None)):
            raise SpecError(
                f"width must be given for loss={loss!r} in the {self.network.parametrization} "
                f"parametrization, got None"
            )
        size = float(width or 1)
        top = self._mean_of_few_outputs(width) if outputs else self._law_at(width).support[1]
        largest = top * size if standard else top
        averaged = 1.0 if loss == "sum" else (ratio * size if outputs is None else outputs)
        return 2.0 * (1.0 + momentum) * averaged / largest

    def _share_of_outputs(self, width: int | None) -> float:
        """M_L / P: the outputs over the parameters, biases counted where there are any."""
        if width is None:
            raise SpecError("width must be given for the law with its trivial zeros, got None")
        net = self.network
        widths = net.widths(width)
        weights = sum(a * b for a, b in pairwise(widths))
        biases = sum(n for n, std in zip(widths[1:], net.bias_stds, strict=True) if std > 0)
        return widths[-1] / (weights + biases)

    def _chain(self, layers: Layers) -> tuple[Chain, tuple[int, ...]]:
        """Operations that make the dual, and how many of them each depth takes."""
        moves: list[Move] = []
        ends = [0]
        for layer in range(1, self.network.depth):
            moves.append(layers.gate(layer))
            moves += layers.through(layer + 1, layers.shifts[layer])
            ends.append(len(moves))
        if self.network.final_activation is not None:
            moves.append(layers.gate(self.network.depth))
        return Chain(layers.shifts[0], tuple(moves)), tuple(ends)

    def _law_at(self, width: int | None) -> ChainLaw:
        """The limiting law with the share of the biases at a width; without it if None."""
        if width is None or self.network.parametrization == "ntk":
            return self.law()
        layers = layers_of(self.network)
        share = Fraction(1, int(width))
        biased = zip(layers.shifts, self.network.bias_stds, strict=True)
        shifts = [shift + share if std > 0 else shift for shift, std in biased]
        return ChainLaw(*self._chain(replace(layers, shifts=shifts)))

    def _mean_of_few_outputs(self, width: int | None) -> float:
        """Mean of the law when the last layer is narrow: C outputs are a corner, not a padding."""
        net = self.network
        ratios = (*net.ratios[:-1], min(net.ratios[-2], net.ratios[-1]))
        narrow = ConditionalFIM(net.replace(width_ratios=ratios, final_activation=None))
        mean = float(narrow._law_at(width).mean())
        if net.final_activation is None:
            return mean
        return mean * layers_of(self.network).gates[-1].maximum
