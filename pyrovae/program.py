"""A program is a model and a guide; this file holds what follows from running them."""

import inspect
from collections.abc import Callable, Mapping
from types import MappingProxyType
from typing import Any, TypeVar

import pyro
import torch
from pyro import poutine
from pyro.distributions import TorchDistribution
from pyro.nn import PyroModule
from torch import Tensor

from pyrovae.errors import InputError, at_least
from pyrovae.inference.arrays import BATCH, in_batches, numpy_for_numpy
from pyrovae.inference.effects import AtMeans, ReachSite, SetSite, mean_of
from pyrovae.inference.parameters import Shown, hidden
from pyrovae.inference.sites import Site, expect_named, is_latent, sites_of
from pyrovae.inference.traces import sample_sites
from pyrovae.parts.contexts import Context, Label, Quadrants, context_of, described

T = TypeVar("T")


class Program(PyroModule):
    """A generative model of images and its guide, written in Pyro.

    Write `model` and `guide`; the other methods run them. They return images as the mean of p(x | z, y), or as draws
    from it with `mean=False`. Their arguments may be on any device, and results are on the program's; arrays of numpy
    are taken, too, and images, codes and probabilities then returned as such. Many rows are run a batch at a time.

    Parameters are torch's, and pyrovae leaves Pyro's global parameter store empty. Pyro's own `SVI` trains a program,
    too, and puts the parameters there; `Trace_ELBO()(program.model, program.guide)` is a module that has them.

    >>> import pyro
    >>> import pyro.distributions as dist
    >>> class Factor(Program):
    ...     shape = (1, 2, 2)
    ...
    ...     def __init__(self):
    ...         super().__init__()
    ...         self.weight = torch.nn.Parameter(torch.ones(1, 4))
    ...
    ...     def model(self, x=None, y=None, n=1):
    ...         with pyro.plate("images", n if x is None else len(x)):
    ...             z = pyro.sample("z", dist.Normal(torch.zeros(1), 1.0).to_event(1))
    ...             loc = (z @ self.weight).unflatten(-1, self.shape)
    ...             return pyro.sample("x", dist.Normal(loc, 0.5).to_event(3), obs=x)
    ...
    ...     def guide(self, x, y=None):
    ...         with pyro.plate("images", len(x)):
    ...             return pyro.sample("z", dist.Normal(x.flatten(-3) @ self.weight.mT / 4.25, 0.25).to_event(1))
    >>> [*Factor().sites(torch.rand(3, 1, 2, 2))], Factor().generate(5).shape
    (['z', 'x'], torch.Size([5, 1, 2, 2]))
    """

    image = "x"  # the site that is drawn and scored
    code: str | None = "z"  # the latent vector that `encode` returns and `decode` sets, or None
    label: str | None = None  # the discrete latent that stands for a class, or for a cluster
    supervised = False  # whether the label is the class of the data, learned from the labels that are known
    classes: int = 0  # how many values the label has
    shape: tuple[int, ...] = ()  # (C, H, W) of an image, (D,) of a vector; empty if it is not known
    missing: bool = False  # whether values of x may be missing, as NaN
    filled: str | None = None  # the site that draws them, if one does; their mean and draws are else those of `image`
    features: int = 1  # how many numbers the decoder returns for each value of a pixel, of all codes summed over
    has_kl: bool = True  # False for a plain autoencoder, whose guide has no density
    gradient: str = ""  # how the gradient gets through draws that are not reparameterised, of `gradients`
    gradients: tuple[str, ...] = ()
    unread: Mapping[str, str] = MappingProxyType({})  # settings that `build` was given and no part reads, and a message

    def __init__(self) -> None:
        with pyro.settings.context(module_local_params=True):
            super().__init__()
        self.context: Context | None = None  # makes y from labels or images; None if the program is unconditional

    def __init_subclass__(cls, **kwargs: object) -> None:
        super().__init_subclass__(**kwargs)
        for name in ("model", "guide"):
            if inspect.isfunction(function := inspect.getattr_static(cls, name)):
                setattr(cls, name, Shown(function))

    def model(self, x: Tensor | None = None, y: Tensor | None = None, n: int = 1) -> Tensor:
        """Score the images x, or draw n images if x is None."""
        raise NotImplementedError

    def guide(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Draw the latents of the images x."""
        raise NotImplementedError

    def sites(self, x: Tensor, y: Tensor | None = None) -> dict[str, Site]:
        """Run guide and model on images x (n, C, H, W) and their context; return the random variables by name.

        Raises `InputError` if guide and model do not have the same latents, if a site lies in no plate, or if `image`
        or `code` names no site of its kind.
        """
        training = self.training
        self.eval()  # a batch of one image has no statistics
        try:
            sites = sites_of(self.model, self.guide, x, y)
        finally:
            self.train(training)
        expect_named(sites, self.image, self.code, self.label)
        return sites

    @property
    def labels(self) -> Label | None:
        """What turns classes into y, if the program is given them, or if it infers them and can be given them."""
        if self.supervised:
            return Label(self.classes)
        return self.context if isinstance(self.context, Label) else None

    def most_likely(self, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
        """Return the y of images, as the networks read it: the context, or the labels that the program infers."""
        if self.labels is None or not self.supervised:
            return self.given(x, labels)
        y: Tensor = self.labels(self.classify(x).argmax(-1))
        return y

    def anneal(self, progress: float) -> None:
        """Change what changes during the training: `progress` is the share of it that is done, from 0 to 1."""

    def given(self, x: Tensor, labels: Tensor | None = None) -> Tensor | None:
        """Return the context y of images (n, C, H, W) and labels (n,), as the networks read it; None without one.

        Where columns of a table are the condition, `labels` are their values (n, K), as `Data.batch` returns them.
        """
        if self.context is None:
            return None
        read = x if self.context.reads == "images" else labels
        if read is None:
            raise InputError(f"y: expected {self.context.reads}, as the model is conditional, got images without any")
        y: Tensor = self.context(read.to(self.device))
        return y

    def learned_from(self, x: Tensor, labels: Tensor | None) -> Tensor | None:
        """Return what model and guide are given in training: the context, or the labels that are known."""
        return self.given(x, labels)

    @numpy_for_numpy
    @in_batches
    @torch.no_grad()
    def classify(self, x: Tensor) -> Tensor:
        """Return q(label | x), the probability of each class or cluster: (n, classes). Other latents are at means."""
        if self.label is None:
            raise InputError("classify: expected a program with a label, got one without")
        self.expect_images(x)
        label: Any = self._reached(self.label, self.guide, x.to(self.device))
        probabilities: Tensor = label.probs
        return probabilities

    @numpy_for_numpy
    @in_batches
    @torch.no_grad()
    def encode(self, x: Tensor, y: Tensor | None = None) -> TorchDistribution:
        """Return the distribution of the code, q(z | x, y): batch shape (n,), event shape (latent,)."""
        return sample_sites(self._inferred(x, y))[self._code()]["fn"]

    @torch.no_grad()
    def code_distributions(self, x: Tensor, y: Tensor | None = None) -> tuple[TorchDistribution, TorchDistribution]:
        """Return the guide's and the model's distribution of the code, for arguments that model and guide take.

        Latents that are drawn before the code are at their means. Nothing after the code runs.
        """
        return self.code_distribution(x, y), self._reached(self._code(), self.model, x, y)

    def code_distribution(self, x: Tensor, y: Tensor | None = None) -> TorchDistribution:
        """Return the guide's distribution of the code, as `code_distributions` does, with its gradient."""
        return self._reached(self._code(), self._conditioned(self.guide, y), x, self._context(y))

    @torch.no_grad()
    def code_prior(self, n: int, y: Tensor | None = None) -> TorchDistribution:
        """Return the model's distribution of n codes, for contexts or labels y as the networks read them.

        Latents before the code are drawn.
        """
        with hidden():
            return ReachSite(self._code(), self._conditioned(self.model, y))(None, self._context(y), n)

    @torch.no_grad()
    def draw_codes(self, n: int, y: Tensor | None = None) -> Tensor:
        """Draw n codes (n, latent) from the model, for contexts y as the networks read them."""
        return self.code_prior(n, y).sample()

    def image_distribution(self, z: Tensor, y: Tensor | None = None) -> TorchDistribution:
        """Return p(x | z, y) for codes z (n, latent) and contexts as the networks read them, with its gradient.

        Other latents are at their means.
        """
        model = SetSite(self._code(), z)(self._conditioned(self.model, y))
        return self._reached(self.image, model, None, self._context(y), len(z))

    def _reached(self, site: str, program: Callable[..., object], *args: object) -> TorchDistribution:
        """Run guide or model, other latents at their means, until it would draw a site; return its distribution."""
        with hidden():
            return ReachSite(site, AtMeans(but=site)(program))(*args)

    def _code(self) -> str:
        if self.code is None:
            raise InputError("code: expected a program whose code is a vector, got one without")
        return self.code

    def _context(self, y: Tensor | None) -> Tensor | None:
        """Return the context that model and guide are called with: labels of a program that infers them are none."""
        return y if self.label is None else None

    def _conditioned(self, program: Callable[..., T], y: Tensor | None) -> Callable[..., T]:
        """Return model or guide with the label, if there is one and y is given, set to y (n, classes)."""
        if self.label is None or y is None:
            return program
        return poutine.condition(program, {self.label: y})

    @numpy_for_numpy
    @in_batches
    def decode(self, z: Tensor, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Return images (n, C, H, W) for codes z (n, latent): runs the model with its code set to z.

        Codes of another precision are taken in that of the parameters. Other latents are at their means, or drawn with
        `mean=False`.
        """
        if not (isinstance(z, Tensor) and z.is_floating_point() and z.dim() == 2 and len(z)):
            raise InputError(f"z: expected a tensor of codes (n, latent), got {described(z)}")
        y = self._checked(y, len(z))
        model: Callable[..., Tensor] = SetSite(self._code(), z.to(next(self.parameters())))(self.model)
        return self._image(AtMeans(but=self.image)(model) if mean else model, y, len(z), mean)

    @numpy_for_numpy
    def generate(self, n: int | None = None, y: Tensor | None = None, mean: bool = True) -> Tensor:
        """Draw n images (n, C, H, W) from the model; one for each row of y if it is conditional."""
        if n is not None:
            at_least(1, n=n)
        y = self._checked(y, n)
        batches = torch.arange((n or 1) if y is None else len(y)).split(BATCH)
        images = [self._image(self.model, None if y is None else y[rows], len(rows), mean) for rows in batches]
        return torch.cat(images) if len(images) > 1 else images[0]

    @numpy_for_numpy
    @in_batches
    @torch.no_grad()
    def reconstruct(self, x: Tensor, y: Tensor | None = None) -> Tensor:
        """Return images (n, C, H, W) decoded from the guide's means for x. A model conditioned on labels needs y."""
        sites = sample_sites(self._inferred(x, y))
        latents = {name: site["value"] for name, site in sites.items() if is_latent(site)}
        return self._image(poutine.condition(self.model, latents), self._checked(y, len(x), x), len(x), mean=True, of=x)

    @numpy_for_numpy
    def complete(self, y: Tensor, mean: bool = True) -> Tensor:
        """Draw the quadrants of each image y (n, C, H, W) that the model does not see, and keep those that it does."""
        if not isinstance(self.context, Quadrants):
            raise InputError("complete: expected a model conditioned on quadrants, got another")
        return self.generate(y=y, mean=mean)

    @property
    def device(self) -> torch.device:
        """The device of the parameters."""
        return next(self.parameters()).device

    def expect_images(self, x: Tensor) -> None:
        """Raise `InputError` unless x are images of the program's shape and of its parameters' dtype."""
        fits = isinstance(x, Tensor) and x.dim() > 1 and (x.shape[1:] == self.shape if self.shape else x.dim() == 4)
        if not fits or x.dtype != next(self.parameters()).dtype:
            expected = f"(n, {', '.join(map(str, self.shape)) or 'C, H, W'})"
            raise InputError(f"x: expected images {expected} as `Data.batch` returns them, got {described(x)}")

    def _inferred(self, x: Tensor, y: Tensor | None) -> poutine.Trace:
        """Run the guide on x with each latent at its mean; returns the trace."""
        self.expect_images(x)
        y = self._checked(y, len(x), x)
        with AtMeans(), hidden():
            return poutine.trace(self._conditioned(self.guide, y)).get_trace(x.to(self.device), self._context(y))

    def _checked(self, y: Tensor | None, n: int | None, x: Tensor | None = None) -> Tensor | None:
        """Return the context of n images as the networks read it; quadrants come from x if y is None.

        A program that infers a label may be given it, and need not be.
        """
        context = self.context
        if context is None and self.label is not None:
            context = None if y is None else Label(self.classes)
        elif context is None and y is not None:
            raise InputError("y: expected none, as the model is unconditional, got a context")
        return None if context is None else context_of(context, y, n, x, self.device)

    @torch.no_grad()
    def _image(
        self, model: Callable[..., Tensor], y: Tensor | None, n: int, mean: bool, of: Tensor | None = None
    ) -> Tensor:
        """Run the model; returns the images, with the quadrants that it sees taken from y.

        A distribution that has a method `of`, being one given the total of a row, is taken at those of images `of`.
        """
        with hidden():
            conditioned = self._conditioned(model, y)
            site = sample_sites(poutine.trace(conditioned).get_trace(y=self._context(y), n=n))[self.image]
        distribution = site["fn"] if of is None or not hasattr(site["fn"], "of") else site["fn"].of(of.to(self.device))
        x = mean_of(distribution) if mean else site["value"]
        return x if y is None or not isinstance(self.context, Quadrants) else torch.where(self.context.seen, y, x)
