"""Data in hand: arrays, tensors, datasets of torch and data frames become sets of images, or of a table's rows."""

from collections.abc import Mapping, Sequence, Sized
from typing import Any, NamedTuple

import numpy as np
import torch
from torch import Tensor
from torch.utils.data import (
    BatchSampler,
    DataLoader,
    Dataset,
    IterableDataset,
    RandomSampler,
    SequentialSampler,
    Subset,
    default_collate,
)

from pyrovae.data.columns import numbered
from pyrovae.data.conditions import apart
from pyrovae.data.format import Array, Format, Sets
from pyrovae.data.gate import with_gaps
from pyrovae.data.labels import read_labels
from pyrovae.data.sparse import Compressed
from pyrovae.errors import InputError

Labels = object  # an array, a tensor or a list of labels, or the name of a column


class InHand(NamedTuple):
    """What was read of data in hand: images or vectors, and labels by set, with the names of classes."""

    sets: Sets
    labels: dict[str, Tensor]
    classes: tuple[str, ...]


KINDS = "an array, a tensor, a Dataset or DataLoader of torch, a data frame, or a sparse matrix of scipy"


def read_in_hand(
    sets: dict[str, object],
    labels: dict[str, Labels],
    place: str,
    classes: Sequence[str],
    format: Format,
    missing: Mapping[str, object] | None = None,
) -> InHand:
    """Read sets in hand and their labels, by name; `missing` are masks by the same names, true at gaps."""
    arrays: dict[str, Array] = {}
    own: dict[str, np.ndarray | None] = {}
    for name, data in sets.items():
        arrays[name], own[name] = _taken_apart(data, labels.get(name), name)
    with_labels = {name: array for name, array in own.items() if array is not None}
    if with_labels and len(with_labels) < len(arrays):
        raise InputError(
            f"labels: expected labels for {' and '.join(arrays)} alike, got some for {' and '.join(with_labels)} alone"
        )
    names = _columns_of(next(iter(sets.values())), next(iter(labels.values()), None))
    read = format.read(arrays, place, names, plain=True)
    if missing and any(isinstance(array, Compressed) for array in arrays.values()):
        raise InputError("missing: expected no mask beside sparse rows, whose values are all known, got one")
    if missing:
        read = read._replace(
            tensors={
                name: with_gaps(values, _gaps(values, missing.get(name), name, names, read))
                for name, values in read.tensors.items()
            }
        )
    numbers, class_names = read_labels(with_labels, {name: len(arrays[name]) for name in arrays}, place, classes)
    return InHand(read, numbers, class_names)


def _gaps(values: Tensor, mask: object, name: str, names: Sequence[str], read: Sets) -> np.ndarray:
    """Return where values are missing by a mask of all columns, none of which may be missing that a model is given."""
    if not read.conditions:
        return _mask(values.shape, mask, name)
    width = values.shape[1] + len(read.conditions)
    scored, given = apart(names or numbered(width), [*read.conditions], name)
    gaps = _mask((len(values), width), mask, name)
    if gaps[:, given].any():
        raise InputError(
            f"missing: expected all values of {', '.join(read.conditions)}, which the model is given, got gaps"
        )
    return np.ascontiguousarray(gaps[:, scored])


def _mask(whole: Sequence[int], mask: object, name: str) -> np.ndarray:
    """Return where a mask says that values are missing, (N, D), or (N, 1, H, W) for all channels of images."""
    n, *shape = whole
    if mask is None:
        return np.zeros((n, 1, *shape[1:]) if len(shape) == 3 else (n, *shape), bool)
    array = _array(mask, "missing")
    gaps = array[:, None] if len(shape) == 3 and array.ndim == 3 else array
    if gaps.ndim == 4 and gaps.shape[1:3] == (*shape[1:],):  # channels behind
        gaps = gaps.transpose(0, 3, 1, 2)
    if gaps.ndim == 4:
        gaps = np.asarray(gaps.any(1, keepdims=True))
    expected = (n, 1, *shape[1:]) if len(shape) == 3 else (n, *shape)
    if array.dtype.kind != "b" or gaps.shape != expected:
        raise InputError(
            f"missing: expected truth values for each value of {name}, of shape {tuple(whole)}, got"
            f" {array.shape} of {array.dtype.name}"
        )
    return np.ascontiguousarray(gaps)


