"""How contexts and images enter a network."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]


def scaled(y: Tensor, unit: float) -> Tensor:
    """An image in units of 1; a vector stays."""
    return y / unit if y.dim() == 4 and unit != 1 else y


def units(context: Shape) -> int:
    """Numbers in a context."""
    return math.prod(context) if context else 0


def channels(context: Shape) -> int:
    """Channels of a context at full size."""
    return context[0] if context else 0


def as_channels(y: Tensor, size: Sequence[int]) -> Tensor:
    """A vector (n, K) becomes K constant channels; an image stays."""
    return y[:, :, None, None].expand(-1, -1, *size) if y.dim() == 2 else y


def quarter_channels(context: Shape) -> int:
    """Channels of a context at a quarter of the size."""
    return 16 * context[0] if len(context) == 3 else channels(context)


def as_quarter_channels(y: Tensor, size: Sequence[int]) -> Tensor:
    """A context at a quarter of the size: 4×4 pixels of an image become 16 channels, so that none is lost."""
    if y.dim() == 2:
        return as_channels(y, size)
    rows, columns = (4 * side - pixels for side, pixels in zip(size, y.shape[-2:]))
    return F.pixel_unshuffle(F.pad(y, (0, columns, 0, rows)), 4)


def quarter(shape: Shape) -> tuple[int, int]:
    """Height and width of an image at a quarter of its size, rounded up."""
    _, height, width = shape
    return math.ceil(height / 4), math.ceil(width / 4)


class ImageEncoder(nn.Module):
    """A body that reads the image and the context as channels, and ends in a vector of `features`."""

    def __init__(self, body: nn.Module, features: int, unit: float) -> None:
        super().__init__()
        self.body, self.features, self.unit = body, features, unit

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = scaled(x, self.unit)
        return self.body(x if y is None else torch.cat([x, as_channels(scaled(y, self.unit), x.shape[-2:])], 1))


class ImageDecoder(nn.Module):
    """A linear layer to channels at a quarter of the size, the context beside them, and a body up to full size."""

    def __init__(self, start: nn.Linear, body: nn.Module, shape: Shape, features: int, unit: float) -> None:
        super().__init__()
        self.start, self.body, self.unit = start, body, unit
        self.out, self.grid = (features, *shape), quarter(shape)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        batch = z.shape[:-1]
        h = self.start(z).view(math.prod(batch), -1, *self.grid)  # (particles * n, width, H/4, W/4)
        if y is not None:
            y = as_quarter_channels(scaled(y, self.unit), self.grid)
            h = torch.cat([h, y.expand(*batch, *y.shape[1:]).reshape(-1, *y.shape[1:])], 1)
        _, _, height, width = self.out
        return self.body(h)[..., :height, :width].reshape(*batch, *self.out)
