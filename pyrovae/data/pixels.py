"""Pixel protocols: how images, and the rows of tables, become the numbers that a likelihood scores."""

from dataclasses import dataclass, replace
from functools import lru_cache, reduce

import torch
from torch import Tensor

from pyrovae.data.images import Images
from pyrovae.data.sparse import SparseRows, Stored
from pyrovae.data.storage import PART, convert, missing
from pyrovae.errors import InputError

EDGE = 2**-16  # the least distance of a dequantised pixel from the next level, as 255 + u is rounded in float32
Moment = float | tuple[float, ...]  # of all pixels together, or of each column of a table


@dataclass(frozen=True)
class Pixels:
    """A pixel protocol: how images or vectors become the numbers that a likelihood scores, and how these are shown.

    For images, uint8, `protocol` is grey (x/255), dynamic, static or threshold (0 or 1), bytes (0..255), dequantised
    ((x + u)/256, u uniform in [0, 1), drawn at each visit; in evaluation once; Theis et al. 2016, arXiv:1511.01844) or
    standardized. For vectors (N, D), float32, it is real, counts or binary, which leave them as they are, or
    standardized, by column. Where a value is missing, −1 in images and NaN in a table, the model reads NaN.
    """

    protocol: str = "grey"
    mean: Moment = 0.0  # what the model scores is (x/255 − mean)/std; of a table, (x − mean)/std by column
    std: Moment = 1.0

    @classmethod
    def of(cls, protocol: str, train: Stored) -> "Pixels":
        """Return the protocol for these training images; `standardized` uses their mean and standard deviation.

        Raises `InputError` if it is `standardized` and all pixels, or all values of a column, are equal.
        """
        if protocol == "dequantised":
            return cls(protocol, -0.5 / 255, 256 / 255)  # the middle of the level, (x + ½)/256
        if protocol != "standardized":
            return cls(protocol)
        train = train.to_dense()
        if train.dim() == 2:
            return cls(protocol, *_moments_of_columns(train))
        values = torch.arange(256, dtype=torch.float64) / 255
        parts = (torch.bincount(_bytes(part).flatten(), minlength=256) for part in train.split(PART))
        counts = reduce(torch.add, parts).double()
        mean = (counts @ values / counts.sum()).item()
        std = (counts @ (values - mean).square() / counts.sum()).sqrt().item()
        if std == 0:
            raise InputError("pixels: 'standardized' expects images that vary, got one constant value")
        return cls(protocol, mean, std)

    def fix(self, images: Images, drawn_once: bool, seed: int) -> Images:
        """Binarise a whole set once: for `threshold`, for `static`, and for `dynamic` if `drawn_once`.

        Draw also what `dequantised` adds, if `drawn_once`.
        """
        fixed = self._binarised(images.images, drawn_once, seed)
        if self.protocol != "dequantised" or not drawn_once:
            return replace(images, images=fixed)
        generator = torch.Generator().manual_seed(seed)
        return replace(images, noise=torch.randint(256, fixed.shape, dtype=torch.uint8, generator=generator))

    def _binarised(self, images: Stored, drawn_once: bool, seed: int) -> Stored:
        if isinstance(images, SparseRows):
            return images
        if self.protocol == "threshold":
            return convert(images, lambda part: torch.where(missing(part), part, (part > 127).to(part) * 255))
        if self.protocol == "static" or (self.protocol == "dynamic" and drawn_once):
            generator = torch.Generator().manual_seed(seed)
            return convert(images, lambda part: _binary(part, generator))
        return images

    def read(self, images: Tensor, noise: Tensor | None = None) -> Tensor:
        """Convert what a set keeps to what the model scores.

        `dynamic` draws here, with torch's random state, and so does `dequantised` without a `noise` of 256ths.
        """
        x = images.to(torch.get_default_dtype())
        gaps = missing(images) if images.dtype == torch.int16 else None
        x = x if gaps is None else x.clamp(min=0)
        if self.protocol == "dequantised":
            u = torch.rand_like(x).clamp(EDGE, 1 - EDGE) if noise is None else (noise + 0.5) / 256
            x = (x + u) / 256
        elif x.dim() > 2 and self.protocol != "bytes":
            x = x / 255
        if self.protocol == "dynamic":
            x = torch.bernoulli(x)
        elif self.protocol == "standardized":
            x = self.standardized(x)
        return x if gaps is None else x.masked_fill(gaps, torch.nan)

    def standardized(self, x: Tensor) -> Tensor:
        """Return (x − mean)/std."""
        return (x - _like(self.mean, x)) / _like(self.std, x)

    def to_unit(self, x: Tensor) -> Tensor:
        """Convert pixels x back to brightness in [0, 1], clipped, for figures."""
        unit = x / 255 if self.protocol == "bytes" else self.to_own_units(x)
        return unit.clamp(0, 1)

    def shown(self, x: Tensor) -> Tensor:
        """Return `to_unit`, with missing pixels as grey, ½."""
        return self.to_unit(x).nan_to_num(0.5)

    def to_own_units(self, x: Tensor) -> Tensor:
        """Convert what the model scores back to the units of the table, or to x/255."""
        return x * _like(self.std, x) + _like(self.mean, x)


def _moments_of_columns(train: Tensor) -> tuple[tuple[float, ...], tuple[float, ...]]:
    """Return mean and standard deviation of the values of each column that are not missing."""
    rows = train.double()
    mean = rows.nanmean(0)
    std = (rows - mean).square().nanmean(0).sqrt()
    if (constant := (std == 0).nonzero()).numel():
        raise InputError(
            f"pixels: 'standardized' expects columns that vary, got a constant one, number {int(constant[0]) + 1};"
            " leave it out"
        )
    return tuple(mean.tolist()), tuple(std.tolist())


def _bytes(part: Tensor) -> Tensor:
    """Return the pixels that are not missing."""
    return part[part >= 0] if part.dtype == torch.int16 else part


def _binary(images: Tensor, generator: torch.Generator) -> Tensor:
    """Draw each pixel of images, 0 or 255, with its own brightness as the probability of 255; gaps stay."""
    drawn = (torch.bernoulli(images.clamp(min=0) / 255, generator=generator) * 255).to(images)
    return torch.where(missing(images), images, drawn)


def _like(moment: Moment, x: Tensor) -> Tensor | float:
    return _tensor(moment, x.dtype, x.device) if isinstance(moment, tuple) else moment


@lru_cache(64)
def _tensor(moment: tuple[float, ...], dtype: torch.dtype, device: torch.device) -> Tensor:
    return torch.tensor(moment, dtype=dtype, device=device)
