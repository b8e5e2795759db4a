"""Bidirectional annealing, against exact likelihoods."""

import math

import pytest
import torch
from support.builders import small_data, small_vae
from support.hierarchy import LinearHierarchy

from pyrovae.evaluation.annealing import bidirectional_log_weights
from pyrovae.evaluation.bidirectional import simulated_bounds, summarise_bounds
from pyrovae.evaluation.elbo import sites_of_images
from pyrovae.inference.sites import Site


def bounds(forward, backward):
    chains = math.log(len(forward))
    return torch.logsumexp(forward, 0) - chains, chains - torch.logsumexp(-backward, 0)


def drawn(program, n):
    """Draw images from the linear hierarchy, with their codes."""
    z2 = torch.randn(n, 1)
    z1 = program.a * z2 + program.s * torch.randn(n, 1)
    return z1 * program.w + program.r * torch.randn(n, 3), {"z1": z1, "z2": z2}


def test_both_bounds_enclose_the_exact_likelihood_and_meet_as_steps_increase():
    """The guide is far too narrow, so that few steps leave a gap."""
    program = LinearHierarchy(narrow=0.3)
    x, latents = drawn(program, 100)
    exact, gaps = program.log_likelihood(x), []
    for steps in (1, 5, 60):
        lower, upper = bounds(*bidirectional_log_weights(program.model, program.guide, latents, 30, steps, x))
        below, above = exact - lower, upper - exact
        for rest in (below, above):
            assert rest.mean() > -2 * rest.std() / math.sqrt(len(x))
        gaps.append((upper - lower).mean().item())
    assert gaps[0] > gaps[1] > gaps[2]
    assert abs(gaps[2]) < 0.1
    assert gaps[0] > 0.5


def test_inverse_weights_average_to_the_inverse_likelihood():
    """E[p(x) / w] = 1, whatever the steps."""
    program = LinearHierarchy(narrow=0.8)
    x, latents = drawn(program, 4000)
    _, backward = bidirectional_log_weights(program.model, program.guide, latents, 1, 4, x)
    ratio = (program.log_likelihood(x) - backward[0]).exp()
    assert ratio.std() > 0.05
    assert abs(ratio.mean() - 1) < 2 * ratio.std() / math.sqrt(len(x))


SETTINGS = [
    {},
    {"posterior": "full", "prior": "vamp", "components": 4},
    {"posterior": "flow", "prior": "flow"},
    {"condition": "label"},
    {"condition": "quadrant1"},
    {"program": "hierarchical", "latent_dim": (4, 2), "posterior": "flow"},
]


@pytest.mark.parametrize("settings", SETTINGS, ids=str)
def test_bounds_of_programs_of_all_kinds_meet(settings):
    vae, _ = small_vae(pixels="threshold", **settings)
    data = small_data(n=30, pixels="threshold")
    summary = summarise_bounds(list(simulated_bounds(vae, data, data.test, chains=16, steps=20)))
    assert summary["images"] == 30
    assert -3 * summary["standard_error"] < summary["gap"] < 0.3
    assert summary["lower_bound"] < 0


def test_a_program_that_observes_more_than_images_is_left_out(monkeypatch):
    vae, _ = small_vae(pixels="threshold")
    data = small_data(n=6, pixels="threshold")
    sites = sites_of_images(vae, data, data.test)
    seen = Site("seen", (), observed=True, discrete=True, inferred_after=())
    monkeypatch.setattr("pyrovae.evaluation.bidirectional.sites_of_images", lambda *_: sites | {"seen": seen})
    assert list(simulated_bounds(vae, data, data.test, chains=2, steps=2)) == []


def test_an_upper_bound_that_overflows_is_left_out():
    batch = {"lower": torch.tensor([-3.0, -2.0]), "upper": torch.tensor([-2.5, math.nan])}
    summary = summarise_bounds([batch])
    assert summary["lower_bound"] == -2.5
    assert (summary["upper_bound"], summary["gap"], summary["standard_error"]) == (None, None, None)
