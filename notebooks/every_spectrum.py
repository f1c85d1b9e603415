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
# # What each spectrum is for
#
# A random network has many spectra, and each answers another question:
#
# | spectrum | matrix | question |
# |---|---|---|
# | `ConditionalFIM` | Fisher information of one input | which learning rate? |
# | `LayerBlock` | its diagonal blocks | which layer learns? |
# | `Jacobian` | $\partial f/\partial x$ | do signals and gradients survive the depth? |
# | `ResidualJacobian` | the same with skip connections | what do the skips change? |
# | `ConjugateKernel` | Gram matrix of the last hidden layer | what can a linear readout fit? |
# | `NeuralTangentKernel` | Gram matrix of the gradients | how fast does it train on many samples? |
# | `SingleHiddenLayerFisher` | Fisher information over all inputs | how ill-conditioned is it? |
# | `HessianModel` | curvature of the loss | minimum or saddle? |
#
# All have one face: `law` is the limit of infinite width, `sample` draws real networks that know
# nothing of it, `validate` compares the two, `table` and `plot` show it. Every claim is followed by
# an `assert`.

# %%
import math

import matplotlib.pyplot as plt
import numpy as np

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, GREEN = "#1f4e8c", "#b3261e", "#8f99a3", "#2e7d4f"


def passes(spectrum, **size):
    """Whether sampled matrices confirm a law."""
    report = spectrum.validate(**size)
    print(report.verdict, "-", spectrum.matrix)
    return report.passed


def rigid(size):
    """Four standard deviations of the number of eigenvalues below a point: they repel."""
    return 4 * math.sqrt(
        2 / np.pi**2 * (math.log(2 * np.pi * size) + 1 + np.euler_gamma - np.pi**2 / 8)
    )


# %% [markdown]
# ## 1. Conditional Fisher information: the learning rate
#
# The eigenvalues of $J_\theta J_\theta^T/M$ at one input. Gradient descent on that sample is stable
# for $\eta < 2/(M\lambda_{\max})$. In a hard-tanh network near isometry the maximum is an atom: the
# directions that meet no dead unit.

# %%
net = ff.Network(depth=6, activation=ff.HardTanh(cutoff=1.8), weight_std=1.05)
fim = ff.ConditionalFIM(net)
law = fim.law()
order = net.order_parameters()
alive = np.array(order.chi1) / net.weight_std**2
top = sum(q * net.weight_std ** (2 * k) for k, q in enumerate(order.second_moments[-2::-1]))
assert math.isclose(law.support[1], top, rel_tol=1e-12)
assert math.isclose(law.atoms[-1][1], 1 - sum(1 - alive), rel_tol=1e-12)
assert math.isclose(fim.max_learning_rate(width=100), 2 / (100 * top), rel_tol=1e-12)
assert passes(fim, width=200, replicas=4)

replica = fim.sample(width=400, replicas=1, seed=0)[0]
ax = fim.law(given=replica).plot(
    replica.eigenvalues, ax=plt.subplots()[1], title="Conditional FIM: one network of width 400"
)

# %% [markdown]
# ## 2. Its blocks: who learns?
#
# The parameters of one layer alone give one block. The whole dual is the sum of its blocks, so
# their means add up; and where the top is an atom the same directions are at the top of each block,
# so their maxima add up as well.

# %%
table = ff.layer_blocks(net)
for row in zip(*(table[name] for name in table.columns), strict=True):
    print("  ".join(f"{name} {value:.4g}" for name, value in zip(table.columns, row, strict=True)))
assert math.isclose(sum(table["mean"]), law.mean(), rel_tol=1e-12)
assert math.isclose(sum(table["max"]), law.support[1], rel_tol=1e-12)
blocks = [ff.LayerBlock(net, layer) for layer in range(1, net.depth + 1)]
assert passes(blocks[2], width=200, replicas=4)

# %%
_, axes = plt.subplots(2, 2, figsize=(12, 8))
for ax, block in zip(axes.flat, blocks[:4], strict=True):
    one = block.sample(width=400, replicas=1, seed=0)[0]
    block.law(given=one).plot(one.eigenvalues, ax=ax, title=f"Block of layer {block.layer}")

