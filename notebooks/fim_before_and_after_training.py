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
# # The Fisher information of a network before and after training
#
# Theory is about random weights. Trained weights are no longer random, and no longer orthogonal:
# how far does the conditional law, fed with what one network realises, still describe its Fisher
# information?
#
# The dual of any network, trained or not, obeys
# $H_{l+1} = \hat q_l I + W_{l+1} D_l H_l D_l W_{l+1}^T$ exactly. Two laws are laid over its
# eigenvalues. One takes the realised $\hat q_l$ and gates $D_l^2$ of the network, and its weights
# for orthogonal or Gaussian still. The other one takes the singular values of the weights as they
# are, too: all that is left to theory then is that the directions of $W_{l+1}$ know nothing of
# those of $D_l$ and $H_l$, *freeness*. Training is what breaks it, and the distance says how much.
#
# Networks learn handwritten digits online, with half the largest stable learning rate.
#
# `TABLE=validation/trained_networks.csv python notebooks/fim_before_and_after_training.py` runs all
# of it at full size, and writes the table.

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import erfinv
from sklearn.datasets import load_digits

import freefim as ff
from freefim.interop.realised import RealisedNetwork
from freefim.networks.weight_statistics import WeightStatistics

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, POINTS = "#1f4e8c", "#b3261e", "#8f99a3", "#222222"

TABLE = os.environ.get("TABLE")
WIDTH = 256 if TABLE else 128
SEEDS = (0, 1, 2) if TABLE else (0,)
EPOCHS = (0, 1, 4, 16)
SAMPLES, PIXELS, DEPTH = 200, 64, 4
DATA = load_digits()


def hard_tanh():
    """Critical, orthogonal, an isometry defect of 1/4 in all."""
    alpha = 1 / (1 + 0.25 / DEPTH)
    phi = ff.HardTanh(cutoff=math.sqrt(2) * erfinv(alpha))
    critical = ff.critical_initialization(phi, fixed_point=1.0)
    return ff.Network(
        DEPTH,
        phi,
        weight_std=critical.weight_std,
        bias_std=critical.bias_std,
        input_second_moment=(1 - critical.bias_std**2) / critical.weight_std**2 * WIDTH / PIXELS,
        width_ratios=(PIXELS / WIDTH, *[1] * DEPTH),
    )


def tanh():
    """Gaussian weights."""
    stds = {"weight_std": math.sqrt(1.5), "bias_std": 0.3}
    ratios = (PIXELS / WIDTH, *[1] * DEPTH)
    return ff.Network(DEPTH, "tanh", weights="gaussian", width_ratios=ratios, **stds)


NETWORKS = {"orthogonal hard-tanh": hard_tanh(), "Gaussian tanh": tanh()}

# %% [markdown]
# ## Training
#
# The label is written on ten of the outputs, 3 in its place; all other outputs are to be silent.
# One image is left out of training, and the Fisher information is taken there.


# %%
def scaled(net, images):
    """Images of the second moment that the network takes."""
    return images * np.sqrt(net.input_second_moment / np.mean(images**2, axis=1, keepdims=True))


def trained(net, seed):
    """The network after each number of epochs, and the root mean square of its last residuals."""
    inputs = scaled(net, DATA.data[:SAMPLES])
    targets = np.zeros((SAMPLES, WIDTH))
    targets[np.arange(SAMPLES), DATA.target[:SAMPLES]] = 3.0
    now, last = ff.initial_parameters(net, WIDTH, seed), math.nan
    top = ff.replica_of(net, WIDTH, now, inputs[0]).eigenvalues[-1]
    rng = np.random.default_rng(seed)
    for before, after in zip((0, *EPOCHS), EPOCHS, strict=False):
        order = np.concatenate(
            [np.zeros(0, dtype=int), *(rng.permutation(SAMPLES) for _ in range(after - before))]
        )
        if len(order):
            run = ff.train_online(net, WIDTH, now, inputs, targets, 1 / (WIDTH * top), order)
            now, last = run.parameters, math.sqrt(np.mean(run.residuals[-SAMPLES:] ** 2))
        yield after, now, last


def laws(net, parameters, image):
    """Replica at an image; the law of its gates, and that of its gates and weights."""
    replica = ff.replica_of(net, WIDTH, parameters, scaled(net, image[None])[0])
    realised = RealisedNetwork(
        net.widths(WIDTH),
        WIDTH,
        replica.second_moments,
        replica.preactivation_variances,
        replica.shifts,
        replica.gates,
        tuple(WeightStatistics.of(weights) for weights in parameters.weights),
    )
    return replica, ff.ConditionalFIM(net).law(given=replica), realised


