"""Compare a law with sampled spectra.

Two comparisons, because the limit law is exact only at infinite width: moments, Wasserstein-1
distance and edges against the limit law; the Kolmogorov–Smirnov distance, atoms and outliers of
every replica against its own conditional law.

Some matrices are those of their law only up to terms that die out as a power of the width below 1:
then that term of the distance is measured, too, by its decay from half the width to the whole.
"""

from collections.abc import Callable, Iterable, Iterator
from itertools import zip_longest
from typing import TYPE_CHECKING, Protocol

import numpy as np
from numpy.typing import NDArray

from freefim.errors import SpecError
from freefim.free.distances import at_atoms
from freefim.free.law import Law
from freefim.montecarlo.empirical import EmpiricalSpectrum
from freefim.validation.report import AtomCount, MomentCheck, ReplicaCheck, ValidationReport
from freefim.validation.synthetic import null_distance

if TYPE_CHECKING:
    from freefim.montecarlo.empirical import Replica

__all__ = ["compare", "validate"]

Array = NDArray[np.float64]
Progress = Callable[[int, int], object]

_ORDERS = 4
# Fluctuations of moments are of order 1/M: four times the replicas at half the width measure the
# 1/M term as well as the moments are known, at half of their cost.
_NARROW = 4
# An eigenvalue is an outlier beyond a soft edge at more than the room of this many eigenvalues
# inside it: 4.5 times the Tracy–Widom scale, exceeded with probability below 1e-4.
_EDGE_EIGENVALUES = 2.0


class Sampler(Protocol):
    """Draws a spectrum at a width; its replicas depend on width, seed and number alone."""

    def __call__(
        self, width: int, replicas: int, seed: int, *, progress: Progress | None
    ) -> EmpiricalSpectrum: ...


