"""Largest stable learning rates, with the theorem behind each and what it assumes."""

import math
from dataclasses import dataclass
from typing import Any

from freefim.errors import ConvergenceError, SpecError
from freefim.networks.checks import count, finite_number, one_of
from freefim.networks.network import Network
from freefim.spectra.conditional_fim import ConditionalFIM
from freefim.statistics.fisher import FisherStatistics
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm
from freefim.statistics.problem import Problem
from freefim.statistics.softmax import SoftmaxFisher

__all__ = ["HEADS", "LOSSES", "LearningRate", "learning_rate", "online_rate"]

LOSSES = {
    "sum": "½ Σ_k (f_k - y_k)²",
    "mean": "½ mean_k (f_k - y_k)²",
    "mse": "mean_k (f_k - y_k)², as torch.nn.MSELoss()",
}
_CROSS_ENTROPY = "-ln p_y, as torch.nn.CrossEntropyLoss()"

_ONLINE = (
    "T. Hayase, R. Karakida, AISTATS 2021: on one sample gradient descent is stable iff "
    "η < 2/λ_max(J Jᵀ), the right end of the law"
)
_FEW_OUTPUTS = (
    "T. Hayase, R. Karakida, AISTATS 2021: on one sample gradient descent is stable iff "
    "η < 2/λ_max(J Jᵀ); of a few outputs J Jᵀ is the mean of the law times the identity"
)
_BATCH = (
    "R. Karakida, S. Akaho, S. Amari, AISTATS 2019: on N samples gradient descent is stable iff "
    "η < 2/λ_max(F), F the Fisher information, by the mean-field order parameters κ₁ and κ₂"
)
HEADS: dict[str, tuple[type[Any], str]] = {
    "softmax": (
        SoftmaxFisher,
        "R. Karakida, S. Akaho, S. Amari, Neural Computation 2021: η < 2/λ_max(F), F the Fisher "
        "information under a softmax, its largest outlier by the master formula",
    ),
    "batch-norm": (
        OutputBatchNorm,
        "R. Karakida, S. Akaho, S. Amari, NeurIPS 2019: η < 2/λ_max(F), F the Fisher information, "
        "whose outliers batch normalisation of the outputs removes",
    ),
    "layer-norm": (
        OutputLayerNorm,
        "R. Karakida, S. Akaho, S. Amari, NeurIPS 2019: η < 2/λ_max(F), F the Fisher information "
        "under layer normalisation of the outputs, its largest outlier by the master formula",
    ),
}
# What is left out at leading order must not matter to the answer.
_FEW_BIASES = 0.1
_LOCAL = (
    "small steps around zero error: from afar a larger one may first blow the loss up and then "
    "land in a flatter region"
)


@dataclass(frozen=True)
class LearningRate:
    """A largest stable learning rate.

    Attributes
    ----------
    value : float
        Steps below are stable, as far as `assumptions` hold.
    upper : float
        Steps above are not; `value` itself unless only bounds are known.
    momentum : float
        Of the heavy ball, as of ``torch.optim.SGD(momentum=…)``.
    loss : str
        The loss that descends.
    theorem : str
        Where it comes from.
    assumptions : tuple of str
        What it takes for granted.
    """

    value: float
    upper: float
    momentum: float
    loss: str
    theorem: str
    assumptions: tuple[str, ...]

    @property
    def max_eigenvalue(self) -> float:
        """The largest eigenvalue of the Hessian of the loss at zero error: 2(1 + μ)/value.

        Its upper bound where only bounds are known, and `upper` is above `value`.
        """
        return 2.0 * (1.0 + self.momentum) / self.value

    def __float__(self) -> float:
        return self.value

    def __str__(self) -> str:
        between = "" if self.upper == self.value else f" (and unstable above {self.upper:.6g})"
        descent = f", momentum {self.momentum:g}" if self.momentum else ""
        return "\n".join(
            [
                f"learning rate < {self.value:.6g}{between}",
                f"  loss     {self.loss}{descent}",
                f"  theorem  {self.theorem}",
                *(f"  assumes  {assumption}" for assumption in self.assumptions),
            ]
        )


