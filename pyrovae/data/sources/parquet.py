"""Reads a parquet file: a table whose columns have names and types."""

from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.data.columns import read_columns
from pyrovae.data.gate import read_images
from pyrovae.data.labels import read_labels
from pyrovae.data.sources.csv import as_bytes, label_of
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import fits
from pyrovae.data.vectors import is_table, read_vectors
from pyrovae.errors import InputError, reason
from pyrovae.parts.kinds import Kind


def read_parquet(
    path: Path,
    shape: Sequence[int] = (),
    label_column: str = "",
    pixels: str = "grey",
    columns: Sequence[str] = (),
    kinds: Sequence[Kind] = (),
) -> RawData:
    """Read the columns of a parquet file, by pyarrow: each row is a vector, or an image of `shape`.

    The label is found as `read_csv` finds it. Null is a value that is missing. Raises `InputError` for columns of lists
    and other things that are no numbers and no words, and if pyarrow is not installed.
    """
    try:
        import pyarrow.parquet
    except ImportError:
        raise InputError("dataset: expected pyarrow to read a parquet file, got none; pip install pyarrow") from None
    try:
        check_file(path)
        table = pyarrow.parquet.ParquetFile(path)
        if not fits(8 * table.metadata.num_rows * table.metadata.num_columns):
            raise ValueError(f"{table.metadata.num_rows:,} rows, too many for the memory")
        arrays = {name: _array(column, name, path) for name, column in zip(table.schema_arrow.names, table.read())}
    except InputError:
        raise
    except Exception as error:
        raise InputError(f"dataset: expected a parquet file at {path}, got: {reason(error)}") from None
    place, mixed = str(path), pixels == "columns"
    of_table = is_table(pixels, 2, shape)
    index = label_of([*arrays], len(arrays), shape, label_column, place, of_table)
    label = None if index is None else arrays.pop([*arrays][index])
    about: dict[str, Any] = {"columns": tuple(arrays) if of_table else ()}
    if mixed:
        rows, about["kinds"] = read_columns(arrays, place, columns, kinds)
    elif of_table:
        rows = read_vectors({"images": _numbers(arrays, place)}, place, pixels, tuple(arrays))["images"]
    else:
        rows = read_images({"images": as_bytes(_numbers(arrays, place))}, place, shape, plain=True)["images"]
    if label is None:
        return RawData(rows, **about)
    labels, classes = read_labels({"labels": label}, {"labels": len(label)}, place)
    return RawData(rows, labels["labels"], classes=classes, **about)


def _array(column: Any, name: str, path: Path) -> np.ndarray:
    """Return a column as numbers, NaN for null, or as words, empty for null."""
    from pyarrow import types

    kind = column.type.value_type if types.is_dictionary(column.type) else column.type
    if types.is_string(kind) or types.is_large_string(kind):
        return np.array([cell or "" for cell in column.to_pylist()], dtype=str)
    if types.is_boolean(kind) or types.is_integer(kind) or types.is_floating(kind):
        column = column.dictionary_decode() if types.is_dictionary(column.type) else column
        return np.asarray(column.cast("float64").to_numpy(), dtype=np.float64)
    raise InputError(f"dataset: expected numbers or words in column {name} of {path}, got {column.type}")


def _numbers(arrays: Mapping[str, np.ndarray], place: str) -> np.ndarray:
    """Return columns of numbers as rows (N, D)."""
    if words := [name for name, array in arrays.items() if array.dtype.kind == "U"]:
        raise InputError(
            f"dataset: expected numbers in all columns of {place}, got words in {', '.join(words[:5])}; --pixels"
            " columns reads them as categories, and --label-column one as the label"
        )
    if not arrays:
        raise InputError(f"dataset: expected columns of numbers in {place}, got none")
    return np.stack([*arrays.values()], 1)
