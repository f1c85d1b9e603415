"""The description of a random deep network: frozen, validated, comparable."""

from __future__ import annotations

import dataclasses
import os
from collections.abc import Mapping, Sized
from dataclasses import KW_ONLY, dataclass
from functools import cached_property
from itertools import groupby
from typing import Any, TypeVar

from freefim.errors import SpecError
from freefim.networks.activations import Activation, activation
from freefim.networks.checks import Number, count, each, nearest, nonnegative, one_of, positive
from freefim.networks.order_parameters import OrderParameters, order_parameters

__all__ = ["Network"]

T = TypeVar("T")

ENSEMBLES = ("gaussian", "orthogonal")
PARAMETRIZATIONS = ("standard", "ntk")


# Far beyond what the calculus resolves; a mistyped depth shall not fill the memory.
_DEEPEST = 100_000


@dataclass(frozen=True)
class Network:
    r"""A random deep network :math:`h^l = W_l x^{l-1} + b_l`, :math:`x^l = \varphi(h^l)`.

    Parameters
    ----------
    depth : int
        Number L of weight matrices, >= 1; the L-1 first layers are hidden.
    activation : str, Activation or a sequence of L-1 of them
        φ of the hidden layers.
    weights : {"gaussian", "orthogonal"} or a sequence of L of them
        Ensemble of the weights. Orthogonal weights have orthonormal rows (fan_out <= fan_in)
        or columns (fan_out > fan_in), times `weight_std`.
    weight_std : number or a sequence of L numbers
        σ_w > 0; Gaussian weights have the variance σ_w² / fan_in.
    bias_std : number or a sequence of L numbers
        σ_b >= 0.
    input_second_moment : number
        :math:`\hat q_0 = |x|^2/M_0 > 0`.
    width_ratios : sequence of L+1 or L numbers, optional
        :math:`M_0..M_L` over the reference width M, each > 0; None is a square network. With L
        entries the last layer has no width of its own: statistics take its number of `outputs`.
    parametrization : {"standard", "ntk"}
        Which parameters the Fisher information differentiates.
    final_activation : str or Activation, optional
        If given, the output is φ(h^L) instead of h^L.

    Raises
    ------
    SpecError
        If a field does not mean anything; the message names it, its value and what is allowed.

    Notes
    -----
    Integers and fractions are kept as they are, so that exact moments stay exact.

    Examples
    --------
    >>> net = Network(depth=3, activation="relu", weight_std=2**0.5)
    >>> net.replace(depth=5).replace(depth=3) == net
    True
    """

    depth: int
    activation: Activation | tuple[Activation, ...]
    _: KW_ONLY
    weights: str | tuple[str, ...] = "orthogonal"
    weight_std: Number | tuple[Number, ...] = 1.0
    bias_std: Number | tuple[Number, ...] = 0.0
    input_second_moment: Number = 1.0
    width_ratios: tuple[Number, ...] | None = None
    parametrization: str = "standard"
    final_activation: Activation | None = None

    def __post_init__(self) -> None:
        depth = count("depth", self.depth)
        if depth > _DEEPEST:
            raise SpecError(f"depth must be an integer from 1 to {_DEEPEST}, got {depth!r}")
        settle = object.__setattr__
        settle(self, "depth", depth)
        settle(self, "activation", each("activation", self.activation, depth - 1, _activation))
        settle(self, "weights", each("weights", self.weights, depth, _ensemble))
        settle(self, "weight_std", each("weight_std", self.weight_std, depth, positive))
        settle(self, "bias_std", each("bias_std", self.bias_std, depth, nonnegative))
        moment = positive("input_second_moment", self.input_second_moment)
        settle(self, "input_second_moment", moment)
        if self.width_ratios is not None:
            settle(self, "width_ratios", _ratios(self.width_ratios, depth))
        one_of("parametrization", self.parametrization, PARAMETRIZATIONS)
        if self.final_activation is not None:
            last = _activation("final_activation", self.final_activation)
            settle(self, "final_activation", last)

    def __repr__(self) -> str:
        fields = (item.name for item in dataclasses.fields(self))
        return f"Network({', '.join(f'{name}={_short(getattr(self, name))}' for name in fields)})"

    @cached_property
    def activations(self) -> tuple[Activation, ...]:
        """φ of the L-1 hidden layers."""
        return _spread(self.activation, self.depth - 1)

    @cached_property
    def ensembles(self) -> tuple[str, ...]:
        """Ensemble of the L weight matrices."""
        return _spread(self.weights, self.depth)

    @cached_property
    def weight_stds(self) -> tuple[Number, ...]:
        """σ_w of the L weight matrices, as given."""
        return _spread(self.weight_std, self.depth)

    @cached_property
    def bias_stds(self) -> tuple[Number, ...]:
        """σ_b of the L layers, as given."""
        return _spread(self.bias_std, self.depth)

    @cached_property
    def ratios(self) -> tuple[Number, ...]:
        """Widths M_0..M_L over the reference width; L+1 ones if the network is square.

        SpecError if `width_ratios` leaves the width of the last layer open.
        """
        if self.width_ratios is not None and len(self.width_ratios) == self.depth:
            raise SpecError(
                f"width_ratios must have the {self.depth + 1} entries M_0..M_L for a spectrum, got "
                f"the {self.depth} entries {self.width_ratios!r}, which fit statistics only"
            )
        return _spread(1.0 if self.width_ratios is None else self.width_ratios, self.depth + 1)

    @cached_property
    def hidden_ratios(self) -> tuple[Number, ...]:
        """Widths M_0..M_{L-1} over the reference width: the input and the hidden layers."""
        return (1.0,) * self.depth if self.width_ratios is None else self.width_ratios[: self.depth]

    def widths(self, width: int) -> tuple[int, ...]:
        """Widths M_0..M_L at the reference width `width`.

        Parameters
        ----------
        width : int
            The reference width M, >= 1.

        Returns
        -------
        tuple of int, L+1 entries
            ``round(ratio * width)``.

        Raises
        ------
        SpecError
            If `width` is not an integer >= 1 or a layer would have no unit.

        Examples
        --------
        >>> Network(1, "relu", width_ratios=[0.5, 1]).widths(100)
        (50, 100)
        """
        reference = count("width", width)
        widths = tuple(round(ratio * reference) for ratio in self.ratios)
        if min(widths) < 1:
            layer = widths.index(min(widths))
            raise SpecError(
                f"width must give every layer at least one unit, got width={width} "
                f"with width_ratios[{layer}]={self.ratios[layer]!r}"
            )
        return widths

    def replace(self, **changes: Any) -> Network:
        """Return a network with some fields changed.

        Parameters
        ----------
        **changes
            Fields of `Network` by name.

        Returns
        -------
        Network
            The changed network; this one stays as it is.

        Raises
        ------
        SpecError
            If there is no such field, or the new value does not fit.

        Examples
        --------
        >>> Network(2, "tanh").replace(depth=10).depth
        10
        """
        names = [item.name for item in dataclasses.fields(self)]
        for key in changes:
            if key not in names:
                raise SpecError(
                    f"replace takes the fields {', '.join(names)}, got {key!r}{nearest(key, names)}"
                )
        return dataclasses.replace(self, **changes)

    def order_parameters(self) -> OrderParameters:
        r"""Mean-field order parameters in the limit of infinite width.

        Returns
        -------
        OrderParameters
            Second moments, preactivation variances and χ₁ of every layer.

        Raises
        ------
        ConvergenceError
            If a variance overflows or vanishes on the way; the message names the layer.

        Examples
        --------
        >>> Network(3, "linear", weight_std=1).order_parameters().second_moments
        (1.0, 1.0, 1.0, 1.0)
        """
        return self._order_parameters

    @classmethod
    def from_toml(cls, path: str | os.PathLike[str]) -> Network:
        """Read a network file.

        Parameters
        ----------
        path : path-like
            A TOML file with the fields of `Network` under ``[network]``; an activation with
            parameters is a table, as in ``activation = {name = "hard_tanh", cutoff = 3.0}``.

        Returns
        -------
        Network
            The network it describes.

        Raises
        ------
        SpecError
            If the file cannot be read or describes no network; the message names the file.
        """
        from freefim.networks.files import read_network

        return read_network(path)

    @classmethod
    def from_torch(
        cls,
        module: Any,
        input: Any = None,
        *,
        activations: Mapping[type[Any], Activation] | None = None,
        weights: Any = None,
        weight_std: Any = None,
        bias_std: Any = None,
    ) -> Network:
        """Read a torch module; see `freefim.interop.torch` for laws of the very network.

        Parameters
        ----------
        module : torch.nn.Module
            A Linear, or a Sequential, nested or not, of Linear layers, activations, Identity,
            Flatten, and Dropout in evaluation mode.
        input : array_like or tensor, optional
            One input, for `input_second_moment`; without it 1.
        activations : mapping of module type to Activation, optional
            What other elementwise modules are.
        weights, weight_std, bias_std : optional
            As fields of `Network`; what is not declared is measured. The reference width is that
            of the widest hidden layer.

        Returns
        -------
        Network
            In the standard parametrisation.

        Raises
        ------
        SpecError
            At the first submodule that cannot be read, which the message names with its path, or
            if weights are neither Gaussian nor orthogonal and nothing is declared.
        MissingExtraError
            If torch is not installed.
        """
        from freefim.networks.torch_modules import input_vector, read_module

        read = read_module(module, activations)
        second_moment = 1.0
        if input is not None:
            vector = input_vector(input, read.widths[0])
            second_moment = float(vector @ vector) / vector.size
        return read.network(second_moment, weights, weight_std, bias_std)

    def to_toml(self, path: str | os.PathLike[str]) -> None:
        """Write a network file that `from_toml` reads back exactly.

        Parameters
        ----------
        path : path-like
            The file to write, whole or not at all.

        Raises
        ------
        SpecError
            If an activation holds Python callables, or the file cannot be written.
        """
        from freefim.networks.files import write_network

        write_network(self, path)

    @cached_property
    def _order_parameters(self) -> OrderParameters:
        return order_parameters(self)


