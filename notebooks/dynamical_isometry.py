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
# # Fisher information under dynamical isometry
#
# A deep network is close to *dynamical isometry* when its input–output Jacobian is close to an
# orthogonal matrix at every depth: signals and gradients neither fade nor explode. Hayase and
# Karakida (*The Spectrum of Fisher Information of Deep Networks Achieving Dynamical Isometry*,
# AISTATS 2021) asked what this does to the Fisher information of one input $x$, that is to
# learning: to the eigenvalues of
#
# $$ H_L = \tfrac1M J_\theta J_\theta^T, \qquad J_\theta = \partial f(x)/\partial\theta,
#    \quad \theta = \text{all weights and biases}. $$
#
# This notebook walks through the answer, and asserts every step of it:
#
# 1. the spectrum concentrates at its maximum;
# 2. the maximum grows linearly with depth, although the Jacobian's does not grow;
# 3. so the largest learning rate falls like one over the depth;
# 4. below the maximum lies a comb of bands, one more with every layer;
# 5. two hidden layers have a closed form;
# 6. without isometry the maximum grows like the square of the depth;
# 7. sampled networks obey all of this.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np
from scipy.optimize import brentq
from scipy.special import erfinv

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, GREEN = "#1f4e8c", "#b3261e", "#8f99a3", "#2e7d4f"

# %% [markdown]
# ## The networks
#
# Orthogonal weights and hard-tanh, $\varphi(h) = \mathrm{clip}(h, -s, s)$: a unit is alive
# ($\varphi' = 1$) with probability $\alpha = \mathrm{erf}(s/\sqrt{2q^*})$, dead otherwise. At the
# critical point $\sigma_w^2 = 1/\alpha$, with the bias that keeps the variance at its fixed point
# $q^* = 1$, every layer is alike. The *isometry defect* $\varepsilon$ is spread over the layers,
# $1/\alpha - 1 = \varepsilon/L$: it is the relative variance of the squared singular values of
# the Jacobian of $L$ such layers.


# %%
def live_share(defect):
    """α of a layer with 1/α - 1 = defect."""
    return 1 / (1 + defect)


def isometric(depth, defect, weights="orthogonal"):
    """A critical hard-tanh network whose layers all have 1/α - 1 = defect."""
    phi = ff.HardTanh(cutoff=math.sqrt(2) * erfinv(live_share(defect)))
    critical = ff.critical_initialization(phi, fixed_point=1.0)
    stays = (1 - critical.bias_std**2) / critical.weight_std**2  # the second moment q̂
    return ff.Network(
        depth,
        phi,
        weights=weights,
        weight_std=critical.weight_std,
        bias_std=critical.bias_std,
        input_second_moment=stays,
    )


net = isometric(depth=100, defect=0.25 / 100)
order = net.order_parameters()
assert np.allclose(order.chi1, 1, rtol=1e-12, atol=0)
assert np.allclose(order.second_moments[:-1], net.input_second_moment, rtol=1e-12, atol=0)

# %% [markdown]
# ## 1. Concentration at the maximum
#
# The dual grows layer by layer, $H_{l+1} = \hat q_l I + W_{l+1} D_l H_l D_l W_{l+1}^T$ with
# $D_l = \mathrm{diag}\,\varphi'(h^l)$. No eigenvalue exceeds
#
# $$ \Lambda_L = \sum_{l=1}^{L} \hat q_{l-1}\, \sigma_w^{2(L-l)}, $$
#
# and a direction attains it if it meets only live units on its way down. With $1-\alpha$ of the
# directions lost per layer, at least $1 - (L-1)(1-\alpha)$ remain. In the free limit it is exactly
# this share, as long as it is positive: an **atom at the maximum**, of mass near $1-\varepsilon$.

# %%
eps = 0.25
law = ff.ConditionalFIM(net).law()
q_hat, alpha = net.input_second_moment, live_share(eps / 100)
location, mass = law.atoms[-1]
print(law)
assert law.support[1] == location
assert math.isclose(location, q_hat * sum(alpha**-k for k in range(100)), rel_tol=1e-12)
assert math.isclose(mass, 1 - 99 * (1 - alpha), rel_tol=1e-12)

