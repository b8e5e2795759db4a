"""Estimators, data and devices that do not fit the other settings are refused."""

import pytest
from support.builders import small_data, small_vae

from pyrovae import Config, InputError, fit


def test_an_objective_without_terms_is_refused():
    with pytest.raises(InputError, match="objective: expected an estimator with terms"):
        fit(*small_vae(objective="pyro.infer:Trace_ELBO")[:1], small_data(), Config(objective="pyro.infer:Trace_ELBO"))


@pytest.mark.parametrize(
    ("settings", "data", "message"),
    [
        ({}, {"pixels": "threshold"}, "pixels: expected data of the config's 'grey', got 'threshold'"),
        ({"condition": "label"}, {"classes": 5}, "data: expected the 3 classes of the model, got 5"),
        ({}, {"n": 0}, "batch_size: expected an image for each of 1 processes in every batch, got 0"),
        ({"precision": "tf32"}, {}, "precision: expected fp32 or bf16 on cpu, got 'tf32'"),
    ],
)
def test_data_or_devices_that_do_not_fit_the_config_are_refused(settings, data, message):
    vae, config = small_vae(**settings)
    with pytest.raises(InputError, match=message):
        fit(vae, small_data(**data), config)


def test_a_model_of_labels_needs_the_label_of_every_image():
    vae, config = small_vae(condition="label")
    data = small_data()
    data.test.labels[:3] = -1
    with pytest.raises(InputError, match="expected a label of every image, as the model is given it, got 3 without"):
        fit(vae, data, config)
