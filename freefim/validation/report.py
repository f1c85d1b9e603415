"""The report of a validation: what was compared, what was allowed, and the verdict."""

from collections.abc import Iterator
from dataclasses import asdict, dataclass, field
from importlib.metadata import PackageNotFoundError, version
from typing import TYPE_CHECKING, Any

import numpy as np

from freefim._formats import plain
from freefim.free.law import Law
from freefim.montecarlo.empirical import EmpiricalSpectrum

if TYPE_CHECKING:
    from matplotlib.axes import Axes

    from freefim.tables import Table

__all__ = ["AtomCount", "MomentCheck", "ReplicaCheck", "ValidationReport"]

_STANDARD_ERRORS = 4.0
_NULL_DISTANCES = 3.0
_STEPS = 2.0
# Laws and eigenvalues are exact to this, relatively: all that is allowed where nothing is random.
_ROUNDING = 1e-9


@dataclass(frozen=True)
class MomentCheck:
    """A moment of the limit law and of the samples.

    Attributes
    ----------
    order : int
        The k of E x^k.
    expected, sampled : float
        The moment of the law, and the mean over replicas of (1/n) Σ λ_i^k.
    standard_error : float
        Of `sampled` and of its measured 1/M term together, from the spread over replicas.
    finite_width : float
        Size of the 1/M term of `sampled`, measured by sampling at a smaller width as well.
    """

    order: int
    expected: float
    sampled: float
    standard_error: float
    finite_width: float

    @property
    def deviation(self) -> float:
        """Distance of the two."""
        return abs(self.sampled - self.expected)

    @property
    def allowed(self) -> float:
        """Four standard errors, the 1/M term, and rounding."""
        rounding = _ROUNDING * abs(self.sampled)
        return _STANDARD_ERRORS * self.standard_error + self.finite_width + rounding

    @property
    def passed(self) -> bool:
        """Whether the deviation is allowed."""
        return self.deviation <= self.allowed


@dataclass(frozen=True)
class AtomCount:
    """An atom of a conditional law: its multiplicity as the law has it, and as counted."""

    location: float
    expected: float
    counted: int


@dataclass(frozen=True)
class ReplicaCheck:
    """One replica against its conditional law.

    Attributes
    ----------
    index : int
        Number of the replica.
    ks : float
        Kolmogorov–Smirnov distance, eigenvalues aligned with the atoms they equal to rounding.
    support, extremes : (float, float)
        Ends of the support of the law; smallest and largest eigenvalue.
    atoms : tuple of AtomCount
        The atoms of the law, ascending.
    outliers : int
        Eigenvalues at no atom and outside every band by more than edges fluctuate: the room,
        inside the edge, of two eigenvalues.
    """

    index: int
    ks: float
    support: tuple[float, float]
    extremes: tuple[float, float]
    atoms: tuple[AtomCount, ...]
    outliers: int


