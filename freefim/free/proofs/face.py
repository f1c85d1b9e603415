"""The face of proofs: what every law can be asked for."""

from collections.abc import Callable
from fractions import Fraction
from functools import cached_property
from typing import TYPE_CHECKING, Any, cast

import numpy as np
from numpy.typing import ArrayLike

from freefim.free.proofs.enclosure import Enclosure, exact

if TYPE_CHECKING:
    from freefim.free.law import Law
    from freefim.free.proofs.prover import Prover

__all__ = ["Certified"]


class Certified:
    """Numbers of a law with their proofs: intervals with rational ends, by ball arithmetic.

    What is proved is about the law with exactly its parameters: a float stands for the binary
    fraction that it is. Proofs need python-flint (``pip install 'freefim[exact]'``).
    """

    def certified_pdf(self, x: ArrayLike) -> Any:
        """Enclosure of the density of the absolutely continuous part.

        Parameters
        ----------
        x : array_like
            Real points, any shape; floats stand for the binary fractions that they are.

        Returns
        -------
        Enclosure, or ndarray of them of the shape of `x`
            Exactly 0 in gaps.

        Raises
        ------
        SpecError
            If `x` holds anything but finite real numbers.
        ConvergenceError
            If nothing can be proved: at an edge, at a cusp, or of a law of that kind.
        MissingExtraError
            If python-flint is not installed.

        Notes
        -----
        A root of z(t) = x is unique in a box by the interval Newton test, and is the physical one
        by the signs of Im z over the box (theory of subordination [1]_).

        References
        ----------
        .. [1] Belinschi & Bercovici, *J. Anal. Math.* 101 (2007) 357.

        Examples
        --------
        >>> from freefim.free.chains.chain import Chain, Gaussian
        >>> from freefim.free.chains.chain_law import ChainLaw
        >>> law = ChainLaw(Chain(1, (Gaussian(1, 1),)))  # Marchenko–Pastur: √(x(4-x))/(2πx)
        >>> proved = law.certified_pdf(2)
        >>> abs(proved.midpoint - 0.5 / np.pi) < 1e-16, proved.width < 1e-30
        (True, True)
        """
        return _each(self.prover.pdf, x)

    def certified_cdf(self, x: ArrayLike) -> Any:
        """Enclosure of the mass of (-∞, x]; parameters and errors are those of `certified_pdf`."""
        return _each(self.prover.cdf, x)

    def certified_edges(self) -> tuple[Enclosure, ...]:
        """Enclosures of the ends of the bands, ascending; it is proved that there are no others.

        Outside the enclosures there are no others. Each holds one edge, but for trees those that
        are no square roots (hard edges), which hold one at least.

        Raises
        ------
        ConvergenceError
            If the list of bands cannot be proved complete: at a cusp, where two bands meet.
        MissingExtraError
            If python-flint is not installed.
        """
        return self.prover.edges()

    def certified_atoms(self) -> tuple[tuple[Enclosure, Enclosure], ...]:
        """Enclosures of all point masses (location, mass), ascending.

        Raises
        ------
        ConvergenceError
            If they cannot be proved.
        MissingExtraError
            If python-flint is not installed.
        """
        return self.prover.atoms()

    def certified_support(self) -> tuple[Enclosure, Enclosure]:
        """Enclosures of the smallest and the largest point of the support, atoms included.

        Raises
        ------
        ConvergenceError
            If they cannot be proved.
        MissingExtraError
            If python-flint is not installed.
        """
        return self.prover.support()

    @cached_property
    def prover(self) -> "Prover":
        """Who proves all that; asked for once."""
        from freefim.free.proofs.prover import prover_of

        return prover_of(cast("Law", self))


def _each(prove: Callable[[Fraction], Enclosure], x: ArrayLike) -> Any:
    """Prove at every point; scalars in, scalars out."""
    if not isinstance(x, list | tuple | np.ndarray):
        return prove(exact("x", x))
    points = np.array(x, dtype=object)
    results = np.empty(points.shape, dtype=object)
    for place in np.ndindex(points.shape):
        results[place] = prove(exact("x", points[place]))
    return results
