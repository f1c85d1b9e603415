"""The conditional law of a torch network meets its exact spectrum."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from freefim.errors import ConvergenceError  # noqa: E402
from freefim.interop import torch as interop  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    torch.set_num_threads(1)
    torch.manual_seed(0)


def chain(activation, fill, widths, bias_std=None, last=None):
    parts = []
    for fan_in, fan_out in pairwise(widths):
        linear = nn.Linear(fan_in, fan_out, bias=bias_std is not None)
        fill(linear.weight)
        if bias_std is not None:
            nn.init.normal_(linear.bias, std=bias_std)
        parts += [linear, activation]
    return nn.Sequential(*parts[:-1], *([last] if last else []))


def unit_input(size):
    x = torch.randn(size)
    return x * size**0.5 / x.norm()


def orthogonal(gain):
    return lambda w: nn.init.orthogonal_(w, gain)


def gaussian(weight_std):
    return lambda w: nn.init.normal_(w, std=weight_std / w.shape[1] ** 0.5)


@pytest.mark.parametrize("last", [None, nn.Tanh()])
@pytest.mark.parametrize("bias_std", [None, 0.3])
@pytest.mark.parametrize("activation", [nn.Hardtanh(), nn.GELU(), nn.LeakyReLU(0.2)])
def test_the_exact_dual_is_that_of_all_parameters(activation, bias_std, last):
    module = chain(activation, gaussian(1.4), (7, 9, 6, 5), bias_std, last).double()
    x = torch.randn(7).double()
    parameters = dict(module.named_parameters())
    blocks = torch.func.jacrev(lambda p: torch.func.functional_call(module, p, (x,)))(parameters)
    jacobian = torch.cat([block.flatten(1) for block in blocks.values()], dim=1)
    want = np.linalg.eigvalsh((jacobian @ jacobian.T).detach().numpy() / 9)
    found = interop.empirical_fim(module, x)
    np.testing.assert_allclose(found.eigenvalues, want, atol=1e-12 * want[-1])


@pytest.mark.parametrize("kind", [nn.ReLU, nn.Hardtanh, nn.SiLU, nn.ELU, nn.LeakyReLU])
def test_activations_that_act_in_place_are_the_same(kind):
    plain = chain(kind(), gaussian(1.4), (7, 9, 6, 5), 0.3)
    parts = [kind(inplace=True) if type(part) is kind else part for part in plain]
    inplace, x = nn.Sequential(*parts), torch.randn(7)
    want, found = interop.compare(plain, x), interop.compare(inplace, x)
    eigenvalues = want.spectrum.eigenvalues
    np.testing.assert_allclose(found.spectrum.eigenvalues, eigenvalues, rtol=1e-12)
    for one, other in zip(found.network.gates, want.network.gates, strict=True):
        np.testing.assert_allclose(one, other, rtol=1e-12)
    moments = want.network.second_moments
    np.testing.assert_allclose(found.network.second_moments, moments, rtol=1e-12)


@pytest.mark.parametrize(
    ("activation", "fill", "bias_std"),
    [
        (nn.Hardtanh(), orthogonal(1.02), None),
        (nn.ReLU(), gaussian(2**0.5), 0.0),
        (nn.Tanh(), gaussian(1.5), 0.1),
    ],
    ids=["orthogonal hard-tanh", "Gaussian ReLU", "Gaussian tanh"],
)
def test_width_512_and_depth_6_agree_with_the_conditional_law(activation, fill, bias_std):
    module = chain(activation, fill, [512] * 7, bias_std)
    report = interop.compare(module, unit_input(512))
    assert report.ks < 0.02
    assert report.ks < 3 * report.null_ks
    for atom in report.atoms:
        assert atom.counted == pytest.approx(atom.expected, abs=1e-6)
    if isinstance(activation, nn.Hardtanh):
        top = report.atoms[-1]
        assert top.counted > 100
        assert top.location == report.law.support[1]


def test_weights_of_any_singular_values_and_shapes_agree():
    rng = np.random.default_rng(0)

    def haar(size):
        return np.linalg.qr(rng.standard_normal((size, size)))[0]

    def fill(w):
        rows, columns = w.shape
        n = min(rows, columns)
        values = np.sqrt(rng.uniform(0.2, 1.8, n)) * (rng.random(n) < 0.8)
        w.data = torch.from_numpy(haar(rows)[:, :n] * values @ haar(columns)[:n])

    module = chain(nn.Hardtanh(), fill, (150, 300, 200, 400, 300)).double()
    report = interop.compare(module, unit_input(150))
    assert [layer.ensemble for layer in report.network.weights] == [None] * 4
    assert report.ks < 3 * report.null_ks
    zero = report.atoms[0]
    assert zero.counted == pytest.approx(zero.expected, abs=1e-6)
    assert "neither Gaussian nor orthogonal" in str(report)


def test_a_trained_network_is_reported_as_it_is():
    digits = pytest.importorskip("sklearn.datasets").load_digits().data
    digits = torch.from_numpy(digits - digits.mean(0)).float()
    digits *= 8 / digits.norm(dim=1, keepdim=True)
    module = chain(nn.Tanh(), orthogonal(1.2), (64, 128, 128, 64), 0.05)
    before = interop.compare(module, digits[0])
    assert before.ks < 3 * before.null_ks
    descent = torch.optim.SGD(module.parameters(), lr=0.02)
    for start in range(0, 300 * 4, 4):
        descent.zero_grad()
        batch = digits[start : start + 4]
        (module(batch) - batch).square().sum(dim=1).mean().backward()
        descent.step()
    after = interop.compare(module, digits[0])
    assert [layer.ensemble for layer in after.network.weights] == [None] * 3
    # the smallest eigenvalue is at least what the last layer adds, of the law and of the network
    for smallest in (after.law.support[0], after.spectrum.nodes[0]):
        assert smallest >= after.network.shifts[-1] * (1 - 1e-9)
    assert after.ks == after.law.distance(after.spectrum, "ks")
    # its weights have met the data: their directions are no longer random
    assert after.ks > before.ks
    assert f"{after.ks:.4g}" in str(after)


def test_the_recorded_network_of_curvlinops_has_the_same_exact_spectrum():
    import json
    from pathlib import Path

    path = Path(__file__).parents[2] / "validation" / "recorded" / "curvlinops.json"
    record = json.loads(path.read_text(encoding="utf-8"))
    fields, rng = record["network"], np.random.default_rng(record["network"]["seed"])
    x = rng.standard_normal(fields["widths"][0])
    linears = []
    for fan_in, fan_out in pairwise(fields["widths"]):
        linear = nn.Linear(fan_in, fan_out, dtype=torch.float64)
        weights = rng.standard_normal((fan_out, fan_in)) * fields["weight_std"] / fan_in**0.5
        linear.weight.data = torch.from_numpy(weights)
        linear.bias.data = torch.from_numpy(fields["bias_std"] * rng.standard_normal(fan_out))
        linears += [linear, nn.Tanh()]
    report = interop.compare(nn.Sequential(*linears[:-1]), x)
    recorded = np.array(record["ggn"]["eigenvalues"]) / (2 * report.network.width)
    np.testing.assert_allclose(report.spectrum.eigenvalues, recorded, rtol=1e-9)
    assert report.law.distance(recorded, "ks") < 3 * report.null_ks


def test_a_network_that_is_dead_or_explodes_says_so():
    dead = chain(nn.ReLU(), gaussian(1.0), (20, 20, 20, 20))
    with torch.no_grad():
        dead[0].weight.copy_(-dead[0].weight.abs())
    report = interop.compare(dead, torch.ones(20))
    # every gate of the first layer is closed, and nothing is left to enter the others
    assert report.law.atoms == ((0.0, 1.0),)
    assert report.spectrum.nodes.tolist() == [0.0] * 20
    assert report.wasserstein == 0
    wild = chain(nn.ReLU(), gaussian(1.0), (20, 20, 20, 20)).double()
    with torch.no_grad():
        for weights in wild.parameters():
            weights.mul_(1e200)
    with pytest.raises(ConvergenceError, match="not finite behind layer"):
        interop.realised(wild, torch.ones(20))
    with pytest.raises(ConvergenceError, match=r"Jacobian.*not finite"):
        interop.empirical_fim(wild, torch.ones(20))


def test_a_module_is_left_as_it_was():
    module = chain(nn.Tanh(), gaussian(1.5), (30, 30, 30), 0.1)
    before = {name: value.clone() for name, value in module.state_dict().items()}
    interop.compare(module, torch.ones(30, requires_grad=True))
    for name, value in module.state_dict().items():
        assert value.dtype == torch.float32
        assert torch.equal(value, before[name])
    assert all(parameter.grad is None for parameter in module.parameters())
    with torch.no_grad():
        assert interop.compare(module, torch.ones(30)).ks < 1


@pytest.mark.parametrize("place", [0, 2, 4])
def test_weights_of_zeros_agree_with_the_exact_dual(place):
    """A last layer often starts at 0; the first weights do not enter the dual at all."""
    module = chain(nn.Tanh(), gaussian(1.5), (60, 60, 60, 60), 0.3)
    nn.init.zeros_(module[place].weight)
    report = interop.compare(module, unit_input(60))
    assert report.network.weights[place // 2].ensemble is None
    assert report.ks <= 3 * report.null_ks
    if place == 4:
        # nothing passes the last layer: its own parameters are all
        assert report.law.atoms == ((report.network.shifts[-1], 1.0),)
        np.testing.assert_allclose(report.spectrum.eigenvalues, report.network.shifts[-1])
