"""Torch networks descend below the learning rate that is predicted for them, and not above."""

from itertools import pairwise

import numpy as np
import pytest

torch = pytest.importorskip("torch")
nn = torch.nn

from freefim.advice import learning_rate  # noqa: E402
from freefim.cli import main  # noqa: E402
from freefim.errors import ConvergenceError, SpecError  # noqa: E402
from freefim.interop import torch as interop  # noqa: E402
from freefim.interop.saved import load_module  # noqa: E402
from freefim.networks.network import Network  # noqa: E402
from freefim.networks.pairs import correlation_of  # noqa: E402


def small(*widths, activation=None):
    torch.manual_seed(0)
    parts = []
    for fan_in, fan_out in pairwise(widths):
        parts += [nn.Linear(fan_in, fan_out), activation or nn.ReLU()]
        nn.init.normal_(parts[-2].weight, std=(2 / fan_in) ** 0.5)
    return nn.Sequential(*parts[:-1])


@pytest.mark.parametrize("momentum", [0.0, 0.8])
def test_a_network_descends_below_the_boundary_and_not_above(momentum):
    start = small(200, 200, 200, 200).double()
    x = torch.randn(200, dtype=torch.float64)
    boundary = interop.realised(start, x).learning_rate("mse", momentum).value
    residual = torch.randn(200, dtype=torch.float64) * 1e-5
    target = start(x).detach() - residual
    # one network of width 200: its top eigenvalue fluctuates about the edge by a tenth
    for share, grows in ((0.85, False), (1.15, True)):
        module = small(200, 200, 200, 200).double()
        descent = torch.optim.SGD(module.parameters(), lr=share * boundary, momentum=momentum)
        losses = []
        for _ in range(150):
            descent.zero_grad()
            loss = nn.MSELoss()(module(x), target)
            loss.backward()
            losses.append(float(loss.detach()))
            descent.step()
        # not the last loss: having blown up, it may land in a flatter region
        assert (max(losses) > 100 * losses[0]) == grows


@pytest.mark.parametrize(("activation", "depth"), [(nn.ReLU, 10), (nn.Tanh, 10), (nn.ReLU, 2)])
def test_layers_as_torch_starts_them_have_the_boundary_of_all_their_parameters(activation, depth):
    """The signal fades to the biases, whose gradients then weigh more than those of weights."""
    torch.manual_seed(0)
    width = 250
    parts = [part for _ in range(depth) for part in (nn.Linear(width, width), activation())]
    module, x = nn.Sequential(*parts[:-1]).double(), torch.randn(width, dtype=torch.float64)
    parameters = dict(module.named_parameters())
    blocks = torch.func.jacrev(lambda p: torch.func.functional_call(module, p, (x,)))(parameters)
    jacobian = torch.cat([block.flatten(1) for block in blocks.values()], dim=1).detach()
    boundary = 2 / float(torch.linalg.eigvalsh(jacobian @ jacobian.T)[-1])
    described = learning_rate(Network.from_torch(module, input=x), width)
    # the edge of a described network strays as that of one of width 250 does, by a tenth
    assert described.value == pytest.approx(boundary, rel=0.1)
    assert interop.realised(module, x).learning_rate().value == pytest.approx(boundary, rel=0.1)


@pytest.mark.parametrize(("std", "known"), [(3**-0.5, False), (1.5, True)])
def test_a_full_batch_is_answered_where_weights_outweigh_biases(std, known):
    """As torch starts its layers the gradients by biases, left out at leading order, matter."""
    torch.manual_seed(0)
    parts = []
    for fan_out in (150, 150, 150, 2):
        linear = nn.Linear(150, fan_out)
        nn.init.normal_(linear.weight, std=std / 150**0.5)
        parts += [linear, nn.Tanh()]
    module = nn.Sequential(*parts[:-1]).double()
    data = torch.randn(20, 150).double() + torch.randn(150).double()
    net = Network.from_torch(module, input=data[0])
    options = {"samples": 20, "input_correlation": data.numpy()}
    if not known:
        with pytest.raises(ConvergenceError, match="gradients by biases"):
            learning_rate(net, 150, **options)
        return
    parameters = dict(module.named_parameters())
    blocks = torch.func.jacrev(lambda p: torch.func.functional_call(module, p, (data,)))(parameters)
    flat = torch.cat([block.reshape(40, -1) for block in blocks.values()], dim=1).detach()
    tops = torch.linalg.eigvalsh(flat @ flat.T / 20)[-2:]
    # the mean of the two outliers; the order parameters of width 150 stray by about a tenth
    found = learning_rate(net, 150, **options).max_eigenvalue
    assert float(tops.mean()) == pytest.approx(found, rel=0.15)


