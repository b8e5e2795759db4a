"""The compiled step, against the eager one and Pyro's own, at the same random numbers."""

import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import SVI, InputError, fit
from pyrovae.inference.compiled import capture
from pyrovae.inference.cuda_graph import Replay
from pyrovae.inference.objectives import TraceELBO
from pyrovae.inference.precision import products


@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "dynamic", "warmup": 2, "condition": "label"},
        {"objective": "iwae", "particles": 3, "prior": "vamp", "components": 5},
        {"network": "conv", "posterior": "full", "prior": "mixture", "components": 5},
    ],
)
def test_a_compiled_training_is_the_eager_one(settings):
    records = {}
    for compiled in ("no", "yes"):
        vae, config = small_vae(compile=compiled, epochs=3, **settings)
        data = small_data(pixels=config.pixels)  # 40 images: two steps of 16, one of 8 that stays eager
        records[compiled] = [record["train"] for record in fit(vae, data, config)]
    for eager, fast in zip(records["no"], records["yes"]):
        assert fast == pytest.approx(eager, rel=1e-4)


class Regression(nn.Module):
    """y = w x + b + noise, and a Gaussian guide of both weights: no VAE."""

    def __init__(self):
        super().__init__()
        self.loc, self.log_scale = nn.Parameter(torch.zeros(2)), nn.Parameter(torch.full((2,), -1.0))

    def model(self, x, y):
        weights = pyro.sample("weights", dist.Normal(torch.zeros(2), 3.0).to_event(1))
        with pyro.plate("rows", len(x)):
            pyro.sample("y", dist.Normal(weights[0] * x + weights[1], 0.5), obs=y)

    def guide(self, x, y):
        pyro.sample("weights", dist.Normal(self.loc, self.log_scale.exp()).to_event(1))


@pytest.fixture
def regression():
    torch.set_default_dtype(torch.float64)
    x = torch.linspace(-1, 1, 50)
    yield Regression(), x, 1.5 * x - 0.3 + 0.5 * torch.randn(50)
    torch.set_default_dtype(torch.float32)


def test_loss_and_gradients_are_pyros_to_nine_digits(regression):
    program, x, y = regression
    svi = SVI(program.model, program.guide, torch.optim.SGD(program.parameters(), lr=1.0), TraceELBO())
    svi.compile(x, y)
    torch.manual_seed(1)
    pyros = Trace_ELBO().differentiable_loss(program.model, program.guide, x, y)
    by_pyro = torch.autograd.grad(pyros, list(program.parameters()))
    before = [parameter.detach().clone() for parameter in program.parameters()]
    torch.manual_seed(1)
    torch.testing.assert_close(svi.step(x, y), pyros.detach(), rtol=1e-9, atol=0)
    for gradient, old, new in zip(by_pyro, before, program.parameters()):
        torch.testing.assert_close(old - new.detach(), gradient, rtol=1e-9, atol=1e-9)


def test_any_program_is_fitted(regression):
    program, x, y = regression
    svi = SVI(program.model, program.guide, torch.optim.Adam(program.parameters(), lr=0.05), TraceELBO())
    svi.compile(x, y)
    for _ in range(500):
        svi.step(x, y)
    design = torch.stack([x, torch.ones_like(x)], 1)
    exact = torch.linalg.solve(design.T @ design / 0.25 + torch.eye(2) / 9, design.T @ y / 0.25)
    torch.testing.assert_close(program.loc.detach(), exact, rtol=0, atol=0.1)


def adams(regression, lr=0.05):
    """The same program twice, each with an Adam: steps as they are, and compiled ones."""
    program, x, y = regression
    made = []
    for each in (program, copy.deepcopy(program)):
        adam = torch.optim.Adam(each.parameters(), lr=lr, fused=True)
        made.append(SVI(each.model, each.guide, adam, TraceELBO(), validate=False))
    made[1].compile(x, y)
    return made, x, y


def state_of(svi):
    parameters = svi.update.parameters
    held = [svi.optim.state[parameter].values() for parameter in parameters]
    return [tensor.detach().clone() for tensor in (*parameters, *(value for values in held for value in values))]