def learning_rate(
    net: Network,
    width: int | None = None,
    *,
    samples: int = 1,
    outputs: int | None = None,
    head: str | None = None,
    loss: str = "sum",
    batch: str = "mean",
    momentum: float = 0.0,
    input_correlation: Any = 0.0,
) -> LearningRate:
    r"""Largest stable learning rate of gradient descent.

    Parameters
    ----------
    net : Network
        In the standard or the NTK parametrisation.
    width : int, optional
        Reference width M; needed where the answer depends on it.
    samples : int, optional
        1: online, the same sample in every step. N > 1: the full batch of N samples.
    outputs : int, optional
        A number C of outputs that does not grow with the width. By default that of the network:
        for one sample its M_L ∝ M outputs, for several or with a head the M_L at this width.
    head : {"softmax", "batch-norm", "layer-norm"}, optional
        What stands on the linear outputs.
    loss : {"sum", "mean", "mse"}, optional
        Half the squared errors, added or averaged over the outputs; or their average without the
        half, as of torch. A softmax has the cross-entropy, whatever is left at "sum".
    batch : {"mean", "sum"}, optional
        Whether losses of samples are averaged or added.
    momentum : float, optional
        μ in [0, 1): the answer grows by 1 + μ.
    input_correlation : float or array_like, shape (samples, features), optional
        Correlation of two inputs, or data to take it from; of no effect for one sample.

    Returns
    -------
    LearningRate
        ``print`` shows the theorem and its assumptions; ``float`` is the number.

    Raises
    ------
    SpecError
        If an argument is out of range, or one that is needed is missing.
    ConvergenceError
        If the largest eigenvalue is not known; the message says why. So of a batch in a network
        whose signal fades, where biases weigh as much as weights.

    Examples
    --------
    Of a deep linear isometry J Jᵀ = depth · M · identity: the boundary is 2/(depth · M).

    >>> net = Network(8, "linear")
    >>> learning_rate(net, 100).value == 2 / 800
    True
    >>> averaged = learning_rate(net, 100, loss="mean", momentum=0.5)
    >>> averaged.value, averaged.upper
    (0.375, 0.375)
    """
    if not isinstance(net, Network):
        raise SpecError(f"net must be a Network, got {net!r}")
    samples = count("samples", samples)
    one_of("loss", loss, tuple(LOSSES))
    one_of("batch", batch, ("mean", "sum"))
    mu = _momentum(momentum)
    if head is not None:
        one_of("head", head, tuple(HEADS))
    if head == "softmax" and loss != "sum":
        raise SpecError(f"loss must be left out with head='softmax', got {loss!r}")
    formula = _CROSS_ENTROPY if head == "softmax" else LOSSES[loss]
    if samples == 1 and head is None:
        over = "mean" if loss == "mse" else loss
        rate = ConditionalFIM(net).max_learning_rate(width, over, outputs, mu)
        low, high = rate, rate
        theorem = _ONLINE if outputs is None else _FEW_OUTPUTS
    else:
        net, width, outputs = _sized(net, width, outputs)
        low, high = _of_batch(net, width, samples, outputs, head, mu, input_correlation)
        theorem = _BATCH if head is None else HEADS[head][1]
        if loss != "sum":
            low, high = low * outputs, high * outputs
        if batch == "sum":
            low, high = low / samples, high / samples
        if samples > 1:
            formula += f", {'averaged' if batch == 'mean' else 'added'} over {samples} samples"
    if loss == "mse":
        low, high = low / 2, high / 2
    assumed = _assumptions(net, width, samples, outputs, head, input_correlation, exact=low == high)
    return LearningRate(low, high, mu, formula, theorem, assumed)


def online_rate(
    max_eigenvalue: float,
    outputs: int,
    loss: str,
    momentum: float,
    assumptions: tuple[str, ...],
) -> LearningRate:
    """Return the learning rate on one sample of known λ_max(J Jᵀ).

    Parameters
    ----------
    max_eigenvalue : float
        λ_max(J Jᵀ), without any divisor.
    outputs : int
        Number of outputs, over which a loss may be averaged.
    loss, momentum
        As of `learning_rate`.
    assumptions : tuple of str
        What λ_max takes for granted.

    Raises
    ------
    SpecError
        If `loss` or `momentum` is out of range.
    """
    one_of("loss", loss, tuple(LOSSES))
    mu = _momentum(momentum)
    divisor = {"sum": 1.0, "mean": outputs, "mse": outputs / 2}[loss]
    rate = 2.0 * (1.0 + mu) / max_eigenvalue * divisor
    return LearningRate(rate, rate, mu, LOSSES[loss], _ONLINE, (*assumptions, _LOCAL))


def _momentum(value: Any) -> float:
    mu = float(finite_number("momentum", value))
    if not 0.0 <= mu < 1.0:
        raise SpecError(f"momentum must be in [0, 1), got {value!r}")
    return mu


def _sized(net: Network, width: int | None, outputs: int | None) -> tuple[Network, int, int]:
    """Network without a width of its last layer, width and number of outputs."""
    if width is None:
        raise SpecError("width must be given for a batch of samples or a head, got None")
    own = net.width_ratios is not None and len(net.width_ratios) == net.depth + 1
    if outputs is None:
        if not own:
            raise SpecError(
                "outputs must be given for a batch of samples or a head, got None: the network "
                "does not tell the width of its last layer by width_ratios"
            )
        outputs = net.widths(width)[-1]
    if own:
        net = net.replace(width_ratios=net.hidden_ratios)
    return net, width, count("outputs", outputs)


