"""What every source becomes: uint8 images in memory."""

from dataclasses import dataclass
from typing import Any

import numpy as np
import torch
from torch import Tensor


@dataclass(frozen=True)
class Source:
    """Images (N, C, H, W) as uint8, labels (N,) as int64 if there are any, and a test set if the source has one."""

    images: Tensor
    labels: Tensor | None = None
    test_images: Tensor | None = None
    test_labels: Tensor | None = None
    classes: tuple[str, ...] = ()


def pixels_of(image: Any) -> Tensor:
    """A PIL image as (C, H, W) uint8."""
    pixels = np.array(image if image.mode in ("L", "RGB") else image.convert("L"))
    return torch.from_numpy(pixels if pixels.ndim == 3 else pixels[..., None]).permute(2, 0, 1)


def square(images: Tensor, size: int | None) -> Tensor:
    """Resize the shorter side to `size` and crop the centre."""
    if size is None or images.shape[-2:] == (size, size):
        return images
    from torchvision.transforms.v2 import functional

    return functional.center_crop(functional.resize(images, [size], antialias=True), [size])
