"""Reads a parquet file: a table whose columns have names and types."""

from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.data.columns import stacked
from pyrovae.data.format import Format
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, label_of, of_table
from pyrovae.data.storage import fits
from pyrovae.errors import InputError, reason


def read_parquet(path: Path, format: Format) -> RawData:
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
    named = [*arrays]
    label = label_of(named, len(named), str(path), format)
    labels = None if label is None else arrays[named[label]]
    scored, given = ({named[i]: arrays[named[i]] for i in part} for part in format.apart(named, str(path), label))
    names = tuple(scored) if format.is_table(2) else ()
    values = scored if format.mixed else stacked(scored, str(path))
    return of_table(values, names, labels, str(path), format, given)


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
