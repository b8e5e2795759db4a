"""Gaussian posteriors, by the shape of their covariance."""

import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.nn import functional as F


class Diagonal(nn.Module):
    r"""q(z | x) = N(z; μ(x), diag σ(x)²). Kingma & Welling (2014), arXiv:1312.6114."""

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent_dim)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, log_variance = self.head(h).chunk(2, -1)
        return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


class LowRank(nn.Module):
    r"""q(z | x) = N(z; μ(x), W(x) W(x)ᵀ + diag σ(x)²), with W of rank 2. Rezende et al. (2014), arXiv:1401.4082."""

    rank = 2

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, (2 + self.rank) * latent_dim)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, log_variance, *factor = self.head(h).chunk(2 + self.rank, -1)
        return dist.LowRankMultivariateNormal(loc, torch.stack(factor, -1), log_variance.exp())


class Full(nn.Module):
    r"""q(z | x) = N(z; μ(x), L(x) L(x)ᵀ), with L lower triangular and its diagonal positive."""

    place: Tensor

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        rows, columns = torch.tril_indices(latent_dim, latent_dim)
        self.register_buffer("place", rows * latent_dim + columns, persistent=False)
        self.latent_dim = latent_dim
        self.head = nn.Linear(features, latent_dim + len(rows))

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        loc, entries = self.head(h).split([self.latent_dim, len(self.place)], -1)
        square = entries.new_zeros(*entries.shape[:-1], self.latent_dim**2).index_copy(-1, self.place, entries)
        lower = square.unflatten(-1, (self.latent_dim, self.latent_dim)).tril(-1)
        diagonal = torch.diagonal(square.unflatten(-1, (self.latent_dim, self.latent_dim)), dim1=-2, dim2=-1)
        return dist.MultivariateNormal(loc, scale_tril=lower + torch.diag_embed(F.softplus(diagonal + 0.5) + 1e-4))
