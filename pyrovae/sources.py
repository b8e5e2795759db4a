"""Where images come from: scikit-learn's digits, torchvision's sets, a folder, an npz file."""

import os
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

import numpy as np
import torch
from torch import Tensor

from pyrovae.config import InputError, did_you_mean

DIGITS = tuple("0123456789")
GARMENTS = ("T-shirt", "Trouser", "Pullover", "Dress", "Coat", "Sandal", "Shirt", "Sneaker", "Bag", "Ankle boot")


@dataclass(frozen=True)
class Source:
    """Images (N, C, H, W) as uint8, labels (N,) as int64 if there are any, and a test set if the source has one."""

    images: Tensor
    labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    classes: tuple[str, ...] = ()


def read_source(dataset: str, data_dir: Path | None = None, image_size: int | None = None) -> Source:
    """The source called `dataset`; all images `image_size` pixels a side, where that is given."""
    kind, _, path = dataset.partition(":")
    if path and kind == "folder":
        return read_folder(Path(path), image_size)
    if path and kind == "npz":
        return _resized(read_npz(Path(path)), image_size)
    if dataset not in DATASETS:
        known = [*DATASETS, "folder:PATH", "npz:PATH"]
        raise InputError(f"dataset: expected one of {', '.join(known)}, got {dataset!r}{did_you_mean(dataset, known)}")
    return _resized(DATASETS[dataset](data_dir or default_data_dir()), image_size)


def default_data_dir() -> Path:
    """$PYROVAE_DATA, or pyrovae's folder in the user's cache."""
    cache = os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache"
    return Path(os.environ.get("PYROVAE_DATA") or Path(cache) / "pyrovae")


def read_digits(_: Path) -> Source:
    """1,797 handwritten digits of 8×8 pixels inside scikit-learn, their 17 grey levels spread over 0..255."""
    from sklearn.datasets import load_digits

    digits = load_digits()
    images = torch.tensor(np.rint(digits.images * (255 / 16)), dtype=torch.uint8)[:, None]
    return Source(images, torch.tensor(digits.target, dtype=torch.int64), classes=DIGITS)


def torchvision_set(
    name: str,
    about: str,
    *splits: dict[str, Any],
    classes: Sequence[str] | None = (),
    size: int | None = None,
    upright: bool = True,
) -> Callable[[Path], Source]:
    """A reader of torchvision's set `name`; `classes` None drops the labels, `upright` False turns the images."""

    def read(root: Path) -> Source:
        parts = [_torchvision_part(name, root, split) for split in splits]
        images = [_stacked(part, size) for part in parts]
        if not upright:
            images = [part.transpose(-1, -2).contiguous() for part in images]
        if classes is None:
            return Source(images[0], test_images=images[1])
        labels = [torch.as_tensor(getattr(part, "targets", getattr(part, "labels", None))).long() for part in parts]
        first = min(part.min().item() for part in labels)  # emnist's letters count from 1
        named = tuple(classes or [str(c) for c in parts[0].classes][first:])
        return Source(images[0], labels[0] - first, images[1], labels[1] - first, named)

    read.__doc__ = about
    return read


def _torchvision_part(name: str, root: Path, split: dict[str, Any]) -> Any:
    import torchvision

    dataset = getattr(torchvision.datasets, name)
    try:
        return dataset(root, **split, download=False)  # a read-only folder is enough if the files are there
    except (RuntimeError, OSError):
        pass
    try:
        return dataset(root, **split, download=True)
    except Exception as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        raise InputError(
            f"dataset: no {name} files for {split} under {root / name}, and no download ({reason}); put torchvision's"
            f" files of {name} there, or name the folder that holds {name}/ by --data-dir or PYROVAE_DATA"
        ) from None


def _stacked(part: Any, size: int | None) -> Tensor:
    """All images of a torchvision set as (N, C, H, W) uint8."""
    data = getattr(part, "data", None)
    if data is None:  # a set of files: read each
        return torch.stack([_square(_pixels_of(image), size) for image, _ in part])
    images = torch.as_tensor(data)
    if images.dim() == 3:
        return images[:, None]
    return images.permute(0, 3, 1, 2).contiguous() if images.shape[-1] == 3 else images


def read_folder(path: Path, image_size: int | None = None) -> Source:
    """Images in a folder, or in one sub-folder per label; resized and cropped to a square if `image_size` is given."""
    from torchvision.datasets.folder import IMG_EXTENSIONS, default_loader

    if not path.is_dir():
        raise InputError(
            f"dataset: expected a folder of images at {path}, got {'a file' if path.exists() else 'nothing'}"
        )
    files = sorted(file for file in path.rglob("*") if file.suffix.lower() in IMG_EXTENSIONS)
    if not files:
        raise InputError(f"dataset: expected images ({', '.join(IMG_EXTENSIONS)}) in {path}, got none")
    depths = {len(file.relative_to(path).parts) for file in files}
    if depths not in ({1}, {2}):
        raise InputError(
            f"dataset: expected all images of {path} in it, or all in one sub-folder per label, got a mixture"
        )
    images = []
    for file in files:
        try:
            images.append(_square(_pixels_of(default_loader(file)), image_size))
        except Exception as error:
            raise InputError(f"dataset: expected an image in {file}, got: {str(error).splitlines()[0]}") from None
    sizes = {tuple(image.shape[1:]) for image in images}
    if len(sizes) > 1:
        raise InputError(f"dataset: expected images of one size or --image-size, got {len(sizes)} sizes in {path}")
    stacked = torch.stack(images)
    if (stacked == stacked[:, :1]).all():  # red, green and blue agree everywhere: grey images
        stacked = stacked[:, :1].contiguous()
    if depths == {1}:
        return Source(stacked)
    names = [file.relative_to(path).parts[0] for file in files]
    classes = tuple(sorted(set(names)))
    return Source(stacked, torch.tensor([classes.index(name) for name in names]), classes=classes)


