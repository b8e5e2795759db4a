"""Bring images and contexts into the form that a network reads."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyrovae.parts.networks.network import Encoder, Shape


def scaled(y: Tensor, unit: float) -> Tensor:
    """Divide images (n, C, H, W) by `unit`; return vectors (n, K) unchanged."""
    return y / unit if y.dim() == 4 and unit != 1 else y


def units(context: Shape) -> int:
    """Return the number of entries of a context, 0 without one."""
    return math.prod(context) if context else 0


def channels(context: Shape) -> int:
    """Return the number of channels that a context adds to an image of full size."""
    return context[0] if context else 0


def as_channels(y: Tensor, size: Sequence[int]) -> Tensor:
    """Turn vectors (n, K) into K constant channels of `size` (H, W); return images unchanged."""
    return y[:, :, None, None].expand(-1, -1, *size) if y.dim() == 2 else y


def quarter_channels(context: Shape) -> int:
    """Return the number of channels that a context adds at a quarter of height and width."""
    return 16 * context[0] if len(context) == 3 else channels(context)


def as_quarter_channels(y: Tensor, size: Sequence[int]) -> Tensor:
    """Bring a context to `size`, a quarter of height and width: 4×4 pixels become 16 channels, so that none is lost."""
    if y.dim() == 2:
        return as_channels(y, size)
    rows, columns = (4 * side - pixels for side, pixels in zip(size, y.shape[-2:]))
    return F.pixel_unshuffle(F.pad(y, (0, columns, 0, rows)), 4)


def quarter(shape: Shape) -> tuple[int, int]:
    """Return a quarter of an image's height and width, rounded up."""
    _, height, width = shape
    return math.ceil(height / 4), math.ceil(width / 4)


class ImageEncoder(Encoder):
    """Runs `body` on the image with the context as further channels; `body` ends in a vector of `features`."""

    def __init__(self, body: nn.Module, features: int, unit: float) -> None:
        super().__init__()
        self.body, self.features, self.unit = body, features, unit

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = scaled(x, self.unit)
        return self.body(x if y is None else torch.cat([x, as_channels(scaled(y, self.unit), x.shape[-2:])], 1))


class ImageDecoder(nn.Module):
    """Maps a code to channels at a quarter of the size, adds those of the context, and runs `body` up to full size."""

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
