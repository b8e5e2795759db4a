"""A dataset: images or the rows of a table, and labels, split into sets, and the protocol that reads them."""

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.config.values import CONDITIONS, expect_protocol
from pyrovae.data.format import Format
from pyrovae.data.gate import expect_different
from pyrovae.data.images import Images
from pyrovae.data.in_hand import read_in_hand
from pyrovae.data.pixels import Pixels
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.splits import FIXED_SEED, count_of, shuffled, train_and_test, with_labels
from pyrovae.display import strip, table
from pyrovae.errors import InputError, did_you_mean
from pyrovae.parts.kinds import Kind


class Batch(NamedTuple):
    """Images as a model reads them, and what it may be given: their labels, or the columns that are conditions."""

    x: Tensor  # (n, C, H, W) or (n, D), in the units of the pixel protocol
    labels: Tensor | None  # (n,), or values of conditions (n, K)


@dataclass(frozen=True)
class Data:
    """A dataset: training, test and perhaps validation images, or rows of a table, and the protocol that reads them.

    The images are kept on `device` if they fit there; else `batch` copies the rows that it reads.

    >>> data = load(Config(dataset="digits"))
    >>> data.train, data.shape
    (Images(1,438 of 1×8×8, labelled), (1, 8, 8))
    >>> x, labels = data.batch(data.test, slice(0, 5))
    >>> x.shape, labels.shape
    (torch.Size([5, 1, 8, 8]), torch.Size([5]))
    """

    name: str
    train: Images
    test: Images
    validation: Images | None = None
    classes: tuple[str, ...] = ()
    pixels: Pixels = field(default_factory=Pixels)
    device: torch.device = field(default_factory=lambda: torch.device("cpu"))
    columns: tuple[str, ...] = ()  # the names of a table's columns, if they have any
    kinds: tuple[Kind, ...] = ()  # what they hold, if the protocol is `columns`
    conditions: Mapping[str, Kind] = field(default_factory=dict)  # the columns that a model is given, by name

    @classmethod
    def of(
        cls,
        x: object,
        labels: object = None,
        *,
        test: object = 0.2,
        validation: object = 0,
        pixels: str = "grey",
        classes: Sequence[str] = (),
        shape: Sequence[int] = (),
        background: str = "white",
        name: str = "data",
        missing: object = None,
        columns: Mapping[str, str] | None = None,
        condition: str | Sequence[str] = (),
    ) -> "Data":
        """Make a dataset of images in hand: arrays, tensors, Datasets or DataLoaders of torch, or a data frame.

        Or sparse matrices of scipy, whose rows stay sparse with `pixels` counts or binary.

        Images are (N, H, W), (N, H, W, C) or (N, C, H, W), or rows of a table if `shape` says what a row is, and their
        numbers mean what `read_images` makes of them: floats in [0, 1], bytes, truth values, and more. `labels` are
        (N,) or one-hot; those of a Dataset are in its items, and those of a data frame may be the name of a column.
        `test` is the share, or the number, of images to test on, or the test images, alone or as a pair with their
        labels; `validation` likewise. Which images are drawn is the same every time. `classes` names the labels
        0, 1, .... Nothing is shared with the caller's arrays. Raises `InputError` for anything else.

        With `pixels` real, standardized, counts, binary or columns, x are vectors, the rows (N, D) of a table, in their
        own units. With `columns` each column has its kind (`read_columns`); the argument of that name says the kind of
        columns whose values mislead, as {"age": "count"}. A value that is NaN, or at which `missing`, of the shape of
        x, is true, is missing. `condition` names columns that a model is given, as "age,sex", of a frame or of an
        array, whose columns are column1, column2, ...: they are no part of what it scores.

        >>> Data.of(torch.rand(50, 8, 8), torch.arange(50) % 3, validation=5)
        Data('data': 35 training, 5 validation, 10 testing images of 1×8×8; pixels grey)
        """
        sets, parts = {"images": x}, {"test_images": test, "validation_images": validation}
        sets |= {part: value for part, value in parts.items() if not isinstance(value, Real)}
        config = Config(dataset=name, pixels=pixels, columns=dict(columns or {}), condition=condition or "none")
        format = Format(pixels, shape, background, columns=config.columns, conditions=config.given_columns)
        masks = None if missing is None else {"images": missing}
        read = read_in_hand(sets, {"images": labels}, name, classes, format, masks)
        images, numbers, given = read.sets.tensors, read.labels, dict(read.sets.given)
        for part in ("test_images", "validation_images"):
            value, n = parts[part], len(images["images"])
            if part in images or (part == "validation_images" and not value):
                continue
            count = count_of(part, value, n)
            order = shuffled(n)
            kept: tuple[dict[str, Any], ...] = (images, numbers, given)
            for tensors in kept:
                if "images" in tensors:
                    whole = tensors["images"]
                    tensors[part], tensors["images"] = whole[order[:count]], whole[order[count:]]
        raw = RawData(
            **images,
            **{part.replace("images", "labels"): values for part, values in numbers.items()},
            **{part.replace("images", "given"): values for part, values in given.items()},
            classes=read.classes,
            columns=read.sets.columns,
            kinds=read.sets.kinds,
            conditions=read.sets.conditions,
        )
        expect_different(raw.images, raw.test_images, name)
        return data_of(raw, config)

    def images(self, x: object, labels: object = None) -> Images:
        """Read further images in hand as this dataset's test images are read; see `of` for what x and labels may be.

        `Images` are returned as they are. Raises `InputError` unless they have the dataset's shape and classes.
        """
        if isinstance(x, Images):
            return x
        shape: tuple[int, ...] = self.shape if len(self.shape) == 3 else ()
        conditions = tuple(self.conditions)
        format = Format(
            self.pixels.protocol, shape, kinds=self.kinds, conditions=conditions, given=self.conditions, further=True
        )
        read = read_in_hand({"images": x}, {"images": labels}, "data", self.classes, format)
        self.expect_columns(read.sets.columns, "data")
        images = Images(read.sets.tensors["images"], read.labels.get("images"), read.sets.given.get("images"))
        if (shape := tuple(images.images.shape[1:])) != self.shape:
            raise InputError(f"images: expected some of shape {self.shape}, as the dataset has, got {shape}")
        return self.pixels.fix(images, True, FIXED_SEED + 3)

    def expect_columns(self, columns: Sequence[str], place: str) -> None:
        """Raise `InputError` if the columns of another table have other names than this one's, or another order."""
        if self.columns and columns and tuple(columns) != self.columns:
            raise InputError(
                f"columns: expected {', '.join(self.columns)} in {place}, as before, got {', '.join(columns)}"
            )

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self._counts().items())
        given = f"; given {', '.join(self.conditions)}" if self.conditions else ""
        return f"Data({self.name!r}: {counts} {self.noun}s of {self._size}; pixels {self.pixels.protocol}{given})"

    def _repr_html_(self) -> str:
        classes = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        about = {"pixels": self.pixels.protocol, "shape": self._size, "classes": classes or "no labels"}
        return table(
            f"Data: {self.name}", self._counts(f"{self.noun}s for ") | about, strip(self.train.images[:10].to_dense())
        )

    def _counts(self, prefix: str = "") -> dict[str, str]:
        sets = {"training": self.train, "validation": self.validation, "testing": self.test}
        return {prefix + name: f"{len(images):,}" for name, images in sets.items() if images is not None}

    @property
    def _size(self) -> str:
        return "×".join(map(str, self.shape))

    @property
    def shape(self) -> tuple[int, ...]:
        """The shape (C, H, W) of an image, or (D,) of a vector."""
        return tuple(self.train.images.shape[1:])

    @property
    def noun(self) -> str:
        """What one observation is called: an image, or the row of a table."""
        return "image" if len(self.shape) == 3 else "row"

    @property
    def missing(self) -> bool:
        """Whether some values may be missing, as NaN, in a set of this dataset."""
        sets = (self.train, self.validation, self.test)
        return any(images is not None and images.missing > 0 for images in sets)

    def batch(self, images: Images, rows: Tensor | slice) -> Batch:
        """Read these rows of `images`, one of the sets of this dataset, on the device."""
        chosen = images[rows.to(images.images.device) if isinstance(rows, Tensor) else rows]
        y = None if chosen.y is None else chosen.y.to(self.device)
        noise = None if chosen.noise is None else chosen.noise.to(self.device)
        return self.read(chosen.images.to_dense().to(self.device), y, noise)

    def read(self, images: Tensor, labels: Tensor | None = None, noise: Tensor | None = None) -> Batch:
        """Convert images or vectors, as a set keeps them, by the pixel protocol."""
        return Batch(self.pixels.read(images, noise), labels)

    def to(self, device: torch.device | str) -> "Data":
        """Move the sets that fit there to the device; batches of the others are copied to it."""
        validation = None if self.validation is None else self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        return replace(self, train=train, test=test, validation=validation, device=torch.device(device))


