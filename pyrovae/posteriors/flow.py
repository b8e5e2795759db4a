"""A Gaussian posterior, bent."""

from collections.abc import Iterable
from typing import Any

import pyro.distributions as dist
from pyro.distributions import transforms
from torch import Tensor, nn


class Flow(nn.Module):
    r"""z = f(ε; h(x)), ε ~ N(μ(x), diag σ(x)²), with f two inverse autoregressive transforms that read the features.

    Kingma et al. (2016), Improving variational inference with inverse autoregressive flow, arXiv:1606.04934.
    """

    layers = 2

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"posterior flow: expected two latent dimensions or more, got {latent_dim}")
        self.head = nn.Linear(features, 2 * latent_dim)
        self.steps: Iterable[Any] = nn.ModuleList(
            transforms.conditional_affine_autoregressive(latent_dim, features, [10 * latent_dim], stable=True)
            for _ in range(self.layers)
        )

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, log_variance = self.head(h).chunk(2, -1)
        base = dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)
        return dist.TransformedDistribution(base, [step.condition(h) for step in self.steps])
