"""A learned mixture."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Mixture(nn.Module):
    r"""p(z) = Σ π_k N(z; μ_k, diag σ_k²), with `components` k, all of it learned.

    Dilokthanakul et al. (2016), arXiv:1611.02648, use such a prior.
    """

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(components, latent_dim))

    def forward(self, y: Tensor | None = None) -> dist.Distribution:
        parts = dist.Normal(self.loc, self.log_scale.exp()).to_event(1)
        return dist.MixtureSameFamily(dist.Categorical(logits=self.logits), parts)