# %% [markdown]
# In terms of $\varepsilon$ the mass is
# $1-\varepsilon + \varepsilon(1+\varepsilon)/(L+\varepsilon)$. The relative variance of the whole
# spectrum is $\varepsilon\,(L-1)(2L-1)/(6L^2) \to \varepsilon/3$: a third of that of the Jacobian.

# %%
DEPTHS = np.array([4, 10, 30, 100, 300])
laws = {int(L): ff.ConditionalFIM(isometric(int(L), eps / L)).law() for L in DEPTHS}
for L, one in laws.items():
    mass = one.atoms[-1][1]
    spread = one.variance() / one.mean() ** 2
    print(f"L = {L:3d}   mass at the maximum {mass:.4f}   relative variance {spread:.5f}")
    assert math.isclose(mass, 1 - eps + eps * (1 + eps) / (L + eps), rel_tol=1e-11)
    assert math.isclose(spread, eps * (L - 1) * (2 * L - 1) / (6 * L**2), rel_tol=1e-9)

# %% [markdown]
# A published family of networks without bias, 100 hidden layers of
# $\varphi(x) = \mathrm{hardtanh}(\sqrt v\,g x)/\sqrt v$, has defects near 1/4, 1/16 and 1/64. The
# smaller the defect, the more of the spectrum sits at the maximum. An orthogonal ReLU network, for
# contrast, has nothing there: its quantiles climb gradually, and stay far below the maximum.

# %%
published = {"1/4": (0.125, 1.0013), "1/16": (0.087, 1.0004), "1/64": (0.074, 1.0002)}
p = np.linspace(0, 1, 1001)
ax = plt.subplots()[1]
for (name, (v, g)), shade in zip(published.items(), (0.5, 0.7, 0.95), strict=True):
    preset = ff.Network(101, ff.HardTanh(cutoff=1 / (g * math.sqrt(v)), slope=g))
    lost = 1 - np.array(preset.order_parameters().chi1) / g**2  # 1 - α_l, as σ_w = 1
    one = ff.ConditionalFIM(preset).law()
    top, mass = one.atoms[-1]
    print(f"defect {name:>4s}: {lost.sum():.4f} lost in all, {mass:.4f} at {top:.4f}")
    assert math.isclose(mass, 1 - lost.sum(), rel_tol=1e-11)
    ax.plot(
        p, one.icdf(p) / top, color=plt.cm.Blues(shade), lw=2, label=f"hard-tanh, defect {name}"
    )
he = ff.critical_initialization("relu").weight_std
relu = ff.ConditionalFIM(ff.Network(101, "relu", weight_std=he)).law()
assert all(location < relu.support[1] for location, _ in relu.atoms)
ax.plot(p, relu.icdf(p) / relu.support[1], color=RED, lw=2, label="ReLU")
ax.set(xlabel="probability", ylabel=r"quantile / $\lambda_{\max}$", ylim=(0, 1.05))
ax.set_title("Where the spectrum lies: 100 hidden layers, orthogonal weights")
legend = ax.legend(frameon=False, loc="center")

# %% [markdown]
# ## 2. Linear growth with depth
#
# Summing the geometric series,
# $\Lambda_L = L\hat q\,\frac{(1+\varepsilon/L)^L - 1}{\varepsilon}$, so
#
# $$ \frac{\lambda_{\max}}{L\hat q} \to \frac{e^\varepsilon - 1}{\varepsilon}, \qquad
#    0 \le e^\varepsilon - (1+\varepsilon/L)^L \le \frac{\varepsilon^2 e^\varepsilon}{2L}. $$
#
# The Jacobian $J = W_L D_{L-1} W_{L-1} \cdots D_1 W_1$ does not grow. Its squared singular values
# are at most $\sigma_w^{2L}$, and this too is attained, at any width, while fewer than $M$ units
# are dead. As $\sigma_w^2 = 1 + \varepsilon/L$ it stays below $e^\varepsilon$ at every
# depth. Let us draw the weights of real networks ourselves and look at both.


