"""What the verb `learning-rate` asks: of a network file or of a saved module of torch."""

from argparse import Namespace
from typing import Any

from freefim.advice import LearningRate, learning_rate
from freefim.cli import summaries
from freefim.cli.arrays import mean_square, read_matrix, read_vector
from freefim.cli.problem import Problem
from freefim.cli.statistic import with_data
from freefim.errors import SpecError
from freefim.networks.files import read_network
from freefim.networks.network import Network

__all__ = ["answer"]

_CHOICES = ("samples", "outputs", "head", "loss", "batch", "momentum", "input_correlation")


def answer(arguments: Namespace) -> tuple[LearningRate, dict[str, Any]]:
    """Answer, and the numbers that it rests on.

    Raises
    ------
    SpecError
        If a file or a combination of options does not mean anything.
    MissingExtraError
        If a module is given and torch is not installed.
    """
    for first, second in (("data", "input"), ("data", "input_correlation")):
        if None not in (getattr(arguments, first), getattr(arguments, second)):
            raise SpecError(f"--{first} and --{second.replace('_', '-')} exclude each other")
    if arguments.torch is not None:
        return _of_module(arguments)
    if arguments.network is None:
        raise SpecError("learning-rate needs a network file, or a module: --torch FILE")
    if arguments.data is not None:
        net, numbers = read_network(arguments.network), {"network_file": arguments.network}
        return _of_batch(arguments, net, arguments.width, numbers)
    problem = Problem.read(arguments)
    assert problem.network is not None
    return _asked(arguments, problem.network, problem.width, summaries.network_numbers(problem))


def _asked(
    arguments: Namespace, net: Network, width: int | None, numbers: dict[str, Any], **data: Any
) -> tuple[LearningRate, dict[str, Any]]:
    """Answer with the choices of the command, `data` in the place of those left out."""
    given = {name: getattr(arguments, name) for name in _CHOICES}
    choices = {"samples": 1, "input_correlation": 0.0, **data}
    choices |= {key: value for key, value in given.items() if value is not None}
    return learning_rate(net, width, **choices), numbers | choices


def _of_batch(
    arguments: Namespace, net: Network, width: int | None, numbers: dict[str, Any]
) -> tuple[LearningRate, dict[str, Any]]:
    sizes = {"width": width, "samples": arguments.samples, "outputs": arguments.outputs}
    net, correlation = with_data(arguments, net, sizes)
    numbers |= {
        "data_file": arguments.data,
        "normalize": arguments.normalize,
        "width": sizes["width"],
    }
    data = {"samples": sizes["samples"], "input_correlation": correlation}
    return _asked(arguments, net, sizes["width"], numbers, **data)


def _of_module(arguments: Namespace) -> tuple[LearningRate, dict[str, Any]]:
    for name in ("network", "width"):
        if getattr(arguments, name) is not None:
            raise SpecError(f"--torch brings its own {name}, got {getattr(arguments, name)!r}")
    from freefim.interop.saved import load_module
    from freefim.interop.torch import network, realised
    from freefim.networks.torch_modules import read_module

    module = load_module(arguments.torch)
    numbers: dict[str, Any] = {"module_file": arguments.torch, "input_file": arguments.input}
    read = read_module(module)
    if arguments.data is not None:
        columns = read_matrix(arguments.data).shape[1]
        if columns != read.widths[0]:
            raise SpecError(
                f"data file {arguments.data!r} must have the {read.widths[0]} columns that the "
                f"module takes, got {columns}"
            )
        return _of_batch(arguments, network(module), read.width, numbers)
    if arguments.input is None:
        if arguments.normalize != "none":
            raise SpecError(f"--normalize {arguments.normalize} needs --input or --data")
        return _asked(arguments, network(module), read.width, numbers | {"width": read.width})
    for name in ("samples", "outputs", "head", "input_correlation"):
        if getattr(arguments, name) is not None:
            raise SpecError(
                f"--{name.replace('_', '-')} goes with a module at random inputs, not with --input"
            )
    x = read_vector(arguments.input)
    second_moment = mean_square(x, f"input file {arguments.input!r}")
    if arguments.normalize == "rms":
        x = x / second_moment**0.5
    choices = {"loss": arguments.loss, "momentum": arguments.momentum}
    numbers |= {"normalize": arguments.normalize, "width": read.width, **choices}
    return realised(module, x).learning_rate(**choices), numbers
