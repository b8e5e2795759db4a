"""Labels as they come: numbers, words, one column or one-hot; become the numbers of classes."""

import warnings
from collections.abc import Mapping, Sequence

import numpy as np
import torch
from torch import Tensor

from pyrovae.errors import InputError

WORD = 4096  # the most bytes of one label
UNKNOWN = -1


def read_labels(
    labels: Mapping[str, np.ndarray], counts: Mapping[str, int], place: str, classes: Sequence[str] = ()
) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Number labels from 0 in the order of their classes; return the numbers, int64 (n,), and the names of the classes.

    Labels are whole numbers or words, of shape (n,) or (n, 1), or one-hot rows (n, K). One that is not known, -1, NaN
    or an empty word, gets -1, and a warning counts them. `counts` are the numbers of images that the labels belong to,
    and `classes` names the labels 0, 1, ..., if they are such numbers. Raises `InputError` for anything else.

    >>> read_labels({"labels": np.array(["b", "a", "b"])}, {"labels": 3}, "x")
    ({'labels': tensor([1, 0, 1])}, ('a', 'b'))
    """
    if not labels:
        return {}, tuple(classes)
    values = {name: _column(np.asarray(array), counts[name], name, place) for name, array in labels.items()}
    if len({array.dtype.kind == "U" for array in values.values()}) > 1:
        raise InputError(f"dataset: expected {' and '.join(values)} alike in {place}, got integers and words")
    values = {name: _whole(array, name, place) for name, array in values.items()}
    known = {name: array != ("" if array.dtype.kind == "U" else UNKNOWN) for name, array in values.items()}
    if unknown := sum(int((~mask).sum()) for mask in known.values()):
        total = sum(map(len, known.values()))
        warnings.warn(
            f"dataset: {unknown:,} of {total:,} images in {place} have no label (-1, NaN or empty)", stacklevel=3
        )
    distinct = np.unique(np.concatenate([array[known[name]] for name, array in values.items()]))
    names = tuple(classes) or tuple(map(str, distinct))
    numbers = np.array([_number(value.item(), names, place) if classes else i for i, value in enumerate(distinct)], int)
    tensors = {}
    for name, array in values.items():
        row = np.full(len(array), UNKNOWN)
        row[known[name]] = numbers[np.searchsorted(distinct, array[known[name]])]
        tensors[name] = torch.from_numpy(row)
    return tensors, names


def _column(array: np.ndarray, n: int, name: str, place: str) -> np.ndarray:
    """Return labels as (n,): of one column, or of one-hot rows, which a warning names."""
    if array.ndim == 2 and array.shape[1] == 1:
        array = array[:, 0]
    kind, itemsize = array.dtype.kind, array.dtype.itemsize
    if array.ndim == 2 and array.shape[1] > 1 and len(array) == n and kind in "biuf":
        if ((array == 0) | (array == 1)).all() and (array.sum(1) == 1).all():
            warnings.warn(f"dataset: {name} in {place} are read as one-hot, {array.shape[1]} classes", stacklevel=4)
            return np.asarray(array.argmax(1))
        raise InputError(
            f"dataset: expected one label of each image, or one-hot rows, as {name} in {place}, got {array.shape[1]}"
            " numbers of each"
        )
    if kind == "S":
        array, kind = np.char.decode(array, "utf-8"), "U"
    if kind == "O" and all(isinstance(value, str) for value in array.flat):
        array, kind = array.astype(str), "U"
    if array.shape != (n,) or kind not in "biufU" or itemsize > WORD:
        raise InputError(
            f"dataset: expected {n} integers or words as {name} in {place},"
            f" got shape {array.shape} of type {array.dtype}"
        )
    return array.astype(np.int64) if kind == "b" else array


def _whole(array: np.ndarray, name: str, place: str) -> np.ndarray:
    """Return labels as integers or words; floats must be whole numbers, or NaN where a label is not known."""
    if array.dtype.kind != "f":
        return array
    known = np.nan_to_num(array, nan=UNKNOWN)
    if not np.isfinite(known).all() or (known != known.round()).any() or (np.abs(known) > 2**53).any():
        raise InputError(f"dataset: expected integers, NaN or words as {name} in {place}, got fractions")
    whole: np.ndarray = known.astype(np.int64)
    return whole


def _number(value: int | str, classes: Sequence[str], place: str) -> int:
    """Return the number of a label whose classes are named."""
    if isinstance(value, str) and value in classes:
        return classes.index(value)
    if isinstance(value, int) and 0 <= value < len(classes):
        return value
    wanted = f"from 0 to {len(classes) - 1}" if isinstance(value, int) else f"of {', '.join(classes)}"
    raise InputError(f"dataset: expected labels {wanted} in {place}, got {value!r}")
