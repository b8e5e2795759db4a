"""Likelihoods of counts, and of bytes as such: Poisson and negative binomial."""

import pyro.distributions as dist
import torch
from torch import Tensor

from pyrovae.parts.distributions import LogNegativeBinomial, LogPoisson
from pyrovae.parts.likelihoods.likelihood import Elementwise


class Poisson(Elementwise):
    r"""log p(x | z) = Σ x log λ − λ − log x!, where λ is exp of the feature; mean and variance are both λ."""

    formula = "Πᵢ λᵢ^xᵢ exp(−λᵢ) / xᵢ!\nλᵢ = exp hᵢ"
    features = 1
    log_mean = True  # is the first feature, so that a library size can be added
    domain: tuple[str, ...] = ("bytes", "counts")

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (log_rate,) = self.split(h)
        return LogPoisson(log_rate).to_event(self.dims)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        (log_rate,) = self.split(h)
        return x * log_rate - log_rate.exp() - torch.lgamma(x + 1)


class NegativeBinomial(Elementwise):
    r"""A Poisson with a Gamma distributed rate: mean μ and variance μ + μ²/r, where μ and r are exp of two features."""

    formula = "Πᵢ Γ(xᵢ + rᵢ) / (Γ(rᵢ) xᵢ!) pᵢ^xᵢ (1 − pᵢ)^rᵢ\npᵢ = μᵢ/(μᵢ + rᵢ), (μᵢ, rᵢ) = exp hᵢ"
    features = 2
    log_mean = True
    domain: tuple[str, ...] = ("bytes", "counts")

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        log_mean, log_r = self.split(h)
        return LogNegativeBinomial(log_mean, log_r).to_event(self.dims)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        log_mean, log_r = self.split(h)
        log_sum, r = torch.logaddexp(log_mean, log_r), log_r.exp()
        ways = torch.lgamma(x + r) - torch.lgamma(r) - torch.lgamma(x + 1)
        return ways + x * (log_mean - log_sum) + r * (log_r - log_sum)
