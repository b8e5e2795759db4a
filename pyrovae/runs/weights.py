"""What a run saves of its model: weights with a description of their images, and pictures of its progress."""

import json
from collections.abc import Mapping
from dataclasses import asdict
from typing import cast

import torch
from safetensors.torch import save
from torch import Tensor

from pyrovae import __version__
from pyrovae.data.data import Data
from pyrovae.data.pixels import Moment, Pixels
from pyrovae.parts.kinds import Kind
from pyrovae.runs.schema import About, KindOfColumn
from pyrovae.training.fit import Fit

PROGRESS_EPOCHS = (1, 3, 5, 10, 20, 30, 40, 50)  # epochs whose reconstructions are kept, beside the last one


def weights_of(fit: Fit) -> bytes:
    """Return the content of model.safetensors: the weights, and a description of the data as metadata."""
    pixels = fit.data.pixels
    about: About = {
        "shape": list(fit.data.shape),
        "classes": list(fit.data.classes),
        "pixels": {"protocol": pixels.protocol, "mean": _listed(pixels.mean), "std": _listed(pixels.std)},
        "version": __version__,
    }
    if fit.data.missing:
        about["missing"] = True
    if fit.data.columns:
        about["columns"] = list(fit.data.columns)
    if fit.data.kinds:
        about["kinds"] = [_described(kind) for kind in fit.data.kinds]
    if fit.data.conditions:
        about["conditions"] = {name: _described(kind) for name, kind in fit.data.conditions.items()}
    weights = {name: tensor.contiguous() for name, tensor in fit.vae.state_dict().items()}
    return save(weights, {"pyrovae": json.dumps(about)})


def pixels_of(about: About) -> Pixels:
    """Return the pixel protocol that the metadata of weights describe."""
    pixels = about["pixels"]
    mean, std = (tuple(each) if isinstance(each, list) else each for each in (pixels["mean"], pixels["std"]))
    return Pixels(pixels["protocol"], mean, std)


def kinds_of(about: About) -> tuple[Kind, ...]:
    """Return the kinds of a table's columns that the metadata of weights describe."""
    return tuple(_kind(kind) for kind in about.get("kinds", ()))


def conditions_of(about: About) -> dict[str, Kind]:
    """Return the columns that the model is given, by name, with their kinds."""
    return {name: _kind(kind) for name, kind in about.get("conditions", {}).items()}


def _described(kind: Kind) -> KindOfColumn:
    return cast(KindOfColumn, asdict(kind))


def _kind(kind: KindOfColumn) -> Kind:
    return Kind(kind["kind"], kind["likelihood"], tuple(kind["categories"]), kind["mean"], kind["std"])


def progress_of(previous: Mapping[str, Tensor], epoch: int, fit: Fit) -> bytes:
    """Return the content of progress.safetensors: the pictures of `previous` epochs and of this one, as uint8.

    Those of `previous` epochs are numbers in [0, 1].
    """
    x, labels = fit.data.batch(fit.data.test, shown_rows(fit.data))
    shown = fit.data.pixels.shown
    reconstructed = shown(fit.vae.reconstruct(x, fit.vae.given(x, labels)))
    images = {**previous, "original": shown(x), str(epoch): reconstructed}
    return save({name: (image * 255).round().byte().cpu().contiguous() for name, image in images.items()})


def shown_rows(data: Data, n: int = 10) -> Tensor:
    """Return the rows of the test images to show: the first image of each class, or else the first `n`."""
    labels = data.test.labels
    if labels is None or len(data.classes) > n or not data.test.known().any():
        return torch.arange(min(n, len(data.test)))
    return torch.tensor([int((labels == label).nonzero()[0]) for label in labels.unique() if label >= 0])


def _listed(moment: Moment) -> float | list[float]:
    return [*moment] if isinstance(moment, tuple) else moment