@pytest.mark.parametrize(
    ("loss", "batch", "criterion"),
    [
        ("mse", "mean", nn.MSELoss()),
        ("sum", "sum", lambda f, y: 0.5 * nn.MSELoss(reduction="sum")(f, y)),
        ("sum", "mean", lambda f, y: 0.5 * nn.MSELoss(reduction="sum")(f, y) / len(f)),
        ("mean", "mean", lambda f, y: 0.5 * nn.MSELoss()(f, y)),
    ],
)
def test_losses_have_the_hessians_that_their_names_say(loss, batch, criterion):
    """The curvature of each loss over that of another, exactly, at zero error."""
    module = small(4, 6, 3).double()
    x = torch.randn(5, 4, dtype=torch.float64)
    target = module(x).detach()
    parameters = {name: value.detach() for name, value in module.named_parameters()}
    flat, unflatten = torch.nn.utils.parameters_to_vector(parameters.values()), list(parameters)

    def curvature(of):
        def value(vector):
            pieces = torch.split(vector, [parameters[name].numel() for name in unflatten])
            shaped = {
                name: piece.view_as(parameters[name])
                for name, piece in zip(unflatten, pieces, strict=True)
            }
            return of(torch.func.functional_call(module, shaped, (x,)), target)

        return float(torch.linalg.eigvalsh(torch.autograd.functional.hessian(value, flat))[-1])

    plain = curvature(lambda f, y: 0.5 * (f - y).square().sum() / len(f))
    net = Network(2, "relu", weights="gaussian", width_ratios=[1, 1])
    sizes = {"samples": 5, "outputs": 3}
    factor = (
        learning_rate(net, 50, **sizes, loss=loss, batch=batch).max_eigenvalue
        / learning_rate(net, 50, **sizes).max_eigenvalue
    )
    assert curvature(criterion) / plain == pytest.approx(factor, rel=1e-9)


def test_a_saved_module_is_asked_from_the_shell(tmp_path, capsys):
    module = small(20, 30, 30, 10)
    torch.save(module, tmp_path / "net.pt")
    np.save(tmp_path / "x.npy", np.arange(1.0, 21.0))
    words = ["learning-rate", "--torch", str(tmp_path / "net.pt")]
    assert main([*words, "--samples", "5", "--head", "softmax"]) == 0
    number = float(capsys.readouterr().out.splitlines()[0])
    net = Network.from_torch(module)
    assert number == learning_rate(net, 30, samples=5, outputs=10, head="softmax").value
    assert main([*words, "--input", str(tmp_path / "x.npy"), "--loss", "mse"]) == 0
    number, *reasons = capsys.readouterr().out.splitlines()
    found = interop.realised(module, np.arange(1.0, 21.0)).learning_rate("mse")
    assert float(number) == found.value
    assert any("as it is" in line for line in reasons)
    data = np.random.default_rng(0).standard_normal((7, 20))
    np.save(tmp_path / "data.npy", data)
    assert main([*words, "--data", str(tmp_path / "data.npy"), "--normalize", "rms"]) == 0
    number = float(capsys.readouterr().out.splitlines()[0])
    want = learning_rate(net, 30, samples=7, input_correlation=correlation_of(data))
    assert number == want.value
    np.save(tmp_path / "wrong.npy", data[:, :5])
    for more, word in [
        (["--data", str(tmp_path / "wrong.npy")], "20 columns"),
        (["--input", str(tmp_path / "x.npy"), "--head", "softmax"], "--head"),
        (["--width", "30"], "--torch brings its own width"),
        (["--normalize", "rms"], "--input"),
    ]:
        assert main([*words, *more]) == 2
        assert word in capsys.readouterr().err


class Hostile(nn.Module):
    ran = False

    def __reduce__(self):
        return setattr, (Hostile, "ran", True)


def test_no_code_of_a_saved_file_is_run(tmp_path):
    torch.save(nn.Sequential(nn.Linear(2, 2), Hostile()), tmp_path / "hostile.pt")
    with pytest.raises(SpecError, match=r"hostile\.pt.*it holds.*setattr"):
        load_module(tmp_path / "hostile.pt")
    assert not Hostile.ran


def test_files_that_hold_no_module_are_named(tmp_path):
    torch.save(small(2, 2).state_dict(), tmp_path / "state.pt")
    with pytest.raises(SpecError, match=r"torch\.save\(module, path\), got a OrderedDict"):
        load_module(tmp_path / "state.pt")
    torch.save(nn.Sequential(nn.BatchNorm1d(2)), tmp_path / "norm.pt")
    with pytest.raises(SpecError, match=r"it holds torch\.nn\.modules\.batchnorm\.BatchNorm1d"):
        load_module(tmp_path / "norm.pt")
    (tmp_path / "text.pt").write_text("[network]\n")
    with pytest.raises(SpecError, match=r"text\.pt.*no file of torch\.save"):
        load_module(tmp_path / "text.pt")
    with pytest.raises(SpecError, match=r"none\.pt.*No such file"):
        load_module(tmp_path / "none.pt")
