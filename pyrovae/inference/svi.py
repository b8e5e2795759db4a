"""SVI: one step of stochastic variational inference for any Pyro model and guide."""

from collections.abc import Callable
from functools import partial
from typing import Protocol, cast

import pyro
import torch
from pyro.infer import TraceEnum_ELBO
from torch import Tensor

from pyrovae.errors import one_of
from pyrovae.inference.compiled import capture
from pyrovae.inference.cuda_graph import Replay, can_replay
from pyrovae.inference.objectives.enumerated import EnumeratedELBO
from pyrovae.inference.objectives.trace import TraceELBO
from pyrovae.inference.optimizer import Update
from pyrovae.inference.parameters import hidden
from pyrovae.inference.precision import PRECISIONS, products
from pyrovae.inference.processes import size, summed

Gradients = tuple[Tensor, *tuple[Tensor | None, ...]]  # a loss, and its gradient in each parameter


class Loss(Protocol):
    """What SVI minimises: any of pyrovae's objectives, or one of Pyro's own ELBO estimators."""

    def differentiable_loss(
        self, model: Callable[..., object], guide: Callable[..., object], *args: object
    ) -> Tensor: ...


class SVI:
    """Takes optimizer steps as Pyro's `SVI` does, but returns each loss as a tensor that stays on its device.

    It minimises `loss.differentiable_loss(model, guide, *args)` over the parameters of the torch optimizer `optim`,
    which may be None if the loss is only evaluated. Pyro's parameter store stays empty. Pyro validates the first step
    alone, because each of its checks reads a value from the device, which then has to wait.

    `prepare` turns the arguments of `step` into those of model and guide. `record` is called in every step with the
    loss and `loss.terms`, its parts by site, which a `TraceELBO` has. A compiled step includes both.

    A loss that is not finite moves no weight, and sets `update.failed`. With `skip`, a step whose loss or gradients are
    not finite is left out and counted in `update.skipped`. `grad_clip` is the norm that gradients are scaled down to
    (0: they are not). `precision` is that of the matrix products in a step: fp32, tf32 or bf16.

    In a training by several processes, loss and gradients are summed over them: `prepare` must then return this
    process's rows of a batch, which `processes.Share` selects.

    >>> from pyrovae.inference.objectives import TraceELBO
    >>> vae = build(Config(device="cpu"), (1, 8, 8))
    >>> svi = SVI(vae.model, vae.guide, torch.optim.Adam(vae.parameters(), fused=True), TraceELBO())
    >>> svi.step(torch.rand(5, 1, 8, 8)).shape
    torch.Size([])
    """

    def __init__(
        self,
        model: Callable[..., object],
        guide: Callable[..., object],
        optim: torch.optim.Optimizer | None,
        loss: Loss,
        validate: bool = True,
        prepare: Callable[..., tuple[object, ...]] | None = None,
        record: Callable[[Tensor, dict[str, Tensor]], None] | None = None,
        precision: str = "fp32",
        grad_clip: float = 0.0,
        skip: bool = False,
    ) -> None:
        self.model, self.guide, self.loss = model, guide, loss
        self.validate = validate  # the next step alone
        self.prepare, self.record, self.precision = prepare, record, one_of("precision", precision, PRECISIONS)
        if optim is not None:
            self.optim, self.update = optim, Update(optim, grad_clip, skip)
        self.compiled: Callable[..., Tensor] | None = None  # a step for arguments of the shapes `_shapes`
        self._shapes: list[torch.Size | None] = []

    def step(self, *args: object) -> Tensor:
        """Take one optimizer step, and return the loss before it, without a gradient."""
        if self.compiled is not None and _shapes(args) == self._shapes:
            return self.compiled(*args)
        return self._step(self.gradients, *args)

    def evaluate_loss(self, *args: object) -> Tensor:
        """Return the loss without taking a step: no parameter and no optimizer state moves."""
        with torch.set_grad_enabled(not isinstance(self.loss, TraceELBO)):  # Pyro's TraceEnum_ELBO insists on gradients
            return self._loss(*args).detach()

    def compile(self, *args: Tensor) -> None:
        """Compile the step for arguments of these shapes; arguments of other shapes take steps as before.

        Model and guide may do anything that does not depend on the values of tensors. They run on `args`: a buffer that
        a run changes, such as a running mean, is changed. On a CPU a plain Adam(fused=True) becomes part of the graph;
        on CUDA the whole step becomes one CUDA graph if the optimizer has `capturable=True`. Afterwards only the
        learning rate of the optimizer's settings may change. Pyro's `TraceEnum_ELBO` reads values of tensors, so its
        graph is that of `EnumeratedELBO`, which has the same value and gradient, or refuses.
        """
        self.evaluate_loss(*args)  # the one run that Pyro validates, because it cannot validate a graph
        loss, self.loss = self.loss, _capturable(self.loss)
        try:
            self._compile(*args)
        finally:
            self.loss = loss
        self._shapes = _shapes(args)

    def _compile(self, *args: Tensor) -> None:
        if size() == 1 and self.update.can_be_written_out:
            with self.update.restored():
                whole = capture(self._written_out, self.update.lr(), *args)
            self.compiled = lambda *args: whole(self.update.lr(), *args)[0]
        else:
            self.compiled = partial(self._step, capture(self.gradients, *args))
            if can_replay(self.optim, *args):
                with self.update.restored():
                    self.compiled = Replay(self.compiled, *args)

    def _written_out(self, lr: Tensor, *args: Tensor) -> tuple[Tensor]:
        loss, *gradients = self.gradients(*args)
        self.update.written_out(gradients, loss, lr)
        return (loss,)

    def _step(self, gradients_at: Callable[..., Gradients], *args: object) -> Tensor:
        loss: Tensor
        loss, *gradients = summed(*gradients_at(*args))
        self.update(gradients, loss)
        return loss

    def gradients(self, *args: object) -> Gradients:
        """Return the loss, and its gradient in each parameter of the optimizer.

        A gradient is None if the loss does not depend on the parameter.
        """
        with products(self.precision):
            loss = self._loss(*args)
            gradients = torch.autograd.grad(loss, self.update.parameters, allow_unused=True)
        if self.record is not None:
            self.record(loss.detach(), cast(TraceELBO, self.loss).terms)
        return loss.detach(), *gradients

    def _loss(self, *args: object) -> Tensor:
        if self.prepare is not None:
            args = self.prepare(*args)
        with hidden(), pyro.validation_enabled(self.validate):
            loss = self.loss.differentiable_loss(self.model, self.guide, *args)
        self.validate = False
        return loss


def _capturable(loss: Loss) -> Loss:
    """Return the loss, or for Pyro's `TraceEnum_ELBO` the estimator with the same value that reads no values."""
    if type(loss) is not TraceEnum_ELBO:
        return loss
    return EnumeratedELBO(
        num_particles=loss.num_particles,
        vectorize_particles=loss.vectorize_particles,
        max_plate_nesting=loss.max_plate_nesting,
    )


def _shapes(args: tuple[object, ...]) -> list[torch.Size | None]:
    return [getattr(arg, "shape", None) for arg in args]
