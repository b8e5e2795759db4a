"""The data of the page: everything that its scripts read, apart from the numbers in the store."""

import json
from dataclasses import asdict, dataclass

import torch
from matplotlib.colors import to_hex
from torch import Tensor

from pyrovae.data.images import Images
from pyrovae.evaluation.latents import has_standard_prior
from pyrovae.figures.style import colours
from pyrovae.inference import seeded
from pyrovae.pages.explorer.export import ExportedProgram, PictureModel, export
from pyrovae.pages.explorer.rounding import Rounded
from pyrovae.pages.explorer.samples import (
    EncodedImages,
    calibration_of,
    draw_codes,
    encode_images,
    pictures_to_pick,
    shown_range,
)
from pyrovae.pages.explorer.store import Store, Stored
from pyrovae.parts.contexts import Quadrants
from pyrovae.runs.run import Run

MOST_AXES = 24  # latent dimensions that the plane can show
TRIALS = 48  # inputs of each kind that the weights are rounded for
FINE = 2**11  # codes are stored in this many steps on either side of 0


@dataclass(frozen=True)
class LatentSpace:
    """The dimensions of the code. Lists of numbers have one entry for each dimension, in the order of the code."""

    dimensions: int
    order: list[int]  # the dimensions, the one that says most about an image first
    axes: list[int]  # the dimensions that the plane can show, in the same order
    measure: str  # what `amounts` are: "KL", or a variance for a plain autoencoder
    amounts: list[float]
    low: list[float]  # where the shown range begins
    high: list[float]  # and where it ends
    centre: list[float]  # the mean of the test images' codes
    standard_normal: bool  # whether the prior is N(0, I), for which the plane shows circles


@dataclass(frozen=True)
class Labelled:
    """Codes or pictures in the store, and their labels (int32) if there are any."""

    values: Stored
    labels: Stored | None


@dataclass(frozen=True)
class PriorDraws:
    """Codes drawn from the prior, (n, latent)."""

    values: Stored
    contexts: list[int] | None  # the label, or the number of the picture, that each was drawn for


@dataclass(frozen=True)
class Contents:
    """What the scripts of the page know about a run."""

    shape: tuple[int, ...]  # of a picture: channels, height, width
    binary: bool  # whether the model reads pixels that are 0 or 1
    condition: str  # what the model is conditioned on: "none", "labels" or "images"
    seen: Stored | None  # 1 where a model of quadrants sees the picture, (C, H, W)
    classes: list[str]  # names of the labels
    colours: list[str]  # one for each class, as #rrggbb
    latent: LatentSpace
    codes: Labelled  # of test images, (axes, n): one row for each axis that the plane can show
    pictures: Labelled  # test images to pick, (n, C, H, W), uint8
    draws: PriorDraws
    decoder: ExportedProgram
    encoder: ExportedProgram

    def as_json(self) -> str:
        """Return JSON for a script element of the page. It has no `<`, so that no text in it can close the element."""
        return json.dumps(asdict(self), separators=(",", ":"), allow_nan=False).replace("<", "\\u003c")


def contents_of(run: Run, store: Store, trials: int = TRIALS) -> Contents:
    """Gather the contents of a run's page; arrays go to `store`. Rounding is tried on `trials` inputs of each kind.

    Raises `InputError` for a model that does not encode or decode to finite numbers, or that the page cannot run.
    """
    vae, data = run.vae, run.data
    with seeded(run.config.seed):
        encoded = encode_images(vae, data)
        pictures = pictures_to_pick(data)
        draws, draw_contexts = draw_codes(vae, data, pictures)
        low, high = shown_range(encoded.codes, draws)
        model = PictureModel(vae, data.pixels)
        calibration = calibration_of(model, data, pictures, encoded, draws, (low, high), trials)
    decoder, encoder = export(model, store, run.config.seed, calibration)
    latent = _latent_space(encoded, low, high, has_standard_prior(vae, data))
    return Contents(
        shape=data.shape,
        binary=data.pixels.protocol in ("dynamic", "static", "threshold"),
        condition="labels" if vae.labels else vae.context.reads if vae.context else "none",
        seen=store.put(vae.context.seen.byte().numpy()) if isinstance(vae.context, Quadrants) else None,
        classes=[*run.classes],
        colours=[to_hex(colour) for colour in colours(max(1, len(run.classes)))],
        latent=latent,
        codes=Labelled(store.put_rounded(_fine(encoded.codes[:, latent.axes].T)), _labels(encoded.images, store)),
        pictures=Labelled(store.put(pictures.images.to_dense().cpu().numpy()), _labels(pictures, store)),
        draws=PriorDraws(store.put_rounded(_fine(draws)), draw_contexts),
        decoder=decoder,
        encoder=encoder,
    )


def _latent_space(encoded: EncodedImages, low: Tensor, high: Tensor, standard_normal: bool) -> LatentSpace:
    return LatentSpace(
        dimensions=len(encoded.order),
        order=encoded.order,
        axes=encoded.order[:MOST_AXES],
        measure=encoded.measure,
        amounts=encoded.amounts.tolist(),
        low=low.tolist(),
        high=high.tolist(),
        centre=encoded.codes.mean(0).tolist(),
        standard_normal=standard_normal,
    )


def _labels(images: Images, store: Store) -> Stored | None:
    return None if images.labels is None or not images.known().all() else store.put(images.labels.cpu().int().numpy())


def _fine(numbers: Tensor) -> Rounded:
    """Round a matrix finely, with a step for each row."""
    steps = (numbers.abs().amax(1) / FINE).clamp_min(1e-30)
    multiples = (numbers / steps[:, None]).round().long()
    return Rounded(steps, torch.ones(numbers.shape[1]), multiples, numbers.shape)
