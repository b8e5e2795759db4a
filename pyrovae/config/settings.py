"""All settings of a run. Flags of `pyrovae train`, TOML keys and Python arguments are all made from this one list."""

import tomllib
from collections.abc import Iterable
from pathlib import Path
from typing import Any, Literal

import tomli_w
from pydantic import (
    BaseModel,
    ConfigDict,
    Field,
    ValidationError,
    field_validator,
    model_validator,
)
from pydantic.fields import FieldInfo

from pyrovae.config import values, words
from pyrovae.config.following import following, free_to_follow
from pyrovae.display import table
from pyrovae.errors import InputError, did_you_mean

# Settings that may name a class of the user's own, which is code, and settings that name data on disk.
CLASSES = ("program", "network", "activation", "likelihood", "prior", "posterior", "objective", "missingness")
PLACES = ("dataset", "data_dir")


def setting(default: object, group: str, description: str, **limits: Any) -> Any:
    """Declare a field of `Config`, shown in a group of flags. Numbers have limits, those of `values`."""
    if type(default) is int and "lt" not in limits:
        limits["le"] = values.MOST
    elif isinstance(default, float):
        limits["le"] = values.LARGEST
    return Field(default, description=description, json_schema_extra={"group": group}, **limits)


class Config(BaseModel):
    """The settings of one run. They cannot be changed; an unknown name or an invalid value raises `InputError`.

    The names of components (`likelihood`, `prior`, ...) are looked up when `pyrovae.build` makes the model.

    >>> config = Config(latent_dim=8, hidden="256,128")
    >>> config.hidden, config.prior, config.replace(condition="quadrant1").prior
    ((256, 128), 'normal', 'conditional')
    >>> Config.from_toml(config.to_toml()) == config
    True
    """

    model_config = ConfigDict(frozen=True, extra="forbid", allow_inf_nan=False)

    dataset: str = setting(
        "digits", "Data", "a name (pyrovae list datasets), or folder:, npz:, csv:, parquet:, h5ad:, pt: or mat:PATH"
    )
    data_dir: Path | None = setting(
        None, "Data", "folder of dataset files and downloads (default: $PYROVAE_DATA, or a cache)"
    )
    image_size: int | None = setting(
        None, "Data", "resize the shorter side to N pixels and cut out the middle square", ge=2, le=512
    )
    shape: values.Shape = setting(
        (), "Data", "shape of an image that a file holds as a flat row: H,W or C,H,W or H,W,C, e.g. 28,28"
    )
    label_column: str = setting("", "Data", "name of the column of a table, or of obs, that has the labels")
    layer: str = setting("", "Data", "h5ad: name of the layer to read instead of X, as counts; raw: raw/X")
    background: str = setting("white", "Data", "colour on which transparent pixels are drawn, e.g. black or #8899aa")
    on_broken: Literal["stop", "skip"] = setting(
        "stop", "Data", "what to do with files of a folder that cannot be read as images"
    )
    pixels: Literal[
        "grey",
        "dynamic",
        "static",
        "threshold",
        "bytes",
        "dequantised",
        "standardized",
        "real",
        "counts",
        "binary",
        "columns",
    ] = setting(
        "grey",
        "Data",
        "values of pixels: x/255; Bernoulli(x/255) drawn at each visit; drawn once; x > 127; 0..255; "
        "(x - mean)/std; and of the columns of a table: as they are; counts; 0 and 1; standardized; "
        "or each by its own kind, with likelihood columns",
    )
    columns: tuple[str, ...] = setting(
        (),
        "Data",
        "pixels columns, or a condition: the kinds or likelihoods of columns where the values mislead: NAME=KIND,..., "
        "or FILE.toml",
    )
    condition: str = setting(
        "none",
        "Data",
        "what the model is given: none, label, quadrant1, quadrant2 or quadrant3 of an image, or COLUMN,... of a table",
    )

    program: str = setting("vae", "Program", "the generative model and its guide (pyrovae list programs)")
    inference: Literal["bottom_up", "top_down", "ladder"] = setting(
        "bottom_up", "Program", "hierarchical: how the guide infers the codes, from the image up or from the top down"
    )
    upper_hidden: values.Widths = setting(
        (), "Program", "hierarchical, stacked: units of each hidden layer between two codes (default: hidden)"
    )
    labelled: int = setting(
        0,
        "Program",
        "semi_supervised, stacked: training images whose label is used (0: all that have one)",
        ge=0,
    )
    labelled_batch: int = setting(
        0, "Program", "semi_supervised, stacked: images with a known label that are added to those of each step", ge=0
    )
    classifier_weight: float = setting(
        50.0,
        "Program",
        "semi_supervised, stacked: weight of the classifier's loss, -log q(y) if y is known",
        ge=0,
    )
    skip: Literal["no", "yes"] = setting(
        "no", "Program", "hierarchical: whether the decoder reads all codes, or z1 alone"
    )
    variables: int = setting(20, "Program", "discrete: number of symbols in a code", ge=1)
    symbols: int = setting(10, "Program", "discrete: number of values that a symbol takes", ge=2)
    gradient: Literal[
        "straight_through", "gumbel_softmax", "straight_through_gumbel", "score_function", "enumeration"
    ] = setting(
        "gumbel_softmax", "Program", "discrete: how the gradient gets through a draw; enumeration: no draws, exact"
    )
    temperature: float = setting(1.0, "Program", "discrete: temperature of the Gumbel-softmax at the start", gt=0)
    temperature_end: float = setting(0.5, "Program", "discrete: the temperature after all epochs", gt=0)

    clusters: int = setting(10, "Program", "mixture: number of clusters", ge=2)
    pretraining: int = setting(
        10, "Program", "mixture: epochs before the clusters are fitted to the codes of training images", ge=0
    )

    missingness: str = setting(
        "self_masking", "Program", "not_at_random: why values are missing (pyrovae list missingness)"
    )

    network: str = setting("mlp", "Model", "architecture of encoder and decoder (pyrovae list networks)")
    hidden: values.Widths = setting(
        (128, 128), "Model", "units of each hidden layer of mlp, gated and linear_decoder, e.g. 512,256"
    )
    activation: str = setting("relu", "Model", "nonlinearity (pyrovae list activations); with conv the default is tanh")
    latent_dim: values.Counts = Field(
        2,
        description="dimensions of the code z; of z1, z2, ... in programs with several codes, e.g. 40,20",
        json_schema_extra={"group": "Model"},
    )
    likelihood: str = setting("bernoulli", "Model", "p(x | z) (pyrovae list likelihoods)")
    scale: float | str = setting(
        "shared",
        "Model",
        "scale of gaussian, laplace, student_t: a number, or learned: shared, pixel (one each), optimal (gaussian)",
    )
    library_size: Literal["none", "observed"] = setting(
        "none",
        "Model",
        "poisson, negative_binomial of counts: rates; or observed: shares, times the total of the row",
    )
    prior: str = setting("normal", "Model", "p(z) (pyrovae list priors); with quadrants the default is conditional")
    components: int = setting(100, "Model", "number of components of the mixture, vamp and exemplar priors", ge=1)
    flow: Literal["autoregressive", "coupling"] = setting("autoregressive", "Model", "transforms of the flow prior")
    posterior: str = setting("diagonal", "Model", "q(z | x) (pyrovae list posteriors); delta makes a plain autoencoder")

    objective: str = setting(
        "elbo",
        "Objective",
        "loss that SVI minimises (pyrovae list objectives); of a relaxed discrete program the default is analytic",
    )
    particles: int = setting(1, "Objective", "samples of z per image and step", ge=1)
    alpha: float = setting(0.5, "Objective", "order of the renyi objective", ge=0)
    mmd_weight: float = setting(100.0, "Objective", "weight of the MMD in the mmd objective", ge=0)
    beta: float = setting(1.0, "Objective", "weight of the KL term", ge=0)
    warmup: int = setting(0, "Objective", "epochs over which the KL weight rises from 0 to beta", ge=0)
    cycle: int = setting(0, "Objective", "epochs after which the warm-up starts again (0: never)", ge=0)
    free_bits: float = setting(0.0, "Objective", "nats of KL per latent dimension that are not penalised", ge=0)

    epochs: int = setting(100, "Training", "passes over the training set", ge=1)
    batch_size: int = setting(128, "Training", "images per step", ge=1)
    lr: float = setting(1e-3, "Training", "learning rate of Adam", gt=0)
    grad_clip: float = setting(0.0, "Training", "scale gradients down to at most this norm (0: never)", ge=0)
    on_nan: Literal["stop", "skip"] = setting(
        "stop", "Training", "if a loss is not finite: stop the training, or skip the batch and count it"
    )
    schedule: Literal["constant", "cosine"] = setting(
        "constant", "Training", "learning rate over all epochs: constant, or falling to 0 as half a cosine"
    )
    validation: int = setting(
        0, "Training", "training images to hold out; weights with the best loss on them are kept", ge=0
    )
    patience: int = setting(
        0, "Training", "stop after this many epochs without a better validation loss (0: never)", ge=0
    )
    seed: int = setting(0, "Training", "seed of all random numbers", ge=0, lt=2**32)
    device: str = setting("auto", "Training", "auto, cpu, cuda or cuda:1")
    threads: int | None = setting(
        None, "Training", "CPU threads (default: one for small steps, else one or all, as is faster)", ge=1, le=1024
    )
    save_minutes: float = setting(10.0, "Training", "minutes between two checkpoints within a long epoch", gt=0)
    precision: Literal["fp32", "tf32", "bf16"] = setting(
        "fp32", "Training", "significant bits of the factors of matrix products in training: 24, 11 (CUDA only) or 8"
    )
    compile: Literal["auto", "no", "yes"] = setting(
        "auto", "Training", "compile the training step; auto: if there are enough steps to repay it"
    )

    def __init__(self, /, **settings: object) -> None:
        try:
            super().__init__(**settings)
        except ValidationError as error:
            raise InputError(
                "; ".join(words.in_one_line(each, Config.model_fields) for each in error.errors())
            ) from None

    @model_validator(mode="before")
    @classmethod
    def _defaults_that_follow(cls, settings: dict[str, object]) -> dict[str, object]:
        return following(settings) | settings

    _data_dir = field_validator("data_dir", mode="before")(values.folder)
    _listed = field_validator("hidden", "upper_hidden", "shape", mode="before")(values.listed)
    _kinds = field_validator("columns", mode="before")(values.kinds)
    _named_kinds = field_validator("columns")(values.named_kinds)
    _names = field_validator("condition", mode="before")(values.names)
    _condition = field_validator("condition")(values.condition)
    _shape = field_validator("shape")(values.shape)
    _widths = field_validator("hidden", "upper_hidden")(values.widths)
    _hidden = field_validator("hidden")(values.some)
    _latent_dim = field_validator("latent_dim", mode="before")(values.one_or_several)
    _scale = field_validator("scale", mode="before")(values.number_or_scale)
    _device = field_validator("device")(values.device)
    _background = field_validator("background")(values.colour)
    _any = field_validator("*", mode="before")(values.number_or_text)  # declared last, so pydantic calls it first

    @model_validator(mode="after")
    def _settings_agree(self) -> "Config":
        if self.patience and not self.validation:
            raise ValueError("patience: expected validation > 0 beside it, got validation = 0")
        if self.given_columns and self.pixels not in values.VECTORS:
            known = ", ".join(map(repr, values.CONDITIONS))
            raise ValueError(
                f"condition: expected {known}, or columns of a table beside pixels = {' or '.join(values.VECTORS)}, got"
                f" {self.condition!r}{did_you_mean(self.condition, values.CONDITIONS)}"
            )
        if self.columns and self.pixels != "columns" and not self.given_columns:
            raise ValueError(
                "columns: expected pixels = 'columns', or columns as condition, beside it, got pixels ="
                f" {self.pixels!r}"
            )
        if self.library_size != "none" and self.pixels != "counts":
            raise ValueError(f"library_size: expected pixels = 'counts' beside it, got pixels = {self.pixels!r}")
        if self.cycle and not 0 < self.warmup <= self.cycle:
            raise ValueError(f"cycle: expected warmup from 1 to cycle beside it, got warmup = {self.warmup}")
        if self.prior == "conditional" and self.condition == "none":
            raise ValueError(
                "prior: 'conditional' expects a condition (label, quadrant1, columns, ...), got condition = 'none'"
            )
        return self

    @property
    def given_columns(self) -> tuple[str, ...]:
        """The columns of a table that are the condition; none if it is another."""
        return () if self.condition in values.CONDITIONS else tuple(self.condition.split(","))

    @property
    def code_dim(self) -> int:
        """The dimensions of the code; of several codes, those of the top one."""
        return self.latent_dim if isinstance(self.latent_dim, int) else self.latent_dim[-1]

    def replace(self, **settings: object) -> "Config":
        """Return a copy with these settings changed, and with them the defaults that depend on them."""
        return Config(**(_free_to_follow(self.model_dump()) | settings))

    def unread(self, name: str, why: str) -> str:
        """Say that a setting must have its default, because nothing reads it: `name: expected DEFAULT, as WHY, got`."""
        default = following(self.model_dump()).get(name, Config.model_fields[name].default)
        return f"{name}: expected {as_text(default) or 'nothing'}, as {why}, got {as_text(getattr(self, name))!r}"

    def without(self, names: Iterable[str]) -> "Config":
        """Return a copy in which these settings have their defaults."""
        return Config(**{name: value for name, value in self.differing().items() if name not in {*names}})

    def differing(self) -> dict[str, object]:
        """Return the settings that must be given to make this config: those whose value is not their default."""
        free, fields = _free_to_follow(self.model_dump()), Config.model_fields
        follow = following(free)
        return {name: value for name, value in free.items() if name in follow or value != fields[name].default}

    def __repr_args__(self) -> Iterable[tuple[str, object]]:
        return self.differing().items()

    def __str__(self) -> str:
        return repr(self)

    def _repr_html_(self) -> str:
        differing = self.differing()
        return table(f"Config: {'what is not' if differing else 'all'} as by default", differing)

    def to_toml(self) -> str:
        return tomli_w.dumps(self.model_dump(mode="json", exclude_none=True))

    @classmethod
    def from_toml(cls, *texts: str, **settings: object) -> "Config":
        """Merge TOML texts, of which later ones take precedence, and `settings`, which take precedence over all."""
        merged: dict[str, object] = {}
        for text in texts:
            try:
                merged |= tomllib.loads(text)
            except (ValueError, RecursionError) as error:  # bad TOML or a huge number; deeply nested brackets
                raise InputError(f"config: expected TOML, got: {error}") from None
        return cls(**((_free_to_follow(merged) if settings else merged) | settings))


def _free_to_follow(settings: dict[str, object]) -> dict[str, object]:
    return free_to_follow(settings, {name: field.default for name, field in Config.model_fields.items()})


def as_text(value: object) -> str:
    """Write a setting as it is typed on the command line: (128, 128) becomes 128,128."""
    return ",".join(map(str, value)) if isinstance(value, tuple) else str(value)


def group_of(field: FieldInfo) -> str:
    """Return the group of flags in which a field of `Config` is shown."""
    extra: Any = field.json_schema_extra
    return str(extra["group"])
