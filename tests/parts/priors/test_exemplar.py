"""The exemplar prior is the mixture around its images, and computes their means again when a weight changes."""

import pyro
import pytest
import torch
from support.builders import small_data, small_vae
from torch.fx.experimental.proxy_tensor import make_fx

from pyrovae import InputError, Run, fit
from pyrovae.parts.priors.exemplar import Exemplar


def started(components=30, data=None, **settings):
    vae, config = small_vae(prior="exemplar", components=components, **settings)
    data = data or small_data(pixels=config.pixels)
    return vae, fit(vae, data, config), data


def by_hand(vae):
    """The means of all exemplars, from the images that the prior holds."""
    prior, rows = vae.prior, slice(None)
    with torch.no_grad():
        q = vae.posterior(vae.encoder(prior.images[rows], prior.contexts[rows] if prior.contexts else None))
    return q.mean


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
@pytest.mark.parametrize("pixels", ["grey", "dynamic", "bytes", "standardized"])
def test_it_holds_training_images_exactly_and_each_once(condition, pixels):
    fitting = {"grey": "gaussian", "dynamic": "bernoulli", "bytes": "categorical", "standardized": "gaussian"}
    vae, _, data = started(pixels=pixels, condition=condition, likelihood=fitting[pixels])
    held = vae.prior.images[slice(None)]
    assert vae.prior.images.bytes.dtype == torch.uint8
    assert len(held.unique(dim=0)) == len(held) == 30
    if pixels != "dynamic":  # those are drawn at each visit
        images = data.batch(data.train, slice(0, 40)).x
        assert all(any(torch.equal(u, x) for x in images) for u in held)
    if condition == "quadrant1":
        torch.testing.assert_close(vae.prior.contexts[slice(None)], vae.context(held), rtol=0, atol=0)
    torch.testing.assert_close(vae.prior().loc, by_hand(vae))


def test_more_exemplars_than_images_take_some_twice():
    vae, _, _ = started(components=60)
    assert len(vae.prior.images.bytes.unique(dim=0)) == 40


def test_a_step_encodes_a_subset_drawn_afresh_and_evaluation_all(monkeypatch):
    monkeypatch.setattr(Exemplar, "subset", 10)
    vae, _, _ = started()
    everything = by_hand(vae)
    torch.testing.assert_close(vae.prior().loc, everything)
    assert not vae.prior().loc.requires_grad
    vae.train()
    first, second = vae.prior().loc, vae.prior().loc
    assert first.shape == second.shape == (10, 2)
    assert first.requires_grad
    assert not torch.equal(first, second)
    assert all((everything - row).abs().sum(-1).min() < 1e-5 for row in first)
    torch.manual_seed(3)
    again = vae.prior().loc
    torch.manual_seed(3)
    assert torch.equal(vae.prior().loc, again)


def test_the_log_of_a_subset_is_a_bound_in_the_mean(monkeypatch):
    vae, _, _ = started()
    z = torch.randn(50, 2)
    monkeypatch.setattr(Exemplar, "subset", 5)
    vae.prior.log_scale.data.fill_(-1.0)
    whole = vae.prior().log_prob(z)
    vae.train()
    with torch.no_grad():
        parts = torch.stack([vae.prior().log_prob(z) for _ in range(2000)])
    assert parts.mean() < whole.mean()
    assert (parts.mean(0) < whole + 4 * parts.std(0) / 2000**0.5).all()
    torch.testing.assert_close(parts.logsumexp(0) - torch.tensor(2000.0).log(), whole, rtol=0, atol=0.1)


