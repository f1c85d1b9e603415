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
# # The calculator
#
# Two large random matrices $A$ and $B$ whose eigenbases have nothing to do with each other are
# *free*. Then the eigenvalues of $A + B$ and of $A^{1/2} B A^{1/2}$ depend on those of $A$ and of
# $B$ alone: there is an arithmetic of spectra. It lives in three transforms of a law,
#
# $$ G(z) = E\,(z-\lambda)^{-1}, \qquad R(g) = z(g) - \tfrac1g, \qquad
#    S(m) = \tfrac{1+m}{m\,z(m)}, \quad m = zG - 1: $$
#
# $R$ adds in sums and $S$ multiplies in products. freefim computes with laws as others do with
# numbers. This notebook tours the calculator. Every `assert` is a theorem, and its other side comes
# from another route: a closed form, a hand computation, exact fractions or a real random matrix.

# %%
import math
from fractions import Fraction

import matplotlib.pyplot as plt
import mpmath
import numpy as np
import sympy

import freefim as ff

plt.rcParams.update({"figure.figsize": (9, 4.6), "figure.constrained_layout.use": True})
BLUE, RED, GREY, GREEN = "#1f4e8c", "#b3261e", "#8f99a3", "#2e7d4f"
HALF = Fraction(1, 2)


def inside(law, points=200):
    """Abscissae within the bands, away from the edges, where densities compare well."""
    share = np.linspace(0.02, 0.98, points)
    return np.concatenate([left + (right - left) * share for left, right in law.bands])


# %% [markdown]
# ## 1. The classic laws
#
# A law is a value: it compares, and prints as what makes it. Its numbers stay as they were given,
# so that fractions remain exact.

# %%
assert ff.Semicircle(1) == ff.Semicircle(variance=1, mean=0)
assert ff.MarchenkoPastur(HALF) != ff.MarchenkoPastur(Fraction(1, 3))

semicircle = ff.Semicircle(1)  # a symmetric matrix of independent entries
marchenko_pastur = ff.MarchenkoPastur(HALF)  # X Xᵀ/n, X of n/2 rows and n columns
kesten_mckay = ff.KestenMcKay(3)  # the adjacency matrix of a 3-regular graph
arcsine = ff.Arcsine(0, 2)  # the sum of two projections on random half spaces
wachter = ff.Wachter(HALF, Fraction(1, 3))  # (A + B)^-½ A (A + B)^-½, two sample covariances
fuss_catalan = ff.FussCatalan(2)  # squared singular values of a product of two square matrices
for law in (semicircle, marchenko_pastur, kesten_mckay, arcsine, wachter, fuss_catalan):
    print(f"{law!r:32}", *law.moments(6))

# %% [markdown]
# Their moments count things: Dyck paths, closed walks on the tree whose vertices have three
# neighbours, pairs of subsets, ternary trees.


# %%
def closed_walks(degree, length):
    """Closed walks from the root of a regular tree: here[d] walks end at distance d."""
    here = [1]
    for _ in range(length):
        there = [0] * (len(here) + 1)
        for distance, walks in enumerate(here):
            there[distance + 1] += walks * (degree - 1 if distance else degree)
            if distance:
                there[distance - 1] += walks
        here = there
    return here[0]


