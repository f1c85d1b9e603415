# ---
# jupyter:
#   jupytext:
#     text_representation:
#       extension: .py
#       format_name: percent
#   kernelspec:
#     display_name: Python 3
#     language: python
#     name: python3
# ---

# %% [markdown]
# # Full-batch training on digits, with and without batch normalisation of the output
#
# After Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
# Networks* (AISTATS 2019, arXiv 1806.01316) and *The Normalization Method for Alleviating
# Pathological Sharpness in Wide Neural Networks* (NeurIPS 2019, arXiv 1906.02926).
#
# Gradient descent on $\frac1{2N}\sum_n |f(n) - y(n)|^2$ is stable near zero error iff
# $\eta < 2/\lambda_{\max}(F)$. For a wide network mean-field theory gives $\lambda_{\max}$ from
# $\sigma_w$, $\sigma_b$, the width and one number of the data, the mean correlation of two inputs;
# normalising every output over the samples projects the common direction of the gradients away.
#
# Three questions, each with its own tolerance: does training become unstable at $2/\lambda_{\max}$
# of the network itself (2 %); is $\lambda_{\max}$ the one of the theory (as far as finite width
# lets one eigenvalue of multiplicity $C$ be one); and what is normalisation worth.
#
# `TABLE=validation/full_batch_training.csv python notebooks/full_batch_training.py` runs all of it
# at full size, and writes the table.

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from sklearn.datasets import load_digits

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, POINTS = "#1f4e8c", "#b3261e", "#8f99a3", "#222222"

TABLE = os.environ.get("TABLE")
WIDTHS = (64, 128, 256) if TABLE else (64, 128)
SEEDS = (0, 1, 2, 3) if TABLE else (0,)
STEPS = 300 if TABLE else 200
SAMPLES, CLASSES, PIXELS = 64, 10, 64
DATA = load_digits()
IMAGES, LABELS = DATA.data[:SAMPLES], DATA.target[:SAMPLES]


def network(width):
    """Gaussian weights, tanh, 64 pixels in."""
    stds = {"weight_std": math.sqrt(3), "bias_std": math.sqrt(0.64)}
    return ff.Network(3, "tanh", weights="gaussian", width_ratios=(PIXELS / width, 1, 1), **stds)


# %% [markdown]
# ## What theory says
#
# Digits are alike: their mean correlation is high, so the $C$ outliers of $F$ are large. The
# statistics know this one number. To leading order inner products of gradients depend on the
# correlation of each pair of inputs alone, so the same recursion, run for every pair, gives the
# whole matrix $K$ of them: $\lambda_{\max} = \lambda_{\max}(K)/N$, and with the outputs
# centred over the samples $\lambda_{\max}(\Pi K \Pi)/N$, $\Pi = I - 11^T/N$. Division by
# the deviation $\sigma_k$ of output $k$ divides by $\sigma_k^2$; the smallest deviation counts.


# %%
def gradient_products(width):
    """K in the limit: the recursion for two inputs, at the correlation of every pair."""
    rows = IMAGES / np.linalg.norm(IMAGES, axis=1, keepdims=True)
    correlation = np.clip(rows @ rows.T, -1, 1)
    low = correlation.min()
    nodes = (low + 1) / 2 + (1 - low) / 2 * np.cos(np.pi * (np.arange(24) + 0.5) / 24)
    size = (network(width), width, SAMPLES, CLASSES)
    values = [ff.FisherStatistics(*size, float(at)).off_diagonal for at in nodes]
    fit = np.polynomial.Chebyshev.fit(nodes, values, 23, domain=[low, 1])
    products = fit(correlation)
    np.fill_diagonal(products, ff.FisherStatistics(*size).diagonal)
    return products


def top(matrix):
    return float(np.linalg.eigvalsh(matrix)[-1]) / SAMPLES


