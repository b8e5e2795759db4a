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


def expected_means(vae):
    """Encode all exemplars of the prior, and return their means."""
    prior, rows = vae.prior, slice(None)
    with torch.no_grad():
        q = vae.posterior(vae.encoder(prior.images[rows], prior.contexts[rows] if prior.contexts else None))
    return q.mean


@pytest.mark.parametrize("condition", ["none", "label", "quadrant1"])
@pytest.mark.parametrize("pixels", ["grey", "dynamic", "bytes", "standardized"])
def test_exemplars_are_training_images_and_no_image_is_taken_twice(condition, pixels):
    likelihoods = {"grey": "gaussian", "dynamic": "bernoulli", "bytes": "categorical", "standardized": "gaussian"}
    vae, _, data = started(pixels=pixels, condition=condition, likelihood=likelihoods[pixels])
    exemplars = vae.prior.images[slice(None)]
    assert vae.prior.images.bytes.dtype == torch.uint8
    assert len(exemplars.unique(dim=0)) == len(exemplars) == 30
    if pixels != "dynamic":  # dynamic pixels are drawn anew at each visit
        images = data.batch(data.train, slice(0, 40)).x
        assert all(any(torch.equal(u, x) for x in images) for u in exemplars)
    if condition == "quadrant1":
        torch.testing.assert_close(vae.prior.contexts[slice(None)], vae.context(exemplars), rtol=0, atol=0)
    torch.testing.assert_close(vae.prior().loc, expected_means(vae))


def test_some_images_are_taken_twice_if_there_are_more_exemplars_than_images():
    vae, _, _ = started(components=60)
    assert len(vae.prior.images.bytes.unique(dim=0)) == 40


def test_a_step_encodes_a_new_random_subset_and_evaluation_encodes_all(monkeypatch):
    monkeypatch.setattr(Exemplar, "subset", 10)
    vae, _, _ = started()
    everything = expected_means(vae)
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


def test_the_log_density_of_a_subset_is_a_lower_bound_in_expectation(monkeypatch):
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


def test_means_are_computed_once_and_again_when_a_weight_changes():
    vae, fitting, _ = started()
    first = vae.prior().loc
    assert vae.prior().loc is first
    fitting.svi.step(torch.arange(16))  # the fused optimizer raises no version counter, even in evaluation mode
    torch.testing.assert_close(vae.prior().loc, expected_means(vae))
    assert not torch.equal(vae.prior().loc, first)
    vae.encoder.body[0].weight.data.mul_(2)
    torch.testing.assert_close(vae.prior().loc, expected_means(vae))
    other, _, _ = started(data=small_data(n=50), seed=5)
    vae.load_state_dict(other.state_dict())
    torch.testing.assert_close(vae.prior().loc, other.prior().loc)
    torch.testing.assert_close(vae.double().prior().loc, expected_means(vae))


def test_means_are_computed_again_for_new_exemplars_under_the_same_weights():
    vae, _, _ = started()
    state = vae.state_dict()
    state["prior.images.bytes"] = state["prior.images.bytes"].flip(1, 2, 3)
    first = vae.prior().loc
    vae.load_state_dict(state)
    torch.testing.assert_close(vae.prior().loc, expected_means(vae))
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


def test_the_mean_of_a_flow_is_the_transformed_mean_of_its_base():
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


def test_a_traced_evaluation_takes_the_means_as_constants():
    """The graph has one matrix product, that of the scores, and so does not encode the exemplars."""
    vae, _, _ = started()
    with torch.no_grad(), pyro.validation_enabled(False):
        graph = make_fx(lambda z: vae.prior().log_prob(z))(torch.randn(4, 2))
    assert sum("mm" in node.name for node in graph.graph.nodes) == 1
    z = torch.randn(4, 2)
    torch.testing.assert_close(graph(z), vae.prior().log_prob(z))


def test_a_traced_step_draws_a_new_subset_at_each_call(monkeypatch):
    """Tracing reads no value of a tensor, and the graph draws by itself."""
    monkeypatch.setattr(Exemplar, "subset", 10)
    vae, _, _ = started()
    vae.train()
    with pyro.validation_enabled(False):
        graph = make_fx(lambda z: vae.prior().log_prob(z))(torch.randn(4, 2))
    z = torch.randn(4, 2)
    assert not torch.equal(graph(z), graph(z))
    torch.manual_seed(0)
    score = graph(z)
    torch.manual_seed(0)
    torch.testing.assert_close(score, vae.prior().log_prob(z))
