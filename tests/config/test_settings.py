from pathlib import Path

import pytest

from pyrovae import Config, InputError
from pyrovae.config.presets import preset, presets

EVIL = "<script>alert(1)</script>"


def test_later_settings_win():
    config = Config.from_toml("epochs = 3\nlr = 0.1", "epochs = 4", latent_dim="7")
    assert (config.epochs, config.lr, config.latent_dim) == (4, 0.1, 7)


def test_explicit_settings_take_precedence_over_dependent_defaults():
    assert Config(network="conv").activation == "tanh"
    assert Config(network="conv", activation="relu").activation == "relu"
    assert Config(condition="quadrant2").prior == "conditional"
    assert Config(condition="quadrant2", prior="normal").prior == "normal"
    assert (Config().activation, Config().prior) == ("relu", "normal")


def test_dependent_defaults_follow_a_change_of_the_other_setting():
    assert Config().replace(network="conv").activation == "tanh"
    assert Config(network="conv").replace(network="mlp").activation == "relu"
    assert Config(condition="quadrant1").replace(condition="none").prior == "normal"
    assert Config(activation="gelu").replace(network="conv").activation == "gelu"
    assert Config.from_toml(Config().to_toml(), network="conv").activation == "tanh"


@pytest.mark.parametrize("value", ["512,256", "512, 256,", [512, 256], (512, 256)])
def test_hidden_layers_may_be_text_or_a_sequence(value):
    assert Config(hidden=value).hidden == (512, 256)


def test_one_hidden_layer_may_be_text_or_a_number():
    assert Config(hidden="400").hidden == Config(hidden=400).hidden == (400,)


@pytest.mark.parametrize(
    ("settings", "message"),
    [
        ({"latent_dimm": 2}, "unknown setting 'latent_dimm'; did you mean 'latent_dim'?"),
        ({"epochs": 0}, "epochs: expected greater than or equal to 1, got 0"),
        ({"epochs": "many"}, "epochs: expected a valid integer"),
        ({"epochs": 2.5}, "epochs: expected a valid integer"),
        ({"lr": 0}, "lr: expected greater than 0, got 0"),
        ({"lr": "nan"}, "lr: expected a finite number"),
        ({"beta": -1}, "beta: expected greater than or equal to 0, got -1"),
        ({"pixels": "gray"}, "got 'gray'; did you mean 'grey'?"),
        ({"condition": "labels"}, "got 'labels'; did you mean 'label'?"),
        ({"hidden": ""}, "hidden: expected one or more layer widths"),
        ({"hidden": "10,0"}, "hidden: expected one or more layer widths"),
        ({"hidden": "ten"}, "hidden: expected a valid integer"),
        ({"scale": 0}, "scale: expected a number greater than 0, shared, pixel or optimal, got 0"),
        ({"seed": -1}, "seed: expected greater than or equal to 0"),
        ({"device": "gpu"}, "device: "),
        ({"patience": 5}, "patience: expected validation > 0"),
        ({"prior": "conditional"}, "prior: 'conditional' expects a condition"),
    ],
)
def test_bad_settings_are_refused_in_one_line(settings, message):
    with pytest.raises(InputError) as refusal:
        Config(**settings)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().epochs = 3
    assert Config().replace(epochs=3).epochs == 3


def test_broken_toml_is_refused():
    with pytest.raises(InputError, match="expected TOML"):
        Config.from_toml("epochs = = 3")


# --- how a config shows itself ---


@pytest.mark.parametrize(
    "config",
    [
        Config(),
        Config(network="conv"),
        Config(network="conv", activation="relu"),
        Config(condition="quadrant1", prior="normal", hidden=(3,), data_dir="somewhere"),
        *(Config.from_toml(preset(name)) for name in presets()),
    ],
)
def test_evaluating_the_repr_gives_the_same_config(config):
    assert eval(repr(config), {"Config": Config, "PosixPath": Path, "WindowsPath": Path}) == config
    assert str(config) == repr(config)


def test_a_config_shows_the_settings_that_are_not_defaults():
    assert repr(Config(network="conv", lr=0.5)) == "Config(network='conv', lr=0.5)"
    assert "all as by default" in Config()._repr_html_()
    text = Config(dataset=f"npz:{EVIL}", lr=0.5)._repr_html_()
    assert "&lt;script&gt;" in text
    assert "<script" not in text
    assert "0.5" in text
    assert "latent_dim" not in text
