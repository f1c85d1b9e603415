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
# # Online training: where it becomes unstable
#
# After Hayase & Karakida, *The Spectrum of Fisher Information of Deep Networks Achieving Dynamical
# Isometry* (AISTATS 2021, arXiv 2006.07814), on handwritten digits.
#
# A step of gradient descent on $\tfrac12 |f(x) - y|^2$ carries the residual $r = f(x) - y$ to
# $(I - \eta J J^T)\, r$ as long as $r$ is small. With $J J^T = M H_L$ the dual of the conditional
# Fisher information, training on $x$ is stable up to
#
# $$ \eta_c = \frac{2}{M \lambda_{\max}(H_L)}, $$
#
# and near dynamical isometry $\lambda_{\max}$ grows as the depth $L$: the learning rate falls as
# $1/L$. Here networks of depths 4 to 64 are trained, and the boundary is looked for without any
# theory, by bisection.
#
# Two traps. The threshold is local: beyond it the loss blows up, then may land in a flatter region
# and converge there, so the last loss says nothing; what is watched is the growth of a residual
# that starts small. And the law of infinite width knows no single network: the prediction for one
# network is its *conditional* law, fed with the gates that its input opens.
#
# `TABLE=validation/online_training.csv python notebooks/online_training.py` runs all of it at full
# size, and writes the table.

# %%
import math
import os

import matplotlib.pyplot as plt
import numpy as np
from scipy.special import erfinv
from sklearn.datasets import load_digits

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, POINTS = "#1f4e8c", "#b3261e", "#8f99a3", "#222222"

TABLE = os.environ.get("TABLE")
DEPTHS = (4, 8, 16, 32, 64) if TABLE else (4, 16, 64)
SAMPLES = 64 if TABLE else 32
# (width, seed) of each network
NETWORKS = ((128, 0), (128, 1), (128, 2), (256, 0)) if TABLE else ((64, 0),)
DEFECT, PIXELS = 0.25, 64

# %% [markdown]
# ## The networks
#
# Orthogonal hard-tanh networks at criticality, the isometry defect 1/4 spread over the layers:
# $1/\alpha - 1 = 1/(4L)$, $\alpha$ the share of units that are not cut off. All matrices are
# orthogonal; the first one embeds 64 pixels into $M$ units, and digits are scaled so that every
# layer, the first included, sees the same second moment $\hat q$.


# %%
def isometric(depth, width):
    """The network, for digits."""
    phi = ff.HardTanh(cutoff=math.sqrt(2) * erfinv(1 / (1 + DEFECT / depth)))
    critical = ff.critical_initialization(phi, fixed_point=1.0)
    stays = (1 - critical.bias_std**2) / critical.weight_std**2  # the second moment q̂
    return ff.Network(
        depth,
        phi,
        weight_std=critical.weight_std,
        bias_std=critical.bias_std,
        input_second_moment=stays * width / PIXELS,
        width_ratios=(PIXELS / width, *[1] * depth),
    )


def digits(net, count, seed):
    """Digits of the second moment that the network takes."""
    data = load_digits().data
    chosen = data[np.random.default_rng(seed).choice(len(data), count, replace=False)]
    moments = np.mean(chosen**2, axis=1, keepdims=True)
    return chosen * np.sqrt(net.input_second_moment / moments)


for depth in DEPTHS:
    order = isometric(depth, 128).order_parameters()
    assert np.allclose(order.chi1, 1, rtol=1e-12, atol=0)
    assert np.allclose(order.second_moments[1:-1], order.second_moments[1], rtol=1e-12, atol=0)

# %% [markdown]
# ## A grid of learning rates
#
# One digit, repeated. Targets are the outputs of the network itself plus a residual of $10^{-4}$;
# shades show how it grows within 100 steps. The line is $\eta_c$ of the limit law, nothing of
# which knows the network, the digit or the training.


# %%
def outputs(net, width, parameters, inputs):
    """What a network says: the residual of one step from targets 0 is its norm only."""
    x = inputs
    for layer, (weights, bias) in enumerate(zip(*parameters, strict=True)):
        x = x @ weights.T + bias
        x = x if layer == net.depth - 1 else net.activations[layer].function(x)
    return x