# %%
def draw(net, width, seed):
    """Haar weights, biases and an input, all of `width` units, of an orthogonal network."""
    rng = np.random.default_rng(seed)
    weights, biases = [], []
    for _ in range(net.depth):
        q, r = np.linalg.qr(rng.standard_normal((width, width)))
        weights.append(net.weight_std * q * np.sign(np.diag(r)))
        biases.append(net.bias_std * rng.standard_normal(width))
    x = rng.standard_normal(width)
    return weights, biases, x * math.sqrt(net.input_second_moment * width / (x @ x))


def forward(phi, weights, biases, x):
    """Inputs x^0..x^{L-1} and slopes φ'(h^1)..φ'(h^{L-1}) of the layers, and the output."""
    inputs, slopes = [x], []
    for W, b in zip(weights[:-1], biases[:-1], strict=True):
        h = W @ inputs[-1] + b
        inputs.append(phi.function(h))
        slopes.append(phi.derivative(h))
    return inputs, slopes, weights[-1] @ inputs[-1] + biases[-1]


def largest(net, width, seed):
    """Largest eigenvalue of J J^T and of the dual H of one network, and Λ as realised there."""
    weights, biases, x = draw(net, width, seed)
    inputs, slopes, _ = forward(net.activation, weights, biases, x)
    backward, dual, bound = np.eye(width), 0.0, 0.0  # backward = ∂f/∂h^l, last layer first
    for layer in reversed(range(net.depth)):
        shift = (inputs[layer] @ inputs[layer] + 1) / width  # the 1 is the bias
        dual += shift * backward @ backward.T
        bound += shift * net.weight_std ** (2 * (net.depth - 1 - layer))
        backward = backward @ weights[layer]
        if layer:
            backward *= slopes[layer - 1]
    return np.linalg.eigvalsh(backward @ backward.T)[-1], np.linalg.eigvalsh(dual)[-1], bound


drawn = {L: largest(isometric(L, eps / L), width=150, seed=L) for L in (4, 10, 30, 100)}
for L, (jacobian, fisher, realised) in drawn.items():
    limit = laws[L].support[1]
    print(f"L = {L:3d}   Jacobian {jacobian:.4f}   Fisher {fisher:8.3f}   limit law {limit:8.3f}")
    assert math.isclose(jacobian, (1 + eps / L) ** L, rel_tol=1e-12 * L)
    assert jacobian < math.exp(eps)
    assert math.isclose(fisher, realised, rel_tol=1e-12 * L)

# %% [markdown]
# The drawn networks attain $\Lambda_L$ to rounding, with $|x^l|^2/M$ (and $1/M$ for the bias) in
# the place of $\hat q_l$: linear algebra, true at any width. The limit law obeys the bound above.

# %%
slope = (math.exp(eps) - 1) / eps
ratio = {L: one.support[1] / (L * one.support[0]) for L, one in laws.items()}  # min = q̂
for L, value in ratio.items():
    assert 0 <= slope - value <= eps * math.exp(eps) / (2 * L)

_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.4))
L = np.arange(1, 108)
left.plot(L, slope * L, color=BLUE, label=r"$L\,(e^\varepsilon-1)/\varepsilon$")
left.plot(list(laws), [one.support[1] / one.support[0] for one in laws.values()], "o", color=BLUE)
left.plot(list(drawn), [d[1] / laws[L].support[0] for L, d in drawn.items()], "x", color=RED, ms=9)
left.plot([], "o", color=BLUE, label="limit law")
left.plot([], "x", color=RED, ms=9, ls="", label="one network of width 150")
left.set(
    xlim=(0, 108), ylim=(0, 130), xlabel="depth L", title="Fisher information: linear in depth"
)
left.set_ylabel(r"$\lambda_{\max}/\hat q$")
right.plot(L, (1 + eps / L) ** L, color=BLUE, label=r"$(1+\varepsilon/L)^L$")
right.axhline(math.exp(eps), color=GREY, ls="--", label=r"$e^\varepsilon$")
right.plot(list(drawn), [d[0] for d in drawn.values()], "x", color=RED, ms=9)
right.set(xlim=(0, 108), ylim=(1, 1.4), xlabel="depth L", title="Jacobian: bounded")
right.set_ylabel(r"largest squared singular value")
left.legend(frameon=False)
legend = right.legend(frameon=False, loc="lower right")

