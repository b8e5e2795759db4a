"""What the page shows of a run: its model as programs, test images and their codes, and draws from the prior."""

from dataclasses import dataclass
from typing import Any

import torch
from torch import Tensor

from pyrovae.data.data import Data, Images
from pyrovae.errors import InputError, reason
from pyrovae.evaluation.latents import code_means, kl_per_dimension
from pyrovae.inference import seeded
from pyrovae.pages.explorer.export import Asked, export
from pyrovae.pages.explorer.rounding import Rounded
from pyrovae.pages.explorer.store import Store
from pyrovae.parts.contexts import Label, Quadrants
from pyrovae.parts.priors.standard import Normal
from pyrovae.vae import VAE

MOST_CODES = 2000
MOST_AXES = 24  # latent dimensions that the plane may show
PICTURES, PIXELS = 120, 400_000  # test images to pick from, and how many pixels they may have together, about
DRAWS = 120
TRIED = 48  # codes, draws and places of the plane that rounding is tried on, of each so many
FINE = 2**11  # steps on either side of 0 in which codes are held


@dataclass(frozen=True)
class Shown:
    """Test images, their codes, and for each latent dimension where they lie and how much it says."""

    images: Images
    codes: Tensor  # (n, latent)
    order: list[int]  # of the dimensions, the one that says most first
    measure: str  # of how much
    amounts: Tensor  # (latent,)


def contents(run: Any, store: Store) -> dict[str, Any]:
    """All that the page needs, but for words; arrays lie in `store`."""
    vae, data = run.vae, run.data
    with seeded(run.config.seed):
        shown = _shown(vae, data)
        pictures = _pictures(data)
        y, contexts = _contexts(vae, data, pictures)
        with torch.no_grad():
            prior = vae.prior(y)
            draws = prior.expand(torch.Size([DRAWS if y is None else len(y)])).sample()
    low, high = _ranges(shown.codes, draws)
    asked = Asked(vae, data.pixels)
    tried = _tried(asked, data, pictures, shown, draws, low, high)
    axes = shown.order[:MOST_AXES]
    return {
        "shape": data.shape,
        "latent": len(shown.order),
        "binary": data.pixels.protocol in ("dynamic", "static", "threshold"),
        "condition": vae.context.reads if vae.context else "none",
        "seen": store.put(vae.context.seen.byte().numpy()) if isinstance(vae.context, Quadrants) else None,
        "normal": isinstance(vae.prior, Normal) and vae.has_kl,
        "order": shown.order,
        "measure": shown.measure,
        "amounts": shown.amounts.tolist(),
        "low": low.tolist(),
        "high": high.tolist(),
        "centre": shown.codes.mean(0).tolist(),
        "axes": axes,
        "codes": store.put_rounded(_fine(shown.codes[:, axes].T)),
        "labels": _labels(shown.images, store),
        "pictures": store.put(pictures.images.cpu().numpy()),
        "picture_labels": _labels(pictures, store),
        "draws": store.put_rounded(_fine(draws)),
        "draw_contexts": contexts,
        **export(asked, store, run.config.seed, *tried),
    }


def _shown(vae: VAE, data: Data) -> Shown:
    images = _spread(data.test, MOST_CODES)
    try:
        codes = code_means(vae, data, images)
        amounts = kl_per_dimension(vae, data, images) if vae.has_kl else None
    except ValueError as error:  # a distribution was given what is no number
        raise InputError(f"explore: expected a model that encodes test images, got: {reason(error)}") from None
    if not codes.isfinite().all():
        raise InputError("explore: expected a model that encodes test images, got codes that are not finite")
    measure = "variance of the codes" if amounts is None else "KL"
    if amounts is None:
        amounts = codes.var(0, correction=min(1, len(codes) - 1))
    return Shown(images, codes, amounts.sort(descending=True).indices.tolist(), measure, amounts)


def _spread(images: Images, most: int) -> Images:
    """At most so many images, from all over the set."""
    rows = torch.linspace(0, len(images) - 1, min(most, len(images))).round().long()
    return images.take(rows)


def _pictures(data: Data) -> Images:
    """Test images to pick from: one of each label, then another one of each, and so on."""
    most = min(PICTURES, max(8, PIXELS // data.test.images[0].numel()))
    images = _spread(data.test, 20 * most)
    if images.labels is None:
        return images[slice(0, most)]
    before: dict[int, int] = {}
    ranks = []
    for label in images.labels.tolist():
        before[label] = before.get(label, 0) + 1
        ranks.append((before[label], label))
    chosen = sorted(range(len(ranks)), key=ranks.__getitem__)[:most]
    return images[torch.tensor(chosen)]


def _contexts(vae: VAE, data: Data, pictures: Images) -> tuple[Tensor | None, list[int] | None]:
    """What draws from the prior are given: labels in turn, or the pictures twice; and which ones these are."""
    if vae.context is None:
        return None, None
    if isinstance(vae.context, Label):
        labels = torch.arange(max(DRAWS, 2 * len(data.classes))) % len(data.classes)
        return vae.context(labels), labels.tolist()
    rows = torch.arange(2 * len(pictures)) % len(pictures)
    return vae.context(data.pixels.read(pictures.images))[rows], rows.tolist()


def _ranges(codes: Tensor, draws: Tensor) -> tuple[Tensor, Tensor]:
    """Between what each dimension is shown."""
    ends = [torch.stack([torch.quantile(part, end, 0) for end in (0.01, 0.99)]) for part in (codes, draws)]
    low, high = torch.minimum(ends[0][0], ends[1][0]), torch.maximum(ends[0][1], ends[1][1])
    room = 0.12 * (high - low) + 1e-3
    return low - room, high + room


def _tried(
    asked: Asked, data: Data, pictures: Images, shown: Shown, draws: Tensor, low: Tensor, high: Tensor
) -> tuple[Tensor, dict[str, Tensor], dict[str, Tensor]]:
    """Codes, what they are decoded with, and pictures with what they are encoded with."""
    places, plane = shown.codes[:TRIED].clone(), shown.order[:2]
    anywhere = low + (high - low) * torch.rand(len(places), len(low))  # as sliders may lead to
    places[:, plane] = anywhere[:, plane]
    codes = torch.cat([shown.codes[:TRIED], draws[:TRIED], places, anywhere])
    units = pictures.images.cpu().float() / 255
    height, width = units.shape[2:]  # pictures in other places, too, as those that are drawn may be anywhere
    units = torch.cat([units, units[:TRIED].roll((height // 4, -(width // 4)), (2, 3))])
    rows = torch.arange(len(codes)) % len(units)
    if asked.vae.context is None:
        return codes, {}, {"u": units}
    if isinstance(asked.vae.context, Quadrants):
        return codes, {"u": units[rows]}, {"u": units}
    y = asked.vae.context(torch.arange(len(codes)) % len(data.classes))
    labels: Tensor = pictures.labels.cpu()  # type: ignore[union-attr]
    return codes, {"y": y}, {"u": units, "y": asked.vae.context(torch.cat([labels, labels[:TRIED]]))}


def _labels(images: Images, store: Store) -> dict[str, Any] | None:
    return None if images.labels is None else store.put(images.labels.cpu().int().numpy())


def _fine(numbers: Tensor) -> Rounded:
    """Each row in its own steps."""
    steps = (numbers.abs().amax(1) / FINE).clamp_min(1e-30)
    whole = (numbers / steps[:, None]).round().long()
    return Rounded(steps, torch.ones(numbers.shape[1]), whole, numbers.shape)
