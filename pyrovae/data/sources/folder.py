"""Images of one's own, in a folder."""

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.sources.source import FORMATS, Source, bombs_refused, check_pixels, pixels_of, square
from pyrovae.data.storage import room, taken
from pyrovae.errors import InputError, reason


def read_folder(path: Path, image_size: int | None = None) -> Source:
    """Images in a folder, or in one sub-folder per label; resized and cropped to a square if `image_size` is given."""
    try:
        came = None if path.is_dir() else "a file" if path.exists() else "nothing"
        files = [] if came else sorted(f for f in _below(path) if _is_image(f.relative_to(path)) and f.is_file())
    except OSError as error:  # a name that is too long, a folder that may not be read
        came = reason(error)
    if came:
        raise InputError(f"dataset: expected a folder of images at {path}, got {came}")
    if not files:
        raise InputError(f"dataset: expected images (.png, .jpg, ...) in {path}, got none")
    depths = {len(file.relative_to(path).parts) for file in files}
    if depths not in ({1}, {2}):
        raise InputError(
            f"dataset: expected all images of {path} in it, or all in one sub-folder per label, got a mixture"
        )
    stacked = _read_all(files, path, image_size)
    if depths == {1}:
        return Source(stacked)
    names = [file.relative_to(path).parts[0] for file in files]
    classes = tuple(sorted(set(names)))
    return Source(stacked, torch.tensor([classes.index(name) for name in names]), classes=classes)


def _below(path: Path) -> Iterator[Path]:
    """All that lies in the folder; a link to the folder of a label is followed, but none that leads in a circle."""
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
            images = room((len(files), *image.shape))
        if len(sizes) == 1:
            images[i] = image
            grey = grey and bool((image == image[:1]).all())  # red, green and blue agree everywhere
    if len(sizes) > 1:
        raise InputError(f"dataset: expected images of one size or --image-size, got {len(sizes)} sizes in {path}")
    return taken(images[:, :1], torch.arange(len(images))) if grey else images


def _is_image(file: Path) -> bool:
    """By its ending; hidden files and folders, as some systems leave them, do not count."""
    from torchvision.datasets.folder import IMG_EXTENSIONS

    return file.suffix.lower() in IMG_EXTENSIONS and not any(part.startswith(".") for part in file.parts)


def _opened(file: Path) -> Any:
    """A PIL image, upright, in red, green and blue."""
    from PIL import Image, ImageOps

    with bombs_refused(), Image.open(file, formats=FORMATS) as image:
        check_pixels(image.height, image.width)
        if image.mode[0] in "IF":
            raise ValueError(f"more than 8 bits for each grey value (mode {image.mode})")  # Pillow would clip them
        return ImageOps.exif_transpose(image).convert("RGB")
