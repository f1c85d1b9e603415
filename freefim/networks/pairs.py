r"""Order parameters of two inputs: how a network tells them apart, forward and backward.

Index t: twice the same input; index st: two inputs. :math:`\hat q` are second moments of the
units of a layer (means), :math:`\tilde q^l = \sum_i \delta_i^l(s)\,\delta_i^l(t)` those of the
derivatives of one linear output with respect to the preactivations (a sum, not a mean).
"""

from __future__ import annotations

import math
import sys
from dataclasses import dataclass
from itertools import pairwise
from typing import Any

import numpy as np
from numpy.typing import ArrayLike

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.activation_base import Array
from freefim.networks.checks import finite_number
from freefim.networks.network import Network
from freefim.networks.pair_moments import pair_rule, same_moments

__all__ = [
    "PairOrderParameters",
    "PairScan",
    "correlation_of",
    "pair_order_parameters",
    "scan_pairs",
]


@dataclass(frozen=True)
class PairOrderParameters:
    r"""Mean-field order parameters of a pair of inputs in a network of depth L.

    Parameters
    ----------
    second_moments, cross_moments : tuple of float, L entries
        :math:`\hat q_t^l` and :math:`\hat q_{st}^l` for l = 0..L-1.
    preactivation_variances, preactivation_covariances : tuple of float, L entries
        :math:`q_t^l` and :math:`q_{st}^l` for l = 1..L; the last are those of the output.
    backward_moments, backward_cross_moments : tuple of float, L entries
        :math:`\tilde q_t^l` and :math:`\tilde q_{st}^l` for l = 1..L; the last are 1.
    alpha : float
        :math:`\alpha = \sum_{l=1}^{L-1}\alpha_l\alpha_{l-1}` of the width ratios: the number of
        parameters over M², without the last layer. 0 for L = 1.
    total, cross_total : float
        :math:`\alpha\kappa_1 = \sum_{l=1}^L \alpha_{l-1}\tilde q_t^l\hat q_t^{l-1}`, and
        :math:`\alpha\kappa_2` of the cross moments.
    error : float
        Largest estimated relative error of a quadrature of one layer, 0 if all are closed forms.
    """

    second_moments: tuple[float, ...]
    cross_moments: tuple[float, ...]
    preactivation_variances: tuple[float, ...]
    preactivation_covariances: tuple[float, ...]
    backward_moments: tuple[float, ...]
    backward_cross_moments: tuple[float, ...]
    alpha: float
    total: float
    cross_total: float
    error: float

    @property
    def kappa1(self) -> float:
        r""":math:`\kappa_1`; SpecError for L = 1, where :math:`\alpha` is 0."""
        return self.total / self._alpha()

    @property
    def kappa2(self) -> float:
        r""":math:`\kappa_2`; SpecError for L = 1, where :math:`\alpha` is 0."""
        return self.cross_total / self._alpha()

    def _alpha(self) -> float:
        if self.alpha > 0.0:
            return self.alpha
        raise SpecError("depth must be >= 2 for kappa1 and kappa2, got 1: alpha is 0 there")


@dataclass(frozen=True, eq=False)
class PairScan:
    r"""The sums of `PairOrderParameters` over an array of (σ_w, σ_b).

    Parameters
    ----------
    kappa1, kappa2 : ndarray
        Of the common shape of the standard deviations.
    error : float
        As in `PairOrderParameters`.
    """

    kappa1: Array
    kappa2: Array
    error: float


def correlation_of(data: ArrayLike) -> float:
    r"""Mean correlation :math:`\hat q_{st}^0/\hat q_t^0` of the rows of a data matrix.

    Parameters
    ----------
    data : array_like, shape (samples, features)
        At least two samples. Every row is scaled to one norm first, none is centred: a common
        mean of the inputs is a correlation.

    Returns
    -------
    float
        Mean of :math:`x_n\cdot x_m/|x_n||x_m|` over all pairs of different rows.

    Raises
    ------
    SpecError
        If `data` is not a finite matrix of two rows or more, or a row is zero.

    Examples
    --------
    >>> correlation_of([[1.0, 0.0], [0.0, 3.0]]), correlation_of([[1.0, 2.0], [2.0, 4.0]])
    (0.0, 1.0)
    """
    try:
        # a complex number has no float: that of an object is a TypeError, no lost part
        kind = object if np.iscomplexobj(data) else None
        x = np.asarray(data, dtype=kind).astype(np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"data must be a matrix of numbers, got {data!r}") from None
    if x.ndim != 2 or x.shape[0] < 2 or x.shape[1] < 1 or not np.all(np.isfinite(x)):
        raise SpecError(
            "data must be a finite matrix of at least two rows (samples), "
            f"got shape {x.shape}" + ("" if np.all(np.isfinite(x)) else " with a NaN or infinity")
        )
    top = np.abs(x).max(axis=1, keepdims=True)
    if not np.all(top > 0.0):
        row = int(np.argmin(top[:, 0]))
        raise SpecError(f"data must have no zero row to be scaled to one norm, got row {row} zero")
    x = x / top
    x /= np.sqrt(np.square(x).sum(axis=1, keepdims=True))
    n = x.shape[0]
    mean = round((float(np.square(x.sum(axis=0)).sum()) - n) / (n * (n - 1)), 15)
    return float(min(max(mean, -1.0), 1.0))


