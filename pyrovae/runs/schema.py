"""What the JSON, TOML and safetensors files of a run folder contain, and the functions that read and check them.

A reader refuses a file in which a required key of its `TypedDict` is missing, or any of its keys has a value of another
type. Earlier versions of 0.1 did not write all of the keys that are not required.
"""

import math
import tomllib
from collections.abc import Callable, Mapping
from pathlib import Path
from typing import NotRequired, TypedDict, TypeVar

import safetensors
from safetensors.torch import load_file
from torch import Tensor

from pyrovae.config.presets import presets
from pyrovae.config.settings import Config, group_of
from pyrovae.errors import InputError, reason
from pyrovae.parts.kinds import LIKELIHOODS_OF
from pyrovae.runs.checks import expect, json_of
from pyrovae.runs.files import expect_own
from pyrovae.training.record import Record, losses_of

T = TypeVar("T")
Setting = int | float | str | Path | tuple[int, ...] | None  # the value of any field of Config
Comparable = Mapping[str, str | int | bool | None]  # all that runs must have in common for their numbers to compare
WEIGHTS = "model.safetensors"
# Settings that a config.toml may lack: they have no value, or the first runs were written before they existed.
MAY_BE_MISSING = {
    *("data_dir", "image_size", "threads", "compile", "cycle", "free_bits"),
    *("grad_clip", "mmd_weight", "on_nan", "precision", "save_minutes", "schedule"),
    *("shape", "label_column", "background", "on_broken", "columns"),
    *(name for name, field in Config.model_fields.items() if group_of(field) == "Program"),
}


class Units(TypedDict, total=False):
    """The data on which a number was measured, and its unit."""

    dataset: str
    condition: str
    note: str  # a caveat, or ""
    unit: str
    bits_per_dimension: float  # of the test loss in summary.json, of log p(x) in evaluation.json


class MeasuredOn(Units):
    """The keys of `Units`, the pixel protocol, and whether the likelihood is a density (or a mass) over such pixels."""

    protocol: str
    density: bool


class Counts(TypedDict):
    """The numbers of images in each set."""

    train: int
    test: int
    validation: NotRequired[int]


class Summary(MeasuredOn):
    """The contents of summary.json. Scores are in nats per image."""

    loss: str  # what the loss is: "negative ELBO" or "reconstruction"
    images: Counts
    final: Record
    best: Record  # the epoch whose weights were saved
    weights: NotRequired[str]  # which epoch that is, and why
    changed: NotRequired[list[dict[str, object]]]  # the settings that --resume changed, and after which epoch
    parameters: NotRequired[int]
    seconds: NotRequired[float]
    device: NotRequired[str]
    threads: NotRequired[int]  # the most that a step ran on
    threads_used: NotRequired[list[int]]  # all numbers of threads that steps ran on, if there were several
    precision: NotRequired[str]
    compiled: NotRequired[bool]
    deterministic: NotRequired[dict[str, bool]]
    git: NotRequired[str | None]  # the commit of the code
    versions: NotRequired[dict[str, str]]
    sha256: NotRequired[dict[str, str]]  # of the files of the training, by name; see `pyrovae.runs.digests`


class Annealed(TypedDict, total=False):
    """The log-likelihood by annealed and by plain importance sampling, averaged over the same images, in nats."""

    log_likelihood: float
    importance_sampled: float
    difference: float
    standard_error: float | None  # the standard error of the difference
    images: int
    chains: int
    steps: int
    acceptance: float


class Latents(TypedDict, total=False):
    """How the codes of the test images use the latent space, in nats; see `pyrovae.evaluation.latents.report`."""

    images: int
    latent_dim: int
    active_units: int
    layers: dict[str, dict[str, float]]
    accuracy: float
    nmi: float
    ari: float
    kl_per_dimension: list[float]
    mutual_information: float
    marginal_kl: float
    knn_accuracy: float
    probe_accuracy: float


class Evaluation(Units):
    """The contents of evaluation.json: the estimate of log p(x) in nats, and its diagnostics."""

    log_likelihood: float
    standard_error: float | None
    samples: int
    images: int
    elbo: NotRequired[float]
    effective_samples: NotRequired[float]
    pareto_k: NotRequired[float | None]
    unreliable_share: NotRequired[float | None]  # the share of images with a Pareto k above the limit
    seed: NotRequired[int]
    protocol: NotRequired[str]
    density: NotRequired[bool]
    weights: NotRequired[str]  # the SHA-256 of model.safetensors
    annealed: NotRequired[Annealed]
    latents: NotRequired[Latents]


class PixelProtocol(TypedDict):
    """The fields of `pyrovae.data.pixels.Pixels`."""

    protocol: str
    mean: float | list[float]
    std: float | list[float]


class KindOfColumn(TypedDict):
    """The fields of `pyrovae.parts.kinds.Kind`."""

    kind: str
    likelihood: str
    categories: list[str]
    mean: float
    std: float


class About(TypedDict):
    """The metadata of weights: the images (C, H, W), or vectors (D,), that they were trained on, and the version."""

    shape: list[int]
    classes: list[str]
    pixels: PixelProtocol
    missing: NotRequired[bool]  # whether values may be missing
    columns: NotRequired[list[str]]  # the names of a table's columns
    kinds: NotRequired[list[KindOfColumn]]  # what they hold, with pixels `columns`
    version: NotRequired[str]  # the first runs of 0.1.0 did not write it


class OverSeeds(TypedDict):
    """The mean and the standard deviation of a score over seeds; one run has no standard deviation."""

    mean: float
    sd: float | None
    n: int
    values: list[float]


class Row(TypedDict):
    """Runs that differ in their seeds alone, and their scores on the test set in nats per image."""

    settings: dict[str, Setting]  # those in which this row differs from others
    runs: list[str]
    loss: OverSeeds
    reconstruction: OverSeeds
    kl: OverSeeds
    accuracy: NotRequired[OverSeeds]  # the share of the test labels that are inferred rightly
    log_likelihood: NotRequired[OverSeeds]
    samples: NotRequired[int]  # codes per image in the estimates of the log-likelihood
    images: NotRequired[int]  # how many images the log-likelihood was estimated for
    active_units: NotRequired[OverSeeds]


class SweepContent(TypedDict):
    """The contents of sweep.json."""

    swept: dict[str, list[Setting]]
    protocol: Comparable | None  # None if the runs differ in it
    differing: str
    unit: str
    best: int | None  # the index of the best row
    rows: list[Row]
    failed: dict[str, str]  # the names of runs that failed, and why
    versions: dict[str, str]


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
    """Read progress.safetensors: images named `original` or by an epoch, all of the same shape (n, C, H, W), uint8."""
    images = load_file(path)
    original = images["original"]
    if {image.shape for image in images.values()} != {original.shape} or original.dim() != 4:
        raise ValueError("images of several shapes")
    if unknown := [name for name in images if name != "original" and not name.isdecimal()]:
        raise ValueError(f"images of {unknown[0]!r}")
    return images


def read_about(path: Path) -> About:
    """Read the metadata of model.safetensors, without its weights."""
    with safetensors.safe_open(path, "pt") as file:
        about = expect(json_of(file.metadata()["pyrovae"]), About, "metadata")
    if len(about["shape"]) not in (1, 3) or not all(isinstance(side, int) and side > 0 for side in about["shape"]):
        raise ValueError(f"shape {about['shape']}")
    if not all(isinstance(name, str) for name in about["classes"]):
        raise ValueError(f"classes {about['classes']}")
    for kind in about.get("kinds", ()):
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
