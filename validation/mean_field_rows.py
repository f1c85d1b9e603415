"""The cases of the mean-field table: sizes, predictions, measurements, and what was noted of both.

name(a, b) stands for a network with σ_w² = a and σ_b² = b; erf is erf(x/√2).
"""

import math
from collections.abc import Callable, Sequence
from typing import NamedTuple

import numpy as np

from freefim.montecarlo.gradients import GradientEnsemble, GradientSample, sample_gradients
from freefim.montecarlo.gradients_descent import perturbed_descent
from freefim.montecarlo.streams import replica_stream
from freefim.networks.activations import Erf
from freefim.networks.network import Network
from freefim.networks.pairs import pair_order_parameters
from freefim.statistics.feature_metric import FeatureMetric
from freefim.statistics.fisher import FisherStatistics, LayerFisher
from freefim.statistics.hidden_normalization import HiddenBatchNorm, HiddenLayerNorm
from freefim.statistics.normalization import OutputBatchNorm, OutputLayerNorm
from freefim.statistics.softmax import SoftmaxFisher
from freefim.statistics.tangent_kernel import NeuralTangentKernelStatistics

__all__ = ["CASES", "Line"]

Values = Sequence[float]


class Line(NamedTuple):
    """One number of a case.

    `values` are those of the replicas; `networks` is how many the noted measurement averages, and
    `scatter` what was stated to scatter. `independent` is the predicted number by another way, with
    its error, and `evidence` what it shows where the noted number errs.
    """

    quantity: str
    predicted: float | None = None
    noted_prediction: str | None = None
    values: Values | None = None
    noted_measurement: str | None = None
    scatter: float = 0.0
    networks: float = 1
    independent: tuple[float, float] | None = None
    evidence: str = ""


CASES: dict[str, Callable[[int, int], list[Line]]] = {}


def case(name: str) -> Callable[..., Callable[..., list[Line]]]:
    """Enter a function of (replicas, seed) under a name."""

    def enter(function: Callable[..., list[Line]]) -> Callable[..., list[Line]]:
        CASES[name] = function
        return function

    return enter


def net(phi: str, weight: float, bias: float, depth: int = 3, **fields: object) -> Network:
    """Gaussian weights of the variances σ_w², σ_b²."""
    activation = Erf(math.sqrt(0.5)) if phi == "erf" else phi
    stds = {"weight_std": math.sqrt(weight), "bias_std": math.sqrt(bias)}
    return Network(depth, activation, weights="gaussian", **stds, **fields)


def drawn(
    network: Network, width: int, samples: int, outputs: int, replicas: int, seed: int,
    **fields: object,
) -> GradientSample:  # fmt: skip
    ensemble = GradientEnsemble(network, width, samples, outputs, **fields)
    return sample_gradients(ensemble, replicas, seed)


def of(sample: GradientSample, name: str) -> Values:
    """One number of every replica."""
    return [getattr(r if hasattr(r, name) else r.measured, name) for r in sample]


def top(sample: GradientSample, rank: int) -> Values:
    """The eigenvalue of a rank, from 1, of every replica."""
    return [float(r.eigenvalues[-rank]) for r in sample]


# -- order parameters -------------------------------------------------------------------------

KAPPAS = {
    ("tanh", 3, 0.64, 3): (".9556", ".1186"),
    ("relu", 2, 0.1, 3): ("1.5750", ".4015"),
    ("relu", 2, 0, 3): ("1.5", ".3429"),
    ("linear", 1, 0.1, 3): ("1.65", ".15"),
    ("erf", 3, 0.64, 3): (".7420", ".1126"),
    ("tanh", 3, 0, 3): ("1.0590", "0.0000"),
    ("tanh", 3, 0.64, 4): (".8083", ".1368"),
}


@case("0 kappa")
def _kappa(replicas: int, seed: int) -> list[Line]:
    lines = []
    for (phi, weight, bias, depth), noted in KAPPAS.items():
        pair = pair_order_parameters(net(phi, weight, bias, depth))
        for name, value, text in zip("12", (pair.kappa1, pair.kappa2), noted, strict=True):
            lines.append(Line(f"kappa{name} {phi}({weight},{bias}) L={depth}", value, text))
    pair = pair_order_parameters(net("relu", 2, 0.1, width_ratios=(1, 0.5, 1.5)))
    lines.append(Line("kappa1 relu(2,.1) ratios 1, .5, 1.5", pair.kappa1, "2.54"))
    lines.append(Line("kappa2 relu(2,.1) ratios 1, .5, 1.5", pair.kappa2, ".7848"))
    pair = pair_order_parameters(net("relu", 2, 0, 4))
    for layer, text in enumerate(("0", ".31831", ".49373", ".60483")):
        lines.append(Line(f"q̂_st^{layer} relu(2,0) L=4", pair.cross_moments[layer], text))
    for layer, text in enumerate((".20035", ".40069", ".66437", "1")):
        value = pair.backward_cross_moments[layer]
        lines.append(Line(f"q̃_st^{layer + 1} relu(2,0) L=4", value, text))
    return lines


DEPTHS = {
    ("tanh", 3, 0.64): "1.423 .092 1.911 .237 2.425 .410 2.945 .594 4.497 1.145 6.517 1.855",
    ("tanh", 1, 0.1): ".859 .035 .783 .089 .734 .155 .702 .226 .652 .412 .632 .551",
    ("relu", 2, 0): "2 .318 3 .686 4 1.060 5 1.430 8 2.490 12 3.797",
    ("relu", 2, 0.1): "2.05 .36 3.15 .803 4.3 1.287 5.5 1.798 9.4 3.461 15.3 5.976",
    ("linear", 1, 0.1): "2.1 .1 3.3 .3 4.6 .6 6 1 10.8 2.8 18.6 6.6",
    ("relu", 1.5, 0.1): "1.55 .28 1.812 .486 1.897 .614 1.876 .687 1.574 .743 1.18 .731",
}


