"""The generative program and its guide: the page that matters."""

import contextlib
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor, nn

from pyrovae.display import parts_of, table
from pyrovae.errors import InputError, at_least
from pyrovae.parts.contexts import Context, Quadrants
from pyrovae.parts.likelihoods import Likelihood


class VAE(PyroModule):
    r"""A variational autoencoder, written as a generative program and its guide.

        model:  z ~ p(z | y),   x ~ p(x | z, y)
        guide:  z ~ q(z | x, y)

    Without a context y the bars disappear, and this is the unconditional VAE. Shapes: x (n, C, H, W) in the pixels that
    the model was built for, z (n, latent), y (n, classes) for labels and (n, C, H, W) for quadrants. Its parameters are
    torch's, not Pyro's: fit it with `pyrovae.fit` or `pyrovae.SVI`; Pyro's own SVI finds none in its parameter store.
    Kingma & Welling (2014), arXiv:1312.6114; conditional: Sohn, Lee & Yan (2015).

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
        with pyro.settings.context(module_local_params=True):  # parameters stay out of Pyro's global store
            super().__init__()
        self.encoder, self.decoder = encoder, decoder
        self.prior, self.posterior, self.likelihood = prior, posterior, likelihood
        self.context = context

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """How images come about: with x it scores them, without it draws n. The context y is as `given` returns it."""
        with pyro.plate("images", n if x is None else len(x)):
            z = pyro.sample("z", self.prior(y))  # (n, latent)
            return pyro.sample("x", self.likelihood(self.decoder(z, y)), obs=x)  # (n, C, H, W)

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """How to infer the code of an image."""
        with pyro.plate("images", len(x)):
            return pyro.sample("z", self.posterior(self.encoder(x, y)))

    def given(self, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
        """The context y of images (n, C, H, W) and labels (n,), as the networks read it; None if there is none."""
        if self.context is None:
            return None
        read = labels if self.context.reads == "labels" else x
        if read is None:
            raise InputError("y: expected labels, as the model is conditional, got images without any")
        return self.context(read.to(self.device))

    # What one asks of a VAE. Pictures are the mean of p(x | z, y), or drawn from it with `mean=False`. Questions may
    # come from any device, answers lie on the model's.

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> TorchDistribution:
        """q(z | x, y): batch shape (n,), event shape (latent,)."""
        self.expect_images(x)
        return self.posterior(self.encoder(x.to(self.device), self._checked(y, len(x), x)))

    def decode(self, z: Tensor, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Images (n, C, H, W) for codes (n, latent): the model with its z set."""
        if not (isinstance(z, Tensor) and z.is_floating_point() and z.dim() == 2 and len(z)):
            raise InputError(f"z: expected a tensor of codes (n, latent), got {_told(z)}")
        y = self._checked(y, len(z))
        if z.shape[1:] != (wanted := self.prior(y).event_shape):
            raise InputError(f"z: expected codes of {wanted[0]} dimensions, got {z.shape[1]}")
        model = poutine.condition(self.model, {"z": z.to(self.device)})
        return self._image(model, y, len(z), mean)

    def generate(self, n: int | None = None, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Draw n images from the model, one for each y if it is conditional."""
        if n is not None:
            at_least(1, n=n)
        y = self._checked(y, n)
        return self._image(self.model, y, (n or 1) if y is None else len(y), mean)

    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Images (n, C, H, W) decoded from the means of their codes. A model of labels needs y."""
        return self.decode(mean_of(self.encode(x, y)), self._checked(y, len(x), x))

    def complete(self, y: Tensor, mean: bool = True) -> Tensor:
        """One completion for each image of which the model sees some quadrants: y (n, C, H, W), whole or not."""
        if not isinstance(self.context, Quadrants):
            raise InputError("complete: expected a model conditioned on quadrants, got another")
        return self.generate(y=y, mean=mean)

    def _repr_html_(self) -> str:
        y = "" if self.context is None else ", y"
        given = y.replace(", ", " | ")
        told: dict[str, Any] = {
            f"z ~ p(z{given})": self.prior,
            f"x ~ p(x | z{y})": self.likelihood,
            f"z ~ q(z | x{y})": self.posterior,
            "decoder": self.decoder,
            "encoder": self.encoder,
        }
        if self.context is not None:
            told["y"] = self.context
        return table("VAE", {name: parts_of(part) for name, part in told.items()})

    @property
    def device(self) -> torch.device:
        return next(self.parameters()).device

    @property
    def has_kl(self) -> bool:
        """Whether the posterior is a density; without one there is no KL, and this is a plain autoencoder."""
        return getattr(self.posterior, "density", True)

    def expect_images(self, x: Tensor) -> None:
        """Raise `InputError` for other than images of the shape that the decoder draws, where it tells of it."""
        shape = getattr(self.decoder, "out", ())[1:]
        fits = isinstance(x, Tensor) and x.dim() == 4 and (not shape or x.shape[1:] == shape)
        if not fits or x.dtype != next(self.parameters()).dtype:
            wanted = f"(n, {', '.join(map(str, shape)) or 'C, H, W'})"
            raise InputError(f"x: expected images {wanted} as `Data.batch` returns them, got {_told(x)}")

    def _checked(self, y: Tensor | None, n: int | None, x: Tensor | None = None) -> Tensor | None:
        """The context of n images as the networks read it; for quadrants, x shows its own."""
        if self.context is None:
            if y is not None:
                raise InputError("y: expected none, as the model is unconditional, got a context")
            return None
        if y is None and self.context.reads == "images":
            y = x
        if y is None:
            raise InputError(f"y: expected {self.context.reads}, as the model is conditional, got none")
        if not isinstance(y, Tensor) or y.dim() == 0 or len(y) != (n or max(1, len(y))):
            raise InputError(f"y: expected a tensor of {n or 'one or more'} {self.context.reads}, got {_told(y)}")
        return self.context(self.context.check(y.to(self.device)))

    @torch.no_grad()
    def _image(self, program: Callable[..., Tensor], y: Tensor | None, n: int, mean: bool) -> Tensor:
        with pyro.settings.context(module_local_params=True):
            site: Any = poutine.trace(program).get_trace(y=y, n=n).nodes["x"]
        x = mean_of(site["fn"]) if mean else site["value"]
        return x if y is None or not isinstance(self.context, Quadrants) else torch.where(self.context.seen, y, x)


def _told(x: object) -> str:
    return f"shape {tuple(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__


def known_mean(distribution: TorchDistribution) -> Tensor | None:
    """The mean in closed form, or None."""
    with contextlib.suppress(NotImplementedError):
        return distribution.mean
    return None


def mean_of(distribution: TorchDistribution) -> Tensor:
    """The mean where it is known in closed form, that of a hundred draws elsewhere."""
    mean = known_mean(distribution)
    return distribution.sample((100,)).mean(0) if mean is None else mean
