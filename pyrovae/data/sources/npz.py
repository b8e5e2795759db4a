"""Reads images and labels from numpy's files: arrays in an npz file, or one array in an npy file."""

import io
import math
import shutil
import tempfile
import warnings
import zipfile
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import numpy as np

from pyrovae.data.format import DEFAULT, Format
from pyrovae.data.gate import expect_images
from pyrovae.data.labels import WORD
from pyrovae.data.layouts import IMAGES, named, say_unread
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, of_arrays, of_table
from pyrovae.data.sparse import Compressed, by_rows
from pyrovae.data.storage import allocate, fits
from pyrovae.errors import InputError, reason

CHUNK = 2**26  # bytes read at a time
MUCH, PACKED = 2**30, 400  # bytes, and how often zip makes them fewer: zeros 1,000 times, images of shapes 100 times
LABELS = 10**9  # the most bytes of all labels, which are sorted in memory
HEADER = 16_384  # bytes read for a header; numpy allows headers of 10,000
READERS = {
    (1, 0): np.lib.format.read_array_header_1_0,
    (2, 0): np.lib.format.read_array_header_2_0,
    (3, 0): np.lib.format.read_array_header_2_0,  # differs only in the names of fields, which images do not have
}
NPY = b"\x93NUMPY"  # the first bytes of an array


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


def read_npz(path: Path, format: Format = DEFAULT) -> RawData:
    """Read the images and labels of an npz file, or the images of an npy file.

    Their arrays may have any of the names in `pyrovae.data.layouts`; others are not read, and a warning names them. See
    `Format` and `read_labels` for what they may hold. The headers are checked before any values are read, and nothing
    is unpickled. Raises `InputError` for anything else.
    """
    try:
        check_file(path)
        with path.open("rb") as file:
            if file.read(len(NPY)) == NPY:
                return of_arrays({"images": np.load(path, mmap_mode="r", allow_pickle=False)}, str(path), format)
        with zipfile.ZipFile(path) as archive:
            return _raw_data(archive, path, format)
    except (InputError, Warning):
        raise
    except Exception as error:
        raise InputError(f"dataset: expected an npz or npy file at {path}, got: {reason(error)}") from None


def _raw_data(archive: zipfile.ZipFile, path: Path, format: Format) -> RawData:
    entries = {entry.filename.removesuffix(".npy"): entry for entry in archive.infolist()}
    if {*entries} >= {"format", "shape", "data"}:
        return _sparse(archive, entries, path, format)
    parts = named(entries, str(path))
    arrays = {part: _Array.of(archive, entries[name]) for part, name in parts.items()}
    for part, array in arrays.items():
        (_check_images if part in IMAGES else _check_labels)(array, parts[part], path, format)
    _check_size([*arrays.values()], path)
    say_unread(entries, parts, str(path))
    return of_arrays({part: array.read() for part, array in arrays.items()}, str(path), format)


def _sparse(archive: zipfile.ZipFile, entries: Mapping[str, zipfile.ZipInfo], path: Path, format: Format) -> RawData:
    """Read a matrix that scipy's `save_npz` wrote."""
    kind, shape = (_Array.of(archive, entries[name]) for name in ("format", "shape"))
    if kind.dtype.kind not in "SU" or kind.nbytes > WORD or shape.shape != (2,) or shape.dtype.kind not in "iu":
        raise ValueError("format and shape of a sparse matrix, but no such values in them")
    (text,) = np.char.decode(kind.read().reshape(1).astype("S"), "ascii").tolist()
    if {"indptr", "indices"} - {*entries}:
        raise InputError(f"dataset: expected a matrix in CSR or CSC in {path}, got {text!r}; save X.tocsr()")
    arrays = [_Array.of(archive, entries[name]) for name in ("indptr", "indices", "data")]
    if any(array.dtype.kind not in "buif" or len(array.shape) != 1 for array in arrays):
        raise ValueError("a sparse matrix that is no rows of numbers")
    _check_size(arrays, path)
    rows, columns = shape.read().tolist()
    indptr, indices, data = (array.read() for array in arrays)
    matrix = Compressed(indptr, indices, data, (rows, columns))
    format.refuse_conditions(str(path))
    return of_table(by_rows(text, matrix, str(path)), (), None, str(path), format, {})


def _check_images(array: _Array, name: str, path: Path, format: Format) -> None:
    """Raise `InputError` unless the header of an array says numbers of the shape of images, or rows of a table."""
    if array.dtype.kind not in "buif":
        raise InputError(f"dataset: expected {name} in {path} to be numbers, got type {array.dtype.name}")
    if not format.is_table(len(array.shape)):
        expect_images(array.shape, name, str(path), format.shape)


def _check_labels(array: _Array, name: str, path: Path, _: Format) -> None:
    """Raise `InputError` unless the header of an array says labels, and not too many of them."""
    if array.nbytes > LABELS:
        raise InputError(
            f"dataset: expected {name} of at most {LABELS / 1e9:.1f} GB in {path}, got {array.nbytes / 1e9:,.1f} GB"
        )
    if array.dtype.kind not in "biufUS" or array.dtype.itemsize > WORD:
        raise InputError(
            f"dataset: expected integers or words as {name} in {path}, got shape {array.shape} of type {array.dtype}"
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
