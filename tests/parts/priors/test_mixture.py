"""A mixture of Gaussians that is scored by matrix products agrees with the mixture of Pyro."""

import math

import pyro.distributions as dist
import pytest
import torch

from pyrovae.parts.priors.mixture import GaussianMixture, Mixture


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 2e-3), (torch.float64, 1e-9)])
@pytest.mark.parametrize("batch", [(), (5,), (3, 5)])
def test_scores_and_gradients_agree_with_the_mixture_of_pyro(dtype, error, batch):
    loc, scale = 3 + torch.randn(40, 6), 0.05 + torch.rand(40, 6)
    tensors = [x.to(dtype).requires_grad_() for x in (torch.randn(40), loc, scale, 3 + torch.randn(*batch, 6))]
    logits, loc, scale, z = tensors
    reference, mixture = (
        kind(dist.Categorical(logits=logits), dist.Normal(loc, scale).to_event(1))
        for kind in (dist.MixtureSameFamily, GaussianMixture)
    )
    torch.testing.assert_close(mixture.log_prob(z), reference.log_prob(z), rtol=0, atol=error)
    gradients, expected = (torch.autograd.grad(q.log_prob(z).sum(), tensors) for q in (mixture, reference))
    torch.testing.assert_close(gradients, expected, rtol=1e-3, atol=10 * error)
    wide = mixture.expand((4, *batch))
    torch.testing.assert_close(wide.log_prob(z), reference.log_prob(z).expand(4, *batch), rtol=0, atol=error)
    assert wide.sample((2,)).shape == (2, 4, *batch, 6)


@pytest.mark.parametrize("scale", [0.01, 0.1, 1.0])
def test_small_scales_lose_no_digits(scale):
    """In forty dimensions, with means some units apart, the score in float32 is that of float64."""
    torch.manual_seed(0)
    prior = Mixture(40, 20)
    with torch.no_grad():
        prior.log_scale.fill_(math.log(scale))
        z = prior.loc[torch.arange(30) % 20] + scale * torch.randn(30, 40)
    single = prior().log_prob(z)
    assert single.dtype == torch.float32
    torch.testing.assert_close(single.double(), prior.double().log_density(None, z.double()), rtol=1e-5, atol=1e-3)
