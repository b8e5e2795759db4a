"""The Bernoulli score of grey pixels, made a density."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class ContinuousBernoulli(nn.Module):
    r"""log p(x | z) = Σ x log λ + (1 − x) log(1 − λ) + log C(λ), with λ the sigmoid of the feature and x in [0, 1].

    C(λ) = 2 artanh(1 − 2λ) / (1 − 2λ) normalises it. Loaiza-Ganem & Cunningham (2019), arXiv:1907.06845.
    """

    formula = "Πᵢ C(λᵢ) λᵢ^xᵢ (1 − λᵢ)^(1 − xᵢ)\nλᵢ = σ(hᵢ), C(λ) = 2 artanh(1 − 2λ) / (1 − 2λ)"
    features = 1
    domain = ("grey",)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        (logits,) = h.unbind(-4)
        return dist.ContinuousBernoulli(logits=logits).to_event(3)

    def by_hand(self, h: Tensor, x: Tensor) -> Tensor:
        logits = h.squeeze(-4)
        near_zero = logits.abs() < 1e-2  # where C = logit / tanh(logit / 2), and 0 / 0 at 0
        away = torch.where(near_zero, 1.0, logits)
        c = torch.where(near_zero, 2 + logits**2 / 6 - logits**4 / 360 + logits**6 / 15120, away / (away / 2).tanh())
        return c.log() - F.binary_cross_entropy_with_logits(logits, x, reduction="none")
