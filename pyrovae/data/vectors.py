"""The gate for tables: rows of numbers that are no images, and that keep their units."""

import warnings
from collections.abc import Mapping, Sequence
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.config.values import IMAGES, VECTORS
from pyrovae.errors import InputError
from pyrovae.parts.kinds import EXACT

SHOWN = 5  # names of columns in a message, at most


def is_table(protocol: str, dims: int, shape: Sequence[int]) -> bool:
    """Say whether arrays of so many dimensions are vectors (N, D): by the protocol, or as no image's shape is given.

    `standardized` is a protocol of images and of vectors.
    """
    return protocol in VECTORS and (protocol not in IMAGES or (dims == 2 and not shape))


def read_vectors(
    arrays: Mapping[str, np.ndarray], place: str, protocol: str, columns: Sequence[str] = (), further: bool = False
) -> dict[str, Tensor]:
    """Return rows of numbers (N, D) as float32, in their own units; NaN stands for a value that is missing.

    `columns` names them for messages, and `place` says where the arrays are from. A warning says which share of the
    values is missing. Raises `InputError` for anything but finite numbers and NaN in (N, D), for a column without any
    value, unless these are `further` rows of a table that has been read, and for numbers that are no `counts` (0, 1, 2,
    ...) or not `binary` (0 or 1), if that is the protocol.

    >>> read_vectors({"images": np.array([[1.5, 2.0], [3.0, 4.0]])}, "x", "real")["images"].shape
    torch.Size([2, 2])
    """
    tensors = {}
    for name, array in arrays.items():
        if array.dtype.kind not in "buif":
            raise InputError(f"dataset: expected {_rows(name)} in {place} to be numbers, got type {array.dtype.name}")
    expect_rows(arrays, place, protocol)
    for name, array in arrays.items():
        what = f"{_rows(name)} in {place}"
        _check(array, what, protocol, columns)
        with np.errstate(over="ignore"):  # the next check says so
            tensors[name] = torch.from_numpy(array.astype(np.float32))
        if tensors[name].isinf().any():
            most = np.finfo(np.float32).max
            raise InputError(f"dataset: expected {what} up to {most:.2g}, got larger numbers")
    rows = next(iter(tensors.values()))
    if (empty := rows.isnan().all(0)).any() and not further:
        raise InputError(
            f"dataset: expected values in every column of {place}, got none in {named_columns(empty, columns)}"
        )
    say_missing([*tensors.values()], place)
    return tensors


def expect_rows(arrays: Mapping[str, np.ndarray], place: str, protocol: str) -> None:
    """Raise `InputError` unless all arrays, by set, are rows (N, D) of one width."""
    for name, array in arrays.items():
        if array.ndim != 2 or 0 in array.shape:
            raise InputError(
                f"dataset: expected {_rows(name)} in {place} (N, D), as pixels are {protocol!r}, got shape"
                f" {array.shape}"
            )
    if len(widths := {array.shape[1] for array in arrays.values()}) > 1:
        raise InputError(
            f"dataset: expected rows of one width in {place}, got {' and '.join(map(str, sorted(widths)))}"
        )


def say_missing(tensors: Sequence[Tensor], place: str) -> None:
    """Warn of the share of the values that are missing, if there are any."""
    if share := sum(float(tensor.isnan().sum()) for tensor in tensors) / sum(map(torch.numel, tensors)):
        warnings.warn(f"dataset: {share:.2%} of the values in {place} are missing (NaN or empty)", stacklevel=4)


def _rows(name: str) -> str:
    return name.replace("images", "rows")


def _check(array: np.ndarray, what: str, protocol: str, columns: Sequence[str]) -> None:
    infinite = np.isinf(array) if array.dtype.kind == "f" else np.zeros_like(array, bool)
    if (bad := infinite.any(0)).any():
        raise InputError(
            f"dataset: expected finite numbers, or NaN, in {what}, got infinity in {named_columns(bad, columns)}"
        )
    others, wanted = unfit(np.nan_to_num(array), protocol)
    if (bad := others.any(0)).any():
        raise InputError(f"dataset: expected {wanted}, in {what}, got others in {named_columns(bad, columns)}")


def unfit(known: np.ndarray, protocol: str) -> tuple[np.ndarray, str]:
    """Return which numbers the protocol does not have, and what it has instead."""
    if protocol == "counts":
        return (known < 0) | (known != np.rint(known)) | (known > EXACT), f"counts, whole numbers from 0 to {EXACT:,}"
    if protocol == "binary":
        return ~np.isin(known, (0, 1)), "0 and 1"
    return np.zeros_like(known, bool), "numbers"


def named_columns(chosen: Any, columns: Sequence[str]) -> str:
    """Name the columns that are chosen, by their numbers if they have no names."""
    names = [columns[i] if columns else f"{i + 1}" for i, yes in enumerate(chosen.tolist()) if yes]
    more = f" and {len(names) - SHOWN} more" if len(names) > SHOWN else ""
    return f"{'column' if len(names) == 1 else 'columns'} {', '.join(names[:SHOWN])}{more}"