def test_a_compiled_step_holds_adam_and_is_torchs_to_nine_digits(regression):
    """At a learning rate that changes, and after a state was loaded."""
    made, x, y = adams(regression)
    for step in range(12):
        for svi in made:
            svi.optim.param_groups[0]["lr"] = 0.05 / (1 + step)
            if step == 6:
                svi.optim.load_state_dict(copy.deepcopy(svi.optim.state_dict()))
            torch.manual_seed(step)
            svi.step(x, y)
        torch.testing.assert_close(*map(state_of, made), rtol=1e-9, atol=1e-12)
    assert made[1].update.parameters[0].grad is None
    another = torch.optim.Adam([parameter.detach().clone() for parameter in made[0].update.parameters], fused=True)
    another.load_state_dict(made[1].optim.state_dict())  # which holds what torch's would
    assert all(state["step"] == 12 for state in another.state.values())


def test_compiling_moves_neither_weights_nor_optimizer(regression):
    program = regression[0]
    before = [parameter.detach().clone() for parameter in program.parameters()]
    (_, svi), *_ = adams(regression)
    now = state_of(svi)
    torch.testing.assert_close(now[: len(before)], before, rtol=0, atol=0)
    assert not any(tensor.any() for tensor in now[len(before) :])


def test_a_compiled_step_of_a_loss_that_is_not_finite_moves_nothing(regression):
    (_, svi), x, y = adams(regression)
    svi.step(x, y)
    before = state_of(svi)
    svi.step(x, y * torch.nan)
    svi.step(x, y)  # nor does one after it
    assert svi.update.failed
    torch.testing.assert_close(state_of(svi), before, rtol=0, atol=0)


def test_a_graph_is_given_each_tensor_once(monkeypatch):
    """Inductor takes what a graph holds for inputs, too, and would compare them at each call."""
    given = []
    compile_it = torch._inductor.compile
    monkeypatch.setattr(
        torch._inductor, "compile", lambda graph, *args, **kw: given.append(graph) or compile_it(graph, *args, **kw)
    )
    scale = nn.Parameter(torch.ones(3))
    torch.testing.assert_close(capture(lambda x: (x * scale + scale,), torch.ones(3))(torch.ones(3))[0], 2 * scale)
    assert not [*given[0].parameters(), *given[0].buffers()]


def test_a_graph_shares_tensors_and_draws_anew():
    scale = torch.ones(())

    def draw(x):
        return (x @ x.T + scale * torch.randn(3),)

    x = torch.randn(3, 4)
    fast = capture(draw, x)
    torch.manual_seed(0)
    expected = draw(x)
    torch.manual_seed(0)
    torch.testing.assert_close(fast(x), expected)
    assert not torch.equal(*fast(x), *fast(x))
    scale.zero_()
    torch.testing.assert_close(fast(x), (x @ x.T,))


class Undecided(nn.Module):
    """A likelihood that looks at values: no graph has its structure."""

    features, domain = 1, ("grey",)

    def forward(self, h):
        (loc,) = h.unbind(-4)
        return dist.Normal(loc if loc.sum() > 0 else -loc, 1.0).to_event(3)


def test_what_cannot_be_compiled_is_trained_all_the_same_and_says_why():
    records = {}
    for compiled in ("no", "yes"):
        vae, config = small_vae(compile=compiled, epochs=1)
        vae.likelihood = Undecided()
        steps = iter(fit(vae, small_data(pixels=config.pixels), config))
        if compiled == "no":
            records[compiled] = next(steps)["train"]
        else:
            with pytest.warns(UserWarning, match="compile: steps are taken one operation at a time: .*data-dependent"):
                records[compiled] = next(steps)["train"]
    assert records["yes"] == records["no"]


@pytest.mark.parametrize(("epochs", "compiled"), [(2, False), (5000, True)])
def test_auto_compiles_what_repays_it(epochs, compiled):
    vae, config = small_vae(epochs=epochs)
    assert config.compile == "auto"
    assert fit(vae, small_data(pixels=config.pixels), config).to_compile is compiled


