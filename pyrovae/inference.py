"""SVI: one step of stochastic variational inference for any Pyro model and guide."""

import re
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import pyro
import torch
from torch import Tensor

from pyrovae.config import DEVICES, InputError


class SVI:
    """Pyro's `SVI`, over one torch optimizer, with a loss that stays a tensor on its device.

    `loss` is a Pyro ELBO; its `differentiable_loss(model, guide, *args)` is minimised. Parameters are those of the
    optimizer: Pyro's parameter store stays empty. The first step is validated by Pyro, the later ones are not, as each
    check of a value waits for the device. `optim` may be None for a model that is only evaluated.

    >>> svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters(), fused=True), TraceELBO())  # doctest: +SKIP
    >>> loss = svi.step(x, y)  # doctest: +SKIP
    """

    def __init__(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any],
        optim: torch.optim.Optimizer | None,
        loss: Any,
        validate: bool = True,
    ) -> None:
        self.model, self.guide, self.optim, self.loss = model, guide, optim, loss
        self.validate = validate  # the next step, not those after it

    def step(self, *args: Any, **kwargs: Any) -> Tensor:
        """Take one optimizer step; the loss before it, a tensor without gradient."""
        self.optim.zero_grad(set_to_none=True)
        loss = self._loss(*args, **kwargs)
        loss.backward()
        self.optim.step()
        return loss.detach()

    @torch.no_grad()
    def evaluate_loss(self, *args: Any, **kwargs: Any) -> Tensor:
        """The loss, with no gradient taken and no parameter or optimizer state moved."""
        return self._loss(*args, **kwargs)

    def _loss(self, *args: Any, **kwargs: Any) -> Tensor:
        # A compiled step replaces this method: model, guide and estimator as one graph of the arguments.
        with pyro.settings.context(module_local_params=True), pyro.validation_enabled(self.validate):
            loss = self.loss.differentiable_loss(self.model, self.guide, *args, **kwargs)
        self.validate = False
        return loss


@contextmanager
def seeded(seed: int) -> Iterator[None]:
    """Inside, torch's random numbers follow from `seed`; afterwards its states, of CUDA devices too, are as before."""
    devices = range(torch.cuda.device_count()) if torch.cuda.is_initialized() else []
    with torch.random.fork_rng(devices=devices):
        torch.manual_seed(seed)
        yield


def choose_device(name: str) -> torch.device:
    """`auto` (CUDA where there is one), `cpu`, `cuda` or `cuda:1`."""
    if not re.fullmatch(DEVICES, name):
        raise InputError(f"device: expected auto, cpu, cuda or cuda:1, got {name!r}")
    if name == "auto":
        return torch.device("cuda" if torch.cuda.is_available() else "cpu")
    device = torch.device(name)
    if device.type == "cuda" and (device.index or 0) >= torch.cuda.device_count():
        count = torch.cuda.device_count()
        raise InputError(f"device: expected cpu or one of this machine's {count} CUDA devices, got {name!r}")
    return device
