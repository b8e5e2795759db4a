"""Datasets that torchvision reads and downloads."""

import contextlib
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.sources.digits import DIGITS
from pyrovae.data.sources.fetch import read_or_download
from pyrovae.data.sources.idx import check_idx
from pyrovae.data.sources.image_files import bombs_refused, pixels_of, square
from pyrovae.data.sources.raw_data import RawData, checked
from pyrovae.errors import InputError, reason

GARMENTS = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


def torchvision_set(
    name: str,
    about: str,
    files: Sequence[str],
    *splits: Mapping[str, object],
    classes: Sequence[str] | None = (),
    size: int | None = None,
    upright: bool = True,
    inverted: bool = False,
) -> Callable[[Path], RawData]:
    """Return a function that reads torchvision's class `name`, once for each of `splits`: training and test.

    `about` becomes the docstring of that function, `files` are the files that torchvision expects. `classes` names the
    labels; if it is empty, torchvision does, and None drops the labels. `size` crops and resizes the images. Unless the
    files hold them `upright`, images are transposed; `inverted` ones are black on white there, white on black here.
    """

    def read(root: Path) -> RawData:
        parts = [_torchvision_part(name, root, files, split) for split in splits]
        try:
            return checked(_raw_data(parts, classes, size, upright, inverted), str(root))
        except InputError:
            raise
        except Exception as error:  # damaged files may raise anything
            raise InputError(f"dataset: expected {', '.join(files)} in {root}, got: {reason(error)}") from None

    read.__doc__ = about
    return read


def _raw_data(
    parts: Sequence[Any], classes: Sequence[str] | None, size: int | None, upright: bool, inverted: bool
) -> RawData:
    train, test = (_stacked(part, size) for part in parts)
    if inverted:
        train, test = 255 - train, 255 - test
    if not upright:
        train, test = (images.transpose(-1, -2).contiguous() for images in (train, test))
    if classes is None:
        return RawData(train, test_images=test)
    labels = [torch.as_tensor(getattr(part, "targets", getattr(part, "labels", None))).long() for part in parts]
    return RawData(train, labels[0], test, labels[1], tuple(classes or map(str, parts[0].classes)))


def _torchvision_part(name: str, root: Path, files: Sequence[str], split: Mapping[str, object]) -> Any:
    import torchvision

    def read(folder: Path, download: bool) -> Any:
        return getattr(torchvision.datasets, name)(folder, **split, download=download)

    for file in files:
        if "-idx" in file:
            check_idx(root / file)
    with contextlib.suppress(Exception):  # missing, or damaged in one of many ways
        return read(root, False)  # tried first, so that a read-only folder is enough
    try:
        return read_or_download(name, root, {folder for file in files for folder in list(Path(file).parents)[:2]}, read)
    except Exception as error:
        raise InputError(
            f"dataset: expected {', '.join(files)} in {root}, got missing or damaged files, and no download:"
            f" {reason(error)}; put these files there, or name the folder that holds them by --data-dir or PYROVAE_DATA"
        ) from None


def _stacked(part: Any, size: int | None) -> Tensor:
    """Return all images of a torchvision dataset, (N, C, H, W) as uint8."""
    data = getattr(part, "data", None)
    if data is None:  # this dataset reads one file for each image
        with bombs_refused():
            return torch.stack([square(pixels_of(image), size) for image, _ in part])
    images = torch.as_tensor(data)
    if images.dim() == 3:
        return images[:, None]
    return images.permute(0, 3, 1, 2).contiguous() if images.shape[-1] == 3 else images


def _idx(folder: str, *parts: str) -> tuple[str, ...]:
    kinds = ("images-idx3-ubyte", "labels-idx1-ubyte")
    return tuple(f"{folder}/raw/{part}-{kind}" for part in parts for kind in kinds)


_TRAIN_TEST = ({"train": True}, {"train": False})
TORCHVISION_SETS: dict[str, Callable[[Path], RawData]] = {
    "mnist": torchvision_set(
        "MNIST", "70,000 handwritten digits, 28×28.", _idx("MNIST", "train", "t10k"), *_TRAIN_TEST, classes=DIGITS
    ),
    "fashion": torchvision_set(
        "FashionMNIST", "70,000 garments, 28×28.", _idx("FashionMNIST", "train", "t10k"), *_TRAIN_TEST, classes=GARMENTS
    ),
    "kmnist": torchvision_set(
        "KMNIST", "70,000 cursive Japanese characters, 28×28.", _idx("KMNIST", "train", "t10k"), *_TRAIN_TEST
    ),
    "emnist": torchvision_set(
        "EMNIST",
        "131,600 handwritten digits and letters in 47 classes, 28×28.",
        _idx("EMNIST", "emnist-balanced-train", "emnist-balanced-test"),
        *({"split": "balanced"} | part for part in _TRAIN_TEST),
        upright=False,
    ),
    "cifar10": torchvision_set(
        "CIFAR10",
        "60,000 colour photographs in 10 classes, 32×32.",
        tuple(
            f"cifar-10-batches-py/{n}"
            for n in (*(f"data_batch_{i}" for i in range(1, 6)), "test_batch", "batches.meta")
        ),
        *_TRAIN_TEST,
    ),
    "svhn": torchvision_set(
        "SVHN",
        "99,289 house numbers in colour, 32×32.",
        ("train_32x32.mat", "test_32x32.mat"),
        {"split": "train"},
        {"split": "test"},
        classes=DIGITS,
    ),
    # Its test characters are not among its training characters, so labels would be of no use.
    "omniglot": torchvision_set(
        "Omniglot",
        "32,460 handwritten characters of 50 alphabets, 28×28, white on black, without labels.",
        tuple(f"omniglot-py/images_{part}{end}" for part in ("background", "evaluation") for end in (".zip", "/")),
        {"background": True},
        {"background": False},
        classes=None,
        size=28,
        inverted=True,  # as all papers do: a stroke is bright, and most pixels are 0
    ),
}
