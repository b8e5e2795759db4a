"""Bounds of the mutual information and the marginal KL, against linear-Gaussian models and known answers."""

import math

import pyro.distributions as dist
import pytest
import torch

from pyrovae.evaluation.information import information
from pyrovae.evaluation.marginals import log_gaussians, log_stacked
from pyrovae.inference.threads import Threads


def bounds(posteriors, prior):
    """Bound both parts of the KL for posteriors of batch after batch, and one prior for all images."""
    priors = [prior.expand(q.batch_shape) for q in posteriors]
    return information(posteriors, priors, Threads(torch.device("cpu")))


def linear_gaussian(dimensions, noise, stretch, shift, n=1000):
    """Set up x = W z + noise, and a q(z | x) whose means are stretched and shifted; exact with stretch 1 and shift 0.

    Returns posteriors at n images, and the exact mutual information and marginal KL of the population.
    """
    weight = torch.randn(2 * dimensions, dimensions) / math.sqrt(dimensions)
    x = torch.randn(n, dimensions) @ weight.T + noise * torch.randn(n, 2 * dimensions)
    covariance = torch.linalg.inv(torch.eye(dimensions) + weight.T @ weight / noise**2)
    encoder = stretch * covariance @ weight.T / noise**2
    of_images = weight @ weight.T + noise**2 * torch.eye(2 * dimensions)
    of_codes = encoder @ of_images @ encoder.T + covariance
    mutual = 0.5 * (torch.logdet(of_codes) - torch.logdet(covariance))
    marginal = 0.5 * (of_codes.trace() + dimensions * shift**2 - dimensions - torch.logdet(of_codes))
    scale = torch.linalg.cholesky(covariance)
    posteriors = [dist.MultivariateNormal(loc, scale_tril=scale) for loc in (x @ encoder.T + shift).split(1000)]
    return posteriors, mutual.item(), marginal.item()


@pytest.mark.parametrize(("stretch", "shift"), [(1.0, 0.0), (1.3, 0.5)])
@pytest.mark.parametrize("noise", [0.3, 2.0])
@pytest.mark.parametrize("dimensions", [2, 10, 50])
def test_the_exact_values_of_linear_gaussian_models_lie_between_the_bounds(dimensions, noise, stretch, shift):
    posteriors, mutual, marginal = linear_gaussian(dimensions, noise, stretch, shift)
    found = bounds(posteriors, dist.Normal(torch.zeros(dimensions), 1.0).to_event(1))
    assert found["mutual_information_lower"] <= mutual <= found["mutual_information_upper"]
    assert found["marginal_kl_lower"] - 1e-6 <= marginal <= found["marginal_kl_upper"] + 1e-6
    assert found["mutual_information_upper"] - mutual < 0.2 + 0.1 * dimensions  # a mixture is fitted to 1,600 codes
    if mutual < 3:  # far below log 1000
        assert found["mutual_information_upper"] - found["mutual_information_lower"] < 0.6


def test_codes_far_apart_show_no_more_than_log_n_and_equal_ones_nothing():
    loc = torch.rand(500, 2)
    prior = dist.Normal(torch.zeros(2), 1.0).to_event(1)
    apart = bounds([dist.Normal(loc, 1e-5).to_event(1)], prior)
    assert apart["mutual_information_lower"] == pytest.approx(math.log(500), abs=1e-2)
    assert apart["mutual_information_upper"] > 2 * math.log(1e5) - 4  # of a uniform population it is 2 log 1e5 − 2.8
    together = bounds([dist.Normal(torch.zeros(500, 2), 3.0).to_event(1)], prior)
    assert together["mutual_information_lower"] == pytest.approx(0, abs=1e-6)
    assert together["mutual_information_upper"] < 0.1
    exact = 2 * (math.log(1 / 3) + (9 - 1) / 2)
    assert together["marginal_kl_lower"] < exact < together["marginal_kl_upper"]


def test_few_images_are_bounded_by_the_mean_kl():
    q, prior = dist.Normal(torch.rand(5, 2), 0.1).to_event(1), dist.Normal(torch.zeros(2), 1.0).to_event(1)
    found = bounds([q], prior)
    assert found["marginal_kl_lower"] == 0
    assert found["mutual_information_upper"] > found["kl"] > 2
    one = bounds([dist.Normal(torch.rand(1, 2), 0.1).to_event(1)], prior)
    assert one["mutual_information_lower"] == 0
    assert one["mutual_information_upper"] == pytest.approx(one["kl"])


def test_clusters_are_bounded_more_closely_than_by_one_gaussian():
    centres = 8 * torch.eye(20)[:5].repeat(400, 1)  # five clusters, whose index is all that a code says
    found = bounds([dist.Normal(centres, 1.0).to_event(1)], dist.Normal(torch.zeros(20), 4.0).to_event(1))
    assert found["mutual_information_lower"] <= math.log(5) <= found["mutual_information_upper"] < math.log(5) + 0.3


def test_stacked_densities_are_a_density_that_is_as_good_as_the_best():
    z = torch.linspace(-20, 20, 4001)[:, None]
    densities = [
        dist.Normal(loc, scale).to_event(1).log_prob(z)
        for loc, scale in ((torch.zeros(1), torch.ones(1)), (torch.zeros(1) + 5, torch.ones(1)))
    ]
    known = z[:, 0].abs() < 2
    stacked = log_stacked(densities, known)
    assert (stacked.exp().sum() * 0.01).item() == pytest.approx(1, abs=1e-3)
    assert (stacked - densities[0])[known].min() > -0.01


def test_mixtures_of_gaussians_are_densities():
    codes = torch.cat([torch.randn(1000, 1) - 4, torch.randn(1000, 1) + 4])
    z = torch.linspace(-20, 20, 4001)[:, None]
    one, ten = log_gaussians(codes, z)
    for log_density in (one, ten):
        assert (log_density.exp().sum() * 0.01).item() == pytest.approx(1, abs=1e-3)
    assert ten[2000] < one[2000]  # between the clusters
    assert len(log_gaussians(codes[:100], z)) == 1
