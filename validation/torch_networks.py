"""Torch networks against the law that is predicted for them, as drawn and after training.

Of each network the conditional law (realised order parameters, gates and weights) is compared with
the exact eigenvalues of its dual by automatic differentiation. As drawn, the Kolmogorov-Smirnov
distance must stay below 0.02 and every atom must be counted exactly; a trained network, the
directions of whose weights have met the data, is reported as it is, not judged.

Training: stochastic gradient descent, handwritten digits of scikit-learn to an orthogonal embedding
of themselves, batches of 32, at a tenth of the largest stable learning rate on one sample.

    python validation/torch_networks.py --output validation/torch_networks.csv
"""

import argparse
import sys
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from sklearn.datasets import load_digits
from torch import nn

import freefim as ff
from freefim.interop.torch import compare, realised

ALLOWED = 0.02
STEPS = (0, 300)
SEED = 0


def orthogonal(gain):
    return lambda w: nn.init.orthogonal_(w, gain)


def gaussian(weight_std):
    return lambda w: nn.init.normal_(w, std=weight_std / w.shape[1] ** 0.5)


SQUARE = (512,) * 7
CASES = {
    "orthogonal hard-tanh": (nn.Hardtanh(), orthogonal(1.02), None, SQUARE),
    "Gaussian ReLU": (nn.ReLU(), gaussian(2**0.5), 0.0, SQUARE),
    "Gaussian tanh": (nn.Tanh(), gaussian(1.5), 0.1, SQUARE),
    "orthogonal GELU": (nn.GELU(), orthogonal(1.5), 0.1, SQUARE),
    "uniform ReLU": (nn.ReLU(), nn.init.kaiming_uniform_, 0.0, SQUARE),
    "orthogonal hard-tanh, many widths": (
        nn.Hardtanh(), orthogonal(1.1), None, (512, 640, 400, 512, 700, 300, 512),
    ),
    "Gaussian leaky ReLU, many widths": (
        nn.LeakyReLU(0.2), gaussian(1.4), 0.1, (512, 640, 400, 512, 700, 300, 512),
    ),
}  # fmt: skip


def network(activation, fill, bias_std, widths):
    """A module as described."""
    parts = []
    for fan_in, fan_out in pairwise(widths):
        linear = nn.Linear(fan_in, fan_out, bias=bias_std is not None)
        fill(linear.weight)
        if linear.bias is not None:
            nn.init.normal_(linear.bias, std=bias_std)
        parts += [linear, activation]
    return nn.Sequential(*parts[:-1])


def digits(size):
    """The digits, centred, in `size` dimensions, of mean square 1."""
    values = torch.from_numpy(load_digits().data).float()
    values = values - values.mean(dim=0)
    embedding = nn.init.orthogonal_(torch.empty(size, values.shape[1]))
    values = values @ embedding.T
    return values * size**0.5 / values.norm(dim=1, keepdim=True)


def row(name, steps, module, x):
    """One comparison."""
    report = compare(module, x)
    predicted, measured = report.max_eigenvalues
    top = next((a for a in report.atoms if a.location == predicted), None)
    return {
        "network": name,
        "steps": steps,
        "ensembles": ", ".join(sorted({w.ensemble or "other" for w in report.network.weights})),
        "ks": report.ks,
        "ideal_ks": report.null_ks,
        "wasserstein": report.wasserstein,
        "mean_law": float(report.law.mean()),
        "mean_network": report.spectrum.moments(1)[0],
        "max_law": predicted,
        "max_network": measured,
        "top_atom_law": 0.0 if top is None else top.expected,
        "top_atom_network": 0 if top is None else top.counted,
        "atoms_exact": all(abs(a.expected - a.counted) < 1e-6 for a in report.atoms),
    }


def rows(name):
    """One network as drawn and on its way."""
    torch.manual_seed(SEED)
    module = network(*CASES[name])
    inputs, targets = digits(CASES[name][3][0]), digits(CASES[name][3][-1])
    x = inputs[0]
    descent = torch.optim.SGD(
        module.parameters(), lr=0.1 * float(realised(module, x).learning_rate("mse"))
    )
    done = 0
    for steps in STEPS:
        for step in range(done, steps):
            batch = torch.arange(32 * step, 32 * (step + 1)) % len(inputs)
            descent.zero_grad()
            nn.MSELoss()(module(inputs[batch]), targets[batch]).backward()
            descent.step()
        done = steps
        yield row(name, steps, module, x)


def main():
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("--output", default="validation/torch_networks.csv")
    parser.add_argument(
        "--case", action="append", choices=list(CASES), help="only these; the table keeps others"
    )
    arguments = parser.parse_args()
    cases = arguments.case or list(CASES)
    found = [made for made in stored(arguments.output) if made["network"] not in cases]
    for name in cases:
        for made in rows(name):
            found.append(made)
            numbers = {key: value for key, value in made.items() if isinstance(value, float)}
            shown = ", ".join(f"{key} {value:.5g}" for key, value in numbers.items())
            print(f"{name}, {made['steps']} steps: {shown}", flush=True)
        write(found, arguments.output)
    failed = [
        made["network"]
        for made in found
        if made["steps"] == 0 and not (made["ks"] < ALLOWED and made["atoms_exact"])
    ]
    print("failed:" if failed else "passed", *failed)
    return 1 if failed else 0


def stored(path):
    """The rows of a table that is there already."""
    if not Path(path).exists():
        return []
    table = ff.Table.read(path)
    return [{key: table[key][i].item() for key in table.columns} for i in range(len(table))]


def write(found, path):
    """The table, in the order of the cases."""
    order = list(CASES)
    found.sort(key=lambda made: (order.index(made["network"]), made["steps"]))
    columns = {key: np.array([made[key] for made in found]) for key in found[0]}
    metadata = {"seed": SEED, **{name: version(name) for name in ("torch", "numpy", "freefim")}}
    ff.Table(columns, metadata).write(path)


if __name__ == "__main__":
    sys.exit(main())
