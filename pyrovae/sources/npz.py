"""Images of one's own, as arrays."""

import math
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrovae.config import InputError, reason
from pyrovae.sources.room import changed, fits, room
from pyrovae.sources.source import Source

CHUNK = 2**26  # bytes read at a time


def read_npz(path: Path) -> Source:
    """Arrays `images` and perhaps `labels`; perhaps also `test_images` and `test_labels`."""
    try:
        with path.open("rb") as file, np.load(file, allow_pickle=False) as arrays:
            held = {name: _array(arrays, name) for name in arrays.files}
    except Exception as error:
        raise InputError(f"dataset: expected an npz file at {path}, got: {reason(error)}") from None
    if "images" not in held:
        raise InputError(f"dataset: expected an array 'images' in {path}, got {', '.join(held) or 'no array'}")
    parts = {name: _image_array(held[name], name, path) for name in ("images", "test_images") if name in held}
    if len(shapes := {tuple(part.shape[1:]) for part in parts.values()}) > 1:
        raise InputError(f"dataset: expected images and test_images of one shape in {path}, got {shapes}")
    labels, classes = _label_arrays(held, parts, path)
    return Source(parts["images"], labels.get("images"), parts.get("test_images"), labels.get("test_images"), classes)


def _image_array(array: np.ndarray, name: str, path: Path) -> Tensor:
    if array.dtype != np.uint8:
        raise InputError(f"dataset: expected {name} of type uint8 (0..255) in {path}, got {array.dtype}")
    shape = array.shape
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3) or 0 in array.shape:
        raise InputError(
            f"dataset: expected {name} of shape (N, H, W), (N, H, W, 3) or (N, 3, H, W) in {path}, got {shape}"
        )
    return torch.from_numpy(array) if array.flags.c_contiguous else changed(torch.from_numpy(array), lambda part: part)


def _array(arrays: np.lib.npyio.NpzFile, name: str) -> np.ndarray:
    """The array of this name; bytes that do not fit in memory are read a part at a time, into a file."""
    with arrays.zip.open(f"{name}.npy") as file:
        version = np.lib.format.read_magic(file)
        read = np.lib.format.read_array_header_1_0 if version == (1, 0) else np.lib.format.read_array_header_2_0
        shape, by_columns, dtype = read(file)
        if dtype != np.uint8 or by_columns or fits(math.prod(shape)):
            return arrays[name]
        flat = room((math.prod(shape),))
        for part in flat.split(CHUNK):
            view = memoryview(part.numpy())
            while view:  # a compressed file hands out what it has
                if not (got := file.readinto(view)):
                    raise EOFError(f"{name} ends early")
                view = view[got:]
        return flat.numpy().reshape(shape)


def _label_arrays(held: dict, parts: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Labels of any integers or words, counted from 0 in their order."""
    given = {name: held[name.replace("images", "labels")] for name in parts if name.replace("images", "labels") in held}
    if not given:
        return {}, ()
    if len(given) < len(parts):
        raise InputError(f"dataset: expected labels for images and test_images alike in {path}, got {', '.join(held)}")
    for name, array in given.items():
        if array.shape != (len(parts[name]),) or array.dtype.kind not in "iuU":
            raise InputError(
                f"dataset: expected {len(parts[name])} integers or words as labels of {name} in {path},"
                f" got shape {array.shape} of type {array.dtype}"
            )
    if len({array.dtype.kind == "U" for array in given.values()}) > 1:
        raise InputError(f"dataset: expected labels and test_labels alike in {path}, got integers and words")
    names = np.unique(np.concatenate(list(given.values())))
    return {k: torch.tensor(np.searchsorted(names, v)) for k, v in given.items()}, tuple(str(n) for n in names)
