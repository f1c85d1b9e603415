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
# # Proofs
#
# Every number of freefim can be asked for its proof: an interval with rational ends, computed in
# ball arithmetic (python-flint, `pip install "freefim[exact]"`), that is certain to hold it. This
# notebook says what is proved, how, and what is not.

# %%
import json
import subprocess
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import numpy as np
from flint import acb, arb, fmpq
from mpmath import mp

import freefim as ff
from freefim.free.chains.chain import Affine, Chain, Gaussian, Product
from freefim.free.chains.chain_law import ChainLaw
from freefim.free.leaves.leaf import TwoPoint
from freefim.free.proofs.certificate import certificate, points_of_bands


def refusal(question):
    """The words in which a question is refused."""
    try:
        question()
    except ff.ConvergenceError as error:
        return str(error)
    raise AssertionError("not refused")


# %% [markdown]
# ## An enclosure
#
# The density of a law at a point of a band, its distribution function, its edges and atoms. A float
# stands for the binary fraction that it is: the point $x = 3$ is $3$, the point $x = 0.1$ is not
# $1/10$. Forty digits, found on another way (continuation from infinity in mpmath), lie inside.

# %%
net = ff.Network(depth=5, activation="hard_tanh", weights="orthogonal", weight_std=1.2)
law = ff.ConditionalFIM(net).law()
density = law.certified_pdf(3.0)
print(density, law.certified_cdf(3.0), law.certified_edges(), sep="\n")
assert law.pdf(3.0, digits=40) in density
assert density.width < 1e-12
assert abs(density.midpoint - law.pdf(3.0)) < 1e-13

# %% [markdown]
# ## How a density is proved
#
# The law of a chain of two-point gates, Gaussian matrices and corners is a curve $t \mapsto z(t)$,
# explicit and rational. A density needs the root of $z(t) = x$ on the physical sheet. A box around
# the computed root is mapped into itself by the interval Newton operator
#
# $$ N(T) = t_0 - \frac{z(t_0) - x}{z'(T)} \subset \mathrm{int}\, T, $$
#
# so that it holds exactly one root. Every convolution is a map $H$ of the upper half plane, and
# $\{\mathrm{Im}\, H > 0\}$ lies above a graph: so the root is the physical one if
# $\mathrm{Im}\, z_l > 0$ over the whole box after every convolution but the last. No path from
# infinity is needed, and a root fed in from another sheet is turned down. Four square Gaussian
# matrices, $z = (1 + t)^5/t^4$, have two roots in the upper half plane; one is physical:

# %%
from freefim.free.proofs.balls import box, precision
from freefim.free.proofs.curve import Curve, compile_chain
from freefim.free.proofs.roots import proved_box

program = compile_chain(Chain(1, (Gaussian(1, 1),) * 4))
roots = [t for t in np.roots([1, 5 - 2, 10, 10, 5, 1]) if t.imag > 0]
with precision(128):
    curve = Curve(program)
    verdicts = [
        proved_box(curve, Fraction(2), box(acb(complex(t)), arb(1e-9))) is not None for t in roots
    ]
print(*zip(map(complex, roots), verdicts, strict=True))
assert sorted(verdicts) == [False, True]

# %% [markdown]
# ## Bands: all of them, and no others
#
# A real $t$ lies in a gap iff $dz/dt > 0$ after every convolution. Between its poles each $H'$ is
# concave, so that a cell between two poles holds at most one gap: either a point of it is found and
# both its ends are enclosed, or the tangents of $H'$ at two points meet below zero and exclude it.
# The poles themselves are known in advance: the points where $z = 0$ in the lowest gap, and atoms.
# So the list of bands is proved complete. The deep comb of Hayase and Karakida, 60 layers with
# $1 - \alpha = 0.1/59$, has 58 bands; each holds exactly the mass that one gate takes out.

# %%
share = 0.1 / 59
gate = Product(TwoPoint(0.0, 1.0, 1 - share, share))
comb = ChainLaw(Chain(1.0, (gate, Affine(1 / (1 - share), 1.0)) * 59))
bands = comb.prover.structure.bands
widest = max(edge.width for edge in comb.certified_edges())
print(len(bands), "bands; an edge is known to", widest)
assert len(bands) == 58
assert {band.mass for band in bands} == {Fraction(share)}
assert widest < 1e-30

# %% [markdown]
# Masses are exact rationals: combinations of those that the gates take out. Atoms follow exact
# rules. Together they make 1, not up to rounding but exactly.