@case("0 depth")
def _depth(replicas: int, seed: int) -> list[Line]:
    lines = []
    for (phi, weight, bias), text in DEPTHS.items():
        noted = iter(text.split())
        for depth in (2, 3, 4, 5, 8, 12):
            pair = pair_order_parameters(net(phi, weight, bias, depth))
            for name, value in (("1", pair.total), ("2", pair.cross_total)):
                quantity = f"alpha kappa{name} {phi}({weight},{bias}) L={depth}"
                lines.append(Line(quantity, value, next(noted)))
    return lines


# -- A: regression ----------------------------------------------------------------------------

# network, size; λ_max predicted; λ_1, λ_C (with scatter), s, m, bulk, λ_{C+1}, overlap
MAIN = {
    "relu(2,.1)": (("relu", 2, 0.1), {}, "826.5", ("856", 52), ("827", 63), (".736", ".770", 0.096),
        ("3.144e-3", "3.195e-3"), ("23.5", "23.0", "38.9"), ".99989"),
    "relu(2,0)": (("relu", 2, 0), {}, "708.9", ("729", 40), ("707", 47), (".554", ".574", 0),
        ("2.994e-3", "3.038e-3"), ("23.1", "22.7", "37.6"), ".99985"),
    "tanh(3,.64)": (("tanh", 3, 0.64), {}, "254.0", ("265.2", 5.5), ("256.7", 5.6),
        (".0921", ".0974", 0.0024), ("1.907e-3", "1.924e-3"), ("16.7", "16.3", "26.9"), ".99987"),
    "tanh(3,0)": (("tanh", 3, 0), {}, None, ("35.2", 1.0), ("34.3", 0),
        (".0448", ".0486", 0), ("2.114e-3", "2.142e-3"), ("21.2", "20.6", "33.6"), ".023"),
    "linear(1,.1)": (("linear", 1, 0.1), {}, "330.0", ("348", 8), ("336", 11),
        (".198", ".222", 0), ("3.293e-3", "3.339e-3"), ("30.0", "28.3", "62.3"), ".99925"),
    "erf(3,.64)": (("erf", 3, 0.64), {}, "237.9", ("248", 5), ("241", 5),
        (".0721", ".0766", 0), ("1.481e-3", "1.495e-3"), ("12.6", "12.1", "21.4"), ".99991"),
    "tanh(3,.64) L=4 N=50 C=4": (("tanh", 3, 0.64, 4), {"samples": 50, "outputs": 4}, "450.6",
        ("475", 14), ("436", 12), (".376", ".385", 0), ("3.226e-3", "3.216e-3"),
        ("40.3", "39.4", "58.3"), ".9998"),
    "relu(2,.1) ratios 1, .5, 1.5": (("relu", 2, 0.1), {"width": 600, "ratios": (1, 0.5, 1.5)},
        "601.8", ("615", 14), ("608", 16), ("1.675", "1.739", 0), ("8.411e-3", "8.493e-3"),
        ("13.2", "12.1", "27.2"), ".9998"),
}  # fmt: skip


def _main(name: str) -> None:
    description, fields, noted, first, last, second, mean, bulk, overlap = MAIN[name]
    fields = dict(fields)
    network = net(*description, width_ratios=fields.pop("ratios", None))
    size = {"width": 1000, "samples": 100, "outputs": 2} | fields

    @case(f"A {name}")
    def _run(replicas: int, seed: int) -> list[Line]:
        st = FisherStatistics(network, **size)
        sample = drawn(network, **size, replicas=replicas, seed=seed)
        edge = st.max_eigenvalue
        outputs = size["outputs"]
        return [
            Line("λ_1", edge, noted, top(sample, 1), first[0], first[1], 4),
            Line("λ_C", edge, noted, top(sample, outputs), last[0], last[1], 4),
            Line("second moment", st.second_moment, second[0], of(sample, "second_moment"),
                 second[1], second[2], 4),
            Line("mean", st.mean, mean[0], of(sample, "mean"), mean[1], 0, 4),
            Line("bulk median", st.bulk_eigenvalue, bulk[0], of(sample, "bulk_median"), bulk[1],
                 0, 4),
            Line("λ_{C+1}", None, None, of(sample, "next_eigenvalue"), bulk[2], 0, 4),
            Line("overlap", None, None, of(sample, "overlap"), overlap, 0, 4),
        ]  # fmt: skip


for _name in MAIN:
    _main(_name)

SCALING = {
    ("tanh", 3, 0.64): "1.107 31 1.004 20 1.014 17 .995 11 1.006 2",
    ("relu", 2, 0.1): "1.121 72 1.001 38 1.003 36 1.019 8 1.028 33",
}


def _scaling(phi: str, weight: float, bias: float, text: str) -> None:
    @case(f"A width {phi}({weight},{bias})")
    def _run(replicas: int, seed: int) -> list[Line]:
        network, noted, lines = net(phi, weight, bias), iter(text.split()), []
        for width in (125, 250, 500, 1000, 2000):
            want = FisherStatistics(network, width, 100, 2).max_eigenvalue
            sample = drawn(network, width, 100, 2, replicas, seed)
            values = [float(r.top_eigenvalues.mean()) / want for r in sample]
            number, error = next(noted), 1e-3 * float(next(noted))
            line = Line(
                f"mean of C / predicted, M={width}", 1.0, None, values, number, 3 * error, 4
            )
            lines.append(line)
        return lines


