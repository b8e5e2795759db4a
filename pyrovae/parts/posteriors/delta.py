"""A posterior with all its mass on one code."""

import pyro.distributions as dist
from torch import Tensor, nn


class Delta(nn.Module):
    r"""q(z | x) = δ(z − μ(x)), which has no density and no KL: the model is a plain autoencoder."""

    formula = "δ(z − μ)\nμ = A h + a"
    about = "The encoder gives each image a single code: a point, not a region of likely ones."
    density = False

    def __init__(self, features: int, latent_dim: int) -> None:
        super().__init__()
        self.head = nn.Linear(features, latent_dim)

    def forward(self, h: Tensor) -> dist.TorchDistribution:
        return dist.Delta(self.head(h)).to_event(1)
