"""A normal distribution, transformed by a flow."""

from collections.abc import Callable

import pyro.distributions as dist
import torch
from pyro.distributions import transforms
from torch import Tensor, nn

from pyrovae.parts.densities import log_det_jacobian, log_normal


class Flow(nn.Module):
    r"""log p(z) = log N(f(z); 0, I) + log |det ∂f/∂z|, with f two affine transforms of Pyro.

    `flow` chooses the transforms. `autoregressive` maps each dimension given those before it in a random order: fast to
    score and slow to sample (masked autoregressive flow: Papamakarios et al. 2017, arXiv:1705.07057). `coupling` maps
    half of the dimensions given the other half: fast both ways (Real NVP: Dinh et al. 2017, arXiv:1605.08803).
    """

    formula = "N(f(z); 0, I) |det ∂f/∂z|\nf learned, one-to-one"
    about = (
        "The prior is a normal distribution deformed by a learned one-to-one map: the region of likely codes"
        " may have almost any shape."
    )
    layers = 2
    loc: Tensor
    scale: Tensor
    order: Tensor

    def __init__(self, latent_dim: int, flow: str) -> None:
        super().__init__()
        if latent_dim < 2:
            raise ValueError(f"prior flow: expected two latent dimensions or more, got {latent_dim}")
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)
        self.register_buffer("order", torch.arange(latent_dim).flip(0), persistent=False)
        makers: dict[str, Callable[[int], nn.Module]] = {
            "autoregressive": autoregressive,
            "coupling": transforms.affine_coupling,
        }
        self.steps = nn.ModuleList([makers[flow](latent_dim) for _ in range(self.layers)])

    def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
        reverse = transforms.Permute(self.order)
        steps = [part.inv for step in self.steps for part in (step, reverse)]  # inverted: scoring runs them forwards
        return dist.TransformedDistribution(dist.Normal(self.loc, self.scale).to_event(1), steps)

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        return log_normal(self.bent(z), 0.0, 1.0).sum(-1) + log_det_jacobian(self.bent, z)

    def bent(self, z: Tensor) -> Tensor:
        """Return f(z), which maps codes to the normal distribution."""
        for step in reversed(self.steps):
            z = step(z.flip(-1))
        return z


def autoregressive(latent_dim: int) -> nn.Module:
    return transforms.affine_autoregressive(latent_dim, [10 * latent_dim], stable=True)
