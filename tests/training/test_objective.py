"""Estimators, data and devices that do not fit the other settings are refused."""

import pytest
from support.builders import small_data, small_vae

from pyrovae import Config, InputError, build, fit
from pyrovae.training.objective import without_effect


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


DELTA = "as posterior 'delta' has no"


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        (
            {"components": 5},
            r"components: expected 100, as no part of this model reads it \(prior mixture or prior vamp",
        ),
        (
            {"network": "conv", "hidden": (9,)},
            "hidden: expected 128,128, as no part of this model reads it .*, got '9'",
        ),
        ({"network": "resnet", "activation": "elu"}, "activation: expected relu, as no part of .*, got 'elu'"),
        ({"scale": 0.5}, r"scale: expected shared, .* \(likelihood gaussian or likelihood laplace or .*, got '0.5'"),
        ({"flow": "coupling"}, r"flow: expected autoregressive, .* \(prior flow does\), got 'coupling'"),
        ({"alpha": 0.3}, r"alpha: expected 0.5, as objective 'elbo' does not read it \(renyi does\), got '0.3'"),
        ({"mmd_weight": 1.0}, r"mmd_weight: expected 100.0, as objective 'elbo' does not read it \(mmd does\), got '1"),
        ({"posterior": "delta", "beta": 2.0}, f"beta: expected 1.0, {DELTA} KL, got '2.0'"),
        ({"posterior": "delta", "warmup": 1}, f"warmup: expected 0, {DELTA} KL, got '1'"),
        ({"posterior": "delta", "free_bits": 0.1}, f"free_bits: expected 0.0, {DELTA} KL, got '0.1'"),
        (
            {"posterior": "delta", "objective": "analytic"},
            f"objective: expected elbo or mmd, {DELTA} density, got 'ana",
        ),
        (
            {"posterior": "delta", "objective": "dreg", "particles": 2},
            "objective: expected elbo or mmd, .*, got 'dreg'",
        ),
        ({"warmup": 3}, "warmup: expected at most the epochs, 2, got 3"),
        ({"warmup": 2, "cycle": 3}, "cycle: expected at most the epochs, 2, got 3"),
        (
            {"epochs": 9, "warmup": 4, "validation": 9, "patience": 3},
            "patience: expected 4 or more, so that no .*, got 3",
        ),
    ],
)
def test_a_setting_without_effect_is_refused(settings, message):
    config = Config(**{"epochs": 2, "device": "cpu"} | settings)
    vae = build(config, (1, 8, 8))
    with pytest.raises(InputError, match=message):
        fit(vae, small_data(), config)


@pytest.mark.parametrize("settings", [{"network": "conv"}, {"program": "discrete"}, {"condition": "quadrant1"}])
def test_a_default_that_follows_another_setting_is_no_choice(settings):
    program, config = small_vae(**settings)
    assert without_effect(program, config) == {}


def test_a_model_of_labels_needs_the_label_of_every_image():
    vae, config = small_vae(condition="label")
    data = small_data()
    data.test.labels[:3] = -1
    with pytest.raises(InputError, match="expected a label of every image, as the model is given it, got 3 without"):
        fit(vae, data, config)
