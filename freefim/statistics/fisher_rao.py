r"""The Fisher-Rao norm :math:`\theta^TF\theta` of the parameters, two ways."""

from __future__ import annotations

import numpy as np

from freefim.networks.activation_base import Activation, Array
from freefim.networks.gaussian import panel_mean
from freefim.networks.network import Network
from freefim.networks.pairs import PairOrderParameters, pair_order_parameters

__all__ = ["fisher_rao_norm", "independent_fisher_rao_norm"]


def fisher_rao_norm(net: Network) -> float:
    r"""Mean-field value of :math:`\theta^TF\theta` per output, weights and biases.

    Parameters
    ----------
    net : Network
        The network; its output is linear.

    Returns
    -------
    float
        :math:`E\,(\theta\cdot\nabla f)^2` of one output, averaged over networks.

    Raises
    ------
    ConvergenceError
        If a moment overflows or its quadrature fails.

    Notes
    -----
    :math:`\theta\cdot\nabla f` is the derivative of the output as all parameters grow together:
    :math:`\dot u^l = W^l(h^{l-1}+\dot h^{l-1})+b^l` with :math:`\dot h^l=\varphi'(u^l)\dot u^l`.
    Given the layers below, :math:`(u^l,\dot u^l)` is a Gaussian pair with covariances
    :math:`q = \sigma_w^2E h^2+\sigma_b^2`, :math:`r = \sigma_w^2E h(h+\dot h)+\sigma_b^2`,
    :math:`p = \sigma_w^2E(h+\dot h)^2+\sigma_b^2`, which is a recursion; the answer is
    :math:`p^L`. For a positively homogeneous activation without bias it is :math:`L^2q^L`,
    by Euler's theorem.

    Examples
    --------
    >>> round(fisher_rao_norm(Network(3, "relu", weight_std=2**0.5)) / (3**2 * 2), 12)
    1.0
    """
    forward = pair_order_parameters(net)
    own, mixed = 0.0, 0.0  # E ḣ² and E h ḣ
    p = 0.0
    for layer in range(net.depth):
        q, moment = forward.preactivation_variances[layer], forward.second_moments[layer]
        bias = float(net.bias_stds[layer]) ** 2
        gain = (q - bias) / moment
        r, p = q + gain * mixed, q + gain * (2.0 * mixed + own)
        if layer + 1 < net.depth:
            phi = net.activations[layer]
            grown, stretched = _moments(phi, q)
            slope = float(phi.slope_second_moment(q))
            own = (r / q) ** 2 * stretched + max(p - r * r / q, 0.0) * slope
            mixed = r / q * grown
    return p


def _moments(phi: Activation, q: float) -> tuple[float, float]:
    """Return E φ(u) φ'(u) u and E φ'(u)² u²."""

    def grown(h: Array) -> Array:
        return phi.function(h) * phi.derivative(h) * h

    def stretched(h: Array) -> Array:
        return np.square(phi.derivative(h) * h)

    return (
        panel_mean(grown, q, phi.kinks, "E φ(u) φ'(u) u"),
        panel_mean(stretched, q, phi.kinks, "E φ'(u)² u²"),
    )


def independent_fisher_rao_norm(net: Network, pair: PairOrderParameters) -> float:
    r""":math:`\sum_l\sigma_w^2\,\tilde q_t^l\hat q_t^{l-1}` per output: weights drawn anew.

    Parameters
    ----------
    net : Network
        The network.
    pair : PairOrderParameters
        Its order parameters.

    Returns
    -------
    float
        :math:`E\,\theta^TF\theta` of one output for weights :math:`\theta` independent of F, that
        is :math:`\sigma_w^2\alpha\kappa_1` at uniform width.

    References
    ----------
    .. [1] Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
       Networks: Mean Field Approach*, AISTATS 2019, section 5.
    """
    columns = zip(net.weight_stds, pair.backward_moments, pair.second_moments, strict=True)
    return float(sum(float(std) ** 2 * back * moment for std, back, moment in columns))
