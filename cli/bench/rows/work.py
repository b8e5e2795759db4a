"""The task that every row of the benchmark does."""

from collections.abc import Iterator
from dataclasses import dataclass

import torch
from torch import Tensor

LR = 1e-3  # Adam's learning rate


@dataclass(frozen=True)
class Work:
    """One epoch of a VAE with one hidden layer over `images` (N, 1, H, W), uint8, which lie on the device.

    Encoder and decoder have `hidden` ReLUs, the code a standard normal prior and a diagonal posterior, the pixels are
    grey and scored by a Bernoulli; Adam takes steps of `batch_size` images with `particles` codes each.
    """

    images: Tensor
    hidden: int = 400
    latent_dim: int = 20
    batch_size: int = 128
    particles: int = 1

    @property
    def pixels(self) -> int:
        return self.images[0].numel()

    @property
    def device(self) -> torch.device:
        return self.images.device

    def batches(self) -> Iterator[Tensor]:
        """Yield the batches of an epoch in a new order, (n, pixels), scaled to [0, 1]."""
        flat = self.images.view(len(self.images), -1)
        for rows in torch.randperm(len(flat), device=self.device).split(self.batch_size):
            yield flat[rows] / 255
