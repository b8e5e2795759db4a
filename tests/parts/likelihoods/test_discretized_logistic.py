"""Discretized logistic likelihoods: probabilities that sum to one over bytes and over colours."""

import pytest
import torch
from support.likelihoods import LIKELIHOODS

from pyrovae.parts.likelihoods.discretized_logistic import RoundedLogistic, _loc_scale


def test_rounded_logistic_is_the_integral_of_the_logistic_density():
    rounded = RoundedLogistic(torch.tensor(100.3, dtype=torch.float64), torch.tensor(7.0, dtype=torch.float64))
    grid = torch.linspace(119.5, 120.5, 100_001, dtype=torch.float64)
    u = (grid - 100.3) / 7
    density = u.neg().exp() / (7 * (1 + u.neg().exp()).square())
    mass = torch.trapezoid(density, grid)
    assert rounded.log_prob(torch.tensor(120.0)).exp().item() == pytest.approx(mass.item(), rel=1e-6)


def random_pixel(shape=(3, 1, 1), log_scale=0.0, link=0.0):
    torch.manual_seed(1)
    likelihood = LIKELIHOODS["discretized_logistic_mixture"](shape=shape)
    h = torch.randn(likelihood.features, *shape, dtype=torch.float64)
    h[20:30] += log_scale
    h[30:40] += link
    return likelihood(h)


def test_the_probabilities_of_all_colours_sum_to_one():
    """Sum over all 65,536 values of two channels, and over the third channel given one value of the others."""
    pixel = random_pixel(shape=(2, 1, 1))
    values = torch.cartesian_prod(*[torch.arange(256, dtype=torch.float64)] * 2).view(-1, 2, 1, 1)
    assert pixel.log_prob(values).exp().sum().item() == pytest.approx(1, abs=1e-9)
    pixel = random_pixel()
    values = torch.tensor([100.0, 7.0, 0.0]).view(3, 1, 1).expand(256, 3, 1, 1).double().clone()
    values[:, 2, 0, 0] = torch.arange(256)
    conditional = pixel.base_dist.log_prob(values)[:, 2]
    assert conditional.exp().sum().item() == pytest.approx(1, abs=1e-9)


def test_draws_of_colours_have_the_probabilities_that_are_scored():
    """Compare the frequencies of 64 coarse colours with sums over all 65,536 probabilities."""
    pixel = random_pixel(shape=(2, 1, 1), log_scale=-1.0, link=2.0)
    samples = pixel.sample((100_000,))[..., 0, 0]
    assert samples.T.corrcoef()[0, 1] > 0.3  # the channels are linked
    values = torch.cartesian_prod(*[torch.arange(256, dtype=torch.float64)] * 2)
    mass = pixel.log_prob(values.view(-1, 2, 1, 1)).exp()
    cells = [(x // 32).long() @ torch.tensor([8, 1]) for x in (samples, values)]
    frequencies = torch.bincount(cells[0], minlength=64) / len(samples)
    expected = torch.zeros(64, dtype=torch.float64).index_add(0, cells[1], mass)
    torch.testing.assert_close(frequencies.double(), expected, rtol=0, atol=0.006)


def test_a_grey_mixture_agrees_with_the_mixture_of_torch():
    likelihood = LIKELIHOODS["discretized_logistic_mixture"]()
    h = torch.randn(30, 1, 2, 2)
    logits, loc, log_scale = h.movedim(0, -1).chunk(3, -1)
    parts = RoundedLogistic(*_loc_scale(loc, log_scale))
    by_torch = torch.distributions.MixtureSameFamily(torch.distributions.Categorical(logits=logits), parts)
    x = torch.randint(0, 256, (5, 1, 2, 2)).float()
    torch.testing.assert_close(likelihood(h).log_prob(x), by_torch.log_prob(x).sum((-3, -2, -1)))


def test_more_than_three_channels_are_refused():
    with pytest.raises(ValueError, match="expected 3 channels or fewer, got 4"):
        LIKELIHOODS["discretized_logistic_mixture"](shape=(4, 8, 8))
