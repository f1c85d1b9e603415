"""What each verb of the command line does."""

import dataclasses
import json
import math
import os
from argparse import Namespace
from collections.abc import Callable, Iterable, Iterator
from concurrent.futures import Executor, ThreadPoolExecutor
from contextlib import contextmanager
from pathlib import Path
from typing import Any

import numpy as np

from freefim._formats import plain
from freefim.cli import NOT_COMPUTED, outputs, rates, summaries
from freefim.cli.arrays import read_matrix
from freefim.cli.problem import Problem
from freefim.cli.progress import Progress
from freefim.cli.statistic import Question
from freefim.errors import ConvergenceError, SpecError
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.law import Law
from freefim.free.proofs.certificate import certificate, points_of_bands
from freefim.montecarlo.empirical import EmpiricalSpectrum
from freefim.plots import save_figure
from freefim.scans.numbers import number_names
from freefim.scans.scan import scan as scanned
from freefim.scans.subject import Subject
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.spectra.layer_block import layer_blocks
from freefim.spectra.network_spectrum import NetworkSpectrum
from freefim.statistics.heads import BlockHead
from freefim.statistics.measured import measured_numbers
from freefim.statistics.sampling import sample_problem
from freefim.tables import Table, write_whole

__all__ = ["VERBS"]

OK, FAILED = 0, 1


def density(arguments: Namespace) -> int:
    """Compute the law, sample it if asked; write tables and pictures."""
    tables = [path for path in arguments.output if not outputs.is_picture(path)]
    pictures = [path for path in arguments.output if outputs.is_picture(path)]
    inputs = [arguments.network, arguments.input]
    if arguments.eigenvalues and arguments.replicas is None:
        raise SpecError("--eigenvalues needs sampled networks: --replicas R")
    outputs.check(arguments.output, outputs.TABLES + outputs.PICTURES, inputs)
    outputs.check(arguments.eigenvalues, outputs.TABLES, [*inputs, *arguments.output])
    problem, law, sample = _law_and_sample(arguments)
    _write_tables(tables, lambda: law.table(arguments.points), problem)
    _draw(pictures, arguments, problem, law, sample)
    if sample is not None:
        _write_tables(arguments.eigenvalues, sample.table, problem)
    numbers = summaries.network_numbers(problem) | summaries.law_numbers(problem, law)
    lines = [*summaries.network_lines(problem), *summaries.law_lines(problem, law)]
    if sample is not None:
        numbers["sample"] = summaries.sample_numbers(sample, law)
        lines += summaries.sample_lines(sample, law)
    return _say(arguments, numbers, lines, [*arguments.output, *arguments.eigenvalues])


def sample(arguments: Namespace) -> int:
    """Sample networks and write their eigenvalues."""
    outputs.check(arguments.output, outputs.TABLES, [arguments.network, arguments.input])
    problem = Problem.read(arguments)
    drawn = _sample(arguments, problem)
    _write_tables(arguments.output, drawn.table, problem)
    numbers = summaries.network_numbers(problem) | {"sample": summaries.sample_numbers(drawn, None)}
    lines = [*summaries.network_lines(problem), *summaries.sample_lines(drawn, None)]
    return _say(arguments, numbers, lines, arguments.output)


def validate(arguments: Namespace) -> int:
    """Compare the law with sampled networks and give a verdict."""
    inputs = [arguments.network, arguments.input]
    outputs.check(arguments.output, outputs.TABLES + outputs.PICTURES, inputs)
    problem = Problem.read(arguments)
    width = problem.needed_width("validate")
    with _executor(arguments) as executor, Progress("validating") as progress:
        # Random weights know no direction: of an input they see its length and mean square,
        # which the network holds, so that validation can draw narrower networks as well.
        report = problem.spectrum.validate(
            width, arguments.replicas, arguments.seed, executor=executor, progress=progress
        )
    for path in arguments.output:
        if outputs.is_picture(path):
            save_figure(report.plot(), path)
        else:
            _write_tables([path], report.table, problem)
    numbers = report.to_dict() | summaries.network_numbers(problem)
    # The network stands above the report already, runs of equal layers as one.
    name = Path(arguments.network).name if arguments.network else repr(problem.spectrum)
    named = dataclasses.replace(report, source=name)
    lines = [*summaries.network_lines(problem), str(named)]
    _say(arguments, numbers, lines, arguments.output)
    return OK if report.passed else FAILED


def learning_rate(arguments: Namespace) -> int:
    """Print the largest stable learning rate, the theorem behind it and what it assumes."""
    with Progress("computing the law"):
        found, numbers = rates.answer(arguments)
    numbers |= {
        "max_learning_rate": found.value,
        "unstable_above": found.upper,
        "theorem": found.theorem,
        "assumptions": found.assumptions,
    }
    _, *reasons = str(found).splitlines()
    bound = [] if found.upper == found.value else [f"  unstable above {found.upper!r}"]
    return _say(arguments, numbers, [repr(found.value), *bound, *reasons], [])


