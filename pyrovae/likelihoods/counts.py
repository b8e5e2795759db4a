"""Bytes as counts."""

import pyro.distributions as dist
from torch import Tensor, nn


class Poisson(nn.Module):
    r"""log p(x | z) = Σ x log λ − λ − log x!, with λ = exp of the feature; mean and variance are both λ."""

    features = 1
    domain = ("bytes",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (log_rate,) = h.unbind(-4)
        return dist.Poisson(log_rate.exp()).to_event(3)


class NegativeBinomial(nn.Module):
    r"""A Poisson of Gamma distributed rate: mean μ = exp of one feature, variance μ + μ²/r, r = exp of the other."""

    features = 2
    domain = ("bytes",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        log_mean, log_r = h.unbind(-4)
        return dist.NegativeBinomial(log_r.exp(), logits=log_mean - log_r).to_event(3)
