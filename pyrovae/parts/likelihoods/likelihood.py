"""The interface of a likelihood, as type annotations."""

from typing import Protocol

import pyro.distributions as dist
from torch import Tensor, nn


class Likelihood(Protocol):
    """A module whose `forward` takes the decoder's features (..., features, *shape) and returns p(x | z, y)."""

    features: int  # how many numbers the decoder returns for each value of a pixel, or of a vector
    domain: tuple[str, ...]  # the pixel protocols over which it is a density or a mass function

    def __call__(self, h: Tensor) -> dist.TorchDistribution: ...


class Elementwise(nn.Module):
    """The base of likelihoods that score each value of an image or a vector by features of its own."""

    dims = 3  # of an observation: 3 of an image (C, H, W), 1 of a vector (D,), as `build` sets it

    def split(self, h: Tensor) -> tuple[Tensor, ...]:
        """Return the features of all values one by one, each (..., *shape)."""
        return h.unbind(-1 - self.dims)
