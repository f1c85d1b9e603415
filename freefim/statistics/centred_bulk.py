r"""The bulk of the Fisher information of a centred network with N of the order of M.

For an odd activation without bias and independent inputs the dual is, for each output,
:math:`r I + \sum_l y_l K_l` with sample covariances :math:`K_l` of population covariance
:math:`c_l I + b_l K_{l-1}` and :math:`K_0` of Marchenko-Pastur type; `free.nested` solves it.

References
----------
.. [1] Fan & Wang, *Spectra of the Conjugate Kernel and Neural Tangent Kernel for linear-width
   neural networks*, NeurIPS 2020, theorem 3.7.
"""

from __future__ import annotations

from typing import TYPE_CHECKING

if TYPE_CHECKING:
    from collections.abc import Sequence

    from freefim.free.law import Law

__all__ = ["nested_bulk", "upper_edge"]


def nested_bulk(
    shift: float,
    weights: Sequence[float],
    ratios: Sequence[float],
    rests: Sequence[float],
    gains: Sequence[float],
) -> Law:
    r"""Law of :math:`r I + \sum_{l=0}^{L-1} y_l K_l`.

    Parameters
    ----------
    shift : float
        r.
    weights : sequence of float, L entries
        :math:`y_l` >= 0, the last > 0.
    ratios : sequence of float, L entries
        :math:`\gamma_l = N/M_l`.
    rests, gains : sequence of float, L-1 entries
        :math:`c_l` >= 0 and :math:`b_l` >= 0 for l = 1..L-1; :math:`K_0` has mean 1.

    Examples
    --------
    Without hidden layers it is a shifted Marchenko-Pastur law:

    >>> abs(upper_edge(nested_bulk(1.0, [2.0], [0.25], [], [])) - 1 - 2 * 1.5**2) < 1e-14
    True
    """
    from freefim.free.laws.named import MarchenkoPastur
    from freefim.free.nested.law import Level, nested_covariances
    from freefim.free.trees.algebra import affine

    levels = tuple(map(Level, ratios[1:], rests, gains))
    law = nested_covariances(MarchenkoPastur(ratios[0]), levels, tuple(weights))
    # beside 0, floats lie close enough for the hard ends that N = M_0 + M_1 + ... gives
    return affine(law, 1.0, shift) if shift else law


def upper_edge(law: Law) -> float:
    """Right end of the support of a bulk; ConvergenceError if it is not found."""
    from freefim.free.nested.law import NestedCovariances
    from freefim.free.trees.nodes import Affine

    if isinstance(law, Affine) and isinstance(law.law, NestedCovariances):
        return float(law.shift + law.scale * law.law.upper_edge)
    return float(law.upper_edge if isinstance(law, NestedCovariances) else law.support[1])
