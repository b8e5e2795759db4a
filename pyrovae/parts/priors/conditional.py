"""The conditional prior, which depends on the context."""

import pyro.distributions as dist
from torch import Tensor, nn

from pyrovae.parts.densities import log_normal
from pyrovae.parts.networks import Network


class Conditional(nn.Module):
    r"""p(z | y) = N(z; μ(y), diag σ(y)²), learned: for an image y by a network, for a label y as a table.

    Sohn, Lee & Yan (2015), Learning structured output representation using deep conditional generative models.
    """

    formula = "N(z; μ(y), diag σ(y)²)\nμ(y), σ(y) learned"
    about = (
        "The prior is a normal distribution learned for each context: every label, or every seen part of an"
        " image, has its own region of likely codes."
    )

    def __init__(self, latent_dim: int, network: Network, context: tuple[int, ...]) -> None:
        super().__init__()
        if not context:
            raise ValueError("prior conditional: expected a condition (label, quadrant1, ...), got none")
        self.body = network.encoder() if len(context) == 3 else nn.Identity()
        self.head = nn.Linear(getattr(self.body, "features", context[0]), 2 * latent_dim)

    def forward(self, y: Tensor) -> dist.TorchDistribution:
        return dist.Normal(*self.moments(y)).to_event(1)

    def log_density(self, y: Tensor, z: Tensor) -> Tensor:
        return log_normal(z, *self.moments(y)).sum(-1)

    def moments(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviations, each (n, latent)."""
        loc, log_variance = self.head(self.body(y)).chunk(2, -1)
        return loc, (0.5 * log_variance).exp()
