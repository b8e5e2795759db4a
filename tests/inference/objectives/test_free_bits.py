"""Free bits: an amount of KL for each latent dimension that adds nothing to the loss."""

import pyro
import pyro.distributions as dist
import pytest
import torch
from support.linear import gradients, make, value
from torch import nn

from pyrovae import Config, build, fit, load
from pyrovae.inference.objectives import OBJECTIVES, KLWeight


class Three(nn.Module):
    """Three latent dimensions with a KL of about 0.005, 0.5 and 4.5 nats, under any prior. For float64."""

    def __init__(self, prior=lambda: dist.Normal(torch.zeros(3), 1.0).to_event(1)):
        super().__init__()
        self.loc, self.prior = nn.Parameter(torch.tensor([0.1, 1.0, 3.0])), prior

    def model(self, x):
        with pyro.plate("images", len(x)):
            z = pyro.sample("z", self.prior())
            pyro.sample("x", dist.Normal(z, 1.0).to_event(1), obs=x)

    def guide(self, x):
        with pyro.plate("images", len(x)):
            pyro.sample("z", dist.Normal(self.loc.expand(len(x), 3), 1.0).to_event(1))

    @property
    def kl(self):
        return 0.5 * self.loc.detach().square()


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize("name", [name for name in OBJECTIVES if name != "mmd"])  # which draws from the prior besides
@pytest.mark.parametrize("particles", [1, 4])
@pytest.mark.parametrize("beta", [1.0, 0.5])
def test_the_loss_grows_by_the_free_bits_that_are_not_used(name, particles, beta):
    program, x = Three(), torch.randn(20_000, 3)
    weight = KLWeight(torch.tensor(beta))
    program.model, program.guide = weight(program.model), weight(program.guide)
    plain, free = (value(make(name, particles, free_bits=nats), program, x) for nats in (0.0, 0.7))
    by_hand = beta * (0.7 - program.kl).clamp(min=0).sum()
    assert (free - plain).item() / len(x) == pytest.approx(by_hand.item(), abs=0.05)


@pytest.mark.usefixtures("double")
def test_the_kl_of_a_dimension_below_its_free_bits_has_no_gradient():
    program, x = Three(), torch.zeros(4, 3)
    objective = make("analytic", 20_000, free_bits=0.7)
    (gradient,) = gradients(objective, program, x, repeats=1)
    reconstruction = 4 * program.loc.detach()  # the gradient of E (x − z)²/2
    kl = torch.tensor([0.0, 0.0, 4 * 3.0])
    torch.testing.assert_close(gradient, reconstruction + kl, rtol=0, atol=0.1)


@pytest.mark.usefixtures("double")
@pytest.mark.parametrize(
    "prior",
    [
        lambda: dist.MultivariateNormal(torch.zeros(3), torch.eye(3)),
        lambda: dist.MixtureSameFamily(
            dist.Categorical(torch.ones(2)), dist.Normal(torch.zeros(2, 3), 1.0).to_event(1)
        ),
    ],
)
def test_dependent_dimensions_share_their_free_bits(prior):
    program, x = Three(prior), torch.randn(20_000, 3)
    plain, free = (value(make("elbo", free_bits=nats), program, x) for nats in (0.0, 2.0))
    assert (free - plain).item() / len(x) == pytest.approx(3 * 2.0 - program.kl.sum().item(), abs=0.1)


@pytest.mark.parametrize("objective", ["elbo", "analytic", "stl"])
def test_free_bits_prevent_collapse(objective):
    kl = {}
    for nats in (0.0, 1.0):
        config = Config(objective=objective, beta=30, free_bits=nats, epochs=20, lr=5e-3, device="cpu")
        data = load(config)
        *_, record = fit(build(config, data.shape), data, config)
        kl[nats] = record["train"]["kl"]
        assert record["train"]["loss"] == pytest.approx(record["train"]["reconstruction"] + record["train"]["kl"])
    assert kl[0.0] < 0.1
    assert 0.4 < kl[1.0] < 2.5
