"""The convolutional network."""

import math

from torch import nn

from pyrovae.parts.networks.context import ImageDecoder, ImageEncoder, channels, quarter, quarter_channels
from pyrovae.parts.networks.network import Shape, expect_images


class Conv:
    """Three convolutions down to a quarter of the size and two transposed ones back, with batch normalisation.

    Encoder: 16 channels (kernel 4, stride 2, padding 1), 32 (4, 2, 1), 16 (3, 1, 1). Decoder: a linear layer to
    16 channels at a quarter of the size, transposed convolutions to 16 channels (4, 2, 1) and to the image (4, 2, 1).
    The context enters as channels, at full size in the encoder and at a quarter of it in the decoder.
    """

    def __init__(self, shape: Shape, activation: type[nn.Module] = nn.Tanh, unit: float = 1.0) -> None:
        expect_images("conv", shape)
        _, height, width = shape
        if not (8 <= height <= 64 and 8 <= width <= 64):
            raise ValueError(f"network conv: expected images of 8 to 64 pixels a side, got {height}×{width}")
        self.shape, self.activation, self.unit = tuple(shape), activation, unit

    def encoder(self, context: Shape = ()) -> ImageEncoder:
        colours, height, width = self.shape
        body = nn.Sequential(
            nn.Conv2d(colours + channels(context), 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            self.activation(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.BatchNorm2d(32),
            self.activation(),
            nn.Conv2d(32, 16, 3, 1, 1),
            nn.BatchNorm2d(16),
            self.activation(),
            nn.Flatten(),
        )
        return ImageEncoder(body, 16 * (height // 4) * (width // 4), context, self.unit)

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> ImageDecoder:
        start = nn.Linear(latent_dim, 16 * math.prod(quarter(self.shape)))
        body = nn.Sequential(
            nn.ConvTranspose2d(16 + quarter_channels(context), 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            self.activation(),
            nn.ConvTranspose2d(16, features * self.shape[0], 4, 2, 1),
        )
        return ImageDecoder(start, body, self.shape, features, context, self.unit)
