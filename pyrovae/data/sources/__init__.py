"""Where images come from: scikit-learn's digits, torchvision's sets, a folder, an npz file."""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.sources.folder import read_folder
from pyrovae.data.sources.npz import read_npz
from pyrovae.data.sources.source import Source, checked, square
from pyrovae.data.sources.torchvision_sets import DIGITS, TORCHVISION_SETS
from pyrovae.data.storage import changed
from pyrovae.errors import InputError, did_you_mean


def read_source(dataset: str, data_dir: Path | None = None, image_size: int | None = None) -> Source:
    """The source called `dataset`; all images `image_size` pixels a side, where that is given."""
    kind, _, path = dataset.partition(":")
    if path and kind == "folder":
        return checked(read_folder(_home(path), image_size), path)
    if path and kind == "npz":
        return _resized(checked(read_npz(_home(path)), path), image_size)
    if dataset not in DATASETS:
        known = [*DATASETS, "folder:PATH", "npz:PATH"]
        if _exists(dataset):
            kind = "folder" if Path(dataset).is_dir() else "npz"
            raise InputError(
                f"dataset: expected one of {', '.join(known)}, got {dataset!r}; did you mean '{kind}:{dataset}'?"
            )
        raise InputError(f"dataset: expected one of {', '.join(known)}, got {dataset!r}{did_you_mean(dataset, known)}")
    return _resized(DATASETS[dataset](data_dir or default_data_dir()), image_size)


def _home(path: str) -> Path:
    """The path, with ~ as it is meant."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # of a user that there is not
        raise InputError(f"dataset: expected a path, got {path!r}: {error}") from None


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a path
        return False


def default_data_dir() -> Path:
    """$PYROVAE_DATA, or pyrovae's folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PYROVAE_DATA") or Path(cache) / "pyrovae")


def read_digits(_: Path) -> Source:
    """1,797 handwritten digits of 8×8 pixels inside scikit-learn, their 17 grey levels spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(np.rint(digits.images * (255 / 16)), dtype=torch.uint8)[:, None]
    return Source(images, torch.tensor(digits.target, dtype=torch.int64), classes=DIGITS)


def _resized(source: Source, size: int | None) -> Source:
    if size is None:
        return source

    def resized(images: Tensor) -> Tensor:
        return changed(images, lambda part: square(part, size), (images.shape[1], size, size))

    test = None if source.test_images is None else resized(source.test_images)
    return replace(source, images=resized(source.images), test_images=test)


DATASETS: dict[str, Callable[[Path], Source]] = {"digits": read_digits, **TORCHVISION_SETS}
