"""What the JSON and safetensors files of a run folder contain.

Earlier versions of 0.1 did not write all of the keys that are not required.
"""

from collections.abc import Mapping
from pathlib import Path
from typing import NotRequired, TypedDict

from pyrovae.training.record import Record

Setting = int | float | str | Path | tuple[int, ...] | None  # the value of any field of Config
Comparable = Mapping[str, str | int | bool | None]  # all that runs must have in common for their numbers to compare


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


class Simulated(TypedDict, total=False):
    """Bounds of log p(x) from both sides, averaged over images drawn from the model, in nats."""

    lower_bound: float
    upper_bound: float | None
    gap: float | None
    standard_error: float | None  # the standard error of the gap
    images: int


class Latents(TypedDict, total=False):
    """How the codes of the test images use the latent space, in nats; see `pyrovae.evaluation.latents.report`.

    Earlier versions of 0.1 wrote `mutual_information` and `marginal_kl` in place of the bounds. They add up to the mean
    KL, but the first is a lower bound, which saturates at log N for N images, and so the second is an upper bound.
    """

    images: int
    latent_dim: int
    active_units: int
    layers: dict[str, dict[str, float]]
    accuracy: float
    nmi: float
    ari: float
    kl_per_dimension: list[float]
    kl: float
    mutual_information_lower: float
    mutual_information_upper: float
    marginal_kl_lower: float
    marginal_kl_upper: float
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
    monte_carlo_error: NotRequired[float | None]  # the standard error of the samples, for the same images
    elbo: NotRequired[float]
    effective_samples: NotRequired[float]
    pareto_k: NotRequired[float | None]
    unreliable_share: NotRequired[float | None]  # the share of images with a Pareto k above the limit
    seed: NotRequired[int]
    protocol: NotRequired[str]
    density: NotRequired[bool]
    weights: NotRequired[str]  # the SHA-256 of model.safetensors
    annealed: NotRequired[Annealed]
    simulated: NotRequired[Simulated]
    latents: NotRequired[Latents]


class EstimatedBy(TypedDict):
    """The metadata of estimates.safetensors: the evaluation that the estimates of each image belong to."""

    samples: int
    seed: int
    weights: str


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
    conditions: NotRequired[dict[str, KindOfColumn]]  # the columns that the model is given, by name
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
