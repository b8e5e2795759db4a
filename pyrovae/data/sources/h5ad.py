"""Reads an h5ad file, as AnnData writes it: sparse counts of genes in cells, with what is known of both."""

import math
from collections.abc import Iterator
from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.data.conditions import expect_columns
from pyrovae.data.format import Array, Format
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, label_of, of_table
from pyrovae.data.sparse import DENSE, SPARSE, Compressed, by_rows, compressed
from pyrovae.data.storage import fits
from pyrovae.errors import InputError, one_of, reason

PACKED, LEAST = 1100, 2**12  # how often gzip can make bytes fewer, at most, and bytes that need not be packed
RAW = "raw"  # the name of `raw/X`, as AnnData keeps counts of all genes, beside those of `layers`


def read_h5ad(path: Path, format: Format) -> RawData:
    """Read the rows of X, or of the layer that `layer` names, in whatever way AnnData stores it; each is a vector.

    Counts and truth values stay sparse. They are copied out of the file, a few million at a time: the file packs rows
    together, so that to read them in random order would unpack each of them again and again. The label is a column of
    `obs`, found as `read_csv` finds it, conditions are columns of `obs`, too, and the columns have the names of `var`.
    Raises `InputError` for anything else, for values that the protocol does not have,
    and if h5py is not installed. h5py is all that the format, which is HDF5, takes: anndata itself would bring pandas
    and zarr, and hold pandas below 3.
    """
    try:
        import h5py
    except ImportError:
        raise InputError(
            "dataset: expected h5py to read an h5ad file, got none; pip install 'pyrovae[anndata]'"
        ) from None
    if not format.is_table(2) or format.mixed:
        known = ", ".join((*SPARSE, *DENSE))
        raise InputError(f"pixels: expected {known} for the rows of an h5ad file, got {format.pixels!r}")
    try:
        check_file(path)
        with h5py.File(path) as file:
            return _raw_data(_Group(file, str(path)), format)
    except (InputError, Warning):
        raise
    except Exception as error:  # a damaged file fails in as many ways as HDF5 has parts
        raise InputError(f"dataset: expected an h5ad file at {path}, got: {reason(error)}") from None


class _Group:
    """A group of the file of which nothing is read that lies in another file."""

    def __init__(self, group: Any, place: str) -> None:
        self.group, self.place = group, place

    def __iter__(self) -> Iterator[str]:
        return iter(self.group)

    def get(self, name: str) -> Any:
        """Return a group, or an array; None if there is none of that name."""
        return self[name] if name in self.group else None

    def attribute(self, *names: str) -> Any:
        """Return the first of these attributes that there is, or None."""
        attributes = self.group.attrs
        name = next((name for name in names if name in attributes), None)
        if name is None:
            return None
        if math.prod(attributes.get_id(name).shape) > 2:
            raise ValueError(f"an attribute, {name}, of too many values")
        value = attributes[name]
        return value.decode() if isinstance(value, bytes) else value

    def __getitem__(self, name: str) -> Any:
        """Return a group, or an array. Raises `ValueError` for one that is missing, or elsewhere."""
        import h5py

        if name not in self.group:
            raise ValueError(
                f"no {self.group.name.strip('/') or 'file'}/{name}" if self.group.name != "/" else f"no {name}"
            )
        if not isinstance(self.group.get(name, getlink=True), h5py.HardLink):
            raise ValueError(f"a link, {name}, to another place")
        item = self.group[name]
        if isinstance(item, h5py.Group):
            return _Group(item, self.place)
        if item.external or item.is_virtual:
            raise ValueError(f"an array, {name}, that lies in another file")
        if item.nbytes > PACKED * (stored := max(item.id.get_storage_size(), LEAST)):
            raise ValueError(f"an array, {name}, of {item.nbytes:,} bytes, in {stored:,} bytes of the file")
        return item


