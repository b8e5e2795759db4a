"""Every combination of listed values: each a config, and a name that says which it is."""

import itertools
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from pyrovae.config.settings import Config, as_text
from pyrovae.errors import InputError

ONE_FOR_ALL = ("data_dir", "device")  # where a run takes place, not what it is


@dataclass(frozen=True)
class Grid:
    """The runs of a sweep: `configs` by name, as latent_dim=2,seed=0, and the settings that vary besides the seed."""

    swept: tuple[str, ...]
    configs: dict[str, Config]

    def settings(self, config: Config) -> dict[str, Any]:
        """What sets `config` apart from the other combinations."""
        return {name: getattr(config, name) for name in self.swept}


def split(name: str, texts: Sequence[str]) -> list[str]:
    """The values in `texts`: between commas, or of `hidden`, where a value holds commas, between semicolons."""
    separator, example = (";", "128,128;512,256") if name == "hidden" else (",", "2,10,50")
    values = [value.strip() for text in texts for value in text.split(separator)]
    if not all(values):
        raise InputError(f"{name}: expected one or more values, as {example}, got {separator.join(texts)!r}")
    return values


def combinations(texts: Sequence[str], listed: Mapping[str, Sequence[str]]) -> Grid:
    """All combinations of the listed values, over the settings of TOML `texts`.

    Raises `InputError` for a value that `Config` refuses, for one that comes twice, and for a single combination.
    """
    values = {name: split(name, listed[name]) for name in Config.model_fields if name in listed}  # in order of fields
    for name in ONE_FOR_ALL:
        if len(values.get(name, ())) > 1:
            raise InputError(f"{name}: expected one value for all runs, got {','.join(values[name])!r}")
    swept = tuple(name for name in values if name != "seed" and len(values[name]) > 1)
    configs: dict[str, Config] = {}
    for chosen in itertools.product(*values.values()):
        config = Config.from_toml(*texts, **dict(zip(values, chosen)))
        # The seed is always told, so that more seeds can be added to a sweep of one.
        name = ",".join(f"{name}={_word(getattr(config, name))}" for name in (*swept, "seed"))
        if name in configs:
            raise InputError(f"sweep: expected each combination once, got {name} twice")
        configs[name] = config
    if len(configs) < 2:
        raise InputError("sweep: expected two or more values of some setting, as --latent-dim 2,10,50, got one run")
    return Grid(swept, configs)


def _word(value: Any) -> str:
    """A setting in the name of a folder."""
    return re.sub(r"[^\w.+-]+", "-", as_text(value))
