"""Reads a table of numbers, of which each row is a vector, or an image as in the MNIST of Kaggle."""

import csv
import math
from collections.abc import Callable, Sequence
from functools import partial
from pathlib import Path

import numpy as np

from pyrovae.data.columns import numbered
from pyrovae.data.format import Format
from pyrovae.data.sources.image_files import check_file
from pyrovae.data.sources.raw_data import RawData, Table, label_of, of_table
from pyrovae.data.storage import fits
from pyrovae.errors import InputError, reason

DELIMITERS = ",;\t "
LINE = 10**7  # the most characters of the first line
EMPTY = {"", "nan", "na", "n/a", "null", "none", "?"}  # how files of the field write a value that is missing


def read_csv(path: Path, format: Format) -> RawData:
    """Read a text of numbers, one row for each image or vector, with commas, semicolons, tabs or spaces between them.

    A first line that is not all numbers has the names of the columns. The label is the column `label_column`; without
    that, one of the name label, class, target or the like, or, in a table without names that has one column more than
    `shape` has pixels, the first, which a warning says. In a table, which it is if `pixels` says so, an empty cell, or
    one of `EMPTY`, is a value that is missing, and if its columns are mixed, words are values, too, so that no name is
    a number. Raises `InputError` for anything else.
    """
    try:
        check_file(path)
        if not fits(4 * path.stat().st_size):
            raise ValueError(f"{path.stat().st_size:,} bytes, too many for the memory; save it as npz")
        with path.open(encoding="utf-8-sig", newline="") as file:
            first = file.readline(LINE)
        delimiter = max(DELIMITERS, key=first.count)
        cells = [cell.strip() for cell in next(csv.reader([first], delimiter=delimiter), [])]
        table = format.is_table(2)
        numbers = [_is_number(cell) or (table and cell.lower() in EMPTY) for cell in cells]
        named = not (any(numbers) if format.mixed else all(numbers))
        names = cells if named else []
        label = label_of(names, len(cells), str(path), format)
        read = partial(_columns, path, delimiter, int(named))
        known = names or numbered(len(cells))
        others, chosen = format.apart(known, str(path), label)
        called = tuple(known[column] for column in others) if table and (named or chosen) else ()
        if format.mixed:
            words = read(others, str)
            values: Table = {name: _as_values(words[:, i]) for i, name in enumerate(called or numbered(len(others)))}
        else:
            values = read(others, np.float64, converters=_value) if table else read(others, np.float32)
        labels = None if label is None else _as_numbers(read([label], str)[:, 0])
        given = {known[column]: _as_values(read([column], str)[:, 0]) for column in chosen}
    except InputError:
        raise
    except Exception as error:  # numpy names the row and the column
        raise InputError(f"dataset: expected a table of numbers at {path}, got: {reason(error)}") from None
    return of_table(values, called, labels, str(path), format, given)


def _value(cell: str) -> float:
    """Return the number in a cell of a table, NaN for one that is missing."""
    cell = cell.strip()
    return math.nan if cell.lower() in EMPTY else float(cell)


def _as_values(cells: np.ndarray) -> np.ndarray:
    """Return a column of a mixed table as numbers, or as words, of which those that are missing are empty."""
    cells = np.char.strip(cells)
    return _as_numbers(np.where(np.isin(np.char.lower(cells), [*EMPTY]), "", cells))


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


def _is_number(cell: str) -> bool:
    try:
        float(cell)
    except ValueError:
        return False
    return True


def _as_numbers(words: np.ndarray) -> np.ndarray:
    """Turn labels into numbers, an empty one into NaN; if any is a word, return all as words."""
    words = np.char.strip(words)
    if all(_is_number(word) for word in np.unique(words) if word):
        return np.array([float(word) if word else math.nan for word in words])
    return words
