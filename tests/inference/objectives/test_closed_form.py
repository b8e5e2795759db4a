"""KL divergences in closed form, against samples and torch's own."""

import math

import pyro.distributions as dist
import pytest
import torch
from support.builders import small_vae

from pyrovae.inference.objectives.closed_form import known_kl

pytestmark = pytest.mark.usefixtures("double")


@pytest.mark.parametrize("posterior", ["full", "lowrank"])
def test_the_kl_of_a_gaussian_of_any_covariance_is_that_of_samples(posterior):
    vae, _ = small_vae(posterior=posterior, latent_dim=3, pixels="threshold")
    q, p = vae.encode(torch.rand(5, 1, 8, 8)), vae.prior()
    exact, z = known_kl(q, p), q.sample((200_000,))
    draws = q.log_prob(z) - p.log_prob(z)
    assert ((exact - draws.mean(0)).abs() < 4 * draws.std(0) / math.sqrt(len(draws)) + 1e-4).all()


def test_the_kl_to_a_diagonal_gaussian_equals_torchs():
    lower = torch.tril(torch.randn(3, 3, dtype=torch.float64)) + 2 * torch.eye(3)
    q = dist.MultivariateNormal(torch.randn(3, dtype=torch.float64), scale_tril=lower)
    loc, scale = torch.randn(3, dtype=torch.float64), torch.rand(3, dtype=torch.float64) + 0.5
    expected = torch.distributions.kl_divergence(q, dist.MultivariateNormal(loc, scale_tril=torch.diag(scale)))
    torch.testing.assert_close(known_kl(q, dist.Normal(loc, scale).to_event(1)), expected)
    assert known_kl(q, dist.Laplace(loc, scale).to_event(1)) is None
