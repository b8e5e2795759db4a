"""Codes above the code: two or more stochastic layers."""

from collections.abc import Callable, Sequence

import pyro
import torch
from torch import Tensor, nn

from pyrovae.config.settings import as_text
from pyrovae.parts.contexts import Context
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.parts.networks.network import Network
from pyrovae.program import Program
from pyrovae.programs.layers import GUIDES, BottomUp, Layers, TopDown


class Hierarchical(Program):
    r"""A VAE with several layers of codes: z1 next to the image, up to zL, which figures and the explorer move.

        model:      zL ~ p(zL | y),     zl ~ p(zl | zl+1),     x ~ p(x | z1, y)
        bottom_up:  z1 ~ q(z1 | x, y),  zl+1 ~ q(zl+1 | zl)
        top_down:   zL ~ q(zL | x, y),  zl ~ q(zl | x, y, zl+1)
        ladder:     zL ~ q(zL | x, y),  zl ~ N(zl; μ(x, y), diag σ(x, y)²) p(zl | zl+1) / Z

    `inference` says which of the three the guide is: Burda et al. (2016), arXiv:1509.00519; Tomczak & Welling (2018),
    arXiv:1705.07120, whose decoder also reads all codes (`skip`); Sønderby et al. (2016), arXiv:1602.02282.

    `latent_dim` are the dimensions of z1, z2, ..., and `upper_hidden` the widths of the hidden layers between two codes
    (by default `hidden`). p(zl | zl+1) is a diagonal Gaussian. A prior that encodes images, as vamp and exemplar do,
    encodes them up to the top; bottom up, by the means of the codes below.
    """

    def __init__(
        self,
        network: Network,
        likelihood: Likelihood,
        make_hidden: Callable[[int, Sequence[int]], nn.Module],
        make_posterior: Callable[[int, int], nn.Module],
        make_prior: Callable[[int, nn.Module, nn.Module], nn.Module],
        latent_dim: Sequence[int],
        hidden: Sequence[int],
        upper_hidden: Sequence[int] = (),
        inference: str = "bottom_up",
        skip: str = "no",
        context: Context | None = None,
    ) -> None:
        super().__init__()
        if isinstance(latent_dim, int) or len(latent_dim) < 2:
            raise ValueError(
                f"latent_dim: expected two or more numbers for program hierarchical, got {as_text(latent_dim)}"
            )
        y = () if context is None else context.shape
        self.encoder = network.encoder(y)
        layers = Layers(latent_dim, upper_hidden or hidden, self.encoder.features, make_hidden, make_posterior)
        self.codes = layers.names()
        self.code: str = self.codes[-1]
        self.lower_priors = layers.priors()
        self.inference = GUIDES[inference](layers, self.lower_priors)
        to_top = _ToTop(self.encoder, self.inference, layers.hidden[-1])
        self.prior = make_prior(latent_dim[-1], to_top, self.inference.posteriors[-1])
        self.skip = skip == "yes"
        self.decoder = network.decoder(sum(latent_dim) if self.skip else latent_dim[0], likelihood.features, y)
        self.likelihood, self.features, self.context = likelihood, likelihood.features, context

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None, from the top code down."""
        with pyro.plate("images", n if x is None else len(x)):
            z = [pyro.sample(self.code, self.prior(y))]
            for name, prior in reversed([*zip(self.codes, self.lower_priors)]):
                z.append(pyro.sample(name, prior(z[-1])))
            h = self.decoder(torch.cat(z, -1) if self.skip else z[-1], y)
            return pyro.sample("x", self.likelihood(h), obs=x)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw all codes of each image; return the top one."""
        with pyro.plate("images", len(x)):
            top: Tensor = self.inference(self.encoder(x, y))
            return top


class _ToTop(nn.Module):
    """Encodes images up to the features from which the top code is inferred, for priors that encode images."""

    def __init__(self, encoder: nn.Module, inference: BottomUp | TopDown, features: int) -> None:
        super().__init__()
        self.encoder, self.inference, self.features = encoder, inference, features

    def forward(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        return self.inference.top(self.encoder(x, y))
