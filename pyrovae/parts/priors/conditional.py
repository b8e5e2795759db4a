"""The conditional prior, which depends on the context."""

from collections.abc import Callable, Sequence

import pyro.distributions as dist
from torch import Tensor, nn

from pyrovae.parts.densities import log_normal
from pyrovae.parts.kinds import Kind
from pyrovae.parts.networks import Network


class Conditional(nn.Module):
    r"""p(z | y) = N(z; μ(y), diag σ(y)²), learned: for a label y as a table, for an image or columns by a network.

    Sohn, Lee & Yan (2015), Learning structured output representation using deep conditional generative models.
    """

    formula = "N(z; μ(y), diag σ(y)²)\nμ(y), σ(y) learned"
    about = (
        "The prior is a normal distribution learned for each context: every label, or every seen part of an"
        " image, has its own region of likely codes."
    )

    def __init__(
        self,
        latent_dim: int,
        network: Network,
        context: tuple[int, ...],
        make_hidden: Callable[[int, Sequence[int]], nn.Module] | None = None,
        hidden: Sequence[int] = (),
        conditions: Sequence[Kind] = (),
    ) -> None:
        super().__init__()
        if not context:
            raise ValueError("prior conditional: expected a condition (label, quadrant1, ...), got none")
        self.body: nn.Module = network.encoder() if len(context) == 3 else nn.Identity()
        features: int = getattr(self.body, "features", context[0])
        if conditions and make_hidden is not None:
            self.body, features = make_hidden(context[0], hidden), hidden[-1]
        self.head = nn.Linear(features, 2 * latent_dim)

    def forward(self, y: Tensor) -> dist.TorchDistribution:
        return dist.Normal(*self.moments(y)).to_event(1)

    def log_density(self, y: Tensor, z: Tensor) -> Tensor:
        return log_normal(z, *self.moments(y)).sum(-1)

    def moments(self, y: Tensor) -> tuple[Tensor, Tensor]:
        """Return the mean and the standard deviations, each (n, latent)."""
        loc, log_variance = self.head(self.body(y)).chunk(2, -1)
        return loc, (0.5 * log_variance).exp()
