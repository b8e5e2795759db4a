"""The residual convolutional network."""

import math

from torch import Tensor, nn

from pyrovae.parts.networks.context import ImageDecoder, ImageEncoder, channels, quarter, quarter_channels
from pyrovae.parts.networks.network import Shape, expect_images

WIDTHS = (16, 32, 64)  # channels at full, half and quarter size


class ResNet:
    """Residual blocks at full, half and quarter size, with group normalisation and SiLU; no statistics of the batch.

    He et al. (2016), Identity mappings in deep residual networks, arXiv:1603.05027. The context enters as channels.
    """

    def __init__(self, shape: Shape, unit: float = 1.0) -> None:
        expect_images("resnet", shape)
        if min(shape[1:]) < 4:
            raise ValueError(f"network resnet: expected images of 4 pixels a side or more, got {shape[1]}×{shape[2]}")
        self.shape, self.unit = tuple(shape), unit

    def encoder(self, context: Shape = ()) -> ImageEncoder:
        full, half, last = WIDTHS
        body = nn.Sequential(
            nn.Conv2d(self.shape[0] + channels(context), full, 3, 1, 1),
            Residual(full),
            nn.Conv2d(full, half, 3, 2, 1),
            Residual(half),
            nn.Conv2d(half, last, 3, 2, 1),
            Residual(last),
            Residual(last),
            nn.GroupNorm(8, last),
            nn.SiLU(),
            nn.Flatten(),
        )
        return ImageEncoder(body, last * math.prod(quarter(self.shape)), context, self.unit)

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> ImageDecoder:
        full, half, last = WIDTHS
        start = nn.Linear(latent_dim, last * math.prod(quarter(self.shape)))
        body = nn.Sequential(
            nn.Conv2d(last + quarter_channels(context), last, 3, 1, 1),
            Residual(last),
            Residual(last),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(last, half, 3, 1, 1),
            Residual(half),
            nn.Upsample(scale_factor=2),
            nn.Conv2d(half, full, 3, 1, 1),
            Residual(full),
            nn.GroupNorm(8, full),
            nn.SiLU(),
            nn.Conv2d(full, features * self.shape[0], 3, 1, 1),
        )
        return ImageDecoder(start, body, self.shape, features, context, self.unit)


class Residual(nn.Module):
    """x + f(x), where f is two 3×3 convolutions, each after group normalisation and SiLU."""

    def __init__(self, width: int) -> None:
        super().__init__()
        self.body = nn.Sequential(
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, 1, 1),
            nn.GroupNorm(8, width),
            nn.SiLU(),
            nn.Conv2d(width, width, 3, 1, 1),
        )

    def forward(self, x: Tensor) -> Tensor:
        return x + self.body(x)
