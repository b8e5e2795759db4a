"""q(z | x, y): encoder features become a distribution over codes with event shape (latent,).

A posterior declares `density`: whether it is one, and so has a KL to the prior. Its constructor may ask by name for
`features` (the encoder's outputs), `latent_dim` and any setting of `Config`.
"""

import pyro.distributions as dist
from torch import Tensor, nn


class Diagonal(nn.Module):
    r"""q(z | x) = N(z; μ(x), diag σ(x)²). Kingma & Welling (2014), arXiv:1312.6114."""

    density = True

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, 2 * latent_dim)

    def forward(self, h: Tensor) -> dist.Distribution:
        loc, log_variance = self.head(h).chunk(2, -1)
        return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


class Delta(nn.Module):
    r"""q(z | x) = δ(z − μ(x)): all mass on one code. It has no density and no KL, which makes a plain autoencoder."""

    density = False

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, latent_dim)

    def forward(self, h: Tensor) -> dist.Distribution:
        return dist.Delta(self.head(h)).to_event(1)


POSTERIORS = {"diagonal": Diagonal, "delta": Delta}
