"""Posteriors are densities, are reparameterised, and have the covariance of their name."""

import pytest
import torch
from support.grid import grid
from torch.distributions import MultivariateNormal

from pyrovae.parts.posteriors import POSTERIORS


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


def test_a_flow_needs_two_dimensions():
    with pytest.raises(ValueError, match="expected two latent dimensions or more, got 1"):
        POSTERIORS["flow"](latent_dim=1, features=3)
