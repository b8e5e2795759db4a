"""The model and the guide of a VAE: their densities against exact ones and ones written by hand."""

import pyro.distributions as dist
import pytest
import torch
from pyro.nn import PyroModule
from pyro.poutine import trace
from support.builders import small_vae
from support.losses import negative_elbo
from torch import nn
from torch.nn import functional as F

from pyrovae import VAE
from pyrovae.inference.objectives import TraceELBO
from pyrovae.parts.likelihoods import Gaussian
from pyrovae.parts.priors import Normal


class Linear(nn.Module):
    """A decoder x = W z + b."""

    def __init__(self, weight, bias):
        super().__init__()
        self.weight, self.bias = nn.Parameter(weight), nn.Parameter(bias)

    def forward(self, z, y=None):
        return (z @ self.weight.T + self.bias).unflatten(-1, (1, 1, 2, 3))


class Flat(nn.Module):
    def forward(self, x, y=None):
        return x.flatten(1)


class ExactPosterior(nn.Module):
    """The posterior of the linear-Gaussian model, moved by `shift` and widened by `stretch`."""

    density = True

    def __init__(self, decoder, scale, shift=0.0, stretch=1.0):
        super().__init__()
        self.decoder, self.scale, self.shift, self.stretch = decoder, scale, shift, stretch

    def exact(self, h):
        w = self.decoder.weight
        precision = torch.eye(w.shape[1]) + w.T @ w / self.scale**2
        loc = torch.linalg.solve(precision, w.T @ (h - self.decoder.bias).T / self.scale**2).T
        return dist.MultivariateNormal(loc, precision_matrix=precision)

    def forward(self, h):
        exact = self.exact(h)
        return dist.MultivariateNormal(exact.loc + self.shift, scale_tril=exact.scale_tril * self.stretch)


@pytest.fixture
def linear_gaussian():
    """A function that makes a linear-Gaussian VAE with a given guide, images x, and their log-likelihood; float64."""
    torch.set_default_dtype(torch.float64)
    scale, decoder = 0.7, Linear(torch.randn(6, 2), torch.randn(6))

    def make(**guide):
        return VAE(Flat(), decoder, Normal(2), ExactPosterior(decoder, scale, **guide), Gaussian(scale))

    x = torch.randn(5, 1, 2, 3) * 2
    marginal = torch.distributions.MultivariateNormal(
        decoder.bias, decoder.weight @ decoder.weight.T + scale**2 * torch.eye(6)
    )
    yield make, x, marginal.log_prob(x.flatten(1)).sum().detach()
    torch.set_default_dtype(torch.float32)


def test_elbo_with_the_exact_posterior_is_the_log_likelihood(linear_gaussian):
    make, x, log_likelihood = linear_gaussian
    for _ in range(3):  # for any draw
        assert -negative_elbo(make(), x).item() == pytest.approx(log_likelihood.item(), abs=1e-6)


@pytest.mark.parametrize("guide", [{"shift": 0.5}, {"stretch": 1.5}, {"stretch": 0.5, "shift": -0.1}])
def test_elbo_of_any_other_guide_is_below_by_its_kl(linear_gaussian, guide):
    make, x, log_likelihood = linear_gaussian
    vae = make(**guide)
    h = x.flatten(1)
    gap = torch.distributions.kl_divergence(vae.posterior(h), vae.posterior.exact(h)).sum()
    assert gap > 0.1
    assert (-negative_elbo(vae, x, particles=20_000)).item() == pytest.approx((log_likelihood - gap).item(), rel=0.01)


