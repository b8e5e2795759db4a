"""p(z | y): a distribution over codes with event shape (latent,).

A prior's `forward` takes the context `y`, or None. Its constructor may ask by name for `latent_dim`, `network`,
`context` (the shape of y, or ()) and any setting of `Config`.
"""

import pyro.distributions as dist
import torch
from torch import Tensor, nn


class Normal(nn.Module):
    r"""p(z) = N(z; 0, I), whatever the context."""

    def __init__(self, latent_dim: int) -> None:
        super().__init__()
        self.register_buffer("loc", torch.zeros(latent_dim), persistent=False)
        self.register_buffer("scale", torch.ones(latent_dim), persistent=False)

    def forward(self, y: Tensor | None = None) -> dist.Distribution:
        return dist.Normal(self.loc, self.scale).to_event(1)


class Conditional(nn.Module):
    r"""p(z | y) = N(z; μ(y), diag σ(y)²), learned: a network of an image y, a table of a label y.

    Sohn, Lee & Yan (2015), Learning structured output representation using deep conditional generative models.
    """

    def __init__(self, latent_dim: int, network, context: tuple[int, ...]) -> None:
        super().__init__()
        if not context:
            raise ValueError("prior conditional: expected a condition (label, quadrant1, ...), got none")
        image = len(context) == 3
        self.body = network.encoder() if image else nn.Identity()
        self.head = nn.Linear(self.body.features if image else context[0], 2 * latent_dim)

    def forward(self, y: Tensor) -> dist.Distribution:
        loc, log_variance = self.head(self.body(y)).chunk(2, -1)
        return dist.Normal(loc, (0.5 * log_variance).exp()).to_event(1)


PRIORS = {"normal": Normal, "conditional": Conditional}
