"""Datasets as papers split and binarise them, read from the files of their authors, which are not downloaded."""

from collections.abc import Callable
from pathlib import Path
from typing import TypeVar

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, checked
from pyrovae.data.storage import fits
from pyrovae.errors import InputError, reason

T = TypeVar("T")
STATIC = {name: f"binarized_mnist_{name}.amat" for name in ("train", "valid", "test")}
CHARACTERS = "chardata.mat"
SIDE = 28
WHITESPACE = b" \t\r\n"


def read_mnist_static(root: Path) -> RawData:
    """MNIST binarised once, 28×28, without labels: 50,000, 10,000 and 10,000 images; Larochelle & Murray (2011).

    Its three files are texts of 0 and 1, one image a line.
    """
    train, valid, test = (_read(root / name, _digits) for name in STATIC.values())
    return checked(RawData(train, test_images=test, validation_images=valid), str(root))


def read_omniglot_burda(root: Path) -> RawData:
    """24,345 and 8,070 handwritten characters, 28×28, white on black, without labels: Burda et al. (2016)."""
    train, test = _read(root / CHARACTERS, _characters)
    return checked(RawData(train, test_images=test), str(root))


def _read(path: Path, read: Callable[[Path], T]) -> T:
    try:
        check_file(path)
        if not path.exists():
            raise ValueError("nothing")
        if not fits(path.stat().st_size):
            raise ValueError(f"{path.stat().st_size:,} bytes, too many for the memory")
        return read(path)
    except Exception as error:  # a damaged file may raise anything
        raise InputError(
            f"dataset: expected the authors' file {path.name} in {path.parent}, got: {reason(error)}; put it there, or"
            " name the folder that holds it by --data-dir or PYROVAE_DATA"
        ) from None


def _digits(path: Path) -> Tensor:
    """Read a text of 0 and 1 as images of 0 and 255."""
    text = np.frombuffer(path.read_bytes(), np.uint8)
    digits = text[~np.isin(text, np.frombuffer(WHITESPACE, np.uint8))]
    if not len(digits) or len(digits) % SIDE**2 or ((digits != ord("0")) & (digits != ord("1"))).any():
        raise ValueError(f"no text of {SIDE**2} times 0 or 1 for each image")
    return torch.from_numpy((digits - ord("0")) * 255).view(-1, 1, SIDE, SIDE)


def _characters(path: Path) -> list[Tensor]:
    """Read both sets of Burda's file, whose columns are images, column by column, from 0 to 1."""
    from scipy.io import loadmat

    arrays = loadmat(path, variable_names=["data", "testdata"])
    sets = [np.asarray(arrays[name], dtype=float) for name in ("data", "testdata")]
    for array in sets:
        if array.ndim != 2 or len(array) != SIDE**2 or not ((array >= 0) & (array <= 1)).all():
            raise ValueError(f"no arrays ({SIDE**2}, N) from 0 to 1")
    images = (np.rint(array.T.reshape(-1, 1, SIDE, SIDE).swapaxes(-1, -2) * 255).astype(np.uint8) for array in sets)
    return [torch.from_numpy(np.ascontiguousarray(each)) for each in images]
