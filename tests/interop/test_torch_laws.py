"""The conditional law of a torch network meets its exact spectrum."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

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