def pair_order_parameters(net: Network, input_correlation: float = 0.0) -> PairOrderParameters:
    r"""Run the mean-field recursions of a pair of inputs forward and backward.

    Parameters
    ----------
    net : Network
        The network; its last layer is linear, whatever its number of outputs. The last of L+1
        `width_ratios` plays no part.
    input_correlation : float
        :math:`\hat q_{st}^0/\hat q_t^0` in [-1, 1]: 0 for independent centred inputs,
        `correlation_of` for data.

    Returns
    -------
    PairOrderParameters
        The limits at infinite width.

    Raises
    ------
    SpecError
        If `input_correlation` is out of range or the network has a final activation.
    ConvergenceError
        If an order parameter overflows or vanishes, or a quadrature fails; the message names it.

    Notes
    -----
    Forward :math:`q^l = \sigma_w^2\hat q^{l-1}+\sigma_b^2` and
    :math:`\hat q_{st}^l = E\varphi(u)\varphi(v)`, backward
    :math:`\tilde q_{st}^l = \sigma_w^2\tilde q_{st}^{l+1}E\varphi'(u)\varphi'(v)` from
    :math:`\tilde q^L = 1`. The recursion carries the difference :math:`q_t - q_{st}` beside the
    variance, so that inputs which the network draws together stay apart to the last digit.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
       Networks: Mean Field Approach*, AISTATS 2019, section 3.

    Examples
    --------
    The arc-cosine kernel: one critical ReLU layer gives orthogonal inputs the correlation 1/π.

    >>> pair = pair_order_parameters(Network(2, "relu", weight_std=2**0.5))
    >>> round(pair.cross_moments[1] * math.pi, 12)
    1.0
    """
    _check_network(net)
    run = _run(net, *_stds(net), _correlation(input_correlation))
    ratios = [float(ratio) for ratio in net.hidden_ratios]
    same, cross, variances, covariances, back, cross_back = (
        tuple(values[:, 0].tolist()) for values in run[:6]
    )
    total, crossed = _totals(ratios, run)
    return PairOrderParameters(
        second_moments=same,
        cross_moments=cross,
        preactivation_variances=variances,
        preactivation_covariances=covariances,
        backward_moments=back,
        backward_cross_moments=cross_back,
        alpha=_alpha(ratios),
        total=float(total[0]),
        cross_total=float(crossed[0]),
        error=run[6],
    )


def scan_pairs(
    net: Network,
    weight_std: ArrayLike,
    bias_std: ArrayLike = 0.0,
    input_correlation: float = 0.0,
) -> PairScan:
    r"""κ₁ and κ₂ of a network over an array of standard deviations, all layers alike.

    Parameters
    ----------
    net : Network
        Depth >= 2; its own `weight_std` and `bias_std` are replaced.
    weight_std, bias_std : array_like
        σ_w > 0 and σ_b >= 0; they broadcast.
    input_correlation : float
        As in `pair_order_parameters`.

    Returns
    -------
    PairScan
        Arrays of the common shape.

    Raises
    ------
    SpecError
        If an argument is out of range.
    ConvergenceError
        As `pair_order_parameters`.

    Examples
    --------
    >>> net = Network(3, "erf")
    >>> scan = scan_pairs(net, [1.0, 2.0], 0.1)
    >>> kappa1 = [pair_order_parameters(net.replace(weight_std=s, bias_std=0.1)).kappa1
    ...           for s in (1, 2)]
    >>> bool(np.allclose(scan.kappa1, kappa1, rtol=1e-14))
    True
    """
    _check_network(net)
    if net.depth < 2:
        raise SpecError("depth must be >= 2 for kappa1 and kappa2, got 1: alpha is 0 there")
    w = _array("weight_std", weight_std)
    b = _array("bias_std", bias_std)
    if not np.all(w > 0.0):
        raise SpecError(f"weight_std must be > 0, got {float(w.min())!r}")
    if not np.all(b >= 0.0):
        raise SpecError(f"bias_std must be >= 0, got {float(b.min())!r}")
    w, b = np.broadcast_arrays(w, b)
    stds = [np.broadcast_to(x.ravel(), (net.depth, x.size)) for x in (w, b)]
    run = _run(net, stds[0], stds[1], _correlation(input_correlation))
    ratios = [float(ratio) for ratio in net.hidden_ratios]
    total, cross = _totals(ratios, run)
    alpha = _alpha(ratios)
    return PairScan((total / alpha).reshape(w.shape), (cross / alpha).reshape(w.shape), run[6])


