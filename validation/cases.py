"""The cases of the grid: what each is, and the verdict of sampled networks on it."""

import dataclasses
import itertools
import math
import os
import time
import tomllib
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

import numpy as np

import freefim as ff
from freefim.networks.activations import activation
from freefim.networks.checks import one_of

__all__ = ["NUMBERS", "Case", "judge", "read_cases"]

#: What a row has: the distance of a spectrum from its law (Wasserstein-1 over the mean) or the
#: relative error of a statistic; of spectra the conditional Kolmogorov–Smirnov distance and what is
#: allowed; the worst deviation over what is allowed, 1 at most to pass; processor seconds.
NUMBERS = ("error", "ks", "allowed_ks", "worst", "passed", "seconds")

_STANDARD_ERRORS = 4.0
# Replicas at half the width for each one at the width, as the verdicts on spectra have them.
_NARROW = 4
_ROUNDING = 1e-9


@dataclass(frozen=True)
class Case:
    """One spectrum or statistic at one width, in plain words and numbers.

    Attributes
    ----------
    block : str
        Title of its block.
    of : str
        Name of the class.
    network : mapping or None
        Fields of the network, activations by name.
    label : str
        The activation in the words of the grid.
    options : mapping
        The other fields of the class.
    width, replicas, seed : int
    """

    block: str
    of: str
    network: Mapping[str, Any] | None
    label: str
    options: Mapping[str, Any]
    width: int
    replicas: int
    seed: int

    @property
    def name(self) -> str:
        """The case, without its width."""
        words = [self.block]
        if self.network is not None:
            words += [self.label, self.network["weights"], f"depth {self.network['depth']}"]
        skipped = ("samples", "outputs")
        words += [f"{key} {value}" for key, value in self.options.items() if key not in skipped]
        return ", ".join(words)

    def make(self, width: int | None = None) -> Any:
        """Make the spectrum, or the statistic at a width."""
        kind = getattr(ff, self.of)
        fields: dict[str, Any] = dict(self.options)
        if self.network is not None:
            given = dict(self.network)
            for key in ("activation", "final_activation"):
                if isinstance(given.get(key), Mapping):
                    parameters = dict(given[key])
                    given[key] = activation(parameters.pop("name"), **parameters)
            statistic = any(field.name == "net" for field in dataclasses.fields(kind))
            fields["net" if statistic else "network"] = ff.Network(**given)
            if statistic:
                fields["width"] = self.width if width is None else width
        return kind(**fields)


def read_cases(path: str | os.PathLike[str]) -> list[Case]:
    """Read the grid and expand it.

    Raises
    ------
    SpecError
        If the file cannot be read, or a block is not of a public class and of a network with a
        law; the message names the file and the block.
    """
    name = os.fspath(path)
    try:
        with open(path, "rb") as file:
            grid = tomllib.load(file)
    except OSError as error:
        raise ff.SpecError(f"grid file {name!r} cannot be read: {error.strerror}") from None
    except (tomllib.TOMLDecodeError, UnicodeDecodeError) as error:
        raise ff.SpecError(f"grid file {name!r} is no TOML: {error}") from None
    if not grid.get("block"):
        raise ff.SpecError(f"grid file {name!r} must have a [[block]], got none")
    cases: list[Case] = []
    for number, block in enumerate(grid["block"], start=1):
        place = f"grid file {name!r}, block {number}"
        one_of(f"{place}: of", block.get("of"), _kinds())
        try:
            cases += _expanded(grid, block)
        except KeyError as error:
            raise ff.SpecError(f"{place} names {error}, which the file does not have") from None
        except (TypeError, AttributeError) as error:
            raise ff.SpecError(f"{place} is not of the form of a block: {error}") from None
    return cases


def _kinds() -> tuple[str, ...]:
    """Names of the spectra and statistics that can be compared with samples."""
    kinds = {name: getattr(ff, name) for name in ff.__all__ if name[0].isupper()}
    return tuple(
        name
        for name, kind in kinds.items()
        if hasattr(kind, "sample") and not issubclass(kind, ff.Law)
    )


def _expanded(grid: Mapping[str, Any], block: Mapping[str, Any]) -> Iterator[Case]:
    options = block.get("options", {})
    networks: list[tuple[str, dict[str, Any] | None]] = [("", None)]
    if "activations" in block:
        networks = [
            (
                label,
                {
                    **grid["activations"][label],
                    "weights": kind,
                    "depth": depth,
                    **block.get("network", {}),
                },
            )
            for label, kind, depth in itertools.product(
                block["activations"], block["weights"], block["depth"]
            )
        ]
    for label, network in networks:
        for values in itertools.product(*options.values()):
            for width in block.get("widths", grid["widths"]):
                yield Case(
                    block.get("title", block["of"]),
                    block["of"],
                    network,
                    label,
                    dict(zip(options, values, strict=True)),
                    width,
                    block.get("replicas", grid["replicas"]),
                    grid["seed"],
                )


