"""Make the configs of a sweep: all combinations of listed values, each with a name."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from pyrovae.config.following import LAYERED
from pyrovae.config.settings import Config, as_text
from pyrovae.config.values import CONDITIONS
from pyrovae.errors import InputError

ONE_FOR_ALL = ("data_dir", "device", "threads")  # settings of the machine, the same in all runs of a sweep


@dataclass(frozen=True)
class Grid:
    """The configs of a sweep by name, such as `latent_dim=2,seed=0`, and the settings `swept` besides the seed."""

    swept: tuple[str, ...]
    configs: dict[str, Config]


LISTS = {"hidden": "128,128;512,256", "upper_hidden": "128;64,64"}  # settings whose values contain commas
COLUMNS = {"condition": "age;age,sex"}  # settings whose values may


def split(name: str, texts: Sequence[str], layered: bool = False) -> list[str]:
    """Split texts into values at commas; at semicolons if values contain commas, as `hidden` does.

    So does `latent_dim` of a `layered` program, and a `condition` unless all its parts are conditions without columns.
    """
    lists = LISTS | ({"latent_dim": "40,20;20,10"} if layered else {})
    lists |= {} if {*",".join(texts).split(",")} <= {*CONDITIONS} else COLUMNS
    separator, example = (";", lists[name]) if name in lists else (",", "2,10,50")
    values = [value.strip() for text in texts for value in text.split(separator)]
    if not all(values):
        raise InputError(f"{name}: expected one or more values, as {example}, got {separator.join(texts)!r}")
    return values


def combinations(texts: Sequence[str], listed: Mapping[str, Sequence[str]]) -> Grid:
    """Combine all listed values, each combination over the settings in TOML `texts`.

    Raises `InputError` for a value that `Config` refuses, for a repeated combination, and if there is only one.
    """
    program = listed.get("program", [Config.from_toml(*texts).program])
    layered = not set(LAYERED).isdisjoint(split("program", program))
    values = {  # ordered as fields
        name: split(name, listed[name], layered) for name in Config.model_fields if name in listed
    }
    for name in ONE_FOR_ALL:
        if len(values.get(name, ())) > 1:
            raise InputError(f"{name}: expected one value for all runs, got {','.join(values[name])!r}")
    swept = tuple(name for name in values if name != "seed" and len(values[name]) > 1)
    configs: dict[str, Config] = {}
    for chosen in itertools.product(*values.values()):
        config = Config.from_toml(*texts, **dict(zip(values, chosen)))
        # The name always has the seed, so that seeds can be added to a sweep with one seed.
        name = ",".join(f"{name}={_word(getattr(config, name))}" for name in (*swept, "seed"))
        if name in configs:
            raise InputError(f"sweep: expected each combination once, got {name} twice")
        configs[name] = config
    if len(configs) < 2:
        raise InputError("sweep: expected two or more values of some setting, as --latent-dim 2,10,50, got one run")
    return Grid(swept, configs)


def _word(value: object) -> str:
    """Write a setting so that it can be part of a folder's name."""
    return re.sub(r"[^\w.+-]+", "-", as_text(value))
