"""The VampPrior is the mixture of the posteriors of its pseudo-inputs, and is saved with them."""

import pytest
import torch
from support.builders import small_data, small_vae

from pyrovae import Run, fit


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_it_starts_from_training_images_and_is_the_mixture_of_their_posteriors(condition):
    vae, config = small_vae(prior="vamp", components=7, condition=condition)
    data = small_data()
    fit(vae, data, config)
    images = data.batch(data.train, slice(0, 40)).x
    assert all(any(torch.equal(u, x) for x in images) for u in vae.prior.inputs)
    z = torch.randn(3, 2)
    parts = vae.posterior(vae.encoder(vae.prior.inputs, vae.prior.contexts))
    by_hand = torch.stack([parts.log_prob(code.expand(7, -1)).exp().mean().log() for code in z])
    torch.testing.assert_close(vae.prior().log_prob(z), by_hand)


def test_its_inputs_are_learned_in_the_units_of_pixels():
    """Of bytes, a step of Adam moves them by lr times 255: as far as it moves pixels that are grey."""
    vae, config = small_vae(prior="vamp", components=7, pixels="bytes", likelihood="poisson", epochs=1)
    data = small_data(pixels="bytes")
    training = fit(vae, data, config)
    before = vae.prior.images.clone()
    images = data.batch(data.train, slice(0, 40)).x
    assert all(any(torch.allclose(u, x) for x in images) for u in before)
    assert all(epoch for epoch in training)
    assert (vae.prior.images - before).abs().mean() > 0.2


def test_it_is_saved_and_loaded_with_its_inputs(tmp_path):
    vae, config = small_vae(prior="vamp", components=7, condition="label")
    fitting, run = fit(vae, small_data(pixels=config.pixels), config), Run.create(tmp_path, config)
    for record in fitting:
        run.record(record, fitting)
    z = torch.randn(5, 2)
    assert torch.equal(run.vae.prior().log_prob(z), vae.prior().log_prob(z))
    names = [name for name in vae.state_dict() if name.startswith("prior.")]
    assert sorted(names) == ["prior.contexts", "prior.inputs", "prior.started"]  # the encoder is not saved twice
