"""A dataset: images or the rows of a table, and labels, split into sets, and the protocol that reads them."""

from collections.abc import Sequence
from dataclasses import dataclass, field, replace
from numbers import Real
from typing import Any, NamedTuple

import torch
from torch import Tensor

from pyrovae.config.settings import Config, group_of
from pyrovae.config.values import expect_protocol
from pyrovae.data.gate import expect_different
from pyrovae.data.in_hand import read_in_hand
from pyrovae.data.pixels import Pixels
from pyrovae.data.sources import read_source
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import PART, fits, select
from pyrovae.display import strip, table
from pyrovae.errors import InputError

# The settings that decide what `load` returns, beside the seed if labels are hidden.
READ = (*(name for name, each in Config.model_fields.items() if group_of(each) == "Data"), "validation", "labelled")
FIXED_SEED = 1  # the seed of all that is drawn once for every run: splits, and sets that are binarised once


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W) as uint8 from 0 to 255, and their labels (N,) as int64, if there are any; -1: not known.

    Or vectors, the rows (N, D) of a table, as float32. A missing value is NaN; images with such are float32, too.
    """

    images: Tensor
    labels: Tensor | None = None

    def __post_init__(self) -> None:
        images = self.images
        kind = (images.dim(), images.dtype) if isinstance(images, Tensor) else ()
        if kind not in ((4, torch.uint8), (4, torch.float32), (2, torch.float32)):
            got = f"{tuple(images.shape)} of {images.dtype}" if hasattr(images, "dtype") else type(images).__name__
            raise InputError(
                "images: expected a tensor (N, C, H, W) of torch.uint8, or rows (N, D) of torch.float32, got"
                f" {got}; Data.of(x) reads other arrays"
            )

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.images.shape[1:]))
        kind = "Images" if self.images.dim() == 4 else "Vectors"
        return f"{kind}({len(self):,} of {shape}, {'unlabelled' if self.labels is None else 'labelled'})"

    def _repr_html_(self) -> str:
        return table(repr(self), {}, strip(self.images))

    @property
    def missing(self) -> float:
        """The share of the values that are missing."""
        if not self.images.is_floating_point():
            return 0.0
        return sum(float(part.isnan().sum()) for part in self.images.split(PART)) / self.images.numel()

    def __getitem__(self, rows: Tensor | slice) -> "Images":
        return Images(self.images[rows], None if self.labels is None else self.labels[rows])

    def take(self, rows: Tensor) -> "Images":
        """Copy these rows to a set of their own, on disk if it does not fit in memory."""
        return Images(select(self.images, rows), None if self.labels is None else self.labels[rows])

    def known(self) -> Tensor:
        """Return which images have a label, (N,) on the CPU; without any labels none has."""
        return torch.zeros(len(self), dtype=torch.bool) if self.labels is None else self.labels.cpu() >= 0

    def fits(self, device: torch.device | str) -> bool:
        """Return whether all images may be kept on the device."""
        return fits(self.images.nbytes, device)

    def to(self, device: torch.device | str) -> "Images":
        """Move all images to the device if they fit there; else return them where they are."""
        if not self.fits(device):
            return self
        return Images(self.images.to(device), None if self.labels is None else self.labels.to(device))


class Batch(NamedTuple):
    """Images as a model reads them, and their labels."""

    x: Tensor  # (n, C, H, W) or (n, D), in the units of the pixel protocol
    labels: Tensor | None  # (n,)


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

    @classmethod
    def of(
        cls,
        x: Any,
        labels: Any = None,
        *,
        test: Any = 0.2,
        validation: Any = 0,
        pixels: str = "grey",
        classes: Sequence[str] = (),
        shape: Sequence[int] = (),
        background: str = "white",
        name: str = "data",
        missing: Any = None,
    ) -> "Data":
        """Make a dataset of images in hand: arrays, tensors, Datasets or DataLoaders of torch, or a data frame.

        Images are (N, H, W), (N, H, W, C) or (N, C, H, W), or rows of a table if `shape` says what a row is, and their
        numbers mean what `read_images` makes of them: floats in [0, 1], bytes, truth values, and more. `labels` are
        (N,) or one-hot; those of a Dataset are in its items, and those of a data frame may be the name of a column.
        `test` is the share, or the number, of images to test on, or the test images, alone or as a pair with their
        labels; `validation` likewise. Which images are drawn is the same every time. `classes` names the labels
        0, 1, .... Nothing is shared with the caller's arrays. Raises `InputError` for anything else.

        With `pixels` real, standardized, counts or binary, x are vectors, the rows (N, D) of a table, in their own
        units. A value that is NaN, or at which `missing`, of the shape of x, is true, is missing.

        >>> Data.of(torch.rand(50, 8, 8), torch.arange(50) % 3, validation=5)
        Data('data': 35 training, 5 validation, 10 testing images of 1×8×8; pixels grey)
        """
        sets, parts = {"images": x}, {"test_images": test, "validation_images": validation}
        sets |= {part: value for part, value in parts.items() if not isinstance(value, Real)}
        read = read_in_hand(
            sets,
            {"images": labels},
            name,
            shape,
            background,
            classes,
            pixels,
            None if missing is None else {"images": missing},
        )
        images, numbers = read.images, read.labels
        for part in ("test_images", "validation_images"):
            value, n = parts[part], len(images["images"])
            if part in images or (part == "validation_images" and not value):
                continue
            count = _count(part, value, n)
            order = _shuffled(n)
            for tensors in (images, numbers):
                if "images" in tensors:
                    whole = tensors["images"]
                    tensors[part], tensors["images"] = whole[order[:count]], whole[order[count:]]
        raw = RawData(
            images["images"],
            numbers.get("images"),
            images["test_images"],
            numbers.get("test_images"),
            read.classes,
            images.get("validation_images"),
            numbers.get("validation_images"),
            read.columns,
        )
        expect_different(raw.images, raw.test_images, name)
        return data_of(raw, Config(dataset=name, pixels=pixels))

    def images(self, x: Any, labels: Any = None) -> Images:
        """Read further images in hand as this dataset's test images are read; see `of` for what x and labels may be.

        `Images` are returned as they are. Raises `InputError` unless they have the dataset's shape and classes.
        """
        if isinstance(x, Images):
            return x
        shape: tuple[int, ...] = self.shape if len(self.shape) == 3 else ()
        read = read_in_hand(
            {"images": x}, {"images": labels}, "data", shape, "white", self.classes, self.pixels.protocol
        )
        images = read.images["images"]
        if (shape := tuple(images.shape[1:])) != self.shape:
            raise InputError(f"images: expected some of shape {self.shape}, as the dataset has, got {shape}")
        return Images(self.pixels.fix(images, True, FIXED_SEED + 3), read.labels.get("images"))

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self._counts().items())
        kind = "images" if len(self.shape) == 3 else "vectors"
        return f"Data({self.name!r}: {counts} {kind} of {self._size}; pixels {self.pixels.protocol})"

    def _repr_html_(self) -> str:
        classes = ", ".join(self.classes[:20]) + (", ..." if len(self.classes) > 20 else "")
        about = {"pixels": self.pixels.protocol, "shape": self._size, "classes": classes or "no labels"}
        return table(f"Data: {self.name}", self._counts("images for ") | about, strip(self.train.images))

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
    def missing(self) -> bool:
        """Whether some values may be missing, as NaN, in a set of this dataset."""
        sets = (self.train, self.validation, self.test)
        return any(images is not None and images.missing > 0 for images in sets)

    def batch(self, images: Images, rows: Tensor | slice) -> Batch:
        """Read these rows of `images`, one of the sets of this dataset, on the device."""
        chosen = images[rows.to(images.images.device) if isinstance(rows, Tensor) else rows]
        labels = None if chosen.labels is None else chosen.labels.to(self.device)
        return self.read(chosen.images.to(self.device), labels)

    def read(self, images: Tensor, labels: Tensor | None = None) -> Batch:
        """Convert images or vectors, as a set keeps them, by the pixel protocol."""
        return Batch(self.pixels.read(images), labels)

    def to(self, device: torch.device | str) -> "Data":
        """Move the sets that fit there to the device; batches of the others are copied to it."""
        validation = None if self.validation is None else self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        return replace(self, train=train, test=test, validation=validation, device=torch.device(device))


def load(config: Config) -> Data:
    """Read the dataset that `config` names, by its settings of the group Data, `validation` and `labelled`.

    Raises `InputError` if files are missing or damaged, or if their images do not have one shape; it names the files.

    >>> data = load(Config(dataset="digits", pixels="threshold", validation=100))
    >>> len(data.train), len(data.validation), len(data.test)
    (1338, 100, 359)
    >>> data.batch(data.train, slice(0, 10)).x.unique()
    tensor([0., 1.])
    """
    raw = read_source(
        config.dataset,
        config.data_dir,
        config.image_size,
        shape=config.shape,
        label_column=config.label_column,
        background=config.background,
        on_broken=config.on_broken,
        pixels=config.pixels,
    )
    return data_of(raw, config)


def data_of(raw: RawData, config: Config) -> "Data":
    """Split what a source returned into sets, and fix their pixels, as `load` does."""
    train, test = _split(raw)
    validation = None if raw.validation_images is None else Images(raw.validation_images, raw.validation_labels)
    if config.validation and validation is not None:
        raise InputError(
            f"validation: expected 0, as {config.dataset} has validation images of its own, got {config.validation}"
        )
    if config.validation:
        if config.validation >= len(train):
            raise InputError(f"validation: expected fewer than the {len(train)} images, got {config.validation}")
        order = _shuffled(len(train))
        validation, train = train.take(order[: config.validation]), train.take(order[config.validation :])
    if config.labelled:
        train = with_labels(train, config.labelled, len(raw.classes), config.seed)
    expect_protocol(config.pixels, train.images.dim() - 1)
    pixels = Pixels.of(config.pixels, train.images)

    def fixed(images: Images, drawn_once: bool, seed: int) -> Images:
        return replace(images, images=pixels.fix(images.images, drawn_once, seed))

    return Data(
        name=config.dataset,
        train=fixed(train, drawn_once=False, seed=FIXED_SEED),
        test=fixed(test, drawn_once=True, seed=FIXED_SEED + 1),
        validation=None if validation is None else fixed(validation, drawn_once=True, seed=FIXED_SEED + 2),
        classes=raw.classes,
        pixels=pixels,
        columns=raw.columns,
    )


def _count(part: str, value: Any, n: int) -> int:
    """Return how many of n images a share or a number of them is; raise `InputError` unless some remain."""
    what = part.removesuffix("_images")
    count = max(1, round(value * n)) if isinstance(value, float) and 0 < value < 1 else value
    if isinstance(value, bool) or count != int(count) or not 0 < count < n:
        raise InputError(
            f"{what}: expected a share between 0 and 1, a number of images from 1 to {n - 1}, or images, got {value!r}"
        )
    return int(count)


def _split(raw: RawData) -> tuple[Images, Images]:
    """Return training and test set: those of the source, or, if it has no test set, 80 % and 20 % of its images.

    The images of each part are a fixed draw.
    """
    images = Images(raw.images, raw.labels)
    if raw.test_images is not None:
        return images, Images(raw.test_images, raw.test_labels)
    if len(images) < 2:
        raise InputError(f"dataset: expected at least 2 images, to train and to test on, got {len(images)}")
    order = _shuffled(len(images))
    cut = min(max(1, round(0.8 * len(images))), len(images) - 1)
    return images.take(order[:cut]), images.take(order[cut:])


def with_labels(images: Images, labelled: int, classes: int, seed: int) -> Images:
    """Hide the labels of all but `labelled` images, as -1; as many of each class as there are, or one more.

    The seed decides which. Raises `InputError` if fewer images have a label, or if a class has too few.

    >>> images = Images(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), torch.arange(9) % 3)
    >>> with_labels(images, 4, 3, seed=0).labels.ge(0).sum()
    tensor(4)
    """
    known = int(images.known().sum())
    if images.labels is None or labelled > known:
        raise InputError(f"labelled: expected at most the {known} training images that have a label, got {labelled}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    labels, kept = images.labels[order], torch.zeros(len(images), dtype=torch.bool)
    for label in range(classes):
        wanted = labelled // classes + (label < labelled % classes)
        rows = order[labels == label]
        if len(rows) < wanted:
            raise InputError(f"labelled: expected {wanted} training images of class {label + 1}, got {len(rows)}")
        kept[rows[:wanted]] = True
    return replace(images, labels=torch.where(kept, images.labels, -1))


def _shuffled(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(FIXED_SEED))
