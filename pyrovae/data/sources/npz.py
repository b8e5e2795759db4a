"""Images of one's own, as arrays."""

import io
import math
import zipfile
from dataclasses import dataclass
from pathlib import Path

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.sources.source import Source, check_file, check_pixels
from pyrovae.data.storage import changed, room
from pyrovae.errors import InputError, reason

CHUNK = 2**26  # bytes read at a time
WORD = 4096  # bytes of a label, at most
HEADER = 16_384  # bytes that are looked at for a header, which numpy lets be of 10,000
READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # names of fields in UTF-8, which images have none of
}
KNOWN = ("images", "test_images", "labels", "test_labels")  # other arrays stay unread


@dataclass(frozen=True)
class _Array:
    """An array in a zip archive, before its values are read: what its header says of them."""

    archive: zipfile.ZipFile
    entry: zipfile.ZipInfo
    shape: tuple[int, ...]
    by_columns: bool
    dtype: np.dtype
    start: int

    @classmethod
    def of(cls, archive: zipfile.ZipFile, entry: zipfile.ZipInfo) -> "_Array":
        """Raises ValueError for a header that does not agree with the size, and other errors for a broken one."""
        if entry.compress_type not in (zipfile.ZIP_STORED, zipfile.ZIP_DEFLATED):  # zipfile unpacks others all at once
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
        """Its values. Bytes that do not fit in memory are read a part at a time, into a file."""
        flat = room((self.nbytes,))
        with self.archive.open(self.entry) as file:
            file.read(self.start)
            for part in flat.split(CHUNK):
                view = memoryview(part.numpy())
                while view:  # a compressed file hands out what it has
                    if not (got := file.readinto(view)):  # type: ignore[attr-defined]  # its stub tells of less
                        raise EOFError(f"{self.entry.filename} ends early")
                    view = view[got:]
        array = flat.numpy().view(self.dtype)
        return array.reshape(self.shape[::-1]).T if self.by_columns else array.reshape(self.shape)


def read_npz(path: Path) -> Source:
    """Arrays `images` and perhaps `labels`; perhaps also `test_images` and `test_labels`.

    Headers are compared with what there is before anything is read, and nothing is unpickled.
    """
    try:
        check_file(path)
        with zipfile.ZipFile(path) as archive:
            return _source(archive, path)
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"dataset: expected an npz file at {path}, got: {reason(error)}") from None


def _source(archive: zipfile.ZipFile, path: Path) -> Source:
    names = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if "images" not in names:
        raise InputError(f"dataset: expected an array 'images' in {path}, got {', '.join(names) or 'no array'}")
    held = {name: _Array.of(archive, names[name]) for name in KNOWN if name in names}
    parts: dict[str, _Array] = {name: held[name] for name in ("images", "test_images") if name in held}
    for name, array in parts.items():
        _check_images(array, name, path)
    given = _labels(held, parts, path)
    images = {name: _image_tensor(array) for name, array in parts.items()}
    if len(shapes := {tuple(part.shape[1:]) for part in images.values()}) > 1:
        raise InputError(f"dataset: expected images and test_images of one shape in {path}, got {shapes}")
    labels, classes = _counted(given)
    return Source(images["images"], labels.get("images"), images.get("test_images"), labels.get("test_images"), classes)


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
    """The shape as (N, C, H, W), if it can be had so."""
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
    return tensor if tensor.is_contiguous() else changed(tensor, lambda part: part)


def _labels(held: dict[str, _Array], parts: dict[str, _Array], path: Path) -> dict[str, np.ndarray]:
    """Labels by the images that they are of, as the file has them."""
    given = {name: held[name.replace("images", "labels")] for name in parts if name.replace("images", "labels") in held}
    if given and len(given) < len(parts):
        raise InputError(f"dataset: expected labels for images and test_images alike in {path}, got {', '.join(held)}")
    for name, array in given.items():
        n = parts[name].shape[0]
        if array.shape != (n,) or array.dtype.kind not in "iuU" or array.dtype.itemsize > WORD:
            raise InputError(
                f"dataset: expected {n} integers or words as labels of {name} in {path},"
                f" got shape {array.shape} of type {array.dtype}"
            )
    if len({array.dtype.kind == "U" for array in given.values()}) > 1:
        raise InputError(f"dataset: expected labels and test_labels alike in {path}, got integers and words")
    return {name: array.read() for name, array in given.items()}


def _counted(given: dict[str, np.ndarray]) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Labels of any integers or words, counted from 0 in their order."""
    if not given:
        return {}, ()
    names = np.unique(np.concatenate(list(given.values())))
    return {k: torch.tensor(np.searchsorted(names, v)) for k, v in given.items()}, tuple(str(n) for n in names)
