"""Pixel protocols: how uint8 images become the numbers that a likelihood scores."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from pyrovae.data.storage import PART, convert
from pyrovae.errors import InputError


@dataclass(frozen=True)
class Pixels:
    """A pixel protocol: how uint8 images become the numbers that a likelihood scores, and how these are shown again.

    `protocol` is grey (x/255), dynamic, static or threshold (0 or 1), bytes (0..255) or standardized.
    """

    protocol: str = "grey"
    mean: float = 0.0  # of the training pixels x/255; only `standardized` has others than these defaults
    std: float = 1.0

    @classmethod
    def of(cls, protocol: str, train: Tensor) -> "Pixels":
        """Return the protocol for these training images; `standardized` uses their mean and standard deviation.

        Raises `InputError` if it is `standardized` and all pixels are equal.
        """
        if protocol != "standardized":
            return cls(protocol)
        parts = (torch.bincount(part.flatten(), minlength=256) for part in train.split(PART))
        counts = reduce(torch.add, parts).double()
        values = torch.arange(256, dtype=torch.float64) / 255
        mean = (counts @ values / counts.sum()).item()
        std = (counts @ (values - mean).square() / counts.sum()).sqrt().item()
        if std == 0:
            raise InputError("pixels: 'standardized' expects images that vary, got one constant value")
        return cls(protocol, mean, std)

    def fix(self, images: Tensor, drawn_once: bool, seed: int) -> Tensor:
        """Binarise a whole set once: for `threshold`, for `static`, and for `dynamic` if `drawn_once`."""
        if self.protocol == "threshold":
            return convert(images, lambda part: (part > 127).byte() * 255)
        if self.protocol == "static" or (self.protocol == "dynamic" and drawn_once):
            generator = torch.Generator().manual_seed(seed)
            return convert(images, lambda part: torch.bernoulli(part / 255, generator=generator).byte() * 255)
        return images

    def read(self, images: Tensor) -> Tensor:
        """Convert uint8 images to what the model scores; `dynamic` draws here, with torch's random state."""
        if self.protocol == "bytes":
            return images.to(torch.get_default_dtype())
        x = images.to(torch.get_default_dtype()) / 255
        if self.protocol == "dynamic":
            return torch.bernoulli(x)
        return (x - self.mean) / self.std if self.protocol == "standardized" else x

    def to_unit(self, x: Tensor) -> Tensor:
        """Convert pixels x back to brightness in [0, 1], clipped, for figures."""
        unit = x / 255 if self.protocol == "bytes" else x * self.std + self.mean
        return unit.clamp(0, 1)
