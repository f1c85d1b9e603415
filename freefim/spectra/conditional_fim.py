r"""The conditional Fisher information matrix of a deep random network: the FIM given one input.

The dual :math:`H_l = J J^T / M` of a network of depth l obeys, at any width,
:math:`H_1 = \hat q_0 I` and
:math:`H_{l+1} = \hat q_l I + W_{l+1} D_l H_l D_l W_{l+1}^T`: a chain of free operations in the
limit of infinite width (Hayase & Karakida, AISTATS 2021; freeness: Collins & Hayase 2022).
"""

from collections.abc import Callable
from concurrent.futures import Executor
from dataclasses import dataclass
from fractions import Fraction
from functools import partial
from itertools import pairwise
from numbers import Integral, Real
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Chain, Corner, Gaussian, Move, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import Leaf, TwoPoint
from freefim.networks.activations import Abs, LeakyReLU, Linear, ReLU
from freefim.networks.gates import gate_law, realised_gate
from freefim.networks.network import Network
from freefim.networks.order_parameters import order_parameters

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import EmpiricalSpectrum, Replica
    from freefim.validation.report import ValidationReport

__all__ = ["ConditionalFIM"]


@dataclass(frozen=True)
class ConditionalFIM:
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

    network: Network

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise SpecError(f"network must be a Network, got {self.network!r}")

    def law(
        self,
        *,
        given: "Replica | None" = None,
        trivial_zeros: bool = False,
        width: int | None = None,
    ) -> ChainLaw:
        r"""Limiting law of the dual, or the conditional law given a sampled network.

        Parameters
        ----------
        given : Replica, optional
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
        if given is not None and getattr(given, "network", None) != self.network:
            raise SpecError(f"given must be a replica of this network, got {given!r}")
        if given is not None and width not in (None, given.width):
            raise SpecError(f"width must be that of the replica, {given.width}, got {width!r}")
        shifts, gates = self._limits() if given is None else self._realised(given)
        moves: list[Move] = []
        ends = [0]
        net = self.network
        number = Fraction if isinstance(shifts[0], Fraction) else float
        # a sampled network has whole widths, the limit the ratios as they are described
        sizes = net.ratios if given is None else net.widths(given.width)
        for layer in range(1, net.depth):
            moves.append(Product(gates[layer - 1]))
            variance = number(net.weight_stds[layer]) ** 2
            moves += _weight_moves(
                net.ensembles[layer],
                number(sizes[layer + 1]) / number(sizes[layer]),
                variance,
                shifts[layer],
            )
            ends.append(len(moves))
        if net.final_activation is not None:
            moves.append(Product(gates[-1]))
        expression = f"{self!r}.law()" if given is None else None
        if trivial_zeros:
            moves.append(Padding(self._share_of_outputs(given.width if given else width)))
        if trivial_zeros and given is None:
            expression = f"{self!r}.law(trivial_zeros=True, width={width!r})"
        return ChainLaw(Chain(shifts[0], tuple(moves)), tuple(ends), expression)

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        input: ArrayLike | None = None,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "EmpiricalSpectrum":
        """Eigenvalues of the dual of sampled networks; see `freefim.sample_networks`."""
        from freefim.montecarlo.sampler import sample_networks

        return sample_networks(
            self.network, width, replicas, seed, input=input, executor=executor, progress=progress
        )

    def validate(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "ValidationReport":
        """Compare the law with sampled networks: moments, distances, atoms, edges, a verdict.

        Parameters
        ----------
        width : int
            Reference width M, at least 2.
        replicas : int, optional
            Networks sampled at width M, and as many at M/2; at least 2.
        seed : int, optional
            Seed of the sample.
        executor, progress : optional
            As for `sample`; progress counts replicas sampled and laws compared.

        Returns
        -------
        ValidationReport
            ``print`` shows it; `passed` is the verdict, `reasons` say why not.

        Raises
        ------
        SpecError
            If `width`, `replicas` or `seed` is out of range.
        ConvergenceError
            If a law or a replica cannot be computed.

        Examples
        --------
        >>> from freefim.networks.network import Network
        >>> net = Network(3, "relu", weight_std=2**0.5)
        >>> ConditionalFIM(net).validate(width=64, replicas=4).verdict
        'PASS'
        """
        from freefim.validation import validate

        return validate(
            self.law(),
            lambda replica: self.law(given=replica),
            partial(self.sample, executor=executor),
            width,
            replicas,
            seed,
            progress,
        )

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
            Reference width M; needed where the answer depends on it.
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
            return 2.0 * (1.0 + momentum) * ratio / self.law().support[1]
        if width is None and (standard or (loss == "mean" and outputs is None)):
            raise SpecError(
                f"width must be given for loss={loss!r} in the {self.network.parametrization} "
                f"parametrization, got None"
            )
        size = float(width or 1)
        top = self.law().support[1] if outputs is None else self._mean_of_few_outputs()
        largest = top * size if standard else top
        averaged = 1.0 if loss == "sum" else (ratio * size if outputs is None else outputs)
        return 2.0 * (1.0 + momentum) * averaged / largest

    def _limits(self) -> tuple[list[Any], list[Leaf]]:
        """Shift of every layer and gate of every hidden layer in the limit of infinite width."""
        net = self.network
        exact = _is_rational(net)
        number = Fraction if exact else float
        order = order_parameters(net, Fraction) if exact else net.order_parameters()
        # the second moments of the inputs of the layers; that of the output enters no shift
        inputs = order.second_moments[:-1]
        if net.parametrization == "ntk":
            parameters = zip(net.weight_stds, net.bias_stds, inputs, strict=True)
            shifts = [number(std) ** 2 * q + number(bias) ** 2 for std, bias, q in parameters]
        else:
            shifts = [q * number(r) for q, r in zip(inputs, net.ratios[:-1], strict=True)]
        activations = list(net.activations)
        if net.final_activation is not None:
            activations.append(net.final_activation)
        variances = order.preactivation_variances[: len(activations)]
        make = _exact_gate if exact else gate_law
        return shifts, [make(phi, q) for phi, q in zip(activations, variances, strict=True)]

    def _realised(self, replica: "Replica") -> tuple[list[Any], list[Leaf]]:
        return replica.shifts.tolist(), [realised_gate(values) for values in replica.gates]

    def _share_of_outputs(self, width: int | None) -> float:
        """M_L / P: the outputs over the parameters, biases counted where there are any."""
        if width is None:
            raise SpecError("width must be given for the law with its trivial zeros, got None")
        net = self.network
        widths = net.widths(width)
        weights = sum(a * b for a, b in pairwise(widths))
        biases = sum(n for n, std in zip(widths[1:], net.bias_stds, strict=True) if std > 0)
        return widths[-1] / (weights + biases)

    def _mean_of_few_outputs(self) -> float:
        """Mean of the law when the last layer is narrow: C outputs are a corner, not a padding."""
        net = self.network
        ratios = (*net.ratios[:-1], min(net.ratios[-2], net.ratios[-1]))
        narrow = ConditionalFIM(net.replace(width_ratios=ratios, final_activation=None))
        mean = float(narrow.law().mean())
        if net.final_activation is None:
            return mean
        return mean * self._limits()[1][-1].maximum


def _is_rational(net: Network) -> bool:
    """Whether the chain of the network consists of rationals: so are its moments, then."""
    activations = (*net.activations, net.final_activation)
    numbers = (*net.weight_stds, *net.bias_stds, *net.ratios, net.input_second_moment)
    slopes = [phi.negative_slope for phi in activations if isinstance(phi, LeakyReLU)]
    return all(
        phi is None or isinstance(phi, Linear | Abs | ReLU | LeakyReLU) for phi in activations
    ) and all(
        isinstance(value, int | Fraction) or float(value).is_integer()
        for value in (*numbers, *slopes)
    )


def _exact_gate(activation: Any, _: Any) -> TwoPoint:
    """The gate of a positively homogeneous activation: the same at every variance."""
    gate = activation.gate_two_point(1)
    low, high, mass = Fraction(gate.low), Fraction(gate.high), Fraction(gate.mass)
    return TwoPoint(low, high, mass, 1 - mass)


def _weight_moves(ensemble: str, ratio: Any, variance: Any, shift: Any) -> list[Move]:
    """W A Wᵀ + shift for a weight matrix of rows/columns = `ratio`."""
    if ensemble == "gaussian":
        return [Gaussian(ratio, variance), Affine(1, shift)]
    if abs(ratio - 1) <= 1e-15:
        return [Affine(variance, shift)]
    if ratio < 1:
        return [Corner(ratio), Affine(variance, shift)]
    return [Padding(1 / ratio), Affine(variance, shift)]