def test_means_are_computed_once_and_anew_when_a_weight_moves():
    vae, fitting, _ = started()
    first = vae.prior().loc
    assert vae.prior().loc is first
    fitting.svi.step(torch.arange(16))  # in evaluation mode; the fused step leaves no version
    torch.testing.assert_close(vae.prior().loc, by_hand(vae))
    assert not torch.equal(vae.prior().loc, first)
    vae.encoder.body[0].weight.data.mul_(2)
    torch.testing.assert_close(vae.prior().loc, by_hand(vae))
    other, _, _ = started(data=small_data(n=50), seed=5)
    vae.load_state_dict(other.state_dict())
    torch.testing.assert_close(vae.prior().loc, other.prior().loc)
    torch.testing.assert_close(vae.double().prior().loc, by_hand(vae))


def test_new_exemplars_under_the_same_weights_are_seen():
    vae, _, _ = started()
    state = vae.state_dict()
    state["prior.images.bytes"] = state["prior.images.bytes"].flip(1, 2, 3)
    first = vae.prior().loc
    vae.load_state_dict(state)
    torch.testing.assert_close(vae.prior().loc, by_hand(vae))
    assert not torch.allclose(vae.prior().loc, first)


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
def test_a_loaded_run_draws_the_same_without_the_data(tmp_path, condition):
    vae, config = small_vae(prior="exemplar", components=30, condition=condition)
    fitting, run = fit(vae, small_data(pixels=config.pixels), config), Run.create(tmp_path, config)
    for record in fitting:
        run.record(record, fitting)
    loaded = Run(tmp_path).vae
    y = {"none": None, "label": torch.tensor([0, 1, 2]), "quadrant1": torch.rand(3, 1, 8, 8)}[condition]
    pictures = []
    for model in (vae, loaded):
        torch.manual_seed(0)
        pictures.append(model.generate(3, y))
    assert torch.equal(*pictures)
    assert not [name for name in vae.state_dict() if "kept" in name or name.startswith("prior.shared")]


def test_a_flow_has_the_bent_mean_of_its_base():
    vae, _, _ = started(posterior="flow")
    loc = vae.prior().loc
    q = vae.posterior(vae.encoder(vae.prior.images[slice(None)]))
    z = q.base_dist.mean
    for transform in q.transforms:
        z = transform(z)
    torch.testing.assert_close(loc, z)


def test_a_posterior_without_a_known_mean_is_refused(tmp_path):
    file = tmp_path / "own.py"
    file.write_text(
        """
import pyro.distributions as dist
from torch import nn


class Blur(dist.Normal):
    @property
    def mean(self):
        raise NotImplementedError


class Own(nn.Module):
    def __init__(self, features, latent_dim):
        super().__init__()
        self.head = nn.Linear(features, latent_dim)

    def forward(self, h):
        return Blur(self.head(h), 1.0).to_event(1)
"""
    )
    with pytest.raises(InputError, match="prior exemplar: expected a posterior whose mean is known, as diagonal"):
        small_vae(prior="exemplar", posterior=f"{file}:Own")


def test_a_graph_of_an_evaluation_takes_the_means_as_they_are():
    """It neither reads a value of a tensor in the making nor computes them again at each call."""
    vae, _, _ = started()
    with torch.no_grad(), pyro.validation_enabled(False):
        graph = make_fx(lambda z: vae.prior().log_prob(z))(torch.randn(4, 2))
    assert sum("mm" in node.name for node in graph.graph.nodes) == 1
    z = torch.randn(4, 2)
    torch.testing.assert_close(graph(z), vae.prior().log_prob(z))


def test_a_step_can_be_traced(monkeypatch):
    """No value is read: what is left is a plain graph, with its own draw in it."""
    monkeypatch.setattr(Exemplar, "subset", 10)
    vae, _, _ = started()
    vae.train()
    with pyro.validation_enabled(False):
        graph = make_fx(lambda z: vae.prior().log_prob(z))(torch.randn(4, 2))
    z = torch.randn(4, 2)
    assert not torch.equal(graph(z), graph(z))
    torch.manual_seed(0)
    found = graph(z)
    torch.manual_seed(0)
    torch.testing.assert_close(found, vae.prior().log_prob(z))
