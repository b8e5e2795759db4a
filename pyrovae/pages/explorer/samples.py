"""Chooses what the page shows of a run's data: test images with their codes, pictures to pick, draws from the prior."""

import math
from dataclasses import dataclass

import torch
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.data.images import Images
from pyrovae.errors import InputError, reason
from pyrovae.evaluation.latents import code_means, kl_per_dimension
from pyrovae.pages.explorer.export import Calibration, PictureModel
from pyrovae.parts.contexts import Quadrants
from pyrovae.program import Program

MOST_CODES = 2000
MOST_PICTURES, MOST_PIXELS = 120, 400_000  # the most pictures to pick, and about the most pixels in all of them
PRIOR_DRAWS = 120


@dataclass(frozen=True)
class EncodedImages:
    """Test images and their codes, and how much each latent dimension says about an image."""

    images: Images
    codes: Tensor  # (n, latent), the means of q(z | x, y)
    order: list[int]  # the dimensions, the one that says most first
    measure: str  # what `amounts` are
    amounts: Tensor  # (latent,)


def encode_images(vae: Program, data: Data) -> EncodedImages:
    """Encode up to 2,000 test images. Raises `InputError` if their codes are not finite, or if there are none."""
    if vae.code is None:
        raise InputError("explore: expected a program whose code is a vector, got one without")
    images = evenly_spaced(data.test, MOST_CODES)
    try:
        codes = code_means(vae, data, images)
        amounts = kl_per_dimension(vae, data, images) if vae.has_kl else None
    except ValueError as error:  # a distribution refuses parameters that are not numbers
        raise InputError(f"explore: expected a model that encodes test images, got: {reason(error)}") from None
    if not codes.isfinite().all():
        raise InputError("explore: expected a model that encodes test images, got codes that are not finite")
    measure = "variance of the codes" if amounts is None else "KL"
    if amounts is None:
        amounts = codes.var(0, correction=min(1, len(codes) - 1))
    return EncodedImages(images, codes, amounts.sort(descending=True).indices.tolist(), measure, amounts)


def evenly_spaced(images: Images, most: int) -> Images:
    """Take at most `most` images, spaced evenly over the set."""
    rows = torch.linspace(0, len(images) - 1, min(most, len(images))).round().long()
    return images.take(rows)


def pictures_to_pick(data: Data) -> Images:
    """Choose the test images that the page offers: one of each label, then a second one of each, and so on."""
    most = min(MOST_PICTURES, max(8, MOST_PIXELS // math.prod(data.shape)))
    images = evenly_spaced(data.test, 20 * most)
    if images.known().any():
        images = images[images.known()]
    if images.labels is None or not images.known().all():
        return images[slice(0, most)]
    count: dict[int, int] = {}
    ranks = []
    for label in images.labels.tolist():
        count[label] = count.get(label, 0) + 1
        ranks.append((count[label], label))
    chosen = sorted(range(len(ranks)), key=ranks.__getitem__)[:most]
    return images[torch.tensor(chosen)]


def draw_codes(vae: Program, data: Data, pictures: Images) -> tuple[Tensor, list[int] | None]:
    """Draw codes (n, latent) from the prior; with a context, also return the label or the picture of each draw."""
    y, numbers = _draw_contexts(vae, data, pictures)
    return vae.draw_codes(PRIOR_DRAWS if y is None else len(y), y), numbers


def _draw_contexts(vae: Program, data: Data, pictures: Images) -> tuple[Tensor | None, list[int] | None]:
    """Return contexts to draw for, all labels in turn or all pictures twice, and the label or the picture of each."""
    if vae.labels is not None:
        labels = torch.arange(max(PRIOR_DRAWS, 2 * len(data.classes))) % len(data.classes)
        return vae.labels(labels), labels.tolist()
    if vae.context is None:
        return None, None
    rows = torch.arange(2 * len(pictures)) % len(pictures)
    return vae.context(data.pixels.read(pictures.images.to_dense()))[rows], rows.tolist()


def shown_range(codes: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Return where the shown range of each dimension begins and ends: nearly all codes and draws, and a margin."""
    ends = [torch.stack([torch.quantile(part, end, 0) for end in (0.01, 0.99)]) for part in (codes, draws)]
    low, high = torch.minimum(ends[0][0], ends[1][0]), torch.maximum(ends[0][1], ends[1][1])
    margin = 0.12 * (high - low) + 1e-3
    return low - margin, high + margin


def calibration_of(
    model: PictureModel,
    data: Data,
    pictures: Images,
    encoded: EncodedImages,
    draws: Tensor,
    shown: tuple[Tensor, Tensor],
    most: int,
) -> Calibration:
    """Choose inputs like those that a reader of the page will try, about `most` of each kind.

    The codes are those of images, draws from the prior, places of the plane, and places anywhere in the shown range,
    which the sliders reach. Pictures are also moved aside, because somebody may draw anywhere.
    """
    low, high = shown
    places, plane = encoded.codes[:most].clone(), encoded.order[:2]
    anywhere = low + (high - low) * torch.rand(len(places), len(low))
    places[:, plane] = anywhere[:, plane]
    z = torch.cat([encoded.codes[:most], draws[:most], places, anywhere])
    u = pictures.images.to_dense().cpu().float() / 255
    height, width = u.shape[2:]
    u = torch.cat([u, u[:most].roll((height // 4, -(width // 4)), (2, 3))])
    if isinstance(model.vae.context, Quadrants):
        return Calibration({"z": z, "u": u[torch.arange(len(z)) % len(u)]}, {"u": u})
    if model.vae.labels is None:
        return Calibration({"z": z}, {"u": u})
    labels: Tensor = pictures.labels.cpu()  # type: ignore[union-attr]  # a model of labels has data with labels
    y = model.vae.labels(torch.arange(len(z)) % len(data.classes))
    return Calibration({"z": z, "y": y}, {"u": u, "y": model.vae.labels(torch.cat([labels, labels[:most]]))})
