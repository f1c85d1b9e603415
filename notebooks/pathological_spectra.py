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
# # Pathological spectra and their variants
#
# After Karakida, Akaho & Amari, *Pathological Spectra of the Fisher Information Metric and Its
# Variants in Deep Neural Networks* (Neural Computation 33, 2021, arXiv 1910.05992).
#
# The Fisher information of a wide network has a bulk and a few huge outliers. Which relatives of it
# share that? Here: the softmax output with cross-entropy, the neural tangent kernel, and the metric
# on the features. All follow from one formula for the gradients,
#
# $$ \nabla f_k(n) \cdot \nabla f_{k'}(m) = \delta_{kk'} [o + (d - o)\, \delta_{nm}], $$
#
# `off_diagonal` $o$ and `diagonal` $d$ of each statistic.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import softmax

import freefim as ff
from freefim.montecarlo.gradients_backprop import Parameters, forward

plt.rcParams.update({"figure.figsize": (9, 4.5), "figure.constrained_layout.use": True})
THEORY, POINTS, RED, GREY = "#1f4e8c", "#222222", "#b3261e", "#c4ccd4"


def network(phi, weight, bias, depth=3, **fields):
    """Gaussian weights with the variances σ_w² and σ_b²."""
    stds = {"weight_std": math.sqrt(weight), "bias_std": math.sqrt(bias)}
    return ff.Network(depth, phi, weights="gaussian", **stds, **fields)


def at_infinity(widths, ratios):
    """Value at 1/M = 0, and its error, of the line through ratios of networks, a row a width."""
    m = np.array(widths, dtype=float)
    # one network scatters by a multiple of 1/√M, which all rows tell
    scatter = math.sqrt((ratios.var(axis=1, ddof=1) * m).mean() / ratios.shape[1])
    design = np.stack([np.sqrt(m), 1 / np.sqrt(m)], axis=1)
    covariance = np.linalg.inv(design.T @ design)
    value = covariance @ design.T @ (ratios.mean(axis=1) * np.sqrt(m))
    return value[0], scatter * math.sqrt(covariance[0, 0])


TANH, RELU = network("tanh", 3, 0.64), network("relu", 2, 0.1)

# %% [markdown]
# ## Two populations
#
# Tanh networks of depth 3 with ten outputs: $C = 10$ eigenvalues of each stand apart from the other
# $C(N-1)$. (100 networks and $N = 100$ in the paper.)

# %%
problem = ff.FisherStatistics(TANH, width=200, samples=50, outputs=10)
sample = problem.sample(replicas=6)
bulk = np.concatenate([replica.bulk_eigenvalues for replica in sample])
outliers = np.concatenate([replica.top_eigenvalues for replica in sample])
_, (left, right) = plt.subplots(1, 2, figsize=(10, 4.2))
left.hist(bulk, 50, color=GREY, density=True)
left.axvline(problem.bulk_eigenvalue, color=THEORY, label="theory, $M\\to\\infty$ at fixed N")
right.hist(outliers, 20, color=GREY, density=True)
right.axvline(problem.max_eigenvalue, color=RED, label="theory, $\\lambda_{\\max}$")
left.set_title("bulk, C(N-1) eigenvalues a network")
right.set_title("outliers, C eigenvalues a network")
for ax in (left, right):
    ax.set(xlabel="eigenvalue λ", ylabel="density")
    ax.legend(frameon=False)
means = [replica.top_eigenvalues.mean() for replica in sample]
error = np.std(means, ddof=1) / math.sqrt(len(means))
assert outliers.min() > bulk.max()
# the next order at M = 200: a line in 1/M has the slope 12 here, see validation/
assert abs(np.mean(means) / problem.max_eigenvalue - 1 - 12 / 200) < 3 * error / np.mean(means)

# %% [markdown]
# ## Softmax: one outlier less
#
# With cross-entropy each sample enters through $Q_n = \mathrm{diag}\,g_n - g_n g_n^T$ of its
# class probabilities. Since $Q_n 1 = 0$, there are $C - 1$ outliers of the order of $M$, not $C$.
# They are spread: to leading order they are $o$ times the eigenvalues of the mean $\bar Q$, and the
# master formula gives them with their next correction, from the probabilities of that network.

