"""A Gaussian posterior, transformed by a flow."""

from collections.abc import Iterable
from typing import Any

import pyro.distributions as dist
from pyro.distributions import transforms
from torch import Tensor, nn

from pyrovae.parts.densities import log_normal


class Flow(nn.Module):
    r"""z = f(ε; h(x)), ε ~ N(μ(x), diag σ(x)²), where f is two inverse autoregressive transforms that depend on h.

    Kingma et al. (2016), Improving variational inference with inverse autoregressive flow, arXiv:1606.04934.
    """

    formula = "N(ε; μ, diag σ²) |det ∂ε/∂z|\nz = f(ε; h), (μ, log σ²) = A h + a"
    about = (
        "The encoder gives each image a region of likely codes, of almost any shape: points drawn from it"
        " show where it is."
    )
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

    def log_density(self, h: Tensor, z: Tensor) -> Tensor:
        log_det: Tensor | float = 0.0
        for step in reversed([*self.steps]):
            # out = s ∘ z + (1 − s) ∘ m, where s and m depend on earlier dimensions of z
            network, out = step.condition(h).arn, z
            for _ in range(z.shape[-1] + 1):  # each pass computes one more dimension of z
                m, gate = network(z)
                s = (gate + step.kwargs.get("sigmoid_bias", 2.0)).sigmoid()
                z = (out - (1 - s) * m) / s
            log_det = log_det + s.log().sum(-1)
        loc, log_variance = self.head(h).chunk(2, -1)
        return log_normal(z, loc, (0.5 * log_variance).exp()).sum(-1) - log_det
