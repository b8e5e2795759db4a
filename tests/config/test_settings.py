import pytest

from pyrovae import Config, InputError
from pyrovae.config.presets import preset, presets
from pyrovae.errors import reason
from pyrovae.parts.registry import call, lookup


@pytest.mark.parametrize("name", presets())
def test_presets_are_valid_say_what_they_show_and_survive_toml(name):
    text = preset(name)
    assert text.startswith("# ")
    config = Config.from_toml(text)
    assert Config.from_toml(config.to_toml()) == config


def test_the_defaults_are_the_preset_digits():
    assert Config.from_toml(preset("digits")) == Config()


def test_later_settings_win():
    config = Config.from_toml("epochs = 3\nlr = 0.1", "epochs = 4", latent_dim="7")
    assert (config.epochs, config.lr, config.latent_dim) == (4, 0.1, 7)


def test_defaults_that_follow_another_setting_give_way_to_what_is_given():
    assert Config(network="conv").activation == "tanh"
    assert Config(network="conv", activation="relu").activation == "relu"
    assert Config(condition="quadrant2").prior == "conditional"
    assert Config(condition="quadrant2", prior="normal").prior == "normal"
    assert (Config().activation, Config().prior) == ("relu", "normal")


def test_what_followed_another_setting_follows_it_when_that_changes():
    assert Config().replace(network="conv").activation == "tanh"
    assert Config(network="conv").replace(network="mlp").activation == "relu"
    assert Config(condition="quadrant1").replace(condition="none").prior == "normal"
    assert Config(activation="gelu").replace(network="conv").activation == "gelu"
    assert Config.from_toml(Config().to_toml(), network="conv").activation == "tanh"


@pytest.mark.parametrize("given", ["512,256", "512, 256,", [512, 256], (512, 256)])
def test_hidden_layers(given):
    assert Config(hidden=given).hidden == (512, 256)


def test_one_hidden_layer():
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
def test_bad_settings_are_told_in_one_line(settings, message):
    with pytest.raises(InputError) as refusal:
        Config(**settings)
    assert message in str(refusal.value)
    assert "\n" not in str(refusal.value)


def test_the_reason_of_an_error_is_one_line_without_tensors():
    assert reason(ValueError("Expected scale > 0, but found invalid values:\ntensor([[0.,\n 0.]])")).endswith("values")
    assert reason(RuntimeError("Error(s) in loading:\n\tsize mismatch for a.\n\nmore")) == "size mismatch for a."
    assert reason(EOFError()) == "EOFError"


def test_a_message_is_one_line_whatever_came():
    assert (
        str(InputError("out: expected a folder at a\nb\u2028c, got nothing"))
        == r"out: expected a folder at a\nb\u2028c, got nothing"
    )


def test_config_is_frozen():
    with pytest.raises(ValueError, match="frozen"):
        Config().epochs = 3
    assert Config().replace(epochs=3).epochs == 3


def test_broken_toml_and_unknown_presets():
    with pytest.raises(InputError, match="expected TOML"):
        Config.from_toml("epochs = = 3")
    with pytest.raises(InputError, match="did you mean 'mnist-vae'"):
        preset("mnist-vea")


def test_a_constructor_is_given_what_it_names():
    assert call("prior", lambda a, c=3: (a, c), {"a": 1, "b": 2}) == (1, 3)
    with pytest.raises(InputError, match="asks for 'd', expected one of a, b"):
        call("prior", lambda a, d: (a, d), {"a": 1, "b": 2})


def test_lookup_finds_members_and_ones_own():
    members = {"mlp": int, "conv": float}
    assert lookup("network", "conv", members) is float
    assert lookup("network", "collections:OrderedDict", members).__name__ == "OrderedDict"
    for name in ("cnv", "collections:Nothing", "no_such_module:A", "no_such_file.py:A"):
        with pytest.raises(InputError, match="network: expected"):
            lookup("network", name, members)
