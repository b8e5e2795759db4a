"""How a dataset is split: into training, test and validation images, and into images with and without a label."""

from dataclasses import replace
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.images import Images
from pyrovae.data.sources.raw_data import RawData
from pyrovae.errors import InputError

FIXED_SEED = 1  # the seed of all that is drawn once for every run: splits, and sets that are binarised once


def train_and_test(raw: RawData) -> tuple[Images, Images]:
    """Return training and test set: those of the source, or, if it has no test set, 80 % and 20 % of its images.

    The images of each part are a fixed draw.
    """
    images = Images(raw.images, raw.labels, raw.given)
    if raw.test_images is not None:
        return images, Images(raw.test_images, raw.test_labels, raw.test_given)
    if len(images) < 2:
        raise InputError(f"dataset: expected at least 2 images, to train and to test on, got {len(images)}")
    order = shuffled(len(images))
    cut = min(max(1, round(0.8 * len(images))), len(images) - 1)
    return images.take(order[:cut]), images.take(order[cut:])


def with_labels(images: Images, labelled: int, classes: int, seed: int) -> Images:
    """Hide the labels of all but `labelled` images, as -1; as many of each class as there are, or one more.

    The seed decides which. Raises `InputError` if fewer images have a label, or if a class has too few.

    >>> images = Images(torch.zeros(9, 1, 8, 8, dtype=torch.uint8), torch.arange(9) % 3)
    >>> with_labels(images, 4, 3, seed=0).labels.ge(0).sum()
    tensor(4)
    """
    known = int(images.known().sum())
    if images.labels is None or labelled > known:
        raise InputError(f"labelled: expected at most the {known} training images that have a label, got {labelled}")
    order = torch.randperm(len(images), generator=torch.Generator().manual_seed(seed))
    labels, kept = images.labels[order], torch.zeros(len(images), dtype=torch.bool)
    for label in range(classes):
        wanted = labelled // classes + (label < labelled % classes)
        rows = order[labels == label]
        if len(rows) < wanted:
            raise InputError(f"labelled: expected {wanted} training images of class {label + 1}, got {len(rows)}")
        kept[rows[:wanted]] = True
    return replace(images, labels=torch.where(kept, images.labels, -1))


def count_of(part: str, value: Any, n: int) -> int:
    """Return how many of n images a share or a number of them is; raise `InputError` unless some remain."""
    what = part.removesuffix("_images")
    count = max(1, round(value * n)) if isinstance(value, float) and 0 < value < 1 else value
    if isinstance(value, bool) or count != int(count) or not 0 < count < n:
        raise InputError(
            f"{what}: expected a share between 0 and 1, a number of images from 1 to {n - 1}, or images, got {value!r}"
        )
    return int(count)


def shuffled(n: int) -> Tensor:
    return torch.randperm(n, generator=torch.Generator().manual_seed(FIXED_SEED))
