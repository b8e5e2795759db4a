"""What reading a source returns: images, or the rows of a table, in memory, with their labels."""

import math
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field

import numpy as np
import torch
from torch import Tensor

from pyrovae.data.columns import read_columns
from pyrovae.data.format import Array, Format
from pyrovae.data.labels import read_labels
from pyrovae.data.layouts import IMAGES, LABEL_COLUMNS
from pyrovae.data.sparse import Compressed, SparseRows, Stored
from pyrovae.errors import InputError, expect_text, one_of
from pyrovae.parts.kinds import Kind

# Rows of numbers (N, D), sparse ones, or an array (N,) for each column by name.
Table = np.ndarray | Compressed | Mapping[str, np.ndarray]


@dataclass(frozen=True)
class RawData:
    """Images (N, C, H, W) as uint8, labels (N,) as int64 if there are any, and the other sets that the source has.

    The rows (N, D) of a table are float32, or `SparseRows`, and images of which pixels are missing are int16, −1 there.
    `classes` names the labels 0, 1, 2, ...; it is empty without labels. A label that is not known is -1. `columns`
    names the columns of a table, and `kinds` says what they hold if the protocol is `columns`. `conditions` are further
    columns, which a model is given, by name with their kinds, and `given` are their values (N, K).
    """

    images: Stored
    labels: Tensor | None = None
    test_images: Stored | None = None
    test_labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    validation_images: Stored | None = None
    validation_labels: Tensor | None = None
    columns: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()
    conditions: Mapping[str, Kind] = field(default_factory=dict)
    given: Tensor | None = None
    test_given: Tensor | None = None
    validation_given: Tensor | None = None


def of_arrays(arrays: Mapping[str, Array], place: str, format: Format) -> RawData:
    """Make a dataset of arrays by part: the keys of `pyrovae.data.layouts.IMAGES` and `LABELS`."""
    images = {part: array for part, array in arrays.items() if part in IMAGES}
    labels = {part: array for part, array in arrays.items() if part not in IMAGES and isinstance(array, np.ndarray)}
    counts = {part: len(images[part.replace("labels", "images")]) for part in labels}
    numbers, classes = read_labels(labels, counts, place)
    read = format.read(images, place)
    return RawData(
        **read.tensors,
        **numbers,
        **{part.replace("images", "given"): values for part, values in read.given.items()},
        classes=classes,
        columns=read.columns,
        kinds=read.kinds,
        conditions=read.conditions,
    )


def of_table(
    values: Table,
    names: tuple[str, ...],
    labels: np.ndarray | None,
    place: str,
    format: Format,
    given: Mapping[str, np.ndarray],
) -> RawData:
    """Make a dataset of a table, by column if these are mixed, with the names of its columns, and of its labels.

    `given` are the columns that are conditions, which are not among the values.
    """
    scored = format.scored
    rows: Stored
    if isinstance(values, Mapping):
        rows, kinds = read_columns(values, place, scored.columns, scored.kinds)
    else:
        whole = values if isinstance(values, Compressed) or format.is_table(2) else _as_bytes(values)
        rows, kinds = scored.read({"images": whole}, place, names, plain=True).tensors["images"], ()
    numbers, conditions = format.read_given(given, place)
    read, classes = read_labels({} if labels is None else {"labels": labels}, {"labels": len(rows)}, place)
    return RawData(
        rows, read.get("labels"), classes=classes, columns=names, kinds=kinds, conditions=conditions, given=numbers
    )


def _as_bytes(numbers: np.ndarray) -> np.ndarray:
    """Return whole numbers in 0..255 as bytes: in a table they have no type of their own."""
    whole = bool(((numbers >= 0) & (numbers <= 255) & (numbers == np.rint(numbers))).all())
    return numbers.astype(np.uint8) if whole else numbers


def label_of(names: Sequence[str], columns: int, place: str, format: Format) -> int | None:
    """Return which column of a table with so many is the label, if one is."""
    shape = format.shape
    if format.label_column:
        return names.index(one_of("label_column", format.label_column, names))
    fitting = [name for name in names if name.lower() in LABEL_COLUMNS]
    if len(fitting) > 1:
        raise InputError(f"label_column: expected one of {', '.join(fitting)}, as {place} has them all, got none")
    if fitting:
        return names.index(fitting[0])
    if not names and shape and columns == math.prod(shape) + 1:
        warnings.warn(f"dataset: the first of {columns:,} columns of {place} is read as the label", stacklevel=4)
        return 0
    side = math.isqrt(columns - 1)
    if not names and not shape and not format.is_table(2) and side**2 == columns - 1:
        raise InputError(
            f"dataset: expected the shape of an image in {place}, whose rows have {columns:,} numbers, got none;"
            f" --shape {side},{side} reads the first as the label"
        )
    return None


def checked(data: RawData, name: str) -> RawData:
    """Return the data if types, shapes and labels agree with each other; else raise `InputError`.

    Files may hold anything, and so may what torchvision makes of them. `name` says in the message where they were read.
    """
    expect_text(f"dataset: a class in {name}", *data.classes)
    expect_text(f"dataset: a column in {name}", *data.columns)
    expect_text(f"dataset: a condition in {name}", *data.conditions)
    kinds = (*data.kinds, *data.conditions.values())
    expect_text(f"dataset: a category in {name}", *(word for kind in kinds for word in kind.categories))
    parts = [
        (data.images, data.labels, "images"),
        (data.test_images, data.test_labels, "test images"),
        (data.validation_images, data.validation_labels, "validation images"),
    ]
    for images, labels, called in parts:
        if images is None:
            continue
        if not isinstance(images, SparseRows):
            _check_tensor(images, called, name)
        if images.shape[1:] != data.images.shape[1:]:
            got = f"{tuple(data.images.shape[1:])} and {tuple(images.shape[1:])}"
            raise InputError(f"dataset: expected images and {called} of one shape in {name}, got {got}")
        if (labels is None) != (data.labels is None):
            raise InputError(f"dataset: expected labels of images and {called} alike in {name}, got one of them")
        if labels is not None:
            _check_labels(labels, len(images), len(data.classes), f"{called} in {name}")
    return data


def _check_tensor(images: Tensor, called: str, name: str) -> None:
    nbytes = images.untyped_storage().nbytes()
    kinds = ((4, torch.uint8), (4, torch.int16), (2, torch.float32))
    if (images.dim(), images.dtype) not in kinds or not 0 < images.numel() * images.dtype.itemsize <= nbytes:
        got = f"{tuple(images.shape)} of {images.dtype} in {nbytes} bytes"
        raise InputError(
            f"dataset: expected {called} (N, C, H, W) of torch.uint8, or rows (N, D) of torch.float32, in {name},"
            f" got {got}"
        )


def _check_labels(labels: Tensor, n: int, classes: int, place: str) -> None:
    if labels.shape != (n,) or labels.dtype != torch.int64:
        got = f"{tuple(labels.shape)} of {labels.dtype}"
        raise InputError(f"dataset: expected {n} labels of the {place}, got {got}")
    least, most = labels.min().item(), labels.max().item()
    if least < -1 or most >= classes:
        raise InputError(f"dataset: expected labels from 0 to {classes - 1} of the {place}, got {least} to {most}")