# %%
soft = ff.SoftmaxFisher(TANH, width=600, samples=60, outputs=10)
replica = soft.sample(replicas=1, seed=3)[0]
given = ff.FisherStatistics(TANH, 600, 60, 10).softmax(softmax(replica.measured.logits, axis=1))
top = replica.eigenvalues[::-1][:16]
_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2), width_ratios=(2, 3))
left.hist(replica.eigenvalues[replica.eigenvalues > 1e-3], np.geomspace(1e-3, 60, 50), color=GREY)
for place in given.outliers:
    left.axvline(place, color=THEORY, linewidth=1)
left.axvline(place, color=THEORY, linewidth=1, label="theory, outliers")
left.set(xscale="log", yscale="log", xlabel="eigenvalue λ", ylabel="eigenvalues per bin")
left.legend(frameon=False, loc="upper left")
left.set_title("spectrum of one network, C = 10")
right.plot(range(1, 17), top, "o", color=POINTS, label="measured")
right.plot(range(1, 10), given.outliers, "_", color=THEORY, ms=16, mew=2, label="master formula")
limit = np.linalg.eigvalsh(given.mean_head)[:0:-1] * given.regression.off_diagonal
right.plot(range(1, 10), limit, "x", color=RED, ms=7, label="o times eigenvalues of $\\bar Q$")
right.axhline(given.bulk_eigenvalue, color=THEORY, ls=":", label="largest of the bulk at $N$ fixed")
right.set(xlabel="rank", ylabel="eigenvalue λ", ylim=(0, None))
right.set_title("nine outliers; the tenth eigenvalue is in the bulk")
right.legend(frameon=False)
assert len(given.outliers) == 9
# one network: inner products of its gradients are off by a relative 1/√M times a small number
assert np.allclose(top[:9], given.outliers, rtol=5 / math.sqrt(600))
assert top[9] < 2 * given.bulk_eigenvalue < 4 * top[0]

# %% [markdown]
# The statistics against the width: same orders as in regression, below it by the constants
# `beta1`, `beta2`, `beta3` of the probabilities. These do not average out: all samples share
# a part of their logits, so each network is compared with the theory given its probabilities.

# %%
WIDTHS = (75, 150, 300, 600)
_, axes = plt.subplots(1, 3, figsize=(12, 4))
rows = {name: [] for name in ("mean", "second_moment", "max_eigenvalue")}
ratios = {name: [] for name in rows}
bounds, regression = [], []
for m in WIDTHS:
    plain = ff.FisherStatistics(TANH, m, 50, 5)
    regression.append(plain.max_eigenvalue)
    drawn = ff.SoftmaxFisher(TANH, m, 50, 5).sample(8, seed=m)
    heads = [plain.softmax(softmax(one.measured.logits, axis=1)) for one in drawn]
    bounds.append(np.mean([head.max_eigenvalue_bounds for head in heads], axis=0))
    for name, row in rows.items():
        pairs = np.transpose([[getattr(x, name) for x in side] for side in (drawn, heads)])
        ratio = pairs[:, 0] / pairs[:, 1]
        error = ratio.std(ddof=1) / math.sqrt(len(ratio))
        row.append([*pairs.mean(axis=0), error * pairs[:, 1].mean()])
        ratios[name].append(ratio)
# finite width is off by a multiple of 1/M, see the notebook on universal statistics
for name, row in ratios.items():
    limit, spread = at_infinity(WIDTHS, np.array(row))
    print(f"{name:15s} measured/theory at M = ∞: {limit:.3f} ± {spread:.3f}")
    assert abs(limit - 1) < 3 * spread, name
WORDS = ("mean eigenvalue", "second moment", "largest eigenvalue")
for ax, row, words in zip(axes, rows.values(), WORDS, strict=True):
    measured, theory, error = np.array(row).T
    ax.loglog(WIDTHS, theory, color=THEORY, label="theory, given the outputs")
    ax.errorbar(WIDTHS, measured, error, fmt="o", ms=4, color=POINTS, capsize=2, label="8 networks")
    ax.set(xlabel="width M", ylabel=words)
low, high = np.transpose(bounds)
axes[1].set_ylim(min(theory := np.array(rows["second_moment"])[:, 1]) / 3, 3 * max(theory))
axes[2].fill_between(WIDTHS, low, high, color=THEORY, alpha=0.12, label="bounds")
axes[2].loglog(WIDTHS, regression, "--", color=RED, label="regression")
axes[2].legend(frameon=False, fontsize=8)
for ax in axes:
    ax.set_xticks(WIDTHS, WIDTHS)
    ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