# %% [markdown]
# ## 3. The learning rate falls like one over the depth
#
# Near a minimum of $\frac12|f(x)-y|^2$ gradient descent multiplies the residual $f - y$ by
# $I - \eta J_\theta J_\theta^T$ at every step. It is stable iff
# $\eta < \eta_{\max} = 2/(M\lambda_{\max})$.

# %%
WIDTH = 150
for L in laws:
    fim = ff.ConditionalFIM(isometric(L, eps / L))
    # the mean loss in the limit of infinite width: at a width biases add 1/M to every layer
    eta = fim.max_learning_rate(loss="mean") / WIDTH
    product = eta * WIDTH * L * laws[L].support[0]
    print(f"L = {L:3d}   η_max = {eta:.3e}   η_max · M L q̂ = {product:.4f}")
    assert math.isclose(product, 2 / ratio[L], rel_tol=1e-12)

# %% [markdown]
# Let us descend, on a network of depth 10 whose target differs from its output by $10^{-6}$. Most
# of the residual lies at the maximum, where $\eta = c\,\eta_{\max}$ multiplies it by $1 - 2c$. All
# other eigenvalues have $|1 - 2c\lambda/\lambda_{\max}| < |1 - 2c|$ as long as
# $\lambda_{\min}/\lambda_{\max} > 1/c - 1$, so that in the end the loss falls or rises by the
# factor $(1-2c)^2$ each step: $0.81$ for $c = 0.95$ and $1.21$ for $c = 1.05$.


# %%
def descend(net, weights, biases, x, rate, steps=60):
    """Losses of plain gradient descent on one sample, from a residual of size 1e-6."""
    weights, biases = [W.copy() for W in weights], [b.copy() for b in biases]
    direction = np.random.default_rng(1).standard_normal(x.size)
    target = forward(net.activation, weights, biases, x)[2] + 1e-6 * direction / np.linalg.norm(
        direction
    )
    losses = []
    for _ in range(steps):
        inputs, slopes, output = forward(net.activation, weights, biases, x)
        error = output - target
        losses.append(error @ error / 2)
        for layer in reversed(range(net.depth)):
            below = weights[layer].T @ error * (slopes[layer - 1] if layer else 1)
            weights[layer] -= rate * np.outer(error, inputs[layer])
            biases[layer] -= rate * error
            error = below
    return np.array(losses)


net = isometric(10, eps / 10)
assert laws[10].support[0] / laws[10].support[1] > 1 / 0.95 - 1
start = draw(net, WIDTH, seed=0)
eta = 2 / (WIDTH * largest(net, WIDTH, seed=0)[1])  # of this very network
ax = plt.subplots()[1]
for c, color in ((0.95, BLUE), (1.05, RED)):
    losses = descend(net, *start, rate=c * eta)
    ax.semilogy(losses, color=color, lw=2, label=rf"$\eta = {c}\,\eta_{{\max}}$")
    factor = losses[-1] / losses[-2]
    print(
        f"c = {c}: the loss changes by the factor {factor:.5f}, {(1 - 2 * c) ** 2:.5f} in the limit"
    )
    # What is not at the maximum still weighs a little after 60 steps.
    assert math.isclose(factor, (1 - 2 * c) ** 2, rel_tol=1e-2)
ax.set(xlabel="step of gradient descent", ylabel="loss", title="Depth 10, width 150, one sample")
legend = ax.legend(frameon=False)

# %% [markdown]
# ## 4. The comb of bands
#
# What lies below the maximum? Spread a total of $0.1$ dead units evenly over the 59 hidden layers
# of a network of depth 60. Its spectrum is a comb of 58 bands between two atoms. The bottom atom
# and each band have the same mass, $1-\alpha$: every layer puts its share of dead units on a
# place of its own, because a direction that dies in layer $l$ collects Fisher information from the
# layers above $l$ only.