def _columns_of(data: Any, label: object) -> tuple[str, ...]:
    """Return the names of the columns of a data frame, without that of the label; of anything else there are none."""
    data = data[0] if isinstance(data, tuple) and len(data) == 2 else data
    if not (hasattr(data, "columns") and hasattr(data, "to_numpy")):
        return ()
    return tuple(str(column) for column in data.columns if not isinstance(label, str) or column != label)


def _taken_apart(data: Any, labels: Labels, name: str) -> tuple[Array, np.ndarray | None]:
    """Return the images and the labels of one set, as arrays that are not the caller's."""
    if isinstance(data, tuple) and len(data) == 2 and labels is None and not isinstance(data, Tensor):
        data, labels = data
    if isinstance(data, DataLoader):
        data = _of_loader(data)
    if isinstance(data, Dataset):
        if labels is not None:
            raise InputError(
                f"labels: expected none beside a Dataset, whose items have them, got {type(labels).__name__}"
            )
        return _of_dataset(data, name)
    if hasattr(data, "columns") and hasattr(data, "to_numpy"):
        if isinstance(labels, str):
            if labels not in data.columns:
                raise InputError(
                    f"labels: expected one of the columns {', '.join(map(str, data.columns))}, got {labels!r}"
                )
            label = labels
            labels, data = data[label].to_numpy(), data[[column for column in data.columns if column != label]]
        data = data.to_numpy()
    if isinstance(labels, str):
        raise InputError(f"labels: expected an array, as {name} is no data frame, got {labels!r}")
    images = Compressed.of(data) if hasattr(data, "tocsr") else _array(data, name)
    return images, None if labels is None else _array(labels, f"labels of {name}")


def _array(values: Any, name: str) -> np.ndarray:
    """Return a copy of values as a numpy array."""
    if isinstance(values, Tensor):
        values = values.detach().cpu()
        values = (values.float() if values.dtype == torch.bfloat16 else values).numpy()
    elif hasattr(values, "to_numpy"):  # a column
        values = values.to_numpy()
    elif not isinstance(values, (np.ndarray, list, tuple)) or (not isinstance(values, np.ndarray) and not values):
        raise InputError(f"data: expected {KINDS} as {name}, got {type(values).__name__}")
    try:
        return np.array(values)
    except ValueError as error:  # rows of several lengths
        raise InputError(f"data: expected {name} of one shape, got: {error}") from None


def _of_loader(loader: DataLoader[Any]) -> Dataset[Any]:
    """Return the items that a loader reads, in the order of its dataset: all, or those that its sampler picks."""
    if loader.collate_fn is not default_collate:
        raise InputError("data: expected a DataLoader with torch's own collate_fn, got another; hand over its dataset")
    dataset, sampler = loader.dataset, loader.sampler
    if isinstance(dataset, IterableDataset):
        return dataset
    whole = isinstance(sampler, SequentialSampler | RandomSampler) and len(sampler) == len(dataset)  # type: ignore[arg-type]
    if whole and type(loader.batch_sampler) in (BatchSampler, type(None)):
        return dataset
    rows = sampler if loader.batch_sampler is None else (row for batch in loader.batch_sampler for row in batch)
    return Subset(dataset, sorted(rows))


def _of_dataset(dataset: Dataset[object], name: str) -> tuple[np.ndarray, np.ndarray | None]:
    """Read the items of a Dataset: images, or pairs of image and label."""
    by_number = isinstance(dataset, Sized) and not isinstance(dataset, IterableDataset)
    items = [dataset[i] for i in range(len(dataset))] if by_number else list(iter(dataset))  # type: ignore[arg-type]
    if not items:
        raise InputError(f"data: expected images in {name}, got a Dataset without items")
    pairs = [item if isinstance(item, (tuple, list)) else (item,) for item in items]
    if {len(pair) for pair in pairs} not in ({1}, {2}):
        raise InputError(
            f"data: expected items (image,) or (image, label) in {name}, got items of {len(pairs[0])} entries"
        )
    try:
        images = np.stack(
            [_array(pair[0], name) if isinstance(pair[0], Tensor) else np.asarray(pair[0]) for pair in pairs]
        )
    except (TypeError, ValueError) as error:
        raise InputError(f"data: expected images of one shape in {name}, got: {error}") from None
    return images, np.array([np.asarray(pair[1]).item() for pair in pairs]) if len(pairs[0]) == 2 else None
