"""The gate for tables of mixed columns: finds out what each column holds, and makes numbers of all values."""

import math
import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.labels import WORD
from pyrovae.data.vectors import say_missing
from pyrovae.errors import InputError, one_of
from pyrovae.parts.kinds import LIKELIHOODS_OF, Kind, word

MOST_CATEGORIES = 1000
KIND_OF = {likelihood: kind for kind, likelihoods in LIKELIHOODS_OF.items() for likelihood in likelihoods}


def read_columns(
    table: Mapping[str, np.ndarray], place: str, chosen: Sequence[str], known: Sequence[Kind] = ()
) -> tuple[Tensor, tuple[Kind, ...]]:
    """Return the columns of a table as float32 (N, D), NaN for what is missing, with the kind of each column.

    `table` has an array (N,) for each column: numbers, NaN where one is missing, or words, empty where one is missing.
    Words are a category; numbers are binary if they are all 0 or 1, else counts if they are 0, 1, 2, ..., else positive
    or real. `chosen` names other kinds, or likelihoods, as NAME=KIND. Warnings say the kinds, and the share of missing
    values. `known` are the kinds of a table that was read before, which this one must have. Raises `InputError` for
    values that do not fit their kind.
    """
    if not table:
        raise InputError(f"dataset: expected columns of values in {place}, got none")
    named = {name: kind for name, _, kind in (each.rpartition("=") for each in chosen)}
    for name in named:
        one_of("columns", name, table)
    if known and len(known) != len(table):
        raise InputError(f"dataset: expected {len(known)} columns in {place}, as before, got {len(table)}")
    kinds: list[Kind] = []
    read = []
    for index, (name, values) in enumerate(table.items()):
        kind = known[index] if known else kind_of(values, named.get(name, ""), name, place)
        read.append(numbers_of(values, kind, name, place))
        kinds.append(kind)
    rows = torch.from_numpy(np.stack(read, 1).astype(np.float32))
    if not known:
        said = ", ".join(f"{name} {kind}" for name, kind in zip(table, kinds))
        warnings.warn(f"dataset: the columns of {place} are read as {said}", stacklevel=3)
    say_missing([rows], place)
    return rows, tuple(kinds)


def by_column(rows: np.ndarray, columns: Sequence[str], place: str) -> dict[str, np.ndarray]:
    """Return the columns of rows (N, D) by name, each as numbers, or as words if there is one; None and NaN are gaps.

    Raises `InputError` for anything but numbers, truth values and words.
    """
    names = columns or numbered(rows.shape[1])
    return {name: _column(rows[:, i], f"column {name} of {place}") for i, name in enumerate(names)}


def _column(values: np.ndarray, what: str) -> np.ndarray:
    if values.dtype.kind in "buif":
        return values.astype(np.float64)
    cells = [None if value is None or value != value else value for value in values.tolist()]  # NaN is not itself
    if any(isinstance(cell, str) for cell in cells):
        return np.array(["" if cell is None else str(cell) for cell in cells])
    try:
        return np.array([math.nan if cell is None else float(cell) for cell in cells])
    except (TypeError, ValueError):
        other = next(type(cell).__name__ for cell in cells if not isinstance(cell, (int, float, type(None))))
        raise InputError(f"dataset: expected numbers or words in {what}, got {other}") from None


def numbered(columns: int) -> tuple[str, ...]:
    """Name the columns of a table without names by their numbers, from 1."""
    return tuple(f"column{column + 1}" for column in range(columns))


def stacked(table: Mapping[str, np.ndarray], place: str) -> np.ndarray:
    """Return columns of numbers as rows (N, D); raise `InputError` for words."""
    if words := [name for name, array in table.items() if array.dtype.kind == "U"]:
        raise InputError(
            f"dataset: expected numbers in all columns of {place}, got words in {', '.join(words[:5])}; --pixels"
            " columns reads them as categories, --label-column one as the label, and --condition some as what the model"
            " is given"
        )
    if not table:
        raise InputError(f"dataset: expected columns of numbers in {place}, got none")
    return np.stack([*table.values()], 1)


def kind_of(values: np.ndarray, chosen: str, name: str, place: str) -> Kind:
    """Return the kind of a column by its values, or the kind or likelihood that is chosen for it."""
    if chosen:
        one_of(f"columns: {name}", chosen, {**LIKELIHOODS_OF, **KIND_OF})
    words = values.dtype.kind == "U"
    there = values[values != ""] if words else values[~np.isnan(values)]
    if not len(there):
        raise InputError(f"dataset: expected values in every column of {place}, got none in {name}")
    kind = KIND_OF.get(chosen, chosen) or _guess(there)
    likelihood = chosen if chosen in KIND_OF else LIKELIHOODS_OF[kind][0]
    categories: tuple[str, ...] = ()
    if kind == "category":
        categories = tuple(map(word, np.unique(there).tolist()))
        if not 2 <= len(categories) <= MOST_CATEGORIES or max(map(len, categories)) > WORD:
            raise InputError(
                f"dataset: expected from 2 to {MOST_CATEGORIES:,} categories in column {name} of {place}, got"
                f" {len(categories):,}; leave it out"
            )
    return Kind(kind, likelihood, categories)


def _guess(there: np.ndarray) -> str:
    if there.dtype.kind == "U":
        return "category"
    if np.isin(there, (0, 1)).all():
        return "binary"
    if ((there >= 0) & (there == np.rint(there))).all():
        return "count"
    return "positive" if (there > 0).all() else "real"


def numbers_of(values: np.ndarray, kind: Kind, name: str, place: str) -> np.ndarray:
    """Return a column as numbers, once they fit its kind."""
    column = f"column {name} of {place}, which is {kind.kind},"
    if kind.kind == "category":
        index = {category: float(i) for i, category in enumerate(kind.categories)} | {"": math.nan}
        words = [word(value) for value in values.tolist()]
        if other := next((each for each in words if each not in index), None):
            raise InputError(f"dataset: expected {', '.join(kind.categories[:10])} in {column} got {other!r}")
        return np.array([index[each] for each in words])
    if values.dtype.kind == "U":
        first = next(each for each in values.tolist() if each)
        raise InputError(f"dataset: expected numbers in {column} got {first!r}")
    there = values[~np.isnan(values)]
    fits = kind.fits(torch.from_numpy(there.astype(np.float64))).numpy()
    if not fits.all():
        raise InputError(f"dataset: expected {kind.wanted} in {column} got {there[~fits][0]:g}")
    return values.astype(np.float64)
