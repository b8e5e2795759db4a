"""pyrovae train: settings become a run folder."""

import re
from collections.abc import Iterable, Iterator
from pathlib import Path
from typing import Any

import click

from pyrovae.config.presets import preset
from pyrovae.config.settings import Config
from pyrovae.errors import InputError
from pyrovae.runs.trust import check_classes, check_places

from ..options import SettingsCommand, repeated_of, starts
from ..processes import PROCESSES
from ..values import NAMED, examples

RESULTS = Path("results")
MAY_CHANGE = {"epochs", "device", "lr", "grad_clip", "on_nan", "save_minutes"}  # of a run that is resumed


@click.command(
    "train",
    cls=SettingsCommand,
    epilog=examples(
        "pyrovae train                                     digits, in seconds",
        "pyrovae train --preset mnist-vae --latent-dim 10  a named experiment, changed",
        "pyrovae train --resume --epochs 200               go on with the newest of results/digits",
    ),
)
@starts
@click.option(
    "--out", metavar="DIR", type=NAMED, help="the run folder  [results/NAME, or NAME-2, ... if that is taken]"
)
@click.option("--resume", is_flag=True, help="go on from the run folder's checkpoint")
@click.option("--force", is_flag=True, help="replace the run that --out holds")
@click.option("--tensorboard", is_flag=True, help="write each epoch to DIR/tensorboard, too (pyrovae[tensorboard])")
def command(
    preset_name: str | None,
    config_file: Path | None,
    out: Path | None,
    resume: bool,
    force: bool,
    tensorboard: bool,
    **given: Any,
) -> None:
    """Train a VAE, draw its figures and write a page about it.

    Settings come from the defaults, then --preset, then --config, then the flags below.
    """
    settings, repeated = {name: value for name, value in given.items() if value is not None}, {}
    if resume:
        if out and (preset_name or config_file):
            raise InputError("resume: expected the run by --out, or after its --preset or --config, got both")
        if force:
            raise InputError("resume: expected --resume or --force, got both")
        path: Path | Iterable[Path] = out or _newest(name_of(preset_name, config_file, settings))
        if not out:
            settings.pop("dataset", None)  # it named the run
        repeated = repeated_of(settings)
        settings = {name: value for name, value in settings.items() if name not in repeated}
        if unwanted := settings.keys() - MAY_CHANGE:
            raise InputError(f"resume: expected no settings but {', '.join(sorted(MAY_CHANGE))}, got {min(unwanted)}")
        config = None
    else:
        config = Config.from_toml(*texts_of(preset_name, config_file), **settings)
        check_config(config, config_file, settings)
        path = out or _free(name_of(preset_name, config_file, settings))
    from .session import train  # torch is imported from here on

    train(path, config, settings, force, tensorboard=tensorboard, repeated=repeated)


def check_config(config: Config, file: Path | None, flags: Iterable[str]) -> None:
    """Refuse what a config file names and only its user may: a class of one's own; in a run folder, data outside it."""
    if file:
        check_classes(config, flags, file)
        if file.name == "config.toml":
            check_places(config, flags, file.absolute().parent)


def texts_of(preset_name: str | None, config_file: Path | None) -> list[str]:
    """What the flags go over, in TOML."""
    return ([] if preset_name is None else [preset(preset_name)]) + ([_read(config_file)] if config_file else [])


def _read(path: Path) -> str:
    try:
        return path.read_text()
    except (OSError, UnicodeDecodeError) as error:
        raise InputError(f"config: expected a TOML file at {path}, got: {getattr(error, 'strerror', error)}") from None


def name_of(preset_name: str | None, config_file: Path | None, settings: dict[str, Any]) -> str:
    """A run is called after its preset, its config file (or that file's run folder), or its dataset."""
    if config_file:
        return config_file.absolute().parent.name if config_file.name == "config.toml" else config_file.stem
    if preset_name:
        return preset_name
    kind, _, path = settings.get("dataset", "digits").partition(":")
    return re.sub(r"[^\w.-]+", "-", Path(path).stem or kind)


def _free(name: str) -> Path | Iterator[Path]:
    """The first path of this name that nothing is at; and those after it, as another process may be faster."""
    paths = (path for path in _numbered(name) if not path.exists())
    return paths if PROCESSES == 1 else next(paths)


def _newest(name: str) -> Path:
    """The run of this name with the highest number that has a checkpoint."""
    runs = []
    for path in _numbered(name):
        if not path.exists():
            break
        if (path / "checkpoint.pt").exists():
            runs.append(path)
    if not runs:
        raise InputError(f"resume: expected a run with a checkpoint in {RESULTS / name}, got none; name it by --out")
    return runs[-1]


def _numbered(name: str) -> Iterator[Path]:
    yield RESULTS / name
    number = 2
    while True:
        yield RESULTS / f"{name}-{number}"
        number += 1
