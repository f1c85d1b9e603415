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
# # A first tour
#
# Take a deep random network, one input $x$, and the Jacobian $J$ of the output with respect to
# *all* parameters. The **conditional Fisher information** of that input is $J^T J$ (for a Gaussian
# likelihood of unit variance). Its nonzero eigenvalues are those of the much smaller **dual**
#
# $$ H = \tfrac1M J J^T, \qquad M = \text{width}, $$
#
# and they decide how fast, and with which learning rate, the network learns that sample.
# As $M \to \infty$ the spectrum of $H$ becomes deterministic. freefim computes this limiting law by
# free probability, and samples real networks to check it. Every claim below is followed by an
# `assert`; the tolerances are explained where they are not just rounding.

# %%
import math
import tempfile
from fractions import Fraction
from pathlib import Path

import matplotlib.pyplot as plt
import numpy as np
from scipy.integrate import quad

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 5), "figure.constrained_layout.use": True})

# %% [markdown]
# ## One description
#
# `depth` counts weight matrices: a network of depth $L$ is
# $h^l = W_l x^{l-1} + b_l$, $x^l = \varphi(h^l)$ for $l < L$, with output $h^L$.
# Square layers, orthogonal weights $W_l^T W_l = \sigma_w^2 I$ and $\sigma_w = 1$ are the defaults.

# %%
net = ff.Network(depth=5, activation="hard_tanh")
order = net.order_parameters()
print(net)
print("second moments of the layers:", np.round(order.second_moments, 6))

# %% [markdown]
# In a wide network the preactivations of layer $l$ are Gaussian of variance
# $q_l = \sigma_w^2 \hat q_{l-1} + \sigma_b^2$, and $\hat q_l = E\varphi(h)^2$. Hard-tanh clips at
# $\pm 1$, so a unit is *alive*, $\varphi'(h) = 1$, with probability
# $\alpha_l = \mathrm{erf}(1/\sqrt{2 q_l})$; otherwise $\varphi'(h) = 0$ and it is dead.

# %%
alive = np.array([math.erf(1 / math.sqrt(2 * q)) for q in order.preactivation_variances[:-1]])
print("share of live units:", np.round(alive, 4))
assert np.allclose(order.chi1, alive, rtol=1e-14, atol=0)  # chi1 = σ_w² E φ'(h)²

# %% [markdown]
# ## Its law
#
# At any width the dual obeys $H_1 = \hat q_0 I$ and
# $H_{l+1} = \hat q_l I + W_{l+1} D_l H_l D_l W_{l+1}^T$ with $D_l = \mathrm{diag}\,\varphi'(h^l)$.
# In the limit the factors are free, so the law of each layer is that of the layer below,
# multiplied freely by the law of $\varphi'(h)^2$, scaled and shifted.

# %%
fim = ff.ConditionalFIM(net)
law = fim.law()
print(law)

# %% [markdown]
# A law has point masses (`atoms`) and intervals with a density (`bands`). Directions that meet no
# dead unit anywhere collect the full sum $\sum_l \hat q_{l-1}$; there are at least
# $1 - \sum_l (1 - \alpha_l)$ of them, and that is exactly the mass of the atom at the maximum. The
# dead units of the last hidden layer leave only $\hat q_{L-1}$: the atom at the minimum.

# %%
dead = 1 - alive
(bottom, bottom_mass), *_, (top, top_mass) = law.atoms
assert math.isclose(top, sum(order.second_moments[:-1]), rel_tol=1e-12)
assert math.isclose(top_mass, 1 - dead.sum(), rel_tol=1e-12)
assert math.isclose(bottom, order.second_moments[-2], rel_tol=1e-12)
assert math.isclose(bottom_mass, dead[-1], rel_tol=1e-12)
assert law.support == (bottom, top)

# %%
ax = law.plot(ax=plt.subplots()[1], title="Hard-tanh network of depth 5: three bands, three atoms")

# %% [markdown]
# The vocabulary is that of `scipy.stats`. `pdf` is the density on the bands, `cdf` counts the atoms
# too. Integrating the density by an ordinary quadrature in $\theta$, $x = c - r\cos\theta$, gives
# back the masses of the bands, which the library knows in closed form.


