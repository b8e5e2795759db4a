"""The names that arrays have in files of the field, and the folders that split images into sets."""

import warnings
from collections.abc import Collection, Mapping, Sequence

from pyrovae.errors import InputError

# The part of a dataset -> names that its images and its labels have: pyrovae's own, MedMNIST's, Keras's, dSprites',
# scikit-learn's, and what numpy calls arrays without a name.
IMAGES = {
    "images": ("images", "train_images", "x_train", "X_train", "imgs", "x", "X", "data", "train_data", "arr_0"),
    "test_images": ("test_images", "x_test", "X_test", "test_data"),
    "validation_images": ("validation_images", "val_images", "x_val", "X_val", "x_valid", "X_valid", "val_data"),
}
LABELS = {
    "labels": ("labels", "train_labels", "y_train", "targets", "target", "y", "label", "arr_1"),
    "test_labels": ("test_labels", "y_test", "test_targets"),
    "validation_labels": ("validation_labels", "val_labels", "y_val", "y_valid"),
}
LABEL_COLUMNS = {*LABELS["labels"], "class", "species"} - {"arr_1"}  # of tables
FOLDERS = {
    "images": ("train", "training"),
    "test_images": ("test", "testing"),
    "validation_images": ("val", "valid", "validation"),
}


def named(names: Collection[str], place: str) -> dict[str, str]:
    """Return which array is which part: keys of `IMAGES` and `LABELS`, with the names that they have in the file.

    Raises `InputError` if there are no images, if two arrays could be the same part, or if some sets lack labels.
    """
    parts: dict[str, str] = {}
    for part, known in {**IMAGES, **LABELS}.items():
        fitting = [name for name in known if name in names]
        if len(fitting) > 1:
            raise InputError(f"dataset: expected one array of {part} in {place}, got {' and '.join(fitting)}")
        if fitting:
            parts[part] = fitting[0]
    if "images" not in parts:
        raise InputError(
            f"dataset: expected an array 'images' in {place} (or {', '.join(IMAGES['images'][1:])}),"
            f" got {', '.join(names) or 'no array'}"
        )
    sets = [part for part in parts if part in IMAGES]
    labels = [part.replace("labels", "images") for part in parts if part in LABELS]
    if labels and {*labels} != {*sets}:
        raise InputError(
            f"dataset: expected labels for {' and '.join(sets)} alike in {place}, got {', '.join(parts.values())}"
        )
    return parts


def say_unread(names: Collection[str], parts: Mapping[str, str], place: str) -> None:
    """Warn of arrays that are no part of a dataset."""
    if others := sorted(set(names) - set(parts.values())):
        warnings.warn(f"dataset: {', '.join(others)} in {place} are not read", stacklevel=3)


def split_of(folders: Sequence[str]) -> Mapping[str, str]:
    """Return which sub-folder holds which set, if all are named for sets, one of them for training; else nothing."""
    parts = {part: name for part, known in FOLDERS.items() for name in folders if name.lower() in known}
    return parts if len(parts) == len(folders) and "images" in parts and len(parts) > 1 else {}
