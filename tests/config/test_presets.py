import pytest

from pyrovae import Config, InputError
from pyrovae.config.presets import preset, presets


@pytest.mark.parametrize("name", presets())
def test_presets_begin_with_a_comment_and_survive_toml(name):
    text = preset(name)
    assert text.startswith("# ")
    config = Config.from_toml(text)
    assert Config.from_toml(config.to_toml()) == config


def test_the_defaults_are_the_preset_digits():
    assert Config.from_toml(preset("digits")) == Config()


def test_an_unknown_preset_is_refused_with_a_hint():
    with pytest.raises(InputError, match="did you mean 'mnist-vae'"):
        preset("mnist-vea")
