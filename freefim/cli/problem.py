"""What a command is about: a spectrum, of a network and perhaps a real input of it."""

import math
from argparse import Namespace
from collections.abc import Sequence
from dataclasses import dataclass
from fractions import Fraction
from typing import Any

from freefim.cli.arrays import Array, mean_square, read_vector
from freefim.errors import SpecError
from freefim.networks.checks import Number
from freefim.networks.files import read_network
from freefim.networks.network import Network
from freefim.spectra.catalogue import spectrum_by_name
from freefim.spectra.spectrum import Spectrum

__all__ = ["Problem", "named", "with_input"]


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
        name, options = named(getattr(arguments, "spectrum", "conditional-fim"))
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
        vector = read_vector(arguments.input)
        second_moment = mean_square(vector, f"input file {arguments.input!r}")
        if arguments.normalize == "rms":
            vector, second_moment = vector / math.sqrt(second_moment), 1.0
        network, width = with_input(network, network.ratios, vector.size, second_moment, width)
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


def named(text: str) -> tuple[str, dict[str, int | float | str]]:
    """Take the name of a spectrum and its parameters apart; SpecError if it has no such parts.

    Examples
    --------
    >>> named("single-hidden-layer-fisher,activation=erf:scale=0.5")
    ('single-hidden-layer-fisher', {'activation': 'erf:scale=0.5'})
    """
    name, *pairs = text.split(",")
    options: dict[str, int | float | str] = {}
    for pair in pairs:
        key, sign, value = pair.partition("=")
        key = key.strip().replace("-", "_")
        if key == "activation" and value:
            options[key] = value.strip()
            continue
        try:
            number = float(value)
        except ValueError:
            sign = ""
        if not sign:
            raise SpecError(f"--spectrum must be NAME or NAME,KEY=NUMBER…, got {text!r}")
        options[key] = int(number) if number.is_integer() else number
    return name, options


def with_input(
    network: Network, ratios: Sequence[Number], size: int, second_moment: float, width: int | None
) -> tuple[Network, int]:
    """Complete a network by inputs of `size` numbers, and find the reference width.

    Parameters
    ----------
    network : Network
    ratios : sequence of number
        Its width ratios.
    size : int
    second_moment : float
        Mean square of the inputs.
    width : int or None
        The reference width if it is given.

    Raises
    ------
    SpecError
        If no whole reference width fits.
    """
    if width is None:
        width = round(size / Fraction(ratios[0]))
        if not math.isclose(float(ratios[0]) * width, size, rel_tol=1e-9):
            raise SpecError(
                f"--width must be given: an input of {size} numbers and "
                f"width_ratios[0]={ratios[0]!r} make no whole reference width"
            )
    elif size != width or network.width_ratios is not None:
        network = network.replace(width_ratios=(size / width, *ratios[1:]))
    return network.replace(input_second_moment=second_moment), width
