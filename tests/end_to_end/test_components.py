"""Every member of every family, tested by being listed."""

import math

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import fit
from pyrovae.parts.likelihoods import LIKELIHOODS
from pyrovae.parts.networks import ACTIVATIONS, NETWORKS, Conv
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.priors import PRIORS

PROTOCOLS = ("grey", "dynamic", "static", "threshold", "standardized")
LEARNED = [name for name in PRIORS if [*small_vae(prior=name, condition="label")[0].prior.parameters()]]


def fits(prior, posterior, condition):
    """A learned prior needs a KL to train it, and the conditional one a condition."""
    return not (prior in LEARNED and posterior == "delta") and not (prior == "conditional" and condition == "none")


# Every likelihood with every prior, posterior and condition on the mlp; every network with one of each.
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
    """Three steps: finite losses, and a gradient on every parameter."""
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


def test_a_learned_scale_finds_the_noise():
    """Pixels of one constant brightness with noise of 0.1: the scale goes there."""
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


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", [8, 9, 10, 11, 28, 32, 64])
@pytest.mark.parametrize("context", [(), (3,), (2, 0, 0)])
def test_networks_take_any_size_colour_context_and_particles(network, size, context):
    shape = (3, size, size)
    context = (2, size, size) if len(context) == 3 else context
    net = NETWORKS[network](shape=shape, **({"hidden": (5, 4)} if network in ("mlp", "gated") else {}))
    encoder, decoder = net.encoder(context), net.decoder(6, 2, context)
    y = torch.rand(4, *context) if context else None
    assert encoder(torch.rand(4, *shape), y).shape == (4, encoder.features)
    assert decoder(torch.randn(4, 6), y).shape == (4, 2, *shape)
    assert decoder(torch.randn(3, 4, 6), y).shape == (3, 4, 2, *shape)


@pytest.mark.parametrize("network", NETWORKS)
def test_particles_are_decoded_each_with_its_own_context(network):
    net = NETWORKS[network](shape=(1, 8, 8), **({"hidden": (5,)} if network in ("mlp", "gated") else {}))
    decoder = net.decoder(2, 1, (3,)).eval()
    z, y = torch.randn(5, 4, 2), torch.eye(3)[[0, 1, 2, 0]]
    together = decoder(z, y)
    for particle, alone in zip(together, z):
        torch.testing.assert_close(particle, decoder(alone, y))


def test_conv_is_the_net_of_the_experiments():
    net = Conv((1, 28, 28))
    kinds = [
        (m.out_channels, *m.kernel_size, *m.stride, *m.padding) for m in net.encoder().body if hasattr(m, "stride")
    ]
    assert kinds == [(16, 4, 4, 2, 2, 1, 1), (32, 4, 4, 2, 2, 1, 1), (16, 3, 3, 1, 1, 1, 1)]
    decoder = net.decoder(10, 1)
    assert decoder.start.out_features == 16 * 7 * 7
    assert net.encoder().features == 16 * 7 * 7


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_activations_are_used(activation):
    vae, _ = small_vae(activation=activation)
    assert isinstance(vae.encoder.body[1], ACTIVATIONS[activation])
