"""Five hundred random networks: each gives a law that balances, or says why not.

For every network the moments 1-4 by quadrature over atoms and bands are compared with the series
recursion, which knows nothing of bands; every twelfth is compared with sampled networks too.
Networks without a law are listed with their reason, and more than one in a hundred of them, or a
single wrong number, fails the run.

    python validation/random_networks.py --count 500 --output validation/random_networks.csv
"""

import argparse
import math
import sys
import time
from collections.abc import Iterator

import numpy as np

import freefim as ff

ACTIVATIONS = (
    ff.Linear(), ff.Abs(), ff.ReLU(), ff.LeakyReLU(0.2), ff.ShiftedReLU(0.5), ff.HardTanh(),
    ff.Tanh(), ff.Erf(), ff.Sine(), ff.GELU(), ff.SiLU(), ff.ELU(), ff.Softplus(),
)  # fmt: skip
TOLERANCE = 1e-8
# Largest share of networks that may be refused with a reason.
REFUSED = 0.01
# Reference width of the sampled networks; the ratios make widths of 60 to 600 of it.
WIDTH = 200


def random_networks(count: int, seed: int) -> Iterator[ff.Network]:
    """Networks over the whole range of the description, each activation in turn."""
    rng = np.random.default_rng(seed)
    for index in range(count):
        depth = round(math.exp(rng.uniform(math.log(2), math.log(30))))
        activation = ACTIVATIONS[index % len(ACTIVATIONS)]
        layers = [activation] * (depth - 1)
        if rng.random() < 0.1:
            layers = [ACTIVATIONS[i] for i in rng.integers(len(ACTIVATIONS), size=depth - 1)]
        weights = ("orthogonal", "gaussian")[int(rng.integers(2))]
        ratios = None
        if rng.random() < 0.5:
            ratios = tuple(np.exp(rng.uniform(math.log(0.3), math.log(3), depth + 1)).tolist())
        yield ff.Network(
            depth,
            tuple(layers),
            weights=weights,
            weight_std=float(rng.uniform(0.5, 2.0)),
            bias_std=float(rng.uniform(0.0, 1.0)),
            input_second_moment=float(math.exp(rng.uniform(math.log(0.1), math.log(10)))),
            width_ratios=ratios,
        )


def check(net: ff.Network) -> dict[str, object]:
    """The verdict on one network: largest relative error of four moments, or the refusal."""
    started = time.perf_counter()
    row: dict[str, object] = {"error": math.nan, "bands": 0, "atoms": 0, "reason": ""}
    try:
        law = ff.ConditionalFIM(net).law()
        series = [float(law.moment(k)) for k in range(1, 5)]
        found = [law.expect(lambda x, k=k: x**k) for k in range(1, 5)]
        row["error"] = float(np.max(np.abs(np.array(found) / series - 1)))
        row["bands"], row["atoms"] = len(law.bands), len(law.atoms)
        grid = law.grid(101)
        if np.isnan(law.pdf(grid)).any() or np.isnan(law.cdf(grid)).any():
            row["error"] = math.inf
    except ff.ConvergenceError as problem:
        row["reason"] = str(problem)
    row["seconds"] = time.perf_counter() - started
    return row


def verdict(net: ff.Network) -> str:
    """PASS, or why sampled networks contradict the law."""
    try:
        report = ff.ConditionalFIM(net).validate(width=WIDTH, replicas=16, seed=1)
    except ff.ConvergenceError as problem:
        return f"no conditional law: {problem}"
    return "PASS" if report.passed else "; ".join(report.reasons)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--count", type=int, default=500)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--first", type=int, default=0)
    parser.add_argument("--output")
    arguments = parser.parse_args()
    rows: list[dict[str, object]] = []
    for index, net in enumerate(random_networks(arguments.count, arguments.seed)):
        if index < arguments.first:
            continue
        row: dict[str, object] = {
            "index": index,
            "activation": type(net.activations[0]).__name__,
            "mixed": len(set(net.activations)) > 1,
            "depth": net.depth,
            "weights": net.ensembles[0],
            "square": net.width_ratios is None,
        }
        row |= check(net)
        row["verdict"] = ""
        if index % 12 == 0 and not row["reason"]:
            row["verdict"] = verdict(net)
        rows.append(row)
        bad = (
            row["reason"]
            or not float(str(row["error"])) <= TOLERANCE
            or row["verdict"] not in ("", "PASS")
        )
        if bad or index % 50 == 49:
            head = f"{index:4d} {row['activation']:12s} depth {net.depth:3d} {row['weights']:10s}"
            print(head, f"error {row['error']:.1e}", row["reason"], row["verdict"], flush=True)
    refused = [row for row in rows if row["reason"]]
    wrong = [r for r in rows if not r["reason"] and not float(str(r["error"])) <= TOLERANCE]
    if arguments.output:
        columns = {name: np.array([row[name] for row in rows]) for name in rows[0]}
        ff.Table(columns, {"seed": arguments.seed, "tolerance": TOLERANCE}).write(arguments.output)
    unjudged = [row for row in rows if str(row["verdict"]).startswith("no conditional law")]
    failed = [row for row in rows if row["verdict"] not in ("", "PASS") and row not in unjudged]
    sampled = sum(row["verdict"] != "" for row in rows)
    slow = max(float(str(row["seconds"])) for row in rows)
    print(f"{len(rows)} networks: {len(wrong)} wrong, {len(refused)} refused, slowest {slow:.2f} s")
    print(
        f"{sampled} sampled at width {WIDTH}: {len(failed)} contradict the law, "
        f"{len(unjudged)} without a conditional law"
    )
    return int(bool(wrong or failed) or len(refused) + len(unjudged) > REFUSED * len(rows))


if __name__ == "__main__":
    sys.exit(main())
