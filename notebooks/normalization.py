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
# # Which normalisation tames the outliers
#
# After Karakida, Akaho & Amari, *The Normalization Method for Alleviating Pathological Sharpness in
# Wide Neural Networks* (NeurIPS 2019, arXiv 1906.02926).
#
# The largest eigenvalue of the Fisher information of a network grows with its width $M$, and
# the stable learning rate $2/\lambda_{\max}$ falls. Its eigenvector is common to all samples, the
# mean gradient; so subtracting means *over the samples* at the *output* removes it. The same in the
# middle of the network, or over the units of a layer, does not.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.5), "figure.constrained_layout.use": True})
THEORY, POINTS, RED, GREY = "#1f4e8c", "#222222", "#b3261e", "#8f99a3"


def network(phi, weight, bias, depth=3):
    """Gaussian weights with the variances σ_w² and σ_b²."""
    stds = {"weight_std": math.sqrt(weight), "bias_std": math.sqrt(bias)}
    return ff.Network(depth, phi, weights="gaussian", **stds)


TANH, RELU, ODD = network("tanh", 3, 0.64), network("relu", 2, 0.1), network("tanh", 3, 0)
WIDTHS = (30, 60, 120, 200)


def tops(problem, replicas=6):
    """Mean of the largest eigenvalue of sampled networks, and its standard error."""
    return problem.sample(replicas).estimate("max_eigenvalue")


def at_infinity(widths, ratios):
    """Value at 1/M = 0, and its error, of the line through ratios of networks, a row a width."""
    m = np.array(widths, dtype=float)
    # one network scatters by a multiple of 1/√M, which all rows tell
    scatter = math.sqrt((ratios.var(axis=1, ddof=1) * m).mean() / ratios.shape[1])
    design = np.stack([np.sqrt(m), 1 / np.sqrt(m)], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    value = covariance @ design.T @ (ratios.mean(axis=1) * np.sqrt(m))
    return value[0], scatter * math.sqrt(covariance[0, 0])


def width_axis(ax, words="largest eigenvalue $\\lambda_{\\max}$", widths=WIDTHS):
    ax.set(xscale="log", xlabel="width M", ylabel=words)
    ax.set_xticks(widths, widths)
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)


# %% [markdown]
# ## The output layer
#
# Subtracting the mean of each output over the samples turns $F$ into the covariance of the
# gradients: $\kappa_2$ cancels. With as many samples as units, $N = M$, the largest eigenvalue no
# longer grows; it lies above the lower bound $\rho\alpha(\kappa_1 - \kappa_2)$, $\rho = M/N$, of
# the theory. Dividing by the deviation as well (batch normalisation) changes constants only.

# %%
_, axes = plt.subplots(1, 2, figsize=(11, 4.5))
for ax, (label, net) in zip(axes, (("tanh", TANH), ("ReLU", RELU)), strict=True):
    plain = [ff.FisherStatistics(net, m, m, 2) for m in WIDTHS]
    theory = np.array([problem.max_eigenvalue for problem in plain])
    ax.plot(WIDTHS, theory, color=RED, label="theory, no normalisation")
    # finite width splits the C-fold eigenvalue: the mean of the C
    rows = np.array(
        [[one.top_eigenvalues.mean() for one in p.sample(6, seed=p.width)] for p in plain]
    )
    mean, error = np.mean(rows, axis=1), np.std(rows, axis=1, ddof=1) / math.sqrt(6)
    ax.errorbar(WIDTHS, mean, error, fmt="o", ms=4, color=RED, capsize=2, label="measured")
    # finite width is off by a multiple of 1/M, see the notebook on universal statistics
    limit, spread = at_infinity(WIDTHS, rows / theory[:, None])
    print(f"{label}: λ_max measured/theory at M = ∞: {limit:.3f} ± {spread:.3f}")
    assert abs(limit - 1) < 3 * spread
    for kind, color in (("mean-subtraction", THEORY), ("batch-norm", GREY)):
        normal = [ff.OutputBatchNorm(net, m, m, 2, kind=kind) for m in WIDTHS]
        bounds = np.array([problem.max_eigenvalue_bounds for problem in normal])
        means, errors = np.transpose([tops(problem) for problem in normal])
        ax.plot(WIDTHS, bounds[:, 0], color=color, ls="--", label=f"{kind}, lower bound")
        ax.errorbar(WIDTHS, means, errors, fmt="s", ms=4, color=color, capsize=2, label=kind)
        assert np.all(bounds[:, 0] < means) and np.all(means < bounds[:, 1])
        assert means[-1] < 1.3 * means[1]
        if kind == "mean-subtraction":
            assert means[-1] < 0.15 * mean[-1]
    width_axis(ax)
    ax.set(yscale="log", title=f"{label}, N = M, C = 2", ylim=(0.8, 3 * theory[-1]))
