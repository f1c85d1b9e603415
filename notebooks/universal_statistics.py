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
# # Universal statistics of the Fisher information
#
# After Karakida, Akaho & Amari, *Universal Statistics of Fisher Information in Deep Neural
# Networks: Mean Field Approach* (AISTATS 2019, arXiv 1806.01316).
#
# A network of depth $L$ with $C$ linear outputs sees $N$ Gaussian inputs; all hidden layers have
# about $M$ units. Its Fisher information
# $F = \frac1N \sum_n \sum_k \nabla f_k(n) \nabla f_k(n)^T$ is $P \times P$, $P$ the number of
# parameters, and has at most $CN$ nonzero eigenvalues. To leading order in $M$ the gradients obey
#
# $$ \nabla f_k(n) \cdot \nabla f_{k'}(m) = \alpha M\, \delta_{kk'}
#    [\kappa_2 + (\kappa_1 - \kappa_2)\, \delta_{nm}], $$
#
# with two numbers $\kappa_1 \ge \kappa_2 \ge 0$ from mean-field recursions. Mean, second moment and
# largest eigenvalue follow from this one line. Here the theory stands over sampled networks; raise
# the sizes below to those of the paper to get its figures with less scatter.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.5), "figure.constrained_layout.use": True})
THEORY, POINTS, RED = "#1f4e8c", "#222222", "#b3261e"
WIDTHS, SAMPLES, OUTPUTS, REPLICAS = (60, 120, 240, 480, 800), 60, 2, 8


def network(phi, weight, bias, depth=3):
    """Gaussian weights with the variances σ_w² and σ_b²."""
    stds = {"weight_std": math.sqrt(weight), "bias_std": math.sqrt(bias)}
    return ff.Network(depth, phi, weights="gaussian", **stds)


NETWORKS = {
    "tanh, $\\sigma_w^2=3$, $\\sigma_b^2=0.64$": network("tanh", 3, 0.64),
    "ReLU, $\\sigma_w^2=2$, $\\sigma_b^2=0.1$": network("relu", 2, 0.1),
    "linear, $\\sigma_w^2=1$, $\\sigma_b^2=0.1$": network("linear", 1, 0.1),
}

# %% [markdown]
# ## Two numbers
#
# For the linear network with $\sigma_w = 1$ the recursions sum up by hand:
# $\kappa_1 = \frac{L + \sigma_b^2 L(L-1)/2}{L-1}$ and $\kappa_2 = \sigma_b^2 L / 2$.

# %%
for label, net in NETWORKS.items():
    pair = ff.pair_order_parameters(net)
    print(f"{label:45s} κ₁ = {pair.kappa1:.4f}   κ₂ = {pair.kappa2:.4f}")
assert math.isclose(pair.kappa1, (3 + 0.1 * 3) / 2, rel_tol=1e-12)
assert math.isclose(pair.kappa2, 0.1 * 3 / 2, rel_tol=1e-12)

# %% [markdown]
# ## Mean, second moment, largest eigenvalue
#
# The mean eigenvalue falls as $1/M$, the second moment stays, the largest eigenvalue grows as $M$:
# few directions are steep and nearly all are flat.
#
# Each point is the mean of 8 networks with its standard error. $\lambda_{\max}$ is $C$-fold in the
# limit, and finite width splits it; the points are the means of the $C$ largest. At finite $M$ they
# are off by a multiple of $1/M$: each bias is a parameter, which adds
# $\sum_l \tilde q_{st}^l$ to $\lambda_{\max}$; the row sums of the Gram matrix fluctuate, which
# adds their variance over $\lambda$; and the order parameters of a finite network have means of
# their own. Inner products of gradients fluctuate by about $\alpha\kappa_1\sqrt M$ beside their
# mean $\alpha\kappa_2M$, so their squares have an excess of up to $(\kappa_1/\kappa_2)^2/M$, 121
# times $1/M$ for the linear network. So the measured over the predicted is a straight line in $1/M$
# for wide networks; what the theory says is its value at $1/M = 0$, within three standard errors.

