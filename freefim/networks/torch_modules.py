"""Reading torch modules: sequences of linear layers and activations, as arrays and a network.

torch is imported inside the calls; what is read is arrays and activations of this package.
"""

from collections.abc import Callable, Iterator, Mapping
from dataclasses import dataclass
from fractions import Fraction
from functools import cached_property
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import MissingExtraError, SpecError
from freefim.networks import activations as own
from freefim.networks.activation_base import Activation
from freefim.networks.network import Network
from freefim.networks.torch_checks import (
    check_declared,
    check_numbers,
    check_unhooked,
    check_untied,
)
from freefim.networks.weight_statistics import WeightStatistics

__all__ = [
    "LinearLayer",
    "ModuleLayers",
    "input_vector",
    "read_module",
    "readable_modules",
    "torch",
]

Array = NDArray[np.float64]


def torch() -> Any:
    """Return the package torch; MissingExtraError if it is not installed."""
    try:
        import torch as package
    except ImportError as error:
        raise MissingExtraError("torch", "torch", "reading a torch module") from error
    return package


@dataclass(frozen=True, eq=False)
class LinearLayer:
    """A linear layer and what follows it.

    Attributes
    ----------
    path : str
        Its name in the module, as in ``named_modules()``.
    linear : torch.nn.Linear
    nonlinearity : torch.nn.Module or None
        The activation behind it, None if there is none.
    activation : Activation or None
        The same in this package.
    """

    path: str
    linear: Any
    nonlinearity: Any = None
    activation: Activation | None = None

    @cached_property
    def weights(self) -> WeightStatistics:
        """Measured statistics of the weights."""
        try:
            return WeightStatistics.of(_array(self.linear.weight))
        except SpecError as error:
            raise SpecError(f"module {self.path!r}: {error}") from None

    @property
    def bias_std(self) -> float:
        """Root mean square of the biases; 0 without any."""
        if self.linear.bias is None:
            return 0.0
        return float(np.sqrt(np.mean(np.square(_array(self.linear.bias)))))


@dataclass(frozen=True, eq=False)
class ModuleLayers:
    """The layers of a module, in order.

    Attributes
    ----------
    layers : tuple of LinearLayer, L entries
    """

    layers: tuple[LinearLayer, ...]

    @property
    def depth(self) -> int:
        """Number L of weight matrices."""
        return len(self.layers)

    @property
    def widths(self) -> tuple[int, ...]:
        """Widths M_0..M_L."""
        outs = (layer.linear.out_features for layer in self.layers)
        return (self.layers[0].linear.in_features, *outs)

    @property
    def width(self) -> int:
        """The reference width M: that of the widest hidden layer; without any, the output's."""
        return max(self.widths[1:-1], default=self.widths[-1])

    @property
    def width_ratios(self) -> tuple[Fraction, ...] | None:
        """Widths over the reference width, exact; None if all are equal."""
        if len(set(self.widths)) == 1:
            return None
        return tuple(Fraction(size, self.width) for size in self.widths)

    @property
    def activations(self) -> tuple[Activation, ...]:
        """φ of the hidden layers."""
        return tuple(layer.activation or own.Linear() for layer in self.layers[:-1])

    @property
    def final_activation(self) -> Activation | None:
        """φ of the output, None if it is linear."""
        return self.layers[-1].activation

    def network(
        self,
        input_second_moment: float,
        weights: Any = None,
        weight_std: Any = None,
        bias_std: Any = None,
    ) -> Network:
        """Describe the module as a random network.

        Parameters
        ----------
        input_second_moment : float
        weights, weight_std, bias_std : optional
            As for `Network`; what is not declared is measured.

        Raises
        ------
        SpecError
            If weights are neither Gaussian nor orthogonal and nothing is declared.
        """
        if weights is None:
            weights = [_ensemble(layer) for layer in self.layers]
        if weight_std is None:
            weight_std = [layer.weights.weight_std for layer in self.layers]
        if bias_std is None:
            bias_std = [layer.bias_std for layer in self.layers]
        return Network(
            self.depth,
            _merged(self.activations) or own.Linear(),
            weights=_merged(weights),
            weight_std=_merged(weight_std),
            bias_std=_merged(bias_std),
            input_second_moment=input_second_moment,
            width_ratios=self.width_ratios,
            final_activation=self.final_activation,
        )


def read_module(
    module: Any, activations: Mapping[type[Any], Activation] | None = None
) -> ModuleLayers:
    """Read the linear layers and activations of a module.

    Parameters
    ----------
    module : torch.nn.Module
        A Linear, or a Sequential, nested or not, of Linear layers, activations and what does
        nothing to a single input: Identity, Flatten, and Dropout in evaluation mode.
    activations : mapping of module type to Activation, optional
        What other elementwise modules are; they are tried on numbers of the order of 1.

    Raises
    ------
    SpecError
        At the first submodule that cannot be read; the message names its path and type. So are
        layers that share parameters, and modules that hooks or pruning may change.
    MissingExtraError
        If torch is not installed.
    """
    nn = torch().nn
    layers: list[LinearLayer] = []
    for path, part in _leaves(nn, module, ""):
        if _does_nothing(nn, part):
            continue
        if type(part) is nn.Linear:
            check_numbers(path, part)
            for layer in layers:
                check_untied(layer.path, layer.linear, path, part)
            if layers and layers[-1].linear.out_features != part.in_features:
                raise SpecError(
                    f"module {path!r} takes {part.in_features} numbers, "
                    f"{layers[-1].path!r} before it gives {layers[-1].linear.out_features}"
                )
            layers.append(LinearLayer(path, part))
            continue
        activation = _activation(nn, path, part, activations or {})
        if type(part) in (activations or {}):
            size = layers[-1].linear.out_features if layers else 1
            check_declared(path, part, activation, size)
        if not layers or layers[-1].nonlinearity is not None:
            before = "no Linear layer" if not layers else "another activation"
            raise SpecError(
                f"module {path!r} ({type(part).__name__}) must follow a Linear layer, "
                f"got {before} before it"
            )
        layers[-1] = LinearLayer(layers[-1].path, layers[-1].linear, part, activation)
    if not layers:
        raise SpecError(f"module must hold a Linear layer, got {type(module).__name__} without")
    return ModuleLayers(tuple(layers))