CENTRE = np.eye(SAMPLES) - 1 / SAMPLES
print(f"mean correlation of two digits: {ff.correlation_of(IMAGES):.3f}")
for width in WIDTHS:
    plain = ff.FisherStatistics(network(width), width, SAMPLES, CLASSES, IMAGES).max_eigenvalue
    products = gradient_products(width)
    print(
        f"M = {width:3d}   λ_max = {plain:6.1f} by the mean correlation, {top(products):6.1f} by "
        f"all pairs, {top(CENTRE @ products @ CENTRE):5.1f} centred"
    )
    # pairs scatter about their mean: of second order
    assert abs(top(products) / plain - 1) < 0.05

# %% [markdown]
# ## The boundary
#
# Targets are the outputs of the network plus $10^{-4}$; a step is unstable if that residual grows
# within a few hundred steps. The boundary is found by bisection within a factor 4 of the theory.


# %%
class Problem:
    """One network, all digits, and targets that are off by 1e-4."""

    def __init__(self, width, seed, heads=()):
        size = (network(width), width, SAMPLES, CLASSES, IMAGES)
        self.ensemble = ff.GradientEnsemble(*size, heads=heads)
        self.inputs, self.start = self.ensemble.initial(seed)
        self.logits = self.inputs
        for layer, (weights, bias) in enumerate(zip(*self.start, strict=True)):
            self.logits = self.logits @ weights.T + bias
            if layer < 2:
                self.logits = np.tanh(self.logits)
        self.deviations = self.logits.std(axis=0)
        said = (self.logits - self.logits.mean(axis=0)) / self.deviations if heads else self.logits
        self.targets = said + 1e-4 * np.random.default_rng(seed).standard_normal(said.shape)
        self.eigenvalues = self.ensemble.eigenvalues(self.inputs, self.start)

    def descend(self, rate, steps, targets):
        return ff.descend(self.ensemble, self.start, self.inputs, targets, rate, steps)

    def boundary(self, guess):
        """Where a small residual grows."""
        return ff.stability_boundary(
            lambda rate: self.descend(rate, STEPS, self.targets).growth > 1 + 1e-9,
            guess / 4,
            guess * 4,
            2e-3,
        )


HEADS = {"none": (), "batch-norm": ("batch-norm",)}
rows = []
for width in WIDTHS:
    size = (network(width), width, SAMPLES, CLASSES, IMAGES)
    products = gradient_products(width)
    for seed in SEEDS:
        for name, heads in HEADS.items():
            one = Problem(width, seed, heads)
            if heads:
                statistics = ff.OutputBatchNorm(*size, deviations=tuple(one.deviations))
                low, high = statistics.max_learning_rate_bounds()
                by_pairs = 2 / (top(CENTRE @ products @ CENTRE) / one.deviations.min() ** 2)
            else:
                low = high = ff.FisherStatistics(*size).max_learning_rate()
                by_pairs = 2 / top(products)
            own, outliers = 2 / one.eigenvalues[-1], 2 / one.eigenvalues[-CLASSES:].mean()
            measured = one.boundary(by_pairs)
            rows.append((name, width, seed, low, high, by_pairs, outliers, own, measured))
            print(
                f"M = {width:3d}  seed {seed}  {name:10s}  measured {measured:.5f}, "
                f"2/λ_max of the network {own:.5f}, by pairs {by_pairs:.5f}, statistics "
                + (f"within {low:.5f} and {high:.5f}" if heads else f"{low:.5f}")
            )
            assert abs(measured / own - 1) < 0.02
            assert not heads or low < measured < high

# %% [markdown]
# The first answer is sharp. The second has the scatter of finite width: theory has $C$ outliers of
# one size, a network splits them, and the largest one counts. Their mean is what theory gives. For
# the normalised outputs the theorem has bounds, and the pairs give the number.