# %%
net = isometric(60, 1 / (1 - 0.1 / 59) - 1)  # 1 - α = 0.1/59
law = ff.ConditionalFIM(net).law()
print(law)
assert len(law.bands) == 58
assert np.allclose(law.band_masses, 0.1 / 59, rtol=1e-10, atol=0)
assert np.allclose([mass for _, mass in law.atoms], [0.1 / 59, 0.9], rtol=1e-10, atol=0)

ax = law.plot(
    ax=plt.subplots(figsize=(11, 4.4))[1], title="A comb of 58 bands: depth 60, 0.1 dead in all"
)

# %% [markdown]
# `law.layers` holds the law of every depth on the way. Layer by layer everything moves up by
# $\hat q$ and stretches by $\sigma_w^2$, and one band splits off at the bottom: depth $l$ has
# $l - 2$ bands.

# %%
ax = plt.subplots(figsize=(11, 5.5))[1]
for depth, layer in enumerate(law.layers, start=1):
    assert len(layer.bands) == max(0, depth - 2)
    spans = [(left, right - left) for left, right in layer.bands]
    ax.broken_barh(spans, (depth - 0.4, 0.8), color=BLUE, lw=0.3, snap=False)
    ax.plot([place for place, _ in layer.atoms], [depth] * len(layer.atoms), ".", color=RED, ms=4)
ax.plot([], "s", color=BLUE, label="band")
ax.plot([], ".", color=RED, label="atom")
ax.set(xlabel="eigenvalue λ", ylabel="depth", title="How the comb grows: one band with every layer")
legend = ax.legend(frameon=False, loc="lower right")

# %% [markdown]
# With more dead units the bands widen and the gaps in the bulk close. At a fixed defect
# $\varepsilon = 1/4$, spread as $1/\alpha - 1 = \varepsilon/L$, only 4, 12 and 17 bands are left at
# depth 6, 20 and 100.

# %%
combs = {L: ff.ConditionalFIM(isometric(L, 0.25 / L)).law() for L in (6, 20, 100)}
print({L: len(one.bands) for L, one in combs.items()})
assert [len(one.bands) for one in combs.values()] == [4, 12, 17]

axes = plt.subplots(3, 1, figsize=(10, 7.5))[1]
for ax, (L, one) in zip(axes, combs.items(), strict=True):
    unit = L * one.support[0]  # L q̂, as the minimum is q̂
    for left, right in one.bands:
        x = left + (right - left) * np.sin(np.linspace(0.005, np.pi / 2 - 0.005, 300)) ** 2
        ax.fill_between(x / unit, unit * one.pdf(x), color=BLUE, alpha=0.25, lw=0)
        ax.plot(x / unit, unit * one.pdf(x), color=BLUE, lw=1.2)
    ax.axvline(one.support[1] / unit, color=RED, lw=1.6)
    ax.set(ylim=(0, 0.9), xlim=(0, 1.18), ylabel="density")
    ax.set_title(f"depth {L}: {len(one.bands)} bands", fontsize=10)
xlabel = axes[-1].set_xlabel(r"$\lambda / (L \hat q)$      (red: the atom at the maximum)")

# %% [markdown]
# At depth 20 the next gap closes at $\varepsilon^* = 0.2548396279$. Just before, its width shrinks
# like $(\varepsilon^* - \varepsilon)^{3/2}$; two square-root edges meet in a cusp $|x|^{1/3}$.


# %%
def narrowest_gap(defect):
    ends = np.array(ff.ConditionalFIM(isometric(20, defect / 20)).law().bands)
    return len(ends), (ends[1:, 0] - ends[:-1, 1]).min()


closing = 0.2548396279
(before, wide), (_, narrow) = narrowest_gap(closing - 1e-4), narrowest_gap(closing - 1e-6)
after, _ = narrowest_gap(closing + 1e-6)
print(f"{before} bands, then {after}; exponent {math.log(wide / narrow) / math.log(100):.5f}")
assert (before, after) == (12, 11)
# The correction is of relative order ε* - ε, and ε* is rounded to 1e-10.
assert math.isclose(wide / narrow, 100**1.5, rel_tol=1e-2)

