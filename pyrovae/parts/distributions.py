"""Distributions of Pyro whose scores stay right in float32 where the parameters are large or small.

Each is the distribution of its base class; what differs is how the score is computed. The oracle of all three is
arithmetic of 50 digits: tests/parts/test_distributions.py. Student's t differs in where its numbers are made.
"""

import math
from collections.abc import Sequence

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn.functional import softplus

SERIES = 8.0  # from here on five terms of the series are right to 12 digits after the point
HALF_LOG_2PI = 0.5 * math.log(2 * math.pi)


def stirling(a: Tensor) -> Tensor:
    """Return what Stirling's formula leaves out: log Γ(a) − (a − ½) log a + a − ½ log 2π, elementwise.

    It is below 0.02 for a > 4, where log Γ(a) is large, so that differences of log Γ lose no digits by it.
    """
    large = a.clamp_min(SERIES)
    square = large.square()
    series = 1 / 12 - (1 / 360 - (1 / 1260 - (1 / 1680 - 1 / (1188 * square)) / square) / square) / square
    small = a.clamp_max(SERIES)
    direct = torch.lgamma(small) - (small - 0.5) * small.log() + small - HALF_LOG_2PI
    return torch.where(a < SERIES, direct, series / large)


class LogPoisson(dist.Poisson):
    """Poisson's distribution by log λ: its score has a gradient however small the rate λ is."""

    def __init__(self, log_rate: Tensor, validate_args: bool | None = None) -> None:
        self.log_rate = log_rate
        super().__init__(log_rate.exp(), validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "LogPoisson":
        return LogPoisson(self.log_rate.expand(batch_shape), validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        return value * self.log_rate - self.rate - torch.lgamma(value + 1)


class LogNegativeBinomial(dist.NegativeBinomial):
    """The negative binomial by log μ and log r, whose score keeps its digits for large counts, and for large r."""

    def __init__(self, log_mean: Tensor, log_r: Tensor, validate_args: bool | None = None) -> None:
        self.log_mean, self.log_r = torch.broadcast_tensors(log_mean, log_r)
        super().__init__(self.log_r.exp(), logits=self.log_mean - self.log_r, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "LogNegativeBinomial":
        parameters = (self.log_mean.expand(batch_shape), self.log_r.expand(batch_shape))
        return LogNegativeBinomial(*parameters, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        x, r, logits = value, self.total_count, self.log_mean - self.log_r
        # log Γ(x + r) − log Γ(r) − log Γ(x + 1), each by Stirling's formula: what is large cancels on paper.
        ratio = ((r - 1) / (x + 1)).clamp_min(-0.9)  # below −½ only where x is 0, and counts nothing
        ways = (r - 0.5) * (x / r).log1p() + x * ratio.log1p() - 0.5 * (x + 1).log()
        ways = ways + 1 - HALF_LOG_2PI + stirling(x + r) - stirling(r) - stirling(x + 1)
        return ways - x * softplus(-logits) - r * softplus(logits)


class StableBeta(dist.AffineBeta):
    """A scaled Beta whose score is right for concentrations of thousands, where log Γ loses digits."""

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "StableBeta":
        alpha, beta = (each.expand(batch_shape) for each in (self.concentration1, self.concentration0))
        return StableBeta(alpha, beta, self.loc, self.scale, validate_args=False)

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        alpha, beta, b = self.concentration1, self.concentration0, (value - self.loc) / self.scale
        total = alpha + beta
        powers = torch.xlogy(alpha - 1, b) + torch.special.xlog1py(beta - 1, -b)
        powers = powers + alpha * (beta / alpha).log1p() + beta * (alpha / beta).log1p()
        constant = 0.5 * (alpha / total * beta).log() - HALF_LOG_2PI
        constant = constant + stirling(total) - stirling(alpha) - stirling(beta) - self.scale.log()
        return powers + constant


class StudentT(dist.StudentT):
    """Student's t whose numbers are all made on the device; torch's own copies some to a GPU, and the host waits."""

    def __init__(self, df: Tensor | float, loc: Tensor, scale: Tensor, validate_args: bool | None = None) -> None:
        df = df if isinstance(df, Tensor) else loc.new_full((), df)
        self.df, self.loc, self.scale = torch.broadcast_tensors(df, loc, scale)
        self._chi2 = dist.Gamma(0.5 * self.df, torch.full_like(self.df, 0.5))
        torch.distributions.Distribution.__init__(self, self.df.shape, validate_args=validate_args)

    def expand(self, batch_shape: Sequence[int], _instance: None = None) -> "StudentT":
        df, loc, scale = (each.expand(batch_shape) for each in (self.df, self.loc, self.scale))
        return StudentT(df, loc, scale, validate_args=False)
