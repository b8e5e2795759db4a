"""The estimator in scikit-learn's manner, by scikit-learn's own checks and against the program inside."""

import math

import numpy as np
import pytest
import torch
from sklearn.decomposition import FactorAnalysis
from sklearn.pipeline import make_pipeline
from sklearn.preprocessing import StandardScaler
from sklearn.utils.estimator_checks import parametrize_with_checks

from pyrovae import InputError, VariationalAutoencoder

pytestmark = pytest.mark.filterwarnings("ignore:dataset. .* are missing")

FAST = {"epochs": 2, "hidden": (8,), "samples": 5, "random_state": 0}
DRAWN = "log p(x) is estimated by draws, which are others for other rows beside a row"
EXPECTED = {"check_methods_sample_order_invariance": DRAWN, "check_methods_subset_invariance": DRAWN}


@parametrize_with_checks([VariationalAutoencoder(**FAST)], expected_failed_checks=lambda _: EXPECTED)
def test_it_passes_scikit_learns_checks(estimator, check):
    check(estimator)


@pytest.fixture(scope="module")
def rows():
    rng = np.random.default_rng(0)
    return rng.normal(size=(600, 2)) @ rng.normal(size=(2, 5)) * 3 + 7 + rng.normal(size=(600, 5))


def test_the_score_is_a_log_density_in_the_units_of_the_columns(rows):
    """The rows are of a factor analysis, whose likelihood is exact."""
    vae = VariationalAutoencoder(2, epochs=60, batch_size=50, lr=5e-3, samples=200, random_state=0, hidden=(16,))
    assert vae.fit(rows).score(rows) == pytest.approx(FactorAnalysis(2).fit(rows).score(rows), abs=0.15)
    assert vae.losses_[-1] < vae.losses_[0]


def test_codes_map_back_to_rows(rows):
    vae = VariationalAutoencoder(2, epochs=60, batch_size=50, lr=5e-3, random_state=0).fit(rows)
    codes = vae.transform(rows)
    error = (vae.inverse_transform(codes) - rows).std()
    assert error < 0.5 * rows.std(0).mean()
    sample = vae.sample(2000)
    np.testing.assert_allclose(sample.mean(0), rows.mean(0), atol=0.1 * rows.std())
    np.testing.assert_allclose(sample.std(0), rows.std(0), rtol=0.15)


def test_missing_values_are_left_out(rows):
    gaps = rows.copy()
    gaps[np.random.default_rng(1).random(rows.shape) < 0.2] = np.nan
    vae = VariationalAutoencoder(**FAST).fit(gaps)
    assert np.isfinite(vae.transform(gaps)).all()
    assert np.isfinite(vae.score_samples(gaps)).all()
    nothing_seen = np.full((1, 5), np.nan)
    assert vae.score(nothing_seen) == pytest.approx(0, abs=1)  # log 1, by draws
    with pytest.raises(InputError, match="missing: expected a program built for missing values"):
        VariationalAutoencoder(**FAST).fit(rows).score(gaps)


def test_it_is_a_step_of_a_pipeline_and_leaves_random_numbers_alone(rows):
    torch.manual_seed(0)
    before = torch.get_rng_state()
    pipeline = make_pipeline(StandardScaler(), VariationalAutoencoder(3, pixels="real", **FAST))
    assert pipeline.fit_transform(rows).shape == (600, 3)
    assert list(pipeline.get_feature_names_out()) == [f"variationalautoencoder{i}" for i in range(3)]
    assert torch.equal(torch.get_rng_state(), before)


def test_other_settings_are_those_of_a_config(rows):
    counts = np.random.default_rng(0).poisson(3, size=(100, 4))
    vae = VariationalAutoencoder(
        likelihood="negative_binomial",
        pixels="counts",
        settings={"warmup": 1, "program": "hierarchical", "latent_dim": (3, 2)},
        **FAST,
    )
    assert math.isfinite(vae.fit(counts).score(counts))
    assert (vae.sample(10) == vae.sample(10).round()).all()
    with pytest.raises(InputError, match="likelihood: expected one of"):
        VariationalAutoencoder(likelihood="gausian").fit(rows)
    with pytest.raises(InputError, match="epoch"):
        VariationalAutoencoder(settings={"epoch": 3}).fit(rows)


@pytest.mark.parametrize("condition", ["label", "column1"])
def test_conditions_are_refused(condition, rows):
    vae = VariationalAutoencoder(**FAST, settings={"condition": condition})
    with pytest.raises(InputError, match="condition: expected none, as an estimator is given rows alone, got"):
        vae.fit(rows)
