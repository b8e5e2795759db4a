"""What a likelihood is, for whoever is handed one."""

from typing import Protocol

import pyro.distributions as dist
from torch import Tensor


class Likelihood(Protocol):
    """A module whose `forward` takes the decoder's features (..., features, C, H, W), and returns p(x | z, y)."""

    @property
    def features(self) -> int:
        """The decoder's outputs per pixel."""

    @property
    def domain(self) -> tuple[str, ...]:
        """The pixel protocols over which it is a density or a mass function."""

    def __call__(self, h: Tensor) -> dist.TorchDistribution: ...