def _spread(value: T | tuple[T, ...], length: int) -> tuple[T, ...]:
    return value if isinstance(value, tuple) else (value,) * length


def _activation(name: str, value: Any) -> Activation:
    try:
        return activation(value)
    except SpecError as error:
        raise SpecError(str(error).replace("activation", name, 1)) from None


def _ratios(value: Any, depth: int) -> tuple[Number, ...]:
    array = isinstance(value, Sized) and getattr(value, "ndim", 1) == 1
    open_end = array and len(value) == depth
    ratios = each("width_ratios", value, depth if open_end else depth + 1, positive)
    if isinstance(ratios, tuple):
        return ratios
    raise SpecError(
        f"width_ratios must be None or a sequence of {depth + 1} numbers "
        f"for depth={depth}, got {value!r}"
    )


def _ensemble(name: str, value: Any) -> str:
    return one_of(name, value, ENSEMBLES)


def _short(value: Any) -> str:
    """The repr of a field; long runs of one value in a sequence as a product."""
    if not isinstance(value, tuple):
        return repr(value)
    runs = [(item, len(list(run))) for item, run in groupby(value)]
    parts = [
        part
        for item, n in runs
        for part in ([f"*({item!r},) * {n}"] if n > 3 else [repr(item)] * n)
    ]
    return f"({', '.join(parts)}{',' if len(parts) == 1 else ''})"
