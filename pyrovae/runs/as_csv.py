"""Writes rows of numbers as a csv file, which `--dataset csv:FILE` reads again."""

import csv
import io
import math
from collections.abc import Mapping, Sequence

import numpy as np

from pyrovae.parts.kinds import Kind


def as_csv(
    rows: np.ndarray,
    columns: Sequence[str] = (),
    more: Mapping[str, Sequence[object]] | None = None,
    kinds: Sequence[Kind] = (),
) -> str:
    r"""Return rows (N, D) as comma-separated text with a line of names; NaN is an empty cell.

    `columns` names the D columns, else column1, ... `more` are further columns by name, which come first. A column
    whose kind is a category has the names of its categories.

    >>> as_csv(np.array([[1.5, np.nan]]), more={"draw": [1]})
    'draw,column1,column2\n1,1.5,\n'
    """
    more = more or {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*more, *(columns or (f"column{i + 1}" for i in range(rows.shape[1])))])
    for i, row in enumerate(rows.tolist()):
        cells = map(_cell, row, kinds) if kinds else map(_cell, row)
        writer.writerow([*(values[i] for values in more.values()), *cells])
    return text.getvalue()


def cells(rows: np.ndarray, kinds: Mapping[str, Kind]) -> dict[str, list[str]]:
    """Return the cells of columns by name, of rows (N, D)."""
    columns = rows.T.tolist()
    return {name: [_cell(value, kind) for value in column] for (name, kind), column in zip(kinds.items(), columns)}


def _cell(value: float, kind: Kind | None = None) -> str:
    if math.isnan(value):
        return ""
    return kind.categories[int(value)] if kind and kind.categories else f"{value:.9g}"