def plot(arguments: Namespace) -> int:
    """Draw the law, over sampled eigenvalues if asked."""
    outputs.check(arguments.output, outputs.PICTURES, [arguments.network, arguments.input])
    problem, law, drawn = _law_and_sample(arguments)
    _draw(arguments.output, arguments, problem, law, drawn)
    return _say(arguments, summaries.network_numbers(problem), [], arguments.output)


def blocks(arguments: Namespace) -> int:
    """Print and write what each layer's block of the conditional FIM is like."""
    outputs.check(arguments.output, outputs.TABLES, [arguments.network, arguments.input])
    problem = Problem.read(arguments)
    assert problem.network is not None
    with Progress("computing the laws"):
        table = layer_blocks(problem.network)
    _write_tables(arguments.output, lambda: table, problem)
    numbers = summaries.network_numbers(problem) | {"blocks": dict(table.columns)}
    lines = [*summaries.network_lines(problem), *summaries.block_lines(table)]
    return _say(arguments, numbers, lines, arguments.output)


def show(arguments: Namespace) -> int:
    """Print the network, its order parameters, and how its law is made."""
    problem = Problem.read(arguments)
    if problem.network is None:
        return _say(arguments, summaries.network_numbers(problem), [repr(problem.spectrum)], [])
    order = problem.network.order_parameters()
    law = problem.spectrum.law()
    made = law.derivation() if isinstance(law, ChainLaw) else repr(law)
    numbers = summaries.network_numbers(problem) | {
        "second_moments": order.second_moments,
        "preactivation_variances": order.preactivation_variances,
        "chi1": order.chi1,
        "derivation": made if isinstance(made, str) else made.steps,
    }
    rows = [("", *order.preactivation_variances), order.second_moments, ("", *order.chi1)]
    columns = [[_cell(value) for value in row] for row in rows]
    columns[2] += [""] * (len(columns[0]) - len(columns[2]))
    lines = [
        *summaries.network_lines(problem),
        "order parameters",
        "  layer  variance q      second moment   chi1",
        *(
            f"  {layer:<6} {q:<15} {moment:<15} {chi}".rstrip()
            for layer, (q, moment, chi) in enumerate(zip(*columns, strict=True))
        ),
        "derivation of the law",
        str(made),
    ]
    return _say(arguments, numbers, lines, [])


def certify(arguments: Namespace) -> int:
    """Prove the law's bands and atoms, and its density at points; write the certificate."""
    outputs.check(arguments.output, (".json",), [arguments.network, arguments.input])
    problem = Problem.read(arguments)
    with Progress("proving"):
        law = problem.spectrum.law()
        proved = certificate(law, points_of_bands(law, arguments.points))
    text = json.dumps(proved | {"provenance": plain(problem.provenance)}, indent=1)
    for path in arguments.output:
        write_whole(path, lambda stream: stream.write(text.encode()))
    counts = {name: len(proved[name]) for name in ("bands", "atoms", "points")}
    lines = [
        *summaries.network_lines(problem),
        "proved: {bands} bands and {atoms} atoms, no others; values at {points} points".format(
            **counts
        ),
    ]
    return _say(
        arguments, summaries.network_numbers(problem) | {"proved": counts}, lines, arguments.output
    )


def statistics(arguments: Namespace) -> int:
    """Compute mean-field statistics, measure them if asked."""
    outputs.check(arguments.output, outputs.TABLES, [arguments.network, arguments.data])
    question = Question.of_statistics(arguments)
    names = ("width", "samples", "outputs")
    sizes: dict[str, Any] = {name: [getattr(question.thing, name)] for name in names}
    with Progress("computing statistics"):
        table = scanned(question.thing, **sizes)
    found = {name: float(table[name][0]) for name in number_names(type(question.thing))}
    problem = str(table["problem"][0])
    if math.isnan(found["mean"]):
        raise ConvergenceError(problem)
    measured = {} if arguments.replicas is None else _measured(arguments, question)
    columns: dict[str, Any] = dict(table.columns)
    for name, (mean, error) in measured.items():
        columns |= {f"{name}_measured": [mean], f"{name}_standard_error": [error]}
    provenance = {**question.provenance, **table.metadata}
    numbers = summaries.question_numbers(question) | {"statistics": found, "problem": problem}
    if measured:
        drawn = {"replicas": arguments.replicas, "sampling_seed": arguments.seed or 0}
        provenance |= drawn
        numbers |= drawn | {
            "measured": {
                name: {"mean": mean, "standard_error": error}
                for name, (mean, error) in measured.items()
            }
        }
    for path in arguments.output:
        Table(columns, provenance).write(path)
    lines = summaries.question_lines(question)
    lines += summaries.statistic_lines(found, problem, measured)
    if measured and isinstance(question.thing, BlockHead):
        lines.append("  predicted from one draw of outputs, measured on each network's own")
    return _say(arguments, numbers, lines, arguments.output)


