"""Learn from values whose being missing depends on what they are: not-MIWAE."""

from typing import Any

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn
from torch.distributions import Independent

from pyrovae.parts.likelihoods import Seen
from pyrovae.vae import VAE


class NotAtRandom(VAE):
    r"""A VAE of data with values that are missing for what they are, as incomes are that are high.

        model:  z ~ p(z | y),               x ~ p(x | z, y),                        s ~ p(s | x)
        guide:  z ~ q(z | x_seen, s, y),    x_missing ~ p(x_missing | z, y)

    s says which values of x are missing, and is observed, so that x_missing must explain why nobody saw it. The guide
    draws it from the model's own p(x_missing | z, y), which cancels in the weight: log w = log p(x_seen | z, y) +
    log p(s | x_seen, x_missing) + log p(z | y) − log q(z | x_seen, s, y). `missingness` is p(s | x). All scores are of
    x_seen and s together. Ipsen, Mattei & Frellsen (2021), not-MIWAE, arXiv:2006.12871.

    Raises `ValueError` for data without missing values, and for a likelihood without draws that have a gradient.

    >>> config = Config(program="not_at_random", pixels="real", likelihood="gaussian", missingness="increasing")
    >>> program = build(config, (4,), missing=True)
    >>> [*program.sites(torch.rand(3, 4))]
    ['z', 'x_missing', 'x', 's']
    """

    filled = "x_missing"

    def __init__(self, likelihood: object, missingness: nn.Module, **parts: Any) -> None:
        if not isinstance(likelihood, Seen):  # quadrants wrap it
            raise ValueError(
                "program not_at_random: expected data with missing values, and no quadrants as condition; at random or"
                " whole, program vae reads them"
            )
        if getattr(likelihood.likelihood, "optimal", False):
            raise ValueError("scale: expected one that does not follow from the values, got optimal")
        super().__init__(likelihood=likelihood, **parts)
        self.missingness = missingness

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the values x that are there, and which ones are, or draw n whole images if x is None."""
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", self.prior(y))
            h = self.decoder(z, y)
            if x is None:
                return pyro.sample("x", self.likelihood(h))
            whole = self._filled(x, h)
            drawn = pyro.sample("x", self.likelihood(h), obs=x)
            missing = dist.Bernoulli(logits=self.missingness(whole)).to_event(x.dim() - 1)
            pyro.sample("s", missing, obs=x.isnan().to(whole))
            return drawn

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the code of each image, and then its missing values."""
        with pyro.plate("images", len(x)):
            z: Tensor = pyro.sample("z", self.posterior(self.encoder(x, y)))
            self._filled(x, self.decoder(z, y))
            return z

    def _filled(self, x: Tensor, h: Tensor) -> Tensor:
        """Return x with its missing values drawn, at the site `x_missing`; those that are there count nothing in it."""
        seen: Any = self.likelihood
        values = seen.likelihood(h)  # of all values, where `seen` leaves out the missing ones
        if not isinstance(values, Independent) or not values.has_rsample:
            raise ValueError(
                "likelihood: expected one whose draws have a gradient, as gaussian or student_t, for program"
                f" not_at_random, got {type(getattr(values, 'base_dist', values)).__name__}"
            )
        missing = x.isnan()
        drawn = pyro.sample("x_missing", values.base_dist.mask(missing).to_event(values.reinterpreted_batch_ndims))
        return torch.where(missing, drawn, x)