def _of_batch(
    net: Network,
    width: int,
    samples: int,
    outputs: int,
    head: str | None,
    momentum: float,
    correlation: Any,
) -> tuple[float, float]:
    """Stable and unstable learning rates for losses added over outputs, averaged over samples."""
    plain = FisherStatistics(net, width, samples, outputs, correlation)
    statistics = plain if head is None else HEADS[head][0](*_sizes(plain))
    if isinstance(statistics, OutputBatchNorm):
        low, high = _of_batch_norm(statistics, momentum)
    else:
        low = high = statistics.max_learning_rate(momentum)
    share = _share_of_biases(plain, head)
    if share > _FEW_BIASES and low < math.inf:
        raise ConvergenceError(
            f"the gradients by biases are {share:.3g} of the rest at width={width}, and formulas "
            "of leading order in the width leave them out: the signal fades, as where torch "
            "starts its layers; one sample without a head has an answer"
        )
    return low, high


def _of_batch_norm(statistics: OutputBatchNorm, momentum: float) -> tuple[float, float]:
    """Stable and unstable learning rates, equal where the edge of the spectrum is known."""
    try:
        low = high = 2.0 * (1.0 + momentum) / statistics.max_eigenvalue
    except ConvergenceError as problem:
        if statistics.samples > statistics.width:
            # the curvature of more and more samples stays, its upper bound falls as 1/√N
            raise ConvergenceError(
                f"the learning rate under batch normalisation of samples={statistics.samples} at "
                f"width={statistics.width} is not known: the bounds of the theorem are for no "
                f"more samples than units, and {problem}"
            ) from None
        low, high = statistics.max_learning_rate_bounds(momentum)
    except ZeroDivisionError:
        low = high = math.inf
    return low, high


def _sizes(problem: Problem) -> tuple[Network, int, int, int, Any]:
    correlation = problem.input_correlation
    return problem.net, problem.width, problem.samples, problem.outputs, correlation


def _share_of_biases(plain: FisherStatistics, head: str | None) -> float:
    """What the biases would add to the curvature that is computed without them, over it."""
    pair, n = plain.pair, plain.samples
    if plain.net.parametrization == "ntk":
        return 0.0
    diagonal, cross = plain.diagonal, plain.off_diagonal
    own, shared = sum(pair.backward_moments), sum(pair.backward_cross_moments)
    if head == "batch-norm":  # without what the samples share
        added, kept = own - shared, diagonal - cross
    else:
        added, kept = own + (n - 1) * shared, diagonal + (n - 1) * cross
        if head is None and not math.isclose(plain.max_eigenvalue * n, kept, rel_tol=1e-9):
            added, kept = own, diagonal  # near the bulk the shared part is counted
    return max(added, 0.0) / kept if kept > 0.0 else 0.0


def _assumptions(
    net: Network,
    width: int | None,
    samples: int,
    outputs: int | None,
    head: str | None,
    correlation: Any,
    *,
    exact: bool,
) -> tuple[str, ...]:
    no_biases = samples == 1 and head is None and not all(net.bias_stds)
    size = "" if width is None else f" (here {width})"
    ends: dict[bool, str] = {
        True: f"one input in every step, of second moment {float(net.input_second_moment):.6g}",
        False: f"all {samples} samples in every step, two inputs of correlation "
        + (f"{correlation:g}" if isinstance(correlation, int | float) else "as in the data"),
    }
    found = [
        f"weights as they are drawn, {net.parametrization} parametrisation",
        f"a width{size} so large that order parameters have their limits",
        ends[samples == 1],
    ]
    if no_biases and net.parametrization == "standard":
        found.append("parameters without biases in layers whose biases have no spread")
    if (samples > 1 or head is not None) and net.parametrization == "standard":
        found.append(f"gradients by biases below {_FEW_BIASES:g} of those by weights, left out")
    if outputs is not None:
        found.append(f"outputs, {outputs}, that are few beside the width")
        if head is None and samples > 1 and outputs > 1:
            found.append(
                "the mean of the outliers of the outputs, which data and a finite width split: "
                "the largest is above it"
            )
    if head in ("softmax", "layer-norm"):
        found.append("outputs of a network as it is drawn: their statistics do not self-average")
    if head == "batch-norm" and not exact:
        found.append(
            "no more samples than units: bounds of leading order, which one network may "
            "exceed by a factor"
        )
    return (*found, _LOCAL)