# %% [markdown]
# ## 3. The Jacobian: dynamical isometry
#
# Squared singular values of $\partial f/\partial x$ all near 1: neither signals nor gradients
# vanish or explode. Their mean is the product of the $\sigma_w^2 E\varphi'^2$. For hard-tanh
# the share of singular values at the top is that of directions that meet live units only.

# %%
isometric = ff.Jacobian(ff.Network(depth=20, activation=ff.HardTanh(cutoff=2.5)))
found = isometric.isometry()
alive = np.array(isometric.network.order_parameters().chi1)
print(found)
assert math.isclose(found.mean, np.prod(alive), rel_tol=1e-12)
assert math.isclose(found.mass_at_one, 1 - sum(1 - alive), rel_tol=1e-12)
assert math.isclose(isometric.max_singular_value(), 1, rel_tol=1e-12)
assert passes(isometric, width=200, replicas=4)

# %% [markdown]
# Gaussian weights are no isometry: each layer adds 1 to the relative variance, whatever $\varphi$
# does, and the largest singular value grows although the mean stays put. With free factors
# $A_l$ of relative variance $v_l$ the relative variance of the product is $\sum_l v_l$.

# %%
chaotic = ff.Jacobian(ff.Network(depth=4, activation="erf", weights="gaussian", weight_std=1.2))
spread = chaotic.isometry()
order = chaotic.network.order_parameters()
relative = []
for q in order.preactivation_variances[:-1]:  # φ'(h)² = 4/π exp(-2h²), h ~ N(0, q)
    first, second = (1 + 4 * q) ** -0.5, (1 + 8 * q) ** -0.5
    relative.append(second / first**2 - 1)
assert math.isclose(spread.variance / spread.mean**2, sum(relative) + 4, rel_tol=1e-10)
assert passes(chaotic, width=200, replicas=4)

_, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
one = isometric.sample(width=400, replicas=1, seed=0)[0]
isometric.law(given=one).plot(one.eigenvalues, ax=left, title="Hard-tanh, orthogonal, depth 20")

one = chaotic.sample(width=400, replicas=1, seed=0)[0]
law = chaotic.law(given=one)
x = law.icdf(np.linspace(0.02, 1, 400))
right.hist(
    one.eigenvalues,
    np.geomspace(x[0], x[-1], 21),
    weights=np.full(400, 20 / 400 / math.log(x[-1] / x[0])),
    color=GREY,
    alpha=0.55,
    label="sampled",
)
right.semilogx(x, x * law.pdf(x), color=BLUE, label="density")
right.set(xlabel="eigenvalue λ", ylabel="density of ln λ", title="Erf, Gaussian, depth 4")
legend = right.legend(frameon=False)

# %% [markdown]
# ## 4. Residual networks
#
# A block $x \mapsto x + s\,\varphi(Wx)$ has the Jacobian $1 + sDW$. Its mean squared singular value
# is $1 + s^2\sigma_w^2 E\varphi'^2$: a branch can only add. With an orthogonal linear branch and
# $s = 1$ the squared singular values are $2 + 2\cos\theta$ with a uniform angle $\theta$.

# %%
circle = ff.ResidualJacobian(ff.Network(2, "linear"), 1).law()
x = np.linspace(0.05, 3.95, 100)
assert np.allclose(circle.cdf(x), 1 - np.arccos(x / 2 - 1) / np.pi, rtol=1e-10, atol=0)

BRANCH = 0.5
residual = {
    "ReLU, Gaussian": ff.ResidualJacobian(ff.Network(4, "relu", weights="gaussian"), BRANCH),
    "hard-tanh, orthogonal": ff.ResidualJacobian(ff.Network(4, "hard_tanh"), BRANCH),
}
_, axes = plt.subplots(1, 2, figsize=(12, 4.6))
for ax, (name, spectrum) in zip(axes, residual.items(), strict=True):
    mean, variance = 1.0, 1.0
    for phi in spectrum.network.activations:
        mean *= 1 + BRANCH**2 * phi.slope_second_moment(variance)
        variance += BRANCH**2 * phi.second_moment(variance)
    assert math.isclose(spectrum.law().mean(), mean, rel_tol=1e-9)
    assert passes(spectrum, width=200, replicas=2)
    one = spectrum.sample(width=400, replicas=1, seed=0)[0]
    spectrum.conditional_law(one).plot(
        one.eigenvalues, ax=ax, title=f"Three residual blocks, s = {BRANCH:g}: {name}"
    )

