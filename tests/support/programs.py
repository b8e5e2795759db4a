"""Programs of a user's own, with what pyrovae's have not: sites of their own code, a label after the code, factors."""

import pyro
import pyro.distributions as dist
import torch
from torch import Tensor, nn

from pyrovae.program import Program

BRIGHT = """
import pyro
import pyro.distributions as dist
import torch
from pyrovae import Program
from torch import nn


class Bright(Program):
    def __init__(self, encoder, decoder, prior, posterior, likelihood):
        super().__init__()
        self.encoder, self.decoder, self.likelihood = encoder, decoder, likelihood
        self.prior, self.posterior = prior, posterior
        self.brightness = nn.Linear(encoder.features, 2)
        self.register_buffer("zero", torch.zeros(()))

    def model(self, x=None, y=None, n=1):
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", self.prior())
            brightness = pyro.sample("brightness", dist.Normal(self.zero, 1.0))
            h = self.decoder(z) + brightness[..., None, None, None, None]
            return pyro.sample("x", self.likelihood(h), obs=x)

    def guide(self, x, y=None):
        with pyro.plate("images", len(x)):
            h = self.encoder(x)
            loc, log_scale = self.brightness(h).unbind(-1)
            pyro.sample("brightness", dist.Normal(loc, log_scale.exp()))
            pyro.sample("z", self.posterior(h))
"""


class Clusters(Program):
    """c ~ p(c), z ~ p(z | c), x ~ p(x | z) for images (1, 4, 4); the guide draws z, and then sums over the index c.

    A factor of the model weighs the codes, and a mask leaves out half of the pixels.
    """

    label, classes, shape = "c", 3, (1, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.weights, self.loc = (
            nn.Parameter(torch.tensor([0.5, 0.0, -1.0])),
            nn.Parameter(torch.arange(6.0).view(3, 2)),
        )
        self.encoder, self.decoder, self.classifier = nn.Linear(16, 4), nn.Linear(2, 16), nn.Linear(2, 3)

    def model(self, x: Tensor | None = None, y: None = None, n: int = 1) -> Tensor:
        with pyro.plate("images", n if x is None else len(x)):
            c = pyro.sample("c", dist.Categorical(logits=self.weights))
            z = pyro.sample("z", dist.Normal(self.loc[c], 0.5).to_event(1))
            pyro.factor("small", -0.1 * z.square().sum(-1))
            pixels = dist.Bernoulli(logits=self.decoder(z).unflatten(-1, self.shape))
            return pyro.sample("x", pixels.mask(torch.arange(4) > 1).to_event(3), obs=x)

    def guide(self, x: Tensor, y: None = None) -> None:
        with pyro.plate("images", len(x)):
            loc, log_scale = self.encoder(x.flatten(-3)).chunk(2, -1)
            z = pyro.sample("z", dist.Normal(loc, log_scale.exp()).to_event(1))
            pyro.sample("c", dist.Categorical(logits=self.classifier(z)), infer={"enumerate": "parallel"})


class Symbols(Program):
    """Four one-hot symbols s and a rate w for counts x (1, 4, 4), with a share that no family of `explain` knows."""

    code, shape = None, (1, 4, 4)

    def __init__(self) -> None:
        super().__init__()
        self.encoder, self.decoder = nn.Linear(16, 12), nn.Linear(12, 16)
        self.register_buffer("equal", torch.zeros(4, 3))

    def model(self, x: Tensor | None = None, y: None = None, n: int = 1) -> Tensor:
        with pyro.plate("images", n if x is None else len(x)):
            s = pyro.sample("s", dist.OneHotCategorical(logits=self.equal).to_event(1))
            w = pyro.sample("w", dist.Gamma(2.0, 3.0))
            share = pyro.sample("share", dist.Kumaraswamy(2.0, 3.0))
            rate = w[..., None] * (share[..., None] * self.decoder(s.flatten(-2))).exp()
            return pyro.sample("x", dist.Poisson(rate.unflatten(-1, self.shape)).to_event(3), obs=x)

    def guide(self, x: Tensor, y: None = None) -> None:
        with pyro.plate("images", len(x)):
            logits = self.encoder(x.flatten(-3)).unflatten(-1, (4, 3))
            s = pyro.sample("s", dist.OneHotCategorical(logits=logits).to_event(1))
            pyro.sample("w", dist.LogNormal(s[..., 0, 0], 1.0))
            pyro.sample("share", dist.Kumaraswamy(2.0, 2.0))