# %%
names = (
    "normalisation", "width", "seed", "statistics_low", "statistics_high", "by_pairs",
    "mean_of_outliers", "network", "measured_rate",
)  # fmt: skip
columns = {
    name: np.array(values) for name, values in zip(names, zip(*rows, strict=True), strict=True)
}
columns["ratio"] = columns["measured_rate"] / columns["network"]
columns["allowed"] = np.full(len(rows), 0.02)
columns["passed"] = np.abs(columns["ratio"] - 1) <= columns["allowed"]
normal = columns["normalisation"] == "batch-norm"
plain = ~normal
off = columns["mean_of_outliers"][plain] / columns["statistics_low"][plain] - 1
print(f"mean of the outliers over the theory: off by {abs(off).max():.1%} at most")
# the gradient of one output scatters by up to (5/M)^(1/2)
assert np.all(abs(off) < 3 * np.sqrt(5 / (columns["width"][plain] * CLASSES)))
ax = plt.subplots()[1]
for chosen, color, label in ((plain, POINTS, "no normalisation"), (normal, RED, "batch norm")):
    shift = columns["width"][chosen] * (1 + 0.02 * columns["seed"][chosen])
    ax.loglog(
        shift,
        columns["measured_rate"][chosen],
        "o",
        ms=7,
        mfc="none",
        color=color,
        label=f"{label}: measured",
    )
    ax.plot(
        shift,
        columns["network"][chosen],
        "x",
        ms=4,
        color=color,
        label="$2/\\lambda_{\\max}$ of the network",
    )
ax.plot(
    WIDTHS,
    [columns["statistics_low"][plain & (columns["width"] == m)][0] for m in WIDTHS],
    color=BLUE,
    label="statistics, no normalisation",
)
for m in WIDTHS:
    pairs = columns["by_pairs"][normal & (columns["width"] == m)]
    ax.plot(
        [m * 0.97] * len(pairs),
        pairs,
        "_",
        ms=14,
        color=BLUE,
        label="all pairs, batch norm" if m == WIDTHS[0] else None,
    )
ax.set(
    xlabel="width $M$",
    ylabel="largest stable learning rate",
    title=f"full batch of {SAMPLES} digits, tanh, depth 3",
)
ax.set_xticks(WIDTHS, WIDTHS)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
legend = ax.legend(frameon=False, fontsize=8)
gain = columns["measured_rate"][normal] / columns["measured_rate"][plain]
print(f"normalisation lets the step grow by factors of {gain.min():.1f} to {gain.max():.1f}")
assert gain.min() > 1

# %% [markdown]
# ## With labels
#
# The same networks learn the digits' labels from scratch, at 0.9 of their boundaries; targets are
# one-hot rows, standardised over the samples as batch norm makes its outputs. Far from zero error
# the boundary is a guide and no theorem, but both descend, and the normalised network needs fewer
# steps.

# %%
onehot = np.eye(CLASSES)[LABELS]
onehot = (onehot - onehot.mean(axis=0)) / onehot.std(axis=0)
ax = plt.subplots()[1]
needed = {}
for (name, heads), color in zip(HEADS.items(), (POINTS, RED), strict=True):
    one = Problem(WIDTHS[-1], 0, heads)
    critical = 2 / one.eigenvalues[-1]
    losses = one.descend(0.9 * critical, 400, onehot).losses
    ax.semilogy(losses, color=color, label=f"normalisation: {name}, $\\eta$ = {0.9 * critical:.4f}")
    needed[name] = int(np.argmax(losses < 0.1 * CLASSES / 2)) or len(losses)
    assert losses[-1] < losses[0]
print("steps to a tenth of the variance:", needed)
ax.set(xlabel="step", ylabel="loss", title=f"learning {SAMPLES} digits, width {WIDTHS[-1]}")
legend = ax.legend(frameon=False)

# %%
if TABLE:
    made_by = "TABLE=validation/full_batch_training.csv python notebooks/full_batch_training.py"
    metadata = {"made_by": made_by, "samples": SAMPLES, "outputs": CLASSES, "steps": STEPS}
    ff.Table(columns, metadata).write(TABLE)
plt.show()
