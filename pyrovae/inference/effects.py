"""Effects by which a program runs in another way: with its latents at their means, up to a site, or with a site set."""

import contextlib
from collections.abc import Callable

import torch
from pyro.distributions import TorchDistribution, Unit
from pyro.poutine.messenger import Messenger
from torch import Tensor
from torch.distributions import Distribution, Independent, OneHotCategorical

from pyrovae.errors import InputError
from pyrovae.inference.sites import is_latent, is_plate
from pyrovae.inference.traces import SampleSite, is_discrete


class CountRows(Messenger):
    """Counts the log-probability of these rows of a batch alone, as a Pyro effect handler; factors count for all rows.

    `rows` is a mask (n,), or None, which counts all.
    """

    def __init__(self, rows: Tensor | None = None) -> None:
        super().__init__()
        self.rows = rows

    def _pyro_sample(self, msg: SampleSite) -> None:
        if self.rows is None or isinstance(msg["fn"], Unit) or is_plate(msg):
            return
        msg["mask"] = self.rows if msg["mask"] is None else self.rows & msg["mask"]


class AtMeans(Messenger):
    """Sets each latent to its mean, or mode if it is discrete, instead of drawing it, as a Pyro effect handler.

    It leaves the site `but` as it is.
    """

    def __init__(self, but: str | None = None) -> None:
        super().__init__()
        self.but = but

    def _pyro_sample(self, msg: SampleSite) -> None:
        if is_latent(msg) and msg["name"] != self.but:
            fn = msg["fn"]
            msg["value"], msg["done"] = mode_of(fn) if is_discrete(fn) else mean_of(fn), True


class ReachSite(Messenger):
    """Runs a program until it would draw a site, as a Pyro effect handler; returns the distribution of that site."""

    def __init__(self, site: str, program: Callable[..., object]) -> None:
        super().__init__()
        self.site, self.program = site, program

    def __call__(self, *args: object) -> TorchDistribution:
        try:
            with self:
                self.program(*args)
        except _Reached as reached:
            return reached.distribution
        raise InputError(f"code: expected a latent site of model and guide, got {self.site!r}")

    def _pyro_sample(self, msg: SampleSite) -> None:
        if msg["name"] == self.site:
            raise _Reached(msg["fn"])


class _Reached(Exception):
    """Carries the distribution out of the program that is stopped at it."""

    def __init__(self, distribution: TorchDistribution) -> None:
        super().__init__()
        self.distribution = distribution


class SetSite(Messenger):
    """Sets the code to z, as a Pyro effect handler. Raises `InputError` if z has another number of dimensions."""

    def __init__(self, code: str, z: Tensor) -> None:
        super().__init__()
        self.code, self.z = code, z

    def _pyro_sample(self, msg: SampleSite) -> None:
        if msg["name"] == self.code:
            if self.z.shape[1:] != msg["fn"].event_shape:
                raise InputError(f"z: expected codes of {msg['fn'].event_shape[0]} dimensions, got {self.z.shape[1]}")
            msg["value"], msg["is_observed"] = self.z, True


def mode_of(distribution: Distribution) -> Tensor:
    """Return the mode of a discrete distribution; a one-hot one without reading any value, as torch's own does."""
    base = distribution.base_dist if isinstance(distribution, Independent) else distribution
    if not isinstance(base, OneHotCategorical):
        return distribution.mode
    best = base.logits.argmax(-1, keepdim=True)
    return (torch.arange(base.logits.shape[-1], device=best.device) == best).to(base.logits.dtype)


def known_mean(distribution: TorchDistribution) -> Tensor | None:
    """Return the mean of a distribution, or None if torch has no closed form for it."""
    with contextlib.suppress(NotImplementedError):
        return distribution.mean
    return None


def mean_of(distribution: TorchDistribution) -> Tensor:
    """Return the mean of a distribution, in closed form if torch has one, else the average of a hundred draws."""
    mean = known_mean(distribution)
    return distribution.sample((100,)).mean(0) if mean is None else mean