# %% [markdown]
# ## 5. Two hidden layers in closed form
#
# Depth 3 is the free product of two projections, a classical law. With
# $\lambda = \hat q_2 + \sigma_w^2(\hat q_1 + \sigma_w^2 \hat q_0\, s)$ the variable $s$ has density
#
# $$ \frac{\sqrt{(s_+-s)(s-s_-)}}{2\pi s(1-s)}, \qquad
#    s_\pm = \alpha_1 + \alpha_2 - 2\alpha_1\alpha_2 \pm
#            2\sqrt{\alpha_1\alpha_2(1-\alpha_1)(1-\alpha_2)}, $$
#
# atoms $(\alpha_2-\alpha_1)_+$ at $s=0$ and $(\alpha_1+\alpha_2-1)_+$ at $s=1$; a third atom,
# $1-\alpha_2$, lies at $\lambda = \hat q_2$.

# %%
net = ff.Network(3, [ff.HardTanh(0.8), ff.HardTanh(1.2)], weight_std=1.1, bias_std=0.1)
law = ff.ConditionalFIM(net).law()
order = net.order_parameters()
a1, a2 = np.array(order.chi1) / net.weight_std**2
q0, q1, q2, _ = order.second_moments


def place(s):
    return q2 + net.weight_std**2 * (q1 + net.weight_std**2 * q0 * s)


centre, half = a1 + a2 - 2 * a1 * a2, 2 * math.sqrt(a1 * a2 * (1 - a1) * (1 - a2))
s = centre + half * np.linspace(-0.99, 0.99, 500)
density = np.sqrt(half**2 - (s - centre) ** 2) / (2 * np.pi * s * (1 - s))
density /= net.weight_std**4 * q0  # from s to λ
error = np.max(abs(law.pdf(place(s)) / density - 1))
print(f"α = {a1:.4f}, {a2:.4f}; largest relative error of the density {error:.1e}")
assert error < 1e-12
assert np.allclose(law.bands, [(place(centre - half), place(centre + half))], rtol=1e-12, atol=0)
expected = [(q2, 1 - a2), (place(0), a2 - a1), (place(1), a1 + a2 - 1)]
assert np.allclose(law.atoms, expected, rtol=1e-12, atol=0)

ax = law.plot(ax=plt.subplots()[1], title="Two hidden layers; circles: the closed form")
ax.plot(place(s[::20]), density[::20], "o", mfc="white", color=BLUE, ms=5)

# %% [markdown]
# ## 6. Without isometry: the square of the depth
#
# Let $r$ be the relative variance that each layer adds to the squared singular values of the
# Jacobian: $1/\alpha - 1$ for hard-tanh and, with $\alpha = \frac12$, for ReLU, plus 1 if the
# weights are Gaussian. Isometry means $r = O(1/L)$. If instead $r$ stays fixed, as for every ReLU
# network and *every* network with Gaussian weights, the maximum is no longer linear in the depth:
#
# $$ \lambda_{\max} \sim \tfrac12 \sinh^2(u_*)\; \hat q\, r\, L^2, \qquad u_* \tanh u_* = 1,
#    \qquad \tfrac12\sinh^2 u_* = 1.13836. $$

# %%
u = brentq(lambda u: u * math.tanh(u) - 1, 1, 2, xtol=1e-15)
constant = math.sinh(u) ** 2 / 2
print(f"u* = {u:.6f}, constant {constant:.6f}")

families = {
    "ReLU, orthogonal": lambda L: (ff.Network(L, "relu", weight_std=he), 1),
    "ReLU, Gaussian": lambda L: (ff.Network(L, "relu", weights="gaussian", weight_std=he), 2),
    "linear, Gaussian": lambda L: (ff.Network(L, "linear", weights="gaussian"), 1),
    "hard-tanh, Gaussian": lambda L: (isometric(L, eps / L, "gaussian"), 1 + eps / L),
}
grid = [8, 16, 32, 64, 128, 256, 512]
maxima, scaled = {}, {}
for name, family in families.items():
    members = [family(L) for L in grid]
    maxima[name] = np.array(
        [ff.ConditionalFIM(n).law().support[1] / n.input_second_moment for n, _ in members]
    )
    scaled[name] = maxima[name] / [r * L**2 for (_, r), L in zip(members, grid, strict=True)]
