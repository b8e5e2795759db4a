"""The optimizer's part of a step: it checks loss and gradients, and moves the parameters."""

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

import torch
from torch import Tensor

from pyrovae.inference.adam import AdamState, can_be_written_out, fused_step, written_out_step
from pyrovae.inference.guard import Guard
from pyrovae.inference.private import set_found_inf


class Update:
    """Takes the steps of a torch optimizer, from the loss and the gradients of its `parameters`.

    A `Guard` checks each: see there for `failed`, `skipped`, `skip` and `grad_clip`. A plain `Adam(fused=True)` takes a
    step by a direct call of its fused kernel, or on a CPU by `written_out`, which a compiled step can hold; any other
    optimizer takes it by its own `step`. The state remains that of the optimizer.
    """

    def __init__(self, optim: torch.optim.Optimizer, grad_clip: float = 0.0, skip: bool = False) -> None:
        self.optim = optim
        self.parameters: list[Tensor] = [parameter for group in optim.param_groups for parameter in group["params"]]
        self.skip, self.guard = skip, Guard(self.parameters[0].device, grad_clip, skip)
        self.failed, self.skipped = self.guard.failed, self.guard.skipped
        self.adam = AdamState(optim) if AdamState.supports(optim) else None
        self._lr = torch.zeros((), dtype=torch.float64)

    @torch.no_grad()
    def __call__(self, gradients: Sequence[Tensor | None], loss: Tensor) -> None:
        """Take a step, unless the guard says that it has failed."""
        present = [gradient for gradient in gradients if gradient is not None]
        self.guard.check(present, loss)
        if self.adam is not None and self.adam.update() and len(present) == len(gradients):
            fused_step(self.adam, present, self.failed)
        else:
            self._step(gradients)

    def _step(self, gradients: Sequence[Tensor | None]) -> None:
        for parameter, gradient in zip(self.parameters, gradients):
            parameter.grad = gradient
        if self.optim.defaults.get("fused"):
            set_found_inf(self.optim, self.failed)
            self.optim.step()
        elif not self.failed:
            self.optim.step()
        self.optim.zero_grad()

    @property
    def can_be_written_out(self) -> bool:
        """Whether `written_out` can take this optimizer's steps: it neither clips nor skips."""
        return can_be_written_out(self.optim) and not (self.guard.skip or self.guard.grad_clip)

    def lr(self) -> Tensor:
        """Return the learning rate as a tensor, and prepare Adam's state: call it before each `written_out`."""
        if self.adam is not None:
            self.adam.update()
        return self._lr.fill_(self.optim.param_groups[0]["lr"])

    @torch.no_grad()
    def written_out(self, gradients: Sequence[Tensor | None], loss: Tensor, lr: Tensor) -> None:
        """Take Adam's step by operations that a graph can hold. Call it only if `can_be_written_out`."""
        if self.adam is None:
            raise TypeError(f"optim: expected a plain Adam(fused=True), got {type(self.optim).__name__}")
        self.guard.check([], loss)
        written_out_step(self.adam, gradients, self.failed, lr)

    @contextmanager
    def restored(self) -> Iterator[None]:
        """Undo, on leaving, all steps taken inside. An optimizer without a state gets its initial one."""
        begin(self.optim)
        if self.adam is not None:
            self.adam.update()
        moved = [self.guard.flags, *self.parameters, *state_tensors(self.optim)]
        before = [tensor.detach().clone() for tensor in moved]
        try:
            yield
        finally:
            with torch.no_grad():
                for tensor, value in zip(moved, before):
                    tensor.copy_(value)


def begin(optim: torch.optim.Optimizer) -> None:
    """Give an optimizer its initial state, zeros, if it has none."""
    if optim.state:
        return
    for group in optim.param_groups:
        for parameter in group["params"]:
            parameter.grad = torch.zeros_like(parameter)
    optim.step()  # moves nothing, because all gradients are zero
    optim.zero_grad()
    for tensor in state_tensors(optim):
        tensor.zero_()


def state_tensors(optim: torch.optim.Optimizer) -> list[Tensor]:
    """Return the tensors of an optimizer's state, such as Adam's moments."""
    return [value for state in optim.state.values() for value in state.values() if isinstance(value, Tensor)]


def adam(parameters: Sequence[Tensor], lr: float) -> torch.optim.Adam:
    """Make a fused Adam. On CUDA a CUDA graph can record its steps, and reads the learning rate from a tensor."""
    if not parameters[0].is_cuda:
        return torch.optim.Adam(parameters, lr=lr, fused=True)
    return torch.optim.Adam(parameters, torch.tensor(lr, device=parameters[0].device), fused=True, capturable=True)


def adopt(optim: torch.optim.Optimizer, keep_lr: bool) -> None:
    """Adapt a state that was loaded to this device, because it may have been saved on another kind.

    The learning rate becomes the one that the optimizer was made with, or with `keep_lr` stays the one that was loaded.
    """
    for group in optim.param_groups:
        loaded = float(group["lr"])
        group |= {name: optim.defaults[name] for name in ("lr", "capturable")}
        if keep_lr:
            group["lr"] = torch.full_like(group["lr"], loaded) if isinstance(group["lr"], Tensor) else loaded
