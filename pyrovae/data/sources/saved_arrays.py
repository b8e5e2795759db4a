"""Reads arrays that torch or MATLAB saved: .pt and .mat files."""

import warnings
from collections.abc import Mapping
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.format import Format
from pyrovae.data.layouts import IMAGES, named, say_unread
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, of_arrays
from pyrovae.data.storage import fits
from pyrovae.errors import InputError, reason

PAIR = ("images", "labels")  # what a pair of tensors is, as in torchvision's own files


def read_pt(path: Path, format: Format) -> RawData:
    """Read what `torch.save` wrote: a tensor, a pair of images and labels, or a dict of tensors named as in npz files.

    Nothing but tensors is unpickled. Raises `InputError` for anything else.
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
    return _of_named({str(name): _as_numpy(value) for name, value in saved.items()}, str(path), format)


def read_mat(path: Path, format: Format) -> RawData:
    """Read a .mat file of MATLAB up to version 7, by scipy: arrays named as in npz files.

    Images (H, W, C, N) or (H, W, N), as MATLAB has them, are read as such if there are N labels, which a warning says.
    Raises `InputError` for anything else.
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
    parts = named(arrays, str(path))
    for part, name in parts.items():
        if part not in IMAGES:
            arrays[name] = arrays[name].ravel() if 1 in arrays[name].shape else arrays[name]
        elif label := parts.get(part.replace("images", "labels")):
            array, n = arrays[name], arrays[label].size
            if array.ndim > 2 and array.shape[-1] == n != array.shape[0]:
                warnings.warn(f"dataset: {name} in {path} are read as (H, W, ..., N)", stacklevel=2)
                arrays[name] = np.moveaxis(array, -1, 0)
    return _of_named(arrays, str(path), format)


def _of_named(arrays: Mapping[str, np.ndarray], place: str, format: Format) -> RawData:
    """Make a dataset of the arrays that are a part of one."""
    parts = named(arrays, place)
    say_unread(arrays, parts, place)
    return of_arrays({part: arrays[name] for part, name in parts.items()}, place, format)


def _as_numpy(tensor: Tensor) -> np.ndarray:
    return (tensor.float() if tensor.dtype in (torch.bfloat16, torch.half) else tensor).numpy()


def _check_size(path: Path) -> None:
    check_file(path)
    if not fits(2 * path.stat().st_size):
        raise ValueError(f"{path.stat().st_size:,} bytes, too many for the memory; save it as npz")
