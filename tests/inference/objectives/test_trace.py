"""TraceELBO: its loss, its gradients and its terms."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from pyro.infer import Trace_ELBO
from pyro.nn import PyroModule
from support.builders import small_vae
from support.linear import make
from torch import nn

from pyrovae import InputError
from pyrovae.inference.objectives import TraceELBO


def gradients_of(objective, program, x, seed=1):
    """Return the gradient of each parameter at the random numbers of `seed`."""
    torch.manual_seed(seed)
    program.zero_grad()
    objective.differentiable_loss(program.model, program.guide, x).backward()
    return [p.grad.clone() for p in program.parameters()]


@pytest.mark.parametrize("particles", [1, 4])
def test_gradients_are_those_of_pyros_trace_elbo(particles):
    settings = {"num_particles": particles, "vectorize_particles": particles > 1, "max_plate_nesting": 1}
    vae, _ = small_vae()
    x = torch.rand(6, 1, 8, 8)
    ours, theirs = gradients_of(TraceELBO(**settings), vae, x), gradients_of(Trace_ELBO(**settings), vae, x)
    for one, other in zip(ours, theirs):
        torch.testing.assert_close(one, other)


def test_a_site_that_is_not_reparameterised_gets_pyros_score_function_term():
    class Coin(PyroModule):
        def __init__(self):
            super().__init__()
            self.logit = nn.Parameter(torch.tensor(0.3))

        def model(self, x):
            with pyro.plate("data", len(x)):
                side = pyro.sample("side", dist.Bernoulli(0.5))
                pyro.sample("x", dist.Normal(side, 1.0), obs=x)

        def guide(self, x):
            with pyro.plate("data", len(x)):
                pyro.sample("side", dist.Bernoulli(logits=self.logit.expand(len(x))))

    coin, x = Coin(), torch.randn(50)
    ours = gradients_of(TraceELBO(max_plate_nesting=1), coin, x)
    theirs = gradients_of(Trace_ELBO(max_plate_nesting=1), coin, x)
    torch.testing.assert_close(ours, theirs)
    assert ours[0] != 0


def test_terms_by_site_add_up_to_the_loss():
    vae, _ = small_vae()
    elbo = TraceELBO(max_plate_nesting=1)
    x = torch.rand(6, 1, 8, 8)
    loss = elbo.differentiable_loss(vae.model, vae.guide, x)
    assert set(elbo.terms) == {"x", "z"}
    assert sum(elbo.terms.values()).item() == pytest.approx(loss.item(), rel=1e-6)
    assert loss.requires_grad
    assert not elbo.terms["x"].requires_grad


@pytest.mark.parametrize("name", ["analytic", "stl", "iwae", "dreg", "renyi"])
def test_estimators_without_a_score_function_refuse_draws_that_are_not_reparameterised(name):
    """Their gradient in the guide would be wrong, and nothing would show it."""

    def model(x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", dist.Bernoulli(torch.tensor(0.5)))
            pyro.sample("x", dist.Normal(z, 1.0), obs=x)

    def guide(x):
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Bernoulli(torch.tensor(0.3)))

    particles = 2 if name in ("iwae", "dreg", "renyi") else 1
    with pytest.raises(InputError, match=r"expected the site 'z' to be summed over .* or reparameterised"):
        make(name, particles).differentiable_loss(model, guide, torch.randn(5))
    assert make("elbo").differentiable_loss(model, guide, torch.randn(5)).isfinite()
