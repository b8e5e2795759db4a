"""Compiled steps, against eager ones and Pyro's own at the same random numbers."""

import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from support.builders import small_data, small_vae
from torch import nn

from pyrovae import SVI, fit
from pyrovae.inference.compiled import capture
from pyrovae.inference.objectives import TraceELBO


@pytest.mark.parametrize(
    "settings",
    [
        {"pixels": "dynamic", "warmup": 2, "condition": "label"},
        {"objective": "iwae", "particles": 3, "prior": "vamp", "components": 5},
        {"network": "conv", "posterior": "full", "prior": "mixture", "components": 5},
    ],
)
def test_a_compiled_training_equals_the_eager_one(settings):
    records = {}
    for compiled in ("no", "yes"):
        vae, config = small_vae(compile=compiled, epochs=3, **settings)
        data = small_data(pixels=config.pixels)  # 40 images: two steps of 16, one of 8 that stays eager
        records[compiled] = [record["train"] for record in fit(vae, data, config)]
    for eager, fast in zip(records["no"], records["yes"]):
        assert fast == pytest.approx(eager, rel=1e-4)


def test_loss_and_gradients_equal_pyros_to_nine_digits(regression):
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


def test_a_program_that_is_not_a_vae_is_fitted(regression):
    program, x, y = regression
    svi = SVI(program.model, program.guide, torch.optim.Adam(program.parameters(), lr=0.05), TraceELBO())
    svi.compile(x, y)
    for _ in range(500):
        svi.step(x, y)
    design = torch.stack([x, torch.ones_like(x)], 1)
    exact = torch.linalg.solve(design.T @ design / 0.25 + torch.eye(2) / 9, design.T @ y / 0.25)
    torch.testing.assert_close(program.loc.detach(), exact, rtol=0, atol=0.1)


def test_a_graph_that_is_compiled_has_its_tensors_as_inputs_alone(monkeypatch):
    """Inductor makes an input of every tensor that is an attribute of the graph, and compares the two at each call."""
    graphs = []
    compile_it = torch._inductor.compile
    monkeypatch.setattr(
        torch._inductor, "compile", lambda graph, *args, **kw: graphs.append(graph) or compile_it(graph, *args, **kw)
    )
    scale = nn.Parameter(torch.ones(3))
    torch.testing.assert_close(capture(lambda x: (x * scale + scale,), torch.ones(3))(torch.ones(3))[0], 2 * scale)
    assert not [*graphs[0].parameters(), *graphs[0].buffers()]


def test_a_graph_shares_tensors_and_draws_new_random_numbers_at_each_call():
    scale = torch.ones(())

    def draw(x):
        return (x @ x.T + scale * torch.randn(3),)

    x = torch.randn(3, 4)
    captured = capture(draw, x)
    torch.manual_seed(0)
    expected = draw(x)
    torch.manual_seed(0)
    torch.testing.assert_close(captured(x), expected)
    assert not torch.equal(*captured(x), *captured(x))
    scale.zero_()
    torch.testing.assert_close(captured(x), (x @ x.T,))


class ValueDependent(nn.Module):
    """A likelihood that decides by the value of a tensor, which a graph cannot."""

    features, domain = 1, ("grey",)

    def forward(self, h):
        (loc,) = h.unbind(-4)
        return dist.Normal(loc if loc.sum() > 0 else -loc, 1.0).to_event(3)


def test_a_program_that_cannot_be_compiled_is_trained_with_a_warning():
    records = {}
    for compiled in ("no", "yes"):
        vae, config = small_vae(compile=compiled, epochs=1)
        vae.likelihood = ValueDependent()
        steps = iter(fit(vae, small_data(pixels=config.pixels), config))
        if compiled == "no":
            records[compiled] = next(steps)["train"]
        else:
            with pytest.warns(UserWarning, match="compile: steps are taken one operation at a time: .*data-dependent"):
                records[compiled] = next(steps)["train"]
    assert records["yes"] == records["no"]


@pytest.mark.parametrize(("epochs", "compiled"), [(2, False), (5000, True)])
def test_auto_compiles_a_training_of_many_steps(epochs, compiled):
    vae, config = small_vae(epochs=epochs)
    assert config.compile == "auto"
    assert fit(vae, small_data(pixels=config.pixels), config).to_compile is compiled


def test_what_was_compiled_is_found_again():
    from torch._dynamo.utils import counters

    for hits in (False, True):
        counters.clear()
        compiled = capture(lambda x: ((x.sin() * 0.8125).cos(),), torch.ones(7))
        torch.testing.assert_close(compiled(torch.ones(7))[0], (torch.ones(7).sin() * 0.8125).cos())
        found = sum(count for kind in counters.values() for name, count in kind.items() if name.endswith("cache_hit"))
        assert (found > 0) is hits
