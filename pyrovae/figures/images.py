"""Figures of images: reconstructed, generated, and decoded from chosen codes."""

from collections.abc import Mapping

import torch
from matplotlib.figure import Figure
from torch import Tensor

from pyrovae.data.data import Data
from pyrovae.evaluation.latents import code_means, kl_per_dimension
from pyrovae.figures.names import labels
from pyrovae.figures.style import (
    CELL,
    INK,
    UNSEEN,
    Unfit,
    cell_size,
    drawable,
    expect_code,
    image_figure,
    new_figure,
    of_images,
    show_mosaic,
    shown,
)
from pyrovae.inference.effects import mean_of
from pyrovae.parts.contexts import Quadrants
from pyrovae.program import Program

MOST_ROWS = 60  # the most rows of labels
MOST_DIMENSIONS = 12


@of_images
def reconstructions(vae: Program, data: Data) -> Figure:
    """Draw test images, each with its reconstruction below."""
    columns, pairs = min(10, len(data.test)), max(1, min(3, len(data.test) // 10))
    x, labels = data.batch(data.test, slice(0, columns * pairs))
    above, below = shown(data, x), shown(data, vae.reconstruct(x, vae.given(x, labels)))
    images = torch.stack([part.unflatten(0, (pairs, columns)) for part in (above, below)], 1).flatten(0, 2)
    return image_figure(
        images, columns, "Test images and their reconstructions", ["original", "reconstruction"] * pairs
    )


@of_images
def samples(vae: Program, data: Data) -> Figure:
    """Draw the mean of p(x | z, y) for 64 codes z from the prior; y are all labels in turn, or parts of test images."""
    side = 8
    y, title = None, "Samples from the prior"
    if vae.labels is not None:
        y, title = torch.arange(side**2) * len(data.classes) // side**2, "Samples, labels in turn"
    elif isinstance(vae.context, Quadrants):
        rows = torch.arange(side**2) % len(data.test)
        y, title = data.batch(data.test, rows).x, "Samples given the seen quadrants of test images"
    return image_figure(shown(data, vae.generate(side**2, y)), side, title)


@of_images
def manifold(vae: Program, data: Data) -> Figure:
    """Decode a 20×20 grid of two-dimensional codes over [−3, 3]²."""
    expect_code("manifold", vae)
    if vae.context is not None or vae.labels is not None:
        raise Unfit("figure manifold: expected an unconditional model, got a conditional one")
    if (dimensions := _dimensions(vae, data)) != 2:
        raise Unfit(f"figure manifold: expected two latent dimensions, got {dimensions}")
    side, reach = 20, 3.0
    steps = torch.linspace(-reach, reach, side)
    z2, z1 = torch.meshgrid(steps.flip(0), steps, indexing="ij")  # z2 grows upwards
    images = drawable(shown(data, vae.decode(torch.stack([z1, z2], -1).flatten(0, 1))))
    figure, axes = new_figure(6.4, 6.4)
    show_mosaic(axes[0, 0], images, side)
    height, width = cell_size(images.shape[-2:])
    ticks = {"−3": -3, "−2": -2, "−1": -1, "0": 0, "1": 1, "2": 2, "3": 3}
    places = [(tick + reach) / (2 * reach) * (side - 1) + 0.5 for tick in ticks.values()]  # measured in cells
    axes[0, 0].set_xticks([p * width - 0.5 for p in places], ticks)
    axes[0, 0].set_yticks([(side - p) * height - 0.5 for p in places], ticks)
    axes[0, 0].set(xlabel="$z_1$", ylabel="$z_2$")
    axes[0, 0].set_title("Decoded grid of codes", fontsize=11, color=INK)
    return figure


def progress(progress: Mapping[str, Tensor]) -> Figure:
    """Draw the same test images as they were reconstructed after more and more epochs."""
    if len(progress) < 2:
        raise Unfit("figure progress: expected reconstructions of recorded epochs, got none")
    rows = ["original" if name == "original" else f"epoch {name}" for name in progress]
    images = torch.cat(list(progress.values()))
    return image_figure(images, len(progress["original"]), "The same images, epoch by epoch", rows)


@of_images
def interpolations(vae: Program, data: Data) -> Figure:
    """Decode straight lines between the codes of two test images; given labels, of two images with the same label."""
    expect_code("interpolations", vae)
    if isinstance(vae.context, Quadrants):
        raise Unfit("figure interpolations: expected a model that is not given quadrants, got one")
    starts, ends = _pairs(vae, data)
    if not len(starts):
        raise Unfit("figure interpolations: expected two test images (of one label, given labels), got fewer")
    (x0, labels), (x1, _) = data.batch(data.test, starts), data.batch(data.test, ends)
    y = vae.most_likely(x0, labels)
    steps = torch.linspace(0, 1, 11)
    z0, z1 = (mean_of(vae.encode(x, y)).cpu() for x in (x0, x1))
    z = torch.lerp(z0[:, None], z1[:, None], steps[None, :, None])  # (rows, steps, latent)
    between = vae.decode(z.flatten(0, 1), None if y is None else y.repeat_interleave(len(steps), 0))
    between = shown(data, between).unflatten(0, z.shape[:2])
    images = torch.cat([shown(data, x0)[:, None], between, shown(data, x1)[:, None]], 1)
    heads = ["from", *(f"{step:.2g}" for step in steps.tolist()), "to"]
    return image_figure(images.flatten(0, 1), len(heads), "Between two test images", column_labels=heads)


@of_images
def traversals(vae: Program, data: Data) -> Figure:
    """Decode the code of a test image with one dimension at a time moved from −3 to 3; the largest KL comes first."""
    expect_code("traversals", vae)
    if isinstance(vae.context, Quadrants):
        raise Unfit("figure traversals: expected a model that is not given quadrants, got one")
    x, labels = data.batch(data.test, slice(0, 1))
    y = vae.most_likely(x, labels)
    code = mean_of(vae.encode(x, y)).cpu()
    kl = kl_per_dimension(vae, data, data.test) if vae.has_kl else None
    amounts = _variances(code_means(vae, data, data.test)) if kl is None else kl
    chosen = amounts.sort(descending=True).indices[:MOST_DIMENSIONS]
    steps = torch.linspace(-3, 3, 13)
    z = code.repeat(len(chosen), len(steps), 1)  # (dimensions, steps, latent)
    z[torch.arange(len(chosen))[:, None], torch.arange(len(steps)), chosen[:, None]] = steps
    z = z.flatten(0, 1)
    images = shown(data, vae.decode(z, None if y is None else y.expand(len(z), -1)))
    measure = "variance" if kl is None else "KL"
    name = "{}[{}]" if (vae.code or "")[-1:].isdigit() else "{}{}"  # z2[11] is no z211
    rows = [f"{name.format(vae.code, d + 1)}  {measure} {amounts[d]:.2f}" for d in chosen.tolist()]
    heads = [f"{step:g}".replace("-", "−") for step in steps.tolist()]
    return image_figure(images, len(steps), "One dimension of a code moved at a time", rows, heads)


@of_images
def conditions(vae: Program, data: Data) -> Figure:
    """Decode each of ten codes with each label: one label per row, one code (a style) per column."""
    expect_code("conditions", vae)
    if vae.labels is None:
        raise Unfit("figure conditions: expected a model that is given labels, or infers them, got another")
    classes, styles = data.classes[:MOST_ROWS], 10
    z = torch.randn(styles, _dimensions(vae, data))
    y = torch.arange(len(classes)).repeat_interleave(styles)
    images = shown(data, vae.decode(z.repeat(len(classes), 1), y))
    left_out = f" (the first {len(classes)} of {len(data.classes)})" if len(classes) < len(data.classes) else ""
    return image_figure(images, styles, f"One label per row{left_out}, one style per column", labels(classes))


@of_images
def completions(vae: Program, data: Data) -> Figure:
    """Draw the part of a test image that the model is given, several completions of it, and the whole image."""
    if not isinstance(vae.context, Quadrants):
        raise Unfit(
            "figure completions: expected a model that is given quadrants (condition = 'quadrant1', ...), got another"
        )
    rows, draws = min(10, len(data.test)), 6
    x = data.batch(data.test, slice(0, rows)).x
    truth = shown(data, x).expand(-1, 3, -1, -1)
    seen = torch.where(vae.context.seen.cpu(), truth, torch.tensor(UNSEEN)[:, None, None])
    completed = [shown(data, vae.complete(x)).expand(-1, 3, -1, -1) for _ in range(draws)]
    heads = ["seen", *map(str, range(1, draws + 1)), "truth"]
    images = torch.stack([seen, *completed, truth], 1)  # (rows, columns, 3, H, W)
    return image_figure(images.flatten(0, 1), len(heads), "Completions", column_labels=heads, cell=CELL)


def square_figure(images: Tensor) -> Figure:
    """Draw images (n, C, H, W) in [0, 1] in about as many rows as columns, without a title."""
    columns = max(1, round(len(images) ** 0.5))
    blank = images.new_ones((-len(images)) % columns, *images.shape[1:])
    return image_figure(torch.cat([images, blank]), columns, "")


def _variances(codes: Tensor) -> Tensor:
    """Compute the variance of each dimension of the codes; 0 for a single code."""
    return codes.var(0, correction=min(1, len(codes) - 1))


def _dimensions(vae: Program, data: Data) -> int:
    x, labels = data.batch(data.test, slice(0, 1))
    return vae.encode(x, vae.given(x, labels)).event_shape[0]


def _pairs(vae: Program, data: Data, rows: int = 8) -> tuple[Tensor, Tensor]:
    """Choose pairs of test images: neighbours in the test set or, given labels, the first two of each label."""
    rows = min(rows, len(data.test) // 2)
    labels = data.test.labels
    if labels is None or vae.labels is None:
        return torch.arange(rows) * 2, torch.arange(rows) * 2 + 1
    first_two = [(labels == label).nonzero()[:2, 0] for label in range(len(data.classes))]
    pairs = [pair for pair in first_two if len(pair) == 2][:MOST_ROWS]
    starts, ends = torch.stack(pairs, 1) if pairs else torch.empty(2, 0, dtype=torch.long)
    return starts, ends
