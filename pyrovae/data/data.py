"""A dataset by name becomes images and labels, held as uint8; a pixel protocol says how they are read."""

from dataclasses import dataclass, field, replace
from typing import NamedTuple

import torch
from torch import Tensor

from pyrovae.config.settings import Config
from pyrovae.data.pixels import Pixels
from pyrovae.data.sources import read_source
from pyrovae.data.sources.source import Source
from pyrovae.data.storage import fits, taken
from pyrovae.display import strip, table
from pyrovae.errors import InputError

FIXED_SEED = 1  # of everything drawn once: splits, and sets that are binarised once


@dataclass(frozen=True)
class Images:
    """Images (N, C, H, W), uint8 from 0 to 255, and their labels (N,), int64, where there are any."""

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
        """A set of these rows, to keep."""
        return Images(taken(self.images, rows), None if self.labels is None else self.labels[rows])

    def fits(self, device: torch.device | str) -> bool:
        """Whether they may lie on the device, whole."""
        return fits(self.images.numel(), device)

    def to(self, device: torch.device | str) -> "Images":
        """On the device, if they fit there; others stay where they are."""
        if not self.fits(device):
            return self
        return Images(self.images.to(device), None if self.labels is None else self.labels.to(device))


class Batch(NamedTuple):
    x: Tensor  # (n, C, H, W), in the units of the pixel protocol
    labels: Tensor | None  # (n,)


@dataclass(frozen=True)
class Data:
    """A dataset: training, test and perhaps validation images, and how their pixels are read.

    Images lie whole on `device`, if they fit there, and are handed to it batch by batch, if they do not.

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
        told = {"pixels": self.pixels.protocol, "shape": self._size, "classes": classes or "no labels"}
        return table(f"Data: {self.name}", self._counts("images for ") | told, strip(self.train.images))

    def _counts(self, what: str = "") -> dict[str, str]:
        sets = {"training": self.train, "validation": self.validation, "testing": self.test}
        return {what + name: f"{len(images):,}" for name, images in sets.items() if images is not None}

    @property
    def _size(self) -> str:
        return "×".join(map(str, self.shape))

    @property
    def shape(self) -> tuple[int, int, int]:
        _, channels, height, width = self.train.images.shape
        return channels, height, width

    def batch(self, images: Images, rows: Tensor | slice) -> Batch:
        """These rows of images, on the device."""
        chosen = images[rows.to(images.images.device) if isinstance(rows, Tensor) else rows]
        labels = None if chosen.labels is None else chosen.labels.to(self.device)
        return self.read(chosen.images.to(self.device), labels)

    def read(self, images: Tensor, labels: Tensor | None = None) -> Batch:
        return Batch(self.pixels.read(images), labels)

    def to(self, device: torch.device | str) -> "Data":
        validation = None if self.validation is None else self.validation.to(device)
        train, test = self.train.to(device), self.test.to(device)
        return replace(self, train=train, test=test, validation=validation, device=torch.device(device))


def load(config: Config) -> Data:
    """The images that `config` names: `dataset`, `data_dir`, `image_size`, `pixels` and `validation`.

    Raises `InputError` where files are missing, broken or of the wrong shape, and says which were looked for.

    >>> data = load(Config(dataset="digits", pixels="threshold", validation=100))
    >>> len(data.train), len(data.validation), len(data.test)
    (1338, 100, 359)
    >>> data.batch(data.train, slice(0, 10)).x.unique()
    tensor([0., 1.])
    """
    source = read_source(config.dataset, config.data_dir, config.image_size)
    train, test = _split(source)
    validation = None
    if config.validation:
        if config.validation >= len(train):
            raise InputError(f"validation: expected fewer than the {len(train)} images, got {config.validation}")
        order = _shuffled(len(train))
        validation, train = train.take(order[: config.validation]), train.take(order[config.validation :])
    pixels = Pixels.of(config.pixels, train.images)

    def fixed(images: Images, drawn_once: bool, seed: int) -> Images:
        return replace(images, images=pixels.fix(images.images, drawn_once, seed))

    return Data(
        name=config.dataset,
        train=fixed(train, drawn_once=False, seed=FIXED_SEED),
        test=fixed(test, drawn_once=True, seed=FIXED_SEED + 1),
        validation=None if validation is None else fixed(validation, drawn_once=True, seed=FIXED_SEED + 2),
        classes=source.classes,
        pixels=pixels,
    )


def _split(source: Source) -> tuple[Images, Images]:
    """Training and test set; where the source has none, 80 % and 20 % of its images, by a fixed draw."""
    images = Images(source.images, source.labels)
    if source.test_images is not None:
        return images, Images(source.test_images, source.test_labels)
    if len(images) < 2:
        raise InputError(f"dataset: expected at least 2 images, to train and to test on, got {len(images)}")
    order = _shuffled(len(images))
    cut = min(max(1, round(0.8 * len(images))), len(images) - 1)
    return images.take(order[:cut]), images.take(order[cut:])


def _shuffled(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(FIXED_SEED))
