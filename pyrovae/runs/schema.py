"""What the files of a run folder hold: looked at where they are read, so that nobody has to look again."""

import json
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import Any, TypeVar

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from pyrovae.config.presets import presets
from pyrovae.config.settings import Config
from pyrovae.errors import InputError, reason

T = TypeVar("T")
WEIGHTS = "model.safetensors"
NUMBER = int | float
MAY_BE_MISSING = {"data_dir", "image_size"} | {  # as they have no value, or the first runs did not know of them yet
    *("compile", "cycle", "free_bits", "grad_clip", "mmd_weight", "on_nan", "precision", "save_minutes", "schedule")
}
SCORES = {"loss": NUMBER, "reconstruction": NUMBER, "kl": NUMBER}
RECORD = {"epoch": int, "seconds": NUMBER, "train": SCORES, "test": SCORES}
SUMMARY = {
    "protocol": str,
    "density": bool,
    "loss": str,
    "images": {"train": int, "test": int},
    "final": RECORD,
    "best": RECORD,
}
ABOUT: dict[str, Any] = {"shape": list, "classes": list, "pixels": {"protocol": str, "mean": NUMBER, "std": NUMBER}}
EVALUATION = {"log_likelihood": NUMBER, "standard_error": NUMBER | None, "samples": int, "images": int}


def read(folder: Path, name: str, parse: Callable[[Path], T]) -> T:
    """What `parse` finds in a file of a run folder; `InputError` if there is none, or none that is sound."""
    path = folder / name
    if not path.exists():
        raise InputError(f"run: expected {name} in {folder}, got none{_hint(folder) if name == WEIGHTS else ''}")
    try:
        return parse(path)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(f"run: expected a sound {name} in {folder}, got: {reason(error)}") from None


def _hint(folder: Path) -> str:
    """Where weights come from. Of a folder only its name is used: its config may be anybody's."""
    again = f": pyrovae train --preset {folder.name} makes them" if folder.name in presets() else ""
    return f" (published results leave the weights out{again})"


def read_records(path: Path) -> list[dict[str, Any]]:
    """The epochs of metrics.jsonl, which are numbered from 1 on."""
    lines = path.read_text().splitlines(keepends=True)
    records = [json.loads(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one short
    for number, record in enumerate(records, 1):
        if expect(record, RECORD, f"line {number}")["epoch"] != number:
            raise ValueError(f"epoch {record['epoch']} in line {number}")
    return records


def read_summary(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = expect(json.loads(path.read_text()), SUMMARY, "summary")
    return found


def read_evaluation(path: Path) -> dict[str, Any]:
    found: dict[str, Any] = expect(json.loads(path.read_text()), EVALUATION, "evaluation")
    expect(found.get("latents", {}), {}, "latents")
    return found


def read_progress(path: Path) -> dict[str, Tensor]:
    """Images by `original` and the numbers of epochs, all of one shape (n, C, H, W), uint8."""
    found = load_file(path)
    if {image.shape for image in found.values()} != {found["original"].shape} or found["original"].dim() != 4:
        raise ValueError("images of several shapes")
    if unknown := [name for name in found if name != "original" and not name.isdecimal()]:
        raise ValueError(f"images of {unknown[0]!r}")
    return found


def read_about(path: Path) -> dict[str, Any]:
    """What weights tell of the images they were trained on, and of the version that wrote them."""
    with safetensors.safe_open(path, "pt") as file:
        about: dict[str, Any] = expect(json.loads(file.metadata()["pyrovae"]), ABOUT, "metadata")
    if len(about["shape"]) != 3 or not all(isinstance(side, int) and side > 0 for side in about["shape"]):
        raise ValueError(f"shape {about['shape']}")
    if not all(isinstance(name, str) for name in about["classes"]):
        raise ValueError(f"classes {about['classes']}")
    return about | {"pixels": {name: about["pixels"][name] for name in ABOUT["pixels"]}}


def read_config(path: Path) -> Config:
    """The settings, of which `Run.create` writes all that have a value."""
    config, written = Config.from_toml(path.read_text()), tomllib.loads(path.read_text())
    if missing := [name for name in Config.model_fields if name not in written and name not in MAY_BE_MISSING]:
        raise ValueError(f"no {missing[0]}")
    return config


def expect(found: Any, wanted: Any, what: str) -> Any:
    """`found`, if it is of the type `wanted`, or holds all that this dict names. Raises ValueError."""
    if isinstance(wanted, dict):
        if not isinstance(found, dict):
            raise ValueError(f"{what} is {found!r:.40}")
        for name, kind in wanted.items():
            if name not in found:
                raise ValueError(f"{what} without {name}")
            expect(found[name], kind, f"{name} of {what}")
    elif not isinstance(found, wanted) or isinstance(found, bool) != (wanted is bool):  # Python takes True for 1
        raise ValueError(f"{what} is {found!r:.40}")
    return found
