"""The variational autoencoder: a generative model and its guide, written in Pyro."""

import pyro
from torch import Tensor, nn

from pyrovae.display import parts_of, table
from pyrovae.parts.contexts import Context
from pyrovae.parts.likelihoods import Likelihood
from pyrovae.program import Program


class VAE(Program):
    r"""A variational autoencoder: the model says how an image arises from a code, the guide how to infer the code.

        model:  z ~ p(z | y),   x ~ p(x | z, y)
        guide:  z ~ q(z | x, y)

    An unconditional VAE has no context y: p(z), p(x | z) and q(z | x). Shapes: x (n, C, H, W), with pixels as
    `Data.batch` returns them; z (n, latent); y (n, classes) for labels or (n, C, H, W) for quadrants. `pyrovae.fit` and
    `pyrovae.SVI` train it and leave Pyro's parameter store empty; Pyro's own `SVI` trains it by that store. Kingma &
    Welling (2014), arXiv:1312.6114; conditional: Sohn, Lee & Yan (2015).

    >>> vae = build(Config(condition="label", latent_dim=3), (1, 8, 8), classes=10)
    >>> labels = torch.tensor([7, 7, 2])
    >>> images = vae.generate(y=labels)
    >>> images.shape, vae.encode(images, labels).event_shape, vae.reconstruct(images, labels).shape
    (torch.Size([3, 1, 8, 8]), torch.Size([3]), torch.Size([3, 1, 8, 8]))
    """

    def __init__(
        self,
        encoder: nn.Module,
        decoder: nn.Module,
        prior: nn.Module,
        posterior: nn.Module,
        likelihood: Likelihood,
        context: Context | None = None,
    ) -> None:
        super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior, self.posterior, self.likelihood = prior, posterior, likelihood
        self.context = context
        self.shape = tuple(getattr(decoder, "out", ())[1:])  # (C, H, W), of the decoder's (features, C, H, W)
        self.features = getattr(likelihood, "features", 1)
        self.has_kl = getattr(posterior, "density", True)  # without a density there is no KL: a plain autoencoder

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None. The method `given` returns the context y."""
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", self.prior(y))  # (n, latent)
            return pyro.sample("x", self.likelihood(self.decoder(z, y)), obs=x)  # (n, C, H, W)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the code of each image from its approximate posterior."""
        with pyro.plate("images", len(x)):
            return pyro.sample("z", self.posterior(self.encoder(x, y)))

    def _repr_html_(self) -> str:
        y, bar_y = ("", "") if self.context is None else (", y", " | y")
        parts: dict[str, object] = {
            f"z ~ p(z{bar_y})": self.prior,
            f"x ~ p(x | z{y})": self.likelihood,
            f"z ~ q(z | x{y})": self.posterior,
            "decoder": self.decoder,
            "encoder": self.encoder,
        }
        if self.context is not None:
            parts["y"] = self.context
        return table("VAE", {name: parts_of(part) for name, part in parts.items()})
