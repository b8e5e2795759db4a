"""What a training leaves of its model: weights that say what images they are for, and pictures of its progress."""

import json
from collections.abc import Mapping
from dataclasses import dataclass
from pathlib import Path

import torch
from safetensors.torch import save
from torch import Tensor

from pyrovae import __version__
from pyrovae.data.data import Data
from pyrovae.data.pixels import Pixels
from pyrovae.errors import InputError
from pyrovae.runs.schema import read_about
from pyrovae.training.fit import Fit


@dataclass(frozen=True)
class About:
    """What weights say of the images (C, H, W) that they were trained on, and of the version that wrote them."""

    shape: tuple[int, int, int]
    classes: tuple[str, ...]
    pixels: Pixels
    version: str


def weights_of(fit: Fit) -> bytes:
    """The content of a safetensors file."""
    about = {"shape": fit.data.shape, "classes": fit.data.classes, "pixels": vars(fit.data.pixels)}
    weights = {name: tensor.contiguous() for name, tensor in fit.vae.state_dict().items()}
    return save(weights, {"pyrovae": json.dumps(about | {"version": __version__})})


def about_weights(path: Path) -> About:
    """What such a file says, without its weights."""
    about = read_about(path)
    version = about.get("version", __version__)  # weights of the first 0.1.0 do not tell it
    return About(tuple(about["shape"]), tuple(about["classes"]), Pixels(**about["pixels"]), version)


def check_version(version: str, where: Path) -> None:
    """0.1.x reads what any 0.1.x wrote."""
    known = __version__.split(".")[:2]
    if str(version).split(".")[:2] != known:  # a file may hold anything
        raise InputError(f"run: expected a run of pyrovae {'.'.join(known)}, got one of {version} at {where}")


def pictures_of(before: Mapping[str, Tensor], epoch: int, fit: Fit) -> bytes:
    """The content of a safetensors file: images in [0, 1] of the epochs before, and of this one, as bytes."""
    x, labels = fit.data.batch(fit.data.test, exhibits(fit.data))
    to_unit = fit.data.pixels.to_unit
    reconstructed = to_unit(fit.vae.reconstruct(x, fit.vae.given(x, labels)))
    images = {**before, "original": to_unit(x), str(epoch): reconstructed}
    return save({name: (image * 255).round().byte().cpu().contiguous() for name, image in images.items()})


def exhibits(data: Data, n: int = 10) -> Tensor:
    """Rows of the test images to show: the first of each class, or the first n."""
    labels = data.test.labels
    if labels is None or len(data.classes) > n:
        return torch.arange(min(n, len(data.test)))
    return torch.tensor([int((labels == label).nonzero()[0]) for label in labels.unique()])
