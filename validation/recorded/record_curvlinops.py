"""Record what curvlinops measures of a small torch network, for the tests to lay over its law.

Needs torch and curvlinops-for-pytorch, which the tests do not. Run it as a script; it writes
`curvlinops.json` beside itself. The network is drawn by numpy from a seed, so that a test can
build it again.
"""

import json
from importlib.metadata import version
from itertools import pairwise
from pathlib import Path

import numpy as np
import torch
from curvlinops import (
    GGNLinearOperator,
    JacobianLinearOperator,
    TransposedJacobianLinearOperator,
)
from curvlinops.papyan2020traces.spectrum import fast_lanczos, lanczos_approximate_spectrum
from scipy.sparse.linalg import eigsh

SEED, WIDTHS, WEIGHT_STD, BIAS_STD = 7, (32, 64, 64, 48), 1.5, 0.1
RUNS, NODES, GRID = 16, 24, 256


def network() -> tuple[torch.nn.Sequential, torch.Tensor]:
    """Build the network and its input: of each layer the weights, then the biases."""
    rng = np.random.default_rng(SEED)
    x = torch.from_numpy(rng.standard_normal(WIDTHS[0]))
    parts: list[torch.nn.Module] = []
    for fan_in, fan_out in pairwise(WIDTHS):
        linear = torch.nn.Linear(fan_in, fan_out, dtype=torch.float64)
        weights = rng.standard_normal((fan_out, fan_in)) * WEIGHT_STD / fan_in**0.5
        with torch.no_grad():
            linear.weight.copy_(torch.from_numpy(weights))
            linear.bias.copy_(torch.from_numpy(BIAS_STD * rng.standard_normal(fan_out)))
        parts += [linear, torch.nn.Tanh()]
    return torch.nn.Sequential(*parts[:-1]), x


def main() -> None:
    """Measure and write."""
    torch.manual_seed(SEED)
    module, x = network()
    parameters = list(module.parameters())
    target = torch.zeros(1, WIDTHS[-1], dtype=torch.float64)
    data = [(x[None], target)]
    # the loss is a sum of squares, without the half: its GGN is 2 JᵀJ
    ggn = GGNLinearOperator(module, torch.nn.MSELoss(reduction="sum"), parameters, data)
    eigenvalues = np.sort(eigsh(ggn.to_scipy(), k=WIDTHS[-1], return_eigenvectors=False))
    dual = JacobianLinearOperator(module, parameters, data) @ TransposedJacobianLinearOperator(
        module, parameters, data
    )
    runs = [fast_lanczos(dual, NODES) for _ in range(RUNS)]
    grid, density = lanczos_approximate_spectrum(
        dual, NODES, GRID, RUNS, boundaries=(eigenvalues[0] / 2, eigenvalues[-1] / 2)
    )
    packages = ("curvlinops-for-pytorch", "torch", "numpy", "scipy")
    record = {
        "versions": {name: version(name) for name in packages},
        "network": {
            "seed": SEED,
            "widths": WIDTHS,
            "weight_std": WEIGHT_STD,
            "bias_std": BIAS_STD,
            "activation": "tanh",
        },
        "ggn": {
            "what": "the nonzero eigenvalues of GGNLinearOperator, MSELoss(sum): 2 JᵀJ",
            "dimension": ggn.shape[0],
            "eigenvalues": eigenvalues.tolist(),
        },
        "lanczos": {
            "what": "fast_lanczos of JacobianLinearOperator @ TransposedJacobianLinearOperator",
            "nodes": [values.tolist() for values, _ in runs],
            "weights": [(vectors[0] ** 2).tolist() for _, vectors in runs],
        },
        "density": {
            "what": "lanczos_approximate_spectrum of the same operator",
            "grid": grid.tolist(),
            "density": density.tolist(),
        },
    }
    path = Path(__file__).with_name("curvlinops.json")
    path.write_text(json.dumps(record, indent=1, ensure_ascii=False) + "\n", encoding="utf-8")


if __name__ == "__main__":
    main()
