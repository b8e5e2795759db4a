"""Fixed priors, which are the same for every context."""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts import distributions
from pyrovae.parts.densities import log_laplace, log_normal, log_student_t


class Standard(nn.Module):
    """The base of priors that are independent over dimensions, with location 0 and scale 1 in each."""

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
        """Return the distribution of each dimension; a subclass whose `family` takes more arguments overrides it."""
        return self.family(self.loc, self.scale)


class Normal(Standard):
    r"""p(z) = N(z; 0, I)."""

    formula = "N(z; 0, I)"
    about = "The prior is a standard normal distribution: codes spread around the origin alike in every direction."
    family = dist.Normal

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        return log_normal(z, 0.0, 1.0).sum(-1)

    def moments(self, y: Tensor | None) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviations, each (latent,)."""
        return self.loc, self.scale


class Laplace(Standard):
    r"""p(z) = Π exp(−|z|) / 2, with more mass near 0 and in the tails than a Gaussian, which favours sparse codes."""

    formula = "Πⱼ exp(−|zⱼ|) / 2"
    about = (
        "The prior is a Laplace distribution in each dimension: most codes have many entries near zero and a"
        " few large ones."
    )
    family = dist.Laplace

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        return log_laplace(z, 0.0, 1.0).sum(-1)


class StudentT(Standard):
    r"""p(z) = Π t₅(z), Student's t with five degrees of freedom, whose heavy tails allow codes far from 0."""

    formula = "Πⱼ t(zⱼ; ν = 5, 0, 1)\nt Student's"
    about = (
        "The prior is a Student's t distribution in each dimension: some codes lie much further out than"
        " under a normal one."
    )
    degrees_of_freedom = 5.0

    def distribution(self) -> dist.TorchDistribution:
        return distributions.StudentT(self.degrees_of_freedom, self.loc, self.scale)

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        return log_student_t(z, torch.full_like(z, self.degrees_of_freedom), 0.0, 1.0).sum(-1)
