"""The words of the command line: verbs, options and what they may be."""

import argparse
import math
from collections.abc import Callable, Sequence
from contextlib import suppress
from fractions import Fraction
from typing import NoReturn

from freefim.errors import SpecError

__all__ = ["Value", "parse", "value"]

Value = int | float | Fraction | str

_EPILOG = """\
A network file is TOML: the fields of freefim.Network under [network], for example

  [network]
  depth = 10
  activation = {name = "hard_tanh", cutoff = 2.0}
  weights = "orthogonal"
  weight_std = 1.05

exit codes: 0 done; 1 validate says FAIL; 2 bad input; 3 could not be computed to the promised
accuracy (of a scan: not a single row); 130 interrupted
"""
_INPUT = """\
The vector takes the place of the input in the network file: its mean square that of
input_second_moment, its length M_0 that of the input layer. With --width M, width_ratios[0]
becomes M_0/M; without, the network's own width_ratios[0] fixes M = M_0/width_ratios[0].
"""
_DATA = """\
The data stand for the inputs: their rows are samples, their mean correlation (rows scaled to one
norm, not centred) is the input correlation, their mean square the input_second_moment, their
number of columns the width M_0 of the input layer and their number of rows that of the samples.
"""
_VARY = """\
A range START:STOP:COUNT holds both ends. Fields are those of the network file or of the spectrum
or statistic itself: weight_std=1:2:11, depth=2,4,8, activation=relu,tanh, width=100:1000:10.
"""


class _Parser(argparse.ArgumentParser):
    """A parser whose complaints are errors like all others."""

    def error(self, message: str) -> NoReturn:
        raise SpecError(f"{message} (see {self.prog} --help)")


def parse(argv: Sequence[str]) -> argparse.Namespace:
    """Understand the words of one command.

    Parameters
    ----------
    argv : sequence of str
        The words after ``freefim``.

    Returns
    -------
    argparse.Namespace
        ``verb``, and the options of that verb.

    Raises
    ------
    SpecError
        If a word is unknown, missing or out of range.
    SystemExit
        After ``--help`` and ``--version``.
    """
    return _parser().parse_args(argv)


