"""What a command is about: a spectrum, of a network and perhaps a real input of it."""

import math
import os
from argparse import Namespace
from dataclasses import dataclass
from fractions import Fraction
from pathlib import Path
from typing import Any

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.networks.files import read_network
from freefim.networks.network import Network
from freefim.spectra.catalogue import spectrum_by_name
from freefim.spectra.spectrum import Spectrum

__all__ = ["Problem"]

Array = NDArray[np.float64]


@dataclass(frozen=True, eq=False)
class Problem:
    """A spectrum, as a rule that of a network at an input.

    Parameters
    ----------
    spectrum : Spectrum
    network : Network or None
        The description; with a vector, completed by its length and its mean square.
    width : int or None
        Reference width M, where it is known.
    vector : ndarray, shape (M_0,), or None
        The input, normalised.
    provenance : dict
        Where it came from, in words and numbers that JSON holds.
    """

    spectrum: Spectrum
    network: Network | None
    width: int | None
    vector: Array | None
    provenance: dict[str, Any]

    @classmethod
    def read(cls, arguments: Namespace) -> "Problem":
        """Read the network file and the input file of a command.

        Raises
        ------
        SpecError
            If a file or a combination of options does not mean anything.
        """
        name, options = _named(getattr(arguments, "spectrum", "conditional-fim"))
        file, width = arguments.network, arguments.width
        network = None if file is None else read_network(file)
        provenance: dict[str, Any] = {"network_file": file, "spectrum": name, **options}
        if network is None and arguments.input is not None:
            raise SpecError(f"--input needs a network file, got --input {arguments.input!r} alone")
        if network is None or arguments.input is None:
            if arguments.normalize != "none":
                raise SpecError(
                    f"--normalize {arguments.normalize} needs an input vector: --input FILE"
                )
            spectrum = spectrum_by_name(name, network, options)
            return cls(spectrum, network, width, None, provenance | {"width": width})
        vector = _read_vector(arguments.input)
        second_moment = _mean_square(vector, arguments.input)
        if arguments.normalize == "rms":
            vector, second_moment = vector / math.sqrt(second_moment), 1.0
        network, width = _with_input(network, vector.size, second_moment, width)
        provenance |= {
            "input_file": arguments.input,
            "normalize": arguments.normalize,
            "width": width,
        }
        spectrum = spectrum_by_name(name, network, options)
        return cls(spectrum, network, width, vector, provenance)

    def needed_width(self, purpose: str) -> int:
        """Give the reference width for a purpose that cannot do without.

        Raises
        ------
        SpecError
            If it is not known.
        """
        if self.width is None:
            raise SpecError(f"{purpose} needs the reference width: --width M")
        return self.width


def _named(text: str) -> tuple[str, dict[str, int | float]]:
    """Take the name of a spectrum and its parameters apart."""
    name, *pairs = text.split(",")
    options: dict[str, int | float] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        try:
            number = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise SpecError(f"--spectrum must be NAME or NAME,KEY=NUMBER…, got {text!r}")
        options[key.replace("-", "_")] = int(number) if number.is_integer() else number
    return name, options


def _with_input(
    network: Network, size: int, second_moment: float, width: int | None
) -> tuple[Network, int]:
    """Complete a network by an input of `size` numbers, and find the reference width."""
    if width is None:
        width = round(size / Fraction(network.ratios[0]))
        if not math.isclose(float(network.ratios[0]) * width, size, rel_tol=1e-9):
            raise SpecError(
                f"--width must be given: an input of {size} numbers and "
                f"width_ratios[0]={network.ratios[0]!r} make no whole reference width"
            )
    elif size != width or network.width_ratios is not None:
        network = network.replace(width_ratios=(size / width, *network.ratios[1:]))
    return network.replace(input_second_moment=second_moment), width


def _read_vector(path: str) -> Array:
    """Read one vector of real numbers."""
    what = f"input file {path!r}"
    suffix = Path(path).suffix.lower()
    if suffix not in (".npy", ".csv"):
        raise SpecError(f"{what} must end in .npy or .csv")
    try:
        values = _load(path, suffix)
    except OSError as error:
        raise SpecError(f"{what} must be a readable file: {error.strerror or error}") from error
    except (ValueError, EOFError, SyntaxError) as error:
        raise SpecError(f"{what} must hold one vector of numbers: {error}") from error
    if values.dtype.kind not in "fiub":
        raise SpecError(f"{what} must hold real numbers, got {values.dtype}")
    if values.size == 0 or values.size != max(values.shape, default=0):
        raise SpecError(f"{what} must hold one vector, a row or a column, got shape {values.shape}")
    return values.astype(float).ravel()


def _load(path: str | os.PathLike[str], suffix: str) -> NDArray[Any]:
    if suffix == ".npy":
        with Path(path).open("rb") as stream:
            return np.lib.format.read_array(stream, allow_pickle=False)
    lines = [
        line.partition("#")[0].strip()
        for line in Path(path).read_text(encoding="utf-8-sig").splitlines()
    ]
    return np.array([[float(cell) for cell in line.split(",")] for line in lines if line])


def _mean_square(vector: Array, path: str) -> float:
    what = f"input file {path!r}"
    wrong = np.flatnonzero(~np.isfinite(vector))
    if wrong.size:
        raise SpecError(f"{what} must hold finite numbers, got {vector[wrong[0]]} at {wrong[0]}")
    if not vector.any():
        raise SpecError(f"{what} must not hold the zero vector, got {vector.size} zeros")
    with np.errstate(over="ignore", under="ignore"):
        value = float(np.mean(vector**2))
    if not np.finfo(float).tiny <= value < math.inf:
        raise SpecError(
            f"{what} must have a mean square within the range of floating-point numbers, "
            f"got entries up to {np.abs(vector).max()}"
        )
    return value