@pytest.mark.parametrize("compiled", ["no", "yes"])
@pytest.mark.parametrize("network", ["mlp", "conv"])
def test_bfloat16_products_change_little_and_something(network, compiled):
    records = {}
    for precision in ("fp32", "bf16"):
        vae, config = small_vae(compile=compiled, epochs=2, precision=precision, network=network)
        *_, records[precision] = fit(vae, small_data(pixels=config.pixels), config)
        assert {p.dtype for p in vae.parameters()} == {torch.float32}
    assert records["bf16"]["train"]["loss"] == pytest.approx(records["fp32"]["train"]["loss"], rel=0.02)
    assert records["bf16"]["train"]["loss"] != records["fp32"]["train"]["loss"]


def test_only_products_are_rounded():
    a, b = torch.randn(5, 7, requires_grad=True), torch.randn(7, 3, requires_grad=True)
    with products("bf16"):
        c = a @ b
        found = torch.autograd.grad(c.exp().log().sum(), [a, b])
        assert (a + 1e-5).dtype == c.dtype == torch.float32
        assert not torch.equal(a + 1e-5, a)
    rough, ones = [x.detach().bfloat16().float() for x in (a, b)], torch.ones(5, 3)
    torch.testing.assert_close(c, rough[0] @ rough[1], rtol=1 / 256, atol=1e-6)  # rounded once more
    torch.testing.assert_close(found[0], ones @ rough[1].T, rtol=1 / 128, atol=1e-2)
    torch.testing.assert_close(found[1], rough[0].T @ ones, rtol=1 / 128, atol=1e-2)


def test_tf32_is_of_cuda():
    vae, config = small_vae(precision="tf32", device="cpu")
    with pytest.raises(InputError, match="precision: expected fp32 or bf16 on cpu, got 'tf32'"):
        fit(vae, small_data(pixels=config.pixels), config)


needs_cuda = [pytest.mark.cuda, pytest.mark.skipif(not torch.cuda.is_available(), reason="no CUDA device")]


class TestCuda:
    """A whole step as one CUDA graph."""

    pytestmark = needs_cuda

    @pytest.mark.parametrize("schedule", ["constant", "cosine"])
    def test_a_replayed_training_is_the_eager_one(self, schedule):
        records = {}
        for compiled in ("no", "yes"):
            vae, config = small_vae(
                compile=compiled, epochs=3, schedule=schedule, warmup=2, pixels="dynamic", device="cuda"
            )
            fitting = fit(vae, small_data(pixels="dynamic"), config)
            records[compiled] = [record["train"] for record in fitting]
            assert isinstance(fitting.svi.compiled, Replay) == (compiled == "yes")
        for eager, fast in zip(records["no"], records["yes"]):
            assert fast == pytest.approx(eager, rel=1e-3)

    def test_compiling_moves_nothing(self):
        vae, config = small_vae(compile="yes", device="cuda")
        fitting = fit(vae, small_data(pixels=config.pixels), config)
        before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
        fitting.training_step.compile(torch.arange(16, device="cuda"))
        assert all(torch.equal(tensor, before[name]) for name, tensor in vae.state_dict().items())
        state = fitting.svi.optim.state
        assert all(not value.any() for held in state.values() for value in held.values())

    def test_two_replays_draw_anew(self):
        vae, config = small_vae(compile="yes", device="cuda", lr=1e-12)
        fitting = fit(vae, small_data(pixels=config.pixels), config)
        rows = torch.arange(16, device="cuda")
        fitting.training_step.compile(rows)
        first, second = fitting.svi.step(rows), fitting.svi.step(rows)
        assert first != second

    @pytest.mark.parametrize("precision", ["tf32", "bf16"])
    def test_lower_precision_changes_little(self, precision):
        records = {}
        for name in ("fp32", precision):
            vae, config = small_vae(compile="yes", epochs=2, precision=name, device="cuda")
            *_, records[name] = fit(vae, small_data(pixels=config.pixels), config)
        assert records[precision]["train"]["loss"] == pytest.approx(records["fp32"]["train"]["loss"], rel=0.02)