axes[0].legend(frameon=False, fontsize=8, ncols=2, loc="upper left")

# %% [markdown]
# It takes samples in proportion. With $N$ fixed the normalised eigenvalue still grows as $M$.

# %%
WIDE = (60, 120, 240, 480)
fixed = [ff.OutputBatchNorm(TANH, m, 20, 2, kind="mean-subtraction") for m in WIDE]
means, errors = np.transpose([tops(problem) for problem in fixed])
low = np.array([problem.max_eigenvalue_bounds[0] for problem in fixed])
ax = plt.subplots(figsize=(7, 4))[1]
ax.plot(WIDE, low, "--", color=THEORY, label="lower bound, $\\rho\\alpha(\\kappa_1-\\kappa_2)$")
ax.errorbar(WIDE, means, errors, fmt="s", ms=4, color=THEORY, capsize=2, label="6 networks")
width_axis(ax, widths=WIDE)
ax.set(yscale="log", title="tanh, mean subtraction, N = 20")
legend = ax.legend(frameon=False)
slope = np.polyfit(np.log(WIDE[1:]), np.log(means[1:]), 1)[0]
print(f"λ_max grows as M^{slope:.2f}")
assert 0.8 < slope < 1.1

# %% [markdown]
# For an odd activation without bias, and for one hidden layer of any kind, the bulk is known
# exactly where $N \propto M$: the answer is then a number, not a pair of bounds.

# %%
shallow = network("relu", 2, 0, depth=2)
RATIOS = (0.5, 1.0, 2.0, 4.0)
ax = plt.subplots(figsize=(7, 4))[1]
for net, label, color in ((ODD, "tanh, depth 3", THEORY), (shallow, "ReLU, depth 2", RED)):
    problems = [
        ff.OutputBatchNorm(net, 200, round(200 / ratio), 1, kind="mean-subtraction")
        for ratio in RATIOS
    ]
    edge = np.array([problem.max_eigenvalue for problem in problems])
    low = [problem.max_eigenvalue_bounds[0] for problem in problems]
    means, errors = np.transpose([tops(problem) for problem in problems])
    ax.plot(RATIOS, edge, color=color, label=f"{label}, exact edge")
    ax.plot(RATIOS, low, "--", color=color, label=f"{label}, lower bound")
    ax.errorbar(RATIOS, means, errors, fmt="o", ms=4, color=color, capsize=2)
    # the norm of the last weights scatters by √(2/M), an edge by N^(-2/3)
    assert np.all(
        abs(means / edge - 1) < 3 * errors / edge + 2 * (200 / np.array(RATIOS)) ** (-2 / 3)
    )
ax.errorbar([], [], [], fmt="o", ms=4, color=POINTS, capsize=2, label="6 networks")
ax.set(xscale="log", yscale="log", xlabel="ρ = M/N", ylabel="largest eigenvalue $\\lambda_{\\max}$")
ax.set_xticks(RATIOS, RATIOS)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
ax.set_title("mean subtraction at the output, M = 200")
legend = ax.legend(frameon=False, fontsize=8)

# %% [markdown]
# ## The hidden layers
#
# Batch normalisation before every activation: the last layer sees ReLU features again, which are
# all positive, so that their mean over the samples is an outlier of the order of $M$. The theory
# bounds $\lambda_{\max}$ by the block of the last layer. Only where $E\varphi(z + \beta) = 0$, as
# for tanh without a shift $\beta$, no outlier is left.

