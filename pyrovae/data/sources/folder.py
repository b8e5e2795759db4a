"""Reads a folder of image files."""

from collections.abc import Iterator
from pathlib import Path
from typing import TYPE_CHECKING

import torch
from torch import Tensor

from pyrovae.data.sources.image_files import FORMATS, bombs_refused, check_pixels, pixels_of, square
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import allocate, select
from pyrovae.errors import InputError, expect_text, reason

if TYPE_CHECKING:
    import PIL.Image


def read_folder(path: Path, image_size: int | None = None) -> RawData:
    """Read all images in a folder, or in one sub-folder per label; with `image_size`, crop and resize them to squares.

    Images in which red, green and blue agree everywhere become grey, with one channel. Raises `InputError` if there are
    none, if they differ in size without `image_size`, or if one cannot be read.
    """
    try:
        instead = None if path.is_dir() else "a file" if path.exists() else "nothing"
        files = [] if instead else sorted(f for f in _below(path) if _is_image(f.relative_to(path)) and f.is_file())
    except OSError as error:  # the name is too long, or the folder must not be read
        instead = reason(error)
    if instead:
        raise InputError(f"dataset: expected a folder of images at {path}, got {instead}")
    if not files:
        raise InputError(f"dataset: expected images (.png, .jpg, ...) in {path}, got none")
    depths = {len(file.relative_to(path).parts) for file in files}
    if depths not in ({1}, {2}):
        raise InputError(
            f"dataset: expected all images of {path} in it, or all in one sub-folder per label, got a mixture"
        )
    names = [file.relative_to(path).parts[0] for file in files] if depths == {2} else []
    classes = tuple(sorted(set(names)))
    expect_text(f"dataset: a class in {path}", *classes)  # before the images are read, which may take long
    stacked = _read_all(files, path, image_size)
    if not names:
        return RawData(stacked)
    return RawData(stacked, torch.tensor([classes.index(name) for name in names]), classes=classes)


def _below(path: Path) -> Iterator[Path]:
    """Yield all paths in the folder, and follow links to the folder of a label, except those that lead to a parent."""
    yield from path.rglob("*")
    for link in path.iterdir():
        if link.is_symlink() and link.is_dir() and not path.resolve().is_relative_to(link.resolve()):
            yield from link.rglob("*")


def _read_all(files: list[Path], path: Path, image_size: int | None) -> Tensor:
    images, sizes, grey = torch.empty(0), set(), True
    for i, file in enumerate(files):
        try:
            image = square(pixels_of(_opened(file)), image_size)
        except Exception as error:
            raise InputError(f"dataset: expected an image in {file}, got: {reason(error)}") from None
        sizes.add(tuple(image.shape[1:]))
        if i == 0:
            images = allocate((len(files), *image.shape))
        if len(sizes) == 1:
            images[i] = image
            grey = grey and bool((image == image[:1]).all())  # red, green and blue agree everywhere
    if len(sizes) > 1:
        raise InputError(f"dataset: expected images of one size or --image-size, got {len(sizes)} sizes in {path}")
    return select(images[:, :1], torch.arange(len(images))) if grey else images


def _is_image(file: Path) -> bool:
    """Return whether a file has the suffix of an image; hidden files, and files in hidden folders, are ignored."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    return file.suffix.lower() in IMG_EXTENSIONS and not any(part.startswith(".") for part in file.parts)


def _opened(file: Path) -> "PIL.Image.Image":
    """Return a Pillow image in red, green and blue, turned upright as its metadata say."""
    from PIL import Image, ImageOps

    with bombs_refused(), Image.open(file, formats=FORMATS) as image:
        check_pixels(image.height, image.width)
        if image.mode[0] in "IF":
            raise ValueError(f"more than 8 bits for each grey value (mode {image.mode})")  # Pillow would clip them
        return ImageOps.exif_transpose(image).convert("RGB")