for _key, _text in SCALING.items():
    _scaling(*_key, _text)


EXTRAPOLATED = {
    "tanh(3,.64)": ("tanh", 3, 0.64),
    "relu(2,.1)": ("relu", 2, 0.1),
    "linear(1,.1)": ("linear", 1, 0.1),
}


@case("A infinite width")
def _infinite(replicas: int, seed: int) -> list[Line]:
    """The ratio to the prediction against 1/M, N=60, C=2: its intercept, from ten times the seeds.

    At finite M the largest eigenvalue is above the prediction by about c/M: the biases, which
    have parameters of their own, add Σ_l q̃_st^l exactly; the row sums of the Gram matrix
    fluctuate, which adds their variance over λ (second-order perturbation theory); and the order
    parameters of a finite network have means of their own at this order.
    """
    widths, lines = (120, 240, 480), []
    inverse = 1.0 / np.array(widths)
    for label, key in EXTRAPOLATED.items():
        ratios, shares = [], {"biases": [], "row sums": [], "order parameters": []}
        for width in widths:
            st = FisherStatistics(net(*key), width, 60, 2)
            ensemble = GradientEnsemble(net(*key), width, 60, 2)
            found = np.array(
                [_parts(ensemble, seed, index, st.max_eigenvalue) for index in range(10 * replicas)]
            )
            ratios.append(1.0 + found.sum(axis=1) / width)
            for part, column in zip(shares, found.T, strict=True):
                shares[part].append(column)
        # weights of least squares for a spread that does not depend on the width but as 1/√M
        design = np.stack([np.ones(3), inverse], axis=1) / np.sqrt(inverse)[:, None]
        solve = np.linalg.pinv(design) / np.sqrt(inverse)
        intercepts, slopes = solve @ np.array(ratios)
        quantity = f"λ_max / predicted at M=∞ {label}"
        lines.append(Line(quantity, 1.0, None, intercepts, "1.000", networks=math.inf))
        lines.append(Line(f"slope in 1/M {label}", None, None, slopes))
        pair = FisherStatistics(net(*key), 480, 60, 2).pair
        added = 59 / 60 * sum(pair.backward_cross_moments) + sum(pair.backward_moments) / 60
        predicted = 480 * added / FisherStatistics(net(*key), 480, 60, 2).max_eigenvalue
        for part, columns in shares.items():
            lines.append(
                Line(f"of it {part} {label}", predicted if part == "biases" else None, None,
                     columns[-1])
            )  # fmt: skip
    return lines


def _parts(ensemble: GradientEnsemble, seed: int, index: int, want: float) -> list[float]:
    """M (λ/predicted - 1) with λ the mean of the C largest: biases, row sums, and the rest."""
    dual, (measured,) = ensemble.draw(replica_stream(seed, index))
    n, c = ensemble.samples, ensemble.outputs
    top = float(np.linalg.eigvalsh(dual)[-c:].mean())
    row_sums = np.stack([dual[:, k * n : (k + 1) * n].sum(axis=1) for k in range(c)]) / n**0.5
    quotients = [row[k * n : (k + 1) * n].sum() / n**0.5 for k, row in enumerate(row_sums)]
    mixing = np.mean(
        [(np.square(row).sum() - q * q) / q for row, q in zip(row_sums, quotients, strict=True)]
    )
    same, cross = measured.backward_moments, measured.backward_cross_moments
    biases = ((n - 1) * sum(cross) + sum(same)) / n
    rest = top - want - mixing - biases
    return [float(ensemble.width * part / want) for part in (biases, mixing, rest)]


@case("A4 counts")
def _counts(replicas: int, seed: int) -> list[Line]:
    network = net("relu", 2, 0.1, 4)
    st = FisherStatistics(network, 600, 50, 2)
    sample = drawn(network, 600, 50, 2, replicas, seed)
    noted = {10: ("100", "100"), 100: ("51.6", "2"), 500: ("10.3", "2")}
    return [
        Line(f"#λ >= {k}", st.count_above(k), bound, [r.count_above(k) for r in sample], count)
        for k, (bound, count) in noted.items()
    ]


NORMS = {
    ("linear", 1, 0): ("9", "8.76", 0.18, None),
    ("relu", 2, 0): ("18", "17.99", 0.72, None),
    ("tanh", 3, 0): (None, "3.46", 0.07, None),
    ("tanh", 3, 0.64): (None, "4.25", 0.15, "4.01"),
}
INDEPENDENT = {
    ("linear", 1, 0): ("3", "3.001"),
    ("relu", 2, 0): ("6", "5.965"),
    ("tanh", 3, 0): ("6.35", None),
    ("tanh", 3, 0.64): ("5.73", None),
}


@case("A7 Fisher-Rao norm")
def _norm(replicas: int, seed: int) -> list[Line]:
    """300 networks, as they were then."""
    lines = []
    for key, (want, noted, scatter, weights_only) in NORMS.items():
        network, label = net(*key), f"{key[0]}({key[1]},{key[2]})"
        st = FisherStatistics(network, 200, 100, 1)
        sample = drawn(network, 200, 100, 1, 300, seed)
        values = of(sample, "fisher_rao_norm")
        lines.append(Line(f"θFθ {label}", st.fisher_rao_norm, want, values, noted, scatter, 300))
        if weights_only:
            values = of(sample, "fisher_rao_norm_weights")
            lines.append(Line(f"θFθ {label}, weights", None, None, values, weights_only, 0, 300))
        independent, measured = INDEPENDENT[key]
        values = of(sample, "fisher_rao_norm_independent")
        lines.append(
            Line(f"independent {label}", st.fisher_rao_norm_independent, independent, values,
                 measured, 0, 300)
        )  # fmt: skip
    return lines


