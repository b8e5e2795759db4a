"""SVI: one step of stochastic variational inference for any Pyro model and guide."""

from collections.abc import Callable
from functools import partial
from typing import Any

import pyro
import torch
from torch import Tensor

from pyrovae.errors import one_of
from pyrovae.inference.compiled import capture
from pyrovae.inference.cuda_graph import Replay, can_replay
from pyrovae.inference.optimizer import Update
from pyrovae.inference.precision import PRECISIONS, products
from pyrovae.inference.processes import size, summed


class SVI:
    """Pyro's `SVI`, over one torch optimizer, with a loss that stays a tensor on its device.

    `loss` is a Pyro ELBO; its `differentiable_loss(model, guide, *args)` is minimised. Parameters are those of the
    optimizer: Pyro's parameter store stays empty. The first step is validated by Pyro, the later ones are not, as each
    check of a value waits for the device. `optim` may be None for a model that is only evaluated. `prepare` turns what
    `step` is called with into the arguments of model and guide, and `record` sees the loss of each step and the terms
    that the ELBO took it apart into: a compiled step holds both, so that what they compute costs no more Python.
    A loss that is not finite moves no weight: `update.failed` tells. `grad_clip` is the norm that gradients are scaled
    down to (0: none); with `skip` a step whose loss or gradients are not finite is left out, and counted in
    `update.skipped`.
    `precision` is that of a step's matrix products: fp32, tf32 or bf16. Where several processes are one training, loss
    and gradients are summed over them: let `prepare` give each its rows (`parallel.Share`).

    >>> from pyrovae.inference.objectives import TraceELBO
    >>> vae = build(Config(device="cpu"), (1, 8, 8))
    >>> svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters(), fused=True), TraceELBO())
    >>> svi.step(torch.rand(5, 1, 8, 8)).shape
    torch.Size([])
    """

    def __init__(
        self,
        model: Callable[..., Any],
        guide: Callable[..., Any],
        optim: torch.optim.Optimizer | None,
        loss: Any,
        validate: bool = True,
        prepare: Callable[..., tuple[Any, ...]] | None = None,
        record: Callable[[Tensor, dict[str, Tensor]], None] | None = None,
        precision: str = "fp32",
        grad_clip: float = 0.0,
        skip: bool = False,
    ) -> None:
        self.model, self.guide, self.loss = model, guide, loss
        self.validate = validate  # the next step, not those after it
        self.prepare, self.record, self.precision = prepare, record, one_of("precision", precision, PRECISIONS)
        if optim is not None:  # without one there are no steps
            self.optim, self.update = optim, Update(optim, grad_clip, skip)
        self.compiled: Callable[..., Tensor] | None = None  # a step, for arguments of these shapes
        self._shapes: list[Any] = []

    def step(self, *args: Any) -> Tensor:
        """Take one optimizer step; the loss before it, a tensor without gradient."""
        if self.compiled is not None and _shapes(args) == self._shapes:
            return self.compiled(*args)
        return self._step(self.gradients, *args)

    @torch.no_grad()
    def evaluate_loss(self, *args: Any) -> Tensor:
        """The loss, with no gradient taken and no parameter or optimizer state moved."""
        return self._loss(*args)

    def compile(self, *args: Tensor) -> None:
        """From now on take steps for arguments of these shapes by a compiled graph, and all others as before.

        Any model and guide of fixed structure will do. They are run on `args`: buffers that a run moves, move. A plain
        Adam(fused=True) is part of the graph on a CPU; on CUDA the whole step becomes one CUDA graph, if the optimizer
        has `capturable=True`. What the optimizer was made with, but for its learning rate, stays so.
        """
        self.evaluate_loss(*args)  # validated, as the graph cannot be
        if size() == 1 and self.update.can_be_written_out:
            with self.update.unmoved():
                whole = capture(self._written_out, self.update.lr(), *args)
            self.compiled = lambda *args: whole(self.update.lr(), *args)[0]
        else:
            self.compiled = partial(self._step, capture(self.gradients, *args))
            if can_replay(self.optim, *args):
                with self.update.unmoved():
                    self.compiled = Replay(self.compiled, *args)
        self._shapes = _shapes(args)

    def _written_out(self, lr: Tensor, *args: Tensor) -> tuple[Tensor]:
        loss, *gradients = self.gradients(*args)
        self.update.written_out(gradients, loss, lr)
        return (loss,)

    def _step(self, gradients_at: Callable[..., Any], *args: Any) -> Tensor:
        loss: Tensor
        loss, *gradients = summed(*gradients_at(*args))
        self.update(gradients, loss)
        return loss

    def gradients(self, *args: Any) -> tuple[Any, ...]:
        """The loss, and its gradient in each parameter of the optimizer, or None for one that it does not depend on."""
        with products(self.precision):
            loss = self._loss(*args)
            gradients = torch.autograd.grad(loss, self.update.parameters, allow_unused=True)
        if self.record is not None:
            self.record(loss.detach(), self.loss.terms)
        return loss.detach(), *gradients

    def _loss(self, *args: Any) -> Tensor:
        if self.prepare is not None:
            args = self.prepare(*args)
        with pyro.settings.context(module_local_params=True), pyro.validation_enabled(self.validate):
            loss: Tensor = self.loss.differentiable_loss(self.model, self.guide, *args)
        self.validate = False
        return loss


def _shapes(args: Any) -> list[Any]:
    return [getattr(x, "shape", None) for x in args]
