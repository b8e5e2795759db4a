"""Bring images and contexts into the form that a network reads."""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyrovae.parts.networks.network import Encoder, Shape


def scaled(y: Tensor, unit: float, context: Shape) -> Tensor:
    """Divide contexts that are images (..., C, H, W) by `unit`; return vectors (..., K) unchanged."""
    return y / unit if len(context) == 3 and unit != 1 else y


def joined(a: Tensor, b: Tensor, dims: int) -> Tensor:
    """Concatenate along the first of the last `dims` dimensions, with all dimensions before them broadcast.

    Those before are images, particles, and values of a discrete latent that is summed over.
    """
    lead = torch.broadcast_shapes(a.shape[:-dims], b.shape[:-dims])
    return torch.cat([tensor.expand(*lead, *tensor.shape[-dims:]) for tensor in (a, b)], -dims)


def as_vectors(y: Tensor, unit: float, context: Shape) -> Tensor:
    """Turn contexts that are images (..., C, H, W) into vectors, divided by `unit`; return vectors unchanged."""
    return scaled(y, unit, context).flatten(-3) if len(context) == 3 else y


def units(context: Shape) -> int:
    """Return the number of entries of a context, 0 without one."""
    return math.prod(context) if context else 0


def channels(context: Shape) -> int:
    """Return the number of channels that a context adds to an image of full size."""
    return context[0] if context else 0


def as_channels(y: Tensor, size: Sequence[int], context: Shape) -> Tensor:
    """Turn vectors (..., K) into K constant channels of `size` (H, W); return images unchanged."""
    return y if len(context) == 3 else y[..., None, None].expand(*y.shape, *size)


def quarter_channels(context: Shape) -> int:
    """Return the number of channels that a context adds at a quarter of height and width."""
    return 16 * context[0] if len(context) == 3 else channels(context)


def as_quarter_channels(y: Tensor, size: Sequence[int], context: Shape) -> Tensor:
    """Bring a context to `size`, a quarter of height and width: 4×4 pixels become 16 channels, so that none is lost."""
    if len(context) < 3:
        return as_channels(y, size, context)
    rows, columns = (4 * side - pixels for side, pixels in zip(size, y.shape[-2:]))
    return F.pixel_unshuffle(F.pad(y, (0, columns, 0, rows)), 4)


def quarter(shape: Shape) -> tuple[int, int]:
    """Return a quarter of an image's height and width, rounded up."""
    _, height, width = shape
    return math.ceil(height / 4), math.ceil(width / 4)


class ImageEncoder(Encoder):
    """Runs `body` on the image with the context as further channels; `body` ends in a vector of `features`."""

    def __init__(self, body: nn.Module, features: int, context: Shape, unit: float) -> None:
        super().__init__()
        self.body, self.features, self.context, self.unit = body, features, context, unit

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        x = x / self.unit if self.unit != 1 else x
        if y is not None:
            y = as_channels(scaled(y, self.unit, self.context), x.shape[-2:], self.context)
            x = joined(x, y, 3)
        return self.body(x.reshape(-1, *x.shape[-3:])).view(*x.shape[:-3], self.features)


class ImageDecoder(nn.Module):
    """Maps a code to channels at a quarter of the size, adds those of the context, and runs `body` up to full size."""

    def __init__(
        self, start: nn.Linear, body: nn.Module, shape: Shape, features: int, context: Shape, unit: float
    ) -> None:
        super().__init__()
        self.start, self.body, self.context, self.unit = start, body, context, unit
        self.out, self.grid = (features, *shape), quarter(shape)

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        h = self.start(z).unflatten(-1, (-1, *self.grid))  # (..., width, H/4, W/4)
        if y is not None:
            h = joined(h, as_quarter_channels(scaled(y, self.unit, self.context), self.grid, self.context), 3)
        _, _, height, width = self.out
        images = self.body(h.reshape(-1, *h.shape[-3:]))[..., :height, :width]
        return images.reshape(*h.shape[:-3], *self.out)