rows, shown = [], {}
for name, net in NETWORKS.items():
    for seed in SEEDS:
        for epochs, parameters, residual in trained(net, seed):
            replica, of_gates, realised = laws(net, parameters, DATA.data[SAMPLES])
            of_both = realised.law()
            found = replica.eigenvalues
            defect = max(weights.defect for weights in realised.weights[1:])
            row = {
                "network": name,
                "width": WIDTH,
                "seed": seed,
                "epochs": epochs,
                "residual": residual,
                "spread_of_squared_singular_values": defect,
                "ks_gates": of_gates.distance(found, "ks"),
                "ks_gates_and_weights": of_both.distance(found, "ks"),
                "wasserstein_gates": of_gates.distance(found, "wasserstein") / found.mean(),
                "wasserstein_gates_and_weights": of_both.distance(found, "wasserstein")
                / found.mean(),
                "at_the_atom_of_gates": np.mean(abs(found / of_gates.support[1] - 1) < 0.01),
                "largest_eigenvalue": found[-1],
                "largest_gates": of_gates.support[1],
                "largest_gates_and_weights": of_both.support[1],
            }
            rows.append(row)
            if seed == SEEDS[0]:
                shown[name, epochs] = found, of_gates, of_both
            print(
                f"{name:20s}  seed {seed}  epochs {epochs:2d}  KS by gates {row['ks_gates']:.4f}, "
                f"with weights {row['ks_gates_and_weights']:.4f}; λ_max {found[-1]:.3f}, "
                f"{row['largest_gates']:.3f} by gates, "
                f"{row['largest_gates_and_weights']:.3f} with weights"
            )

# %% [markdown]
# ## Before and after
#
# At the start the laws are one law, and eigenvalues keep to it within a few over $M$: they are
# rigid. After training the law of the gates alone is far off for the orthogonal network, whose
# weights are orthogonal no more; their singular values bring a part of it back, not all. Steps
# change weights along the residuals and the inputs of their layers only; what is left over keeps
# its old singular value, in all layers alike, and its eigenvalues stand where the atom was. Free
# weights would have smeared them. Gaussian weights hide such directions: their law barely moves.

# %%
figure, axes = plt.subplots(2, 2, figsize=(11, 7))
for line, name in zip(axes, NETWORKS, strict=True):
    for ax, epochs in zip(line, (EPOCHS[0], EPOCHS[-1]), strict=True):
        found, of_gates, of_both = shown[name, epochs]
        ends = np.array([min(found[0], of_both.support[0]), max(found[-1], of_both.support[1])])
        x = np.linspace(ends[0] - 0.02 * np.ptp(ends), ends[1] + 0.02 * np.ptp(ends), 160)
        ax.step(
            found, np.arange(1, WIDTH + 1) / WIDTH, color=POINTS, where="post", label="eigenvalues"
        )
        ax.plot(x, of_gates.cdf(x), "--", color=RED, label="law of its gates")
        ax.plot(x, of_both.cdf(x), color=BLUE, lw=1, label="law of its gates and weights")
        ax.set(title=f"{name}, {epochs} epochs", xlabel="eigenvalue of $JJ^T/M$")
    line[0].set_ylabel("distribution function")
legend = axes[0, 0].legend(frameon=False, loc="upper left")

# %% [markdown]
# ## While the network learns
#
# The distance of both laws from the eigenvalues, after every number of epochs; the grey line is
# $5/M$, what chance leaves of a law that is right.

# %%
columns = {key: np.array([row[key] for row in rows]) for key in rows[0]}
ax = plt.subplots()[1]
for name, color in zip(NETWORKS, (RED, BLUE), strict=True):
    for key, style in (("ks_gates", "--o"), ("ks_gates_and_weights", "-s")):
        median = [
            np.median(columns[key][(columns["network"] == name) & (columns["epochs"] == e)])
            for e in EPOCHS
        ]
        words = key.removeprefix("ks_").replace("_", " ")
        ax.plot(
            range(len(EPOCHS)), median, style, color=color, mfc="none", label=f"{name}, {words}"
        )
ax.axhline(5 / WIDTH, color=GREY, lw=0.8)
ax.set(yscale="log", xlabel="epochs", ylabel="Kolmogorov–Smirnov distance")
ax.set_title("eigenvalues from the conditional law, while the network learns")
ax.set_xticks(range(len(EPOCHS)), EPOCHS)
ax.legend(frameon=False, fontsize=8)
before, after = columns["epochs"] == 0, columns["epochs"] == EPOCHS[-1]
assert np.all(columns["ks_gates"][before] < 5 / WIDTH)
assert np.all(columns["ks_gates_and_weights"][before] < 5 / WIDTH)
assert np.all(columns["residual"][after] < 2.0)
orthogonal = columns["network"] == "orthogonal hard-tanh"
for epochs in EPOCHS:
    share = np.median(columns["at_the_atom_of_gates"][orthogonal & (columns["epochs"] == epochs)])
    print(f"hard-tanh, {epochs:2d} epochs: {share:.2f} of the eigenvalues within 1 % of the atom")
trained_gates, trained_both = (
    columns[key][after & orthogonal] for key in ("ks_gates", "ks_gates_and_weights")
)
assert np.all(trained_both < trained_gates)

# %% [markdown]
# ## The table
#
# One row for every network, seed and number of epochs, with both distances and both predictions of
# the largest eigenvalue.

# %%
if TABLE:
    made_by = (
        "TABLE=validation/trained_networks.csv python notebooks/fim_before_and_after_training.py"
    )
    ff.Table(columns, {"made_by": made_by, "samples": SAMPLES, "depth": DEPTH}).write(TABLE)
plt.show()