def _raw_data(file: _Group, format: Format) -> RawData:
    own, raw = file.get("layers"), file.get(RAW)
    layers = [*(own or ()), *([RAW] if raw else ())]
    for name in ("obs", "var"):
        if not isinstance(file.get(name), _Group | None):
            raise ValueError(f"{name} as AnnData wrote it before 0.7; anndata.read_h5ad and write_h5ad renew it")
    matrix, about = file.get("X"), file
    if format.layer:
        one_of("layer", format.layer, layers)
        matrix = own[format.layer] if own and format.layer in own else raw["X"]
        about = file if own and format.layer in own else raw
    if matrix is None:
        others = f"; --layer {layers[0]} reads another matrix" if layers else ""
        raise InputError(f"dataset: expected a matrix X in {file.place}, got {', '.join(file) or 'nothing'}{others}")
    rows = _matrix(matrix, format, _remedy(format.layer, layers))
    columns = _index(about.get("var"))
    if columns and len(columns) != rows.shape[1]:
        raise ValueError(f"{len(columns):,} names of {rows.shape[1]:,} columns")
    labels, given = _about_rows(file.get("obs"), format, file.place)
    return of_table(rows, columns, labels, file.place, format, given)


def _remedy(layer: str, layers: list[str]) -> str:
    """Say what to do about values that are no counts, as normalised ones are."""
    others = [name for name in layers if name != layer]
    where = f"--layer {others[0]} reads {', '.join(others)} in place of them" if len(others) == 1 else (
        f"--layer NAME reads one of {', '.join(others)}" if others else "--pixels real or standardized reads them"
    )  # fmt: skip
    return f"; normalised values are no counts: {where}"


def _matrix(stored: Any, format: Format, remedy: str) -> Array:
    """Return a matrix of the file as it is to be read: sparse ones by rows, and dense counts as sparse ones."""
    if not isinstance(stored, _Group):
        if stored.ndim != 2:
            raise ValueError(f"a matrix of shape {stored.shape}")
        if format.pixels in SPARSE:
            return compressed(stored, remedy)
        if not fits(4 * stored.size):
            raise ValueError(f"{stored.shape[0]:,} dense rows, too many for the memory")
        return np.asarray(stored[:])
    kind, shape = stored.attribute("encoding-type", "h5sparse_format"), stored.attribute("shape", "h5sparse_shape")
    if kind is None or shape is None or len(shape) != 2:
        raise ValueError("a matrix that is neither dense nor sparse")
    return by_rows(
        kind.removesuffix("_matrix"),
        Compressed(stored["indptr"], stored["indices"], stored["data"], (int(shape[0]), int(shape[1])), remedy),
        stored.place,
    )


def _about_rows(obs: Any, format: Format, place: str) -> tuple[np.ndarray | None, dict[str, np.ndarray]]:
    """Return the column of `obs` that is the label, if one is, and those that a model is given."""
    columns = [name for name in obs if name != obs.attribute("_index")] if isinstance(obs, _Group) else []
    expect_columns(format.conditions, columns, f"obs of {place}")
    given = {name: _column(obs[name]) for name in format.conditions}
    if not columns and not format.label_column:
        return None, given
    label = label_of(columns, len(columns), place, format)
    return None if label is None else _column(obs[columns[label]]), given


def _index(frame: Any) -> tuple[str, ...]:
    """Return the names of the rows of a data frame."""
    name = frame.attribute("_index") if isinstance(frame, _Group) else None
    return () if name is None else tuple(map(str, _column(frame[name]).tolist()))


def _column(column: Any) -> np.ndarray:
    """Return a column of a data frame: numbers, NaN where one is missing, or words, empty where one is missing."""
    if not isinstance(column, _Group):
        values = column.asstr()[:] if column.dtype.kind in "OS" else column[:]
        return np.asarray(values).astype(str) if values.dtype.kind == "O" else np.asarray(values)
    if "categories" in column:
        categories, codes = _column(column["categories"]), column["codes"][:]
        known, missing = categories[np.maximum(codes, 0)], codes < 0
    else:  # a nullable column
        known, missing = _column(column["values"]), column["mask"][:]
    if not missing.any():
        return np.asarray(known)
    return np.where(missing, "" if known.dtype.kind == "U" else np.nan, known)