isometry = [isometric(L, eps / L) for L in grid]
tops = [ff.ConditionalFIM(n).law().support[1] / n.input_second_moment for n in isometry]

# %% [markdown]
# The approach is of order $1/L$, so $2a(2L) - a(L)$ is better by one order. The local exponent
# $\log_2 \lambda_{\max}(2L)/\lambda_{\max}(L)$ tends to 2, and to 1 under isometry.

# %%
for name, a in scaled.items():
    exponent = math.log2(maxima[name][-1] / maxima[name][-2])
    extrapolated = 2 * a[-1] - a[-2]
    print(f"{name:20s} exponent {exponent:.4f}   constant {extrapolated:.5f}")
    assert np.all(abs(a - constant) < 2 / np.array(grid))
    assert abs(extrapolated - constant) < 10 / grid[-1] ** 2
    assert abs(exponent - 2) < 2 * 2 / (constant * grid[-2])
exponent = math.log2(tops[-1] / tops[-2])
print(f"{'hard-tanh, isometry':20s} exponent {exponent:.4f}   constant {tops[-1] / grid[-1]:.5f}")
assert abs(exponent - 1) < eps * math.exp(eps) / grid[-2]

_, (left, right) = plt.subplots(1, 2, figsize=(11, 4.6))
for name, color in zip(families, (RED, "#d9822b", GREEN, GREY), strict=True):
    left.loglog(grid, maxima[name], "o-", color=color, ms=4, label=name)
    right.semilogx(grid, scaled[name], "o-", color=color, ms=4)
left.loglog(grid, tops, "o-", color=BLUE, ms=4, lw=2, label="hard-tanh, orthogonal")
left.text(100, 2.5e2, r"$\propto L$", color=BLUE)
left.text(100, 8e4, r"$\propto L^2$", color=RED)
left.set(xlabel="depth L", ylabel=r"$\lambda_{\max}/\hat q$", title="With and without isometry")
right.axhline(constant, color="black", ls=":", label=r"$\frac{1}{2}\sinh^2 u_*$")
right.set(xlabel="depth L", ylabel=r"$\lambda_{\max}/(\hat q\,r L^2)$", title="The same, scaled")
for ax in (left, right):
    ax.set_xticks(grid, [str(L) for L in grid])
    ax.minorticks_off()
    legend = ax.legend(frameon=False)

# %% [markdown]
# ## 7. Sampled networks
#
# At last a real network, of depth 20 and width 500, and its law given the realised second moments
# and numbers of dead units. The eigenvalue at the maximum has multiplicity $M$ minus the number of
# dead units, again at any width. The other eigenvalues fill the bands, each with its share of them:
# counted up to any $x$, they are off by at most four standard deviations of the eigenvalue count of
# a Gaussian orthogonal matrix of that size (independent draws: by $0.87\sqrt M = 19$).

# %%
width = 500
fim = ff.ConditionalFIM(isometric(20, eps / 20))
replica = fim.sample(width=width, replicas=1, seed=0)[0]
given = fim.law(given=replica)
print(given)

dead = sum(int(np.sum(gate == 0)) for gate in replica.gates)
at_top = np.isclose(replica.eigenvalues, given.support[1], rtol=1e-12)
assert at_top.sum() == width - dead
assert math.isclose(given.atoms[-1][1], 1 - dead / width, rel_tol=1e-12)

variance = 2 / np.pi**2 * (math.log(2 * np.pi * width) + 1 + np.euler_gamma - np.pi**2 / 8)
off = width * given.distance(replica.eigenvalues, "ks")
print(f"{dead} dead units; off by {off:.2f} eigenvalues of {width}")
assert off < 4 * math.sqrt(variance)

ax = given.plot(replica.eigenvalues, ax=plt.subplots(figsize=(11, 4.6))[1])
title = ax.set_title(f"One network of depth 20 and width {width}, and its conditional law")

# %%
plt.show()
