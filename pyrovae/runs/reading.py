"""Read the files of a run folder, and check what they contain.

A reader refuses a file in which a required key of its `TypedDict` is missing, or any of its keys has a value of another
type.
"""

import math
import tomllib
from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from pyrovae.config.presets import presets
from pyrovae.config.settings import Config, group_of
from pyrovae.errors import InputError, reason
from pyrovae.parts.kinds import LIKELIHOODS_OF
from pyrovae.runs.checks import expect, json_of
from pyrovae.runs.files import expect_own
from pyrovae.runs.schema import About, EstimatedBy, Evaluation, Summary
from pyrovae.training.record import Record, losses_of

T = TypeVar("T")
WEIGHTS, ESTIMATES = "model.safetensors", "estimates.safetensors"
OF_EACH = ("log_likelihood", "elbo", "effective_samples")  # the estimates that are kept of each image
# Settings that a config.toml may lack: they have no value, or the first runs were written before they existed.
MAY_BE_MISSING = {
    *("data_dir", "image_size", "threads", "compile", "cycle", "free_bits"),
    *("grad_clip", "mmd_weight", "on_nan", "precision", "save_minutes", "schedule"),
    *("shape", "label_column", "background", "on_broken", "columns", "layer", "library_size"),
    *(name for name, field in Config.model_fields.items() if group_of(field) == "Program"),
}


def read(folder: Path, name: str, parse: Callable[[Path], T]) -> T:
    """Return `parse(folder / name)`; raise `InputError` if there is no such file, or one that `parse` cannot read."""
    path = expect_own(folder, name)
    if not path.exists():
        raise InputError(f"run: expected {name} in {folder}, got none{_hint(folder) if name == WEIGHTS else ''}")
    try:
        return parse(path)
    except InputError:
        raise
    except Exception as error:  # a damaged file fails in as many ways as there are formats
        raise InputError(f"run: expected a sound {name} in {folder}, got: {reason(error)}") from None


def _hint(folder: Path) -> str:
    """Say how to make missing weights. This uses only the folder's name, because anyone may have written its config."""
    again = f": pyrovae train --preset {folder.name} makes them" if folder.name in presets() else ""
    return f" (published results leave the weights out{again})"


def read_records(path: Path) -> list[Record]:
    """Read metrics.jsonl: one record per epoch, numbered from 1."""
    lines = path.read_text(encoding="utf-8").splitlines(keepends=True)
    contents = [json_of(line) for line in lines if line.endswith("\n")]  # a kill may have cut the last one short
    records = [expect(content, Record, f"line {number}") for number, content in enumerate(contents, 1)]
    for number, record in enumerate(records, 1):
        if record["epoch"] != number:
            raise ValueError(f"epoch {record['epoch']} in line {number}")
        _expect_sums(record, f"line {number}")
    return records


def _expect_sums(record: Record, what: str) -> None:
    """Raise ValueError unless each loss is the sum of its reconstruction and KL, but for rounding."""
    for name, scores in losses_of(record):
        total = scores["reconstruction"] + scores["kl"]
        if not math.isclose(scores["loss"], total, rel_tol=1e-6, abs_tol=1e-6):
            raise ValueError(f"{name} loss {scores['loss']} in {what}, where reconstruction and KL add up to {total}")


def read_summary(path: Path) -> Summary:
    summary = expect(json_of(path.read_text(encoding="utf-8")), Summary, "summary")
    for name in ("final", "best"):
        _expect_sums(summary[name], name)
    return summary


def read_evaluation(path: Path) -> Evaluation:
    return expect(json_of(path.read_text(encoding="utf-8")), Evaluation, "evaluation")


def read_progress(path: Path) -> dict[str, Tensor]:
    """Read progress.safetensors: images (n, C, H, W) in [0, 1], named `original`, which is first, or by an epoch."""
    images = load_file(path)
    original = images["original"]
    if {image.shape for image in images.values()} != {original.shape} or original.dim() != 4:
        raise ValueError("images of several shapes")
    if unknown := [name for name in images if name != "original" and not name.isdecimal()]:
        raise ValueError(f"images of {unknown[0]!r}")
    return {name: images[name] / 255 for name in sorted(images, key=lambda name: (name != "original", name.zfill(9)))}


def read_estimates(path: Path) -> tuple[dict[str, Tensor], EstimatedBy]:
    """Read estimates.safetensors: the estimates of each image by name, (images,), and what they were made with."""
    with safetensors.safe_open(path, "pt") as file:
        about = expect(json_of(file.metadata()["pyrovae"]), EstimatedBy, "metadata")
    estimates = load_file(path)
    shapes = {tuple(each.shape) for each in estimates.values()}
    if {*estimates} != {*OF_EACH} or len(shapes) != 1 or len(shapes.pop()) != 1:
        raise ValueError(f"{', '.join(f'{name} {tuple(each.shape)}' for name, each in estimates.items())}")
    return estimates, about


def read_about(path: Path) -> About:
    """Read the metadata of model.safetensors, without its weights."""
    with safetensors.safe_open(path, "pt") as file:
        about = expect(json_of(file.metadata()["pyrovae"]), About, "metadata")
    if len(about["shape"]) not in (1, 3) or not all(isinstance(side, int) and side > 0 for side in about["shape"]):
        raise ValueError(f"shape {about['shape']}")
    if not all(isinstance(name, str) for name in about["classes"]):
        raise ValueError(f"classes {about['classes']}")
    for kind in (*about.get("kinds", ()), *about.get("conditions", {}).values()):
        if kind["likelihood"] not in LIKELIHOODS_OF.get(kind["kind"], ()):
            raise ValueError(f"likelihood {kind['likelihood']} of kind {kind['kind']}")
    return about


def read_config(path: Path) -> Config:
    """Read config.toml, in which `Run.create` writes every setting that has a value."""
    text = path.read_text(encoding="utf-8")
    config, written = Config.from_toml(text), tomllib.loads(text)
    if missing := [name for name in Config.model_fields if name not in written and name not in MAY_BE_MISSING]:
        raise ValueError(f"no {missing[0]}")
    return config
