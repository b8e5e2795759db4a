"""A likelihood leaves out the pixels that the context shows."""

import pytest
import torch
from support.builders import small_vae


def test_the_optimal_scale_counts_only_the_pixels_that_are_scored():
    vae, _ = small_vae(likelihood="gaussian", scale="optimal", condition="quadrant1")
    mask = ~vae.context.seen
    h, x = torch.zeros(4, 1, 1, 8, 8, requires_grad=True), torch.where(mask, 0.1, 1.0) * torch.randn(4, 1, 8, 8)
    score = vae.likelihood.train()(h).log_prob(x).sum()
    (gradient,) = torch.autograd.grad(score, h)
    rms = x[:, mask].square().mean().sqrt()
    assert score.item() == pytest.approx(
        torch.distributions.Normal(0.0, rms).log_prob(x[:, mask]).sum().item(), rel=1e-4
    )
    assert (gradient[:, 0][:, ~mask] == 0).all()
