"""Reference densities of smooth networks, by ball arithmetic.

The tied equations of a chain are solved once more with transforms m and 1 + m from
`tests/free/leaf_references.py`: integrals along polygons with proven radii (python-flint, 120
bits), correct to every digit of a 64-bit number. The unknowns start at the computed solution and
are corrected until the residuals are rounding; the Jacobian comes from finite differences and has
no say in where that ends.

    python validation/golden/make_golden.py
"""

import json
import sys
from multiprocessing import Pool
from pathlib import Path

import flint
import numpy as np

import freefim as ff
from freefim.free.chains.chain import Affine, Gaussian, Product, numeric
from freefim.free.joint.kernels import leaf_values
from freefim.free.joint.program import compile_chain, leaf_table
from freefim.free.joint.start import descend

HERE = Path(__file__).resolve().parent
sys.path.insert(0, str(HERE.parents[1] / "tests" / "free"))

import leaf_references  # noqa: E402

WEIGHT_STD, BIAS_STD = 1.2, 0.3
CASES = [
    *((name, 3, weights, 200) for name in ("tanh", "erf", "sine")
      for weights in ("orthogonal", "gaussian")),
    *((name, depth, weights, 20) for name in ("tanh", "erf", "sine") for depth in (2, 5)
      for weights in ("orthogonal", "gaussian") if (depth, weights) != (2, "orthogonal")),
    *((name, depth, weights, 20) for name in ("gelu", "silu", "elu", "softplus")
      for depth, weights in ((2, "gaussian"), (3, "orthogonal"), (3, "gaussian"))),
]  # fmt: skip


def residuals(chain, y, w, transform):
    """Errors of the tied equations at the unknowns w, and n = y·G."""
    first, *moves = chain.moves
    errors = []
    m, n = transform(first.leaf, w[0])
    z, k = chain.start * w[0], 0
    for move in moves:
        if isinstance(move, Product):
            k += 1
            lm, ln = transform(move.leaf, w[k])
            errors.append(lm / m - 1 if abs(m) < 0.5 else ln / n - 1)
            m, n = lm, ln
            z = z * m * w[k] / n
        elif isinstance(move, Gaussian):
            z = move.variance * z * (move.ratio + m)
            m, n = m / move.ratio, (move.ratio - 1 + n) / move.ratio
        elif isinstance(move, Affine):
            z *= move.scale
            m, n, z = m + move.shift * n / z, n * (z + move.shift) / z, z + move.shift
    # The last shift belongs to x, not to y.
    last = moves[-1].shift
    n, z = n * (z - last) / z, z - last
    return np.array([*errors, z / y - 1]), n


def reference(chain, name, y):
    """Density at y by ball arithmetic, and the last correction of the unknowns."""
    tables = {id(move.leaf): leaf_table([move.leaf])
              for move in chain.moves if isinstance(move, Product)}  # fmt: skip

    def quick(leaf, w):
        m, n, _ = leaf_values(np.array([w]), 0, *tables[id(leaf)])[0]
        return m, n

    def exact(leaf, w):
        return leaf_references.transform(name, repr(leaf.variance), w)

    _, w, _ = descend(compile_chain(chain), complex(y))
    columns = []
    for k in range(w.size):
        step = np.zeros_like(w)
        step[k] = 1e-6j * w[k]
        ahead, back = (residuals(chain, y, w + s, quick)[0] for s in (step, -step))
        columns.append((ahead - back) / (2 * step[k]))
    jacobian = np.array(columns).T
    for _ in range(4):
        errors, n = residuals(chain, y, w, exact)
        move = np.linalg.solve(jacobian, errors)
        last = float(np.abs(move / w).max())
        if last < 1e-13:
            break
        w = w - move
    return float(-n.imag / np.pi / y), last


def solved(case):
    """One case: points at quantiles of the law, densities there."""
    name, depth, weights, count = case
    net = ff.Network(depth, name, weights=weights, weight_std=WEIGHT_STD, bias_std=BIAS_STD)
    law = ff.ConditionalFIM(net).law()
    chain = numeric(law.chain)
    x = [float(law.icdf(share)) for share in (np.arange(count) + 0.5) / count]
    pairs = [reference(chain, name, place - chain.moves[-1].shift) for place in x]
    values, lasts = zip(*pairs, strict=True)
    off = float(np.abs(law.pdf(np.array(x)) / np.array(values) - 1).max())
    print(f"{name} {depth} {weights}: law off by {off:.1e}, last correction {max(lasts):.1e}",
          flush=True)  # fmt: skip
    return {"activation": name, "depth": depth, "weights": weights, "x": x, "pdf": list(values),
            "last_correction": max(lasts)}  # fmt: skip


def main():
    with Pool(2) as pool:
        cases = pool.map(solved, CASES, chunksize=1)
    out = {
        "provenance": {
            "script": "validation/golden/make_golden.py",
            "method": "tied equations with transforms by ball integrals, 120 bits",
            "python-flint": flint.__version__,
            "numpy": np.__version__,
            "digits": 15,
        },
        "weight_std": WEIGHT_STD,
        "bias_std": BIAS_STD,
        "cases": cases,
    }
    (HERE / "smooth_densities.json").write_text(json.dumps(out, indent=1) + "\n")


if __name__ == "__main__":
    main()