def _pixels_of(image: Any) -> Tensor:
    """A PIL image as (C, H, W) uint8."""
    pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("L"))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def read_npz(path: Path) -> Source:
    """Arrays `images` and perhaps `labels`; perhaps also `test_images` and `test_labels`."""
    try:
        with np.load(path, allow_pickle=False) as arrays:
            held = {name: arrays[name] for name in arrays.files}
    except Exception as error:
        raise InputError(f"dataset: expected an npz file at {path}, got: {str(error).splitlines()[0]}") from None
    if "images" not in held:
        raise InputError(f"dataset: expected an array 'images' in {path}, got {', '.join(held) or 'no array'}")
    parts = {name: _image_array(held[name], name, path) for name in ("images", "test_images") if name in held}
    labels, classes = _label_arrays(held, parts, path)
    return Source(parts["images"], labels.get("images"), parts.get("test_images"), labels.get("test_images"), classes)


def _image_array(array: np.ndarray, name: str, path: Path) -> Tensor:
    if array.dtype != np.uint8:
        raise InputError(f"dataset: expected {name} of type uint8 (0..255) in {path}, got {array.dtype}")
    if array.ndim == 3:
        array = array[:, None]
    elif array.ndim == 4 and array.shape[-1] in (1, 3):
        array = array.transpose(0, 3, 1, 2)
    if array.ndim != 4 or array.shape[1] not in (1, 3) or 0 in array.shape:
        raise InputError(
            f"dataset: expected {name} of shape (N, H, W), (N, H, W, 3) or (N, 3, H, W) in {path}, got {array.shape}"
        )
    return torch.tensor(np.ascontiguousarray(array))


def _label_arrays(held: dict, parts: dict[str, Tensor], path: Path) -> tuple[dict[str, Tensor], tuple[str, ...]]:
    """Labels of any integers or words, counted from 0 in their order."""
    given = {name: held[name.replace("images", "labels")] for name in parts if name.replace("images", "labels") in held}
    if not given:
        return {}, ()
    if len(given) < len(parts):
        raise InputError(f"dataset: expected labels for images and test_images alike in {path}, got {', '.join(held)}")
    for name, array in given.items():
        if array.shape != (len(parts[name]),) or array.dtype.kind not in "iuU":
            raise InputError(
                f"dataset: expected {len(parts[name])} integers or words as labels of {name} in {path},"
                f" got shape {array.shape} of type {array.dtype}"
            )
    names = np.unique(np.concatenate(list(given.values())))
    return {k: torch.tensor(np.searchsorted(names, v)) for k, v in given.items()}, tuple(str(n) for n in names)


def _resized(source: Source, size: int | None) -> Source:
    if size is None:
        return source
    test = None if source.test_images is None else _square(source.test_images, size)
    return Source(_square(source.images, size), source.labels, test, source.test_labels, source.classes)


def _square(images: Tensor, size: int | None) -> Tensor:
    """Resize the shorter side to `size` and crop the centre."""
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms.v2 import functional

    return functional.center_crop(functional.resize(images, [size], antialias=True), [size])


_TRAIN_TEST = ({"train": True}, {"train": False})
DATASETS: dict[str, Callable[[Path], Source]] = {
    "digits": read_digits,
    "mnist": torchvision_set("MNIST", "70,000 handwritten digits, 28×28.", *_TRAIN_TEST, classes=DIGITS),
    "fashion": torchvision_set("FashionMNIST", "70,000 garments, 28×28.", *_TRAIN_TEST, classes=GARMENTS),
    "kmnist": torchvision_set("KMNIST", "70,000 cursive Japanese characters, 28×28.", *_TRAIN_TEST),
    "emnist": torchvision_set(
        "EMNIST",
        "131,600 handwritten digits and letters in 47 classes, 28×28.",
        *({"split": "balanced"} | part for part in _TRAIN_TEST),
        upright=False,
    ),
    "cifar10": torchvision_set("CIFAR10", "60,000 colour photographs in 10 classes, 32×32.", *_TRAIN_TEST),
    "svhn": torchvision_set(
        "SVHN", "99,289 house numbers in colour, 32×32.", {"split": "train"}, {"split": "test"}, classes=DIGITS
    ),
    # Its test characters are not among its training characters, so labels would say nothing.
    "omniglot": torchvision_set(
        "Omniglot",
        "32,460 handwritten characters of 50 alphabets, 28×28, without labels.",
        {"background": True},
        {"background": False},
        classes=None,
        size=28,
    ),
}
