"""Reading torch modules: what is read is what was built, what cannot be read is named."""

from fractions import Fraction

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from torch.nn.utils import prune  # noqa: E402

from freefim.errors import SpecError  # noqa: E402
from freefim.interop import torch as interop  # noqa: E402
from freefim.networks.activations import (  # noqa: E402
    ELU,
    GELU,
    HardTanh,
    LeakyReLU,
    Linear,
    ReLU,
    SiLU,
    Sine,
    Softplus,
    Tanh,
)
from freefim.networks.network import Network  # noqa: E402


@pytest.fixture(autouse=True)
def seeded():
    torch.manual_seed(0)


def normal(fan_in, fan_out, weight_std=1.0, bias_std=0.0):
    linear = nn.Linear(fan_in, fan_out)
    nn.init.normal_(linear.weight, std=weight_std / fan_in**0.5)
    nn.init.normal_(linear.bias, std=bias_std)
    return linear


def test_a_nested_sequence_is_read_with_its_widths_and_statistics():
    inner = nn.Sequential(normal(60, 80, 1.3, 0.2), nn.Dropout(), nn.Tanh())
    module = nn.Sequential(nn.Flatten(), normal(40, 60), nn.ReLU(), inner, normal(80, 20)).eval()
    net = Network.from_torch(module, input=2 * torch.ones(5, 8))
    assert net == interop.network(module, np.full(40, 2.0))
    assert net.activations == (ReLU(), Tanh())
    assert net.weights == "gaussian"
    assert net.width_ratios == (Fraction(1, 2), Fraction(3, 4), 1, Fraction(1, 4))
    assert net.widths(80) == (40, 60, 80, 20)
    assert net.input_second_moment == 4.0
    # a mean of n independent squares is known to √(2/n)
    assert net.weight_std[1] == pytest.approx(1.3, rel=4 * (2 / 4800) ** 0.5 / 2)
    assert net.bias_std[1] == pytest.approx(0.2, rel=4 * (2 / 80) ** 0.5 / 2)


@pytest.mark.parametrize(
    ("module", "activation"),
    [
        (nn.Tanh(), Tanh()),
        (nn.ReLU(), ReLU()),
        (nn.LeakyReLU(0.2), LeakyReLU(0.2)),
        (nn.Hardtanh(-2.5, 2.5), HardTanh(2.5)),
        (nn.GELU(), GELU()),
        (nn.SiLU(), SiLU()),
        (nn.ELU(), ELU()),
        (nn.Softplus(), Softplus()),
        (nn.Identity(), Linear()),
    ],
)
def test_an_activation_of_torch_is_ours(module, activation):
    read = Network.from_torch(nn.Sequential(normal(3, 3), module, normal(3, 3)))
    assert read.activation == activation
    h = torch.linspace(-4, 4, 33, dtype=torch.float64) + 0.01
    np.testing.assert_allclose(activation.function(h.numpy()), module(h).numpy(), atol=1e-14)
    (slope,) = torch.autograd.grad(module(h.requires_grad_()).sum(), h)
    np.testing.assert_allclose(activation.derivative(h.detach().numpy()), slope.numpy(), atol=1e-14)


def test_the_last_activation_is_the_final_one():
    assert Network.from_torch(nn.Sequential(normal(3, 3), nn.Tanh())).final_activation == Tanh()
    assert Network.from_torch(normal(3, 3)).final_activation is None