def data_of(raw: RawData, config: Config) -> "Data":
    """Split what a source returned into sets, and fix their pixels, as `load` does."""
    train, test = train_and_test(raw)
    validation = None
    if raw.validation_images is not None:
        validation = Images(raw.validation_images, raw.validation_labels, raw.validation_given)
    if config.validation and validation is not None:
        raise InputError(
            f"validation: expected 0, as {config.dataset} has validation images of its own, got {config.validation}"
        )
    if config.validation:
        if config.validation >= len(train):
            raise InputError(f"validation: expected fewer than the {len(train)} images, got {config.validation}")
        order = shuffled(len(train))
        validation, train = train.take(order[: config.validation]), train.take(order[config.validation :])
    if config.labelled:
        train = with_labels(train, config.labelled, len(raw.classes), config.seed)
    expect_protocol(config.pixels, train.images.dim() - 1)
    if config.given_columns and not raw.conditions:
        raise InputError(
            f"condition: expected {', '.join(CONDITIONS)} for {config.dataset}, which is no table, got"
            f" {config.condition!r}{did_you_mean(config.condition, CONDITIONS)}"
        )
    pixels = Pixels.of(config.pixels, train.images)

    given = () if train.given is None else train.given.unbind(1)

    return Data(
        name=config.dataset,
        train=pixels.fix(train, drawn_once=False, seed=FIXED_SEED),
        test=pixels.fix(test, drawn_once=True, seed=FIXED_SEED + 1),
        validation=None if validation is None else pixels.fix(validation, drawn_once=True, seed=FIXED_SEED + 2),
        classes=raw.classes,
        pixels=pixels,
        columns=raw.columns,
        kinds=tuple(kind.fitted(column) for kind, column in zip(raw.kinds, train.images.to_dense().T))
        if raw.kinds
        else (),
        conditions={name: kind.fitted(column) for (name, kind), column in zip(raw.conditions.items(), given)},
    )
