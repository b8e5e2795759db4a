"""A dataset: images and labels as uint8, split into sets, and the pixel protocol that reads them."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.pixels import Pixels
from pyrovae.data.sources import read_source
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import fits, select
from pyrovae.display import strip, table
from pyrovae.errors import InputError

FIXED_SEED = 1  # the seed of all that is drawn once for every run: splits, and sets that are binarised once


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W) as uint8 from 0 to 255, and their labels (N,) as int64, if there are any; -1: not known."""

    images: Tensor
    labels: Tensor | None = None

    def __len__(self) -> int:
        return len(self.images)

    def __repr__(self) -> str:
        shape = "×".join(map(str, self.images.shape[1:]))
        return f"Images({len(self):,} of {shape}, {'unlabelled' if self.labels is None else 'labelled'})"

    def _repr_html_(self) -> str:
        return table(repr(self), {}, strip(self.images))

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
        return fits(self.images.numel(), device)

    def to(self, device: torch.device | str) -> "Images":
        """Move all images to the device if they fit there; else return them where they are."""
        if not self.fits(device):
            return self
        return Images(self.images.to(device), None if self.labels is None else self.labels.to(device))


class Batch(NamedTuple):
    """Images as a model reads them, and their labels."""

    x: Tensor  # (n, C, H, W), in the units of the pixel protocol
    labels: Tensor | None  # (n,)


@dataclass(frozen=True)
class Data:
    """A dataset: training, test and perhaps validation images, and the protocol that reads their pixels.

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

    def __repr__(self) -> str:
        counts = ", ".join(f"{count} {name}" for name, count in self._counts().items())
        return f"Data({self.name!r}: {counts} images of {self._size}; pixels {self.pixels.protocol})"

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
    def shape(self) -> tuple[int, int, int]:
        """The shape (C, H, W) of an image."""
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def batch(self, images: Images, rows: Tensor | slice) -> Batch:
        """Read these rows of `images`, one of the sets of this dataset, on the device."""
        chosen = images[rows.to(images.images.device) if isinstance(rows, Tensor) else rows]
        labels = None if chosen.labels is None else chosen.labels.to(self.device)
        return self.read(chosen.images.to(self.device), labels)

    def read(self, images: Tensor, labels: Tensor | None = None) -> Batch:
        """Convert uint8 images by the pixel protocol."""
        return Batch(self.pixels.read(images), labels)

    def to(self, device: torch.device | str) -> "Data":
        """Move the sets that fit there to the device; batches of the others are copied to it."""
        validation = None if self.validation is None else self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        return replace(self, train=train, test=test, validation=validation, device=torch.device(device))


def load(config: Config) -> Data:
    """Read the dataset that `config` names, by its `dataset`, `data_dir`, `image_size`, `pixels`, `validation`
    and `labelled`.

    Raises `InputError` if files are missing or damaged, or if their images do not have one shape; it names the files.

    >>> data = load(Config(dataset="digits", pixels="threshold", validation=100))
    >>> len(data.train), len(data.validation), len(data.test)
    (1338, 100, 359)
    >>> data.batch(data.train, slice(0, 10)).x.unique()
    tensor([0., 1.])
    """
    raw = read_source(config.dataset, config.data_dir, config.image_size)
    train, test = _split(raw)
    validation = None
    if config.validation:
        if config.validation >= len(train):
            raise InputError(f"validation: expected fewer than the {len(train)} images, got {config.validation}")
        order = _shuffled(len(train))
        validation, train = train.take(order[: config.validation]), train.take(order[config.validation :])
    if config.labelled:
        train = with_labels(train, config.labelled, len(raw.classes), config.seed)
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
    )


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

    >>> with_labels(Images(torch.zeros(9, 1, 8, 8), torch.arange(9) % 3), 4, 3, seed=0).labels.ge(0).sum()
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