def _array(name: str, value: ArrayLike) -> Array:
    try:
        array = np.asarray(value, dtype=np.float64)
    except (TypeError, ValueError):
        raise SpecError(f"{name} must be numbers, got {value!r}") from None
    if not np.all(np.isfinite(array)):
        raise SpecError(f"{name} must be finite, got {value!r}")
    return array


def _check_network(net: Network) -> None:
    if not isinstance(net, Network):
        raise SpecError(f"net must be a Network, got {net!r}")
    if net.final_activation is not None:
        raise SpecError(
            "final_activation must be None, since these statistics are those of a linear output, "
            f"got {net.final_activation!r}"
        )


def _correlation(value: Any) -> float:
    correlation = float(finite_number("input_correlation", value))
    if not -1.0 <= correlation <= 1.0:
        raise SpecError(f"input_correlation must be within [-1, 1], got {value!r}")
    return correlation


def _stds(net: Network) -> tuple[Array, Array]:
    columns = (net.weight_stds, net.bias_stds)
    w, b = (np.array([float(x) for x in column])[:, None] for column in columns)
    return w, b


def _alpha(ratios: list[float]) -> float:
    return math.fsum(a * b for a, b in pairwise(ratios))


def _run(
    net: Network, w: Array, b: Array, correlation: float
) -> tuple[Array, Array, Array, Array, Array, Array, float]:
    """Return the six order parameters, shape (depth, pairs), and the error of the quadratures."""
    depth, pairs = w.shape
    # what overflows here is refused below, where it is named
    with np.errstate(over="ignore", under="ignore"):
        gain = np.square(w) * _spread(net)[:, None]
        bias = np.square(b)
    same, cross, variance, covariance = np.empty((4, depth, pairs))
    slopes, cross_slopes = np.empty((2, depth - 1, pairs))
    moment = np.full(pairs, float(net.input_second_moment))
    gap, error = (1.0 - correlation) * moment, 0.0
    same[0], cross[0] = moment, correlation * moment
    for layer in range(depth):
        with np.errstate(over="ignore", invalid="ignore"):
            q = gain[layer] * same[layer] + bias[layer]
            q_cross = gain[layer] * cross[layer] + bias[layer]
            gap = gain[layer] * gap
        _alive("preactivation variance", q, layer + 1)
        # the smaller of c and 1 - c is the one that is known to the last digit
        d = gap / q
        c = np.where(d < 0.5, 1.0 - d, q_cross / q)
        d = np.where(d < 0.5, d, 1.0 - c)
        variance[layer], covariance[layer] = q, np.where(d < 0.5, q - gap, q_cross)
        if layer + 1 < depth:
            phi = net.activations[layer]
            same[layer + 1], slopes[layer] = same_moments(phi, q)
            _alive("second moment", same[layer + 1], layer + 1)
            found = pair_rule(phi, q, c, d, same[layer + 1], slopes[layer])
            cross[layer + 1], cross_slopes[layer] = found.product, found.slope
            gap, error = found.gap, max(error, found.error)
    back, cross_back = np.ones((2, depth, pairs))
    with np.errstate(over="ignore", invalid="ignore"):
        for layer in range(depth - 2, -1, -1):
            back[layer] = gain[layer + 1] * back[layer + 1] * slopes[layer]
            cross_back[layer] = gain[layer + 1] * cross_back[layer + 1] * cross_slopes[layer]
            if not np.all(np.isfinite(back[layer])):
                raise ConvergenceError(
                    f"the backward moment of layer {layer + 1} is beyond the floating-point "
                    "numbers: the gradients explode"
                )
    return same, cross, variance, covariance, back, cross_back, error


def _spread(net: Network) -> Array:
    """Share of σ_w² that arrives: orthonormal columns spread a vector over more units."""
    ratios = [float(ratio) for ratio in net.hidden_ratios]
    shares = [
        min(1.0, ratios[layer] / ratios[layer + 1])
        if net.ensembles[layer] == "orthogonal" and layer + 1 < net.depth
        else 1.0
        for layer in range(net.depth)
    ]
    return np.array(shares)


def _totals(ratios: list[float], run: tuple[Any, ...]) -> tuple[Array, Array]:
    same, cross, _, _, back, cross_back, _ = run
    weights = np.array(ratios)[:, None]
    total, crossed = (weights * same * back).sum(axis=0), (weights * cross * cross_back).sum(axis=0)
    if not np.all(np.isfinite(total)):
        raise ConvergenceError("kappa1 is beyond the floating-point numbers: the network explodes")
    return total, crossed


def _alive(what: str, values: Array, layer: int) -> None:
    """Refuse values that left the normal floating-point numbers."""
    good = (values >= sys.float_info.min) & (values <= sys.float_info.max)
    if not np.all(good):
        raise ConvergenceError(
            f"the {what} of layer {layer} is {float(values[~good][0])!r}, outside the range of "
            "floating-point numbers: the network explodes or dies out"
        )
