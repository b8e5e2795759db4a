"""Bodies of encoders and decoders: tensors in, tensors out.

An encoder maps an image (n, C, H, W) and perhaps a context to features (n, features), which a posterior reads.
A decoder maps a code (..., latent) and perhaps a context to (..., features, C, H, W), which a likelihood reads.
A context is a vector (n, K) or an image (n, C, H, W).
"""

import math
from collections.abc import Sequence

import torch
from torch import Tensor, nn
from torch.nn import functional as F

Shape = tuple[int, ...]

ACTIVATIONS: dict[str, type[nn.Module]] = {
    "relu": nn.ReLU,
    "tanh": nn.Tanh,
    "elu": nn.ELU,
    "gelu": nn.GELU,
    "silu": nn.SiLU,
    "leaky_relu": nn.LeakyReLU,
    "softplus": nn.Softplus,
}


class MLP:
    """Fully connected layers of the given widths; the decoder mirrors the encoder. A context is concatenated."""

    def __init__(self, shape: Shape, hidden: Sequence[int], activation: type[nn.Module] = nn.ReLU) -> None:
        self.shape, self.hidden, self.activation = tuple(shape), tuple(hidden), activation

    def encoder(self, context: Shape = ()) -> "MLPEncoder":
        return MLPEncoder(self._layers(math.prod(self.shape) + _units(context), self.hidden), self.hidden[-1])

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> "MLPDecoder":
        out = (features, *self.shape)
        body = self._layers(latent_dim + _units(context), self.hidden[::-1])
        return MLPDecoder(body.append(nn.Linear(self.hidden[0], math.prod(out))), out)

    def _layers(self, units: int, widths: Sequence[int]) -> nn.Sequential:
        layers = nn.Sequential()
        for width in widths:
            layers.append(nn.Linear(units, width)).append(self.activation())
            units = width
        return layers


class MLPEncoder(nn.Module):
    def __init__(self, body: nn.Sequential, features: int) -> None:
        super().__init__()
        self.body, self.features = body, features

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        h = x.flatten(1)
        return self.body(h if y is None else torch.cat([h, y.flatten(1)], -1))


class MLPDecoder(nn.Module):
    def __init__(self, body: nn.Sequential, out: Shape) -> None:
        super().__init__()
        self.body, self.out = body, out

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        if y is not None:
            z = torch.cat([z, y.flatten(1).expand(*z.shape[:-1], -1)], -1)
        return self.body(z).unflatten(-1, self.out)


class Conv:
    """Three convolutions down to a quarter of the size, two transposed ones back, with batch normalisation.

    Encoder: 16 channels (kernel 4, stride 2, padding 1), 32 (4, 2, 1), 16 (3, 1, 1). Decoder: a linear layer to
    16 channels at a quarter of the size, transposed convolutions to 16 channels (4, 2, 1) and to the image (4, 2, 1).
    A context enters as channels, at full size in the encoder and at a quarter of it in the decoder.
    """

    def __init__(self, shape: Shape, activation: type[nn.Module] = nn.Tanh) -> None:
        _, height, width = shape
        if not (8 <= height <= 64 and 8 <= width <= 64):
            raise ValueError(f"network conv: expected images of 8 to 64 pixels a side, got {height}×{width}")
        self.shape, self.activation = tuple(shape), activation

    def encoder(self, context: Shape = ()) -> "ConvEncoder":
        return ConvEncoder(self.shape, _channels(context), self.activation)

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> "ConvDecoder":
        return ConvDecoder(self.shape, latent_dim, features, context, self.activation)


class ConvEncoder(nn.Module):
    def __init__(self, shape: Shape, context: int, activation: type[nn.Module]) -> None:
        super().__init__()
        channels, height, width = shape
        self.body = nn.Sequential(
            nn.Conv2d(channels + context, 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            activation(),
            nn.Conv2d(16, 32, 4, 2, 1),
            nn.BatchNorm2d(32),
            activation(),
            nn.Conv2d(32, 16, 3, 1, 1),
            nn.BatchNorm2d(16),
            activation(),
            nn.Flatten(),
        )
        self.features = 16 * (height // 4) * (width // 4)

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.body(x if y is None else torch.cat([x, _as_channels(y, x.shape[-2:])], 1))


class ConvDecoder(nn.Module):
    def __init__(
        self, shape: Shape, latent_dim: int, features: int, context: Shape, activation: type[nn.Module]
    ) -> None:
        super().__init__()
        channels, height, width = shape
        self.out, self.grid = (features, *shape), (math.ceil(height / 4), math.ceil(width / 4))
        self.start = nn.Linear(latent_dim, 16 * math.prod(self.grid))
        seen = 16 * context[0] if len(context) == 3 else _channels(context)
        self.body = nn.Sequential(
            nn.ConvTranspose2d(16 + seen, 16, 4, 2, 1),
            nn.BatchNorm2d(16),
            activation(),
            nn.ConvTranspose2d(16, features * channels, 4, 2, 1),
        )

    def forward(self, z: Tensor, y: Tensor | None = None) -> Tensor:
        batch = z.shape[:-1]
        h = self.start(z).view(-1, 16, *self.grid)  # (particles * n, 16, H/4, W/4)
        if y is not None:
            y = self._quarter(y)
            h = torch.cat([h, y.expand(*batch, *y.shape[1:]).reshape(-1, *y.shape[1:])], 1)
        _, _, height, width = self.out
        return self.body(h)[..., :height, :width].reshape(*batch, *self.out)

    def _quarter(self, y: Tensor) -> Tensor:
        """A context at a quarter of the size: 4×4 pixels of an image become 16 channels, so that none is lost."""
        if y.dim() == 2:
            return _as_channels(y, self.grid)
        rows, columns = (4 * side - pixels for side, pixels in zip(self.grid, y.shape[-2:]))
        return F.pixel_unshuffle(F.pad(y, (0, columns, 0, rows)), 4)


def _units(context: Shape) -> int:
    return math.prod(context) if context else 0


def _channels(context: Shape) -> int:
    return context[0] if context else 0


def _as_channels(y: Tensor, size: Sequence[int]) -> Tensor:
    """A vector (n, K) becomes K constant channels; an image stays."""
    return y[:, :, None, None].expand(-1, -1, *size) if y.dim() == 2 else y


NETWORKS = {"mlp": MLP, "conv": Conv}