# %%
ROWS = {
    "mean": "mean eigenvalue $m_\\lambda$",
    "second_moment": "second moment $s_\\lambda$",
    "max_eigenvalue": "largest eigenvalue $\\lambda_{\\max}$",
}


def measured(replica, name):
    return replica.top_eigenvalues.mean() if name == "max_eigenvalue" else getattr(replica, name)


def at_infinity(widths, ratios):
    """Value at 1/M = 0, and its error, of the line through ratios of networks, a row a width."""
    m = np.array(widths, dtype=float)
    # one network scatters by a multiple of 1/√M, which all rows tell
    scatter = math.sqrt((ratios.var(axis=1, ddof=1) * m).mean() / ratios.shape[1])
    design = np.stack([np.sqrt(m), 1 / np.sqrt(m)], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    value = covariance @ design.T @ (ratios.mean(axis=1) * np.sqrt(m))
    return value[0], scatter * math.sqrt(covariance[0, 0])


figure, axes = plt.subplots(3, 3, figsize=(11, 8.5), sharex=True)
fine = np.unique(np.geomspace(WIDTHS[0], WIDTHS[-1], 30).astype(int))
for column, (label, net) in zip(axes.T, NETWORKS.items(), strict=True):
    drawn = [ff.FisherStatistics(net, m, SAMPLES, OUTPUTS).sample(REPLICAS) for m in WIDTHS]
    for ax, (name, words) in zip(column, ROWS.items(), strict=True):
        rows = np.array([[measured(replica, name) for replica in sample] for sample in drawn])
        mean, error = rows.mean(axis=1), rows.std(axis=1, ddof=1) / math.sqrt(REPLICAS)
        theory = [getattr(ff.FisherStatistics(net, m, SAMPLES, OUTPUTS), name) for m in WIDTHS]
        limit, spread = at_infinity(WIDTHS, rows / np.array(theory)[:, None])
        print(f"{label:45s} {name:15s} measured/theory at M = ∞: {limit:.3f} ± {spread:.3f}")
        assert abs(limit - 1) < 3 * spread
        line = [getattr(ff.FisherStatistics(net, int(m), SAMPLES, OUTPUTS), name) for m in fine]
        ax.loglog(fine, line, color=THEORY, label="theory")
        ax.errorbar(WIDTHS, mean, error, fmt="o", ms=4, color=POINTS, capsize=2, label="8 networks")
        ax.set_ylabel(words)
        if name == "second_moment":
            ax.set_ylim(0.4 * min(line), 2.5 * max(line))
    column[0].set_title(label)
    column[-1].set_xlabel("width $M$")
    column[-1].set_xticks(WIDTHS, WIDTHS)
    column[-1].tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
legend = axes[0, 0].legend(frameon=False)

# %% [markdown]
# ## Two populations
#
# Besides the $C$ outliers there is a bulk of $C(N-1)$ eigenvalues around
# $\alpha(\kappa_1 - \kappa_2) M/N$, and $P - CN$ zeros. The histogram of the nonzero ones has a
# long tail, although the *mean* over all $P$ is of the order of $1/M$.

# %%
statistics = ff.FisherStatistics(NETWORKS["tanh, $\\sigma_w^2=3$, $\\sigma_b^2=0.64$"], 480, 60, 2)
sample = statistics.sample(REPLICAS, seed=1)
eigenvalues = sample.eigenvalues.ravel()
ax = plt.subplots()[1]
bins = np.geomspace(eigenvalues.min(), 1.2 * eigenvalues.max(), 50)
ax.hist(eigenvalues, bins, color="#c4ccd4", label="8 networks, nonzero eigenvalues")
lines = {
    "bulk, $\\alpha(\\kappa_1-\\kappa_2)M/N$": (statistics.bulk_eigenvalue, THEORY, "-"),
    "$\\lambda_{\\max}$": (statistics.max_eigenvalue, RED, "-"),
    "mean of all, zeros too": (statistics.mean, POINTS, ":"),
}
for label, (place, color, style) in lines.items():
    ax.axvline(place, color=color, linestyle=style, label=f"{label}: {place:.3g}")
ax.set(xscale="log", yscale="log", xlabel="eigenvalue λ", ylabel="eigenvalues per bin")
ax.set_title("tanh, M = 480, N = 60, C = 2: a bulk and two outliers a network")
legend = ax.legend(frameon=False, loc="upper center")
for replica in sample:
    assert replica.top_eigenvalues[-1] > 2 * replica.next_eigenvalue
    assert replica.count_above(2 * replica.next_eigenvalue) == OUTPUTS

# %% [markdown]
# The top eigenvectors span the mean gradients $\frac1N\sum_n \nabla f_k(n)$, and Markov's
# inequality bounds how many directions are steeper than $k$: at most $\mathrm{tr}\,F/k$, and at
# most the rank.

# %%
overlap, error = sample.estimate("overlap")
print(f"overlap of the top eigenspace with the mean gradients: {overlap:.5f} ± {error:.5f}")
assert statistics.top_overlap == 1.0 and overlap > 0.999

thresholds = np.geomspace(1, 2 * statistics.max_eigenvalue, 200)
ax = plt.subplots()[1]
for replica in sample:
    counts = [replica.count_above(k) for k in thresholds]
    ax.step(thresholds, counts, color="#8f99a3", linewidth=0.8)
ax.plot([], color="#8f99a3", label="one network")
bound = [statistics.count_above(k) for k in thresholds]
ax.plot(thresholds, bound, color=THEORY, linewidth=2, label="bound")
ax.set(xscale="log", yscale="log", xlabel="threshold k", ylabel="number of eigenvalues ≥ k")
ax.set_title(f"At least {statistics.flatness(1):.2%} of all directions have λ < 1")
legend = ax.legend(frameon=False)
mean_counts = [np.mean([replica.count_above(k) for replica in sample]) for k in thresholds]
assert np.all(np.array(mean_counts) <= 1.05 * np.array(bound))  # the trace scatters by a per cent

# %% [markdown]
# ## Where there are no outliers
#
# An odd activation without bias has $\kappa_2 = 0$. The outlier formula would give
# $\alpha\kappa_1 M/N$, too small by a factor that grows with $N/M$: then $\lambda_{\max}$ is the
# edge of a bulk of Marchenko-Pastur type, which the library knows and answers with.

# %%
odd, sizes = network("tanh", 3, 0), (10, 20, 40, 80, 160, 320)
problems = [ff.FisherStatistics(odd, 300, n, 1) for n in sizes]
tops = [problem.sample(REPLICAS).estimate("max_eigenvalue") for problem in problems]
mean, error = np.array(tops).T
edge = np.array([problem.max_eigenvalue for problem in problems])
naive = np.array([problem.diagonal / problem.samples for problem in problems])
ax = plt.subplots()[1]
ax.loglog(sizes, edge, color=THEORY, label="edge of the bulk")
ax.loglog(sizes, naive, "--", color=RED, label="outlier formula, wrong here")
ax.errorbar(sizes, mean, error, fmt="o", ms=4, color=POINTS, capsize=2, label="8 networks")
ax.set(xlabel="number of samples N", ylabel="largest eigenvalue $\\lambda_{\\max}$")
ax.set_title("tanh, $\\sigma_w^2=3$, no bias, M = 300")
legend = ax.legend(frameon=False)
# the largest eigenvalue stays behind an edge by the order of N^(-2/3)
assert np.all(abs(mean - edge) < 3 * error + 2 * np.array(sizes) ** (-2 / 3) * edge)
assert mean[-1] > 2 * naive[-1]

# %% [markdown]
# ## Real data
#
# Images are not independent centred inputs: they have a mean in common, and two of them are
# correlated. Given data, `input_correlation` takes their mean correlation
# $\hat q^0_{st}/\hat q^0_t$ as the start of the recursions, and sampled networks see the data
# themselves. These are handwritten digits of 64 pixels (`pip install "freefim[data]"`), so the
# first layer is narrower than the others. Now outliers are there even for an odd activation without
# bias, and a theory for independent inputs would be off by a factor.

# %%
from sklearn.datasets import load_digits

digits = load_digits().data[:SAMPLES]
DIGIT_WIDTHS = (64, 128, 256, 512)
CASES = {"tanh(3, 0.64)": ("tanh", 3, 0.64, THEORY), "tanh(3, 0)": ("tanh", 3, 0, RED)}
ax = plt.subplots()[1]
for label, (phi, weight, bias, color) in CASES.items():
    theory, points, errors = [], [], []
    for m in DIGIT_WIDTHS:
        net = network(phi, weight, bias).replace(width_ratios=(64 / m, 1, 1))
        problem = ff.FisherStatistics(net, m, SAMPLES, OUTPUTS, input_correlation=digits)
        tops = [replica.top_eigenvalues.mean() for replica in problem.sample(REPLICAS)]
        theory.append(problem.max_eigenvalue)
        points.append(np.mean(tops))
        errors.append(np.std(tops, ddof=1) / math.sqrt(REPLICAS))
        # the correlations of the pairs scatter; their mean is what counts, to second order
        assert abs(points[-1] - theory[-1]) < 3 * errors[-1] + 0.05 * theory[-1]
    ax.loglog(DIGIT_WIDTHS, theory, color=color, label=f"theory, {label}")
    ax.errorbar(DIGIT_WIDTHS, points, errors, fmt="o", ms=4, color=color, capsize=2)
ax.errorbar([], [], [], fmt="o", ms=4, color=POINTS, capsize=2, label="8 networks")
ax.set(xlabel="width M of the hidden layers", ylabel="largest eigenvalue $\\lambda_{\\max}$")
ax.set_xticks(DIGIT_WIDTHS, DIGIT_WIDTHS)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
ax.set_title(f"{SAMPLES} handwritten digits, mean correlation {problem.input_correlation:.2f}")
legend = ax.legend(frameon=False)
biased = network("tanh", 3, 0.64).replace(width_ratios=net.width_ratios)
independent = ff.FisherStatistics(biased, m, SAMPLES, OUTPUTS).max_eigenvalue
assert problem.max_eigenvalue > 2 * independent

# %% [markdown]
# ## The learning rate
#
# Near a minimum of $\frac1{2N}\sum_n |f - y|^2$ gradient descent is stable iff
# $\eta < 2/\lambda_{\max}$, so the largest stable step falls as $1/M$. Each cell below is one
# network started almost at zero error; colour is the growth of the loss within 40 steps.
#
# The *last* loss would be no test: a step up to twice too large first blows the loss up, then lands
# in a flatter region and converges there (the catapult). Growth from a small error is.

# %%
STEPS, RATES, HEAT_WIDTHS = 40, np.geomspace(4e-3, 0.4, 24), (40, 60, 90, 135, 200, 300)


def growth_map(net):
    """Growth of the loss for every width and learning rate, and the 2/λ_max of each network."""
    growth, own = np.empty((len(HEAT_WIDTHS), len(RATES))), []
    for row, m in zip(growth, HEAT_WIDTHS, strict=True):
        ensemble = ff.GradientEnsemble(net, m, samples=30, outputs=1)
        own.append(2 / ensemble.eigenvalues(*ensemble.initial())[-1])
        row[:] = [ff.perturbed_descent(ensemble, eta / own[-1], STEPS).growth for eta in RATES]
    return growth, np.array(own)


def edges(centres):
    """Borders of the cells around logarithmic centres."""
    logs = np.log(np.asarray(centres, dtype=float))
    middle = (logs[1:] + logs[:-1]) / 2
    return np.exp([2 * logs[0] - middle[0], *middle, 2 * logs[-1] - middle[-1]])


figure, axes = plt.subplots(1, 2, figsize=(11, 4.5), sharey=True)
for ax, (label, net) in zip(axes, NETWORKS.items(), strict=False):
    growth, own = growth_map(net)
    theory = np.array([ff.FisherStatistics(net, m, 30, 1).max_learning_rate() for m in HEAT_WIDTHS])
    ratio = RATES / own[:, None]
    assert np.all(growth[ratio < 0.95] <= 1.0)
    assert np.all(growth[ratio > 1.2] > 1e3)
    assert np.all(abs(theory / own - 1) < 0.5)  # one output: |w| of one row scatters by √(2/M)
    shades = np.log10(np.minimum(growth, 1e6))
    mesh = ax.pcolormesh(edges(RATES), edges(HEAT_WIDTHS), shades, cmap="Greys", vmin=0, vmax=6)
    ax.loglog(
        theory, HEAT_WIDTHS, "-", color=RED, linewidth=2, label="theory, $2/\\lambda_{\\max}$"
    )
    ax.loglog(own, HEAT_WIDTHS, "o", color=THEORY, label="$2/\\lambda_{\\max}$ of the network")
    ax.set(xlabel="learning rate $\\eta$", title=label)
    ax.set_yticks(HEAT_WIDTHS, [str(m) for m in HEAT_WIDTHS])
    ax.minorticks_off()
axes[0].set_ylabel("width $M$")
axes[0].legend(loc="upper right")
bar = figure.colorbar(mesh, ax=axes, label="growth of the loss, $\\log_{10}$ (6 and more)")

# %% [markdown]
# With momentum $\mu$ the threshold is $2(1+\mu)/\lambda_{\max}$, exactly so for a quadratic loss.

# %%
ensemble = ff.GradientEnsemble(network("tanh", 3, 0.64), 100, samples=20, outputs=1)
for momentum in (0.0, 0.5, 0.9):
    below, above = (
        ff.perturbed_descent(ensemble, fraction, 150, 1e-5, momentum).growth
        for fraction in (0.95, 1.05)
    )
    print(f"μ = {momentum}:  growth {below:6.2f} below the threshold, {above:.3g} above")
    # heavy-ball steps may overshoot before they shrink, by a bounded factor
    assert below < 1 / (1 - momentum) ** 2 + 1e-9 < above

# %% [markdown]
# ## The Fisher-Rao norm
#
# $\theta^T F \theta$ measures the capacity of a network. The paper's formula,
# $\sigma_w^2 \alpha\, C \kappa_1$ at uniform width, is the value for weights *drawn
# independently* of $F$. With the parameters that $F$ belongs to, $\theta\cdot\nabla f$ is the
# derivative of $f$ as all parameters grow together: for a positively homogeneous network without
# bias it is $L f$ by Euler's theorem, so the norm is $L^2 C\, q^L$, and $L$ times as large. So the
# formula is no bound of the norm.

# %%
NORMS = {
    "linear(1, 0)": network("linear", 1, 0),
    "ReLU(2, 0)": network("relu", 2, 0),
    "tanh(3, 0)": network("tanh", 3, 0),
    "tanh(3, 0.64)": network("tanh", 3, 0.64),
}
ax = plt.subplots()[1]
for place, (label, net) in enumerate(NORMS.items()):
    problem = ff.FisherStatistics(net, 100, 10, 1)
    sample = problem.sample(100, seed=2)
    for shift, name, color in ((-0.1, "fisher_rao_norm", THEORY), (0.1, "independent", RED)):
        full = name if shift < 0 else f"fisher_rao_norm_{name}"
        (mean, error), theory = sample.estimate(full), getattr(problem, full)
        assert abs(mean - theory) < 3 * error + 3 / 100 * theory, (label, full)
        ax.hlines(theory, place + shift - 0.08, place + shift + 0.08, color=color, linewidth=3)
        ax.errorbar(place + shift, mean, error, fmt="o", ms=4, color=POINTS, capsize=2)
ax.hlines([], 0, 0, color=THEORY, linewidth=3, label="theory, the network's own θ")
ax.hlines([], 0, 0, color=RED, linewidth=3, label="theory, θ independent of F")
ax.errorbar([], [], [], fmt="o", ms=4, color=POINTS, capsize=2, label="100 networks, M = 100")
ax.set_xticks(range(len(NORMS)), NORMS)
ax.set(ylabel="Fisher-Rao norm $\\theta^T F\\theta$", xlabel="φ($\\sigma_w^2$, $\\sigma_b^2$)")
ax.set_ylim(0, None)
legend = ax.legend(frameon=False)
relu = ff.FisherStatistics(NORMS["ReLU(2, 0)"], 100, 10, 1)
assert math.isclose(relu.fisher_rao_norm, 3 * relu.fisher_rao_norm_independent, rel_tol=1e-9)

# %%
plt.show()
