"""Every network takes any size, colours, contexts and particles, and uses the activation of the config."""

import itertools

import pytest
import torch
from support.builders import small_vae

from pyrovae.parts.networks import ACTIVATIONS, NETWORKS
from pyrovae.parts.registry import parameters_of

LAYERED = [name for name, member in NETWORKS.items() if "hidden" in parameters_of(member)]


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("size", [8, 9, 10, 11, 28, 32, 64])
@pytest.mark.parametrize("context", [(), (3,), (2, 0, 0)])
def test_networks_take_any_size_colour_context_and_particles(network, size, context):
    shape = (3, size, size)
    context = (2, size, size) if len(context) == 3 else context
    net = NETWORKS[network](shape=shape, **({"hidden": (5, 4)} if network in LAYERED else {}))
    encoder, decoder = net.encoder(context), net.decoder(6, 2, context)
    y = torch.rand(4, *context) if context else None
    assert encoder(torch.rand(4, *shape), y).shape == (4, encoder.features)
    assert decoder(torch.randn(4, 6), y).shape == (4, 2, *shape)
    assert decoder(torch.randn(3, 4, 6), y).shape == (3, 4, 2, *shape)


@pytest.mark.parametrize("network", NETWORKS)
def test_particles_are_decoded_each_with_its_own_context(network):
    net = NETWORKS[network](shape=(1, 8, 8), **({"hidden": (5,)} if network in LAYERED else {}))
    decoder = net.decoder(2, 1, (3,)).eval()
    z, y = torch.randn(5, 4, 2), torch.eye(3)[[0, 1, 2, 0]]
    decoded = decoder(z, y)
    for particle, alone in zip(decoded, z):
        torch.testing.assert_close(particle, decoder(alone, y))


CONTEXTS = {"none": (), "label": (3,), "image": (1, 8, 8)}
LEADS = {  # the dimensions before those of one image, code and context
    "particles": ((4,), (5, 4), (4,)),
    "values of a label": ((4,), (4,), (3, 4)),
    "particles, and values of a label": ((4,), (5, 4), (3, 1, 4)),
    "particles, and values of a label that the code depends on": ((4,), (3, 5, 4), (3, 1, 1)),
    "values of two labels": ((4,), (2, 1, 1, 4), (3, 1, 4)),
}


@pytest.mark.parametrize("network", NETWORKS)
@pytest.mark.parametrize("context", CONTEXTS)
@pytest.mark.parametrize("lead", LEADS)
def test_images_codes_and_contexts_broadcast(network, context, lead):
    """Each result is that of its own image, code and context alone."""
    shape, context = (1, 8, 8), CONTEXTS[context]
    net = NETWORKS[network](shape=shape, unit=2.0, **({"hidden": (5,)} if network in LAYERED else {}))
    encoder, decoder = net.encoder(context).eval(), net.decoder(2, 1, context).eval()
    images, codes, contexts = LEADS[lead]
    x, z = torch.rand(*images, *shape), torch.randn(*codes, 2)
    y = torch.rand(*contexts, *context) if context else None
    for module, argument, dims in ((encoder, x, 3), (decoder, z, 1)):
        whole = torch.broadcast_shapes(argument.shape[:-dims], contexts if context else ())
        result = module(argument, y)
        assert result.shape[: len(whole)] == whole
        argument = argument.expand(*whole, *argument.shape[-dims:])
        given = None if y is None else y.expand(*whole, *context)
        for place in itertools.product(*map(range, whole)):
            alone = module(argument[place][None], None if given is None else given[place][None])
            torch.testing.assert_close(result[place], alone[0])


@pytest.mark.parametrize("activation", ACTIVATIONS)
def test_the_encoder_uses_the_activation_of_the_config(activation):
    vae, _ = small_vae(activation=activation)
    assert isinstance(vae.encoder.body[1], ACTIVATIONS[activation])
