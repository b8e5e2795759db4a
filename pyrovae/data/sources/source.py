"""What every source becomes: uint8 images in memory."""

import contextlib
import math
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.errors import InputError

MOST_PIXELS = 2**26  # of one image; more is no picture to learn from, but a file that lies
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # of Pillow's others one starts a program


@dataclass(frozen=True)
class Source:
    """Images (N, C, H, W) as uint8, labels (N,) as int64 if there are any, and a test set if the source has one."""

    images: Tensor
    labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    classes: tuple[str, ...] = ()


def checked(source: Source, name: str) -> Source:
    """The source, if its images and labels belong together; what a file held may be anything."""
    parts = [(source.images, source.labels, "images"), (source.test_images, source.test_labels, "test images")]
    for images, labels, called in parts:
        if images is None:
            continue
        held = images.untyped_storage().nbytes()
        if images.dtype != torch.uint8 or images.dim() != 4 or not 0 < images.numel() <= held:
            came = f"{tuple(images.shape)} of {images.dtype} in {held} bytes"
            raise InputError(f"dataset: expected {called} (N, C, H, W) of torch.uint8 in {name}, got {came}")
        if images.shape[1:] != source.images.shape[1:]:
            came = f"{tuple(source.images.shape[1:])} and {tuple(images.shape[1:])}"
            raise InputError(f"dataset: expected images and test images of one shape in {name}, got {came}")
        if (labels is None) != (source.labels is None):
            raise InputError(f"dataset: expected labels of images and test images alike in {name}, got one of them")
        if labels is not None:
            _check_labels(labels, len(images), len(source.classes), f"{called} in {name}")
    return source


def _check_labels(labels: Tensor, n: int, classes: int, place: str) -> None:
    if labels.shape != (n,) or labels.dtype != torch.int64:
        came = f"{tuple(labels.shape)} of {labels.dtype}"
        raise InputError(f"dataset: expected {n} labels of the {place}, got {came}")
    least, most = labels.min().item(), labels.max().item()
    if least < 0 or most >= classes:
        raise InputError(f"dataset: expected labels from 0 to {classes - 1} of the {place}, got {least} to {most}")


def check_file(path: Path) -> None:
    """Raise ValueError for what is there and is no file: a pipe or a device would be read without end."""
    if path.is_dir():
        raise ValueError("a folder")
    if path.exists() and not path.is_file():
        raise ValueError("a pipe or a device")


def check_pixels(height: int, width: int) -> None:
    """Raise ValueError for an image that is larger than any that is meant."""
    if math.prod((height, width)) > MOST_PIXELS:
        raise ValueError(f"an image of {height}×{width} pixels, more than the {MOST_PIXELS:,} that one may have")


@contextlib.contextmanager
def bombs_refused() -> Iterator[None]:
    """Pillow only warns of an image that is larger than it should be, and asks for the memory; here that is an error.

    Which warnings are errors elsewhere is afterwards as before.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def pixels_of(image: Any) -> Tensor:
    """A PIL image as (C, H, W) uint8."""
    pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("L"))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def square(images: Tensor, size: int | None) -> Tensor:
    """Cut out the middle, as wide as the shorter side, and resize it to `size`.

    Not the other way round: a line of 1×100,000 pixels would first become an image of 512×51,200,000.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms.v2 import functional

    side = min(images.shape[-2:])
    resized: Tensor = functional.resize(functional.center_crop(images, [side]), [size, size], antialias=True)
    return resized