# %% [markdown]
# ## 5. The conjugate kernel: what a readout can fit
#
# The Gram matrix $X^TX/M$ of the last hidden layer at $n$ samples, $n$ of the order of the width.
# Ridge regression on these features leaves the share $E\,\varrho/(\varrho + \lambda)$ of a random
# target unexplained, a value of the transform at $-\varrho$. For one hidden layer the features are
# a sample covariance over a population $c + b\,\mathrm{MP}$, and Silverstein's equation
# $g = G_H(z/w)/w$, $w = 1 - \gamma + \gamma z g$, is solved by plain iteration.

# %%
deep = ff.Network(2, "tanh", weights="gaussian", weight_std=1.5)
kernel = ff.ConjugateKernel(deep, samples_ratio=0.5)
law = kernel.law()

nodes = np.linspace(-9, 9, 361)  # the trapezoidal rule is exact to rounding for such means
weights = np.exp(-(nodes**2) / 2) * (nodes[1] - nodes[0]) / math.sqrt(2 * np.pi)
h = 1.5 * nodes
moment, slope = weights @ np.tanh(h) ** 2, weights @ np.cosh(h) ** -2
gain = 1.5**2 * slope**2


def population(z):
    """Transform of c + b MP(1/2) left of its support: the root that falls off as 1/z."""
    z = (z - (moment - gain)) / gain
    return (z - 0.5 + np.sqrt((z - 1.5) ** 2 - 2)) / z / gain


ridge, g = 0.2, -1.0
for _ in range(500):
    w = 1 - 0.5 + 0.5 * -ridge * g
    g = population(-ridge / w) / w
print("unexplained at ridge 0.2:", -ridge * g)
assert math.isclose(law.cauchy(-ridge).real, g, rel_tol=1e-11)
assert math.isclose(law.expect(lambda x: ridge / (x + ridge)), -ridge * g, rel_tol=1e-11)
assert math.isclose(law.mean(), moment, rel_tol=1e-11)
assert passes(kernel, width=400, replicas=4)

# %% [markdown]
# With more samples than units, $n/M = 2$, half of the eigenvalues are 0: no interpolation.

# %%
crowded = ff.ConjugateKernel(deep, samples_ratio=2)
assert math.isclose(dict(crowded.law().atoms)[0.0], 0.5, rel_tol=1e-12)

_, axes = plt.subplots(1, 2, figsize=(12, 4.6))
for ax, one in zip(axes, (kernel, crowded), strict=True):
    drawn = one.sample(width=800, replicas=1, seed=0)
    one.law().plot(
        drawn.eigenvalues, ax=ax, title=f"Conjugate kernel, {one.samples_ratio} samples per unit"
    )

# %% [markdown]
# ## 6. The neural tangent kernel: how fast it trains
#
# Under gradient flow the residual decays along each eigenvector as $e^{-\lambda t}$: the loss of a
# random target is $E\,e^{-2\lambda t}$. The spectrum has a floor well above 0. Its mean is the
# classical recursion of the diagonal,
# $\Theta_{l+1} = \sigma_w^2\hat q_l + \sigma_w^2 E\varphi'^2\,\Theta_l$.

# %%
wide = ff.Network(3, "tanh", weights="gaussian", weight_std=1.5, parametrization="ntk")
tangent = ff.NeuralTangentKernel(wide, samples_ratio=0.5)
law = tangent.law()
theta, q = 1.5**2, 1.0
for _ in range(2):
    h = 1.5 * math.sqrt(q) * nodes
    q, chi = weights @ np.tanh(h) ** 2, 1.5**2 * (weights @ np.cosh(h) ** -4)
    theta = 1.5**2 * q + chi * theta
print(law)
assert math.isclose(law.mean(), theta, rel_tol=1e-11)
assert law.support[0] > 1
assert passes(tangent, width=400, replicas=4)

drawn = tangent.sample(width=400, replicas=8, seed=1)
times = np.linspace(0, 1.2, 61)
loss = np.array([law.expect(lambda x, t=t: np.exp(-2 * x * t)) for t in times])
sampled = np.exp(-2 * times[:, None, None] * drawn.eigenvalues).mean(axis=2)

_, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
left = law.plot(drawn.eigenvalues, ax=left, title="Tangent kernel of depth 3, 8 networks")
right.semilogy(times, sampled, color=GREY, lw=0.8)
right.semilogy(times, loss, color=BLUE, lw=2, label="law")
right.plot([], color=GREY, label="sampled networks")
right.set(xlabel="training time t", ylabel="share of the loss left", title="Learning curve")
legend = right.legend(frameon=False)

# %% [markdown]
# ## 7. Fisher information over all inputs
#
# One hidden layer, expectation over Gaussian inputs. For a linear network half of the directions
# are flat and the others have the eigenvalue $a^2 + b^2$, independent Marchenko–Pastur values: mean
# 2, second moment $2\cdot 2 + 2 = 6$. A nonlinearity lifts the flat half.

# %%
linear = ff.SingleHiddenLayerFisher("linear").law()
assert linear.atoms == ((0.0, 0.5),)
assert math.isclose(linear.support[1], 8, rel_tol=1e-12)
assert np.allclose([linear.expect(lambda x, k=k: x**k) for k in (1, 2)], [1, 3], rtol=1e-9, atol=0)

assert passes(ff.SingleHiddenLayerFisher("linear"), width=16, replicas=4)

# %% [markdown]
# Its matrices have $2n^2$ rows, so widths are small here; the sampled spectra approach the law as
# the width grows.

# %%
fisher = ff.SingleHiddenLayerFisher("tanh")
law = fisher.law()
assert law.support[0] > 0
assert not law.atoms
sizes = {6: 64, 12: 16, 24: 4}  # as many eigenvalues of each width
drawn = {n: fisher.sample(n, replicas, seed=0).eigenvalues for n, replicas in sizes.items()}
off = {n: law.distance(eigenvalues, "ks") for n, eigenvalues in drawn.items()}
print("Kolmogorov–Smirnov distance by width:", off)
assert off[6] > off[12] > off[24]
ax = law.plot(
    drawn[24],
    ax=plt.subplots()[1],
    title="Fisher information of tanh, 4 networks of width 24, in ln λ",
    log=True,
)

# %% [markdown]
# ## 8. A model of the Hessian: minimum or saddle?
#
# A positive part of ratio $\varphi$ = parameters over samples, and a Wigner part of variance twice
# the energy. Negative directions appear at
# $\varepsilon_c = [1 - 20\varphi - 8\varphi^2 + (1+8\varphi)^{3/2}]/16$; beyond, their share, the
# *index*, grows as $(\varepsilon/\varepsilon_c - 1)^{3/2}$.

# %%
PHI = 0.5
critical = ff.HessianModel(PHI, 0).critical_energy
assert abs(ff.HessianModel(PHI, critical).law().support[0]) < 1e-12
assert ff.HessianModel(PHI, 0.99 * critical).index() == 0

beyond = np.array([1e-4, 1e-3, 1e-2])
index = np.array([ff.HessianModel(PHI, critical * (1 + e)).index() for e in beyond])
exponent = np.diff(np.log(index)) / np.diff(np.log(beyond))
print("exponents:", exponent)
assert np.all(abs(exponent - 1.5) < beyond[1:])  # the correction is of relative order e

hessian = ff.HessianModel(PHI, 0.05)
one = hessian.sample(width=800, replicas=1, seed=0)[0]
negative = np.sum(one.eigenvalues < 0)
print(f"{negative} negative directions of 800, {800 * hessian.index():.1f} by the law")
assert abs(negative - 800 * hessian.index()) < rigid(800)
assert passes(hessian, width=200, replicas=4)

energies = np.geomspace(0.2 * critical, 1, 60)
_, (left, right) = plt.subplots(1, 2, figsize=(12, 4.6))
left = hessian.law().plot(
    one.eigenvalues, ax=left, title="Energy 0.05: one matrix of size 800, negative tail"
)
left.axvline(0, color=RED, lw=1)
for phi, color in ((0.25, BLUE), (0.5, RED), (1.0, GREEN)):
    models = [ff.HessianModel(phi, energy) for energy in energies]
    right.semilogx(energies, [m.index() for m in models], color=color, label=f"ratio {phi}")
right.set(xlabel="energy ε", ylabel="share of negative directions", title="Index")
legend = right.legend(frameon=False)

# %%
plt.show()
