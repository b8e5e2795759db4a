"""Sources: where images are read from. scikit-learn's digits, the sets of torchvision, a folder, an npz file.

A source is a function from the data folder to `RawData`, uint8 images and their labels. The first line of its docstring
is what `pyrovae list datasets` prints. It raises `InputError` for files that are missing or damaged. For example:

    def read_black(data_dir: Path) -> RawData:
        \"\"\"100 black images, 8×8, without labels.\"\"\"
        return RawData(torch.zeros(100, 1, 8, 8, dtype=torch.uint8))

Add it to `DATASETS` below. A source without a test set is split by `pyrovae.data.load`. For images of your own,
you need no source: `--dataset KIND:PATH` reads them, with a kind of `READERS`.
"""

import os
from collections.abc import Callable
from dataclasses import replace
from pathlib import Path

import torch
from torch import Tensor

from pyrovae.config.values import FILES
from pyrovae.data.background import colour_of
from pyrovae.data.format import DEFAULT, Format
from pyrovae.data.gate import expect_different
from pyrovae.data.sources.csv import read_csv
from pyrovae.data.sources.digits import read_digits
from pyrovae.data.sources.folder import read_folder
from pyrovae.data.sources.h5ad import read_h5ad
from pyrovae.data.sources.image_files import square
from pyrovae.data.sources.literature import read_mnist_static, read_omniglot_burda
from pyrovae.data.sources.npz import read_npz
from pyrovae.data.sources.parquet import read_parquet
from pyrovae.data.sources.raw_data import RawData, checked
from pyrovae.data.sources.saved_arrays import read_mat, read_pt
from pyrovae.data.sources.torchvision_sets import TORCHVISION_SETS
from pyrovae.data.sparse import Stored
from pyrovae.data.storage import convert
from pyrovae.errors import InputError, did_you_mean

DATASETS: dict[str, Callable[[Path], RawData]] = {
    "digits": read_digits,
    **TORCHVISION_SETS,
    "mnist-static": read_mnist_static,
    "omniglot-burda": read_omniglot_burda,
}
# What reads a file of one's own, by its kind, and the endings that such files have.
READERS: dict[str, Callable[[Path, Format], RawData]] = {
    "npz": read_npz,
    "csv": read_csv,
    "parquet": read_parquet,
    "h5ad": read_h5ad,
    "pt": read_pt,
    "mat": read_mat,
}
ENDINGS = {
    "npz": (".npz", ".npy"),
    "csv": (".csv", ".tsv", ".txt"),
    "parquet": (".parquet", ".pq"),
    "h5ad": (".h5ad",),
    "pt": (".pt",),
    "mat": (".mat",),
}


def read_source(
    dataset: str,
    data_dir: Path | None = None,
    image_size: int | None = None,
    format: Format = DEFAULT,
    on_broken: str = "stop",
) -> RawData:
    """Read the images called `dataset`, and resize them to `image_size` pixels a side if that is not None.

    `dataset` is a name in `DATASETS`, folder:PATH, or KIND:PATH with a kind of `READERS`, as csv:table.csv. `format`
    says what the numbers of a file are. Files of a folder that are no images are refused, or, with `on_broken` "skip",
    left out. Raises `InputError` for any other name, with the nearest known one.
    """
    kind, _, path = dataset.partition(":")
    colour_of(format.background, 1)
    if path and kind == "folder":
        return _own(read_folder(_home(path), image_size, format.background, on_broken), path)
    if path and kind in READERS:
        return _resized(_own(READERS[kind](_home(path), format), path), image_size)
    if dataset not in DATASETS:
        known = [*DATASETS, *(f"{kind}:PATH" for kind in FILES)]
        if _exists(dataset):
            raise InputError(f"dataset: expected one of {', '.join(known)}, got {dataset!r}; {_how_to_read(dataset)}")
        raise InputError(f"dataset: expected one of {', '.join(known)}, got {dataset!r}{did_you_mean(dataset, known)}")
    return _resized(DATASETS[dataset](data_dir or default_data_dir()), image_size)


def _own(data: RawData, place: str) -> RawData:
    """Check a user's own data."""
    checked(data, place)
    expect_different(data.images, data.test_images, place)
    return data


def _how_to_read(path: str) -> str:
    """Return a hint for a file or folder that is named without its kind."""
    if Path(path).is_dir():
        return f"did you mean 'folder:{path}'?"
    if kind := next((kind for kind, ends in ENDINGS.items() if Path(path).suffix.lower() in ends), None):
        return f"did you mean '{kind}:{path}'?"
    return "a file of your own has to end in .npz, .npy, .pt or .mat, or be a table, .csv, .parquet or .h5ad"


def default_data_dir() -> Path:
    """Return $PYROVAE_DATA, or else the folder of pyrovae in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PYROVAE_DATA") or Path(cache) / "pyrovae")


def _home(path: str) -> Path:
    """Replace ~ and ~user at the start of a path."""
    try:
        return Path(path).expanduser()
    except RuntimeError as error:  # there is no such user
        raise InputError(f"dataset: expected a path, got {path!r}: {error}") from None


def _exists(name: str) -> bool:
    try:
        return Path(name).exists()
    except OSError:  # too long for a path
        return False


def _resized(data: RawData, size: int | None) -> RawData:
    if size is None:
        return data
    if data.images.dtype != torch.uint8:
        raise InputError(f"image_size: expected images without missing pixels to resize, or nothing, got {size}")

    def resized(images: Stored) -> Tensor:
        return convert(images.to_dense(), lambda part: square(part, size), (images.shape[1], size, size))

    test, validation = (
        None if images is None else resized(images) for images in (data.test_images, data.validation_images)
    )
    return replace(data, images=resized(data.images), test_images=test, validation_images=validation)
