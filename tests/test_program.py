"""The methods that every program has: encode, decode, generate, reconstruct, complete."""

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_vae
from torch import nn

from pyrovae import VAE, InputError
from pyrovae.inference import seeded

CONDITIONS = ("none", "label", "quadrant1", "quadrant2", "quadrant3")


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("network", ["mlp", "conv"])
@pytest.mark.parametrize("shape", [(1, 8, 8), (3, 10, 12)])
def test_every_method_returns_images_or_codes_of_the_right_shape(condition, network, shape):
    vae, _ = small_vae(shape=shape, condition=condition, network=network)
    x = torch.rand(4, *shape)
    y = {"n": None, "l": torch.tensor([0, 1, 2, 0]), "q": x}[condition[0]]
    assert vae.encode(x, y).batch_shape == (4,)
    assert vae.encode(x, y).event_shape == (2,)
    for images in (vae.generate(4, y), vae.reconstruct(x, y), vae.decode(torch.randn(4, 2), y)):
        assert images.shape == (4, *shape)
        assert images.min() >= 0
        assert images.max() <= 1
        assert not images.requires_grad
    drawn = vae.generate(4, y, mean=False)
    if condition[0] != "q":
        assert set(drawn.unique().tolist()) <= {0.0, 1.0}


def test_wrong_contexts_are_refused():
    (plain, _), (labelled, _) = small_vae(), small_vae(condition="label")
    x = torch.rand(2, 1, 8, 8)
    with pytest.raises(InputError, match="expected none, as the model is unconditional"):
        plain.generate(2, torch.tensor([0, 1]))
    with pytest.raises(InputError, match="expected labels, as the model is conditional, got none"):
        labelled.reconstruct(x)
    with pytest.raises(InputError, match="labels from 0 to 2, got 0 to 3"):
        labelled.generate(2, torch.tensor([0, 3]))
    with pytest.raises(InputError, match="conditioned on quadrants"):
        plain.complete(x)
    quadrants, _ = small_vae(condition="quadrant1")
    with pytest.raises(InputError, match=r"expected images of shape \(1, 8, 8\), got \(1, 9, 9\)"):
        quadrants.complete(torch.rand(2, 1, 9, 9))


@pytest.mark.parametrize(
    "y", [3, torch.tensor(3), torch.tensor([0]), torch.tensor([0.0, 1.0]), torch.eye(2), torch.zeros(2, 1).long()]
)
def test_a_context_of_the_wrong_kind_is_refused_in_one_line(y):
    vae, _ = small_vae(condition="label")
    with pytest.raises(InputError, match=r"y: expected .*, got"):
        vae.generate(2, y)


def test_labels_may_be_of_any_integer_type_or_one_hot():
    vae, _ = small_vae(condition="label")
    z = torch.randn(2, 2)
    images = [vae.decode(z, y) for y in (torch.tensor([0, 2]), torch.tensor([0, 2]).int(), torch.eye(3)[[0, 2]])]
    assert torch.equal(images[0], images[1])
    assert torch.equal(images[0], images[2])


def test_a_likelihood_without_a_known_mean_averages_draws():
    class LogitNormal(nn.Module):
        def forward(self, h):
            (loc,) = h.unbind(-4)
            return dist.TransformedDistribution(dist.Normal(loc, 1.0), dist.transforms.SigmoidTransform()).to_event(3)

    plain, _ = small_vae()
    vae = VAE(plain.encoder, plain.decoder, plain.prior, plain.posterior, LogitNormal())
    images = vae.generate(3)
    assert images.shape == (3, 1, 8, 8)
    assert ((images > 0) & (images < 1)).all()


@pytest.mark.parametrize("kind", ["tensor", "array"])
def test_many_rows_are_run_a_batch_at_a_time(kind, monkeypatch):
    """The result is that of all rows at once, the networks are never given more than a batch, and errors stay."""
    vae, _ = small_vae(condition="label", network="conv")
    x, y, z = torch.rand(13, 1, 8, 8), torch.arange(13) % 3, torch.randn(13, 2)
    x, y, z = (tensor.numpy() if kind == "array" else tensor for tensor in (x, y, z))
    calls = {"reconstruct": (x, y), "decode": (z, y)}
    whole = {name: getattr(vae, name)(*arguments) for name, arguments in calls.items()}
    monkeypatch.setattr("pyrovae.inference.arrays.BATCH", 5)
    monkeypatch.setattr("pyrovae.program.BATCH", 5)
    counts = []
    vae.decoder.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    for name, arguments in calls.items():
        torch.testing.assert_close(getattr(vae, name)(*arguments), whole[name], rtol=1e-5, atol=1e-6)
    assert vae.generate(y=y).shape == (13, 1, 8, 8)
    assert counts == [5, 5, 3] * 3
    with pytest.raises(InputError, match="y: expected a tensor of 13 labels, got shape"):
        vae.reconstruct(x, y[:12])


@pytest.mark.parametrize("posterior", ["diagonal", "lowrank", "full", "delta", "flow"])
def test_many_images_are_encoded_a_batch_at_a_time_if_their_distributions_can_be_put_together(posterior, monkeypatch):
    vae, _ = small_vae(posterior=posterior, latent_dim=3)
    x, counts = torch.rand(13, 1, 8, 8), []
    whole = vae.encode(x)
    monkeypatch.setattr("pyrovae.inference.arrays.BATCH", 5)
    vae.encoder.register_forward_pre_hook(lambda _, arguments: counts.append(len(arguments[0])))
    codes = vae.encode(x)
    assert counts == ([5, 13] if posterior == "flow" else [5, 5, 3])
    assert (type(codes), codes.batch_shape, codes.event_shape) == (type(whole), (13,), (3,))
    with seeded(0):
        z = whole.sample()
    with seeded(0):
        torch.testing.assert_close(codes.sample(), z, rtol=1e-5, atol=1e-6)
    if posterior not in ("flow", "delta"):  # which score a rounding error as the inverse of a flow, or −∞
        torch.testing.assert_close(codes.log_prob(z), whole.log_prob(z), rtol=1e-5, atol=1e-5)


def test_codes_of_another_precision_are_decoded():
    vae, _ = small_vae()
    z = torch.linspace(-2, 2, 6, dtype=torch.float64).view(3, 2)  # as a grid of numpy is
    assert torch.equal(vae.decode(z), vae.decode(z.float()))
