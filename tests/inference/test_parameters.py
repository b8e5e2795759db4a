"""Pyro's own inference trains a program, and pyrovae's own leaves Pyro's store of parameters empty."""

import copy

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.distributions import constraints
from pyro.infer import (
    SVI,
    RenyiELBO,
    ReweightedWakeSleep,
    Trace_ELBO,
    TraceEnum_ELBO,
    TraceGraph_ELBO,
    TraceMeanField_ELBO,
)
from pyro.infer.autoguide import AutoNormal
from pyro.nn import PyroParam
from support.builders import small_vae
from torch import nn

import pyrovae
from pyrovae import InputError
from pyrovae.inference.objectives import TraceELBO
from pyrovae.program import Program

ELBOS = (
    Trace_ELBO,
    TraceGraph_ELBO,
    TraceEnum_ELBO,
    TraceMeanField_ELBO,
    RenyiELBO,
    ReweightedWakeSleep,
)


@pytest.fixture(autouse=True)
def _empty_store():
    """Pyro's own inference fills its global store, as it should."""
    yield
    pyro.clear_param_store()


class ByHand:
    """A model and a guide with parameters of every kind that Pyro has: torch's, constrained, and by name."""

    def model(self, x=None, y=None, n=1):
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", dist.Normal(torch.zeros(2), 1.0).to_event(1))
            loc = (self.layer(z) + self.shift).view(-1, 1, 2, 2)
            return pyro.sample("x", dist.Normal(loc, self.width).to_event(3), obs=x)

    def guide(self, x, y=None):
        scale = pyro.param("scale", torch.ones(2), constraint=constraints.positive)
        with pyro.plate("images", len(x)):
            return pyro.sample("z", dist.Normal(self.inverse(x.flatten(1)), scale).to_event(1))


class Own(ByHand, Program):
    def __init__(self):
        super().__init__()
        self.layer, self.inverse = nn.Linear(2, 4), nn.Linear(4, 2)
        self.shift, self.width = nn.Parameter(torch.zeros(4)), PyroParam(torch.ones(()), constraints.positive)


def adam():
    return pyro.optim.Adam({"lr": 0.01})


def copies(module):
    return [parameter.detach().clone() for parameter in module.parameters()]


def moved(module, before):
    return [not torch.equal(*pair) for pair in zip(module.parameters(), before, strict=True)]


@pytest.mark.filterwarnings("ignore:TraceEnum_ELBO found no sample sites")
@pytest.mark.parametrize("elbo", ELBOS)
def test_every_elbo_of_pyro_trains_all_parameters_by_pyros_svi(elbo):
    vae, _ = small_vae()
    x, before = torch.rand(20, 1, 8, 8).round(), copies(vae)
    svi = SVI(vae.model, vae.guide, adam(), elbo())
    losses = [svi.step(x) for _ in range(30)]
    first, last = (loss[0] if isinstance(loss, tuple) else loss for loss in (losses[0], losses[-1]))
    assert last < 0.95 * first
    assert all(moved(vae, before))
    stored = pyro.get_param_store()
    assert {id(p) for p in vae.parameters()} == {id(stored[name].unconstrained()) for name in stored}
    assert "decoder$$$body.0.weight" in stored


@pytest.mark.parametrize("local", [False, True])
def test_a_program_of_ones_own_is_trained_by_pyros_svi(local):
    program = Own()
    x, before = 3 + 0.1 * torch.randn(20, 1, 2, 2), copies(program)
    svi = SVI(program.model, program.guide, adam(), Trace_ELBO())
    with pyro.settings.context(module_local_params=local):
        losses = [svi.step(x) for _ in range(100)]
    assert losses[-1] < 0.9 * losses[0]
    assert all(moved(program, before))
    assert not torch.equal(pyro.param("scale"), torch.ones(2))
    assert svi.evaluate_loss(x) == pytest.approx(losses[-1], rel=0.2)  # with the same `scale`


def test_an_elbo_of_pyro_made_a_module_has_the_parameters():
    vae, _ = small_vae()
    elbo, x = Trace_ELBO()(vae.model, vae.guide), torch.rand(20, 1, 8, 8)
    assert {*elbo.parameters()} == {*vae.parameters()}
    optim = torch.optim.Adam(elbo.parameters(), lr=0.01)
    losses = []
    for _ in range(30):
        optim.zero_grad()
        loss = elbo(x)
        loss.backward()
        optim.step()
        losses.append(loss.item())
    assert losses[-1] < losses[0]
    assert not list(pyro.get_param_store())


@pytest.mark.parametrize("local", [False, True])
def test_loss_and_grads_computes_gradients(local):
    """Pyro computes none of a program in whose traces it sees no parameter."""
    vae, _ = small_vae()
    with pyro.settings.context(module_local_params=local):
        Trace_ELBO().loss_and_grads(vae.model, vae.guide, torch.rand(4, 1, 8, 8))
    assert all(parameter.grad is not None and parameter.grad.any() for parameter in vae.parameters())
    assert not list(pyro.get_param_store())


def test_an_autoguide_trains_with_the_model():
    vae, _ = small_vae()
    guide, x = AutoNormal(vae.model), torch.rand(20, 1, 8, 8)
    before, svi = copies(vae.decoder), SVI(vae.model, guide, adam(), Trace_ELBO())
    for _ in range(3):
        svi.step(x)
    assert all(moved(vae.decoder, before))
    assert {*Trace_ELBO()(vae.model, guide).parameters()} >= {*vae.decoder.parameters()}


@pytest.mark.parametrize("other", [copy.deepcopy, lambda vae: small_vae()[0]])
def test_a_second_program_of_the_same_names_is_refused_until_the_store_is_cleared(other):
    """Pyro's SVI would train the tensors of the first one, and the second one's would stay as they are."""
    vae, _ = small_vae()
    x = torch.rand(4, 1, 8, 8)
    SVI(vae.model, vae.guide, adam(), Trace_ELBO()).step(x)
    second = other(vae)
    svi = SVI(second.model, second.guide, adam(), Trace_ELBO())
    with pytest.raises(InputError, match=r"expected .* of this program, got another's .*clear_param_store") as refused:
        svi.step(x)
    assert "Trace" not in str(refused.value)
    pyro.clear_param_store()
    before = copies(second)
    svi.step(x)
    assert all(moved(second, before))


def test_pyrovae_shows_pyro_no_parameters():
    """Neither in the store nor in the traces, where they would cost time at every step."""
    vae, _ = small_vae()
    seen = []

    class Watching(TraceELBO):
        def loss_of_traces(self, model_trace, guide_trace):
            seen.extend(node["type"] for trace in (model_trace, guide_trace) for node in trace.nodes.values())
            return super().loss_of_traces(model_trace, guide_trace)

    x = torch.rand(4, 1, 8, 8)
    optim = torch.optim.Adam(vae.parameters())
    with pyro.poutine.trace(param_only=True) as collected:
        pyrovae.SVI(vae.model, vae.guide, optim, Watching()).step(x)
        vae.reconstruct(x)
        vae.generate(2)
    assert "sample" in seen
    assert "param" not in seen
    assert not collected.trace.nodes
    assert not list(pyro.get_param_store())