@pytest.mark.parametrize(
    ("module", "fragments"),
    [
        (nn.Sequential(nn.Sequential(normal(2, 2), nn.BatchNorm1d(2))), ("'0.1'", "BatchNorm1d")),
        (nn.Sequential(normal(2, 2), nn.PReLU()), ("'1'", "PReLU", "LeakyReLU")),
        (nn.Sequential(normal(2, 2), nn.Softmax(0)), ("'1'", "Softmax", "head")),
        (nn.Sequential(normal(2, 2), nn.Hardtanh(0, 6)), ("'1'", "max_val=6")),
        (nn.Sequential(normal(2, 2), nn.ReLU6()), ("'1'", "ReLU6")),
        (nn.Sequential(normal(2, 2), nn.GELU("tanh")), ("'1'", "approximate='tanh'")),
        (nn.Sequential(normal(2, 2), nn.ELU(2.0)), ("'1'", "alpha=2.0")),
        (nn.Sequential(normal(2, 2), nn.Dropout()), ("'1'", "Dropout", "eval()")),
        (nn.Sequential(nn.ReLU(), normal(2, 2)), ("'0'", "no Linear layer")),
        (nn.Sequential(normal(2, 2), nn.ReLU(), nn.Tanh()), ("'2'", "another activation")),
        (nn.Sequential(normal(2, 3), normal(2, 2)), ("'1'", "takes 2", "gives 3")),
        (nn.Sequential(nn.Conv1d(1, 1, 1)), ("'0'", "Conv1d")),
        (nn.Sequential(nn.Identity()), ("Linear layer",)),
        (nn.GRU(8, 1), ("''", "GRU")),
        ("net.pt", ("torch.nn.Module", "'net.pt'")),
    ],
)
def test_what_cannot_be_read_is_named(module, fragments):
    with pytest.raises(SpecError) as refusal:
        Network.from_torch(module)
    assert all(fragment in str(refusal.value) for fragment in fragments)
    assert "\n" not in str(refusal.value)


def test_an_elementwise_module_can_be_declared():
    class Sin(nn.Module):
        def forward(self, h):
            return torch.sin(h)

    module = nn.Sequential(normal(30, 30), Sin(), normal(30, 30))
    assert Network.from_torch(module, activations={Sin: Sine()}).activation == Sine()
    found = interop.realised(module, torch.randn(30), activations={Sin: Sine()})
    assert found.second_moments[1] <= 1
    with pytest.raises(SpecError, match=r"'1' is a Sin"):
        Network.from_torch(module)


@pytest.mark.parametrize(
    ("fill", "ensemble", "weight_std"),
    [
        (lambda w: nn.init.orthogonal_(w, 1.1), "orthogonal", 1.1),
        (lambda w: nn.init.xavier_normal_(w, 1.2), "gaussian", 1.2 * (2 / (1 + 0.5)) ** 0.5),
        (nn.init.kaiming_normal_, "gaussian", 2**0.5),
        (lambda w: nn.init.normal_(w, std=0.05), "gaussian", 0.05 * 200**0.5),
        (lambda w: nn.init.kaiming_uniform_(w, 5**0.5), "gaussian", 1 / 3**0.5),
    ],
)
def test_the_gains_of_torch_have_their_weight_std(fill, ensemble, weight_std):
    linear = nn.Linear(200, 100)
    fill(linear.weight)
    net = Network.from_torch(linear)
    assert net.weights == ensemble
    tolerance = 1e-6 if ensemble == "orthogonal" else 4 * (2 / 20_000) ** 0.5 / 2
    assert net.weight_std == pytest.approx(weight_std, rel=tolerance)


def test_weights_of_no_ensemble_must_be_declared():
    linear = normal(50, 50)
    with torch.no_grad():
        linear.weight += 0.2
    with pytest.raises(SpecError, match=r"module '' \(50 × 50, neither.*declare.*realised"):
        Network.from_torch(linear)
    declared = Network.from_torch(linear, weights="gaussian", weight_std=1.5, bias_std=0)
    assert (declared.weights, declared.weight_std, declared.bias_std) == ("gaussian", 1.5, 0)


@pytest.mark.parametrize(
    ("value", "words"),
    [
        (torch.ones(4), "5 numbers, got shape"),
        (torch.zeros(5), "zero vector"),
        (torch.tensor([1.0, float("nan"), 0, 0, 0]), "finite, got nan at position 1"),
        (torch.full((5,), 1j), "array of 5 numbers"),
        (np.full(5, 1j), "array of 5 numbers"),
        ("five", "'five'"),
    ],
)
def test_an_input_that_does_not_fit_is_refused(value, words):
    for call in (interop.network, interop.realised, interop.empirical_fim):
        with pytest.raises(SpecError, match=words):
            call(normal(5, 5), value)