# %%
structure = law.prover.structure
total = sum(mass for _, mass in structure.atoms) + sum(band.mass for band in structure.bands)
assert total == 1
assert law.certified_cdf(100).lower == law.certified_cdf(100).upper == 1
assert law.certified_pdf(100).upper == 0

# %% [markdown]
# ## Of what law it is a proof
#
# Of the chain with exactly its numbers. Where the network is rational, and its gates are (ReLU,
# linear), the chain is the network's. The gates of hard-tanh have masses like
# $\mathrm{erf}(1/\sqrt{2q})$, which the chain holds as floats: what is proved is proved of the
# rounded chain. How far it is from the network's own, ball arithmetic tells as well:

# %%
rational = ff.ConditionalFIM(ff.Network(4, "relu", weights="gaussian", weight_std=Fraction(3, 2)))
assert all(isinstance(n, Fraction | int) for _, numbers in rational.law().prover.program.steps
           for n in numbers)  # fmt: skip
assert rational.law().prover.program.steps[0][1] == (Fraction(1, 2), Fraction(1))

with precision(128):
    variance = arb(fmpq(144, 100))  # q_1 = 1.2² for the input second moment 1
    dead = (1 / (2 * variance).sqrt()).erfc()
    stored = law.chain.moves[0].leaf.complement
    gap = abs(arb(stored) - dead)
    print("the first gate takes out", dead, "; the chain is off by", gap)
assert gap < 1e-16

# %% [markdown]
# ## Certificates
#
# `freefim certify net.toml --points 200 -o certificate.json` writes down all that a proof needs:
# parameters as rationals, boxes, cells, enclosures. `validation/check_certificate.py`, 150 lines
# that know python-flint but nothing of freefim, recomputes every statement and rejects a
# certificate in which one of them is false.

# %%
data = certificate(law, points_of_bands(law, 40))
CHECKER = Path(ff.__file__).parents[1] / "validation" / "check_certificate.py"


def is_accepted(content):
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder, "certificate.json")
        path.write_text(json.dumps(content), encoding="utf-8")
        done = subprocess.run([sys.executable, CHECKER, path], capture_output=True, check=False)
    return done.returncode == 0


if CHECKER.exists():  # it comes with the repository
    assert is_accepted(data)
    low, high = data["points"][7]["pdf"]
    data["points"][7]["pdf"] = [str(Fraction(high)), str(2 * Fraction(high) - Fraction(low))]
    assert not is_accepted(data)

# %% [markdown]
# ## What is not proved
#
# * **At an edge and at a cusp** the root is double: nothing is enclosed there, and that is said. A
#   gap that closes exactly is neither proved nor excluded; the rest of the law is.

# %%
closing = ChainLaw(
    Chain(1, (Product(TwoPoint(0, 1, Fraction(1, 5), Fraction(4, 5))), Affine(1, 1),
              Gaussian(Fraction(32, 5), 1)))
)  # fmt: skip
print(refusal(closing.certified_edges))
print(refusal(lambda: closing.certified_pdf(Fraction(54, 5))))  # the cusp
assert closing.certified_pdf(10.8).lower > 0  # a float beside it
marchenko_pastur = ChainLaw(Chain(1, (Gaussian(1, 1),)))
assert "edge" in refusal(lambda: marchenko_pastur.certified_pdf(4))
with mp.workdps(40):
    inside = mp.sqrt(mp.mpf("3.5") * mp.mpf("0.5")) / (2 * mp.pi * mp.mpf("3.5"))
    proved = marchenko_pastur.certified_pdf(3.5)
    assert abs(inside - proved.midpoint) < 1e-16 + proved.width

# %% [markdown]
# * **A convolution after a padding** (orthogonal layers that widen in the middle of a network): the
#   densities and masses are proved, the list of bands is not.
# * **Smooth gates**: what has no closed form needs a rigorous quadrature; where there is none the
#   proof is refused.
# * **Certificates** are written for chains without paddings, not for trees of laws.
# * **Edges of trees** that are no square roots (hard edges) are held in brackets: no
#   edge lies outside the brackets, one at least lies in each.
# * **The limit**: that the eigenvalues of a network of finite width follow the law is a theorem for
#   infinite width, and a measurement (`validate`) for finite ones; no enclosure speaks of it.

# %%
widening = ff.Network(4, "relu", weights="orthogonal", weight_std=1.4, width_ratios=(1, 1, 2, 2, 2))
wide = ff.ConditionalFIM(widening).law()
print(refusal(wide.certified_edges))
assert wide.pdf(sum(wide.bands[-1]) / 2, digits=40) in wide.certified_pdf(sum(wide.bands[-1]) / 2)
