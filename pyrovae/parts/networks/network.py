"""The interface of a network, as type annotations."""

from typing import Protocol

from torch import nn

Shape = tuple[int, ...]


class Encoder(nn.Module):
    """A module that maps images (..., C, H, W) or vectors (..., D), and a context, to (..., features)."""

    features: int


class Network(Protocol):
    """Builds the two bodies of a model for images or vectors of one shape. A `context` is the shape of one y, or ()."""

    def encoder(self, context: Shape = ()) -> Encoder:
        """Return a module that maps images, and a context where there is one, to (..., features)."""

    def decoder(self, latent_dim: int, features: int, context: Shape = ()) -> nn.Module:
        """Return a module that maps codes (..., latent_dim), and a context, to (..., features, *shape)."""


def expect_images(network: str, shape: Shape) -> None:
    """Raise `ValueError` for vectors, whose neighbours mean nothing to a convolution."""
    if len(shape) != 3:
        raise ValueError(
            f"network {network}: expected images (C, H, W), got vectors of {shape[0]} numbers; mlp and gated read them"
        )
