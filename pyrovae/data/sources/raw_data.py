"""What reading a source returns: images, or the rows of a table, in memory, with their labels."""

from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.errors import InputError, expect_text
from pyrovae.parts.kinds import Kind


@dataclass(frozen=True)
class RawData:
    """Images (N, C, H, W) as uint8, labels (N,) as int64 if there are any, and the other sets that the source has.

    The rows (N, D) of a table are float32, and images of which pixels are missing are int16, −1 there.
    `classes` names the labels 0, 1, 2, ...; it is empty without labels. A label that is not known is -1. `columns`
    names the columns of a table, and `kinds` says what they hold if the protocol is `columns`.
    """

    images: Tensor
    labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    classes: tuple[str, ...] = ()
    validation_images: Tensor | None = None
    validation_labels: Tensor | None = None
    columns: tuple[str, ...] = ()
    kinds: tuple[Kind, ...] = ()


def checked(data: RawData, name: str) -> RawData:
    """Return the data if types, shapes and labels agree with each other; else raise `InputError`.

    Files may hold anything, and so may what torchvision makes of them. `name` says in the message where they were read.
    """
    expect_text(f"dataset: a class in {name}", *data.classes)
    expect_text(f"dataset: a column in {name}", *data.columns)
    expect_text(f"dataset: a category in {name}", *(word for kind in data.kinds for word in kind.categories))
    parts = [
        (data.images, data.labels, "images"),
        (data.test_images, data.test_labels, "test images"),
        (data.validation_images, data.validation_labels, "validation images"),
    ]
    for images, labels, called in parts:
        if images is None:
            continue
        nbytes = images.untyped_storage().nbytes()
        kinds = ((4, torch.uint8), (4, torch.int16), (2, torch.float32))
        if (images.dim(), images.dtype) not in kinds or not 0 < images.numel() * images.dtype.itemsize <= nbytes:
            got = f"{tuple(images.shape)} of {images.dtype} in {nbytes} bytes"
            raise InputError(
                f"dataset: expected {called} (N, C, H, W) of torch.uint8, or rows (N, D) of torch.float32, in {name},"
                f" got {got}"
            )
        if images.shape[1:] != data.images.shape[1:]:
            got = f"{tuple(data.images.shape[1:])} and {tuple(images.shape[1:])}"
            raise InputError(f"dataset: expected images and {called} of one shape in {name}, got {got}")
        if (labels is None) != (data.labels is None):
            raise InputError(f"dataset: expected labels of images and {called} alike in {name}, got one of them")
        if labels is not None:
            _check_labels(labels, len(images), len(data.classes), f"{called} in {name}")
    return data


def _check_labels(labels: Tensor, n: int, classes: int, place: str) -> None:
    if labels.shape != (n,) or labels.dtype != torch.int64:
        got = f"{tuple(labels.shape)} of {labels.dtype}"
        raise InputError(f"dataset: expected {n} labels of the {place}, got {got}")
    least, most = labels.min().item(), labels.max().item()
    if least < -1 or most >= classes:
        raise InputError(f"dataset: expected labels from 0 to {classes - 1} of the {place}, got {least} to {most}")