legend = axes[0].legend(frameon=False)
tops = np.array(rows["max_eigenvalue"])[:, 0]
assert np.all(low < tops) and np.all(tops < high) and np.all(high <= np.array(regression) / 2)

# %% [markdown]
# ## Training on cross-entropy
#
# A wide network hardly moves, so $\lambda_{\max}$ of the regression Fisher information $F$ stays
# put; the predictions become certain, $Q_n \to 0$, and that of the cross-entropy goes to 0.
# The loss follows the linear dynamics $\dot f = -\Theta (g - y)/N$ with the tangent kernel
# $\Theta$ at the start, frozen. (M = 2000 in the paper.)

# %%
M, N, STAGES, STEPS = 400, 20, 12, 60
plain = ff.GradientEnsemble(TANH, M, N, 2)
cross = ff.GradientEnsemble(TANH, M, N, 2, heads=("softmax",))
inputs, parameters = plain.initial(seed=5)
labels = np.eye(2)[(inputs[:, 0] > 0).astype(int)]  # a teacher that looks at one feature
rate = 0.5 * 2 / plain.eigenvalues(inputs, parameters)[-1]

layers = forward(plain.recipe, parameters, inputs)
theta, _ = ff.GradientEnsemble(TANH, M, N, 2, kernel=True).dual(
    parameters, layers, parameters.weights
)
f, frozen = layers[-1].preactivations.copy(), []
for _ in range(STAGES * STEPS):
    g = softmax(f, axis=1)
    frozen.append(-np.log((g * labels).sum(axis=1)).mean())
    # rows of the kernel stand by outputs first
    f -= rate / N * (theta @ (g - labels).T.ravel()).reshape(2, N).T

times, losses, tops, tops_cross, limits = [0], [], [], [], []
for stage in range(STAGES + 1):
    tops.append(plain.eigenvalues(inputs, parameters)[-1])
    tops_cross.append(cross.eigenvalues(inputs, parameters)[-1])
    logits = forward(plain.recipe, parameters, inputs)[-1].preactivations
    head = ff.FisherStatistics(TANH, M, N, 2).softmax(softmax(logits, axis=1))
    limits.append(head.max_eigenvalue_bounds)
    if stage < STAGES:
        run = ff.descend(cross, parameters, inputs, labels, rate, STEPS)
        parameters = Parameters(*run.parameters)
        losses += list(run.losses[:-1])
        times.append(times[-1] + STEPS)

_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
left.semilogy(losses, color=POINTS, label=f"network, M = {M}")
left.semilogy(frozen, "--", color=THEORY, label="frozen tangent kernel")
left.set(xlabel="step of gradient descent", ylabel="cross-entropy loss")
left.legend(frameon=False)
right.semilogy(times, tops, "o-", color=RED, ms=4, label="$\\lambda_{\\max}$ of $F$")
right.semilogy(
    times, tops_cross, "o-", color=POINTS, ms=4, label="$\\lambda_{\\max}$ of cross-entropy"
)
right.fill_between(times, *np.transpose(limits), color=THEORY, alpha=0.15, label="its bounds")
right.set(xlabel="step of gradient descent", ylabel="largest eigenvalue")
right.legend(frameon=False)
print(f"λ_max(F) {tops[0]:.1f} → {tops[-1]:.1f},  cross {tops_cross[0]:.2f} → {tops_cross[-1]:.3f}")
assert abs(tops[-1] / tops[0] - 1) < 0.15
assert tops_cross[-1] < 0.15 * tops_cross[0]
assert np.max(np.abs(np.array(losses) - frozen)) < 0.01 * losses[0]

# %% [markdown]
# ## The tangent kernel
#
# $\Theta$ is the $CN \times CN$ Gram matrix of the gradients. In the NTK parametrisation its
# outliers $(N-1)A_2 + A_1$ grow with $N$ and not with $M$, the other eigenvalues stay near
# $A_1 - A_2$. Mean subtraction at the output takes the outliers away; with $N \propto M$ the rest
# keeps one law.

