"""Writes rows of numbers as a csv file, which `--dataset csv:FILE` reads again."""

import csv
import io
from collections.abc import Mapping, Sequence

import numpy as np


def as_csv(rows: np.ndarray, columns: Sequence[str] = (), more: Mapping[str, Sequence[object]] | None = None) -> str:
    r"""Return rows (N, D) as comma-separated text with a line of names; NaN is an empty cell.

    `columns` names the D columns, else column1, ... `more` are further columns by name, which come first.

    >>> as_csv(np.array([[1.5, np.nan]]), more={"draw": [1]})
    'draw,column1,column2\n1,1.5,\n'
    """
    more = more or {}
    text = io.StringIO()
    writer = csv.writer(text, lineterminator="\n")
    writer.writerow([*more, *(columns or (f"column{i + 1}" for i in range(rows.shape[1])))])
    for i, row in enumerate(rows.tolist()):
        writer.writerow([*(values[i] for values in more.values()), *("" if v != v else f"{v:.9g}" for v in row)])
    return text.getvalue()