# %%
def mass_by_quadrature(left, right):
    c, r = (left + right) / 2, (right - left) / 2
    return quad(lambda t: law.pdf(c - r * math.cos(t)) * r * math.sin(t), 0, math.pi, limit=200)


for (left, right), mass in zip(law.bands, law.band_masses, strict=True):
    value, error = mass_by_quadrature(left, right)
    print(f"band [{left:.6f}, {right:.6f}]  mass {mass:.10f}")
    assert abs(value - mass) < error + 1e-12
assert math.isclose(sum(law.band_masses) + sum(m for _, m in law.atoms), 1, rel_tol=1e-12)

# %% [markdown]
# Quantiles are the generalised inverse of the cdf: a third of the probabilities go to the top atom.

# %%
p = np.linspace(0.0, 1.0, 401)
x = law.icdf(p)
assert np.all(law.cdf(x) >= p - 1e-12)
assert law.icdf(1 - top_mass / 2) == top
print("median", law.median(), "  central 90 %", law.interval(0.9))

_, (left_ax, right_ax) = plt.subplots(1, 2, figsize=(11, 4.2))
grid = np.linspace(0, 1.15 * top, 2000)
left_ax.plot(grid, law.cdf(grid), color="#1f4e8c")
left_ax.set(xlabel="eigenvalue λ", ylabel="cdf", title="Distribution function")
right_ax.plot(p, x, color="#1f4e8c")
right_ax.axvspan(1 - top_mass, 1, color="#b3261e", alpha=0.12, label="mass of the top atom")
right_ax.set(xlabel="probability p", ylabel="quantile", title="Quantiles", ylim=(0, None))
legend = right_ax.legend(frameon=False)

# %% [markdown]
# `expect` integrates any function of the spectrum: moments, the log-determinant, the effective
# dimension $E\,\lambda/(\lambda + \varrho)$ at ridge $\varrho$. The last is a value of the Cauchy
# transform, $1 + \varrho\, G(-\varrho)$ with $G(z) = E\,(z - \lambda)^{-1}$.

# %%
print("log-determinant per unit:", law.expect(np.log))
ridge = 0.5
effective = law.expect(lambda x: x / (x + ridge))
assert math.isclose(effective, 1 + ridge * law.cauchy(-ridge).real, rel_tol=1e-12)
assert math.isclose(law.moment(2), law.expect(np.square), rel_tol=1e-10)

# %% [markdown]
# ## Real networks under it
#
# `sample` draws networks, pushes an input through each and diagonalises their duals. It knows
# nothing of the law. Here are 16 networks of width 200, one grey line each.

# %%
sample = fim.sample(width=200, replicas=16, seed=1)
ax = plt.subplots()[1]
for eigenvalues in sample.eigenvalues:
    ax.ecdf(eigenvalues, color="#8f99a3", linewidth=0.7)
grid = np.linspace(0, 1.15 * top, 2000)
ax.plot(grid, law.cdf(grid), color="#1f4e8c", linewidth=2, label="limit law")
ax.plot([], color="#8f99a3", label="one sampled network")
ax.set(xlabel="eigenvalue λ", ylabel="cdf", title="The limit law among 16 networks of width 200")
legend = ax.legend(frameon=False)

# %% [markdown]
# The moments of $R$ networks scatter with a standard error $O(1/\sqrt{RM})$; their bias, $O(1/M)$,
# is smaller while $R \ll M$. So each mean lies within a few standard errors (4, of a Student
# distribution with 15 degrees of freedom, is exceeded once in a thousand).

# %%
mean, standard_error = sample.moments(4)
limit = np.array(law.moments(4), dtype=float)
for k in range(4):
    print(f"moment {k + 1}: {mean[k]:.4f} ± {standard_error[k]:.4f}   limit {limit[k]:.4f}")
assert np.all(abs(mean - limit) < 4 * standard_error)

