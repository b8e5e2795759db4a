"""The interface of a likelihood, as type annotations."""

from typing import Protocol

import pyro.distributions as dist
from torch import Tensor


class Likelihood(Protocol):
    """A module whose `forward` takes the decoder's features (..., features, C, H, W) and returns p(x | z, y)."""

    features: int  # how many numbers the decoder returns for each value of a pixel
    domain: tuple[str, ...]  # the pixel protocols over which it is a density or a mass function

    def __call__(self, h: Tensor) -> dist.TorchDistribution: ...
