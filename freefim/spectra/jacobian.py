r"""The input–output Jacobian of a deep random network.

:math:`J = \partial f/\partial x^0 = W_L D_{L-1} W_{L-1} \cdots D_1 W_1`: in the limit of infinite
width :math:`J J^T` has the law :math:`\boxtimes_l\,\sigma_w^2 \nu_l`, times a Marchenko–Pastur law
for every Gaussian matrix.
"""

from collections.abc import Collection
from dataclasses import dataclass
from math import sqrt
from typing import TYPE_CHECKING

from freefim.free.chains.chain import Chain, Move
from freefim.free.chains.chain_law import ChainLaw
from freefim.spectra.network_spectrum import NetworkSpectrum, layers_of

if TYPE_CHECKING:
    from freefim.montecarlo.networks import NetworkReplica

__all__ = ["Isometry", "Jacobian"]


@dataclass(frozen=True)
class Isometry:
    """How near a Jacobian is to an isometry: dynamical isometry has mean 1 and no variance.

    Attributes
    ----------
    mean, variance : float
        Of the squared singular values.
    mass_at_one : float
        Fraction of the singular values that are exactly 1.
    """

    mean: float
    variance: float
    mass_at_one: float


@dataclass(frozen=True)
class Jacobian(NetworkSpectrum):
    r"""Spectrum of J Jᵀ, J the Jacobian of the output by the input.

    Parameters
    ----------
    network : Network
        The description; a final activation counts.

    References
    ----------
    .. [1] J. Pennington, S. Schoenholz, S. Ganguli, *Resurrecting the sigmoid in deep learning
       through dynamical isometry*, NeurIPS 2017, and *The emergence of spectral universality in
       deep networks*, AISTATS 2018.

    Examples
    --------
    Orthogonal matrices and linear layers: every singular value is 1.

    >>> from freefim.networks.network import Network
    >>> Jacobian(Network(10, "linear")).law().atoms
    ((1.0, 1.0),)
    """

    @property
    def matrix(self) -> str:
        """J Jᵀ, by the input."""
        return "J J^T, J = df/dx"

    @property
    def differentiated(self) -> Collection[int]:
        """The input alone."""
        return (0,)

    def law(self, *, given: "NetworkReplica | None" = None) -> ChainLaw:
        """Limiting law of J Jᵀ, or the conditional law given a sampled network.

        Parameters
        ----------
        given : NetworkReplica, optional
            One sampled network: its realised gates take the place of their limits.

        Returns
        -------
        ChainLaw
            Its `layers` are the laws of the Jacobians of h¹, …, h^L by the input.

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
        ends = []
        for layer in range(1, self.network.depth + 1):
            moves += layers.through(layer)
            ends.append(len(moves))
            if layer <= len(layers.gates):
                moves.append(layers.gate(layer))
        expression = f"{self!r}.law()" if given is None else None
        return ChainLaw(Chain(1, tuple(moves)), tuple(ends), expression)

    def max_singular_value(self) -> float:
        """Largest singular value in the limit of infinite width."""
        return sqrt(self.law().support[1])

    def isometry(self) -> Isometry:
        """Mean and variance of the squared singular values, and how many are exactly 1.

        Examples
        --------
        >>> from freefim.networks.activations import HardTanh
        >>> from freefim.networks.network import Network
        >>> found = Jacobian(Network(5, HardTanh(cutoff=4.0))).isometry()
        >>> found.mean < 1 and 0.999 < found.mass_at_one < 1
        True
        """
        law = self.law()
        at_one = sum((mass for place, mass in law.atoms if abs(place - 1.0) <= _ROUNDING), 0.0)
        return Isometry(float(law.mean()), float(law.variance()), at_one)


_ROUNDING = 1e-12