@case("A6 learning rate")
def _rate(replicas: int, seed: int) -> list[Line]:
    noted = {
        ("tanh", 3, 0.64): {0.8: "1.0", 0.95: "1.0", 1.05: "7.6e2", 1.2: "1.8e9"},
        ("relu", 2, 0.1): {0.8: "1.0", 0.95: "1.0", 1.05: "1.2e3", 1.2: "1.1e9"},
    }
    lines = []
    for key, growths in noted.items():
        ensemble = GradientEnsemble(net(*key), 300, 150, 1)
        for fraction, growth in growths.items():
            values = [
                perturbed_descent(ensemble, fraction, 60, seed=seed, index=i).growth
                for i in range(replicas)
            ]
            # above 1 the growth is that of the share of the error in the top direction
            logs = np.log10(values)
            text = f"{math.log10(float(growth)):.2f}"
            quantity = f"log10 of the growth at {fraction} of the critical rate, {key[0]}"
            lines.append(Line(quantity, None, None, logs, text))
    return lines


# -- B: variants ------------------------------------------------------------------------------


@case("B2 blocks")
def _blocks(replicas: int, seed: int) -> list[Line]:
    network = net("tanh", 3, 0.64, 4)
    noted = {
        1: (None, "11.1", "10.2", "1.12e-2", "1.06e-2"),
        2: ("43.3", "50.4", "43.7", "9.6e-3", "1.05e-2"),
        3: ("126.0", "127.2", "117.0", "3.54e-2", "3.36e-2"),
        4: ("253.7", "253.7", "253.7", "65.2", "65.5"),
    }
    lines = []
    for layer, (want, first, last, second, second_measured) in noted.items():
        st = LayerFisher(network, 1000, 100, 2, layer=layer)
        sample = drawn(network, 1000, 100, 2, replicas, seed, variables=layer)
        edge = st.max_eigenvalue
        lines += [
            Line(f"λ_1 of layer {layer}", edge, want, top(sample, 1), first),
            Line(f"λ_C of layer {layer}", edge, want, top(sample, 2), last),
            Line(f"second moment of layer {layer}", st.second_moment, second,
                 of(sample, "second_moment"), second_measured),
        ]  # fmt: skip
    return lines


def _ratios(
    network: Network, outputs: int, replicas: int, seed: int
) -> tuple[list[SoftmaxFisher], GradientSample]:
    """Predictions from the realised probabilities of every network, and the sample."""
    sample = drawn(network, 1000, 100, outputs, replicas, seed, heads=("softmax",))
    heads = []
    for replica in sample:
        weights = np.exp(replica.measured.logits)
        rows = weights / weights.sum(axis=1, keepdims=True)
        heads.append(SoftmaxFisher(network, 1000, 100, outputs, probabilities=rows))
    return heads, sample


@case("B3 softmax constants")
def _constants(replicas: int, seed: int) -> list[Line]:
    """Over networks drawn from the mean-field law of the outputs: they do not self-average."""
    noted = {
        ("tanh", 3, 0.64): (".7075 .050", ".0837 .005", ".1289 .006", ".193 .029"),
        ("relu", 2, 0.1): (".709 .054", ".0864 .006", ".129 .0065", ".199 .030"),
    }
    lines = []
    for key, columns in noted.items():
        heads = [SoftmaxFisher(net(*key), 1000, 100, 10, seed=1000 * seed + i) for i in range(64)]
        series = {
            "b1": [h.beta1 for h in heads],
            "b2": [h.beta2 for h in heads],
            "b3": [h.beta3 for h in heads],
            "λ_max of the mean head": [float(np.linalg.eigvalsh(h.mean_head)[-1]) for h in heads],
        }
        for (name, values), text in zip(series.items(), columns, strict=True):
            mean, scatter = text.split()
            lines.append(Line(f"{name} {key[0]}", None, None, values, mean, float(scatter)))
            spread = [float(np.std(values, ddof=1))]
            # the standard deviation of 64 values is known to 9 per cent
            lines.append(
                Line(f"scatter of {name} {key[0]}", None, None, spread, scatter,
                     0.3 * float(scatter))
            )  # fmt: skip
    return lines


