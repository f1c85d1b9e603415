"""Networks, laws and samples in a few legible lines, and in numbers that JSON holds."""

import dataclasses
import tomllib
from collections.abc import Container, Iterable, Mapping, Sequence
from itertools import groupby
from math import isfinite, isnan
from typing import Any

import numpy as np

from freefim.cli.problem import Problem
from freefim.cli.statistic import Question
from freefim.errors import SpecError
from freefim.free.law import Law
from freefim.montecarlo.empirical import EmpiricalSpectrum
from freefim.networks.files import network_to_toml
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.tables import Table

__all__ = [
    "block_lines",
    "law_lines",
    "law_numbers",
    "network_lines",
    "network_numbers",
    "question_lines",
    "question_numbers",
    "sample_lines",
    "sample_numbers",
    "scan_lines",
    "statistic_lines",
]

_MOMENTS = 4
# So many atoms or bands are listed; of more, the first and the last ones.
_LISTED = 10
# What a scan prints of its rows; its table holds the rest.
_HEADLINES = (
    "support_min", "support_max", "variance", "mean", "max_eigenvalue",
    "max_eigenvalue_bounds_low", "max_eigenvalue_bounds_high", "max_learning_rate",
)  # fmt: skip


def network_numbers(problem: Problem) -> dict[str, Any]:
    """Give the fields of the network and where they came from."""
    if problem.network is None:
        return dict(problem.provenance)
    return {"network": _fields(problem.network), **problem.provenance}


def network_lines(problem: Problem) -> list[str]:
    """Describe the network, runs of equal layers as one."""
    if problem.network is None:
        return [repr(problem.spectrum)]
    lines = _field_lines(problem.network, problem.provenance)
    if problem.vector is not None:
        file, normalize = problem.provenance["input_file"], problem.provenance["normalize"]
        lines.append(f"  {'input':<20} {problem.vector.size} numbers of {file}, {normalize=!s}")
    if problem.width is not None:
        lines.append(f"  {'width':<20} {problem.width}")
    return lines


def law_numbers(problem: Problem, law: Law) -> dict[str, Any]:
    """Give the law's structure, moments and learning rates."""
    moments = [float(law.moment(k)) for k in range(1, _MOMENTS + 1)]
    numbers = {**law.describe(), "moments": moments}
    if isinstance(problem.spectrum, ConditionalFIM):
        numbers["max_learning_rate"] = _learning_rates(problem.spectrum, problem.width)
    return numbers


def law_lines(problem: Problem, law: Law) -> list[str]:
    """Describe the law: support, atoms, bands, what follows from them, how exact it is."""
    accuracy, (low, high) = law.accuracy, law.support
    bands = [
        f"{mass:<12.6g} on [{left:.10g}, {right:.10g}]"
        for (left, right), mass in zip(law.bands, law.band_masses, strict=True)
    ]
    atoms = [f"{mass:<12.6g} at {location:.10g}" for location, mass in law.atoms]
    spectrum = problem.spectrum
    learning = (
        _learning_rates(spectrum, problem.width) if isinstance(spectrum, ConditionalFIM) else {}
    )
    rates = [
        f"  learning rate < {rate:.6g} (squared errors, {loss} over the outputs)"
        for loss, rate in learning.items()
        if rate is not None
    ]
    return [
        f"limiting spectral law of {spectrum.matrix}",
        f"  support       [{low:.10g}, {high:.10g}]",
        f"  mean          {float(law.mean()):.10g}",
        f"  variance      {float(law.variance()):.10g}",
        f"  atoms         {len(atoms)}" + (", mass and place:" if atoms else ""),
        *_abridged(atoms),
        f"  bands         {len(bands)}" + (", mass and place:" if bands else ""),
        *_abridged(bands),
        *rates,
        f"  accuracy      mass defect {accuracy.mass_defect:.1e}, edges "
        f"{accuracy.edge_residual:.1e} ({accuracy.method})",
        *(f"  remark        {remark}" for remark in accuracy.remarks),
    ]


def sample_numbers(sample: EmpiricalSpectrum, law: Law | None) -> dict[str, Any]:
    """Give the sample's moments and range, and its distance to the law."""
    values = sample.eigenvalues
    mean, error = sample.moments(_MOMENTS)
    numbers: dict[str, Any] = {
        "width": sample.width,
        "replicas": len(sample),
        "seed": sample.seed,
        "smallest": float(values.min()),
        "largest": float(values.max()),
        "moments": mean.tolist(),
        # One replica has no spread, hence no standard error.
        "standard_errors": [value if np.isfinite(value) else None for value in error.tolist()],
    }
    return numbers if law is None else numbers | {"wasserstein": law.distance(sample.eigenvalues)}


def sample_lines(sample: EmpiricalSpectrum, law: Law | None) -> list[str]:
    """Describe the sample."""
    numbers = sample_numbers(sample, law)
    mean, error = numbers["moments"][0], numbers["standard_errors"][0]
    spread = "" if error is None else f" ± {error:.2g}"
    replicas = f"{len(sample)} sampled network{'' if len(sample) == 1 else 's'}"
    lines = [
        f"{replicas} at width {sample.width}, seed {sample.seed}",
        f"  eigenvalues   in [{numbers['smallest']:.10g}, {numbers['largest']:.10g}]",
        f"  mean          {mean:.6g}{spread}",
    ]
    if law is not None:
        lines.append(f"  Wasserstein   {numbers['wasserstein']:.6g} to the limiting law")
    return lines