# %% [markdown]
# ## The law given one network
#
# Most of that scatter is not in the eigenvectors but in the *order parameters*: this network had a
# few dead units more, that one a slightly larger $\hat q_2$. The conditional law is the same chain
# of operations, fed with the realised numbers of one network. Then:
#
# * the top eigenvalue agrees to rounding: it is linear algebra, true at any width;
# * the eigenvalue count below any $x$ is off by a few eigenvalues only. Eigenvalues repel each
#   other; between two points their number has a variance of about
#   $\frac{2}{\pi^2}(\log 2\pi M + 1 + \gamma_E - \frac{\pi^2}{8})$ as in the Gaussian orthogonal
#   ensemble, 1.5 for $M = 200$. Four standard deviations are 5 eigenvalues of 200;
#   independent draws would be off by $0.87\sqrt{200} = 12$.

# %%
replica = sample[0]
conditional = fim.law(given=replica)
assert math.isclose(conditional.support[1], replica.eigenvalues[-1], rel_tol=1e-12)

number_variance = 2 / np.pi**2 * (np.log(2 * np.pi * 200) + 1 + np.euler_gamma - np.pi**2 / 8)
off = [200 * fim.law(given=one).distance(one.eigenvalues, "ks") for one in sample]
print("eigenvalues miscounted, worst x:", np.round(off, 1))
assert max(off) < 4 * math.sqrt(number_variance)

# %%
ax = conditional.plot(
    replica.eigenvalues, ax=plt.subplots()[1], title="One network and the law given that network"
)

# %% [markdown]
# The same holds for linear spectral statistics, here the log-determinant: the limit law is off by
# $O(M^{-1/2})$, the conditional law by $O(M^{-1})$.

# %%
sampled = np.log(sample.eigenvalues).mean(axis=1)
given = np.array([fim.law(given=one).expect(np.log) for one in sample])
far, near = np.std(sampled - law.expect(np.log)), np.std(sampled - given)
print(f"scatter about the limit law {far:.4f}, about the conditional laws {near:.4f}")
assert near < far / 5  # by a factor of √200 = 14 in order of magnitude

# %% [markdown]
# `validate` puts all of this into one report with a verdict, from networks of two widths.

# %%
report = fim.validate(width=300, replicas=6, seed=0)
print(report)
assert report.passed

# %% [markdown]
# ## Exact numbers
#
# A Gaussian ReLU network with rational parameters has rational moments. The first two follow by
# hand from $\bar\lambda_{l+1} = \hat q_l + \chi_1 \bar\lambda_l$ and
# $V_{l+1} = \chi_1^2 (V_l + 2 \bar\lambda_l^2)$, where $2 = 1 + 1$ is one part ReLU, one part
# Gaussian weights.

# %%
relu = ff.Network(depth=4, activation="relu", weights="gaussian", weight_std=1)
relu_law = ff.ConditionalFIM(relu).law()
print("moments:", *relu_law.moments(6))

chi = Fraction(1, 2)
by_hand, variance = Fraction(1), Fraction(0)
for layer in range(1, 4):
    by_hand, variance = Fraction(1, 2**layer) + chi * by_hand, chi**2 * (variance + 2 * by_hand**2)
assert relu_law.moment(1) == by_hand
assert relu_law.variance() == variance

# %% [markdown]
# At the critical point $\sigma_w^2 = 2$ and depth 3 the moments are the integers 3, 19, 177, 1949.

# %%
critical = ff.critical_initialization("relu")
he = relu.replace(depth=3, weight_std=critical.weight_std)
he_law = ff.ConditionalFIM(he).law()
assert np.allclose(he_law.moments(4), [3, 19, 177, 1949], rtol=1e-12, atol=0)
he_fim = ff.ConditionalFIM(he)
one = he_fim.sample(width=500, replicas=1, seed=2)[0]
ax = he_fim.law(given=one).plot(
    one.eigenvalues, ax=plt.subplots()[1], title="Gaussian ReLU, depth 3: one network, width 500"
)

