"""What a program is: a model and a guide, and all that follows from running them."""

import contextlib
from collections.abc import Callable
from typing import Any

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from pyro.poutine.messenger import Messenger
from torch import Tensor

from pyrovae.errors import InputError, at_least
from pyrovae.parts.contexts import Context, Quadrants


class Program(PyroModule):
    """A generative model of images and its guide, written in Pyro.

    Write `model` and `guide`; what one asks of a trained program follows from running them. Two names say which sites
    are meant: `image`, what is drawn and scored, and `code`, the latent that `encode` returns and `decode` sets.
    Pictures are the mean of p(x | z, y), or draws from it with `mean=False`. Arguments may lie on any device, and
    results lie on the program's. Parameters are torch's, not Pyro's: the global parameter store stays empty.
    """

    image, code = "x", "z"
    shape: tuple[int, ...] = ()  # of an image, (C, H, W); empty if it is not known
    has_kl: bool = True  # False: the guide has no density, and this is a plain autoencoder

    def __init__(self, context: Context | None = None) -> None:
        with pyro.settings.context(module_local_params=True):
            super().__init__()
        self.context = context  # what the program is given

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """The generative process: with x it scores images, without x it draws n of them."""
        raise NotImplementedError

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """The distribution of the latents, given images."""
        raise NotImplementedError

    def given(self, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
        """The context y of images (n, C, H, W) and labels (n,), as the networks read it; None if there is none."""
        if self.context is None:
            return None
        read = labels if self.context.reads == "labels" else x
        if read is None:
            raise InputError("y: expected labels, as the model is conditional, got images without any")
        y: Tensor = self.context(read.to(self.device))
        return y

    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> TorchDistribution:
        """The distribution of the code, q(z | x, y): batch shape (n,), event shape (latent,)."""
        site = self._inferred(x, y).nodes[self.code]
        distribution: TorchDistribution = site["fn"]
        return distribution

    def decode(self, z: Tensor, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Images (n, C, H, W) for codes (n, latent): runs the model with its code set to z."""
        if not (isinstance(z, Tensor) and z.is_floating_point() and z.dim() == 2 and len(z)):
            raise InputError(f"z: expected a tensor of codes (n, latent), got {described(z)}")
        y = self._checked(y, len(z))
        return self._image(_SetCode(self.code, z.to(self.device))(self.model), y, len(z), mean)

    def generate(self, n: int | None = None, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Draw n images from the model, one for each y if it is conditional."""
        if n is not None:
            at_least(1, n=n)
        y = self._checked(y, n)
        return self._image(self.model, y, (n or 1) if y is None else len(y), mean)

    @torch.no_grad()
    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Images (n, C, H, W) decoded from the means of their codes. A model of labels needs y."""
        inferred = self._inferred(x, y).nodes[self.code]
        return self.decode(inferred["value"], self._checked(y, len(x), x))

    def complete(self, y: Tensor, mean: bool = True) -> Tensor:
        """Draw one completion for each image of which the model sees some quadrants: y (n, C, H, W), whole or not."""
        if not isinstance(self.context, Quadrants):
            raise InputError("complete: expected a model conditioned on quadrants, got another")
        return self.generate(y=y, mean=mean)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def expect_images(self, x: Tensor) -> None:
        """Raise `InputError` unless x are images of the program's shape, in the type of its parameters."""
        fits = isinstance(x, Tensor) and x.dim() == 4 and (not self.shape or x.shape[1:] == self.shape)
        if not fits or x.dtype != next(self.parameters()).dtype:
            expected = f"(n, {', '.join(map(str, self.shape)) or 'C, H, W'})"
            raise InputError(f"x: expected images {expected} as `Data.batch` returns them, got {described(x)}")

    def _inferred(self, x: Tensor, y: Tensor | None) -> Any:
        """The trace of the guide, with each latent at its mean."""
        self.expect_images(x)
        y = self._checked(y, len(x), x)
        with AtMeans(), pyro.settings.context(module_local_params=True):
            return poutine.trace(self.guide).get_trace(x.to(self.device), y)

    def _checked(self, y: Tensor | None, n: int | None, x: Tensor | None = None) -> Tensor | None:
        """The context of n images as the networks read it; quadrants are taken from x if y is not given."""
        if self.context is None:
            if y is not None:
                raise InputError("y: expected none, as the model is unconditional, got a context")
            return None
        if y is None and self.context.reads == "images":
            y = x
        if y is None:
            raise InputError(f"y: expected {self.context.reads}, as the model is conditional, got none")
        if not isinstance(y, Tensor) or y.dim() == 0 or len(y) != (n or max(1, len(y))):
            raise InputError(f"y: expected a tensor of {n or 'one or more'} {self.context.reads}, got {described(y)}")
        checked: Tensor = self.context(self.context.check(y.to(self.device)))
        return checked

    @torch.no_grad()
    def _image(self, model: Callable[..., Tensor], y: Tensor | None, n: int, mean: bool) -> Tensor:
        with pyro.settings.context(module_local_params=True):
            site: Any = poutine.trace(model).get_trace(y=y, n=n).nodes[self.image]
        x = mean_of(site["fn"]) if mean else site["value"]
        return x if y is None or not isinstance(self.context, Quadrants) else torch.where(self.context.seen, y, x)


class AtMeans(Messenger):
    """An effect: sets each latent to its mean instead of drawing it."""

    def _pyro_sample(self, msg: Any) -> None:
        if not msg["is_observed"] and not poutine.util.site_is_subsample(msg):
            msg["value"], msg["done"] = mean_of(msg["fn"]), True


class _SetCode(Messenger):
    """An effect: sets the code to z, if its dimensions fit."""

    def __init__(self, code: str, z: Tensor) -> None:
        super().__init__()
        self.code, self.z = code, z

    def _pyro_sample(self, msg: Any) -> None:
        if msg["name"] == self.code:
            if self.z.shape[1:] != msg["fn"].event_shape:
                raise InputError(f"z: expected codes of {msg['fn'].event_shape[0]} dimensions, got {self.z.shape[1]}")
            msg["value"], msg["is_observed"] = self.z, True


def known_mean(distribution: TorchDistribution) -> Tensor | None:
    """The mean of a distribution, or None if torch has no closed form for it."""
    with contextlib.suppress(NotImplementedError):
        return distribution.mean
    return None


def mean_of(distribution: TorchDistribution) -> Tensor:
    """The mean of a distribution: in closed form if torch has one, else that of a hundred draws."""
    mean = known_mean(distribution)
    return distribution.sample((100,)).mean(0) if mean is None else mean


def described(x: object) -> str:
    """A tensor's shape and type, or the type of anything else, for an error."""
    return f"shape {tuple(x.shape)} of {x.dtype}" if isinstance(x, Tensor) else type(x).__name__