# %%
HIDDEN = (40, 80, 160)
CASES = {
    "ReLU": (network("relu", 2, 0), 0.0, RED),
    "tanh, β = 1": (ODD, 1.0, THEORY),
    "tanh, β = 0": (ODD, 0.0, GREY),
}
ax = plt.subplots(figsize=(7, 4.5))[1]
for label, (net, shift, color) in CASES.items():
    problems = [ff.HiddenBatchNorm(net, m, m // 2, 1, shift=shift) for m in HIDDEN]
    means, errors = np.transpose([tops(problem, replicas=4) for problem in problems])
    ax.errorbar(HIDDEN, means, errors, fmt="o", ms=4, color=color, capsize=2, label=label)
    growth = means[-1] / means[0]
    if problems[0].separated:
        bound = np.array([problem.max_eigenvalue_bound for problem in problems])
        ax.plot(HIDDEN, bound, color=color, label=f"{label}, lower bound")
        assert np.all(bound < means + 3 * errors) and growth > 2.5
    else:
        assert problems[0].multiplicity == 0 and growth < 1.3
width_axis(ax, widths=HIDDEN)
ax.set(yscale="log", title="batch normalisation of the hidden layers, M = 2 N, C = 1")
legend = ax.legend(frameon=False, fontsize=8, loc="upper left")

# %% [markdown]
# ## Layer normalisation
#
# Normalising over the $C$ outputs of each sample acts like a softmax: through one $C \times C$
# matrix $Q_n$ for each sample, with $Q_n 1 = 0$. So $C - 1$ outliers of the order of $M$ remain,
# and the master formula gives them from the outputs of the network.

# %%
_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
lines, ratios = [], []
for m in WIDTHS:
    drawn = ff.OutputLayerNorm(RELU, m, 30, 10).sample(6, seed=m)
    own = [ff.OutputLayerNorm(RELU, m, 30, 10, logits=one.measured.logits) for one in drawn]
    pairs = np.array(
        [[one.max_eigenvalue, st.max_eigenvalue] for one, st in zip(drawn, own, strict=True)]
    )
    ratio = pairs[:, 0] / pairs[:, 1]
    error = ratio.std(ddof=1) / math.sqrt(len(ratio))
    ratios.append(ratio)
    lines.append([*pairs.mean(axis=0), error * pairs[:, 1].mean()])
limit, spread = at_infinity(WIDTHS, np.array(ratios))
print(f"layer norm: measured/theory at M = ∞: {limit:.3f} ± {spread:.3f}")
assert abs(limit - 1) < 3 * spread
measured, theory, error = np.transpose(lines)
plain = [ff.FisherStatistics(RELU, m, 30, 10).max_eigenvalue for m in WIDTHS]
left.plot(WIDTHS, plain, color=RED, label="theory, no normalisation")
left.plot(WIDTHS, theory, color=THEORY, label="theory, layer norm of the output")
left.errorbar(WIDTHS, measured, error, fmt="o", ms=4, color=THEORY, capsize=2, label="6 networks")
hidden = [ff.HiddenLayerNorm(RELU, m, 30, 10) for m in WIDTHS]
rows = np.array([[one.top_eigenvalues.mean() for one in p.sample(6, seed=p.width)] for p in hidden])
mean, error = np.mean(rows, axis=1), np.std(rows, axis=1, ddof=1) / math.sqrt(6)
inner = np.array([problem.max_eigenvalue for problem in hidden])
limit, spread = at_infinity(WIDTHS, rows / inner[:, None])
assert abs(limit - 1) < 3 * spread
left.plot(WIDTHS, inner, color=GREY, label="theory, layer norm of hidden layers")
left.errorbar(WIDTHS, mean, error, fmt="s", ms=4, color=GREY, capsize=2, label="6 networks")
width_axis(left)
left.set(yscale="log", title="ReLU, N = 30, C = 10")
left.legend(frameon=False, fontsize=8)

# %% [markdown]
# With few outputs, $1/\sigma_n^2$ has a heavy tail: its mean diverges for $C \le 3$. There layer
# normalisation may make the loss sharper than none. For $C = 2$ the outputs are $\pm 1$, whatever
# the parameters, and the Fisher information is zero.

# %%
CLASSES = (3, 4, 6, 10, 20)
gains = [
    [ff.OutputLayerNorm(TANH, 1000, 100, c, seed=seed).learning_rate_gain for seed in range(30)]
    for c in CLASSES
]
right.boxplot(gains, tick_labels=[str(c) for c in CLASSES], medianprops={"color": THEORY})
right.axhline(1, color=RED, ls="--", label="no normalisation")
right.set(yscale="log", xlabel="number of outputs C", ylabel="gain in learning rate")
right.set_title("layer norm of the output, 30 draws of the outputs")
right.legend(frameon=False)
assert min(gains[0]) < 0.5 and max(gains[0]) / min(gains[0]) > max(gains[-1]) / min(gains[-1])
two = ff.OutputLayerNorm(TANH, 100, 20, 2)
assert two.max_eigenvalue == two.sample(1)[0].max_eigenvalue == 0.0

# %% [markdown]
# ## What it is worth
#
# The gain in learning rate by normalising the last layer: each cell is a network near zero error,
# its shade the growth of the loss within 40 steps. Lines mark $2/\lambda_{\max}$ of theory without
# normalisation (red) and its upper bound with it (blue, dashed); dots that of each network.

# %%
RATES, HEAT_WIDTHS, STEPS = np.geomspace(1e-2, 1, 20), (40, 70, 120, 200), 40


def edges(centres):
    """Borders of the cells around logarithmic centres."""
    logs = np.log(np.asarray(centres, dtype=float))
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp([2 * logs[0] - middle[0], *middle, 2 * logs[-1] - middle[-1]])


figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
critical = {}
for ax, heads in zip(axes, ((), ("mean-subtraction",)), strict=True):
    growth, own = np.empty((len(HEAT_WIDTHS), len(RATES))), []
    for row, m in zip(growth, HEAT_WIDTHS, strict=True):
        ensemble = ff.GradientEnsemble(TANH, m, samples=m // 2, outputs=1, heads=heads)
        own.append(2 / ensemble.eigenvalues(*ensemble.initial())[-1])
        row[:] = [ff.perturbed_descent(ensemble, eta / own[-1], STEPS).growth for eta in RATES]
    ratio = RATES / np.array(own)[:, None]
    assert np.all(growth[ratio < 0.95] <= 1.0) and np.all(growth[ratio > 1.2] > 10)
    critical[heads] = np.array(own)
    shades = np.log10(np.minimum(growth, 1e6))
    mesh = ax.pcolormesh(edges(RATES), edges(HEAT_WIDTHS), shades, cmap="Greys", vmin=0, vmax=6)
    ax.loglog(own, HEAT_WIDTHS, "o", color=THEORY, label="$2/\\lambda_{\\max}$ of the network")
    if heads:
        bound = [
            ff.OutputBatchNorm(TANH, m, m // 2, 1, kind=heads[0]).max_learning_rate_bounds()[1]
            for m in HEAT_WIDTHS
        ]
        ax.plot(bound, HEAT_WIDTHS, "--", color="#5b8fd6", label="theory, upper bound")
        assert np.all(np.array(own) < bound)
    else:
        line = [ff.FisherStatistics(TANH, m, m // 2, 1).max_learning_rate() for m in HEAT_WIDTHS]
        ax.plot(line, HEAT_WIDTHS, color=RED, label="theory, $2/\\lambda_{\\max}$")
    ax.set(xlabel="learning rate $\\eta$")
    ax.set_title("mean subtraction at the output" if heads else "no normalisation")
    ax.set_yticks(HEAT_WIDTHS, HEAT_WIDTHS)
    ax.tick_params(axis="y", which="minor", left=False, labelleft=False)
    ax.legend(loc="lower left", fontsize=8)
axes[0].set_ylabel("width M = 2 N")
bar = figure.colorbar(mesh, ax=axes, label="growth of the loss, $\\log_{10}$ (6 and more)")
gain = critical[("mean-subtraction",)] / critical[()]
print("gain in learning rate:", dict(zip(HEAT_WIDTHS, np.round(gain, 1).tolist(), strict=True)))
assert np.all(np.diff(gain) > 0) and gain[-1] > 3

# %%
plt.show()