# %%
ntk, sizes = network("relu", 2, 0, parametrization="ntk"), (10, 20, 40, 80, 160)
problems = [ff.NeuralTangentKernelStatistics(ntk, 400, n, 2) for n in sizes]
drawn = [problem.sample(6) for problem in problems]
_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.2))
rows = np.array([[one.top_eigenvalues.mean() for one in sample] for sample in drawn])
error = rows.std(axis=1, ddof=1) / math.sqrt(6)
theory = np.array([problem.max_eigenvalue for problem in problems])
assert np.all(abs(rows.mean(axis=1) - theory) < 3 * error + 0.03 * theory)
left.loglog(sizes, theory, color=RED, label="theory, $(N-1)A_2+A_1$")
left.axhline(problems[0].bulk_eigenvalue, color=THEORY, label="theory, $A_1-A_2$")
left.errorbar(sizes, rows.mean(axis=1), error, fmt="o", ms=4, color=POINTS, capsize=2)
medians = [sample.estimate("bulk_median")[0] for sample in drawn]
left.loglog(sizes, medians, "s", color="#8f99a3", ms=4, label="measured, median of the bulk")
left.plot([], "o", color=POINTS, ms=4, label="measured, mean outlier")
left.set(xlabel="number of samples N", ylabel="eigenvalue of Θ", title="ReLU, M = 400, C = 2")
left.set_xticks(sizes, sizes)
left.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
left.legend(frameon=False)

tops = []
for m, color in ((60, "#9db7d6"), (120, "#5b86b8"), (240, THEORY)):
    centred = ff.GradientEnsemble(ntk, m, m, 2, heads=("mean-subtraction",), kernel=True)
    sample = ff.sample_gradients(centred, 480 // m)
    values = np.concatenate([one.eigenvalues[2:] for one in sample])  # C zeros from the centring
    right.hist(values, 60, range=(0, 18), density=True, histtype="step", color=color)
    right.plot([], color=color, label=f"N = M = {m}")
    tops.append(sample.estimate("max_eigenvalue")[0])
right.set(xlabel="eigenvalue of the centred Θ", ylabel="density", title="mean subtraction, N = M")
right.legend(frameon=False)
plain_growth = ff.NeuralTangentKernelStatistics(ntk, 240, 240, 2).max_eigenvalue
plain_growth /= ff.NeuralTangentKernelStatistics(ntk, 60, 60, 2).max_eigenvalue
print("largest eigenvalues after mean subtraction:", np.round(tops, 2))
assert plain_growth > 3.5 and max(tops) < 1.3 * min(tops)

# %% [markdown]
# ## The metric on the features
#
# Differentiating by all hidden features instead of the parameters gives a metric
# $A = \frac1N\sum_n\sum_k \nabla_h f_k \nabla_h f_k^T$ whose largest eigenvalue is of order 1,
# whatever $M$ and $N$: the network is sensitive to a perturbation of its features in a few
# directions, which the outputs share. Under a softmax there are again $C - 1$ of them.

# %%
ax = plt.subplots()[1]
for net, label, color in ((TANH, "tanh", THEORY), (RELU, "ReLU", RED)):
    problems = [ff.FeatureMetric(net, m, 100, 2) for m in WIDTHS]
    rows = np.array(
        [[one.top_eigenvalues.mean() for one in p.sample(8, seed=p.width)] for p in problems]
    )
    mean = np.mean(rows, axis=1)
    error = np.std(rows, axis=1, ddof=1) / math.sqrt(8)
    theory = np.array([problem.max_eigenvalue for problem in problems])
    limit, spread = at_infinity(WIDTHS, rows / theory[:, None])
    assert abs(limit - 1) < 3 * spread
    assert np.ptp(theory) < 1e-12 * theory[0]
    ax.plot(WIDTHS, theory, color=color, label=f"{label}, theory")
    ax.errorbar(
        WIDTHS, mean, error, fmt="o", ms=4, color=color, capsize=2, label=f"{label}, measured"
    )
ax.set(xscale="log", xlabel="width M", ylabel="largest eigenvalue of A", ylim=(0, None))
ax.set_xticks(WIDTHS, WIDTHS)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
ax.set_title("metric on the features, N = 100, C = 2")
legend = ax.legend(frameon=False)

metric = ff.FeatureMetric(TANH, 500, 100, 5)
uniform = metric.softmax(np.full((100, 5), 0.2))  # any probabilities: the sampled have their own
replica = uniform.sample(replicas=1, seed=2)[0]
own = metric.softmax(softmax(replica.measured.logits, axis=1))
print("softmax, measured: ", np.round(replica.top_eigenvalues, 3))
print("         predicted:", np.round(own.outliers, 3), "and the bulk")
assert np.allclose(replica.top_eigenvalues[:4], own.outliers, rtol=5 / math.sqrt(500))
assert replica.top_eigenvalues[4] < 0.3 * own.outliers[-1]

# %%
plt.show()
