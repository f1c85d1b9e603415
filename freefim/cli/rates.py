"""What the verb `learning-rate` asks: of a network file or of a saved module of torch."""

from argparse import Namespace
from typing import Any

from freefim.advice import LearningRate, learning_rate
from freefim.cli import summaries
from freefim.cli.arrays import mean_square, read_vector
from freefim.cli.problem import Problem
from freefim.errors import SpecError

__all__ = ["CHOICES", "answer"]

CHOICES = ("samples", "outputs", "head", "loss", "batch", "momentum", "input_correlation")


def answer(arguments: Namespace) -> tuple[LearningRate, dict[str, Any]]:
    """Answer, and the numbers of the network that was asked about.

    Raises
    ------
    SpecError
        If a file or a combination of options does not mean anything.
    MissingExtraError
        If a module is given and torch is not installed.
    """
    choices = {name: getattr(arguments, name) for name in CHOICES}
    if arguments.torch is not None:
        return _of_module(arguments, choices)
    if arguments.network is None:
        raise SpecError("learning-rate needs a network file, or a module: --torch FILE")
    problem = Problem.read(arguments)
    assert problem.network is not None
    found = learning_rate(problem.network, problem.width, **choices)
    return found, summaries.network_numbers(problem)


def _of_module(
    arguments: Namespace, choices: dict[str, Any]
) -> tuple[LearningRate, dict[str, Any]]:
    for name in ("network", "width"):
        if getattr(arguments, name) is not None:
            raise SpecError(f"--torch brings its own {name}, got {getattr(arguments, name)!r}")
    from freefim.interop.saved import load_module
    from freefim.interop.torch import network, realised
    from freefim.networks.torch_modules import read_module

    module = load_module(arguments.torch)
    numbers: dict[str, Any] = {"module_file": arguments.torch, "input_file": arguments.input}
    if arguments.input is None:
        if arguments.normalize != "none":
            raise SpecError(f"--normalize {arguments.normalize} needs an input: --input FILE")
        net, width = network(module), read_module(module).width
        return learning_rate(net, width, **choices), numbers | {"width": width}
    x = read_vector(arguments.input)
    second_moment = mean_square(x, f"input file {arguments.input!r}")
    if arguments.normalize == "rms":
        x = x / second_moment**0.5
    alone = {"samples": 1, "outputs": None, "head": None, "input_correlation": 0.0}
    for name, value in alone.items():
        if choices[name] != value:
            raise SpecError(
                f"--{name.replace('_', '-')} goes with a module at random inputs, not with --input"
            )
    found = realised(module, x)
    return (
        found.learning_rate(arguments.loss, arguments.momentum),
        numbers | {"normalize": arguments.normalize, "width": found.width},
    )
