"""Reads arrays that torch or MATLAB saved: .pt and .mat files."""

import warnings
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.columns import read_mixed
from pyrovae.data.gate import read_images
from pyrovae.data.labels import read_labels
from pyrovae.data.layouts import IMAGES, named
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import fits
from pyrovae.data.vectors import is_table, read_vectors
from pyrovae.errors import InputError, reason
from pyrovae.parts.kinds import Kind

PAIR = ("images", "labels")  # what a pair of tensors is, as in torchvision's own files


def read_pt(path: Path, **reading: Any) -> RawData:
    """Read what `torch.save` wrote: a tensor, a pair of images and labels, or a dict of tensors named as in npz files.

    Nothing but tensors is unpickled. See `of_arrays` for `reading`. Raises `InputError` for anything else.
    """
    try:
        _check_size(path)
        saved = torch.load(path, map_location="cpu", weights_only=True)
    except Exception as error:
        raise InputError(f"dataset: expected tensors that torch saved at {path}, got: {reason(error)}") from None
    if isinstance(saved, Tensor):
        saved = {"images": saved}
    elif isinstance(saved, (tuple, list)) and len(saved) == len(PAIR):
        saved = dict(zip(PAIR, saved, strict=True))
    if not isinstance(saved, Mapping) or not all(isinstance(value, Tensor) for value in saved.values()):
        raise InputError(
            f"dataset: expected a tensor, a pair (images, labels) or a dict of tensors in {path}, got"
            f" {type(saved).__name__}"
        )
    arrays = {str(name): _as_numpy(value) for name, value in saved.items()}
    return of_arrays(arrays, path, **reading)


def read_mat(path: Path, **reading: Any) -> RawData:
    """Read a .mat file of MATLAB up to version 7, by scipy: arrays named as in npz files.

    Images (H, W, C, N) or (H, W, N), as MATLAB has them, are read as such if there are N labels, which a warning says.
    See `of_arrays` for `reading`. Raises `InputError` for anything else.
    """
    import scipy.io

    try:
        _check_size(path)
        saved = scipy.io.loadmat(path)
    except NotImplementedError:
        raise InputError(f"dataset: expected a .mat file saved with '-v7' at {path}, got one of version 7.3") from None
    except Exception as error:
        raise InputError(f"dataset: expected a .mat file at {path}, got: {reason(error)}") from None
    arrays = {name: value for name, value in saved.items() if isinstance(value, np.ndarray)}
    for part, name in named(arrays, str(path)).items():
        label = named(arrays, str(path)).get(part.replace("images", "labels"))
        if part in IMAGES and label and (array := arrays[name]).ndim > 2:
            n = arrays[label].size
            if array.shape[-1] == n != array.shape[0]:
                warnings.warn(f"dataset: {name} in {path} are read as (H, W, ..., N)", stacklevel=4)
                arrays[name] = np.moveaxis(array, -1, 0)
        elif part not in IMAGES and 1 in arrays[name].shape:
            arrays[name] = arrays[name].ravel()
    return of_arrays(arrays, path, **reading)


def of_arrays(
    arrays: Mapping[str, np.ndarray],
    path: Path,
    shape: Sequence[int] = (),
    background: str = "white",
    pixels: str = "grey",
    columns: Sequence[str] = (),
    kinds: Sequence[Kind] = (),
) -> RawData:
    """Make a dataset of arrays with names of `pyrovae.data.layouts`, as `read_npz` does; a warning names the others."""
    place = str(path)
    parts = named(arrays, place)
    images = {part: arrays[name] for part, name in parts.items() if part in IMAGES}
    labels = {part: arrays[name] for part, name in parts.items() if part not in IMAGES}
    if labels and {part.replace("labels", "images") for part in labels} != set(images):
        raise InputError(
            f"dataset: expected labels for {' and '.join(images)} alike in {place}, got {', '.join(parts.values())}"
        )
    if others := sorted(set(arrays) - set(parts.values())):
        warnings.warn(f"dataset: {', '.join(others)} in {place} are not read", stacklevel=4)
    counts = {part: len(images[part.replace("labels", "images")]) for part in labels}
    numbers, classes = read_labels(labels, counts, place)
    found: tuple[Kind, ...] = ()
    if pixels == "columns":
        tensors, found = read_mixed(images, place, (), columns, kinds)
    elif is_table(pixels, max(array.ndim for array in images.values()), shape):
        tensors = read_vectors(images, place, pixels)
    else:
        tensors = read_images(images, place, shape, background)
    return RawData(**tensors, **numbers, classes=classes, columns=(), kinds=found)


def _as_numpy(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.half) else tensor).numpy()


def _check_size(path: Path) -> None:
    check_file(path)
    if not fits(2 * path.stat().st_size):
        raise ValueError(f"{path.stat().st_size:,} bytes, too many for the memory; save it as npz")
