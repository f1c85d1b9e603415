"""Spectra of one network: the chain that its layers make, in the limit or as it was sampled."""

from abc import abstractmethod
from collections.abc import Callable, Collection
from concurrent.futures import Executor
from dataclasses import dataclass, field
from fractions import Fraction
from itertools import pairwise
from typing import TYPE_CHECKING, Any

from numpy.typing import ArrayLike

from freefim.errors import SpecError
from freefim.free.chains.chain import Affine, Corner, Gaussian, Move, Padding, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import Leaf, TwoPoint
from freefim.networks.activations import Abs, Activation, LeakyReLU, Linear, ReLU
from freefim.networks.gates import gate_law, realised_gate
from freefim.networks.network import Network
from freefim.networks.order_parameters import order_parameters
from freefim.spectra.spectrum import Spectrum

if TYPE_CHECKING:
    from freefim.montecarlo.networks import NetworkReplica, NetworkSample

__all__ = ["Layers", "NetworkSpectrum", "layers_of"]

_HOMOGENEOUS = Linear | Abs | ReLU | LeakyReLU
# Ratios of widths this close to 1 are 1, up to rounding.
_SQUARE = 1e-15


@dataclass(frozen=True)
class NetworkSpectrum(Spectrum):
    """A spectrum of a network at one input.

    Parameters
    ----------
    network : Network
        The description; with depth L there are L - 1 hidden layers.
    """

    network: Network

    def __post_init__(self) -> None:
        if not isinstance(self.network, Network):
            raise SpecError(f"network must be a Network, got {self.network!r}")

    @property
    def differentiated(self) -> Collection[int]:
        """Layers 1..L by whose parameters the output is differentiated; 0 is the input."""
        return range(1, self.network.depth + 1)

    @abstractmethod
    def law(self, *, given: "NetworkReplica | None" = None) -> ChainLaw:
        """Limiting law, or the conditional law given a sampled network.

        Parameters
        ----------
        given : NetworkReplica, optional
            One sampled network: its realised shifts and gates take the place of their limits.

        Raises
        ------
        SpecError
            If `given` was sampled from another network.
        ConvergenceError
            If an order parameter overflows, or, at the first look at the law's numbers, if the
            law does not balance.
        """

    def conditional_law(self, replica: Any) -> ChainLaw:
        """Law of one sampled network: its realised order parameters and gates."""
        return self.law(given=replica)

    def sample(
        self,
        width: int,
        replicas: int = 8,
        seed: int = 0,
        *,
        input: ArrayLike | None = None,
        executor: Executor | None = None,
        progress: Callable[[int, int], None] | None = None,
    ) -> "NetworkSample":
        """Eigenvalues of sampled networks; see `freefim.sample_networks`."""
        from freefim.montecarlo.networks import sample_networks

        return sample_networks(
            self.network,
            width,
            replicas,
            seed,
            input=input,
            executor=executor,
            progress=progress,
            layers=self.differentiated,
        )


@dataclass(frozen=True)
class Layers:
    """What the layers of a network contribute to its spectra.

    Attributes
    ----------
    shifts : list of number, length L
        What the parameters of each layer add to the dual.
    gates : list of Leaf
        Law of φ'(h)² of every hidden layer, then of the output under a final activation.
    ensembles : tuple of str, length L
    ratios : list of number, length L
        Rows over columns of each weight matrix.
    variances : list of number, length L
        σ_w² of each layer.
    """

    shifts: list[Any]
    gates: list[Leaf]
    ensembles: tuple[str, ...]
    ratios: list[Any]
    variances: list[Any]
    _shared: dict[Any, list[Move]] = field(default_factory=dict, repr=False, compare=False)

    def through(self, layer: int, shift: Any = 0) -> list[Move]:
        """Moves that make the law of W A Wᵀ + shift from that of A, W of layer 1..L."""
        ratio, variance = self.ratios[layer - 1], self.variances[layer - 1]
        if shift:
            return self._moves(layer, ratio, variance, shift)
        # layers that are alike share their moves
        key = self.ensembles[layer - 1], ratio, variance
        if key not in self._shared:
            self._shared[key] = self._moves(layer, ratio, variance, shift)
        return self._shared[key]

    def _moves(self, layer: int, ratio: Any, variance: Any, shift: Any) -> list[Move]:
        if self.ensembles[layer - 1] == "gaussian":
            moves: list[Move] = [Gaussian(ratio, variance)]
            return [*moves, Affine(1, shift)] if shift else moves
        scaled = Affine(variance, shift)
        if abs(ratio - 1) <= _SQUARE:
            return [scaled]
        return [Corner(ratio), scaled] if ratio < 1 else [Padding(1 / ratio), scaled]

    def gate(self, layer: int) -> Move:
        """Product with the gate behind layer 1..L."""
        gate = self.gates[layer - 1]
        if id(gate) not in self._shared:
            self._shared[id(gate)] = [Product(gate)]
        return self._shared[id(gate)][0]


def layers_of(net: Network, given: "NetworkReplica | None" = None) -> Layers:
    """Layers in the limit of infinite width, or those of one sampled network.

    Raises
    ------
    SpecError
        If `given` was sampled from another network.
    ConvergenceError
        If an order parameter overflows.
    """
    if given is None:
        shifts, gates = _limits(net)
        sizes = net.ratios
    elif getattr(given, "source", None) == net:
        shifts, gates = given.shifts.tolist(), [realised_gate(values) for values in given.gates]
        # a sampled network has whole widths, the limit the ratios as they are described
        sizes = net.widths(given.width)
    else:
        raise SpecError(f"given must be a replica of this network, got {given!r}")
    number = Fraction if isinstance(shifts[0], Fraction) else float
    return Layers(
        shifts,
        gates,
        net.ensembles,
        [number(after) / number(before) for before, after in pairwise(sizes)],
        [number(std) ** 2 for std in net.weight_stds],
    )


def _limits(net: Network) -> tuple[list[Any], list[Leaf]]:
    """Shift of every layer and gate of every hidden layer in the limit of infinite width."""
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
    gates: list[Leaf] = []
    alike: dict[Activation, Leaf] = {}
    for phi, q in zip(activations, variances, strict=True):
        gate = alike.get(phi)
        if gate is None:
            gate = make(phi, q)
            if isinstance(phi, _HOMOGENEOUS):
                # the gate is the same at every variance, and shared by its layers
                alike[phi] = gate
        gates.append(gate)
    return shifts, gates


def _is_rational(net: Network) -> bool:
    """Whether the chain of the network consists of rationals: so are its moments, then."""
    activations = {*net.activations, net.final_activation}
    numbers = {*net.weight_stds, *net.bias_stds, *net.ratios, net.input_second_moment}
    slopes = [phi.negative_slope for phi in activations if isinstance(phi, LeakyReLU)]
    return all(phi is None or isinstance(phi, _HOMOGENEOUS) for phi in activations) and all(
        isinstance(value, int | Fraction) or float(value).is_integer()
        for value in (*numbers, *slopes)
    )


def _exact_gate(activation: Any, _: Any) -> TwoPoint:
    """The gate of a positively homogeneous activation: the same at every variance."""
    gate = activation.gate_two_point(1)
    low, high, mass = Fraction(gate.low), Fraction(gate.high), Fraction(gate.mass)
    return TwoPoint(low, high, mass, 1 - mass)
