"""Likelihoods with a location and a scale: Gaussian, Laplace and Student's t."""

import math
from collections.abc import Callable, Sequence

import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts import distributions
from pyrovae.parts.densities import log_laplace, log_normal, log_student_t
from pyrovae.parts.likelihoods.likelihood import Elementwise

# Where a learned scale starts. If it is much wider, the code is not worth its KL at first, and often never becomes so.
START = {"grey": 0.2, "dequantised": 0.2, "standardized": 0.7, "real": 0.7}


MOST = 40.0  # the logarithm of the largest scale: its square is a number in float32, too


def scale_of(log_scale: Tensor) -> Tensor:
    """Return e^s, but at most e^40.

    A network may say any s; e^s is infinite in float32 from 89 on, and its gradient no number. Here the gradient is the
    value itself for every s, so that a scale that is too large comes back.
    """
    return (log_scale - (log_scale - MOST).relu().detach()).exp()


class LocationScale(Elementwise):
    """The base of likelihoods whose location μ is the decoder's feature; `scale` says what their scale is.

    A number fixes it; `shared` learns one for all values; with `pixel` a second feature is its logarithm at each one.
    """

    features = 1
    domain: tuple[str, ...] = ("grey", "dequantised", "standardized", "real")
    family: Callable[..., dist.TorchDistribution]
    floor = 1e-3  # the least scale of a pixel: without it, one that is always black makes the density infinite

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
        return self.distribution(*self.loc_scale(h)).to_event(self.dims)

    def loc_scale(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the location (..., *shape), and a scale that broadcasts with it."""
        loc, *log_scale = self.split(h)
        return loc, scale_of(log_scale[0] + self.start) + self.floor if log_scale else self.log_scale.exp()

    def distribution(self, loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
        """Return the distribution of each pixel; a subclass whose `family` takes more arguments overrides it."""
        return self.family(loc, scale)


class Gaussian(LocationScale):
    r"""log p(x | z) = Σ log N(x; μ, σ²). `scale` may also be `optimal`: σ² is the mean squared error of the batch.

    That σ maximises the likelihood. Outside training, log σ is the running mean of its values in training. σ-VAE:
    Rybkin, Daniilidis & Levine (2021), arXiv:2006.13202.
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
    """Scores a batch with the scale that fits it best, and updates a running mean of that scale's logarithm.

    No gradient flows through the scale, as its gradient is 0 at the optimum. `scored` (C, H, W) is a mask of the pixels
    that count, or None if all do.
    """

    momentum = 0.1
    scored: Tensor | None = None

    def __init__(self, loc: Tensor, scale: Tensor, running: Tensor) -> None:
        super().__init__(loc, scale)
        self.running = running

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "OptimalNormal":
        new = OptimalNormal(self.loc.expand(batch_shape), self.scale.expand(batch_shape), self.running)
        new.scored = self.scored
        return new

    @torch.no_grad()
    def best_scale(self, value: Tensor) -> Tensor:
        """Return the root mean squared error over the pixels that count."""
        error = (value - self.loc).square()
        mean = error.mean() if self.scored is None else (error * self.scored).mean() / self.scored.float().mean()
        return mean.sqrt().clamp_min(LocationScale.floor)

    def log_prob(self, value: Tensor) -> Tensor:
        scale = self.best_scale(value)
        with torch.no_grad():
            self.running.lerp_(scale.log(), self.momentum)
        return dist.Normal(self.loc, scale).log_prob(value)


class Laplace(LocationScale):
    r"""log p(x | z) = Σ −|x − μ|/b − log 2b, which penalises the absolute error."""

    formula = "Πᵢ exp(−|xᵢ − μᵢ|/b) / 2b\nμᵢ = hᵢ"
    family = dist.Laplace

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_laplace(x, *self.loc_scale(h))


class StudentT(LocationScale):
    r"""Student's t around μ with learned degrees of freedom ν > 2, for which outliers cost less.

    Takahashi et al. (2018), Student-t variational autoencoder for robust density estimation.
    """

    formula = "Πᵢ t(xᵢ; ν, μᵢ, s)\nμᵢ = hᵢ, t Student's"

    def __init__(self, scale: float | str = "shared", pixels: str = "standardized") -> None:
        super().__init__(scale, pixels)
        self.log_df = nn.Parameter(torch.tensor(1.0))

    def distribution(self, loc: Tensor, scale: Tensor) -> dist.TorchDistribution:
        return distributions.StudentT(2 + self.log_df.exp(), loc, scale)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        return log_student_t(x, 2 + self.log_df.exp(), *self.loc_scale(h))