@pytest.mark.parametrize("value", [float("inf"), float("nan")])
@pytest.mark.parametrize("name", ["weight", "bias"])
def test_parameters_that_are_not_finite_are_refused(name, value):
    linear = normal(5, 5)
    with torch.no_grad():
        getattr(linear, name)[0] = value
    for call in (interop.network, interop.realised, interop.empirical_fim):
        with pytest.raises(SpecError, match=rf"{name} of module '0'.*finite"):
            call(nn.Sequential(linear), torch.ones(5))


def doubled(module, inputs, output):
    return 2 * output


def hooked(where):
    module = nn.Sequential(normal(5, 5), nn.Tanh(), nn.Identity(), normal(5, 5))
    (module if where is None else module[where]).register_forward_hook(doubled)
    return module


def monkeypatched():
    module = nn.Sequential(normal(5, 5), nn.Tanh())
    module[1].forward = torch.sin
    return module


class Residual(nn.Sequential):
    def forward(self, x):
        return x + super().forward(x)


def tied(by):
    first, second = normal(5, 5), normal(5, 5)
    if by == "module":
        second = first
    elif by == "view":
        second.weight = nn.Parameter(first.weight.detach().T)
    else:
        setattr(second, by, getattr(first, by))
    return nn.Sequential(first, nn.Tanh(), nn.Sequential(second))


def normalised(by):
    return nn.Sequential(by(normal(5, 5)))


@pytest.mark.filterwarnings("ignore::FutureWarning", "ignore::UserWarning")
@pytest.mark.parametrize(
    ("make", "words"),
    [
        (lambda: hooked(0), "'0'.*hooks"),
        (lambda: hooked(1), "'1'.*hooks"),
        (lambda: hooked(2), "'2'.*hooks"),
        (lambda: hooked(None), "''.*hooks"),
        (monkeypatched, "'1'.*forward of its class"),
        (lambda: nn.Sequential(Residual(normal(5, 5))), "'0' is a Residual"),
        (lambda: tied("module"), r"'2\.0'.*those of '0'"),
        (lambda: tied("weight"), r"'2\.0'.*those of '0'"),
        (lambda: tied("bias"), r"'2\.0'.*those of '0'"),
        (lambda: tied("view"), r"'2\.0'.*those of '0'"),
        (lambda: normalised(nn.utils.spectral_norm), "'0'.*hooks.*torch.nn.utils"),
        (lambda: normalised(nn.utils.weight_norm), "'0'.*hooks.*torch.nn.utils"),
        (lambda: normalised(lambda m: prune.random_unstructured(m, "weight", 0.5)), "'0'.*hooks"),
        (lambda: normalised(nn.utils.parametrizations.orthogonal), "'0'.*remove_parametrizations"),
        (lambda: nn.Sequential(nn.Linear(5, 5, device="meta")), "'0'.*meta device"),
        (lambda: nn.Sequential(nn.Linear(5, 5, dtype=torch.complex64)), "'0'.*real.*complex64"),
    ],
)
def test_what_a_class_does_not_tell_is_refused(make, words):
    module = make()
    for call in (interop.network, interop.realised, interop.empirical_fim):
        with pytest.raises(SpecError, match=words):
            call(module, torch.ones(5))


@pytest.mark.parametrize(
    ("part", "declared", "words"),
    [
        (nn.LayerNorm(5), Linear(), "'1' .LayerNorm. must act elementwise"),
        (nn.Softsign(), Tanh(), "Softsign.*declared to be, Tanh"),
        (nn.BatchNorm1d(5), Linear(), "must act on vectors"),
    ],
)
def test_a_declared_module_is_tried(part, declared, words):
    module = nn.Sequential(normal(5, 5), part, normal(5, 5))
    with pytest.raises(SpecError, match=words):
        Network.from_torch(module, activations={type(part): declared})


def test_an_approximation_may_be_declared():
    module = nn.Sequential(normal(5, 5), nn.GELU("tanh"), normal(5, 5))
    assert Network.from_torch(module, activations={nn.GELU: GELU()}).activation == GELU()
