"""What a summary says of the numbers that it holds."""

import math
import re

import pytest
import torch
from support.builders import small_vae
from support.runs import trained

from pyrovae.runs.summary import measured_on


def test_the_note_of_an_autoencoder_says_that_it_has_no_kl(tmp_path):
    run, _ = trained(tmp_path, posterior="delta")
    assert "no KL term" in run.summary["note"]


def test_an_autoencoder_of_bytes_has_no_bits_per_dimension_as_its_loss_bounds_no_probability(tmp_path):
    bytes_of = {"pixels": "bytes", "likelihood": "discretized_logistic"}
    assert trained(tmp_path / "vae", **bytes_of)[0].summary["bits_per_dimension"] > 0
    assert "bits_per_dimension" not in trained(tmp_path / "plain", **bytes_of, posterior="delta")[0].summary


def test_a_uniform_density_of_dequantised_pixels_takes_eight_bits(tmp_path):
    run, fitting = trained(tmp_path, pixels="dequantised", likelihood="beta")
    measured = measured_on(run.config, fitting.data, fitting.vae, nats=0.0)
    assert measured["bits_per_dimension"] == pytest.approx(8)
    assert run.summary["note"] == ""
    loss = run.summary["best"]["test"]["loss"]
    assert run.summary["bits_per_dimension"] == pytest.approx(8 + loss / math.log(2) / 64)


@pytest.mark.parametrize("likelihood", ["beta", "gaussian", "continuous_bernoulli"])
def test_dequantised_scores_bound_masses_of_the_levels_which_add_up_to_one_at_most(likelihood):
    """The levels' bounds, exp E_u[log p((b + u)/256)] / 256, are at most what the density has in each level."""
    vae, _ = small_vae((1, 1, 1), pixels="dequantised", likelihood=likelihood, network="mlp")
    with torch.no_grad():
        density = vae.likelihood(torch.full((1, vae.features, 1, 1, 1), 0.5))
        places = torch.linspace(0, 1, 202)[1:-1]  # of u; the levels are the rows
        x = (torch.arange(256)[:, None] + places) / 256
        scores = density.log_prob(x.view(-1, 1, 1, 1)).view(256, 200).double()
    bounds, masses = scores.mean(1).exp() / 256, scores.exp().mean(1) / 256
    assert (bounds <= masses * (1 + 1e-6)).all()
    assert 0.5 < bounds.sum() <= masses.sum() < 1 + 1e-3


@pytest.mark.parametrize(
    ("settings", "word"),
    [
        ({"likelihood": "beta"}, "beta is a density, and pixels have 256 levels: .* without a ceiling"),
        ({"likelihood": "gaussian", "pixels": "standardized"}, "gaussian is a density, .* without a ceiling"),
        ({"likelihood": "bernoulli"}, "a relaxed score, not a density"),
        ({"likelihood": "bernoulli", "pixels": "static"}, "^$"),
        ({"likelihood": "categorical", "pixels": "bytes"}, "^$"),
    ],
)
def test_a_density_of_pixels_with_256_levels_says_that_it_has_no_ceiling(settings, word, tmp_path):
    run, _ = trained(tmp_path, **settings)
    assert re.search(word, run.summary["note"])
