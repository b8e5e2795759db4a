"""What a pixel is: how uint8 images become the numbers that a likelihood scores."""

from dataclasses import dataclass
from functools import reduce

import torch
from torch import Tensor

from pyrovae.data.storage import PART, changed
from pyrovae.errors import InputError


@dataclass(frozen=True)
class Pixels:
    """A pixel protocol: how uint8 images become the numbers that a likelihood scores, and how they are drawn again."""

    protocol: str = "grey"
    mean: float = 0.0  # of the training set, in units of 1; used by `standardized`
    std: float = 1.0

    @classmethod
    def of(cls, protocol: str, train: Tensor) -> "Pixels":
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
        """What is decided once for a whole set: thresholds, and draws that are not made afresh at each visit."""
        if self.protocol == "threshold":
            return changed(images, lambda part: (part > 127).byte() * 255)
        if self.protocol == "static" or (self.protocol == "dynamic" and drawn_once):
            generator = torch.Generator().manual_seed(seed)
            return changed(images, lambda part: torch.bernoulli(part / 255, generator=generator).byte() * 255)
        return images

    def read(self, images: Tensor) -> Tensor:
        """Uint8 images as the model sees them; `dynamic` ones are drawn here, with torch's random state."""
        if self.protocol == "bytes":
            return images.to(torch.get_default_dtype())
        x = images.to(torch.get_default_dtype()) / 255
        if self.protocol == "dynamic":
            return torch.bernoulli(x)
        return (x - self.mean) / self.std if self.protocol == "standardized" else x

    def to_unit(self, x: Tensor) -> Tensor:
        """The way back for drawing: [0, 1], clipped."""
        unit = x / 255 if self.protocol == "bytes" else x * self.std + self.mean
        return unit.clamp(0, 1)