def readable_modules() -> list[type[Any]]:
    """Return the classes of torch that `read_module` knows; MissingExtraError without torch."""
    nn = torch().nn
    silent = [nn.Identity, nn.Flatten, nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout]
    return [nn.Sequential, nn.Linear, *silent, *_readers(nn)]


def input_vector(values: Any, size: int) -> Array:
    """Return one input as a flat float64 vector of `size` numbers, from a tensor or an array.

    Raises
    ------
    SpecError
        If it has another size, is not finite, or is 0.
    """
    if hasattr(values, "detach"):
        values = values.detach().cpu().resolve_conj().numpy()
    try:
        if np.iscomplexobj(values):
            raise TypeError
        vector = np.array(values, dtype=np.float64).ravel()
    except (TypeError, ValueError):
        raise SpecError(f"input must be an array of {size} numbers, got {values!r}") from None
    if vector.size != size:
        raise SpecError(f"input must be one input of {size} numbers, got shape {np.shape(values)}")
    if not np.isfinite(vector).all():
        place = int(np.argmin(np.isfinite(vector)))
        raise SpecError(f"input must be finite, got {vector[place]} at position {place}")
    if not vector.any():
        raise SpecError(f"input must not be the zero vector, got {size} zeros")
    return vector


def _array(tensor: Any) -> Array:
    return np.asarray(tensor.detach().cpu().double().numpy())


def _leaves(nn: Any, module: Any, path: str) -> Iterator[tuple[str, Any]]:
    """Submodules without children in the order they act, with their paths."""
    if not isinstance(module, nn.Module):
        raise SpecError(f"module must be a torch.nn.Module, got {module!r}")
    check_unhooked(path, module)
    if isinstance(module, nn.Sequential) and type(module).forward is nn.Sequential.forward:
        # a module may stand at several places: `named_children` would name it once
        for name, child in module.named_modules(remove_duplicate=False):
            if name and "." not in name:
                yield from _leaves(nn, child, f"{path}.{name}".lstrip("."))
    else:
        yield path, module


def _does_nothing(nn: Any, part: Any) -> bool:
    """Whether a module leaves a single input as it is."""
    if type(part) in (nn.Dropout, nn.AlphaDropout, nn.FeatureAlphaDropout):
        return not part.training or part.p == 0
    return type(part) in (nn.Identity, nn.Flatten)


def _activation(
    nn: Any, path: str, part: Any, declared: Mapping[type[Any], Activation]
) -> Activation:
    """Return the activation that a module is; SpecError if it is none or not known."""
    name = type(part).__name__
    if type(part) in declared:
        return own.activation(declared[type(part)])
    known = _readers(nn)
    if type(part) in known:
        found = known[type(part)](part)
        if found is not None:
            return found
        raise SpecError(f"module {path!r} cannot be read with these parameters: {part!r}")
    if isinstance(part, nn.Dropout | nn.AlphaDropout | nn.FeatureAlphaDropout):
        raise SpecError(f"module {path!r} ({name}) must be in evaluation mode: module.eval()")
    hint = ""
    if hasattr(part, "parametrizations"):
        hint = "; torch.nn.utils.parametrize.remove_parametrizations makes it a plain one"
    if isinstance(part, nn.Softmax | nn.LogSoftmax):
        hint = "; a softmax on the outputs is a head: leave it out, learning_rate knows it"
    names = ", ".join(sorted(kind.__name__ for kind in known))
    raise SpecError(
        f"module {path!r} is a {name}, which cannot be read: allowed are Sequential, Linear, "
        f"Identity, Flatten, Dropout and the activations {names}{hint}"
    )


def _readers(nn: Any) -> dict[type[Any], Callable[[Any], Activation | None]]:
    """How each activation of torch is read; None if its parameters are not known here."""
    return {
        nn.Tanh: lambda part: own.Tanh(),
        nn.ReLU: lambda part: own.ReLU(),
        nn.LeakyReLU: lambda part: own.LeakyReLU(part.negative_slope),
        nn.Hardtanh: lambda part: (
            own.HardTanh(float(part.max_val)) if part.min_val == -part.max_val else None
        ),
        nn.GELU: lambda part: own.GELU() if part.approximate == "none" else None,
        nn.SiLU: lambda part: own.SiLU(),
        nn.ELU: lambda part: own.ELU() if part.alpha == 1 else None,
        # beyond its threshold of 20 torch takes softplus for linear, off by 2e-9
        nn.Softplus: lambda part: (
            own.Softplus() if part.beta == 1 and part.threshold >= 20 else None
        ),
    }


def _ensemble(layer: LinearLayer) -> str:
    if layer.weights.ensemble is None:
        raise SpecError(
            f"the weights of module {layer.path!r} ({layer.weights.name}) are no random ensemble: "
            "declare weights='gaussian' or 'orthogonal', or ask for the law of this very network, "
            "freefim.interop.torch.realised"
        )
    return layer.weights.ensemble


def _merged(values: Any) -> Any:
    """One value for a sequence of equal ones; anything else as it is."""
    if isinstance(values, tuple | list) and len(set(values)) == 1:
        return values[0]
    return values
