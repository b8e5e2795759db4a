"""Priors and posteriors are densities, and each is what its name says."""

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from torch.distributions import MultivariateNormal

from pyrovae import Run, fit
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.priors.mixture import GaussianMixture

FLOWS = ("autoregressive", "coupling")
CASES = [(prior, flow) for prior in PRIORS for flow in FLOWS if prior == "flow" or flow == FLOWS[0]]


def trained(prior, flow="autoregressive", **settings):
    """A VAE after two epochs, with an image context for the conditional prior."""
    condition = "quadrant1" if prior == "conditional" else "none"
    vae, config = small_vae(**({"prior": prior, "flow": flow, "components": 7, "condition": condition} | settings))
    for _ in fit(vae, small_data(pixels=config.pixels), config):
        pass
    return vae


def context_of(vae, n=1):
    return None if vae.context is None else torch.rand(n, 1, 8, 8)


def grid(reach=30.0, side=601):
    axis = torch.linspace(-reach, reach, side)
    return torch.cartesian_prod(axis, axis), (axis[1] - axis[0]).item() ** 2


@pytest.mark.parametrize(("prior", "flow"), CASES)
def test_priors_integrate_to_one(prior, flow):
    vae = trained(prior, flow)
    codes, area = grid()
    with torch.no_grad():
        density = vae.prior(context_of(vae)).log_prob(codes).exp()
    assert density.sum().item() * area == pytest.approx(1, abs=0.01)


@pytest.mark.parametrize(("prior", "flow"), CASES)
def test_priors_score_what_they_draw(prior, flow):
    """Minus the mean score of draws is the entropy, which the grid gives too."""
    vae = trained(prior, flow)
    p = vae.prior(context_of(vae))
    codes, area = grid()
    with torch.no_grad():
        score = p.log_prob(codes)
        entropy = -(score.exp() * score).nan_to_num().sum().item() * area
        drawn = p.expand((20_000,)).sample()
        scores = p.log_prob(drawn)
    assert drawn.shape == (20_000, 2)
    assert -scores.mean().item() == pytest.approx(entropy, abs=0.05)


@pytest.mark.parametrize("posterior", [name for name in POSTERIORS if name != "delta"])
def test_posteriors_integrate_to_one_and_are_reparameterised(posterior):
    torch.manual_seed(0)
    family = POSTERIORS[posterior](features=5, latent_dim=2)
    h = torch.randn(1, 5)
    codes, area = grid(12.0, 1201)
    with torch.no_grad():
        density = family(h.expand(len(codes), -1)).log_prob(codes).exp()
    assert density.sum().item() * area == pytest.approx(1, abs=0.01)
    z = family(h).rsample()
    assert z.requires_grad


@pytest.mark.parametrize(("posterior", "correlated"), [("diagonal", False), ("lowrank", True), ("full", True)])
def test_gaussian_posteriors_have_the_covariance_of_their_name(posterior, correlated):
    q = POSTERIORS[posterior](features=5, latent_dim=4)(torch.randn(1, 5))
    samples = q.sample((100_000,))[:, 0]
    covariance = q.covariance_matrix[0] if correlated else torch.diag(q.variance[0])
    assert torch.allclose(samples.T.cov(), covariance, atol=0.05)
    assert bool(covariance.tril(-1).abs().max() > 1e-3) is correlated
    by_hand = MultivariateNormal(q.mean[0], covariance).log_prob(samples[:5])
    torch.testing.assert_close(q.log_prob(samples[:5, None])[:, 0], by_hand, rtol=1e-3, atol=1e-3)


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_a_vamp_prior_starts_from_training_images_and_is_the_mixture_of_their_posteriors(condition):
    vae, config = small_vae(prior="vamp", components=7, condition=condition)
    data = small_data()
    fit(vae, data, config)
    images = data.batch(data.train, slice(0, 40)).x
    assert all(any(torch.equal(u, x) for x in images) for u in vae.prior.inputs)
    z = torch.randn(3, 2)
    parts = vae.posterior(vae.encoder(vae.prior.inputs, vae.prior.contexts))
    by_hand = torch.stack([parts.log_prob(code.expand(7, -1)).exp().mean().log() for code in z])
    torch.testing.assert_close(vae.prior().log_prob(z), by_hand)


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-3), (torch.float64, 1e-9)])
@pytest.mark.parametrize("batch", [(), (5,), (3, 5)])
def test_a_mixture_by_matrix_products_is_the_mixture(dtype, error, batch):
    loc, scale = 3 + torch.randn(40, 6), 0.05 + torch.rand(40, 6)
    tensors = [x.to(dtype).requires_grad_() for x in (torch.randn(40), loc, scale, 3 + torch.randn(*batch, 6))]
    logits, loc, scale, z = tensors
    brute, mine = (
        kind(dist.Categorical(logits=logits), dist.Normal(loc, scale).to_event(1))
        for kind in (dist.MixtureSameFamily, GaussianMixture)
    )
    torch.testing.assert_close(mine.log_prob(z), brute.log_prob(z), rtol=0, atol=error)
    found, wanted = (torch.autograd.grad(q.log_prob(z).sum(), tensors) for q in (mine, brute))
    torch.testing.assert_close(found, wanted, rtol=1e-3, atol=10 * error)
    wide = mine.expand((4, *batch))
    torch.testing.assert_close(wide.log_prob(z), brute.log_prob(z).expand(4, *batch), rtol=0, atol=error)
    assert wide.sample((2,)).shape == (2, 4, *batch, 6)


def test_a_vamp_prior_is_loaded_with_its_inputs(tmp_path):
    vae, config = small_vae(prior="vamp", components=7, condition="label")
    fitting, run = fit(vae, small_data(pixels=config.pixels), config), Run.create(tmp_path, config)
    for record in fitting:
        run.record(record, fitting)
    z = torch.randn(5, 2)
    assert torch.equal(run.vae.prior().log_prob(z), vae.prior().log_prob(z))
    names = [name for name in vae.state_dict() if name.startswith("prior.")]
    assert sorted(names) == ["prior.contexts", "prior.inputs", "prior.started"]  # the encoder is not saved twice


@pytest.mark.parametrize(("family", "name"), [(PRIORS, "flow"), (POSTERIORS, "flow")])
def test_flows_need_two_dimensions(family, name):
    with pytest.raises(ValueError, match="expected two latent dimensions or more, got 1"):
        family[name](latent_dim=1, **({"flow": "coupling"} if family is PRIORS else {"features": 3}))
