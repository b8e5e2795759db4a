"""Images stored exactly, in one byte a pixel; and what is no bytes, as it is."""

import torch
from torch import Tensor, nn

from pyrovae.errors import InputError


class Levels(nn.Module):
    """Stores n images, or contexts, that have at most 256 distinct values in all: as bytes, and a table of the values.

    `levels[rows]` returns these images exactly as they were stored.
    """

    bytes: Tensor
    levels: Tensor

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("bytes", torch.zeros(n, *shape, dtype=torch.uint8))
        self.register_buffer("levels", torch.zeros(256))

    def __len__(self) -> int:
        return len(self.bytes)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        return self.levels[self.bytes[rows].int()]

    def copy_(self, images: Tensor) -> None:
        """Store these images (n, ...). Raises `InputError` if they have more than 256 distinct values."""
        levels = images.unique()
        if len(levels) > len(self.levels):
            raise InputError(f"prior exemplar: expected images of at most 256 levels, got {len(levels)}")
        self.levels[: len(levels)] = levels
        for stored, part in zip(self.bytes.split(1000), images.split(1000)):
            stored.copy_(torch.bucketize(part, levels))


class Values(nn.Module):
    """Stores n vectors, or images of which pixels are missing, as they are. `values[rows]` returns them."""

    values: Tensor

    def __init__(self, n: int, shape: tuple[int, ...]) -> None:
        super().__init__()
        self.register_buffer("values", torch.zeros(n, *shape))

    def __len__(self) -> int:
        return len(self.values)

    def __getitem__(self, rows: Tensor | slice) -> Tensor:
        return self.values[rows]

    def copy_(self, x: Tensor) -> None:
        """Store these vectors or images (n, ...)."""
        self.values.copy_(x)