class Repeated:
    """One network, one digit, and targets that are off by a residual of 1e-4."""

    def __init__(self, depth, width, seed):
        self.net, self.width = isometric(depth, width), width
        self.inputs = digits(self.net, 1, seed)
        self.start = ff.initial_parameters(self.net, width, seed)
        off = np.random.default_rng(seed).standard_normal(width)
        off *= 1e-4 / np.linalg.norm(off)
        self.targets = outputs(self.net, width, self.start, self.inputs) + off

    def growth(self, rate, steps):
        """Largest residual over the first one."""
        problem = (self.net, self.width, self.start, self.inputs, self.targets)
        return ff.train_online(*problem, rate, [0] * steps).growth

    def boundary(self, guess):
        """Where a residual grows within 400 steps."""
        return ff.stability_boundary(
            lambda rate: self.growth(rate, 401) > 1 + 1e-9, guess / 2, 2 * guess, 2e-3
        )


def critical_rate(law, width):
    """2/(M λ_max)."""
    return 2 / (width * law.support[1])


# %%
RATES, ALL = np.geomspace(2e-4, 1.2e-2, 24), (4, 8, 16, 32, 64)
width = NETWORKS[0][0]
grown = np.array([[Repeated(L, width, 0).growth(rate, 101) for rate in RATES] for L in ALL])
limit = [critical_rate(ff.ConditionalFIM(isometric(L, width)).law(), width) for L in ALL]
ax = plt.subplots()[1]
shades = np.log10(np.clip(grown, 1, 1e4))
mesh = ax.pcolormesh(RATES, np.log2(ALL), shades, cmap="Greys", shading="nearest")
ax.plot(limit, np.log2(ALL), "o-", color=RED, label="$2/(M\\lambda_{\\max})$ of the limit law")
ax.set(xscale="log", xlabel="learning rate $\\eta$", ylabel="depth $L$")
ax.set(title=f"one digit, repeated 100 times; orthogonal hard-tanh, width {width}")
ax.set_yticks(np.log2(ALL), ALL)
ax.legend(loc="lower left")
plt.colorbar(mesh, label="growth of the residual, $\\log_{10}$ (4 and more)")
fraction = RATES / np.array(limit)[:, None]
assert np.all(grown[fraction < 0.85] <= 1 + 1e-9) and np.all(grown[fraction > 1.25] > 100)

# %% [markdown]
# ## The boundary, one sample
#
# Bisection in $\eta$: does a residual of $10^{-4}$ grow within 400 steps? The prediction is the
# maximum of the conditional law of that network at that digit. Hard-tanh has an atom there as long
# as fewer units are cut off than there are directions; the boundary is sharp.

# %%
rows = []
for width, seed in NETWORKS:
    for depth in DEPTHS:
        one = Repeated(depth, width, seed)
        fim = ff.ConditionalFIM(one.net)
        replica = ff.replica_of(one.net, width, one.start, one.inputs[0])
        law = fim.law(given=replica)
        predicted, unconditional = critical_rate(law, width), critical_rate(fim.law(), width)
        measured = one.boundary(unconditional)
        rows.append(("repeated", depth, width, seed, 1, 400, predicted, unconditional, measured))
        print(
            f"L = {depth:2d}  M = {width}  seed {seed}   η_c = {predicted:.6f} (conditional law), "
            f"{measured:.6f} (measured), ratio {measured / predicted:.4f}"
        )
        assert abs(law.support[1] / replica.eigenvalues[-1] - 1) < 1e-9
        assert abs(measured / predicted - 1) < 0.02

# %% [markdown]
# ## A stream of digits
#
# Now $N$ digits in a random order, each pass through them another one. The targets are realisable:
# the outputs of one network for all of them; training starts from weights that are a little off.
# If $JJ^T$ had the one eigenvalue $M\lambda$ at all samples, each step would change the squared
# distance to the solution by $-\eta\,(2 - \eta M \lambda)\,|r|^2$, whatever the other samples: the
# boundary is that of a single sample. As $\lambda_{\max}$ differs slightly from digit to digit, the
# prediction takes its mean. The verdict is the sign of the Lyapunov exponent of the residual over
# $16 N$ steps, or until the residual is no longer small.


