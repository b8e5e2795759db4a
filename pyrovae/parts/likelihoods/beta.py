"""The Beta likelihood of grey pixels."""

import math

import pyro.distributions as dist
import torch
from torch import Tensor
from torch.nn import functional as F

from pyrovae.parts.distributions import StableBeta
from pyrovae.parts.likelihoods.likelihood import Elementwise


class Beta(Elementwise):
    r"""x = (256 b − ½) / 255 with b ~ Beta(α, β), where α and β are the softplus of two features.

    This maps the 256 grey values to the centres of 256 equal parts of the unit interval, because a Beta density may be
    infinite at 0 and 1. It is a density over [−1/510, 511/510], an interval that contains every grey pixel. Pixels that
    are `dequantised` lie within (0, 1), and are themselves b.
    """

    formula = "Πᵢ 255/256 Beta(bᵢ; αᵢ, βᵢ)\nbᵢ = (255 xᵢ + ½)/256, (αᵢ, βᵢ) = softplus(hᵢ)"
    features = 2
    domain: tuple[str, ...] = ("grey", "dequantised")
    floor = 1e-3  # the least α and β

    def __init__(self, pixels: str = "grey") -> None:
        super().__init__()
        self.low, self.width = (-0.5 / 255, 256 / 255) if pixels == "grey" else (0.0, 1.0)
        if pixels != "grey":
            self.formula = "Πᵢ Beta(xᵢ; αᵢ, βᵢ)\n(αᵢ, βᵢ) = softplus(hᵢ)"

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        alpha, beta = self._alpha_beta(h)
        return StableBeta(alpha, beta, alpha.new_full((), self.low), alpha.new_full((), self.width)).to_event(self.dims)

    def log_density(self, h: Tensor, x: Tensor) -> Tensor:
        (alpha, beta), b = self._alpha_beta(h), (x - self.low) / self.width
        constant = torch.lgamma(alpha + beta) - torch.lgamma(alpha) - torch.lgamma(beta) - math.log(self.width)
        return constant + (alpha - 1) * b.log() + (beta - 1) * (1 - b).log()

    def _alpha_beta(self, h: Tensor) -> tuple[Tensor, Tensor]:
        alpha, beta = (F.softplus(part) + self.floor for part in self.split(h))
        return alpha, beta