def _parser() -> argparse.ArgumentParser:
    parser = _Parser(
        prog="freefim",
        description="Limiting spectral laws of deep random networks: the conditional Fisher "
        "information matrix and its relatives, and the sampled networks that confirm them.",
        epilog=_EPILOG,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    parser.add_argument("--version", action=_Version)
    verbs = parser.add_subparsers(dest="verb", required=True, metavar="VERB")

    density = _verb(verbs, "density", "the law: summary, table (x, pdf, cdf) and picture")
    _spectrum(density)
    density.add_argument(
        "--points", type=_integer(2), default=1001, metavar="N",
        help="about how many rows the table has (1001)",
    )  # fmt: skip
    _outputs(density, ".csv, .json, .npz, .parquet (table) or .png, .pdf, .svg (picture)")
    _sampling(density, None)
    density.add_argument(
        "--eigenvalues", action="append", default=[], metavar="FILE",
        help="write the sampled eigenvalues to this table; repeatable",
    )  # fmt: skip
    _log(density)

    sample = _verb(verbs, "sample", "eigenvalues of sampled networks")
    _spectrum(sample)
    _outputs(sample, ".csv, .json, .npz or .parquet")
    _sampling(sample, 8)

    validate = _verb(verbs, "validate", "the law against sampled networks: a report, a verdict")
    _spectrum(validate)
    _outputs(validate, ".csv, .json, .npz, .parquet (table) or .png, .pdf, .svg (picture)")
    _sampling(validate, 8)

    rate = _verb(verbs, "learning-rate", "largest stable learning rate, online or of a full batch")
    rate.add_argument(
        "--torch", metavar="FILE",
        help="a module of torch.save instead of a network file, which runs no code of it; with "
        "--input the answer is for its weights as they are",
    )  # fmt: skip
    rate.add_argument(
        "--loss", choices=["sum", "mean", "mse"], default="sum",
        help="half the squared errors, added or averaged over the outputs (sum); mse: averaged, "
        "without the half",
    )  # fmt: skip
    rate.add_argument(
        "--samples", type=_count, metavar="N",
        help="number of samples of the full batch (as many as data, or 1: online)",
    )  # fmt: skip
    rate.add_argument(
        "--batch", choices=["mean", "sum"], default="mean",
        help="are losses averaged or added over the samples (mean)",
    )  # fmt: skip
    _add_head_and_correlation(rate)
    rate.add_argument(
        "--data", metavar="FILE",
        help="the samples of the full batch, a matrix whose rows are inputs, .npy or .csv",
    )  # fmt: skip
    rate.add_argument(
        "--outputs", type=_count, metavar="C",
        help="a number of outputs that does not grow with the width; by default the network's",
    )  # fmt: skip
    rate.add_argument(
        "--momentum", type=_momentum, default=0.0, metavar="MU", help="momentum in [0, 1) (0)"
    )

    plot = _verb(verbs, "plot", "the picture of the law, over sampled eigenvalues if asked")
    _spectrum(plot)
    _outputs(plot, ".png, .pdf or .svg", required=True)
    _sampling(plot, None)
    _log(plot)

    blocks = _verb(verbs, "layer-blocks", "the diagonal blocks of the conditional FIM in numbers")
    _outputs(blocks, ".csv, .json, .npz or .parquet")

    certify = _verb(verbs, "certify", "proofs: all bands and atoms, densities and masses")
    _spectrum(certify)
    certify.add_argument(
        "--points", type=_integer(1), default=200, metavar="N",
        help="about at how many points of the bands (200)",
    )  # fmt: skip
    _outputs(certify, ".json (a certificate that a second program can check)")

    show = _verb(verbs, "show", "the network, its order parameters, how its law is made")
    _spectrum(show)

    statistics = _bare_verb(
        verbs, "statistics", "mean-field statistics of the Fisher information on many samples",
        _DATA,
    )  # fmt: skip
    _statistic(statistics)
    statistics.add_argument(
        "--replicas", type=_count, metavar="R",
        help="measure the same on so many sampled networks (none), with --seed",
    )  # fmt: skip
    statistics.add_argument(
        "--workers", type=_count, metavar="W",
        help="networks drawn at a time (as many as there are cores); no effect on the numbers",
    )  # fmt: skip
    _outputs(statistics, ".csv, .json, .npz or .parquet (a table of one row)")

    scan = _bare_verb(
        verbs, "scan", "a table over lists of fields, of a law or of statistics", _VARY + _DATA
    )
    scan.add_argument(
        "--vary", action="append", type=_vary, required=True, metavar="FIELD=VALUES",
        help="VALUE,VALUE… or START:STOP:COUNT; repeatable, the last one varies fastest",
    )  # fmt: skip
    _spectrum(scan)
    scan.add_argument(
        "--statistics", action="store_true",
        help="scan statistics, with the options of that verb, not a spectrum",
    )  # fmt: skip
    _statistic(scan)
    _outputs(scan, ".csv, .json, .npz or .parquet")
    scan.add_argument(
        "--resume", metavar="FILE",
        help="keep every finished row there; the same scan with the same file goes on",
    )  # fmt: skip
    return parser


def _verb(
    verbs: "argparse._SubParsersAction[_Parser]", name: str, text: str
) -> argparse.ArgumentParser:
    """Add one verb about one input."""
    verb = _bare_verb(verbs, name, text, _INPUT)
    verb.add_argument(
        "--input", metavar="FILE", help="the input of the network: one vector, .npy or .csv"
    )
    verb.add_argument(
        "--normalize", choices=["none", "rms"], default="none",
        help="rms: scale the input to mean square 1 (none)",
    )  # fmt: skip
    verb.add_argument("--width", type=_count, metavar="M", help="reference width")
    return verb


def _bare_verb(
    verbs: "argparse._SubParsersAction[_Parser]", name: str, text: str, epilog: str
) -> argparse.ArgumentParser:
    """Add one verb with what all verbs take."""
    verb = verbs.add_parser(
        name,
        help=text,
        description=text[0].upper() + text[1:] + ".",
        epilog=epilog,
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    verb.add_argument("network", metavar="NETWORK.toml", nargs="?", help="network file")
    verb.add_argument("--json", action="store_true", help="print one JSON object")
    return verb


def _statistic(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--width", type=_count, metavar="M", help="reference width")
    verb.add_argument("--samples", type=_count, metavar="N", help="number of samples")
    verb.add_argument("--outputs", type=_count, metavar="C", help="number of outputs")
    verb.add_argument(
        "--matrix", metavar="NAME[,KEY=VALUE…]",
        help="fisher (the default), layer-fisher,layer=l, tangent-kernel or feature-metric",
    )  # fmt: skip
    _add_head_and_correlation(verb)
    verb.add_argument(
        "--data", metavar="FILE", help="the inputs, a matrix whose rows are samples, .npy or .csv"
    )
    verb.add_argument(
        "--normalize", choices=["none", "rms"], default="none",
        help="rms: scale the data to mean square 1 (none)",
    )  # fmt: skip
    verb.add_argument(
        "--seed", type=_seed, metavar="S",
        help="seed of sampled networks, and of the outputs of softmax and layer-norm (0)",
    )  # fmt: skip


def _spectrum(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--spectrum", default="conditional-fim", metavar="NAME[,KEY=VALUE…]",
        help="whose law (conditional-fim), with its parameters, as in layer-block,layer=2",
    )  # fmt: skip


def _outputs(verb: argparse.ArgumentParser, formats: str, required: bool = False) -> None:
    verb.add_argument(
        "-o", "--output", action="append", default=[], metavar="FILE", required=required,
        help=f"write {formats}; repeatable",
    )  # fmt: skip


def _sampling(verb: argparse.ArgumentParser, replicas: int | None) -> None:
    """Add the options of the witness; without a default number nothing is sampled unless asked."""
    default = "none" if replicas is None else replicas
    verb.add_argument(
        "--replicas", type=_count, default=replicas, metavar="R",
        help=f"number of sampled networks ({default})",
    )  # fmt: skip
    verb.add_argument(
        "--seed", type=_seed, default=0, metavar="S", help="seed of the sampled networks (0)"
    )
    verb.add_argument(
        "--workers", type=_count, metavar="W",
        help="replicas drawn at a time (as many as there are cores); no effect on the numbers",
    )  # fmt: skip


def _log(verb: argparse.ArgumentParser) -> None:
    verb.add_argument("--log", action="store_true", help="logarithmic abscissa in the picture")


def _integer(least: int) -> Callable[[str], int]:
    def read(text: str) -> int:
        try:
            value = int(text)
        except ValueError:
            value = least - 1
        if value < least:
            raise argparse.ArgumentTypeError(f"must be an integer >= {least}, got {text!r}")
        return value

    return read


_count, _seed = _integer(1), _integer(0)


def _momentum(text: str) -> float:
    value = _real(text)
    if not 0.0 <= value < 1.0:
        raise argparse.ArgumentTypeError(f"must be a number in [0, 1), got {text!r}")
    return value


def _add_head_and_correlation(verb: argparse.ArgumentParser) -> None:
    verb.add_argument(
        "--head", choices=["softmax", "batch-norm", "layer-norm"],
        help="what follows the linear outputs (nothing: squared errors)",
    )  # fmt: skip
    verb.add_argument(
        "--input-correlation", type=_correlation, metavar="R",
        help="correlation of two inputs (0: independent and centred)",
    )  # fmt: skip


def _correlation(text: str) -> float:
    value = _real(text)
    if not -1.0 <= value <= 1.0:
        raise argparse.ArgumentTypeError(f"must be a number in [-1, 1], got {text!r}")
    return value


def _real(text: str) -> float:
    try:
        return float(text)
    except ValueError:
        return math.nan


def _vary(text: str) -> tuple[str, list[Value]]:
    """Take FIELD=VALUES apart."""
    name, _, values = text.partition("=")
    field, parts = name.strip().replace("-", "_"), values.split(":")
    if not (field.isidentifier() and values) or len(parts) not in (1, 3):
        raise argparse.ArgumentTypeError(
            f"must be FIELD=VALUE,VALUE… or FIELD=START:STOP:COUNT, got {text!r}"
        )
    return field, [*map(value, values.split(","))] if len(parts) == 1 else _range(text, *parts)


def _range(text: str, start: str, stop: str, number: str) -> list[Value]:
    """Give equally spaced numbers; rationals in between, so that 1:2:11 holds 1.1 itself."""
    try:
        first, last, count = Fraction(start), Fraction(stop), int(number)
    except (ValueError, ZeroDivisionError):
        count = 0
    if count < 2:
        raise argparse.ArgumentTypeError(
            f"a range must be START:STOP:COUNT with two numbers and COUNT >= 2, got {text!r}"
        )
    places = [first + (last - first) * place / (count - 1) for place in range(count)]
    if all(place.denominator == 1 for place in places):
        return [place.numerator for place in places]
    return [float(place) for place in places]


def value(text: str) -> Value:
    """Read a value: an integer, a fraction p/q, a number, or else a word.

    Examples
    --------
    >>> [value(text) for text in ("3", "3/2", "1.5", "relu")]
    [3, Fraction(3, 2), 1.5, 'relu']
    """
    text = text.strip()
    kinds: tuple[Callable[[str], Value], ...] = (int, float, Fraction)
    for kind in kinds:
        with suppress(ValueError, ZeroDivisionError):
            return kind(text)
    return text


class _Version(argparse.Action):
    """Print the version of the installed package, looked up only when it is asked for."""

    def __init__(self, option_strings: Sequence[str], dest: str) -> None:
        super().__init__(option_strings, dest, nargs=0, help="print the version")

    def __call__(self, parser: argparse.ArgumentParser, *_: object) -> NoReturn:
        from importlib.metadata import PackageNotFoundError, version

        try:
            print("freefim", version("freefim"))
        except PackageNotFoundError:
            print("freefim, not installed")
        parser.exit()