@dataclass(frozen=True)
class ValidationReport:
    """A law against sampled spectra; prints as a table.

    Attributes
    ----------
    source : str
        Description of what was sampled.
    width, narrow_width : int
        Reference width M, and the smaller width at which the 1/M terms were measured.
    seed : int
        Seed of the sample.
    size : int
        Eigenvalues of each replica, n.
    moments : tuple of MomentCheck
        Against the limit law.
    replicas : tuple of ReplicaCheck
        Each against its conditional law.
    null_ks : float
        Median Kolmogorov–Smirnov distance of the limit law to n synthetic eigenvalues of it.
    decaying_ks : float
        Size of the term of the conditional distance that decays as a power of the width, measured
        by sampling at the smaller width as well; 0 where no such term is known.
    wasserstein : float
        Wasserstein-1 distance of the limit law to the eigenvalues of all replicas.
    law : Law
        The limit law.
    sample : EmpiricalSpectrum
        The sampled eigenvalues.

    Notes
    -----
    The verdict is FAIL if the median over replicas of the conditional distance exceeds three
    times its null value plus 2/n plus its decaying term, or a moment lies beyond four standard
    errors plus its measured 1/M term. All else is reported, not judged.
    """

    source: str
    width: int
    narrow_width: int
    seed: int
    size: int
    moments: tuple[MomentCheck, ...]
    replicas: tuple[ReplicaCheck, ...]
    null_ks: float
    decaying_ks: float
    wasserstein: float
    law: Law = field(repr=False, compare=False)
    sample: EmpiricalSpectrum = field(repr=False, compare=False)

    @property
    def ks(self) -> float:
        """Conditional Kolmogorov–Smirnov distance: the median over replicas."""
        return float(np.median([replica.ks for replica in self.replicas]))

    @property
    def largest_ks(self) -> float:
        """Conditional Kolmogorov–Smirnov distance: the largest over replicas."""
        return max(replica.ks for replica in self.replicas)

    @property
    def allowed_ks(self) -> float:
        """Three times the null value plus 2/n plus the decaying term."""
        return _NULL_DISTANCES * self.null_ks + _STEPS / self.size + self.decaying_ks

    @property
    def expected_multiplicity(self) -> float:
        """Eigenvalues at atoms, over all replicas, as the conditional laws have it."""
        return sum(atom.expected for replica in self.replicas for atom in replica.atoms)

    @property
    def counted_multiplicity(self) -> int:
        """Eigenvalues at atoms, over all replicas, as counted."""
        return sum(atom.counted for replica in self.replicas for atom in replica.atoms)

    @property
    def outliers(self) -> int:
        """Outliers of all replicas."""
        return sum(replica.outliers for replica in self.replicas)

    @property
    def reasons(self) -> tuple[str, ...]:
        """Why the verdict is FAIL: one sentence for each check that did not pass."""
        return tuple(self._reasons())

    @property
    def passed(self) -> bool:
        """Whether every check passed."""
        return not self.reasons

    @property
    def verdict(self) -> str:
        """``"PASS"`` or ``"FAIL"``."""
        return "PASS" if self.passed else "FAIL"

    def to_dict(self) -> dict[str, Any]:
        """Give the report as strict JSON holds it."""
        summary = {
            "verdict": self.verdict,
            "reasons": self.reasons,
            **self._provenance(),
            "ks": self.ks,
            "largest_ks": self.largest_ks,
            "null_ks": self.null_ks,
            "decaying_ks": self.decaying_ks,
            "allowed_ks": self.allowed_ks,
            "wasserstein": self.wasserstein,
            "support": self.law.support,
            "atoms": self.law.atoms,
            "bands": self.law.bands,
            "moments": [
                {**asdict(moment), "allowed": moment.allowed, "passed": moment.passed}
                for moment in self.moments
            ],
            "replicas": [asdict(replica) for replica in self.replicas],
        }
        return {name: plain(value) for name, value in summary.items()}

    def table(self) -> "Table":
        """Give the comparison as a table.

        Returns
        -------
        Table
            One row for each quantity; columns quantity, expected, sampled, allowed (NaN where
            nothing is judged) and passed. Everything else stands in the metadata.
        """
        from freefim.tables import Table

        rows = list(self._rows())
        names = ("quantity", "expected", "sampled", "allowed", "passed")
        columns = {
            name: np.array(values)
            for name, values in zip(names, zip(*rows, strict=True), strict=True)
        }
        return Table(columns, self.to_dict())

    def plot(self, ax: "Axes | None" = None) -> "Axes":
        """Draw the limit law over a histogram of the sampled eigenvalues, atoms as stems."""
        title = f"{self.verdict}: width {self.width}, {len(self.replicas)} replicas"
        return self.law.plot(self.sample.eigenvalues, ax=ax, title=title)

    def __str__(self) -> str:
        head = f"{'':<18}{'law':>14}{'sampled':>14}{'allowed':>12}"
        lines = [
            f"{name:<18}{_number(expected):>14}{_number(sampled):>14}"
            f"{_number(allowed, 3):>12}{'' if passed else '  FAIL'}"
            for name, expected, sampled, allowed, passed in self._rows()
        ]
        return "\n".join(
            [
                f"{self.verdict}: {self.source}",
                f"width {self.width}, {len(self.replicas)} replicas of {self.size} eigenvalues, "
                f"seed {self.seed}; 1/M terms from width {self.narrow_width}",
                head,
                *lines,
                f"conditional ks: median over replicas, the largest {_number(self.largest_ks)}; "
                f"under law, the null value; moments: allowed is a deviation",
                *self.reasons,
            ]
        )

    def _rows(self) -> Iterator[tuple[str, float, float, float, bool]]:
        """Quantity, expected, sampled, allowed and passed."""
        nan = float("nan")
        for moment in self.moments:
            yield (
                f"moment {moment.order}",
                moment.expected,
                moment.sampled,
                moment.allowed,
                moment.passed,
            )
        yield "conditional ks", self.null_ks, self.ks, self.allowed_ks, self.ks <= self.allowed_ks
        yield "wasserstein", 0.0, self.wasserstein, nan, True
        low, high = np.mean([replica.extremes for replica in self.replicas], axis=0)
        yield "lower end", self.law.support[0], float(low), nan, True
        yield "upper end", self.law.support[1], float(high), nan, True
        expected, counted = self.expected_multiplicity, float(self.counted_multiplicity)
        yield "at atoms", expected, counted, nan, True
        yield "outliers", 0.0, float(self.outliers), nan, True

    def _reasons(self) -> Iterator[str]:
        if not self.ks <= self.allowed_ks:
            term = f" plus the decaying term {self.decaying_ks:.2g}" if self.decaying_ks else ""
            yield (
                f"the conditional Kolmogorov–Smirnov distance is {self.ks:.4g}, allowed "
                f"{self.allowed_ks:.4g}: three times the null value {self.null_ks:.4g} "
                f"plus 2/{self.size}{term}"
            )
        for moment in self.moments:
            if not moment.passed:
                yield (
                    f"moment {moment.order} is {moment.sampled:.6g}, the law says "
                    f"{moment.expected:.6g}: off by {moment.deviation:.2g}, allowed "
                    f"{moment.allowed:.2g}: four standard errors of {moment.standard_error:.2g} "
                    f"plus the 1/M term {moment.finite_width:.2g}"
                )

    def _provenance(self) -> dict[str, Any]:
        return {
            "source": self.source,
            "law": repr(self.law),
            "width": self.width,
            "narrow_width": self.narrow_width,
            "seed": self.seed,
            "size": self.size,
            "versions": {name: _version(name) for name in ("freefim", "numpy")},
        }


def _number(value: float, digits: int = 6) -> str:
    return "" if np.isnan(value) else f"{value:.{digits}g}"


def _version(name: str) -> str | None:
    """Version of an installed package; None if it runs from its sources."""
    try:
        return version(name)
    except PackageNotFoundError:
        return None
