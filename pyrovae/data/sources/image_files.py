"""Reads images with Pillow, and refuses files that would take too much memory or never end."""

import contextlib
import warnings
from collections.abc import Iterator
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.background import on_background
from pyrovae.data.gate import check_pixels

if TYPE_CHECKING:
    from PIL.Image import Image

ENDINGS = (
    *(".jpg", ".jpeg", ".jpe", ".jfif", ".png", ".gif", ".webp", ".bmp", ".tif", ".tiff"),
    *(".ppm", ".pgm", ".pbm", ".pnm"),
)
HEIF = (".heic", ".heif")
FORMATS = ("BMP", "GIF", "JPEG", "PNG", "PPM", "TIFF", "WEBP")  # others of Pillow's may start another program


def formats_by_ending() -> dict[str, tuple[str, ...]]:
    """Return the endings of image files, with the formats in which Pillow may read each of them.

    HEIF, as telephones write it, is among them if the package pillow-heif is installed.
    """
    formats: dict[str, tuple[str, ...]] = dict.fromkeys(ENDINGS, FORMATS)
    with contextlib.suppress(ImportError):
        import pillow_heif

        pillow_heif.register_heif_opener()
        formats |= dict.fromkeys(HEIF, ("HEIF",))
    return formats


def check_file(path: Path) -> None:
    """Raise `ValueError` for a folder, and for a pipe or a device, which could be read without end."""
    if path.is_dir():
        raise ValueError("a folder")
    if path.exists() and not path.is_file():
        raise ValueError("a pipe or a device")


@contextlib.contextmanager
def bombs_refused() -> Iterator[None]:
    """Make Pillow raise an error for an image that is far too large; by default it warns, and allocates the memory.

    Leaves all other filters of warnings as they are.
    """
    from PIL import Image

    with warnings.catch_warnings():
        warnings.simplefilter("error", Image.DecompressionBombWarning)
        yield


@dataclass(frozen=True)
class Picture:
    """An image file as uint8 in red, green and blue, (3, H, W), and what was lost when it was read."""

    pixels: Tensor
    transparent: bool  # some pixels were drawn on the background
    animated: bool  # there are more frames
    brightest: int | None  # the largest number of a file of 16 bits


def open_picture(file: Path, background: str, formats: tuple[str, ...] = FORMATS) -> Picture:
    """Read an image file, turned upright as its metadata say; transparent pixels are drawn on a background.

    Grey images of 16 bits are divided by 257. Raises `ValueError` for floats and 32 bits, and what Pillow raises.
    """
    from PIL import Image, ImageOps

    with bombs_refused(), Image.open(file, formats=formats) as image:
        check_pixels(image.height, image.width)
        animated = bool(getattr(image, "is_animated", False))
        if image.mode.startswith("I;16") or (image.mode == "I" and image.format == "PNG"):
            deep = np.array(ImageOps.exif_transpose(image)).astype(np.int64)
            grey = torch.from_numpy(np.rint(deep / 257).astype(np.uint8))
            return Picture(grey.expand(3, *grey.shape), False, animated, int(deep.max()))
        if image.mode[0] in "IF":
            raise ValueError(
                f"numbers of 32 bits (mode {image.mode}), whose white is not known; save them as 8 or 16 bits, or as an"
                " npz file of floats in [0, 1]"
            )
        see_through = "A" in image.getbands() or "a" in image.getbands() or "transparency" in image.info
        upright = ImageOps.exif_transpose(image)
        pixels = np.array(upright.convert("RGBA" if see_through else "RGB"))
    transparent = see_through and bool((pixels[..., 3] < 255).any())
    drawn = on_background(pixels, background, axis=-1) if see_through else pixels
    return Picture(torch.from_numpy(drawn).permute(2, 0, 1), transparent, animated, None)


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
