"""Programs with two layers of latents: one for images, and a linear-Gaussian one whose log-likelihood is known."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.parts.likelihoods.bernoulli import Bernoulli
from pyrovae.parts.posteriors import Diagonal
from pyrovae.parts.priors.standard import Normal
from pyrovae.program import Program


class Hierarchy(Program):
    """z2 ~ p(z2), z1 ~ p(z1 | z2), x ~ p(x | z1) for images (1, 8, 8), with a bottom-up guide: z1 | x, then z2 | z1."""

    code = "z2"

    def __init__(self, lower: int = 6, upper: int = 2) -> None:
        super().__init__()
        self.shape = (1, 8, 8)
        self.encoder, self.lower_posterior = (
            nn.Sequential(nn.Flatten(-3), nn.Linear(64, 20), nn.ReLU()),
            Diagonal(20, lower),
        )
        self.upper_posterior, self.lower_prior = Diagonal(lower, upper), Diagonal(upper, lower)
        self.prior, self.likelihood = Normal(upper), Bernoulli()
        self.decoder = nn.Sequential(nn.Linear(lower, 64), nn.Unflatten(-1, (1, 1, 8, 8)))

    def model(self, x: Tensor | None = None, y: None = None, n: int = 1) -> Tensor:
        with pyro.plate("images", n if x is None else len(x)):
            z2 = pyro.sample("z2", self.prior())
            z1 = pyro.sample("z1", self.lower_prior(z2))
            return pyro.sample("x", self.likelihood(self.decoder(z1)), obs=x)

    def guide(self, x: Tensor, y: None = None) -> Tensor:
        with pyro.plate("images", len(x)):
            z1 = pyro.sample("z1", self.lower_posterior(self.encoder(x)))
            return pyro.sample("z2", self.upper_posterior(z1))


class LinearHierarchy(Program):
    """z2 ~ N(0, 1), z1 ~ N(a z2, s²), x ~ N(z1 w, r²) for vectors x (3,): its log p(x) is that of a Gaussian."""

    code = "z2"

    def __init__(self, narrow: float = 0.8) -> None:
        super().__init__()
        self.narrow = narrow  # the standard deviation of the guide's z2
        self.a, self.s, self.w, self.r = 0.8, 0.5, torch.tensor([1.0, -0.5, 0.7]), 0.6
        self.slope = nn.Parameter(torch.tensor([0.4, -0.2, 0.3]))

    def model(self, x: Tensor | None = None, y: None = None, n: int = 1) -> Tensor:
        with pyro.plate("images", n if x is None else len(x)):
            z2 = pyro.sample("z2", dist.Normal(torch.zeros(1), 1.0).to_event(1))
            z1 = pyro.sample("z1", dist.Normal(self.a * z2, self.s).to_event(1))
            return pyro.sample("x", dist.Normal(z1 * self.w, self.r).to_event(1), obs=x)

    def guide(self, x: Tensor, y: None = None) -> Tensor:
        with pyro.plate("images", len(x)):
            z1 = pyro.sample("z1", dist.Normal((x @ self.slope)[..., None], 0.7).to_event(1))
            return pyro.sample("z2", dist.Normal(0.6 * z1, self.narrow).to_event(1))

    def log_likelihood(self, x: Tensor) -> Tensor:
        """Return log p(x), (n,)."""
        variance = self.a**2 + self.s**2
        covariance = variance * self.w[:, None] * self.w + self.r**2 * torch.eye(3)
        return torch.distributions.MultivariateNormal(torch.zeros(3), covariance).log_prob(x)
