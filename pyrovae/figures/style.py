"""The style of all figures, and mosaics: images side by side in one array."""

import io
import math
from collections.abc import Callable, Sequence
from functools import wraps
from typing import Any, TypeVar

import numpy as np
import torch
from matplotlib import colormaps, rc_context
from matplotlib.axes import Axes
from matplotlib.figure import Figure
from matplotlib.layout_engine import ConstrainedLayoutEngine
from matplotlib.typing import ColorType
from torch import Tensor
from torch.nn import functional as F

from pyrovae.data.data import Data
from pyrovae.errors import InputError
from pyrovae.figures.names import families
from pyrovae.program import Program

TRAIN, TEST, VALIDATION = "#4C78A8", "#E45756", "#8C8C8C"
INK, PALE = "#333333", "#B0B0B0"
UNSEEN = (0.80, 0.87, 0.94)  # a light blue, which no grey image contains, for pixels that are not there
LABELS = ["#4C78A8", "#F58518", "#54A24B", "#E45756", "#72B7B2", "#B279A2", "#9D755D", "#EECA3B", "#FF9DA6", "#5F5F5F"]
STYLE: dict[Any, Any] = {
    "font.size": 10,
    "axes.titlesize": 11,
    "axes.edgecolor": PALE,
    "axes.labelcolor": INK,
    "axes.spines.top": False,
    "axes.spines.right": False,
    "text.color": INK,
    "xtick.color": INK,
    "ytick.color": INK,
    "grid.color": "#E6E6E6",
    "legend.frameon": False,
}
DPI, DENSITY = 150, 1.5  # of a figure: pixels per inch, and per pixel of a page that shows it
CELL = 0.5  # the width of one image in a mosaic, in inches
MOST_PIXELS, MOST_RATIO = 256, 4  # of a drawn image: the longer side, and its ratio to the shorter one
Drawing = TypeVar("Drawing", bound=Callable[..., Figure])


class Unfit(InputError):
    """Raised when a figure cannot be drawn for a run, such as a manifold of three dimensions."""


def of_images(figure: Drawing) -> Drawing:
    """Make a figure raise `Unfit` for the rows of a table, which are no images."""

    @wraps(figure)
    def drawn(vae: Program, data: Data) -> Figure:
        if len(data.shape) != 3:
            raise Unfit(f"figure {figure.__name__}: expected images, got a table, whose rows are vectors")
        return figure(vae, data)

    return drawn  # type: ignore[return-value]


def shown(data: Data, x: Tensor) -> Tensor:
    """Bring images from the pixels of the model to [0, 1], on the CPU; missing ones are light blue, the rest RGB."""
    unit = data.pixels.to_unit(x).cpu()
    if not data.missing:
        return unit
    unseen = torch.tensor(UNSEEN)[:, None, None]
    return torch.where(unit.isnan(), unseen, unit.expand(-1, 3, -1, -1))


def expect_code(figure: str, vae: Program) -> None:
    """Raise `Unfit` if the program has no code, a vector whose values a figure could show or set."""
    if vae.code is None:
        raise Unfit(f"figure {figure}: expected a program whose code is a vector, got one without")


class NotebookFigure(Figure):
    """A figure that a notebook displays without pyplot."""

    def _repr_png_(self) -> tuple[bytes, dict[str, int]]:
        width, height = (round(inches * self.get_dpi() / DENSITY) for inches in self.get_size_inches())
        return as_png(self), {"width": width, "height": height}


def new_figure(width: float, height: float, rows: int = 1, columns: int = 1) -> tuple[Figure, np.ndarray]:
    """Make a figure of this size in inches, with a grid of axes, outside pyplot's global state."""
    with rc_context(STYLE):
        figure = NotebookFigure(figsize=(width, height), layout=ConstrainedLayoutEngine(w_pad=0.1, h_pad=0.1), dpi=DPI)
        return figure, figure.subplots(rows, columns, squeeze=False)


