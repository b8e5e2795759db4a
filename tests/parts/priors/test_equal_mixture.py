"""A mixture of equal Gaussians agrees with the mixture of Pyro, in scores, gradients and draws."""

import pyro.distributions as dist
import pytest
import torch

from pyrovae.parts.priors.equal_mixture import EqualMixture


@pytest.mark.parametrize(("dtype", "error"), [(torch.float32, 1e-4), (torch.float64, 1e-9)])
@pytest.mark.parametrize("batch", [(), (5,), (3, 5)])
def test_scores_and_gradients_agree_with_the_mixture_of_pyro(dtype, error, batch, monkeypatch):
    monkeypatch.setattr(EqualMixture, "pairs", 7 * 40)  # so that the scores are computed in several parts
    loc, scale = (3 + torch.randn(40, 6)).to(dtype).requires_grad_(), torch.tensor(0.5, dtype=dtype, requires_grad=True)
    parts = dist.Normal(loc, scale).to_event(1)
    reference = dist.MixtureSameFamily(dist.Categorical(logits=torch.zeros(40, dtype=dtype)), parts)
    p = EqualMixture(loc, scale)
    z = (3 + torch.randn(*batch, 6)).to(dtype).requires_grad_()
    torch.testing.assert_close(p.log_prob(z), reference.log_prob(z), rtol=0, atol=error)
    gradients, expected = (torch.autograd.grad(q.log_prob(z).sum(), [loc, scale, z]) for q in (p, reference))
    torch.testing.assert_close(gradients, expected, rtol=1e-3, atol=10 * error)
    torch.testing.assert_close(p.mean, reference.mean)
    wide = p.expand((4, *batch))
    assert wide.log_prob(z).shape == (4, *batch)
    assert wide.rsample((2,)).shape == (2, 4, *batch, 6)


def test_draws_have_the_moments_of_the_mixture_and_carry_gradients():
    loc, scale = torch.randn(8, 2, requires_grad=True), torch.tensor(0.3, requires_grad=True)
    z = EqualMixture(loc, scale).rsample((100_000,))
    torch.testing.assert_close(z.mean(0), loc.mean(0), rtol=0, atol=0.02)
    torch.testing.assert_close(z.var(0), loc.var(0, correction=0) + 0.09, rtol=0.03, atol=0.01)
    share, width = torch.autograd.grad(z.sum() / len(z), [loc, scale])
    torch.testing.assert_close(share, torch.full((8, 2), 1 / 8), rtol=0, atol=0.01)
    assert abs(width) < 0.02
