"""The conditional law of one network beside its exact spectrum."""

from dataclasses import dataclass
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from freefim.free.chains.chain_law import ChainLaw
from freefim.interop.realised import RealisedNetwork
from freefim.interop.recorded import RecordedSpectrum
from freefim.validation.report import AtomCount
from freefim.validation.synthetic import null_distance

if TYPE_CHECKING:
    from matplotlib.axes import Axes

__all__ = ["Comparison"]


@dataclass(frozen=True, eq=False, repr=False)
class Comparison:
    """A predicted law and the eigenvalues it is meant for; prints as a table.

    Attributes
    ----------
    network : RealisedNetwork
    law : ChainLaw
        Its conditional law.
    spectrum : RecordedSpectrum
        Its exact eigenvalues.
    ks, wasserstein : float
        Kolmogorov–Smirnov and Wasserstein-1 distance; eigenvalues that equal an atom to the
        precision of the weights are the atom.
    null_ks : float
        Median Kolmogorov–Smirnov distance of the law to as many synthetic eigenvalues of it.
    atoms : tuple of AtomCount
        The atoms of the law, ascending, and how often they are counted.
    """

    network: RealisedNetwork
    law: ChainLaw
    spectrum: RecordedSpectrum
    ks: float
    wasserstein: float
    null_ks: float
    atoms: tuple[AtomCount, ...]

    @classmethod
    def of(cls, network: RealisedNetwork, spectrum: RecordedSpectrum) -> "Comparison":
        """Compute the law of a network and compare it with eigenvalues.

        Raises
        ------
        ConvergenceError
            If the law cannot be computed.
        """
        law = network.law()
        values = _at_atoms(law, spectrum.eigenvalues, network.rounding)
        return cls(
            network=network,
            law=law,
            spectrum=spectrum,
            ks=law.distance(values, "ks"),
            wasserstein=law.distance(values),
            null_ks=null_distance(law, values.size, np.random.default_rng(0)),
            atoms=tuple(
                AtomCount(at, mass * values.size, int((values == at).sum()))
                for at, mass in law.atoms
            ),
        )

    @property
    def max_eigenvalues(self) -> tuple[float, float]:
        """The largest eigenvalue, predicted and measured."""
        return self.law.support[1], float(self.spectrum.eigenvalues[-1])

    def plot(self, **options: Any) -> "Axes":
        """Draw the eigenvalues under the law; options as of `Law.plot`."""
        return self.spectrum.plot(self.law, **options)

    def __repr__(self) -> str:
        return f"<Comparison of {self.network!r}: KS {self.ks:.4g}, ideal {self.null_ks:.2g}>"

    def __str__(self) -> str:
        predicted, measured = self.max_eigenvalues
        mean = float(self.law.mean()), self.spectrum.moments(1)[0]
        rows = [
            f"{self.spectrum.matrix}, widths {', '.join(map(str, self.network.widths))}",
            *(f"  weights {i}     {w.name}" for i, w in enumerate(self.network.weights, 1)),
            "                    law           network",
            f"  mean              {mean[0]:<13.6g} {mean[1]:.6g}",
            f"  max eigenvalue    {predicted:<13.6g} {measured:.6g}",
            *(
                f"  atom at {atom.location:<9.6g} {atom.expected:<13.6g} {atom.counted}"
                for atom in self.atoms
            ),
            f"  KS distance       {self.ks:.4g} (as many ideal eigenvalues: {self.null_ks:.2g})",
            f"  Wasserstein-1     {self.wasserstein:.4g}",
        ]
        return "\n".join(rows)


def _at_atoms(law: ChainLaw, eigenvalues: NDArray[np.float64], rounding: float) -> Any:
    """Eigenvalues with those that equal an atom to `rounding` or 1e-9, relatively, set to it."""
    values = eigenvalues.copy()
    for location, _ in law.atoms:
        values[np.abs(values - location) <= max(rounding, 1e-9) * law.support[1]] = location
    return values
