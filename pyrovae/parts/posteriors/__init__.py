"""Posteriors: q(z | x, y), distributions over codes given what the encoder returns. One member a file.

A posterior is a module whose `forward(h)` takes the encoder's features (n, features) and returns a Pyro distribution
with batch shape (n,) and event shape (latent,). It is reparameterised (`rsample`), so that gradients reach the encoder.

Its constructor may ask, by the names of its parameters, for `features` (how many the encoder returns), `latent_dim` and
any setting of `Config`. It raises `ValueError` for what it cannot be made of. For example:

    class Isotropic(nn.Module):
        def __init__(self, features: int, latent_dim: int) -> None:
            super().__init__()
            self.head = nn.Linear(features, latent_dim + 1)

        def forward(self, h: Tensor) -> dist.TorchDistribution:
            loc, log_scale = self.head(h).split([self.head.out_features - 1, 1], -1)
            return dist.Normal(loc, log_scale.exp()).to_event(1)

Add it to `POSTERIORS` below, or use it from your own file: `--posterior FILE.py:Isotropic`.

A posterior may have more than this:

- `density = False`: it has no density, and so no KL to the prior; the model is then a plain autoencoder.
- `formula`, `log_density` and `moments`, which `pyrovae explain` reads: see `pyrovae.parts.densities`.
"""

from torch import nn

from pyrovae.parts.posteriors.delta import Delta
from pyrovae.parts.posteriors.flow import Flow
from pyrovae.parts.posteriors.gaussian import Diagonal, Full, LowRank

POSTERIORS: dict[str, type[nn.Module]] = {
    "diagonal": Diagonal,
    "lowrank": LowRank,
    "full": Full,
    "flow": Flow,
    "delta": Delta,
}