def validate(
    law: Law,
    given: "Callable[[Replica], Law]",
    draw: Sampler,
    width: int,
    replicas: int,
    seed: int,
    progress: Progress | None = None,
    decay: float | None = None,
) -> ValidationReport:
    """Sample a spectrum at a width and at half of it, and compare it with its law.

    Parameters
    ----------
    law : Law
        The limit law.
    given : callable
        The conditional law of a replica.
    draw : callable
        The sampler: ``draw(width, replicas, seed, progress=…)``.
    width : int
        Reference width, at least 2.
    replicas : int
        Number of replicas, at least 2; four times as many are drawn at half the width.
    seed : int
        Seed of the replicas at the full width; those at half width have one derived from it.
    progress : callable, optional
        Called as ``progress(done, total)`` after each replica sampled and each law compared.
    decay : float, optional
        The p, if the matrices have a distance of order M^-p to their law in theory; without, the
        distance is judged as if they had none.

    Returns
    -------
    ValidationReport

    Raises
    ------
    SpecError
        If `width`, `replicas` or `seed` is not as said above.
    ConvergenceError
        If a law or a replica cannot be computed.
    """
    for name, value, reason in (
        ("width", width, "so that there is half of it"),
        ("replicas", replicas, "so that there is a standard error"),
    ):
        if isinstance(value, bool) or not isinstance(value, int | np.integer) or value < 2:
            raise SpecError(f"{name} must be an integer >= 2, {reason}, got {value!r}")

    def ticks(before: int) -> Progress | None:
        if progress is None:
            return None
        laws = 1 if decay is None else 2
        return lambda done, _: progress(before + done, (1 + _NARROW + laws) * replicas)

    _ = law.solution  # what cannot be solved need not be sampled
    sample = draw(width, replicas, seed, progress=ticks(0))
    other_seed = int(np.random.SeedSequence(seed).generate_state(1)[0])
    narrow = draw(width // 2, _NARROW * replicas, other_seed, progress=ticks(replicas))

    def conditional_laws(spectrum: EmpiricalSpectrum, before: int) -> Iterator[Law]:
        tick = ticks(before)
        for index, replica in enumerate(spectrum):
            yield given(replica)
            if tick is not None:
                tick(index + 1, replicas)

    before = (1 + _NARROW) * replicas
    term = None
    if decay is not None:
        some = EmpiricalSpectrum(tuple(narrow)[:replicas])
        distances = [
            conditional.distance(replica.eigenvalues, "ks")
            for replica, conditional in zip(
                some, conditional_laws(some, before + replicas), strict=True
            )
        ]
        term = decay, tuple(distances)
    return compare(law, conditional_laws(sample, before), sample, narrow, term)


def compare(
    law: Law,
    conditional_laws: Iterable[Law],
    sample: EmpiricalSpectrum,
    narrow: EmpiricalSpectrum,
    decaying: tuple[float, tuple[float, ...]] | None = None,
) -> ValidationReport:
    r"""Compare a limit law and the conditional laws of replicas with sampled eigenvalues.

    Parameters
    ----------
    law : Law
        The limit law.
    conditional_laws : iterable of Law
        One for each replica of `sample`, in their order; taken one at a time.
    sample : EmpiricalSpectrum
        At least two replicas.
    narrow : EmpiricalSpectrum
        At least two replicas of the same description at a smaller width.
    decaying : (float, tuple of float), optional
        The p, and the conditional Kolmogorov–Smirnov distances at the smaller width, if they have a
        term of order M^-p.

    Returns
    -------
    ValidationReport

    Raises
    ------
    SpecError
        If an argument is not as said above.
    ConvergenceError
        If a law cannot be computed.

    Notes
    -----
    The 1/M term of a moment is measured without any law: if the mean moment at width M is
    :math:`m + b/M`, its values at widths :math:`M' < M` differ by :math:`b(1/M' - 1/M)`. So is the
    term :math:`b M^{-p}` of the distance.

    Examples
    --------
    Orthogonal linear networks have their law, the point mass L, at any width:

    >>> from freefim.free.chains.chain import Chain
    >>> from freefim.free.chains.chain_law import ChainLaw
    >>> from freefim.montecarlo import sample_networks
    >>> from freefim.networks.network import Network
    >>> wide, narrow = (sample_networks(Network(3, "linear"), width, 2) for width in (8, 4))
    >>> law = ChainLaw(Chain(3.0, ()))
    >>> report = compare(law, [law, law], wide, narrow)
    >>> report.verdict, report.ks
    ('PASS', 0.0)
    """
    if not isinstance(law, Law):
        raise SpecError(f"law must be a Law, got {law!r}")
    for name, spectrum in (("sample", sample), ("narrow", narrow)):
        if not isinstance(spectrum, EmpiricalSpectrum) or len(spectrum) < 2:
            raise SpecError(
                f"{name} must be an EmpiricalSpectrum of at least 2 replicas, got {spectrum!r}"
            )
    if narrow.source != sample.source or narrow.width >= sample.width:
        raise SpecError(
            f"narrow must be sampled from the same source at a width below {sample.width}, "
            f"got width {narrow.width} of {narrow.source!r}"
        )
    checks: list[ReplicaCheck] = []
    for replica, conditional in zip_longest(sample, conditional_laws):
        if replica is None or not isinstance(conditional, Law):
            raise SpecError(
                f"conditional_laws must be one Law for each of the {len(sample)} replicas, "
                f"got {conditional!r} as number {len(checks) + 1}"
            )
        checks.append(_check_replica(replica.index, replica.eigenvalues, conditional))
    eigenvalues = sample.eigenvalues
    rng = np.random.default_rng(sample.seed)
    return ValidationReport(
        source=repr(sample.source),
        width=sample.width,
        narrow_width=narrow.width,
        seed=sample.seed,
        size=eigenvalues.shape[1],
        moments=_check_moments(law, sample, narrow),
        replicas=tuple(checks),
        null_ks=null_distance(law, eigenvalues.shape[1], rng),
        decaying_ks=_decaying(decaying, [c.ks for c in checks], narrow.width / sample.width),
        wasserstein=law.distance(eigenvalues, "wasserstein"),
        law=law,
        sample=sample,
    )


def _decaying(
    term: tuple[float, tuple[float, ...]] | None, distances: list[float], ratio: float
) -> float:
    """The term b M^-p of the median distance, by its decay, and two of its standard errors."""
    if term is None:
        return 0.0
    share = 1.0 / (ratio ** -term[0] - 1.0)
    narrow, wide = np.array(term[1]), np.array(distances)
    # of the median of a normal sample
    errors = [np.sqrt(0.5 * np.pi / x.size) * x.std(ddof=1) for x in (narrow, wide)]
    size = abs(float(np.median(narrow) - np.median(wide)))
    return float(share * (size + 2.0 * float(np.hypot(*errors))))


def _check_moments(
    law: Law, sample: EmpiricalSpectrum, narrow: EmpiricalSpectrum
) -> tuple[MomentCheck, ...]:
    means, errors = sample.moments(_ORDERS)
    narrow_means, narrow_errors = narrow.moments(_ORDERS)
    share = narrow.width / (sample.width - narrow.width)
    terms = np.abs(narrow_means - means) * share
    # the 1/M term is measured, too
    together = np.hypot(errors, share * np.hypot(errors, narrow_errors))
    return tuple(
        MomentCheck(order, float(law.moment(order)), *map(float, row))
        for order, row in enumerate(zip(means, together, terms, strict=True), start=1)
    )


def _check_replica(index: int, eigenvalues: Array, law: Law) -> ReplicaCheck:
    aligned = at_atoms(law.solution, eigenvalues)
    atoms = tuple(
        AtomCount(location, mass * aligned.size, int(np.sum(aligned == location)))
        for location, mass in law.atoms
    )
    free = ~np.isin(aligned, [atom.location for atom in atoms])
    return ReplicaCheck(
        index=index,
        ks=law.distance(eigenvalues, "ks"),
        support=law.support,
        extremes=(float(eigenvalues.min()), float(eigenvalues.max())),
        atoms=atoms,
        outliers=int(np.sum(_far_from_bands(law, eigenvalues.size)(eigenvalues[free]))),
    )


def _far_from_bands(law: Law, size: int) -> Callable[[Array], NDArray[np.bool_]]:
    """Tell which of `size` eigenvalues lie outside every band, beyond what edges fluctuate."""
    if not law.bands:
        return lambda x: np.full(x.shape, True)
    left, right = np.array(law.bands).T
    masses = np.array(law.band_masses)
    room = np.minimum(_EDGE_EIGENVALUES / size, masses)
    below = np.cumsum(masses) - masses
    for location, mass in law.atoms:
        below += np.where(location <= left, mass, 0.0)
    first, last = np.clip([law.icdf(below + room), law.icdf(below + masses - room)], left, right)
    low, high = 2.0 * left - first, 2.0 * right - last
    return lambda x: ~np.any((low <= x[:, None]) & (x[:, None] <= high), axis=1)