def scan(arguments: Namespace) -> int:
    """Compute a table over lists of fields."""
    names = [name for name, _ in arguments.vary]
    varied = dict(arguments.vary)
    for name in varied:
        if names.count(name) > 1:
            raise SpecError(f"--vary {name} must be given once, got {names.count(name)}")
    rows = [] if arguments.resume is None else [arguments.resume]
    inputs = [arguments.network, arguments.data, *rows]
    outputs.check(arguments.output, outputs.TABLES, inputs)
    question = Question.of_scan(arguments, varied)
    Subject.of(question.thing).check(varied)
    total = math.prod(map(len, varied.values()))
    with Progress("scanning", total) as progress:
        table = scanned(question.thing, path=arguments.resume, progress=progress, **varied)
    for path in arguments.output:
        Table(table.columns, {**question.provenance, **table.metadata}).write(path)
    numbers = summaries.question_numbers(question) | {
        "fields": names,
        "rows": len(table),
        "columns": dict(table.columns),
    }
    lines = [*summaries.question_lines(question), *summaries.scan_lines(table, names)]
    _say(arguments, numbers, lines, arguments.output)
    return NOT_COMPUTED if np.isnan(table["mean"]).all() else OK


VERBS: dict[str, Callable[[Namespace], int]] = {
    "density": density,
    "sample": sample,
    "validate": validate,
    "learning-rate": learning_rate,
    "plot": plot,
    "layer-blocks": blocks,
    "show": show,
    "certify": certify,
    "statistics": statistics,
    "scan": scan,
}


def _law_and_sample(
    arguments: Namespace,
) -> tuple[Problem, Law, EmpiricalSpectrum | None]:
    problem = Problem.read(arguments)
    if arguments.replicas is not None:
        problem.needed_width("sampling")
    with Progress("computing the law"):
        law = problem.spectrum.law()
        _ = law.solution
    return problem, law, None if arguments.replicas is None else _sample(arguments, problem)


def _sample(arguments: Namespace, problem: Problem) -> EmpiricalSpectrum:
    width = problem.needed_width("sampling")
    with (
        _executor(arguments) as executor,
        Progress("sampling networks", arguments.replicas) as progress,
    ):
        given = {"input": problem.vector} if isinstance(problem.spectrum, NetworkSpectrum) else {}
        return problem.spectrum.sample(
            width,
            arguments.replicas,
            arguments.seed,
            executor=executor,
            progress=progress,
            **given,
        )


def _measured(arguments: Namespace, question: Question) -> dict[str, tuple[float, float]]:
    """Sample the networks of a statistic; they see the data if there are any."""
    given = {} if arguments.data is None else {"input_correlation": read_matrix(arguments.data)}
    with (
        _executor(arguments) as executor,
        Progress("sampling networks", arguments.replicas) as progress,
    ):
        sample = sample_problem(
            question.thing, arguments.replicas, arguments.seed or 0, executor, progress, **given
        )
    return measured_numbers(question.thing, sample)


@contextmanager
def _executor(arguments: Namespace) -> Iterator[Executor | None]:
    """Threads for the replicas: their kernels and LAPACK run without the interpreter's lock."""
    workers = min(arguments.workers or os.cpu_count() or 1, arguments.replicas)
    if workers == 1:
        yield None
        return
    pool = ThreadPoolExecutor(workers)
    try:
        yield pool
    finally:
        # After an interruption nobody waits for the replicas that are still to come.
        pool.shutdown(wait=False, cancel_futures=True)


def _write_tables(paths: Iterable[str], make: Callable[[], Table], problem: Problem) -> None:
    for path in paths:
        table = make()
        Table(table.columns, {**problem.provenance, **table.metadata}).write(path)


def _draw(
    paths: Iterable[str],
    arguments: Namespace,
    problem: Problem,
    law: Law,
    drawn: EmpiricalSpectrum | None,
) -> None:
    title = arguments.spectrum
    if problem.network is not None:
        title = f"{Path(arguments.network).stem}, depth {problem.network.depth}"
        if not isinstance(problem.spectrum, ConditionalFIM):
            title += f", {arguments.spectrum}"
    if arguments.input is not None:
        title += f", input {Path(arguments.input).name}"
    if drawn is not None:
        title += f": limit and {len(drawn)} replicas at width {drawn.width}"
    values = None if drawn is None else drawn.eigenvalues
    for path in paths:
        save_figure(law.plot(values, title=title, log=arguments.log), path)


def _cell(value: Any) -> str:
    return value if isinstance(value, str) else f"{value:.10g}"


def _say(arguments: Namespace, numbers: dict[str, Any], lines: list[str], files: list[str]) -> int:
    """Print the result: one JSON object for machines, lines for people."""
    if arguments.json:
        print(json.dumps(plain(numbers | {"files": files}), allow_nan=False, ensure_ascii=False))
    else:
        print("\n".join([*lines, *(f"written: {path}" for path in files)]))
    return OK
