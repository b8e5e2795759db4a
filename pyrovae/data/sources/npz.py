"""Reads images and labels from an npz file of arrays."""

import io
import math
import shutil
import tempfile
import warnings
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.sources.image_files import check_file, check_pixels
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import allocate, convert, fits
from pyrovae.errors import InputError, reason

CHUNK = 2**26  # bytes read at a time
WORD = 4096  # the most bytes of one label
MUCH, PACKED = 2**30, 400  # bytes, and how often zip makes them fewer: zeros 1,000 times, images of shapes 100 times
LABELS = 10**9  # the most bytes of all labels, which are sorted in memory
HEADER = 16_384  # bytes read for a header; numpy allows headers of 10,000
READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # differs only in the names of fields, which images do not have
}
KNOWN = ("images", "test_images", "labels", "test_labels")  # other arrays are not read


@dataclass(frozen=True)
class _Array:
    """An array in a zip archive of which only the header has been read."""

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    by_columns: bool  # in Fortran order
    dtype: np.dtype
    start: int  # where the values begin, in bytes after the start of the entry

    @classmethod
    def of(cls, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> "_Array":
        """Read the header of an array. Raises `ValueError` if it contradicts the size, other errors if it is broken."""
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile would unpack it all at once
            raise ValueError(f"{entry.filename} is compressed in another way than by numpy")
        with archive.open(entry) as file:
            head = io.BytesIO(file.read(HEADER))
        shape, by_columns, dtype = READERS[np.lib.format.read_magic(head)](head)
        array = cls(archive, entry, shape, by_columns, dtype, head.tell())
        if min(shape, default=0) < 0 or (not dtype.hasobject and array.nbytes != entry.file_size - array.start):
            raise ValueError(
                f"{entry.filename}, whose header says {shape} of {dtype}, with {entry.file_size - array.start:,} bytes"
            )
        return array

    @property
    def nbytes(self) -> int:
        return math.prod(self.shape) * self.dtype.itemsize

    def read(self) -> np.ndarray:
        """Read the values, `CHUNK` bytes at a time, into memory or, if they do not fit there, into a file."""
        flat = allocate((self.nbytes,))
        with self.archive.open(self.entry) as file:
            file.read(self.start)
            for part in flat.split(CHUNK):
                view = memoryview(part.numpy())
                while view:  # a compressed file may return fewer bytes than asked for
                    if not (count := file.readinto(view)):  # type: ignore[attr-defined]  # not in its stub
                        raise EOFError(f"{self.entry.filename} ends early")
                    view = view[count:]
        array = flat.numpy().view(self.dtype)
        return array.reshape(self.shape[::-1]).T if self.by_columns else array.reshape(self.shape)


def read_npz(path: Path) -> RawData:
    """Read the arrays `images`, and `labels`, `test_images` and `test_labels` if they are there.

    Images are uint8 of shape (N, H, W), (N, H, W, 1 or 3) or (N, 1 or 3, H, W), labels integers or words (N,); -1, NaN
    or an empty word stands for a label that is not known. Headers are checked before any values are read, and nothing
    is unpickled. Raises `InputError` for anything else.
    """
    try:
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            return _raw_data(archive, path)
    except (InputError, Warning):
        raise
    except Exception as error:
        raise InputError(f"dataset: expected an npz file at {path}, got: {reason(error)}") from None


def _raw_data(archive: zipfile.ZipFile, path: Path) -> RawData:
    names = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if "images" not in names:
        raise InputError(f"dataset: expected an array 'images' in {path}, got {', '.join(names) or 'no array'}")
    arrays = {name: _Array.of(archive, names[name]) for name in KNOWN if name in names}
    parts: dict[str, _Array] = {name: arrays[name] for name in ("images", "test_images") if name in arrays}
    for name, array in parts.items():
        _check_images(array, name, path)
    _check_size([*arrays.values()], path)
    written = _labels(arrays, parts, path)
    images = {name: _image_tensor(array) for name, array in parts.items()}
    if len(shapes := {tuple(part.shape[1:]) for part in images.values()}) > 1:
        raise InputError(f"dataset: expected images and test_images of one shape in {path}, got {shapes}")
    labels, classes = _counted(written, path)
    return RawData(
        images["images"], labels.get("images"), images.get("test_images"), labels.get("test_images"), classes
    )


def _check_size(arrays: list[_Array], path: Path) -> None:
    """Say what a file unpacks to before it is unpacked, if that is much; raise `InputError` if there is no room."""
    total, folder = sum(array.nbytes for array in arrays), tempfile.gettempdir()
    packed = path.stat().st_size
    if fits(total) and (total < MUCH or total < PACKED * packed):
        return
    size = f"{packed / 1e6:,.1f} MB that unpack to {total / 1e9:,.1f} GB"
    if not fits(total) and total > (free := shutil.disk_usage(folder).free):
        raise InputError(
            f"dataset: expected arrays that fit in memory or in {folder}, where {free / 1e9:,.1f} GB are free, in"
            f" {path}, got {size}; TMPDIR names another folder"
        )
    warnings.warn(f"dataset: {path} has {size}; what does not fit in memory goes to a file in {folder}", stacklevel=2)


def _check_images(array: _Array, name: str, path: Path) -> None:
    if array.dtype != np.uint8:
        raise InputError(f"dataset: expected {name} of type uint8 (0..255) in {path}, got {array.dtype}")
    shape = _with_channels(array.shape)
    if len(shape) != 4 or shape[1] not in (1, 3) or 0 in shape:
        raise InputError(
            f"dataset: expected {name} of shape (N, H, W), (N, H, W, 3) or (N, 3, H, W) in {path}, got {array.shape}"
        )
    check_pixels(*shape[2:])


def _with_channels(shape: tuple[int, ...]) -> tuple[int, ...]:
    """Return a shape of images as (N, C, H, W), and any other shape unchanged."""
    if len(shape) == 3:
        return (shape[0], 1, *shape[1:])
    return (shape[0], shape[3], *shape[1:3]) if len(shape) == 4 and shape[3] in (1, 3) else shape


def _image_tensor(array: _Array) -> Tensor:
    values = array.read()
    if values.ndim == 3:
        values = values[:, None]
    elif values.shape[3] in (1, 3):
        values = values.transpose(0, 3, 1, 2)
    tensor = torch.from_numpy(values)
    return tensor if tensor.is_contiguous() else convert(tensor, lambda part: part)


def _labels(arrays: dict[str, _Array], parts: dict[str, _Array], path: Path) -> dict[str, np.ndarray]:
    """Read the labels as the file has them; the keys are the names of the arrays of images that they belong to."""
    names = {name: name.replace("images", "labels") for name in parts}
    labels = {name: arrays[other] for name, other in names.items() if other in arrays}
    if labels and len(labels) < len(parts):
        raise InputError(
            f"dataset: expected labels for images and test_images alike in {path}, got {', '.join(arrays)}"
        )
    for name, array in labels.items():
        n = parts[name].shape[0]
        if array.nbytes > LABELS:
            raise InputError(
                f"dataset: expected labels of {name} of at most {LABELS / 1e9:.1f} GB in {path},"
                f" got {array.nbytes / 1e9:,.1f} GB"
            )
        if array.shape != (n,) or array.dtype.kind not in "iufU" or array.dtype.itemsize > WORD:
            raise InputError(
                f"dataset: expected {n} integers or words as labels of {name} in {path},"
                f" got shape {array.shape} of type {array.dtype}"
            )
    if len({array.dtype.kind == "U" for array in labels.values()}) > 1:
        raise InputError(f"dataset: expected labels and test_labels alike in {path}, got integers and words")
    return {name: _whole(array.read(), name, path) for name, array in labels.items()}


def _whole(labels: np.ndarray, name: str, path: Path) -> np.ndarray:
    """Return labels as integers or words; floats must be whole numbers, or NaN where a label is not known."""
    if labels.dtype.kind != "f":
        return labels
    known = np.nan_to_num(labels, nan=-1.0)
    if not np.isfinite(known).all() or (known != known.round()).any() or (np.abs(known) > 2**53).any():
        raise InputError(f"dataset: expected integers, NaN or words as labels of {name} in {path}, got fractions")
    whole: np.ndarray = known.astype(np.int64)
    return whole


def _counted(labels: dict[str, np.ndarray], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Number the integers or words from 0 in their order; return the numbers, and the names of the classes.

    A label that is not known, -1 or an empty word, has the number -1. A warning says how many there are.
    """
    if not labels:
        return {}, ()
    known = {name: values != ("" if values.dtype.kind == "U" else -1) for name, values in labels.items()}
    names = np.unique(np.concatenate([values[known[name]] for name, values in labels.items()]))
    if unknown := sum(int((~mask).sum()) for mask in known.values()):
        count = sum(map(len, known.values()))
        warnings.warn(
            f"dataset: {unknown:,} of {count:,} images in {path} have no label (-1, NaN or empty)", stacklevel=2
        )
    numbers = {
        name: torch.tensor(np.where(known[name], np.searchsorted(names, values), -1)) for name, values in labels.items()
    }
    return numbers, tuple(str(name) for name in names)
