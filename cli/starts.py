"""Read the settings that a training starts from: a preset and a config file, which flags override."""

from collections.abc import Callable, Iterable
from pathlib import Path
from typing import Any

import click

from pyrovae.commands.folders import name_after
from pyrovae.config.presets import preset
from pyrovae.config.settings import Config
from pyrovae.errors import InputError
from pyrovae.runs.files import MOST_BYTES, expect_own
from pyrovae.runs.trust import check_classes, check_places

from .completion import of_preset
from .values import NAMED

CONFIG = "config.toml"
MOST = MOST_BYTES[".toml"]


def starts(command: Callable[..., Any]) -> Callable[..., Any]:
    """Add --preset and --config, from which the settings start; all other flags override them."""
    about = "start from a TOML file, over the preset"
    command = click.option("--config", "config_file", metavar="FILE", type=NAMED, help=about)(command)
    about = "start from a named experiment (pyrovae list presets)"
    return click.option("--preset", "preset_name", metavar="NAME", shell_complete=of_preset, help=about)(command)


def texts_of(preset_name: str | None, config_file: Path | None) -> list[str]:
    """Return the TOML of the preset and of the config file, as far as they are given."""
    return ([] if preset_name is None else [preset(preset_name)]) + ([_read(config_file)] if config_file else [])


def check_config(config: Config, file: Path | None, flags: Iterable[str]) -> None:
    """Refuse what a config file may not name unless a flag repeats it.

    That is a class of the user's own, which is code; and in the config of a run folder also data outside the folder.
    """
    if file:
        check_classes(config, flags, file)
        if file.name == CONFIG:
            check_places(config, flags, file.absolute().parent)


def name_of(preset_name: str | None, config_file: Path | None, dataset: str | None) -> str:
    """Name a run after its config file (or that file's run folder), its preset or its dataset."""
    if config_file:
        return config_file.absolute().parent.name if config_file.name == CONFIG else config_file.stem
    return preset_name or name_after(dataset or "digits")


def _read(path: Path) -> str:
    if path.name == CONFIG:
        expect_own(path.parent, CONFIG)  # anyone may have written a run folder
    try:
        with path.open("rb") as file:
            content = file.read(MOST + 1)
        if len(content) > MOST:
            raise InputError(f"config: expected a TOML file of at most {MOST:,} bytes at {path}, got a larger one")
        return content.decode()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config: expected a TOML file at {path}, got: {getattr(error, 'strerror', error)}") from None
