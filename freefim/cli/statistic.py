"""What the verbs `statistics` and `scan` are about: statistics of a network, or its spectrum."""

from __future__ import annotations

from argparse import Namespace
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, fields
from typing import Any

from freefim.cli.arguments import value
from freefim.cli.arrays import mean_square, read_matrix
from freefim.cli.problem import named, with_input
from freefim.errors import SpecError
from freefim.networks.files import read_network
from freefim.networks.network import Network
from freefim.networks.pairs import correlation_of
from freefim.spectra.catalogue import SPECTRA, spectrum_by_name
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.softmax import SoftmaxFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

__all__ = ["Question", "with_data"]

MATRICES: dict[str, type[Any]] = {
    "fisher": FisherStatistics,
    "layer-fisher": LayerFisher,
    "tangent-kernel": NeuralTangentKernelStatistics,
    "feature-metric": FeatureMetric,
}
_OF_STATISTICS = (
    "width", "samples", "outputs", "matrix", "head", "input_correlation", "data", "seed",
)  # fmt: skip


@dataclass(frozen=True)
class Question:
    """A spectrum or a statistic, and where it came from.

    Parameters
    ----------
    thing : Spectrum or statistic
    network : Network or None
        The description; with data, completed by their length and mean square.
    provenance : dict
        In words and numbers that JSON holds.
    varied : mapping of str to sequence
        The fields that are scanned over, and their values.
    """

    thing: Any
    network: Network | None
    provenance: dict[str, Any]
    varied: Mapping[str, Sequence[Any]]

    @classmethod
    def of_statistics(
        cls, arguments: Namespace, varied: Mapping[str, Sequence[Any]] | None = None
    ) -> Question:
        """Read a statistic; a needed field that is varied starts with its first value.

        Raises
        ------
        SpecError
            If a file or a combination of options does not mean anything.
        """
        varied = varied or {}
        if arguments.network is None:
            raise SpecError("statistics need a network file: NETWORK.toml")
        net = read_network(arguments.network)
        kind, options = _kind(arguments.matrix or "fisher", arguments.head)
        sizes = {name: getattr(arguments, name) for name in ("width", "samples", "outputs")}
        provenance: dict[str, Any] = {"network_file": arguments.network}
        correlation = arguments.input_correlation or 0.0
        if arguments.data is not None:
            if arguments.input_correlation is not None:
                raise SpecError("--input-correlation is that of the data, give it or --data")
            if "width" in varied:
                raise SpecError(
                    "--vary width cannot go with --data, whose columns fix the input layer"
                )
            net, correlation = with_data(arguments, net, sizes)
            provenance |= {"data_file": arguments.data, "normalize": arguments.normalize}
        elif arguments.normalize != "none":
            raise SpecError(f"--normalize {arguments.normalize} needs data: --data FILE")
        for name, size in sizes.items():
            if size is None and name not in varied:
                raise SpecError(f"statistics need the number of {name}: --{name}")
        allowed = [item.name for item in fields(kind)]
        if arguments.seed is not None:
            if "seed" in allowed:
                options["seed"] = arguments.seed
            elif getattr(arguments, "replicas", None) is None:
                raise SpecError(
                    "--seed goes with --head softmax or layer-norm or --replicas, nothing else "
                    "draws"
                )
        first = {name: values[0] for name, values in varied.items() if name in allowed}
        given = {name: size for name, size in sizes.items() if size is not None} | options
        thing = kind(net, **{"input_correlation": correlation, **first, **given})
        return cls(thing, net, provenance, varied)

    @classmethod
    def of_scan(cls, arguments: Namespace, varied: Mapping[str, Sequence[Any]]) -> Question:
        """Read the spectrum or the statistic of a scan.

        Raises
        ------
        SpecError
            If a file or a combination of options does not mean anything.
        """
        if arguments.statistics:
            if arguments.spectrum != "conditional-fim":
                raise SpecError("--statistics and --spectrum exclude each other")
            return cls.of_statistics(arguments, varied)
        for name in _OF_STATISTICS:
            if getattr(arguments, name) is not None:
                raise SpecError(f"--{name.replace('_', '-')} goes with --statistics")
        name, options = named(arguments.spectrum)
        own = {item.name for item in fields(SPECTRA[name])} if name in SPECTRA else set()
        first = {key: values[0] for key, values in varied.items() if key in own}
        network = None if arguments.network is None else read_network(arguments.network)
        spectrum = spectrum_by_name(name, network, first | options)
        provenance = {"network_file": arguments.network, "spectrum": name}
        return cls(spectrum, network, provenance, varied)


def _kind(matrix: str, head: str | None) -> tuple[type[Any], dict[str, Any]]:
    """Find the class of statistics and its own options."""
    name, *pairs = matrix.split(",")
    if name not in MATRICES:
        raise SpecError(f"--matrix must be one of {', '.join(MATRICES)}, got {name!r}")
    kind = MATRICES[name]
    own = {item.name for item in fields(kind)} - {item.name for item in fields(FisherStatistics)}
    options: dict[str, Any] = {}
    for pair in pairs:
        key, sign, text = pair.partition("=")
        if not sign or key not in own:
            raise SpecError(
                f"--matrix {name} takes {', '.join(f'{key}=…' for key in own) or 'no options'}, "
                f"got {pair!r}"
            )
        options[key] = value(text)
    if head is None:
        return kind, options
    if name != "fisher":
        raise SpecError(f"--head {head} goes with --matrix fisher, got {name!r}")
    return _headed(head), {}


def _headed(head: str) -> type[Any]:
    from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm

    return {
        "softmax": SoftmaxFisher,
        "batch-norm": OutputBatchNorm,
        "layer-norm": OutputLayerNorm,
    }[head]


def with_data(
    arguments: Namespace, net: Network, sizes: dict[str, int | None]
) -> tuple[Network, float]:
    """Complete network and sizes by the data, and measure their correlation.

    Raises
    ------
    SpecError
        If the data do not mean anything, or no whole reference width fits.
    """
    data = read_matrix(arguments.data)
    what = f"data file {arguments.data!r}"
    second_moment = mean_square(data, what)
    try:
        correlation = correlation_of(data)
    except SpecError as error:
        raise SpecError(f"{what}: {error}") from None
    if arguments.normalize == "rms":
        second_moment = 1.0
    ratios = net.width_ratios or (1.0,) * net.depth
    net, sizes["width"] = with_input(net, ratios, data.shape[1], second_moment, sizes["width"])
    if sizes["samples"] is None:
        sizes["samples"] = len(data)
    return net, correlation
