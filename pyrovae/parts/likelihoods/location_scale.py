"""Densities around a mean image, of one width for all pixels or one for each."""

import math
from collections.abc import Callable
from typing import Any

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts.densities import log_laplace, log_normal, log_student_t

# Where a learned scale starts: if it is much wider, the code is not worth its KL at first, and often not later either.
START = {"grey": 0.2, "standardized": 0.7}


class LocationScale(nn.Module):
    """A family of location μ, the decoder's feature, and a scale that `scale` chooses.

    A number: fixed. `shared`: one learned for all pixels. `pixel`: a second feature, its logarithm.
    """

    features = 1
    domain = ("grey", "standardized")
    family: Callable[..., dist.TorchDistribution]
    floor = 1e-3  # of a scale for each pixel: without one, a pixel that is always black makes the density infinite

    def __init__(self, scale: float | str = "shared", pixels: str = "standardized") -> None:
        super().__init__()
        if scale == "optimal":
            raise ValueError(f"scale: 'optimal' fits likelihood gaussian, not {type(self).__name__}")
        self.features = 2 if scale == "pixel" else 1
        self.start = math.log(START[pixels])
        if self.features == 1:
            fixed = isinstance(scale, (int, float))
            log_scale = torch.tensor(float(scale) if fixed else START[pixels]).log()
            self.log_scale = nn.Parameter(log_scale, requires_grad=not fixed)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        return self.distribution(*self.loc_scale(h)).to_event(3)

    def loc_scale(self, h: Tensor) -> tuple[Tensor, Tensor]:
        loc, *log_scale = h.unbind(-4)
        return loc, (log_scale[0] + self.start).exp() + self.floor if log_scale else self.log_scale.exp()

    def distribution(self, loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
        return self.family(loc, scale)


class Gaussian(LocationScale):
    r"""log p(x | z) = Σ log N(x; μ, σ²). `scale` may also be `optimal`: σ² = the mean squared error of each batch.

    The optimum is the maximum of the likelihood over σ; outside training σ is a running mean of it. σ-VAE: Rybkin,
    Daniilidis & Levine (2021), arXiv:2006.13202.
    """

    formula = "Πᵢ N(xᵢ; μᵢ, σ²)\nμᵢ = hᵢ"
    family = dist.Normal

    def __init__(self, scale: float | str = "shared", pixels: str = "standardized") -> None:
        super().__init__("shared" if scale == "optimal" else scale, pixels)
        self.optimal = scale == "optimal"
        if self.optimal:
            self.log_scale.requires_grad_(False)

    def distribution(self, loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
        if self.optimal and self.training:
            return OptimalNormal(loc, scale, self.log_scale)
        return super().distribution(loc, scale)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_normal(x, *self.loc_scale(h))


class OptimalNormal(dist.Normal):
    """Scores a batch with the scale that fits it best, and keeps a running mean of that scale's logarithm.

    No gradient goes through the scale: at its optimum there is none. `scored` are the pixels that count, if not all do.
    """

    momentum = 0.1
    scored: Tensor | None = None

    def __init__(self, loc: Tensor, scale: Tensor, running: Tensor) -> None:
        super().__init__(loc, scale)
        self.running = running

    def expand(self, batch_shape: Any, _instance: Any = None) -> "OptimalNormal":
        new = OptimalNormal(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.running)
        new.scored = self.scored
        return new

    @torch.no_grad()
    def best_scale(self, value: Tensor) -> Tensor:
        error = (value - self.loc).square()
        mean = error.mean() if self.scored is None else (error * self.scored).mean() / self.scored.float().mean()
        return mean.sqrt().clamp_min(LocationScale.floor)

    def log_prob(self, value: Tensor) -> Tensor:
        scale = self.best_scale(value)
        with torch.no_grad():
            self.running.lerp_(scale.log(), self.momentum)
        return dist.Normal(self.loc, scale).log_prob(value)


class Laplace(LocationScale):
    r"""log p(x | z) = Σ −|x − μ|/b − log 2b: the absolute error."""

    formula = "Πᵢ exp(−|xᵢ − μᵢ|/b) / 2b\nμᵢ = hᵢ"
    family = dist.Laplace

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_laplace(x, *self.loc_scale(h))


class StudentT(LocationScale):
    r"""Student's t with learned degrees of freedom ν > 2 around μ: outliers cost it less.

    Takahashi et al. (2018), Student-t variational autoencoder for robust density estimation.
    """

    formula = "Πᵢ t(xᵢ; ν, μᵢ, s)\nμᵢ = hᵢ, t Student's"

    def __init__(self, scale: float | str = "shared", pixels: str = "standardized") -> None:
        super().__init__(scale, pixels)
        self.log_df = nn.Parameter(torch.tensor(1.0))

    def distribution(self, loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
        return dist.StudentT(2 + self.log_df.exp(), loc, scale)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_student_t(x, 2 + self.log_df.exp(), *self.loc_scale(h))
