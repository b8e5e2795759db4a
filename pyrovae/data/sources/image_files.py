"""Reads images with Pillow, and refuses files that would take too much memory or never end."""

import contextlib
import math
import warnings
from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

if TYPE_CHECKING:
    from PIL.Image import Image

MOST_PIXELS = 2**26  # of one image: a header that says more is damaged or malicious
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others of Pillow's may start another program


def check_file(path: Path) -> None:
    """Raise `ValueError` for a folder, and for a pipe or a device, which could be read without end."""
    if path.is_dir():
        raise ValueError("a folder")
    if path.exists() and not path.is_file():
        raise ValueError("a pipe or a device")


def check_pixels(height: int, width: int) -> None:
    """Raise `ValueError` for an image of more than `MOST_PIXELS` pixels."""
    if math.prod((height, width)) > MOST_PIXELS:
        raise ValueError(f"an image of {height}×{width} pixels, more than the {MOST_PIXELS:,} that one may have")


@contextlib.contextmanager
def bombs_refused() -> Iterator[None]:
    """Make Pillow raise an error for an image that is far too large; by default it warns, and allocates the memory.

    Leaves all other filters of warnings as they are.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


def pixels_of(image: "Image") -> Tensor:
    """Return the pixels of a Pillow image, (C, H, W) as uint8, in grey or in red, green and blue."""
    pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("L"))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def square(images: Tensor, size: int | None) -> Tensor:
    """Cut out the central square, as wide as the shorter side, and resize it to `size`, unless that is None.

    Resizing first would take too much memory: a line of 1×100,000 pixels would become an image of 512×51,200,000.
    """
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms.v2 import functional

    side = min(images.shape[-2:])
    resized: Tensor = functional.resize(functional.center_crop(images, [side]), [size, size], antialias=True)
    return resized
