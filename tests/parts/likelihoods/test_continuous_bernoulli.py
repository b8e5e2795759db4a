"""The continuous Bernoulli is accurate for every logit."""

import pytest
import torch
from support.likelihoods import LIKELIHOODS


@pytest.mark.parametrize("logit", [-300.0, -30.0, -5.0, -0.11, -0.09, 1e-5, 0.0, 1.0, 100.0])
def test_density_mean_variance_and_draws_agree_for_every_logit(logit):
    pixels = LIKELIHOODS["continuous_bernoulli"]()(torch.full((1, 1, 1, 1, 1), logit))
    x = torch.linspace(0, 1, 200_001, dtype=torch.float64)
    density = pixels.log_prob(x.float().view(-1, 1, 1, 1)).double().exp()
    mean = torch.trapezoid(x * density, x)
    assert torch.trapezoid(density, x).item() == pytest.approx(1, abs=1e-4)
    assert pixels.mean.item() == pytest.approx(mean.item(), abs=1e-5)
    variance = torch.trapezoid((x - mean) ** 2 * density, x).item()
    assert pixels.variance.item() == pytest.approx(variance, abs=2e-5)
    draws = pixels.sample((100_000,)).double()
    assert draws.mean().item() == pytest.approx(mean.item(), abs=5 * (variance / 100_000) ** 0.5)
    assert draws.var().item() == pytest.approx(variance, rel=0.05)