# %%
class Stream:
    """One network, N digits, and weights that are off by 1e-8."""

    def __init__(self, depth, width, seed):
        self.net, self.width = isometric(depth, width), width
        self.inputs = digits(self.net, SAMPLES, seed)
        self.solution = ff.initial_parameters(self.net, width, seed)
        self.targets = outputs(self.net, width, self.solution, self.inputs)
        rng = np.random.default_rng(seed)
        self.order = np.concatenate([rng.permutation(SAMPLES) for _ in range(16)])
        moved = [w + 1e-8 * rng.standard_normal(w.shape) for w in self.solution.weights]
        self.start = self.solution._replace(weights=tuple(moved))

    def laws(self):
        """The conditional law at every digit."""
        fim = ff.ConditionalFIM(self.net)
        for x in self.inputs:
            yield fim.law(given=ff.replica_of(self.net, self.width, self.solution, x))

    def exponent(self, rate):
        """Growth of log |r| by step."""
        problem = (self.net, self.width, self.start, self.inputs, self.targets)
        return ff.train_online(*problem, rate, self.order, ceiling=1e-2).lyapunov_exponent

    def boundary(self, guess):
        """Where the exponent changes its sign."""
        return ff.stability_boundary(
            lambda rate: self.exponent(rate) > 0, guess / 2, 1.5 * guess, 1e-2
        )


for width, seed in NETWORKS:
    for depth in DEPTHS:
        stream = Stream(depth, width, seed)
        tops = np.array([law.support[1] for law in stream.laws()])
        predicted = 2 / (width * tops.mean())
        unconditional = critical_rate(ff.ConditionalFIM(stream.net).law(), width)
        measured = stream.boundary(unconditional)
        steps = len(stream.order)
        rows.append(
            ("streaming", depth, width, seed, SAMPLES, steps, predicted, unconditional, measured)
        )
        print(
            f"L = {depth:2d}  M = {width}  seed {seed}   η_c = {predicted:.6f} (mean λ_max), "
            f"{measured:.6f} (measured), ratio {measured / predicted:.4f}"
        )
        assert abs(measured / predicted - 1) < 0.10

# %% [markdown]
# ## One over the depth
#
# In units of $1/(M\hat q)$ the limit law says $\eta_c L \to 2\varepsilon/(e^\varepsilon - 1)$.

# %%
names = (
    "experiment", "depth", "width", "seed", "samples", "steps", "predicted_rate", "limit_rate",
    "measured_rate",
)  # fmt: skip
columns = {
    name: np.array(column) for name, column in zip(names, zip(*rows, strict=True), strict=True)
}
columns["ratio"] = columns["measured_rate"] / columns["predicted_rate"]
columns["allowed"] = np.where(columns["experiment"] == "repeated", 0.02, 0.10)
columns["passed"] = np.abs(columns["ratio"] - 1) <= columns["allowed"]
stays = np.array([isometric(int(L), 64).input_second_moment for L in columns["depth"]])
reduced = columns["measured_rate"] * columns["width"] * stays
ax = plt.subplots()[1]
fine = np.array([4, 6, 8, 11, 16, 23, 32, 45, 64])
alpha = 1 / (1 + DEFECT / fine)
line = 2 * (1 / alpha - 1) / (alpha**-fine - 1.0)
ax.loglog(fine, line, color=BLUE, label="$2/\\lambda_{\\max}$ of the limit law")
ax.loglog(
    fine, 2 * DEFECT / math.expm1(DEFECT) / fine, "--", color=GREY, label="one over the depth"
)
for kind, mark, color in (("repeated", "o", POINTS), ("streaming", "s", RED)):
    chosen = columns["experiment"] == kind
    depths = columns["depth"][chosen]
    own = (columns["predicted_rate"] * columns["width"] * stays)[chosen]
    ax.plot(depths, own, "x", ms=5, color=color, label=f"predicted for that network, {kind}")
    look = {"ms": 8, "mfc": "none", "color": color}
    ax.plot(depths, reduced[chosen], mark, **look, label=f"measured, {kind}")
    slope = np.polyfit(np.log(depths), np.log(reduced[chosen]), 1)[0]
    print(f"{kind}: η_c falls as L^{slope:.3f}")
    assert abs(slope + 1) < 0.05
ax.set(
    xlabel="depth $L$", ylabel="$\\eta_c M \\hat q$", title="boundary of online training on digits"
)
ax.set_xticks(ALL, ALL)
ax.tick_params(axis="x", which="minor", bottom=False, labelbottom=False)
legend = ax.legend(frameon=False)

# %%
if TABLE:
    made_by = "TABLE=validation/online_training.csv python notebooks/online_training.py"
    metadata = {
        "made_by": made_by,
        "isometry_defect": DEFECT,
        "data": "sklearn.datasets.load_digits",
    }
    ff.Table(columns, metadata).write(TABLE)
plt.show()
