"""A learned mixture of Gaussians."""

import math

import pyro.distributions as dist
import torch
from pyro.distributions.torch_distribution import ExpandedDistribution
from torch import Tensor, nn

from pyrovae.parts.densities import log_normal


class Mixture(nn.Module):
    r"""p(z) = Σ π_k N(z; μ_k, diag σ_k²), with `components` values of k; weights, means and scales are learned.

    Dilokthanakul et al. (2016), arXiv:1611.02648, use such a prior.
    """

    formula = "Σₖ πₖ N(z; μₖ, diag σₖ²)"
    about = "The prior is a learned mixture of normal distributions: codes gather in clusters."

    def __init__(self, latent_dim: int, components: int) -> None:
        super().__init__()
        self.logits = nn.Parameter(torch.zeros(components))
        self.loc = nn.Parameter(torch.randn(components, latent_dim))
        self.log_scale = nn.Parameter(torch.zeros(components, latent_dim))

    def forward(self, y: Tensor | None = None) -> dist.TorchDistribution:
        parts = dist.Normal(self.loc, self.log_scale.exp()).to_event(1)
        return GaussianMixture(dist.Categorical(logits=self.logits), parts)

    def log_density(self, y: Tensor | None, z: Tensor) -> Tensor:
        parts = log_normal(z[..., None, :], self.loc, self.log_scale.exp()).sum(-1)  # (n, components)
        return (self.logits.log_softmax(-1) + parts).logsumexp(-1)


class GaussianMixture(dist.MixtureSameFamily):
    """A mixture of diagonal Gaussians whose `log_prob` is one matrix product of (z, z²) with (μ/σ², −1/2σ²).

    It needs no tensor (codes, components, latent) of the differences z − μ, as Pyro's mixture does. The product is
    one of float64: where scales are small, squares are large, and their difference would lose all digits of float32.
    """

    def expand(self, batch_shape: torch.Size, _instance: None = None) -> ExpandedDistribution:
        return ExpandedDistribution(self, batch_shape)  # the number of components does not change

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        parts = self.component_distribution.base_dist
        middle = parts.loc.double().mean(0)  # measured from here the squares are small, and lose few digits
        z, loc, precision = value - middle, parts.loc - middle, parts.scale.double().square().reciprocal()
        constant = -0.5 * (loc.square() * precision + (2 * math.pi / precision).log()).sum(-1)
        weights = torch.log_softmax(self.mixture_distribution.logits, -1)
        features = torch.cat([z, z.square()], -1).reshape(-1, 2 * z.shape[-1])
        factors = torch.cat([loc * precision, -0.5 * precision], -1)  # (K, 2 latent)
        scores = torch.addmm(constant + weights, features, factors.T)
        return torch.logsumexp(scores, -1).view(value.shape[:-1]).to(value.dtype)