# %% [markdown]
# ## Smooth activations
#
# For tanh the factor $x = \varphi'(h)^2 = \mathrm{sech}^4 h$ has a continuous law: no unit is dead,
# no atom remains, and the support starts at $\hat q_{L-1}$. With one hidden layer and orthogonal
# weights $\lambda = \hat q_1 + \sigma_w^2 \hat q_0\, x$, so the density follows from that of
# $h \sim N(0, q_1)$ by a change of variables, $dx/dh = -4 x \tanh h$.

# %%
shallow = ff.Network(depth=2, activation="tanh", weight_std=1.5)
shallow_law = ff.ConditionalFIM(shallow).law()
order = shallow.order_parameters()
x = np.linspace(0.002, 0.998, 500)
h, q = np.arccosh(x**-0.25), order.preactivation_variances[0]
density = 2 * np.exp(-(h**2) / (2 * q)) / np.sqrt(2 * np.pi * q) / (4 * x * np.tanh(h))
place = order.second_moments[1] + 1.5**2 * x
assert np.allclose(shallow_law.pdf(place), density / 1.5**2, rtol=1e-9, atol=0)
assert not shallow_law.atoms

# %% [markdown]
# Deeper, there is no closed form left; the solver works with the exact transform of this law, not
# with a discretisation.

# %%
tanh_net = ff.Network(depth=5, activation="tanh", weight_std=1.5)
tanh_fim = ff.ConditionalFIM(tanh_net)
tanh_law = tanh_fim.law()
print(tanh_law)
assert not tanh_law.atoms
assert math.isclose(
    tanh_law.support[0], tanh_net.order_parameters().second_moments[-2], rel_tol=1e-9
)

tanh_sample = tanh_fim.sample(width=200, replicas=16, seed=3)
mean, standard_error = tanh_sample.moments(4)
assert np.all(abs(mean - tanh_law.moments(4)) < 4 * standard_error)
ax = tanh_law.plot(
    tanh_sample.eigenvalues,
    ax=plt.subplots()[1],
    title="Tanh, depth 5: law and 16 networks, in ln λ",
    log=True,
)

# %% [markdown]
# ## How the law is made
#
# `derivation()` spells out the chain of transforms. With
# $G(z) = E\,(z-\lambda)^{-1}$ and $m = zG - 1$, free products act on
# $S(m) = (1+m)/(m\,z)$, shifts and scales on $R(g) = z - 1/g$.

# %%
derivation = relu_law.derivation()
print(derivation)

# %% [markdown]
# The composition is a rational curve $\omega \mapsto (z, G)$. At $\omega = \infty$,
# $m\,z \to E\lambda$ and $(m z - E\lambda)\,z \to E\lambda^2$: sympy finds the same fractions.

# %%
omega, z, G = derivation.sympy()
m = z * G - 1
first = (m * z).limit(omega, math.inf)
second = ((m * z - first) * z).limit(omega, math.inf)
assert (first, second) == relu_law.moments(2)
assert math.isclose(relu_law.r_transform(0.0), first, rel_tol=1e-12)  # R(0) = mean
assert math.isclose(relu_law.s_transform(0.0), 1 / first, rel_tol=1e-12)  # S(0) = 1/mean

# %% [markdown]
# ## Tables
#
# A table holds the density and the distribution function, with the atoms and the provenance beside
# them; it comes back from a file bit for bit.

# %%
table = law.table(points=300)
with tempfile.TemporaryDirectory() as folder:
    path = Path(folder, "density.csv")
    table.to_csv(path)
    assert ff.Table.read(path) == table
assert table.metadata["atoms"] == [list(atom) for atom in law.atoms]
print(table)

# %% [markdown]
# ## The learning rate
#
# Gradient descent on $\frac12|f(x) - y|^2$ is stable iff $\eta < 2/(M\lambda_{\max})$: the
# eigenvalues of $J J^T$ are $M$ times those of the dual.

# %%
width = 1000
eta = fim.max_learning_rate(width=width)
print(f"largest stable learning rate at width {width}: {eta:.3e}")
assert math.isclose(eta, 2 / (width * top), rel_tol=1e-12)

# %%
plt.show()
