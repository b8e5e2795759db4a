"""What a summary says of the numbers that it holds."""

import re

import pytest
from support.runs import trained


def test_the_note_of_an_autoencoder_says_that_it_has_no_kl(tmp_path):
    run, _ = trained(tmp_path, posterior="delta")
    assert "no KL term" in run.summary["note"]


def test_an_autoencoder_of_bytes_has_no_bits_per_dimension_as_its_loss_bounds_no_probability(tmp_path):
    bytes_of = {"pixels": "bytes", "likelihood": "discretized_logistic"}
    assert trained(tmp_path / "vae", **bytes_of)[0].summary["bits_per_dimension"] > 0
    assert "bits_per_dimension" not in trained(tmp_path / "plain", **bytes_of, posterior="delta")[0].summary


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
