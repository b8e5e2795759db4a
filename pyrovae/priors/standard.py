"""Fixed priors, the same whatever the context."""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Standard(nn.Module):
    """A family of location 0 and scale 1 in each dimension."""

    family: Callable[..., dist.TorchDistribution]
    loc: Tensor
    scale: Tensor

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)

    def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
        return self.distribution().to_event(1)

    def distribution(self) -> dist.TorchDistribution:
        return self.family(self.loc, self.scale)


class Normal(Standard):
    r"""p(z) = N(z; 0, I)."""

    family = dist.Normal


class Laplace(Standard):
    r"""p(z) = Π exp(−|z|) / 2: more mass at 0 and in the tails, so that codes are sparse."""

    family = dist.Laplace


class StudentT(Standard):
    r"""p(z) = Π t₅(z), Student's t with five degrees of freedom: codes may lie far out."""

    degrees_of_freedom = 5.0

    def distribution(self) -> dist.TorchDistribution:
        return dist.StudentT(self.degrees_of_freedom, self.loc, self.scale)