@pytest.mark.parametrize("condition", ["none", "label"])
def test_loss_and_gradients_equal_cross_entropy_plus_kl_written_by_hand(condition):
    vae, _ = small_vae(condition=condition)
    x = torch.rand(7, 1, 8, 8)
    y = vae.context(torch.arange(7) % 3) if condition == "label" else None
    arguments = (x,) if y is None else (x, y)
    torch.manual_seed(1)
    loss = TraceELBO(max_plate_nesting=1).differentiable_loss(vae.model, vae.guide, *arguments)
    gradients = torch.autograd.grad(loss, list(vae.parameters()))

    torch.manual_seed(1)
    h = vae.encoder.body(x.flatten(1) if y is None else torch.cat([x.flatten(1), y], 1))
    loc, log_variance = vae.posterior.head(h).chunk(2, -1)
    noise = torch.randn(7, 2)
    z = loc + (log_variance / 2).exp() * noise
    logits = vae.decoder.body(z if y is None else torch.cat([z, y], 1))
    cross_entropy = F.binary_cross_entropy_with_logits(logits, x.flatten(1), reduction="sum")
    kl = (z.square() / 2 - noise.square() / 2 - log_variance / 2).sum()  # log q(z|x) - log p(z): the 2π cancel
    by_hand = cross_entropy + kl
    assert loss.item() == pytest.approx(by_hand.item(), rel=1e-6)
    for ours, theirs in zip(gradients, torch.autograd.grad(by_hand, list(vae.parameters()))):
        torch.testing.assert_close(ours, theirs, rtol=1e-4, atol=1e-5)


def test_expected_kl_is_the_closed_form():
    vae, _ = small_vae()
    x = torch.rand(3, 1, 8, 8)
    elbo = TraceELBO(num_particles=50_000, vectorize_particles=True, max_plate_nesting=1)
    with torch.no_grad():
        elbo.differentiable_loss(vae.model, vae.guide, x)
        loc, log_variance = vae.posterior.head(vae.encoder(x)).chunk(2, -1)
    closed = -0.5 * (1 + log_variance - loc.square() - log_variance.exp()).sum()
    assert elbo.terms["z"].item() == pytest.approx(closed.item(), abs=0.02)


def test_the_model_scores_and_generates():
    vae, _ = small_vae()
    x = torch.rand(4, 1, 8, 8).round()
    scored = trace(vae.model).get_trace(x)
    assert scored.nodes["x"]["is_observed"]
    assert scored.log_prob_sum().isfinite()
    assert vae.model(n=6).shape == (6, 1, 8, 8)


@pytest.mark.parametrize(("condition", "seen"), [("quadrant1", 1), ("quadrant2", 2), ("quadrant3", 3)])
def test_only_unseen_pixels_are_scored_and_seen_ones_are_kept(condition, seen):
    vae, _ = small_vae(condition=condition)
    mask = vae.context.seen
    assert mask.sum() == 16 * seen
    assert mask[0, 7, 0]  # the lower left comes first
    assert not mask[0, 7, 7]  # the lower right is never seen
    x = torch.rand(4, 1, 8, 8)
    y, z = vae.context(x), torch.randn(4, 2)
    assert (y[:, ~mask] == 0).all()

    def score(images):
        return vae.likelihood(vae.decoder(z, y)).log_prob(images)

    altered = torch.where(mask, 1 - x, x)
    assert torch.equal(score(x), score(altered))
    logits = vae.decoder(z, y)[:, 0]
    by_hand = -F.binary_cross_entropy_with_logits(logits, x, reduction="none")[:, ~mask].sum(1)
    torch.testing.assert_close(score(x), by_hand)
    assert not torch.equal(score(x), score(torch.where(mask, x, 1 - x)))
    completed = vae.complete(x)
    assert torch.equal(completed[:, mask], x[:, mask])
    assert not torch.equal(vae.complete(x), completed)  # another draw, another completion


def test_a_component_written_as_a_pyro_module_trains_and_stays_out_of_the_store():
    """The autouse fixture asserts that Pyro's parameter store is empty."""
    from pyro.infer import Trace_ELBO

    from pyrovae import SVI

    plain, _ = small_vae()
    decoder = PyroModule[nn.Sequential](PyroModule[nn.Linear](2, 64), PyroModule[nn.Unflatten](-1, (1, 1, 8, 8)))

    class Decoder(PyroModule):
        def __init__(self):
            super().__init__()
            self.body = decoder

        def forward(self, z, y=None):
            return self.body(z)

    vae = VAE(plain.encoder, Decoder(), plain.prior, plain.posterior, plain.likelihood)
    before = [p.clone() for p in vae.decoder.parameters()]
    svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters()), Trace_ELBO())
    svi.step(torch.rand(4, 1, 8, 8))
    assert all(not torch.equal(a, b) for a, b in zip(before, vae.decoder.parameters()))
    assert vae.generate(2).shape == (2, 1, 8, 8)