def drawable(images: Tensor) -> Tensor:
    """Resize images that are too large or too thin to be drawn in a mosaic; return others as they are.

    Images 1 pixel wide and 1,000 high would make a figure of 4,000 inches; a mosaic of large images would fill memory.
    """
    height, width = images.shape[-2:]
    shrunk = [math.ceil(side * min(1.0, MOST_PIXELS / max(height, width))) for side in (height, width)]
    size = [max(side, math.ceil(other / MOST_RATIO)) for side, other in zip(shrunk, reversed(shrunk))]
    return images if size == [height, width] else F.interpolate(images.float(), size, mode="area")


def mosaic(images: Tensor, columns: int) -> np.ndarray:
    """Place images (n, C, H, W) in [0, 1] row by row in one RGB array (H', W', 3), with two white pixels between them.

    Small images are enlarged first, by `enlargement`, so that the white between them looks narrow.
    """
    n, _, height, width = images.shape
    colour = images.detach().cpu().float().expand(n, 3, height, width)
    scale = enlargement(height, width)
    framed = F.pad(colour.repeat_interleave(scale, 2).repeat_interleave(scale, 3), (1, 1, 1, 1), value=1.0)
    rows = framed.unflatten(0, (n // columns, columns))  # (rows, columns, 3, H, W)
    picture: np.ndarray = rows.permute(0, 3, 1, 4, 2).flatten(2, 3).flatten(0, 1).numpy()
    return picture


def enlargement(height: int, width: int) -> int:
    """How often a mosaic repeats each pixel, so that the shorter side of an image has about 30."""
    return max(1, 30 // min(height, width))


def cell_size(size: Sequence[int]) -> tuple[int, int]:
    """Height and width of one image in a mosaic, with its white frame."""
    scale = enlargement(*size)
    return size[0] * scale + 2, size[1] * scale + 2


def image_figure(
    images: Tensor,
    columns: int,
    title: str,
    row_labels: Sequence[str] = (),
    column_labels: Sequence[str] = (),
    cell: float = CELL,
) -> Figure:
    """Draw images (n, C, H, W) in [0, 1] as a mosaic, with labels beside its rows and above its columns.

    The labels are drawn as they are: of names from outside, make them by `pyrovae.figures.names.labels`.
    """
    images, rows = drawable(images), len(images) // columns
    margin = 0.085 * max((len(label) for label in row_labels), default=0)
    height, width = images.shape[-2:]
    wide = max(columns * cell + margin + 0.25, 0.09 * len(title))
    figure, axes = new_figure(
        wide, rows * cell * height / width + 0.2 + 0.35 * bool(title) + 0.25 * bool(column_labels)
    )
    show_mosaic(axes[0, 0], images, columns)
    label_cells(axes[0, 0], images.shape[-2:], row_labels, column_labels)
    if title:
        figure.suptitle(title, fontsize=11, color=INK)
    return figure


def show_mosaic(axes: Axes, images: Tensor, columns: int) -> None:
    axes.imshow(mosaic(images.clamp(0, 1), columns), interpolation="nearest")
    axes.set_xticks([])
    axes.set_yticks([])
    for spine in axes.spines.values():
        spine.set_visible(False)


def label_cells(axes: Axes, size: Sequence[int], rows: Sequence[str], columns: Sequence[str]) -> None:
    height, width = cell_size(size)
    axes.set_yticks([(i + 0.5) * height - 0.5 for i in range(len(rows))], rows, family=families(rows))
    axes.set_xticks([(i + 0.5) * width - 0.5 for i in range(len(columns))], columns)
    axes.tick_params(length=0, top=False, labeltop=True, labelbottom=False)


def colours(n: int) -> list[ColorType]:
    """Return n colours: up to ten that are easy to distinguish, or n steps of a colour map."""
    if n <= len(LABELS):
        return [*LABELS[:n]]
    return [colormaps["turbo"](value) for value in torch.linspace(0.05, 0.95, n).tolist()]


def as_png(figure: Figure) -> bytes:
    """Return the content of a PNG file with the figure."""
    return as_picture(figure, "png")


def as_picture(figure: Figure, kind: str) -> bytes:
    """Return the content of a file of that kind (png, svg or pdf) with the figure."""
    buffer = io.BytesIO()
    figure.savefig(buffer, format=kind)
    return buffer.getvalue()