def judge(case: Case) -> tuple[list[float], str]:
    """Give the `NUMBERS` of a case, and why it does not pass, if it does not."""
    started = time.process_time()
    try:
        thing = case.make()
        found, reasons = _of_spectrum(case, thing) if hasattr(thing, "law") else _of_statistic(case)
    except (ff.SpecError, ff.ConvergenceError) as problem:
        found, reasons = dict.fromkeys(NUMBERS, math.nan), [str(problem)]
    found |= {"passed": float(not reasons), "seconds": time.process_time() - started}
    return [float(found[name]) for name in NUMBERS], " ".join("; ".join(reasons).split())


def _of_spectrum(case: Case, spectrum: Any) -> tuple[dict[str, float], list[str]]:
    report = spectrum.validate(case.width, case.replicas, case.seed)
    shares = [moment.deviation / moment.allowed for moment in report.moments if moment.deviation]
    found = {
        "error": report.wasserstein / abs(report.moments[0].expected),
        "ks": report.ks,
        "allowed_ks": report.allowed_ks,
        "worst": max(report.ks / report.allowed_ks, *shares, 0.0),
    }
    return found, list(report.reasons)


def _of_statistic(case: Case) -> tuple[dict[str, float], list[str]]:
    """Compare the numbers of a statistic with sampled networks.

    Each is a ratio, measured over predicted, mean over replicas. It may be off 1 by four standard
    errors and the term in 1/M, which is measured at half the width. Bounds allow four standard
    errors.
    """
    narrow_seed = int(np.random.SeedSequence(case.seed).generate_state(1)[0])
    wide = _ratios(case.make(), case.replicas, case.seed)
    narrow = _ratios(case.make(case.width // 2), _NARROW * case.replicas, narrow_seed)
    worst, reasons, error = 0.0, [], math.nan
    for name, values in wide.items():
        mean, spread = _estimate(values)
        if name.endswith("bound"):
            beyond = 1.0 - mean if name == "lower bound" else mean - 1.0
            off, allowed = max(beyond, 0.0), _STANDARD_ERRORS * spread + _ROUNDING
            error = abs(mean - 1.0) if math.isnan(error) else error
        else:
            half, half_spread = _estimate(narrow[name])
            share = (case.width // 2) / (case.width - case.width // 2)
            together = math.hypot(spread, share * math.hypot(spread, half_spread))
            off = abs(mean - 1.0)
            allowed = _STANDARD_ERRORS * together + share * abs(half - mean) + _ROUNDING
            error = off  # the last one is the largest eigenvalue
        worst = max(worst, off / allowed)
        if not off <= allowed:
            reasons.append(
                f"{name}: measured over predicted is {mean:.4g}, off 1 by {off:.2g}, allowed "
                f"{allowed:.2g}"
            )
    return {"error": error, "ks": math.nan, "allowed_ks": math.nan, "worst": worst}, reasons


def _estimate(values: list[float]) -> tuple[float, float]:
    return float(np.mean(values)), float(np.std(values, ddof=1)) / math.sqrt(len(values))


def _ratios(statistic: Any, replicas: int, seed: int) -> dict[str, list[float]]:
    """Measured over predicted of every replica, the largest eigenvalue last."""
    found: dict[str, list[float]] = {}
    for replica in statistic.sample(replicas, seed):
        for name, ratio in _ratios_of(_given(statistic, replica.measured.logits), replica):
            found.setdefault(name, []).append(ratio)
    return found


def _given(statistic: Any, logits: np.ndarray) -> Any:
    """The statistic at the outputs of one network, where it depends on them at any width."""
    match statistic:
        case ff.SoftmaxFisher():
            weights = np.exp(logits - logits.max(axis=1, keepdims=True))
            probabilities = weights / weights.sum(axis=1, keepdims=True)
            return dataclasses.replace(statistic, probabilities=probabilities)
        case ff.OutputLayerNorm():
            return dataclasses.replace(statistic, logits=logits)
        case ff.OutputBatchNorm(kind="batch-norm"):
            return dataclasses.replace(statistic, deviations=tuple(logits.std(axis=0)))
    return statistic


def _ratios_of(predicted: Any, measured: Any) -> Iterator[tuple[str, float]]:
    match predicted:
        case ff.HiddenBatchNorm():
            yield "lower bound", measured.max_eigenvalue / predicted.max_eigenvalue_bound
            return
        case ff.OutputBatchNorm():
            yield "mean", measured.mean / predicted.mean
            low, high = predicted.max_eigenvalue_bounds
            yield "lower bound", measured.max_eigenvalue / low
            yield "upper bound", measured.max_eigenvalue / high
            return
    yield "mean", measured.mean / predicted.mean
    yield "second moment", measured.second_moment / predicted.second_moment
    top = measured.max_eigenvalue
    if getattr(predicted, "multiplicity", 0) == predicted.outputs:
        top = float(measured.top_eigenvalues.mean())  # finite width splits what is C-fold
    yield "largest eigenvalue", top / predicted.max_eigenvalue
