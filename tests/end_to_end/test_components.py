"""Trains every likelihood, prior, posterior and network of the registries, in combination with others."""

import math

import pytest
import torch
from support.builders import small_data, small_vae
from support.likelihoods import LIKELIHOODS

from pyrovae import fit
from pyrovae.parts.networks import NETWORKS
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

PROTOCOLS = ("grey", "dynamic", "static", "threshold", "standardized")
LEARNED = [name for name in PRIORS if [*small_vae(prior=name, condition="label")[0].prior.parameters()]]


def fits(prior, posterior, condition):
    """Check that a learned prior has a KL to train it, and the conditional prior a condition."""
    return not (prior in LEARNED and posterior == "delta") and not (prior == "conditional" and condition == "none")


# Every likelihood with every prior, posterior and condition on the mlp, and every network with some of them.
GRID = [
    ("mlp", likelihood, prior, posterior, condition)
    for likelihood in LIKELIHOODS
    for prior in PRIORS
    for posterior in POSTERIORS
    for condition in ("none", "label")
    if fits(prior, posterior, condition)
] + [
    (network, likelihood, prior, "diagonal", condition)
    for network in NETWORKS
    for likelihood, prior in (("bernoulli", "normal"), ("discretized_logistic", "vamp"), ("gaussian", "conditional"))
    for condition in ("none", "label", "quadrant2")
    if fits(prior, "diagonal", condition)
]


@pytest.mark.parametrize(("network", "likelihood", "prior", "posterior", "condition"), GRID)
def test_every_combination_trains(network, likelihood, prior, posterior, condition):
    """Take three steps: losses are finite, and every parameter has changed."""
    vae, config = small_vae(
        network=network,
        likelihood=likelihood,
        prior=prior,
        posterior=posterior,
        condition=condition,
        pixels=LIKELIHOODS[likelihood].domain[0],
        components=5,
        epochs=1,
    )
    before = {name: p.clone() for name, p in vae.named_parameters()}
    (record,) = fit(vae, small_data(pixels=config.pixels), config)
    assert all(math.isfinite(score) for part in ("train", "test") for score in record[part].values())
    untrained = {name for name, p in vae.named_parameters() if p.requires_grad and torch.equal(p, before[name])}
    assert not untrained


def test_a_learned_scale_becomes_that_of_the_noise():
    """Train on pixels of constant brightness with noise of scale 0.1."""
    vae, config = small_vae(likelihood="gaussian", pixels="grey", epochs=60, lr=0.02)
    data = small_data(n=256)
    noise = (128 + 25.5 * torch.randn(data.train.images.shape)).round().clamp(0, 255).byte()
    data.train.images.copy_(noise)
    for _ in fit(vae, data, config):
        pass
    assert vae.likelihood.log_scale.exp().item() == pytest.approx(0.1, rel=0.1)


@pytest.mark.parametrize("prior", PRIORS)
def test_priors_have_the_event_shape_of_a_code(prior):
    vae, _ = small_vae(prior=prior, condition="quadrant1", latent_dim=3)
    codes = vae.prior(torch.rand(4, 1, 8, 8))
    assert codes.event_shape == (3,)
    assert codes.expand((4,)).log_prob(torch.zeros(4, 3)).shape == (4,)


def test_a_conditional_prior_of_labels_is_a_table():
    vae, _ = small_vae(prior="conditional", condition="label")
    means = vae.prior(vae.context(torch.tensor([0, 1, 2, 1]))).mean
    assert torch.equal(means[1], means[3])
    assert not torch.equal(means[0], means[1])


@pytest.mark.parametrize("posterior", POSTERIORS)
def test_posteriors_have_the_event_shape_of_a_code(posterior):
    q = POSTERIORS[posterior](features=7, latent_dim=3)(torch.randn(4, 7))
    assert q.batch_shape == (4,)
    assert q.event_shape == (3,)
    assert q.log_prob(q.sample()).isfinite().all()
