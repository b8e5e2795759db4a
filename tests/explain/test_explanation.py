"""The terms of the ELBO in Pyro, compared with densities in plain PyTorch for every listed part."""

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_data, small_vae
from support.explanations import explanation_of
from support.likelihoods import LIKELIHOODS
from torch.autograd import functional

from pyrovae import fit
from pyrovae.explain.explanation import explain
from pyrovae.parts.posteriors import POSTERIORS
from pyrovae.parts.posteriors.gaussian import Diagonal
from pyrovae.parts.priors import PRIORS
from pyrovae.parts.priors.flow import Flow
from pyrovae.parts.priors.standard import Normal

CONDITIONS = ("none", "label", "quadrant1")
LEARNED = ("mixture", "vamp", "exemplar", "flow", "conditional")
PAIRS = [
    (prior, posterior, condition)
    for prior in PRIORS
    for posterior in POSTERIORS
    for condition in CONDITIONS
    if not (prior in LEARNED and posterior == "delta") and not (prior == "conditional" and condition == "none")
]


def worst(explanation):
    """The largest difference of any term in nats per image; every term must have one."""
    terms = [*explanation.terms, explanation.total, explanation.elbo, *explanation.kls[:1]]
    assert not explanation.missing
    assert None not in [term.difference for term in terms]
    return max(term.difference for term in [*terms, *explanation.kls] if term.difference is not None)


@pytest.mark.parametrize("condition", CONDITIONS)
@pytest.mark.parametrize("likelihood", LIKELIHOODS)
def test_every_likelihood_agrees_with_its_density_in_plain_pytorch(likelihood, condition):
    explanation = explanation_of(
        likelihood=likelihood, condition=condition, scale="pixel" if condition == "label" else "shared"
    )
    assert worst(explanation) < 1e-9
    assert explanation.agrees
    assert [term.name for term in explanation.terms][1] == (
        "log p(x | z)" if condition == "none" else "log p(x | z, y)"
    )


@pytest.mark.parametrize("likelihood", ["bernoulli", "categorical", "discretized_logistic_mixture"])
def test_likelihoods_of_coloured_images_agree_with_their_densities(likelihood):
    assert worst(explanation_of(likelihood=likelihood, shape=(3, 6, 6), condition="quadrant2")) < 1e-9


@pytest.mark.parametrize(("prior", "posterior", "condition"), PAIRS)
def test_every_prior_and_posterior_agrees_with_its_density_in_plain_pytorch(prior, posterior, condition):
    explanation = explanation_of(prior=prior, posterior=posterior, condition=condition)
    assert worst(explanation) < 1e-9
    assert explanation.agrees
    assert len(explanation.terms) == (1 if posterior == "delta" else 3)
    assert explanation.formulas[1].left == ("p(z | y)" if prior == "conditional" else "p(z)")


@pytest.mark.parametrize("prior", ["flow"])
def test_a_flow_of_coupling_layers_agrees_with_its_density(prior):
    assert worst(explanation_of(prior=prior, flow="coupling")) < 1e-9


def test_the_exact_kl_is_that_of_the_vae_paper():
    """−½ Σ (1 + log σ² − μ² − σ²), from appendix B of Kingma & Welling (2014)."""
    vae, config = small_vae(latent_dim=4)
    data = small_data()
    batch = data.batch(data.test, slice(0, 20))
    explanation = explain(vae, batch, config)
    q = vae.encode(batch.x)
    in_torch = -0.5 * (1 + q.variance.log() - q.mean**2 - q.variance).sum(-1).mean()
    assert explanation.kls[1].in_pyro == pytest.approx(in_torch.item(), abs=1e-6)
    assert explanation.kls[1].difference < 1e-9


def test_the_density_of_a_flow_has_the_determinant_of_its_jacobian():
    prior = Flow(3, "autoregressive").double()
    z = torch.randn(5, 3, dtype=torch.float64)
    jacobians = torch.stack([functional.jacobian(prior.bent, row[None])[0, :, 0] for row in z])
    normal = dist.Normal(0.0, 1.0).log_prob(prior.bent(z)).sum(-1)
    torch.testing.assert_close(prior.log_density(None, z), normal + jacobians.det().abs().log())


def test_explaining_does_not_change_the_vae():
    vae, config = small_vae(network="conv", prior="exemplar", components=5)
    data = small_data()
    fit(vae, data, config)
    vae.train()
    before = {name: tensor.clone() for name, tensor in vae.state_dict().items()}
    explain(vae, data.batch(data.test, slice(0, 4)), config)
    assert vae.training
    assert torch.get_default_dtype() == torch.float32
    assert all(torch.equal(tensor, before[name]) for name, tensor in vae.state_dict().items())


def test_an_explanation_lists_the_sites_of_model_and_guide():
    explanation = explanation_of(trained=False, condition="quadrant1", n=5)
    rows = [
        (s.program, s.name, s.distribution, s.batch, s.event, s.plates, s.observed, s.numbers)
        for s in explanation.sites
    ]
    assert rows == [
        ("model", "z", "Normal.to_event(1)", (5,), (3,), {"images": 5}, False, 15),
        ("model", "x", "Bernoulli.mask.to_event(3)", (5,), (1, 8, 8), {"images": 5}, True, 320),
        ("guide", "z", "Normal.to_event(1)", (5,), (3,), {"images": 5}, False, 15),
    ]
    assert explanation.parameters["encoder"] == (64 + 64 + 1) * 16
    assert any("48 pixels that y does not show" in note for formula in explanation.formulas for note in formula.where)


def test_a_prior_that_differs_from_its_density_does_not_agree(monkeypatch):
    """The scale of the prior is larger by one part in a million."""
    monkeypatch.setattr(Normal, "distribution", lambda self: dist.Normal(self.loc, self.scale * (1 + 1e-6)))
    explanation = explanation_of(trained=False)
    prior, likelihood, posterior = explanation.terms
    assert not explanation.agrees
    assert (prior.agrees, likelihood.agrees, posterior.agrees) == (False, True, True)
    assert (explanation.total.agrees, explanation.elbo.agrees) == (False, False)


def test_nan_does_not_agree_with_a_number(monkeypatch):
    monkeypatch.setattr(Diagonal, "log_density", lambda self, h, z: torch.full_like(z[:, 0], torch.nan))
    assert [term.agrees for term in explanation_of(trained=False).terms] == [True, True, False]
