"""Reads a table of numbers, of which each row is a vector, or an image as in the MNIST of Kaggle."""

import csv
import math
import warnings
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path
from typing import Any

import numpy as np

from pyrovae.data.columns import numbered, read_columns
from pyrovae.data.gate import read_images
from pyrovae.data.labels import read_labels
from pyrovae.data.layouts import LABELS
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData
from pyrovae.data.storage import fits
from pyrovae.data.vectors import is_table, read_vectors
from pyrovae.errors import InputError, one_of, reason
from pyrovae.parts.kinds import Kind

DELIMITERS = ",;\t "
LINE = 10**7  # the most characters of the first line
EMPTY = {"", "nan", "na", "n/a", "null", "none", "?"}  # how files of the field write a value that is missing
LABEL_COLUMNS = {*LABELS["labels"], "class", "species"} - {"arr_1"}


def read_csv(
    path: Path,
    shape: Sequence[int] = (),
    label_column: str = "",
    pixels: str = "grey",
    columns: Sequence[str] = (),
    kinds: Sequence[Kind] = (),
) -> RawData:
    """Read a text of numbers, one row for each image or vector, with commas, semicolons, tabs or spaces between them.

    A first line that is not all numbers has the names of the columns. The label is the column `label_column`; without
    that, one of the name label, class, target or the like, or, in a table without names that has one column more than
    `shape` has pixels, the first, which a warning says. In a table, which it is if `pixels` says so, an empty cell, or
    one of `EMPTY`, is a value that is missing; for `columns` and `kinds`, see `read_columns`. Raises
    `InputError` for anything else.
    """
    try:
        check_file(path)
        if not fits(4 * path.stat().st_size):
            raise ValueError(f"{path.stat().st_size:,} bytes, too many for the memory; save it as npz")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(LINE)
        delimiter = max(DELIMITERS, key=first.count)
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        table = is_table(pixels, 2, shape)
        mixed = pixels == "columns"
        numbers_of_first = [_is_number(cell) or (table and cell.lower() in EMPTY) for cell in cells]
        named = not any(numbers_of_first) if mixed else not all(numbers_of_first)  # words are values, too, if mixed
        names = cells if named else []
        label = label_of(names, len(cells), shape, label_column, str(path), table)
        read = partial(_columns, path, delimiter, int(named))
        others = [column for column in range(len(cells)) if column != label]
        if mixed:
            numbers = read(others, str)
        else:
            numbers = read(others, np.float64, converters=_value) if table else as_bytes(read(others, np.float32))
        words = None if label is None else read([label], str)
    except InputError:
        raise
    except Exception as error:  # numpy names the row and the column
        raise InputError(f"dataset: expected a table of numbers at {path}, got: {reason(error)}") from None
    called = tuple(names[column] for column in others) if table and named else ()
    about: dict[str, Any] = {"columns": called}
    if mixed:
        called = called or numbered(len(others))
        table_of = {name: _as_numbers(_without_gaps(numbers[:, i])) for i, name in enumerate(called)}
        rows, about["kinds"] = read_columns(table_of, str(path), columns, kinds)
    elif table:
        rows = read_vectors({"images": numbers}, str(path), pixels, called)["images"]
    else:
        rows = read_images({"images": numbers}, str(path), shape, plain=True)["images"]
    if words is None:
        return RawData(rows, **about)
    labels, classes = read_labels({"labels": _as_numbers(words[:, 0])}, {"labels": len(words)}, str(path))
    return RawData(rows, labels["labels"], classes=classes, **about)


def _value(cell: str) -> float:
    """Return the number in a cell of a table, NaN for one that is missing."""
    cell = cell.strip()
    return math.nan if cell.lower() in EMPTY else float(cell)


def _without_gaps(cells: np.ndarray) -> np.ndarray:
    """Return the cells of a column, with the empty text for each that is missing."""
    cells = np.char.strip(cells)
    return np.where(np.isin(np.char.lower(cells), [*EMPTY]), "", cells)


def _columns(
    path: Path,
    delimiter: str,
    skipped: int,
    columns: Sequence[int],
    kind: type,
    converters: Callable[[str], float] | None = None,
) -> np.ndarray:
    """Read these columns, (rows, columns), after so many lines that are skipped."""
    text: np.ndarray = np.loadtxt(
        path,
        kind,
        delimiter=delimiter,
        skiprows=skipped,
        usecols=columns,
        comments=None,
        quotechar='"',
        ndmin=2,
        encoding="utf-8-sig",
        converters=converters,
    )
    return text


def as_bytes(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers in 0..255 as bytes: in a text they have no type."""
    whole = bool(((numbers >= 0) & (numbers <= 255) & (numbers == np.rint(numbers))).all())
    return numbers.astype(np.uint8) if whole else numbers


def label_of(
    names: Sequence[str], columns: int, shape: Sequence[int], label_column: str, path: str, table: bool
) -> int | None:
    """Return which column is the label, if one is."""
    if label_column:
        return names.index(one_of("label_column", label_column, names))
    fitting = [name for name in names if name.lower() in LABEL_COLUMNS]
    if len(fitting) > 1:
        raise InputError(f"label_column: expected one of {', '.join(fitting)}, as {path} has them all, got none")
    if fitting:
        return names.index(fitting[0])
    if not names and shape and columns == math.prod(shape) + 1:
        warnings.warn(f"dataset: the first of {columns:,} columns of {path} is read as the label", stacklevel=4)
        return 0
    side = math.isqrt(columns - 1)
    if not names and not shape and not table and side**2 == columns - 1:
        raise InputError(
            f"dataset: expected the shape of an image in {path}, whose rows have {columns:,} numbers, got none;"
            f" --shape {side},{side} reads the first as the label"
        )
    return None


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_numbers(words: np.ndarray) -> np.ndarray:
    """Return labels as numbers if all of them, without the empty ones, are numbers."""
    words = np.char.strip(words)
    if all(_is_number(word) for word in np.unique(words) if word):
        return np.array([float(word) if word else math.nan for word in words])
    return words