@case("B3 softmax outliers")
def _softmax(replicas: int, seed: int) -> list[Line]:
    """Measured over predicted, each network by its own probabilities."""
    lines = []
    for key, outputs in ((("tanh", 3, 0.64), 10), (("relu", 2, 0.1), 10), (("tanh", 3, 0.64), 3)):
        heads, sample = _ratios(net(*key), outputs, replicas, seed)
        label = f"{key[0]} C={outputs}"
        pairs = list(zip(heads, sample, strict=True))
        for rank in {1, 2, outputs // 2, outputs - 1}:
            values = [r.eigenvalues[-rank] / h.outliers[rank - 1] for h, r in pairs]
            lines.append(Line(f"λ_{rank} / predicted, {label}", 1.0, None, values, "1.00", 0.11))
        values = [r.eigenvalues[-outputs] / h.bulk_eigenvalue for h, r in pairs]
        # no outlier is left: the C-th eigenvalue is of the bulk, within its Marchenko-Pastur edge
        lines.append(Line(f"λ_C / bulk, {label}", None, None, values, "1", 1.0))
        for name in ("mean", "second_moment"):
            values = [getattr(r, name) / getattr(h, name) for h, r in pairs]
            lines.append(Line(f"{name} / predicted, {label}", 1.0, None, values, "1.00", 0.11))
        values = [
            float(h.max_eigenvalue_bounds[0] <= r.max_eigenvalue <= h.max_eigenvalue_bounds[1])
            for h, r in pairs
        ]
        lines.append(Line(f"bounds hold, {label}", None, None, values, "1"))
    heads, sample = _ratios(net("tanh", 3, 0.64), 10, replicas, seed)
    means, seconds = [h.mean for h in heads], [h.second_moment for h in heads]
    lines += [
        Line("mean tanh C=10", float(np.mean(means)), None, of(sample, "mean"), "7.22e-4"),
        Line("second moment tanh C=10", float(np.mean(seconds)), None,
             of(sample, "second_moment"), "4.70e-3"),
    ]  # fmt: skip
    return lines


@case("B4 tangent kernel")
def _kernel(replicas: int, seed: int) -> list[Line]:
    noted = {
        ("tanh", 3, 0.64): ("9.62", "9.45", "802.3", "795.8", "274.7", "280.6", "266.3"),
        ("relu", 2, 0.1): ("9.00", "8.39", "860.7", "709.7", "286.8", "262.5", "256.6"),
    }
    lines = []
    for key, (mean, mean_now, second, second_now, edge, first, last) in noted.items():
        network = net(*key, 4, parametrization="ntk")
        st = NeuralTangentKernelStatistics(network, 1000, 100, 2)
        sample = drawn(network, 1000, 100, 2, replicas, seed, kernel=True)
        lines += [
            Line(f"mean {key[0]}", st.mean, mean, of(sample, "mean"), mean_now),
            Line(f"second moment {key[0]}", st.second_moment, second,
                 of(sample, "second_moment"), second_now),
            Line(f"λ_1 {key[0]}", st.max_eigenvalue, edge, top(sample, 1), first),
            Line(f"λ_C {key[0]}", st.max_eigenvalue, edge, top(sample, 2), last),
        ]  # fmt: skip
    return lines


@case("B5 feature metric")
def _features(replicas: int, seed: int) -> list[Line]:
    noted = {
        ("tanh", 3, 0.64): ("5.501e-3", "5.375e-3", "2.34e-2", "2.24e-2", "6.82", "7.06", "6.28",
                            ".553", ".628", ".449"),
        ("relu", 2, 0.1): ("4.00e-3", "3.89e-3", "1.11e-2", "1.06e-2", "4.69", "4.68", "4.49",
                           ".454", ".503", ".425"),
    }  # fmt: skip
    lines = []
    for key, text in noted.items():
        network, name = net(*key, 4), key[0]
        st = FeatureMetric(network, 1000, 100, 2)
        sample = drawn(network, 1000, 100, 2, replicas, seed, variables="features")
        block = FeatureMetric(network, 1000, 100, 2, space="input")
        inputs = drawn(network, 1000, 100, 2, replicas, seed, variables="input")
        lines += [
            Line(f"mean {name}", st.mean, text[0], of(sample, "mean"), text[1]),
            Line(f"second moment {name}", st.second_moment, text[2], of(sample, "second_moment"),
                 text[3]),
            Line(f"λ_1 {name}", st.max_eigenvalue, text[4], top(sample, 1), text[5]),
            Line(f"λ_C {name}", st.max_eigenvalue, text[4], top(sample, 2), text[6]),
            Line(f"λ_1, input {name}", block.max_eigenvalue, text[7], top(inputs, 1), text[8]),
            Line(f"λ_C, input {name}", block.max_eigenvalue, text[7], top(inputs, 2), text[9]),
        ]  # fmt: skip
    return lines


@case("B5 softmax features")
def _softmax_features(replicas: int, seed: int) -> list[Line]:
    """C=5, M=500, L=3: measured over predicted, each network by its own probabilities."""
    network = net("tanh", 3, 0.64)
    st = FeatureMetric(network, 500, 100, 5)
    fields = {"variables": "features", "heads": ("softmax",)}
    sample = drawn(network, 500, 100, 5, replicas, seed, **fields)
    predicted = []
    for replica in sample:
        weights = np.exp(replica.measured.logits)
        predicted.append(st.softmax(weights / weights.sum(axis=1, keepdims=True)).outliers)
    lines = []
    for rank in range(1, 5):
        values = [
            r.eigenvalues[-rank] / p[rank - 1] for r, p in zip(sample, predicted, strict=True)
        ]
        lines.append(Line(f"λ_{rank} / predicted", 1.0, None, values, "1.00", 0.10))
    values = [r.eigenvalues[-5] / r.eigenvalues[-4] for r in sample]
    lines.append(Line("λ_C / λ_{C-1}", None, None, values, ".08", 0.15))
    return lines


@case("B6 independent backward weights")
def _independent(replicas: int, seed: int) -> list[Line]:
    noted = {
        ("tanh", 3, 0.64): (
            (".179", ".409", ".672"), (".1526", ".3437", ".5727"), (".1379", ".3441", ".6181")
        ),
        ("relu", 2, 0.1): (
            (".219", ".425", ".684"), (".205", ".427", ".634"), (".232", ".459", ".723")
        ),
    }  # fmt: skip
    lines = []
    for key, (theory, true, copied) in noted.items():
        network = net(*key, 4)
        pair = pair_order_parameters(network)
        for flag, texts in ((False, true), (True, copied)):
            sample = drawn(network, 1000, 100, 1, replicas, seed, independent_backward=flag)
            others = drawn(network, 1000, 2, 1, 8 * replicas, seed, independent_backward=flag)
            for layer, text in enumerate(texts):
                values = [r.measured.backward_cross_moments[layer] for r in sample]
                single = [r.measured.backward_cross_moments[layer] for r in others]
                scatter = float(np.std(single, ddof=1))
                which = "independent copy" if flag else "true weights"
                evidence = (
                    "the noted number is of one network and unstated N; one pair of inputs "
                    f"scatters by {scatter:.3f}; independent: mean of {len(single)} such networks"
                )
                lines.append(
                    Line(f"q̃_st^{layer + 1} {key[0]}, {which}", pair.backward_cross_moments[layer],
                         theory[layer], values, text,
                         independent=(float(np.mean(single)), scatter / math.sqrt(len(single))),
                         evidence=evidence)
                )  # fmt: skip
    return lines


# -- C: normalisation -------------------------------------------------------------------------

CENTRED = {
    ("relu", 2, 0.1): {
        1: ("2.35", {100: ("90.5", "9.07"), 200: ("176.5", "9.43"), 400: ("324", "8.86"),
                     800: (None, "9.08")}),
        2: ("4.69", {100: (None, "13.7"), 200: (None, "12.8"), 400: (None, "12.4")}),
    },
    ("tanh", 3, 0.64): {
        1: ("1.67", {100: (None, "5.79"), 200: (None, "6.05"), 400: (None, "6.19"),
                     800: (None, "6.24")}),
        2: ("3.35", {100: (None, "8.68"), 200: (None, "8.71"), 400: (None, "8.86")}),
    },
}  # fmt: skip


def _centred(key: tuple[str, float, float], ratio: int) -> None:
    bound, columns = CENTRED[key][ratio]

    @case(f"C1 {key[0]}({key[1]},{key[2]}) M/N={ratio}")
    def _run(replicas: int, seed: int) -> list[Line]:
        network, lines = net(*key), []
        for width, (plain, noted) in columns.items():
            samples = width // ratio
            st = OutputBatchNorm(network, width, samples, 2, kind="mean-subtraction")
            low, high = st.max_eigenvalue_bounds
            sample = st.sample(replicas, seed)
            values = of(sample, "max_eigenvalue")
            lines.append(Line(f"lower bound M={width}", low, bound))
            lines.append(Line(f"λ_max M={width}", None, None, values, noted))
            holds = [float(low <= value <= high) for value in values]
            lines.append(Line(f"bounds hold M={width}", None, None, holds, "1"))
            ratios = [r.mean / st.mean for r in sample]
            lines.append(Line(f"mean / predicted M={width}", 1.0, None, ratios, "1.00", 0.08))
            ratios = [r.second_moment / st.second_moment for r in sample]
            noted_excess = {("relu", 1): "1.38", ("relu", 2): "1.20"}.get((key[0], ratio))
            lines.append(
                Line(f"second moment / predicted M={width}", None, None, ratios, noted_excess,
                     0.1)
            )  # fmt: skip
            if plain is not None:
                values = of(drawn(network, width, samples, 2, replicas, seed), "max_eigenvalue")
                lines.append(Line(f"λ_max without M={width}", None, None, values, plain))
        return lines


for _network, _columns in CENTRED.items():
    for _ratio in _columns:
        _centred(_network, _ratio)


@case("C1 N fixed")
def _fixed(replicas: int, seed: int) -> list[Line]:
    lines = []
    for key, plain, noted, bound in (
        (("relu", 2, 0.1), "870", "65.7", "46.9"),
        (("tanh", 3, 0.64), "280", "47.5", "33.5"),
    ):
        st = OutputBatchNorm(net(*key), 1000, 50, 2, kind="mean-subtraction")
        sample = st.sample(replicas, seed)
        before = drawn(net(*key), 1000, 50, 2, replicas, seed)
        ratios = [r.second_moment / st.second_moment for r in sample]
        lines += [
            Line(f"lower bound {key[0]}", st.max_eigenvalue_bounds[0], bound),
            Line(f"λ_max without {key[0]}", None, None, of(before, "max_eigenvalue"), plain),
            Line(f"λ_max {key[0]}", None, None, of(sample, "max_eigenvalue"), noted),
            Line(f"second moment / predicted {key[0]}", None, None, ratios, "1.02", 0.1),
        ]
    return lines


# network, M, N, second moment (predicted, measured, without spread), upper edge measured
BULK = {
    "tanh(3,0) L=2": (("tanh", 3, 0, 2), 800, 400, ("11.33", "11.32"), "7.98"),
    "tanh(3,0) L=3": (("tanh", 3, 0, 3), 800, 800, ("6.84", "6.82"), None),
    "erf(2,0) L=3": (("erf", 2, 0, 3), 600, 600, ("2.392", "2.375"), "5.28"),
    "relu(2,0) L=2 M/N=2": (("relu", 2, 0, 2), 800, 400, ("14.24", "14.26"), "8.61"),
    "relu(2,0) L=2 M/N=1": (("relu", 2, 0, 2), 800, 800, ("4.29", "4.28"), None),
    "tanh(3,0) L=3 M/N=2": (("tanh", 3, 0, 3), 800, 400, (None, None), "11.19"),
}


def _bulk(name: str) -> None:
    key, width, samples, (want, noted), edge = BULK[name]

    @case(f"C1 bulk {name}")
    def _run(replicas: int, seed: int) -> list[Line]:
        st = OutputBatchNorm(net(*key), width, samples, 1, kind="mean-subtraction")
        centred = key[0] == "relu"
        heads = ("mean-subtraction",) if centred else ()
        sample = drawn(net(*key), width, samples, 1, replicas, seed, heads=heads)
        squares = [float(np.square(r.eigenvalues).mean()) for r in sample]
        return [
            Line("mean square", st.bulk().moment(2), want, squares, noted),
            Line("upper edge", st.max_eigenvalue, None, of(sample, "max_eigenvalue"), edge),
        ]


for _name in BULK:
    _bulk(_name)


@case("C2 mean and variance")
def _variance(replicas: int, seed: int) -> list[Line]:
    noted = {
        ("relu", 2, 0.1): ("1.041", {100: "11.2", 200: "7.97", 400: "9.28", 800: "9.34"}),
        ("tanh", 3, 0.64): ("1.134", {100: "6.6", 200: "5.4", 400: "5.6", 800: "5.6"}),
    }
    lines = []
    for key, (square, columns) in noted.items():
        for width, text in columns.items():
            st = OutputBatchNorm(net(*key), width, width, 2)
            sample = st.sample(replicas, seed)
            values = of(sample, "max_eigenvalue")
            lines.append(Line(f"λ_max {key[0]} M={width}", None, None, values, text))
            ratios, holds = [], []
            for replica in sample:
                deviations = replica.measured.logits.std(axis=0)
                own = OutputBatchNorm(net(*key), width, width, 2, deviations=tuple(deviations))
                ratios.append(replica.mean / own.mean)
                low, high = own.max_eigenvalue_bounds
                holds.append(float(low <= replica.max_eigenvalue <= high))
            lines.append(Line(f"mean / predicted {key[0]} M={width}", 1.0, None, ratios, "1.00",
                              0.08))  # fmt: skip
            lines.append(Line(f"bounds hold {key[0]} M={width}", None, None, holds, "1"))
        lines.append(Line(f"σ² {key[0]}", st.deviations[0] ** 2, square))
    return lines


@case("C2 ten samples")
def _ten(replicas: int, seed: int) -> list[Line]:
    """N=10, M=2000: eight eigenvalues of each output, four zeros."""
    network = net("tanh", 3, 0.64)
    sample = drawn(network, 2000, 10, 2, replicas, seed, heads=("batch-norm",))
    ratios, zeros = [], []
    for replica in sample:
        deviations = tuple(replica.measured.logits.std(axis=0))
        want = sorted(OutputBatchNorm(network, 2000, 10, 2, deviations=deviations).bulk_eigenvalues)
        values = replica.eigenvalues[4:].reshape(2, 8)
        ratios += list(values.mean(axis=1) / want)
        zeros.append(float(np.count_nonzero(np.abs(replica.eigenvalues) < 1e-9 * values.max())))
    return [
        Line("mean of the eight / predicted", 1.0, None, ratios, "1.00", 0.05),
        Line("zeros", None, None, zeros, "4"),
    ]


def _features_after_batch_norm(phi: str, shift: float, samples: int) -> tuple[float, float]:
    """Eφ(z + β), and the mean square of the mean of φ over N samples of correlation -1/(N-1)."""
    function = {"relu": lambda h: np.maximum(h, 0.0), "tanh": np.tanh}[phi]
    x = np.linspace(-9.0, 9.0, 3601)
    bell = np.exp(-0.5 * x * x) * (x[1] - x[0]) / math.sqrt(2.0 * math.pi)
    values, correlation = function(x + shift), -1.0 / (samples - 1)
    partner = correlation * x[:, None] + math.sqrt(1.0 - correlation**2) * x
    cross = float(bell @ (values * (function(partner + shift) @ bell)))
    same = float(bell @ np.square(values))
    return float(bell @ values), ((samples - 1) * cross + same) / samples


@case("C3 hidden batch norm")
def _hidden_batch(replicas: int, seed: int) -> list[Line]:
    """The measured numbers were those of the weights; the bias of the output adds 1 to λ_max."""
    noted = [
        ("relu", 2, 0.0, {150: ("25.9", "23.6"), 300: ("50.9", "47.1"), 600: ("101.0", "94.2")}),
        ("relu", 2, 0.5, {150: ("75.0", "72.3"), 300: ("149.3", "144.7"), 600: ("297.4", "289.3")}),
        ("tanh", 3, 0.5, {150: ("14.6", "12.7"), 300: ("27.7", "25.4"), 600: ("55.1", "50.8")}),
    ]
    lines = []
    for phi, weight, shift, columns in noted:
        mean, block = _features_after_batch_norm(phi, shift, 40)
        for width, (measured, bound) in columns.items():
            st = HiddenBatchNorm(net(phi, weight, 0), width, 40, 1, shift=shift)
            label = f"{phi} shift {shift} M={width}"
            fields = {"hidden_norm": "batch-norm", "shift": shift}
            tops = {
                variables: of(
                    drawn(st.net, width, 40, 1, replicas, seed, variables=variables, **fields),
                    "max_eigenvalue",
                )
                for variables in ("parameters", "weights", 3)
            }
            added = np.subtract(tops["parameters"], tops["weights"])
            evidence = (
                f"the noted bound is below M (Eφ)² = {width * mean**2:.2f}, which its own formula "
                "exceeds for every N; independent: the formula on a grid in two variables"
            )
            lines += [
                Line(f"λ_max of the weights {label}", None, None, tops["weights"], measured),
                Line(f"what the biases add to it {label}", None, None, added),
                Line(f"bound {label}", st.max_eigenvalue_bound, bound,
                     independent=(width * block, 1e-4 * width * block), evidence=evidence),
                Line(f"λ_max of the last block {label}", None, None, tops[3]),
            ]  # fmt: skip
    for phi, weight, width, measured, bound in (
        ("relu", 2, 300, "68.9", "64.0"), ("relu", 2, 600, "141.5", "127.9"),
    ):  # fmt: skip
        st = HiddenBatchNorm(net(phi, weight, 0), width, 40, 1, kind="mean-subtraction")
        values = of(st.sample(replicas, seed), "max_eigenvalue")
        label = f"λ_max {phi} mean subtraction M={width}"
        lines.append(Line(label, None, None, values, measured))
        lines.append(Line(f"bound of {label}", st.max_eigenvalue_bound, bound))
    st = HiddenBatchNorm(net("tanh", 3, 0), 300, 40, 1)
    ratios = [float(r.eigenvalues[-2] / r.eigenvalues[-1]) for r in st.sample(replicas, seed)]
    lines.append(Line("λ_2 / λ_1 tanh without shift", None, None, ratios, "1.0", 0.1))
    return lines


@case("C4 layer norm of the outputs")
def _layer(replicas: int, seed: int) -> list[Line]:
    lines = []
    for key, outputs in ((("relu", 2, 0.1), 10), (("tanh", 3, 0.64), 10), (("tanh", 3, 0.64), 3)):
        network = net(*key)
        sample = drawn(network, 1000, 100, outputs, replicas, seed, heads=("layer-norm",))
        own = [
            OutputLayerNorm(network, 1000, 100, outputs, logits=r.measured.logits) for r in sample
        ]
        pairs = list(zip(own, sample, strict=True))
        label = f"{key[0]} C={outputs}"
        for rank in {1, 2, outputs - 1}:
            values = [r.eigenvalues[-rank] / st.outliers[rank - 1] for st, r in pairs]
            lines.append(Line(f"λ_{rank} / predicted, {label}", 1.0, None, values, "1.00", 0.08))
        for name in ("mean", "second_moment"):
            values = [getattr(r, name) / getattr(st, name) for st, r in pairs]
            lines.append(Line(f"{name} / predicted, {label}", 1.0, None, values, "1.00", 0.11))
        if outputs == 10:
            noted = {"relu": "534", "tanh": "144"}[key[0]]
            lines.append(Line(f"λ_1, {label}", None, None, of(sample, "max_eigenvalue"), noted))
    nothing = drawn(net("tanh", 3, 0.64), 1000, 100, 2, replicas, seed, heads=("layer-norm",))
    lines.append(Line("λ_1, tanh C=2", 0.0, "0", of(nothing, "max_eigenvalue"), "0"))
    return lines


@case("C4 layer norm of hidden layers")
def _hidden_layer(replicas: int, seed: int) -> list[Line]:
    lines = []
    for key, first, last, want in (
        (("relu", 2, 0), "297.6", "288.7", "292.8"),
        (("tanh", 3, 0), "35.3", None, None),
    ):
        st = HiddenLayerNorm(net(*key), 800, 50, 2)
        sample = st.sample(replicas, seed)
        lines.append(Line(f"λ_1 {key[0]}", st.max_eigenvalue, want, top(sample, 1), first))
        lines.append(Line(f"λ_C {key[0]}", st.max_eigenvalue, want, top(sample, 2), last))
    return lines


@case("C5 learning rate")
def _gain(replicas: int, seed: int) -> list[Line]:
    lines = []
    for key, plain, centred in (
        (("tanh", 3, 0.64), "73.9", "8.26"), (("relu", 2, 0.1), "243.4", "11.8"),
    ):  # fmt: skip
        for heads, noted in (((), plain), (("mean-subtraction",), centred)):
            ensemble = GradientEnsemble(net(*key), 300, 150, 1, heads=heads)
            sample = sample_gradients(ensemble, replicas, seed)
            label = f"{key[0]} {''.join(heads)}"
            lines.append(Line(f"λ_max {label}", None, None, of(sample, "max_eigenvalue"), noted))
            for fraction in (0.95, 1.05):
                runs = [
                    perturbed_descent(ensemble, fraction, 400, 1e-5, seed=seed, index=i)
                    for i in range(replicas)
                ]
                grown = [float(run.growth > 1.0 + 1e-9) for run in runs]
                text = "1" if fraction > 1 else "0"
                quantity = f"grows at {fraction} of the critical rate, {label}"
                lines.append(Line(quantity, None, None, grown, text))
    return lines


# -- traps ------------------------------------------------------------------------------------


@case("Trap 3 correlated inputs")
def _correlated(replicas: int, seed: int) -> list[Line]:
    lines = []
    for key, first, last, want in (
        (("tanh", 3, 0.64), "539", "504", "512"), (("tanh", 3, 0), "403", "366", "372"),
        (("relu", 2, 0), "1076", "1020", "1054"), (("linear", 1, 0), "993", "909", "921"),
    ):  # fmt: skip
        st = FisherStatistics(net(*key), 1000, 100, 2, input_correlation=0.3)
        sample = drawn(net(*key), 1000, 100, 2, replicas, seed, input_correlation=0.3)
        label = f"{key[0]}({key[1]},{key[2]})"
        lines.append(Line(f"λ_1 {label}", st.max_eigenvalue, want, top(sample, 1), first))
        lines.append(Line(f"λ_C {label}", st.max_eigenvalue, want, top(sample, 2), last))
    return lines


@case("Trap 5 no outliers")
def _no_outliers(replicas: int, seed: int) -> list[Line]:
    """Largest eigenvalue over what the formula for outliers would say, and over the true edge."""
    lines = []
    network = net("tanh", 3, 0)
    noted = {5: "1.17", 20: "1.27", 50: "1.46", 200: "2.00", 800: "3.58"}
    for samples, text in noted.items():
        st = FisherStatistics(network, 1000, samples, 1)
        sample = drawn(network, 1000, samples, 1, replicas, seed)
        ratios = [r.max_eigenvalue * samples / st.diagonal for r in sample]
        lines.append(Line(f"λ_max / diagonal N={samples}", None, None, ratios, text, 0.05))
        if samples >= 20:
            values = of(sample, "max_eigenvalue")
            lines.append(Line(f"λ_max N={samples}", st.max_eigenvalue, None, values))
    return lines