orders = range(1, 9)
assert list(semicircle.moments(8)) == [
    0 if k % 2 else Fraction(math.comb(k, k // 2), k // 2 + 1) for k in orders
]
assert list(marchenko_pastur.moments(8)) == [
    sum(HALF**j * Fraction(math.comb(k, j) * math.comb(k - 1, j), j + 1) for j in range(k))
    for k in orders
]
assert list(kesten_mckay.moments(8)) == [closed_walks(3, k) for k in orders]
assert list(arcsine.moments(8)) == [Fraction(math.comb(2 * k, k), 2**k) for k in orders]
assert list(fuss_catalan.moments(8)) == [Fraction(math.comb(3 * k, k), 2 * k + 1) for k in orders]

# %% [markdown]
# Their densities are classical, too. The first five are square roots over polynomials; that of the
# Fuss–Catalan law is known along a curve, $0 < t < \pi/(p+1)$ [Haagerup & Möller 2013]:
#
# $$ x = \frac{\sin^{p+1}((p+1)t)}{\sin t\,\sin^p(pt)}, \qquad
#    \rho(x) = \frac{\sin^2 t\,\sin^{p-1}(pt)}{\pi \sin^p((p+1)t)}. $$


# %%
def root(law, x):
    """√((b - x)(x - a)) on the band [a, b]."""
    ((left, right),) = law.bands
    return np.sqrt((right - x) * (x - left))


densities = {
    semicircle: lambda x: root(semicircle, x) / (2 * np.pi),
    marchenko_pastur: lambda x: root(marchenko_pastur, x) / (np.pi * x),
    kesten_mckay: lambda x: 3 * root(kesten_mckay, x) / (2 * np.pi * (9 - x**2)),
    arcsine: lambda x: 1 / (np.pi * root(arcsine, x)),
    wachter: lambda x: 5 * root(wachter, x) / (2 * np.pi * x * (1 - x)),
}
for law, density in densities.items():
    assert np.allclose(law.pdf(inside(law)), density(inside(law)), rtol=1e-12, atol=0)

for p in (1, 2, 5, 1000):
    t = np.linspace(0.02, 0.98, 200) * np.pi / (p + 1)
    x = np.sin((p + 1) * t) / np.sin(t) * (np.sin((p + 1) * t) / np.sin(p * t)) ** p
    density = np.sin(t) ** 2 / np.sin(p * t) / np.pi
    density *= (np.sin(p * t) / np.sin((p + 1) * t)) ** p
    law = ff.FussCatalan(p)
    assert np.allclose(law.pdf(x), density, rtol=1e-9, atol=0)
    assert math.isclose(law.support[1], (p + 1) * (1 + 1 / p) ** p, rel_tol=1e-12)

# %%
_, axes = plt.subplots(2, 3, figsize=(12, 6.6))
for ax, law in zip(axes.flat, [*densities, fuss_catalan], strict=True):
    law.plot(ax=ax, title=repr(law).replace("Fraction(1, 2)", "½").replace("Fraction(1, 3)", "⅓"))
    ax.title.set_fontsize(10)
    ax.get_legend().remove()

# %% [markdown]
# ## 2. Sums
#
# `+` is the free sum. Free cumulants, the coefficients of $R$, add: those of the semicircle are
# $0, 1, 0, 0, \dots$ and those of the Marchenko–Pastur law of ratio $c$ are $1, c, c^2, \dots$

# %%
total = ff.Semicircle(1) + ff.MarchenkoPastur(HALF)
print(total)
assert total.free_cumulants(5) == (1, HALF + 1, HALF**2, HALF**3, HALF**4)

# %% [markdown]
# By hand: $z = g + 1/(1 - g/2) + 1/g$, a cubic in $g$. Where it has a pair of complex roots is the
# band, and the one with $\mathrm{Im}\,g < 0$ is $G(x + i0)$, of density
# $-\mathrm{Im}\,G/\pi$. And a real matrix of that kind: a symmetric one plus a sample covariance,
# of size 800.


# %%
def cubic_density(x):
    """From the roots of g³ - (2 + x) g² + (2x - 1) g - 2 = 0."""
    return max(np.roots([1, -(2 + x), 2 * x - 1, -2]).imag) / np.pi


grid = inside(total)
assert np.allclose(total.pdf(grid), [cubic_density(x) for x in grid], rtol=1e-10, atol=0)

SIZE = 800
rng = np.random.default_rng(1)


def wigner(size=SIZE):
    """A symmetric matrix whose entries have the variance 1/size."""
    x = rng.standard_normal((size, size)) / math.sqrt(2 * size)
    return x + x.T


def covariance(ratio, size=SIZE):
    """X Xᵀ/n of n = size/ratio standard normal columns."""
    x = rng.standard_normal((size, round(size / ratio)))
    return x @ x.T / x.shape[1]


# Eigenvalues repel: the count below any x has the variance of a Gaussian orthogonal matrix. Four
# standard deviations of it; independent points would be off by 0.87 √800 = 25.
RIGID = 4 * math.sqrt(
    2 / np.pi**2 * (math.log(2 * np.pi * SIZE) + 1 + np.euler_gamma - np.pi**2 / 8)
)
eigenvalues = np.linalg.eigvalsh(wigner() + covariance(HALF))
off = SIZE * total.distance(eigenvalues, "ks")
print(f"off by {off:.1f} eigenvalues of {SIZE}")
assert off < RIGID

ax = total.plot(
    eigenvalues, ax=plt.subplots()[1], title="Semicircle ⊞ Marchenko–Pastur, one matrix of size 800"
)

# %% [markdown]
# ## 3. Products
#
# `@` is the free product: the law of $A^{1/2} B A^{1/2}$. Take a population covariance with the
# eigenvalues 1 and 7, half each, and five samples per dimension. The sample covariance has two
# bands, and *exactly* half of its eigenvalues in each: none strays [Bai & Silverstein 1999].

# %%
population = ff.Atomic((1, 7), (HALF, HALF))
product = ff.MarchenkoPastur(Fraction(1, 5)) @ population
print(product)
assert len(product.bands) == 2
assert np.allclose(product.band_masses, 0.5, rtol=1e-12, atol=0)

root_b = np.sqrt(np.repeat([1.0, 7.0], SIZE // 2))
eigenvalues = np.linalg.eigvalsh(covariance(Fraction(1, 5)) * root_b[:, None] * root_b)
gap = (product.edges[1] + product.edges[2]) / 2
assert np.sum(eigenvalues < gap) == SIZE // 2
assert SIZE * product.distance(eigenvalues, "ks") < RIGID

ax = product.plot(
    eigenvalues, ax=plt.subplots()[1], title="Two population values, five samples per dimension"
)

# %% [markdown]
# Where do the edges lie? In terms of $t = -1/\underline m$, with $\underline m$ the transform of
# the matrix $X^T B X/n$, Silverstein's equation gives
# $x(t) = t + \frac c2\big(\frac{t}{t-1} + \frac{7t}{t-7}\big)$, and the edges are its
# stationary values: the values at the roots of a quartic. The gap
# closes when two of them meet, at $c^* = 72/(1 + \sqrt[3]{49})^3 = 0.712$.

# %%
t = np.polynomial.Polynomial([0, 1])
for c in (0.2, 0.5, 0.7):
    quartic = (t - 1) ** 2 * (t - 7) ** 2 - c / 2 * ((t - 7) ** 2 + 49 * (t - 1) ** 2)
    points = quartic.roots()
    assert np.all(abs(points.imag) < 1e-12)
    values = points + c / 2 * (points / (points - 1) + 7 * points / (points - 7))
    law = ff.MarchenkoPastur(c) @ population
    assert np.allclose(law.edges, np.sort(values.real), rtol=1e-12, atol=0)

closing = 72 / (1 + 49 ** (1 / 3)) ** 3
for c, bands in ((closing * (1 - 1e-4), 2), (closing * (1 + 1e-4), 1)):
    assert len((ff.MarchenkoPastur(c) @ population).bands) == bands

ratios, step = np.linspace(0.01, 1, 67, retstep=True)
ax = plt.subplots()[1]
for c in ratios:
    law = ff.MarchenkoPastur(c) @ population
    spans = [(left, right - left) for left, right in law.bands]
    ax.broken_barh(spans, (c - step / 2, step), color=BLUE, lw=0)
ax.axhline(closing, color=RED, lw=1, label=r"$c^* = 72/(1+\sqrt[3]{49})^3$")
ax.set(
    xlabel="eigenvalue λ", ylabel="ratio c = dimensions/samples", title="How the two bands merge"
)
legend = ax.legend(frameon=False)

# %% [markdown]
# ## 4. A network is a member of the same algebra
#
# The conditional Fisher information of a hard-tanh network near dynamical isometry has a comb of
# bands. Its dual obeys $H_1 = \hat q_0$, $H_{l+1} = \hat q_l + W_{l+1} D_l H_l D_l W_{l+1}^T$,
# where $D_l$ is 1 on live units, a share $\alpha_l$, and 0 on dead ones. In the algebra of laws
# that is one line per layer. The network's own solver knows nothing of it, and agrees.

# %%
net = ff.Network(depth=4, activation=ff.HardTanh(cutoff=1.5))
law = ff.ConditionalFIM(net).law()
order = net.order_parameters()

by_hand = ff.PointMass(order.second_moments[0])
for alive, moment in zip(order.chi1, order.second_moments[1:-1], strict=True):
    by_hand = by_hand @ ff.Atomic((0, 1), (1 - alive, alive)) + moment

print(law)
assert len(law.bands) == 2 and len(law.atoms) == 3
assert np.allclose(by_hand.bands, law.bands, rtol=1e-10, atol=0)
assert np.allclose(by_hand.atoms, law.atoms, rtol=1e-12, atol=0)
assert np.allclose(by_hand.band_masses, law.band_masses, rtol=1e-10, atol=0)

# %% [markdown]
# So whatever can be done to a law can be done to that of a network. `compress` takes a corner: the
# Fisher information carried by half of the outputs. A network whose last layer is half as wide says
# the same. The sum of two free copies of the law, `free_power(2)`, is that corner doubled
# [Nica & Speicher 1996].

# %%
net = ff.Network(depth=8, activation=ff.HardTanh(cutoff=2.2))
comb = ff.ConditionalFIM(net).law()
half = comb.compress(HALF)
narrow = ff.ConditionalFIM(net.replace(width_ratios=(1,) * 8 + (0.5,))).law()
copies = comb.free_power(2)
print(half)
assert (len(comb.bands), len(half.bands)) == (6, 2)
assert np.allclose(half.bands, narrow.bands, rtol=1e-10, atol=0)
assert np.allclose(half.atoms, narrow.atoms, rtol=1e-10, atol=0)
assert np.allclose(half.pdf(inside(half)), narrow.pdf(inside(half)), rtol=1e-8, atol=0)
assert np.allclose(copies.bands, 2 * np.array(half.bands), rtol=1e-10, atol=0)
assert np.allclose(2 * copies.pdf(2 * inside(half)), half.pdf(inside(half)), rtol=1e-8, atol=0)

_, axes = plt.subplots(1, 2, figsize=(12, 4.6))
comb.plot(ax=axes[0], title="Comb of a network of depth 8")
ax = half.plot(ax=axes[1], title="The same, half of the outputs")

# %% [markdown]
# ## 5. Any tree of them
#
# Operations nest. Here are three levels with four leaves; one Newton system solves for all.

# %%
bottom = ff.MarchenkoPastur(Fraction(1, 4)) + ff.Uniform(0, 1)
middle = bottom @ ff.Atomic((1, 4), (HALF, HALF))
tree = middle + ff.Semicircle(Fraction(1, 4))
print(tree)

inner = covariance(Fraction(1, 4))
inner[np.diag_indices(SIZE)] += (np.arange(SIZE) + 0.5) / SIZE
q, r = np.linalg.qr(rng.standard_normal((SIZE, SIZE)))
inner = q @ inner @ q.T  # the diagonal matrix to come must be free of it
root_b = np.sqrt(np.repeat([1.0, 4.0], SIZE // 2))
matrix = inner * root_b[:, None] * root_b + wigner() / 2
eigenvalues = np.linalg.eigvalsh(matrix)
off = SIZE * tree.distance(eigenvalues, "ks")
print(f"off by {off:.1f} eigenvalues of {SIZE}")
assert off < RIGID
ax = tree.plot(eigenvalues, ax=plt.subplots()[1], title="A tree of depth 3 and one matrix")

# %% [markdown]
# Its moments are exact fractions and know nothing of the solver; integrating the density gives
# them back. The first two follow by hand: for free $A$, $B$ of means $a$, $b$ the product has the
# mean $ab$ and the variance $a^2 V_B + b^2 V_A$.

# %%
print("moments:", *tree.moments(4))
mean_a, variance_a = 1 + HALF, Fraction(1, 4) + Fraction(1, 12)
mean_b, variance_b = Fraction(5, 2), Fraction(9, 4)
assert tree.mean() == mean_a * mean_b
assert tree.variance() == mean_a**2 * variance_b + mean_b**2 * variance_a + Fraction(1, 4)
for k in range(1, 7):
    assert math.isclose(tree.expect(lambda x, k=k: x**k), tree.moment(k), rel_tol=1e-10)


# %% [markdown]
# Moments and free cumulants are tied by the generating function $M(x) = \sum_n m_n x^n$:
# $m_n = \sum_s \kappa_s\,[x^{n-s}] M^s$. That is all the combinatorics of noncrossing partitions.


# %%
def moments_of(cumulants):
    """Moments from free cumulants, in exact arithmetic."""
    moments = [Fraction(1)]
    for n in range(1, len(cumulants) + 1):
        power, value = [Fraction(1)] + [Fraction(0)] * n, Fraction(0)
        for s in range(1, n + 1):
            power = [sum(power[i] * moments[j - i] for i in range(j + 1) if j - i < n)
                     for j in range(n - s + 1)]  # fmt: skip
            value += cumulants[s - 1] * power[n - s]
        moments.append(value)
    return tuple(moments[1:])


assert moments_of(tree.free_cumulants(8)) == tree.moments(8)

# %% [markdown]
# The coefficients of $S$ multiply as power series.

# %%
first, second = ff.MarchenkoPastur(Fraction(1, 5)).s_series(6), population.s_series(6)
assert first == tuple((-Fraction(1, 5)) ** k for k in range(6))  # S = 1/(1 + c m)
series = product.s_series(6)
for k in range(6):
    assert series[k] == sum(first[i] * second[k - i] for i in range(k + 1))

# %% [markdown]
# ## 6. Subordination
#
# In a sum each matrix sees the other through a deformed spectral parameter: with the
# *subordination functions*, $G(z) = G_A(\omega_A(z)) = G_B(\omega_B(z))$ and
# $z = \omega_A + \omega_B - 1/G$. They map the upper half plane into itself and lie above $z$.

# %%
LEVELS, SHARES = (-2, 0, 3), (0.25, 0.5, 0.25)
a, b = ff.Atomic(LEVELS, SHARES), ff.Uniform(-1, 1)
law = a + b
x = np.linspace(-4, 5, 2000)
z = x + 0.02j
omega_a, omega_b = law.subordination(z).T
g = law.cauchy(z)
assert np.allclose(a.cauchy(omega_a), g, rtol=1e-9, atol=0)
assert np.allclose(b.cauchy(omega_b), g, rtol=1e-9, atol=0)
assert np.allclose(omega_a + omega_b - 1 / g, z, rtol=1e-10, atol=0)
assert min(omega_a.imag.min(), omega_b.imag.min()) >= 0.02

# %% [markdown]
# They say more than the spectrum: in the eigenbasis of $A$ the resolvent $(z - A - B)^{-1}$ is
# $1/(\omega_A(z) - a_i)$ on the diagonal. So $-\mathrm{Im}/\pi$ of it is the density of the share
# that eigenvector $i$ of $A$ has in the eigenvectors of $A + B$ near $x$. Sixteen pairs in bases
# related by a Haar unitary: the mean over the eigenvectors of one level scatters by $O(1/n)$, its
# bias is $O(1/n^2)$.

# %%
N, HEIGHT, REPLICAS = 200, 0.2, 16
levels = np.repeat(LEVELS, [round(share * N) for share in SHARES])
spread = (2 * np.arange(N) + 1) / N - 1
x = np.linspace(-3.5, 4.5, 81)
sampled = np.empty((REPLICAS, len(LEVELS), x.size), dtype=complex)
for replica in sampled:
    basis, _ = np.linalg.qr(rng.standard_normal((N, N, 2)) @ [1, 1j])
    values, vectors = np.linalg.eigh(np.diag(levels) + (basis * spread) @ basis.conj().T)
    for i, level in enumerate(LEVELS):
        overlaps = np.mean(abs(vectors[levels == level]) ** 2, axis=0)
        replica[i] = (overlaps / (x[:, None] + 1j * HEIGHT - values)).sum(axis=1)
overlap, scatter = -sampled.imag.mean(axis=0) / np.pi, sampled.imag.std(axis=0, ddof=1) / np.pi
omega = law.subordination(x + 1j * HEIGHT)[:, 0]

ax = plt.subplots()[1]
for i, (level, color) in enumerate(zip(LEVELS, (BLUE, RED, GREEN), strict=True)):
    limit = -(1 / (omega - level)).imag / np.pi
    at = np.argmax(limit)
    assert abs(overlap[i, at] - limit[at]) < 4 * scatter[i, at] / math.sqrt(REPLICAS)
    ax.plot(x, limit, color=color, label=f"eigenvectors of A at {level}")
    ax.plot(x[::2], overlap[i, ::2], "o", mfc="white", color=color, ms=4.5)
ax.set(
    xlabel="eigenvalue λ of A + B",
    ylabel="density of the overlap",
    title=f"Where the eigenvectors of A go (circles: sampled), smoothed over {HEIGHT}",
)
legend = ax.legend(frameon=False)

# %% [markdown]
# ## 7. The exact curve
#
# With rational numbers in it a law is an algebraic curve $P(z, G) = 0$. The sum of section 2, by
# sympy's own hands: clear the denominators of $z = g + 1/(1 - g/2) + 1/g$.

# %%
curve = total.polynomial()
Z, G = curve.gens
cleared = sympy.numer(sympy.together(G + 1 / (1 - G / 2) + 1 / G - Z))
print("P(z, G) =", curve.as_expr())
assert sympy.simplify(cleared / curve.as_expr()).is_number

# %% [markdown]
# The discriminant of $P$ vanishes at the edges, which so are algebraic numbers. Of its four roots
# two are real.

# %%
discriminant = total.discriminant()
edges = total.algebraic_edges()
print("discriminant:", discriminant)
assert sympy.simplify(sympy.discriminant(curve.as_expr(), G) / discriminant).is_number
assert np.allclose([float(edge) for edge in edges], total.edges, rtol=1e-13, atol=0)
assert len(sympy.real_roots(discriminant)) == len(edges) == 2
assert all(sympy.minimal_polynomial(edge, Z).has(Z**4) for edge in edges)

# %% [markdown]
# Symbols do as well: the moments, the curve and the edges of every Marchenko–Pastur law at once.

# %%
c = sympy.symbols("c", positive=True)
any_ratio = ff.MarchenkoPastur(c)
print("moments:", *any_ratio.moments(4))
print("P(z, G) =", any_ratio.polynomial().as_expr())
for sign in (-1, 1):
    edge = (1 + sign * sympy.sqrt(c)) ** 2
    assert sympy.expand(any_ratio.discriminant().subs(Z, edge)) == 0

# %% [markdown]
# ## 8. Fifty digits
#
# Densities, transforms, edges and moments come to any precision, from the same moves in mpmath. The
# cubic and the algebraic edges say whether the digits are right.

# %%
DIGITS = 50
with mpmath.workdps(DIGITS + 10):
    tolerance = mpmath.mpf(10) ** (1 - DIGITS)
    precise = total.pdf(1, digits=DIGITS)
    roots = mpmath.polyroots([1, -3, 1, -2], maxsteps=200, extraprec=200)  # the cubic at x = 1
    print("density at 1:", mpmath.nstr(precise, DIGITS))
    assert abs(precise - max(mpmath.im(root) for root in roots) / mpmath.pi) < tolerance

    for precise, edge in zip(total.precise_edges(DIGITS), edges, strict=True):
        print("edge:", mpmath.nstr(precise, DIGITS))
        assert abs(precise - mpmath.mpf(str(edge.evalf(DIGITS + 10)))) < 10 * tolerance

# %% [markdown]
# ## 9. What is refused, and why
#
# A wrong number is worse than none. What has no answer, or none that can be certified, says so.


# %%
def refusal(call):
    """The sentence with which something is refused."""
    try:
        call()
    except ff.SpecError as error:
        print("refused:", error)
        return str(error)
    raise AssertionError("an answer where there is none")


# %% [markdown]
# Cauchy laws have no moments. Sums with them are no trouble: they are classical convolutions, and
# the density is the other law's transform on a line above the real one.

# %%
heavy = ff.Cauchy(1) + ff.Semicircle(1)
assert refusal(heavy.mean).startswith("a Cauchy law has no moments")
assert np.allclose(heavy.pdf(x), -ff.Semicircle(1).cauchy(x + 1j).imag / np.pi, rtol=1e-12, atol=0)

# %% [markdown]
# A law of mean zero has no $S$ at 0: $m = zG - 1$ starts with the second moment over $z^2$, so
# $z(m)$ has two branches. If the law is symmetric its square helps, and the product is computed:
# a semicircle squared is a Marchenko–Pastur law, so that the square of
# $\mathrm{MP}(1) \boxtimes \mathrm{semicircle}$ is $\mathrm{MP}(1)^{\boxtimes 3}$, a
# Fuss–Catalan law. If it is not symmetric, the product is refused; and $A^{1/2} B A^{1/2}$ needs a
# positive $A$ anyway.

# %%
symmetric = ff.MarchenkoPastur(1) @ ff.Semicircle(1)
assert symmetric.square().moments(6) == ff.FussCatalan(3).moments(6)
x = np.linspace(0.05, 3, 100)
assert np.allclose(symmetric.pdf(x), x * ff.FussCatalan(3).pdf(x**2), rtol=1e-9, atol=0)

skewed = ff.Atomic((-1, 2), (Fraction(2, 3), Fraction(1, 3)))
assert refusal(lambda: skewed @ ff.MarchenkoPastur(1)).startswith(
    "a factor of mean 0 has no S-transform"
)
assert refusal(lambda: skewed @ skewed).startswith("a free product needs one factor on [0, ∞)")

# %% [markdown]
# An inverse needs a law without zeros, a free power an exponent of at least 1 (below, most laws
# would get negative densities), an exact curve algebraic leaves and exact numbers.

# %%
assert "without mass at 0" in refusal(ff.MarchenkoPastur(2).inverse)
assert refusal(lambda: ff.KestenMcKay(3).free_power(HALF)).startswith("exponent must be >= 1")
assert "Uniform(left=0, right=1)" in refusal((ff.Uniform(0, 1) + ff.Semicircle(1)).polynomial)
assert refusal(ff.MarchenkoPastur(0.5).polynomial).endswith("got 0.5")
assert refusal(lambda: ff.MarchenkoPastur(-1)) == "ratio must be > 0, got -1"

# %%
plt.show()