def question_numbers(question: Question) -> dict[str, Any]:
    """Give the fields of the network and of a spectrum or statistic, and where they came from."""
    net, varied = question.network, question.varied
    given = {} if net is None else {"network": _fields(net, varied)}
    return {**given, "of": type(question.thing).__name__, **_own(question), **question.provenance}


def question_lines(question: Question) -> list[str]:
    """Describe a network and what of it is asked for."""
    net, provenance = question.network, question.provenance
    lines = [] if net is None else _field_lines(net, provenance, question.varied)
    if "data_file" in provenance:
        file, normalize = provenance["data_file"], provenance["normalize"]
        lines.append(f"  {'data':<20} {file}, {normalize=!s}")
    own = _own(question) | {key: f"{len(values)} values" for key, values in question.varied.items()}
    listed = (f"  {name:<20} {value}" for name, value in own.items())
    return [*lines, type(question.thing).__name__, *listed]


def statistic_lines(
    found: Mapping[str, float], problem: str, measured: Mapping[str, tuple[float, float]]
) -> list[str]:
    """List the numbers of a statistic, those of sampled networks, and why some are missing."""
    head = [f"  {'':<30} {'predicted':<16} measured"] if measured else []
    lines = []
    for name, value in found.items():
        line = f"  {name:<30} {'unknown' if isnan(value) else f'{value:.10g}'}"
        if name in measured:
            mean, error = measured[name]
            spread = f" ± {error:.2g}" if isfinite(error) else ""
            line = f"{line:<49} {mean:.6g}{spread}"
        lines.append(line)
    return [*head, *lines, *([f"  unknown: {problem}"] if problem else [])]


def scan_lines(table: Table, varied: Sequence[str]) -> list[str]:
    """Describe a scan: its rows with the numbers that matter most, and its problems."""
    rows = _rows(table, [*varied, *(name for name in _HEADLINES if name in table.columns)])
    problems = [text for text in table["problem"].tolist() if text]
    lines = [f"{len(table)} rows", *_abridged(rows[:1]), *_abridged(rows[1:])]
    if problems:
        lines += [f"{len(problems)} of them with problems, the first:", f"    {problems[0]}"]
    return lines


def block_lines(table: Table) -> list[str]:
    """List the blocks of the layers, and what their means and maxima add up to."""
    rows = _rows(table, list(table.columns))
    sums = ", ".join(f"{name} {_text(float(table[name].sum()))}" for name in ("mean", "max"))
    return ["blocks", *_abridged(rows[:1]), *_abridged(rows[1:]), f"  sums: {sums}"]


def _rows(table: Table, names: Sequence[str]) -> list[str]:
    """Columns one below the other, names at the top."""
    cells = [[name, *(_text(value) for value in table[name])] for name in names]
    widths = [max(map(len, column)) for column in cells]
    return [
        "  ".join(cell.rjust(width) for cell, width in zip(row, widths, strict=True))
        for row in zip(*cells, strict=True)
    ]


def _text(value: Any) -> str:
    return f"{value:.10g}" if isinstance(value, float) else str(value)


def _own(question: Question) -> dict[str, Any]:
    """Give the fields of a spectrum or statistic that numbers and words describe."""
    thing = question.thing
    values = {item.name: getattr(thing, item.name) for item in dataclasses.fields(thing)}
    return {
        key: value
        for key, value in values.items()
        if isinstance(value, int | float | str) and key not in question.varied
    }


def _fields(network: Network, varied: Container[str] = ()) -> dict[str, Any]:
    fields = tomllib.loads(network_to_toml(network))["network"]
    return {key: value for key, value in fields.items() if key not in varied}


def _field_lines(
    network: Network, provenance: Mapping[str, Any], varied: Container[str] = ()
) -> list[str]:
    fields = _fields(network, varied)
    return [
        provenance["network_file"],
        *(f"  {key:<20} {_runs(value)}" for key, value in fields.items()),
    ]


def _learning_rates(spectrum: ConditionalFIM, width: int | None) -> dict[str, float | None]:
    """Give the largest stable learning rates; None where they depend on an unknown width."""
    rates: dict[str, float | None] = {}
    for loss in ("sum", "mean"):
        try:
            rates[loss] = spectrum.max_learning_rate(width, loss)
        except SpecError:
            rates[loss] = None
    return rates


def _abridged(lines: Sequence[str]) -> list[str]:
    if len(lines) > _LISTED:
        half = _LISTED // 2
        lines = [*lines[:half], f"… {len(lines) - 2 * half} more …", *lines[-half:]]
    return [f"    {line}" for line in lines]


def _runs(value: Any) -> str:
    """Write a sequence with equal neighbours counted, and anything else as it is."""
    if isinstance(value, dict):
        parameters = [f"{key}={entry}" for key, entry in value.items() if key != "name"]
        return f"{value['name']}({', '.join(parameters)})"
    if not isinstance(value, Iterable) or isinstance(value, str):
        return str(value)
    runs = [(_runs(entry), len(list(group))) for entry, group in groupby(value)]
    return "; ".join(entry if count == 1 else f"{count} × {entry}" for entry, count in runs)
