"""Reference densities, edges and moments of smooth networks, computed apart from the package.

Densities at 200 points about the quantiles of the law, by Gauss-Legendre sums; every point is
corrected once with half as many nodes more, and every twentieth is compared with ball arithmetic of
proven radii. Both changes are written down; a point that more nodes move is taken from the balls.
Edges are corrected by ball arithmetic.

    python validation/golden/make_golden.py
"""

import json
from pathlib import Path

import flint
import mpmath as mp
import numpy as np
from chain_reference import (
    by_balls,
    by_finer_sums,
    chain_of,
    density,
    edge,
    quantile_points,
)
from series_reference import ACTIVATIONS, moments

HERE = Path(__file__).resolve().parent
WEIGHT_STD, BIAS_STD = "1.2", "0.3"
POINTS, BALLS_EVERY = 200, 20
SETTLED = 1e-11
DEPTHS = (2, 3, 5)
ENSEMBLES = ("orthogonal", "gaussian")
NARROW = 0.5


def densities(name, depth, weights):
    """The densities of one square network."""
    chain = chain_of(name, depth, weights, WEIGHT_STD, BIAS_STD)
    # an orthogonal network with one hidden layer has the atom of its gate
    atom = 0.5 if (name, depth, weights) == ("elu", 2, "orthogonal") else 0.0
    y, mass = quantile_points(chain, edge(chain, 1)[0], POINTS, atom)
    x = y + chain.shifts[-1]
    y = x - chain.shifts[-1]
    values, finer = np.transpose([density(chain, place, by_finer_sums) for place in y])
    moved = np.flatnonzero(finer > SETTLED)
    values[moved] = [density(chain, place, by_balls)[0] for place in y[moved]]
    finer = np.delete(finer, moved)
    balls = [density(chain, place, by_balls)[1] for place in y[BALLS_EVERY // 2 :: BALLS_EVERY]]
    print(f"{name} {depth} {weights}: mass {mass:.3f}, changes {max(finer):.1e} {max(balls):.1e}, "
          f"{moved.size} points by balls", flush=True)  # fmt: skip
    return {
        "activation": name,
        "depth": depth,
        "weights": weights,
        "shift": chain.shifts[-1],
        "x": x.tolist(),
        "pdf": values.tolist(),
        "change_by_finer_sums": float(max(finer)),
        "points_by_balls": moved.tolist(),
        "change_by_balls": max(balls),
    }


def ends(name, depth, weights, narrow):
    """Edges and moments of one network with narrow·M outputs."""
    chain = chain_of(name, depth, weights, WEIGHT_STD, BIAS_STD, narrow)
    right, change = edge(chain, 1)
    # a square network reaches down to its last shift, a narrow one does not
    left, other = edge(chain, -1) if narrow < 1 else (0.0, 0.0)
    return {
        "activation": name,
        "depth": depth,
        "weights": weights,
        "outputs": narrow,
        "edges": [left + chain.shifts[-1], right + chain.shifts[-1]],
        "change_by_balls": max(change, other),
        "moments": moments(name, depth, weights, WEIGHT_STD, BIAS_STD, repr(narrow)),
    }


def write(name, method, cases):
    """Write a file with one case a line."""
    head = {
        "provenance": {
            "script": "validation/golden/make_golden.py",
            "method": method,
            "python-flint": flint.__version__,
            "mpmath": mp.__version__,
            "numpy": np.__version__,
        },
        "weight_std": float(WEIGHT_STD),
        "bias_std": float(BIAS_STD),
    }
    lines = ",\n  ".join(json.dumps(case) for case in cases)
    text = json.dumps(head, indent=1)[:-2] + f',\n "cases": [\n  {lines}\n ]\n}}\n'
    (HERE / name).write_text(text)


def main():
    kinds = [(name, depth, weights) for name in ACTIVATIONS for depth in DEPTHS
             for weights in ENSEMBLES]  # fmt: skip
    write(
        "smooth_ends.json",
        "stationary points of the tied equations outside the support; power series, 30 digits",
        [ends(*kind, narrow) for kind in kinds if kind[1] > 2 for narrow in (1.0, NARROW)],
    )
    write(
        "smooth_densities.json",
        "tied equations continued from i·large, sums on bent paths, balls at every 20th point",
        [densities(*kind) for kind in kinds],
    )


if __name__ == "__main__":
    main()
