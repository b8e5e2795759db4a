"""Gaussian posteriors with a diagonal, a low-rank or a full covariance."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn import functional as F

from pyrovae.parts.densities import log_gaussian, log_normal


class Diagonal(nn.Module):
    r"""q(z | x) = N(z; μ(x), diag σ(x)²). Kingma & Welling (2014), arXiv:1312.6114."""

    formula = "N(z; μ, diag σ²)\n(μ, log σ²) = A h + a"
    about = (
        "The encoder gives each image a region of likely codes, a normal distribution with independent"
        " dimensions: an ellipse along the axes."
    )

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent_dim)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, log_variance = self.head(h).chunk(2, -1)
        return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)

    def log_density(self, h: Tensor, z: Tensor) -> Tensor:
        loc, log_variance = self.head(h).chunk(2, -1)
        return log_normal(z, loc, (0.5 * log_variance).exp()).sum(-1)

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (n, latent) and the covariance (n, latent, latent)."""
        loc, log_variance = self.head(h).chunk(2, -1)
        return loc, torch.diag_embed(log_variance.exp())


class LowRank(nn.Module):
    r"""q(z | x) = N(z; μ(x), W(x) W(x)ᵀ + diag σ(x)²) with W of rank 2. Rezende et al. (2014), arXiv:1401.4082."""

    formula = "N(z; μ, W Wᵀ + diag σ²)\n(μ, log σ², W) = A h + a"
    about = (
        "The encoder gives each image a region of likely codes, a normal distribution correlated along two"
        " directions: an ellipse that may be tilted."
    )
    rank = 2

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, (2 + self.rank) * latent_dim)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, log_variance, *factor = self.head(h).chunk(2 + self.rank, -1)
        return dist.LowRankMultivariateNormal(loc, torch.stack(factor, -1), log_variance.exp())

    def log_density(self, h: Tensor, z: Tensor) -> Tensor:
        return log_gaussian(z, *self.moments(h))

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (n, latent) and the covariance (n, latent, latent)."""
        loc, log_variance, *factor = self.head(h).chunk(2 + self.rank, -1)
        w = torch.stack(factor, -1)
        return loc, w @ w.mT + torch.diag_embed(log_variance.exp())


class Full(nn.Module):
    r"""q(z | x) = N(z; μ(x), L(x) L(x)ᵀ), where L is lower triangular with a positive diagonal."""

    formula = "N(z; μ, L Lᵀ)\n(μ, L) = A h + a"
    about = (
        "The encoder gives each image a region of likely codes, a normal distribution with correlated"
        " dimensions: an ellipse that may be tilted."
    )
    place: Tensor  # the positions of the entries of L in the flattened matrix

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        rows, columns = torch.tril_indices(latent_dim, latent_dim)
        self.register_buffer("place", rows * latent_dim + columns, persistent=False)
        self.latent_dim = latent_dim
        self.head = nn.Linear(features, latent_dim + len(rows))

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, lower = self._loc_lower(h)
        return dist.MultivariateNormal(loc, scale_tril=lower)

    def log_density(self, h: Tensor, z: Tensor) -> Tensor:
        return log_gaussian(z, *self.moments(h))

    def moments(self, h: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean (n, latent) and the covariance (n, latent, latent)."""
        loc, lower = self._loc_lower(h)
        return loc, lower @ lower.mT

    def _loc_lower(self, h: Tensor) -> tuple[Tensor, Tensor]:
        loc, entries = self.head(h).split([self.latent_dim, len(self.place)], -1)
        square = entries.new_zeros(*entries.shape[:-1], self.latent_dim**2).index_copy(-1, self.place, entries)
        lower = square.unflatten(-1, (self.latent_dim, self.latent_dim)).tril(-1)
        diagonal = torch.diagonal(square.unflatten(-1, (self.latent_dim, self.latent_dim)), dim1=-2, dim2=-1)
        return loc, lower + torch.diag_embed(F.softplus(diagonal + 0.5) + 1e-4)
